"""Replies from Cognito that do not match its model are its errors, not faults of this server."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.scripted import ScriptedCognito, reply, user_of

BOB = {"Username": "bob", "Attributes": [{"Name": "sub", "Value": "s-bob"}], "Enabled": True}

SESSIONS = '{ user(by: {username: "bob"}) { sessions { id } } }'

NAMELESS: list[Any] = [{}, {"Attributes": []}, {"Username": None}, {"Username": 5}, None, "bob", []]


@pytest.mark.parametrize("answer", [{}, {"UserAttributes": []}, {"Username": None}])
@pytest.mark.parametrize(
    "query",
    [
        '{ user(by: {username: "bob"}) { email } }',
        '{ node(id: "VXNlcjpib2I=") { id } }',
        'mutation { disableUser(input: {username: "bob"}) { user { email } } }',
        """{ _entities(representations: [{__typename: "User", username: "bob"}]) {
            ... on User { email } } }""",
    ],
    ids=["user", "node", "payload", "_entities"],
)
def test_user_without_a_name(
    serve: Callable[..., Api], scripted: ScriptedCognito, answer: dict[str, Any], query: str
) -> None:
    """A user of whom Cognito says no name is an error of Cognito's, on every way to them."""
    scripted.on("AdminGetUser", reply(answer))
    scripted.on("AdminDisableUser", reply({}))
    assert serve(scripted.url).send(query).codes == ["UPSTREAM_ERROR"]


@pytest.mark.parametrize("answer", [{}, {"Group": None}, {"Group": {}}, {"Group": "Editors"}])
def test_group_without_a_name(
    serve: Callable[..., Api], scripted: ScriptedCognito, answer: dict[str, Any]
) -> None:
    """So is a group."""
    scripted.on("GetGroup", reply(answer))
    api = serve(scripted.url)
    assert api.send('{ group(name: "Editors") { name } }').codes == ["UPSTREAM_ERROR"]


@pytest.mark.parametrize("broken", NAMELESS, ids=repr)
@pytest.mark.parametrize("first", [1, 2, 60])
def test_nameless_row_in_a_list(
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    capfd: pytest.CaptureFixture[str],
    broken: Any,
    first: int,
) -> None:
    """A row without a name is left out and logged; the others are whole, on every page."""
    eve = {**BOB, "Username": "eve"}
    scripted.on("ListUsers", reply({"Users": [BOB, broken, eve]}))
    api = serve(scripted.url)
    query = """query ($first: Int!, $after: String) { users(first: $first, after: $after) {
      nodes { username } pageInfo { hasNextPage endCursor } } }"""
    found, after = [], None
    while True:
        page = api.send(query, {"first": first, "after": after}).data["users"]
        found += [node["username"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert found == ["bob", "eve"]
    assert "left out rows from Cognito without a name" in capfd.readouterr().out


def test_nameless_row_in_every_list(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """So it is in lists of groups and in those of one user or group, and in look-ups."""
    scripted.on("ListUsers", reply({"Users": [{}, BOB]}))
    scripted.on("ListUsersInGroup", reply({"Users": [{}, BOB]}))
    scripted.on("ListGroups", reply({"Groups": [{}, {"GroupName": "Editors"}]}))
    scripted.on("AdminListGroupsForUser", reply({"Groups": [{}, {"GroupName": "Editors"}]}))
    answer = serve(scripted.url).send("""{
      groups(first: 2) {
        nodes { name users(first: 2) { nodes { username groups { nodes { name } } } } }
      }
      user(by: {sub: "s-bob"}) { username }
    }""")
    editors = [{"name": "Editors"}]
    assert answer.data == {
        "groups": {
            "nodes": [
                {
                    "name": "Editors",
                    "users": {"nodes": [{"username": "bob", "groups": {"nodes": editors}}]},
                }
            ]
        },
        "user": {"username": "bob"},
    }


@pytest.mark.parametrize(
    "answer", [{"Users": None}, {"Users": "x"}, {"Users": {"a": 1}}, {"Users": {}}, {"Users": ""}]
)
def test_list_that_is_none(
    serve: Callable[..., Api], scripted: ScriptedCognito, answer: dict[str, Any]
) -> None:
    """A list that is no list is an error of Cognito's."""
    scripted.on("ListUsers", reply(answer))
    assert serve(scripted.url).send("{ users { nodes { username } } }").codes == ["UPSTREAM_ERROR"]


@pytest.mark.parametrize("token", [[], {}, ["t"], {"a": 1}, 0, True, 1.5], ids=repr)
@pytest.mark.parametrize(
    ("operation", "rows", "name", "query"),
    [
        ("ListUsers", "Users", "PaginationToken", "{ users { nodes { username } } }"),
        ("ListUsers", "Users", "PaginationToken", '{ user(by: {email: "b@x.org"}) { username } }'),
        ("AdminListUserSessions", "Sessions", "NextToken", SESSIONS),
    ],
    ids=["page", "lookup", "whole"],
)
def test_page_token_that_is_none(  # noqa: PLR0917  # fixtures and parameters
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    operation: str,
    rows: str,
    name: str,
    query: str,
    token: Any,
) -> None:
    """So is a page token that is not a string; Cognito is not asked with it."""
    scripted.on("AdminGetUser", reply(user_of("bob")))
    scripted.on(operation, reply({rows: [], name: token}))
    assert serve(scripted.url).send(query).codes == ["UPSTREAM_ERROR"]
    assert scripted.operations().count(operation) == 1


@pytest.mark.parametrize(("lost", "field"), [("Attributes", "sub"), ("Enabled", "enabled")])
def test_user_without_a_member(
    serve: Callable[..., Api], scripted: ScriptedCognito, lost: str, field: str
) -> None:
    """A user without what every user has is an error of Cognito's where it is asked for."""
    user = {name: value for name, value in BOB.items() if name != lost}
    scripted.on("AdminGetUser", reply(user))
    scripted.on("ListUsers", reply({"Users": [user]}))
    api = serve(scripted.url)
    for query in ('{ user(by: {username: "bob"}) { %s } }', "{ users { nodes { %s } } }"):
        assert api.send(query % field).codes == ["UPSTREAM_ERROR"], query
    assert api.send("{ users { nodes { username } } }").data
