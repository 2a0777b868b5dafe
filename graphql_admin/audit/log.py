"""One event for every attempt to change something, and the sink that events go to.

An event is written when the attempt has ended, as one line of JSON. Before Cognito is called,
the sink has to stand a test: whatever was written before went out whole, the file is where it
should be (a rotated one is opened anew) and has room, the pipe has a reader and room. Where it
fails, the attempt is refused and nothing is changed.

No test can promise what happens afterwards. A sink that breaks while an attempt is under way
costs the attempt nothing: its event waits in memory for the sink to work again, and until it
has gone out every further attempt is refused. So what can be lost are the events of attempts
that were under way when both the sink broke and this process was killed, and the event of an
attempt during which it was killed. Lines are not forced onto the disk one by one.
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
    Forbidden,
    Internal,
    OutOfScope,
    OwnAccount,
    TimedOut,
    Unauthenticated,
    UpstreamFailed,
)
from graphql_admin.targets import Target
from graphql_admin.telemetry import clock
from graphql_admin.telemetry.lines import to_json

log = structlog.get_logger(__name__)

MAX_NAME_LENGTH = 128
"""Characters of a user's or group's name that go into an event; no name in a pool has more."""

MIN_ROOM = 1024 * 1024
"""Bytes that must be free where the file is: what may be under way has to fit in."""

MAX_WAITING = 1024 * 1024
"""Bytes of events that wait in memory for the sink to work again."""


class Outcome(StrEnum):
    """How an attempt ended."""

    DONE = "done"
    REFUSED = "refused"
    """The caller may not do it, or it could not be told whether they may, or it could not be
    audited; nothing was changed."""
    FAILED = "failed"
    """Nothing was changed, for another reason that the code gives."""
    UNKNOWN = "unknown"
    """Whether Cognito did it cannot be told."""


_OUTCOMES: dict[type[AdminError], Outcome] = {
    AuditUnavailable: Outcome.REFUSED,
    AuthorityUnavailable: Outcome.REFUSED,
    Conflict: Outcome.REFUSED,
    Forbidden: Outcome.REFUSED,
    OutOfScope: Outcome.REFUSED,
    OwnAccount: Outcome.REFUSED,
    Unauthenticated: Outcome.REFUSED,
    TimedOut: Outcome.UNKNOWN,
    UpstreamFailed: Outcome.UNKNOWN,
    Internal: Outcome.UNKNOWN,
}


def outcome_of(error: AdminError, *, is_sent: bool) -> Outcome:
    """Return how an attempt that raised `error` ended, in doubt unknown.

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

    There are no values in it but the names of the target.
    """

    request_id: str
    sub: str | None
    """The caller's unique id; None where the request has no token."""
    username: str | None
    """The caller's."""
    groups: Collection[str]
    """The caller's, as the token has them."""
    action: str
    target: Target
    """As it was given: Cognito also takes an alias or a `sub` for a username. Where oneself is
    meant and not named, one's username."""
    outcome: Outcome
    code: str | None
    """Why it did not end well, as in the response."""

    def to_line(self) -> bytes:
        """Return the event, happening now, as a line of JSON."""
        event = {
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
        return to_json(event) + b"\n"


class AuditLog:
    """The sink that events go to. Only the event loop's thread may use it.

    Args:
        path: The file to append to, on a disk of this machine, or a pipe (`open_sink` says which
            are taken, whenever it is opened); by default standard output.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._file: int | None = None
        self._waiting = bytearray()

    def demand(self) -> None:
        """Make as sure as can be that the sink will take the next event.

        Raises:
            AuditUnavailable: It will not.
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

        While more than `MAX_WAITING` is kept, attempts that were refused get no more than a
        line in the log.
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
        """Write what waits, if that is possible now, and close the file."""
        with suppress(OSError):
            self._flush(self._open())
        if self._waiting:
            log.error("audit events lost", bytes=len(self._waiting))
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> int:
        """Return what to write to: the file that is at the path now, whoever moved another."""
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
            # No more than a pipe that is ready takes without waiting for its reader.
            del self._waiting[: os.write(file, self._waiting[: select.PIPE_BUF])]


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _test(file: int) -> None:
    """Raise OSError unless `file` can be expected to take some lines."""
    os.write(file, b"")
    if not _is_ready(file):
        raise BlockingIOError
    if stat.S_ISREG(os.fstat(file).st_mode):
        space = os.fstatvfs(file)
        # A file system without a limit of its own says that it has no blocks at all.
        if space.f_blocks and space.f_bavail * space.f_frsize < MIN_ROOM:
            raise OSError("the disk is full")


def _is_ready(file: int) -> bool:
    """Whether somebody reads on the other side, and a write would not wait for them."""
    return _poll(file).poll(0) == [(file, select.POLLOUT)]


@lru_cache(maxsize=8)
def _poll(file: int) -> select.poll:
    """Return what looks at whichever file has this number then."""
    poll = select.poll()
    poll.register(file, select.POLLOUT)
    return poll
