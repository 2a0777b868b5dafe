"""Cursors: one way to make them singly, one to make those of many rows together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_admin.admin.cursors import MAX_LIMIT, CursorCodec, Position
from graphql_admin.errors import InvalidCursor

CODEC = CursorCodec("eu-west-1_AbCdEf123", "ListUsers", {"Filter": 'name = "ann"'})


@given(
    token=st.none() | st.text(st.characters(codec="utf-8"), max_size=50),
    limit=st.integers(1, MAX_LIMIT),
    start=st.integers(0, 65_000),
    size=st.integers(1, 70),
)
def test_run_is_as_each_cursor(token: str | None, limit: int, start: int, size: int) -> None:
    """The cursors of a run are those of its positions, and lead back to them."""
    skips = range(start, start + size)
    positions = [Position(token, limit, skip) for skip in skips]
    cursors = CODEC.encode_run(token, limit, skips)
    assert cursors == [CODEC.encode(position) for position in positions]
    assert [CODEC.decode(cursor) for cursor in cursors] == positions


@given(st.text(max_size=100) | st.binary(max_size=100).map(lambda raw: raw.hex()))
def test_what_is_no_cursor(text: str) -> None:
    """Whatever else is sent as a cursor is invalid."""
    with pytest.raises(InvalidCursor):
        CODEC.decode(text)
