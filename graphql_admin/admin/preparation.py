"""Reads the target's state for changes that depend on it, after they are authorized."""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from graphql_admin.actions import Action
from graphql_admin.admin.authorization import Attempt
from graphql_admin.admin.context import Context
from graphql_admin.admin.described_pool import DescribedPool
from graphql_admin.cognito.replies import Reply
from graphql_admin.errors import (
    AlreadyExists,
    GroupNotFound,
    Internal,
    TimedOut,
    UpstreamFailed,
    UsernameTaken,
    UserNotFound,
)
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
    context: Context,
    action: Action,
    change: Change,
    attempt: Attempt,
    described: DescribedPool,
    *,
    looks: bool = False,
) -> Prepared:
    """Read what an authorized change depends on.

    Args:
        context: The context of the request.
        action: The action.
        change: The change.
        attempt: The authorized attempt.
        described: Describes the pool.
        looks: Whether to look if the target exists, because Cognito will not be asked to change it.

    Raises:
        AdminError: The target's state does not allow the change, or could not be read. Nothing was
            changed.
    """
    reads = _Reads(context, action, attempt, described)
    try:
        parameters = await change.prepare(reads)
        if looks:
            await reads.look_for_target()
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
        self._described = described
        self._user: Mapping[str, Any] | None = attempt.row
        self.target = attempt.target

    async def user(self) -> Mapping[str, Any]:
        """Return the reply of AdminGetUser about the target, that of the decision if there is one.

        The change is made to the user who was read, whatever name was given.
        """
        if self._user is None:
            self._user = await self.read("AdminGetUser", Username=self.target.user)
            username = self._user.get("Username")
            if not isinstance(username, str):
                raise UpstreamFailed
            self.target = self.target._replace(user=username)
        return self._user

    async def look_for_target(self) -> None:
        """Check that the target exists, or that it does not, if the change creates it.

        Raises:
            AdminError: Cognito would reject the change, or the target could not be read.
        """
        target, creates = self.target, self._action.row.creates
        for operation in self._action.row.lookups:
            on_user = operation == "AdminGetUser"
            name = {"Username": target.user} if on_user else {"GroupName": target.group}
            if on_user and self._user is not None:
                continue
            try:
                await self._call(operation, name)
            except (UserNotFound, GroupNotFound):
                if creates:
                    continue
                raise
            if creates:
                raise UsernameTaken if on_user else AlreadyExists(field="groupName")

    async def pool(self) -> Mapping[str, Any] | None:
        """Return the user pool, which may have been read for another request."""
        if DescribedPool.OPERATION not in self._action.row.checks:
            raise Internal
        return await self._described.get(self._context)

    async def read(self, operation: str, **parameters: object) -> Mapping[str, Any]:
        """Call a read operation, without the cache."""
        if operation not in self._action.row.checks:  # so that IAM's policy has it
            raise Internal
        return await self._call(operation, parameters)

    async def _call(self, operation: str, parameters: Mapping[str, object]) -> Reply:
        read = partial(self._context.pool.read, anew=True)
        reply = await self._context.count(read, operation, parameters)
        self._context.charge(reply)
        return reply
