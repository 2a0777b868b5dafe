"""The log: its destination and its format.

Lines go to standard error, as JSON or, on a terminal, in a readable form; standard output is left
to audit events. No line contains a document, variables, a token or an attribute of a user, nor the
message of an exception, which may quote any of them.
"""

import logging
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from graphql_admin.telemetry import clock, request_record
from graphql_admin.telemetry.lines import printable, to_json

log = structlog.get_logger(__name__)

_FilteringLogger: Any = structlog.make_filtering_bound_logger(logging.INFO)


class _Logger(_FilteringLogger):  # type: ignore[misc]  # structlog makes it when it runs
    """structlog's logger, in which an event of ordinary weight takes the direct way.

    There is one for every request. On structlog's way its fields are packed and unpacked at each
    of three calls, which takes 2 % of the instructions of a query for one user.
    """

    def info(self, event: str, **fields: Any) -> None:
        """Log an event."""
        fields = {**self._context, **fields, "event": event}
        try:
            for process in self._processors:
                fields = process(self._logger, "info", fields)
        except structlog.DropEvent:
            return
        self._logger.info(fields)


def log_fault(error: BaseException) -> None:
    """Log a fault of this server: its type and place, not the message, which may quote anything."""
    log.error("internal error", exception=type(error).__name__, where=_place_of(error) or "unknown")


def configure_logging() -> None:
    """Configure logging to standard error: JSON lines, or readable lines on a terminal.

    Other libraries log in the same way, warnings and above. If the process was started without a
    standard error, there is no log.
    """
    stream = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # is kept
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
        # As bytes: the encoding of the stream may be another one than JSON's, and a line for every
        # request need not be decoded and encoded again.
        render_own = structlog.processors.JSONRenderer(serializer=_to_json)
        factory = structlog.BytesLoggerFactory(stream.buffer)
    structlog.configure(
        processors=[*shared, render_own],
        wrapper_class=_Logger,
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
    return {
        name: printable(value if isinstance(value, str) else repr(value))
        for name, value in event.items()
    }


def _to_json(event: EventDict, **_: Any) -> bytes:
    return to_json(event, default=repr)


def _to_text(event: EventDict, **_: Any) -> str:
    return _to_json(event).decode()


def _complete(_: WrappedLogger, level: str, event: EventDict) -> EventDict:
    """Add the level, the timestamp and the request id to an event."""
    event["level"] = level
    event["time"] = clock.now()
    event["request_id"] = request_record.current().id
    return event


def _take_first_line(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    # Further lines are the `repr` of objects, exceptions among them.
    event["event"] = str(event["event"]).partition("\n")[0]
    return event


def _reduce_exception(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace the traceback and the message of an exception by its type and place."""
    info = event.pop("exc_info", None)
    error = sys.exception() if info is True else info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["exception"] = type(error).__name__
        event["where"] = _place_of(error) or ""
    return event


def _place_of(error: BaseException) -> str | None:
    """Return the file and line in which an exception was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else None
