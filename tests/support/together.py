"""A gate in this process, in front of a pool whose calls take their time and whose reads may lag.

No time passes but by the clock that is set here, so what happens at once is up to the test.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from graphql_admin.actions import Action
from graphql_admin.admin.attempts import Attempts
from graphql_admin.admin.authorization import Authorization
from graphql_admin.admin.context import Context
from graphql_admin.admin.described_pool import DescribedPool
from graphql_admin.admin.mutations import Input
from graphql_admin.audit.log import AuditLog
from graphql_admin.cognito.access import Approval, PoolReader, PoolWriter
from graphql_admin.cognito.replies import Reply
from graphql_admin.errors import AdminError
from graphql_admin.policy.authority import MAX_AGE, Authority
from graphql_admin.policy.decisions import Decisions
from graphql_admin.policy.grants import Given, Grants, Policy
from graphql_admin.policy.reservations import LocalReservations
from graphql_admin.settings import TokenUse
from graphql_admin.targets import Target
from graphql_admin.tokens.verifier import Caller
from tests.support.memory_pool import MemoryPool
from tests.support.tokens import POOL_ID

SUPPORT = frozenset(
    {Action.DISABLE_USER, Action.DELETE_USER, Action.ENABLE_USER, Action.CONFIRM_USER_SIGN_UP}
)
GROUPS = {"sam": frozenset({"Support"}), "both": frozenset({"Admins", "Support"})}
"""The groups in a caller's token, where they are not Admins alone."""


async def at_once() -> None:
    """Wait for nothing."""


class Together:
    """A gate, and a pool with two administrators, ada and alan.

    Args:
        folder: Where the audit events go.
        chance: How many steps of the event loop each call takes.
        lag: Seconds that reads lag behind.
        gates: How many gates there are, as of so many processes.
        max_age: As of `Authority`.
        protected: Users, by `sub`, whom no caller may change.

    Attributes:
        turn: What a write waits for, as for its turn by the quotas.
        arrival: What a write then waits for on its way.
    """

    def __init__(
        self,
        folder: Path,
        chance: random.Random | None = None,
        *,
        lag: float = 0.0,
        gates: int = 1,
        max_age: float = MAX_AGE,
        protected: frozenset[str] = frozenset(),
    ) -> None:
        self.time = 0.0
        self.pool = MemoryPool(now=lambda: self.time, lag=lag)
        for name in ("ada", "alan"):
            self.pool.add(name, "Admins")
        self.turn: Callable[[], Awaitable[object]] = at_once
        self.arrival: Callable[[], Awaitable[object]] = at_once
        self.calls: list[str] = []
        self._chance = chance
        everything = Given(frozenset(Action), is_everything=True)
        policy = Policy(
            {"Admins": everything, "Support": Given(SUPPORT)}, protected_users=protected
        )
        self.grants = Grants(policy)
        self.decisions = Decisions(self.grants)
        self.events = folder / "audit.jsonl"
        audit = AuditLog(self.events)
        reader = PoolReader(POOL_ID, self._call)
        self.gates = [
            Attempts(
                PoolWriter(self._call),
                audit,
                Authorization(
                    self.grants,
                    self.decisions,
                    Authority(clock=self._now, max_age=max_age),
                    LocalReservations(self._now),
                    reader,
                    self._now,
                ),
                DescribedPool(reader),
            )
            for _ in range(gates)
        ]

    def _now(self) -> float:
        return self.time

    async def _call(
        self,
        operation: str,
        parameters: Mapping[str, object],
        *,
        approval: Approval | None = None,
        user: str | None = None,  # noqa: ARG002
        **_: object,
    ) -> Reply:
        await self._steps()
        if approval is not None:
            await self.turn()
            while not await approval.confirm():
                await approval.renew()
            approval.is_sent = True
            await self._steps()
            await self.arrival()
        if self._chance is not None:
            self.time += self._chance.random() / 100
        self.calls.append(operation)
        result = self.pool.call(operation, parameters)
        await self._steps()
        return Reply(result)

    async def _steps(self) -> None:
        for _step in range(self._chance.randrange(4) if self._chance else 0):
            await asyncio.sleep(0)

    async def attempt(  # noqa: PLR0917  # a change, and how it is made
        self,
        caller: str,
        action: Action,
        target: str,
        group: str | None = None,
        gate: int = 0,
        within: float = 60,
    ) -> str | None:
        """Return the code of the error, if there is one."""
        groups = GROUPS.get(caller, frozenset({"Admins"}))
        context = Context(
            caller=Caller(f"sub-of-{caller}", caller, groups, TokenUse.ACCESS, 1e12),
            rights=self.grants.of_user(groups),
            decisions=self.decisions,
            pool=PoolReader("pool", self._call),
            gate=self.gates[gate],
            deadline=asyncio.get_running_loop().time() + within,
            max_calls=100,
        )
        try:
            await context.attempt(action, _Change(Target(target, group)))
        except AdminError as error:
            return error.code
        return None

    def administrators(self) -> list[str]:
        """Return who is enabled, and an administrator."""
        return [
            person.username
            for person in self.pool.people.values()
            if person.enabled and "Admins" in person.groups
        ]


@dataclass
class _Change(Input):
    of: Target

    def target(self) -> Target:
        return self.of
