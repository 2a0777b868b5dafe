"""Relay connections over Cognito's page tokens.

Cognito's pages may come back short, or empty, while more are to come; the end is the absent
token and nothing else. So a place in a list is a page token, the `Limit` that it was issued
with (a token is good only with the parameters it was issued for) and a number of rows to skip
from there on, across pages: an offset inside one page would lose people when that page comes
back shorter than it was.

For the same reason nothing is said of a whole list (that nobody is in it, that there is no other,
which comes first) before the absent token was seen: `read_all` reads on to it, or fails.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil
from operator import itemgetter
from typing import Annotated, Any, Generic, NamedTuple, TypeAlias, TypeVar

import strawberry
import structlog

from graphql_admin.admin.context import Context
from graphql_admin.admin.cursors import MAX_LIMIT, CursorCodec, Position
from graphql_admin.engine.fields import shown
from graphql_admin.errors import BadUserInput, InvalidCursor, UpstreamFailed

log = structlog.get_logger(__name__)

MAX_FIRST = MAX_LIMIT
"""Cognito's largest page."""

DEFAULT_FIRST = 25

SPARE_CALLS = 8
"""Calls for one page beyond those that full pages from Cognito would need. A page that is short
after these leads on; where no page could, the request's own bounds hold (`read_all`)."""

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
    """Whether the page began at a cursor."""

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

    def __init__(self, cursor: str, node: Item) -> None:  # Strawberry's takes names, and longer
        self.cursor = cursor
        self.node = node


@strawberry.type(description="A page of a list.")
class Connection(Generic[Item]):
    nodes: list[Item] = strawberry.field(description="The items of this page.")
    page: strawberry.Private["Page"]
    codec: strawberry.Private[CursorCodec]
    continues: strawberry.Private[bool]
    """Whether the page began at a cursor."""

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

    operation: str
    rows: str
    """Reply member that holds the rows."""

    key: str
    """Member of a row that names it. A row without is left out."""

    token: str
    """Name of the page token, in the request and in the reply."""

    parameters: Mapping[str, str] = field(default_factory=dict)
    """Input members other than `Limit` and the token."""

    keep: Callable[[Row], bool] | None = None
    """Drops rows that Cognito should not have returned."""

    sort_key: Callable[[Row], Any] | None = None
    """Order of the rows, where Cognito has none. For it, every page reads the list to its end: it
    is for lists that are short."""

    limit: int | None = None
    """Rows to ask Cognito for at a time; None: as many as the client wants."""


class Run(NamedTuple):
    """Rows that follow one another after where one page token leads."""

    token: str | None
    limit: int
    skip: int
    """Rows between the token and the first of them."""
    size: int
    then: Position | None
    """The position after the last of them, where it is that of the next page."""

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
    """Where the rest of the list begins; None: there is no rest."""

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
) -> Connection[Item]:
    """Return the page of `listing` that begins after the cursor `after`.

    Args:
        context: The request's context.
        listing: The list.
        make: Turns a row into an item.
        first: Number of items wanted.
        after: A cursor of the same list, or None for its beginning.

    Raises:
        BadUserInput: `first` is out of range.
        InvalidCursor: `after` is not a cursor of this list, or has expired.
        AdminError: Cognito did not answer well.
    """
    if not 1 <= first <= MAX_FIRST:
        raise BadUserInput(f"`first` must be from 1 to {MAX_FIRST}.", field="first")
    codec = CursorCodec(context.pool.pool_id, listing.operation, listing.parameters)
    start = Position(None, listing.limit or first) if after is None else codec.decode(after)
    page = await read_page(context, listing, start, first)
    return Connection(
        nodes=[make(row) for row in page.rows],
        page=page,
        codec=codec,
        continues=after is not None,
    )


async def read_page(context: Context, listing: Listing, start: Position, count: int) -> Page:
    """Read `count` rows from `start` on, across as many of Cognito's pages as that takes.

    Cognito is called at most `SPARE_CALLS` times more often than its pages would need if they
    were full. Where that is not enough, the page is short and its `end` leads on.

    Raises:
        InvalidCursor: Cognito no longer knows the token of `start`.
        QueryTooExpensive: The request's calls are used up.
        AdminError: Cognito did not answer well.
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

    It is bounded by the request's calls and its deadline alone: that a list has no more rows is
    known at its end and nowhere else, so a list that was not read to its end is an error.

    Args:
        context: The request's context.
        listing: The list.
        enough: The number of rows after which it does not matter whether there are more.

    Raises:
        QueryTooExpensive: The request's calls do not reach the end of the list.
        TimedOut: Its time does not.
        UpstreamFailed: The list leads back to where it was.
        AdminError: Cognito did not answer well.
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
            raise UpstreamFailed  # the list would never end
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
    parameters: dict[str, object] = {**listing.parameters, "Limit": at.limit}
    if at.token is not None:
        parameters[listing.token] = at.token
    try:
        reply = await context.read(listing.operation, **parameters)
    except BadUserInput as error:
        # Cognito says no more than that a parameter is wrong; all but the token are checked.
        if at.token is None:
            raise
        raise InvalidCursor from error
    rows = _named(reply.get(listing.rows, []), listing)
    token: str | None = reply.get(listing.token)
    if token is not None and token == at.token:
        raise UpstreamFailed  # the list would never end
    if listing.keep is not None:
        rows = list(filter(listing.keep, rows))
    return rows, token


def _named(rows: Any, listing: Listing) -> list[Row]:
    """Return the rows that have a name, which are all of them where Cognito keeps its word."""
    try:
        if set(map(type, map(itemgetter(listing.key), rows))) <= _TEXT:
            return rows  # type: ignore[no-any-return]  # they were looked at
    except (KeyError, TypeError):
        pass
    if not isinstance(rows, list):
        log.error("reply of Cognito without its list", operation=listing.operation)
        raise UpstreamFailed
    named = [row for row in rows if isinstance(row, dict) and type(row.get(listing.key)) is str]
    log.error(
        "rows of Cognito without a name are left out",
        operation=listing.operation,
        rows=len(rows) - len(named),
    )
    return named


_TEXT = frozenset({str})
