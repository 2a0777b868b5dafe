"""May this caller do this to this target, now? What the decisions need is read here.

What is decided on is whoever Cognito says that a name means, and the change is made to that user's
username: a check of one name and a write through another may be two people.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from graphql_admin.actions import Action, Effect, Oneself
from graphql_admin.admin.context import Context
from graphql_admin.audit.log import Outcome, outcome_of
from graphql_admin.errors import (
    AdminError,
    AuthorityUnavailable,
    Conflict,
    Forbidden,
    OutOfScope,
    OwnAccount,
    TimedOut,
    UpstreamFailed,
    UserNotFound,
)
from graphql_admin.policy.authority import Authority, PoolUser, read_groups
from graphql_admin.policy.decisions import (
    Allowed,
    Decisions,
    NeedsTarget,
    Principal,
    Read,
    Reason,
    Refused,
    User,
)
from graphql_admin.policy.decisions import Target as Known
from graphql_admin.policy.grants import Grants
from graphql_admin.policy.reservations import Reservations
from graphql_admin.targets import Target
from graphql_admin.tokens.caller import Caller

PAGE = 60
"""Groups of a user that are read at a time; Cognito allows no more."""

_OUTCOMES: Mapping[Reason, type[OutOfScope | OwnAccount | Conflict]] = {
    Reason.OUT_OF_SCOPE: OutOfScope,
    Reason.OWN_ACCOUNT: OwnAccount,
    Reason.CONFLICT: Conflict,
}


class _Resolved(NamedTuple):
    """A target that a caller may act on."""

    target: Target
    """As Cognito is to be told it."""
    known: Known
    """What was read of it."""
    effect: Effect


@dataclass(frozen=True, slots=True)
class Authorization:
    """Decides on changes, with what the pool says of the caller and the target."""

    grants: Grants
    decisions: Decisions
    authority: Authority
    reservations: Reservations

    def check(self, context: Context, action: Action, target: Target) -> None:
        """Refuse a change that the token's rights do not admit, before anything is read for it.

        Raises:
            Unauthenticated: The request carries no token.
            Forbidden: The token does not give the action, or `target` is another.
            OutOfScope: It does not give what the group gives.
        """
        caller = context.demand(action)
        if action.on_oneself is Oneself.ONLY:
            if target.user not in {caller.username, caller.sub}:
                raise Forbidden("You may do this to nobody but yourself.")
            return
        principal = Principal(caller.sub, context.rights, caller.is_machine)
        self._decide(principal, action, _unknown(target))

    @asynccontextmanager
    async def allow(
        self, context: Context, action: Action, target: Target
    ) -> AsyncIterator[Target]:
        """Let a change be made within the block, if the caller may make it now.

        Whoever loses rights by it is reserved meanwhile, and for a while afterwards unless the
        block ends with an error by which nothing was changed.

        Args:
            context: The request's.
            action: What is to be done.
            target: To whom; it has passed `check`.

        Yields:
            The target as Cognito is to be told it.

        Raises:
            AuthorityUnavailable: The pool did not say whether the caller may still do it.
            Forbidden: The caller may not do it any more.
            OutOfScope: Not to this user or group.
            OwnAccount: Not to themselves.
            Conflict: The caller's own rights are being taken.
            UserNotFound: There is no such user.
            AdminError: What had to be read of the target could not be read.
        """
        caller = context.demand_token()
        if action.on_oneself is Oneself.ONLY:
            yield target._replace(user=caller.username)
            return
        reader = _Reader(context)
        principal = await self._principal(context, caller, reader)
        resolved = await self._resolve(principal, action, target, reader)
        changing = self._change(resolved)
        if resolved.effect is Effect.TAKES:
            changing = self._take(context, principal, action, resolved, reader)
        elif resolved.effect is Effect.GIVES:
            await self._demand_unreserved(principal)
        async with changing as told:
            yield told

    async def _principal(
        self, context: Context, caller: Caller, reader: "_Reader", *, anew: bool = False
    ) -> Principal:
        """Return the caller with the rights that they have now.

        Raises:
            AuthorityUnavailable: The pool did not say.
            Forbidden: The caller is not there any more, or is disabled.
            AdminError: The request may not call the pool now.
        """
        if caller.is_machine:
            return Principal(caller.sub, context.rights, is_machine=True)
        assert caller.username is not None  # noqa: S101  # only machines have none
        try:
            # Another request may be reading it, with more time.
            async with asyncio.timeout_at(context.deadline):
                groups = await self.authority.groups_of(
                    caller.sub, caller.username, caller.groups, reader, anew=anew
                )
        except (TimeoutError, TimedOut, UpstreamFailed) as error:
            raise AuthorityUnavailable from error
        if isinstance(groups, Refused):
            raise _error_of(groups)
        return Principal(caller.sub, self.grants.of_user(groups))

    async def _resolve(
        self, principal: Principal, action: Action, target: Target, reader: "_Reader"
    ) -> _Resolved:
        known = _unknown(target)
        try:
            while isinstance(decision := self._decide(principal, action, known), NeedsTarget):
                username = target.user
                assert username is not None  # noqa: S101  # nothing is read of a group
                if decision.read is Read.USER:
                    found = await reader.user(username)
                    if found is None:
                        raise UserNotFound
                    target = target._replace(user=found.username)
                    known = replace(known, user=User(found.sub))
                else:
                    groups = await read_groups(reader, username)
                    known = replace(known, user=User(_sub_of(known), groups))
        except TimedOut as error:
            raise TimedOut("The user pool did not answer in time. Nothing was changed.") from error
        return _Resolved(target, known, decision.effect)

    def _decide(self, principal: Principal, action: Action, known: Known) -> Allowed | NeedsTarget:
        decision = self.decisions.decide(principal, action, known)
        if isinstance(decision, Refused):
            raise _error_of(decision)
        return decision

    async def _demand_unreserved(self, principal: Principal) -> None:
        if not principal.is_machine and await self.reservations.is_reserved(principal.sub):
            raise Conflict

    @asynccontextmanager
    async def _change(self, resolved: _Resolved) -> AsyncIterator[Target]:
        """Let a change be made, after which what was read of its target is not believed."""
        try:
            yield resolved.target
        finally:
            sub = _sub_of(resolved.known)
            if sub is not None:
                self.authority.forget(sub)

    @asynccontextmanager
    async def _take(
        self,
        context: Context,
        principal: Principal,
        action: Action,
        resolved: _Resolved,
        reader: "_Reader",
    ) -> AsyncIterator[Target]:
        """Let rights be taken, by one who is not losing theirs."""
        sub = _sub_of(resolved.known)
        assert sub is not None  # noqa: S101  # what takes rights depends on who it is
        held = await self.reservations.reserve(sub, caller=principal.sub, deadline=context.deadline)
        if isinstance(held, Refused):
            raise _error_of(held)
        try:
            caller = context.demand_token()
            principal = await self._principal(context, caller, reader, anew=True)
            self._decide(principal, action, resolved.known)
        except BaseException:
            await self.reservations.drop(held)
            raise
        try:
            async with self._change(resolved) as told:
                yield told
        except AdminError as error:
            if outcome_of(error, is_sent=True) is Outcome.UNKNOWN:
                await self.reservations.keep(held)
            else:
                await self.reservations.drop(held)
            raise
        except BaseException:
            await self.reservations.keep(held)
            raise
        await self.reservations.keep(held)


class _Reader:
    """Reads the pool for one request: never what was read before, by it or by others.

    Args:
        context: The request's, whose calls these are.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    async def user(self, username: str) -> PoolUser | None:
        """Return the user with this name; None if there is none."""
        try:
            reply = await self._context.read_anew("AdminGetUser", Username=username)
        except UserNotFound:
            return None
        name, enabled = reply.get("Username"), reply.get("Enabled")
        attributes = _objects(reply.get("UserAttributes"))
        sub = next((each.get("Value") for each in attributes if each.get("Name") == "sub"), None)
        if not isinstance(name, str) or not isinstance(sub, str) or not isinstance(enabled, bool):
            raise UpstreamFailed
        return PoolUser(name, sub, enabled)

    async def groups(self, username: str, token: str | None) -> tuple[Sequence[str], str | None]:
        """Return a page of the names of a user's groups, and the token of the next page."""
        position = {} if token is None else {"NextToken": token}
        reply = await self._context.read_anew(
            "AdminListGroupsForUser", Username=username, Limit=PAGE, **position
        )
        given = [row.get("GroupName") for row in _objects(reply.get("Groups"))]
        names = [name for name in given if isinstance(name, str)]
        following = reply.get("NextToken") or None
        if len(names) < len(given) or not isinstance(following, str | None):
            raise UpstreamFailed
        return names, following


def _sub_of(known: Known) -> str | None:
    return None if known.user is None else known.user.sub


def _objects(rows: Any) -> list[dict[str, Any]]:
    """Return a list of a reply that can only be one of objects."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UpstreamFailed
    return rows


def _unknown(target: Target) -> Known:
    return Known(None if target.user is None else User(), target.group)


def _error_of(refused: Refused) -> AdminError:
    if refused.reason is Reason.FORBIDDEN:
        return Forbidden(refused.message)
    return _OUTCOMES[refused.reason](refused.message, field=refused.field)
