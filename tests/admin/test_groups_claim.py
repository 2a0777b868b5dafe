"""`GROUPS_CLAIM`: who may do what where the groups of tokens come from another claim."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.scripted import ScriptedCognito, failure, reply, user_of
from tests.support.tokens import ABSENT, CLIENT_ID

CLAIM = "custom:groups"

POLICY = """
[groups]
Admins = ["*"]
Support = [
    "getUser", "listUsers", "createUser", "updateUser", "disableUser", "linkUserIdentity",
    "addUserToGroup", "createGroup"
]
[scopes]
"api/provision" = ["createUser"]
[writes]
Support = ["*", "custom:groups"]
"api/provision" = ["*"]
"""

CREATE = """mutation ($given: CreateUserInput!) {
    createUser(input: $given) { errors { code field } }
}"""
UPDATE = """mutation ($given: UpdateUserInput!) {
    updateUser(input: $given) { errors { code field } }
}"""
LINK = """mutation {
    linkUserIdentity(input: {username: "bob", provider: "Corp", value: "1"}) {
        errors { code }
    }
}"""
WRITES = {
    "AdminCreateUser",
    "AdminUpdateUserAttributes",
    "AdminDeleteUserAttributes",
    "AdminLinkProviderForUser",
    "AdminDisableUser",
}


@pytest.fixture
def backend(scripted: ScriptedCognito) -> ScriptedCognito:
    """A Cognito with the users that it is asked for."""
    scripted.on("AdminGetUser", lambda asked: reply(user_of(asked["Username"])))
    scripted.on("DescribeUserPool", failure("AccessDeniedException"))
    scripted.on("ListUsers", reply({"Users": []}))
    for operation in sorted(WRITES):
        scripted.on(operation, reply({}))
    scripted.on(
        "AdminCreateUser",
        lambda asked: reply({"User": {**user_of(asked["Username"]), "Attributes": []}}),
    )
    return scripted


@pytest.fixture
def api(serve_policy: Callable[..., Api], backend: ScriptedCognito) -> Api:
    """The server, with the groups in an attribute's claim."""
    assert backend.operations() == []
    return serve_policy(POLICY, groups_claim=CLAIM)


def token(api: Api, groups: Any, username: str = "root") -> str:
    """Return a token whose groups are in the claim; in the pool's own it has all of them."""
    return api.token("Admins", "Support", username=username, **{CLAIM: groups})


def written(backend: ScriptedCognito) -> list[str]:
    """Return the operations that changed something."""
    return [each for each in backend.operations() if each in WRITES]


def codes(api: Api, document: str, sent: str, **given: Any) -> list[tuple[str, str | None]]:
    """Return codes and fields of the errors in a mutation's payload."""
    (payload,) = api.send(document, {"given": given} if given else None, token=sent).data.values()
    return [(error["code"], error.get("field")) for error in payload["errors"]]


def test_rights_come_from_the_claim(api: Api, backend: ScriptedCognito) -> None:
    """The pool's own groups in the token give nothing, and the pool is not asked for any."""
    who = "{ viewer { groups actions } }"
    assert api.send(who, token=token(api, "[Support, x]")).data["viewer"]["groups"] == [
        "Support",
        "x",
    ]
    for value in (ABSENT, "", "Security Admins", {"Admins": 1}, '["Admins"'):
        viewer = api.send(who, token=token(api, value)).data["viewer"]
        assert "disableUser" not in viewer["actions"]
    disable = 'mutation { disableUser(input: {username: "bob"}) { errors { code } } }'
    assert codes(api, disable, token(api, "Admins")) == []
    assert written(backend) == ["AdminDisableUser"]
    assert "AdminListGroupsForUser" not in backend.operations()


@pytest.mark.parametrize("value", ["Admins", "", None])
def test_source_of_the_groups(api: Api, backend: ScriptedCognito, value: str | None) -> None:
    """Only who has every right sets or deletes the attribute, whatever `[writes]` lists."""
    groups = [{"name": CLAIM, "value": value}]
    support, admin = token(api, "Support", "sue"), token(api, "Admins")
    refused = [("INVALID_VALUE", f"attributes.{CLAIM}")]
    created = refused if value else []  # which sets nothing
    assert codes(api, CREATE, support, username="eve", attributes=groups) == created
    machine = api.token(
        sub=CLIENT_ID,
        scope="api/provision",
        username=ABSENT,
        **{"cognito:groups": ABSENT, CLAIM: "Admins"},
    )
    assert codes(api, CREATE, machine, username="eve", attributes=groups) == created
    for username in ("bob", "sue"):
        errors = codes(api, UPDATE, support, username=username, attributes=groups)
        assert errors in (refused, [("OUT_OF_SCOPE", "username")])
    assert "custom:groups" not in str([each.parameters for each in backend.requests])
    before = len(written(backend))
    plan = [{"name": "custom:plan", "value": "x"}]
    assert codes(api, CREATE, support, username="eve", attributes=plan) == []
    assert codes(api, UPDATE, admin, username="bob", attributes=groups) == []
    assert len(written(backend)) == before + 2


def test_own_groups(api: Api, backend: ScriptedCognito) -> None:
    """Nobody sets the source of their own groups: a stolen token must not outlive its rights."""
    groups = [{"name": CLAIM, "value": "Admins, More"}]
    errors = codes(api, UPDATE, token(api, "Admins"), username="root", attributes=groups)
    assert errors == [("OWN_ACCOUNT", "username")]
    assert written(backend) == []


def test_users_whose_rights_are_not_known(api: Api, backend: ScriptedCognito) -> None:
    """What else changes users takes every right: so does linking an identity with its groups."""
    assert codes(api, LINK, token(api, "Support")) == [("OUT_OF_SCOPE", None)]
    disable = 'mutation { disableUser(input: {username: "bob"}) { errors { code } } }'
    assert codes(api, disable, token(api, "Support")) == [("OUT_OF_SCOPE", None)]
    rest = api.client.post(
        "/AdminQueries/disableUser",
        json={"username": "bob"},
        headers={"Authorization": token(api, "Support")},
    )
    assert (rest.status_code, rest.json()["code"]) == (403, "OUT_OF_SCOPE")
    assert written(backend) == []


def test_disabled_caller(api: Api, backend: ScriptedCognito) -> None:
    """The caller must still be there and enabled, whatever groups their token has."""
    backend.on("AdminGetUser", lambda asked: reply(user_of(asked["Username"], enabled=False)))
    disable = 'mutation { disableUser(input: {username: "bob"}) { errors { code } } }'
    assert api.send(disable, token=token(api, "Admins", "eva")).codes == ["FORBIDDEN"]
    assert written(backend) == []
