"""`allowedActions` says what is then allowed: compared, for every caller, target and change."""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from graphql_admin.actions import Action, Effect
from graphql_admin.targets import TargetKind
from tests.support.api import Api
from tests.support.changes import ask, is_on_group, is_on_user
from tests.support.memory_pool import MemoryPool
from tests.support.scripted import ScriptedCognito
from tests.support.tokens import ABSENT, CLIENT_ID

pytestmark = pytest.mark.slow

CHANGES = [action for action in Action if action.write and not action.row.creates]
"""What is offered on a user or group that exists."""
REFUSALS = {"OUT_OF_SCOPE", "OWN_ACCOUNT", "FORBIDDEN"}
READS = '"listUsers", "getUser", "listGroups", "getGroup", "listGroupsForUser"'
PROTECTED = "6f1c0000-0000-4000-8000-000000000000"
RULES = f"""
[groups]
Admins = ["*"]
Leads = [{READS}, {", ".join(f'"{action.label}"' for action in CHANGES)}]
Support = [{READS}, "addUserToGroup", "disableUser", "enableUser"]
Readers = [{READS}]
[scopes]
"api/all" = ["*"]
"api/support" = [{READS}, "addUserToGroup", "disableUser", "enableUser"]
[writes]
Leads = ["*"]
[protected]
groups = ["Billing"]
users = ["{PROTECTED}"]
"""
GRANTS = """
[grants]
Leads = ["Support", "Customers"]
Support = ["Customers"]
"api/support" = ["Customers", "Readers"]
"""
GRANTS_OF_RIGHTS = """
[grants]
Leads = ["Support", "Readers"]
Support = ["Support"]
"""
EVERYONE = f"""
[groups]
Admins = ["*"]
Support = ["removeUserFromGroup"]
"*" = [{READS}, "addUserToGroup", "disableUser", "enableUser"]
"""
ALL_PROTECTED = RULES.replace('["Billing"]', '["*"]')
PEOPLE = {
    "ada": ("Admins",),
    "alan": ("Admins",),
    "lea": ("Leads",),
    "sue": ("Support",),
    "rita": ("Readers",),
    "carl": ("Customers",),
    "bill": ("Support", "Billing"),
    "paul": (),
}
GROUPS = ["Admins", "Leads", "Support", "Readers", "Customers", "Billing", "*"]


@pytest.fixture
def pool(scripted: ScriptedCognito) -> MemoryPool:
    """The people, and their groups."""
    pool = MemoryPool()
    for name, groups in PEOPLE.items():
        pool.add(name, *groups, sub=PROTECTED if name == "paul" else None)
    pool.install(scripted)
    return pool


def token_of(api: Api, caller: str) -> str:
    if "/" in caller:
        machine = {"username": ABSENT, "cognito:groups": ABSENT}
        return api.token(sub=CLIENT_ID, scope=caller, **machine)
    groups = PEOPLE[caller]
    return api.token(
        *groups, username=caller, sub=PROTECTED if caller == "paul" else f"sub-of-{caller}"
    )


def said_of(api: Api, kind: str, name: str, token: str) -> set[str] | None:
    """Return what the server says is allowed on a user or group; None if it does not say."""
    by = f'by: {{username: "{name}"}}' if kind == "user" else f'name: "{name}"'
    answer = api.send(f"{{ {kind}({by}) {{ allowedActions }} }}", token=token)
    if answer.codes:
        assert set(answer.codes) == {"FORBIDDEN"}
        return None
    return set(answer.data[kind]["allowedActions"])


@pytest.mark.parametrize("max_age", ["0", "token"])
@pytest.mark.parametrize(
    "policy",
    [RULES, RULES + GRANTS, RULES + GRANTS_OF_RIGHTS, EVERYONE, ALL_PROTECTED],
    ids=["rules", "grants", "grants of rights", "everyone", "all protected"],
)
def test_agreement(  # noqa: PLR0917  # fixtures and parameters
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    pool: MemoryPool,
    tmp_path: Path,
    policy: str,
    max_age: str,
) -> None:
    """What is said to be allowed is, and nothing else.

    A membership must be allowed by both, and then one change is still rejected: callers cannot
    remove themselves from a group that gives rights. Neither allows it if no other does.
    """
    path = tmp_path / "policy.toml"
    path.write_text(policy)
    machines = ["api/all", "api/support"] if "[scopes]" in policy else []
    compared = 0
    for caller in [*PEOPLE, *machines]:
        # A server of their own, so that no rights were taken from them a moment ago.
        api = serve(scripted.url, policy_file=path, authority_max_age=max_age)
        token = token_of(api, caller)
        on_users = {user: said_of(api, "user", user, token) for user in PEOPLE}
        on_groups = {group: said_of(api, "group", group, token) for group in GROUPS}
        for action in CHANGES:
            done: set[str | None] = set()
            for user, group in product(
                PEOPLE if is_on_user(action) else [None], GROUPS if is_on_group(action) else [None]
            ):
                of_user = on_users[user] if user else {action.label}
                of_group = on_groups[group] if group else {action.label}
                if of_user is None or of_group is None:
                    continue
                before = pool.people
                said = ask(api, "graphql", action, user, group, token=token)
                assert said is None or said in REFUSALS
                where = (caller, action.label, user, group, said)
                if said is None:
                    assert action.label in of_user & of_group, where
                    done |= {user, group}
                elif action.label in of_user & of_group:
                    assert action.target is TargetKind.MEMBERSHIP, where
                    assert (user, said) == (caller, "OWN_ACCOUNT"), where
                    assert action.row.effect is Effect.TAKES, where
                if user and pool.people != before:
                    pool.restore(before[user])
                compared += 1
            consents = {**on_users, **on_groups}
            if action.target is TargetKind.MEMBERSHIP and None not in consents.values():
                for name, allowed in consents.items():
                    assert (action.label in (allowed or ())) == (name in done), (caller, name)
    assert compared > 100
