"""What a connection does, and what it has time and room for."""

from enum import Enum, auto

HEAD_TIME = 10.0
"""Seconds that a head may take from its first byte on, or, if it is the first one, from the
connection on. Also what the rest of a body may take that nobody reads."""

WRITE_TIME = 30.0
"""Seconds in which a client must have taken what was written, or `MIN_TAKEN` of it."""

MIN_TAKEN = 512 * 1024
"""Bytes that a client must take for as much time again. So what is written stays no longer than its
size allows, however it drips."""

LINGER = 2.0
"""Seconds for a client to read a response after which its connection is closed."""

MAX_DISCARD = 1024 * 1024
"""Bytes of a body that are dropped after a response for which nobody read them."""

HIGH_WATER = 65_536
"""Bytes of a body that are read before the application has asked for them."""


class State(Enum):
    """What a connection does."""

    HEAD = auto()
    """Waits for a head, or for the rest of it."""

    BODY = auto()
    """Reads the body of the request in flight."""

    ANSWERING = auto()
    """Has all of the request in flight that there will be, and waits for the response."""

    TAKING = auto()
    """Waits for the client to take the response."""

    DISCARDING = auto()
    """Drops the rest of the body; the response is sent."""

    LINGERING = auto()
    """Is closed for writing, and drops what arrives."""

    CLOSED = auto()
    """Is closed, but for what is yet to be taken."""
