"""What has arrived on a connection, cut into heads and bodies, however it was cut into reads."""

from graphql_admin.serving.bodies import Chunks, Whole
from graphql_admin.serving.heads import CONTROL_CHARACTER, MAX_HEAD, Head, Refused, parse

_METHOD = frozenset(
    b"!#$%&'*+.^_`|~-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)
"""What a method may begin with."""


class Arrivals:
    """What has arrived and was not taken yet."""

    __slots__ = ("_searched", "_skipped", "body", "data")

    def __init__(self) -> None:
        self.data: bytes | bytearray = b""
        self.body: Whole | Chunks = Whole(0)
        """The body of the head that was taken last."""
        self._searched = 0
        """Bytes that do not hold the end of the head."""
        self._skipped = False
        """Whether there was an empty line before the head."""

    def add(self, data: bytes) -> None:
        """Take what was read."""
        if not self.data:
            self.data = data
            return
        if isinstance(self.data, bytes):
            self.data = bytearray(self.data)
        self.data += data

    def drop(self) -> None:
        """Forget what has arrived."""
        self.data = b""
        self._searched = 0

    def take_head(self) -> Head | None:
        """Return the head that is here, if it is whole.

        Raises:
            Refused: It is none, or cannot become a good one, however it goes on.
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
        """Skip one empty line; return whether a head begins after it."""
        if not self._skipped:
            if self.data == b"\r":
                return False
            if self.data[:2] == b"\r\n":
                self._skipped = True
                self.data = self.data[2:]
                if not self.data:
                    return False
        if self.data[0] not in _METHOD:
            raise Refused(400, "The request does not begin with a method.")
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
        """Return what there is of the body.

        Raises:
            Refused: It cannot be told where it ends.
        """
        data = self.data
        if isinstance(self.body, Whole) and self.body.remaining >= len(data):  # no pipeline
            self.data = b""
            self.body.remaining -= len(data)
            return bytes(data)
        if isinstance(data, bytes):
            data = self.data = bytearray(data)
        return self.body.take(data)
