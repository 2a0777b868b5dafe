"""Plain data is completed exactly as graphql-core does it, whatever is selected and found."""

import asyncio
import json
from collections.abc import Iterator
from itertools import product
from random import Random
from typing import Any, ClassVar, cast

import orjson
import pytest
from graphql import (
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLUnionType,
    OperationDefinitionNode,
    OperationType,
    OverlappingFieldsCanBeMergedRule,
    get_named_type,
    is_leaf_type,
    is_required_argument,
    parse,
    print_ast,
    validate,
)
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from graphql_admin.actions import Action
from graphql_admin.admin.attempts import Attempts
from graphql_admin.admin.authorization import Attempt, Authorization
from graphql_admin.admin.context import Context
from graphql_admin.admin.described_pool import DescribedPool
from graphql_admin.admin.guards import guard_of
from graphql_admin.admin.schema import AdminSchema
from graphql_admin.cognito.operations import is_read
from graphql_admin.cognito.replies import Reply
from graphql_admin.engine.documents import Document
from graphql_admin.engine.fallbacks import Fallback
from graphql_admin.engine.fields import reader_of
from graphql_admin.engine.limits import Limits
from graphql_admin.errors import UpstreamFailed, UserNotFound
from graphql_admin.policy.decisions import Allowed, Decisions
from graphql_admin.policy.grants import Grants, Policy, Rights
from graphql_admin.targets import Target
from graphql_admin.tokens.caller import Caller

DEADLINE = 1e9
"""Seconds of an event loop's clock that no test gets to."""


class Events:
    """Takes the events of the gate, and keeps none."""

    def demand(self) -> None:
        pass

    def write(self, event: object) -> None:
        pass


EVENTS = Events()

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
        self.users = [_odd_user(random, oddity) for _ in range(3)]
        self._groups = [_odd_row(random, oddity, EDITORS, ODD_GROUP) for _ in range(2)]

    async def read(
        self, operation: str, parameters: dict[str, Any], *, deadline: float, **_: object
    ) -> Reply:
        """Answer as Cognito does."""
        assert deadline == DEADLINE
        self.calls.append((operation, parameters))
        await asyncio.sleep(0)
        match operation:
            case "ListUsers" | "ListUsersInGroup":
                return Reply({"Users": self.users})
            case "ListGroups" | "AdminListGroupsForUser":
                return Reply({"Groups": self._groups})
            case "AdminGetUser" if parameters["Username"] == "nobody":
                raise UserNotFound
            case "AdminGetUser":
                return Reply(self.users[0])
            case "GetGroup":
                return Reply({"Group": self._groups[0]})
        return Reply({})

    write = read


class Lenient:
    """Allows every caller all that their token gives, on every target."""

    def check(self, context: Context, action: Action, target: Target) -> Any:
        context.demand(action)
        given = cast("Authorization", self), context, action, target, context.rights
        return Attempt(*given, Allowed())

    async def allow(self, attempt: object, *, reserves: bool) -> None:
        """Reject nothing."""

    async def settle(self, *_: object) -> None:
        """Let go of nothing."""


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
def schema() -> AdminSchema:
    """The schema as it is served."""
    return AdminSchema()


def prepare(text: str) -> Document:
    """Return a document as it comes from the cache for the first time."""
    ast = parse(text)
    operations = {
        node.name.value if node.name else None: node
        for node in ast.definitions
        if isinstance(node, OperationDefinitionNode)
    }
    limits = Limits(depth=20, aliases=100, directives=50, root_fields=20)
    return Document(ast, operations, costs={}, max_calls=1000, limits=limits, size=0)


def make_context(pool: Pool, caller: Caller | None = CALLER) -> Context:
    """Return the context of a request by a caller who may do all but one action."""
    return Context(
        caller=caller,
        rights=Rights(frozenset(Action) - {Action.LIST_USERS_IN_GROUP}),
        decisions=Decisions(Grants(Policy.of_administrators({"Admins"}))),
        pool=pool,  # type: ignore[arg-type]
        gate=Attempts(pool, EVENTS, Lenient(), DescribedPool(pool)),  # type: ignore[arg-type]
        deadline=DEADLINE,
        max_calls=1000,
    )


async def run(
    schema: AdminSchema,
    document: Document,
    pool: Pool,
    variables: dict[str, Any] | None = None,
    operation: str | None = None,
    *,
    ordinarily: bool = False,
    caller: Caller | None = CALLER,
) -> tuple[str, list[Any]]:
    """Return the text of `data` and all that a client may be told of the errors."""
    execute = schema.runner.run_ordinarily if ordinarily else schema.runner.run
    context = make_context(pool, caller)
    result = await execute(document, document.operation(operation), variables, context)
    # What an error left behind goes on in the background; its calls count too.
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)
    errors = [(error.message, error.path, error.locations) for error in result.errors or ()]
    # In whatever order the fields ended, which is not part of GraphQL.
    return orjson.dumps(result.data).decode(), sorted(errors, key=repr)


VARIABLES = """
    $yes: Boolean!, $no: Boolean! = false, $name: String! = "ann", $first: Int! = 7,
    $after: String, $by: UserBy! = {username: "ann"}, $filter: UserFilter, $status: UserStatus!,
    $input: AddUserToGroupInput! = {username: "ann", groupName: "Editors"},
    $references: [_Any!]! = [], $size: Int = 3, $who: String
"""
"""What every generated operation takes."""

VALUES: dict[str, list[Any]] = {
    "name": ["ann", "nobody", "a b", ""],
    "first": [1, 60],
    "after": [None, "ann", "sub-of-ann"],
    "by": [{"username": "ann"}, {"sub": "sub-of-ann"}, {"email": "nobody@example.com"}],
    "filter": [
        None,
        {"name": {"equals": "ann"}},
        {"email": {"startsWith": "a"}},
        {"status": "CONFIRMED"},
        {"enabled": True},
    ],
    "status": ["CONFIRMED", "UNKNOWN"],
    "input": [{"username": "ann", "groupName": "Editors"}, {"username": "a b", "groupName": ""}],
    "size": [None, 5],
    "who": [None, "ann"],
    "references": [
        [{"__typename": "User", "username": "ann"}, {"__typename": "Group", "name": "Editors"}],
        [{"__typename": "User", "sub": "sub-of-ann", "more": [1]}, {"__typename": "Nothing"}],
    ],
}
ODD_VALUES: dict[str, list[Any]] = {
    "name": [None, 5, True, ["ann"]],
    "first": [None, "7", 7.0, 2**31, True, 0, 61],
    "after": [5, ["a"], {}],
    "by": [None, {}, {"username": None}, {"username": "ann", "sub": "a"}, {"nick": "a"}, "ann"],
    "filter": [{}, {"name": {}}, {"name": None}, {"status": "confirmed"}, {"name": {"equals": 5}}],
    "status": [None, "confirmed", 5, ["CONFIRMED"]],
    "input": [None, {"username": "ann"}, {"username": None, "groupName": "E"}, [], {"a": 1}],
    "size": ["5", 61],
    "who": [5, ["ann"]],
    "references": [None, {"__typename": "User", "username": "ann"}, [None], "User", [5]],
}


def choose_values(random: Random) -> dict[str, Any]:
    """Return values for the variables, of which some are left out and a few do not fit."""
    given = {"status": "CONFIRMED"}
    for name, values in VALUES.items():
        if random.random() < 0.5:
            odd = random.random() < 0.03
            given[name] = random.choice(ODD_VALUES[name] if odd else values)
    return given


class Generator:
    """Makes random documents that are valid, except for keys that cannot merge.

    Args:
        schema: The schema.
        random: What decides.
    """

    ARGUMENTS: ClassVar = {
        "Query.user": [
            '(by: {username: "ann"})',
            '(by: {username: "nobody"})',
            "(by: {username: $name})",
            "(by: $by)",
            "(by: {username: $who})",
        ],
        "Query.users": [
            "",
            "(first: 3)",
            "(first: $first, filter: $filter)",
            "(filter: {status: $status})",
            "(filter: {name: {startsWith: $name}}, after: $after)",
            "(filter: {enabled: true}, first: $first)",
            "(first: $size)",
        ],
        "Query.group": ['(name: "Editors")'],
        "Query.node": ['(id: "VXNlcjphbm4=")', '(id: "R3JvdXA6RWRpdG9ycw==")'],
        "Query._entities": [
            "(representations: $references)",
            '(representations: [{__typename: "User", username: "ann"}])',
            '(representations: [{__typename: "Group", name: "Editors"}])',
        ],
        "Mutation.addUserToGroup": [
            '(input: {username: "ann", groupName: "Editors"})',
            "(input: {username: $name, groupName: $name})",
            "(input: $input)",
        ],
        "Mutation.signUserOut": ["(input: {})", "(input: {username: $after})"],
        "Mutation.disableUser": ['(input: {username: "ann"})', '(input: {username: "a b"})'],
    }
    CONDITIONS: ClassVar = (
        "@include(if: $yes)",
        "@skip(if: $yes)",
        "@include(if: $no)",
        "@skip(if: $no) @include(if: $yes)",
        "@include(if: false)",
        "@skip(if: false)",
    )

    def __init__(self, schema: AdminSchema, random: Random) -> None:
        self._types = schema.graphql_schema
        self._random = random
        self._fragments: list[str] = []
        self._made: dict[GraphQLNamedType, str] = {}

    def document(self) -> str:
        """Return a document with one operation, which takes `$yes` and `$no`."""
        self._fragments, self._made = [], {}
        kind = OperationType.MUTATION if self._chance(0.1) else OperationType.QUERY
        root = self._types.get_root_type(kind)
        assert root
        selection = self._selection(root, depth=4)
        operation = f"{kind.value} ({VARIABLES}) {selection}"
        return "\n".join([operation, *self._fragments])

    def _selection(self, type_: GraphQLNamedType, depth: int) -> str:
        parts = [self._part(type_, depth) for _ in range(self._random.randint(1, 3))]
        return f"{{ {' '.join(parts)} }}"

    def _part(self, type_: GraphQLNamedType, depth: int) -> str:
        if self._chance(0.1):
            return "__typename"
        if type_ in self._made and self._chance(0.2):
            return f"...{self._made[type_]} {self._directive()}"
        if depth and self._chance(0.2):
            target = self._condition_on(type_)
            selection = self._selection(target, depth - 1)
            if self._chance(0.5):
                condition = "" if target is type_ and self._chance(0.5) else f"on {target}"
                return f"... {condition} {self._directive()} {selection}"
            name = f"F{len(self._fragments)}"
            self._fragments.append(f"fragment {name} on {target} {selection}")
            self._made[target] = name
            return f"...{name} {self._directive()}"
        return self._field(type_, depth)

    def _condition_on(self, type_: GraphQLNamedType) -> GraphQLNamedType:
        if isinstance(type_, GraphQLUnionType | GraphQLInterfaceType):
            return self._random.choice(self._types.get_possible_types(type_))
        if isinstance(type_, GraphQLObjectType) and type_.interfaces and self._chance(0.5):
            return type_.interfaces[0]
        return type_

    def _field(self, type_: GraphQLNamedType, depth: int) -> str:
        fields = {
            name: field
            for name, field in getattr(type_, "fields", {}).items()
            if (depth or is_leaf_type(get_named_type(field.type)))
            and (
                f"{type_}.{name}" in self.ARGUMENTS
                or not any(is_required_argument(argument) for argument in field.args.values())
            )
        }
        if not fields:
            return "__typename"
        name, field = self._random.choice(list(fields.items()))
        choices = self.ARGUMENTS.get(f"{type_}.{name}", [""])
        choice = self._random.randrange(len(choices))
        # A key tells the arguments, so that fields with equal keys can merge.
        alias = self._random.choice(["", f"also_{name}: "]) if choice == 0 else f"{name}{choice}: "
        inner = get_named_type(field.type)
        selection = "" if is_leaf_type(inner) else self._selection(inner, depth - 1)
        return f"{alias}{name}{choices[choice]} {self._directive()} {selection}"

    def _directive(self) -> str:
        return self._random.choice(self.CONDITIONS) if self._chance(0.1) else ""

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability


def generate_documents(schema: AdminSchema, seed: int, count: int) -> Iterator[Document]:
    """Yield documents that fit the schema, and keep none of them."""
    generator = Generator(schema, Random(seed))
    while count:
        document = prepare(generator.document())
        if not validate(schema.graphql_schema, document.ast, [OverlappingFieldsCanBeMergedRule]):
            yield document
            count -= 1


def made(pool: Pool) -> tuple[list[str], list[str]]:
    """Return the calls: reads, which are concurrent, in any order, and changes in theirs."""
    reads = sorted(repr(call) for call in pool.calls if is_read(call[0]))
    return reads, [repr(call) for call in pool.calls if not is_read(call[0])]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_generated_documents_are_answered_as_by_the_ordinary_executor(
    schema: AdminSchema, seed: int
) -> None:
    """Thousands of documents give the same data, errors and calls, whatever the rows hold."""

    async def compare() -> int:
        with_errors = 0
        for number, document in enumerate(generate_documents(schema, seed, 500)):
            text = print_ast(document.ast)
            given = choose_values(Random(number))
            conditions = ({"yes": True}, {"yes": False, "no": True}, {"yes": None})
            for condition in conditions[: 1 + 2 * ("@" in text)]:
                variables = given | condition
                pools = [Pool(number, oddity=0.08 * (number % 3)) for _ in range(2)]
                expected = await run(schema, document, pools[0], variables, ordinarily=True)
                found = await run(schema, document, pools[1], variables)
                assert found == expected, (text, variables)
                assert made(pools[0]) == made(pools[1]), (text, variables)
                with_errors += bool(expected[1])
        return with_errors

    assert asyncio.run(compare()) > 50


def counted(kind: str) -> float:
    """Return how many operations took the ordinary path for a kind of reason."""
    value = REGISTRY.get_sample_value("graphql_admin_fallbacks_total", {"kind": kind})
    return value or 0


@pytest.mark.parametrize(
    ("kind", "query", "variables"),
    [
        ("selection", "{ __schema { queryType { name } } }", {}),
        ("variables", "query ($n: Int!) { users(first: $n) { nodes { fullName } } }", {}),
        (
            "variables",
            "query ($of: [_Any!]!) { _entities(representations: $of) { __typename } }",
            {"of": [None]},
        ),
        ("value", "{ users { nodes { username fullName } } }", {}),
    ],
)
def test_fallback_is_counted(kind: str, query: str, variables: dict[str, Any]) -> None:
    """What takes the ordinary path is counted by kind, and the first of a kind is logged."""
    schema = AdminSchema()
    pool = Pool(0, oddity=0)
    pool.users[1] = {**ANN, "Attributes": [{"Name": "name", "Value": 7}]}
    before = {each.value: counted(each.value) for each in Fallback}
    with capture_logs() as logs:
        for _ in range(3):
            asyncio.run(run(schema, prepare(query), pool, variables))
        asyncio.run(run(schema, prepare("{ viewer { username } }"), pool))
    after = {each.value: counted(each.value) for each in Fallback}
    assert {each: after[each] - before[each] for each in after if after[each] > before[each]} == {
        kind: 3
    }
    assert [entry["kind"] for entry in logs if "ordinary path" in entry["event"]] == [kind]


@pytest.mark.parametrize(
    "query",
    [
        "{ users { nodes { username email status enabled createdAt attributes { name value } } } }",
        """{ users {
            nodes { __typename id email }
            pageInfo { __typename hasNextPage endCursor }
            __typename
        } }""",
        "{ users { edges { cursor node { __typename id email } } pageInfo { endCursor } } }",
        '{ user(by: {username: "ann"}) { ...Card } } fragment Card on Node { id }',
        "{ viewer { username groups actions } }",
        "{ groups { nodes { ... on Group { name precedence updatedAt } } } }",
        "{ viewer { username } users { nodes { username groups { nodes { name } } } } }",
        '{ node(id: "VXNlcjphbm4=") { id ... on User { email groups { nodes { name } } } } }',
        '{ users(filter: {status: CONFIRMED}) { nodes { username } } group(name: "a b") { name } }',
        """mutation {
            addUserToGroup(input: {username: "ann", groupName: "Editors"}) {
                user { username email } group { name precedence } errors { code message }
            }
            disableUser(input: {username: "ann"}) { user { __typename username } }
        }""",
    ],
)
def test_common_operation_is_planned(schema: AdminSchema, query: str) -> None:
    """Nothing of what clients commonly ask for is left to the ordinary path."""
    document = prepare(query)
    operation = document.operation(None)
    context = make_context(Pool(0, oddity=0))
    ran = asyncio.run(schema.runner.run_uncounted(document, operation, {}, context))
    assert ran.fallback is None


def test_guarded_field_is_never_plain(schema: AdminSchema) -> None:
    """No field that asks a permission can be read without it."""
    guarded = [
        field
        for type_ in schema.graphql_schema.type_map.values()
        if isinstance(type_, GraphQLObjectType)
        for field in type_.fields.values()
        if (definition := field.extensions.get("strawberry-definition")) and guard_of(definition)
    ]
    assert guarded
    assert not any(reader_of(field) for field in guarded)


@pytest.mark.slow
def test_freed_documents(schema: AdminSchema) -> None:
    """A document whose nodes reuse the memory of a freed document gets its own fields."""
    fields = ["username", "sub", "email", "fullName", "status", "enabled", "createdAt", "id"]

    async def ask_often() -> None:
        random = Random(0)
        for _ in range(2000):
            chosen = random.sample(fields, 3)
            document = prepare(f"{{ users {{ nodes {{ {' '.join(chosen)} }} }} }}")
            data, _ = await run(schema, document, Pool(0, oddity=0))
            assert list(json.loads(data)["users"]["nodes"][0]) == chosen

    asyncio.run(ask_often())


def test_merged_fields(schema: AdminSchema) -> None:
    """What two selections of the same field ask for is answered together."""
    document = prepare(
        """{
            users { nodes { username } }
            ...More
            users { nodes { email } pageInfo { endCursor } }
        }
        fragment More on Query { users { nodes { sub username } } }"""
    )
    data, _ = asyncio.run(run(schema, document, Pool(0, oddity=0)))
    users = json.loads(data)["users"]
    assert list(users) == ["nodes", "pageInfo"]
    assert users["nodes"][0] == {
        "username": "ann",
        "sub": "sub-of-ann",
        "email": "ann@example.com",
    }


def test_fragment_merged_in_one_place(schema: AdminSchema) -> None:
    """A fragment used twice is answered with what each place selects beside it."""
    document = prepare(
        """{
            user(by: {username: "ann"}) { ...Groups }
            users { nodes { ...Groups groups { pageInfo { hasNextPage } } } }
        }
        fragment Groups on User { groups { nodes { name } } }"""
    )
    data, _ = asyncio.run(run(schema, document, Pool(0, oddity=0)))
    nodes = [{"name": "Editors"}] * 2
    assert json.loads(data)["user"] == {"groups": {"nodes": nodes}}
    assert json.loads(data)["users"]["nodes"][0] == {
        "groups": {"nodes": nodes, "pageInfo": {"hasNextPage": False}}
    }


def test_object_of_either_type(schema: AdminSchema) -> None:
    """What one selection asks of objects of several types is answered by the type of each."""
    document = prepare(
        """query ($references: [_Any!]!) { _entities(representations: $references) {
            __typename ... on User { email } ... on Group { precedence }
        } }"""
    )
    references = [
        {"__typename": "User", "username": "ann"},
        {"__typename": "Group", "name": "Editors"},
    ]
    data, _ = asyncio.run(run(schema, document, Pool(0, oddity=0), {"references": references}))
    assert json.loads(data)["_entities"] == [
        {"__typename": "User", "email": "ann@example.com"},
        {"__typename": "Group", "precedence": 3},
    ]


def test_null_that_may_not_be(schema: AdminSchema) -> None:
    """A user without `sub` is an error where it is selected, and no matter where it is not."""
    pool = Pool(0, oddity=0)
    pool.users[1] = {"Username": "bob", "Enabled": True}
    document = prepare("{ users { nodes { username sub } } }")
    data, errors = asyncio.run(run(schema, document, pool))
    assert json.loads(data) == {"users": None}
    assert errors == [(UpstreamFailed.message, ["users", "nodes", 1, "sub"], [(1, 28)])]
    document = prepare("{ users { nodes { username } } }")
    assert asyncio.run(run(schema, document, pool))[1] == []


def test_variables_decide_what_is_selected(schema: AdminSchema) -> None:
    """The same document selects other fields with other variables, and in other operations."""
    document = prepare(
        """query A($yes: Boolean!) { users { nodes { ...Card } } }
        query B($yes: Boolean! = true) { users { nodes { ...Card id } } }
        fragment Card on User { sub @include(if: $yes) username @skip(if: $yes) }"""
    )
    for operation, variables, keys in [
        ("A", {"yes": True}, ["sub"]),
        ("A", {"yes": False}, ["username"]),
        ("B", {}, ["sub", "id"]),
        ("B", {"yes": False}, ["username", "id"]),
        ("A", {"yes": True}, ["sub"]),
    ]:
        pool = Pool(0, oddity=0)
        data, _ = asyncio.run(run(schema, document, pool, variables, operation))
        assert list(json.loads(data)["users"]["nodes"][0]) == keys


def test_plans_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables cannot make plans without end, and documents are still answered."""
    monkeypatch.setattr("graphql_admin.engine.runner.PLAN_BYTES", 2_000_000)
    schema = AdminSchema()
    names = [f"v{number}" for number in range(7)]
    parameters = ", ".join(f"${name}: Boolean!" for name in names)
    fields = " ".join(f"{name}: username @include(if: ${name})" for name in names)
    text = f"query ({parameters}) {{ users {{ nodes {{ username {fields} }} }} }}"
    kept = set()
    for number, values in enumerate(product([True, False], repeat=7)):
        # Four documents in turn, each of which is made again for every request.
        document = prepare(f"{text} # {number % 4}")
        variables = dict(zip(names, values, strict=True))
        data, _ = asyncio.run(run(schema, document, Pool(0, oddity=0), variables))
        expected = ["username", *(name for name in names if variables[name])]
        assert list(json.loads(data)["users"]["nodes"][0]) == expected
        kept.add(len(schema.runner.plans))
        assert schema.runner.plans.size <= 2_000_000
    assert max(kept) < 40


def test_plan_is_found_again() -> None:
    """An operation is compiled once for the values of its conditions, and for no other document."""
    schema = AdminSchema()
    text = "query ($a: Boolean!) { viewer { username sub @skip(if: $a) } }"
    document = prepare(text)
    for value in (True, False, True, False):
        asyncio.run(run(schema, document, Pool(0, oddity=0), {"a": value}))
    assert len(schema.runner.plans) == 2
    other = prepare(text.replace("sub", "groups"))
    data, _ = asyncio.run(run(schema, other, Pool(0, oddity=0), {"a": False}))
    assert json.loads(data) == {"viewer": {"username": "ann", "groups": ["Editors"]}}
    assert len(schema.runner.plans) == 3


def test_payload_is_read_before_the_next_mutation(schema: AdminSchema) -> None:
    """What is asked of a payload is as the mutation left it, odd rows or not."""
    document = prepare(
        """mutation {
            add: addUserToGroup(input: {username: "ann", groupName: "Editors"}) {
                user { fullName groups { nodes { name } } }
            }
            remove: removeUserFromGroup(input: {username: "ann", groupName: "Editors"}) {
                errors { code }
            }
        }"""
    )
    pools = [Pool(0, oddity=0) for _ in range(2)]
    for pool in pools:
        pool.users[0] = {**ANN, "Attributes": [{"Name": "name", "Value": 7}]}
    expected = asyncio.run(run(schema, document, pools[0], ordinarily=True))
    assert asyncio.run(run(schema, document, pools[1])) == expected
    assert pools[1].calls == pools[0].calls
    assert [operation for operation, _ in pools[0].calls] == [
        "AdminAddUserToGroup",
        "AdminGetUser",
        "AdminListGroupsForUser",
        "AdminRemoveUserFromGroup",
    ]


REFERENCES = """query ($references: [_Any!]!) {
    viewer { username }
    _entities(representations: $references) { ... on User { email } }
}"""


def test_refused_where_null_may_not_be(schema: AdminSchema) -> None:
    """The refusal of a field that may not be null takes the whole answer with it."""
    variables = {"references": [{"__typename": "User", "username": "ann"}]}
    answers = []
    for ordinarily in (True, False):
        document, pool = prepare(REFERENCES), Pool(0, oddity=0)
        answer = run(schema, document, pool, variables, ordinarily=ordinarily, caller=None)
        answers.append(asyncio.run(answer))
    assert all(document.compiled.values())
    assert answers[1] == answers[0]
    assert answers[0][0] == "null"


def test_null_among_references(schema: AdminSchema) -> None:
    """A variable of a custom scalar that may not be null is refused before anything is called."""
    pools = [Pool(0, oddity=0) for _ in range(2)]
    variables = {"references": [None]}
    document = prepare(REFERENCES)
    expected = asyncio.run(run(schema, document, pools[0], variables, ordinarily=True))
    assert asyncio.run(run(schema, document, pools[1], variables)) == expected
    assert expected[0] == "null"
    assert pools[1].calls == []
