"""How much is done in one turn of the event loop, counted in things and bytes.

Where time counts, it is that of a clock which only the test moves.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable
from contextvars import copy_context
from functools import partial

import pytest
from starlette.types import Receive, Scope, Send

from graphql_admin.serving.clients import Client
from graphql_admin.serving.connections import Bounds
from graphql_admin.serving.protocol import Protocol
from graphql_admin.serving.turns import (
    BEGUN_PER_TURN,
    HEADS_PER_TURN,
    LARGE_READ,
    PROBES_PER_TURN,
    READS_PER_TURN,
    SMALL_READ,
    TURN_TIME,
    Turns,
)
from tests.support.patience import PATIENCE
from tests.support.wires import Wire, connect


async def answer(_: Scope, receive: Receive, send: Send) -> None:
    """Read the body, and say how long it was."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message["body"])
        more = message["more_body"]
    body = b"%d" % size
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def test_heads() -> None:
    """Of connections that all send at once, some are looked at in each turn, and all in the end."""
    number = 3 * HEADS_PER_TURN + 1
    looked_at: list[int] = []

    async def act() -> None:
        connections = connect(answer, number)
        for protocol, _ in connections:
            protocol.data_received(
                b"GET / HTTP/9.9\r\nHost: a\r\n\r\n"
            )  # is refused when looked at
        async with asyncio.timeout(PATIENCE):
            while not looked_at or looked_at[-1] < number:
                looked_at.append(sum(bool(wire.pieces) for _, wire in connections))
                await asyncio.sleep(0)

    asyncio.run(act())
    steps = [after - before for before, after in zip([0, *looked_at], looked_at, strict=False)]
    assert max(steps) == HEADS_PER_TURN


def test_heads_that_wait_are_not_lost() -> None:
    """What arrived before a shutdown is answered, also where its turn comes later."""

    async def act() -> list[bytes]:
        connections = connect(answer, 2 * HEADS_PER_TURN)
        for protocol, _ in connections:
            protocol.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        for protocol, _ in connections:
            protocol.shutdown()
        async with asyncio.timeout(PATIENCE):
            for _, wire in connections:
                await wire.closed.wait()
        return [b"".join(wire.pieces) for _, wire in connections]

    assert {answer[:13] for answer in asyncio.run(act())} == {b"HTTP/1.1 200 "}


def test_who_waits_reads_no_more() -> None:
    """While a connection waits for its turn, what its client sends stays with the client."""

    async def act() -> list[bool]:
        connections = _sending(HEADS_PER_TURN + 1, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        for protocol, wire in connections:
            wire.deliver(protocol)
        return [wire.is_reading for _, wire in connections]

    assert asyncio.run(act()) == [True] * HEADS_PER_TURN + [False]


class Busy:
    """Requests that take time without waiting, on a clock that only they move.

    Must be created while an event loop runs.

    Args:
        drift: Seconds that pass between two looks at the clock.
    """

    def __init__(self, drift: float = 0) -> None:
        self.time = 0.0
        self._drift = drift
        self._number = 0
        self._all_started = asyncio.Event()
        self.started: list[tuple[int, Hashable]] = []
        """The turn in which each request started, and its caller."""
        self.tasks: set[asyncio.Task[None]] = set()
        loop = asyncio.get_running_loop()
        self.turns = Turns(loop, copy_context(), self.tasks, self._look)

    def _look(self) -> float:
        self.time += self._drift
        return self.time

    def request(self, caller: Hashable, seconds: float) -> Callable[[], Awaitable[None]]:
        """Return a request that takes so long, and then waits for a turn."""
        return partial(self._run, caller, seconds)

    async def _run(self, caller: Hashable, seconds: float) -> None:
        self.started.append((self.turns.number, caller))
        self.time += seconds
        if len(self.started) == self._number:
            self._all_started.set()
        await asyncio.sleep(0)

    async def finish(self, number: int) -> Counter[int]:
        """Wait until so many have started; return how many did in each turn."""
        self._number = number
        self._all_started.clear()
        async with asyncio.timeout(PATIENCE):
            await self._all_started.wait()
        return Counter(turn for turn, _ in self.started)


@pytest.mark.parametrize(
    ("share", "most"), [(0, BEGUN_PER_TURN), (0.4, 3), (0.6, 2), (0.9, 2), (1.1, 1), (20, 1)]
)
def test_time(share: float, most: int) -> None:
    """Once requests have taken the time of a turn, no other starts in it, and all do in the end."""

    async def act() -> Counter[int]:
        busy = Busy()
        for _ in range(20):
            busy.turns.requests.add(Client("", "one"), busy.request("one", share * TURN_TIME))
        return await busy.finish(20)

    assert max(asyncio.run(act()).values()) == most


def test_requests_start_whatever_else_takes_time() -> None:
    """Where something else has taken the time of every turn, one request starts in each."""

    async def act() -> Counter[int]:
        busy = Busy(drift=2 * TURN_TIME)
        for _ in range(10):
            busy.turns.requests.add(Client("", "one"), busy.request("one", 0))
        return await busy.finish(10)

    assert set(asyncio.run(act()).values()) == {1}


def test_callers_take_turns_whose_time_is_up() -> None:
    """One of another caller starts next, however many there are that take all the time."""

    async def act() -> list[Hashable]:
        busy = Busy()
        for _ in range(20):
            busy.turns.requests.add(Client("", "many"), busy.request("many", 2 * TURN_TIME))
        await busy.finish(3)
        busy.turns.requests.add(Client("", "one"), busy.request("one", 0))
        before = len(busy.started)
        await busy.finish(21)
        return [caller for _, caller in busy.started[before:]]

    assert "one" in asyncio.run(act())[:2]


def test_probes_do_not_wait() -> None:
    """Probes start beside the requests that take a turn's time, and before those that wait."""

    async def act() -> tuple[list[Hashable], Counter[int]]:
        busy = Busy()
        for _ in range(20):
            busy.turns.requests.add(Client("", "many"), busy.request("many", 2 * TURN_TIME))
        for number in range(10):
            busy.turns.probes.add(Client("", "probes"), busy.request(number, 0))
        await busy.finish(30)
        probes = [(turn, caller) for turn, caller in busy.started if caller != "many"]
        return [caller for _, caller in busy.started], Counter(turn for turn, _ in probes)

    started, turns = asyncio.run(act())
    assert [caller for caller in started if caller != "many"] == list(range(10))
    assert max(turns.values()) == PROBES_PER_TURN
    assert 9 in started[:16]


@pytest.mark.parametrize("path", [b"/healthz", b"/readyz", b"/healthz?a=1"])
def test_paths_of_probes(path: bytes) -> None:
    """A request for the path of a probe starts before those that came earlier."""
    _demand_early_start(path, Bounds())


def test_path_of_a_probe_below_a_prefix() -> None:
    """So does one for a path that is that of a probe by the server's settings."""
    _demand_early_start(b"/admin/readyz", Bounds(probes={"/admin/readyz"}))


def _demand_early_start(path: bytes, bounds: Bounds) -> None:
    started: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        started.append(scope["path"])
        await answer(scope, receive, send)

    async def act() -> None:
        connections = connect(app, HEADS_PER_TURN, bounds)
        for protocol, _ in connections[:-1]:
            protocol.data_received(b"GET /graphql HTTP/1.1\r\nHost: a\r\n\r\n")
        connections[-1][0].data_received(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
        async with asyncio.timeout(PATIENCE):
            for _, wire in connections:
                await wire.sent.wait()

    asyncio.run(act())
    assert len(started) == HEADS_PER_TURN
    assert path.decode().partition("?")[0] in started[: BEGUN_PER_TURN + 1]


def test_reads() -> None:
    """However much has arrived on many connections, what is read in one turn has a bound."""
    number = 20
    size = 3 * LARGE_READ
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size
    turns: list[Counter[bool]] = []

    async def act() -> list[bytes]:
        connections = _sending(number, head + b"x" * size)
        async with asyncio.timeout(PATIENCE):
            while not all(wire.pieces for _, wire in connections):
                reads = [wire.deliver(protocol) for protocol, wire in connections]
                assert all(read <= LARGE_READ for read in reads)
                turns.append(Counter(read > SMALL_READ for read in reads if read))
                await asyncio.sleep(0)
        return [wire.pieces[0] for _, wire in connections]

    assert all(piece.endswith(b"\r\n%d" % size) for piece in asyncio.run(act()))
    assert turns[0] == {False: number}
    assert max(turn[True] for turn in turns) == READS_PER_TURN


class _Arriving(Wire):
    """A wire on which something has arrived that is not read yet."""

    def __init__(self, arrived: bytes) -> None:
        super().__init__()
        self.is_reading = True
        self._arrived = memoryview(arrived)

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True

    def deliver(self, protocol: Protocol) -> int:
        """Do in a turn what the event loop does; return how many bytes were read."""
        if not (self.is_reading and self._arrived):
            return 0
        buffer = protocol.get_buffer(-1)
        size = min(len(buffer), len(self._arrived))
        buffer[:size] = self._arrived[:size]
        self._arrived = self._arrived[size:]
        protocol.buffer_updated(size)
        return size


def _sending(number: int, arrived: bytes) -> list[tuple[Protocol, _Arriving]]:
    connections = []
    for protocol, _ in connect(answer, number):
        wire = _Arriving(arrived)
        protocol.connection_made(wire)
        connections.append((protocol, wire))
    return connections
