"""What a caller's token says, and the pool still says: the authority for writes.

A token stays good until it expires, whatever happens to its user meanwhile. So before a write the
pool is asked whether the user is still there, enabled, and in which groups. That only takes
away: a group counts if both the token and the pool have it.
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
from graphql_admin.policy.decisions import Reason, Refused

MAX_AGE = 10.0
"""Seconds that what the pool said of a caller is believed, by default."""

MAX_KEPT = 4096
"""Callers that are remembered; when there are more, the oldest go."""

MAX_PAGES = 10
"""Pages of one user's groups. Cognito admits 100 groups of a user, and has 60 on a page."""

_GONE = Refused(Reason.FORBIDDEN, "Your account is disabled, or is no longer there.")


@dataclass(frozen=True, slots=True)
class PoolUser:
    """What the pool says of a user."""

    username: str
    sub: str
    enabled: bool
    aliases: frozenset[str] = field(default=frozenset(), repr=False)
    """By which the pool may know the user as well: an e-mail address, a phone number."""


class Reader(Protocol):
    """What reads the pool for one request. Its replies are not to be older than the call."""

    async def user(self, username: str) -> PoolUser | None:
        """Return the user with this name; None if there is none.

        Raises:
            AdminError: It cannot be told.
        """

    async def groups(self, username: str, token: str | None) -> tuple[Sequence[str], str | None]:
        """Return a page of the names of a user's groups, and the token of the next page.

        Raises:
            UserNotFound: There is none of that name.
            AdminError: They cannot be told.
        """


@dataclass(frozen=True, slots=True)
class Standing:
    """What the pool said of a caller."""

    began: float
    """When the reading began: what is true since then may not be in it."""
    is_good: bool = False
    """Whether the user is there, is the same one, and is enabled."""
    groups: frozenset[str] | None = None
    """None where those of the token count as they are."""
    names: frozenset[str] = field(default=frozenset(), repr=False)
    """All by which the pool may know the user, folded for `may_be_called`. They are personal
    attributes, and for no log."""

    def count(self, groups: frozenset[str]) -> frozenset[str] | Refused:
        """Return the groups of a token that count, of those that it has."""
        if not self.is_good:
            return _GONE
        return groups if self.groups is None else groups & self.groups

    def may_be_called(self, name: str) -> bool:
        """Tell whether the pool may know the user by a name.

        A name may be another's all the same: letters that differ here count as the same, and an
        alias can have moved since. One that the user got since is not known.
        """
        return _fold(name) in self.names


@dataclass(slots=True, eq=False)
class _Reading:
    """One reading of a caller's standing, which others may wait for."""

    began: float
    waiting: list[asyncio.Future[Standing | None]]


class Authority:
    """Tells what the pool says of callers, and so which of a token's groups count for a write.

    Callers are told apart by `sub`; one caller's readings are shared while they are under way,
    and believed for a while. Only the event loop's thread may use it.

    Args:
        max_age: Seconds that a reading is believed; 0 reads each time.
        knows_groups: Whether the pool's groups are those that give rights. Where they are not,
            only the user is read, and the token's groups count as they are.
        clock: Seconds, from any start.
        max_kept: Callers that are remembered.
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
        """Return what `standing_of` would without a reading; None if it takes one.

        Args:
            sub: The token's.
        """
        kept = self._kept.get(sub)
        is_fresh = kept is not None and self._clock() < kept.began + self._max_age
        return kept if is_fresh else None

    async def standing_of(
        self, sub: str, username: str, reader: Reader, *, anew: bool = False
    ) -> Standing:
        """Return what the pool says of a caller now.

        Args:
            sub: The token's.
            username: The token's.
            reader: Reads the pool, if that is needed.
            anew: Do not believe what was read, or began to be read, before this was called.

        Raises:
            AdminError: The pool did not tell, so nothing may be written.
        """
        while self._max_age and not anew:
            kept = self.recall(sub)
            if kept is not None:
                return kept
            reading = self._under_way.get(sub)
            if reading is None:
                break
            answer: asyncio.Future[Standing | None] = asyncio.get_running_loop().create_future()
            reading.waiting.append(answer)
            standing = await answer
            if standing is not None:
                return standing
        return await self._read_for_all(sub, username, reader)

    def forget(self, sub: str) -> None:
        """Believe nothing that was read of a user before now, because it may have changed."""
        self._kept.pop(sub, None)
        self._under_way.pop(sub, None)

    async def _read_for_all(self, sub: str, username: str, reader: Reader) -> Standing:
        reading = self._under_way[sub] = _Reading(self._clock(), [])
        standing: Standing | None = None
        failure: AdminError | None = None
        try:
            standing = await self._read(sub, username, reader, reading.began)
        except (TimedOut, Throttled, QueryTooExpensive):
            raise  # others may have more time, or more calls, and read for themselves
        except AdminError as error:
            failure = error
            raise
        else:
            return standing
        finally:
            # Unless it was forgotten meanwhile, or a later one began.
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

    async def _read(self, sub: str, username: str, reader: Reader, began: float) -> Standing:
        user = await reader.user(username)
        # A name can be another's by now; a `sub` never is.
        if user is None or not user.enabled or user.sub != sub:
            return Standing(began)
        try:
            groups = await read_groups(reader, user.username) if self._knows_groups else None
        except UserNotFound:  # deleted since
            return Standing(began)
        names = {username, user.username, sub, *user.aliases}
        folded = frozenset(map(_fold, names))
        return Standing(began, is_good=True, groups=groups, names=folded)

    def _keep(self, sub: str, standing: Standing) -> None:
        self._kept.pop(sub, None)
        if len(self._kept) >= self._max_kept:
            del self._kept[next(iter(self._kept))]
        self._kept[sub] = standing


def _fold(name: str) -> str:
    """Return a name as all have it that a pool may take for the same.

    Pools can be told to ignore letter case. What else they ignore is not documented.
    """
    return unicodedata.normalize("NFKC", name).casefold()


async def read_groups(reader: Reader, username: str) -> frozenset[str]:
    """Return the names of all groups that a user is in.

    Raises:
        AdminError: They cannot be told, or do not end.
    """
    names: set[str] = set()
    token: str | None = None
    for _ in range(MAX_PAGES):
        page, token = await reader.groups(username, token)
        names.update(page)
        if token is None:
            return frozenset(names)
    raise UpstreamFailed
