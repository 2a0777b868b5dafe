"""Places that callers share, so that none of them can hold them all."""

import asyncio
from collections import deque

_RESERVED = 16
"""One in so many places is kept for callers who hold none."""


class Places:
    """A number of places, of which each caller may hold as many as are free.

    Of 1,000 places, a caller alone gets 500: as many are free then, and one more would be too
    many. The next caller gets 250, the one after that 125. While the first hold more than the
    others, those get what is given back; so three who always want more end up with 250 each, and
    250 stay free for a fourth. The last 62 go to callers who hold none, so that a few who came
    first and do not end cannot shut out who comes later.

    Network switches share their memory between ports in this way: Choudhury and Hahne, "Dynamic
    queue length thresholds for shared-memory packet switches", IEEE/ACM Transactions on
    Networking 6 (1998).

    Args:
        limit: How many places there are.
    """

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._reserved = limit // _RESERVED
        self._held: dict[str, int] = {}
        """By caller; whoever holds none is not in it."""

    def take(self, caller: str, number: int = 1) -> bool:
        """Take a place for a caller, or several, and tell whether there were so many."""
        held = self._held.get(caller, 0)
        left = self._free - number
        if held > left or (held and left < self._reserved):
            return False
        self._held[caller] = held + number
        self._free = left
        return True

    def give_back(self, caller: str, number: int = 1) -> None:
        """Give back a place of a caller, or several."""
        self._free += number
        if self._held[caller] == number:
            del self._held[caller]
        else:
            self._held[caller] -= number


class Slots:
    """Places that may be waited for. Callers who wait take turns, however many each wants.

    Args:
        limit: How many places there are.
    """

    def __init__(self, limit: int) -> None:
        self._places = Places(limit)
        self._queues: dict[str, deque[asyncio.Future[None]]] = {}
        """Who waits, by caller; the callers in the order of their turns. None of them may have
        another place now: that changes only when one is given back."""

    def take(self, caller: str) -> bool:
        """Take a place for a caller, and tell whether there was one."""
        return self._places.take(caller)

    async def wait(self, caller: str) -> None:
        """Wait for a place, where `take` found none."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(caller, deque()).append(waiter)
        try:
            await waiter
        except BaseException:
            if not waiter.cancelled():  # cancelled when its turn had come
                self.give_back(caller)
            else:
                queue = self._queues[caller]
                queue.remove(waiter)
                if not queue:
                    del self._queues[caller]
            raise

    def give_back(self, caller: str) -> None:
        """Give back a place of a caller, and let the next who may have one take it."""
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
