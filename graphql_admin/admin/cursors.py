"""Cursors: opaque positions in a list of a user pool.

A cursor is the Base64 encoding of `digest, page, skip, check`. Cursors of one page token differ in
the last two alone, so that encoding sixty of them takes little longer than one.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from struct import Struct
from struct import error as StructError  # noqa: N812  # it is a class
from typing import NamedTuple

import orjson

from graphql_admin.engine.costs import ROWS_PER_CALL
from graphql_admin.errors import InvalidCursor

MAX_LIMIT = ROWS_PER_CALL
"""Rows of Cognito's largest page."""

_DIGEST_SIZE = 8
_SKIP = Struct(">H")
_CHECK_SIZE = 4
_TAIL_SIZE = _SKIP.size + _CHECK_SIZE


class Position(NamedTuple):
    """A position in a list: a number of rows after the start of the page of a token."""

    token: str | None
    limit: int
    skip: int = 0


class CursorCodec:
    """Encodes and decodes cursors of one list of one pool.

    A digest of the list, its parameters and the page detects a cursor of another list; together
    with a checksum of the rows to skip it detects a damaged one. Neither is keyed, since a forged
    cursor gives access to nothing that its sender may not read.

    Args:
        pool_id: The pool's id.
        operation: The list operation.
        parameters: Its input members other than `Limit` and the token.
    """

    def __init__(self, pool_id: str, operation: str, parameters: Mapping[str, str]) -> None:
        self._identity = orjson.dumps([pool_id, operation, sorted(parameters.items())])
        self._starts: dict[tuple[str | None, int], str] = {}

    def encode(self, position: Position) -> str:
        """Return the cursor of `position`."""
        token, limit, skip = position
        return self.encode_run(token, limit, range(skip, skip + 1))[0]

    def encode_run(self, token: str | None, limit: int, skips: range) -> Sequence[str]:
        """Return the cursors of positions that differ in the rows to skip alone.

        Args:
            token: The page token of all.
            limit: The limit of all.
            skips: Consecutive numbers, each less than 65,536.
        """
        start = self._starts.get((token, limit))
        if start is None:
            start = self._starts[token, limit] = self._make_start(token, limit)
        return [start + tail for tail in map(_tail, skips)]

    def _make_start(self, token: str | None, limit: int) -> str:
        page = orjson.dumps([token, limit])
        head = blake2b(self._identity + page, digest_size=_DIGEST_SIZE).digest() + page
        head += b" " * (-len(head) % 3)  # insignificant in JSON, and avoids padding in Base64
        return urlsafe_b64encode(head).decode()

    def decode(self, cursor: str) -> Position:
        """Return the position of `cursor`.

        Raises:
            InvalidCursor: The cursor was not made for this list.
        """
        try:
            raw = urlsafe_b64decode(cursor)
            token, limit = orjson.loads(raw[_DIGEST_SIZE:-_TAIL_SIZE])
            (skip,) = _SKIP.unpack(raw[-_TAIL_SIZE:-_CHECK_SIZE])
        except (ValueError, TypeError, StructError) as error:
            raise InvalidCursor from error
        position = Position(token, limit, skip)
        if not (
            isinstance(token, str | None)
            and type(limit) is int
            and 0 < limit <= MAX_LIMIT
            and self.encode(position) == cursor
        ):
            raise InvalidCursor
        return position


@lru_cache(maxsize=1024)  # skips are small where a page starts at a token
def _tail(skip: int) -> str:
    """Return the end of a cursor: the rows to skip, and their checksum."""
    number = _SKIP.pack(skip)
    check = blake2b(number, digest_size=_CHECK_SIZE).digest()
    return urlsafe_b64encode(number + check).decode()
