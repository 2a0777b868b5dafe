"""Limits on concurrency that callers share, so that none of them can take all of it."""

import asyncio
from collections import deque

_RESERVED = 16
"""One in this many places is reserved for callers that hold none."""


class Places:
    """A fixed number of places, of which each caller may hold as many as are left free.

    For example, of 1,000 places, a single caller gets 500: then it holds as many as are free. A
    second caller gets 250, a third 125. Places that are given back go to those that hold fewer; so
    three callers that always want more end up with 250 each, and 250 stay free for a fourth. The
    last 62 go only to callers that hold none, so that a few callers that came first and never
    finish cannot shut out later ones.

    Network switches share buffer memory between ports in this way: Choudhury and Hahne, "Dynamic
    queue length thresholds for shared-memory packet switches", IEEE/ACM Transactions on Networking
    6 (1998).

    Args:
        limit: How many places there are.
    """

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._reserved = limit // _RESERVED
        self._held: dict[str, int] = {}
        """The number of places by caller, without callers that hold none."""

    def take(self, caller: str, number: int = 1) -> bool:
        """Take one or more places for a caller, and tell whether the caller got them."""
        held = self._held.get(caller, 0)
        left = self._free - number
        if held > left or (held and left < self._reserved):
            return False
        self._held[caller] = held + number
        self._free = left
        return True

    def give_back(self, caller: str, number: int = 1) -> None:
        """Give back one or more places of a caller."""
        self._free += number
        if self._held[caller] == number:
            del self._held[caller]
        else:
            self._held[caller] -= number


class Slots:
    """Places that can be waited for. Callers that wait are served round-robin.

    Args:
        limit: How many places there are.
    """

    def __init__(self, limit: int) -> None:
        self._places = Places(limit)
        self._queues: dict[str, deque[asyncio.Future[None]]] = {}
        """The queue of each caller, in the order of their turns. No caller in it may have another
        place before one is given back."""

    def take(self, caller: str) -> bool:
        """Take a place for a caller, and tell whether the caller got it."""
        return self._places.take(caller)

    async def wait(self, caller: str) -> None:
        """Wait for a place, where `take` found none."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(caller, deque()).append(waiter)
        try:
            await waiter
        except BaseException:
            if not waiter.cancelled():  # cancelled after it had got its place
                self.give_back(caller)
            else:
                queue = self._queues[caller]
                queue.remove(waiter)
                if not queue:
                    del self._queues[caller]
            raise

    def give_back(self, caller: str) -> None:
        """Give back a place of a caller, and give it to the next that may have one."""
        self._places.give_back(caller)
        while self._queues and self._serve_one():
            pass

    def _serve_one(self) -> bool:
        for caller, queue in self._queues.items():
            waiter = next((waiter for waiter in queue if not waiter.done()), None)
            if waiter is not None and self._places.take(caller):
                queue.remove(waiter)
                del self._queues[caller]
                if queue:
                    self._queues[caller] = queue  # at the end
                waiter.set_result(None)
                return True
        return False
