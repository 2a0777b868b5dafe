"""The load generator: connections that each send the next request after the last response.

A custom client, because it must cost little CPU, and yet compare every response, byte for byte,
with one that was checked.
"""

import asyncio
import gc
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import httptools

_PATIENCE = 30.0
"""Seconds to wait at the end for responses that are still in flight."""


@dataclass(frozen=True)
class Exchange:
    """A request in bytes, and the body of the only right response."""

    request: bytes
    reply: bytes


@dataclass(frozen=True)
class Load:
    """The result of a load.

    Args:
        seconds: From the first request to the last reply.
        latencies: Seconds of each operation, smallest first.
        faults: The number of each kind of fault.
    """

    seconds: float
    latencies: Sequence[float]
    faults: Counter[str]

    def percentile(self, share: float) -> float:
        """The latency, in seconds, that `share` of the operations did not exceed."""
        return self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))]


class _Connection(asyncio.Protocol):
    """Repeats one operation, which is a sequence of exchanges."""

    _transport: asyncio.Transport

    def __init__(self, exchanges: Sequence[Exchange], until: float) -> None:
        self._exchanges = exchanges
        self._until = until
        self._next = 0
        self._finished = False
        self._started = 0.0
        self._body = b""
        self._parser = httptools.HttpResponseParser(self)
        self.latencies: list[float] = []
        self.faults: Counter[str] = Counter()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._started = time.perf_counter()
        transport.write(self._exchanges[0].request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._body = b""

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if (status := self._parser.get_status_code()) != 200:
            self.faults[f"status {status}"] += 1
        elif self._body != self._exchanges[self._next].reply:
            self.faults["a reply other than the one found right"] += 1
        self._next += 1
        if self._next == len(self._exchanges):
            now = time.perf_counter()
            self.latencies.append(now - self._started)
            if now >= self._until:
                self._finished = True
                self._transport.close()
                return
            self._started = now
            self._next = 0
        self._transport.write(self._exchanges[self._next].request)

    def connection_lost(self, _: Exception | None) -> None:
        if not self._finished:
            self.faults["a connection lost"] += 1
        self.done.set_result(None)


async def run_load(port: int, seats: Sequence[Sequence[Exchange]], seconds: float) -> Load:
    """Load a server on loopback with one connection for each seat.

    Args:
        port: Where the server listens.
        seats: The exchanges that each connection repeats.
        seconds: Start no operation after that time. Those in flight are awaited.
    """
    loop = asyncio.get_running_loop()
    gc.collect()
    gc.disable()  # a collection would count as the server's latency
    started = time.perf_counter()
    try:
        connections = []
        for exchanges in seats:
            _, connection = await loop.create_connection(
                partial(_Connection, exchanges, started + seconds),
                "127.0.0.1",
                port,
            )
            connections.append(connection)
        async with asyncio.timeout(seconds + _PATIENCE):
            await asyncio.gather(*(connection.done for connection in connections))
    finally:
        gc.enable()
    return Load(
        seconds=time.perf_counter() - started,
        latencies=sorted(latency for each in connections for latency in each.latencies),
        faults=sum((each.faults for each in connections), Counter()),
    )
