"""`*`, every signed-in user, as a group with rights: what it gives, and that the rules hold."""

import threading
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from graphql_admin.actions import Action
from graphql_admin.policy.grants import FOR_ANYONE
from tests.support.api import Api
from tests.support.changes import ask, endings
from tests.support.directory import Directory
from tests.support.patience import PATIENCE

WAYS = pytest.mark.parametrize("way", ["graphql", "rest", "batch"])
SCOPE, OWN, FORBIDDEN = "OUT_OF_SCOPE", "OWN_ACCOUNT", "FORBIDDEN"
EVERYONE = {"admin_groups": "*"}
OPEN = {action.label for action in Action if action.open_to_signed_in}
SDL = "{ _service { sdl } }"


@pytest.fixture
def start(
    serve: Callable[..., Api], moto_url: str, directory: Directory, tmp_path: Path
) -> Callable[..., Api]:
    """Start the server with a policy, or settings, in front of some people."""
    for group in ("Admins", "Customers"):
        directory.add_group(group)
    for username, groups in (("ada", ["Admins"]), ("bob", []), ("carl", ["Customers"])):
        directory.add_user(username, *groups)

    def start(policy: str | None = None, **settings: Any) -> Api:
        if policy is not None:
            path = tmp_path / "policy.toml"
            path.write_text(policy)
            settings["policy_file"] = path
        return serve(
            moto_url,
            directory.pool_id,
            amplify=True,
            audit_file=tmp_path / "audit.jsonl",
            **settings,
        )

    return start


def token(api: Api, directory: Directory, username: str, *groups: str) -> str:
    attributes = {
        each["Name"]: each["Value"] for each in directory.user(username)["UserAttributes"]
    }
    return api.token(*groups, username=username, sub=attributes["sub"])


def test_schema_and_actions(start: Callable[..., Api], directory: Directory) -> None:
    """Every user has the schema, and the administrators' actions but those of later versions."""
    everyone, admins = start(**EVERYONE), start(admin_groups="Admins")
    bob, ada = token(everyone, directory, "bob"), token(admins, directory, "ada", "Admins")
    assert everyone.send(SDL, token=bob).data == admins.send(SDL, token=ada).data
    viewer = "{ viewer { actions } }"
    of_admins = set(admins.send(viewer, token=ada).data["viewer"]["actions"])
    of_everyone = set(everyone.send(viewer, token=bob).data["viewer"]["actions"])
    assert of_admins == {action.label for action in Action}
    assert of_everyone == {action.label for action in FOR_ANYONE}


@WAYS
def test_changes(start: Callable[..., Api], directory: Directory, tmp_path: Path, way: str) -> None:
    """Every user changes every other, and takes nothing from themselves."""
    api = start(**EVERYONE)
    bob = token(api, directory, "bob")
    assert ask(api, way, "addUserToGroup", "carl", "Admins", token=bob) is None
    assert ask(api, way, "removeUserFromGroup", "carl", "Admins", token=bob) is None
    assert ask(api, way, "disableUser", "carl", token=bob) is None
    assert not directory.user("carl")["Enabled"]
    assert ask(api, way, "enableUser", "carl", token=bob) is None
    assert ask(api, way, "disableUser", "bob", token=bob) == OWN
    assert directory.user("bob")["Enabled"]
    assert endings(tmp_path / "audit.jsonl")[-1] == ("refused", OWN)
    directory.cognito.admin_disable_user(UserPoolId=directory.pool_id, Username="bob")
    api = start(**EVERYONE, authority_max_age="0")
    assert ask(api, way, "enableUser", "bob", token=bob) == FORBIDDEN


@WAYS
def test_scope(start: Callable[..., Api], directory: Directory, way: str) -> None:
    """What every user may do is not enough for targets with more rights."""
    changes = ["addUserToGroup", "removeUserFromGroup", "disableUser", "enableUser"]
    api = start(f'[groups]\n"*" = {changes}\nAdmins = ["*"]\n')
    bob = token(api, directory, "bob")
    expected = {
        ("disableUser", "ada"): SCOPE,
        ("disableUser", "carl"): None,
        ("enableUser", "ada"): SCOPE,
        ("enableUser", "carl"): None,
        ("addUserToGroup", "carl", "Admins"): SCOPE,
        ("addUserToGroup", "ada", "Customers"): SCOPE,
        ("addUserToGroup", "carl", "Customers"): None,
        ("removeUserFromGroup", "carl", "Admins"): SCOPE,
        ("removeUserFromGroup", "ada", "Customers"): SCOPE,
        ("removeUserFromGroup", "carl", "Customers"): None,
    }
    assert {change: ask(api, way, *change, token=bob) for change in expected} == expected
    assert ask(api, way, "addUserToGroup", "bob", "Customers", token=bob) == OWN
    assert directory.groups_of("ada") == {"Admins"}
    assert directory.user("ada")["Enabled"]


@WAYS
@pytest.mark.parametrize(
    "settings",
    [EVERYONE, {"policy": '[groups]\n"*" = ["disableUser"]\n'}],
    ids=["administrators", "a policy"],
)
def test_two_at_once(
    start: Callable[..., Api], directory: Directory, way: str, settings: Any
) -> None:
    """Of two who disable each other one stays, though no group gives either of them a right."""
    api = start(**settings)
    for number in range(20):
        names = f"x{number}", f"y{number}"
        tokens = [api.token(username=name, sub=directory.add_user(name)) for name in names]
        ready = threading.Barrier(2)

        def disable(target: str, sent: str, ready: threading.Barrier = ready) -> str | None:
            ready.wait(PATIENCE)
            return ask(api, way, "disableUser", target, token=sent)

        with ThreadPoolExecutor(2) as threads:
            said = list(threads.map(disable, reversed(names), tokens))
        assert [directory.user(name)["Enabled"] for name in names].count(True) == 1, said
        assert set(said) <= {None, "CONFLICT", FORBIDDEN}


OLD_POLICY = """
[groups]
Admins = ["*"]
Support = ["listUsers", "getUser", "disableUser", "enableUser", "addUserToGroup"]
Readers = ["listUsers", "listGroups"]
Nobodies = ["viewer"]
"*" = ["listGroups"]
"""


@pytest.mark.parametrize("policy", [OLD_POLICY, OLD_POLICY.replace('"*" = ["listGroups"]', "")])
def test_old_policy(start: Callable[..., Api], directory: Directory, policy: str) -> None:
    """A file with actions alone gives every caller the union of them, as it always did."""
    api = start(policy)
    table = tomllib.loads(policy)["groups"]
    everything = {action.label for action in Action}
    labels = {group: everything if given == ["*"] else set(given) for group, given in table.items()}
    names = ["Admins", "Support", "Readers", "Nobodies", "Unknown"]
    subsets = [each for count in range(len(names) + 1) for each in combinations(names, count)]
    found = {}
    for groups in subsets:
        sent = token(api, directory, "bob", *groups)
        viewer = api.send("{ viewer { actions } }", token=sent).data["viewer"]
        found[groups] = set(viewer["actions"])
    assert found == {
        groups: OPEN.union(*(labels.get(group, set()) for group in (*groups, "*")))
        for groups in subsets
    }


@WAYS
def test_old_policy_at_work(start: Callable[..., Api], directory: Directory, way: str) -> None:
    """What such a file allowed on people without rights, it still allows."""
    api = start(OLD_POLICY)
    directory.add_group("Support")
    directory.add_user("sue", "Support")
    sue = token(api, directory, "sue", "Support")
    changes: list[tuple[str, ...]] = [
        ("disableUser", "carl"),
        ("enableUser", "carl"),
        ("addUserToGroup", "bob", "Customers"),
        ("addUserToGroup", "bob", "Support"),
    ]
    said = {change: ask(api, way, *change, token=sue) for change in changes}
    assert said == dict.fromkeys(changes)
    assert directory.groups_of("bob") == {"Customers", "Support"}
