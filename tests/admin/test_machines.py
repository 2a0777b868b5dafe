"""Machines: client-credentials tokens, whose rights are those of their scopes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.directory import Directory
from tests.support.tokens import ABSENT, CLIENT_ID

POLICY = """
[groups]
Admins = ["*"]
[scopes]
"admin-api/provision" = ["getUser", "addUserToGroup", "disableUser"]
"admin-api/all" = ["*"]
[grants]
"admin-api/provision" = ["Customers"]
"""
VIEWER = "{ viewer { kind username sub groups actions } }"


def machine(api: Api, scope: Any = "admin-api/provision", **claims: Any) -> str:
    """Return a token as Cognito issues it for client credentials."""
    own = {"sub": CLIENT_ID, "username": ABSENT, "cognito:groups": ABSENT, "scope": scope}
    return api.token(**{**own, **claims})


@pytest.fixture
def start(
    serve: Callable[..., Api], moto_url: str, directory: Directory, tmp_path: Path
) -> Callable[..., Api]:
    """Start the server with a policy, for a pool with two groups, a customer and an admin."""
    for group in ("Admins", "Customers"):
        directory.add_group(group)
    directory.add_user("carl")
    directory.add_user("ada", "Admins")

    def start(policy: str = POLICY, **settings: Any) -> Api:
        path = tmp_path / "policy.toml"
        path.write_text(policy)
        return serve(moto_url, directory.pool_id, policy_file=path, **settings)

    return start


@pytest.mark.parametrize(
    ("scope", "actions"),
    [
        ("admin-api/provision", ["getUser", "addUserToGroup", "disableUser", "viewer"]),
        ("openid admin-api/provision", ["getUser", "addUserToGroup", "disableUser", "viewer"]),
        ("other/scope *", ["viewer"]),
    ],
)
def test_viewer(start: Callable[..., Api], scope: str, actions: list[str]) -> None:
    """A machine is told that it is one, its client id, and what its scopes give."""
    api = start()
    assert api.send(VIEWER, token=machine(api, scope)).data["viewer"] == {
        "kind": "MACHINE",
        "username": CLIENT_ID,
        "sub": CLIENT_ID,
        "groups": [],
        "actions": actions,
    }


def test_everything_but_signing_out(start: Callable[..., Api]) -> None:
    """`*` gives a machine all but what is of people alone."""
    api = start()
    sent = api.send(VIEWER, token=machine(api, "admin-api/all"))
    person = api.send(VIEWER).data["viewer"]
    assert person["kind"] == "PERSON"
    assert set(person["actions"]) - set(sent.data["viewer"]["actions"]) == {"signUserOut"}
    document = "mutation ($input: SignUserOutInput!) { signUserOut(input: $input) { __typename } }"
    inputs: list[dict[str, str]] = [{}, {"username": CLIENT_ID}, {"username": "carl"}]
    token = machine(api, "admin-api/all")
    codes = [api.send(document, {"input": input_}, token=token).codes for input_ in inputs]
    assert codes == [["FORBIDDEN"]] * len(inputs)


@pytest.mark.parametrize("ways", ["graphql", "rest"])
def test_change(start: Callable[..., Api], directory: Directory, tmp_path: Path, ways: str) -> None:
    """A machine makes the changes that its scopes give; the audit event names the client."""
    audit = tmp_path / "audit"
    api = start(audit_file=audit, amplify=True)
    token = machine(api)
    if ways == "graphql":
        sent = api.send(
            'mutation { addUserToGroup(input: {username: "carl", groupName: "Customers"}) '
            "{ errors { code } } }",
            token=token,
        )
        assert sent.data == {"addUserToGroup": {"errors": []}}
    else:
        answer = api.client.post(
            "/AdminQueries/addUserToGroup",
            json={"username": "carl", "groupname": "Customers"},
            headers={"Authorization": f"Bearer {token}"},
        )
        assert answer.status_code == 200
    assert directory.groups_of("carl") == {"Customers"}
    event = json.loads(audit.read_text())
    assert event["caller"] == {"sub": CLIENT_ID, "username": None, "groups": []}
    assert event["outcome"] == "done"


def test_no_right(start: Callable[..., Api]) -> None:
    """What its scopes do not give is refused to a machine as to any caller."""
    api = start()
    sent = api.send(
        'mutation { enableUser(input: {username: "carl"}) { errors { code } } }',
        token=machine(api),
    )
    assert sent.codes == ["FORBIDDEN"]
    assert api.send("{ users { nodes { username } } }", token=machine(api)).codes == ["FORBIDDEN"]


@pytest.mark.parametrize(
    "change",
    [
        'disableUser(input: {username: "ada"})',
        'addUserToGroup(input: {username: "ada", groupName: "Customers"})',
        'addUserToGroup(input: {username: "carl", groupName: "Admins"})',
    ],
)
def test_out_of_scope(start: Callable[..., Api], directory: Directory, change: str) -> None:
    """A machine acts on no user with more rights than it has, and gives no user more."""
    api = start()
    sent = api.send(f"mutation {{ it: {change} {{ errors {{ code }} }} }}", token=machine(api))
    assert sent.data == {"it": {"errors": [{"code": "OUT_OF_SCOPE"}]}}
    assert directory.user("ada")["Enabled"]
    assert (directory.groups_of("ada"), directory.groups_of("carl")) == ({"Admins"}, set())


@pytest.mark.parametrize("claims", [{}, {"sub": CLIENT_ID}], ids=["own sub", "sub of a client"])
def test_scopes_of_users(start: Callable[..., Api], claims: dict[str, Any]) -> None:
    """A user's token gets nothing from `[scopes]`, whatever scopes it has."""
    api = start()
    token = api.token(scope="admin-api/all", **claims)
    viewer = api.send(VIEWER, token=token).data["viewer"]
    assert (viewer["kind"], viewer["username"]) == ("PERSON", "root")
    assert viewer["actions"] == ["signUserOut", "viewer"]


@pytest.mark.parametrize(
    "claims",
    [
        {"scope": ABSENT},
        {"scope": ""},
        {"scope": ["admin-api/all"]},
        {"scope": 1},
        {"sub": "another"},
        {"sub": ABSENT},
        {"client_id": "another", "sub": "another"},
        {"cognito:groups": ["Admins"]},
        {"username": ""},
        {"username": None},
        {"exp": 1},
        {"token_use": "id", "aud": CLIENT_ID},
    ],
    ids=lambda claims: ", ".join(
        f"{name} {'absent' if value is ABSENT else value}" for name, value in claims.items()
    ),
)
def test_not_a_machine(start: Callable[..., Api], claims: dict[str, Any]) -> None:
    """A token that is neither a user's nor a machine's is not good."""
    api = start(token_use="access,id")
    assert api.send(VIEWER, token=machine(api, **claims)).codes == ["UNAUTHENTICATED"]


def test_without_scopes(start: Callable[..., Api], capsys: pytest.CaptureFixture[str]) -> None:
    """Where the policy names no scopes, machines are refused, and the log says why."""
    api = start('[groups]\nAdmins = ["*"]\n')
    assert api.send(VIEWER, token=machine(api)).codes == ["UNAUTHENTICATED"]
    assert "client credentials grant, and no [scopes] in the policy" in capsys.readouterr().out


def test_on_users(start: Callable[..., Api]) -> None:
    """A machine is told what it may do to each user, and is none of them."""
    policy = POLICY.replace('["getUser",', '["getUser", "listGroupsForUser",')
    api = start(policy)
    document = """{
        carl: user(by: {username: "carl"}) { allowedActions }
        ada: user(by: {username: "ada"}) { allowedActions }
    }"""
    assert api.send(document, token=machine(api)).data == {
        "carl": {"allowedActions": ["addUserToGroup", "disableUser"]},
        "ada": {"allowedActions": []},
    }
