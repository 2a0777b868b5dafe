"""Splits the data received on a connection into heads and bodies, independent of its packets."""

from graphql_admin.serving.bodies import Chunks, Whole
from graphql_admin.serving.heads import CONTROL_CHARACTER, MAX_HEAD, Head, Refused, parse

_METHOD = frozenset(
    b"!#$%&'*+.^_`|~-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)
"""The first bytes that a method may have."""


class Arrivals:
    """The data that has been received and not consumed yet."""

    __slots__ = ("_searched", "_skipped", "body", "data")

    def __init__(self) -> None:
        self.data: bytes | bytearray = b""
        self.body: Whole | Chunks = Whole(0)
        """The body of the last head."""
        self._searched = 0
        """Bytes that have been searched for the end of the head."""
        self._skipped = False
        """Whether an empty line before the head has been skipped."""

    def add(self, data: bytes) -> None:
        """Add received data."""
        if not self.data:
            self.data = data
            return
        if isinstance(self.data, bytes):
            self.data = bytearray(self.data)
        self.data += data

    def drop(self) -> None:
        """Drop all data."""
        self.data = b""
        self._searched = 0

    def take_head(self) -> Head | None:
        """Return the next head, if it is complete.

        Raises:
            Refused: It is invalid, or cannot become valid with more data.
        """
        if self.data[0] not in _METHOD and not self._skip_empty_line():
            return None
        data = self.data
        end = data.find(b"\r\n\r\n", max(0, self._searched - 3))
        size = end + 4 if end >= 0 else len(data)
        if end < 0 or size > MAX_HEAD:
            self._check_part(size)
            self._searched = size
            return None
        head = parse(bytes(data[:end]))
        self._searched = 0
        self._skipped = False
        self.body = Chunks() if head.length is None else Whole(head.length)
        if len(data) == size:
            self.data = b""
        elif isinstance(data, bytes):
            self.data = data[size:]
        else:
            del data[:size]
        return head

    def _skip_empty_line(self) -> bool:
        """Skip one empty line; return whether a head starts after it."""
        if not self._skipped:
            if self.data == b"\r":
                return False
            if self.data[:2] == b"\r\n":
                self._skipped = True
                self.data = self.data[2:]
                if not self.data:
                    return False
        if self.data[0] not in _METHOD:
            raise Refused(400, "The request does not start with a method.")
        return True

    def _check_part(self, size: int) -> None:
        data, begin, end = self.data, self._searched, min(size, MAX_HEAD)
        if data.count(b"\n", begin, end) != data.count(b"\r\n", max(0, begin - 1), end):
            raise Refused(400, CONTROL_CHARACTER)
        if size > MAX_HEAD:
            if b"\n" not in data[:MAX_HEAD]:
                raise Refused(414, "The request line is too long.")
            raise Refused(431, "The head is too long.")

    def take_body(self) -> bytes:
        """Return the data of the body so far.

        Raises:
            Refused: Its framing is invalid.
        """
        data = self.data
        if isinstance(self.body, Whole) and self.body.remaining >= len(data):  # no further request
            self.data = b""
            self.body.remaining -= len(data)
            return bytes(data)
        if isinstance(data, bytes):
            data = self.data = bytearray(data)
        return self.body.take(data)
