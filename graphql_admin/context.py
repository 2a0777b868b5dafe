"""What one request carries down to the resolvers."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import strawberry

from graphql_admin import metrics, records
from graphql_admin.actions import Action
from graphql_admin.audit import AuditLog
from graphql_admin.auth import Caller
from graphql_admin.cognito import UserPool
from graphql_admin.errors import AdminError, QueryTooExpensive


@dataclass(slots=True)
class Context:
    """One request's caller, rights and way to the user pool."""

    caller: Caller | None
    """Who asks; None is a request without a token, which may only read the schema."""

    allowed: frozenset[Action]
    """What the caller may do."""

    plans: dict[Any, Any]
    """What `execution` compiled of the document so far; kept as long as the document is."""

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

    async def call(self, operation: str, **parameters: object) -> dict[str, Any]:
        """Call a Cognito operation within the request's deadline.

        Args:
            operation: The operation's API name, such as `AdminGetUser`.
            parameters: Its input members, without `UserPoolId`.

        Returns:
            Cognito's reply, as decoded from JSON.

        Raises:
            QueryTooExpensive: The request has used up its calls.
            AdminError: The call failed.
        """
        if self.calls >= self.max_calls:
            raise QueryTooExpensive
        self.calls += 1
        records.current().cognito_calls += 1
        outcome = "CANCELLED"
        try:
            reply = await self.pool.call(operation, parameters, deadline=self.deadline)
            outcome = metrics.OK
        except AdminError as error:
            outcome = error.code
            raise
        finally:
            metrics.count_call(operation, outcome)
        return reply


Info: TypeAlias = strawberry.Info[Context, None]
