"""Places that callers share: none holds them all, and callers that wait take turns."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from graphql_admin.cognito.shares import Places, Slots
from tests.support.patience import PATIENCE


def take_all(places: Places, caller: str) -> int:
    """Take as many places as the caller can get."""
    taken = 0
    while places.take(caller):
        taken += 1
    return taken


def test_one_caller_leaves_half() -> None:
    """A caller alone gets half of the places, and gets others as they are given back."""
    places = Places(1000)
    assert take_all(places, "ann") == 500
    places.give_back("ann")
    assert take_all(places, "ann") == 1


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 20, 1000])
def test_room_for_another(limit: int) -> None:
    """However much one caller asks for, another gets in, if there is more than one place."""
    places = Places(limit)
    assert take_all(places, "ann") >= 1
    assert places.take("bob") == (limit > 1)


def test_late_comers() -> None:
    """Four who take what they can leave a place each for many who come later."""
    places = Places(1000)
    taken = [take_all(places, f"greedy{n}") for n in range(4)]
    assert taken[:3] == [500, 250, 125]
    assert sum(take_all(places, f"modest{n}") for n in range(100)) == 1000 - sum(taken)
    assert all(not places.take(f"greedy{n}") for n in range(4))


def test_shares_become_equal() -> None:
    """Callers who always want more end up with the same, and as much is left for another."""
    places = Places(1000)
    held = Counter({caller: take_all(places, caller) for caller in ("ann", "bob", "eve")})
    for _ in range(2000):  # each place is given back in its time, and all ask again at once
        caller = held.most_common(1)[0][0]
        places.give_back(caller)
        held[caller] -= 1
        for asking in ("ann", "bob", "eve"):
            if places.take(asking):
                held[asking] += 1
    assert all(count == pytest.approx(250, abs=2) for count in held.values())
    assert take_all(places, "joe") > 100


def test_nothing_is_kept() -> None:
    """Of callers who hold nothing, nothing is kept."""
    places = Places(10)
    for number in range(1000):
        assert places.take(f"caller{number}")
        places.give_back(f"caller{number}")
    assert not places._held  # noqa: SLF001  # there is no other sign of it


# Waiting


def play(act: Callable[[Slots], Awaitable[None]], limit: int) -> None:
    """Run `act` with so many slots."""

    async def run() -> None:
        async with asyncio.timeout(PATIENCE):
            await act(Slots(limit))

    asyncio.run(run())


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_turns() -> None:
    """A caller that waits for a slot does not wait for all those of one that came before."""
    order: list[str] = []

    async def hold(slots: Slots, caller: str, end: asyncio.Event) -> None:
        if not slots.take(caller):
            await slots.wait(caller)
        order.append(caller)
        await end.wait()
        slots.give_back(caller)

    async def act(slots: Slots) -> None:
        ends = [asyncio.Event() for _ in range(13)]
        callers = ["ann"] * 10 + ["bob"] * 3
        tasks = [
            asyncio.create_task(hold(slots, caller, end))
            for caller, end in zip(callers, ends, strict=True)
        ]
        await settle()
        # Of four, ann has two; bob came last, and has the one that he may have.
        assert order == ["ann", "ann", "bob"]
        for end in ends:
            end.set()
        await asyncio.gather(*tasks)
        assert Counter(order) == {"ann": 10, "bob": 3}
        assert order.index("bob", 3) < 6

    play(act, 4)


def test_cancelled_while_waiting() -> None:
    """A waiter that is cancelled leaves the turn to the next, and holds nothing."""

    async def act(slots: Slots) -> None:
        assert slots.take("ann")
        first, second = (asyncio.create_task(slots.wait(name)) for name in ("ann", "bob"))
        await settle()
        first.cancel()
        await settle()
        slots.give_back("ann")
        await second
        assert not slots.take("eve")
        slots.give_back("bob")
        assert slots.take("eve")

    play(act, 1)


def test_cancelled_when_the_turn_had_come() -> None:
    """A waiter that is cancelled just when it got a slot gives it to the next."""

    async def act(slots: Slots) -> None:
        assert slots.take("ann")
        first, second = (asyncio.create_task(slots.wait(name)) for name in ("bob", "eve"))
        await settle()
        slots.give_back("ann")
        first.cancel()
        await second
        with pytest.raises(asyncio.CancelledError):
            await first

    play(act, 1)
