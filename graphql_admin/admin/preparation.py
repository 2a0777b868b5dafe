"""Reads the target's state for changes that depend on it, after they are authorized."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from graphql_admin.admin.authorization import Attempt, demand_attributes
from graphql_admin.admin.described_pool import DescribedPool
from graphql_admin.cognito.replies import Reply
from graphql_admin.errors import (
    AlreadyExists,
    GroupNotFound,
    Internal,
    Stale,
    TimedOut,
    UsernameTaken,
    UserNotFound,
)
from graphql_admin.policy.sight import Seen
from graphql_admin.targets import Change, Target


async def prepare(
    change: Change, reads: "AttemptReads", attempt: Attempt, *, looks: bool = False
) -> Mapping[str, object]:
    """Read what an authorized change depends on, and again whenever it is decided on again.

    Args:
        change: The change.
        reads: Its reads.
        attempt: The authorized attempt.
        looks: Whether to look if the target exists, because Cognito will not be asked to change it.

    Returns:
        Parameters of Cognito's operation beyond those of the input.

    Raises:
        AdminError: The target's state does not allow the change, or could not be read. Nothing was
            changed.
    """
    parameters = await _prepare(change, reads, looks=looks)

    async def look_anew() -> None:
        if await _prepare(change, reads) != parameters:  # with which the call was made up
            raise Stale

    attempt.look_anew = look_anew
    return parameters


async def _prepare(
    change: Change, reads: "AttemptReads", *, looks: bool = False
) -> Mapping[str, object]:
    try:
        parameters = await change.prepare(reads)
        if looks:
            await reads.look_for_target()
    except TimedOut as error:
        raise TimedOut("The user pool did not answer in time. Nothing was changed.") from error
    return parameters


class AttemptReads:
    """Reads for one change, with no other operations than those in its action's row.

    Args:
        attempt: The authorized attempt, with what has been read for the decision. The calls count
            for its request.
        described: Describes the pool.
        is_dry: Whether the change is only checked.
    """

    __slots__ = ("_attempt", "_described", "_found", "_is_dry")

    def __init__(self, attempt: Attempt, described: DescribedPool, *, is_dry: bool = False) -> None:
        self._attempt = attempt
        self._described = described
        self._is_dry = is_dry
        self._found: set[str] = set()
        """The operations that found something of the target."""

    @property
    def target(self) -> Target:
        """The target, as it must be sent to Cognito."""
        return self._attempt.target

    def demand_attributes(self, attributes: Mapping[str, str]) -> None:
        """Check that the caller may set attributes, beyond those in the input."""
        demand_attributes(self._attempt, attributes)

    def may_search_by(self, attribute: str) -> bool:
        return not self._is_dry or self._attempt.rights.sight.of(attribute) > Seen.NOTHING

    async def user(self) -> Mapping[str, Any]:
        """Return the reply of AdminGetUser about the target, that of the decision if there is one.

        The change is made to the user who was read, whatever name was given.
        """
        if self._attempt.row is None:
            self._attempt.find(await self.read("AdminGetUser", Username=self.target.user))
        row = self._attempt.row
        assert row is not None  # noqa: S101  # it was found
        return row

    async def look_for_target(self) -> None:
        """Check that the target exists, or that it does not, if the change creates it.

        Raises:
            AdminError: Cognito would reject the change, or the target could not be read.
        """
        target, row = self.target, self._attempt.action.row
        for operation in row.lookups:
            on_user = operation == "AdminGetUser"
            if operation in self._found or (on_user and self._attempt.row is not None):
                continue
            name = {"Username": target.user} if on_user else {"GroupName": target.group}
            try:
                found = await self._look_for(operation, name)
                if on_user:
                    self._attempt.demand_known_name(found)
            except (UserNotFound, GroupNotFound):
                if row.creates:
                    continue
                raise
            if row.creates:
                raise UsernameTaken if on_user else AlreadyExists(field="groupName")

    async def pool(self) -> Mapping[str, Any] | None:
        """Return the user pool, which may have been read for another request."""
        if DescribedPool.OPERATION not in self._attempt.action.row.checks:
            raise Internal
        return await self._described.get(self._attempt.context)

    async def read(self, operation: str, **parameters: object) -> Reply:
        """Call a read operation, without the cache."""
        if operation not in self._attempt.action.row.checks:  # so that IAM's policy has it
            raise Internal
        reply = await self._call(operation, parameters)
        self._found.add(operation)
        return reply

    async def _look_for(self, operation: str, name: Mapping[str, object]) -> Reply:
        """Read an object, if it was not read since the last write of the request."""
        context = self._attempt.context
        return await context.reads.get(
            (operation, *name.items()),
            lambda: self._call(operation, name),
            deadline=context.deadline,
        )

    async def _call(self, operation: str, parameters: Mapping[str, object]) -> Reply:
        context = self._attempt.context
        reply = await context.count(partial(context.pool.read, anew=True), operation, parameters)
        context.charge(reply)
        return reply
