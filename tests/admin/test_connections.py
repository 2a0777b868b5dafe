"""Changes that wait for a connection to Cognito, or are sent again: a gate, and a real client."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from graphql_admin.actions import Action
from graphql_admin.cognito.pool import UserPool
from graphql_admin.cognito.quotas import Quotas
from graphql_admin.cognito.replies import Reply as Result
from tests.support.changes import endings
from tests.support.patience import PATIENCE
from tests.support.scripted import Reply, ScriptedCognito, failure, held, reply
from tests.support.together import Together
from tests.support.tokens import POOL_ID

ADD, REMOVE, DISABLE, DELETE = (
    Action.ADD_USER_TO_GROUP,
    Action.REMOVE_USER_FROM_GROUP,
    Action.DISABLE_USER,
    Action.DELETE_USER,
)
WRITES = {action.write for action in Action}
DOUBT = failure("InternalErrorException", 500)


class Connected(Together):
    """A gate in front of its pool over HTTP."""

    client: UserPool

    def __init__(self, folder: Path, backend: ScriptedCognito) -> None:
        super().__init__(folder)
        self.backend = backend
        self.released = threading.Event()
        self.pool.add("sam", "Support")
        for name in ("bob", "eve"):
            self.pool.add(name)
        self.pool.install(backend)
        backend.on("ListUsers", held(self.released, reply({"Users": []})))

    async def _call(
        self, operation: str, parameters: Mapping[str, object], **options: Any
    ) -> Result:
        return await self.client._call(operation, parameters, **options)  # noqa: SLF001

    async def begin(self, *change: Any, **options: Any) -> "asyncio.Task[str | None]":
        """Begin a change, until it waits for a connection."""
        slots = self.client._slots  # noqa: SLF001
        task = asyncio.ensure_future(self.attempt(*change, **options))
        await until(lambda: bool(slots._queues))  # noqa: SLF001
        return task

    @asynccontextmanager
    async def occupied(self, caller: str) -> AsyncIterator[None]:
        """Let a caller have a connection in use, as long as the context lasts."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        reading = asyncio.ensure_future(
            self.client.reader.read("ListUsers", {}, deadline=deadline, caller=f"sub-of-{caller}")
        )
        await until(lambda: "ListUsers" in self.backend.operations())
        try:
            yield
        finally:
            self.released.set()
            await reading

    def sent(self) -> list[str]:
        """Return the writes that were sent."""
        return [each for each in self.backend.operations() if each in WRITES]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110  # a condition of any kind
            await asyncio.sleep(0.005)


@pytest.fixture
def connected(tmp_path: Path, scripted: ScriptedCognito) -> Connected:
    """Two administrators, one helper, and two without rights."""
    return Connected(tmp_path, scripted)


@pytest.fixture
def run(
    connected: Connected, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[], Coroutine[Any, Any, None]], int], None]:
    """Do something while the client is open: `run(play, connections)`."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER", connected.backend.url)

    async def opened(play: Callable[[], Awaitable[None]], connections: int) -> None:
        connected.client = UserPool(
            POOL_ID,
            "eu-west-1",
            connections=connections,
            backoff=0.001,
            quotas=Quotas(pause=0.001),
        )
        async with connected.client:
            await play()

    return lambda play, connections: asyncio.run(opened(play, connections))


Run = Callable[[Callable[[], Coroutine[Any, Any, None]], int], None]


@pytest.mark.parametrize("group", ["Admins", "Customers"])
def test_right_lost_while_waiting(connected: Connected, run: Run, group: str) -> None:
    """Who lost their rights before there was a connection for their change does not make it."""

    async def play() -> None:
        assert await connected.attempt("alan", Action.ENABLE_USER, "eve") is None
        async with connected.occupied("alan"):
            # Of two connections no caller with the first gets the second.
            kept = await connected.begin("alan", ADD, "eve", group)
            assert await connected.attempt("ada", REMOVE, "alan", "Admins") is None
        assert await kept == "CONFLICT"
        assert endings(connected.events)[-1] == ("refused", "CONFLICT")
        assert connected.sent() == ["AdminEnableUser", "AdminRemoveUserFromGroup"]

    run(play, 2)


@pytest.mark.parametrize(("group", "said"), [("Admins", "OUT_OF_SCOPE"), ("Customers", None)])
def test_decided_again_with_one_connection(
    connected: Connected, run: Run, group: str, said: str | None
) -> None:
    """What waited for long is decided on again, by reads over the only connection."""

    async def play() -> None:
        assert await connected.attempt("both", Action.ENABLE_USER, "eve") is None
        async with connected.occupied("ada"):
            kept = await connected.begin("both", Action.CONFIRM_USER_SIGN_UP, "bob")
            connected.pool.change("bob", groups=frozenset({group}))
            connected.pool.change("both", groups=frozenset({"Support"}))
            connected.time += 10
        assert await kept == said

    connected.pool.add("both", "Admins", "Support")
    run(play, 1)
    assert connected.sent() == ["AdminEnableUser"] + ["AdminConfirmSignUp"] * (said is None)


def test_no_connection_in_time(connected: Connected, run: Run) -> None:
    """A change that gets no connection was not made, and that is what is recorded."""

    async def play() -> None:
        assert await connected.attempt("alan", Action.ENABLE_USER, "eve") is None
        async with connected.occupied("ada"):
            assert await connected.attempt("alan", ADD, "eve", "Admins", within=0.1) == "TIMEOUT"
        assert endings(connected.events)[-1] == ("failed", "TIMEOUT")

    run(play, 1)


# A change that is sent again, as it is not known whether Cognito made it


def in_doubt(connected: Connected, happens: Callable[[], object]) -> Callable[[Any], Reply]:
    """Script a deletion that leaves it open whether it was made, after something has happened."""
    calls = iter([True])

    def script(parameters: dict[str, Any]) -> Reply:
        if next(calls, False):
            happens()
            return DOUBT
        return reply(connected.pool.call("AdminDeleteUser", parameters))

    return script


def test_deleted_again(connected: Connected, run: Run) -> None:
    """The user is deleted by the second attempt."""

    async def play() -> None:
        connected.backend.on("AdminDeleteUser", in_doubt(connected, lambda: None))
        assert await connected.attempt("ada", DELETE, "bob") is None

    run(play, 1)
    assert connected.sent() == ["AdminDeleteUser"] * 2
    assert "bob" not in connected.pool.people


def test_deleted_by_the_first_attempt(connected: Connected, run: Run) -> None:
    """Who is gone was deleted by it, and nothing is sent again."""

    async def play() -> None:
        deletes = in_doubt(connected, lambda: connected.pool.remove("bob"))
        connected.backend.on("AdminDeleteUser", deletes)
        assert await connected.attempt("ada", DELETE, "bob") is None

    run(play, 1)
    assert connected.sent() == ["AdminDeleteUser"]
    assert endings(connected.events)[-1] == ("done", None)


@pytest.mark.parametrize("caller", ["ada", "sam"])
def test_namesake_is_not_deleted(connected: Connected, run: Run, caller: str) -> None:
    """A user who was created under the same name meanwhile stays."""

    async def play() -> None:
        another = replace(connected.pool.people["bob"], sub="sub-of-another")
        deletes = in_doubt(connected, lambda: connected.pool.restore(another))
        connected.backend.on("AdminDeleteUser", deletes)
        assert await connected.attempt(caller, DELETE, "bob") == "UPSTREAM_ERROR"

    run(play, 1)
    assert connected.sent() == ["AdminDeleteUser"]
    assert endings(connected.events)[-1] == ("unknown", "UPSTREAM_ERROR")


def test_nothing_can_be_read_in_doubt(connected: Connected, run: Run) -> None:
    """Where the pool does not say whether the caller still may, it remains in doubt."""

    async def play() -> None:
        deletes = in_doubt(connected, lambda: connected.backend.on("AdminGetUser", DOUBT))
        connected.backend.on("AdminDeleteUser", deletes)
        assert await connected.attempt("ada", DELETE, "bob") == "UPSTREAM_ERROR"

    run(play, 1)
    assert connected.sent() == ["AdminDeleteUser"]
    assert endings(connected.events)[-1] == ("unknown", "UPSTREAM_ERROR")


@pytest.mark.parametrize("members", [{"enabled": False}, {"groups": frozenset[str]()}])
def test_right_lost_in_doubt(connected: Connected, run: Run, members: Any) -> None:
    """Who lost their rights meanwhile sends nothing again, and it remains in doubt."""

    async def play() -> None:
        deletes = in_doubt(connected, lambda: connected.pool.change("ada", **members))
        connected.backend.on("AdminDeleteUser", deletes)
        assert await connected.attempt("ada", DELETE, "bob") == "UPSTREAM_ERROR"

    run(play, 1)
    assert connected.sent() == ["AdminDeleteUser"]
    assert endings(connected.events)[-1] == ("unknown", "UPSTREAM_ERROR")


@pytest.mark.parametrize("connections", [2, 4])
def test_both_delete_each_other_in_doubt(connected: Connected, run: Run, connections: int) -> None:
    """Of two who delete each other at once one remains, though an attempt was in doubt."""

    async def play() -> None:
        connected.backend.on("AdminDeleteUser", in_doubt(connected, lambda: None))
        said = await asyncio.gather(
            connected.attempt("ada", DELETE, "alan"), connected.attempt("alan", DELETE, "ada")
        )
        assert sorted(said, key=str) == ["CONFLICT", None]
        assert len(connected.administrators()) == 1

    run(play, connections)
