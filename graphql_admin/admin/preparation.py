"""Reads the target's state for changes that depend on it, after they are authorized."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from graphql_admin.admin.authorization import Attempt, demand_attributes
from graphql_admin.admin.described_pool import DescribedPool
from graphql_admin.cognito.replies import Reply
from graphql_admin.errors import Internal, Stale, TimedOut
from graphql_admin.targets import Change, Reads, Target


async def prepare(change: Change, reads: Reads, attempt: Attempt) -> Mapping[str, object]:
    """Read what an authorized change depends on, and again whenever it is decided on again.

    Returns:
        Parameters of Cognito's operation beyond those of the input.

    Raises:
        AdminError: The target's state does not allow the change, or could not be read. Nothing was
            changed.
    """
    parameters = await _prepare(change, reads)

    async def look_anew() -> None:
        if await _prepare(change, reads) != parameters:  # with which the call was made up
            raise Stale

    attempt.look_anew = look_anew
    return parameters


async def _prepare(change: Change, reads: Reads) -> Mapping[str, object]:
    try:
        return await change.prepare(reads)
    except TimedOut as error:
        raise TimedOut("The user pool did not answer in time. Nothing was changed.") from error


class AttemptReads:
    """Reads for one change, with no other operations than those in its action's row.

    Args:
        attempt: The authorized attempt, with what has been read for the decision. The calls count
            for its request.
        described: Describes the pool.
    """

    __slots__ = ("_attempt", "_described")

    def __init__(self, attempt: Attempt, described: DescribedPool) -> None:
        self._attempt = attempt
        self._described = described

    @property
    def target(self) -> Target:
        """The target, as it must be sent to Cognito."""
        return self._attempt.target

    def demand_attributes(self, attributes: Mapping[str, str]) -> None:
        """Check that the caller may set attributes, beyond those in the input."""
        demand_attributes(self._attempt, attributes)

    async def user(self) -> Mapping[str, Any]:
        """Return the reply of AdminGetUser about the target, that of the decision if there is one.

        The change is made to the user who was read, whatever name was given.
        """
        if self._attempt.row is None:
            self._attempt.find(await self.read("AdminGetUser", Username=self.target.user))
        row = self._attempt.row
        assert row is not None  # noqa: S101  # it was found
        return row

    async def pool(self) -> Mapping[str, Any] | None:
        """Return the user pool, which may have been read for another request."""
        if DescribedPool.OPERATION not in self._attempt.action.row.checks:
            raise Internal
        return await self._described.get(self._attempt.context)

    async def read(self, operation: str, **parameters: object) -> Reply:
        """Call a read operation, without the cache."""
        if operation not in self._attempt.action.row.checks:  # so that IAM's policy has it
            raise Internal
        context = self._attempt.context
        reply = await context.count(partial(context.pool.read, anew=True), operation, parameters)
        context.charge(reply)
        return reply
