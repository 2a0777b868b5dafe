"""May this caller do this to this target, now? What the decisions need is read here.

What is decided on is whoever Cognito says that a name means, and the change is made to that user's
username: a check of one name and a write through another may be two people.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql_admin.actions import Action, Effect
from graphql_admin.admin.context import Context
from graphql_admin.audit.log import Outcome
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
    Decision,
    Decisions,
    NeedsTarget,
    Principal,
    Read,
    Reason,
    Refused,
    User,
)
from graphql_admin.policy.decisions import Target as Known
from graphql_admin.policy.grants import Grants, Rights
from graphql_admin.policy.reservations import Reservation, Reservations
from graphql_admin.targets import Target
from graphql_admin.tokens.caller import Caller

PAGE = 60
"""Groups of a user that are read at a time; Cognito allows no more."""

_IN_VAIN = "The user pool did not answer in time. Nothing was changed."

_UNREAD = User()

_OUTCOMES: Mapping[Reason, type[OutOfScope | OwnAccount | Conflict]] = {
    Reason.OUT_OF_SCOPE: OutOfScope,
    Reason.OWN_ACCOUNT: OwnAccount,
    Reason.CONFLICT: Conflict,
}


@dataclass(slots=True)
class Attempt:
    """One attempt to change something, with what is known by now of who may make it."""

    context: Context
    """The request's."""
    action: Action
    target: Target
    """As Cognito is to be told it."""
    rights: Rights
    """The caller's: those that their token gives, before the pool was asked."""
    decision: Allowed | NeedsTarget
    """By what is known."""
    user: User = _UNREAD
    """What was read of the target, if it is a user."""
    held: Reservation | None = None
    """Of the target, who is about to lose rights."""
    gives: bool = False
    """Whether the caller is known to be giving rights."""


@dataclass(frozen=True, slots=True)
class Authorization:
    """Decides on changes, with what the pool says of the caller and the target."""

    grants: Grants
    decisions: Decisions
    authority: Authority
    reservations: Reservations

    def check(self, context: Context, action: Action, target: Target) -> Attempt:
        """Refuse a change that the token's rights do not admit, before anything is read for it.

        Raises:
            Unauthenticated: The request carries no token.
            Forbidden: The token does not give the action, or `target` is another.
            OutOfScope: It does not give what the group gives.
        """
        caller = context.demand(action)
        if action.is_for_oneself:
            if target.user not in {caller.username, caller.sub}:
                raise Forbidden("You may do this to nobody but yourself.")
            target = target._replace(user=caller.username)
        decision = self.decisions.decide_on_unread(context.rights, action, target.group)
        return Attempt(context, action, target, context.rights, _unless_refused(decision))

    async def allow(self, attempt: Attempt) -> Target:
        """Return the target as Cognito is to be told it, if the caller may make the change now.

        Whoever loses rights by it is reserved until `settle`, and for a while afterwards unless
        nothing was changed. `settle` has to come, however the attempt ends.

        Raises:
            AuthorityUnavailable: The pool did not say whether the caller may still do it.
            Forbidden: The caller may not do it any more.
            OutOfScope: Not to this user or group.
            OwnAccount: Not to themselves.
            Conflict: The caller's own rights are being taken.
            UserNotFound: There is no such user.
            AdminError: What had to be read of the target could not be read.
        """
        if attempt.action.is_for_oneself:
            return attempt.target
        await self._look_at_caller(attempt)
        effect = await self._resolve(attempt)
        if effect is Effect.TAKES:
            await self._reserve(attempt)
            await self._look_at_caller(attempt, anew=True)
            await self._resolve(attempt)
        elif effect is Effect.GIVES:
            await self._give(attempt)
        return attempt.target

    async def settle(self, attempt: Attempt, outcome: Outcome) -> None:
        """Let go of what `allow` held, and believe no more of the target than is still true."""
        if attempt.gives:
            await self.reservations.given(attempt.context.demand_token().sub)
        sub = attempt.user.sub
        if sub is None:  # then nobody is held either
            return
        is_changed = outcome in {Outcome.DONE, Outcome.UNKNOWN}
        if is_changed:
            self.authority.forget(sub)
        if attempt.held is not None:
            end = self.reservations.keep if is_changed else self.reservations.drop
            await end(attempt.held)

    async def _look_at_caller(self, attempt: Attempt, *, anew: bool = False) -> None:
        """Go on with the rights that the caller has now.

        Raises:
            AuthorityUnavailable: The pool did not say.
            Forbidden: The caller is not there any more, is disabled, or has not the right.
            AdminError: The request may not call the pool now.
        """
        caller = attempt.context.demand_token()
        if caller.is_machine:
            return
        groups = None if anew else self.authority.recall(caller.sub, caller.groups)
        if groups is None:
            groups = await self._read_groups(attempt.context, caller, anew=anew)
        if isinstance(groups, Refused):
            raise _error_of(groups)
        rights = self.grants.of_user(groups)
        if rights != attempt.rights:
            attempt.rights = rights
            self._decide(attempt)

    async def _read_groups(
        self, context: Context, caller: Caller, *, anew: bool
    ) -> frozenset[str] | Refused:
        assert caller.username is not None  # noqa: S101  # only machines have none
        try:
            # Another request may be reading it, with more time.
            async with asyncio.timeout_at(context.deadline):
                return await self.authority.groups_of(
                    caller.sub, caller.username, caller.groups, _Reader(context), anew=anew
                )
        except (TimeoutError, TimedOut, UpstreamFailed) as error:
            raise AuthorityUnavailable from error

    async def _resolve(self, attempt: Attempt) -> Effect:
        """Read of the target what the decision depends on, and return what the change does."""
        while isinstance(attempt.decision, NeedsTarget):
            try:
                await self._read_target(attempt, attempt.decision.read)
            except TimedOut as error:
                raise TimedOut(_IN_VAIN) from error
            self._decide(attempt)
        return attempt.decision.effect

    async def _read_target(self, attempt: Attempt, read: Read) -> None:
        reader, username = _Reader(attempt.context), attempt.target.user
        assert username is not None  # noqa: S101  # nothing is read of a group
        if read is Read.USER:
            found = await reader.user(username)
            if found is None:
                raise UserNotFound
            attempt.target = attempt.target._replace(user=found.username)
            attempt.user = User(found.sub)
        else:
            attempt.user = User(attempt.user.sub, await read_groups(reader, username))

    def _decide(self, attempt: Attempt) -> None:
        caller, target = attempt.context.demand_token(), attempt.target
        principal = Principal(caller.sub, attempt.rights, caller.is_machine)
        known = Known(None if target.user is None else attempt.user, target.group)
        decision = self.decisions.decide(principal, attempt.action, known)
        attempt.decision = _unless_refused(decision)

    async def _give(self, attempt: Attempt) -> None:
        """Let rights be given, by one who is not losing their own.

        Raises:
            Conflict: They are.
        """
        caller = attempt.context.demand_token()
        if caller.is_machine:
            return
        refused = await self.reservations.give(caller.sub)
        if refused is not None:
            raise _error_of(refused)
        attempt.gives = True

    async def _reserve(self, attempt: Attempt) -> None:
        """Reserve the target, for one who is not losing their own rights.

        Raises:
            Conflict: They are.
            TimedOut: The target is still giving rights to somebody.
        """
        sub, caller = attempt.user.sub, attempt.context.demand_token()
        assert sub is not None  # noqa: S101  # what takes rights depends on who it is
        held = await self.reservations.reserve(
            sub, caller=caller.sub, deadline=attempt.context.deadline
        )
        if isinstance(held, Refused):
            raise _error_of(held)
        attempt.held = held
        try:
            async with asyncio.timeout_at(attempt.context.deadline):
                await self.reservations.wait_for_gifts(sub)
        except TimeoutError as error:
            raise TimedOut(_IN_VAIN) from error


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


def _objects(rows: Any) -> list[dict[str, Any]]:
    """Return a list of a reply that can only be one of objects."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UpstreamFailed
    return rows


def _unless_refused(decision: Decision) -> Allowed | NeedsTarget:
    if isinstance(decision, Refused):
        raise _error_of(decision)
    return decision


def _error_of(refused: Refused) -> AdminError:
    if refused.reason is Reason.FORBIDDEN:
        return Forbidden(refused.message)
    return _OUTCOMES[refused.reason](refused.message, field=refused.field)
