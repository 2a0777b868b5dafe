"""The context of a request for resolvers: it can read, and request changes from the gate."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import strawberry

from graphql_admin.actions import Action
from graphql_admin.cognito.access import PoolReader
from graphql_admin.cognito.coalescing import SharedReads
from graphql_admin.cognito.replies import Reply
from graphql_admin.errors import (
    AdminError,
    Forbidden,
    Internal,
    QueryTooExpensive,
    ResponseTooLarge,
    Unauthenticated,
)
from graphql_admin.policy.decisions import Decisions
from graphql_admin.policy.grants import Rights
from graphql_admin.targets import Change, Done
from graphql_admin.telemetry import metrics, request_record
from graphql_admin.tokens.caller import Caller

MAX_READ = 16 * 2**20
"""Bytes of Cognito's replies that one request may use, each multiplied by how often the document
may repeat it in the response."""

PAGES_AT_ONCE = 16
"""Concurrent reads of large pages in one request. The size of a page, up to some 6 MB, is known
only when it has arrived."""

_PAGES = frozenset(
    {
        "AdminListDevices",
        "AdminListUserAuthEvents",
        "AdminListUserSessions",
        "ListUsers",
        "ListUsersInGroup",
    }
)
"""Operations that return many users, devices or events, or up to 125 sessions, which are some
250 kB. By Cognito's model, replies of others have some 130 kB at most."""


class Gate(Protocol):
    """The only way to change anything in the user pool; see `attempts`."""

    async def attempt(self, context: "Context", action: Action, change: Change) -> Done:
        """Carry out a change if the caller may, and write an audit event."""


@dataclass(slots=True)
class Context:
    """The caller of a request, their rights, and access to the user pool."""

    caller: Caller | None
    """The caller; None for a request without a token, which may only read the schema."""

    rights: Rights
    """The caller's rights, by their token."""

    decisions: Decisions
    """Decide on which users and groups they may act."""

    pool: PoolReader
    """Only for `read`, which asks for the right first."""

    gate: Gate

    deadline: float
    """When the response is due, in seconds of the event loop's clock."""

    max_calls: int
    """Most calls to Cognito."""

    calls: int = 0
    """Calls made so far; retries are not counted."""

    repeats: int = 1
    """How often the response may repeat a part of a reply; see `engine.limits`."""

    hold: Callable[[int], None] | None = None
    """Reserves bytes for replies until the request ends, or raises `Overloaded`."""

    used: int = 0
    """Bytes of the replies so far, each multiplied by how often it may be repeated."""

    turns: asyncio.Semaphore | None = None
    """Limits concurrent reads of large pages, whose size is not known beforehand. It is made for
    the first page; most requests read none."""

    reads: SharedReads = field(default_factory=lambda: SharedReads(keep=True))
    """The replies to this request since its last write."""

    def demand_token(self) -> Caller:
        """Return the request's caller.

        Raises:
            Unauthenticated: The request carries no token.
        """
        if self.caller is None:
            raise Unauthenticated
        return self.caller

    def demand(self, action: Action) -> Caller:
        """Return the request's caller, who may do `action`.

        Raises:
            Unauthenticated: The request carries no token.
            Forbidden: The caller's groups do not give the action.
        """
        request_record.current().actions.add(action.label)
        caller = self.demand_token()
        if action not in self.rights.actions:
            raise _forbidden(action)
        return caller

    async def attempt(self, action: Action, change: Change) -> Done:
        """Carry out a change if the caller may, and write an audit event.

        Returns:
            The target, as it was sent to Cognito, and Cognito's reply.

        Raises:
            AdminError: See `attempts`.
        """
        return await self.gate.attempt(self, action, change)

    async def read(self, action: Action, operation: str, **parameters: object) -> Reply:
        """Call a Cognito operation that changes nothing, within the request's deadline.

        Replies since the last write of the request are reused.

        The caller's right is checked here too, so that a resolver whose guard is missing, or is
        for another action, reads nothing.

        Args:
            action: The action that it is read for.
            operation: The operation's API name, such as `AdminGetUser`; one of the action's.
            parameters: Its input members, without `UserPoolId`.

        Returns:
            Cognito's reply as parsed JSON. It must not be modified.

        Raises:
            Forbidden: The caller does not have the action.
            Internal: The operation is not one of the action's.
            QueryTooExpensive: The request has used up its calls.
            ResponseTooLarge: Its response would be too large.
            Overloaded: The caller's requests hold too many bytes.
            AdminError: The call failed.
        """
        if action not in self.rights.actions:
            raise _forbidden(action)
        if operation not in action.operations:
            raise Internal
        key = (operation, *sorted(parameters.items()))
        reply = await self.reads.get(
            key,
            lambda: self._fetch(self.pool.read, operation, parameters),
            deadline=self.deadline,
        )
        self.charge(reply)
        return reply

    async def _fetch(
        self,
        call: Callable[..., Awaitable[Reply]],
        operation: str,
        parameters: Mapping[str, object],
    ) -> Reply:
        if operation not in _PAGES:
            self._demand_room()
            return await self.count(call, operation, parameters)
        if self.turns is None:
            self.turns = asyncio.Semaphore(PAGES_AT_ONCE)
        async with self.turns:
            self._demand_room()
            return await self.count(call, operation, parameters)

    def _demand_room(self) -> None:
        if self.used >= MAX_READ:
            raise ResponseTooLarge

    def charge(self, reply: Reply) -> None:
        """Count a reply before it is used, also a reused one."""
        size = reply.size * self.repeats
        if self.used + size > MAX_READ:
            self.used = MAX_READ  # read nothing more, and keep nothing
            self.reads.forget()
            raise ResponseTooLarge
        if self.hold is not None:
            self.hold(size)
        self.used += size

    async def count(
        self,
        call: Callable[..., Awaitable[Reply]],
        operation: str,
        parameters: Mapping[str, object],
        *,
        spare: float = 0.0,
    ) -> Reply:
        """Make a call to Cognito that counts as one of the request's, within its deadline.

        Args:
            call: `PoolReader.read`, or `PoolWriter.write`.
            operation: The operation's API name.
            parameters: Its input members, without `UserPoolId`.
            spare: Seconds before the deadline in which the call must have ended, so that others can
                follow; at most half of the time that is left.

        Raises:
            QueryTooExpensive: The request has used up its calls.
            AdminError: The call failed.
        """
        deadline = self.deadline
        if spare:
            left = deadline - asyncio.get_running_loop().time()
            deadline -= min(spare, left / 2)
        if self.calls >= self.max_calls:
            raise QueryTooExpensive
        self.calls += 1
        request_record.current().cognito_calls += 1
        outcome = "CANCELLED"
        try:
            reply = await call(
                operation,
                parameters,
                deadline=deadline,
                caller=self.caller.sub if self.caller else "",
            )
            outcome = metrics.OK
        except AdminError as error:
            outcome = error.code
            raise
        finally:
            metrics.count_call(operation, outcome)
        return reply


def _forbidden(action: Action) -> Forbidden:
    return Forbidden(f"You are not allowed to do this: it requires the action {action.label}.")


Info: TypeAlias = strawberry.Info[Context, None]
