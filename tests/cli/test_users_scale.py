"""Hundreds of users from a file and thousands to one, while things go wrong."""

import json
import random
import secrets
import threading
import time
from collections import Counter, deque
from pathlib import Path
from typing import Any

import pytest

from tests.support.patience import PATIENCE
from tests.support.scripted import Reply, ScriptedCognito, failure, hang_up, reply
from tests.support.started import run, served, started
from tests.support.tokens import Pool

pytestmark = pytest.mark.slow

GROUPS = ("Editors", "Support")


class ThrottledPool:
    """A pool that creates 50 users a second, and throttles the rest.

    Args:
        backend: Where it is installed.
        dies_at: Creations after which `reached` is set, and none is replied to until `killed` is.
    """

    PER_SECOND = 50

    def __init__(self, backend: ScriptedCognito, dies_at: int) -> None:
        self.users: dict[str, dict[str, Any]] = {}
        self.groups: dict[str, list[str]] = {}
        self.created: Counter[str] = Counter()
        self.throttled = 0
        self.reached = threading.Event()
        self.killed = threading.Event()
        self._dies_at = dies_at
        self._recent: deque[float] = deque()
        self._lock = threading.Lock()
        described = {
            "SchemaAttributes": [
                {"Name": name, "AttributeDataType": "String", "Mutable": True}
                for name in ("sub", "email", "name")
            ]
        }
        backend.on("DescribeUserPool", reply({"UserPool": described}))
        backend.on("AdminCreateUser", self.create)
        backend.on("AdminGetUser", self.get)
        backend.on("AdminListGroupsForUser", reply({"Groups": []}))
        backend.on("AdminDisableUser", self.disable)
        backend.on("AdminAddUserToGroup", self.add_to_group)

    def create(self, parameters: dict[str, Any]) -> Reply:
        name = parameters["Username"]
        with self._lock:
            now = time.monotonic()
            while self._recent and self._recent[0] <= now - 1:
                self._recent.popleft()
            # A machine may be too slow for 50 a second; so every eleventh is throttled as well.
            if len(self._recent) >= self.PER_SECOND or secrets.randbelow(11) == 0:
                self.throttled += 1
                return failure("TooManyRequestsException")
            if name in self.users:
                return failure("UsernameExistsException")
            self._recent.append(now)
            self.created[name] += 1
            self.users[name] = {
                "Username": name,
                "Attributes": [
                    {"Name": "sub", "Value": f"sub-of-{name}"},
                    *parameters.get("UserAttributes", ()),
                ],
                "UserCreateDate": time.time(),
                "Enabled": True,
                "UserStatus": "FORCE_CHANGE_PASSWORD",
            }
            self.groups[name] = []
            count = len(self.users)
        if count >= self._dies_at and not self.killed.is_set():
            self.reached.set()
            assert self.killed.wait(PATIENCE)
            return hang_up()  # Cognito created the user, and the server cannot know it
        return reply({"User": self.users[name]})

    def get(self, parameters: dict[str, Any]) -> Reply:
        user = self.users.get(parameters["Username"])
        if user is None:
            return failure("UserNotFoundException")
        return reply({**user, "UserAttributes": user["Attributes"]})

    def disable(self, parameters: dict[str, Any]) -> Reply:
        self.users[parameters["Username"]]["Enabled"] = False
        return reply({})

    def add_to_group(self, parameters: dict[str, Any]) -> Reply:
        self.groups[parameters["Username"]].append(parameters["GroupName"])
        return reply({})


def test_500_imported(
    scripted: ScriptedCognito, jwks_url: str, signing_key: Pool, tmp_path: Path
) -> None:
    """Killed in the middle and run again, an import loses no user and creates none twice.

    The backend throttles at 50 creations a second, and the server does not know it.
    """
    pool = ThrottledPool(scripted, dies_at=230)
    rows = [
        {
            "username": f"user{number:03}",
            "attributes": {"email": f"user{number:03}@example.com", "name": f"User {number}"},
            "enabled": number % 10 != 0,
            "groups": list(GROUPS[: number % 3]),
        }
        for number in range(500)
    ]
    file = tmp_path / "users.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with served(scripted.url, jwks_url, QUOTAS="UserCreation=1000") as server:
        variables = {
            "GRAPHQL_ADMIN_URL": server.url,
            "GRAPHQL_ADMIN_TOKEN": signing_key.access_token("root", ["Admins"]),
        }
        with started("users", "import", str(file), **variables) as program:
            assert pool.reached.wait(PATIENCE), program.said()
            program.kill()
            assert program.wait() == -9
        pool.killed.set()
        assert (tmp_path / "users.jsonl.journal").exists()
        ended = run("users", "import", str(file), **variables)
    assert ended.returncode == 0, ended.stderr
    assert "500 of 500 users were imported" in ended.stderr
    assert pool.created == {row["username"]: 1 for row in rows}
    for row in rows:
        name = str(row["username"])
        assert pool.users[name]["Enabled"] == row["enabled"]
        assert set(pool.groups[name]) == set(row["groups"])  # type: ignore[call-overload]
    assert pool.throttled > 0
    assert [path.name for path in tmp_path.iterdir()] == ["users.jsonl"]


class RestlessPool:
    """A pool whose list is in the order of changes, and that changes with every page.

    With each page users who were listed are changed, and come again at the end; users who were not
    are changed, created and deleted; and pages may be short or empty.
    """

    def __init__(self, backend: ScriptedCognito, count: int) -> None:
        self._chance = random.Random(5)
        self.users = {f"user{number:04}": number for number in range(count)}
        """Their place in the list, by username."""
        self.steady = set(self.users)
        """Users who were there from the start to the end."""
        self.changes = 0
        self.repeated: Counter[str] = Counter()
        self._next = count
        self._lock = threading.Lock()
        backend.on("ListUsers", self.show)

    def show(self, parameters: dict[str, Any]) -> Reply:
        with self._lock:
            limit = parameters["Limit"]
            after = int(parameters.get("PaginationToken", "-1 ").split()[0])
            places = sorted((place, name) for name, place in self.users.items() if place > after)
            size = self._chance.choice([0, limit, limit, self._chance.randint(1, limit)])
            taken = places[:size]
            result: dict[str, Any] = {"Users": [self._row(name) for _, name in taken]}
            self.repeated.update(name for _, name in taken)
            if len(taken) < len(places):
                token = f"{taken[-1][0] if taken else after} {secrets.token_hex(8)}"
                result["PaginationToken"] = token
                self._change([name for _, name in places])
            return reply(result)

    def _change(self, names: list[str]) -> None:
        if self.changes >= 400:  # or the list would never end
            return
        self.changes += 4
        for name in self._chance.sample(sorted(self.steady), 2):
            self.users[name] = self._next = self._next + 1
        gone = self._chance.choice(names)
        del self.users[gone]
        self.steady.discard(gone)
        self._next += 1
        self.users[f"new{self._next}"] = self._next

    @staticmethod
    def _row(name: str) -> dict[str, Any]:
        return {
            "Username": name,
            "Attributes": [
                {"Name": "sub", "Value": f"sub-of-{name}"},
                {"Name": "email", "Value": f"{name}@example.com"},
            ],
            "Enabled": True,
            "UserStatus": "CONFIRMED",
        }


def test_5000_exported(
    scripted: ScriptedCognito, jwks_url: str, signing_key: Pool, tmp_path: Path
) -> None:
    """While users are changed, created and deleted, each who stays is exported once."""
    pool = RestlessPool(scripted, 5000)
    scripted.on("DescribeUserPool", reply({"UserPool": {}}))
    file = tmp_path / "users.csv"
    with served(scripted.url, jwks_url, QUOTAS="UserList=10000,PerPool=10000") as server:
        ended = run(
            "users",
            "export",
            str(file),
            "--columns",
            "email",
            GRAPHQL_ADMIN_URL=server.url,
            GRAPHQL_ADMIN_TOKEN=signing_key.access_token("root", ["Admins"]),
        )
    assert ended.returncode == 0, ended.stderr
    lines = file.read_text().splitlines()[1:]
    exported = Counter(line.partition(",")[0] for line in lines)
    assert set(exported.values()) == {1}
    assert exported.keys() >= pool.steady
    assert len(pool.steady) > 4800
    assert pool.changes >= 400
    assert max(pool.repeated.values()) > 1, "no user came twice"
