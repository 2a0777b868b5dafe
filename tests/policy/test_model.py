"""All that three users can do to each other, and all ways in which two can do it at once."""

from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from itertools import combinations, product
from typing import Any, NamedTuple

import pytest

from graphql_admin.actions import Action
from graphql_admin.policy.decisions import (
    RULES,
    Allowed,
    Decision,
    Decisions,
    Denied,
    KnownTarget,
    KnownUser,
    Principal,
)
from graphql_admin.policy.grants import ANYONE, Given, Grants, Policy, Rights
from graphql_admin.policy.reservations import LocalReservations, Reservation
from graphql_admin.policy.sight import ALL
from graphql_admin.targets import TargetKind

DELETE = Action.DELETE_USER
OPERATIONS = {
    action: RULES[action]
    for action in (
        Action.ADD_USER_TO_GROUP,
        Action.REMOVE_USER_FROM_GROUP,
        Action.ENABLE_USER,
        Action.DISABLE_USER,
        DELETE,
    )
}
GROUPS: dict[str, frozenset[Action]] = {
    "Admins": frozenset(Action),
    "Support": frozenset({Action.ADD_USER_TO_GROUP, Action.DISABLE_USER}),
    "Keepers": frozenset({Action.REMOVE_USER_FROM_GROUP, Action.ENABLE_USER}),
    "Cleaners": frozenset({Action.ADD_USER_TO_GROUP, DELETE}),
}
WITHOUT_GRANTS = Policy({name: Given(actions) for name, actions in GROUPS.items()})
WITH_GRANTS = Policy(
    {**WITHOUT_GRANTS.groups, "Admins": Given(GROUPS["Admins"], is_everything=True)},
    grants={
        "Support": frozenset({"Support", "Cleaners"}),
        "Keepers": frozenset({"Support", "Keepers", "Cleaners"}),
        "Cleaners": frozenset({"Cleaners"}),
    },
)
WITH_EVERYONE = Policy(
    {**WITHOUT_GRANTS.groups, ANYONE: Given(frozenset({Action.DISABLE_USER, Action.ENABLE_USER}))}
)
POLICIES = pytest.mark.parametrize(
    "policy", [WITHOUT_GRANTS, WITH_GRANTS], ids=["without grants", "with grants"]
)

Groups = frozenset[str]
All = frozenset[Action | str]
"""Actions, and the groups that may be given and taken."""


def all_of(rights: Rights) -> All:
    given = frozenset(GROUPS) if ALL in rights.grants else rights.grants
    return rights.actions | given


class Person(NamedTuple):
    enabled: bool
    groups: Groups

    def rights(self, grants: Grants) -> All:
        """Return what the person may do."""
        return all_of(grants.of_user(self.groups)) if self.enabled else frozenset()


class Change(NamedTuple):
    action: Action
    group: str | None

    def apply(self, person: Person) -> Person | None:
        match self.action:
            case Action.ADD_USER_TO_GROUP:
                assert self.group
                return person._replace(groups=person.groups | {self.group})
            case Action.REMOVE_USER_FROM_GROUP:
                return person._replace(groups=person.groups - {self.group or ""})
            case Action.ENABLE_USER:
                return person._replace(enabled=True)
            case Action.DISABLE_USER:
                return person._replace(enabled=False)
        return None


CHANGES = [
    Change(action, group)
    for action, rule in OPERATIONS.items()
    for group in (GROUPS if rule.target is TargetKind.MEMBERSHIP else [None])
]
SETS = [frozenset(chosen) for count in range(5) for chosen in combinations(GROUPS, count)]
PEOPLE: list[Person | None] = [
    None,  # who was deleted
    *(Person(enabled, groups) for enabled in (True, False) for groups in SETS),
]
Pool = tuple[int, ...]
"""What each of the three is, as a place in PEOPLE."""

START: Pool = tuple(
    PEOPLE.index(Person(True, frozenset(groups)))
    for groups in [{"Admins"}, {"Support", "Keepers"}, {"Cleaners"}]
)


class WithoutScopeOfUsers(Decisions):
    def _refusal_of_scope(self, *_: Any) -> None:
        return None


class WithoutScopeOfGroups(Decisions):
    def _refusal_of_group(self, *_: Any) -> None:
        return None


class WithoutOneself(Decisions):
    def decide(self, principal: Principal, action: Action, target: KnownTarget) -> Decision:
        machine = Principal(principal.sub, principal.rights, is_machine=True)
        return super().decide(machine, action, target)


def outcomes(decisions: Decisions, principal: Principal, sub: str, target: int) -> set[int]:
    """Return what the target, who has this `sub`, may be after one change by the principal."""
    person = PEOPLE[target]
    if person is None:
        return set()
    user = KnownUser(sub, person.groups)
    return {
        PEOPLE.index(change.apply(person))
        for change in CHANGES
        if isinstance(
            decisions.decide(principal, change.action, KnownTarget(user, change.group)), Allowed
        )
    }


class Step(NamedTuple):
    """A change from a state that can be reached."""

    before: Pool
    by: All
    """What who makes it may do."""
    is_by_machine: bool
    to: int
    after: Pool
    rights: list[All]
    """What each in PEOPLE may do."""

    def lost(self) -> All:
        """Return the rights that an enabled user had, and that no enabled user has any more."""
        kept = self.rights[self.after[0]].union(*(self.rights[each] for each in self.after[1:]))
        return self.rights[self.before[self.to]] - kept

    def loses(self) -> bool:
        """Tell whether there are any."""
        return bool(self.lost())

    def gained(self) -> All:
        """Return the rights a user has now that neither they nor who changed them had."""
        return self.rights[self.after[self.to]] - self.rights[self.before[self.to]] - self.by

    def raises(self) -> bool:
        """Tell whether there are any."""
        return bool(self.gained())


def explore(
    policy: Policy, kind: type[Decisions] = Decisions, *, scopes: frozenset[str] | None = None
) -> Iterator[Step]:
    """Yield every allowed change from every state that can be reached.

    Those of a machine are among them, if there is one with these scopes.
    """
    grants = Grants(policy)
    decisions = kind(grants, rules=OPERATIONS)
    rights = [person.rights(grants) if person else frozenset() for person in PEOPLE]
    places = range(len(PEOPLE))
    principals = {
        place: Principal("caller", grants.of_user(person.groups))
        for place, person in enumerate(PEOPLE)
        if person and person.enabled
    }
    changes = {
        (by, to, sub): outcomes(decisions, principal, sub, to)
        for (by, principal), to, sub in product(principals.items(), places, ["caller", "another"])
        if by == to or sub == "another"
    }
    machine = Principal("client", grants.of_machine(scopes or frozenset()), is_machine=True)
    by_machine = {to: outcomes(decisions, machine, "another", to) for to in places}
    seen, left = {START}, [START]
    while left:
        pool = left.pop()
        found = [
            (rights[pool[by]], False, to, changed)
            for by, to in product(range(3), range(3))
            if pool[by] in principals
            for changed in changes[pool[by], pool[to], "caller" if by == to else "another"]
        ]
        if scopes is not None:
            found += [
                (all_of(machine.rights), True, to, changed)
                for to in range(3)
                for changed in by_machine[pool[to]]
            ]
        for by_whom, is_by_machine, to, changed in found:
            after = (*pool[:to], changed, *pool[to + 1 :])
            yield Step(pool, by_whom, is_by_machine, to, after, rights)
            if after not in seen:
                seen.add(after)
                left.append(after)


@pytest.mark.slow
@pytest.mark.parametrize(
    "policy",
    [WITHOUT_GRANTS, WITH_GRANTS, WITH_EVERYONE],
    ids=["without grants", "with grants", "with rights for everyone"],
)
def test_no_right_is_ever_lost(policy: Policy) -> None:
    """In no sequence is a right lost, or given by a user who does not have it."""
    states = set()
    for step in explore(policy):
        states.add(step.after)
        assert not step.loses()
        assert not step.raises()
    assert len(states) > 20_000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scope", "may_be_left"), [("api/all", True), ("api/support", False), ("api/give", False)]
)
@pytest.mark.parametrize(
    "policy",
    [WITHOUT_GRANTS, WITH_GRANTS, WITH_EVERYONE],
    ids=["without grants", "with grants", "with rights for everyone"],
)
def test_machines(policy: Policy, scope: str, may_be_left: bool) -> None:
    """A machine with every right may be the only one left with it, since no user takes from it.

    One with fewer may not: a user stays who has every right. What users change among themselves
    loses none, whatever a machine does between; and a machine takes and gives what it has itself,
    and what every signed-in user has.
    """
    scopes = {
        "api/all": Given(frozenset(Action), is_everything=True),
        "api/support": Given(GROUPS["Support"] | {DELETE}),
        "api/give": Given(frozenset({Action.ADD_USER_TO_GROUP, Action.ENABLE_USER})),
    }
    policy = replace(policy, scopes=scopes)
    of_everyone = all_of(Grants(policy).of_user(frozenset()))
    lost: set[Action | str] = set()
    for step in explore(policy, scopes=frozenset({scope})):
        if step.is_by_machine:
            assert step.lost() | step.gained() <= step.by | of_everyone
            lost |= step.lost()
        else:
            assert not step.loses()
            assert not step.raises()
    assert bool(lost) == may_be_left


@POLICIES
@pytest.mark.parametrize(
    ("decisions", "wrong"),
    [
        (WithoutScopeOfUsers, Step.loses),
        (WithoutScopeOfUsers, Step.raises),
        (WithoutScopeOfGroups, Step.raises),
        (WithoutOneself, Step.loses),
    ],
)
def test_each_rule_is_needed(
    policy: Policy, decisions: type[Decisions], wrong: Callable[[Step], bool]
) -> None:
    """Without one of the rules a right is lost, or gained out of nothing."""
    assert any(map(wrong, explore(policy, decisions)))


# Two, or three, who take each other's rights at once.


class World:
    """Administrators, of whom each disables the next, step by step.

    Args:
        reservations: In a world without them no request is ever refused.
        lags: Whether a reading of the pool brings what was before the last writes.
        fails: Whether Cognito refuses the first attempt.
    """

    def __init__(self, reservations: LocalReservations, *, lags: bool, fails: bool) -> None:
        self.reservations = reservations
        self.lags = lags
        self.fails = fails
        self.enabled = {"a": True, "b": True, "c": True}

    def attempt(self, caller: str, target: str, *, keeps: bool, rereads: bool) -> Iterator[None]:
        if not self.lags:  # or it would make no difference
            if not self.enabled[caller]:
                return
            yield
        reservation = run(self.reservations.reserve(target, caller=caller, deadline=0))
        if isinstance(reservation, Denied):
            return
        yield
        if rereads and not self.lags:
            if not self.enabled[caller]:
                run(self.reservations.drop(reservation))
                return
            yield
        if self.fails and caller == "a":
            run(self.reservations.drop(reservation))
            return
        self.enabled[target] = False
        yield
        run((self.reservations.keep if keeps else self.reservations.drop)(reservation))


class Unreserved(LocalReservations):
    async def reserve(self, target: str, *, caller: str, deadline: float) -> Reservation:  # noqa: ARG002
        return Reservation(target, caller)


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run what is one step of the event loop."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waited")


def orders(counts: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yield every order in which attempts can take so many steps each."""
    if not any(counts):
        yield ()
    for place, count in enumerate(counts):
        if count:
            rest = (*counts[:place], count - 1, *counts[place + 1 :])
            yield from ((place, *order) for order in orders(rest))


def survivors(
    pairs: list[tuple[str, str]],
    kind: type[LocalReservations] = LocalReservations,
    *,
    keeps: bool = True,
    rereads: bool = True,
    lags: bool = False,
    fails: bool = False,
) -> set[str]:
    """Return who is enabled in the end, for every order of steps, names in one string."""
    people = sorted({name for pair in pairs for name in pair})
    found = set()
    steps = 3 if lags else 5
    for order in orders((steps,) * len(pairs)):
        world = World(kind(lambda: 0.0), lags=lags, fails=fails)
        attempts = [world.attempt(*pair, keeps=keeps, rereads=rereads) for pair in pairs]
        for place in order:
            next(attempts[place], None)
        assert all(next(attempt, "ended") for attempt in attempts)
        found.add("".join(name for name in people if world.enabled[name]))
    return found


MUTUAL = [("a", "b"), ("b", "a")]
CIRCLE = [("a", "b"), ("b", "c"), ("c", "a")]


@pytest.mark.parametrize("lags", [False, True])
def test_two_at_once(lags: bool) -> None:
    """Of two administrators who disable each other one remains, however their steps fall."""
    assert survivors(MUTUAL, lags=lags) == {"a", "b"}


@pytest.mark.parametrize("lags", [False, True])
def test_two_at_once_of_whom_one_is_refused_by_the_pool(lags: bool) -> None:
    """An attempt that certainly changed nothing blocks no other."""
    assert survivors(MUTUAL, lags=lags, fails=True) == {"b", "ab"}


@pytest.mark.parametrize(
    "dropped",
    [
        {"kind": Unreserved},
        {"keeps": False, "rereads": False},
        {"keeps": False, "lags": True},
    ],
)
def test_each_step_is_needed(dropped: dict[str, Any]) -> None:
    """Without the reservation, or where it ends too early, none remains of two."""
    assert "" in survivors(MUTUAL, **dropped)


def test_three_in_a_circle() -> None:
    """Of three who disable each other in a circle one remains."""
    assert survivors(CIRCLE, lags=True) == {"a", "b", "c"}


# One who is made an administrator while they are being disabled.


class Promoted:
    """An administrator, a, who disables c and makes c an administrator, who then disables a.

    Args:
        reserves_all: Whether a target is reserved who had no rights when they were read.
        is_known: Whether it is known who the target is that is given rights.
    """

    def __init__(self, *, reserves_all: bool, is_known: bool) -> None:
        self.reserves_all = reserves_all
        self.is_known = is_known
        self.reservations = LocalReservations(lambda: 0.0)
        self.administrators = {"a"}
        self.enabled = {"a", "c"}

    def may(self, name: str) -> bool:
        return name in self.administrators & self.enabled

    def is_confirmed(self, name: str) -> bool:
        return self.may(name) and not run(self.reservations.is_reserved(name))

    def disable(self, caller: str, target: str) -> Iterator[None]:
        while not self.may(caller):  # until it is an administrator, or for ever
            yield
        reservation: Reservation | Denied | None = None
        if self.reserves_all or self.may(target):
            reservation = run(self.reservations.reserve(target, caller=caller, deadline=0))
        if isinstance(reservation, Denied):
            return
        yield
        is_confirmed = self.is_confirmed(caller)
        yield
        if is_confirmed:
            self.enabled.discard(target)
            yield
        if reservation is not None:
            run((self.reservations.keep if is_confirmed else self.reservations.drop)(reservation))

    def promote(self, caller: str, target: str) -> Iterator[None]:
        if not self.is_confirmed(caller):
            return
        yield
        if not self.is_confirmed(caller):
            return
        if self.is_known and run(self.reservations.is_losing(target)):
            return
        yield
        self.administrators.add(target)


def left_by(**how: bool) -> set[str]:
    """Return which administrators are left, for every order of steps, names in one string."""
    found = set()
    for order in orders((4, 3, 5)):
        world = Promoted(**how)
        attempts = [world.disable("a", "c"), world.promote("a", "c"), world.disable("c", "a")]
        for place in (*order, *range(3), *range(3), *range(3)):  # to the end, if there is one
            next(attempts[place], None)
        found.add("".join(name for name in "ac" if world.may(name)))
    return found


@pytest.mark.parametrize("is_known", [False, True])
def test_promoted_while_disabled(is_known: bool) -> None:
    """One of the two remains, however their steps fall."""
    assert left_by(reserves_all=True, is_known=is_known) == {"a", "c"}


def test_each_target_is_reserved() -> None:
    """Where a target is reserved only if they had rights when they were read, none remains."""
    assert "" in left_by(reserves_all=False, is_known=False)
