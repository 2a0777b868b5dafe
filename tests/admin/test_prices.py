"""What a document of changes may cost: its calls, and those by which each is decided on."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from graphql_admin.actions import Action, Effect
from graphql_admin.policy.decisions import RULES
from graphql_admin.targets import TargetKind
from tests.support.api import Api
from tests.support.changes import input_of, input_type
from tests.support.memory_pool import MemoryPool
from tests.support.scripted import ScriptedCognito
from tests.support.tokens import ABSENT, CLIENT_ID

CHANGES = [action for action in RULES if not action.is_for_oneself]
LABELS = ", ".join(f'"{action.label}"' for action in CHANGES)
POLICY = f"""
[groups]
Admins = ["*"]
Support = [{LABELS}]
[scopes]
"api/support" = [{LABELS}]
[writes]
Support = ["*"]
"api/support" = ["*"]
"""
CALLERS = ["ada", "sue", "api/support", "carl"]
"""With every right, with some, a machine with some, with none."""

STANDING = 2
"""Calls by which a caller is read."""

GROUPS = {"ada": ("Admins",), "sue": ("Support",), "carl": ()}
MAX_AGES = pytest.mark.parametrize("max_age", ["10", "0"])


@pytest.fixture
def pool(scripted: ScriptedCognito) -> MemoryPool:
    """The callers, and people with rights for each to act on."""
    pool = MemoryPool()
    for name, groups in GROUPS.items():
        pool.add(name, *groups)
    for number in range(20):
        pool.add(f"u{number}", "Support")
    pool.install(scripted)
    return pool


@pytest.fixture
def start(
    serve_policy: Callable[..., Api],
    pool: MemoryPool,  # noqa: ARG001  # behind `scripted`
) -> Callable[..., Api]:
    """Start the server in front of them."""
    return partial(serve_policy, POLICY)


def token_of(api: Api, caller: str) -> str:
    if "/" in caller:
        machine = {"username": ABSENT, "cognito:groups": ABSENT}
        return api.token(sub=CLIENT_ID, scope=caller, **machine)
    return api.token(*GROUPS[caller], username=caller)


def send(api: Api, action: Action, token: str, *, times: int, user: str = "u{}") -> Any:
    """Ask for so many changes in one document; returns the response's JSON."""
    numbers = range(times)
    type_ = input_type(action).name
    # A group that the policy names is never deleted.
    group = "Customers" if action.target is TargetKind.GROUP else "Support"
    body = {
        "query": f"mutation ({', '.join(f'$i{n}: {type_}!' for n in numbers)}) {{"
        + " ".join(f"m{n}: {action.label}(input: $i{n}) {{ errors {{ code }} }}" for n in numbers)
        + "}",
        "variables": {f"i{n}": input_of(action, user.format(n), group) for n in numbers},
        "extensions": {"cost": True},
    }
    return api.client.post("/graphql", json=body, headers={"Authorization": token}).json()


@MAX_AGES
@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("action", CHANGES, ids=lambda action: action.label)
def test_price(
    start: Callable[..., Api],
    scripted: ScriptedCognito,
    action: Action,
    caller: str,
    max_age: str,
) -> None:
    """A document of changes is priced with all that may be read to decide on them.

    That is, except the caller's standing before they give rights to themselves.
    """
    api = start(authority_max_age=max_age)
    gives = action.row.effect is Effect.GIVES and "/" not in caller
    for times, user in ((1, "u{}"), (4, "u{}"), (4, caller)):
        asked = len(scripted.requests)
        answer = send(api, action, token_of(api, caller), times=times, user=user)
        cost = answer["extensions"]["cost"]
        assert cost["calls"] == len(scripted.requests) - asked
        beyond = STANDING * times if gives and user == caller else 0
        assert cost["calls"] <= cost["estimated"] + beyond
        if caller == "carl":
            assert cost["estimated"] == times


@pytest.mark.slow
@MAX_AGES
@pytest.mark.parametrize("caller", ["ada", "sue", "api/support"])
@pytest.mark.parametrize("action", CHANGES, ids=lambda action: action.label)
def test_too_dear(
    start: Callable[..., Api],
    scripted: ScriptedCognito,
    action: Action,
    caller: str,
    max_age: str,
) -> None:
    """If the calls of a request are not enough for all of its changes, none is made."""
    api = start(authority_max_age=max_age, max_calls=1000)
    dearest = send(api, action, token_of(api, caller), times=20)["extensions"]["cost"]["calls"]
    scripted.requests.clear()
    api = start(authority_max_age=max_age, max_calls=dearest - 1)
    answer = send(api, action, token_of(api, caller), times=20)
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["QUERY_TOO_EXPENSIVE"]
    assert "data" not in answer
    assert scripted.requests == []
