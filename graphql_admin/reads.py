"""Reads that are the same are made once."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeAlias

from graphql_admin.errors import AdminError, TimedOut

Reply: TypeAlias = dict[str, Any]


class SharedReads:
    """Reads under way, which others may join who want the same.

    Nobody gets what was read before a write that had ended when they asked, so long as `forget`
    is called when a write starts and when it ends. Writes by other processes are not known of:
    who asks right after one may join a read that began right before it.

    A reply is everybody's: nobody may change it.

    Args:
        keep: Whether to keep the replies, too, until the next write.
    """

    def __init__(self, *, keep: bool = False) -> None:
        self._keep = keep
        self._state = _State()

    def forget(self) -> None:
        """Let nobody have what was read so far, or is being read."""
        if self._state.under_way or self._state.kept:
            # Not cleared: reads under way are to finish into the old one, where nobody will look.
            self._state = _State()

    async def get(
        self, key: Hashable, fetch: Callable[[], Awaitable[Reply]], *, deadline: float
    ) -> Reply:
        """Return what `fetch` returns, or what it returned for another with the same key.

        Only the one who fetches spends time on it. If that one is cancelled or runs out of time,
        the next one fetches.

        Args:
            key: The same for reads that are the same.
            fetch: Carries out the read. Its errors are everybody's, too.
            deadline: When to give up waiting for another, in seconds of the event loop's clock.

        Raises:
            TimedOut: The deadline passed.
            AdminError: The read failed.
        """
        while True:
            state = self._state
            if key in state.kept:
                return state.kept[key]
            others = state.under_way.get(key)
            if others is None:
                return await self._fetch(state, key, fetch)
            answer: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()
            others.append(answer)
            try:
                async with asyncio.timeout_at(deadline):
                    reply = await answer
            except TimeoutError as error:
                raise TimedOut from error
            if reply is not None:
                return reply

    async def _fetch(
        self, state: "_State", key: Hashable, fetch: Callable[[], Awaitable[Reply]]
    ) -> Reply:
        others = state.under_way[key] = []
        reply: Reply | None = None
        failure: AdminError | None = None
        try:
            reply = await fetch()
            if self._keep:
                state.kept[key] = reply
        except TimedOut:
            raise  # others may have more time
        except AdminError as error:
            failure = error
            raise
        else:
            return reply
        finally:
            del state.under_way[key]
            for answer in others:
                if answer.done():
                    continue
                if failure is None:
                    answer.set_result(reply)
                else:
                    answer.set_exception(failure)


class _State:
    """What was read since the last write."""

    def __init__(self) -> None:
        self.under_way: dict[Hashable, list[asyncio.Future[Reply | None]]] = {}
        self.kept: dict[Hashable, Reply] = {}
