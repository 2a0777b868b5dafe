"""Attributes of users set and deleted: on moto, and scripted where moto cannot show it."""

import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from graphql_admin.admin import described_pool
from tests.support.api import Api
from tests.support.changes import errors_of, events_in
from tests.support.directory import Directory
from tests.support.memory_pool import MemoryPool
from tests.support.scripted import ScriptedCognito, failure, held, reply

UPDATE = """mutation ($input: UpdateUserInput!) {
    updateUser(input: $input) {
        user { username email emailVerified fullName attributes { name value } }
        errors { code message field }
    }
}"""
KEY = """mutation ($input: UpdateUserInput!) {
    updateUser(input: $input) { user { username } errors { code message field } }
}"""
WRITES = {"AdminUpdateUserAttributes", "AdminDeleteUserAttributes"}


def ask(api: Api, document: str = KEY, *, token: str | None = None, **given: Any) -> Any:
    """Return the payload of an update of bob, or of whom `username` names."""
    sent = api.send(document, {"input": {"username": "bob", **given}}, token=token)
    return sent.data["updateUser"]


def other(name: str, value: str | None) -> dict[str, Any]:
    """Return an input with one attribute that has no field of its own."""
    return {"attributes": [{"name": name, "value": value}]}


# Against moto, checked by a plain client of it


@pytest.fixture
def departments(directory: Directory) -> Directory:
    """A pool with custom attributes."""
    directory.cognito.add_custom_attributes(
        UserPoolId=directory.pool_id,
        CustomAttributes=[
            {"Name": "department", "AttributeDataType": "String", "Mutable": True},
            {"Name": "badge", "AttributeDataType": "String", "Mutable": False},
            {
                "Name": "level",
                "AttributeDataType": "Number",
                "Mutable": True,
                "NumberAttributeConstraints": {"MinValue": "1", "MaxValue": "9"},
            },
        ],
    )
    return directory


def test_attributes_are_set(
    serve: Callable[..., Api], moto_url: str, departments: Directory, tmp_path: Path
) -> None:
    """What is given is set, what is left out stays, and the event has names and no values."""
    path = tmp_path / "audit.jsonl"
    departments.add_user("bob", email="old@example.com", given_name="Robert")
    api = serve(moto_url, departments.pool_id, audit_file=path)
    done = ask(
        api,
        UPDATE,
        email="new@example.com",
        emailVerified=True,
        fullName="Bob Doe",
        attributes=[
            {"name": "custom:department", "value": "Sales"},
            {"name": "custom:level", "value": "3"},
        ],
    )
    assert done["errors"] == []
    assert (done["user"]["email"], done["user"]["emailVerified"]) == ("new@example.com", True)
    found = departments.attributes_of("bob")
    found.pop("sub")
    assert found == {
        "email": "new@example.com",
        "email_verified": "true",
        "given_name": "Robert",
        "name": "Bob Doe",
        "custom:department": "Sales",
        "custom:level": "3",
    }
    (event,) = events_in(path)
    names = ["custom:department", "custom:level", "email", "email_verified", "name"]
    assert (event["outcome"], event["attributes"]) == ("done", names)
    assert not {"Sales", "Bob Doe", "new@example.com"} & set(path.read_text().split('"'))


def test_attributes_are_deleted(api: Api, departments: Directory) -> None:
    """Null alone deletes; with a value it leaves an empty one, which shows as none."""
    departments.add_user("bob", name="Bob", given_name="Robert", family_name="Doe")
    assert errors_of(ask(api, fullName=None, givenName="")) == []
    assert departments.attributes_of("bob").keys() == {"sub", "family_name"}
    done = ask(api, UPDATE, fullName="Bob", familyName=None)
    assert done["user"]["fullName"] == "Bob"
    assert {each["name"] for each in done["user"]["attributes"]} == {"sub", "name"}
    shown = api.send('{ user(by: {username: "bob"}) { familyName } }').data["user"]
    assert shown == {"familyName": None}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (other("custom:nothing", "x"), "attributes.custom:nothing"),
        (other("nosuch", None), "attributes.nosuch"),
        (other("custom:badge", "2"), "attributes.custom:badge"),
        (other("custom:level", "high"), "attributes.custom:level"),
        (other("custom:level", "10"), "attributes.custom:level"),
        (other("sub", "x"), "attributes.sub"),
    ],
)
def test_attributes_that_the_pool_does_not_take(
    api: Api, departments: Directory, given: dict[str, Any], field: str
) -> None:
    """Nothing is changed, although moto would change it."""
    departments.add_user("bob", custom_badge="1")
    before = departments.attributes_of("bob")
    assert errors_of(ask(api, **given, fullName="Bob")) == [("INVALID_VALUE", field)]
    assert departments.attributes_of("bob") == before


POLICY = """
[groups]
Admins = ["*"]
Support = ["updateUser", "getUser"]
Readers = ["updateUser"]
[scopes]
"api/x" = ["updateUser"]
[writes]
Support = ["email", "name", "custom:department"]
Readers = []
"api/x" = ["phone_number"]
[protected]
users = ["6f1c0000-0000-4000-8000-000000000000"]
"""


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    path = tmp_path / "policy.toml"
    path.write_text(POLICY)
    return path


def test_who_may_set_what(
    serve: Callable[..., Api], moto_url: str, departments: Directory, policy_file: Path
) -> None:
    """A caller sets the attributes of `[writes]`, which an administrator need not be in."""
    departments.add_user("bob")
    api = serve(moto_url, departments.pool_id, policy_file=policy_file)
    support = api.token_of_user("Support", username="sue")
    reader = api.token_of_user("Readers", username="rita")
    email = {"email": "b@example.com", "emailVerified": False}
    assert errors_of(ask(api, token=support, **email, fullName="Bob")) == []
    refused = ask(api, token=support, fullName="B", givenName="B")
    assert errors_of(refused) == [("INVALID_VALUE", "givenName")]
    refused = ask(api, token=support, **other("custom:level", "1"))
    assert errors_of(refused) == [("INVALID_VALUE", "attributes.custom:level")]
    assert errors_of(ask(api, token=reader, fullName="B")) == [("INVALID_VALUE", "fullName")]
    found = departments.attributes_of("bob")
    assert (found["name"], found["email"], found.get("given_name")) == ("Bob", email["email"], None)
    admin = api.token_of_user("Admins")
    assert errors_of(ask(api, token=admin, givenName="Robert", **other("custom:level", "1"))) == []


def test_administrators_are_out_of_reach(
    serve: Callable[..., Api], moto_url: str, departments: Directory, policy_file: Path
) -> None:
    """A helper does not change an administrator's address."""
    api = serve(moto_url, departments.pool_id, policy_file=policy_file)
    api.token_of_user("Admins", username="ada")
    before = departments.attributes_of("ada")
    token = api.token_of_user("Support", username="sue")
    address = {"email": "mine@example.com", "emailVerified": True}
    for given in (address, {"fullName": "Eve"}, {"fullName": None}):
        refused = ask(api, token=token, username="ada", **given)
        assert errors_of(refused) == [("OUT_OF_SCOPE", "username")]
    assert departments.attributes_of("ada") == before


# In a pool that resolves names as Cognito does


GROUPS = {"ada": ("Admins",), "alan": ("Admins",), "sue": ("Support",), "carl": ("Customers",)}


@pytest.fixture
def pool(scripted: ScriptedCognito) -> MemoryPool:
    """Some people behind `scripted`."""
    pool = MemoryPool()
    for name, groups in GROUPS.items():
        pool.add(name, *groups)
    pool.add("paula", sub="6f1c0000-0000-4000-8000-000000000000")
    pool.install(scripted)
    schema = [{"Name": name} for name in ("name", "email", "email_verified", "preferred_username")]
    scripted.on("DescribeUserPool", reply({"UserPool": {"SchemaAttributes": schema}}))
    return pool


@pytest.mark.parametrize("name", ["{0.username}", "{0.sub}", "{0.email}"])
@pytest.mark.parametrize(
    ("caller", "target", "code"),
    [
        ("sue", "ada", "OUT_OF_SCOPE"),
        ("sue", "paula", "OUT_OF_SCOPE"),
        ("ada", "paula", "OUT_OF_SCOPE"),
        ("sue", "sue", "OWN_ACCOUNT"),
        ("ada", "ada", "OWN_ACCOUNT"),
        ("ada", "alan", None),
        ("sue", "carl", None),
    ],
)
def test_addresses_of(  # noqa: PLR0917  # fixtures and parameters
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    pool: MemoryPool,
    policy_file: Path,
    tmp_path: Path,
    caller: str,
    target: str,
    code: str | None,
    name: str,
) -> None:
    """A helper sets no address of an administrator, nor any caller their own, by any name."""
    path = tmp_path / "audit.jsonl"
    api = serve(scripted.url, policy_file=policy_file, audit_file=path)
    token = api.token(*GROUPS[caller], username=caller)
    given = {"email": "x@example.com", "emailVerified": True}
    named = name.format(pool.people[target])
    done = ask(api, token=token, username=named, **given)
    assert errors_of(done) == ([(code, "username")] if code else [])
    assert pool.writes == ([] if code else [("AdminUpdateUserAttributes", target)])
    (event,) = events_in(path)
    assert (event["outcome"], event["code"]) == ("refused" if code else "done", code)
    assert event["attributes"] == ["email", "email_verified"]
    assert event["target"]["username"] == target  # whom the name means


@pytest.mark.parametrize("given", [{"fullName": "Ada"}, {"preferredUsername": "queen"}])
@pytest.mark.parametrize("caller", ["ada", "sue"])
def test_own_attributes(  # noqa: PLR0917  # fixtures and parameters
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    pool: MemoryPool,
    tmp_path: Path,
    caller: str,
    given: dict[str, str],
) -> None:
    """Callers set their own name, and not by which they sign in."""
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY.replace('"email", "name"', '"name", "preferred_username"'))
    api = serve(scripted.url, policy_file=policy)
    done = ask(api, token=api.token(*GROUPS[caller], username=caller), username=caller, **given)
    assert errors_of(done) == ([] if "fullName" in given else [("OWN_ACCOUNT", "username")])
    assert len(pool.writes) == ("fullName" in given)


def test_attributes_that_were_taken(
    serve: Callable[..., Api], scripted: ScriptedCognito, pool: MemoryPool, tmp_path: Path
) -> None:
    """What a token still gives and the pool does not may not be set."""
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY.replace("Readers = []", 'Readers = ["locale"]'))
    pool.change("sue", groups=frozenset({"Readers"}))
    api = serve(scripted.url, policy_file=policy)
    token = api.token("Support", "Readers", username="sue")
    assert errors_of(ask(api, token=token, username="carl", fullName="C")) == [
        ("INVALID_VALUE", "fullName")
    ]
    assert pool.writes == []


# What is sent


def row(username: str = "bob", **members: Any) -> dict[str, Any]:
    """Return what AdminGetUser replies."""
    attributes = {"sub": f"sub-of-{username}", **members.pop("attributes", {})}
    listed = [{"Name": name, "Value": value} for name, value in attributes.items()]
    state = {"Enabled": True, "UserStatus": "CONFIRMED"}
    return {"Username": username, "UserAttributes": listed, **state, **members}


def described(*aliases: str, **schema: Any) -> dict[str, Any]:
    """Return what DescribeUserPool replies."""
    names = ("email", "phone_number", "name", "given_name", "family_name", "preferred_username")
    rows = [
        *({"Name": name, "AttributeDataType": "String", "Mutable": True} for name in names),
        {"Name": "email_verified", "AttributeDataType": "Boolean", "Mutable": True},
        {"Name": "phone_number_verified", "AttributeDataType": "Boolean", "Mutable": True},
        {"Name": "sub", "AttributeDataType": "String", "Mutable": False, "Required": True},
        *({"Name": f"custom:{name}", "Mutable": True, **each} for name, each in schema.items()),
    ]
    return {"UserPool": {"SchemaAttributes": rows, "AliasAttributes": list(aliases)}}


@pytest.fixture
def backend(scripted: ScriptedCognito) -> ScriptedCognito:
    """A pool with bob, which takes whatever it is given."""
    scripted.on("DescribeUserPool", reply(described(text={"AttributeDataType": "String"})))
    scripted.on("AdminGetUser", reply(row()))
    for operation in WRITES:
        scripted.on(operation, reply({}))
    return scripted


def written(scripted: ScriptedCognito) -> list[dict[str, Any]]:
    """Return what was sent to change the user, without what names the user."""
    return [
        {
            name: value
            for name, value in each.parameters.items()
            if name not in {"UserPoolId", "Username"}
        }
        for each in scripted.requests
        if each.operation in WRITES
    ]


def updated(**attributes: str) -> dict[str, Any]:
    return {"UserAttributes": [{"Name": name, "Value": v} for name, v in attributes.items()]}


def deleted(*names: str) -> dict[str, Any]:
    return {"UserAttributeNames": list(names)}


@pytest.mark.usefixtures("paths")
@pytest.mark.parametrize("way", ["literal", "variable", "within a variable"])
@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"fullName": "B"}, updated(name="B")),
        ({"fullName": None}, deleted("name")),
        ({"fullName": ""}, deleted("name")),
        ({"fullName": None, "familyName": ""}, deleted("name", "family_name")),
        ({"fullName": "B", "familyName": None}, updated(name="B", family_name="")),
        ({"fullName": "", "familyName": "D"}, updated(name="", family_name="D")),
        (
            {"email": "b@x.org", "emailVerified": False},
            updated(email="b@x.org", email_verified="false"),
        ),
        ({"emailVerified": False}, updated(email_verified="false")),
        ({"email": None, "emailVerified": None}, deleted("email", "email_verified")),
        ({"email": None}, deleted("email")),
        (
            {"phoneNumber": "+15550100", "phoneNumberVerified": True, "preferredUsername": "b"},
            updated(phone_number="+15550100", phone_number_verified="true", preferred_username="b"),
        ),
        (other("custom:text", "T"), updated(**{"custom:text": "T"})),
        (other("custom:text", ""), deleted("custom:text")),
        (other("custom:text", None), deleted("custom:text")),
        (
            {**other("custom:text", None), "givenName": "Ä"},
            updated(given_name="Ä", **{"custom:text": ""}),
        ),
        ({"fullName": "B", "attributes": None}, updated(name="B")),
        ({"fullName": "B", "attributes": []}, updated(name="B")),
        ({"fullName": "B", "ifUpdatedAt": None}, updated(name="B")),
    ],
)  # fmt: skip
def test_update_as_sent(  # noqa: PLR0917  # fixtures and parameters
    serve: Callable[..., Api],
    backend: ScriptedCognito,
    tmp_path: Path,
    given: dict[str, Any],
    sent: dict[str, Any],
    way: str,
) -> None:
    """Null, empty, left out and given are told apart, by whatever way they come: in one call."""
    api = serve(backend.url, audit_file=tmp_path / "audit.jsonl")
    if way == "literal":
        answer = api.send(
            f"mutation {{ updateUser(input: {literal({'username': 'bob', **given})}) "
            "{ errors { code } } }"
        )
    elif way == "variable":
        answer = api.send(KEY, {"input": {"username": "bob", **given}})
    else:
        types = {
            "email": "String",
            "emailVerified": "Boolean",
            "phoneNumber": "String",
            "phoneNumberVerified": "Boolean",
            "fullName": "String",
            "givenName": "String",
            "familyName": "String",
            "preferredUsername": "String",
            "attributes": "[UserAttributeInput!]",
            "ifUpdatedAt": "DateTime",
        }
        declared = ", ".join(f"${name}: {type_}" for name, type_ in types.items())
        # A variable that is declared and not given is as if it was left out.
        fields = ", ".join(f"{name}: ${name}" for name in types)
        answer = api.send(
            f'mutation ({declared}) {{ updateUser(input: {{username: "bob", {fields}}}) '
            "{ errors { code field } } }",
            given,
        )
    assert answer.data["updateUser"]["errors"] == []
    assert written(backend) == [sent]


def literal(value: Any) -> str:
    """Write a value in GraphQL."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {literal(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    return json.dumps(value)


def test_write_goes_to_who_was_read(serve: Callable[..., Api], backend: ScriptedCognito) -> None:
    """An alias that changes hands meanwhile does not matter."""
    ask(serve(backend.url), username="sub-of-bob", email="b@x.org", emailVerified=False)
    assert [
        each.parameters["Username"] for each in backend.requests if each.operation in WRITES
    ] == ["bob"]


# Values that cannot be


NAME = "custom:text"
LONG = "ä" * 1024 + "x"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, None),
        ({"attributes": []}, None),
        ({"email": "b@x.org"}, "emailVerified"),
        ({"email": "b@x.org", "emailVerified": None}, "emailVerified"),
        ({"email": None, "emailVerified": True}, "emailVerified"),
        ({"emailVerified": True}, "emailVerified"),
        ({"phoneNumberVerified": True, "fullName": "B"}, "phoneNumberVerified"),
        ({"phoneNumber": "+15550100"}, "phoneNumberVerified"),
        ({"phoneNumber": "+15550100", "emailVerified": False}, "phoneNumberVerified"),
        ({"phoneNumber": "", "phoneNumberVerified": False}, "phoneNumberVerified"),
        (other("sub", "x"), "attributes.sub"),
        (other("sub", None), "attributes.sub"),
        (other("identities", "[]"), "attributes.identities"),
        (other("cognito:user_status", "CONFIRMED"), "attributes.cognito:user_status"),
        (other("dev:custom:x", "x"), "attributes.dev:custom:x"),
        (other("", "x"), "attributes"),
        (other("x" * 33, "x"), "attributes"),
        (other("a b", "x"), "attributes"),
        (other("a\0", "x"), "attributes"),
        (other("name", "Bob"), "attributes.name"),
        (other("email", "b@x.org"), "attributes.email"),
        (other("email_verified", "true"), "attributes.email_verified"),
        ({**other("name", "Bob"), "fullName": "Bob"}, "attributes.name"),
        ({"attributes": [{"name": NAME, "value": "a"}] * 2}, "attributes.custom:text"),
        (
            {"attributes": [{"name": NAME, "value": "a"}, {"name": NAME, "value": None}]},
            "attributes.custom:text",
        ),
        ({"attributes": [{"name": NAME}]}, "attributes.custom:text"),
        ({"attributes": [{"name": f"custom:{n}", "value": "a"} for n in range(71)]}, "attributes"),
        ({"fullName": LONG}, "fullName"),
        ({"fullName": "x" * 2049}, "fullName"),
        ({"fullName": "n\0l"}, "fullName"),
        (other(NAME, "x" * 2049), "attributes.custom:text"),
        (other(NAME, "n\0l"), "attributes.custom:text"),
    ],
)  # fmt: skip
def test_values_that_cannot_be(
    serve: Callable[..., Api], scripted: ScriptedCognito, given: dict[str, Any], field: str | None
) -> None:
    """They are refused before anything is read."""
    assert errors_of(ask(serve(scripted.url), **given)) == [("INVALID_VALUE", field)]
    assert scripted.requests == scripted.authority == []


def test_many_attributes(serve: Callable[..., Api], backend: ScriptedCognito) -> None:
    """All those that a pool can have, beyond the ones with a field, are set at once."""
    standard = ["address", "birthdate", "gender", "locale", "middle_name", "nickname", "picture"]
    standard += ["profile", "updated_at", "website", "zoneinfo"]
    names = standard + [f"custom:{number}" for number in range(50)]
    pool = {"SchemaAttributes": [{"Name": name} for name in names]}
    backend.on("DescribeUserPool", reply({"UserPool": pool}))
    given = [{"name": name, "value": "a"} for name in names]
    assert ask(serve(backend.url), attributes=given)["errors"] == []
    assert written(backend) == [updated(**dict.fromkeys(names, "a"))]


@pytest.mark.parametrize("place", ["fullName", "value", "name"])
def test_half_a_surrogate_pair(
    serve: Callable[..., Api], scripted: ScriptedCognito, place: str
) -> None:
    """A lone surrogate is in no value and no name; nothing is sent."""
    api = serve(scripted.url)
    given: dict[str, Any] = {"username": "bob", "fullName": "HERE"}
    if place != "fullName":
        given = {"username": "bob", "attributes": [{"name": NAME, "value": "x", place: "HERE"}]}
    body = json.dumps({"query": KEY, "variables": {"input": given}})
    answer = api.client.post(
        "/graphql",
        content=body.replace("HERE", "P\\ud800"),
        headers={"Authorization": api.token("Admins"), "Content-Type": "application/json"},
    ).json()
    assert "data" not in answer or errors_of(answer["data"]["updateUser"])[0][0] == "INVALID_VALUE"
    assert scripted.requests == []


def typed(kind: str, **constraints: str) -> dict[str, Any]:
    return {"AttributeDataType": kind, f"{kind}AttributeConstraints": constraints}


SCHEMA = described(
    "email",
    text=typed("String", MinLength="2", MaxLength="4"),
    number=typed("Number", MinValue="-3", MaxValue="10"),
    any=typed("Number"),
    flag=typed("Boolean"),
    day=typed("DateTime"),
    odd=typed("Something"),
    odder=typed("Number", MinValue="low", MaxValue=""),
    fixed={"AttributeDataType": "String", "Mutable": False},
    needed={"AttributeDataType": "String", "Required": True},
    legacy={"AttributeDataType": "String", "DeveloperOnlyAttribute": True},
)


@pytest.mark.parametrize(
    ("name", "value", "is_good"),
    [
        ("text", "ab", True), ("text", "abcd", True), ("text", "äöüß", True), ("text", None, True),
        ("text", "a", False), ("text", "abcde", False),
        ("number", "-3", True), ("number", "10", True), ("number", "0", True),
        ("number", "-4", False), ("number", "11", False), ("number", "10.5", False),
        ("number", "abc", False), ("number", "1e1", False), ("number", " 1", False),
        ("number", "٣", False), ("number", "NaN", False), ("number", None, True),
        ("any", "1" * 40, True), ("any", "1.5", True), ("any", "--1", False),
        ("flag", "true", True), ("flag", "False", True), ("flag", "yes", False),
        ("flag", "1", False),
        ("day", "2026-11-26", True), ("day", "2026-11-26T08:00:00Z", True),
        ("day", "1764144000", True), ("day", "yesterday", False),
        ("odd", "whatever", True), ("odder", "5", True), ("odder", "x", False),
        ("fixed", "a", False), ("fixed", None, False),
        ("needed", "a", True), ("needed", None, False),
        ("legacy", "a", False),
        ("missing", "a", False), ("missing", None, False),
    ],
)  # fmt: skip
def test_schema(  # noqa: PLR0917  # fixtures and parameters
    serve: Callable[..., Api],
    backend: ScriptedCognito,
    tmp_path: Path,
    name: str,
    value: str | None,
    is_good: bool,
) -> None:
    """What the pool's schema does not allow is told with its field, and not sent."""
    path = tmp_path / "audit.jsonl"
    backend.on("DescribeUserPool", reply(SCHEMA))
    said = errors_of(ask(serve(backend.url, audit_file=path), **other(f"custom:{name}", value)))
    assert said == ([] if is_good else [("INVALID_VALUE", f"attributes.custom:{name}")])
    assert len(written(backend)) == is_good
    (event,) = events_in(path)
    assert (event["outcome"], event["attributes"]) == (
        "done" if is_good else "failed",
        [f"custom:{name}"],
    )


def test_required_address(serve: Callable[..., Api], backend: ScriptedCognito) -> None:
    """The field that is told is the one that was given."""
    rows = [{"Name": "email", "Required": True}, {"Name": "name", "Mutable": False}]
    backend.on("DescribeUserPool", reply({"UserPool": {"SchemaAttributes": rows}}))
    api = serve(backend.url)
    assert errors_of(ask(api, email=None)) == [("INVALID_VALUE", "email")]
    assert errors_of(ask(api, fullName="B")) == [("INVALID_VALUE", "fullName")]
    assert errors_of(ask(api, familyName="B")) == [("INVALID_VALUE", "familyName")]
    assert written(backend) == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("InvalidParameterException", "INVALID_VALUE"),
        ("AliasExistsException", "ALREADY_EXISTS"),
        ("UserNotFoundException", "USER_NOT_FOUND"),
        ("NotAuthorizedException", "WRONG_STATE"),
        ("UserLambdaValidationException", "REJECTED_BY_TRIGGER"),
        ("InvalidSmsRoleAccessPolicyException", "DELIVERY_FAILED"),
        ("OperationNotEnabledException", "NOT_ENABLED"),
    ],
)
@pytest.mark.parametrize("given", [{"fullName": "B"}, {"fullName": None}])
def test_what_cognito_says(
    serve: Callable[..., Api],
    backend: ScriptedCognito,
    given: dict[str, Any],
    error: str,
    code: str,
) -> None:
    """Its errors have their codes, and none of its words."""
    for operation in WRITES:
        backend.on(operation, failure(error, detail="arn:aws:iam::1:role/x custom:secret"))
    payload = ask(serve(backend.url), **given)
    assert [error["code"] for error in payload["errors"]] == [code]
    assert "arn" not in json.dumps(payload)
    assert "secret" not in json.dumps(payload)
    assert len(written(backend)) == 1


def test_address_that_waits(
    serve: Callable[..., Api], backend: ScriptedCognito, tmp_path: Path
) -> None:
    """Where a new address counts once it is confirmed, the old one is read back."""
    held_back = {"email": "old@example.com", "email_verified": "true"}
    backend.on("AdminGetUser", reply(row(attributes=held_back)))
    api = serve(backend.url, audit_file=tmp_path / "audit.jsonl")
    done = ask(api, UPDATE, email="new@example.com", emailVerified=False)
    assert (done["user"]["email"], done["errors"]) == ("old@example.com", [])


# As it was read


MOMENT = 1_795_680_000.123


@pytest.mark.parametrize(
    ("at", "given", "is_same"),
    [
        (MOMENT, "2026-11-26T08:00:00.123Z", True),
        (MOMENT, "2026-11-26T09:00:00.123000+01:00", True),
        (MOMENT, "2026-11-26T08:00:00.124Z", False),
        (MOMENT, "2026-11-26T08:00:00.123+01:00", False),
        (None, "2026-11-26T08:00:00.123Z", False),
    ],
)
@pytest.mark.parametrize("values", [{"fullName": "B"}, {"fullName": None}])
def test_changed_since(  # noqa: PLR0917  # fixtures and parameters
    serve: Callable[..., Api],
    backend: ScriptedCognito,
    values: dict[str, Any],
    at: float | None,
    given: str,
    is_same: bool,
) -> None:
    """A user who has changed since is left alone."""
    backend.on("AdminGetUser", reply(row(**({} if at is None else {"UserLastModifiedDate": at}))))
    said = errors_of(ask(serve(backend.url), ifUpdatedAt=given, **values))
    assert said == ([] if is_same else [("STALE", "ifUpdatedAt")])
    assert len(written(backend)) == is_same


# Aliases


def person(username: str, **attributes: str) -> dict[str, Any]:
    """Return a row of ListUsers."""
    given = {"sub": f"sub-of-{username}", **attributes}
    listed = [{"Name": name, "Value": value} for name, value in given.items()]
    return {"Username": username, "Attributes": listed, "Enabled": True}


EMAIL = {"email": "eve@x.org", "emailVerified": True}
PHONE = {"phoneNumber": "+15550100", "phoneNumberVerified": True}
EVE = person("eve", email="eve@x.org", email_verified="true")
BOB = person("bob", email="eve@x.org", email_verified="true")
UNVERIFIED = person("eva", email="eve@x.org", email_verified="false")
ANOTHER = person("ada", email="ada@x.org", email_verified="true")
UNSAID = person("ewa", email="eve@x.org")


@pytest.mark.parametrize(
    ("pages", "taken"),
    [
        ([[]], False),
        ([[EVE]], True),
        ([[BOB]], False),
        ([[BOB, EVE]], True),
        ([[UNVERIFIED, ANOTHER, UNSAID]], False),
        ([[], [], [UNVERIFIED], [EVE]], True),
        ([[person("eve", email="EVE@x.org", email_verified="True")]], True),
    ],
)
def test_alias_of_another(
    serve: Callable[..., Api],
    backend: ScriptedCognito,
    tmp_path: Path,
    pages: Sequence[list[dict[str, Any]]],
    taken: bool,
) -> None:
    """A verified address is not taken from who has it, wherever in the list they are."""
    replies = [
        reply({"Users": users, **({"PaginationToken": f"t{n}"} if n < len(pages) else {})})
        for n, users in enumerate(pages, start=1)
    ]
    backend.on("DescribeUserPool", reply(described("email")))
    backend.on("ListUsers", replies)
    path = tmp_path / "audit.jsonl"
    said = errors_of(ask(serve(backend.url, audit_file=path), **EMAIL))
    assert said == ([("ALREADY_EXISTS", "email")] if taken else [])
    assert len(written(backend)) == (not taken)
    filters = {
        each.parameters["Filter"] for each in backend.requests if each.operation == "ListUsers"
    }
    assert filters == {'email = "eve@x.org"'}
    (event,) = events_in(path)
    assert event["outcome"] == ("failed" if taken else "done")


@pytest.mark.parametrize(
    ("aliases", "given", "listed"),
    [
        ((), EMAIL, 0),
        (("phone_number",), EMAIL, 0),
        (("email",), {**EMAIL, "emailVerified": False}, 0),
        (("email",), {"emailVerified": False}, 0),
        (("email",), {"fullName": "B"}, 0),
        (("email",), {"email": None}, 0),
        (("email", "phone_number"), PHONE, 1),
        (("email", "phone_number"), {**EMAIL, **PHONE}, 2),
    ],
)  # fmt: skip
def test_when_aliases_are_looked_for(
    serve: Callable[..., Api],
    backend: ScriptedCognito,
    aliases: tuple[str, ...],
    given: dict[str, Any],
    listed: int,
) -> None:
    """They are where an address becomes one."""
    backend.on("DescribeUserPool", reply(described(*aliases)))
    backend.on("AdminGetUser", reply(row(attributes={"email": "eve@x.org"})))
    backend.on("ListUsers", reply({"Users": []}))
    assert errors_of(ask(serve(backend.url), **given)) == []
    assert backend.operations().count("ListUsers") == listed


@pytest.mark.parametrize(
    "answer",
    [
        failure("InternalErrorException", 500),
        reply({"Users": "bob"}),
        reply({"Users": ["bob"]}),
        reply({"Users": [], "PaginationToken": "again"}),
    ],
)
def test_holder_that_cannot_be_told(
    serve: Callable[..., Api], backend: ScriptedCognito, answer: Any
) -> None:
    """Where it is not known who has the address, it is not set."""
    backend.on("DescribeUserPool", reply(described("email")))
    backend.on("ListUsers", answer)
    sent = serve(backend.url).send(KEY, {"input": {"username": "bob", **EMAIL}})
    assert sent.codes == ["UPSTREAM_ERROR"]
    assert written(backend) == []


# What is known of the pool


def test_pool_is_read_once(serve: Callable[..., Api], backend: ScriptedCognito) -> None:
    """Its schema is kept for a while, for all callers, whether or not they may read it."""
    api = serve(backend.url, disabled_actions="getUserPool")
    for token in (api.token("Admins"), api.token("Admins", "Others")):
        assert errors_of(ask(api, fullName="B", token=token)) == []
    assert backend.operations().count("DescribeUserPool") == 1


def test_pool_is_read_again(
    serve: Callable[..., Api], backend: ScriptedCognito, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept is not kept for long."""
    monkeypatch.setattr(described_pool, "DESCRIBED_AGE", 0.0)
    api = serve(backend.url)
    for _ in range(3):
        assert errors_of(ask(api, fullName="B")) == []
    assert backend.operations().count("DescribeUserPool") == 3


def test_pool_is_read_for_all_at_once(serve: Callable[..., Api], backend: ScriptedCognito) -> None:
    """Requests that come together share the call."""
    gate = threading.Event()
    backend.on("DescribeUserPool", held(gate, reply(described())))
    api = serve(backend.url)
    token = api.token("Admins")
    with ThreadPoolExecutor(8) as threads:
        sent = [threads.submit(ask, api, fullName="B", token=token) for _ in range(8)]
        gate.wait(0.2)  # for most of them to come
        gate.set()
        assert [errors_of(each.result()) for each in sent] == [[]] * 8
    assert backend.operations().count("DescribeUserPool") == 1
    assert len(written(backend)) == 8


def test_without_the_right_to_read_the_pool(
    serve: Callable[..., Api], backend: ScriptedCognito, capsys: pytest.CaptureFixture[str]
) -> None:
    """Then Cognito decides, and the log says so once."""
    backend.on("DescribeUserPool", failure("AccessDeniedException"))
    api = serve(backend.url)
    for given in (other("custom:unknown", "x"), {"emailVerified": False}, other("custom:x", None)):
        assert errors_of(ask(api, **given)) == []
    assert len(written(backend)) == 3
    assert "ListUsers" not in backend.operations()
    assert capsys.readouterr().out.count("settings of the user pool are not read") == 1
    # What is never set is not set then either.
    assert errors_of(ask(api, **other("sub", "x"))) == [("INVALID_VALUE", "attributes.sub")]


def test_price_of_many(serve: Callable[..., Api], backend: ScriptedCognito) -> None:
    """What is read for all changes of a document is priced once."""
    api = serve(backend.url)
    calls = " ".join(
        f'u{number}: updateUser(input: {{username: "u{number}", fullName: "B"}}) '
        "{ errors { code } }"
        for number in range(8)
    )
    answer = api.client.post(
        "/graphql",
        json={"query": f"mutation {{ {calls} }}", "extensions": {"cost": True}},
        headers={"Authorization": api.token("Admins")},
    ).json()
    cost = answer["extensions"]["cost"]
    # Each may read the user, who has the address, and the caller again; the pool is read once.
    assert cost["estimated"] == 8 * (1 + 2 + 2) + 2 + 1
    assert cost["calls"] == 8 + 2 + 1


def test_reads_of_an_update(serve: Callable[..., Api], backend: ScriptedCognito) -> None:
    """An administrator's update of a name is one call, once the pool is known."""
    api = serve(backend.url)
    token = api.token("Admins")
    ask(api, fullName="B", token=token)
    backend.requests.clear()
    backend.authority.clear()
    ask(api, fullName="B", token=token)
    assert backend.operations() == ["AdminUpdateUserAttributes"]
    assert backend.authority == []
