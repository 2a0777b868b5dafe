"""No document within the default limits takes long: counted, since the machine decides the time."""

import sys
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from bench.hostile import FAMILIES, ROOMS, Search, Server

MAX_CALLS = 650_000
"""Calls of functions that a request may take. A tenth of a second is for about a million."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The endpoint, in this process."""
    with Server() as server:
        yield server


def count_calls(server: Server, family: str, numbers: tuple[int, ...]) -> int:
    """Return how many functions are called to answer one request."""
    request = FAMILIES[family][0](*numbers)
    calls = 0

    def count(_: Any, event: str, __: Any) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        status, body = server.answer(request)
    finally:
        sys.setprofile(before)
    assert status in {200, 400, 413}
    assert b"INTERNAL" not in body
    assert len(body) < 2_000_000
    return calls


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_bound(server: Server, family: str) -> None:
    """Each family at the limits, and within them, stays within the bound."""
    _, rooms = FAMILIES[family]
    random = Random(family)
    most = tuple(ROOMS[room] for room in rooms)
    assert count_calls(server, family, most) <= MAX_CALLS
    for _ in range(5):
        numbers = tuple(random.randint(1, each) for each in most)
        assert count_calls(server, family, numbers) <= MAX_CALLS, numbers


@pytest.mark.slow
def test_search() -> None:
    """The search finds something of every family that it is asked for, and goes on from there."""
    with Server() as server:
        finding = Search(server, seed=1).worst_of("circular_fragments", steps=3)
    assert finding.family == "circular_fragments"
    assert finding.milliseconds > 0
    assert finding.outcome == "GRAPHQL_VALIDATION_FAILED"
