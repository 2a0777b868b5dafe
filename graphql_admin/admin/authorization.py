"""Authorizes changes: reads what a decision depends on from the pool, and decides.

A name is resolved by Cognito first. The decision is on the user that it returns, and the change is
made with that user's `Username`: a check of one name and a write with another could affect two
users.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from graphql_admin.actions import Action, Effect
from graphql_admin.admin.cognito_names import MAX_LENGTH
from graphql_admin.admin.context import Context
from graphql_admin.audit.log import Outcome
from graphql_admin.cognito.access import PoolReader
from graphql_admin.cognito.replies import Reply
from graphql_admin.errors import (
    AdminError,
    AuthorityUnavailable,
    BadUserInput,
    Conflict,
    Forbidden,
    Internal,
    NotEnabled,
    OutOfScope,
    OwnAccount,
    Stale,
    TimedOut,
    UpstreamFailed,
    UserNotFound,
)
from graphql_admin.policy.authority import Authority, PoolUser, Standing, read_groups
from graphql_admin.policy.decisions import (
    SIGN_IN,
    Allowed,
    Decision,
    Decisions,
    Denied,
    KnownTarget,
    KnownUser,
    NeedsTarget,
    Principal,
    Reason,
    TargetRead,
)
from graphql_admin.policy.grants import Grants, Rights
from graphql_admin.policy.reservations import CONFLICT, LOSING, Reservation, Reservations
from graphql_admin.policy.sight import ALIASES
from graphql_admin.targets import Target
from graphql_admin.tokens.caller import Caller

PAGE = 60
"""Groups of a user per page; Cognito allows no more."""

MAX_WAIT = 2.0
"""Seconds after which a change that has not been sent is decided on again. Most are sent within a
fraction of that; one for which there is no quota waits for up to the deadline of its request."""

_UNREAD = KnownUser()

_OUTCOMES: Mapping[Reason, type[OutOfScope | OwnAccount | Conflict]] = {
    Reason.OUT_OF_SCOPE: OutOfScope,
    Reason.OWN_ACCOUNT: OwnAccount,
    Reason.CONFLICT: Conflict,
}


@dataclass(slots=True)
class Attempt:
    """An attempt to change something, with what is known so far for the decision.

    It is the approval of its write; see `cognito.access`.
    """

    authorization: "Authorization" = field(repr=False)
    context: Context
    """The context of the request."""
    action: Action
    target: Target
    """The target, as it must be sent to Cognito."""
    rights: Rights
    """The caller's rights: those of their token until the pool has been read."""
    decision: Allowed | NeedsTarget
    """The decision by what is known."""
    user: KnownUser = _UNREAD
    """What has been read of the target, if it is a user."""
    row: Reply | None = field(default=None, repr=False)
    """The reply of AdminGetUser about the target, if it was read."""
    standing: Standing | None = None
    """What has been read of the caller; None for a machine, and before it is read."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """The names of the user's attributes that the change sets, each with its input field."""
    held: Reservation | None = None
    """The reservation of the target, if it is about to lose rights, or of a caller who is about to
    give rights to themselves."""
    decided: float = 0.0
    """When the reads for the first decision started, or a later decision was made, by the clock of
    the authorization."""
    is_sent: bool = False
    """Whether Cognito may have carried the change out."""
    look_anew: Callable[[], Awaitable[None]] | None = field(default=None, repr=False)
    """Checks the state that the change depends on again, or raises an error. It is called after
    each later decision."""

    def find(self, row: Reply) -> PoolUser:
        """Return the user in a reply of AdminGetUser, and make the change to them.

        Raises:
            UpstreamFailed: Something that must be in it is missing.
            UserNotFound: The user has the given name by an attribute that the caller does not see.
        """
        found = _to_user(row)
        self.demand_known_name(row)
        self.row = row
        self.target = self.target._replace(user=found.username)
        return found

    def demand_known_name(self, row: Reply) -> None:
        """Reject a change of a user who has the given name by an attribute the caller does not see.

        Otherwise the result would tell that the user has it.

        Args:
            row: The reply of AdminGetUser about the user.

        Raises:
            UpstreamFailed: The reply has no attributes.
            UserNotFound: The user has it by such an attribute.
        """
        name, sight = self.target.user, self.rights.sight
        assert name is not None  # noqa: S101  # a user was read by it
        if sight.hides_aliases:
            rows = _objects(row.get("UserAttributes"))
            values = {each.get("Name"): each.get("Value") for each in rows}
            if not sight.tells(name, str(row.get("Username")), values):
                raise UserNotFound

    def confirm(self) -> Coroutine[Any, Any, bool]:
        """Tell whether the change is still allowed; see `Authorization.confirm`."""
        return self.authorization.confirm(self)

    async def renew(self) -> None:
        """Decide again on the change, and on the state that it depends on.

        Raises:
            AdminError: As for `Authorization.renew`, and as for `look_anew`.
        """
        await self.authorization.renew(self)
        if self.look_anew is not None:
            await self.look_anew()


@dataclass(frozen=True, slots=True)
class Authorization:
    """Decides on changes, by what the pool has about the caller and the target."""

    grants: Grants
    decisions: Decisions
    authority: Authority
    reservations: Reservations
    pool: PoolReader
    """For what decides, whatever the caller may read."""
    clock: Callable[[], float]
    """Monotonic time in seconds."""

    def check(self, context: Context, action: Action, target: Target) -> Attempt:
        """Reject a change that the token's rights do not allow, before anything is read for it.

        Raises:
            Unauthenticated: The request carries no token.
            Forbidden: The token does not give the action, or the target is another user where only
                the caller is allowed.
            OutOfScope: The token does not give the rights that the group gives.
        """
        caller = context.demand(action)
        if action.is_for_oneself:
            if target.user not in {caller.username, caller.sub}:
                raise Forbidden("You may do this only to yourself.")
            target = target._replace(user=caller.username)
        decision = self.decisions.decide_on_unread(context.rights, action, target.group)
        return Attempt(self, context, action, target, context.rights, _unless_denied(decision))

    def check_attributes(self, attempt: Attempt, attributes: Mapping[str, str]) -> None:
        """Reject a change of attributes that the token's rights do not allow.

        It is called before `allow`, which goes on with the attributes.

        Args:
            attempt: The attempt.
            attributes: Their names, each with its input field.

        Raises:
            BadUserInput: The caller may not set one of them.
        """
        attempt.attributes = attributes
        _demand_writes(attempt)
        decision = self.decisions.decide_on_unread(
            attempt.rights, attempt.action, attempt.target.group, sign_in=_sets_sign_in(attempt)
        )
        attempt.decision = _unless_denied(decision)

    async def allow(self, attempt: Attempt, *, reserves: bool = True) -> Attempt:
        """Return the attempt with the target to send to Cognito, if the caller may make it now.

        A caller who is reserved is refused, whatever the pool still says of them, and that is not
        cached: it may be out of date. A user who loses rights by the change is reserved until
        `settle`, and for a while afterwards unless nothing was changed. A caller who gives rights
        to themselves is held until `settle`. Both have the decision made again. `settle` must be
        called, however the attempt ends.

        Args:
            attempt: The attempt.
            reserves: False if the change is only checked: then no user is reserved.

        Raises:
            AuthorityUnavailable: The pool did not say whether the caller may still do it.
            Forbidden: The caller may no longer do it.
            BadUserInput: The caller may no longer set an attribute.
            OutOfScope: The caller may not do it to this user or group.
            OwnAccount: The caller may not do it to themselves.
            Conflict: The caller's own rights are being taken, or the target's are while the change
                gives some, or the target is giving rights to themselves.
            UserNotFound: There is no such user.
            AdminError: The target could not be read.
        """
        if attempt.action.is_for_oneself:
            return attempt
        attempt.decided = self.clock()
        await self._look_at_caller(attempt)
        if self._may_conflict(attempt):
            await self._demand_no_conflict(attempt)
        decision = attempt.decision
        effect = decision.effect if isinstance(decision, Allowed) else await self._resolve(attempt)
        if reserves and effect is Effect.TAKES:
            await self._reserve(attempt)
        elif reserves and effect is Effect.GIVES and _is_on_oneself(attempt):
            await self._hold(attempt)
        elif attempt.decision is not decision and self._may_conflict(attempt):  # by now
            await self._demand_no_conflict(attempt)
        if attempt.held is not None:
            await self._decide_again(attempt)
        return attempt

    async def confirm(self, attempt: Attempt) -> bool:
        """Tell whether a change is still allowed, now that nothing keeps it from being sent.

        Meanwhile its caller may have lost their rights, and its target been given some. What
        happened in this process is known without a call. A decision older than `MAX_WAIT` must be
        made again, by `renew`.

        Raises:
            Conflict: As for `allow`. The change is not sent.
        """
        if attempt.action.is_for_oneself:
            return True
        if self._may_conflict(attempt):
            await self._demand_no_conflict(attempt)
        return self.clock() < attempt.decided + MAX_WAIT

    async def renew(self, attempt: Attempt) -> None:
        """Decide again on a change that has waited, by what the pool has now.

        If the target was read for it, it is read again: names are reused.

        Raises:
            Stale: The name of the target is now another user's.
            AdminError: As for `allow`. The change is not sent.
        """
        if attempt.action.is_for_oneself:
            return
        target = attempt.target
        await self._decide_again(attempt, is_late=True)
        if attempt.target != target:  # the change would be sent with a name that was not resolved
            raise Conflict
        # Not when the reads started: where they take that long, it would never be sent.
        attempt.decided = self.clock()

    async def settle(self, attempt: Attempt, outcome: Outcome) -> None:
        """Drop or keep the reservation of `allow`, and forget what the change made outdated."""
        sub, held = attempt.user.sub, attempt.held
        if sub is None and held is None:
            return
        is_changed = outcome in {Outcome.DONE, Outcome.UNKNOWN}
        if is_changed and sub is not None:
            self.authority.forget(sub)
        if held is None:
            return
        # What callers gave to themselves cannot arrive in Cognito any more once it is done.
        is_over = held.is_own and outcome is Outcome.DONE
        end = self.reservations.keep if is_changed and not is_over else self.reservations.drop
        await end(held)

    async def _decide_again(self, attempt: Attempt, *, is_late: bool = False) -> None:
        """Decide by what the pool has now of the caller, and of the target's groups if they matter.

        The user whom a name means stays the same; if the decision is late, that is checked.
        """
        attempt.decided = self.clock()
        held = attempt.held
        await self._look_at_caller(attempt, anew=held is not None)
        if is_late and attempt.row is not None:
            await self._demand_same_user(attempt, attempt.row)
        is_on_oneself = held is not None and held.is_own  # who has been read by now
        if attempt.user.groups is not None and not is_on_oneself:
            attempt.user = KnownUser(attempt.user.sub)
            self._decide(attempt)
        await self._resolve(attempt)

    async def _demand_same_user(self, attempt: Attempt, row: Reply) -> None:
        known = attempt.user
        await self._read_target_in_time(attempt, TargetRead.USER)
        if attempt.user.sub != _to_user(row).sub:
            raise Stale("This username now belongs to another user.", field="username")
        attempt.user = known

    async def _look_at_caller(self, attempt: Attempt, *, anew: bool = False) -> None:
        """Continue with the rights that the caller has now.

        Raises:
            AuthorityUnavailable: They could not be read.
            Forbidden: The caller was deleted, is disabled, or does not have the right.
            AdminError: The request may make no call now.
        """
        caller = attempt.context.demand_token()
        if caller.is_machine:
            return
        standing = None if anew else self.authority.recall(caller.sub)
        if standing is None:
            standing = await self._read_standing(attempt.context, caller, anew=anew)
            if await self.reservations.is_reserved(caller.sub):
                self.authority.forget(caller.sub)  # it may be from before they lost their rights
        groups = standing.count(caller.groups)
        if isinstance(groups, Denied):
            raise _error_of(groups)
        attempt.standing = standing
        rights = self.grants.of_user(groups)
        if rights is not attempt.rights:  # the same groups give the same object
            attempt.rights = rights
            _demand_writes(attempt)
            self._decide(attempt)

    async def _read_standing(self, context: Context, caller: Caller, *, anew: bool) -> Standing:
        assert caller.username is not None  # noqa: S101  # only machines have no username
        try:
            # The read may be shared with another request, which has more time.
            async with asyncio.timeout_at(context.deadline):
                reader = _UserReader(context, self.pool)
                return await self.authority.standing_of(
                    caller.sub, caller.username, reader, anew=anew
                )
        except (TimeoutError, TimedOut, UpstreamFailed, NotEnabled) as error:
            raise AuthorityUnavailable from error

    async def _resolve(self, attempt: Attempt) -> Effect:
        """Read what the decision depends on of the target, and return the effect of the change."""
        while isinstance(attempt.decision, NeedsTarget):
            await self._read_target_in_time(attempt, attempt.decision.read)
            self._decide(attempt)
        return attempt.decision.effect

    async def _read_target_in_time(self, attempt: Attempt, read: TargetRead) -> None:
        try:
            await self._read_target(attempt, read)
        except TimedOut as error:
            message = "The user pool did not answer in time. Nothing was changed."
            raise TimedOut(message) from error

    async def _read_target(self, attempt: Attempt, read: TargetRead) -> None:
        reader, username = _UserReader(attempt.context, self.pool), attempt.target.user
        assert username is not None  # noqa: S101  # groups are never read
        if read is TargetRead.USER:
            row = await reader.row(username)
            if row is None:
                raise UserNotFound
            attempt.user = KnownUser(attempt.find(row).sub)
        else:
            attempt.user = KnownUser(attempt.user.sub, await read_groups(reader, username))

    def _decide(self, attempt: Attempt) -> None:
        caller, target = attempt.context.demand_token(), attempt.target
        principal = Principal(caller.sub, attempt.rights, caller.is_machine)
        user = attempt.user if attempt.action.row.is_on_existing_user else None
        known = KnownTarget(user, target.group, _sets_sign_in(attempt))
        decision = self.decisions.decide(principal, attempt.action, known)
        attempt.decision = _unless_denied(decision)

    def _may_conflict(self, attempt: Attempt) -> bool:
        """Tell whether `_demand_no_conflict` may reject the change. It mostly may not."""
        sub, may_be_reserved = attempt.user.sub, self.reservations.may_be_reserved
        return may_be_reserved(attempt.context.demand_token().sub) or (
            sub is not None and may_be_reserved(sub)
        )

    async def _demand_no_conflict(self, attempt: Attempt) -> None:
        """Reject a change by a caller who is losing their rights, or who gives some to such a user.

        Raises:
            Conflict: The caller is reserved, or the target is about to lose rights.
        """
        caller, sub = attempt.context.demand_token(), attempt.user.sub
        if not caller.is_machine and await self.reservations.is_reserved(caller.sub):
            self.authority.forget(caller.sub)  # it may have been read before they lost them
            raise _error_of(CONFLICT)
        gives = attempt.decision == Allowed(Effect.GIVES)
        if gives and sub is not None and await self.reservations.is_losing(sub):
            raise _error_of(LOSING)

    async def _reserve(self, attempt: Attempt) -> None:
        """Reserve the target, unless the caller's own rights are being taken.

        Raises:
            Conflict: They are being taken, or the target is giving rights to themselves.
        """
        sub, caller = attempt.user.sub, attempt.context.demand_token()
        assert sub is not None  # noqa: S101  # the decision has read the target
        held = await self.reservations.reserve(
            sub, caller=caller.sub, deadline=attempt.context.deadline
        )
        attempt.held = _unless_in_conflict(held)

    async def _hold(self, attempt: Attempt) -> None:
        """Hold the caller, who is about to give rights to themselves.

        Raises:
            Conflict: They are losing theirs.
        """
        caller, deadline = attempt.context.demand_token(), attempt.context.deadline
        held = await self.reservations.hold(caller.sub, deadline=deadline)
        attempt.held = _unless_in_conflict(held)


class _UserReader:
    """Reads the pool for one request, without replies from before, of this or another request.

    Args:
        context: The context of the request that makes the calls.
        pool: The pool.
    """

    def __init__(self, context: Context, pool: PoolReader) -> None:
        self._context = context
        self._read = partial(pool.read, anew=True)

    async def row(self, username: str) -> Reply | None:
        """Return the reply of AdminGetUser about a user; None if there is no such user."""
        try:
            return await self._call("AdminGetUser", Username=username)
        except UserNotFound:
            return None

    async def user(self, username: str) -> PoolUser | None:
        """Return the user with this name; None if there is no such user."""
        row = await self.row(username)
        return None if row is None else _to_user(row)

    async def groups(self, username: str, token: str | None) -> tuple[Sequence[str], str | None]:
        """Return a page of the names of a user's groups, and the token of the next page."""
        position = {} if token is None else {"NextToken": token}
        reply = await self._call(
            "AdminListGroupsForUser", Username=username, Limit=PAGE, **position
        )
        given = [row.get("GroupName") for row in _objects(reply.get("Groups"))]
        names = [name for name in given if isinstance(name, str)]
        following = reply.get("NextToken") or None
        if len(names) < len(given) or not isinstance(following, str | None):
            raise UpstreamFailed
        return names, following

    async def _call(self, operation: str, **parameters: object) -> Reply:
        reply = await self._context.count(self._read, operation, parameters)
        self._context.charge(reply)
        return reply


def _objects(rows: Any) -> list[dict[str, Any]]:
    """Return a list of objects from a reply."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UpstreamFailed
    return rows


def find_sub(attributes: Any) -> Any:
    """Return the `sub` among a user's attributes in a reply; None if it is not there.

    Raises:
        UpstreamFailed: They are not attributes.
    """
    rows = _objects(attributes)
    return next((each.get("Value") for each in rows if each.get("Name") == "sub"), None)


def _to_user(row: Mapping[str, Any]) -> PoolUser:
    """Return the user in a reply of AdminGetUser.

    Raises:
        UpstreamFailed: Something that must be in it is missing.
    """
    name, enabled = row.get("Username"), row.get("Enabled")
    attributes = _objects(row.get("UserAttributes"))
    sub = find_sub(attributes)
    aliases = [each.get("Value") for each in attributes if each.get("Name") in ALIASES]
    if not isinstance(name, str) or not isinstance(sub, str) or not isinstance(enabled, bool):
        raise UpstreamFailed
    # What is longer than a name names no user.
    short = (each for each in aliases if isinstance(each, str) and len(each) <= MAX_LENGTH)
    return PoolUser(name, sub, enabled, frozenset(short))


def demand_attributes(attempt: Attempt, attributes: Mapping[str, str]) -> None:
    """Reject a creation that sets further attributes, unless the caller may set them.

    Args:
        attempt: An attempt that was allowed, without these.
        attributes: Their names, each with the input field that sets it.

    Raises:
        BadUserInput: The caller may not set one of them.
    """
    if attempt.action.row.is_on_existing_user:  # the decision would depend on them
        raise Internal
    attempt.attributes = {**attempt.attributes, **attributes}
    _demand_writes(attempt)


def _demand_writes(attempt: Attempt) -> None:
    """Reject a change of an attribute that is not among those that the caller may set."""
    for name, given_as in attempt.attributes.items():
        if not attempt.rights.may_set(name):
            raise BadUserInput(f"You may not set the attribute `{name}`.", field=given_as)


def _sets_sign_in(attempt: Attempt) -> bool:
    """Tell whether the change sets who signs in as the user, or what they may do then."""
    groups = attempt.authorization.grants.groups_attribute
    return groups in attempt.attributes or not SIGN_IN.isdisjoint(attempt.attributes)


def _is_on_oneself(attempt: Attempt) -> bool:
    """Tell whether the target is the caller; where they were not read, whether they may be."""
    standing, name = attempt.standing, attempt.target.user
    if standing is None:  # a machine
        return False
    if attempt.user.sub is not None:
        return attempt.user.sub == attempt.context.demand_token().sub
    return name is not None and standing.may_be_called(name)


def _unless_denied(decision: Decision) -> Allowed | NeedsTarget:
    if isinstance(decision, Denied):
        raise _error_of(decision)
    return decision


def _unless_in_conflict(held: Reservation | Denied) -> Reservation:
    if isinstance(held, Denied):
        raise _error_of(held)
    return held


def _error_of(refused: Denied) -> AdminError:
    if refused.reason is Reason.FORBIDDEN:
        return Forbidden(refused.message)
    return _OUTCOMES[refused.reason](refused.message, field=refused.field)
