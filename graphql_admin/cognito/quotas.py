"""Client-side rate limits for calls to Cognito, fair between callers.

Cognito counts calls per second, by category of operation, over all apps of an AWS account and
region. It also limits the calls about one user, and some operations on one pool. Here each of
these limits is a token bucket that holds one second's worth of calls. After an idle second, that
many calls can be sent at once; further ones are sent as the bucket refills. If Cognito's limit is
a token bucket too, no more can be sent than this without being throttled.

Calls that find the bucket empty wait in queues, one for each caller, which are served round-robin.
For example, the bucket is empty, and ann requests five calls (a1 to a5), then bob two (b1, b2),
then eve one (e1):

    ann: a1 a2 a3 a4 a5
    bob: b1 b2                   are sent in the order   a1 b1 e1   a2 b2   a3   a4   a5
    eve: e1                                              round 1    2       3    4    5

In each round, every caller with a queue sends one call. So eve waits for two calls, although seven
came before hers. If Cognito throttles b1, or it is retried for another reason, it goes to the
head of bob's queue and is sent in the next round, before b2: it has already waited for its turn
once.

A caller whose calls are slow cannot hold the bucket either. A call keeps its token until it is
answered, so the number of calls in flight is bounded, and of those places each caller may take as
many as are left free (`shares.Places`).

If Cognito's limit counts by whole seconds instead, it rejects some of the calls that follow a
burst. A client cannot know this beforehand, short of never using the quota in full. But a
rejected call costs little: it pauses the bucket for a moment. With a share of half the account's
quota, such a limit has nothing to reject either.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Self

import structlog

from graphql_admin.cognito.categories import (
    CATEGORIES,
    DEFAULT_QUOTAS,
    OTHER,
    PER_POOL_CATEGORIES,
    Quota,
)
from graphql_admin.cognito.shares import Places
from graphql_admin.errors import Throttled

log = structlog.get_logger(__name__)

FIRST_PAUSE = 0.02
"""Seconds that a bucket pauses when Cognito throttles. It is short because most throttles come from
two clocks that differ a little. Each further throttle soon after doubles it."""

LONGEST_PAUSE = 1.0
"""Seconds; a longer one would gain nothing, since Cognito's quotas are per second."""

WAITING_SHARE = 0.9
"""Fraction of the remaining time that a call may wait. The rest is for the call itself."""

MAX_USER_BUCKETS = 4096
"""Number of users' buckets above which idle ones are dropped. Beyond it there are only buckets of
calls that wait, are in flight or were made within the last second, and the quotas bound those."""

MAX_NAMES = 4096
"""Size of the cache of other names for users, such as e-mail addresses, by which they were found. A
name has up to 128 characters, so the cache takes some 2 MB at most. The least recently used one is
dropped."""


class Quotas:
    """The quotas on calls to one user pool, of which this process uses a share.

    It belongs to one event loop, and uses its clock.

    Args:
        rates: Calls per second that the account is granted, where they differ from Cognito's
            defaults.
        share: The fraction of every quota that this process may use; other apps of the account, and
            other processes of this server, need the rest.
        pause: Seconds that the first throttle of a series pauses a bucket.
    """

    def __init__(
        self,
        rates: Mapping[Quota, float] | None = None,
        share: float = 1.0,
        *,
        pause: float = FIRST_PAUSE,
    ) -> None:
        granted = {**DEFAULT_QUOTAS, **(rates or {})}
        self._pause = pause
        of_category = {
            category: Bucket(granted[category] * share, category.value, pause=pause)
            for category in set(CATEGORIES.values())
        }
        self._of_operation: dict[str, tuple[Bucket, ...]] = {}
        for operation, category in CATEGORIES.items():
            shared = of_category[category]
            if category in PER_POOL_CATEGORIES:
                name = f"{operation} on one pool"
                own = Bucket(granted[Quota.PER_POOL] * share, name, pause=pause)
                self._of_operation[operation] = (own, shared)
            else:
                self._of_operation[operation] = (shared,)
        self._others = Bucket(OTHER * share, "other operations", pause=pause)
        self._per_user = granted[Quota.PER_USER] * share
        self._of_user: dict[tuple[str, bool], Bucket] = {}
        self._tidy_at = MAX_USER_BUCKETS
        self._usernames: dict[str, str] = {}
        """`Username` by another name of the same user, least recently used first."""

    def take(
        self, operation: str, user: str | None, *, reads: bool, caller: str
    ) -> "Permit | None":
        """Return a permit if the call need not wait, or None; see `acquire` for the arguments."""
        now = asyncio.get_running_loop().time()
        buckets = self._find_buckets(operation, user, reads=reads)
        for place, bucket in enumerate(buckets):
            if not bucket.take(caller, now):
                for taken in buckets[:place]:
                    taken.give_back(caller)
                return None
        return Permit(buckets, caller, now)

    async def acquire(
        self,
        operation: str,
        user: str | None,
        *,
        reads: bool,
        caller: str,
        deadline: float,
        again: bool = False,
    ) -> "Permit":
        """Wait until a call may be sent. If the wait is cancelled, no quota is used.

        Args:
            operation: The operation.
            user: The `Username` that it is about, if any.
            reads: Whether the operation is a read.
            caller: Who the call is made for. Callers that wait take turns, however many calls each
                requests.
            deadline: When the caller gives up, in seconds of the event loop's clock.
            again: Whether this call has had its turn already, such as a retry: it goes to the head
                of the caller's queue.

        Returns:
            The permit for one call, which must be made within `with`.

        Raises:
            Throttled: The call's turn does not come in time. Raised without waiting if that is
                known beforehand.
        """
        buckets = self._find_buckets(operation, user, reads=reads)
        now = asyncio.get_running_loop().time()
        for place, bucket in enumerate(buckets):
            if not bucket.take(caller, now):
                try:
                    await bucket.wait(caller, deadline, again=again)
                except BaseException:
                    for taken in buckets[:place]:
                        taken.give_back(caller)
                    raise
                now = asyncio.get_running_loop().time()
        return Permit(buckets, caller, now)

    def learn(self, name: str, username: str) -> None:
        """Record another name for a user, so that calls by either name count against one quota.

        Args:
            name: What was sent as `Username`: a `sub`, an alias, or the username in another letter
                case.
            username: The user's `Username`, as Cognito replied.
        """
        self._usernames.pop(name, None)
        if name == username:
            return
        if len(self._usernames) >= MAX_NAMES:
            del self._usernames[next(iter(self._usernames))]
        self._usernames[name] = username

    def _find_buckets(
        self, operation: str, user: str | None, *, reads: bool
    ) -> "tuple[Bucket, ...]":
        """Return the buckets that a call takes a token from, the narrowest first."""
        buckets = self._of_operation.get(operation) or (self._others,)
        if user is None:
            return buckets
        return (self._bucket_of_user(user, reads=reads), *buckets)

    def _bucket_of_user(self, user: str, *, reads: bool) -> "Bucket":
        username = self._usernames.pop(user, None)
        if username is not None:
            self._usernames[user] = username  # at the end, as the most recently used
            user = username
        bucket = self._of_user.get((user, reads))
        if bucket is None:
            if len(self._of_user) >= self._tidy_at:
                self._drop_idle_buckets()
            bucket = Bucket(self._per_user, "one user", pause=self._pause)
            self._of_user[user, reads] = bucket
        return bucket

    def _drop_idle_buckets(self) -> None:
        now = asyncio.get_running_loop().time()
        self._of_user = {
            key: bucket for key, bucket in self._of_user.items() if not bucket.is_idle(now)
        }
        # Doubled, so that adding a user scans few others on average.
        self._tidy_at = max(MAX_USER_BUCKETS, 2 * len(self._of_user))


class Permit:
    """Permission to make one call. The call is over when the `with` block ends.

    Args:
        buckets: Those that a token was taken from: first the narrowest, which is that of a user or
            of an operation on the pool; last that of the category.
        caller: Who the call is made for.
        granted: When it was given, in seconds of the event loop's clock.
    """

    __slots__ = ("_buckets", "_caller", "_granted")

    def __init__(self, buckets: Sequence["Bucket"], caller: str, granted: float) -> None:
        self._buckets = buckets
        self._caller = caller
        self._granted = granted

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        now = asyncio.get_running_loop().time()
        for bucket in self._buckets:
            bucket.answered(self._caller, now)

    def throttled(self) -> None:
        """Report that Cognito throttled the call; it does not say by which quota.

        It may be the quota of this one user, so at first only calls about them pause. If calls
        about another user are throttled within a second, too, it is the quota of the category, and
        all its calls pause. The same is done for two operations of a category that have quotas of
        their own.
        """
        narrow, wide = self._buckets[0], self._buckets[-1]
        if narrow is not wide:
            narrow.pause(self._granted)
        if narrow is wide or wide.suspects(narrow):
            wide.pause(self._granted)


class Bucket:
    """A token bucket with a queue for each caller, served round-robin.

    Its level is kept as a single number, the time at which it will be full again, as in the generic
    cell rate algorithm of ITU-T I.371. One thing differs. Cognito takes a token when a call arrives
    there, later than this bucket does. While Cognito's bucket is still full it gains nothing, but
    this one would refill already, and calls sent from it would then be too many. So a call keeps
    its token here until it is answered: this bucket is full when its tokens and the calls in flight
    add up to one second's worth. Then Cognito's bucket always holds at least as much as this one
    and the calls in flight together, however slow those are, and has nothing to throttle.

    Args:
        rate: Tokens added per second, and the most that it holds (at least one).
        name: For the log.
        pause: Seconds that the first throttle of a series pauses it.
    """

    def __init__(self, rate: float, name: str, *, pause: float = FIRST_PAUSE) -> None:
        self._name = name
        self._interval = 1 / rate
        self._depth = max(0.0, 1 - self._interval) + 1e-6  # 25 times 1/25 may exceed 1
        self._full_at = 0.0
        self._in_flight = 0
        self._places = Places(max(1, int(rate)))
        """The calls in flight: at most one second's worth, shared between callers."""
        self._queues: dict[str, deque[asyncio.Future[None]]] = {}
        """The queue of each caller, in the order of their turns."""
        self._timer: asyncio.TimerHandle | None = None
        self._first_pause = self._pause = pause
        self._resumed = 0.0
        """When the last pause ends or ended."""
        self._throttled: tuple[Bucket, float] | None = None
        """The narrower bucket that was throttled last, and when."""

    def is_idle(self, now: float) -> bool:
        """Tell whether it is in the state of a new one, so that it can be dropped."""
        return not self._in_flight and not self._queues and self._full_at <= now

    def take(self, caller: str, now: float) -> bool:
        """Take a token, if there is one that no waiting caller may have first."""
        if self._queues:
            self._serve()  # waiters whose turn has come since the timer was set
            if caller in self._queues:
                return False
        return self._take(caller, now)

    def give_back(self, caller: str) -> None:
        """Put back the token of a call that was not made."""
        self._full_at -= self._interval
        self._end_call(caller)

    def answered(self, caller: str, now: float) -> None:
        """Record that a call is over."""
        self._update(now)
        self._end_call(caller)

    async def wait(self, caller: str, deadline: float, *, again: bool) -> None:
        """Wait for a token, at the end of the caller's queue, or with `again` at its head.

        Raises:
            Throttled: The call's turn would not come in time, or did not.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        give_up = now + WAITING_SHARE * (deadline - now)
        turn = self._next_turn(caller, now, ahead=again)
        if turn > give_up:
            raise Throttled(retry_after=turn - now)
        waiter: asyncio.Future[None] = loop.create_future()
        queue = self._queues.setdefault(caller, deque())
        if again:
            queue.appendleft(waiter)
        else:
            queue.append(waiter)
        self._set_timer(loop)
        try:
            async with asyncio.timeout_at(give_up):
                await waiter
        except BaseException as error:
            if not waiter.cancelled():
                self.give_back(caller)
            elif waiter in self._queues.get(caller, ()):
                self._queues[caller].remove(waiter)
                if not self._queues[caller]:
                    del self._queues[caller]
            if isinstance(error, TimeoutError):
                # The estimate was too low: new callers got turns in between, or Cognito throttled.
                now = loop.time()
                raise Throttled(retry_after=self._next_turn(caller, now) - now) from error
            raise

    def pause(self, sent: float) -> None:
        """Empty the bucket, and add no tokens for a moment.

        Args:
            sent: When the throttled call was permitted.
        """
        if sent < self._resumed:
            return  # sent before the last pause, which was for this one too
        now = asyncio.get_running_loop().time()
        in_series = now < self._resumed + LONGEST_PAUSE
        self._pause = min(2 * self._pause, LONGEST_PAUSE) if in_series else self._first_pause
        self._resumed = now + self._pause
        self._full_at = max(self._full_at, self._resumed + self._depth)
        log.warning("Cognito throttles calls", quota=self._name, pause=round(self._pause, 3))

    def suspects(self, narrow: "Bucket") -> bool:
        """Tell whether calls of a bucket other than `narrow` were throttled a moment ago, too.

        Args:
            narrow: The bucket of a user or operation whose call was throttled now.
        """
        now = asyncio.get_running_loop().time()
        before, self._throttled = self._throttled, (narrow, now)
        return before is not None and before[0] is not narrow and now < before[1] + LONGEST_PAUSE

    def _update(self, now: float) -> None:
        """Discard the tokens that would have overflowed."""
        self._full_at = max(self._full_at, now + self._in_flight * self._interval)

    def _take(self, caller: str, now: float) -> bool:
        self._update(now)
        if now < self._full_at - self._depth or not self._places.take(caller):
            return False
        self._full_at += self._interval
        self._in_flight += 1
        return True

    def _has_token(self, now: float) -> bool:
        self._update(now)
        return now >= self._full_at - self._depth

    def _end_call(self, caller: str) -> None:
        self._in_flight -= 1
        self._places.give_back(caller)
        if self._queues:
            self._serve()

    def _next_turn(self, caller: str, now: float, *, ahead: bool = False) -> float:
        """Return when it would be the turn of one more call, if no other call came.

        For example, ann has two calls waiting (a1, a2) and bob five, and she asks for a third, a3.
        Her own two are sent before it, and of his: two if her turn is next (a1 b1 a2 b2 a3), three
        if his is (b1 a1 b2 a2 b3 a3).
        """
        own = 0 if ahead else len(self._queues.get(caller, ()))
        before, turns = own, own + 1
        for other, queue in self._queues.items():
            if other == caller:
                turns = own  # callers after this one get one turn fewer before it
            else:
                before += min(len(queue), turns)
        self._update(now)
        return max(now, self._full_at + before * self._interval - self._depth)

    def _serve(self) -> None:
        """Give the tokens there are to waiting calls, one caller after the other."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._has_token(now) and self._serve_one(now):
            pass
        if not self._has_token(now):  # otherwise no caller may have more in flight, until calls end
            self._set_timer(loop)

    def _serve_one(self, now: float) -> bool:
        """Give a token to the first caller in turn that may have one more call in flight."""
        for caller, queue in self._queues.items():
            waiter = next((waiter for waiter in queue if not waiter.done()), None)
            # Those that are done were cancelled, and are about to leave the queue.
            if waiter is not None and self._take(caller, now):
                queue.remove(waiter)
                del self._queues[caller]
                if queue:
                    self._queues[caller] = queue  # at the end
                waiter.set_result(None)
                return True
        return False

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._queues and self._timer is None:
            self._timer = loop.call_at(self._full_at - self._depth, self._serve)
