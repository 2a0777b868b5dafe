"""Under `INTROSPECTION=off` no error tells what the schema has, beyond what the client named."""

import json
import re
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    specified_scalar_types,
)

from graphql_admin.admin.schema import AdminSchema
from tests.support.api import Api
from tests.support.scripted import ScriptedCognito

NAME = re.compile(r"[A-Za-z_]\w*")

PROSE = frozenset(
    "field fields type name value code message user users group groups id input after first "  # noqa: SIM905
    "errors status node path locations line column extensions sub action".split()
)
"""Words of which our sentences and keys consist, and which are names of the schema by chance."""

DOCUMENTS = [
    "{ viewer { username sub groups actions } }",
    '{ user(by: {username: "a"}) { id email createdAt groups(first: 3) { nodes { name } } } }',
    """query Q($n: Int!, $f: UserFilter) {
        users(first: $n, filter: $f) { edges { cursor node { username } } pageInfo { endCursor } }
    }""",
    """query Q($m: String!, $s: UserStatus) {
        a: users(filter: {email: {startsWith: $m}}) { nodes { sub } }
        b: users(filter: {status: $s}) { nodes { sub } }
        c: users(filter: {status: CONFIRMED}) { nodes { sub } }
    }""",
    '{ node(id: "x") { __typename ... on User { email } ...G } } fragment G on Group { roleArn }',
    """query Q($r: [_Any!]!) {
        _entities(representations: $r) { ... on User { username } ... on Group { roleArn } }
    }""",
    """mutation M($i: AddUserToGroupInput!) {
        addUserToGroup(input: $i) { errors { code message field } user { username } group { name } }
        signUserOut(input: {}) { errors { code } }
    }""",
    '{ group(name: "g") { name description users { nodes { attributes { name value } } } } }',
]

OTHER_TOKENS = [
    "zzz", "$zzz", "@zzz", "...zzz", "{zzz}", "(zzz: 1)", "zzz: 1", "1", "1.5", '"zzz"', "null",
    "true", "[]", "{}", "ZZZ", "@skip(if: true)", "@include", "@deprecated", "... on Zzz { zzz }",
    "__schema { types { name } }", "__type(name: 1) { name }", "__typename", "_service { sdl }",
    ": Zzz", ": [Int]", "zzz: __typename", "subscription { zzz }", "type Zzz { zzz: Int }",
]  # fmt: skip


def schema_names() -> set[str]:
    """Return every name of the schema that is served."""
    names = set()
    for type_ in AdminSchema().graphql_schema.type_map.values():
        if type_.name.startswith("__") or type_.name in specified_scalar_types:
            continue
        names.add(type_.name)
        if isinstance(type_, GraphQLEnumType):
            names |= set(type_.values)
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            names |= set(type_.fields)
        if isinstance(type_, GraphQLObjectType):
            names |= {argument for field in type_.fields.values() for argument in field.args}
    return names | {"Boolean", "ID"}  # Int and String are kinds of token, too


def mutants(seed: int, count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield documents with a few tokens changed, and variables of which some do not fit."""
    random = Random(seed)
    for _ in range(count):
        document = random.choice(DOCUMENTS)
        tokens = re.findall(r'"[^"]*"|\.\.\.|[$@]?\w+|\S', document)
        for _ in range(random.randint(1, 3)):
            place = random.randrange(len(tokens))
            match random.randrange(4):
                case 0:
                    tokens[place] = random.choice(OTHER_TOKENS)
                case 1:
                    tokens.insert(place, random.choice(OTHER_TOKENS))
                case 2:
                    del tokens[place]
                case _:
                    # What the client does know, in another place.
                    tokens[place] = random.choice(tokens)
        values = [None, 1, "zzz", [], {}, {"zzz": 1}, [1], True, "CONFIRMED"]
        yield (
            " ".join(tokens),
            {name: random.choice(values) for name in "nfmsri" if random.random() < 0.8},
        )


def told(api: Api, query: str, variables: dict[str, Any], names: set[str]) -> set[str]:
    """Return the names that the errors of an answer tell, and the request did not."""
    answer = api.send(query, variables, groups=())
    assert answer.response.status_code in {200, 400}, answer.response.text
    assert "INTERNAL" not in answer.codes, query
    words = set(NAME.findall(json.dumps(answer.errors)))
    known = set(NAME.findall(query)) | set(NAME.findall(json.dumps(variables)))
    # Some codes of errors are codes of a change's errors too, and so names of the schema.
    return (words & names) - known - PROSE - set(answer.codes)


SEEDS = range(4)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_told(serve: Callable[..., Api], scripted: ScriptedCognito, seed: int) -> None:
    """No error of a broken document names what the client did not name."""
    api, names = serve(scripted.url, introspection="off"), schema_names()
    for query, variables in mutants(seed, 250):
        assert not told(api, query, variables, names), (query, variables)


@pytest.mark.slow
def test_it_is_told_otherwise(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """Where the schema is no secret, errors name it: the documents above do bring them to it."""
    api, names = serve(scripted.url), schema_names()
    found = set()
    for seed in SEEDS:
        for query, variables in mutants(seed, 250):
            found |= told(api, query, variables, names)
    assert {"Query", "User", "UserBy"} <= found


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{ usr { sub } }", "Cannot query field 'usr'."),
        ("{ viewer { sub { zzz } } }", "Field 'sub' must not have a selection."),
        ("{ viewer }", "A field of an object type must have a selection of subfields."),
        ("{ user { sub } }", "An argument is missing."),
        ('{ users(frist: "x") { nodes { sub } } }', "Unknown argument 'frist'."),
        (
            '{ users(first: "x") { nodes { sub } } }',
            "This is not a value of the type that is expected here.",
        ),
        (
            "query($n: String) { users(first: $n) { nodes { sub } } }",
            "A variable is used where a value of another type is expected.",
        ),
        ("{ ...F } fragment F on Zzz { a }", "Unknown type 'Zzz'."),
        ("{ _service { sdl } }", "Cannot query field '_service'."),
        ("{ __typename @zzz }", "Unknown directive '@zzz'."),
        (
            '{ a: user(by: {sub: "a"}) { sub } a: user(by: {sub: "b"}) { sub } }',
            "Fields 'a' conflict.",
        ),
    ],
)
def test_what_is_said_instead(
    serve: Callable[..., Api], scripted: ScriptedCognito, query: str, message: str
) -> None:
    """The error still says what is wrong, and where."""
    answer = serve(scripted.url, introspection="off").send(query)
    assert answer.errors[0]["message"] == message
    assert answer.errors[0]["locations"]
    assert answer.codes[0] == "GRAPHQL_VALIDATION_FAILED"


def test_type_names_are_data(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """`__typename` is still answered: clients need it."""
    api = serve(scripted.url, introspection="off")
    assert api.send("{ __typename viewer { __typename } }").data == {
        "__typename": "Query",
        "viewer": {"__typename": "Viewer"},
    }
