"""Plain data is completed exactly as graphql-core does it, whatever is selected and found."""

import asyncio
import json
from collections.abc import Iterator
from importlib.metadata import version
from random import Random
from typing import Any

import pytest
from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
    is_composite_type,
)
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from structlog.testing import capture_logs

from graphql_admin import execution
from graphql_admin.actions import Action
from graphql_admin.auth import Caller
from graphql_admin.context import Context
from graphql_admin.documents import Document, Documents, InvalidDocument
from graphql_admin.errors import UserNotFound
from graphql_admin.execution import MAX_PLANS, CompilingExecutor, choose_executor
from graphql_admin.permissions import guard_of
from graphql_admin.schema import AdminSchema

CALLER = Caller(
    username="ann",
    sub="sub-of-ann",
    groups=frozenset({"Editors"}),
    token_use="access",
    expires_at=0,
)

ANN = {
    "Username": "ann",
    "Attributes": [
        {"Name": "sub", "Value": "sub-of-ann"},
        {"Name": "email", "Value": "ann@example.com"},
        {"Name": "email_verified", "Value": "true"},
    ],
    "Enabled": True,
    "UserStatus": "CONFIRMED",
    "UserCreateDate": 1700000000.25,
    "UserLastModifiedDate": 1700000001,
}
EDITORS = {"GroupName": "Editors", "Precedence": 3, "CreationDate": 1700000000.5}

ODD_ATTRIBUTES = [None, "", 7, True, 1.5, ["a"], {"a": 1}, "Grüße"]
ODD_USER = {
    "Username": [None, "", 5, ["ann"], "Zoë"],
    "Enabled": [None, "yes", 1, 0, False, []],
    "UserStatus": [None, "NEW_IN_2030", 4],
    "UserCreateDate": [None, 0],
}
ODD_GROUP = {
    "GroupName": ["", 5, "Grüße"],
    "Description": ["What for", 3, None, ["a"]],
    "Precedence": [None, 0, 2**31, "3", "high", True, 1.5],
    "RoleArn": ["arn:aws:iam::1:role/a", False],
}


class Pool:
    """A user pool whose rows are in memory; some are not as Cognito would send them.

    Args:
        seed: Which rows.
        oddity: The share of values that are odd.
    """

    pool_id = "eu-west-1_AbCdEf123"

    def __init__(self, seed: int, oddity: float) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        random = Random(seed)
        self._users = [_odd_user(random, oddity) for _ in range(4)]
        self._groups = [_odd_row(random, oddity, EDITORS, ODD_GROUP) for _ in range(2)]

    async def call(
        self, operation: str, parameters: dict[str, Any], *, deadline: float
    ) -> dict[str, Any]:
        """Answer as Cognito does."""
        assert deadline == 0
        self.calls.append((operation, parameters))
        await asyncio.sleep(0)
        match operation:
            case "ListUsers" | "ListUsersInGroup":
                return {"Users": self._users}
            case "ListGroups" | "AdminListGroupsForUser":
                return {"Groups": self._groups}
            case "AdminGetUser" if parameters["Username"] == "nobody":
                raise UserNotFound
            case "AdminGetUser":
                return self._users[0]
            case "GetGroup":
                return {"Group": self._groups[0]}
        return {}


def _odd_row(
    random: Random, oddity: float, row: dict[str, Any], odd: dict[str, list[Any]]
) -> dict[str, Any]:
    changes = {name: random.choice(odd[name]) for name in odd if random.random() < oddity}
    return {**row, **changes}


def _odd_user(random: Random, oddity: float) -> dict[str, Any]:
    row = _odd_row(random, oddity, ANN, ODD_USER)
    attributes = [
        {**pair, "Value": random.choice(ODD_ATTRIBUTES)} if random.random() < oddity else pair
        for pair in ANN["Attributes"]
        if random.random() > oddity / 2
    ]
    return {**row, "Attributes": attributes}


@pytest.fixture(scope="module")
def compiling() -> AdminSchema:
    """The schema as it is served."""
    schema = AdminSchema()
    assert schema.execution_context_class is CompilingExecutor
    return schema


@pytest.fixture(scope="module")
def ordinary() -> AdminSchema:
    """The schema with the executor that Strawberry brings."""
    schema = AdminSchema()
    schema.execution_context_class = StrawberryGraphQLCoreExecutionContext
    return schema


@pytest.fixture
def documents(compiling: AdminSchema) -> Documents:
    """The documents of that schema."""
    return Documents(compiling, introspection=True, max_tokens=10_000)


async def run(
    schema: AdminSchema,
    document: Document,
    pool: Pool,
    variables: dict[str, Any] | None = None,
    operation: str | None = None,
) -> tuple[str, list[Any]]:
    """Return the text of `data` and all that a client may be told of the errors."""
    context = Context(
        caller=CALLER,
        allowed=frozenset(Action) - {Action.GET_GROUP},
        plans=document.plans,
        pool=pool,  # type: ignore[arg-type]
        deadline=0,
    )
    result = await schema.run(document.ast, operation, variables, context)
    errors = [(error.message, error.path, error.locations) for error in result.errors or ()]
    return json.dumps(result.data), errors


class Generator:
    """Makes documents at random that may fit the schema.

    A key stands for the same field and arguments everywhere, so that equal keys merge.

    Args:
        schema: The schema.
        seed: Which documents.
    """

    ARGUMENTS = {
        "Query.user": ['(by: {username: "ann"})', '(by: {username: "nobody"})'],
        "Query.users": ["", "(first: 3)"],
        "Query.group": ['(name: "Editors")'],
        "Query.node": ['(id: "VXNlcjphbm4")', '(id: "R3JvdXA6RWRpdG9ycw")'],
        "Query._entities": ['(representations: [{__typename: "User", username: "ann"}])'],
        "Mutation.addUserToGroup": ['(input: {username: "ann", groupName: "Editors"})'],
        "Mutation.disableUser": ['(input: {username: "ann"})', '(input: {username: "a b"})'],
    }
    CONDITIONS = [
        "@include(if: $yes)",
        "@skip(if: $yes)",
        "@include(if: $no)",
        "@skip(if: $no) @include(if: $yes)",
        "@include(if: false)",
        "@skip(if: false)",
    ]

    def __init__(self, schema: AdminSchema, seed: int) -> None:
        self._types = schema.graphql_schema
        self._random = Random(seed)
        self._fragments: list[str] = []

    def document(self) -> str:
        """Return a document with one operation."""
        self._fragments = []
        operation = "mutation" if self._random.random() < 0.1 else "query"
        root = self._types.mutation_type if operation == "mutation" else self._types.query_type
        assert root
        selection = self._selection(root, 4)
        variables = "($yes: Boolean!, $no: Boolean = false)"
        return "\n".join([f"{operation} {variables} {selection}", *self._fragments])

    def _selection(self, type_: GraphQLNamedType, depth: int) -> str:
        count = self._random.randint(1, 5)
        return "{ " + " ".join(self._part(type_, depth) for _ in range(count)) + " }"

    def _part(self, type_: GraphQLNamedType, depth: int) -> str:
        is_root = type_ in {self._types.query_type, self._types.mutation_type}
        dice = self._random.random()
        if dice < 0.12 and not is_root:
            return "__typename"
        if dice < 0.24 and depth:
            condition = self._condition_on(type_)
            on = f"on {condition}" if condition or self._random.random() < 0.5 else ""
            target = condition or type_
            on = f"on {target}" if on else ""
            return f"... {on} {self._directive()} {self._selection(target, depth - 1)}"
        if dice < 0.32 and depth:
            target = self._condition_on(type_) or type_
            name = f"F{len(self._fragments)}"
            self._fragments.append("")
            self._fragments[int(name[1:])] = (
                f"fragment {name} on {target} {self._selection(target, depth - 1)}"
            )
            return f"...{name} {self._directive()}"
        return self._field(type_, depth)

    def _condition_on(self, type_: GraphQLNamedType) -> GraphQLNamedType | None:
        match type_:
            case GraphQLUnionType() | GraphQLInterfaceType():
                return self._random.choice(self._types.get_possible_types(type_))
            case GraphQLObjectType(interfaces=[interface]) if self._random.random() < 0.5:
                return interface
        return None

    def _field(self, type_: GraphQLNamedType, depth: int) -> str:
        fields = {
            name: field
            for name, field in getattr(type_, "fields", {}).items()
            if not name.startswith("_service")
            and (depth > 1 or not is_composite_type(get_named_type(field.type)))
            and not _needs_arguments(field, f"{type_}.{name}")
        }
        if not fields:
            return "__typename"
        name, field = self._random.choice(list(fields.items()))
        arguments = self.ARGUMENTS.get(f"{type_}.{name}", [""])
        place = self._random.randrange(len(arguments))
        again = self._random.random() < 0.2
        alias = f"{name}{place}{'b' if again else ''}: " if place or again else ""
        inner = get_named_type(field.type)
        selection = self._selection(inner, depth - 1) if is_composite_type(inner) else ""
        return f"{alias}{name}{arguments[place]} {self._directive()} {selection}"

    def _directive(self) -> str:
        return self._random.choice(self.CONDITIONS) if self._random.random() < 0.12 else ""


def _needs_arguments(field: GraphQLField, path: str) -> bool:
    return path not in Generator.ARGUMENTS and any(
        argument.type.__class__.__name__ == "GraphQLNonNull" and argument.default is None
        for argument in field.args.values()
    )


@pytest.mark.parametrize("seed", range(4))
def test_generated_documents_are_answered_as_by_the_ordinary_executor(
    compiling: AdminSchema, ordinary: AdminSchema, documents: Documents, seed: int
) -> None:
    """Hundreds of documents give the same data, errors and calls, whatever the rows hold."""
    generator = Generator(compiling, seed)

    async def compare() -> tuple[int, int]:
        answered = failed = 0
        while answered < 500:
            text = generator.document()
            try:
                document = documents.load(text)
            except InvalidDocument:
                continue
            for variables in ({"yes": True}, {"yes": False, "no": True}):
                pools = [Pool(answered, oddity=0.05 * (answered % 3)) for _ in range(2)]
                expected = await run(ordinary, document, pools[0], variables)
                assert await run(compiling, document, pools[1], variables) == expected, text
                assert pools[0].calls == pools[1].calls, text
                failed += bool(expected[1])
            answered += 1
        return answered, failed

    answered, failed = asyncio.run(compare())
    assert failed > answered / 10
