"""Reservations: a user whose rights are being taken cannot take those of others.

So if two callers take each other's rights concurrently, one is refused. Before an action that takes
rights, its target is reserved, atomically and only if the caller is not reserved. Then the caller's
authority is read again, and Cognito is called. If it is certain that nothing was changed, the
reservation is dropped. Otherwise it is kept for as long as Cognito's lists may be stale, so that
the user who lost their rights cannot act by a stale list.

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
"""Reservations that one caller may hold. More than 8 a second are not made by a person."""

CONFLICT = Denied(
    Reason.CONFLICT,
    "Your own rights are being taken, so you cannot change any. Try again in half a minute.",
)
HELD = Denied(
    Reason.CONFLICT,
    "This user is changing their own rights just now. Try again in half a minute.",
    field="username",
)
TOO_MANY = Denied(
    Reason.CONFLICT,
    "You have changed the rights of too many users at a time. Try again in half a minute.",
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

    async def is_reserved(self, sub: str) -> bool:
        """Tell whether the rights of a user are being taken, or were a moment ago."""


class LocalReservations:
    """Reservations of one process. Two processes, which do not share them, may allow both callers.

    No method awaits anything, so each is atomic in the event loop.

    Args:
        clock: Monotonic time in seconds, as in deadlines.
        max_per_caller: Reservations that one caller may hold.
    """

    def __init__(self, clock: Callable[[], float], *, max_per_caller: int = MAX_PER_CALLER) -> None:
        self._clock = clock
        self._max_per_caller = max_per_caller
        self._ends: dict[Reservation, float] = {}
        self._of_target: _Table = {}
        self._of_caller: _Table = {}
        self._own: _Table = {}
        """Those of users who give rights to themselves."""
        self._tidy_at = 0.0

    def __len__(self) -> int:
        """Return how many are in memory, expired ones that are not cleaned up yet included."""
        tables = self._of_target, self._of_caller, self._own
        return max(len(self._ends), *map(len, tables))

    async def reserve(self, target: str, *, caller: str, deadline: float) -> Reservation | Denied:
        """Reserve a target, only if the caller is not reserved, and the target is not held."""
        now = self._clock()
        refused = self._refusal(caller, now)
        if refused is not None:
            return refused
        reservation = Reservation(target, caller)
        if self._live(self._own, target, now):
            self._add(reservation, now + KEPT_FOR_ANOTHER_TRY)
            return HELD
        self._add(reservation, max(now, deadline) + KEPT)
        return reservation

    async def hold(self, sub: str, *, deadline: float) -> Reservation | Denied:
        """Hold a user who is about to give rights to themselves, only if they are not reserved."""
        now = self._clock()
        refused = self._refusal(sub, now)
        if refused is not None:
            return refused
        reservation = Reservation(sub, sub)
        self._add(reservation, max(now, deadline) + KEPT)
        return reservation

    async def drop(self, reservation: Reservation) -> None:
        """Drop a reservation at once."""
        self._end(reservation)

    async def keep(self, reservation: Reservation) -> None:
        """Keep a reservation for `KEPT` seconds from now."""
        if reservation in self._ends:
            self._ends[reservation] = self._clock() + KEPT

    async def is_reserved(self, sub: str) -> bool:
        """Tell whether the rights of a user are being taken, or were a moment ago."""
        return bool(self._live(self._of_target, sub, self._clock()))

    def _refusal(self, caller: str, now: float) -> Denied | None:
        self._tidy(now)
        if self._live(self._of_target, caller, now):
            return CONFLICT
        if len(self._live(self._of_caller, caller, now)) >= self._max_per_caller:
            return TOO_MANY
        return None

    def _add(self, reservation: Reservation, end: float) -> None:
        self._ends[reservation] = end
        for table, key in self._places(reservation):
            table.setdefault(key, set()).add(reservation)

    def _places(self, reservation: Reservation) -> tuple[tuple[_Table, str], ...]:
        table = self._own if reservation.is_own else self._of_target
        return (table, reservation.target), (self._of_caller, reservation.caller)

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
        for table, key in self._places(reservation):
            table[key].discard(reservation)
            if not table[key]:
                del table[key]
