"""Reads that are the same are made once, and nobody gets what a write has outdated."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from graphql_admin.errors import TimedOut, UpstreamFailed
from graphql_admin.reads import SharedReads


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

        async with asyncio.timeout(20):
            await act(reads, source, ask)

    asyncio.run(run())


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_join() -> None:
    """Whoever asks while the same is being read gets that reply; who asks later, a new one."""

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
    """Where replies are kept, who asks later gets them too, until a write."""

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
def test_forgotten_while_under_way(keep: bool) -> None:
    """What began before a write goes to those who had asked by then, and to nobody later."""

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
    """An error is everybody's who waited for the read, and nobody's who asks later."""

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


@pytest.mark.parametrize("error", [TimedOut(), RuntimeError("a fault")])
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
    """One who waits for another's read and is cancelled disturbs nobody."""

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
