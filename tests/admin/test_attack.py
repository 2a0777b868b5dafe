"""The helper who wants to be an administrator, from beginning to end: refusals, and nothing else.

Sue may add people to groups and disable them. Mallory is an administrator until she is disabled,
and has her token still.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Protocol

import pytest

from graphql_admin.actions import Action
from tests.support.api import Api
from tests.support.changes import ask, endings, ways_to
from tests.support.directory import Directory
from tests.support.memory_pool import MemoryPool
from tests.support.scripted import ScriptedCognito

SCOPE, OWN, FORBIDDEN = "OUT_OF_SCOPE", "OWN_ACCOUNT", "FORBIDDEN"
POLICY = """
[groups]
Admins = ["*"]
Support = ["addUserToGroup", "disableUser"]
"""
PEOPLE = {"ada": ["Admins"], "mallory": ["Admins"], "sue": ["Support"], "carl": []}
ADDRESS = "{}@example.com"

State = dict[str, tuple[bool, frozenset[str]]]


class World(Protocol):
    """A pool, as those who own it change it."""

    url: str
    pool_id: str
    subs: dict[str, str]
    usernames: dict[str, str]

    def state(self) -> State:
        """Return who is enabled, and in which groups."""

    def disable(self, name: str) -> None:
        """Disable a user."""

    def remove(self, name: str, group: str) -> None:
        """Remove a user from a group."""


class Moto:
    """A pool of moto's whose users sign in with their addresses, so that they have three names."""

    def __init__(self, url: str, cognito: Any) -> None:
        pool = cognito.create_user_pool(PoolName="people", UsernameAttributes=["email"])
        self.url = url
        self._directory = directory = Directory(cognito, pool["UserPool"]["Id"])
        self.pool_id = directory.pool_id
        for group in ("Admins", "Support"):
            directory.add_group(group)
        self.subs, self.usernames = {}, {}
        for name, groups in PEOPLE.items():
            self.subs[name] = directory.add_user(ADDRESS.format(name), *groups)
            self.usernames[name] = directory.user(ADDRESS.format(name))["Username"]

    def state(self) -> State:
        return {
            name: (
                self._directory.user(username)["Enabled"],
                frozenset(self._directory.groups_of(username)),
            )
            for name, username in self.usernames.items()
        }

    def disable(self, name: str) -> None:
        self._directory.cognito.admin_disable_user(
            UserPoolId=self.pool_id, Username=self.usernames[name]
        )

    def remove(self, name: str, group: str) -> None:
        self._directory.cognito.admin_remove_user_from_group(
            UserPoolId=self.pool_id, Username=self.usernames[name], GroupName=group
        )


class Memory:
    """A pool in memory, which knows every user by name, `sub` and address."""

    def __init__(self, backend: ScriptedCognito, pool_id: str) -> None:
        self.url, self.pool_id = backend.url, pool_id
        self._pool = pool = MemoryPool()
        self.subs = {name: pool.add(name, *groups).sub for name, groups in PEOPLE.items()}
        self.usernames = {name: name for name in PEOPLE}
        pool.install(backend)

    def state(self) -> State:
        return {name: (each.enabled, each.groups) for name, each in self._pool.people.items()}

    def disable(self, name: str) -> None:
        self._pool.change(name, enabled=False)

    def remove(self, name: str, group: str) -> None:
        self._pool.change(name, groups=self._pool.people[name].groups - {group})


@pytest.fixture(params=["moto", "memory"])
def world(request: pytest.FixtureRequest) -> World:
    """Each of the two."""
    if request.param == "moto":
        return Moto(request.getfixturevalue("moto_url"), request.getfixturevalue("cognito"))
    return Memory(request.getfixturevalue("scripted"), "eu-west-1_AbCdEf123")


@dataclass
class Attacker:
    """A caller with a token, who tries every way and every name."""

    api: Api
    world: World
    token: str
    attempts: int = 0
    """How many there were."""

    def tries(self, action: str, target: str, *group: str) -> set[str | None]:
        """Ask for a change by every way, of a target under every name; return what is said."""
        names = [self.world.usernames[target], self.world.subs[target], ADDRESS.format(target)]
        attempts = list(product(ways_to(Action.labelled(action)), names))
        self.attempts += len(attempts)
        return {
            ask(self.api, way, action, name, *group, token=self.token) for way, name in attempts
        }


def test_attack(world: World, serve: Callable[..., Api], tmp_path: Path) -> None:
    """Nobody gets anywhere, and every attempt is on record as refused."""
    policy, events = tmp_path / "policy.toml", tmp_path / "audit.jsonl"
    policy.write_text(POLICY)
    api = serve(
        world.url,
        world.pool_id,
        policy_file=policy,
        audit_file=events,
        amplify=True,
        authority_max_age="0",
    )

    def attacker(name: str) -> Attacker:
        claims = {"username": world.usernames[name], "sub": world.subs[name]}
        return Attacker(api, world, api.token(*PEOPLE[name], **claims))

    sue, mallory = attacker("sue"), attacker("mallory")
    before = world.state()

    # Sue makes herself an administrator; or a friend; or adds herself to her own group again.
    assert sue.tries("addUserToGroup", "sue", "Admins") == {SCOPE}
    assert sue.tries("addUserToGroup", "carl", "Admins") == {SCOPE}
    assert sue.tries("addUserToGroup", "sue", "Support") == {OWN}
    # She disables who could stop her.
    assert sue.tries("disableUser", "ada") == {SCOPE}
    # She does what she has no right to at all.
    assert sue.tries("removeUserFromGroup", "ada", "Admins") == {FORBIDDEN}
    assert sue.tries("enableUser", "carl") == {FORBIDDEN}
    # A stolen token of an administrator would lock out its owner.
    assert mallory.tries("disableUser", "mallory") == {OWN}
    assert mallory.tries("removeUserFromGroup", "mallory", "Admins") == {OWN}
    assert world.state() == before

    # Sue is removed from her group, and Mallory disabled. Their tokens stay valid for an hour.
    world.remove("sue", "Support")
    world.disable("mallory")
    before = world.state()
    assert sue.tries("addUserToGroup", "sue", "Admins") == {SCOPE}
    assert sue.tries("addUserToGroup", "sue", "Support") == {FORBIDDEN}
    assert sue.tries("addUserToGroup", "carl", "Support") == {FORBIDDEN}
    assert sue.tries("disableUser", "carl") == {FORBIDDEN}
    # Mallory's token says that she is an administrator.
    assert mallory.tries("enableUser", "mallory") == {FORBIDDEN}
    assert mallory.tries("addUserToGroup", "sue", "Admins") == {FORBIDDEN}
    assert mallory.tries("disableUser", "ada") == {FORBIDDEN}
    # Nor does either end another's sessions.
    assert sue.tries("signUserOut", "ada") == {FORBIDDEN}
    assert mallory.tries("signUserOut", "ada") == {FORBIDDEN}

    assert world.state() == before
    assert world.state()["ada"] == (True, {"Admins"})
    assert {outcome for outcome, _ in endings(events)} == {"refused"}
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    assert len(lines) == sue.attempts + mallory.attempts
    assert {line["caller"]["sub"] for line in lines} == {world.subs["sue"], world.subs["mallory"]}
