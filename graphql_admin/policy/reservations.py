"""Whoever is being deprived of rights neither takes nor gives any: of two who try, one is refused.

Before something that takes rights, its target is reserved, which is refused to a caller who is
reserved; both in one step. Then the caller's authority is read anew, and Cognito is called. Where
it is certain that nothing was changed, the reservation is dropped. Otherwise it stays for as long
as Cognito's lists may lag behind, so that the one who lost their rights cannot act on an old list.

What gives rights is refused to a caller who is reserved, too. What the target had begun to give
before is waited for, or it could come last: who loses a group would have just added themselves.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from graphql_admin.policy.decisions import Reason, Refused

KEPT = 30.0
"""Seconds that a target stays reserved after the attempt. Lists of Cognito lag a second or two."""

MAX_PER_CALLER = 256
"""Reservations that one caller may hold. More than 8 a second is no person's work."""

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
    """One attempt's hold on a target. Others may hold the same target at the same time."""

    target: str
    """A `sub`."""
    caller: str
    """A `sub`; a machine's `client_id`, which nobody can reserve."""


class Reservations(Protocol):
    """What reserves: in this process, or shared by all processes of a server."""

    async def reserve(self, target: str, *, caller: str, deadline: float) -> Reservation | Refused:
        """Reserve a target, in one step with looking whether the caller is reserved.

        Args:
            target: The `sub` of who is about to lose rights.
            caller: The `sub` of who takes them.
            deadline: When the attempt ends at the latest, by the clock of the reservations.

        Returns:
            The reservation, to be dropped or kept; or why there is none.
        """

    async def drop(self, reservation: Reservation) -> None:
        """End a reservation, because certainly nothing was changed."""

    async def keep(self, reservation: Reservation) -> None:
        """Let a reservation stay for `KEPT` seconds from now: something was, or may have been."""

    async def give(self, giver: str) -> Refused | None:
        """Take note that a user is about to give rights, unless they are reserved; in one step.

        Args:
            giver: The `sub` of who gives them.

        Returns:
            Why they may not; None: `given` has to be called once it is over, however it ends.
        """

    async def given(self, giver: str) -> None:
        """Take note that one of the gifts that a user had begun is over."""

    async def wait_for_gifts(self, giver: str) -> None:
        """Wait until what a user had begun to give is over. Reserved, they begin nothing new."""


class LocalReservations:
    """Reservations of one process. Two processes that share none may let two through at once.

    Nothing in it waits but for gifts, so that in an event loop each other method is one step.

    Args:
        clock: Seconds, from any start: that of deadlines.
        max_per_caller: Reservations that one caller may hold.
    """

    def __init__(self, clock: Callable[[], float], *, max_per_caller: int = MAX_PER_CALLER) -> None:
        self._clock = clock
        self._max_per_caller = max_per_caller
        self._ends: dict[Reservation, float] = {}
        self._of_target: dict[str, set[Reservation]] = {}
        self._of_caller: dict[str, set[Reservation]] = {}
        self._gifts: dict[str, int] = {}
        """How many are under way, by giver."""
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}
        """Who waits for a giver's to be over."""
        self._tidy_at = 0.0

    def __len__(self) -> int:
        """Return how many are in memory, also of those that have ended since the last look."""
        return max(len(self._ends), len(self._of_target), len(self._of_caller), len(self._gifts))

    async def reserve(self, target: str, *, caller: str, deadline: float) -> Reservation | Refused:
        """Reserve a target, in one step with looking whether the caller is reserved."""
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
        """End a reservation, because certainly nothing was changed."""
        self._end(reservation)

    async def keep(self, reservation: Reservation) -> None:
        """Let a reservation stay for `KEPT` seconds from now: something was, or may have been."""
        if reservation in self._ends:
            self._ends[reservation] = self._clock() + KEPT

    async def give(self, giver: str) -> Refused | None:
        """Take note that a user is about to give rights, unless they are reserved."""
        if self._live(self._of_target, giver, self._clock()):
            return CONFLICT
        self._gifts[giver] = self._gifts.get(giver, 0) + 1
        return None

    async def given(self, giver: str) -> None:
        """Take note that one of the gifts that a user had begun is over."""
        self._gifts[giver] -= 1
        if not self._gifts[giver]:
            del self._gifts[giver]
            for answer in self._waiting.pop(giver, ()):
                if not answer.done():
                    answer.set_result(None)

    async def wait_for_gifts(self, giver: str) -> None:
        """Wait until what a user had begun to give is over."""
        if giver in self._gifts:
            answer = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(giver, []).append(answer)
            await answer

    def _live(self, table: dict[str, set[Reservation]], key: str, now: float) -> set[Reservation]:
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
        for table, key in (
            (self._of_target, reservation.target),
            (self._of_caller, reservation.caller),
        ):
            table[key].discard(reservation)
            if not table[key]:
                del table[key]
