"""What is noted of a request while it is answered, for its log line and its audit events."""

import random
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(slots=True)
class RequestRecord:
    """What is known of one request so far. Nothing in it is personal but the caller's `sub`."""

    id: str
    """From `X-Request-Id`, or made here."""

    operation_kind: str | None = None
    operation_name: str | None = None

    sub: str | None = None
    """The caller's unique id."""

    actions: set[str] = field(default_factory=set)
    """Names of the actions that were asked for, given or not."""

    codes: set[str] = field(default_factory=set)
    """Codes of the errors in the answer."""

    cognito_calls: int = 0


_current: ContextVar[RequestRecord] = ContextVar("request_record")


def begin(request_id: str | None = None) -> RequestRecord:
    """Make the record of a request, which `current` returns from here on.

    Args:
        request_id: The request's id; without one, it is made.
    """
    record = RequestRecord(request_id or random.randbytes(8).hex())  # noqa: S311  # no secret
    _current.set(record)
    return record


def current() -> RequestRecord:
    """Return the record of the request that is being answered; outside of one, one for nobody."""
    return _current.get(None) or RequestRecord("none")
