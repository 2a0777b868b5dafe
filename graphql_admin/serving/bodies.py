"""The framing of request bodies: by length, or in chunks.

A body consumes its own bytes from the received data, and leaves the rest.
"""

import re
from collections.abc import Callable

from graphql_admin.serving.heads import Refused

MAX_LINE = 4096
"""Most bytes of a chunk-size line, its extensions included, or of a trailer."""

MAX_FRAMING = 65_536
"""Most bytes of chunk framing in a body: chunk-size lines and trailers. One more is allowed for
every eight bytes of content, or long bodies could not be sent in small chunks."""

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t -~\x80-\xff]*)?")
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*")


_Step = Callable[[bytearray, int, bytearray], int | None]


class Whole:
    """A body with a Content-Length.

    Args:
        length: Its length in bytes.
    """

    __slots__ = ("remaining",)

    def __init__(self, length: int) -> None:
        self.remaining = length

    @property
    def complete(self) -> bool:
        """Whether all of it has been consumed."""
        return self.remaining == 0

    def take(self, arrived: bytearray) -> bytes:
        """Consume the bytes of the body."""
        content = bytes(arrived[: self.remaining])
        del arrived[: self.remaining]
        self.remaining -= len(content)
        return content


class Chunks:
    """A body in chunks: RFC 9112, section 7.1. Extensions and trailers are dropped.

    A proxy in front may check the fields of heads alone, so a trailer must not become one of them.
    """

    __slots__ = ("_content", "_framing", "_left", "_take_next", "complete")

    remaining = 0
    """Bytes that are known to follow: none."""

    def __init__(self) -> None:
        self.complete = False
        self._content = 0
        """Bytes so far."""
        self._framing = 0
        """Bytes of framing so far."""
        self._left = 0
        """Remaining bytes of the chunk."""
        self._take_next: _Step = self._take_size

    def take(self, arrived: bytearray) -> bytes:
        """Consume the bytes of the body, and return the content in them.

        Raises:
            Refused: The chunked framing is invalid.
        """
        content = bytearray()
        at = 0
        while not self.complete and (after := self._take_next(arrived, at, content)) is not None:
            at = after
        del arrived[:at]
        return bytes(content)

    # Each of these consumes one element, and returns the start of the next, or None if more data is
    # needed.

    def _take_size(self, arrived: bytearray, at: int, _: bytearray) -> int | None:
        line = self._find_line(arrived, at)
        if line is None:
            return None
        size = _SIZE.fullmatch(line)
        if not size:
            raise Refused(400, "The size of a chunk is not valid.")
        self._left = int(size[1], 16)
        self._take_next = self._take_content if self._left else self._take_trailer
        return at + len(line) + 2

    def _take_content(self, arrived: bytearray, at: int, content: bytearray) -> int | None:
        piece = arrived[at : at + self._left]
        if not piece:
            return None
        content += piece
        self._content += len(piece)
        self._left -= len(piece)
        if not self._left:
            self._take_next = self._take_end
        return at + len(piece)

    def _take_end(self, arrived: bytearray, at: int, _: bytearray) -> int | None:
        if len(arrived) < at + 2:
            return None
        if arrived[at : at + 2] != b"\r\n":
            raise Refused(400, "A chunk is longer than it said.")
        self._take_next = self._take_size
        return at + 2

    def _take_trailer(self, arrived: bytearray, at: int, _: bytearray) -> int | None:
        line = self._find_line(arrived, at)
        if line is None:
            return None
        if not line:
            self.complete = True
        elif not _TRAILER.fullmatch(line):
            raise Refused(400, "A trailer is not valid.")
        return at + len(line) + 2

    def _find_line(self, arrived: bytearray, at: int) -> bytes | None:
        """Return the line that starts there, without its end, if it is complete."""
        end = arrived.find(b"\n", at, at + MAX_LINE)
        if end < 0:
            if len(arrived) - at >= MAX_LINE:
                raise Refused(400, "A line between the chunks of the body is too long.")
            return None
        self._framing += end + 1 - at
        if self._framing > MAX_FRAMING + self._content // 8:
            raise Refused(400, "There is too much framing in the chunked body.")
        if end == at or arrived[end - 1] != 0x0D:
            raise Refused(400, "A line between the chunks of the body ends without CR.")
        return bytes(arrived[at : end - 1])
