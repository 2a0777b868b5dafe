"""Who is being deprived of rights, and for how long that is remembered."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from graphql_admin.policy.decisions import Refused
from graphql_admin.policy.reservations import (
    CONFLICT,
    KEPT,
    TOO_MANY,
    LocalReservations,
    Reservation,
    Reservations,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reservations(clock: Clock) -> LocalReservations:
    return LocalReservations(clock, max_per_caller=3)


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(coroutine)


def is_reserved(reservations: Reservations, sub: str) -> bool:
    """Tell whether a user is kept from giving rights."""
    refused = run(reservations.give(sub))
    if refused is None:
        run(reservations.given(sub))
    return refused is CONFLICT


@pytest.fixture
def reserve(
    reservations: Reservations, clock: Clock
) -> Callable[[str, str], Reservation | Refused]:
    """Reserve the second for the first, within a request that may take 15 seconds."""

    def attempt(caller: str, target: str) -> Reservation | Refused:
        deadline = clock.now + 15
        return run(  # type: ignore[no-any-return]
            reservations.reserve(target, caller=caller, deadline=deadline)
        )

    return attempt


def test_who_is_reserved_reserves_nobody(reserve: Any) -> None:
    """Whoever is being deprived of rights cannot deprive others, whoever they are."""
    assert isinstance(reserve("a", "b"), Reservation)
    assert reserve("b", "a") is CONFLICT
    assert reserve("b", "c") is CONFLICT
    assert isinstance(reserve("c", "a"), Reservation)
    assert reserve("a", "c") is CONFLICT


def test_two_may_reserve_the_same(reserve: Any, reservations: LocalReservations) -> None:
    """Where two take the rights of the same one, the one that fails leaves the other's be."""
    first, second = reserve("a", "c"), reserve("b", "c")
    run(reservations.drop(first))
    assert reserve("c", "a") is CONFLICT
    run(reservations.drop(second))
    assert isinstance(reserve("c", "a"), Reservation)


def test_dropped_once(reserve: Any, reservations: LocalReservations) -> None:
    """To drop what is dropped changes nothing, and it cannot be kept any more."""
    first = reserve("a", "b")
    run(reservations.drop(first))
    run(reservations.keep(first))
    again = reserve("a", "b")
    run(reservations.drop(first))
    assert reserve("b", "a") is CONFLICT
    run(reservations.drop(again))
    assert not len(reservations)


def test_kept(reserve: Any, reservations: LocalReservations, clock: Clock) -> None:
    """What was done, or may have been, is remembered for 30 seconds from then."""
    reservation = reserve("a", "b")
    clock.now += 10
    run(reservations.keep(reservation))
    clock.now += KEPT - 0.001
    assert is_reserved(reservations, "b")
    assert reserve("b", "a") is CONFLICT
    clock.now += 0.001
    assert not is_reserved(reservations, "b")
    assert isinstance(reserve("b", "a"), Reservation)


def test_never_ended(reserve: Any, clock: Clock) -> None:
    """An attempt of which nothing is heard holds as long as it can last, and 30 seconds."""
    reserve("a", "b")
    clock.now += 15 + KEPT - 0.001
    assert reserve("b", "a") is CONFLICT
    clock.now += 0.001
    assert isinstance(reserve("b", "a"), Reservation)


def test_deadline_passed(reservations: LocalReservations, clock: Clock) -> None:
    """A deadline that has passed shortens nothing."""
    run(reservations.reserve("b", caller="a", deadline=clock.now - 100))
    clock.now += KEPT - 0.001
    assert is_reserved(reservations, "b")


def test_bound_per_caller(reserve: Any, reservations: LocalReservations, clock: Clock) -> None:
    """One caller holds so many, of whomever; others are not concerned."""
    held = [reserve("a", target) for target in ("x", "x", "y")]
    assert reserve("a", "z") is TOO_MANY
    assert isinstance(reserve("b", "z"), Reservation)
    run(reservations.drop(held[0]))
    assert isinstance(reserve("a", "z"), Reservation)
    assert reserve("a", "z") is TOO_MANY
    clock.now += 15 + KEPT
    assert isinstance(reserve("a", "z"), Reservation)


def test_gifts_are_waited_for(reservations: LocalReservations, clock: Clock) -> None:
    """All that a user had begun to give is waited for, by all who wait; nobody else's is."""

    async def scenario() -> None:
        for giver in ["a", "a", "b"]:
            assert await reservations.give(giver) is None
        assert isinstance(
            await reservations.reserve("a", caller="c", deadline=clock.now), Reservation
        )
        assert await reservations.give("a") is CONFLICT
        await reservations.wait_for_gifts("c")
        waiting = [asyncio.ensure_future(reservations.wait_for_gifts("a")) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await reservations.given("a")
        await asyncio.sleep(0)
        assert not waiting[1].done()
        await reservations.given("a")
        await asyncio.gather(*waiting[1:])
        await reservations.wait_for_gifts("a")
        await reservations.given("b")

    run(scenario())
    assert len(reservations) == 1  # of "a"; gifts that are over leave nothing behind


def test_memory(reservations: LocalReservations, clock: Clock) -> None:
    """What has ended is forgotten, though nobody asks for it again."""

    async def scenario() -> None:
        for number in range(1_000):
            clock.now += 1
            reservation = await reservations.reserve(
                f"target-{number}", caller=f"caller-{number}", deadline=clock.now
            )
            assert isinstance(reservation, Reservation)
            await reservations.keep(reservation)
            assert len(reservations) <= 2 * KEPT + 1

    run(scenario())
    clock.now += KEPT
    run(reservations.reserve("b", caller="a", deadline=clock.now))
    assert len(reservations) == 1
