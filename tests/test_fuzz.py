"""Random requests: none causes a fault of the server.

The runs are bounded and the same every time, so that a failure is the change's.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphql_admin.admin.nodes import global_id
from graphql_admin.admin.schema import AdminSchema
from tests.support.api import Api
from tests.support.scripted import ScriptedCognito, failure, reply

pytestmark = pytest.mark.slow

SCHEMA = AdminSchema().graphql_schema
SECRET = "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/secret"
"""What the scripted Cognito says in its errors."""

bounded = settings(
    max_examples=150,
    derandomize=True,
    database=None,
    deadline=None,  # how long one takes is the machine's
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

USER: dict[str, Any] = {
    "Username": "bob",
    "Enabled": True,
    "UserStatus": "CONFIRMED",
    "Attributes": [{"Name": "sub", "Value": "1"}, {"Name": "email", "Value": "b@example.com"}],
}
BARE = {
    "Username": "eve",
    "Enabled": False,
    "UserStatus": "NEW",
    "Attributes": USER["Attributes"][:1],
}
"""A user of whom Cognito tells as little as it may, and a status that is not known yet."""


@pytest.fixture
def api(serve: Callable[..., Api], scripted: ScriptedCognito) -> Iterator[Api]:
    """This server in front of a Cognito that answers well, oddly and not at all."""
    users = {"Users": [USER, BARE, USER]}
    groups = {"Groups": [{"GroupName": "Admins", "Precedence": 0}, {"GroupName": "B"}]}
    scripted.on("ListUsers", reply(users))
    scripted.on("ListUsersInGroup", reply({**users, "NextToken": "t"}))
    scripted.on("ListGroups", reply(groups))
    scripted.on("AdminListGroupsForUser", reply({**groups, "NextToken": "t"}))
    scripted.on("GetGroup", reply({"Group": {"GroupName": "Admins"}}))
    scripted.on(
        "AdminGetUser",
        lambda p: reply(USER) if p["Username"] == "bob" else failure("UserNotFoundException"),
    )
    for operation, error in {
        "AdminAddUserToGroup": "ResourceNotFoundException",
        "AdminConfirmSignUp": "NotAuthorizedException",
        "AdminEnableUser": "AccessDeniedException",
    }.items():
        scripted.on(operation, failure(error, detail=SECRET))
    for operation in ("AdminRemoveUserFromGroup", "AdminDisableUser", "AdminUserGlobalSignOut"):
        scripted.on(operation, reply({}))
    yield serve(scripted.url)
    scripted.unexpected.clear()


TEXTS = st.one_of(
    st.sampled_from(["", "bob", "Admins", "1", global_id("User", "bob"), global_id("Group", "B")]),
    st.text(max_size=8),
)


def scalars(name: str) -> st.SearchStrategy[Any]:
    match name:
        case "Int":
            return st.one_of(st.integers(1, 60), st.integers(-(2**31), 2**31 - 1))
        case "Boolean":
            return st.booleans()
        case "_Any":
            key = st.sampled_from(["username", "sub", "name", "__typename", "x"])
            typename = st.sampled_from(["User", "Group", "Query", ""])
            return st.one_of(
                TEXTS,
                st.builds(
                    lambda t, k, v: {"__typename": t, k: v}, typename, key, TEXTS | st.none()
                ),
            )
        case _:
            return TEXTS


def values(type_: GraphQLInputType) -> st.SearchStrategy[Any]:
    """Return values of an input type, as JSON; sometimes null where that is allowed."""
    if isinstance(type_, GraphQLNonNull):
        return present(type_.of_type)
    return st.none() | present(type_)


def present(type_: Any) -> st.SearchStrategy[Any]:
    if isinstance(type_, GraphQLList):
        return st.lists(values(type_.of_type), max_size=3)
    if isinstance(type_, GraphQLEnumType):
        return st.sampled_from(sorted(type_.values))
    if isinstance(type_, GraphQLInputObjectType):
        fields = {name: values(field.type) for name, field in type_.fields.items()}
        if type_.is_one_of or "by" in type_.name.lower() or type_.name == "UserFilter":
            return st.sampled_from(sorted(fields)).flatmap(
                lambda name: st.fixed_dictionaries({name: present(nullable(type_, name))})
            )
        return st.fixed_dictionaries(fields)
    return scalars(type_.name)


def nullable(type_: GraphQLInputObjectType, name: str) -> Any:
    field_type = type_.fields[name].type
    return field_type.of_type if isinstance(field_type, GraphQLNonNull) else field_type


class Writer:
    """Writes one operation that fits the schema, and the variables that it needs."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.aliases = 0
        self.variables: dict[str, Any] = {}
        self.definitions: list[str] = []

    def operation(self) -> str:
        kind = self.draw(st.sampled_from(["query", "query", "mutation"]))
        root = SCHEMA.query_type if kind == "query" else SCHEMA.mutation_type
        assert root is not None
        body = self.selections(root, 4)
        definitions = f"({', '.join(self.definitions)})" if self.definitions else ""
        return f"{kind}{definitions} {body}"

    def selections(self, type_: Any, depth: int) -> str:
        if is_abstract_type(type_):
            # One of them: fields of the same name may be of types that do not go together.
            possible = self.draw(st.sampled_from(SCHEMA.get_possible_types(type_)))
            below = self.selections(possible, depth)
            return f"{{ __typename ... on {possible.name} {below} }}"
        assert isinstance(type_, GraphQLObjectType)
        names = [
            name
            for name, field in type_.fields.items()
            if depth > 0 or is_leaf_type(get_named_type(field.type))
        ]
        chosen = self.draw(
            st.lists(st.sampled_from(["__typename", *names]), min_size=1, max_size=4)
        )
        parts = [
            "__typename"
            if name == "__typename"
            else self.field(type_.fields[name], name, depth - 1)
            for name in chosen
        ]
        return f"{{ {' '.join(parts)} }}"

    def field(self, field: GraphQLField, name: str, depth: int) -> str:
        self.aliases += bool(field.args)  # with others, two of the same name would conflict
        alias = f"a{self.aliases}: " if field.args else ""
        arguments = []
        for argument, definition in field.args.items():
            if self.draw(st.booleans()) or isinstance(definition.type, GraphQLNonNull):
                variable = f"v{len(self.variables)}"
                self.variables[variable] = self.draw(values(definition.type))
                self.definitions.append(f"${variable}: {definition.type}")
                arguments.append(f"{argument}: ${variable}")
        called = f"({', '.join(arguments)})" if arguments else ""
        condition = self.draw(st.sampled_from(["", "", "", " @include(if: true)"]))
        named = get_named_type(field.type)
        below = "" if is_leaf_type(named) else " " + self.selections(named, depth)
        return f"{alias}{name}{called}{condition}{below}"


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """Draw GraphQL requests that fit the schema."""
    writer = Writer(draw)
    return {"query": writer.operation(), "variables": writer.variables}


def check(api: Api, content: bytes) -> set[str]:
    """Send a body, check what must hold of every answer, and return the codes of its errors."""
    response = api.client.post(
        "/graphql",
        content=content,
        headers={
            "Authorization": f"Bearer {api.token('Admins')}",
            "Content-Type": "application/json",
        },
    )
    assert response.status_code in {200, 400}, response.text
    body = response.json()
    assert body.keys() <= {"data", "errors"}
    assert SECRET not in response.text
    codes = {error["extensions"]["code"] for error in body.get("errors", [])}
    assert "INTERNAL" not in codes, response.text
    return codes


@bounded
@given(request=requests())
def test_generated_requests(api: Api, request: dict[str, Any]) -> None:
    """Every valid request is answered, with or without errors."""
    codes = check(api, json.dumps(request).encode("utf-8", "replace"))
    assert "GRAPHQL_PARSE_FAILED" not in codes
    assert "GRAPHQL_VALIDATION_FAILED" not in codes, request


@bounded
@given(request=requests(), data=st.data())
def test_damaged_requests(api: Api, request: dict[str, Any], data: st.DataObject) -> None:
    """So is what is left of such a request where a piece of it is cut out or put in."""
    query = request["query"]
    start = data.draw(st.integers(0, len(query)))
    end = data.draw(st.integers(start, min(len(query), start + 5)))
    noise = data.draw(st.text("{}()[]:$!.@\"'#\\ abe1\n", max_size=4))
    request = {**request, "query": query[:start] + noise + query[end:] or " "}
    check(api, json.dumps(request).encode("utf-8", "replace"))


@bounded
@given(
    variables=st.dictionaries(
        st.sampled_from(["a", "b", "c", "d"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=6,
        ),
    )
)
def test_generated_variables(api: Api, variables: dict[str, Any]) -> None:
    """So is any variable that JSON can write, in the place of any input."""
    query = (
        "query($a: Int!, $b: UserBy!, $c: UserFilter, $d: [_Any!]!) {"
        " users(first: $a, filter: $c) { nodes { sub } } user(by: $b) { sub }"
        " _entities(representations: $d) { __typename } }"
    )
    check(api, json.dumps({"query": query, "variables": variables}).encode("utf-8", "replace"))


@bounded
@given(
    content=st.one_of(
        st.binary(max_size=200),
        st.text(max_size=200).map(lambda text: json.dumps({"query": text}).encode()),
        st.text('{}[]":,0eE-+.ntf \\u', max_size=60).map(str.encode),
    )
)
def test_noise(api: Api, content: bytes) -> None:
    """So are random bytes."""
    assert check(api, content)
