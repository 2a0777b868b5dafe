"""Reservations: a user whose rights are being taken cannot change anything.

So if two callers take each other's rights concurrently, one is refused. Before an action that takes
rights, its target is reserved, atomically and only if the caller is not reserved. Then the caller's
authority and the target's rights are read again, and Cognito is called. If it is certain that
nothing was changed, the reservation is dropped. Otherwise it is kept for as long as Cognito's lists
may be stale, so that the user who lost their rights cannot act by a stale list.

A target without rights is reserved too: they could be given every right meanwhile, and take those
of all others, before they lose theirs by the change that is on its way.

Nor can that user undo it. Before an action by which callers give rights to themselves, they are
held, only if they are not reserved, and while they are held they cannot be reserved. Otherwise a
change that was decided before they lost their rights could arrive in Cognito afterwards.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from graphql_admin.policy.decisions import Denied, Reason

KEPT = 30.0
"""Seconds that a target stays reserved after the attempt. Cognito's lists are stale for a second or
two."""

KEPT_FOR_ANOTHER_TRY = 2 * KEPT
"""Seconds that a target stays reserved after a refused attempt to reserve it. A caller who tries
again after half a minute, as the message says, does so before it ends."""

MAX_PER_CALLER = 256
"""Reservations for one caller that precede no change to another user: holds, and those of refused
attempts. How many others are kept is bounded by the quotas of the changes that they precede."""

CONFLICT = Denied(
    Reason.CONFLICT,
    "Your own rights are being taken, so you cannot change anything. Try again in half a minute.",
)
LOSING = Denied(
    Reason.CONFLICT,
    "This user's rights are being taken just now. Try again in half a minute.",
    field="username",
)
HELD = Denied(
    Reason.CONFLICT,
    "This user is changing their own rights just now. Try again in half a minute.",
    field="username",
)
TOO_MANY = Denied(
    Reason.CONFLICT,
    "You have tried to change the rights of too many users at a time. Try again in a minute.",
)


@dataclass(frozen=True, slots=True, eq=False)
class Reservation:
    """The reservation of a target by one attempt. Several may reserve the same target."""

    target: str
    """A `sub`; the caller's own if they give rights to themselves."""
    caller: str
    """A `sub`; for a machine its `client_id`, which is never a target."""

    @property
    def is_own(self) -> bool:
        """Whether the caller gives rights to themselves."""
        return self.target == self.caller


_Table: TypeAlias = dict[str, set[Reservation]]


class Reservations(Protocol):
    """The interface of reservations, in one process or shared by all processes of a server.

    `reserve` and `hold` are atomic, with regard to each other too.
    """

    async def reserve(self, target: str, *, caller: str, deadline: float) -> Reservation | Denied:
        """Reserve a target, only if the caller is not reserved, and the target is not held.

        A target that is held is still reserved, for `KEPT_FOR_ANOTHER_TRY` seconds. So it
        cannot be held again meanwhile, and a later try succeeds, however often the target tries.

        Args:
            target: The `sub` of the user who is about to lose rights.
            caller: The `sub` of the caller who takes them.
            deadline: The latest end of the attempt, by the clock of the reservations.

        Returns:
            The reservation, which must be dropped or kept; or why there is none.
        """

    async def hold(self, sub: str, *, deadline: float) -> Reservation | Denied:
        """Hold a user who is about to give rights to themselves, only if they are not reserved.

        Args:
            sub: The `sub` of the user.
            deadline: The latest end of the attempt, by the clock of the reservations.

        Returns:
            The reservation, which must be dropped or kept; or why there is none.
        """

    async def drop(self, reservation: Reservation) -> None:
        """Drop a reservation at once."""

    async def keep(self, reservation: Reservation) -> None:
        """Keep a reservation for `KEPT` seconds from now."""

    def may_be_reserved(self, sub: str) -> bool:
        """Tell, without waiting, whether a user may be reserved; False is certain.

        It saves asking on the way of every change. One who is not reserved is not losing either.
        """

    async def is_reserved(self, sub: str) -> bool:
        """Tell whether the rights of a user are being taken, or were a moment ago."""

    async def is_losing(self, sub: str) -> bool:
        """Tell whether the rights of a user are being taken, by an attempt that has not ended."""


class LocalReservations:
    """Reservations of one process. Two processes, which do not share them, may allow both callers.

    No method awaits anything, so each is atomic in the event loop.

    Args:
        clock: Monotonic time in seconds, as in deadlines.
        max_per_caller: As `MAX_PER_CALLER`.
    """

    def __init__(self, clock: Callable[[], float], *, max_per_caller: int = MAX_PER_CALLER) -> None:
        self._clock = clock
        self._max_per_caller = max_per_caller
        self._ends: dict[Reservation, float] = {}
        self._of_target: _Table = {}
        self._losing: _Table = {}
        """Those of targets by attempts that have not ended."""
        self._own: _Table = {}
        """Those of users who give rights to themselves."""
        self._of_caller: _Table = {}
        """Those that count for the limit per caller."""
        self._tidy_at = 0.0

    def __len__(self) -> int:
        """Return how many are in memory, expired ones that are not cleaned up yet included."""
        tables = self._of_target, self._losing, self._own, self._of_caller
        return max(len(self._ends), *map(len, tables))

    async def reserve(self, target: str, *, caller: str, deadline: float) -> Reservation | Denied:
        """Reserve a target, only if the caller is not reserved, and the target is not held."""
        now = self._clock()
        self._tidy(now)
        if self._live(self._of_target, caller, now):
            return CONFLICT
        reservation = Reservation(target, caller)
        if not self._live(self._own, target, now):
            self._ends[reservation] = max(now, deadline) + KEPT
            _add(self._of_target, target, reservation)
            _add(self._losing, target, reservation)
            return reservation
        if self._has_too_many(caller, now):
            return TOO_MANY
        self._ends[reservation] = now + KEPT_FOR_ANOTHER_TRY
        _add(self._of_target, target, reservation)
        _add(self._of_caller, caller, reservation)
        return HELD

    async def hold(self, sub: str, *, deadline: float) -> Reservation | Denied:
        """Hold a user who is about to give rights to themselves, only if they are not reserved."""
        now = self._clock()
        self._tidy(now)
        if self._live(self._of_target, sub, now):
            return CONFLICT
        if self._has_too_many(sub, now):
            return TOO_MANY
        reservation = Reservation(sub, sub)
        self._ends[reservation] = max(now, deadline) + KEPT
        _add(self._own, sub, reservation)
        _add(self._of_caller, sub, reservation)
        return reservation

    async def drop(self, reservation: Reservation) -> None:
        """Drop a reservation at once."""
        self._end(reservation)

    async def keep(self, reservation: Reservation) -> None:
        """Keep a reservation for `KEPT` seconds from now."""
        if reservation in self._ends:
            self._ends[reservation] = self._clock() + KEPT
            _remove(self._losing, reservation.target, reservation)

    def may_be_reserved(self, sub: str) -> bool:
        """Tell, without waiting, whether a user may be reserved; False is certain."""
        return sub in self._of_target

    async def is_reserved(self, sub: str) -> bool:
        """Tell whether the rights of a user are being taken, or were a moment ago."""
        return sub in self._of_target and bool(self._live(self._of_target, sub, self._clock()))

    async def is_losing(self, sub: str) -> bool:
        """Tell whether the rights of a user are being taken, by an attempt that has not ended."""
        return sub in self._losing and bool(self._live(self._losing, sub, self._clock()))

    def _has_too_many(self, caller: str, now: float) -> bool:
        return len(self._live(self._of_caller, caller, now)) >= self._max_per_caller

    def _live(self, table: _Table, key: str, now: float) -> set[Reservation]:
        for reservation in [each for each in table.get(key, ()) if self._ends[each] <= now]:
            self._end(reservation)
        return table.get(key, set())

    def _tidy(self, now: float) -> None:
        """Clean up expired reservations, now and then."""
        if now >= self._tidy_at:
            self._tidy_at = now + KEPT
            for reservation in [each for each, end in self._ends.items() if end <= now]:
                self._end(reservation)

    def _end(self, reservation: Reservation) -> None:
        if self._ends.pop(reservation, None) is None:
            return
        for table in (self._of_target, self._losing, self._own):
            _remove(table, reservation.target, reservation)
        _remove(self._of_caller, reservation.caller, reservation)


def _add(table: _Table, key: str, reservation: Reservation) -> None:
    table.setdefault(key, set()).add(reservation)


def _remove(table: _Table, key: str, reservation: Reservation) -> None:
    rest = table.get(key)
    if rest is not None:
        rest.discard(reservation)
        if not rest:
            del table[key]
