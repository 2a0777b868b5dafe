"""A user pool in memory: to be called in this process, or scripted as a Cognito over HTTP.

It resolves a name as Cognito does, by username, `sub` or an alias, all in any letter case, and its
lists may lag behind: a read brings what was so many seconds ago.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from graphql_admin.cognito.operations import translate
from tests.support.scripted import Reply, ScriptedCognito, failure, reply
from tests.support.ways import IDENTITIES


@dataclass(frozen=True)
class Person:
    """A user of the pool."""

    username: str
    sub: str
    email: str
    groups: frozenset[str] = frozenset()
    enabled: bool = True
    status: str = "FORCE_CHANGE_PASSWORD"
    phone_number: str = ""
    preferred_username: str = ""

    @property
    def attributes(self) -> dict[str, str]:
        """The attributes that are set."""
        names = ("sub", "email", "phone_number", "preferred_username")
        return {name: getattr(self, name) for name in names if getattr(self, name)}

    def is_called(self, name: str) -> bool:
        """Tell whether the pool knows the user by a name."""
        names = {self.username, *self.attributes.values()}
        return name.lower() in {each.lower() for each in names}


def _reply_with_group(parameters: Mapping[str, Any]) -> Reply:
    return reply({"Group": {"GroupName": parameters["GroupName"]}})


@dataclass
class MemoryPool:
    """The pool.

    Attributes:
        now: Seconds, by whose clock reads lag.
        lag: Seconds that reads lag behind.
        writes: The operations that changed something, each with the username it was told.
    """

    now: Callable[[], float] = lambda: 0.0
    lag: float = 0.0
    writes: list[tuple[str, str]] = field(default_factory=list)
    _states: list[tuple[float, dict[str, Person]]] = field(
        default_factory=lambda: [(float("-inf"), {})]
    )
    _lock: threading.RLock = field(default_factory=threading.RLock)
    """Held for each operation: over HTTP they come at the same time."""

    def add(self, username: str, *groups: str, sub: str | None = None) -> Person:
        """Put a user into the pool, as if they had always been there."""
        person = Person(
            username, sub or f"sub-of-{username}", f"{username}@example.com", frozenset(groups)
        )
        for _, people in self._states:
            people[username] = person
        return person

    def change(self, username: str, /, **members: Any) -> None:
        """Change a user from now on."""
        people = dict(self.people)
        people[username] = replace(people[username], **members)
        self._states.append((self.now(), people))

    def remove(self, username: str) -> None:
        """Delete a user from now on."""
        people = {name: each for name, each in self.people.items() if name != username}
        self._states.append((self.now(), people))

    def restore(self, person: Person) -> None:
        """Let a user be as they were, from now on."""
        self._states.append((self.now(), {**self.people, person.username: person}))

    @property
    def people(self) -> dict[str, Person]:
        """The users, by username, as they are."""
        return self._states[-1][1]

    def operations(self) -> frozenset[str]:
        """Return the operations that the pool has."""
        return frozenset(self._handlers())

    def install(self, backend: ScriptedCognito) -> None:
        """Reply from this pool; any other change is made without a trace, and groups are empty."""
        backend.people.clear()
        backend.on_all(
            {
                "DescribeUserPool": {
                    "UserPool": {
                        "SchemaAttributes": [{"Name": "name"}],
                        "AliasAttributes": ["email"],  # by which people are called too
                    }
                },
                "ListUsers": {"Users": []},
                "ListUsersInGroup": {"Users": []},
            }
        )
        for operation in ("GetGroup", "CreateGroup", "UpdateGroup"):
            backend.on(operation, _reply_with_group)
        for operation in self.operations():
            backend.on(operation, self._scripted(operation))

    def _scripted(self, operation: str) -> Callable[[dict[str, Any]], Reply]:
        def script(parameters: dict[str, Any]) -> Reply:
            result = self._carry_out(operation, parameters)
            return failure(result) if isinstance(result, str) else reply(result)

        return script

    def call(self, operation: str, parameters: Mapping[str, object]) -> dict[str, Any]:
        """Carry out an operation.

        Raises:
            AdminError: As `UserPool` raises it.
        """
        result = self._carry_out(operation, parameters)
        if isinstance(result, str):
            error = translate(operation, result)
            raise error
        return result

    def _carry_out(self, operation: str, parameters: Mapping[str, object]) -> dict[str, Any] | str:
        with self._lock:
            is_read = operation in {"AdminGetUser", "AdminListGroupsForUser"}
            at = self.now() - self.lag if is_read else self.now()
            people = next(people for since, people in reversed(self._states) if since <= at)
            name = str(parameters["Username"])
            person = next((each for each in people.values() if each.is_called(name)), None)
            if operation == "AdminCreateUser" and parameters.get("MessageAction") != "RESEND":
                return self._create(name, person)
            if person is None:
                return "UserNotFoundException"
            if not is_read:
                self.writes.append((operation, name))
            return self._handlers()[operation](person, str(parameters.get("GroupName")))

    def _handlers(self) -> dict[str, Callable[[Person, str], dict[str, Any]]]:
        return {
            "AdminGetUser": self._get,
            "AdminListGroupsForUser": self._list_groups,
            "AdminEnableUser": self._enable,
            "AdminDisableUser": self._disable,
            "AdminAddUserToGroup": self._add,
            "AdminRemoveUserFromGroup": self._take,
            "AdminConfirmSignUp": self._nothing,
            "AdminUserGlobalSignOut": self._nothing,
            "AdminDeleteUser": self._delete,
            "AdminSetUserPassword": self._nothing,
            "AdminResetUserPassword": self._nothing,
            "AdminCreateUser": self._nothing,  # as RESEND
            "AdminDeleteSoftwareToken": self._nothing,
            "AdminRevokeUserSession": self._nothing,
            "AdminSetUserMFAPreference": self._nothing,
            "AdminUpdateUserAttributes": self._nothing,
            "AdminDeleteUserAttributes": self._nothing,
        }

    def _create(self, username: str, person: Person | None) -> dict[str, Any] | str:
        if person is not None:
            return "UsernameExistsException"
        person = Person(username, f"sub-of-{username}", f"{username}@example.com")
        self.restore(person)
        self.writes.append(("AdminCreateUser", username))
        row = self._get(person, "")
        return {"User": {**row, "Attributes": row.pop("UserAttributes")}}

    def _get(self, person: Person, _: str) -> dict[str, Any]:
        return {
            "Username": person.username,
            "UserAttributes": [
                *({"Name": n, "Value": v} for n, v in person.attributes.items()),
                {"Name": "identities", "Value": IDENTITIES},
            ],
            "Enabled": person.enabled,
            "UserStatus": person.status,
        }

    def _list_groups(self, person: Person, _: str) -> dict[str, Any]:
        return {"Groups": [{"GroupName": name} for name in sorted(person.groups)]}

    def _enable(self, person: Person, _: str) -> dict[str, Any]:
        self.change(person.username, enabled=True)
        return {}

    def _disable(self, person: Person, _: str) -> dict[str, Any]:
        self.change(person.username, enabled=False)
        return {}

    def _add(self, person: Person, group: str) -> dict[str, Any]:
        self.change(person.username, groups=person.groups | {group})
        return {}

    def _take(self, person: Person, group: str) -> dict[str, Any]:
        self.change(person.username, groups=person.groups - {group})
        return {}

    def _delete(self, person: Person, _: str) -> dict[str, Any]:
        self.remove(person.username)
        return {}

    def _nothing(self, person: Person, _: str) -> dict[str, Any]:  # noqa: ARG002
        return {}
