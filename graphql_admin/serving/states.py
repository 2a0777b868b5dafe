"""The states of a connection, and its limits on time and memory."""

from enum import Enum, auto

HEAD_TIME = 10.0
"""Seconds that a head may take from its first byte, or, for the first one, from the start of the
connection. Also the time for the rest of a body that the application does not read."""

WRITE_TIME = 30.0
"""Seconds in which a client must have read the response, or `MIN_TAKEN` of it."""

MIN_TAKEN = 512 * 1024
"""Bytes that a client must read to get as much time again. So the time that a response stays in
memory is bounded by its size, however slowly it is read."""

LINGER = 2.0
"""Seconds for a client to read a response before its connection is closed."""

MAX_DISCARD = 1024 * 1024
"""Most bytes of an unread body that are dropped after the response."""

HIGH_WATER = 65_536
"""Most bytes of a body that are read before the application requests them."""


class State(Enum):
    """The state of a connection."""

    HEAD = auto()
    """Waits for a head, or the rest of one."""

    BODY = auto()
    """Reads the body of the request in flight."""

    ANSWERING = auto()
    """The request in flight has been read; waits for the response."""

    TAKING = auto()
    """Waits for the client to read the response."""

    DISCARDING = auto()
    """Drops the rest of the body; the response is sent."""

    LINGERING = auto()
    """Closed for writing; drops received data."""

    CLOSED = auto()
    """Closed, except for sending the rest."""
