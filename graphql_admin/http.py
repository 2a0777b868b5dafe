"""GraphQL over HTTP: the request's body and headers in, the response's out.

Follows https://graphql.github.io/graphql-over-http/draft/. Where its drafts differ, it goes by
what the community's audits (the npm package `graphql-http`) ask for: a request that cannot be
executed is 400 (not 422), or 200 for a client that accepts no more than `application/json`.
"""

import asyncio
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
import structlog
from graphql import GraphQLError, VariableDefinitionNode, print_ast
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graphql_admin import records
from graphql_admin.audit import AuditLog
from graphql_admin.auth import Caller, TokenVerifier, bearer_token
from graphql_admin.cognito import UserPool
from graphql_admin.context import Context
from graphql_admin.documents import Documents, InvalidDocument, is_mutation
from graphql_admin.errors import (
    AdminError,
    BadUserInput,
    Internal,
    MalformedRequest,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    PayloadTooLarge,
    QueryTooExpensive,
    RequestTimedOut,
    TimedOut,
    Unauthenticated,
    UnsupportedMediaType,
    UriTooLong,
)
from graphql_admin.permissions import Policy
from graphql_admin.schema import AdminSchema

log = structlog.get_logger(__name__)

GRAPHQL_RESPONSE = "application/graphql-response+json"
JSON = "application/json"
MEDIA_TYPES = (JSON, GRAPHQL_RESPONSE)
"""What answers may be in; where a client leaves it open, the first."""


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """What a client asks to be executed."""

    query: str
    operation_name: str | None
    variables: dict[str, Any] | None
    wants_cost: bool
    """Whether to report what it cost, which `extensions: {"cost": true}` asks for."""

    @classmethod
    def from_mapping(cls, parameters: Mapping[str, Any]) -> "GraphQLRequest":
        """Make a request from the decoded parameters of a body or query string.

        Raises:
            MalformedRequest: A parameter is missing or not of its type.
        """
        query = parameters.get("query")
        if not isinstance(query, str) or not query:
            raise MalformedRequest("`query` must be a text with a GraphQL document.")
        operation_name = parameters.get("operationName")
        if not isinstance(operation_name, str | None):
            raise MalformedRequest("`operationName` must be a text.")
        for name in ("variables", "extensions"):
            if not isinstance(parameters.get(name), dict | None):
                raise MalformedRequest(f"`{name}` must be an object.")
        extensions = parameters.get("extensions") or {}
        return cls(
            query,
            operation_name or None,
            parameters.get("variables"),
            wants_cost=extensions.get("cost") is True,
        )


class GraphQLEndpoint:
    """The HTTP endpoint that executes GraphQL requests.

    Args:
        schema: What is executed.
        documents: The cache of documents of that schema.
        verifier: Verifies tokens.
        policy: Says what a caller may do.
        pool: The user pool.
        audit: Where the events of mutations go.
        deadline: Seconds that one request may take, from its headers on.
        max_body: Bytes that a body or a query string may have.
        max_calls: Calls of Cognito that one request may take.
        anonymous: Whether requests without a token may read the schema.
    """

    def __init__(
        self,
        *,
        schema: AdminSchema,
        documents: Documents,
        verifier: TokenVerifier,
        policy: Policy,
        pool: UserPool,
        audit: AuditLog,
        deadline: float,
        max_body: int,
        max_calls: int,
        anonymous: bool,
    ) -> None:
        self._schema = schema
        self._documents = documents
        self._verifier = verifier
        self._policy = policy
        self._pool = pool
        self._audit = audit
        self._deadline = deadline
        self._max_body = max_body
        self._max_calls = max_calls
        self._anonymous = anonymous

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; see https://asgi.readthedocs.io."""
        response = await self._respond(Request(scope, receive))
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        """Return the answer; whatever goes wrong is a well-formed answer too."""
        media_type = JSON
        try:
            media_type = negotiate(tuple(request.headers.getlist("accept")))
            return await self._answer(request, media_type)
        except InvalidDocument as invalid:
            # A client that accepts only application/json is told errors in the body alone.
            status = invalid.kind.status if media_type == GRAPHQL_RESPONSE else 200
            return _respond(
                {"errors": [_describe(error, invalid.kind) for error in invalid.errors]},
                media_type,
                status,
            )
        except AdminError as refusal:
            return refuse(refusal, media_type)
        except ClientDisconnect:
            return Response(status_code=400)  # there is nobody to read it
        except Exception as error:  # noqa: BLE001  # a fault of ours is an answer too
            log_fault(error)
            return refuse(Internal(), media_type)

    async def _answer(self, http_request: Request, media_type: str) -> Response:
        if http_request.method == "OPTIONS":
            return Response(status_code=204, headers={"allow": MethodNotAllowed().allowed})
        if http_request.method not in {"GET", "HEAD", "POST"}:
            raise MethodNotAllowed
        deadline = asyncio.get_running_loop().time() + self._deadline
        caller = await self._authenticate(http_request, deadline)
        if http_request.method == "POST":
            parameters = await self._read_body(http_request, deadline)
        else:
            parameters = self._read_query_string(http_request)
        request = GraphQLRequest.from_mapping(parameters)
        document = self._documents.load(request.query)
        operation = document.operation(request.operation_name)
        if http_request.method != "POST" and is_mutation(operation):
            raise MethodNotAllowed("A mutation takes a POST.", allowed="POST")
        record = records.current()
        record.sub = caller.sub if caller else None
        record.operation_kind = operation.operation.value
        record.operation_name = operation.name.value if operation.name else None
        estimated = document.cost(operation).calls(request.variables)
        if estimated > self._max_calls:
            problem = GraphQLError(
                f"The query may take {estimated} or more calls of the user pool. At most "
                f"{self._max_calls} are allowed: ask for less at a time."
            )
            raise InvalidDocument(QueryTooExpensive, [problem])
        context = Context(
            caller=caller,
            allowed=self._policy.actions_of(caller),
            plans=document.plans,
            pool=self._pool,
            audit=self._audit,
            deadline=deadline,
            max_calls=self._max_calls,
        )
        result = await self._schema.run(
            document.ast, request.operation_name, request.variables, context
        )
        body: dict[str, Any] = {"data": result.data}
        status = 200
        if result.errors:
            body = {"errors": [_describe(error) for error in result.errors], **body}
            if result.data is None and all(error.path is None for error in result.errors):
                # The variables did not fit: nothing was executed, so there is no `data`.
                del body["data"]
                status = 400 if media_type == GRAPHQL_RESPONSE else 200
            if any(isinstance(error.original_error, Unauthenticated) for error in result.errors):
                return refuse(Unauthenticated(), media_type)
        if request.wants_cost:
            body["extensions"] = {"cost": {"estimated": estimated, "calls": context.calls}}
        return _respond(body, media_type, status)

    async def _authenticate(self, request: Request, deadline: float) -> Caller | None:
        authorization = request.headers.get("authorization")
        if authorization is not None:
            try:
                async with asyncio.timeout_at(deadline):
                    return await self._verifier.verify(bearer_token(authorization))
            except TimeoutError as error:
                raise TimedOut("The token could not be verified in time.") from error
        if self._anonymous:
            return None
        raise Unauthenticated

    async def _read_body(self, request: Request, deadline: float) -> Mapping[str, Any]:
        if not _is_json(request.headers):
            raise UnsupportedMediaType
        length = request.headers.get("content-length", "0")
        if not length.isdecimal() or float(length) > self._max_body:  # of any number of digits
            raise PayloadTooLarge
        body = bytearray()
        try:
            async with asyncio.timeout_at(deadline):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > self._max_body:
                        raise PayloadTooLarge
        except TimeoutError as error:
            raise RequestTimedOut from error
        return _to_object(_decode(bytes(body), "The body"), "The body")

    def _read_query_string(self, request: Request) -> Mapping[str, Any]:
        if len(request.scope["query_string"]) > self._max_body:
            raise UriTooLong
        # An empty parameter is one that is not there.
        parameters: dict[str, Any] = {k: v for k, v in request.query_params.items() if v}
        for name in {"variables", "extensions"} & parameters.keys():
            parameters[name] = _decode(parameters[name], f"`{name}`")
        return parameters


@lru_cache(maxsize=256)  # clients send few different ones
def negotiate(accept: tuple[str, ...]) -> str:
    """Choose the media type of the response, by RFC 9110, section 12.5.1.

    Args:
        accept: The `Accept` headers. Without one, or where any type will do, it is
            `application/json`, as before the GraphQL-over-HTTP specification.

    Raises:
        NotAcceptable: The client takes none that there is.
    """
    if not accept:
        return JSON
    qualities: dict[str, float] = {}
    for item in ",".join(accept).split(","):
        media_range, *parameters = (part.strip().lower() for part in item.split(";"))
        qualities.setdefault(media_range, _quality(parameters))
    best, best_quality = None, 0.0
    # Of two that the client likes as well, the one it names first, and one that it names.
    for media_type in sorted(MEDIA_TYPES, key=[*qualities, *MEDIA_TYPES].index):
        # The range that fits most narrowly has the say.
        fitting = next((r for r in (media_type, "application/*", "*/*") if r in qualities), None)
        quality = qualities[fitting] if fitting else 0.0
        if quality > best_quality:
            best, best_quality = media_type, quality
    if best is None:
        raise NotAcceptable
    return best


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def _is_json(headers: Headers) -> bool:
    """Whether the body is JSON as it stands, in UTF-8; a form or a text never passes."""
    media_type, *parameters = (
        part.strip().lower() for part in headers.get("content-type", "").split(";")
    )
    charset = next((p.partition("=")[2] for p in parameters if p.startswith("charset=")), "utf-8")
    return (
        media_type == JSON
        and charset.strip('"') == "utf-8"
        and headers.get("content-encoding", "identity").lower() == "identity"
    )


def _decode(text: bytes | str, what: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise MalformedRequest(f"{what} must be JSON, in UTF-8.") from error


def _to_object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedRequest(f"{what} must be a JSON object.")
    return value


def refuse(refusal: AdminError, media_type: str) -> Response:
    """Return the response of a request that was refused whole."""
    response = _respond({"errors": [_to_json(refusal)]}, media_type, refusal.status)
    if isinstance(refusal, Unauthenticated):
        response.headers["www-authenticate"] = "Bearer"
    if isinstance(refusal, MethodNotAllowed):
        response.headers["allow"] = refusal.allowed
    if isinstance(refusal, RequestTimedOut):
        response.headers["connection"] = "close"  # or the rest would be taken for a request
    return response


async def refuse_path(_: Request, error: Exception) -> Response:
    """Answer for the router, where it finds no route, or none for the method."""
    assert isinstance(error, HTTPException)  # noqa: S101  # it is registered for that
    if error.status_code == MethodNotAllowed.status and error.headers:
        allowed = ", ".join(sorted(error.headers["Allow"].split(", ")))
        return refuse(MethodNotAllowed(f"Use {allowed}.", allowed=allowed), JSON)
    return refuse(NotFound(), JSON)


class FaultBarrier:
    """Middleware that turns whatever goes wrong behind it into a well-formed answer.

    Starlette and uvicorn would log the traceback with its message, which may hold anything.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; see https://asgi.readthedocs.io."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def note_start(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, note_start)
        except Exception as error:  # noqa: BLE001  # that is what it is for
            log_fault(error)
            if not started:  # or the connection is closed on the half answer
                await refuse(Internal(), JSON)(scope, receive, send)


def _respond(body: Mapping[str, Any], media_type: str, status: int) -> Response:
    return Response(
        orjson.dumps(body),
        status_code=status,
        media_type=f"{media_type}; charset=utf-8",
    )


def _describe(error: GraphQLError, kind: type[AdminError] | None = None) -> dict[str, Any]:
    """Return an error of the response, with a code and without what is not for clients.

    Args:
        error: As it came from parsing, validation or execution.
        kind: What it is, where it comes from parsing or validation.
    """
    admin_error = _classify(error) if kind is None else kind(error.message)
    described = _to_json(admin_error)
    if error.locations:
        described["locations"] = [location.formatted for location in error.locations]
    if error.path is not None:
        described["path"] = error.path
    return described


def _classify(error: GraphQLError) -> AdminError:
    cause = error.original_error
    if isinstance(cause, AdminError):
        return cause
    if error.path is None:
        return BadUserInput(_describe_variable(error))
    if isinstance(cause, GraphQLError) and cause.nodes:
        # An argument did not fit in the end, once the variables in it had their values. The
        # message would repeat them.
        return BadUserInput("An argument of this field is not valid.")
    log_fault(cause or error)
    return Internal()


def _describe_variable(error: GraphQLError) -> str | None:
    """Return which variable did not fit, without its value, which is nobody's business."""
    for node in error.nodes or ():
        if isinstance(node, VariableDefinitionNode):
            return f"Variable `${node.variable.name.value}` must be a `{print_ast(node.type)}`."
    return None


def _to_json(error: AdminError) -> dict[str, Any]:
    records.current().codes.add(error.code)
    extensions = {"code": error.code}
    if isinstance(error, BadUserInput) and error.field:
        extensions["field"] = error.field
    return {"message": error.message, "extensions": extensions}


def log_fault(error: BaseException) -> None:
    """Log a fault of this server: what and where, not the message, which may hold anything."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown"
    log.error("internal error", exception=type(error).__name__, where=where)
