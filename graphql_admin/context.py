"""What one request carries down to the resolvers."""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import strawberry
from graphql import DocumentNode

from graphql_admin.actions import Action
from graphql_admin.auth import Caller
from graphql_admin.cognito import UserPool, is_read
from graphql_admin.reads import SharedReads


@dataclass(frozen=True, slots=True)
class Context:
    """One request's caller, rights and way to the user pool."""

    caller: Caller | None
    """Who asks; None is a request without a token, which may only read the schema."""

    allowed: frozenset[Action]
    """What the caller may do."""

    document: DocumentNode
    """The document to execute, which fits the schema."""

    pool: UserPool

    deadline: float
    """When the answer is due, in seconds of the event loop's clock."""

    reads: SharedReads = field(default_factory=lambda: SharedReads(keep=True))
    """What was read for this request since its last write."""

    async def call(self, operation: str, **parameters: object) -> dict[str, Any]:
        """Call a Cognito operation within the request's deadline.

        What the request has read since its last write is not read again.

        Args:
            operation: The operation's API name, such as `AdminGetUser`.
            parameters: Its input members, without `UserPoolId`.

        Returns:
            Cognito's reply, as decoded from JSON. It is not to be changed.

        Raises:
            AdminError: The call failed.
        """
        if is_read(operation):
            key = (operation, *sorted(parameters.items()))
            return await self.reads.get(
                key, lambda: self._call(operation, parameters), deadline=self.deadline
            )
        self.reads.forget()
        try:
            return await self._call(operation, parameters)
        finally:
            self.reads.forget()

    async def _call(self, operation: str, parameters: dict[str, object]) -> dict[str, Any]:
        return await self.pool.call(
            operation,
            parameters,
            deadline=self.deadline,
            caller=self.caller.sub if self.caller else "",
        )


Info: TypeAlias = strawberry.Info[Context, None]
