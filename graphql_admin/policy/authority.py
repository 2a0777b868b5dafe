"""The authority for writes: the groups of a caller that both their token and the pool have.

A token stays valid until it expires, whatever happens to its user. So before a write the pool is
asked whether the user still exists and is enabled, and which groups they are in. This can only
remove rights: a group counts if both the token and the pool have it.
"""

import asyncio
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from graphql_admin.errors import (
    AdminError,
    QueryTooExpensive,
    Throttled,
    TimedOut,
    UpstreamFailed,
    UserNotFound,
)
from graphql_admin.policy.decisions import Denied, Reason

MAX_AGE = 10.0
"""Default lifetime of a cached reading of a caller, in seconds."""

MAX_KEPT = 4096
"""Callers in the cache; beyond that, the oldest are dropped."""

MAX_PAGES = 10
"""Pages of one user's groups. Cognito allows 100 groups per user, and returns 60 per page."""

_GONE = Denied(Reason.FORBIDDEN, "Your account is disabled, or no longer exists.")


@dataclass(frozen=True, slots=True)
class PoolUser:
    """A user in the pool."""

    username: str
    sub: str
    enabled: bool
    aliases: frozenset[str] = field(default=frozenset(), repr=False)
    """Other names that may identify the user: an e-mail address, a phone number."""


class UserReader(Protocol):
    """Reads the pool for one request. Its replies must not be older than the call."""

    async def user(self, username: str) -> PoolUser | None:
        """Return the user with this name; None if there is no such user.

        Raises:
            AdminError: The user cannot be read.
        """

    async def groups(self, username: str, token: str | None) -> tuple[Sequence[str], str | None]:
        """Return a page of the names of a user's groups, and the token of the next page.

        Raises:
            UserNotFound: There is no such user.
            AdminError: They cannot be read.
        """


@dataclass(frozen=True, slots=True)
class Standing:
    """What was read of a caller."""

    started: float
    """When the reading started: later changes may not be in it."""
    is_good: bool = False
    """Whether the user exists, has the same `sub`, and is enabled."""
    groups: frozenset[str] | None = None
    """The groups in the pool; None if the token's groups count as they are."""
    names: frozenset[str] = field(default=frozenset(), repr=False)
    """All names and aliases of the user, folded for `may_be_called`. They are personal attributes,
    which must not be logged."""

    def count(self, groups: frozenset[str]) -> frozenset[str] | Denied:
        """Return those of a token's groups that count."""
        if not self.is_good:
            return _GONE
        if self.groups is None or groups <= self.groups:
            return groups
        return groups & self.groups

    def may_be_called(self, name: str) -> bool:
        """Tell whether the pool may identify the user by a name.

        The name may still be another user's: similar letters count as the same here, and an
        alias may have changed hands. An alias that the user got after the reading is not known.
        """
        return _fold(name) in self.names


@dataclass(slots=True, eq=False)
class _Reading:
    """A reading of a caller's standing, which other requests may wait for."""

    started: float
    waiting: list[asyncio.Future[Standing | None]]


class Authority:
    """Reads what decides which of a token's groups count for a write.

    Callers are identified by `sub`. A reading of a caller is shared while it is in flight, and then
    cached for a while. Only the event loop's thread may use it.

    Args:
        max_age: Seconds from its start that a reading is shared and cached; 0 reads each time.
        knows_groups: Whether rights come from the groups in the pool. If not, only the user is
            read, and the token's groups count as they are.
        clock: Monotonic time in seconds.
        max_kept: Callers in the cache.
    """

    def __init__(
        self,
        *,
        max_age: float = MAX_AGE,
        knows_groups: bool = True,
        clock: Callable[[], float],
        max_kept: int = MAX_KEPT,
    ) -> None:
        self._max_age = max_age
        self._knows_groups = knows_groups
        self._clock = clock
        self._max_kept = max_kept
        self._kept: dict[str, Standing] = {}
        self._under_way: dict[str, _Reading] = {}

    def recall(self, sub: str) -> Standing | None:
        """Return the result of `standing_of` from the cache; None if the pool must be read.

        Args:
            sub: The `sub` in the token.
        """
        kept = self._kept.get(sub)
        return kept if kept is not None and self._is_fresh(kept) else None

    async def standing_of(
        self, sub: str, username: str, reader: UserReader, *, anew: bool = False
    ) -> Standing:
        """Return the current standing of a caller.

        Args:
            sub: The `sub` in the token.
            username: The username in the token.
            reader: Reads the pool if need be.
            anew: Use no reading that started before this call.

        Raises:
            AdminError: The pool could not be read, so nothing may be written.
        """
        while self._max_age and not anew:
            kept = self.recall(sub)
            if kept is not None:
                return kept
            reading = self._under_way.get(sub)
            if reading is None or not self._is_fresh(reading):
                break
            answer: asyncio.Future[Standing | None] = asyncio.get_running_loop().create_future()
            reading.waiting.append(answer)
            standing = await answer
            if standing is not None and self._is_fresh(standing):
                return standing
        return await self._read_for_all(sub, username, reader)

    def forget(self, sub: str) -> None:
        """Drop all readings of a user from before now, because the user may have changed."""
        self._kept.pop(sub, None)
        self._under_way.pop(sub, None)

    def _is_fresh(self, read: Standing | _Reading) -> bool:
        return self._clock() < read.started + self._max_age

    async def _read_for_all(self, sub: str, username: str, reader: UserReader) -> Standing:
        reading = self._under_way[sub] = _Reading(self._clock(), [])
        standing: Standing | None = None
        failure: AdminError | None = None
        try:
            standing = await self._read(sub, username, reader, reading.started)
        except (TimedOut, Throttled, QueryTooExpensive):
            raise  # another request may have more time or calls left, and read for itself
        except AdminError as error:
            failure = error
            raise
        else:
            return standing
        finally:
            # Unless it was dropped since, or a later one has started.
            if self._under_way.get(sub) is reading:
                del self._under_way[sub]
                if standing is not None:
                    self._keep(sub, standing)
            for answer in reading.waiting:
                if answer.done():
                    continue
                if failure is None:
                    answer.set_result(standing)
                else:
                    answer.set_exception(failure)

    async def _read(self, sub: str, username: str, reader: UserReader, started: float) -> Standing:
        user = await reader.user(username)
        # A name may belong to another user by now; a `sub` is never reused.
        if user is None or not user.enabled or user.sub != sub:
            return Standing(started)
        try:
            groups = await read_groups(reader, user.username) if self._knows_groups else None
        except UserNotFound:  # deleted since
            return Standing(started)
        names = {username, user.username, sub, *user.aliases}
        folded = frozenset(map(_fold, names))
        return Standing(started, is_good=True, groups=groups, names=folded)

    def _keep(self, sub: str, standing: Standing) -> None:
        self._kept.pop(sub, None)
        if len(self._kept) >= self._max_kept:
            del self._kept[next(iter(self._kept))]
        self._kept[sub] = standing


def _fold(name: str) -> str:
    """Return the same string for all names that a pool may treat as the same.

    Pools can be set to ignore letter case. What else they ignore is not documented.
    """
    return unicodedata.normalize("NFKC", name).casefold()


async def read_groups(reader: UserReader, username: str) -> frozenset[str]:
    """Return the names of all groups that a user is in.

    Raises:
        AdminError: They cannot be read, or the list does not end.
    """
    names: set[str] = set()
    token: str | None = None
    for _ in range(MAX_PAGES):
        page, token = await reader.groups(username, token)
        names.update(page)
        if token is None:
            return frozenset(names)
    raise UpstreamFailed
