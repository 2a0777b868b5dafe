"""What requests in flight hold has a bound in bytes, shared between callers."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from graphql_admin.errors import Overloaded
from graphql_admin.web.in_flight import InFlight

LARGE = {"text": "x" * 10_000}


@dataclass(frozen=True)
class Sized:
    """As much of a document as counts here."""

    size: int


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Ends the requests that a test begins."""
    with ExitStack() as stack:
        yield stack


def begin(stack: ExitStack, in_flight: InFlight, caller: str, size: int, **variables: Any) -> bool:
    """Begin a request with a document of its own, and tell whether that was possible."""
    document: Any = Sized(size)
    try:
        stack.enter_context(in_flight.holding(caller, document, variables))
    except Overloaded:
        return False
    return True


@pytest.mark.parametrize(("size", "variables"), [(10_000, {}), (1, LARGE)])
def test_bytes(stack: ExitStack, size: int, variables: dict[str, Any]) -> None:
    """One caller gets half of the bytes at most; another is served, and all comes back."""
    in_flight = InFlight(1000, 200_000)
    started = [begin(stack, in_flight, "ann", size, **variables) for _ in range(20)]
    assert started.count(True) in {9, 10}
    assert begin(stack, in_flight, "bob", size, **variables)
    stack.close()
    assert [begin(stack, in_flight, "ann", size, **variables) for _ in range(20)] == started


def test_refused_takes_no_place(stack: ExitStack) -> None:
    """A request that is too large leaves its place to another."""
    in_flight = InFlight(2, 1000)
    assert not begin(stack, in_flight, "ann", 2000)
    assert begin(stack, in_flight, "ann", 10)


def test_documents_in_common(stack: ExitStack) -> None:
    """A document that many requests have counts once, and until the last of them ends."""
    in_flight = InFlight(1000, 25_000)
    document: Any = Sized(10_000)
    first = in_flight.holding("ann", document, None)
    first.__enter__()
    for _ in range(50):
        stack.enter_context(in_flight.holding("bob", document, None))
    first.__exit__(None, None, None)
    assert not begin(stack, in_flight, "ann", 10_000)
    stack.close()
    assert begin(stack, in_flight, "ann", 10_000)


def test_replies(stack: ExitStack) -> None:
    """What Cognito replied counts until the request ends; one caller gets half of it at most."""
    in_flight = InFlight(1000, max_reply_bytes=1000)
    document: Any = Sized(1)
    ann = stack.enter_context(in_flight.holding("ann", document, None))
    bob = stack.enter_context(in_flight.holding("bob", document, None))
    with in_flight.holding("ann", document, None) as before:
        before(300)
        with pytest.raises(Overloaded):
            ann(500)
        bob(200)
    ann(300)
    with pytest.raises(Overloaded):
        ann(400)
