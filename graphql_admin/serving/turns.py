"""Bounds the work in one turn of the event loop; the rest waits for later turns.

All data that arrived since the last turn is ready at once, on every connection. Processing all of
it would delay a probe, or another client, until the last of a thousand connections is done.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context

from graphql_admin.serving.clients import Client

HEADS_PER_TURN = 32
"""Connections without a request in flight whose data is parsed in one turn."""

BEGUN_PER_TURN = 3
"""Requests that are started in one turn. With fewer, the overhead of turns grows; with more, a
request whose reply from Cognito just missed a turn waits longer for the next."""

READS_PER_TURN = 4
"""Large reads in one turn."""

SMALL_READ = 16_384
"""Bytes read from every connection in one turn; most requests are shorter."""

LARGE_READ = 262_144
"""Bytes of a large read, from a connection whose last read filled the buffer."""


class Turnstile:
    """Starts a limited number of tasks in each turn; the others wait for later turns.

    Addresses are served round-robin, and within one its callers, so that a task waits for at most
    one of each other address and caller, however many those have. The tasks of one caller start in
    order of arrival.

    Replies from Cognito are processed in every turn, so requests in flight finish while new ones
    wait. Otherwise some would take twice as long as others under load.

    Args:
        turns: The turns of the event loop.
        per_turn: How many tasks may start in one turn.
    """

    __slots__ = ("_left", "_per_turn", "_turns", "_waiting")

    def __init__(self, turns: "Turns", per_turn: int) -> None:
        self._turns = turns
        self._per_turn = per_turn
        self._left = per_turn
        """Started in this turn."""
        self._waiting: dict[str, dict[str | None, deque[Callable[[], None]]]] = {}
        """The waiting tasks by address and `sub`, both in the order of their turns."""

    def enter(self) -> bool:
        """Return whether one more task may start in this turn, and count it."""
        if not self._turns.is_expected:
            self._turns.expect()
        if not self._left:
            return False
        self._left -= 1
        return True

    def wait(self, client: Client, begin: Callable[[], None]) -> None:
        """Call `begin` in a later turn, after `enter` returned False."""
        callers = self._waiting.setdefault(client.address, {})
        callers.setdefault(client.sub, deque()).append(begin)

    def turn(self) -> None:
        """Start waiting tasks, as far as the limit allows."""
        self._left = self._per_turn
        if self._waiting and not self._turns.is_expected:
            self._turns.expect()
        while self._waiting and self._left:
            self._left -= 1
            address = next(iter(self._waiting))
            callers = self._waiting.pop(address)
            sub = next(iter(callers))
            queue = callers.pop(sub)
            begin = queue.popleft()
            if queue:
                callers[sub] = queue  # after the others
            if callers:
                self._waiting[address] = callers
            begin()


class Turns:
    """The turns of the event loop, as the connections of one server share them.

    Args:
        loop: The running event loop.
        context: The context in which waiting tasks start.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, context: Context) -> None:
        self._loop = loop
        self._context = context
        self.is_expected = False
        """Whether the next turn is scheduled."""
        self.number = 1
        """The number of this turn."""
        self.heads = Turnstile(self, HEADS_PER_TURN)
        self.requests = Turnstile(self, BEGUN_PER_TURN)
        self.reads = Turnstile(self, READS_PER_TURN)

    def expect(self) -> None:
        """Schedule the next turn."""
        self.is_expected = True
        self._loop.call_soon(self._turn, context=self._context)

    def _turn(self) -> None:
        self.is_expected = False
        self.number += 1
        self.heads.turn()
        self.requests.turn()
        self.reads.turn()
