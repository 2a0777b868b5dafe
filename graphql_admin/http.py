"""GraphQL over HTTP: the request's body and headers in, the response's out.

Follows https://graphql.github.io/graphql-over-http/draft/.
"""

import asyncio
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import orjson
import structlog
from graphql import GraphQLError, VariableDefinitionNode, print_ast
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

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
    PayloadTooLarge,
    Throttled,
    Unauthenticated,
    UnsupportedMediaType,
)
from graphql_admin.permissions import Policy
from graphql_admin.schema import AdminSchema

log = structlog.get_logger(__name__)

GRAPHQL_RESPONSE = "application/graphql-response+json"
JSON = "application/json"

MAX_BODY = 262_144
"""Bytes."""


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """What a client asks to be executed."""

    query: str
    operation_name: str | None
    variables: dict[str, Any] | None

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
        return cls(query, operation_name or None, parameters.get("variables"))


class GraphQLEndpoint:
    """The HTTP endpoint that executes GraphQL requests.

    Args:
        schema: What is executed.
        documents: The cache of documents of that schema.
        verifier: Verifies tokens.
        policy: Says what a caller may do.
        pool: The user pool.
        deadline: Seconds that one request may take.
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
        deadline: float,
        anonymous: bool,
    ) -> None:
        self._schema = schema
        self._documents = documents
        self._verifier = verifier
        self._policy = policy
        self._pool = pool
        self._deadline = deadline
        self._anonymous = anonymous

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; see https://asgi.readthedocs.io."""
        response = await self._respond(Request(scope, receive))
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        """Return the answer; whatever goes wrong is a well-formed answer too."""
        media_type = JSON
        try:
            media_type = negotiate(request.headers.get("accept"))
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
        if http_request.method not in {"GET", "HEAD", "POST"}:
            raise MethodNotAllowed
        caller = await self._authenticate(http_request)
        if http_request.method == "POST":
            request = GraphQLRequest.from_mapping(await _read_body(http_request))
        else:
            request = GraphQLRequest.from_mapping(_read_query_string(http_request))
        document = self._documents.load(request.query)
        operation = document.operation(request.operation_name)
        if http_request.method != "POST" and is_mutation(operation):
            raise MethodNotAllowed("A mutation takes a POST.", allowed="POST")
        context = Context(
            caller=caller,
            allowed=self._policy.actions_of(caller),
            document=document.ast,
            pool=self._pool,
            deadline=asyncio.get_running_loop().time() + self._deadline,
        )
        result = await self._schema.execute(
            request.query,
            variable_values=request.variables,
            context_value=context,
            operation_name=request.operation_name,
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
        return _respond(body, media_type, status)

    async def _authenticate(self, request: Request) -> Caller | None:
        authorization = request.headers.get("authorization")
        if authorization is not None:
            return await self._verifier.verify(bearer_token(authorization))
        if self._anonymous:
            return None
        raise Unauthenticated


def negotiate(accept: str | None) -> str:
    """Choose the media type of the response.

    Args:
        accept: The `Accept` header. Without one, `application/json`, as before the
            GraphQL-over-HTTP specification.

    Raises:
        NotAcceptable: The client takes none that there is.
    """
    if accept is None:
        return JSON
    best, best_quality = None, 0.0
    for item in accept.split(","):
        media_range, *parameters = (part.strip().lower() for part in item.split(";"))
        quality = _quality(parameters)
        for media_type in _MATCHES.get(media_range, ()):
            if quality > best_quality:
                best, best_quality = media_type, quality
    if best is None:
        raise NotAcceptable
    return best


_MATCHES = {
    GRAPHQL_RESPONSE: (GRAPHQL_RESPONSE,),
    JSON: (JSON,),
    "application/*": (GRAPHQL_RESPONSE,),
    "*/*": (JSON,),
}


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


async def _read_body(request: Request) -> Mapping[str, Any]:
    media_type, *parameters = (
        part.strip().lower() for part in request.headers.get("content-type", "").split(";")
    )
    charset = next((p.partition("=")[2] for p in parameters if p.startswith("charset=")), "utf-8")
    if media_type != JSON or charset.strip('"') != "utf-8":
        raise UnsupportedMediaType
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise PayloadTooLarge
    return _decode_object(bytes(body), "The body")


def _read_query_string(request: Request) -> Mapping[str, Any]:
    parameters: dict[str, Any] = dict(request.query_params)
    for name in ("variables", "extensions"):
        if parameters.get(name):
            parameters[name] = _decode_object(parameters[name], f"`{name}`")
        else:
            parameters.pop(name, None)
    return parameters


def _decode_object(text: bytes | str, what: str) -> dict[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise MalformedRequest(f"{what} must be JSON, in UTF-8.") from error
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
    if isinstance(refusal, Throttled):
        response.headers["retry-after"] = str(ceil(refusal.retry_after))
    return response


def _respond(body: Mapping[str, Any], media_type: str, status: int) -> Response:
    return Response(
        orjson.dumps(body),
        status_code=status,
        media_type=f"{media_type}; charset=utf-8",
        headers={"cache-control": "no-store"},
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
    log_fault(cause or error)
    return Internal()


def _describe_variable(error: GraphQLError) -> str | None:
    """Return which variable did not fit, without its value, which is nobody's business."""
    for node in error.nodes or ():
        if isinstance(node, VariableDefinitionNode):
            return f"Variable `${node.variable.name.value}` must be a `{print_ast(node.type)}`."
    return None


def _to_json(error: AdminError) -> dict[str, Any]:
    extensions: dict[str, object] = {"code": error.code}
    if isinstance(error, Throttled):
        extensions["retryAfter"] = ceil(error.retry_after)
    if isinstance(error, BadUserInput) and error.field:
        extensions["field"] = error.field
    return {"message": error.message, "extensions": extensions}


def log_fault(error: BaseException) -> None:
    """Log a fault of this server: what and where, not the message, which may hold anything."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown"
    log.error("internal error", exception=type(error).__name__, where=where)
