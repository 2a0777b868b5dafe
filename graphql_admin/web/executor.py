"""Authenticates callers and executes documents, for all protocols.

The protocols use it: `graphql`, and Admin Queries in `amplify`.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, NamedTuple

from graphql import ExecutionResult, OperationDefinitionNode

from graphql_admin.admin.context import Context, Gate
from graphql_admin.admin.permissions import rights_of
from graphql_admin.admin.prices import Prices
from graphql_admin.admin.schema import AdminSchema
from graphql_admin.cognito.access import PoolReader
from graphql_admin.engine.documents import Document
from graphql_admin.errors import TimedOut
from graphql_admin.policy.decisions import Decisions
from graphql_admin.policy.grants import Grants
from graphql_admin.telemetry import request_record
from graphql_admin.tokens.caller import Caller
from graphql_admin.tokens.verifier import TokenVerifier, bearer_token
from graphql_admin.web.in_flight import InFlight


class Execution(NamedTuple):
    """The result of executing an operation."""

    result: ExecutionResult

    estimated: int
    """Estimated calls to Cognito."""

    calls: int
    """Calls to Cognito that it made."""


@dataclass(frozen=True, slots=True)
class Executor:
    """Executes documents for callers, within their rights and the limits on requests."""

    schema: AdminSchema

    verifier: TokenVerifier

    grants: Grants

    decisions: Decisions

    prices: Prices
    """Tell how many calls the decisions on changes may take."""

    reader: PoolReader

    gate: Gate

    max_calls: int
    """Calls to Cognito that one request may take."""

    in_flight: InFlight
    """Requests that call Cognito, from the end of their bodies until their results."""

    async def authenticate(self, authorization: str, deadline: float) -> Caller:
        """Return the caller of a request.

        Args:
            authorization: The `Authorization` header.
            deadline: When to give up, in seconds of the event loop's clock.

        Raises:
            Unauthenticated: The token is not valid.
            TimedOut: The deadline passed.
            UpstreamFailed: There are no keys to verify the token with.
        """
        caller = self.verifier.recall(authorization)
        if caller is None:
            try:
                async with asyncio.timeout_at(deadline):
                    caller = await self.verifier.verify(bearer_token(authorization))
            except TimeoutError as error:
                raise TimedOut("The token could not be verified in time.") from error
        request_record.current().sub = caller.sub
        return caller

    async def execute(
        self,
        document: Document,
        operation: OperationDefinitionNode,
        variables: dict[str, Any] | None,
        *,
        caller: Caller | None,
        deadline: float,
    ) -> Execution:
        """Execute an operation of a valid document.

        An operation that may call Cognito takes one of the caller's places until it ends. Any other
        needs no place, since it runs without waiting, and so is not rejected for lack of one.

        Args:
            document: The document.
            operation: One of its operations.
            variables: The variables as the client sent them.
            caller: The caller; None for a request without a token.
            deadline: When the response is due, in seconds of the event loop's clock.

        Raises:
            InvalidDocument: The operation may take more calls to Cognito than allowed, or its
                variables exceed a limit.
            Overloaded: The caller has too many requests, or too much data, in flight.
        """
        record = request_record.current()
        record.operation_kind = operation.operation.value
        record.operation_name = operation.name.value if operation.name else None
        rights = rights_of(caller, self.grants)
        mutations = document.mutations(operation)
        deciding = self.prices.of_decisions(caller, rights, mutations) if mutations else 0
        batches = document.batches(operation, variables)
        of_steps = self.prices.of_steps(caller, rights, batches) if batches else 0
        estimated = document.estimate(operation, variables, deciding, of_steps=of_steps)
        context = Context(
            caller=caller,
            rights=rights,
            decisions=self.decisions,
            pool=self.reader,
            gate=self.gate,
            deadline=deadline,
            max_calls=self.max_calls + of_steps,
            repeats=document.repeats,
        )
        if not estimated:
            result = await self.schema.runner.run(document, operation, variables, context)
            return Execution(result, estimated, context.calls)
        holder = "" if caller is None else caller.sub
        with self.in_flight.holding(holder, document, variables) as context.hold:
            result = await self.schema.runner.run(document, operation, variables, context)
        return Execution(result, estimated, context.calls)
