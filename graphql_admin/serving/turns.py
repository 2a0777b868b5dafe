"""Bounds the work in one turn of the event loop; the rest waits for later turns.

All data that arrived since the last turn is ready at once, on every connection. Processing all of
it would delay a probe, or another client, until the last of a thousand connections is done.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from math import inf
from typing import Any, Generic, TypeVar

from graphql_admin.serving.clients import Client

_T = TypeVar("_T")

HEADS_PER_TURN = 32
"""Connections without a request in flight whose data is parsed in one turn."""

BEGUN_PER_TURN = 3
"""Requests that are started in one turn. With fewer, the overhead of turns grows; with more, a
request whose reply from Cognito just missed a turn waits longer for the next."""

TURN_TIME = 0.01
"""Seconds of a turn after which no further request is started in it, though at least one is. What a
request does until it first waits is not interrupted: a turn may be longer by that."""

PROBES_PER_TURN = 3
"""Probes that are started in one turn, beside the other requests and before them."""

READS_PER_TURN = 4
"""Large reads in one turn."""

SMALL_READ = 16_384
"""Bytes read from every connection in one turn; most requests are shorter."""

LARGE_READ = 262_144
"""Bytes of a large read, from a connection whose last read filled the buffer."""


class _Waiting(Generic[_T]):
    """What waits, by client.

    Addresses are served round-robin, and within one its callers, so that an item waits for at most
    one of each other address and caller, however many those have. Those of one caller are served in
    order of arrival.
    """

    __slots__ = ("_addresses", "_count")

    def __init__(self) -> None:
        self._count = 0
        self._addresses: dict[str, dict[str | None, deque[_T]]] = {}
        """By address and `sub`, both in the order of their turns."""

    def __len__(self) -> int:
        return self._count

    def add(self, client: Client, item: _T) -> None:
        self._count += 1
        callers = self._addresses.setdefault(client.address, {})
        callers.setdefault(client.sub, deque()).append(item)

    def pop(self) -> _T:
        self._count -= 1
        address = next(iter(self._addresses))
        callers = self._addresses.pop(address)
        sub = next(iter(callers))
        queue = callers.pop(sub)
        item = queue.popleft()
        if queue:
            callers[sub] = queue  # after the others
        if callers:
            self._addresses[address] = callers
        return item


class Turnstile:
    """Lets a limited number of callbacks run in each turn; the others wait for later turns.

    Clients are served as by `_Waiting`.

    Args:
        turns: The turns of the event loop.
        per_turn: How many callbacks may run in one turn.
    """

    __slots__ = ("_left", "_per_turn", "_turns", "_waiting")

    def __init__(self, turns: "Turns", per_turn: int) -> None:
        self._turns = turns
        self._per_turn = per_turn
        self._left = per_turn
        """How many more may run in this turn."""
        self._waiting = _Waiting[Callable[[], None]]()

    def enter(self) -> bool:
        """Return whether one more callback may run in this turn, and count it."""
        self._turns.expect()
        if not self._left:
            return False
        self._left -= 1
        return True

    def wait(self, client: Client, callback: Callable[[], None]) -> None:
        """Call `callback` in a later turn, after `enter` returned False."""
        self._waiting.add(client, callback)

    def turn(self) -> None:
        """Call waiting callbacks, as far as the limit allows."""
        self._left = self._per_turn
        if self._waiting:
            self._turns.expect()
        while self._waiting and self._left:
            self._left -= 1
            self._waiting.pop()()


class Starts:
    """Starts requests, each in a task of its own; beyond the limits of a turn they wait.

    Clients are served as by a `Turnstile`. The first step of a task runs in the turn after that in
    which it was created, so only then can it be known how long the turn has taken, and which
    request is next: a task takes its request in its first step, or ends where there is no time.

    Replies from Cognito are processed in every turn, so requests in flight finish while new ones
    wait. Otherwise some would take twice as long as others under load.

    Args:
        turns: The turns of the event loop.
        per_turn: How many requests may start in one turn.
        turn_time: Seconds of a turn after which only its first request may start.
    """

    __slots__ = ("_left", "_per_turn", "_started", "_tasks", "_turn_time", "_turns", "_waiting")

    def __init__(self, turns: "Turns", per_turn: int, turn_time: float = inf) -> None:
        self._turns = turns
        self._per_turn = per_turn
        self._turn_time = turn_time
        self._left = per_turn
        """How many more tasks may be created in this turn."""
        self._tasks = 0
        """Tasks that have not taken their first step."""
        self._started = False
        """Whether a request has started in this turn."""
        self._waiting = _Waiting[Callable[[], Awaitable[None]]]()

    def add(self, client: Client, run: Callable[[], Awaitable[None]]) -> None:
        """Start a request when it is the client's turn: await what `run` returns."""
        self._waiting.add(client, run)
        self._create_tasks()

    def turn(self) -> None:
        """Create tasks for waiting requests, as far as the limit allows."""
        self._left = self._per_turn
        self._started = False
        self._create_tasks()

    def _create_tasks(self) -> None:
        if self._waiting:
            self._turns.expect()  # so that the turn begins before the tasks run
        while self._left and self._tasks < len(self._waiting):
            self._left -= 1
            self._tasks += 1
            self._turns.create_task(self._run_next())

    async def _run_next(self) -> None:
        self._tasks -= 1
        if self._started and self._turns.elapsed() >= self._turn_time:
            self._turns.expect()
            return
        self._started = True
        await self._waiting.pop()()


class Turns:
    """The turns of the event loop, as the connections of one server share them.

    Args:
        loop: The running event loop.
        context: The context in which callbacks run and requests start.
        tasks: Contains the tasks of requests until they are done.
        clock: Monotonic time in seconds.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        context: Context,
        tasks: set[asyncio.Task[None]],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._loop = loop
        self._context = context
        self._tasks = tasks
        self._clock = clock
        self._is_expected = False
        """Whether the next turn is scheduled."""
        self._start = clock()
        self.number = 1
        """The number of this turn."""
        self.heads = Turnstile(self, HEADS_PER_TURN)
        self.probes = Starts(self, PROBES_PER_TURN)
        self.requests = Starts(self, BEGUN_PER_TURN, TURN_TIME)
        self.reads = Turnstile(self, READS_PER_TURN)

    def expect(self) -> None:
        """Schedule the next turn, if it is not scheduled yet."""
        if not self._is_expected:
            self._is_expected = True
            self._loop.call_soon(self._turn, context=self._context)

    def elapsed(self) -> float:
        """Return for how many seconds this turn has lasted."""
        return self._clock() - self._start

    def create_task(self, request: Coroutine[Any, Any, None]) -> None:
        """Run a request in a task of its own."""
        task = self._loop.create_task(request, context=self._context.copy())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _turn(self) -> None:
        self._is_expected = False
        self._start = self._clock()
        self.number += 1
        self.heads.turn()
        self.probes.turn()
        self.requests.turn()
        self.reads.turn()
