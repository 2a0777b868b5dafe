"""Relay connections over Cognito's page tokens.

Cognito may return short or empty pages before the end of a list; only a missing token marks the
end. So a position in a list is a page token, the `Limit` that it was issued with (a token is valid
only with the parameters it was issued for) and a number of rows to skip from there, across pages:
an offset within one page would skip users when that page is shorter the next time.

For the same reason no statement about a whole list (that it is empty, that there is no second
match, which item sorts first) is made before its end: `read_all` reads up to it, or fails.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil
from operator import itemgetter
from typing import Annotated, Any, Generic, NamedTuple, TypeAlias, TypeVar

import strawberry
import structlog

from graphql_admin.actions import Action
from graphql_admin.admin.context import Context
from graphql_admin.admin.cursors import MAX_LIMIT, CursorCodec, Position
from graphql_admin.engine.fields import shown
from graphql_admin.errors import (
    BadUserInput,
    GroupNotFound,
    InvalidCursor,
    UpstreamFailed,
    UserNotFound,
)

log = structlog.get_logger(__name__)

MAX_FIRST = MAX_LIMIT
"""Rows of Cognito's largest page."""

DEFAULT_FIRST = 25

SPARE_CALLS = 8
"""Calls for one page beyond those that full pages from Cognito would need. If the page is still
short after these, its end cursor continues the list. Where there is no cursor to continue from, the
limits of the request apply instead (`read_all`)."""

Row: TypeAlias = dict[str, Any]
Item = TypeVar("Item")

First: TypeAlias = Annotated[
    int, strawberry.argument(description=f"How many items to return, 1 to {MAX_FIRST}.")
]
After: TypeAlias = Annotated[
    str | None, strawberry.argument(description="Return items after this cursor of the same list.")
]


@strawberry.federation.type(shareable=True, description="Position of a page in its list.")
class PageInfo:
    page: strawberry.Private["Page"]
    codec: strawberry.Private[CursorCodec]
    continues: strawberry.Private[bool]
    """Whether the page starts after a cursor."""

    @shown("Whether more items may follow. Only `false` means that the list has ended.")
    def has_next_page(self) -> bool:
        return self.page.end is not None

    @shown("Whether the page starts after a cursor.")
    def has_previous_page(self) -> bool:
        return self.continues

    @shown("Cursor of the first item; null if the page has none.")
    def start_cursor(self) -> str | None:
        runs = self.page.runs
        return self.codec.encode(runs[0].after(0)) if runs else None

    @shown(
        "Cursor to continue from. It is set whenever there is a next page, even if this page is "
        "empty."
    )
    def end_cursor(self) -> str | None:
        runs = self.page.runs
        last = self.page.end or (runs[-1].after(runs[-1].size - 1) if runs else None)
        return self.codec.encode(last) if last else None


@strawberry.type(description="An item and its cursor.")
class Edge(Generic[Item]):
    cursor: str = strawberry.field(description="The position just after this item, for `after`.")
    node: Item = strawberry.field(description="The item.")

    def __init__(self, cursor: str, node: Item) -> None:  # faster than Strawberry's with keywords
        self.cursor = cursor
        self.node = node


@strawberry.type(description="A page of a list.")
class Connection(Generic[Item]):
    nodes: list[Item] = strawberry.field(description="The items of this page.")
    page: strawberry.Private["Page"]
    codec: strawberry.Private[CursorCodec]
    continues: strawberry.Private[bool]
    """Whether the page starts after a cursor."""

    @shown("The items of this page, each with its cursor.")
    def edges(self) -> list[Edge[Item]]:
        cursors = self.page.cursors(self.codec)
        return [Edge(cursor, node) for cursor, node in zip(cursors, self.nodes, strict=True)]

    @shown("Position of this page in the list.")
    def page_info(self) -> PageInfo:
        return PageInfo(page=self.page, codec=self.codec, continues=self.continues)


@dataclass(frozen=True)
class Listing:
    """A list operation of Cognito with its parameters: the list that a cursor belongs to."""

    action: Action
    """The action that the list is read for."""

    operation: str
    rows: str
    """Member of the reply that contains the rows."""

    key: str
    """Member of a row with its name. A row without it is left out."""

    token: str
    """Name of the page token, in the request and in the reply."""

    parameters: Mapping[str, str] = field(default_factory=dict)
    """Input members other than `size` and the token."""

    keep: Callable[[Row], bool] | None = None
    """Drops rows that Cognito should not have returned."""

    sort_key: Callable[[Row], Any] | None = None
    """Order of the rows, where Cognito returns them in none. Each page then reads the whole list,
    so it is for short lists."""

    limit: int | None = None
    """Rows to request from Cognito at a time; None: as many as the client requests."""

    size: str | None = "Limit"
    """Input member for the number of rows; None if Cognito alone decides how many a page has."""


class Run(NamedTuple):
    """Consecutive rows after the start of the page of one token."""

    token: str | None
    limit: int
    skip: int
    """Rows between the token and the first of them."""
    size: int
    then: Position | None
    """The position after the last of them, if it is the start of the next page."""

    def after(self, row: int) -> Position:
        """Return the position just after one of the rows, counted from 0."""
        if self.then is not None and row == self.size - 1:
            return self.then
        return Position(self.token, self.limit, self.skip + row + 1)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a list, in the order of their runs."""

    rows: list[Row]
    runs: list[Run]
    end: Position | None
    """The start of the rest of the list; None at its end."""

    def cursors(self, codec: CursorCodec) -> Iterator[str]:
        """Yield the cursor just after each row."""
        for token, limit, skip, size, then in self.runs:
            cursors = codec.encode_run(token, limit, range(skip + 1, skip + size + 1))
            if then is None:
                yield from cursors
            else:
                yield from cursors[:-1]
                yield codec.encode(then)


async def paginate(
    context: Context,
    listing: Listing,
    make: Callable[[Row], Item],
    *,
    first: int,
    after: str | None,
) -> Connection[Item] | None:
    """Return the page of `listing` that begins after the cursor `after`.

    Cognito's lists of users lag behind, so a user in one may be gone by now. That is no error of
    the request, and some clients would drop all of a response that has one.

    Args:
        context: The request's context.
        listing: The list.
        make: Turns a row into an item.
        first: Number of items to return.
        after: A cursor of the same list, or None for its start.

    Returns:
        The page; None if the list is of a user or a group that does not exist.

    Raises:
        BadUserInput: `first` is out of range.
        InvalidCursor: `after` is not a cursor of this list, or has expired.
        AdminError: A call failed.
    """
    if not 1 <= first <= MAX_FIRST:
        raise BadUserInput(f"`first` must be from 1 to {MAX_FIRST}.", field="first")
    codec = CursorCodec(context.pool.pool_id, listing.operation, listing.parameters)
    start = Position(None, listing.limit or first) if after is None else codec.decode(after)
    try:
        page = await read_page(context, listing, start, first)
    except (UserNotFound, GroupNotFound):
        return None
    return Connection(
        nodes=[make(row) for row in page.rows],
        page=page,
        codec=codec,
        continues=after is not None,
    )


async def read_page(context: Context, listing: Listing, start: Position, count: int) -> Page:
    """Read `count` rows from `start` on, across as many of Cognito's pages as needed.

    Cognito is called at most `SPARE_CALLS` times more often than its pages would need if they
    were full. If that is not enough, the page is short, and its `end` continues the list.

    Raises:
        InvalidCursor: Cognito no longer knows the token of `start`.
        QueryTooExpensive: The request's calls are used up.
        AdminError: A call failed.
    """
    if listing.sort_key is not None:
        return _cut(sorted(await read_all(context, listing), key=listing.sort_key), start, count)
    rows: list[Row] = []
    runs: list[Run] = []
    at = start
    for _ in range(ceil((start.skip + count) / start.limit) + SPARE_CALLS):
        found, token = await _call(context, listing, at)
        skipped = min(at.skip, len(found))
        taken = found[skipped : skipped + count - len(rows)]
        used = skipped + len(taken)
        rows += taken
        if used < len(found):
            runs.append(Run(at.token, at.limit, skipped, len(taken), then=None))
            return Page(rows, runs, end=Position(at.token, at.limit, used))
        then = Position(token, at.limit, at.skip - skipped) if token is not None else None
        if taken:
            runs.append(Run(at.token, at.limit, skipped, len(taken), then))
        if then is None:
            return Page(rows, runs, end=None)
        at = then
        if len(rows) == count:
            break
    return Page(rows, runs, end=at)


async def read_all(context: Context, listing: Listing, *, enough: int | None = None) -> list[Row]:
    """Read a list to its end, or until `enough` rows are found.

    It is bounded only by the calls and the deadline of the request: only the end of a list shows
    that it has no more rows, so not reaching it is an error.

    Args:
        context: The request's context.
        listing: The list.
        enough: Stop after this many rows; further ones do not matter.

    Raises:
        QueryTooExpensive: The request's calls were used up before the end of the list.
        TimedOut: Its deadline passed before the end of the list.
        UpstreamFailed: Cognito returned a page token twice.
        AdminError: A call failed.
    """
    rows: list[Row] = []
    at = Position(None, listing.limit or MAX_LIMIT)
    met: set[str] = set()
    while True:
        found, token = await _call(context, listing, at)
        rows += found
        if token is None or (enough is not None and len(rows) >= enough):
            return rows
        if token in met:
            raise UpstreamFailed  # otherwise the list would never end
        met.add(token)
        at = Position(token, at.limit)


def _cut(rows: list[Row], start: Position, count: int) -> Page:
    """Return a page of a list that is read as a whole."""
    if start.token is not None:
        raise InvalidCursor
    taken = rows[start.skip : start.skip + count]
    runs = [Run(None, start.limit, start.skip, len(taken), then=None)] if taken else []
    used = start.skip + len(taken)
    return Page(taken, runs, end=Position(None, start.limit, used) if used < len(rows) else None)


async def _call(context: Context, listing: Listing, at: Position) -> tuple[list[Row], str | None]:
    parameters: dict[str, object] = dict(listing.parameters)
    if listing.size is not None:
        parameters[listing.size] = at.limit
    if at.token is not None:
        parameters[listing.token] = at.token
    try:
        reply = await context.read(listing.action, listing.operation, **parameters)
    except BadUserInput as error:
        # Cognito does not say which parameter is invalid; all but the token have been checked.
        if at.token is None:
            raise
        raise InvalidCursor from error
    rows = _named(reply.get(listing.rows, []), listing)
    token = reply.get(listing.token)
    if not isinstance(token, str | None):
        log.error("reply from Cognito with an invalid page token", operation=listing.operation)
        raise UpstreamFailed
    if token is not None and token == at.token:
        raise UpstreamFailed  # otherwise the list would never end
    if listing.keep is not None:
        rows = list(filter(listing.keep, rows))
    return rows, token


def _named(rows: Any, listing: Listing) -> list[Row]:
    """Return the rows that have a name; in a valid reply, all have one."""
    if not isinstance(rows, list):
        log.error("reply from Cognito without its list", operation=listing.operation)
        raise UpstreamFailed
    try:
        if set(map(type, map(itemgetter(listing.key), rows))) <= _TEXT:
            return rows
    except (KeyError, TypeError):
        pass
    named = [row for row in rows if isinstance(row, dict) and type(row.get(listing.key)) is str]
    log.error(
        "left out rows from Cognito without a name",
        operation=listing.operation,
        rows=len(rows) - len(named),
    )
    return named


_TEXT = frozenset({str})
