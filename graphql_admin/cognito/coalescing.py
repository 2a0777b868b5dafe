"""Reads that are the same are made once."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Protocol, TypeVar

from graphql_admin.cognito.replies import Reply
from graphql_admin.errors import AdminError, Throttled, TimedOut

_Permit = TypeVar("_Permit")
_Permit_co = TypeVar("_Permit_co", covariant=True)


class _Wait(Protocol[_Permit_co]):
    """Waits for a turn; `again` if the caller had one before, so that it is the caller's next."""

    async def __call__(self, *, again: bool) -> _Permit_co: ...


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

        Only the one who fetches spends time on it. If that one is cancelled, runs out of time or
        would have to wait too long for another attempt, the next one fetches.

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
            read = state.under_way.get(key)
            if read is None:
                return await self._fetch(state, key, fetch)
            reply = await read.join("", deadline)
            if reply is not None:
                return reply

    async def get_in_turn(
        self,
        key: Hashable,
        caller: str,
        *,
        take: Callable[[], _Permit | None],
        wait: _Wait[_Permit],
        fetch: Callable[[_Permit], Awaitable[Reply]],
        deadline: float,
    ) -> Reply:
        """Return the reply to a read that may have to wait for its turn, as `get` does.

        Each caller who wants the read waits for their own turn. The first whose turn it is
        fetches, for all of them; the others' turns go to whatever they want next. So nobody waits
        for the turn of another who has more to wait for: where ann has queued 300 reads, of which
        the last is the only one of bob, it is made when it is bob's turn.

        Args:
            key: The same for reads that are the same.
            caller: On whose behalf.
            take: Returns a permit if nothing has to be waited for.
            wait: Waits for the caller's turn and returns a permit. If it fails, the caller gets
                what another fetches, or the error if there is no other.
            fetch: Carries out the read with a permit. Its errors are everybody's, too.
            deadline: When to give up waiting for another, in seconds of the event loop's clock.

        Raises:
            TimedOut: The deadline passed.
            AdminError: The read failed, or `wait` did.
        """
        again = False
        while True:
            under_way = self._state.under_way
            read = under_way.get(key)
            if read is None:
                permit = take()
                if permit is not None:
                    return await self._fetch(self._state, key, partial(fetch, permit))
                read = _Read(under_way, key)
            if not read.has_begun and caller not in read.queued:
                read.queued[caller] = asyncio.create_task(
                    _wait_and_fetch(read, caller, partial(wait, again=again), fetch)
                )
            reply = await read.join(caller, deadline)
            if reply is not None:
                return reply
            again = True

    async def _fetch(
        self, state: "_State", key: Hashable, fetch: Callable[[], Awaitable[Reply]]
    ) -> Reply:
        """Fetch for oneself, and for those who join."""
        read = _Read(state.under_way, key)
        read.has_begun = True
        reply: Reply | None = None
        failure: AdminError | None = None
        try:
            reply = await fetch()
            if self._keep:
                state.kept[key] = reply
        except (TimedOut, Throttled):
            raise  # others may have more time
        except AdminError as error:
            failure = error
            raise
        else:
            return reply
        finally:
            read.end(reply, failure)


async def _wait_and_fetch(
    read: "_Read",
    caller: str,
    wait: Callable[[], Awaitable[_Permit]],
    fetch: Callable[[_Permit], Awaitable[Reply]],
) -> None:
    """Fetch for those who joined, if it is the caller's turn first.

    It is a task of its own: those who joined may leave, the caller included, while others stay.
    """
    try:
        permit = await wait()
    except TimedOut as error:
        read.give_up(caller, error)
        read.refuse(caller)
        return
    except Exception as error:  # noqa: BLE001  # whatever it is, it is for who waits for this
        read.refuse(caller, error)
        return
    read.begin(caller)
    reply: Reply | None = None
    failure: Exception | None = None
    try:
        reply = await fetch(permit)
    except (TimedOut, Throttled) as error:
        read.give_up(caller, error)
    except Exception as error:  # noqa: BLE001  # as above
        failure = error
    finally:
        read.end(reply, failure)


class _State:
    """What was read since the last write."""

    def __init__(self) -> None:
        self.under_way: dict[Hashable, _Read] = {}
        self.kept: dict[Hashable, Reply] = {}


class _Read:
    """A read that others may join, until it ends.

    Args:
        under_way: Where others find it.
        key: Under which key.
    """

    __slots__ = ("_answers", "_key", "_refusals", "_under_way", "has_begun", "queued")

    def __init__(self, under_way: dict[Hashable, "_Read"], key: Hashable) -> None:
        self._under_way = under_way
        self._key = key
        self._answers: dict[asyncio.Future[Reply | None], str] = {}
        """What those who joined wait for, and who they are."""
        self._refusals: dict[str, Exception] = {}
        """Why some callers have no turn of their own."""
        self.has_begun = False
        """Whether it was anybody's turn yet."""
        self.queued: dict[str, asyncio.Task[None]] = {}
        """What waits for the turn of each caller; once it has begun, what fetches."""
        under_way[key] = self

    async def join(self, caller: str, deadline: float) -> Reply | None:
        """Return the reply; None if whoever fetched gave up.

        Raises:
            TimedOut: The deadline passed.
            Exception: The read failed, or there will be no turn in time.
        """
        answer: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()
        self._answers[answer] = caller
        try:
            async with asyncio.timeout_at(deadline):
                return await answer
        except TimeoutError as error:
            raise TimedOut from error
        finally:
            del self._answers[answer]
            if self.queued:
                self._leave(caller)

    def begin(self, caller: str) -> None:
        """Take note that it is a caller's turn: the others need wait for theirs no longer."""
        self.has_begun = True
        for other, task in self.queued.items():
            if other != caller:
                task.cancel()
        self.queued = {caller: self.queued[caller]}

    def refuse(self, caller: str, reason: Exception | None = None) -> None:
        """Take note that a caller has no turn; the turns of others may serve them."""
        if reason is not None:
            self._refusals[caller] = reason
        del self.queued[caller]
        if not self.queued:
            self.end()

    def give_up(self, caller: str, error: AdminError) -> None:
        """Tell the first of a caller's that time is up. All others may have more."""
        for answer, joined in self._answers.items():
            if joined == caller and not answer.done():
                answer.set_exception(error)
                break

    def end(self, reply: Reply | None = None, failure: Exception | None = None) -> None:
        """Tell those who joined, and let nobody else join."""
        if self._under_way.get(self._key) is self:
            del self._under_way[self._key]
        self.queued = {}
        for answer, caller in self._answers.items():
            if answer.done():
                continue
            error = failure or self._refusals.get(caller)
            if reply is None and error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(reply)

    def _leave(self, caller: str) -> None:
        """Cancel what nobody waits for any more."""
        if not self._answers:
            for task in self.queued.values():
                task.cancel()
            self.end()
        elif not self.has_begun and caller not in self._answers.values():
            if caller in self.queued:
                self.queued.pop(caller).cancel()
            if not self.queued:
                self.end()
