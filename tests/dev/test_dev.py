import os
import re
import socket
import threading
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import boto3
import jwt
import pytest

from graphql_admin.actions import Action
from graphql_admin.dev.cognito import EmbeddedCognito, isolated_environment
from graphql_admin.dev.people import make_people
from graphql_admin.settings import load_settings
from tests.support.patience import PATIENCE

FICTIONAL_NUMBERS = re.compile(
    r"\+1(202|305)55501\d\d|\+447700900\d{3}|\+3363998\d{4}|\+493023125\d{3}|\+467017406\d\d"
)


@pytest.fixture(scope="module")
def cognito() -> Iterator[EmbeddedCognito]:
    """A pool with the people of `graphql-admin dev`."""
    with isolated_environment(), EmbeddedCognito() as embedded:
        embedded.seed()
        yield embedded


@pytest.fixture(scope="module")
def users(cognito: EmbeddedCognito) -> list[dict[str, Any]]:
    """Those people as Cognito lists them."""
    return list_users(cognito)


def plain_client(cognito: EmbeddedCognito) -> Any:
    """Return a boto3 client that owes nothing to what it is to check."""
    return boto3.client(
        "cognito-idp",
        region_name="eu-west-1",
        endpoint_url=cognito.endpoint_url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def list_users(cognito: EmbeddedCognito) -> list[dict[str, Any]]:
    """Return all people of a pool as Cognito lists them."""
    pages = plain_client(cognito).get_paginator("list_users").paginate(UserPoolId=cognito.pool_id)
    return [user for page in pages for user in page["Users"]]


def attributes(user: dict[str, Any]) -> dict[str, str]:
    """Return a person's attributes by name."""
    return {attribute["Name"]: attribute["Value"] for attribute in user["Attributes"]}


def test_seed_makes_as_many_people_as_asked(users: list[dict[str, Any]]) -> None:
    """By default the pool has 250 people, each with a username of their own."""
    assert len({user["Username"] for user in users}) == len(users) == 250


def test_seed_makes_every_status() -> None:
    """Even a dozen people are in all the states that Cognito knows."""
    with isolated_environment(), EmbeddedCognito() as cognito:
        cognito.seed(12)
        assert {user["UserStatus"] for user in list_users(cognito)} == {
            "UNCONFIRMED",
            "CONFIRMED",
            "ARCHIVED",
            "COMPROMISED",
            "UNKNOWN",
            "RESET_REQUIRED",
            "FORCE_CHANGE_PASSWORD",
            "EXTERNAL_PROVIDER",
        }


def test_seed_makes_the_same_people_every_time() -> None:
    """Two pools of one size have the same users, except for what Cognito generates."""

    def people() -> list[dict[str, str]]:
        with EmbeddedCognito() as cognito:
            cognito.seed(20)
            return [
                attributes(user) | {"Username": user["Username"], "sub": ""}
                for user in list_users(cognito)
            ]

    with isolated_environment():
        assert people() == people()


def test_seed_makes_more_people_than_it_has_names() -> None:
    """Namesakes are told apart by a number. To make so many in a pool would take long."""
    assert len({person.username for person in make_people(2000)}) == 2000


def test_seed_reports_progress() -> None:
    """Progress is told after each person."""
    told: list[tuple[int, int]] = []
    with isolated_environment(), EmbeddedCognito() as cognito:
        cognito.seed(5, lambda done, total: told.append((done, total)))
    assert told == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


def test_users_are_no_real_people(users: list[dict[str, Any]]) -> None:
    """Every address and number is one that is kept for examples or fiction."""
    people = [attributes(user) for user in users]
    assert all(re.search(r"@example\.(com|org|net)$", person["email"]) for person in people)
    numbers = [person["phone_number"] for person in people if "phone_number" in person]
    assert numbers
    assert all(FICTIONAL_NUMBERS.fullmatch(number) for number in numbers)


def test_people_are_varied(users: list[dict[str, Any]]) -> None:
    """Some are disabled, some unverified, some in a department, and some share an address."""
    people = [attributes(user) for user in users]
    assert {user["Enabled"] for user in users} == {True, False}
    assert {person["email_verified"] for person in people} == {"true", "false"}
    assert len({person.get("custom:department") for person in people}) > 3
    assert Counter(person["email"] for person in people)["reception@example.org"] > 1
    assert len({user["UserCreateDate"].date() for user in users}) > 100
    assert all(user["UserCreateDate"] <= user["UserLastModifiedDate"] for user in users)


STATES: Mapping[str, Callable[[dict[str, Any], dict[str, str]], bool]] = {
    "confirmUserSignUp": lambda user, _: user["UserStatus"] == "UNCONFIRMED",
    "disableUser": lambda user, _: user["Enabled"],
    "enableUser": lambda user, _: not user["Enabled"] and user["UserStatus"] == "CONFIRMED",
    "resendInvitation": lambda user, _: user["UserStatus"] == "FORCE_CHANGE_PASSWORD",
    "resetUserPassword": lambda user, has: is_confirmed(user) and is_reachable(has),
    "resetUserPassword again": lambda user, _: user["UserStatus"] == "RESET_REQUIRED",
    "resetUserPassword without an address": lambda user, has: (
        is_confirmed(user) and not is_reachable(has)
    ),
    "setUserPassword of another provider": lambda user, _: (
        user["UserStatus"] == "EXTERNAL_PROVIDER"
    ),
    "updateUser that verifies": lambda user, has: (
        is_confirmed(user) and has["email_verified"] == "false"
    ),
    "updateUser that deletes": lambda _, has: "custom:department" in has,
}
"""What can be tried on some user, by their state."""


def is_confirmed(user: Mapping[str, Any]) -> bool:
    return user["Enabled"] and user["UserStatus"] == "CONFIRMED"


def is_reachable(has: Mapping[str, str]) -> bool:
    """Whether a code can be sent to a user with these attributes."""
    return "true" in {has.get("email_verified"), has.get("phone_number_verified")}


@pytest.mark.parametrize("state", STATES)
def test_what_can_be_tried(users: list[dict[str, Any]], state: str) -> None:
    """There is a user on whom each change works, or fails as it does in a real pool."""
    ready = {"ada", "sam", "otto"}
    others = [user for user in users if user["Username"] not in ready]
    assert any(STATES[state](user, attributes(user)) for user in others)


def test_mfa(cognito: EmbeddedCognito, users: list[dict[str, Any]]) -> None:
    """Users with a verified phone number are asked for a code, and the others are not."""
    client = plain_client(cognito)
    factors = Counter[tuple[bool, tuple[str, ...]]]()
    for user in users:
        has_phone = attributes(user).get("phone_number_verified") == "true"
        found = client.admin_get_user(UserPoolId=cognito.pool_id, Username=user["Username"])
        factors[has_phone, tuple(found["UserMFASettingList"])] += 1
    assert factors.keys() == {(True, ("SMS_MFA",)), (False, ())}


def test_groups(cognito: EmbeddedCognito, users: list[dict[str, Any]]) -> None:
    """Groups come with and without precedence and description; people are in none, one, several."""
    client = plain_client(cognito)
    groups = client.list_groups(UserPoolId=cognito.pool_id)["Groups"]
    assert {
        group["GroupName"]: ("Precedence" in group, bool(group.get("Description")))
        for group in groups
    } == {
        "Admins": (True, True),
        "Editors": (True, False),
        "Support": (True, True),
        "Readers": (False, False),
        "Alumni": (False, True),
    }
    memberships: Counter[str] = Counter()
    for group in groups:
        pages = client.get_paginator("list_users_in_group").paginate(
            UserPoolId=cognito.pool_id, GroupName=group["GroupName"]
        )
        memberships.update(user["Username"] for page in pages for user in page["Users"])
    assert {memberships[user["Username"]] for user in users} >= {0, 1, 2}


def test_ready_people(cognito: EmbeddedCognito) -> None:
    """An admin, a helper and an ordinary user have tokens that the pool's keys verify."""
    assert [(person.role, person.groups) for person in cognito.people] == [
        ("admin", ("Admins", "Editors")),
        ("helper", ("Support",)),
        ("ordinary user", ()),
    ]
    keys = jwt.PyJWKClient(cognito.jwks_url)
    for person in cognito.people:
        key = keys.get_signing_key_from_jwt(person.token)
        claims = jwt.decode(person.token, key, algorithms=["RS256"])
        assert claims["username"] == person.username
        assert claims["client_id"] == cognito.client_id
        assert claims["token_use"] == "access"
        assert set(claims.get("cognito:groups", [])) == set(person.groups)


def test_ready_people_keep_their_tokens_out_of_their_repr(cognito: EmbeddedCognito) -> None:
    """A ready person can be logged without the token."""
    assert all(person.token not in repr(person) for person in cognito.people)


def test_richard_is_there(users: list[dict[str, Any]]) -> None:
    """The person of Amplify's examples is among the people."""
    assert "richard" in {user["Username"] for user in users}


def test_token_of_someone_who_cannot_sign_in(
    cognito: EmbeddedCognito, users: list[dict[str, Any]]
) -> None:
    """There is no token for a person who must first choose a password."""
    newcomer = next(
        user["Username"]
        for user in users
        if user["UserStatus"] == "FORCE_CHANGE_PASSWORD" and user["Enabled"]
    )
    with pytest.raises(ValueError, match="NEW_PASSWORD_REQUIRED"):
        cognito.token(newcomer)


def test_environment_is_a_servers(
    cognito: EmbeddedCognito, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variables make settings that give Admins everything and Support a few actions."""
    for name, value in cognito.environment.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.dev
    assert settings.user_pool_id == cognito.pool_id
    assert settings.policy.groups["Admins"].actions == frozenset(Action)
    assert Action.DISABLE_USER in settings.policy.groups["Support"].actions
    assert settings.policy.grants == {"Support": {"Editors", "Readers"}}
    assert settings.policy.writes is not None
    assert "name" in settings.policy.writes["Support"]
    assert "email" not in settings.policy.writes["Support"]
    assert settings.policy.groups.keys() == {"Admins", "Support"}


def test_isolated_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that lead to a real pool are hidden inside, and back afterwards."""
    hidden = {
        "AWS_PROFILE": "production",
        "GRAPHQL_ADMIN_USER_POOL_ID": "eu-west-1_Production",
        "https_proxy": "http://proxy.example",
    }
    for name, value in hidden.items():
        monkeypatch.setenv(name, value)
    with isolated_environment():
        assert not hidden.keys() & os.environ.keys()
        os.environ["AWS_REGION"] = "eu-west-1"
    assert hidden.items() <= os.environ.items()
    assert os.environ.get("AWS_REGION") != "eu-west-1"


def test_end_leaves_nothing_behind() -> None:
    """Afterwards the port is closed, the policy file gone and no thread runs on."""
    before = threading.enumerate()
    with isolated_environment(), EmbeddedCognito() as cognito:
        assert tomllib.loads(cognito.policy_file.read_text(encoding="utf-8"))["groups"]
        address = urlsplit(cognito.endpoint_url)
    assert not cognito.policy_file.exists()
    assert not cognito.policy_file.parent.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.hostname, address.port))
    for thread in set(threading.enumerate()).difference(before):
        thread.join(PATIENCE)
        assert not thread.is_alive()
