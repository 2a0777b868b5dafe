"""Decides whether a caller may take an action on a target: allowed, refused, or "read more".

These are pure functions, without I/O. Where a rule depends on something about the target that is
not known yet, the decision says what to read, and is then made again with it.

The rules:

- The caller must have the action.
- No caller may change a protected user or group, or the members of such a group.
- Scope: the caller must have all rights that the target's groups give, both actions and groups of
  `[grants]`. The same is true of the rights of a group that is given or taken, and `[grants]`, if
  there is one, must list the group. Equals may act on each other. Only a caller with every right
  may change a user in a protected group.
- Own account: no caller may take rights from themselves, or do to themselves what would let a
  stolen token take over its owner's account, such as giving it another e-mail address; and a caller
  without every right may not add themselves to any group.
- A user who is created is in no group and has no rights: every caller with the action may do it.

From scope and own account follows that a right which an enabled user has is never lost, because the
caller who takes it has it too, and keeps it. If two callers take rights from each other
concurrently, `reservations` allows only one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache, partial
from typing import TypeAlias

from graphql_admin.actions import Action, Effect, Oneself, Row
from graphql_admin.policy.grants import Grants, Rights, is_listed
from graphql_admin.targets import TargetKind


class Reason(Enum):
    """Why an action is refused: the code of an error."""

    FORBIDDEN = "FORBIDDEN"
    OUT_OF_SCOPE = "OUT_OF_SCOPE"
    OWN_ACCOUNT = "OWN_ACCOUNT"
    CONFLICT = "CONFLICT"


class TargetRead(Enum):
    """What is read about a target, with which Cognito operation."""

    USER = "AdminGetUser"
    """The user that the name or alias means."""
    GROUPS = "AdminListGroupsForUser"
    """All groups of the user, by the username from the first read."""


RULES: Mapping[Action, Row] = {action: action.row for action in Action if action.write}
"""What the decisions need to know of each action that changes something."""


SIGN_IN = frozenset(
    {
        "email",
        "email_verified",
        "phone_number",
        "phone_number_verified",
        "preferred_username",
    }
)
"""The attributes that decide who signs in as a user, or gets their codes: the aliases that a pool
may have, and whether they are verified."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller who requests an action."""

    sub: str
    """The `sub` of a user, the `client_id` of a machine."""
    rights: Rights
    is_machine: bool = False


@dataclass(frozen=True, slots=True)
class KnownUser:
    """What is known about a user in the pool. Names are not, since they may be reused."""

    sub: str | None = None
    """None before it is read."""
    groups: frozenset[str] | None = None
    """None before they are read."""


@dataclass(frozen=True, slots=True)
class KnownTarget:
    """The target of an action, as far as it is known."""

    user: KnownUser | None = None
    group: str | None = None
    sign_in: bool = False
    """Whether attributes of `SIGN_IN` are set, or the one from which tokens have their groups."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """The action is allowed, on the user who was read if one was."""

    effect: Effect = Effect.NONE
    """Its effect on the target's rights. If it takes some, the target must be reserved, and what
    the decision depends on read again: a user without rights may be given some meanwhile."""


@dataclass(frozen=True, slots=True)
class Denied:
    """The action is refused."""

    reason: Reason
    message: str
    """For people; names nothing that the caller did not name."""
    field: str | None = None
    """The input field that the refusal is about."""


@dataclass(frozen=True, slots=True)
class NeedsTarget:
    """The decision depends on something that is not known about the target yet."""

    read: TargetRead


Decision: TypeAlias = Allowed | Denied | NeedsTarget

_OWN_ACCOUNT = Denied(
    Reason.OWN_ACCOUNT, "You cannot do this to your own account.", field="username"
)
_PROTECTED_USER = Denied(Reason.OUT_OF_SCOPE, "This user is protected.", field="username")
_MORE_RIGHTS = Denied(
    Reason.OUT_OF_SCOPE, "This user has rights that you do not have.", field="username"
)
_UNKNOWN_RIGHTS = Denied(
    Reason.OUT_OF_SCOPE,
    "Only callers with every right may change users here: the rights of users are not known.",
    field="username",
)
_PROTECTED_GROUP = Denied(Reason.OUT_OF_SCOPE, "This group is protected.", field="groupName")
_MORE_FROM_GROUP = Denied(
    Reason.OUT_OF_SCOPE, "This group gives rights that you do not have.", field="groupName"
)
_NOT_GRANTED = Denied(
    Reason.OUT_OF_SCOPE, "You may not add users to this group, or remove them.", field="groupName"
)
_NAMED_GROUP = Denied(
    Reason.OUT_OF_SCOPE, "This group is named in the server's policy.", field="groupName"
)


class Decisions:
    """The decisions of a server.

    Args:
        grants: Its policy.
        knows_groups: Whether rights come from a user's groups in the pool. They do not where the
            claim has another source.
        rules: The properties of each action.
    """

    def __init__(
        self,
        grants: Grants,
        *,
        knows_groups: bool = True,
        rules: Mapping[Action, Row] = RULES,
    ) -> None:
        self._grants = grants
        self._knows_groups = knows_groups
        self._rules = rules
        self._of_unread = lru_cache(maxsize=1024)(self._decide_on_unread)
        self._effects = lru_cache(maxsize=1024)(self._effects_on_groups)

    def decide_on_unread(
        self, rights: Rights, action: Action, group: str | None, *, sign_in: bool = False
    ) -> Decision:
        """Return the decision of `decide` on a target that has not been read, for any caller.

        It is cached, since it depends on nothing else. To work it out took 26,000 of the 577,000
        instructions that adding a user to a group took between executor and transport, with
        CPython 3.11.

        Args:
            rights: The rights of the caller.
            action: The action.
            group: The group in the target, if there is one.
            sign_in: Whether attributes of `SIGN_IN` are set.
        """
        group = None if group is None else self._grants.stand_in(group)
        return self._of_unread(rights, action, group, sign_in)

    def _decide_on_unread(
        self,
        rights: Rights,
        action: Action,
        group: str | None,
        sign_in: bool,  # noqa: FBT001  # a key of the cache
    ) -> Decision:
        user = KnownUser() if self._rules[action].is_on_existing_user else None
        return self.decide(Principal("", rights), action, KnownTarget(user, group, sign_in))

    def decide(self, principal: Principal, action: Action, target: KnownTarget) -> Decision:
        """Decide whether the principal may do `action` to `target`.

        It takes at most two reads, AdminGetUser first. Only reads that the decision depends on are
        requested: a caller with every right needs none for most actions that take no rights.

        Raises:
            ValueError: The target is not of the action's kind.
        """
        rule = self._rules[action]
        needs_user = rule.is_on_existing_user
        needs_group = rule.target is not TargetKind.USER
        if (target.user is None) == needs_user or (target.group is None) == needs_group:
            raise ValueError(f"{action} is not for {target}")
        if action not in principal.rights.actions:
            return _forbidden(action)
        effect = rule.effect
        if target.group is not None:
            refused = self._refusal_of_group(principal, rule, target.group)
            if refused is not None:
                return refused
            if rule.target is TargetKind.MEMBERSHIP and not self._grants.gives_rights(target.group):
                effect = Effect.NONE
        if target.user is None:
            # A group that the policy does not name gives no rights, and a new user has none.
            return Allowed()
        return self._decide_on_user(principal, rule, effect, target.user, sign_in=target.sign_in)

    def possible_reads(self, action: Action) -> tuple[TargetRead, ...]:
        """Return the reads that a decision on `action` may request, in order."""
        if not self._rules[action].is_on_existing_user:
            return ()
        return (TargetRead.USER, TargetRead.GROUPS) if self._knows_groups else (TargetRead.USER,)

    def most_reads(self, principal: Principal, action: Action) -> tuple[TargetRead, ...]:
        """Return the reads that a decision on `action` may request, in order.

        That is, of the target that takes most of them, for a principal who has the action, and of
        the attributes that take most if the action sets any. Groups that are read again, since the
        action takes rights, are in it twice.
        """
        rule = self._rules[action]
        reads: list[TargetRead] = []
        if not rule.is_on_existing_user:
            return ()
        user, other = KnownUser(), f"not {principal.sub}"
        decide = partial(self._decide_on_user, sign_in=rule.sets_attributes)
        while isinstance(decision := decide(principal, rule, rule.effect, user), NeedsTarget):
            reads.append(decision.read)
            user = (
                KnownUser(other)
                if decision.read is TargetRead.USER
                else KnownUser(other, frozenset())
            )
        if decision == Allowed(Effect.TAKES) and TargetRead.GROUPS in reads:
            reads.append(TargetRead.GROUPS)  # again, once the target is reserved
        return tuple(reads)

    def allowed_on_user(self, principal: Principal, user: KnownUser) -> frozenset[Action]:
        """Return the changes that the principal may make to a user.

        A change of a membership is among them if there is a group with which it is allowed.

        Raises:
            ValueError: Something that it depends on is not known about the user.
        """
        if user.sub is None or (user.groups is None and self.depends_on_groups(principal)):
            raise ValueError("the user has not been read")
        return frozenset(
            action
            for action, rule in self._rules.items()
            if action in principal.rights.actions and self._is_allowed_on(principal, rule, user)
        )

    def depends_on_groups(self, principal: Principal) -> bool:
        """Tell whether the principal's allowed changes to a user depend on the user's groups."""
        return not principal.rights.has_every and any(
            TargetRead.GROUPS in self.possible_reads(action)
            for action in self._rules
            if action in principal.rights.actions
        )

    def _is_allowed_on(self, principal: Principal, rule: Row, user: KnownUser) -> bool:
        if rule.target is TargetKind.GROUP or rule.creates:
            return False
        if rule.on_oneself is Oneself.ONLY:
            return _is_oneself(principal, user)
        effects = frozenset({rule.effect})
        if rule.target is TargetKind.MEMBERSHIP:
            effects = self._effects(principal.rights, rule)
        return any(
            isinstance(self._decide_on_user(principal, rule, effect, user), Allowed)
            for effect in effects
        )

    def _effects_on_groups(self, rights: Rights, rule: Row) -> frozenset[Effect]:
        """Return the effects of a change of a membership, with all groups that allow it."""
        return frozenset(
            rule.effect if self._grants.gives_rights(group) else Effect.NONE
            for group in self._grants.kinds_of_groups
            if self._refusal_of_group(Principal("", rights), rule, group) is None
        )

    def allowed_on_group(self, principal: Principal, group: str) -> frozenset[Action]:
        """Return the changes that the principal may make to a group.

        A change of a membership is among them if there can be a user with whom it is allowed.
        """
        nobody_else = KnownUser(f"not {principal.sub}", frozenset())
        targets = {
            TargetKind.GROUP: KnownTarget(group=group),
            TargetKind.MEMBERSHIP: KnownTarget(nobody_else, group),
        }
        return frozenset(
            action
            for action, rule in self._rules.items()
            if rule.target in targets
            and not rule.creates
            and isinstance(self.decide(principal, action, targets[rule.target]), Allowed)
        )

    def _refusal_of_group(self, principal: Principal, rule: Row, group: str) -> Denied | None:
        if self._grants.is_protected_group(group):
            return _PROTECTED_GROUP
        if not self._grants.are_within((group,), principal.rights):
            return _MORE_FROM_GROUP
        if rule.target is TargetKind.MEMBERSHIP and not is_listed(group, principal.rights.grants):
            return _NOT_GRANTED
        if (
            rule.target is TargetKind.GROUP
            and rule.effect is Effect.TAKES
            and self._grants.names_group(group)
        ):
            return _NAMED_GROUP
        return None

    def _decide_on_user(
        self,
        principal: Principal,
        rule: Row,
        effect: Effect,
        user: KnownUser,
        *,
        sign_in: bool = False,
    ) -> Decision:
        if not (principal.rights.has_every or self._knows_groups):
            return _UNKNOWN_RIGHTS
        return (
            self._decide_on_identity(principal, rule, effect, user, sign_in=sign_in)
            or self._decide_on_rights(principal, user)
            or Allowed(effect)
        )

    def _decide_on_identity(
        self, principal: Principal, rule: Row, effect: Effect, user: KnownUser, *, sign_in: bool
    ) -> Decision | None:
        """Decide by who the user is; None if that does not matter, or allows the action."""
        has_every = principal.rights.has_every
        on_oneself = not sign_in and _may_be_on_oneself(rule, effect, has_every=has_every)
        # The name may be an alias that the caller does not see: the user must be looked up.
        hides_aliases = principal.rights.sight.hides_aliases
        matters = not has_every or not on_oneself or self._grants.protects_users or hides_aliases
        if not matters:
            return None
        if user.sub is None:
            return NeedsTarget(TargetRead.USER)
        if self._grants.is_protected_user(user.sub):
            return _PROTECTED_USER
        return _OWN_ACCOUNT if _is_oneself(principal, user) and not on_oneself else None

    def _decide_on_rights(self, principal: Principal, user: KnownUser) -> Decision | None:
        """Decide by the rights of the user's groups; None if they allow the action."""
        if principal.rights.has_every:
            return None
        if user.groups is None:
            return NeedsTarget(TargetRead.GROUPS)
        return self._refusal_of_scope(principal, user.groups)

    def _refusal_of_scope(self, principal: Principal, groups: frozenset[str]) -> Denied | None:
        if not self._grants.are_within(groups, principal.rights):
            return _MORE_RIGHTS
        if any(map(self._grants.is_protected_group, groups)):
            return _PROTECTED_USER
        return None


def may_leave_unread(rule: Row) -> bool:
    """Tell whether an action may be done to a user by the name that was given, without a read.

    A caller with every right may do so, where no user is protected.

    Args:
        rule: The row of the action.
    """
    effects = {rule.effect}
    if rule.target is TargetKind.MEMBERSHIP:
        effects.add(Effect.NONE)  # that of a group without rights
    allowed = (_may_be_on_oneself(rule, effect, has_every=True) for effect in effects)
    return rule.is_on_existing_user and TargetRead.USER.value not in rule.checks and any(allowed)


def _may_be_on_oneself(rule: Row, effect: Effect, *, has_every: bool) -> bool:
    if effect is Effect.TAKES:
        return False
    if rule.target is TargetKind.MEMBERSHIP:
        return has_every or rule.effect is not Effect.GIVES
    return rule.on_oneself is not Oneself.NEVER


def _is_oneself(principal: Principal, user: KnownUser) -> bool:
    return not principal.is_machine and user.sub == principal.sub


def _forbidden(action: Action) -> Denied:
    return Denied(
        Reason.FORBIDDEN,
        f"You are not allowed to do this: it requires the action {action.label}.",
    )
