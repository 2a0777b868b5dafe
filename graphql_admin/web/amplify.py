"""The REST routes of Amplify's Admin Queries, each an operation of the schema.

A route is a GraphQL document whose aliases are the names that Admin Queries uses in its responses.
It is executed like a client's document, so that permissions, audit, quotas and errors are the same
as in GraphQL; only what is specific to REST is here. A route has the name of its action.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import orjson
from graphql import OperationDefinitionNode
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from graphql_admin.actions import Action
from graphql_admin.admin.guards import takes_call
from graphql_admin.admin.pagination import DEFAULT_FIRST, MAX_FIRST
from graphql_admin.engine.documents import Document, Documents, is_mutation
from graphql_admin.engine.limits import Limits
from graphql_admin.errors import (
    ActionFailed,
    AdminError,
    BadUserInput,
    GroupNotFound,
    MalformedRequest,
    MethodNotAllowed,
    NotFound,
    Unauthenticated,
    UnsupportedMediaType,
    UserNotFound,
)
from graphql_admin.web.answers import Failure, classify, refuse_as
from graphql_admin.web.executor import Executor
from graphql_admin.web.incoming import JSON, Incoming, decode, keep_plus, to_object

FORM = "application/x-www-form-urlencoded"

Members = Mapping[str, Any]
"""The values of a JSON object, by name."""


@dataclass(frozen=True, slots=True)
class AdminQuery:
    """The document of a route, and how its response is made."""

    document: str
    """The GraphQL document; its variables are the route's parameters."""

    reply: Callable[[Members, Members], dict[str, Any]]
    """Makes the response from `data` and the parameters; raises the AdminError found in `data`."""

    names_pool: bool = False
    """Whether its groups have the pool's id."""


def _message(message: str) -> Callable[[Members, Members], dict[str, Any]]:
    def reply(data: Members, parameters: Members) -> dict[str, Any]:
        for error in data["payload"]["errors"]:
            raise _PAYLOAD_ERRORS[error["code"]](error["message"])
        return {"message": message.format_map(parameters)}

    return reply


_PAYLOAD_ERRORS: Mapping[str, type[AdminError]] = {
    **{kind.code: kind for kind in ActionFailed.__subclasses__()},
    "INVALID_VALUE": BadUserInput,
}


def _show_user(data: Members, _: Members) -> dict[str, Any]:
    if data["user"] is None:
        raise UserNotFound
    return _without_nulls(data["user"])


def _show_page(data: Members, _: Members) -> dict[str, Any]:
    return _to_page(data["page"])


def _show_page_of(missing: type[AdminError]) -> Callable[[Members, Members], dict[str, Any]]:
    def show(data: Members, _: Members) -> dict[str, Any]:
        page = data["_entities"][0]["page"]
        if page is None:
            raise missing
        return _to_page(page)

    return show


def _to_page(page: Members) -> dict[str, Any]:
    position = page["pageInfo"]
    reply = {
        rows: [_without_nulls(row) for row in page[rows]]
        for rows in ("Users", "Groups")
        if rows in page
    }
    if position["hasNextPage"]:
        reply["NextToken"] = position["endCursor"]
    return reply


def _without_nulls(row: Members) -> dict[str, Any]:
    """Return a user or group without null members, as Cognito does.

    Its dates are as in Admin Queries: `Timestamp` has the format of JavaScript's `toISOString`.
    """
    return {name: value for name, value in row.items() if value is not None}


_USER = """
    Username: username
    %s: attributes { Name: name Value: value }
    UserCreateDate: createdAt
    UserLastModifiedDate: updatedAt
    Enabled: enabled
    UserStatus: userStatus
"""

_USERS = "{ Users: nodes { %s } pageInfo { hasNextPage endCursor } }" % (_USER % "Attributes")

_PAGE = "{ Groups: nodes { %s } pageInfo { hasNextPage endCursor } }"

_GROUPS = (
    _PAGE
    % """
    GroupName: name
    Description: description
    Precedence: precedence
    RoleArn: roleArn
    CreationDate: createdAt
    LastModifiedDate: updatedAt
"""
)

_GROUPS_OF_USER = (
    _PAGE
    % """
    GroupName: name
    Description: description
"""
)
"""Admin Queries takes the other members out: apps of ordinary users may call this route."""


def _of_user(mutation: str) -> str:
    return f"""mutation {mutation}($username: String!) {{
        payload: {mutation}(input: {{username: $username}}) {{ errors {{ code message }} }}
    }}"""


def _of_membership(mutation: str) -> str:
    return f"""mutation {mutation}($username: String!, $groupname: String!) {{
        payload: {mutation}(input: {{username: $username, groupName: $groupname}}) {{
            errors {{ code message }}
        }}
    }}"""


# The lists of a user or group start from a reference. Its key fields take neither the right to read
# the user or group nor a call.
ADMIN_QUERIES: Mapping[Action, AdminQuery] = {
    Action.ADD_USER_TO_GROUP: AdminQuery(
        _of_membership("addUserToGroup"), _message("Success adding {username} to {groupname}")
    ),
    Action.REMOVE_USER_FROM_GROUP: AdminQuery(
        _of_membership("removeUserFromGroup"), _message("Removed {username} from {groupname}")
    ),
    Action.CONFIRM_USER_SIGN_UP: AdminQuery(
        _of_user("confirmUserSignUp"), _message("Confirmed {username} registration")
    ),
    Action.DISABLE_USER: AdminQuery(_of_user("disableUser"), _message("Disabled {username}")),
    Action.ENABLE_USER: AdminQuery(_of_user("enableUser"), _message("Enabled {username}")),
    Action.SIGN_USER_OUT: AdminQuery(
        _of_user("signUserOut"), _message("Signed out {username} from all devices")
    ),
    Action.GET_USER: AdminQuery(
        f"""query getUser($username: String!) {{
            user(by: {{username: $username}}) {{ {_USER % "UserAttributes"} }}
        }}""",
        _show_user,
    ),
    Action.LIST_USERS: AdminQuery(
        f"""query listUsers($limit: Int!, $token: String) {{
            page: users(first: $limit, after: $token) {_USERS}
        }}""",
        _show_page,
    ),
    Action.LIST_GROUPS: AdminQuery(
        f"""query listGroups($limit: Int!, $token: String) {{
            page: groups(first: $limit, after: $token) {_GROUPS}
        }}""",
        _show_page,
        names_pool=True,
    ),
    Action.LIST_GROUPS_FOR_USER: AdminQuery(
        f"""query listGroupsForUser($username: String!, $limit: Int!, $token: String) {{
            _entities(representations: [{{__typename: "User", username: $username}}]) {{
                ... on User {{ page: groups(first: $limit, after: $token) {_GROUPS_OF_USER} }}
            }}
        }}""",
        _show_page_of(UserNotFound),
    ),
    Action.LIST_USERS_IN_GROUP: AdminQuery(
        f"""query listUsersInGroup($groupname: String!, $limit: Int!, $token: String) {{
            _entities(representations: [{{__typename: "Group", name: $groupname}}]) {{
                ... on Group {{ page: users(first: $limit, after: $token) {_USERS} }}
            }}
        }}""",
        _show_page_of(GroupNotFound),
    ),
}

_LIMITS = Limits(depth=10, aliases=30, directives=0, root_fields=1)
"""Limits for the documents above, which do not come from clients."""

_MAX_TOKENS = 200


class AdminQueriesEndpoint:
    """The HTTP endpoint of all routes; the path parameter `name` says which.

    Args:
        executor: Executes the documents of the routes.
        disabled: The disabled actions, which get no route.
        deadline: Seconds that one request may take, from its headers on.
        max_body: Bytes that a body or a query string may have.

    Raises:
        InvalidDocument: A document above is not valid.
    """

    def __init__(
        self, executor: Executor, *, disabled: Collection[Action], deadline: float, max_body: int
    ) -> None:
        documents = Documents(
            executor.schema.graphql_schema,
            takes_call,
            introspection=False,
            max_tokens=_MAX_TOKENS,
            max_calls=executor.max_calls,
            limits=_LIMITS,
        )
        self._executor = executor
        self._routes = {
            action.label: _Route(documents.load(query.document), query.reply, query.names_pool)
            for action, query in ADMIN_QUERIES.items()
            if action not in disabled
        }
        self._deadline = deadline
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; see https://asgi.readthedocs.io."""
        response = await self._respond(Incoming(scope, receive))
        await response(scope, receive, send)

    async def _respond(self, request: Incoming) -> Response:
        """Return the response; any exception becomes a response too."""
        try:
            return await self._answer(request)
        except Exception as error:  # noqa: BLE001  # a fault of the server becomes a response too
            return refuse_as(_write_failure, error)

    async def _answer(self, request: Incoming) -> Response:
        route = self._routes.get(request.scope["path_params"]["name"].removesuffix("/"))
        if route is None:
            raise NotFound
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={"allow": ", ".join(route.methods)})
        if request.method not in route.methods:
            allowed = ", ".join(route.methods)
            raise MethodNotAllowed(f"Use {route.methods[0]}.", allowed=allowed)
        deadline = asyncio.get_running_loop().time() + self._deadline
        authorization = request.header(b"authorization")
        if authorization is None:
            raise Unauthenticated
        caller = await self._executor.authenticate(authorization, deadline)
        parameters = route.read(await self._read(request, deadline))
        execution = await self._executor.execute(
            route.document,
            route.operation,
            parameters,
            caller=caller,
            deadline=deadline,
        )
        for error in execution.result.errors or ():
            raise classify(error) from error
        reply = route.reply(execution.result.data or {}, parameters)
        if route.names_pool:
            for group in reply["Groups"]:
                group["UserPoolId"] = self._executor.reader.pool_id
        return Response(orjson.dumps(reply), media_type=JSON)

    async def _read(self, request: Incoming, deadline: float) -> Members:
        if request.method != "POST":
            # Amplify's client for Swift writes the `+` of `bob+x@example.com` as it is, and no name
            # has a space.
            return request.query_string(max_size=self._max_body, has_spaces=False)
        media_type = request.media_type()
        # Amplify's client for iOS sends JSON without a content type.
        if media_type not in {"", JSON, FORM}:
            raise UnsupportedMediaType("Send JSON or a form, in UTF-8.")
        body = await request.body(max_size=self._max_body, deadline=deadline)
        if media_type == FORM:
            return _decode_form(body)
        return to_object(decode(body, "The body"), "The body")


@dataclass(frozen=True, slots=True)
class _Route:
    """A route with a valid document."""

    document: Document
    reply: Callable[[Members, Members], dict[str, Any]]
    names_pool: bool

    @property
    def operation(self) -> OperationDefinitionNode:
        """The document's only operation."""
        return self.document.operation(None)

    @property
    def methods(self) -> tuple[str, ...]:
        """The HTTP methods of the route."""
        return ("POST", "OPTIONS") if is_mutation(self.operation) else ("GET", "HEAD", "OPTIONS")

    def read(self, given: Members) -> dict[str, Any]:
        """Return the variables for the document.

        Args:
            given: The decoded body or query string. Unknown parameters are ignored.

        Raises:
            BadUserInput: A parameter is missing, or of the wrong type.
        """
        names = (node.variable.name.value for node in self.operation.variable_definitions or ())
        return {name: _READERS.get(name, _read_name)(name, given.get(name)) for name in names}


def _read_name(name: str, value: object) -> str:
    # An empty string is not rejected here, so that the attempt is recorded, as in GraphQL.
    if not isinstance(value, str):
        raise BadUserInput(f"`{name}` is required, as a string.", field=name)
    return value


def _read_limit(name: str, value: object) -> int:
    text = str(value or 0)
    if not (text.isascii() and text.isdecimal() and len(text) < 4 and int(text) <= MAX_FIRST):
        message = f"`{name}` must be an integer from 0 to {MAX_FIRST}."
        raise BadUserInput(message, field=name)
    return int(text) or DEFAULT_FIRST


def _read_token(_: str, value: object) -> object:
    # Amplify's JavaScript client sends this for an undefined variable, as in the loop over pages in
    # its documentation. No cursor looks like it.
    return None if value in {"undefined", "null"} else value


_READERS: Mapping[str, Callable[[str, object], object]] = {
    "limit": _read_limit,
    "token": _read_token,
}
"""Readers of the parameters that are not names."""


def _decode_form(body: bytearray) -> dict[str, str]:
    try:
        fields = parse_qsl(
            keep_plus(body.decode()), keep_blank_values=True, errors="strict", max_num_fields=100
        )
    except ValueError as error:
        raise MalformedRequest("The body must be a form, in UTF-8.") from error
    return dict(fields)


def _write_failure(failure: Failure) -> Response:
    first = failure.errors[0]
    body = {"message": first["message"], "code": first["extensions"]["code"]}
    return Response(orjson.dumps(body), failure.status, failure.headers, media_type=JSON)
