"""Middleware that logs and counts every request."""

import re
import time
from collections.abc import Collection
from functools import cached_property
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graphql_admin.telemetry import metrics, request_record

log = structlog.get_logger(__name__)

MAX_NAME_LENGTH = 64
"""Characters of an operation's name in the log."""

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_KINDS = frozenset({"query", "mutation"})


class RequestLog:
    """ASGI middleware that gives every request an id, logs it and counts it in the metrics.

    The id is that of `X-Request-Id`, if it consists of 1 to 64 letters, digits, dots, hyphens and
    underscores; otherwise it is generated. The response has it in the same header.

    Args:
        app: The application.
        paths: The paths that are logged; any other is made up by a client, and may contain
            anything.
        probes: Those of them that are logged only on failure.
    """

    def __init__(self, app: ASGIApp, paths: Collection[str], probes: Collection[str]) -> None:
        self._app = app
        self._paths = frozenset(paths)
        self._probes = frozenset(probes)

    @cached_property
    def _log(self) -> Any:
        """The configured logger; structlog's lazy proxy would look it up for every line."""
        return log.bind()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; see https://asgi.readthedocs.io."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        record = request_record.begin(_find_id(scope))
        id_header = (b"x-request-id", record.id.encode())
        status = 500  # what the server responds if the application does not

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), id_header]
            await send(message)

        metrics.count_request_in_flight(1)
        try:
            await self._app(scope, receive, send_with_id)
        finally:
            metrics.count_request_in_flight(-1)
            seconds = time.perf_counter() - started
            self._note(scope, record, status, seconds)

    def _note(
        self, scope: Scope, record: request_record.RequestRecord, status: int, seconds: float
    ) -> None:
        metrics.count_request(
            status,
            record.codes,
            record.operation_kind if record.operation_kind in _KINDS else "other",
            seconds,
        )
        path = scope["path"]
        if path in self._probes and status < 400:
            return
        self._log.info(
            "request",
            method=scope["method"] if scope["method"] in _METHODS else None,
            path=path if path in self._paths else None,
            status=status,
            ms=round(seconds * 1000, 1),
            operation=record.operation_kind,
            name=record.operation_name and record.operation_name[:MAX_NAME_LENGTH],
            actions=sorted(record.actions),
            sub=record.sub,
            codes=sorted(record.codes),
            cognito_calls=record.cognito_calls,
        )


_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


def _find_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            text = value.decode("latin-1")
            return text if _SANE_ID.fullmatch(text) else None
    return None
