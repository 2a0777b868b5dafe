"""How much is done in one turn of the event loop, counted in things and bytes and not in time."""

import asyncio
from collections import Counter

from starlette.types import Receive, Scope, Send

from graphql_admin.serving.protocol import Protocol
from graphql_admin.serving.turns import (
    HEADS_PER_TURN,
    LARGE_READ,
    READS_PER_TURN,
    SMALL_READ,
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
