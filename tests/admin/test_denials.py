"""Who is refused what: every change, by every way to it, for every kind of caller and target.

The changes are read off the table of actions, and what is expected of each off its row, so that a
new action is tested as it is added.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from graphql_admin.actions import Action, Effect, Oneself
from graphql_admin.targets import TargetKind
from tests.support.api import Api
from tests.support.changes import ask, endings, is_on_group, is_on_user, ways_to
from tests.support.memory_pool import MemoryPool
from tests.support.scripted import ScriptedCognito
from tests.support.tokens import ABSENT, CLIENT_ID

CHANGES = [action for action in Action if action.write]
OF_OTHERS = [action for action in CHANGES if not action.is_for_oneself]
LABELS = ", ".join(f'"{action.label}"' for action in OF_OTHERS)
PROTECTED = "6f1c0000-0000-4000-8000-000000000000"
POLICY = f"""
[groups]
Admins = ["*"]
Support = [{LABELS}]
Helpers = ["{OF_OTHERS[0].label}"]
[scopes]
"api/all" = ["*"]
"api/support" = [{LABELS}]
"api/read" = ["listUsers"]
[writes]
Support = ["*"]
"api/support" = ["*"]
[protected]
groups = ["Billing"]
users = ["{PROTECTED}"]
"""

PEOPLE = {
    "ada": ("Admins",),
    "sue": ("Support",),
    "carl": ("Customers",),
    "plain": ("Customers",),
    "fewer": ("Helpers",),
    "sam": ("Support",),
    "alan": ("Admins",),
    "member": ("Billing",),
    "protected": (),
}
GIVING = {"Admins", "Support", "Helpers"}
"""Groups that give rights."""

SCOPE, OWN, FORBIDDEN = "OUT_OF_SCOPE", "OWN_ACCOUNT", "FORBIDDEN"
GET, LIST = "AdminGetUser", "AdminListGroupsForUser"
CACHED = "DescribeUserPool"
"""What is read for one change, and known to others."""


@dataclass(frozen=True)
class Caller:
    """A caller."""

    name: str
    """A user's; of a machine, its scope."""
    has_right: bool = True
    has_every: bool = False

    @property
    def is_machine(self) -> bool:
        return "/" in self.name

    @property
    def standing(self) -> list[str]:
        """The calls that tell whether they still are who they were."""
        return [] if self.is_machine else [GET, LIST]

    def token(self, api: Api) -> str:
        if self.is_machine:
            machine = {"username": ABSENT, "cognito:groups": ABSENT}
            return api.token(sub=CLIENT_ID, scope=self.name, **machine)
        return api.token(*PEOPLE[self.name], username=self.name)


CALLERS = [
    Caller("carl", has_right=False),
    Caller("api/read", has_right=False),
    Caller("sue"),
    Caller("api/support"),
    Caller("ada", has_every=True),
    Caller("api/all", has_every=True),
]


@dataclass(frozen=True)
class Expected:
    """What a change is to come to."""

    code: str | None
    reads: list[str]


def expect(caller: Caller, action: Action, user: str | None, group: str | None) -> Expected:
    """Return what is to come of a change, by the rules of `docs/permissions.md`."""
    row = action.row
    if row.on_oneself is Oneself.ONLY:
        return Expected(None if user == caller.name else FORBIDDEN, [])
    if not caller.has_right:
        return Expected(FORBIDDEN, [])
    if group is not None:
        goes_too_far = group == "Admins" and not caller.has_every
        is_kept = row.target is TargetKind.GROUP and row.effect is Effect.TAKES and group in GIVING
        if group == "Billing" or goes_too_far or is_kept:
            return Expected(SCOPE, [])
    if user is None:
        return Expected(None, [*caller.standing, *row.checks])
    if row.creates:  # a new user is in no group, and nobody's account
        return Expected(None, caller.standing)
    return _expect_on_user(caller, action, user, group)


def _expect_on_user(caller: Caller, action: Action, user: str, group: str | None) -> Expected:
    row = action.row
    by_name = [*caller.standing, GET]
    takes = row.effect is Effect.TAKES and (group is None or group in GIVING)
    adds = row.effect is Effect.GIVES and group is not None
    if user == "protected":
        return Expected(SCOPE, by_name)
    never_own = takes or row.on_oneself is Oneself.NEVER or (adds and not caller.has_every)
    if user == caller.name and never_own:
        return Expected(OWN, by_name)
    if caller.has_every:
        reads = by_name
    else:
        reads = [*by_name, LIST]
        if {"Admins", "Billing"} & set(PEOPLE[user]):
            return Expected(SCOPE, reads)
    gives = row.effect is Effect.GIVES and (group is None or group in GIVING)
    # Before rights are taken what decides is read again, and before they are given to the caller,
    # the caller is.
    if takes and not caller.has_every:
        reads = [*reads, *caller.standing, LIST]
    elif takes or (gives and user == caller.name):
        reads = [*reads, *caller.standing]
    return Expected(None, reads)


def named_in(parameters: Mapping[str, Any], user: str | None) -> str | None:
    """Return the user whom a call names; `user` if it names only what is theirs."""
    if "DestinationUser" in parameters:
        return str(parameters["DestinationUser"]["ProviderAttributeValue"])
    return user if "User" in parameters else parameters.get("Username")


@pytest.fixture
def pool(scripted: ScriptedCognito) -> MemoryPool:
    """The people, in a pool that resolves names as Cognito does."""
    pool = MemoryPool()
    for name, groups in PEOPLE.items():
        pool.add(name, *groups, sub=PROTECTED if name == "protected" else None)
    pool.install(scripted)
    return pool


@pytest.mark.slow
@pytest.mark.parametrize(
    ("action", "way"),
    [
        pytest.param(action, way, id=f"{action.label}-{way}")
        for action in CHANGES
        for way in ways_to(action)
    ],
)
@pytest.mark.parametrize("name", ["{0.username}", "{0.sub}", "{0.email}"])
def test_denials(  # noqa: PLR0917  # fixtures and parameters
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    pool: MemoryPool,
    tmp_path: Path,
    action: Action,
    way: str,
    name: str,
) -> None:
    """A change is made or refused as the rules say, by exactly the calls that this takes.

    The user who was read is the one who is changed, whichever of their names was given.
    """
    path, events = tmp_path / "policy.toml", tmp_path / "audit.jsonl"
    path.write_text(POLICY)
    api = serve(
        scripted.url, policy_file=path, audit_file=events, amplify=True, authority_max_age="0"
    )
    ended: list[tuple[str, str | None]] = []
    wrong = []
    users = list(PEOPLE) if is_on_user(action) else [None]
    users = ["new"] if is_on_user(action) and action.row.creates else users
    groups = ["Customers", "Helpers", "Admins", "Billing"] if is_on_group(action) else [None]
    for caller, user, group in product(CALLERS, users, groups):
        given = user and (name.format(pool.people[user]) if user in PEOPLE else user)
        expected = expect(caller, action, user, group)
        if action.is_for_oneself and "@" in str(given):
            expected = Expected(FORBIDDEN, [])  # a token has no e-mail address
        before, asked = pool.people, len(scripted.requests)
        said = ask(api, way, action, given, group, token=caller.token(api))
        calls = [each for each in scripted.requests[asked:] if each.operation != CACHED]
        write = [] if expected.code else [str(action.write)]
        came = (said, [each.operation for each in calls])
        whole = (expected.code, [*expected.reads, *write])
        changed = named_in(calls[-1].parameters, user) if write and calls else user
        if (came, changed) != (whole, user):
            wrong.append((caller.name, user, group, came, changed, whole))
        if user and pool.people != before:
            pool.restore(before[user]) if user in before else pool.remove(user)
        ended.append(("refused", expected.code) if expected.code else ("done", None))
    assert wrong == []
    assert endings(events) == ended
