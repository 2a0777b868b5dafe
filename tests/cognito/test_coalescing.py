"""Identical concurrent reads are made once, and no reader gets what a write has outdated."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from graphql_admin.cognito.categories import Quota
from graphql_admin.cognito.coalescing import SharedReads
from graphql_admin.cognito.quotas import Permit, Quotas
from graphql_admin.errors import AdminError, Throttled, TimedOut, UpstreamFailed
from tests.support import loops
from tests.support.patience import PATIENCE


class Source:
    """Something to read from, each time another reply, which comes when the test says so."""

    def __init__(self) -> None:
        self.gates: list[asyncio.Future[None]] = []

    async def read(self) -> dict[str, Any]:
        number = len(self.gates)
        gate = asyncio.get_running_loop().create_future()
        self.gates.append(gate)
        await gate
        return {"number": number}


Act = Callable[[SharedReads, Source, Callable[..., "asyncio.Task[dict[str, Any]]"]], Awaitable[Any]]


def play(act: Act, *, keep: bool = False) -> None:
    """Let `act` play with reads of one source; its `ask(within=…)` starts one as a task."""

    async def run() -> None:
        reads, source = SharedReads(keep=keep), Source()
        loop = asyncio.get_running_loop()

        def ask(within: float = 20) -> asyncio.Task[dict[str, Any]]:
            return loop.create_task(reads.get("key", source.read, deadline=loop.time() + within))

        async with asyncio.timeout(PATIENCE):
            await act(reads, source, ask)

    asyncio.run(run())


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_join() -> None:
    """A reader during an identical read gets its reply; a later reader gets a new one."""

    async def act(_: SharedReads, source: Source, ask: Any) -> None:
        tasks = [ask() for _ in range(3)]
        await settle()
        source.gates[0].set_result(None)
        assert await asyncio.gather(*tasks) == [{"number": 0}] * 3
        later = ask()
        await settle()
        source.gates[1].set_result(None)
        assert await later == {"number": 1}

    play(act)


def test_kept() -> None:
    """If replies are cached, later readers get them too, until a write."""

    async def act(reads: SharedReads, source: Source, ask: Any) -> None:
        first = ask()
        await settle()
        source.gates[0].set_result(None)
        assert await first == await ask() == {"number": 0}
        reads.forget()
        again = ask()
        await settle()
        source.gates[1].set_result(None)
        assert await again == {"number": 1}

    play(act, keep=True)


@pytest.mark.parametrize("keep", [False, True])
def test_forgotten_while_in_flight(keep: bool) -> None:
    """A read from before a write goes to those that joined it by then, and to no later reader."""

    async def act(reads: SharedReads, source: Source, ask: Any) -> None:
        old = [ask(), ask()]
        await settle()
        reads.forget()
        new = [ask(), ask()]
        await settle()
        source.gates[1].set_result(None)
        assert await asyncio.gather(*new) == [{"number": 1}] * 2
        source.gates[0].set_result(None)
        assert await asyncio.gather(*old) == [{"number": 0}] * 2
        last = ask()
        await settle()
        if keep:
            assert await last == {"number": 1}
        else:
            source.gates[2].set_result(None)
            assert await last == {"number": 2}

    play(act, keep=keep)


def test_errors() -> None:
    """All readers that waited for the read get its error, and no later one does."""

    async def act(_: SharedReads, source: Source, ask: Any) -> None:
        tasks = [ask() for _ in range(3)]
        await settle()
        source.gates[0].set_exception(UpstreamFailed())
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(end) for end in ends] == [UpstreamFailed] * 3
        later = ask()
        await settle()
        source.gates[1].set_result(None)
        assert await later == {"number": 1}

    play(act, keep=True)


@pytest.mark.parametrize("error", [TimedOut(), Throttled(), RuntimeError("a fault")])
def test_troubles_of_the_one_who_reads(error: Exception) -> None:
    """If the one who reads runs out of time, or into a fault, another reads for the rest."""

    async def act(_: SharedReads, source: Source, ask: Any) -> None:
        tasks = [ask() for _ in range(3)]
        await settle()
        source.gates[0].set_exception(error)
        await settle()
        source.gates[1].set_result(None)
        first, *others = await asyncio.gather(*tasks, return_exceptions=True)
        assert first is error
        assert others == [{"number": 1}] * 2

    play(act)


def test_cancelled_reader() -> None:
    """If the one who reads is cancelled, another reads for the rest."""

    async def act(_: SharedReads, source: Source, ask: Any) -> None:
        first, *others = [ask() for _ in range(3)]
        await settle()
        first.cancel()
        await settle()
        assert first.cancelled()
        source.gates[1].set_result(None)
        assert await asyncio.gather(*others) == [{"number": 1}] * 2

    play(act)


def test_cancelled_follower() -> None:
    """A reader that waits for another's read and is cancelled does not affect the others."""

    async def act(_: SharedReads, source: Source, ask: Any) -> None:
        first, second, third = [ask() for _ in range(3)]
        await settle()
        second.cancel()
        await settle()
        source.gates[0].set_result(None)
        assert await first == await third == {"number": 0}
        assert second.cancelled()

    play(act)


def test_deadline_of_a_follower() -> None:
    """One who waits for another's read does so until the own deadline at most."""

    async def act(_: SharedReads, source: Source, ask: Any) -> None:
        first, second = ask(), ask(within=0.01)
        with pytest.raises(TimedOut):
            await second
        source.gates[0].set_result(None)
        assert await first == {"number": 0}

    play(act)


# Reads that wait for their turns, on a clock that jumps

LIST = "ListUsers"


class Lists:
    """Lists of users at a call a second, or a second after the last one ended.

    Args:
        seconds: How long a call takes.
    """

    def __init__(self, seconds: float = 0) -> None:
        self.quotas = Quotas({Quota.USER_LIST: 1})
        self.reads = SharedReads()
        self.made: list[str] = []
        """The keys of the calls that were made, in their order."""
        self.troubles: list[Exception] = []
        """What the next calls end with, instead of a reply."""
        self._seconds = seconds

    def ask(self, key: str, caller: str, within: float = 1e6) -> "asyncio.Task[float]":
        """Ask for a list; the task returns when the reply came, in seconds."""
        deadline = asyncio.get_running_loop().time() + within
        options = {"reads": True, "caller": caller}

        async def fetch(permit: Permit) -> dict[str, Any]:
            with permit:
                self.made.append(key)
                number = len(self.made)
                await asyncio.sleep(self._seconds)
                if self.troubles:
                    raise self.troubles.pop(0)
                return {"number": number}

        async def get() -> float:
            reply = await self.reads.get_in_turn(
                key,
                caller,
                take=partial(self.quotas.take, LIST, None, **options),  # type: ignore[arg-type]
                wait=partial(self.quotas.acquire, LIST, None, deadline=deadline, **options),  # type: ignore[arg-type]
                fetch=fetch,
                deadline=deadline,
            )
            assert self.made[reply["number"] - 1] == key
            return loops.now()

        return asyncio.create_task(get())

    async def queue(self, caller: str, count: int) -> "list[asyncio.Task[float]]":
        """Let so many reads of a caller wait, of which no two are the same."""
        tasks = [self.ask(f"{caller}{number}", caller) for number in range(count)]
        await settle()
        return tasks

    def is_clean(self) -> bool:
        """Tell whether nothing is left of the reads, and no token is held."""
        bucket = self.quotas._of_operation[LIST][-1]  # noqa: SLF001  # there is no other sign
        others = asyncio.all_tasks() - {asyncio.current_task()}
        return not others and bucket.is_idle(asyncio.get_running_loop().time() + 2)


def test_first_turn_fetches() -> None:
    """Who joins a read that another queued behind many does not wait for the other's turn."""

    async def act() -> None:
        lists = Lists()
        many = await lists.queue("ann", 100)
        slow, quick = lists.ask("shared", "ann"), lists.ask("shared", "bob")
        assert await quick == pytest.approx(2, abs=1e-3)  # after ann's first two
        assert slow.done()
        assert lists.made == ["ann0", "ann1", "shared"]
        last = await many[-1]
        assert last == pytest.approx(100, abs=1e-3)  # no turn was used without a call
        assert lists.made.count("shared") == 1
        await asyncio.sleep(1)
        assert lists.is_clean()

    loops.play(act)


def test_one_turn_for_the_same_read_of_a_caller() -> None:
    """Those of one caller who want the same wait for one turn together."""

    async def act() -> None:
        lists = Lists()
        await lists.queue("ann", 1)
        same = [lists.ask("same", "ann") for _ in range(50)]
        other = lists.ask("other", "ann")
        assert [round(await task, 2) for task in same] == [1] * 50
        assert await other == pytest.approx(2, abs=1e-3)

    loops.play(act)


@pytest.mark.parametrize("after", [0.5, 2.5], ids=["before the call", "during the call"])
def test_cancelled_when_others_joined(after: float) -> None:
    """A cancelled reader takes nothing from the others of its read; no call is made twice."""

    async def act() -> None:
        lists = Lists(seconds=0.9)
        await lists.queue("ann", 1)
        first, second = lists.ask("shared", "bob"), lists.ask("shared", "eve")
        third = lists.ask("shared", "bob")
        await asyncio.sleep(after)
        first.cancel()
        assert await second == await third == pytest.approx(2.8, abs=1e-3)
        assert lists.made == ["ann0", "shared"]
        await asyncio.sleep(1)
        assert lists.is_clean()

    loops.play(act)


@pytest.mark.parametrize("after", [0.5, 2.5], ids=["before the call", "during the call"])
def test_all_cancelled(after: float) -> None:
    """A read without any reader left is cancelled, and its turn goes to the next."""

    async def act() -> None:
        lists = Lists(seconds=0.9)
        await lists.queue("ann", 1)
        leaving = [lists.ask("shared", caller) for caller in ("bob", "eve", "bob")]
        await settle()
        staying = lists.ask("other", "joe")
        await asyncio.sleep(after)
        for task in leaving:
            task.cancel()
        again = lists.ask("shared", "bob")
        await asyncio.gather(staying, again)
        made_for_them = ["shared"] if after > 1 else []
        assert lists.made == ["ann0", *made_for_them, "other", "shared"]
        await asyncio.sleep(1)
        assert lists.is_clean()

    loops.play(act)


def test_turn_of_another_in_time() -> None:
    """Who would wait too long for a turn of their own gets what another fetches in time."""

    async def act() -> None:
        lists = Lists()
        await lists.queue("ann", 30)
        other = lists.ask("shared", "bob")
        await settle()
        assert await lists.ask("shared", "ann", within=5) == await other

    loops.play(act)


def test_no_turn_in_time() -> None:
    """If no reader would get a turn in time, each is told when to retry."""

    async def act() -> None:
        lists = Lists()
        await lists.queue("ann", 30)
        other = lists.ask("shared", "bob", within=1e3)
        await settle()
        refused = lists.ask("shared", "ann", within=5)
        await settle()
        assert not refused.done()
        other.cancel()
        with pytest.raises(Throttled) as caught:
            await refused
        assert caught.value.retry_after == pytest.approx(31, abs=0.1)
        assert loops.now() == 0

    loops.play(act)


def test_read_in_turn_after_a_write() -> None:
    """A reader after a write does not join a read that was queued before it."""

    async def act() -> None:
        lists = Lists()
        await lists.queue("ann", 1)
        before = lists.ask("shared", "bob")
        await settle()
        lists.reads.forget()
        after = lists.ask("shared", "bob")
        assert await before < await after
        assert lists.made == ["ann0", "shared", "shared"]

    loops.play(act)


@pytest.mark.parametrize("error", [UpstreamFailed(), RuntimeError("a fault")])
def test_errors_of_a_read_in_turn(error: Exception) -> None:
    """All readers that joined a read get its outcome, and no later one does."""

    async def act() -> None:
        lists = Lists()
        await lists.queue("ann", 1)
        tasks = [lists.ask("shared", caller) for caller in ("bob", "eve", "bob")]
        await asyncio.sleep(0.5)
        lists.troubles.append(error)
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert ends == [error] * 3
        await lists.ask("shared", "bob")
        assert lists.made == ["ann0", "shared", "shared"]

    loops.play(act)


@pytest.mark.parametrize("error", [TimedOut(), Throttled()])
def test_time_out_of_a_read_in_turn(error: AdminError) -> None:
    """If a call runs out of time, the readers with more time fetch again, once."""

    async def act() -> None:
        lists = Lists()
        await lists.queue("ann", 1)
        first, *others = [lists.ask("shared", caller) for caller in ("bob", "eve", "bob")]
        await asyncio.sleep(0.5)
        lists.troubles.append(error)
        with pytest.raises(type(error)):
            await first
        assert [round(end, 2) for end in await asyncio.gather(*others)] == [2] * 2
        assert lists.made == ["ann0", "shared", "shared"]

    loops.play(act)


def test_deadline_of_one_who_joined() -> None:
    """Each reader waits until its own deadline, whatever those of the others."""

    async def act() -> None:
        lists = Lists(seconds=5)
        await lists.queue("ann", 1)
        patient = lists.ask("shared", "bob")
        with pytest.raises(TimedOut):
            await lists.ask("shared", "eve", within=8)
        assert loops.now() == pytest.approx(8)
        assert await patient == pytest.approx(11, abs=0.1)

    loops.play(act)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens(seed: int) -> None:
    """However reads end, and whichever readers leave, each gets an outcome; nothing is left."""
    chance = random.Random(seed)

    async def act() -> None:
        lists = Lists(seconds=chance.choice([0, 0.5, 3]))
        tasks = []
        for _ in range(100):
            key, caller = f"list{chance.randrange(5)}", f"caller{chance.randrange(4)}"
            tasks.append(lists.ask(key, caller, within=chance.choice([1, 5, 30, 1000])))
            if chance.random() < 0.3:
                await asyncio.sleep(chance.choice([0, 0.05, 2]))
            if chance.random() < 0.2:
                chance.choice(tasks).cancel()
            if chance.random() < 0.1:
                lists.reads.forget()
            if chance.random() < 0.2:
                errors = [Throttled(), TimedOut(), UpstreamFailed(), RuntimeError("a fault")]
                lists.troubles.append(chance.choice(errors))
        async with asyncio.timeout(1e4):
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        expected = (float, AdminError, RuntimeError, asyncio.CancelledError)
        assert [end for end in ends if not isinstance(end, expected)] == []
        await asyncio.sleep(3)
        assert lists.is_clean()

    loops.play(act)
