"""On whom one may act: every action, for every kind of caller, on every kind of target."""

import tracemalloc
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphql_admin.actions import Action, Effect, Oneself
from graphql_admin.cognito.operations import is_read
from graphql_admin.policy.decisions import (
    RULES,
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
from graphql_admin.policy.grants import FOR_ANYONE, Given, Grants, Policy, Rights
from graphql_admin.policy.sight import ALL
from graphql_admin.targets import TargetKind

CHANGES = frozenset(
    action
    for action, rule in RULES.items()
    if rule.target is not TargetKind.GROUP
    and rule.on_oneself is not Oneself.ONLY
    and action is not Action.CREATE_USER
)
"""What is done to users who are there."""
TAKING_OVER = frozenset(
    {
        Action.DISABLE_USER,
        Action.DELETE_USER,
        Action.SET_USER_PASSWORD,
        Action.RESET_USER_PASSWORD,
        Action.SET_USER_DEVICE_REMEMBERED,
        Action.RATE_USER_AUTH_EVENT,
        Action.LINK_USER_IDENTITY,
        Action.UNLINK_USER_IDENTITY,
        Action.SET_USER_MFA,
        Action.DELETE_USER_TOTP,
    }
)
"""What no caller may do to themselves."""
PROTECTED = "6f1c0000-0000-4000-8000-000000000000"

POLICY = Policy(
    groups={
        "Admins": Given(frozenset(Action), is_everything=True),
        "Support": Given(CHANGES),
        "Helpers": Given(frozenset({Action.ENABLE_USER})),
    },
    scopes={
        "api/all": Given(frozenset(Action), is_everything=True),
        "api/support": Given(CHANGES),
    },
    grants={
        "Support": frozenset({"Customers", "Helpers", "Support", "Admins"}),
        "api/support": frozenset({"Customers", "Helpers", "Support", "Admins"}),
    },
    protected_groups=frozenset({"Billing"}),
    protected_users=frozenset({PROTECTED}),
)
UNPROTECTED = replace(POLICY, protected_users=frozenset())


def principal(policy: Policy, *groups: str, sub: str = "caller") -> Principal:
    return Principal(sub, Grants(policy).of_user(frozenset(groups)))


def machine(policy: Policy, *scopes: str) -> Principal:
    return Principal("client", Grants(policy).of_machine(frozenset(scopes)), is_machine=True)


CALLERS = {
    "admin": lambda policy: principal(policy, "Admins"),
    "support": lambda policy: principal(policy, "Support"),
    "nobody": lambda policy: principal(policy, "Customers"),
    "machine": lambda policy: machine(policy, "api/all"),
    "support machine": lambda policy: machine(policy, "api/support"),
}

TARGETS = {
    "plain": KnownUser("plain", frozenset({"Customers", "*"})),
    "helper": KnownUser("helper", frozenset({"Helpers"})),
    "equal": KnownUser("equal", frozenset({"Support"})),
    "more": KnownUser("more", frozenset({"Support", "Admins"})),
    "protected": KnownUser(PROTECTED.upper(), frozenset()),
    "in Billing": KnownUser("biller", frozenset({"Billing"})),
    "oneself": KnownUser("caller", frozenset({"Support"})),
}


def ask(
    decisions: Decisions, caller: Principal, action: Action, group: str | None, user: KnownUser
) -> tuple[Decision, str]:
    """Return the decision and the initials of what had to be read for it, one after another."""
    known, reads = KnownUser(), ""
    while True:
        decision = decisions.decide(caller, action, KnownTarget(known, group))
        if not isinstance(decision, NeedsTarget):
            return decision, reads
        assert decision.read.name[0] not in reads
        reads += decision.read.name[0]
        if decision.read is TargetRead.USER:
            known = replace(known, sub=user.sub)
        else:
            assert known.sub
            known = replace(known, groups=user.groups)


def put(decision: Decision) -> str:
    if isinstance(decision, Denied):
        assert decision.message.endswith(".")
        return decision.reason.value
    assert isinstance(decision, Allowed)
    return decision.effect.value


SCOPE, OWN = "OUT_OF_SCOPE", "OWN_ACCOUNT"
LIMITED: dict[tuple[Action, str | None], list[str]] = {
    # plain, helper, equal, more, protected, in Billing, self
    (Action.CONFIRM_USER_SIGN_UP, None): [
        "none UG", "none UG", "none UG", f"{SCOPE} UG", f"{SCOPE} U", f"{SCOPE} UG", "none UG"],
    (Action.ENABLE_USER, None): [
        "gives UG", "gives UG", "gives UG", f"{SCOPE} UG", f"{SCOPE} U", f"{SCOPE} UG",
        "gives UG"],
    (Action.DISABLE_USER, None): [
        "takes UG", "takes UG", "takes UG", f"{SCOPE} UG", f"{SCOPE} U", f"{SCOPE} UG",
        f"{OWN} U"],
    (Action.DELETE_USER, None): [
        "takes UG", "takes UG", "takes UG", f"{SCOPE} UG", f"{SCOPE} U", f"{SCOPE} UG",
        f"{OWN} U"],
    (Action.END_USER_SESSIONS, None): [
        "none UG", "none UG", "none UG", f"{SCOPE} UG", f"{SCOPE} U", f"{SCOPE} UG", "none UG"],
    (Action.RESEND_INVITATION, None): [
        "none UG", "none UG", "none UG", f"{SCOPE} UG", f"{SCOPE} U", f"{SCOPE} UG", "none UG"],
    (Action.UPDATE_USER, None): [
        "none UG", "none UG", "none UG", f"{SCOPE} UG", f"{SCOPE} U", f"{SCOPE} UG", "none UG"],
    (Action.SET_USER_PASSWORD, None): [
        "none UG", "none UG", "none UG", f"{SCOPE} UG", f"{SCOPE} U", f"{SCOPE} UG", f"{OWN} U"],
    (Action.RESET_USER_PASSWORD, None): [
        "none UG", "none UG", "none UG", f"{SCOPE} UG", f"{SCOPE} U", f"{SCOPE} UG", f"{OWN} U"],
    (Action.FORGET_USER_DEVICE, None): [
        "none UG", "none UG", "none UG", f"{SCOPE} UG", f"{SCOPE} U", f"{SCOPE} UG", "none UG"],
    (Action.SET_USER_DEVICE_REMEMBERED, None): [
        "none UG", "none UG", "none UG", f"{SCOPE} UG", f"{SCOPE} U", f"{SCOPE} UG", f"{OWN} U"],
    (Action.RATE_USER_AUTH_EVENT, None): [
        "none UG", "none UG", "none UG", f"{SCOPE} UG", f"{SCOPE} U", f"{SCOPE} UG", f"{OWN} U"],
    (Action.LINK_USER_IDENTITY, None): [
        "none UG", "none UG", "none UG", f"{SCOPE} UG", f"{SCOPE} U", f"{SCOPE} UG", f"{OWN} U"],
    (Action.UNLINK_USER_IDENTITY, None): [
        "none UG", "none UG", "none UG", f"{SCOPE} UG", f"{SCOPE} U", f"{SCOPE} UG", f"{OWN} U"],
    (Action.ADD_USER_TO_GROUP, "Customers"): [
        "none UG", "none UG", "none UG", f"{SCOPE} UG", f"{SCOPE} U", f"{SCOPE} UG",
        f"{OWN} U"],
    (Action.ADD_USER_TO_GROUP, "Helpers"): [
        "gives UG", "gives UG", "gives UG", f"{SCOPE} UG", f"{SCOPE} U", f"{SCOPE} UG",
        f"{OWN} U"],
    (Action.REMOVE_USER_FROM_GROUP, "Customers"): [
        "none UG", "none UG", "none UG", f"{SCOPE} UG", f"{SCOPE} U", f"{SCOPE} UG", "none UG"],
    (Action.REMOVE_USER_FROM_GROUP, "Support"): [
        "takes UG", "takes UG", "takes UG", f"{SCOPE} UG", f"{SCOPE} U", f"{SCOPE} UG",
        f"{OWN} U"],
    (Action.ADD_USER_TO_GROUP, "Admins"): [f"{SCOPE} "] * 7,
    (Action.REMOVE_USER_FROM_GROUP, "Admins"): [f"{SCOPE} "] * 7,
    (Action.ADD_USER_TO_GROUP, "Billing"): [f"{SCOPE} "] * 7,
    (Action.REMOVE_USER_FROM_GROUP, "Billing"): [f"{SCOPE} "] * 7,
    # A group that [grants] does not list.
    (Action.ADD_USER_TO_GROUP, "Beta"): [f"{SCOPE} "] * 7,
    (Action.REMOVE_USER_FROM_GROUP, "Beta"): [f"{SCOPE} "] * 7,
}  # fmt: skip
EVERY: dict[tuple[Action, str | None], list[str]] = {
    # The same, where no user is protected by `sub`.
    (Action.CONFIRM_USER_SIGN_UP, None): ["none "] * 7,
    (Action.ENABLE_USER, None): ["gives "] * 7,
    (Action.DISABLE_USER, None): ["takes U"] * 6 + [f"{OWN} U"],
    (Action.DELETE_USER, None): ["takes U"] * 6 + [f"{OWN} U"],
    (Action.END_USER_SESSIONS, None): ["none "] * 7,
    (Action.RESEND_INVITATION, None): ["none "] * 7,
    (Action.UPDATE_USER, None): ["none "] * 7,
    (Action.SET_USER_PASSWORD, None): ["none U"] * 6 + [f"{OWN} U"],
    (Action.RESET_USER_PASSWORD, None): ["none U"] * 6 + [f"{OWN} U"],
    (Action.FORGET_USER_DEVICE, None): ["none "] * 7,
    (Action.SET_USER_DEVICE_REMEMBERED, None): ["none U"] * 6 + [f"{OWN} U"],
    (Action.RATE_USER_AUTH_EVENT, None): ["none U"] * 6 + [f"{OWN} U"],
    (Action.LINK_USER_IDENTITY, None): ["none U"] * 6 + [f"{OWN} U"],
    (Action.UNLINK_USER_IDENTITY, None): ["none U"] * 6 + [f"{OWN} U"],
    (Action.ADD_USER_TO_GROUP, "Beta"): ["none "] * 7,
    (Action.ADD_USER_TO_GROUP, "Admins"): ["gives "] * 7,
    (Action.REMOVE_USER_FROM_GROUP, "Beta"): ["none "] * 7,
    (Action.REMOVE_USER_FROM_GROUP, "Admins"): ["takes U"] * 6 + [f"{OWN} U"],
    (Action.ADD_USER_TO_GROUP, "Billing"): [f"{SCOPE} "] * 7,
    (Action.REMOVE_USER_FROM_GROUP, "Billing"): [f"{SCOPE} "] * 7,
}  # fmt: skip


def cells(table: dict[tuple[Action, str | None], list[str]]) -> list[Any]:
    # Written by hand for those that there were first; `test_denials` derives it for all.
    assert {action for action, _ in table} <= CHANGES
    return [
        pytest.param(action, group, target, said, id=f"{action.label}-{group}-{target}")
        for (action, group), row in table.items()
        for target, said in zip(TARGETS, row, strict=True)
    ]


@pytest.mark.parametrize(("action", "group", "target", "said"), cells(LIMITED))
def test_limited_caller(action: Action, group: str | None, target: str, said: str) -> None:
    """Who has not every right acts on their own scope, with both reads."""
    for policy in (POLICY, UNPROTECTED):
        decisions = Decisions(Grants(policy))
        outcome, _, reads = said.rpartition(" ")
        if policy is UNPROTECTED and target == "protected":
            plain = LIMITED[action, group][0]
            outcome, _, reads = plain.rpartition(" ")
        decision = ask(decisions, CALLERS["support"](policy), action, group, TARGETS[target])
        assert (put(decision[0]), decision[1]) == (outcome, reads)
        # A machine is limited in the same way, but no target is itself.
        user = TARGETS[target]
        decision = ask(decisions, CALLERS["support machine"](policy), action, group, user)
        if target == "oneself":
            outcome, _, reads = LIMITED[action, group][2].rpartition(" ")
        assert (put(decision[0]), decision[1]) == (outcome, reads)


@pytest.mark.parametrize(("action", "group", "target", "said"), cells(EVERY))
def test_caller_with_every_right(action: Action, group: str | None, target: str, said: str) -> None:
    """A caller with every right needs no read, except of who it is that loses rights."""
    decisions = Decisions(Grants(UNPROTECTED))
    outcome, _, reads = said.rpartition(" ")
    decision = ask(decisions, CALLERS["admin"](UNPROTECTED), action, group, TARGETS[target])
    assert (put(decision[0]), decision[1]) == (outcome, reads)
    if target != "oneself":
        user = TARGETS[target]
        assert ask(decisions, CALLERS["machine"](UNPROTECTED), action, group, user) == decision


@pytest.mark.parametrize(("action", "group", "target", "said"), cells(EVERY))
def test_caller_with_every_right_where_users_are_protected(
    action: Action, group: str | None, target: str, said: str
) -> None:
    """If any user is protected by `sub`, every change of a user first reads who it is."""
    outcome, _, reads = said.rpartition(" ")
    if group != "Billing":
        outcome = SCOPE if target == "protected" else outcome
        reads = "U" if target == "protected" else reads or "U"
    decision = ask(
        Decisions(Grants(POLICY)), CALLERS["admin"](POLICY), action, group, TARGETS[target]
    )
    assert (put(decision[0]), decision[1]) == (outcome, reads)


@pytest.mark.parametrize("action", RULES)
@pytest.mark.parametrize("target", TARGETS)
def test_caller_without_the_right(action: Action, target: str) -> None:
    """A caller without the right is refused before anything is read, whatever the target."""
    rule = RULES[action]
    rights = replace(principal(POLICY, "Admins").rights, actions=frozenset(Action) - {action})
    wanted = KnownTarget(
        TARGETS[target] if action in CHANGES else None,
        None if rule.target is TargetKind.USER else "Beta",
    )
    decision = Decisions(Grants(POLICY)).decide(Principal("caller", rights), action, wanted)
    assert isinstance(decision, Denied)
    assert decision.reason is Reason.FORBIDDEN
    assert action.label in decision.message


def test_sign_out() -> None:
    """Every user can sign themselves out, protected ones too; a machine has no session."""
    decisions = Decisions(Grants(POLICY))
    for groups in [(), ("Admins",)]:
        caller = principal(POLICY, *groups, sub=PROTECTED)
        assert decisions.decide(caller, Action.SIGN_USER_OUT, KnownTarget()) == Allowed()
    refused = decisions.decide(machine(POLICY, "api/all"), Action.SIGN_USER_OUT, KnownTarget())
    assert put(refused) == "FORBIDDEN"


@pytest.mark.parametrize(("action", "group", "target", "said"), cells(EVERY))
def test_groups_from_the_token_alone(
    action: Action, group: str | None, target: str, said: str
) -> None:
    """Where the pool's groups say nothing, only who has every right changes users at all."""
    decisions = Decisions(Grants(UNPROTECTED), knows_groups=False)
    user = replace(TARGETS[target], groups=None)
    outcome, _, reads = said.rpartition(" ")
    decision = ask(decisions, CALLERS["admin"](UNPROTECTED), action, group, user)
    assert (put(decision[0]), decision[1]) == (outcome, reads)
    limited = ask(decisions, CALLERS["support"](UNPROTECTED), action, group, user)
    assert (put(limited[0]), limited[1]) == (SCOPE, "")
    assert decisions.possible_reads(action) == (TargetRead.USER,)


@pytest.mark.parametrize("action", Action)
def test_possible_reads(action: Action) -> None:
    """What is priced and needs a right of IAM is what decisions may ask for."""
    if action in CHANGES:
        assert Decisions(Grants(POLICY)).possible_reads(action) == (
            TargetRead.USER,
            TargetRead.GROUPS,
        )
    elif action in RULES:
        assert Decisions(Grants(POLICY)).possible_reads(action) == ()


@pytest.mark.parametrize(
    ("action", "target"),
    [
        (Action.ADD_USER_TO_GROUP, KnownTarget(KnownUser())),
        (Action.ADD_USER_TO_GROUP, KnownTarget(None, "Beta")),
        (Action.ENABLE_USER, KnownTarget(KnownUser(), "Beta")),
        (Action.ENABLE_USER, KnownTarget()),
        (Action.SIGN_USER_OUT, KnownTarget(KnownUser())),
    ],
)
def test_target_of_another_kind(action: Action, target: KnownTarget) -> None:
    """A check of half a target is none."""
    with pytest.raises(ValueError, match="is not for"):
        Decisions(Grants(POLICY)).decide(principal(POLICY, "Admins"), action, target)


@pytest.mark.parametrize("knows_groups", [True, False])
@pytest.mark.parametrize("caller", CALLERS)
def test_creating_a_user(caller: str, knows_groups: bool) -> None:
    """Who has the action may: a new user is in no group, and of nobody's rights."""
    decisions = Decisions(Grants(POLICY), knows_groups=knows_groups)
    create = Action.CREATE_USER
    rights = Rights(frozenset({create}), writes=frozenset())
    assert decisions.decide(Principal("caller", rights), create, KnownTarget()) == Allowed()
    who = CALLERS[caller](POLICY)
    has_it = caller in {"admin", "machine"}
    assert put(decisions.decide(who, create, KnownTarget())) == ("none" if has_it else "FORBIDDEN")
    assert decisions.possible_reads(create) == decisions.most_reads(who, create) == ()
    for user in TARGETS.values():
        assert create not in decisions.allowed_on_user(who, replace(user, groups=frozenset()))


@pytest.mark.parametrize("policy", [POLICY, UNPROTECTED])
@pytest.mark.parametrize("caller", ["admin", "support", "machine", "support machine"])
def test_attributes_that_decide_who_signs_in(caller: str, policy: Policy) -> None:
    """No caller gives their own account another address, and who it is is read before."""
    decisions, who = Decisions(Grants(policy)), CALLERS[caller](policy)
    for name, user in TARGETS.items():
        plain, _ = ask(decisions, who, Action.UPDATE_USER, None, user)
        unread = decisions.decide(
            who, Action.UPDATE_USER, KnownTarget(KnownUser(), None, sign_in=True)
        )
        assert unread == NeedsTarget(TargetRead.USER)
        decision = decisions.decide(who, Action.UPDATE_USER, KnownTarget(user, None, sign_in=True))
        is_own = name == "oneself" and not who.is_machine
        assert put(decision) == (OWN if is_own else put(plain))
    assert decisions.most_reads(who, Action.UPDATE_USER)[0] is TargetRead.USER


def test_attributes_as_rights() -> None:
    """A group that gives attributes gives rights: it takes them to act on its members."""
    policy = replace(
        UNPROTECTED,
        groups={
            "Admins": Given(frozenset(Action), is_everything=True),
            "Support": Given(CHANGES),
            "Leads": Given(frozenset()),
            "Peers": Given(CHANGES),
        },
        grants=None,
        writes={
            "Support": frozenset({"name", "email"}),
            "Leads": frozenset({"name", "custom:plan"}),
            "Peers": frozenset({"name", "email_verified"}),
        },
    )
    grants = Grants(policy)
    decisions, who = Decisions(grants), principal(policy, "Support")
    for group, may in {"Leads": False, "Peers": True, "Other": True, "Admins": False}.items():
        user = KnownUser("other", frozenset({group}))
        add = decisions.decide(
            who, Action.ADD_USER_TO_GROUP, KnownTarget(KnownUser("x", frozenset()), group)
        )
        assert isinstance(add, Allowed) == may
        disable = decisions.decide(who, Action.DISABLE_USER, KnownTarget(user))
        assert isinstance(disable, Allowed) == may
    assert grants.gives_rights("Leads")


GROUP_CHANGES = frozenset({Action.CREATE_GROUP, Action.UPDATE_GROUP, Action.DELETE_GROUP})


@pytest.mark.parametrize(
    ("caller", "group", "deleted", "others"),
    [
        # A group that the policy does not name gives no rights.
        ("admin", "Beta", "none", "none"),
        ("admin", "Admins", SCOPE, "none"),
        ("admin", "Customers", SCOPE, "none"),  # named as one that may be given
        ("admin", "Billing", SCOPE, SCOPE),
        ("groups", "Beta", "none", "none"),
        ("groups", "Admins", SCOPE, SCOPE),
        ("groups", "Helpers", SCOPE, SCOPE),
        ("groups", "Billing", SCOPE, SCOPE),
    ],
)
def test_groups_that_the_policy_names(caller: str, group: str, deleted: str, others: str) -> None:
    """A group that the policy names is never deleted; a protected one is not changed either."""
    keeper = Principal("caller", Rights(GROUP_CHANGES))
    who = CALLERS["admin"](POLICY) if caller == "admin" else keeper
    decisions = Decisions(Grants(POLICY))
    for action in GROUP_CHANGES:
        said = deleted if action is Action.DELETE_GROUP else others
        assert put(decisions.decide(who, action, KnownTarget(group=group))) == said
        offered = said != SCOPE and action is not Action.CREATE_GROUP  # which is there
        assert (action in decisions.allowed_on_group(who, group)) == offered
        assert decisions.possible_reads(action) == ()


def test_machine_is_nobody() -> None:
    """A machine is not a user, even if one had its id for a `sub`."""
    caller = replace(machine(UNPROTECTED, "api/all"), sub="caller")
    decision, _ = ask(
        Decisions(Grants(UNPROTECTED)), caller, Action.DISABLE_USER, None, TARGETS["oneself"]
    )
    assert decision == Allowed(Effect.TAKES)


ALLOWED_ON_USER = {
    ("admin", "plain"): CHANGES,
    ("admin", "more"): CHANGES,
    ("admin", "protected"): frozenset(),
    ("admin", "in Billing"): CHANGES,
    ("admin", "oneself"): CHANGES - TAKING_OVER | {Action.SIGN_USER_OUT},
    ("support", "plain"): CHANGES,
    ("support", "equal"): CHANGES,
    ("support", "more"): frozenset(),
    ("support", "protected"): frozenset(),
    ("support", "in Billing"): frozenset(),
    ("support", "oneself"): CHANGES - TAKING_OVER - {Action.ADD_USER_TO_GROUP}
    | {Action.SIGN_USER_OUT},
    ("nobody", "plain"): frozenset(),
    ("nobody", "oneself"): {Action.SIGN_USER_OUT},
    ("machine", "more"): CHANGES,
    ("support machine", "more"): frozenset(),
    ("support machine", "equal"): CHANGES,
}


@pytest.mark.parametrize(("caller", "target"), ALLOWED_ON_USER)
def test_allowed_on_user(caller: str, target: str) -> None:
    """A frontend is told what it may offer for a user."""
    decisions = Decisions(Grants(POLICY))
    allowed = decisions.allowed_on_user(CALLERS[caller](POLICY), TARGETS[target])
    assert allowed == ALLOWED_ON_USER[caller, target]


GROUP_NAMES = ["Admins", "Support", "Helpers", "Customers", "Billing", "Beta", "admins",
               "api/all", "api/support", "*", "", "?", "?" * 12]  # fmt: skip
VARIANTS = {
    "whole": POLICY,
    "no protected users": UNPROTECTED,
    "no grants": replace(POLICY, grants=None),
    "grants of nothing": replace(POLICY, grants={}),
    "grants of all": replace(POLICY, grants={"Support": frozenset({ALL}), "Beta": frozenset({""})}),
    "all protected": replace(POLICY, protected_groups=frozenset({ALL})),
    "odd names": replace(
        POLICY,
        groups={**POLICY.groups, "": Given(CHANGES), "?": Given(CHANGES), ALL: Given(FOR_ANYONE)},
    ),
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("knows_groups", [True, False])
def test_what_is_remembered_is_what_is_decided(variant: str, knows_groups: bool) -> None:
    """For a target of whom nothing was read, the quick answer is that of the rules, each time."""
    grants = Grants(VARIANTS[variant])
    decisions = Decisions(grants, knows_groups=knows_groups)
    callers = {name: make(VARIANTS[variant]) for name, make in CALLERS.items()}
    for (name, caller), action, group, time in product(
        callers.items(), RULES, GROUP_NAMES, ["first", "again"]
    ):
        rule = RULES[action]
        named = None if rule.target is TargetKind.USER else group
        user = KnownUser() if action in CHANGES else None
        for sign_in in (False, True):
            plain = Decisions(grants, knows_groups=knows_groups).decide(
                caller, action, KnownTarget(user, named, sign_in)
            )
            quick = decisions.decide_on_unread(caller.rights, action, named, sign_in=sign_in)
            assert quick == plain, (name, action.label, group, time)


def test_memory_of_decisions() -> None:
    """Names that clients make up are not kept, however many and long."""
    decisions = Decisions(Grants(POLICY))
    rights = principal(POLICY, "Admins").rights
    tracemalloc.start()
    try:
        for number in range(2_000):
            name = f"{number}" * 10_000
            decisions.decide_on_unread(rights, Action.ADD_USER_TO_GROUP, name)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000


def test_allowed_on_user_without_grants() -> None:
    """Who may give no group at all is offered none."""
    policy = replace(UNPROTECTED, grants={})
    allowed = Decisions(Grants(policy)).allowed_on_user(
        principal(policy, "Support"), TARGETS["plain"]
    )
    assert allowed == CHANGES - {Action.ADD_USER_TO_GROUP, Action.REMOVE_USER_FROM_GROUP}


def test_allowed_on_oneself_by_group() -> None:
    """Who may only take groups that give rights takes none from themselves, but from others."""
    policy = replace(UNPROTECTED, grants={"Support": frozenset({"Helpers"})})
    decisions, caller = Decisions(Grants(policy)), principal(policy, "Support")
    remove = Action.REMOVE_USER_FROM_GROUP
    assert remove not in decisions.allowed_on_user(caller, TARGETS["oneself"])
    assert remove in decisions.allowed_on_user(caller, TARGETS["plain"])
    assert remove in decisions.allowed_on_group(caller, "Helpers")


@pytest.mark.parametrize("caller", ["admin", "support", "machine"])
def test_allowed_where_all_is_protected(caller: str) -> None:
    """Where every group is protected no membership is changed, and where every user is, none is."""
    memberships = {Action.ADD_USER_TO_GROUP, Action.REMOVE_USER_FROM_GROUP}
    policy = replace(UNPROTECTED, protected_groups=frozenset({ALL}), grants=None)
    decisions = Decisions(Grants(policy))
    for target in ("plain", "oneself"):
        allowed = decisions.allowed_on_user(CALLERS[caller](policy), TARGETS[target])
        assert not allowed & memberships
    policy = replace(UNPROTECTED, protected_users=frozenset({ALL}), grants=None)
    decisions = Decisions(Grants(policy))
    for group in ("Beta", "Helpers"):
        assert not decisions.allowed_on_group(CALLERS[caller](policy), group) & memberships
    policy = replace(UNPROTECTED, protected_groups=frozenset({ALL}), grants=None)
    decisions = Decisions(Grants(policy))
    for group in ("Beta", "Helpers"):
        assert not decisions.allowed_on_group(CALLERS[caller](policy), group)


def test_allowed_on_group_where_no_rights_are_known() -> None:
    """Who may change no user changes no membership."""
    decisions = Decisions(Grants(UNPROTECTED), knows_groups=False)
    assert not decisions.allowed_on_group(principal(UNPROTECTED, "Support"), "Customers")
    assert decisions.allowed_on_group(principal(UNPROTECTED, "Admins"), "Customers")


@pytest.mark.parametrize(
    ("caller", "user"),
    [("admin", KnownUser()), ("support", KnownUser()), ("support", KnownUser("plain"))],
)
def test_allowed_on_user_unread(caller: str, user: KnownUser) -> None:
    """What is not known of a user is not taken for nothing."""
    with pytest.raises(ValueError, match="not been read"):
        Decisions(Grants(POLICY)).allowed_on_user(CALLERS[caller](POLICY), user)


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("knows_groups", [True, False])
def test_allowed_on_user_whose_groups_do_not_matter(caller: str, knows_groups: bool) -> None:
    """Where a user's groups are not read, they change nothing."""
    decisions = Decisions(Grants(POLICY), knows_groups=knows_groups)
    who = CALLERS[caller](POLICY)
    depends = decisions.depends_on_groups(who)
    assert depends == (knows_groups and caller in {"support", "support machine"})
    if not depends:
        for target in TARGETS.values():
            unread = decisions.allowed_on_user(who, replace(target, groups=None))
            assert unread == decisions.allowed_on_user(who, target)


MEMBERSHIP = {Action.ADD_USER_TO_GROUP, Action.REMOVE_USER_FROM_GROUP}


@pytest.mark.parametrize(
    ("caller", "group", "allowed"),
    [
        ("admin", "Admins", MEMBERSHIP | {Action.UPDATE_GROUP}),
        ("admin", "Billing", frozenset()),
        ("support", "Admins", frozenset()),
        ("support", "Helpers", MEMBERSHIP),
        ("support", "Beta", frozenset()),
        ("nobody", "Customers", frozenset()),
        ("machine", "Admins", MEMBERSHIP | {Action.UPDATE_GROUP}),
    ],
)
def test_allowed_on_group(caller: str, group: str, allowed: set[Action]) -> None:
    """A frontend is told what it may offer for a group."""
    decisions = Decisions(Grants(POLICY))
    assert decisions.allowed_on_group(CALLERS[caller](POLICY), group) == allowed


def test_every_change_has_a_rule() -> None:
    """No action that calls anything but reads of Cognito goes without a decision."""
    changes = [action for action in Action if not all(map(is_read, action.operations))]
    assert set(changes) == RULES.keys()


# Properties, over any policy.

NAMES = ["A", "B", "C", "D"]
GROUPS = st.frozensets(st.sampled_from(NAMES))
POLICIES = st.builds(
    Policy,
    groups=st.dictionaries(
        st.sampled_from([*NAMES, "*"]),
        st.one_of(
            st.builds(Given, st.frozensets(st.sampled_from(sorted(FOR_ANYONE, key=str)))),
            st.just(Given(frozenset(Action), is_everything=True)),
        ),
    ),
    grants=st.one_of(
        st.none(),
        st.dictionaries(
            st.sampled_from([*NAMES, "*"]), st.frozensets(st.sampled_from([*NAMES, ALL]))
        ),
    ),
    writes=st.one_of(
        st.none(),
        st.dictionaries(
            st.sampled_from([*NAMES, "*"]), st.frozensets(st.sampled_from(["name", "email", ALL]))
        ),
    ),
    protected_groups=st.frozensets(st.sampled_from([*NAMES, ALL]), max_size=1),
    protected_users=st.frozensets(st.sampled_from(["0", "1"]), max_size=1),
)
COMBINATIONS = [
    (action, group)
    for action, rule in RULES.items()
    for group in (NAMES if rule.target is TargetKind.MEMBERSHIP else [None])
    if action in CHANGES
]


@pytest.mark.slow
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(POLICIES, GROUPS, GROUPS, st.booleans())
def test_properties(
    policy: Policy, own: frozenset[str], other: frozenset[str], is_self: bool
) -> None:
    """What follows from the rules, whatever the policy."""
    grants = Grants(policy)
    decisions = Decisions(grants)
    caller = Principal("0", grants.of_user(own))
    user = KnownUser("0" if is_self else "1", own if is_self else other)
    assert user.groups is not None
    theirs = grants.of_user(user.groups)
    offered = decisions.allowed_on_user(caller, user)
    possible = set()
    for action, group in COMBINATIONS:
        decision, _ = ask(decisions, caller, action, group, user)
        # To know more than is asked for changes nothing.
        assert decision == decisions.decide(caller, action, KnownTarget(user, group))
        if isinstance(decision, Denied):
            continue
        possible.add(action)
        assert action in caller.rights.actions
        assert theirs.actions <= caller.rights.actions
        assert ALL in caller.rights.grants or theirs.grants <= caller.rights.grants
        assert ALL in caller.rights.writes or theirs.writes <= caller.rights.writes
        assert not grants.is_protected_user(user.sub or "")
        if group is not None:
            assert grants.actions_of_groups({group}) <= caller.rights.actions
            assert not grants.is_protected_group(group)
            assert action in decisions.allowed_on_group(caller, group)
        if is_self:
            assert decision != Allowed(Effect.TAKES)
            assert action is not Action.ADD_USER_TO_GROUP or caller.rights.has_every
    assert possible <= offered


def test_properties_cover_what_they_mean() -> None:
    """The combinations are of every change."""
    assert {action for action, _ in COMBINATIONS} == CHANGES
    users = CHANGES - MEMBERSHIP
    assert len(COMBINATIONS) == len(list(product(NAMES, MEMBERSHIP))) + len(users)
