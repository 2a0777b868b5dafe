"""Reads the target's state for changes that depend on it, after they are authorized."""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from graphql_admin.actions import Action
from graphql_admin.admin.authorization import Attempt, demand_attributes
from graphql_admin.admin.context import Context
from graphql_admin.admin.described_pool import DescribedPool
from graphql_admin.cognito.replies import Reply
from graphql_admin.errors import Internal, TimedOut
from graphql_admin.targets import Change, Reads, Target


class Prepared(NamedTuple):
    """An authorized change that the target's state allows."""

    target: Target
    """The target, as it must be sent to Cognito."""
    parameters: Mapping[str, object]
    """Parameters of Cognito's operation beyond those of the input."""
    reads: Reads
    """Reads more, should the result be in doubt."""


async def prepare(
    context: Context, action: Action, change: Change, attempt: Attempt, described: DescribedPool
) -> Prepared:
    """Read what an authorized change depends on.

    Raises:
        AdminError: The target's state does not allow the change, or could not be read. Nothing was
            changed.
    """
    reads = _Reads(context, action, attempt, described)
    try:
        parameters = await change.prepare(reads)
    except TimedOut as error:
        raise TimedOut("The user pool did not answer in time. Nothing was changed.") from error
    return Prepared(reads.target, parameters, reads)


class _Reads:
    """Reads for one change, with no other operations than those in its action's row.

    Args:
        context: The context of the request, which the calls count for.
        action: The action.
        attempt: The authorized attempt, with what has been read for the decision.
        described: Describes the pool.
    """

    def __init__(
        self, context: Context, action: Action, attempt: Attempt, described: DescribedPool
    ) -> None:
        self._context = context
        self._action = action
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
        if DescribedPool.OPERATION not in self._action.row.checks:
            raise Internal
        return await self._described.get(self._context)

    async def read(self, operation: str, **parameters: object) -> Reply:
        """Call a read operation, without the cache."""
        if operation not in self._action.row.checks:  # so that IAM's policy has it
            raise Internal
        read = partial(self._context.pool.read, anew=True)
        reply = await self._context.count(read, operation, parameters)
        self._context.charge(reply)
        return reply
