"""Whose `id` a payload shows: a given name is read back only where it may not be the username."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from graphql_admin.actions import Action
from graphql_admin.admin import described_pool
from graphql_admin.admin.nodes import global_id
from tests.support.api import Api
from tests.support.scripted import ScriptedCognito, failure, held, reply

ADD = """mutation ($input: AddUserToGroupInput!) {
    addUserToGroup(input: $input) { user { id username } errors { code } }
}"""
WRITE, READ, DESCRIBE = "AdminAddUserToGroup", "AdminGetUser", "DescribeUserPool"
UUID = "6f1c2d3e-0000-4000-8000-00000000000a"
BOB = {
    "Username": "bob",
    "UserAttributes": [{"Name": "sub", "Value": "sub-of-bob"}],
    "Enabled": True,
}

PLAIN: list[dict[str, Any]] = [
    {},
    {"UsernameConfiguration": {"CaseSensitive": True}},
    {"UsernameConfiguration": {}, "AliasAttributes": [], "UsernameAttributes": []},
    {"UsernameConfiguration": None, "AliasAttributes": None, "UsernameAttributes": None},
]
"""Pools that find users by their usernames alone, letter by letter."""

OTHERS: list[dict[str, Any]] = [
    {"AliasAttributes": ["email"]},
    {"UsernameAttributes": ["email"]},
    {"UsernameConfiguration": {"CaseSensitive": False}},
    {"UsernameConfiguration": {"CaseSensitive": None}},
    {"UsernameConfiguration": "none"},
    {"AliasAttributes": "email"},
]
"""Pools in which others than the username name a user, or in which that is not known."""


@pytest.fixture
def backend(scripted: ScriptedCognito) -> ScriptedCognito:
    """A Cognito that takes any name for that of bob."""
    scripted.on(WRITE, reply({}))
    scripted.on(READ, reply(BOB))
    scripted.on(DESCRIBE, reply({"UserPool": {}}))
    return scripted


def add(api: Api, name: str, document: str = ADD, **how: Any) -> Any:
    """Add a user to a group; returns the payload."""
    variables = {"input": {"username": name, "groupName": "Editors"}}
    return api.send(document, variables, **how).data["addUserToGroup"]


def shown(name: str) -> dict[str, Any]:
    """Return the payload that shows the user with this username."""
    return {"user": {"id": global_id("User", name), "username": name}, "errors": []}


@pytest.mark.usefixtures("paths")
@pytest.mark.parametrize("pool", PLAIN)
def test_username(
    serve: Callable[..., Api], backend: ScriptedCognito, pool: dict[str, Any]
) -> None:
    """Where a name can only be the username, the change is one call, once the pool is known."""
    backend.on(DESCRIBE, reply({"UserPool": pool}))
    api = serve(backend.url)
    assert add(api, "Bob.Example") == shown("Bob.Example")
    assert backend.operations() == [WRITE, DESCRIBE]
    for name in ("bob", "BOB", "Google_123"):
        backend.requests.clear()
        assert add(api, name) == shown(name)
        assert backend.operations() == [WRITE]


@pytest.mark.usefixtures("paths")
@pytest.mark.parametrize("pool", OTHERS)
def test_other_name(
    serve: Callable[..., Api], backend: ScriptedCognito, pool: dict[str, Any]
) -> None:
    """Where it may be an alias, or in other letters, the user is read back after the change."""
    backend.on(DESCRIBE, reply({"UserPool": pool}))
    api = serve(backend.url)
    assert add(api, "BOB") == shown("bob")
    assert backend.operations() == [WRITE, DESCRIBE, READ]
    backend.requests.clear()
    assert add(api, "BOB") == shown("bob")
    assert backend.operations() == [WRITE, READ]


@pytest.mark.parametrize("name", [UUID, UUID.upper()])
def test_sub(serve: Callable[..., Api], backend: ScriptedCognito, name: str) -> None:
    """Every pool takes a `sub` for a username."""
    api = serve(backend.url)
    assert add(api, f"not-{UUID}") == shown(f"not-{UUID}")
    assert backend.operations() == [WRITE, DESCRIBE]
    backend.requests.clear()
    assert add(api, name) == shown("bob")
    assert backend.operations() == [WRITE, READ]


def test_settings_are_read_once(
    serve: Callable[..., Api], backend: ScriptedCognito, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are fixed when the pool is made, so that they do not go out of date."""
    monkeypatch.setattr(described_pool, "DESCRIBED_AGE", 0.0)
    api = serve(backend.url)
    for _ in range(3):
        assert add(api, "bob") == shown("bob")
    assert backend.operations().count(DESCRIBE) == 1
    assert READ not in backend.operations()


@pytest.mark.parametrize(
    "answer",
    [
        failure("AccessDeniedException"),
        failure("InternalErrorException", 500),
        failure("UnknownOperationException"),
        reply({}),
        reply({"UserPool": "none"}),
    ],
)
def test_settings_that_cannot_be_read(
    serve: Callable[..., Api], backend: ScriptedCognito, answer: Any
) -> None:
    """The change stays done, the user is read back, and the pool is not described each time."""
    backend.on(DESCRIBE, answer)
    api = serve(backend.url)
    assert add(api, "alias-of-bob") == shown("bob")
    described = backend.operations().count(DESCRIBE)
    assert backend.operations() == [WRITE, *[DESCRIBE] * described, READ]
    backend.requests.clear()
    assert add(api, "alias-of-bob") == shown("bob")
    assert backend.operations() == [WRITE, READ]


def test_settings_are_tried_again(
    serve: Callable[..., Api], backend: ScriptedCognito, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A right that is given later is used."""
    monkeypatch.setattr(described_pool, "DESCRIBED_AGE", 0.0)
    backend.on(DESCRIBE, [failure("AccessDeniedException"), reply({"UserPool": {}})])
    api = serve(backend.url)
    assert add(api, "bob") == shown("bob")
    assert add(api, "bob") == shown("bob")
    assert backend.operations() == [WRITE, DESCRIBE, READ, WRITE, DESCRIBE]


def test_neither_can_be_read(serve: Callable[..., Api], backend: ScriptedCognito) -> None:
    """The change stays done, and the error is at the user."""
    backend.on(DESCRIBE, failure("AccessDeniedException"))
    backend.on(READ, failure("AccessDeniedException"))
    variables = {"input": {"username": "bob", "groupName": "Editors"}}
    answer = serve(backend.url).send(ADD, variables)
    assert answer.partial["addUserToGroup"] == {"user": None, "errors": []}
    assert [error["path"] for error in answer.errors] == [["addUserToGroup", "user"]]


def test_settings_that_are_slow(
    serve: Callable[..., Api], backend: ScriptedCognito, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not all of the time is waited for them, and meanwhile no other request waits or asks."""
    monkeypatch.setattr(described_pool, "PATIENCE", 0.5)
    gate = threading.Event()
    backend.on(DESCRIBE, held(gate, reply({"UserPool": {}})))
    api = serve(backend.url)
    token = api.token("Admins")
    with ThreadPoolExecutor(8) as threads:
        sent = [threads.submit(add, api, "bob", token=token) for _ in range(8)]
        assert [each.result() for each in sent] == [shown("bob")] * 8
    gate.set()
    assert backend.operations().count(DESCRIBE) == 1
    assert backend.operations().count(READ) == 8


@pytest.mark.parametrize(
    "selected", ["user { __typename }", "user { groups { nodes { name } } }", "errors { code }"]
)
def test_name_is_not_shown(
    serve: Callable[..., Api], backend: ScriptedCognito, selected: str
) -> None:
    """Then neither the user is read nor the pool."""
    backend.on("AdminListGroupsForUser", reply({"Groups": []}))
    add(serve(backend.url), "bob", ADD.replace("user { id username } errors { code }", selected))
    assert {READ, DESCRIBE}.isdisjoint(backend.operations())


def test_who_may_not_read_users(
    serve: Callable[..., Api],
    backend: ScriptedCognito,
    policy_for_staff: Callable[[frozenset[Action]], Path],
) -> None:
    """They see the name that they gave, for which nothing is read."""
    policy = policy_for_staff(frozenset(Action) - {Action.GET_USER})
    backend.on("AdminListGroupsForUser", reply({"Groups": []}))
    payload = add(serve(backend.url, policy_file=policy), "alias-of-bob", groups=("Staff",))
    assert payload == shown("alias-of-bob")
    assert DESCRIBE not in backend.operations()
    assert backend.operations()[-1] == WRITE


@pytest.mark.usefixtures("paths")
def test_steps_of_a_batch(serve: Callable[..., Api], backend: ScriptedCognito) -> None:
    """Their payloads show the same, and all that they may take is in the price."""
    document = """mutation ($input: BatchInput!) {
        batch(input: $input) { results { user { id username } errors { code } } }
    }"""
    names = [f"bob-{number}" for number in range(5)]
    steps = [{"addUserToGroup": {"username": name, "groupName": "Editors"}} for name in names]
    api = serve(backend.url)
    add(api, "bob")
    backend.requests.clear()
    results = api.send(document, {"input": {"steps": steps}}).data["batch"]["results"]
    assert results == [shown(name) for name in names]
    assert backend.operations() == [WRITE] * 5


@pytest.mark.parametrize("pool", [PLAIN[0], OTHERS[0]])
def test_price(serve: Callable[..., Api], backend: ScriptedCognito, pool: dict[str, Any]) -> None:
    """What is read for the name has been priced, so that the calls are enough."""
    backend.on(DESCRIBE, reply({"UserPool": pool}))
    fields = " ".join(
        f'm{number}: addUserToGroup(input: {{username: "bob", groupName: "Editors"}}) '
        "{ user { id } errors { code } }"
        for number in range(4)
    )
    api = serve(backend.url, max_calls=4 + 4 + 2 + 1)  # with the caller's standing and the pool
    answer = api.send(f"mutation {{ {fields} }}")
    assert answer.errors == []
    assert backend.operations().count(WRITE) == 4
    refused = serve(backend.url, max_calls=4 + 4 + 2).send(f"mutation {{ {fields} }}")
    assert refused.codes == ["QUERY_TOO_EXPENSIVE"]
