"""What the connections of one server share: its turns, its time limits, its room and its memory."""

import asyncio
import contextlib
import heapq
import resource
from collections import Counter
from collections.abc import Hashable
from contextvars import copy_context
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network
from math import inf
from typing import Protocol

from graphql_admin.serving.turns import LARGE_READ, SMALL_READ, Turns
from graphql_admin.telemetry import metrics

SWEEP = 1.0
"""Seconds between two looks at the time limits of all connections. One timer for all of them
costs a request nothing; a connection ends up to this much later than it could."""

RESERVE = 64
"""File descriptors that are kept from clients, at least: for the log, the audit file, the metrics,
and calls of Cognito. Where there are many descriptors, it is a quarter of them."""

_RELIEF = 7 / 8
"""What is left of the budget in use once it was exceeded: to choose whose request ends takes a
look at every connection, which must not be necessary for every byte."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What clients may take of a server."""

    keep_alive: float = 75.0
    """Seconds that a connection may stay idle after a response."""

    max_connections: int = 4096
    """Connections at once."""

    max_pending: int = 64 * 1024 * 1024
    """Bytes that all connections may hold: of requests that are not whole, of requests that wait
    for the one before, and of responses that the client does not take."""


class Member(Protocol):
    """A connection, as the others' keeper sees it."""

    address: str
    """Whose it is: the client's IP address, or the network that one client has."""

    deadline: float
    """When to look at it, in seconds of the event loop's clock."""

    held: int
    """Bytes that it holds."""

    @property
    def is_unfinished(self) -> bool:
        """Whether it owes the rest of a request."""

    def caller(self) -> Hashable:
        """Return who made it hold what it holds."""

    def expire(self) -> None:
        """Do what is due at the deadline."""

    def make_room(self) -> bool:
        """Close, if it is still idle; return whether it was."""

    def give_up(self) -> None:
        """End the request that is not whole, or whatever else it holds, and hold nothing."""

    def abort(self) -> None:
        """Close at once, whatever was to be sent."""


class Connections:
    """The connections of one server.

    Args:
        bounds: What clients may take.
        loop: The running event loop.
    """

    def __init__(self, bounds: Bounds, loop: asyncio.AbstractEventLoop) -> None:
        self.bounds = bounds
        # Requests begin in what holds for the server, not in what another request has set.
        self.context = copy_context()
        self.turns = Turns(loop, self.context)
        self.large_buffer = memoryview(bytearray(LARGE_READ))
        """What is read into, from one connection after the other."""
        self.small_buffer = self.large_buffer[:SMALL_READ]
        self.idle: dict[Member, None] = {}
        """Those without a request, or a part of one, longest idle first."""
        self._loop = loop
        self._open: dict[Member, None] = {}
        """In the order in which they came."""
        self._by_address: Counter[str] = Counter()
        self._pending = 0
        """Bytes that they hold."""
        self._headers: list[tuple[bytes, bytes]] = []
        self._lines = b""
        """The same as header lines."""

    def admit(self, connection: Member) -> bool:
        """Take a new connection, if there is room for it or some can be made."""
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
        """Note that a connection is closed, or as good as that."""
        if connection not in self._open:
            return
        del self._open[connection]
        self.idle.pop(connection, None)
        self._by_address[connection.address] -= 1
        if not self._by_address[connection.address]:
            del self._by_address[connection.address]
        metrics.count_connection(-1)

    def hold(self, change: int) -> None:
        """Note that a connection holds more bytes than before, or less."""
        self._pending += change
        if change > 0 and self._pending > self.bounds.max_pending:
            self._relieve()

    def to_lines(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """Return headers as lines. They are the same for many responses: the date is."""
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
        """Close a connection for a new one, and return whether there was one: the longest idle.

        Where none is idle, it is the oldest that owes the rest of a request, of the address that
        has most connections. From that address itself no more are taken.
        """
        while self.idle:
            longest = next(iter(self.idle))
            del self.idle[longest]
            if longest.make_room():
                metrics.count_ended_connection("idle")
                return True
        address, _ = max(self._by_address.items(), key=lambda item: item[1])
        if address == newcomer.address:
            return False
        for connection in self._open:
            if connection.address == address and connection.is_unfinished:
                connection.abort()
                metrics.count_ended_connection("crowded")
                return True
        return False

    def _relieve(self) -> None:
        """End the largest requests of whoever holds most, until there is room again."""
        goal = self.bounds.max_pending * _RELIEF
        shares: dict[Hashable, list[Member]] = {}
        for connection in self._open:
            if connection.held:
                shares.setdefault(connection.caller(), []).append(connection)
        most: list[tuple[int, int, list[Member]]] = []
        for number, share in enumerate(shares.values()):
            share.sort(key=lambda connection: connection.held)
            most.append((-sum(connection.held for connection in share), number, share))
        heapq.heapify(most)
        while most and self._pending > goal:
            total, number, share = heapq.heappop(most)
            largest = share.pop()
            total += largest.held
            largest.give_up()
            metrics.count_ended_connection("budget")
            if share:
                heapq.heappush(most, (total, number, share))


def network_of(host: str) -> str:
    """Return what stands for one client: its IP address, or for IPv6 its network.

    That has 64 bits, and the client may take any address in it.
    """
    if ":" not in host:
        return host
    address = IPv6Address(host.partition("%")[0])
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((int(address), 64), strict=False))


def admissible(wanted: int) -> int:
    """Return how many connections this process can have, having raised its limit if it may.

    Args:
        wanted: How many it should have.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits = [inf if limit == resource.RLIM_INFINITY else limit for limit in (soft, hard)]
    needed = min(limits[1], max(wanted + RESERVE, wanted * 4 // 3 + 1))
    if limits[0] < needed:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (int(needed), hard))
            limits[0] = needed
    return max(1, min(wanted, int(min(limits[0] - RESERVE, limits[0] * 3 // 4, wanted))))
