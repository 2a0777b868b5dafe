"""What it takes to answer a request, whichever protocol it came by.

Who asks, the bytes of the body, the execution within what the caller may do, and what an error
is to the client. The protocols themselves stand above: `http`, and Admin Queries in `amplify`.
"""

import asyncio
import traceback
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import orjson
import structlog
from graphql import (
    ExecutionResult,
    GraphQLError,
    OperationDefinitionNode,
    VariableDefinitionNode,
    print_ast,
)
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from graphql_admin.admin.context import Context, Gate
from graphql_admin.admin.permissions import rights_of
from graphql_admin.admin.schema import AdminSchema
from graphql_admin.cognito.access import PoolReader
from graphql_admin.cognito.shares import Places
from graphql_admin.engine.documents import Document
from graphql_admin.errors import (
    AdminError,
    BadUserInput,
    Internal,
    MalformedRequest,
    MethodNotAllowed,
    Overloaded,
    PayloadTooLarge,
    RequestTimedOut,
    ShuttingDown,
    Throttled,
    TimedOut,
    Unauthenticated,
    UnsupportedMediaType,
    UriTooLong,
)
from graphql_admin.policy.decisions import Decisions
from graphql_admin.policy.grants import Grants
from graphql_admin.telemetry import request_record as records
from graphql_admin.tokens.verifier import Caller, TokenVerifier, bearer_token

log = structlog.get_logger(__name__)

JSON = "application/json"

BODY_COMPLETE = "graphql_admin.body_complete"
"""The ASGI extension of requests whose bodies are there with their heads, and need no waiting."""

RETRY_AFTER = 1
"""Seconds after which a client that was turned away may come again."""


class Execution(NamedTuple):
    """What came of executing an operation."""

    result: ExecutionResult

    estimated: int
    """Calls of Cognito that it was expected to take."""

    calls: int
    """Calls of Cognito that it took."""


@dataclass(frozen=True, slots=True)
class Executor:
    """Executes documents for callers, within what they may do and what a request may cost."""

    schema: AdminSchema

    verifier: TokenVerifier

    grants: Grants

    decisions: Decisions

    reader: PoolReader

    gate: Gate

    max_calls: int
    """Calls of Cognito that one request may take."""

    places: Places
    """For requests that call Cognito, from when their bodies are here until their results are."""

    async def authenticate(self, authorization: str, deadline: float) -> Caller:
        """Return who asks.

        Args:
            authorization: The `Authorization` header.
            deadline: When to give up, in seconds of the event loop's clock.

        Raises:
            Unauthenticated: The token is not good.
            TimedOut: The deadline passed.
            UpstreamFailed: There are no keys to verify the token with.
        """
        caller = self.verifier.recall(authorization)
        if caller is None:
            try:
                async with asyncio.timeout_at(deadline):
                    caller = await self.verifier.verify(bearer_token(authorization))
            except TimeoutError as error:
                raise TimedOut("The token could not be verified in time.") from error
        records.current().sub = caller.sub
        return caller

    async def execute(
        self,
        document: Document,
        operation: OperationDefinitionNode,
        variables: dict[str, Any] | None,
        *,
        caller: Caller | None,
        deadline: float,
    ) -> Execution:
        """Execute an operation of a document that fits the schema.

        One that may call Cognito takes one of the caller's places meanwhile. Any other waits for
        nothing: it is carried out in one go, and is not refused for those that wait.

        Args:
            document: The document.
            operation: One of its operations.
            variables: Of the operation, as the client has them.
            caller: Who asks; None is a request without a token.
            deadline: When the answer is due, in seconds of the event loop's clock.

        Raises:
            InvalidDocument: The operation may take more calls of Cognito than are allowed, or its
                variables hold too much.
            Overloaded: The caller has no place left.
        """
        record = records.current()
        record.operation_kind = operation.operation.value
        record.operation_name = operation.name.value if operation.name else None
        estimated = document.estimate(operation, variables)
        context = Context(
            caller=caller,
            rights=rights_of(caller, self.grants),
            decisions=self.decisions,
            plans=document.plans,
            pool=self.reader,
            gate=self.gate,
            deadline=deadline,
            max_calls=self.max_calls,
        )
        if not estimated:
            result = await self.schema.run(document.ast, operation, variables, context)
            return Execution(result, estimated, context.calls)
        holder = "" if caller is None else caller.sub
        if not self.places.take(holder):
            raise Overloaded
        try:
            result = await self.schema.run(document.ast, operation, variables, context)
        finally:
            self.places.give_back(holder)
        return Execution(result, estimated, context.calls)


class Incoming:
    """An HTTP request as it comes in.

    Starlette's own decodes the headers for each look at one of them, and reads a body, which most
    often is there in one piece, through a generator.

    Args:
        scope: The ASGI scope.
        receive: The ASGI channel of the body.
    """

    __slots__ = ("_headers", "_receive", "scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self._receive = receive
        # Of those with the same name the first counts, as for Starlette.
        self._headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))

    @property
    def method(self) -> str:
        """The HTTP method."""
        method: str = self.scope["method"]
        return method

    def header(self, name: bytes) -> str | None:
        """Return the first header with this name, which is in lower case."""
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")

    def headers(self, name: bytes) -> tuple[str, ...]:
        """Return all headers with this name, which is in lower case."""
        return tuple(v.decode("latin-1") for n, v in self.scope["headers"] if n == name)

    def media_type(self) -> str:
        """Return the media type of a body that is text in UTF-8, as it stands; "" if none is said.

        Raises:
            UnsupportedMediaType: The body is in another charset, or compressed.
        """
        return _media_type(
            self._headers.get(b"content-type", b""),
            self._headers.get(b"content-encoding", b"identity"),
        )

    async def body(self, *, max_size: int, deadline: float) -> bytearray:
        """Return the body.

        Args:
            max_size: Bytes that the body may have.
            deadline: When to give up, in seconds of the event loop's clock.

        Raises:
            PayloadTooLarge: It is, or says that it will be, longer.
            RequestTimedOut: It did not arrive in time.
            ClientDisconnect: The client went away.
        """
        length = self._headers.get(b"content-length", b"0")
        if not length.isdigit() or float(length) > max_size:  # of any number of digits
            raise PayloadTooLarge
        if BODY_COMPLETE in self.scope.get("extensions", ()):
            return await self._receive_body(max_size)
        try:
            async with asyncio.timeout_at(deadline):
                return await self._receive_body(max_size)
        except TimeoutError as error:
            raise RequestTimedOut from error

    async def _receive_body(self, max_size: int) -> bytearray:
        body = bytearray()
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body += message.get("body", b"")
            if len(body) > max_size:
                raise PayloadTooLarge
            if not message.get("more_body", False):
                return body

    def query_string(self, *, max_size: int) -> dict[str, Any]:
        """Return the parameters in the URL; an empty one is one that is not there.

        Args:
            max_size: Bytes that the query string may have.

        Raises:
            UriTooLong: It is longer.
            MalformedRequest: It is not UTF-8. What is lost of a name would make it another.
        """
        query: bytes = self.scope["query_string"]
        if len(query) > max_size:
            raise UriTooLong
        try:
            parameters = parse_qsl(query.decode(), keep_blank_values=True, errors="strict")
        except ValueError as error:
            raise MalformedRequest("The query string must be in UTF-8.") from error
        return {name: value for name, value in dict(parameters).items() if value}


_USUAL = frozenset({b"application/json", b"application/json; charset=utf-8"})

MAX_CONTENT_TYPE = 256
"""Characters of a `Content-Type` header. What is longer is no type that is read here."""


def _media_type(content_type: bytes, content_encoding: bytes) -> str:
    if content_type in _USUAL and content_encoding == b"identity":
        return JSON
    if len(content_type) > MAX_CONTENT_TYPE:
        raise UnsupportedMediaType
    media_type, *parameters = (
        part.strip().lower() for part in content_type.decode("latin-1").split(";")
    )
    charset = next((p.partition("=")[2] for p in parameters if p.startswith("charset=")), "utf-8")
    if charset.strip('"') != "utf-8" or content_encoding.lower() != b"identity":
        raise UnsupportedMediaType
    return media_type


def decode(text: bytearray | str, what: str) -> Any:
    """Return the value that is written in JSON.

    Raises:
        MalformedRequest: It is not JSON. The message says so of `what`.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise MalformedRequest(f"{what} must be JSON, in UTF-8.") from error


def to_object(value: Any, what: str) -> dict[str, Any]:
    """Return a decoded value that is an object.

    Raises:
        MalformedRequest: It is not. The message says so of `what`.
    """
    if not isinstance(value, dict):
        raise MalformedRequest(f"{what} must be a JSON object.")
    return value


def headers_of(refusal: AdminError) -> dict[str, str]:
    """Return the headers that a response must have where `refusal` is the whole answer."""
    if isinstance(refusal, Unauthenticated):
        return {"www-authenticate": "Bearer"}
    if isinstance(refusal, MethodNotAllowed):
        return {"allow": refusal.allowed}
    if isinstance(refusal, Throttled):
        return {"retry-after": str(ceil(refusal.retry_after))}
    if isinstance(refusal, Overloaded | ShuttingDown):
        return {"retry-after": str(RETRY_AFTER)}
    if isinstance(refusal, RequestTimedOut):
        return {"connection": "close"}  # or the rest would be taken for a request
    return {}


def classify(error: GraphQLError) -> AdminError:
    """Return what an error of an execution is to the client; log it if it is a fault of ours."""
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


def log_fault(error: BaseException) -> None:
    """Log a fault of this server: what and where, not the message, which may hold anything."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown"
    log.error("internal error", exception=type(error).__name__, where=where)
