"""How often Cognito may be called, and whose turn it is where more calls are wanted.

Cognito counts calls per second, by category of operation, for all apps of an AWS account and
region. It also limits the calls about one user, and some operations on one pool. Here each of
these limits is a token bucket that holds one second's worth. After a pause that many calls go
out at once, and the rest as the bucket fills again. No throttle that is a token bucket allows
more.

Where calls wait, their callers take turns. Say that ann wants calls a1 to a5, then bob b1 and b2,
then eve e1, and that none can go out yet. Each caller has a queue, and the first of each queue
goes before the second of any:

    ann: a1 a2 a3 a4 a5
    bob: b1 b2                   they go out as   a1 b1 e1  a2 b2  a3 a4 a5
    eve: e1

So eve waits for two calls, not for seven. A call that Cognito throttled, or that is tried again
for another reason, goes to the head of its caller's queue: it had its turn.

Calls that are slow are shared out too, since one that is not answered yet keeps its place in the
bucket: of the calls that may be under way at once, a caller may have as many as are free.

A throttle that counts by whole seconds would refuse some of the calls that follow a burst. No
client can tell beforehand, short of never using the quota in full. A refusal is cheap, though:
it halts a bucket for a moment. With half the account's quota as the share, even such a throttle
has nothing to refuse.
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
"""Seconds that a bucket is halted when Cognito throttles: little, for most often it is a matter
of two clocks. Each further throttle soon after doubles it."""

LONGEST_PAUSE = 1.0
"""Seconds; Cognito's quotas are per second."""

WAITING_SHARE = 0.9
"""Part of the time left that a call may wait. The rest is for the call itself."""

MAX_USER_BUCKETS = 4096
"""Buckets of users from which on idle ones are dropped. More are kept only for calls that wait, are
under way or were made within the last second, whose number the quotas bound."""

MAX_NAMES = 4096
"""Names known to be those of a user with another `Username`, such as an e-mail address. A name
has up to 128 characters, so they take some 2 MB at most. The one not used for longest goes."""


class Quotas:
    """The quotas of one user pool, of which this process uses a share.

    It belongs to one event loop, whose clock it goes by.

    Args:
        rates: Calls per second that the account is granted, where not Cognito's default.
        share: The part of every quota that may be used here; other apps of the account, and
            other processes of this server, need the rest.
        pause: Seconds that the first throttle of a series halts a bucket.
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
        """`Username` by another name of the user; the name used last comes last."""

    def take(
        self, operation: str, user: str | None, *, reads: bool, caller: str
    ) -> "Permit | None":
        """Return the permit for one call, if it need not wait; see `acquire` for the arguments."""
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
        """Wait until Cognito may be called. Whoever is cancelled meanwhile has used nothing.

        Args:
            operation: The operation.
            user: The `Username` that it is about, if any.
            reads: Whether it changes nothing.
            caller: On whose behalf. Callers who wait take turns, however much each asks for.
            deadline: When the caller gives up, in seconds of the event loop's clock.
            again: Whether this very call had its turn already, so that it goes before the
                caller's others.

        Returns:
            The permit for one call, which is to be made within `with`.

        Raises:
            Throttled: It would not be this call's turn in time. If that can be known beforehand,
                this is raised at once.
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
        """Take note that a user was found by another name: calls by either count as one user's.

        Args:
            name: What was given as `Username`: a `sub`, an alias, or in letters of another case.
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
        """Return the buckets that a call takes a token from, that of the most calls last."""
        buckets = self._of_operation.get(operation) or (self._others,)
        if user is None:
            return buckets
        return (self._bucket_of_user(user, reads=reads), *buckets)

    def _bucket_of_user(self, user: str, *, reads: bool) -> "Bucket":
        username = self._usernames.pop(user, None)
        if username is not None:
            self._usernames[user] = username  # at the end, as the one used last
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
        # So that few users are looked at for each one that is added.
        self._tidy_at = max(MAX_USER_BUCKETS, 2 * len(self._of_user))


class Permit:
    """What lets one call pass. The call is over when the `with` block ends.

    Args:
        buckets: Those that a token was taken from: the one of the fewest calls first, that of a
            user or of an operation on the pool; the category's last.
        caller: On whose behalf.
        granted: When, in seconds of the event loop's clock.
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
        """Say that Cognito refused the call for its quotas, without saying for which of them.

        That may be the quota of this user alone: calls about them pause, and no others. When
        those about another user are refused within a second, too, it is the category's: all of
        it pauses. The same with two operations of a category that have quotas of their own.
        """
        narrow, wide = self._buckets[0], self._buckets[-1]
        if narrow is not wide:
            narrow.halt(self._granted)
        if narrow is wide or wide.suspects(narrow):
            wide.halt(self._granted)


class Bucket:
    """A token bucket with a queue in which callers take turns.

    What it holds is kept as one time: when it will be full again, as in the generic cell rate
    algorithm of ITU-T I.371. But Cognito's own bucket runs late, since it counts a call when it
    gets there; while that one is full, what flows into this one would be too much. So a call
    that is not answered yet keeps its place in this one: it is full when it and the calls under
    way make a second's worth. Then Cognito's holds at least as much as this one and the calls on
    their way together, however long those take, and has nothing to refuse.

    Args:
        rate: Tokens that flow in per second. So many it holds at most, but at least one.
        name: For the log.
        pause: Seconds that the first throttle of a series halts it.
    """

    def __init__(self, rate: float, name: str, *, pause: float = FIRST_PAUSE) -> None:
        self._name = name
        self._interval = 1 / rate
        self._depth = max(0.0, 1 - self._interval) + 1e-6  # 25 times 1/25 may be more than 1
        self._full_at = 0.0
        self._under_way = 0
        self._places = Places(max(1, int(rate)))
        """For the calls under way: the most that there are room for, shared out to callers."""
        self._queues: dict[str, deque[asyncio.Future[None]]] = {}
        """Who waits, by caller; the callers in the order of their turns."""
        self._timer: asyncio.TimerHandle | None = None
        self._first_pause = self._pause = pause
        self._resumed = 0.0
        """When the last halt ends, or ended."""
        self._throttled: tuple[Bucket, float] | None = None
        """The bucket of fewer calls that was halted last, and when."""

    def is_idle(self, now: float) -> bool:
        """Tell whether a new one would do as well."""
        return not self._under_way and not self._queues and self._full_at <= now

    def take(self, caller: str, now: float) -> bool:
        """Take a token for a call, if there is one that nobody waits for who may have it."""
        if self._queues:
            self._serve()  # those whose time has come, and who have not been told yet
            if caller in self._queues:
                return False
        return self._take(caller, now)

    def give_back(self, caller: str) -> None:
        """Put back the token of a call that was not made."""
        self._full_at -= self._interval
        self._end_call(caller)

    def answered(self, caller: str, now: float) -> None:
        """Take note that a call is over."""
        self._update(now)
        self._end_call(caller)

    async def wait(self, caller: str, deadline: float, *, again: bool) -> None:
        """Wait for a token, at the end or the head of the caller's own queue.

        Raises:
            Throttled: It would not be, or was not, this call's turn in time.
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
                # Others had their turns first who came later, or Cognito throttled meanwhile.
                now = loop.time()
                raise Throttled(retry_after=self._next_turn(caller, now) - now) from error
            raise

    def halt(self, sent: float) -> None:
        """Empty the bucket, and let nothing flow in for a moment.

        Args:
            sent: When the call was let pass that shows that this is needed.
        """
        if sent < self._resumed:
            return  # it belongs to what the last halt was for
        now = asyncio.get_running_loop().time()
        in_series = now < self._resumed + LONGEST_PAUSE
        self._pause = min(2 * self._pause, LONGEST_PAUSE) if in_series else self._first_pause
        self._resumed = now + self._pause
        self._full_at = max(self._full_at, self._resumed + self._depth)
        log.warning("Cognito throttles calls", quota=self._name, pause=round(self._pause, 3))

    def suspects(self, narrow: "Bucket") -> bool:
        """Tell whether calls of another bucket than `narrow` were throttled a moment ago, too.

        Args:
            narrow: A bucket of some of the calls of this one, which were throttled now.
        """
        now = asyncio.get_running_loop().time()
        before, self._throttled = self._throttled, (narrow, now)
        return before is not None and before[0] is not narrow and now < before[1] + LONGEST_PAUSE

    def _update(self, now: float) -> None:
        """Reckon with what did not flow in, because the bucket was full."""
        self._full_at = max(self._full_at, now + self._under_way * self._interval)

    def _take(self, caller: str, now: float) -> bool:
        self._update(now)
        if now < self._full_at - self._depth or not self._places.take(caller):
            return False
        self._full_at += self._interval
        self._under_way += 1
        return True

    def _has_token(self, now: float) -> bool:
        self._update(now)
        return now >= self._full_at - self._depth

    def _end_call(self, caller: str) -> None:
        self._under_way -= 1
        self._places.give_back(caller)
        if self._queues:
            self._serve()

    def _next_turn(self, caller: str, now: float, *, ahead: bool = False) -> float:
        """Return when it would be the turn of one more call, if nobody else came.

        Say that ann has two calls waiting, bob five, and she asks when a third would go out. Her
        own two go before it. If her turn comes before his, so do two of his: a1 b1 a2 b2 a3. If
        his comes first, so do three: b1 a1 b2 a2 b3 a3.
        """
        own = 0 if ahead else len(self._queues.get(caller, ()))
        before, turns = own, own + 1
        for other, queue in self._queues.items():
            if other == caller:
                turns = own  # those who follow have one turn less before it
            else:
                before += min(len(queue), turns)
        self._update(now)
        return max(now, self._full_at + before * self._interval - self._depth)

    def _serve(self) -> None:
        """Give out what tokens there are, a caller at a time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._has_token(now) and self._serve_one(now):
            pass
        if not self._has_token(now):  # else all who wait have their share, until calls end
            self._set_timer(loop)

    def _serve_one(self, now: float) -> bool:
        """Give a token to the first in turn who may have one more call under way."""
        for caller, queue in self._queues.items():
            waiter = next((waiter for waiter in queue if not waiter.done()), None)
            # Those who are done were cancelled, and are about to leave the queue.
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
