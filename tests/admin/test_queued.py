"""Changes that wait for their turn, while rights are taken and given."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from graphql_admin.actions import Action
from graphql_admin.admin.authorization import MAX_WAIT
from graphql_admin.errors import UpstreamFailed
from graphql_admin.policy.reservations import KEPT
from tests.support.api import Api
from tests.support.changes import ask, endings
from tests.support.memory_pool import MemoryPool
from tests.support.patience import PATIENCE
from tests.support.scripted import Reply, ScriptedCognito, failure, reply, user_of
from tests.support.started import until
from tests.support.together import Together, at_once

ADD, REMOVE, DISABLE = (
    Action.ADD_USER_TO_GROUP,
    Action.REMOVE_USER_FROM_GROUP,
    Action.DISABLE_USER,
)
FORBIDDEN, CONFLICT, SCOPE = "FORBIDDEN", "CONFLICT", "OUT_OF_SCOPE"


class Turn:
    """Keeps the next write waiting."""

    def __init__(self, together: Together, place: str = "turn") -> None:
        self._together, self._place = together, place
        self._is_here, self._goes_on = asyncio.Event(), asyncio.Event()
        setattr(together, place, self._wait)

    async def _wait(self) -> None:
        setattr(self._together, self._place, at_once)
        self._is_here.set()
        await self._goes_on.wait()

    async def keep(self, *change: Any) -> "asyncio.Task[str | None]":
        """Begin a change, until it waits."""
        task = asyncio.ensure_future(self._together.attempt(*change))
        await self._is_here.wait()
        return task

    def go_on(self) -> None:
        """Let it through."""
        self._goes_on.set()


@pytest.fixture
def together(tmp_path: Path) -> Together:
    """Two administrators, one helper, and two without rights."""
    together = Together(tmp_path)
    together.pool.add("sam", "Support")
    for name in ("bob", "eve"):
        together.pool.add(name)
    return together


@pytest.mark.parametrize("place", ["turn", "arrival"])
@pytest.mark.parametrize(("taking", "group"), [(DISABLE, None), (Action.DELETE_USER, None)])
def test_who_is_about_to_be_disabled_takes_no_rights(
    together: Together, place: str, taking: Action, group: str | None
) -> None:
    """Who has no rights when they are about to be disabled, and is given all, uses none of them."""

    async def play() -> None:
        turn = Turn(together, place)
        kept = await turn.keep("ada", taking, "bob", group)
        assert await together.attempt("alan", ADD, "bob", "Admins") is None
        assert await together.attempt("bob", REMOVE, "ada", "Admins") == CONFLICT
        assert await together.attempt("bob", DISABLE, "alan") == CONFLICT
        assert await together.attempt("bob", ADD, "eve", "Customers") == CONFLICT
        turn.go_on()
        assert await kept is None
        assert together.administrators() == ["ada", "alan"]

    asyncio.run(play())


@pytest.mark.parametrize("lag", [0.0, 2.0])
@pytest.mark.parametrize("name", ["ada", "sam"])
def test_by_a_list_from_before_the_promotion(tmp_path: Path, lag: float, name: str) -> None:
    """Nor do they where the list by which they are disabled does not have it yet."""

    async def play() -> None:
        together = Together(tmp_path, lag=lag)
        together.pool.add("sam", "Support")
        together.pool.add("bob")
        assert await together.attempt("ada", ADD, "bob", "Admins") is None
        together.time += 1.7
        said = await together.attempt(name, DISABLE, "bob")
        assert said == (SCOPE if name == "sam" and not lag else None)
        together.time += lag
        assert await together.attempt("bob", REMOVE, "ada", "Admins") == (
            None if said else FORBIDDEN
        )

    asyncio.run(play())


def test_a_helper_disables_no_administrator(together: Together) -> None:
    """What was decided a while ago is decided again, by the rights that the target has by then."""

    async def play() -> None:
        turn = Turn(together)
        kept = await turn.keep("sam", DISABLE, "bob")
        assert await together.attempt("ada", ADD, "bob", "Admins") is None
        together.time += MAX_WAIT
        turn.go_on()
        assert await kept == SCOPE
        assert endings(together.events)[-1] == ("refused", SCOPE)
        assert together.pool.people["bob"].enabled
        assert await together.attempt("bob", Action.ENABLE_USER, "eve") is None  # not kept

    asyncio.run(play())


@pytest.mark.parametrize("waited", [0.0, MAX_WAIT])
def test_calls_of_what_waited(together: Together, waited: float) -> None:
    """What waits for a moment takes no further call; later, those that decide."""

    async def play(name: str, *change: Any) -> list[str]:
        turn = Turn(together)
        kept = await turn.keep(name, *change)
        before = len(together.calls)
        together.time += waited
        turn.go_on()
        assert await kept is None
        return together.calls[before:-1]

    async def plays() -> None:
        late = bool(waited)
        standing = ["AdminGetUser", "AdminListGroupsForUser"] * late
        target = ["AdminGetUser", "AdminListGroupsForUser"] * late
        assert await play("alan", ADD, "bob", "Admins") == []  # believed for ten seconds
        assert await play("sam", Action.CONFIRM_USER_SIGN_UP, "eve") == target
        assert await play("ada", DISABLE, "eve") == [*standing, *target[:1]]
        assert await play("sam", DISABLE, "eve") == [*standing, *target]
        together.time += 10
        assert await play("alan", ADD, "bob", "Admins") == []

    asyncio.run(plays())


def test_reads_that_take_long(together: Together) -> None:
    """A change whose decision takes longer than it may be old is sent after it, still."""

    async def play() -> None:
        turn = Turn(together)
        kept = await turn.keep("sam", Action.CONFIRM_USER_SIGN_UP, "eve")
        before, call = len(together.calls), together.pool.call

        def slow(operation: str, parameters: Any) -> Any:
            together.time += MAX_WAIT
            return call(operation, parameters)

        together.pool.call = slow  # type: ignore[method-assign]
        together.time += MAX_WAIT
        turn.go_on()
        assert await kept is None
        assert together.calls[before:-1] == ["AdminGetUser", "AdminListGroupsForUser"]

    asyncio.run(play())


def test_what_is_believed_no_longer(together: Together) -> None:
    """A caller whose reading is out of date by the time of their turn is read again."""

    async def play() -> None:
        turn = Turn(together)
        kept = await turn.keep("alan", ADD, "eve", "Admins")
        together.pool.change("alan", enabled=False)
        together.time += 10
        turn.go_on()
        assert await kept == FORBIDDEN
        assert endings(together.events)[-1] == ("refused", FORBIDDEN)
        assert together.pool.writes == []

    asyncio.run(play())


def test_name_that_was_not_resolved(together: Together) -> None:
    """Where the user whom a name means matters by then, and has another, nothing is sent."""
    together.pool.add("both", "Admins", "Support")

    async def play() -> None:
        turn = Turn(together)
        kept = await turn.keep("both", Action.ENABLE_USER, "bob@example.com")
        together.pool.change("both", groups=frozenset({"Support"}))
        together.time += 10
        turn.go_on()
        assert await kept == CONFLICT
        assert together.pool.writes == []

    asyncio.run(play())


@pytest.mark.parametrize("caller", ["ada", "sam"])
@pytest.mark.parametrize("action", [DISABLE, Action.DELETE_USER])
def test_name_that_was_reused(together: Together, caller: str, action: Action) -> None:
    """Another user who got the name of the target meanwhile is not changed."""

    async def play() -> None:
        turn = Turn(together)
        kept = await turn.keep(caller, action, "bob")
        together.pool.restore(replace(together.pool.people["bob"], sub="sub-of-another"))
        together.time += MAX_WAIT
        turn.go_on()
        assert await kept == "STALE"
        assert endings(together.events)[-1] == ("failed", "STALE")
        assert together.pool.writes == []
        assert await together.attempt(caller, action, "bob") is None  # that user is not reserved

    asyncio.run(play())


def test_target_that_is_gone(together: Together) -> None:
    """A target that was deleted meanwhile is not found."""

    async def play() -> None:
        turn = Turn(together)
        kept = await turn.keep("ada", Action.DELETE_USER, "bob")
        together.pool.remove("bob")
        together.time += MAX_WAIT
        turn.go_on()
        assert await kept == "USER_NOT_FOUND"
        assert endings(together.events)[-1] == ("failed", "USER_NOT_FOUND")

    asyncio.run(play())


@pytest.mark.parametrize("action", [ADD, Action.CONFIRM_USER_SIGN_UP, REMOVE, DISABLE])
def test_who_lost_their_rights_sends_nothing_more(together: Together, action: Action) -> None:
    """What was decided before its caller lost their rights is not sent afterwards."""
    group = "Admins" if action is ADD else "Customers" if action is REMOVE else None

    async def play() -> None:
        turn = Turn(together)
        kept = await turn.keep("alan", action, "eve", group)
        assert await together.attempt("ada", REMOVE, "alan", "Admins") is None
        turn.go_on()
        assert await kept == CONFLICT
        assert [name for _, name in together.pool.writes] == ["alan"]
        assert endings(together.events)[-1] == ("refused", CONFLICT)

    asyncio.run(play())


def test_target_that_cannot_be_read(together: Together) -> None:
    """Where it cannot be decided again nothing was changed, and it is known."""

    async def play() -> None:
        turn = Turn(together)
        kept = await turn.keep("sam", Action.CONFIRM_USER_SIGN_UP, "eve")
        together.time += MAX_WAIT
        call = together.pool.call

        def fail(operation: str, parameters: Any) -> Any:
            if operation == "AdminListGroupsForUser":
                raise UpstreamFailed
            return call(operation, parameters)

        together.pool.call = fail  # type: ignore[method-assign]
        turn.go_on()
        assert await kept == "UPSTREAM_ERROR"
        assert endings(together.events)[-1] == ("failed", "UPSTREAM_ERROR")

    asyncio.run(play())


@pytest.mark.parametrize("max_age", [0.0, 10.0, 60.0])
def test_nothing_is_kept_of_who_lost_their_rights(tmp_path: Path, max_age: float) -> None:
    """A list that still has their rights is neither believed nor kept for later.

    While the caller is reserved, they change nothing.
    """
    together = Together(tmp_path, lag=2.0, max_age=max_age)
    together.pool.add("eve")
    changes: list[tuple[Any, ...]] = [
        (ADD, "eve", "Admins"),
        (ADD, "eve", "Customers"),
        (Action.CONFIRM_USER_SIGN_UP, "eve"),
        (REMOVE, "eve", "Customers"),
        (DISABLE, "eve"),
    ]

    async def play() -> None:
        assert await together.attempt("ada", REMOVE, "alan", "Admins") is None
        for _ in range(3):
            together.time += 0.5
            for change in changes:
                assert await together.attempt("alan", *change) == CONFLICT
        together.time += KEPT - 1
        for change in changes:
            assert await together.attempt("alan", *change) == FORBIDDEN
        assert together.administrators() == ["ada"]

    asyncio.run(play())


def test_reading_that_started_before(together: Together) -> None:
    """Nor is a reading kept for later that started before, for a change that went on after it."""

    async def play() -> None:
        arrived, goes_on = asyncio.Event(), asyncio.Event()
        gate = together.gates[0]
        reader = gate._authorization.pool  # noqa: SLF001
        call = reader._call  # noqa: SLF001

        async def slow(operation: str, parameters: Any, **options: Any) -> Any:
            result = await call(operation, parameters, **options)
            if parameters["Username"] == "alan" and operation == "AdminListGroupsForUser":
                arrived.set()
                await goes_on.wait()
            return result

        reader._call = slow  # noqa: SLF001
        kept = asyncio.ensure_future(together.attempt("alan", Action.CONFIRM_USER_SIGN_UP, "eve"))
        await arrived.wait()
        assert await together.attempt("ada", REMOVE, "alan", "Admins") is None
        goes_on.set()
        assert await kept == CONFLICT
        assert gate._authorization.authority.recall("sub-of-alan") is None  # noqa: SLF001

    asyncio.run(play())


def test_who_is_losing_rights_is_given_none(tmp_path: Path) -> None:
    """Where it is known who a target is, they are given nothing while rights are being taken.

    Once that is done it can be undone, at once.
    """
    together = Together(tmp_path, protected=frozenset({"no one"}))
    together.pool.add("bob")

    async def play() -> None:
        turn = Turn(together)
        kept = await turn.keep("ada", DISABLE, "bob")
        assert await together.attempt("alan", ADD, "bob", "Admins") == CONFLICT
        assert await together.attempt("alan", Action.ENABLE_USER, "bob") == CONFLICT
        assert await together.attempt("alan", ADD, "bob", "Customers") is None
        turn.go_on()
        assert await kept is None
        assert await together.attempt("alan", Action.ENABLE_USER, "bob") is None

        turn = Turn(together)
        kept = await turn.keep("alan", ADD, "bob", "Admins")
        disabling = Turn(together, "arrival")
        other = await disabling.keep("ada", DISABLE, "bob")
        turn.go_on()
        assert await kept == CONFLICT
        disabling.go_on()
        assert await other is None

    asyncio.run(play())


def test_many_leave(tmp_path: Path) -> None:
    """As many users as the quotas allow are disabled one after another."""
    together = Together(tmp_path)
    people = [together.pool.add(f"x{number}") for number in range(600)]

    async def play() -> None:
        for person in people:
            assert await together.attempt("ada", DISABLE, person.username) is None

    asyncio.run(play())


# Over HTTP, by a quota.


def test_queue_of_who_lost_their_rights(
    serve_policy: Callable[..., Api], scripted: ScriptedCognito
) -> None:
    """Of the changes that wait for a quota, none is sent once their caller's rights are taken."""
    pool = MemoryPool()
    pool.install(scripted)
    goes_on = threading.Event()

    def add(parameters: dict[str, Any]) -> Reply:
        goes_on.wait(PATIENCE)
        return reply(pool.call("AdminAddUserToGroup", parameters))

    def is_decided() -> bool:
        reads = [each for each in scripted.requests if each.operation == "AdminListGroupsForUser"]
        return len([each for each in reads if each.parameters["Username"] == "ada"]) == 2

    scripted.on("AdminAddUserToGroup", add)
    api = serve_policy('[groups]\nAdmins = ["*"]\n', quotas="UserUpdate=1")
    ada, mal = (
        api.token("Admins", username=name, sub=pool.add(name, "Admins").sub)
        for name in ("ada", "mal")
    )
    for number in range(4):
        pool.add(f"x{number}")
    with ThreadPoolExecutor(5) as threads:
        adds = [
            threads.submit(ask, api, "graphql", ADD, f"x{number}", "Admins", token=mal)
            for number in range(4)
        ]
        assert until(lambda: "AdminAddUserToGroup" in scripted.operations())
        removal = threads.submit(ask, api, "graphql", REMOVE, "mal", "Admins", token=ada)
        assert until(is_decided)
        goes_on.set()
        assert removal.result(PATIENCE) is None
        said = Counter(each.result(PATIENCE) for each in adds)
    assert pool.writes[-1] == ("AdminRemoveUserFromGroup", "mal")
    assert said == {None: len(pool.writes) - 1, CONFLICT: 5 - len(pool.writes)}


def _bob(status: str = "CONFIRMED", changed: float = 1, identities: str = "[]") -> dict[str, Any]:
    row = user_of("bob")
    row["UserAttributes"].append({"Name": "identities", "Value": identities})
    return {**row, "UserStatus": status, "UserLastModifiedDate": changed}


LINKED = '[{"providerName": "Google", "userId": "id-1", "primary": "false"}]'


@pytest.mark.parametrize(
    ("document", "read", "before", "after", "code"),
    [
        (
            'unlinkUserIdentity(input: {username: "bob", provider: "Google", userId: "id-1"})',
            "AdminGetUser",
            _bob(identities=LINKED),
            _bob(),
            "NOT_FOUND",
        ),
        (
            'linkUserIdentity(input: {username: "bob", provider: "Google", value: "id-1"})',
            "AdminGetUser",
            _bob(),
            _bob(identities=LINKED),
            "ALREADY_EXISTS",
        ),
        (
            'setUserPassword(input: {username: "bob", password: "Canary-9-password"})',
            "AdminGetUser",
            _bob(),
            _bob(status="EXTERNAL_PROVIDER"),
            "WRONG_STATE",
        ),
        (
            """updateUser(input: {username: "bob", fullName: "Bob",
                ifUpdatedAt: "1970-01-01T00:00:01Z"})""",
            "AdminGetUser",
            _bob(),
            _bob(changed=2),
            "STALE",
        ),
        (
            'updateGroup(input: {groupName: "Editors", description: "New"})',
            "GetGroup",
            {"Group": {"GroupName": "Editors", "Precedence": 1}},
            {"Group": {"GroupName": "Editors", "Precedence": 2}},
            "STALE",
        ),
        (
            'deleteGroup(input: {groupName: "Editors"})',
            "ListUsersInGroup",
            {"Users": []},
            {"Users": [{"Username": "bob"}]},
            "WRONG_STATE",
        ),
    ],
    ids=lambda value: value.partition("(")[0] if isinstance(value, str) else "",
)
@pytest.mark.parametrize("changes", [True, False])
def test_state_that_a_change_depends_on(  # noqa: PLR0917  # fixtures and parameters
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    monkeypatch: pytest.MonkeyPatch,
    document: str,
    read: str,
    before: dict[str, Any],
    after: dict[str, Any],
    code: str,
    changes: bool,
) -> None:
    """What was read before the wait is read again, and what depends on it is not sent by then."""
    monkeypatch.setattr("graphql_admin.admin.authorization.MAX_WAIT", 0.5)
    action = Action.labelled(document.partition("(")[0])
    assert action.write is not None
    now = before
    sent = []

    def write(parameters: dict[str, Any]) -> Reply:
        nonlocal now
        sent.append(parameters)
        if len(sent) > 1:
            return reply({"Group": {"GroupName": "Editors", "Precedence": 1}})
        now = after if changes else before
        time.sleep(0.6)  # more than a decision may be old
        return failure("TooManyRequestsException")

    scripted.on("AdminListGroupsForUser", reply({"Groups": []}))
    scripted.on("DescribeUserPool", failure("AccessDeniedException"))
    scripted.on(read, lambda _: reply(now))
    scripted.on(action.write, write)
    api = serve(scripted.url)
    (payload,) = api.send(f"mutation {{ {document} {{ errors {{ code }} }} }}").data.values()
    assert payload["errors"] == ([{"code": code}] if changes else [])
    assert len(sent) == (1 if changes else 2)
    assert changes or sent[0] == sent[1]
