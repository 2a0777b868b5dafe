"""Replies from Cognito that do not match its model are its errors, not faults of this server."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest
from botocore.model import Shape
from graphql import GraphQLObjectType, get_named_type, is_required_argument

from graphql_admin.actions import Action
from graphql_admin.admin.schema import AdminSchema
from graphql_admin.cognito.operations import service_model
from tests.support.api import Api
from tests.support.changes import document_of, input_of
from tests.support.scripted import ScriptedCognito, reply, user_of
from tests.support.tokens import POOL_ID

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


NAMED = {"Username": "bob", "GroupName": "Editors", "UserPoolId": POOL_ID}
"""Values of members by which a reply is about what was asked for."""


SCALARS = {
    "boolean": True,
    "integer": 1,
    "long": 1,
    "double": 1.5,
    "float": 1.5,
    "timestamp": 1_700_000_000.5,
}
"""Values by the types that botocore's model has for members."""


def sample_of(shape: Shape, name: str = "") -> Any:
    """Return a value with every member that botocore's model gives a shape."""
    match shape.type_name:
        case "structure":
            value: Any = {each: sample_of(member, each) for each, member in shape.members.items()}
        case "list":
            value = [sample_of(shape.member), sample_of(shape.member)]
        case "map":
            value = {"a": sample_of(shape.value)}
        case "string" if "Token" in name:
            value = None  # the end of a list
        case "string":
            value = NAMED.get(name) or next(iter(shape.enum), "sub")
        case kind:
            value = SCALARS[kind]
    return value


def broken(value: Any) -> Iterator[Any]:
    """Yield a reply without one of its members, at any depth, and with null for it."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield {each: of for each, of in value.items() if each != name}
            yield {**value, name: None}
            for inner in broken(member):
                yield {**value, name: inner}
    elif isinstance(value, list):
        yield from ([], [{}, value[1]], [None, value[1]])
        for inner in broken(value[0]):
            yield [inner, value[1]]


def everything_of(type_: GraphQLObjectType, above: frozenset[str] = frozenset()) -> str:
    """Return a selection of all fields that need no argument, without types that are above."""
    selected = []
    for name, field in type_.fields.items():
        below = get_named_type(field.type)
        if any(map(is_required_argument, field.args.values())) or below.name in above:
            continue
        lists = "(first: 1)" if "first" in field.args else ""
        if not isinstance(below, GraphQLObjectType):
            selected.append(name)
        elif selection := everything_of(below, above | {type_.name}):
            selected.append(f"{name}{lists} {selection}")
    return f"{{ {' '.join(selected)} }}" if selected else ""


SCHEMA = AdminSchema().graphql_schema
OPERATIONS = {
    name: service_model().operation_model(name) for each in Action for name in each.operations
}
REPLIES = {
    name: sample_of(model.output_shape) if model.output_shape else {}
    for name, model in OPERATIONS.items()
}
ROOM = {
    "max_aliases": 1000,
    "max_calls": 1000,
    "max_depth": 50,
    "max_document": 1_000_000,
    "max_tokens": 100_000,
}


def queries_of(operation: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield documents that ask for everything that a reply to this operation may be used for."""
    user, group, pool = (everything_of(SCHEMA.type_map[n]) for n in ("User", "Group", "UserPool"))
    yield f'{{ user(by: {{username: "bob"}}) {user} userPool {pool} }}', {}
    yield f"{{ users(first: 1) {{ nodes {user} }} groups(first: 1) {{ nodes {group} }} }}", {}
    yield f'{{ group(name: "Editors") {group} }}', {}
    changes = (
        action
        for action in Action
        if action.write and operation in {*action.writes, *action.row.checks}
    )
    for action in islice(changes, 2):  # others read the reply by the same functions
        mutation = SCHEMA.mutation_type.fields[action.label]
        payload = everything_of(get_named_type(mutation.type))
        yield document_of(action, payload), {"input": input_of(action, "bob", "Editors")}


@pytest.mark.usefixtures("paths")
@pytest.mark.parametrize("operation", [name for name, reply in REPLIES.items() if reply])
def test_a_reply_without_what_the_model_promises_is_no_fault_of_this_server(
    serve: Callable[..., Api], scripted: ScriptedCognito, operation: str
) -> None:
    """Whatever member a reply lacks, it is Cognito's error, or left out."""
    api = serve(scripted.url, **ROOM)
    for query, variables in queries_of(operation):
        scripted.on_all(REPLIES)
        assert "INTERNAL" not in api.send(query, variables).codes, query
        for wrong in broken(REPLIES[operation]):
            scripted.on(operation, reply(wrong))
            answer = api.send(query, variables)
            assert "INTERNAL" not in answer.codes, (query, wrong)
