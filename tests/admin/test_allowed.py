"""`allowedActions`: what the caller may do to one user or group, and what it costs to tell."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.directory import Directory
from tests.support.scripted import ScriptedCognito, reply

POLICY = """
[groups]
Admins = ["*"]
Support = ["listUsers", "getUser", "listGroups", "getGroup", "listGroupsForUser",
           "listUsersInGroup", "disableUser", "enableUser", "addUserToGroup"]
Readers = ["listUsers", "listGroupsForUser"]
Blind = ["listUsers", "getUser", "disableUser"]
[grants]
Support = ["Customers"]
[protected]
groups = ["Billing"]
"""
EVERYTHING = [
    *("addUserToGroup", "removeUserFromGroup", "confirmUserSignUp", "disableUser", "enableUser"),
    *("updateUser", "deleteUser", "endUserSessions", "endUserSession", "setUserPassword"),
    *("resetUserPassword", "resendInvitation"),
    *("forgetUserDevice", "setUserDeviceRemembered", "rateUserAuthEvent"),
    *("linkUserIdentity", "unlinkUserIdentity", "setUserMfa", "deleteUserTotp"),
]
TO_ONESELF = [
    *("addUserToGroup", "removeUserFromGroup", "confirmUserSignUp", "enableUser", "updateUser"),
    *("endUserSessions", "endUserSession", "resendInvitation", "forgetUserDevice", "signUserOut"),
]
HELP = ["addUserToGroup", "disableUser", "enableUser"]


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    path = tmp_path / "policy.toml"
    path.write_text(POLICY)
    return path


@pytest.fixture
def api(serve: Callable[..., Api], moto_url: str, directory: Directory, policy_file: Path) -> Api:
    """The server, with an admin, a helper, a customer, and a member of a protected group."""
    for group in ("Admins", "Support", "Customers", "Billing"):
        directory.add_group(group)
    for username, group in (("ada", "Admins"), ("sue", "Support"), ("bill", "Billing")):
        directory.add_user(username, group)
    directory.add_user("carl", "Customers")
    return serve(moto_url, directory.pool_id, policy_file=policy_file)


def token(api: Api, directory: Directory, username: str, *groups: str) -> str:
    attributes = {
        each["Name"]: each["Value"] for each in directory.user(username)["UserAttributes"]
    }
    return api.token(*groups, username=username, sub=attributes["sub"])


def on_users(api: Api, sent: str) -> dict[str, list[str]]:
    data = api.send("{ users { nodes { username allowedActions } } }", token=sent).data
    return {node["username"]: node["allowedActions"] for node in data["users"]["nodes"]}


def test_on_users(api: Api, directory: Directory) -> None:
    """An admin may do all to all but themselves; a helper nothing to who has more, or is theirs."""
    assert on_users(api, token(api, directory, "ada", "Admins")) == {
        "ada": TO_ONESELF,
        "sue": EVERYTHING,
        "carl": EVERYTHING,
        "bill": EVERYTHING,
    }
    assert on_users(api, token(api, directory, "sue", "Support")) == {
        "ada": [],
        "sue": ["enableUser", "signUserOut"],
        "carl": HELP,
        "bill": [],
    }
    assert on_users(api, token(api, directory, "carl", "Readers"))["bill"] == []


def test_on_groups(api: Api, directory: Directory) -> None:
    """A group may be given by who has what it gives, and to whom `[grants]` lists it."""
    query = "{ groups { nodes { name allowedActions } } }"
    kept = ["addUserToGroup", "removeUserFromGroup", "updateGroup"]  # the policy names them
    for username, group, expected in (
        ("ada", "Admins", {"Admins": kept, "Support": kept, "Customers": kept, "Billing": []}),
        (
            "sue",
            "Support",
            {"Admins": [], "Support": [], "Customers": ["addUserToGroup"], "Billing": []},
        ),
    ):
        nodes = api.send(query, token=token(api, directory, username, group)).data["groups"]
        assert {each["name"]: each["allowedActions"] for each in nodes["nodes"]} == expected


PATHS = [
    '{ user(by: {username: "ada"}) { FIELD } }',
    '{ user(by: {sub: "SUB"}) { FIELD } }',
    '{ node(id: "VXNlcjphZGE=") { ... on User { FIELD } } }',
    (
        '{ _entities(representations: [{__typename: "User", username: "ada"}]) '
        "{ ... on User { FIELD } } }"
    ),
    '{ _entities(representations: [{__typename: "User", sub: "SUB"}]) { ... on User { FIELD } } }',
    '{ group(name: "Admins") { users { nodes { FIELD } } } }',
    (
        'query ($yes: Boolean = true) { user(by: {username: "ada"}) { ... @include(if: $yes) '
        "{ FIELD } } }"
    ),
]


def leaf(value: Any) -> Any:
    while isinstance(value, dict | list):
        (value,) = value.values() if isinstance(value, dict) else value or [None]
        if isinstance(value, list) and (not value or isinstance(value[0], str)):
            return value
    return value


@pytest.mark.parametrize("path", PATHS)
def test_every_path(api: Api, directory: Directory, path: str) -> None:
    """Whichever way leads to a user, what may be done to them is the same."""
    attributes = {each["Name"]: each["Value"] for each in directory.user("ada")["UserAttributes"]}
    document = path.replace("FIELD", "allowedActions").replace("SUB", attributes["sub"])
    helper = token(api, directory, "sue", "Support")
    assert leaf(api.send(document, token=helper).data) == []
    # `__schema` takes the ordinary path of execution.
    ordinary = document.rstrip()[:-1] + " __schema { queryType { name } } }"
    data = api.send(ordinary, token=helper).data
    assert data.pop("__schema")
    assert leaf(data) == []


def test_payload(api: Api, directory: Directory) -> None:
    """A payload, which has the key alone, tells it too."""
    sent = api.send(
        'mutation { enableUser(input: {username: "carl"}) { user { allowedActions } errors '
        "{ code } } }",
        token=token(api, directory, "ada", "Admins"),
    )
    assert sent.data["enableUser"] == {"user": {"allowedActions": EVERYTHING}, "errors": []}


def test_without_list_groups_for_user(api: Api, directory: Directory) -> None:
    """What may be done to a user says something of their groups: without that right, nothing."""
    blind = token(api, directory, "carl", "Blind")
    sent = api.send('{ user(by: {username: "ada"}) { username allowedActions } }', token=blind)
    assert sent.partial == {"user": {"username": "ada", "allowedActions": None}}
    assert sent.codes == ["FORBIDDEN"]


def test_gone(api: Api, directory: Directory) -> None:
    """Of a user who is not there, nothing is told."""
    document = PATHS[3].replace("FIELD", "allowedActions").replace("ada", "nobody")
    sent = api.send(document, token=token(api, directory, "ada", "Admins"))
    assert sent.data == {"_entities": [{"allowedActions": None}]}


def in_customers(_: dict[str, Any]) -> Any:
    return reply({"Groups": [{"GroupName": "Customers"}]})


@pytest.mark.parametrize(
    ("group", "calls"),
    [
        ("Support", ["ListUsers", *["AdminListGroupsForUser"] * 3]),
        ("Admins", ["ListUsers"]),
        ("Readers", ["ListUsers"]),
    ],
)
def test_price(
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    policy_file: Path,
    group: str,
    calls: list[str],
) -> None:
    """It is priced as a call a user; where a user's groups do not matter, none is made."""
    users = [
        {"Username": f"u{n}", "Attributes": [{"Name": "sub", "Value": f"s{n}"}]} for n in range(3)
    ]
    scripted.on("ListUsers", reply({"Users": users}))
    scripted.on("AdminListGroupsForUser", in_customers)
    api = serve(scripted.url, policy_file=policy_file)
    body = {
        "query": "{ users(first: 3) { nodes { allowedActions groups { nodes { name } } } } }"
        if group == "Support"
        else "{ users(first: 3) { nodes { allowedActions } } }",
        "extensions": {"cost": True},
    }
    headers = {"Authorization": api.token(group, username="zoe")}
    answer = api.client.post("/graphql", json=body, headers=headers).json()
    # Asked for together with the groups, these are read once.
    assert answer["extensions"]["cost"]["estimated"] == (7 if group == "Support" else 4)
    assert scripted.operations() == calls
    assert "errors" not in answer


def test_token_mode(
    serve: Callable[..., Api], moto_url: str, directory: Directory, policy_file: Path
) -> None:
    """Where the token alone has the groups, only who has every right may change users."""
    directory.add_user("carl")
    api = serve(moto_url, directory.pool_id, policy_file=policy_file, authority_max_age="token")
    query = '{ user(by: {username: "carl"}) { allowedActions } }'
    assert api.send(query, groups=("Support",)).data == {"user": {"allowedActions": []}}
    assert api.send(query).data == {"user": {"allowedActions": EVERYTHING}}
