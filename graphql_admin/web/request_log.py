"""The log: what its lines look like, and the one line that every request leaves.

Lines go to standard error, as JSON or, on a terminal, for people; standard output is left to
audit events. No line holds a query's text, variables, a token or an attribute of a user, nor
the message of an exception, which may quote any of them.
"""

import logging
import re
import sys
import time
import traceback
from collections.abc import Callable, Collection
from functools import cached_property
from pathlib import Path
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.typing import EventDict, Processor, WrappedLogger

from graphql_admin.telemetry import clock, metrics
from graphql_admin.telemetry import request_record as records
from graphql_admin.telemetry.lines import printable, to_json

log = structlog.get_logger(__name__)

MAX_NAME_LENGTH = 64
"""Characters of an operation's name that go into the log."""

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_KINDS = frozenset({"query", "mutation"})


class RequestLog:
    """ASGI middleware that gives every request an id, a log line and a place in the metrics.

    The id is that of `X-Request-Id`, if that is 1 to 64 letters, digits, dots, hyphens and
    underscores; otherwise it is made. The response has it in the same header.

    Args:
        app: What answers the requests.
        paths: The paths that may be in a log line; others are anybody's making.
        probes: Those of them that leave none when they go well.
    """

    def __init__(self, app: ASGIApp, paths: Collection[str], probes: Collection[str]) -> None:
        self._app = app
        self._paths = frozenset(paths)
        self._probes = frozenset(probes)

    @cached_property
    def _log(self) -> Any:
        """The logger as it is configured; a module's own looks that up for every line."""
        return log.bind()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; see https://asgi.readthedocs.io."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        record = records.begin(_find_id(scope))
        id_header = (b"x-request-id", record.id.encode())
        status = 500  # what the server answers where nothing else did

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
            seconds = time.perf_counter() - began
            self._note(scope, record, status, seconds)

    def _note(
        self, scope: Scope, record: records.RequestRecord, status: int, seconds: float
    ) -> None:
        codes = sorted(record.codes)
        metrics.count_request(
            status,
            codes[0] if codes else metrics.OK,
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
            codes=codes,
            cognito_calls=record.cognito_calls,
        )


_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


def _find_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            text = value.decode("latin-1")
            return text if _SANE_ID.fullmatch(text) else None
    return None


def configure_logging() -> None:
    """Let this process log to standard error: JSON lines, or for people on a terminal.

    What other libraries log takes the same way, from warnings on.
    """
    stream = sys.stderr
    shared: list[Processor] = [_complete, _reduce_exception]
    render: Processor
    render_own: Processor
    factory: Callable[..., WrappedLogger]
    if stream.isatty():
        show = structlog.dev.ConsoleRenderer()
        render = render_own = lambda logger, name, event: show(logger, name, _make_printable(event))
        factory = structlog.WriteLoggerFactory(stream)
    else:
        render = structlog.processors.JSONRenderer(serializer=_to_text)
        # There is a line for every request: it goes out as the bytes that it is made as.
        render_own = structlog.processors.JSONRenderer(serializer=_to_json)
        factory = structlog.BytesLoggerFactory(stream.buffer)
    structlog.configure(
        processors=[*shared, render_own],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, _take_first_line, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def _make_printable(event: EventDict) -> EventDict:
    # What is no text is shown by its `repr`, which escapes by itself.
    return {
        name: printable(value) if isinstance(value, str) else value for name, value in event.items()
    }


def _to_json(event: EventDict, **_: Any) -> bytes:
    return to_json(event, default=repr)


def _to_text(event: EventDict, **_: Any) -> str:
    return _to_json(event).decode()


def _complete(_: WrappedLogger, level: str, event: EventDict) -> EventDict:
    """Add to an event how bad it is, when it is, and in which request."""
    event["level"] = level
    event["time"] = clock.now()
    event["request_id"] = records.current().id
    return event


def _take_first_line(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    # What follows is the representation of objects, exceptions among them.
    event["event"] = str(event["event"]).partition("\n")[0]
    return event


def _reduce_exception(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Put an exception's type and place for its traceback and message."""
    info = event.pop("exc_info", None)
    error = sys.exception() if info is True else info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        frames = traceback.extract_tb(error.__traceback__)
        event["exception"] = type(error).__name__
        event["where"] = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return event
