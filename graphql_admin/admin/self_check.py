"""Checks at start-up that plans and the ordinary path agree, with versions that were not tested."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from graphql import ExecutionResult, GraphQLSchema

from graphql_admin.actions import Action
from graphql_admin.admin.context import Context
from graphql_admin.audit.log import Step
from graphql_admin.cognito.access import PoolReader
from graphql_admin.cognito.replies import Reply
from graphql_admin.engine.documents import Document, Documents, InvalidDocument
from graphql_admin.engine.limits import Limits
from graphql_admin.engine.runner import Runner
from graphql_admin.errors import Internal, UserNotFound
from graphql_admin.policy.decisions import Decisions
from graphql_admin.policy.grants import Grants, Policy, Rights
from graphql_admin.targets import Change, Done
from graphql_admin.tokens.caller import Caller, TokenUse


class Sample(NamedTuple):
    """A document, whose operation is executed in both ways."""

    document: str
    variables: Mapping[str, Any] = {}


SAMPLES = (
    Sample("{ viewer { __typename username groups actions } }"),
    Sample("""{ users(first: 2) {
        nodes { __typename id username sub email emailVerified status enabled createdAt }
        pageInfo { hasNextPage endCursor }
    } }"""),
    Sample("{ users { edges { cursor node { ...Card } } } } fragment Card on Node { id }"),
    Sample("{ users { nodes { attributes { name value } groups { nodes { name } } } } }"),
    Sample("{ groups(first: 3) { nodes { name description precedence createdAt } } }"),
    Sample(
        """query ($by: UserBy!, $with: Boolean!, $without: Boolean! = false) { user(by: $by) {
            username email @include(if: $with) fullName @skip(if: $with) sub @include(if: $without)
        } }""",
        {"by": {"username": "ann"}, "with": True},
    ),
    Sample(
        "query ($n: Int!, $filter: UserFilter) { users(first: $n, filter: $filter) {"
        " nodes { fullName } } }",
        {"n": 1, "filter": {"status": "CONFIRMED"}},
    ),
    Sample(
        """query ($of: [_Any!]!) { _entities(representations: $of) {
            __typename ... on User { email } ... on Group { precedence }
        } }""",
        {
            "of": [
                {"__typename": "User", "username": "ann"},
                {"__typename": "Group", "name": "Editors"},
                {"__typename": "User", "username": "nobody"},
            ]
        },
    ),
    Sample(
        """mutation ($input: AddUserToGroupInput!) {
            addUserToGroup(input: $input) {
                user { username email } group { name precedence } errors { code }
            }
        }""",
        {"input": {"username": "ann", "groupName": "Editors"}},
    ),
    # A name that is not a string: the ordinary path converts it, and nothing is done again.
    Sample(
        'mutation { disableUser(input: {username: "bob"}) { user { fullName } errors { code } } }'
    ),
    # Invalid variables.
    Sample("query ($n: Int!) { users(first: $n) { nodes { fullName } } }", {"n": "2"}),
)
"""One for each feature of plans: columns, fragments, resolved fields, merged fields, conditions,
variables and literals, abstract types, errors, and fallbacks to the ordinary path."""

_ANN = {
    "Username": "ann",
    "Attributes": [
        {"Name": "sub", "Value": "sub-of-ann"},
        {"Name": "email", "Value": "ann@example.com"},
        {"Name": "email_verified", "Value": "true"},
    ],
    "Enabled": True,
    "UserStatus": "CONFIRMED",
    "UserCreateDate": 1700000000.25,
}
_BOB = {"Username": "bob", "Attributes": [{"Name": "name", "Value": 7}]}
_CYD = {**_ANN, "Username": "cyd", "Enabled": False, "UserStatus": "RESET_REQUIRED"}
_EDITORS = {"GroupName": "Editors", "Precedence": 3, "CreationDate": 1700000000}
_GUESTS = {"GroupName": "Guests", "Description": "Guests"}

_LISTS: Mapping[str, Reply] = {
    "ListUsers": Reply({"Users": [_ANN, _CYD], "PaginationToken": "more"}),
    "ListGroups": Reply({"Groups": [_EDITORS, _GUESTS]}),
    "AdminListGroupsForUser": Reply({"Groups": [_EDITORS]}),
    "GetGroup": Reply({"Group": _EDITORS}),
}
_USERS: Mapping[str, Reply] = {"ann": Reply(_ANN), "bob": Reply(_BOB)}

_CALLER = Caller(
    username="ann",
    sub="sub-of-ann",
    groups=frozenset({"Editors"}),
    token_use=TokenUse.ACCESS,
    expires_at=0,
)


async def _call(*_: object, **__: object) -> Reply:
    raise Internal  # the context of the samples answers


class _IdleGate:
    """A gate that changes nothing."""

    async def attempt(
        self,
        context: Context,
        action: Action,
        change: Change,
        step: Step | None = None,  # noqa: ARG002
    ) -> Done:
        """Return the target without changing anything."""
        target = change.target()
        assert isinstance(context, _Offline)  # noqa: S101
        context.calls_made.append((action.label, target))
        return Done(target, {})


@dataclass
class _Offline(Context):
    """A request context whose user pool consists of the rows above."""

    calls_made: list[object] = field(default_factory=list)

    async def read(self, action: Action, operation: str, **parameters: object) -> Reply:
        """Answer like Cognito; see `Context`."""
        self.calls_made.append((action, operation, sorted(parameters.items())))
        await asyncio.sleep(0)
        if operation == "AdminGetUser":
            try:
                return _USERS[str(parameters["Username"])]
            except KeyError as error:
                raise UserNotFound from error
        return _LISTS[operation]


def _make_context() -> _Offline:
    return _Offline(
        caller=_CALLER,
        rights=Rights(frozenset(Action)),
        decisions=Decisions(Grants(Policy.of_administrators({"Admins"}))),
        pool=PoolReader("eu-west-1_AbCdEf123", _call),
        gate=_IdleGate(),
        deadline=0,
        max_calls=100,
    )


def plans_hold(schema: GraphQLSchema, runner: Runner) -> bool:
    """Tell whether plans and the ordinary path give equal results for the samples.

    Args:
        schema: The schema.
        runner: Executes its operations.
    """
    # In a new thread, because the event loop of this one may be running.
    with ThreadPoolExecutor(max_workers=1) as threads:
        return threads.submit(asyncio.run, _compare_all(schema, runner)).result()


async def _compare_all(schema: GraphQLSchema, runner: Runner) -> bool:
    fitting = list(fitting_samples(schema))
    try:
        same = [await _is_same(runner, document, variables) for document, variables in fitting]
    except Exception:  # noqa: BLE001  # any exception means that they do not
        return False
    return bool(same) and all(same)


def fitting_samples(schema: GraphQLSchema) -> Iterator[tuple[Document, dict[str, Any]]]:
    """Yield the samples that select no disabled field."""
    documents = Documents(
        schema,
        lambda _: False,
        introspection=False,
        max_tokens=1000,
        max_calls=0,
        limits=Limits(depth=20, aliases=20, directives=20, root_fields=20),
    )
    for sample in SAMPLES:
        try:
            yield documents.load(sample.document), dict(sample.variables)
        except InvalidDocument:
            continue


async def _is_same(runner: Runner, document: Document, variables: dict[str, Any]) -> bool:
    operation = document.operation(None)

    async def outcome(run: Callable[[Context], Awaitable[ExecutionResult]]) -> tuple[str, ...]:
        context = _make_context()
        result = await run(context)
        errors = [(error.message, error.path, error.locations) for error in result.errors or ()]
        # As strings, in which the order of keys counts. Errors and calls may come in any order.
        return (
            repr(result.data),
            repr(sorted(map(repr, errors))),
            repr(sorted(map(repr, context.calls_made))),
        )

    async def by_plan(context: Context) -> ExecutionResult:
        return (await runner.run_uncounted(document, operation, variables, context)).result

    async def ordinarily(context: Context) -> ExecutionResult:
        return await runner.run_ordinarily(document, operation, variables, context)

    return await outcome(by_plan) == await outcome(ordinarily)
