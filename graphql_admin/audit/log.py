"""The audit log: one event for every attempt to change something, and their sink.

An event is written as one line of JSON when the attempt has ended. Before Cognito is called, the
sink is tested: earlier events must have been written completely, the file must be at its path (it
is reopened after rotation) and have space, the pipe must have a reader and space. If the test
fails, the attempt is refused and nothing is changed.

The sink can still fail after the test. Then the attempt is not affected: its event waits in memory
until the sink works again, and until it is written every further attempt is refused. So events can
be lost only of attempts that were in flight when both the sink failed and this process was killed,
or during which this process was killed. Lines are not synced to disk one by one.
"""

import os
import select
import stat
import sys
from collections.abc import Collection
from contextlib import suppress
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import structlog

from graphql_admin.audit.sinks import open_sink
from graphql_admin.errors import (
    AdminError,
    AuditUnavailable,
    AuthorityUnavailable,
    Conflict,
    DeliveryFailed,
    Forbidden,
    Internal,
    OutOfScope,
    OwnAccount,
    PartlyDone,
    TimedOut,
    Unauthenticated,
    UpstreamFailed,
)
from graphql_admin.targets import Target
from graphql_admin.telemetry import clock
from graphql_admin.telemetry.lines import to_json

log = structlog.get_logger(__name__)

MAX_NAME_LENGTH = 128
"""Most characters of a user or group name in an event; names in a pool are not longer."""

MIN_ROOM = 1024 * 1024
"""Bytes that must be free on the disk of the file: the events of attempts in flight must fit."""

MAX_WAITING = 1024 * 1024
"""Bytes of events that may wait in memory until the sink works again."""


class Outcome(StrEnum):
    """How an attempt ended."""

    DONE = "done"
    REFUSED = "refused"
    """The caller may not do it, or this could not be determined, or it could not be audited;
    nothing was changed."""
    FAILED = "failed"
    """Nothing was changed, for another reason, which is in `code`."""
    UNKNOWN = "unknown"
    """It is not known whether Cognito carried it out."""


_OUTCOMES: dict[type[AdminError], Outcome] = {
    AuditUnavailable: Outcome.REFUSED,
    AuthorityUnavailable: Outcome.REFUSED,
    Conflict: Outcome.REFUSED,
    Forbidden: Outcome.REFUSED,
    OutOfScope: Outcome.REFUSED,
    OwnAccount: Outcome.REFUSED,
    Unauthenticated: Outcome.REFUSED,
    DeliveryFailed: Outcome.UNKNOWN,
    PartlyDone: Outcome.UNKNOWN,
    TimedOut: Outcome.UNKNOWN,
    UpstreamFailed: Outcome.UNKNOWN,
    Internal: Outcome.UNKNOWN,
}


def outcome_of(error: AdminError, *, is_sent: bool) -> Outcome:
    """Return the outcome of an attempt that raised `error`; if in doubt, unknown.

    Args:
        error: The error.
        is_sent: Whether Cognito was called for the change, and not only for reading.
    """
    outcome = next(
        (outcome for kind, outcome in _OUTCOMES.items() if isinstance(error, kind)), Outcome.FAILED
    )
    return Outcome.FAILED if outcome is Outcome.UNKNOWN and not is_sent else outcome


class Event(NamedTuple):
    """An attempt to change something.

    The names of the target, and of its attributes, are the only values from the request in it.
    """

    request_id: str
    sub: str | None
    """The caller's unique id; None where the request has no token."""
    username: str | None
    """The username of the caller."""
    groups: Collection[str]
    """The groups of the caller, as in the token."""
    action: str
    target: Target
    """The user by their username, if the attempt came to know it: Cognito also accepts an alias or
    a `sub`, and an alias may be another user's tomorrow. Otherwise as it was given. If no user was
    named because the caller is meant, the caller's username."""
    outcome: Outcome
    code: str | None
    """The error code, as in the response."""
    attributes: Collection[str] = ()
    """The names of the user's attributes that it would set; none before they were checked."""

    def to_line(self) -> bytes:
        """Return the event as a line of JSON, with the current time."""
        event: dict[str, object] = {
            "time": clock.now(),
            "event": "mutation",
            "request_id": self.request_id,
            "caller": {"sub": self.sub, "username": self.username, "groups": sorted(self.groups)},
            "action": self.action,
            "target": {
                "username": self.target.user and self.target.user[:MAX_NAME_LENGTH],
                "group": self.target.group and self.target.group[:MAX_NAME_LENGTH],
            },
            "outcome": self.outcome,
            "code": self.code,
        }
        if self.attributes:
            event["attributes"] = sorted(self.attributes)
        return to_json(event) + b"\n"


class AuditLog:
    """The sink of events. Only the event loop's thread may use it.

    Args:
        path: The file to append to, on a disk of this machine, or a pipe (see `open_sink` for which
            are accepted); by default standard output.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._file: int | None = None
        self._waiting = bytearray()

    def demand(self) -> None:
        """Check that the sink can be expected to accept the next event.

        Raises:
            AuditUnavailable: It cannot.
        """
        try:
            file = self._open()
            self._flush(file)
            _test(file)
        except OSError as error:
            log.error(
                "audit events cannot be written", error=type(error).__name__, reason=str(error)
            )
            raise AuditUnavailable from error

    def write(self, event: Event) -> None:
        """Write an event, or keep it until the sink works again.

        While more than `MAX_WAITING` is kept, refused attempts get only a line in the log.
        """
        if len(self._waiting) > MAX_WAITING and event.outcome is Outcome.REFUSED:
            log.error("audit event dropped", action=event.action, request_id=event.request_id)
            return
        self._waiting += event.to_line()
        try:
            self._flush(self._open())
        except OSError as error:
            log.error(
                "audit event waits for its sink",
                error=type(error).__name__,
                action=event.action,
                request_id=event.request_id,
            )

    def close(self) -> None:
        """Write waiting events, if that is possible, and close the file."""
        with suppress(OSError):
            self._flush(self._open())
        if self._waiting:
            log.error("audit events lost", bytes=len(self._waiting))
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> int:
        """Return the sink to write to: the file that is at the path now, also after rotation."""
        if self._path is None:
            if sys.__stdout__ is None:
                raise OSError("standard output is closed")
            return sys.__stdout__.fileno()
        if self._file is not None and not _is_at(self._file, self._path):
            os.close(self._file)
            self._file = None
        if self._file is None:
            self._file = open_sink(self._path)
        return self._file

    def _flush(self, file: int) -> None:
        while self._waiting:
            if not _is_ready(file):
                raise BlockingIOError
            # At most what a pipe that is ready accepts without blocking.
            del self._waiting[: os.write(file, self._waiting[: select.PIPE_BUF])]


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _test(file: int) -> None:
    """Raise OSError unless `file` can be expected to accept some lines."""
    os.write(file, b"")
    if not _is_ready(file):
        raise BlockingIOError
    if stat.S_ISREG(os.fstat(file).st_mode):
        space = os.fstatvfs(file)
        # A file system without a limit reports zero blocks.
        if space.f_blocks and space.f_bavail * space.f_frsize < MIN_ROOM:
            raise OSError("the disk is full")


def _is_ready(file: int) -> bool:
    """Whether the pipe has a reader, and a write would not block."""
    return _poll(file).poll(0) == [(file, select.POLLOUT)]


@lru_cache(maxsize=8)
def _poll(file: int) -> select.poll:
    """Return a poll object for a file descriptor.

    It can be cached, since it looks at the file that has the number at that time.
    """
    poll = select.poll()
    poll.register(file, select.POLLOUT)
    return poll
