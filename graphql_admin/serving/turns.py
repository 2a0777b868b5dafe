"""What may be done in one turn of the event loop, so that none is long: the rest waits its turn.

Whatever arrived since the last turn is there at once, from each connection. To deal with all of it
would keep a probe, or another client, waiting until the last of a thousand is dealt with.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from contextvars import Context

HEADS_PER_TURN = 32
"""Connections without a request in flight whose data is looked at in one turn."""

BEGUN_PER_TURN = 3
"""Requests that are begun in one turn. With fewer, more time goes into turns; with more, a request
whose reply from Cognito just missed a turn waits longer for the next."""

READS_PER_TURN = 4
"""Large reads in one turn."""

SMALL_READ = 16_384
"""Bytes that are read from every connection in one turn: most requests are shorter."""

LARGE_READ = 262_144
"""Bytes of a large read: one from a connection whose last read had no room for all there was."""


class Turnstile:
    """Lets a number of things begin in each turn. What has to wait is begun in turns to come.

    Callers take turns, so that one thing of one caller waits for at most one of each of the others,
    however many they want. The things of one caller begin in the order in which they came.

    Replies from Cognito are dealt with in every turn, so requests in flight are finished while new
    ones wait. Otherwise some would take twice as long as others under load.

    Args:
        turns: Those of the event loop.
        per_turn: How many may begin in one.
    """

    __slots__ = ("_left", "_per_turn", "_turns", "_waiting")

    def __init__(self, turns: "Turns", per_turn: int) -> None:
        self._turns = turns
        self._per_turn = per_turn
        self._left = per_turn
        """In this turn."""
        self._waiting: dict[Hashable, deque[Callable[[], None]]] = {}
        """By caller; the callers in the order of their turns."""

    def enter(self) -> bool:
        """Return whether one more thing may begin in this turn, which counts it."""
        if not self._turns.is_expected:
            self._turns.expect()
        if not self._left:
            return False
        self._left -= 1
        return True

    def wait(self, caller: Hashable, begin: Callable[[], None]) -> None:
        """Call `begin` in a turn to come, where `enter` said no."""
        self._waiting.setdefault(caller, deque()).append(begin)

    def turn(self) -> None:
        """Begin what waits, as far as may be."""
        self._left = self._per_turn
        if self._waiting and not self._turns.is_expected:
            self._turns.expect()
        while self._waiting and self._left:
            self._left -= 1
            caller = next(iter(self._waiting))
            queue = self._waiting.pop(caller)
            begin = queue.popleft()
            if queue:
                self._waiting[caller] = queue  # behind the others
            begin()


class Turns:
    """The turns of the event loop, as the connections of one server share them.

    Args:
        loop: The running event loop.
        context: In which what waits begins.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, context: Context) -> None:
        self._loop = loop
        self._context = context
        self.is_expected = False
        """Whether it was seen to that there is a next turn."""
        self.number = 1
        """Of this turn."""
        self.heads = Turnstile(self, HEADS_PER_TURN)
        self.requests = Turnstile(self, BEGUN_PER_TURN)
        self.reads = Turnstile(self, READS_PER_TURN)

    def expect(self) -> None:
        """See to it that there is a next turn."""
        self.is_expected = True
        self._loop.call_soon(self._turn, context=self._context)

    def _turn(self) -> None:
        self.is_expected = False
        self.number += 1
        self.heads.turn()
        self.requests.turn()
        self.reads.turn()
