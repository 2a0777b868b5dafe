"""What is refused before Cognito is called, and what has to pass."""

from collections.abc import Callable
from typing import Any

import pytest
from graphql import get_introspection_query

from tests.support.api import Api
from tests.support.scripted import Reply, ScriptedCognito, reply


@pytest.fixture
def scripted(shared_scripted: ScriptedCognito) -> ScriptedCognito:
    """A Cognito that expects no call, unless the test says otherwise."""
    return shared_scripted


@pytest.fixture
def api(shared_serve: Callable[..., Api], scripted: ScriptedCognito) -> Api:
    """This server in front of that Cognito."""
    return shared_serve(scripted.url)


def codes(api: Api, query: str, variables: dict[str, Any] | None = None) -> set[str]:
    """Return the codes of the errors, none where the query is executed."""
    answer = api.send(query, variables)
    assert answer.response.status_code in {200, 400}
    assert answer.errors == [] or answer.partial is None
    return set(answer.codes)


def chain(length: int, spread: str) -> str:
    """Return fragments of which each spreads the next, as often as `spread` says."""
    links = (f"fragment F{i} on Query {{ {spread.format(i + 1)} }}\n" for i in range(length))
    return f"{{ ...F0 }} {''.join(links)} fragment F{length} on Query {{ __typename }}"


TOO_COMPLEX = {
    "tokens": "{" + " __typename" * 2000 + "}",
    "comments": "#\n" * 3000 + "{ __typename }",
    "depth": "{ a" * 21 + "}" * 21,
    "depth without end": "{ a" * 900 + "}" * 900,
    "depth of a list": "{ a(b: " + "[" * 900 + "]" * 900 + ") }",
    "depth of a type": "query($a: " + "[" * 900 + "Int" + "]" * 900 + ") { a }",
    "depth in fragments": "{ ...A } fragment A on Query {" + "a {" * 15 + "...B" + "}" * 16
    + "fragment B on User {" + "a {" * 15 + "b" + "}" * 16,
    "aliases": "{ viewer {" + "".join(f" a{i}: username" for i in range(101)) + "} }",
    "aliases in fragments": "{ viewer { ...A ...A ...A } }"
    "fragment A on Viewer {" + "".join(f" a{i}: username" for i in range(34)) + "}",
    "aliases below": "{ users { nodes {" + "".join(
        f" a{i}: groups {{ nodes {{ name }} }}" for i in range(101)
    ) + "} } }",
    "repetitions": "{ viewer {" + " username" * 102 + "} }",
    "repetitions below repetitions": "{" + " users { nodes { sub } nodes { sub } }" * 19 + "}"
    + "query Q {" + " users { nodes { sub sub sub sub sub sub } }" * 19 + "}",
    "directives": "{ viewer { username" + " @include(if: true)" * 51 + "} }",
    "directives all over": "{" + " viewer @include(if: true) { sub @skip(if: false) }" * 19
    + " ...F @skip(if: true) ...F @skip(if: true) } fragment F on Query {"
    + "".join(" ... @include(if: true) { __typename }" for _ in range(12)) + "}",
    "root fields": "{" + "".join(f" a{i}: viewer {{ sub }}" for i in range(21)) + "}",
    "root fields in fragments": "mutation { ...A ...A ...A } fragment A on Mutation {"
    + "".join(f' a{i}: disableUser(input: {{username: "b"}}) {{ username }}' for i in range(7))
    + "}",
    "fragments that double": chain(100, "a: viewer {{ sub }} ...F{0} ...F{0}"),
}  # fmt: skip


@pytest.mark.parametrize("query", TOO_COMPLEX.values(), ids=TOO_COMPLEX.keys())
def test_too_complex(api: Api, query: str) -> None:
    """A document beyond a limit is refused, wherever it hides what is too much."""
    assert codes(api, query) == {"QUERY_TOO_COMPLEX"}


@pytest.fixture
def strict_api(shared_serve: Callable[..., Api], scripted: ScriptedCognito) -> Api:
    """This server with limits of its own."""
    return shared_serve(
        scripted.url,
        max_depth=3,
        max_aliases=2,
        max_directives=1,
        max_root_fields=2,
        max_tokens=100,
    )


def test_within_the_limits_that_are_set(strict_api: Api) -> None:
    """What a limit of the settings allows passes."""
    within = "{ a: __typename viewer { b: username @skip(if: false) } }"
    assert strict_api.send(within).data == {"a": "Query", "viewer": {"b": "root"}}


@pytest.mark.parametrize(
    "query",
    [
        "{ __schema { queryType { fields { name } } } }",
        "{ a: __typename viewer { b: username c: sub } }",
        "{ __schema { queryType { name name name name } } }",
        "{ a: __typename @skip(if: false) @include(if: true) }",
        "{ __typename a: __typename b: __typename }",
        "{ __schema { queryType {" + " name" * 100 + "} } }",
    ],
    ids=["depth", "aliases", "fields", "directives", "root fields", "tokens"],
)
def test_limits_are_settings(strict_api: Api, query: str) -> None:
    """Each limit is a setting."""
    assert codes(strict_api, query) == {"QUERY_TOO_COMPLEX"}


@pytest.mark.parametrize(
    "query",
    [
        "{ ...A } fragment A on Query { ...A }",
        "{ ...A } fragment A on Query { ...B } fragment B on Query { __typename ...A }",
        "{ viewer { ...A } } fragment A on Viewer { username ... { ...A } }",
        "{ ...A }",
        "{ ...A } fragment A on Nothing { __typename }",
        "{ ...A } " + "fragment A on Query { __typename } " * 2,
        "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }",
        chain(20, " ".join(f"...F{i}" for i in range(20))),
    ],
)
def test_odd_fragments(api: Api, query: str) -> None:
    """Fragments in circles, unknown and doubled ones, and piled-up introspection are refused."""
    assert codes(api, query) == {"GRAPHQL_VALIDATION_FAILED"}


def test_long_chain_of_fragments(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """A chain of fragments longer than the stack is refused, where the limits are set so high."""
    api = serve(scripted.url, max_tokens=100_000)
    assert codes(api, chain(3000, "...F{0}")) == {"QUERY_TOO_COMPLEX"}
    assert api.send(chain(100, "...F{0}")).data == {"__typename": "Query"}


def aliased_types(name: str, count: int) -> str:
    """Return as many fields `__type`, each with an alias of its own."""
    return " ".join(f'{name}{i}: __type(name: "User") {{ name }}' for i in range(count))


TOOLS = {
    "GraphiQL": get_introspection_query(
        descriptions=True,
        specified_by_url=True,
        directive_is_repeatable=True,
        schema_description=True,
        input_value_deprecation=True,
    ),
    "a gateway": "query SubgraphIntrospectQuery { _service { sdl } }",
    "gql.tada": """query IntrospectionSupport {
      directive: __type(name: "__Directive") { fields { name args { name } } }
      field: __type(name: "__Field") { fields { name args { name } } }
      type: __type(name: "__Type") { fields { name args { name } } }
      schema: __type(name: "__Schema") { fields { name } }
      inputValue: __type(name: "__InputValue") { fields { name } }
    }""",
    "a generator for .NET": f"query {{ {aliased_types('type', 10)} }}",
    "Apollo Client": "query Q { viewer { username __typename } __typename }",
    "Relay": """query Q($first: Int!, $after: String) {
      __typename
      viewer { ...Name __typename }
      ...A
      ...B
    }
    fragment Name on Viewer { username }
    fragment A on Query { viewer { ...Name sub } }
    fragment B on Query { viewer { ...Name groups } __schema { queryType { name } } }
    """.replace("($first: Int!, $after: String)", ""),
}


@pytest.mark.parametrize(
    "query",
    [
        "{ a: __schema { queryType { name } } }",
        "{ __schema { types { a: fields { name } } } }",
        "{ __schema { ...A } } fragment A on __Schema { a: types { name } }",
        f"{{ {aliased_types('a', 11)} }}",
        f"{{ ...A {aliased_types('a', 5)} }} fragment A on Query {{ {aliased_types('b', 6)} }}",
        '{ a: __type(name: "User") { b: fields { name } } }',
        '{ a: __type(name: "User") { fields { b: type { name } c: type { name } } } }',
    ],
)
def test_schema_many_times(api: Api, query: str) -> None:
    """Introspection fields cannot be aliased, or one request could select them endlessly."""
    assert codes(api, query) == {"GRAPHQL_VALIDATION_FAILED"}


@pytest.mark.parametrize("query", TOOLS.values(), ids=TOOLS.keys())
def test_tools_pass(api: Api, query: str) -> None:
    """The queries of the usual tools and clients are within the limits."""
    assert api.send(query).data


def test_short_pages_are_bounded(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """Where Cognito's pages are so short that they use up the calls, the rest is refused."""
    names = iter(range(1_000_000))

    def one_group(_: dict[str, Any]) -> Reply:
        return reply({"Groups": [{"GroupName": "Support"}], "NextToken": str(next(names))})

    users = [{"Username": f"u{i}", "Attributes": []} for i in range(10)]
    scripted.on("ListUsers", reply({"Users": users}))
    scripted.on("AdminListGroupsForUser", one_group)
    api = serve(scripted.url, max_calls=20)
    answer = api.send("{ users(first: 10) { nodes { groups(first: 60) { nodes { name } } } } }")
    assert set(answer.codes) == {"QUERY_TOO_EXPENSIVE"}
    assert {tuple(error["path"][:2] + error["path"][3:]) for error in answer.errors} == {
        ("users", "nodes", "groups")
    }
    assert len(answer.partial["users"]["nodes"]) == 10
    assert len(scripted.requests) == 20


VIEWER = "{ viewer { %s } }"


@pytest.mark.parametrize(
    "query",
    [
        "#" + "x" * 70_000 + "\n{ __typename }",
        "{ __typename }" + "\n" * 70_000,
        " ".join(f"query Q{i} {{ __typename }}" for i in range(21)),
        VIEWER % ("a" * 201),
        VIEWER % ("a" * 201 + ": sub"),
        "query " + "a" * 201 + " { __typename }",
        "{ viewer {" + " ...F" * 201 + "} } fragment F on Viewer { sub }",
        "{ __typename }" + "".join(f"fragment F{i} on Query {{ ...G ...G }}" for i in range(101))
        + "fragment G on Query { __typename }",
        "{ __typename } fragment F on Viewer {" + " sub" * 102 + "}",
        "{ ...F } fragment F on Query " + "@a" * 51 + "{ __typename }",
        "query($a: Int " + "@a" * 51 + ") { users(first: $a) { nodes { sub } } }",
    ],
    ids=range(11),
)  # fmt: skip
def test_too_much_of_it(api: Api, query: str) -> None:
    """Length, operations, names, and what no operation carries out are bounded too."""
    assert codes(api, query) == {"QUERY_TOO_COMPLEX"}


@pytest.mark.parametrize(
    "variables",
    [
        {"r": [{}] * 40_000},
        {"r": [None] * 40_000},
        {"r": [[]] * 5000},
        {"r": [{"__typename": "User", "username": "a", "more": list(range(5000))}]},
        {f"v{number}": 1 for number in range(5001)},
    ],
    ids=range(5),
)
def test_too_many_values(api: Api, variables: dict[str, Any]) -> None:
    """Variables of too many values are refused before they are looked at, wherever they are."""
    query = "query($r: [_Any!]!) { _entities(representations: $r) { __typename } }"
    answer = api.send(query, variables)
    assert answer.codes == ["QUERY_TOO_COMPLEX"]
    assert len(answer.response.content) < 500


def test_references_are_counted(api: Api) -> None:
    """References cost something each, right or wrong, and those that are alike are bounded too."""
    query = "query($r: [_Any!]!) { _entities(representations: $r) { __typename } }"
    alike = {"__typename": "User", "username": "a"}
    assert codes(api, query, {"r": [{}] * 151}) == {"QUERY_TOO_EXPENSIVE"}
    assert codes(api, query, {"r": ["x"] * 1000}) == {"QUERY_TOO_EXPENSIVE"}
    assert codes(api, query, {"r": [alike] * 1001}) == {"QUERY_TOO_EXPENSIVE"}
    assert len(api.send(query, {"r": [alike] * 1000}).data["_entities"]) == 1000
    twice = (
        "query($r: [_Any!]!) { a: _entities(representations: $r) { __typename }"
        " b: _entities(representations: $r) { __typename } }"
    )
    assert codes(api, twice, {"r": [alike] * 501}) == {"QUERY_TOO_EXPENSIVE"}


@pytest.mark.parametrize(
    "query",
    [
        "{ a: _service { sdl } }",
        "{ _service { a: sdl } }",
        "{ _service { ...A } } fragment A on _Service { a: sdl }",
    ],
)
def test_sdl_many_times(api: Api, query: str) -> None:
    """The fields that gateways introspect cannot be aliased either."""
    assert codes(api, query) == {"GRAPHQL_VALIDATION_FAILED"}
