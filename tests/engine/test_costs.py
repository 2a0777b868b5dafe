"""What a query may cost, told before Cognito is called."""

from collections.abc import Callable
from typing import Any

import pytest
from graphql import GraphQLObjectType, OperationDefinitionNode, parse

from graphql_admin.admin.guards import takes_call
from graphql_admin.admin.schema import AdminSchema
from graphql_admin.engine.costs import CostTable
from tests.support.api import Api
from tests.support.scripted import ScriptedCognito

ENTITIES = (
    "query($r: [_Any!]!) { _entities(representations: $r) {"
    "  ... on User { email } ... on Group { description } } }"
)
NODES = "query($i: [ID!]!) { nodes(ids: $i) { ... on User { email } } }"
PAGES = "{ users(first: 60) { nodes { groups { nodes { name } } } } }"


def people(count: int) -> list[dict[str, str]]:
    return [{"__typename": "User", "username": f"u{number}"} for number in range(count)]


def estimate(query: str, variables: dict[str, Any] | None = None) -> int:
    """Return the estimate of a query's one operation."""
    table = CostTable(AdminSchema().graphql_schema, takes_call, enough=1000)
    document = parse(query)
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    return table.estimate(document, operation).calls(variables)


EXACT: dict[str, tuple[str, dict[str, Any] | None, int]] = {
    "two users": ('{ a: user(by: {sub: "x"}) { sub } b: user(by: {sub: "y"}) { sub } }', None, 2),
    "a page": ("{ users { nodes { sub groups { nodes { name } } } } }", None, 26),
    "60 users": (PAGES, None, 61),
    "a variable": (
        "query($n: Int!) { users(first: $n) { nodes { groups { nodes { name } } } } }",
        {"n": 7},
        8,
    ),
    "a variable's default": (
        "query($n: Int! = 9) { users(first: $n) { nodes { groups { nodes { name } } } } }",
        None,
        10,
    ),
    "a float": (
        "query($n: Int!) { users(first: $n) { nodes { groups { nodes { name } } } } }",
        {"n": 7.0},
        8,
    ),
    "edges and nodes": (
        (
            "{ users(first: 5) { nodes { groups { nodes { name } } }"
            "  edges { node { groups { nodes { name } } } } } }"
        ),
        None,
        11,
    ),
    "merged fields": (
        (
            "{ users(first: 5) { nodes { groups { nodes { name } } } } ...A ...B }"
            "fragment A on Query { users(first: 5) { nodes { groups { edges { cursor } } } } ...B }"
            "fragment B on Query { ... on Query { users(first: 5) { nodes { ...C } } } }"
            "fragment C on Node { ... on User { groups { nodes { name } } } ... on Group { id } }"
        ),
        None,
        6,
    ),
    "entities": (ENTITIES, {"r": people(60)}, 60),
    "the same entities again": (ENTITIES, {"r": people(60) * 10}, 60),
    "the same entities again, with groups": (
        (
            "query($r: [_Any!]!) { _entities(representations: $r) {"
            " ... on User { groups { nodes { id } } } } }"
        ),
        {"r": people(20) * 2},
        60,
    ),
    "no entities": (ENTITIES, {"r": []}, 1),
    "what is no reference": (ENTITIES, {"r": ["bob", 5, None, [], {}, {"__typename": "User"}]}, 6),
    "entities with groups": (
        (
            "query($r: [_Any!]!) { _entities(representations: $r) {"
            " ... on User { groups { nodes { id } } } ... on Group { users { nodes { id } } } } }"
        ),
        {"r": people(60)},
        120,
    ),
    "entities in the text": (
        (
            '{ _entities(representations: [{__typename: "User"}, {__typename: "Group"}])'
            " { ... on User { email } } }"
        ),
        None,
        2,
    ),
    "nodes": (NODES, {"i": ["a", "b", "c"]}, 3),
    "the same nodes again": (NODES, {"i": ["a", "b"] * 30}, 2),
    "what is no id": (NODES, {"i": ["a", 5, None, [], {}]}, 5),
    "nodes in the text": ('{ nodes(ids: ["a", "b"]) { id } }', None, 2),
    "nodes with groups": (
        (
            "query($i: [ID!]!) { nodes(ids: $i) {"
            " ... on User { groups { nodes { id } } } ... on Group { users { nodes { id } } } } }"
        ),
        {"i": ["a", "b"]},
        4,
    ),
    "a payload": (
        'mutation { enableUser(input: {username: "b"}) { user { fullName groups { nodes { id }}}}}',
        None,
        3,
    ),
    "conditions": (
        "{ users(first: 3) { nodes { groups @include(if: false) { nodes { name } } } } }",
        None,
        4,
    ),
}


@pytest.mark.parametrize(("query", "variables", "calls"), EXACT.values(), ids=EXACT.keys())
def test_estimate(query: str, variables: dict[str, Any] | None, calls: int) -> None:
    """Every calling field counts once for each item of the lists that it stands below."""
    assert estimate(query, variables) == calls


@pytest.mark.parametrize(
    ("variables", "calls"), [(None, " 3661 "), ({"n": 12}, " 157 "), ({"n": 1e300}, "")]
)
def test_sixty_by_sixty(
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    variables: dict[str, Any] | None,
    calls: str,
) -> None:
    """What multiplies is refused before the first call, also where it is named by variables."""
    api = serve(scripted.url)
    query = (
        "query($n: Int! = 60) { users(first: $n) { nodes { groups(first: $n) { nodes {"
        " users { nodes { sub } } } } } } }"
    )
    answer = api.send(query, variables)
    assert answer.codes == ["QUERY_TOO_EXPENSIVE"]
    assert calls in answer.errors[0]["message"]
    assert scripted.requests == []


def test_pages_of_sixty_pass(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """A page of 60 users with their groups, and 60 entities, are within the default limit."""
    api = serve(scripted.url)
    scripted.unexpected.clear()
    for query, variables in ((PAGES, None), (ENTITIES, {"r": people(60)})):
        assert "QUERY_TOO_EXPENSIVE" not in api.send(query, variables).codes
    assert scripted.requests
    scripted.unexpected.clear()  # that the calls failed is no matter here


def test_query_that_branches(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """A query that branches at every level is given up as soon as it is clear that it is dear."""
    api = serve(scripted.url, max_depth=100, max_spreads=100_000)
    page = "(first: 1) { nodes { BELOW } edges { node { BELOW } } }"
    lists = f"groups{page.replace('BELOW', f'users{page}')}"
    branches = "".join(
        f"fragment F{i} on User {{ {lists.replace('BELOW', f'...F{i + 1}')} }}" for i in range(6)
    )
    query = f"{{ users {{ nodes {{ ...F0 }} }} }} {branches} fragment F6 on User {{ sub }}"
    assert api.send(query).codes == ["QUERY_TOO_EXPENSIVE"]
    assert scripted.requests == []


def test_fields_that_call() -> None:
    """Of all fields those call Cognito whose guard stands before a call."""
    schema = AdminSchema().graphql_schema
    calling = {
        f"{type_.name}.{name}"
        for type_ in schema.type_map.values()
        if isinstance(type_, GraphQLObjectType) and not type_.name.startswith("__")
        for name, field in type_.fields.items()
        if takes_call(field)
    }
    assert calling >= {"Query.user", "Query._entities", "User.groups", "Group.users"}
    assert calling >= {"Mutation.disableUser", "DisableUserPayload.user"}
    assert not calling & {"Query.viewer", "Query._service", "User.attributes", "User.email"}
