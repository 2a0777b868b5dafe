"""What a policy gives: the rights of callers and of groups, and who is protected."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache

from graphql_admin.actions import Action

ALL = "*"
"""In a list of names: all there are."""

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
"""All that `ANYONE` can be given. An action that is added later is not among these: an upgrade
must not give it to every signed-in user because a policy of before says `*`."""

_NO_ACTIONS = frozenset[Action]()

NOT_FOR_MACHINES = frozenset({Action.SIGN_USER_OUT})
"""What a machine cannot be given: it has no sessions to end."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a policy gives a group or a scope."""

    actions: frozenset[Action]
    is_everything: bool = False
    """Whether it says `*`, which also stands for all of every other table."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a policy says, as it is written."""

    groups: Mapping[str, Given]
    """By the names of groups; `ANYONE` is every signed-in user."""

    scopes: Mapping[str, Given] | None = None
    """By the names of OAuth scopes; None where machines are not accepted."""

    grants: Mapping[str, frozenset[str]] | None = None
    """The groups that members of a group, or bearers of a scope, may add users to and remove
    users from; None where this depends on the actions alone."""

    protected_groups: frozenset[str] = frozenset()
    protected_users: frozenset[str] = frozenset()
    """By `sub`, in lower case."""

    @property
    def named_groups(self) -> frozenset[str]:
        """The groups of the pool that the policy speaks of, which had better be there."""
        grants = self.grants or {}
        others = (self.scopes or {}).keys() - self.groups.keys() | {ANYONE, ALL}
        given = frozenset(self.groups).union(grants, *grants.values())
        return (given - others) | (self.protected_groups - {ALL})

    @classmethod
    def of_administrators(cls, groups: Collection[str]) -> "Policy":
        """Return the policy that gives everything to the members of `groups`."""
        everything, for_anyone = Given(frozenset(Action), True), Given(FOR_ANYONE, True)
        return cls({group: for_anyone if group == ANYONE else everything for group in groups})


@dataclass(frozen=True, slots=True)
class Rights:
    """What a caller may do."""

    actions: frozenset[Action]

    grants: frozenset[str] = frozenset({ALL})
    """The groups that the caller may add users to and remove users from, as far as the table
    `[grants]` has a say in it."""

    has_every: bool = False
    """Whether these are all enabled actions, but for those that are for anyone signed in, and all
    groups."""


class Grants:
    """The policy of a server, to be asked. Disabled actions are given to nobody.

    Args:
        policy: What is written.
        disabled: Actions that nobody may do.
    """

    def __init__(self, policy: Policy, disabled: Collection[Action] = ()) -> None:
        self._policy = policy
        self._disabled = frozenset(disabled)
        enabled = frozenset(Action).difference(self._disabled)
        self._of_signed_in = frozenset(each for each in enabled if each.open_to_signed_in)
        self._every = enabled - self._of_signed_in
        """All that can be given, and makes a difference."""
        self._of_group = {
            # Cognito admits `*` as the name of a group, which gives its members nothing.
            name: given.actions & self._every
            for name, given in policy.groups.items()
            if name != ANYONE
        }
        grants = policy.grants or {}
        self._all_names = frozenset(policy.groups).union(
            grants, *grants.values(), policy.protected_groups
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
            groups: The user's, without `ANYONE`.
        """
        return self._rights(self._policy.groups, groups | {ANYONE}, self._of_signed_in)

    def _of_machine(self, scopes: frozenset[str]) -> Rights:
        """Return the rights of a machine, which is not a signed-in user.

        Args:
            scopes: Those of its token.
        """
        always = self._of_signed_in - NOT_FOR_MACHINES
        # Nothing keeps a scope from being called `*`, which is everyone in `[grants]`.
        rights = self._rights(self._policy.scopes or {}, scopes - {ANYONE}, always)
        return Rights(rights.actions - NOT_FOR_MACHINES, rights.grants, rights.has_every)

    def _rights(
        self, table: Mapping[str, Given], names: frozenset[str], always: frozenset[Action]
    ) -> Rights:
        given = {name: table[name] for name in names if name in table}
        actions = always.union(*(each.actions for each in given.values())) - self._disabled
        grants = self._grants_of(given, names)
        return Rights(
            actions=actions,
            grants=grants,
            has_every=self._every <= actions and ALL in grants,
        )

    def _grants_of(self, given: Mapping[str, Given], names: frozenset[str]) -> frozenset[str]:
        table = self._policy.grants
        if table is None:
            return frozenset({ALL})
        of_everything = {name for name, each in given.items() if each.is_everything}
        return frozenset().union(
            *(table[name] for name in names if name in table),
            {ALL} if of_everything.difference(table) else (),
        )

    def actions_of_groups(self, groups: Collection[str]) -> frozenset[Action]:
        """Return what these groups give, apart from what is for anyone who is signed in."""
        return _NO_ACTIONS.union(*(self._of_group.get(group, _NO_ACTIONS) for group in groups))

    def are_within(self, groups: Collection[str], rights: Rights) -> bool:
        """Tell whether all that these groups give is among `rights`."""
        if rights.has_every:
            return True
        if not self.actions_of_groups(groups) <= rights.actions:
            return False
        table = self._policy.groups
        names = frozenset(groups) - {ANYONE}
        given = {name: table[name] for name in names if name in table}
        return ALL in rights.grants or self._grants_of(given, names) <= rights.grants

    def gives_rights(self, group: str) -> bool:
        """Tell whether a member of the group may do anything, or grant anything, for being one."""
        grants = self._policy.grants or {}
        return group != ANYONE and bool(self._of_group.get(group) or grants.get(group))

    @property
    def protects_users(self) -> bool:
        """Whether any user is protected by `sub`."""
        return bool(self._policy.protected_users)

    def is_protected_user(self, sub: str) -> bool:
        """Tell whether nobody may change the user with this `sub`."""
        return is_listed(sub.lower(), self._policy.protected_users)

    def is_protected_group(self, group: str) -> bool:
        """Tell whether nobody may change the group, or who is in it."""
        return is_listed(group, self._policy.protected_groups)

    def names_group(self, group: str) -> bool:
        """Tell whether the policy speaks of the group, which then has to stay."""
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


def is_listed(name: str, names: frozenset[str]) -> bool:
    """Tell whether a list of a policy has `name` in it, or has all."""
    return name in names or ALL in names
