"""How errors become responses, in GraphQL and in REST."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import ceil
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import orjson
from graphql import GraphQLError, VariableDefinitionNode, print_ast
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from graphql_admin.engine.documents import InvalidDocument, places_of
from graphql_admin.errors import (
    AdminError,
    BadUserInput,
    Internal,
    MethodNotAllowed,
    Overloaded,
    RequestTimedOut,
    ShuttingDown,
    Throttled,
    TooManyErrors,
    Unauthenticated,
)
from graphql_admin.telemetry import request_record
from graphql_admin.telemetry.log import log_fault
from graphql_admin.web.incoming import JSON

GRAPHQL_RESPONSE = "application/graphql-response+json"
MEDIA_TYPES = (JSON, GRAPHQL_RESPONSE)
"""The media types of responses; the first is the default."""


MAX_ERRORS = 100
"""Most errors in a response; one more says how many were left out."""

RETRY_AFTER = 1
"""The value of `Retry-After` in seconds, where the server is overloaded or shutting down."""


_CONTENT_TYPES = {media_type: f"{media_type}; charset=utf-8".encode() for media_type in MEDIA_TYPES}


class Answer(Response):
    """A JSON response. Starlette's does more lookups, and encodes each header each time.

    Args:
        body: The value to encode.
        media_type: One of `MEDIA_TYPES`.
        status: The HTTP status.
        headers: Further headers, with names in lower case.
    """

    def __init__(
        self,
        body: Mapping[str, Any],
        media_type: str,
        status: int = 200,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.status_code = status
        self.background = None
        self.body = orjson.dumps(body)
        self.raw_headers = [
            (b"content-length", b"%d" % len(self.body)),
            (b"content-type", _CONTENT_TYPES[media_type]),
            *[(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
        ]


class Failure(NamedTuple):
    """The error response to a request that was rejected as a whole."""

    errors: list[dict[str, Any]]
    """In the format of GraphQL; at least one."""

    status: int
    """The HTTP status."""

    headers: Mapping[str, str] = MappingProxyType({})
    """Headers that the status requires, with names in lower case."""

    of_document: bool = False
    """Whether the GraphQL document cannot be executed."""


Write: TypeAlias = Callable[[Failure], Response]
"""Writes a failure in the format of a protocol."""


def refuse(error: Exception, media_type: str = JSON) -> Response:
    """Return GraphQL's response to a request that was rejected as a whole.

    Args:
        error: The exception; unless it is an `AdminError`, it is logged as a fault of this server.
        media_type: One of `MEDIA_TYPES`.
    """
    return refuse_as(partial(_write_graphql, media_type), error)


def refuse_as(write: Write, error: Exception) -> Response:
    """Return a protocol's response to a request that was rejected as a whole; see `refuse`."""
    if isinstance(error, ClientDisconnect):
        return Response(status_code=400)  # the client has gone away
    if isinstance(error, InvalidDocument):
        errors = [_describe(each, error.kind) for each in error.errors]
        return write(Failure(errors, error.kind.status, of_document=True))
    if not isinstance(error, AdminError):
        log_fault(error)
        error = Internal()
    return write(Failure([_to_json(error)], error.status, _headers_of(error)))


def _write_graphql(media_type: str, failure: Failure) -> Response:
    # A client that accepts only application/json gets errors in the body alone, with status 200.
    in_body = failure.of_document and media_type != GRAPHQL_RESPONSE
    status = 200 if in_body else failure.status
    return Answer({"errors": failure.errors}, media_type, status, failure.headers)


def _headers_of(error: AdminError) -> dict[str, str]:
    """Return the headers that a response must have if an error is all of it."""
    if isinstance(error, Unauthenticated):
        return {"www-authenticate": "Bearer"}
    if isinstance(error, MethodNotAllowed):
        return {"allow": error.allowed}
    if isinstance(error, Throttled):
        return {"retry-after": str(ceil(error.retry_after))}
    if isinstance(error, Overloaded | ShuttingDown):
        return {"retry-after": str(RETRY_AFTER)}
    if isinstance(error, RequestTimedOut):
        return {"connection": "close"}  # or the rest of the body would be parsed as a request
    return {}


def classify(error: GraphQLError) -> AdminError:
    """Return the error to report for an exception; log it if it is a fault of this server."""
    cause = error.original_error
    if isinstance(cause, AdminError):
        return cause
    if error.path is None:
        return BadUserInput(_describe_variable(error))
    if isinstance(cause, GraphQLError) and cause.nodes:
        # An argument was invalid once the values of its variables were known. The message would
        # quote them.
        return _describe_argument(cause.message)
    log_fault(cause or error)
    return Internal()


def _describe_argument(message: str) -> BadUserInput:
    """Return an error of an argument, from the message that graphql-core has for it."""
    found = _ARGUMENT.match(message)
    if found is None:
        return BadUserInput("An argument of this field is not valid.")
    field = found["name"] + (found["path"] or "")
    rule = "must not be null" if _NULL.search(message) else "is not valid"
    return BadUserInput(f"`{field}` {rule}.", field=field)


_ARGUMENT = re.compile(
    r"Argument '(?P<name>\w+)'(?:[\w ]+ at (?P<path>(?:\.\w+|\[\d+\])+):)?", re.ASCII
)
_NULL = re.compile(r"non-null type '[\w!\[\]]+' (must not be null|not to be None)", re.ASCII)
"""What messages of graphql-core begin with and contain."""


def _describe_variable(error: GraphQLError) -> str | None:
    """Return which variable is invalid, without its value, which may be personal."""
    for node in error.nodes or ():
        if isinstance(node, VariableDefinitionNode):
            return f"Variable `${node.variable.name.value}` must be a `{print_ast(node.type)}`."
    return None


def describe_all(errors: Sequence[GraphQLError]) -> list[dict[str, Any]]:
    """Return the errors of an execution, `MAX_ERRORS` at most, and one for the number left out.

    Equal errors of one variable are reported once.
    """
    described: list[dict[str, Any]] = []
    for error in errors[:MAX_ERRORS]:
        each = _describe(error)
        if error.path is not None or each not in described:
            described.append(each)
    if len(errors) > MAX_ERRORS:
        described.append(_to_json(TooManyErrors(f"Errors left out: {len(errors) - MAX_ERRORS}.")))
    return described


def _describe(error: GraphQLError, kind: type[AdminError] | None = None) -> dict[str, Any]:
    """Return an error for the response, with a code and without internal details.

    Args:
        error: The error from parsing, validation or execution.
        kind: Its class, if it comes from parsing or validation.
    """
    admin_error = classify(error) if kind is None else kind(error.message)
    described = _to_json(admin_error)
    if places := places_of(error):
        described["locations"] = places
    if error.path is not None:
        described["path"] = error.path
    return described


def _to_json(error: AdminError) -> dict[str, Any]:
    request_record.current().codes.add(error.code)
    extensions: dict[str, object] = {"code": error.code}
    if isinstance(error, Throttled):
        extensions["retryAfter"] = ceil(error.retry_after)
    if isinstance(error, BadUserInput) and error.field:
        extensions["field"] = error.field
    return {"message": error.message, "extensions": extensions}
