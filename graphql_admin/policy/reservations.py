"""Reservations: a user whose rights are being taken cannot take those of others.

So if two callers take each other's rights concurrently, one is refused. Before an action that takes
rights, its target is reserved, atomically and only if the caller is not reserved. Then the caller's
authority is read again, and Cognito is called. If it is certain that nothing was changed, the
reservation is dropped. Otherwise it is kept for as long as Cognito's lists may be stale, so that
the user who lost their rights cannot act by a stale list.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from graphql_admin.policy.decisions import Reason, Refused

KEPT = 30.0
"""Seconds that a target stays reserved after the attempt. Cognito's lists are stale for a second or
two."""

MAX_PER_CALLER = 256
"""Reservations that one caller may hold. More than 8 a second are not made by a person."""

CONFLICT = Refused(
    Reason.CONFLICT,
    "Your own rights are being changed, so you cannot change those of others. Try again in half "
    "a minute.",
)
TOO_MANY = Refused(
    Reason.CONFLICT,
    "You have taken rights from too many users at a time. Try again in half a minute.",
)


@dataclass(frozen=True, slots=True, eq=False)
class Reservation:
    """The reservation of a target by one attempt. Several may reserve the same target."""

    target: str
    """A `sub`."""
    caller: str
    """A `sub`; for a machine its `client_id`, which is never a target."""


class Reservations(Protocol):
    """The interface of reservations, in one process or shared by all processes of a server."""

    async def reserve(self, target: str, *, caller: str, deadline: float) -> Reservation | Refused:
        """Reserve a target, atomically and only if the caller is not reserved.

        Args:
            target: The `sub` of the user who is about to lose rights.
            caller: The `sub` of the caller who takes them.
            deadline: The latest end of the attempt, by the clock of the reservations.

        Returns:
            The reservation, which must be dropped or kept; or why there is none.
        """

    async def drop(self, reservation: Reservation) -> None:
        """Drop a reservation, because it is certain that nothing was changed."""

    async def keep(self, reservation: Reservation) -> None:
        """Keep a reservation for `KEPT` seconds: something was changed, or may have been."""

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
        self._of_target: dict[str, set[Reservation]] = {}
        self._of_caller: dict[str, set[Reservation]] = {}
        self._tidy_at = 0.0

    def __len__(self) -> int:
        """Return how many are in memory, expired ones that are not cleaned up yet included."""
        return max(len(self._ends), len(self._of_target), len(self._of_caller))

    async def reserve(self, target: str, *, caller: str, deadline: float) -> Reservation | Refused:
        """Reserve a target, atomically and only if the caller is not reserved."""
        now = self._clock()
        self._tidy(now)
        if self._live(self._of_target, caller, now):
            return CONFLICT
        if len(self._live(self._of_caller, caller, now)) >= self._max_per_caller:
            return TOO_MANY
        reservation = Reservation(target, caller)
        self._ends[reservation] = max(now, deadline) + KEPT
        self._of_target.setdefault(target, set()).add(reservation)
        self._of_caller.setdefault(caller, set()).add(reservation)
        return reservation

    async def drop(self, reservation: Reservation) -> None:
        """Drop a reservation, because it is certain that nothing was changed."""
        self._end(reservation)

    async def keep(self, reservation: Reservation) -> None:
        """Keep a reservation for `KEPT` seconds: something was changed, or may have been."""
        if reservation in self._ends:
            self._ends[reservation] = self._clock() + KEPT

    async def is_reserved(self, sub: str) -> bool:
        """Tell whether the rights of a user are being taken, or were a moment ago."""
        return bool(self._live(self._of_target, sub, self._clock()))

    def _live(self, table: dict[str, set[Reservation]], key: str, now: float) -> set[Reservation]:
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
        for table, key in (
            (self._of_target, reservation.target),
            (self._of_caller, reservation.caller),
        ):
            table[key].discard(reservation)
            if not table[key]:
                del table[key]
