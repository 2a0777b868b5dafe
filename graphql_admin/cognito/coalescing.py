"""Identical concurrent reads share one call to Cognito."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Protocol, TypeVar

from graphql_admin.cognito.replies import Reply
from graphql_admin.errors import AdminError, Throttled, TimedOut

_Permit = TypeVar("_Permit")
_Permit_co = TypeVar("_Permit_co", covariant=True)


class _Wait(Protocol[_Permit_co]):
    """Waits for a turn; with `again`, the call had one already, and is its caller's next."""

    async def __call__(self, *, again: bool) -> _Permit_co: ...


class SharedReads:
    """Reads in flight, which identical reads join.

    A read that is requested after a write has ended never gets a reply from before that write, as
    long as `forget` is called when a write starts and when it ends. Writes of other processes are
    not seen: a read right after one may join a read that started right before it.

    A reply is shared: it must not be modified.

    Args:
        keep: Whether to cache replies, too, until the next write.
    """

    def __init__(self, *, keep: bool = False) -> None:
        self._keep = keep
        self._state = _ReadState()

    def forget(self) -> None:
        """Make later reads call Cognito again, instead of using a reply or a read from before."""
        if self._state.in_flight or self._state.kept:
            # Replaced, not cleared: reads in flight still store their replies in the old one, which
            # no later read looks at.
            self._state = _ReadState()

    async def get(
        self, key: Hashable, fetch: Callable[[], Awaitable[Reply]], *, deadline: float
    ) -> Reply:
        """Return the result of `fetch`, or that of a concurrent read with the same key.

        One of the readers fetches, the others wait. If that one is cancelled, runs out of time or
        would have to wait too long to retry, the next one fetches.

        Args:
            key: The same for reads that are the same.
            fetch: Carries out the read. Its errors are shared, too.
            deadline: When to stop waiting for another reader, in seconds of the event loop's clock.

        Raises:
            TimedOut: The deadline passed.
            AdminError: The read failed.
        """
        while True:
            state = self._state
            if key in state.kept:
                return state.kept[key]
            read = state.in_flight.get(key)
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
        """Like `get`, for a read that may have to wait for its caller's turn.

        Each caller that joins the read waits for a turn of their own. The first one to get a turn
        fetches for all of them; the others then use their turns for their next calls. So no caller
        waits behind another caller's queue. For example, ann has queued 300 reads, and bob's only
        read is the same as her 300th: it is made when it is bob's turn.

        Args:
            key: The same for reads that are the same.
            caller: Who the read is made for.
            take: Returns a permit, or None if the caller has to wait for one.
            wait: Waits for the caller's turn and returns a permit. If it fails, the caller gets the
                reply that another caller fetches, or the error if no other caller waits.
            fetch: Carries out the read with a permit. Its errors are shared, too.
            deadline: When to stop waiting for another reader, in seconds of the event loop's clock.

        Raises:
            TimedOut: The deadline passed.
            AdminError: The read failed, or `wait` did.
        """
        again = False
        while True:
            in_flight = self._state.in_flight
            read = in_flight.get(key)
            if read is None:
                permit = take()
                if permit is not None:
                    return await self._fetch(self._state, key, partial(fetch, permit))
                read = _SharedRead(in_flight, key)
            if not read.has_started and caller not in read.queued:
                read.queued[caller] = asyncio.create_task(
                    _wait_and_fetch(read, caller, partial(wait, again=again), fetch)
                )
            reply = await read.join(caller, deadline)
            if reply is not None:
                return reply
            again = True

    async def _fetch(
        self, state: "_ReadState", key: Hashable, fetch: Callable[[], Awaitable[Reply]]
    ) -> Reply:
        """Fetch for this reader and those that join."""
        read = _SharedRead(state.in_flight, key)
        read.has_started = True
        reply: Reply | None = None
        failure: AdminError | None = None
        try:
            reply = await fetch()
            if self._keep:
                state.kept[key] = reply
        except (TimedOut, Throttled):
            raise  # another reader may have more time
        except AdminError as error:
            failure = error
            raise
        else:
            return reply
        finally:
            read.end(reply, failure)


async def _wait_and_fetch(
    read: "_SharedRead",
    caller: str,
    wait: Callable[[], Awaitable[_Permit]],
    fetch: Callable[[_Permit], Awaitable[Reply]],
) -> None:
    """Fetch for all that joined, if this caller is the first to get a turn.

    It runs as its own task, because any caller may be cancelled while others still wait, the one
    whose turn it is included.
    """
    try:
        permit = await wait()
    except TimedOut as error:
        read.give_up(caller, error)
        read.refuse(caller)
        return
    except Exception as error:  # noqa: BLE001  # those that wait for it get it
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


class _ReadState:
    """The reads since the last write."""

    def __init__(self) -> None:
        self.in_flight: dict[Hashable, _SharedRead] = {}
        self.kept: dict[Hashable, Reply] = {}


class _SharedRead:
    """A read that other reads may join until it ends.

    Args:
        in_flight: The reads in flight, where others find it.
        key: Its key there.
    """

    __slots__ = ("_answers", "_in_flight", "_key", "_refusals", "has_started", "queued")

    def __init__(self, in_flight: dict[Hashable, "_SharedRead"], key: Hashable) -> None:
        self._in_flight = in_flight
        self._key = key
        self._answers: dict[asyncio.Future[Reply | None], str] = {}
        """The futures of the readers that joined, with their callers."""
        self._refusals: dict[str, Exception] = {}
        """The errors of callers that get no turn of their own."""
        self.has_started = False
        """Whether any caller has had a turn yet."""
        self.queued: dict[str, asyncio.Task[None]] = {}
        """The task that waits for each caller's turn; once the read has started, the one that
        fetches."""
        in_flight[key] = self

    async def join(self, caller: str, deadline: float) -> Reply | None:
        """Return the reply; None if the reader that fetched gave up.

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
        """Start the read on this caller's turn: the others need no longer wait for theirs."""
        self.has_started = True
        for other, task in self.queued.items():
            if other != caller:
                task.cancel()
        self.queued = {caller: self.queued[caller]}

    def refuse(self, caller: str, reason: Exception | None = None) -> None:
        """Record that a caller gets no turn; another caller's turn may still serve them."""
        if reason is not None:
            self._refusals[caller] = reason
        del self.queued[caller]
        if not self.queued:
            self.end()

    def give_up(self, caller: str, error: AdminError) -> None:
        """Tell the first reader of a caller that its time is up. The others may have more time."""
        for answer, joined in self._answers.items():
            if joined == caller and not answer.done():
                answer.set_exception(error)
                break

    def end(self, reply: Reply | None = None, failure: Exception | None = None) -> None:
        """Give the outcome to all that joined, and let no more join."""
        if self._in_flight.get(self._key) is self:
            del self._in_flight[self._key]
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
        """Cancel the tasks that no reader waits for any more."""
        if not self._answers:
            for task in self.queued.values():
                task.cancel()
            self.end()
        elif not self.has_started and caller not in self._answers.values():
            if caller in self.queued:
                self.queued.pop(caller).cancel()
            if not self.queued:
                self.end()
