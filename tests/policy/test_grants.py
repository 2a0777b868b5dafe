"""What a policy gives to whom."""

import pytest

from graphql_admin.actions import Action
from graphql_admin.policy.file import read_policy
from graphql_admin.policy.grants import FOR_ANYONE, Grants, Policy, Rights
from graphql_admin.policy.sight import ALL

OPEN = frozenset(action for action in Action if action.open_to_signed_in)
POLICY = read_policy(
    """
    [groups]
    Admins = ["*"]
    Owners = ["*"]
    Support = ["getUser", "addUserToGroup"]
    Readers = ["listUsers"]
    "*" = ["listGroups"]
    "api/x" = ["listUsers"]
    Empty = ["viewer", "signUserOut"]
    [scopes]
    "api/all" = ["*"]
    "api/x" = ["addUserToGroup"]
    [grants]
    Owners = ["Support"]
    Support = ["Customers", "Beta"]
    "api/x" = ["Beta"]
    "*" = ["News"]
    Leads = ["Beta"]
    Nobodies = []
    [writes]
    Owners = ["name"]
    Support = ["email", "custom:plan"]
    "api/x" = ["phone_number", "phone_number_verified"]
    "*" = ["locale"]
    Writers = ["nickname"]
    [protected]
    groups = ["Billing"]
    users = ["6F1c0000-0000-4000-8000-000000000000"]
    """
)


def of_user(
    *groups: str, policy: Policy = POLICY, disabled: frozenset[Action] = frozenset()
) -> Rights:
    return Grants(policy, disabled).of_user(frozenset(groups))


def test_rights_of_groups() -> None:
    """A caller has the union of their groups, and what every signed-in user has."""
    of_all = frozenset({"locale"})
    assert of_user() == Rights(OPEN | {Action.LIST_GROUPS}, frozenset({"News"}), writes=of_all)
    assert of_user("Support", "Readers", "Unknown") == Rights(
        OPEN | {Action.LIST_GROUPS, Action.GET_USER, Action.ADD_USER_TO_GROUP, Action.LIST_USERS},
        frozenset({"News", "Customers", "Beta"}),
        writes=frozenset({"locale", "email", "email_verified", "custom:plan"}),
    )


def test_rights_of_everything() -> None:
    """Who has everything has all of every table, unless they are named there."""
    everything = frozenset(Action)
    assert of_user("Admins") == Rights(
        everything, frozenset({ALL, "News"}), has_every=True, writes=frozenset({ALL, "locale"})
    )
    assert of_user("Owners") == Rights(
        everything, frozenset({"Support", "News"}), writes=frozenset({"name", "locale"})
    )
    both = of_user("Admins", "Owners")
    assert both.grants >= {ALL}
    assert both.writes >= {ALL}


@pytest.mark.parametrize("table", ["grants", "writes"])
def test_every_right_is_of_every_table(table: str) -> None:
    """Who is limited in one of the tables has not every right."""
    text = f"groups.A = ['*']\ngroups.B = ['*']\n{table}.B = []"
    policy = read_policy(text)
    assert of_user("A", policy=policy).has_every
    assert not of_user("B", policy=policy).has_every


def test_attributes_that_may_be_set() -> None:
    """Those of the lists, with what they bring; all where there is no list."""
    support, machine = of_user("Support"), Grants(POLICY).of_machine(frozenset({"api/x"}))
    assert support.may_set("email_verified")
    assert not support.may_set("phone_number_verified")
    assert machine.writes == {"phone_number", "phone_number_verified"}
    assert of_user("Admins").may_set("anything")
    assert not of_user("Readers").may_set("name")
    assert of_user("Readers").may_set("locale")
    without = read_policy('groups.A = ["getUser"]')
    assert of_user("A", policy=without).may_set("name")
    # A group that is named has no more than that, and others have none of it.
    empty = read_policy('groups.A = ["*"]\ngroups.B = ["getUser"]\nwrites.A = []')
    assert not of_user("A", policy=empty).may_set("name")
    assert of_user("A", "B", policy=empty).writes == frozenset()


def test_rights_without_grants() -> None:
    """Without the table, actions alone say who may give which group."""
    assert of_user(policy=read_policy('groups.A = ["getUser"]')).grants == {ALL}


def test_rights_where_actions_are_disabled() -> None:
    """No caller has a disabled action, and who has more rights than whom stays as it was."""
    disabled = frozenset({Action.DISABLE_USER, Action.SIGN_USER_OUT})
    rights = of_user("Admins", disabled=disabled)
    assert rights.actions == frozenset(Action) - disabled
    assert rights.disabled == disabled
    assert rights.has_every
    others = [each.label for each in Action if each not in disabled | OPEN]
    policy = read_policy(f"groups.A = {others}\ngroups.B = ['disableUser']\nwrites.A = ['*']")
    assert not of_user("A", policy=policy, disabled=disabled).has_every
    for each in (frozenset[Action](), disabled):
        grants = Grants(policy, each)
        assert grants.gives_rights("B")
        assert not grants.are_within({"B"}, grants.of_user(frozenset({"A"})))
        assert grants.are_within({"B"}, grants.of_user(frozenset({"B"})))


@pytest.mark.parametrize("table", ["grants", "writes"])
def test_names_of_groups_and_scopes(table: str) -> None:
    """What a table lists for a scope is not for the group of that name, nor the reverse."""
    text = "groups.B = ['getUser']\nscopes.'api/a' = ['addUserToGroup']\n"
    grants = Grants(read_policy(f"{text}{table}.'api/a' = ['B']\n{table}.B = ['B']"))
    assert getattr(grants.of_machine(frozenset({"api/a"})), table) == {"B"}
    assert getattr(grants.of_machine(frozenset({"B"})), table) == set()
    assert getattr(grants.of_user(frozenset({"B"})), table) == {"B"}
    assert getattr(grants.of_user(frozenset({"api/a"})), table) == set()
    assert not grants.gives_rights("api/a")
    both = Grants(read_policy(f"{text}groups.'api/a' = ['getUser']\n{table}.'api/a' = ['B']"))
    assert getattr(both.of_user(frozenset({"api/a"})), table) == {"B"}


def test_rights_of_machines() -> None:
    """A machine has the union of its scopes: nothing of groups, or of every signed-in user."""
    grants = Grants(POLICY)
    assert grants.accepts_machines
    nothing = frozenset[str]()
    only = frozenset({Action.VIEWER})
    assert grants.of_machine(frozenset()) == Rights(only, nothing, writes=nothing)
    assert grants.of_machine(frozenset({"Admins", "*"})) == grants.of_machine(frozenset())
    assert grants.of_machine(frozenset({"api/x", "openid"})) == Rights(
        frozenset({Action.VIEWER, Action.ADD_USER_TO_GROUP}),
        frozenset({"Beta"}),
        writes=frozenset({"phone_number", "phone_number_verified"}),
    )
    assert grants.of_machine(frozenset({"api/all"})) == Rights(
        frozenset(Action) - {Action.SIGN_USER_OUT},
        frozenset({ALL}),
        has_every=True,
        writes=frozenset({ALL}),
    )


def test_machines_not_accepted() -> None:
    """Without the table there are no machines."""
    grants = Grants(read_policy('groups.A = ["*"]'))
    assert not grants.accepts_machines
    assert grants.of_machine(frozenset({"A"})).actions == {Action.VIEWER}


@pytest.mark.parametrize("groups", [["Admins"], ["Admins", "Owners"]])
def test_administrators(groups: list[str]) -> None:
    """Groups of administrators have every right, others those of every signed-in user."""
    policy = Policy.of_administrators(groups)
    for group in groups:
        assert of_user(group, policy=policy).has_every
    assert of_user("Other", policy=policy).actions == OPEN
    assert policy == read_policy("[groups]\n" + "\n".join(f"{name} = ['*']" for name in groups))


def test_every_user_an_administrator() -> None:
    """With `*` for administrators every signed-in user has the rights of before, and no more."""
    policy = Policy.of_administrators(["*"])
    assert of_user(policy=policy).actions == FOR_ANYONE
    assert of_user(policy=policy).has_every == (frozenset(Action) == FOR_ANYONE)


def test_groups_that_give_rights() -> None:
    """A group gives rights if its members may do, grant or set anything for being in it.

    That an action is disabled does not matter.
    """
    grants = Grants(POLICY, {Action.LIST_USERS})
    given = ["Admins", "Support", "Readers", "Leads", "Writers"]
    none = ["Empty", "Nobodies", "Customers", "*", "Billing"]
    assert [group for group in given + none if grants.gives_rights(group)] == given
    assert grants.actions_of_groups(["Support", "Readers", "Empty", "*", "Unknown"]) == {
        Action.GET_USER,
        Action.ADD_USER_TO_GROUP,
        Action.LIST_USERS,
    }


def test_protected() -> None:
    """Who is protected is known by `sub` in any letters, and groups by name."""
    grants = Grants(POLICY)
    assert grants.protects_users
    assert grants.is_protected_user("6f1C0000-0000-4000-8000-000000000000")
    assert not grants.is_protected_user("6f1c0000-0000-4000-8000-000000000001")
    assert [grants.is_protected_group(name) for name in ("Billing", "billing")] == [True, False]
    everything = Grants(
        read_policy("groups.A = ['*']\nprotected = {groups = ['*'], users = ['*']}")
    )
    assert everything.is_protected_user("any-sub")
    assert everything.is_protected_group("any")
    assert not Grants(Policy({})).protects_users


def test_named() -> None:
    """A group is named wherever it occurs in the policy; a scope is not a group."""
    named = {"Admins", "Owners", "Support", "Readers", "Empty", "api/x", "Customers", "Beta"}
    named |= {"News", "Leads", "Nobodies", "Writers", "Billing"}
    assert POLICY.named_groups == named
    assert Grants(POLICY).names_group("Beta")
    assert not Grants(POLICY).names_group("api/all")
    assert read_policy("groups.A = ['*']\nprotected.groups = ['*']").named_groups == {"A"}
    with_scope = "groups.A = ['*']\nscopes.'a/b' = ['*']\ngrants.'a/b' = ['*', 'C']"
    assert read_policy(with_scope).named_groups == {"A", "C"}


def test_attribute_that_gives_groups() -> None:
    """Whatever `[writes]` lists, the source of the groups in tokens takes every right."""
    policy = read_policy(
        "[groups]\nAdmins = ['*']\nSupport = ['createUser', 'updateUser']\n[scopes]\n"
        "'api/x' = ['createUser']\n'api/all' = ['*']\n"
        "[writes]\nSupport = ['*', 'custom:groups']\n'api/x' = ['*']\n"
    )
    grants = Grants(policy, groups_attribute="custom:groups")
    given = {
        "Admins": grants.of_user(frozenset({"Admins"})),
        "Support": grants.of_user(frozenset({"Support"})),
        "api/x": grants.of_machine(frozenset({"api/x"})),
        "api/all": grants.of_machine(frozenset({"api/all"})),
    }
    assert {name for name, each in given.items() if each.may_set("custom:groups")} == {
        "Admins",
        "api/all",
    }
    assert all(each.may_set("custom:plan") for each in given.values())
    assert Grants(policy).of_user(frozenset({"Support"})).may_set("custom:groups")
