"""A policy: the rights of callers and of groups, and who is protected."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeAlias

from graphql_admin.actions import Action
from graphql_admin.policy.sight import ALL, WHOLE, Sight, sight_of, with_brought

ANYONE = "*"
"""In place of a group: every signed-in user."""

FOR_ANYONE = frozenset(
    {
        Action.LIST_USERS,
        Action.GET_USER,
        Action.LIST_GROUPS,
        Action.GET_GROUP,
        Action.LIST_GROUPS_FOR_USER,
        Action.LIST_USERS_IN_GROUP,
        Action.ADD_USER_TO_GROUP,
        Action.REMOVE_USER_FROM_GROUP,
        Action.CONFIRM_USER_SIGN_UP,
        Action.DISABLE_USER,
        Action.ENABLE_USER,
        Action.SIGN_USER_OUT,
        Action.VIEWER,
    }
)
"""The actions that `ANYONE` can be given. Actions that are added later are not among them: an
upgrade must not give them to every signed-in user because an older policy has `*`."""

_NO_ACTIONS = frozenset[Action]()

NOT_FOR_MACHINES = frozenset({Action.SIGN_USER_OUT})
"""The actions that a machine cannot be given: it has no sessions to end."""


@dataclass(frozen=True, slots=True)
class Given:
    """The rights that a policy gives a group or a scope."""

    actions: frozenset[Action]
    is_everything: bool = False
    """Whether it has `*`, which also implies everything in every other table."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy as it is written."""

    groups: Mapping[str, Given]
    """By group name; `ANYONE` is every signed-in user."""

    scopes: Mapping[str, Given] | None = None
    """By OAuth scope; None if machines are not accepted."""

    grants: Mapping[str, frozenset[str]] | None = None
    """The groups that members of a group, or clients with a scope, may add users to and remove
    users from; None if this depends on the actions alone."""

    writes: Mapping[str, frozenset[str]] | None = None
    """The attributes that members of a group, or clients with a scope, may set; None if this
    depends on the actions alone."""

    reads: Mapping[str, frozenset[str]] | None = None
    """The attributes that members of a group, or clients with a scope, see; None if they see all
    but the masked ones."""

    masks: Mapping[str, frozenset[str]] | None = None
    """The attributes that they see in part; None if none are masked."""

    protected_groups: frozenset[str] = frozenset()
    protected_users: frozenset[str] = frozenset()
    """By `sub`, in lower case."""

    @property
    def named_groups(self) -> frozenset[str]:
        """The groups of the pool that the policy names, and that should exist."""
        others = (self.scopes or {}).keys() - self.groups.keys() | {ANYONE, ALL}
        given = self.named_in_lists.union(self.groups, *(self.grants or {}).values())
        return (given - others) | (self.protected_groups - {ALL})

    @property
    def named_attributes(self) -> frozenset[str]:
        """The attributes that the policy names, and that the pool should have."""
        tables = (self.writes, self.reads, self.masks)
        lists = (listed for table in tables if table for listed in table.values())
        return frozenset[str]().union(*lists) - {ALL}

    @property
    def named_in_lists(self) -> frozenset[str]:
        """The groups and scopes that have a list of groups or attributes."""
        tables = (self.grants, self.writes, self.reads, self.masks)
        return frozenset[str]().union(*(table for table in tables if table))

    @classmethod
    def of_administrators(cls, groups: Collection[str]) -> "Policy":
        """Return the policy that gives every right to the members of `groups`."""
        everything, for_anyone = Given(frozenset(Action), True), Given(FOR_ANYONE, True)
        return cls({group: for_anyone if group == ANYONE else everything for group in groups})


@dataclass(frozen=True, slots=True)
class Rights:
    """The rights of a caller."""

    actions: frozenset[Action]
    """Those that the caller may do here."""

    grants: frozenset[str] = frozenset({ALL})
    """The groups that the caller may add users to and remove users from, as far as the table
    `[grants]` restricts them."""

    has_every: bool = False
    """Whether these are all groups, all attributes to set and all actions, apart from those that
    every signed-in user has, and no group sees more of any attribute."""

    writes: frozenset[str] = frozenset({ALL})
    """The attributes that the caller may set, as far as the table `[writes]` restricts them."""

    groups_attribute: str | None = None
    """The attribute from which tokens have their groups. To set it is to give any right, so only
    who has every right may, whatever `[writes]` lists."""
    sight: Sight = WHOLE
    """The attributes of users that the caller sees."""

    disabled: frozenset[Action] = frozenset()
    """The actions that the policy gives, and that are disabled in this process. They count for
    scope: in another process, or later, they may not be disabled."""

    def may_set(self, attribute: str) -> bool:
        """Tell whether the rights allow to set an attribute."""
        if attribute == self.groups_attribute and not self.has_every:
            return False
        return is_listed(attribute, self.writes)


class Grants:
    """The policy of a server, evaluated.

    A group or a caller has no fewer rights where some actions are disabled: no caller may do these,
    but who has more rights than whom depends on the policy alone.

    Args:
        policy: The policy as it is written.
        disabled: The disabled actions.
        groups_attribute: The attribute from which tokens have their groups; None if they are the
            pool's.
    """

    def __init__(
        self,
        policy: Policy,
        disabled: Collection[Action] = (),
        *,
        groups_attribute: str | None = None,
    ) -> None:
        self._policy = policy
        self.groups_attribute = groups_attribute
        self._disabled = frozenset(disabled)
        self._of_signed_in = frozenset(each for each in Action if each.open_to_signed_in)
        self._every = frozenset(Action) - self._of_signed_in
        """All that can be given, and makes a difference."""
        self._of_group = {
            # Cognito allows `*` as the name of a group, which gives its members no rights.
            name: given.actions & self._every
            for name, given in policy.groups.items()
            if name != ANYONE
        }
        grants = policy.grants or {}
        writes = _with_brought(policy.writes)
        reads, masks = _with_brought(policy.reads), policy.masks
        scopes = frozenset(policy.scopes or ())
        groups = policy.named_in_lists.union(policy.groups) - (scopes - policy.groups.keys())
        # A group in the pool may have the name of a scope, and a scope that of a group.
        self._lists_of_groups = _of(groups, policy.grants), _of(groups, writes)
        self._lists_of_scopes = _of(scopes, policy.grants), _of(scopes, writes)
        self._seen_by_groups = _of(groups, reads), _of(groups, masks)
        self._seen_by_any = _sight_of(self._seen_by_groups, policy.groups, groups | {ANYONE})
        self._seen_by_scopes = _of(scopes, reads), _of(scopes, masks)
        self._all_names = policy.named_in_lists.union(
            policy.groups, *grants.values(), policy.protected_groups
        )
        self._other = "?" * (1 + max(map(len, self._all_names), default=0))
        # Tokens repeat, and a write asks for what a group gives more than once.
        self.of_user = lru_cache(maxsize=1024)(self._of_user)
        self.of_machine = lru_cache(maxsize=1024)(self._of_machine)

    @property
    def accepts_machines(self) -> bool:
        """Whether the policy gives rights to scopes."""
        return self._policy.scopes is not None

    def _of_user(self, groups: frozenset[str]) -> Rights:
        """Return the rights of a user.

        Args:
            groups: The user's groups, without `ANYONE`.
        """
        names = groups | {ANYONE}
        lists, seen = self._lists_of_groups, self._seen_by_groups
        return self._rights(self._policy.groups, names, self._of_signed_in, lists, seen)

    def _of_machine(self, scopes: frozenset[str]) -> Rights:
        """Return the rights of a machine, which is not a signed-in user.

        Args:
            scopes: The scopes of its token.
        """
        always = self._of_signed_in - NOT_FOR_MACHINES
        # A scope may be named `*`, which means every user in `[grants]`.
        table, names = self._policy.scopes or {}, scopes - {ANYONE}
        rights = self._rights(table, names, always, self._lists_of_scopes, self._seen_by_scopes)
        return replace(rights, actions=rights.actions - NOT_FOR_MACHINES)

    def _rights(
        self,
        table: Mapping[str, Given],
        names: frozenset[str],
        always: frozenset[Action],
        lists: "_Lists",
        seen: "_Lists",
    ) -> Rights:
        given = {name: table[name] for name in names if name in table}
        actions = always.union(*(each.actions for each in given.values()))
        grants, writes = (_listed_for(each, given, names) for each in lists)
        sight = _sight_of(seen, given, names)
        is_all = self._every <= actions and ALL in grants and ALL in writes
        return Rights(
            actions=actions - self._disabled,
            grants=grants,
            has_every=is_all and sight.covers(self._seen_by_any),
            writes=writes,
            groups_attribute=self.groups_attribute,
            sight=sight,
            disabled=actions & self._disabled,
        )

    def actions_of_groups(self, groups: Collection[str]) -> frozenset[Action]:
        """Return the actions that these groups give, apart from those of every signed-in user."""
        return _NO_ACTIONS.union(*(self._of_group.get(group, _NO_ACTIONS) for group in groups))

    def are_within(self, groups: Collection[str], rights: Rights) -> bool:
        """Tell whether all rights that these groups give are among `rights`."""
        if rights.has_every:
            return True
        if not self.actions_of_groups(groups) <= rights.actions | rights.disabled:
            return False
        table = self._policy.groups
        names = frozenset(groups) - {ANYONE}
        given = {name: table[name] for name in names if name in table}
        if not rights.sight.is_whole:
            sight = _sight_of(self._seen_by_groups, given, names)
            if not rights.sight.covers(sight):
                return False
        lists = zip(self._lists_of_groups, (rights.grants, rights.writes), strict=True)
        return all(ALL in own or _listed_for(each, given, names) <= own for each, own in lists)

    def gives_rights(self, group: str) -> bool:
        """Tell whether the group gives its members any right.

        That is an action, a group in `[grants]`, or an attribute in `[writes]`, `[reads]` or
        `[masks]`.
        """
        tables = (self._of_group, *self._lists_of_groups, *self._seen_by_groups)
        return group != ANYONE and any(table.get(group) for table in tables if table)

    @property
    def protects_users(self) -> bool:
        """Whether any user is protected by `sub`."""
        return bool(self._policy.protected_users)

    def is_protected_user(self, sub: str) -> bool:
        """Tell whether the user with this `sub` is protected."""
        return is_listed(sub.lower(), self._policy.protected_users)

    def is_protected_group(self, group: str) -> bool:
        """Tell whether the group, and its membership, is protected."""
        return is_listed(group, self._policy.protected_groups)

    def names_group(self, group: str) -> bool:
        """Tell whether the policy names the group, which then must not be deleted."""
        return group in self._policy.named_groups

    @property
    def kinds_of_groups(self) -> frozenset[str]:
        """The names in the policy that can be a group's, and one for all groups beside these."""
        return self._all_names - {ALL, ANYONE} | {self._other}

    def stand_in(self, group: str) -> str:
        """Return the group; one name for all those whose names the policy has nowhere.

        To the policy they are alike. So what depends on a group can be remembered by this name,
        and no memory goes to names that a client made up.
        """
        return group if group in self._all_names else self._other


_Table: TypeAlias = Mapping[str, frozenset[str]] | None
_Lists: TypeAlias = tuple[_Table, _Table]
"""The tables `[grants]` and `[writes]`, or `[reads]` and `[masks]`."""


def _with_brought(table: _Table) -> _Table:
    return table and {name: with_brought(listed) for name, listed in table.items()}


def _sight_of(seen: _Lists, given: Mapping[str, Given], names: frozenset[str]) -> Sight:
    """Return what members of some groups, or clients with some scopes, see; as `_listed_for`."""
    reads, masks = seen
    everything = {name for name, each in given.items() if each.is_everything}
    return sight_of(names, acting=given, everything=everything, reads=reads, masks=masks)


def _of(names: frozenset[str], table: _Table) -> _Table:
    """Return the part of a table that is about these names."""
    if table is None:
        return None
    return {name: listed for name, listed in table.items() if name in names}


def _listed_for(table: _Table, given: Mapping[str, Given], names: frozenset[str]) -> frozenset[str]:
    """Return what a table lists for any of some groups or scopes; everything without the table.

    Args:
        table: Lists by group or scope.
        given: The actions of those groups or scopes that have any.
        names: The groups or scopes.
    """
    if table is None:
        return frozenset({ALL})
    of_everything = {name for name, each in given.items() if each.is_everything}
    return frozenset().union(
        *(table[name] for name in names if name in table),
        {ALL} if of_everything.difference(table) else (),
    )


def is_listed(name: str, names: frozenset[str]) -> bool:
    """Tell whether a list of a policy contains `name` or `*`."""
    return name in names or ALL in names
