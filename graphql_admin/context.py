"""What one request carries down to the resolvers."""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import strawberry

from graphql_admin import metrics, records
from graphql_admin.actions import Action
from graphql_admin.audit import AuditLog
from graphql_admin.auth import Caller
from graphql_admin.cognito import UserPool
from graphql_admin.errors import AdminError, QueryTooExpensive
from graphql_admin.operations import is_read
from graphql_admin.reads import SharedReads


@dataclass(slots=True)
class Context:
    """One request's caller, rights and way to the user pool."""

    caller: Caller | None
    """Who asks; None is a request without a token, which may only read the schema."""

    allowed: frozenset[Action]
    """What the caller may do."""

    plans: dict[str | None, Any]
    """What `execution` compiled of the document's operations so far, by their names; kept as long
    as the document is."""

    pool: UserPool

    audit: AuditLog
    """Where the events of mutations go."""

    deadline: float
    """When the answer is due, in seconds of the event loop's clock."""

    max_calls: int
    """How often Cognito may be called."""

    is_own_document: bool = False
    """Whether the document is one of this server's own, in which naming an object by its key is
    only the way to a list below it, and takes no right but that of the list."""

    calls: int = 0
    """How often it was called; an attempt that is made again is the same call."""

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
            QueryTooExpensive: The request has used up its calls.
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
        if self.calls >= self.max_calls:
            raise QueryTooExpensive
        self.calls += 1
        records.current().cognito_calls += 1
        outcome = "CANCELLED"
        try:
            reply = await self.pool.call(
                operation,
                parameters,
                deadline=self.deadline,
                caller=self.caller.sub if self.caller else "",
            )
            outcome = metrics.OK
        except AdminError as error:
            outcome = error.code
            raise
        finally:
            metrics.count_call(operation, outcome)
        return reply


Info: TypeAlias = strawberry.Info[Context, None]
