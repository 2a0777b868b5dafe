"""The state that all connections of a server share: turns, time limits, places and memory."""

import asyncio
import contextlib
import heapq
import resource
from collections import Counter
from collections.abc import Callable, Collection
from contextvars import copy_context
from dataclasses import dataclass
from math import inf
from typing import Protocol, TypeAlias, TypeVar

from graphql_admin.serving.clients import Client
from graphql_admin.serving.turns import LARGE_READ, SMALL_READ, Turns
from graphql_admin.telemetry import metrics
from graphql_admin.telemetry.metrics_port import MAX_SCRAPES
from graphql_admin.web.health import PATHS

SWEEP = 1.0
"""Seconds between two checks of the time limits of all connections. A single timer for all has no
cost per request; a connection may be closed this much later than its limit."""

RESERVE = 64 + MAX_SCRAPES
"""Minimum of file descriptors that are reserved: for the log, the audit file, the metrics, and
calls to Cognito. If there are many descriptors, a quarter of them is reserved."""

_RELIEF = 7 / 8
"""Fraction of the budget down to which requests are ended once it is exceeded: choosing them takes
time for every connection, which must not be necessary for every byte."""


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits on what clients may use of a server, and how their callers are told apart."""

    keep_alive: float = 75.0
    """Seconds that a connection may stay idle after a response."""

    max_connections: int = 4096
    """Open connections."""

    max_pending: int = 64 * 1024 * 1024
    """Bytes that all connections may hold: of incomplete requests, of requests that wait for the
    previous one, and of responses that the client does not read."""

    identify: Callable[[str], str | None] = lambda _: None
    """Returns the `sub` for an `Authorization` header, if its token was verified before. It is
    called for requests that wait or hold data, so it must be cheap."""

    probes: Collection[str] = PATHS
    """Paths of probes, whose requests start before others."""


class Member(Protocol):
    """The interface of a connection for `Connections`."""

    address: str
    """The client's address, as in `Client`."""

    deadline: float
    """The deadline, in seconds of the event loop's clock."""

    held: int
    """Bytes that it holds."""

    @property
    def is_executing(self) -> bool:
        """Whether the application executes a request, and has not responded yet."""

    def client(self) -> Client:
        """Return the client for whom it holds data."""

    def expire(self) -> None:
        """Handle the deadline."""

    def make_room(self) -> bool:
        """Close it if it is still idle; return whether it was."""

    def give_up(self) -> None:
        """End the incomplete request, or whatever else holds data, and free it."""

    def abort(self) -> None:
        """Close at once, without sending pending data."""


_Heap: TypeAlias = list[tuple[int, int, T]]
"""Shares of memory, largest first: each with minus its bytes, and a number that orders equals."""


class Connections:
    """The connections of one server.

    Args:
        bounds: The limits.
        loop: The running event loop.
        tasks: Contains the tasks of requests until they are done.
    """

    def __init__(
        self, bounds: Bounds, loop: asyncio.AbstractEventLoop, tasks: set[asyncio.Task[None]]
    ) -> None:
        self.bounds = bounds
        # The context in which requests start: that of the server, not of another request.
        self.context = copy_context()
        self.turns = Turns(loop, self.context, tasks)
        self.large_buffer = memoryview(bytearray(LARGE_READ))
        """The read buffer, shared by all connections in turn."""
        self.small_buffer = self.large_buffer[:SMALL_READ]
        self.idle: dict[Member, None] = {}
        """The idle ones, without a request or part of one, longest idle first."""
        self._loop = loop
        self._open: dict[Member, None] = {}
        """All, in the order of their arrival."""
        self._by_address: Counter[str] = Counter()
        self._pending = 0
        """Bytes that all hold."""
        self._headers: list[tuple[bytes, bytes]] = []
        self._lines = b""
        """The default headers as lines."""

    def admit(self, connection: Member) -> bool:
        """Accept a new connection, if there is a place for it or one can be freed."""
        if len(self._open) >= self.bounds.max_connections and not self._make_room(connection):
            metrics.count_refused_connection()
            return False
        if not self._open:
            self._loop.call_later(SWEEP, self._sweep, context=self.context)
        self._open[connection] = None
        self._by_address[connection.address] += 1
        metrics.count_connection(1)
        return True

    def forget(self, connection: Member) -> None:
        """Record that a connection is closed or closing."""
        if connection not in self._open:
            return
        del self._open[connection]
        self.idle.pop(connection, None)
        self._by_address[connection.address] -= 1
        if not self._by_address[connection.address]:
            del self._by_address[connection.address]
        metrics.count_connection(-1)

    def hold(self, change: int) -> None:
        """Record that a connection holds more or fewer bytes than before."""
        self._pending += change
        if change > 0 and self._pending > self.bounds.max_pending:
            self._relieve()

    def to_lines(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """Return headers as lines, cached because the date is the same for many responses."""
        if headers is not self._headers:
            self._lines = b"".join(b"%b: %b\r\n" % header for header in headers)
            self._headers = headers
        return self._lines

    def _sweep(self) -> None:
        now = self._loop.time()
        for connection in [c for c in self._open if c.deadline <= now]:
            connection.expire()
        if self._open:
            self._loop.call_later(SWEEP, self._sweep, context=self.context)

    def _make_room(self, newcomer: Member) -> bool:
        """Close the longest idle connection for a new one, and return whether there was one.

        It is one of the address with most connections, if that has an idle one: otherwise one
        client could close the idle connections of all others by opening its own again and again.

        If none is idle, close the oldest of that address, except those whose request is being
        executed: it may be a mutation. New connections from an address that has as many itself are
        rejected.
        """
        address, most = max(self._by_address.items(), key=lambda item: item[1])
        while self.idle:
            of_address = (idle for idle in self.idle if idle.address == address)
            longest = next(of_address, None) or next(iter(self.idle))
            del self.idle[longest]
            if longest.make_room():
                metrics.count_ended_connection("idle")
                return True
        if most <= self._by_address[newcomer.address]:
            return False
        for connection in self._open:
            if connection.address == address and not connection.is_executing:
                connection.abort()
                metrics.count_ended_connection("crowded")
                return True
        return False

    def _relieve(self) -> None:
        """End the largest requests of the client that holds most, until there is memory again.

        That is the address that holds most, and of its callers the one that holds most.
        """
        goal = self.bounds.max_pending * _RELIEF
        shares: dict[str, dict[str | None, list[Member]]] = {}
        for connection in self._open:
            if connection.held:
                client = connection.client()
                callers = shares.setdefault(client.address, {})
                callers.setdefault(client.sub, []).append(connection)
        addresses: _Heap[_Heap[list[Member]]] = []
        for callers in shares.values():
            heap: _Heap[list[Member]] = []
            for share in callers.values():
                share.sort(key=lambda connection: connection.held)
                heapq.heappush(heap, (-sum(each.held for each in share), len(heap), share))
            heapq.heappush(addresses, (sum(item[0] for item in heap), len(addresses), heap))
        while addresses and self._pending > goal:
            of_address, number, heap = heapq.heappop(addresses)
            of_caller, caller, share = heapq.heappop(heap)
            largest = share.pop()
            held = largest.held
            largest.give_up()
            metrics.count_ended_connection("budget")
            if share:
                heapq.heappush(heap, (of_caller + held, caller, share))
            if heap:
                heapq.heappush(addresses, (of_address + held, number, heap))


def admissible(wanted: int) -> int:
    """Return how many connections this process can have, after raising its limit if possible.

    Args:
        wanted: The desired number.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits = [inf if limit == resource.RLIM_INFINITY else limit for limit in (soft, hard)]
    needed = min(limits[1], max(wanted + RESERVE, wanted * 4 // 3 + 1))
    if limits[0] < needed:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (int(needed), hard))
            limits[0] = needed
    return max(1, min(wanted, int(min(limits[0] - RESERVE, limits[0] * 3 // 4, wanted))))
