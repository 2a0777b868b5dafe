"""Who is being deprived of rights, and for how long that is remembered."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from graphql_admin.policy.decisions import Denied
from graphql_admin.policy.reservations import (
    CONFLICT,
    HELD,
    KEPT,
    KEPT_FOR_ANOTHER_TRY,
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


@pytest.fixture
def reserve(reservations: Reservations, clock: Clock) -> Callable[[str, str], Reservation | Denied]:
    """Reserve the second for the first, within a request that may take 15 seconds."""

    def attempt(caller: str, target: str) -> Reservation | Denied:
        deadline = clock.now + 15
        return run(  # type: ignore[no-any-return]
            reservations.reserve(target, caller=caller, deadline=deadline)
        )

    return attempt


def test_reserved_users_reserve_no_one(reserve: Any) -> None:
    """A user whose rights are being taken cannot take those of any other."""
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
    assert run(reservations.is_reserved("b"))
    assert reserve("b", "a") is CONFLICT
    clock.now += 0.001
    assert not run(reservations.is_reserved("b"))
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
    assert run(reservations.is_reserved("b"))


@pytest.fixture
def hold(reservations: Reservations, clock: Clock) -> Callable[[str], Reservation | Denied]:
    """Hold a user within a request that may take 15 seconds."""

    def attempt(sub: str) -> Reservation | Denied:
        return run(reservations.hold(sub, deadline=clock.now + 15))  # type: ignore[no-any-return]

    return attempt


def test_held_users_are_not_reserved(reserve: Any, hold: Any, reservations: Any) -> None:
    """While a user gives themselves rights, no caller takes them; nor they while that is done."""
    own = hold("b")
    assert isinstance(own, Reservation)
    assert not run(reservations.is_reserved("b"))
    assert isinstance(hold("b"), Reservation)  # another at the same time
    assert isinstance(reserve("b", "c"), Reservation)
    assert reserve("a", "b") is HELD
    assert isinstance(reserve("a", "d"), Reservation)
    assert hold("d") is CONFLICT


def test_who_tries_to_reserve_the_held_gets_through(
    reserve: Any, hold: Any, reservations: LocalReservations, clock: Clock
) -> None:
    """Who begins change after change keeps no one out: none begins after the first refusal."""
    own = hold("b")
    assert reserve("a", "b") is HELD
    assert hold("b") is CONFLICT
    assert reserve("b", "a") is CONFLICT
    run(reservations.drop(own))
    assert hold("b") is CONFLICT
    taken = reserve("a", "b")
    assert isinstance(taken, Reservation)
    run(reservations.drop(taken))
    clock.now += KEPT_FOR_ANOTHER_TRY - 0.001
    assert hold("b") is CONFLICT
    clock.now += 0.001
    assert isinstance(hold("b"), Reservation)


def test_held_users_of_whom_nothing_is_heard(
    reserve: Any, hold: Any, reservations: LocalReservations, clock: Clock
) -> None:
    """A hold ends: 30 seconds after it was kept, or after its attempt ends at the latest."""
    own = hold("b")
    clock.now += 5
    run(reservations.keep(own))
    clock.now += KEPT - 0.001
    assert reserve("a", "b") is HELD
    clock.now += 0.001
    assert isinstance(reserve("a", "b"), Reservation)
    hold("c")
    clock.now += 15 + KEPT - 0.001
    assert reserve("a", "c") is HELD
    clock.now += 0.001
    assert isinstance(reserve("a", "c"), Reservation)


def test_bound_of_holds(hold: Any, reserve: Any, reservations: LocalReservations) -> None:
    """A user is held a limited number of times at once, and still reserves others."""
    held = [hold("a") for _ in range(3)]
    assert hold("a") is TOO_MANY
    assert isinstance(hold("b"), Reservation)
    run(reservations.drop(reserve("a", "c")))
    for each in held:
        run(reservations.drop(each))
    assert isinstance(hold("a"), Reservation)


def test_bound_of_refused_tries(reserve: Any, hold: Any, clock: Clock) -> None:
    """One caller reserves held users a limited number of times; others are not affected."""
    hold("x")
    assert [reserve("a", "x") for _ in range(3)] == [HELD] * 3
    assert reserve("a", "x") is TOO_MANY
    assert isinstance(reserve("a", "y"), Reservation)
    assert reserve("b", "x") is HELD
    clock.now += KEPT_FOR_ANOTHER_TRY
    assert isinstance(reserve("a", "x"), Reservation)


def test_many_leave(reserve: Any, reservations: LocalReservations, clock: Clock) -> None:
    """What a caller does to others is not bounded here, and is forgotten in time."""
    for number in range(1_000):
        reservation = reserve("a", f"x{number}")
        assert isinstance(reservation, Reservation)
        run(reservations.keep(reservation))
    assert len(reservations) == 1_000
    clock.now += KEPT
    reserve("a", "y")
    assert len(reservations) == 1


def test_losing(reserve: Any, hold: Any, reservations: LocalReservations, clock: Clock) -> None:
    """A user is about to lose rights until all attempts have ended, or would have."""
    first, second = reserve("a", "c"), reserve("b", "c")
    run(reservations.keep(first))
    assert run(reservations.is_losing("c"))
    run(reservations.drop(second))
    assert not run(reservations.is_losing("c"))
    assert run(reservations.is_reserved("c"))
    reserve("a", "d")
    clock.now += 15 + KEPT - 0.001
    assert run(reservations.is_losing("d"))
    clock.now += 0.001
    assert not run(reservations.is_losing("d"))
    hold("e")
    assert reserve("a", "e") is HELD
    assert not run(reservations.is_losing("e"))


def test_memory(reservations: LocalReservations, clock: Clock) -> None:
    """Expired reservations are dropped, even if they are never read again."""

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
