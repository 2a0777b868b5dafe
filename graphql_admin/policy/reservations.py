"""Whoever is being deprived of rights cannot deprive others: of two who try, one is refused.

Before something that takes rights, its target is reserved, which is refused to a caller who is
reserved; both in one step. Then the caller's authority is read anew, and Cognito is called. Where
it is certain that nothing was changed, the reservation is dropped. Otherwise it stays for as long
as Cognito's lists may lag behind, so that the one who lost their rights cannot act on an old list.

Nor can they undo it. Before something by which callers give rights to themselves, they are held,
which is refused to who is reserved; and while they are held, nobody can reserve them. Otherwise a
change of theirs that was decided on before they lost their rights could arrive in Cognito after.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from graphql_admin.policy.decisions import Reason, Refused

KEPT = 30.0
"""Seconds that a target stays reserved after the attempt. Lists of Cognito lag a second or two."""

KEPT_FOR_ANOTHER_TRY = 2 * KEPT
"""Seconds that a target stays reserved whom somebody wanted to reserve, and could not. Who is told
to try again in half a minute does so before it ends."""

MAX_PER_CALLER = 256
"""Reservations that one caller may hold. More than 8 a second is no person's work."""

CONFLICT = Refused(
    Reason.CONFLICT,
    "Your own rights are being taken, so you cannot change any. Try again in half a minute.",
)
HELD = Refused(
    Reason.CONFLICT,
    "This user is changing their own rights just now. Try again in half a minute.",
    field="username",
)
TOO_MANY = Refused(
    Reason.CONFLICT,
    "You have changed the rights of too many users at a time. Try again in half a minute.",
)


@dataclass(frozen=True, slots=True, eq=False)
class Reservation:
    """One attempt's hold on a target. Others may hold the same target at the same time."""

    target: str
    """A `sub`; the caller's own if they give rights to themselves."""
    caller: str
    """A `sub`; a machine's `client_id`, which nobody can reserve."""

    @property
    def is_own(self) -> bool:
        """Whether callers give rights to themselves by it."""
        return self.target == self.caller


_Table: TypeAlias = dict[str, set[Reservation]]


class Reservations(Protocol):
    """What reserves: in this process, or shared by all processes of a server.

    `reserve` and `hold` are one step each: between what they look at and what they write, no other
    `reserve` or `hold` comes.
    """

    async def reserve(self, target: str, *, caller: str, deadline: float) -> Reservation | Refused:
        """Reserve another, unless the caller is reserved, or the target is held.

        In the second case the target is reserved all the same, for `KEPT_FOR_ANOTHER_TRY` seconds:
        no further change by which they give rights to themselves begins meanwhile, so that who
        tries again is let through, however often the target tries.

        Args:
            target: The `sub` of who is about to lose rights.
            caller: The `sub` of who takes them.
            deadline: When the attempt ends at the latest, by the clock of the reservations.

        Returns:
            The reservation, to be dropped or kept; or why there is none.
        """

    async def hold(self, sub: str, *, deadline: float) -> Reservation | Refused:
        """Hold a user who is about to give rights to themselves, unless they are reserved.

        Args:
            sub: The user's.
            deadline: When the attempt ends at the latest, by the clock of the reservations.

        Returns:
            The reservation, to be dropped or kept; or why there is none.
        """

    async def drop(self, reservation: Reservation) -> None:
        """End a reservation at once."""

    async def keep(self, reservation: Reservation) -> None:
        """Let a reservation stay for `KEPT` seconds from now."""

    async def is_reserved(self, sub: str) -> bool:
        """Tell whether somebody is being deprived of rights, or was a moment ago."""


class LocalReservations:
    """Reservations of one process. Two processes that share none may let two through at once.

    Nothing in it waits, so that in an event loop each of its methods is one step.

    Args:
        clock: Seconds, from any start: that of deadlines.
        max_per_caller: Reservations that one caller may hold.
    """

    def __init__(self, clock: Callable[[], float], *, max_per_caller: int = MAX_PER_CALLER) -> None:
        self._clock = clock
        self._max_per_caller = max_per_caller
        self._ends: dict[Reservation, float] = {}
        self._of_target: _Table = {}
        self._of_caller: _Table = {}
        self._own: _Table = {}
        """Of those who give rights to themselves."""
        self._tidy_at = 0.0

    def __len__(self) -> int:
        """Return how many are in memory, also of those that have ended since the last look."""
        tables = self._of_target, self._of_caller, self._own
        return max(len(self._ends), *map(len, tables))

    async def reserve(self, target: str, *, caller: str, deadline: float) -> Reservation | Refused:
        """Reserve another, unless the caller is reserved, or the target is held."""
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

    async def hold(self, sub: str, *, deadline: float) -> Reservation | Refused:
        """Hold a user who is about to give rights to themselves, unless they are reserved."""
        now = self._clock()
        refused = self._refusal(sub, now)
        if refused is not None:
            return refused
        reservation = Reservation(sub, sub)
        self._add(reservation, max(now, deadline) + KEPT)
        return reservation

    async def drop(self, reservation: Reservation) -> None:
        """End a reservation at once."""
        self._end(reservation)

    async def keep(self, reservation: Reservation) -> None:
        """Let a reservation stay for `KEPT` seconds from now."""
        if reservation in self._ends:
            self._ends[reservation] = self._clock() + KEPT

    async def is_reserved(self, sub: str) -> bool:
        """Tell whether somebody is being deprived of rights, or was a moment ago."""
        return bool(self._live(self._of_target, sub, self._clock()))

    def _refusal(self, caller: str, now: float) -> Refused | None:
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
        """Forget what has ended and nobody asks for, now and then."""
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
