"""Audit: one event for every attempt, and no change without one."""

import asyncio
import json
import os
import select
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from graphql_admin.actions import Action
from graphql_admin.admin.schema import AdminSchema
from graphql_admin.app import create_app
from graphql_admin.audit.log import AuditLog, Event, Outcome
from graphql_admin.errors import AuditUnavailable
from graphql_admin.settings import InvalidSettings, load_settings
from graphql_admin.targets import Target
from tests.support.api import Api
from tests.support.directory import Directory
from tests.support.patience import PATIENCE
from tests.support.scripted import Reply, ScriptedCognito, failure, hang_up, held, reply
from tests.support.tokens import CLIENT_ID, POOL_ID, Pool
from tests.support.ways import REPLIES, WAYS

DISABLE = "mutation($i: DisableUserInput!) { disableUser(input: $i) { errors { code } } }"
BOB = {"i": {"username": "bob"}}


class Sink:
    """An audit file that can be made to break, and to work again.

    The path is a link, so that it can lead to where not even root can write.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / "audit.jsonl"
        self._file = directory / "events"
        self._file.touch()
        self.path.symlink_to(self._file)

    def become_device(self) -> None:
        """Let a device be where the file was, which is no sink."""
        self._lead_to(Path("/dev/full"))

    def replace(self) -> None:
        """Let a directory be where the file was."""
        self._lead_to(self._file.parent)

    def remove_directory(self) -> None:
        """Let the directory of the file be gone."""
        self._lead_to(self._file.parent / "gone" / "events")

    def repair(self) -> None:
        """Let the file be as it was."""
        self._lead_to(self._file)

    def _lead_to(self, target: Path) -> None:
        self.path.unlink()
        self.path.symlink_to(target)

    def events(self) -> list[dict[str, Any]]:
        """Return the events that were written."""
        return [json.loads(line) for line in self._file.read_text().splitlines()]

    def endings(self) -> list[tuple[str, str | None]]:
        """Return the outcome and code of every event."""
        return [(event["outcome"], event["code"]) for event in self.events()]


@pytest.fixture
def sink(tmp_path: Path) -> Sink:
    """Where the test's events go."""
    return Sink(tmp_path)


@pytest.fixture
def audited(serve: Callable[..., Api], scripted: ScriptedCognito, sink: Sink) -> Callable[..., Api]:
    """Start the server in front of a scripted Cognito, with events going to the sink."""
    return lambda **settings: serve(scripted.url, audit_file=sink.path, **settings)


def test_events_are_the_attempts(
    audited: Callable[..., Api], scripted: ScriptedCognito, sink: Sink, tmp_path: Path
) -> None:
    """Every action tried by every role leaves an event for each attempt, and nothing else does."""
    scripted.on_all(REPLIES)
    policy = tmp_path / "policy.toml"
    policy.write_text('[groups]\nStaff = ["*"]\nReaders = ["listUsers"]\n')
    api = audited(policy_file=policy, introspection="public", max_calls=10_000)
    staff = api.token("Staff", username="root")
    reader = api.token("Readers", "Others", username="ann")
    expired = api.token("Staff", iat=1_600_000_000, exp=1_600_000_100)
    attempts = []
    for way in WAYS:
        for token in (staff, reader, "", expired):
            api.send(way.document, token=token)
        if way.document.startswith("mutation"):
            action = way.path[0]
            open_to_all = Action.labelled(action).open_to_signed_in
            denied = ("done", None) if open_to_all else ("refused", "FORBIDDEN")
            attempts += [
                (action, "root", ["Staff"], "done", None),
                (action, "ann", ["Others", "Readers"], *denied),
                (action, None, [], "refused", "UNAUTHENTICATED"),
            ]
    events = [
        (e["action"], e["caller"]["username"], e["caller"]["groups"], e["outcome"], e["code"])
        for e in sink.events()
    ]
    assert events == attempts
    assert {attempt[0] for attempt in attempts} == set(
        AdminSchema().graphql_schema.mutation_type.fields
    )


def test_event(audited: Callable[..., Api], scripted: ScriptedCognito, sink: Sink) -> None:
    """An event says when, who, what and on whom; two of one request have the same request id."""
    scripted.on("AdminAddUserToGroup", reply({}))
    scripted.on("AdminUserGlobalSignOut", reply({}))
    api = audited()
    before = datetime.now(UTC)
    document = """mutation {
      addUserToGroup(input: {username: "bob", groupName: "Editors"}) { errors { code } }
      again: addUserToGroup(input: {username: "b c", groupName: "Editors"}) { errors { code } }
      signUserOut(input: {}) { errors { code } }
    }"""
    api.client.post(
        "/graphql",
        json={"query": document},
        headers={"Authorization": api.token("Admins"), "X-Request-Id": "request-1"},
    )
    first, second, third = sink.events()
    assert before <= datetime.fromisoformat(first.pop("time")) <= datetime.now(UTC)
    assert first == {
        "event": "mutation",
        "request_id": "request-1",
        "caller": {"sub": "sub-of-root", "username": "root", "groups": ["Admins"]},
        "action": "addUserToGroup",
        "target": {"username": "bob", "group": "Editors"},
        "outcome": "done",
        "code": None,
    }
    assert second["request_id"] == third["request_id"] == "request-1"
    assert (second["outcome"], second["code"]) == ("failed", "INVALID_VALUE")
    assert third["target"] == {"username": "root", "group": None}


@pytest.mark.parametrize(
    ("answer", "ending"),
    [
        (reply({}), ("done", None)),
        (failure("UserNotFoundException"), ("failed", "USER_NOT_FOUND")),
        (failure("InvalidParameterException"), ("failed", "INVALID_VALUE")),
        (failure("TooManyRequestsException"), ("failed", "THROTTLED")),
        (failure("InternalErrorException", 500), ("unknown", "UPSTREAM_ERROR")),
        (hang_up(), ("unknown", "UPSTREAM_ERROR")),
        (held(threading.Event(), reply({})), ("unknown", "TIMEOUT")),
    ],
    ids=["done", "no user", "invalid", "throttled", "failed", "hung up", "timed out"],
)
def test_outcome(
    audited: Callable[..., Api],
    scripted: ScriptedCognito,
    sink: Sink,
    answer: Reply,
    ending: tuple[str, str | None],
) -> None:
    """However an attempt ends there is one event, and in doubt it says so."""
    scripted.people["bob"] = ()
    scripted.on("AdminDisableUser", answer)
    audited(deadline=1).send(DISABLE, BOB)
    assert sink.endings() == [ending]


def test_readback_that_fails(
    audited: Callable[..., Api], scripted: ScriptedCognito, sink: Sink
) -> None:
    """What was done is done, though it could not be read back."""
    scripted.people["bob"] = ()
    scripted.on("AdminDisableUser", reply({}))
    scripted.on("AdminGetUser", failure("InternalErrorException", 500))
    api = audited()
    api.send('mutation { disableUser(input: {username: "bob"}) { user { email } } }')
    assert sink.endings() == [("done", None)]


def test_cancelled(
    scripted: ScriptedCognito,
    sink: Sink,
    signing_key: Pool,
    jwks_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An attempt that is cancelled in flight leaves an event with an unknown outcome."""
    scripted.people["bob"] = ()
    scripted.on("AdminDisableUser", held(threading.Event(), reply({})))
    monkeypatch.setenv("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER", scripted.url)
    settings = load_settings(
        user_pool_id=POOL_ID,
        client_ids=CLIENT_ID,
        jwks_url=jwks_url,
        dev=True,
        admin_groups="Admins",
        audit_file=sink.path,
    )

    async def act() -> None:
        app = create_app(settings)
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(
                transport=httpx2.ASGITransport(app), base_url="http://localhost"
            ) as client,
        ):
            request = asyncio.create_task(
                client.post(
                    "/graphql",
                    json={"query": DISABLE, "variables": BOB},
                    headers={"Authorization": signing_key.access_token("root", ["Admins"])},
                )
            )
            async with asyncio.timeout(PATIENCE):
                while not scripted.requests:  # noqa: ASYNC110  # they come on another thread
                    await asyncio.sleep(0.01)
            request.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request

    asyncio.run(act())
    assert sink.endings() == [("unknown", "CANCELLED")]


@pytest.mark.parametrize("username", ["", " ", "null", "sub-of-eve"])
def test_target_is_what_was_given(
    audited: Callable[..., Api], scripted: ScriptedCognito, sink: Sink, username: str
) -> None:
    """An unknown target is the name that was given, an empty one too, and never the caller."""
    scripted.on("AdminGetUser", failure("UserNotFoundException"))
    scripted.on("AdminUserGlobalSignOut", reply({}))
    api = audited()
    sign_out = "mutation ($i: SignUserOutInput!) { signUserOut(input: $i) { errors { code } } }"
    for document in (DISABLE, sign_out):
        for groups in (("Admins",), ()):
            api.send(document, {"i": {"username": username}}, groups=groups)
    targets = [event["target"] for event in sink.events()]
    assert targets == [{"username": username, "group": None}] * 4


def test_target_of_empty_group(
    audited: Callable[..., Api], scripted: ScriptedCognito, sink: Sink
) -> None:
    """An empty name of a group is what was given, too."""
    document = """mutation { addUserToGroup(input: {username: "", groupName: ""}) {
        errors { code } } }"""
    assert audited().send(document).data["addUserToGroup"]["errors"]
    (event,) = sink.events()
    assert event["target"] == {"username": "", "group": ""}
    assert scripted.requests == []


def test_long_names(audited: Callable[..., Api], sink: Sink) -> None:
    """A name that is too long for any user does not fill the disk."""
    audited().send(DISABLE, {"i": {"username": "b" * 10_000}}, groups=())
    (event,) = sink.events()
    assert event["target"]["username"] == "b" * 128


@pytest.mark.parametrize("kind", ["become_device", "replace", "remove_directory"])
def test_nothing_changes_without_a_sink(
    serve: Callable[..., Api], moto_url: str, directory: Directory, sink: Sink, kind: str
) -> None:
    """While the sink does not work nothing changes in the pool, and reading goes on."""
    directory.add_group("Editors")
    directory.add_group("Readers")
    directory.add_user("bob", "Editors")
    directory.sign_up("ann")
    api = serve(moto_url, directory.pool_id, audit_file=sink.path)
    getattr(sink, kind)()

    def state() -> list[Any]:
        users = [directory.user(name) for name in ("ann", "bob")]
        for user in users:
            del user["ResponseMetadata"]
        return [users, directory.groups_of("ann"), directory.groups_of("bob")]

    before = state()
    mutations = [
        'addUserToGroup(input: {username: "bob", groupName: "Readers"})',
        'removeUserFromGroup(input: {username: "bob", groupName: "Editors"})',
        'confirmUserSignUp(input: {username: "ann"})',
        'disableUser(input: {username: "bob"})',
        'enableUser(input: {username: "bob"})',
        "signUserOut(input: {})",
    ]
    for mutation in mutations:
        answer = api.send(f"mutation {{ {mutation} {{ errors {{ code }} }} }}")
        assert answer.codes == ["AUDIT_UNAVAILABLE"]
    assert state() == before
    assert api.send("{ users { nodes { username } } }").data["users"]["nodes"]

    sink.repair()
    assert api.send(DISABLE, BOB).data["disableUser"]["errors"] == []
    assert directory.user("bob")["Enabled"] is False
    assert sink.endings() == [
        *[("refused", "AUDIT_UNAVAILABLE")] * len(mutations),
        ("done", None),
    ]


def test_pipe_without_a_reader(
    serve: Callable[..., Api], scripted: ScriptedCognito, tmp_path: Path
) -> None:
    """A pipe without a reader is a sink that does not work."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    scripted.people["bob"] = ()
    scripted.on("AdminDisableUser", reply({}))
    api = serve(scripted.url, audit_file=pipe)
    assert api.send(DISABLE, BOB).data
    assert json.loads(os.read(reader, 4096))["outcome"] == "done"
    os.close(reader)
    assert api.send(DISABLE, BOB).codes == ["AUDIT_UNAVAILABLE"]
    assert len(scripted.requests) == 1


def test_pipe_with_a_slow_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe that takes only a part of what waits does not block the event loop."""
    reader, writer = os.pipe()
    monkeypatch.setattr(sys, "__stdout__", SimpleNamespace(fileno=lambda: writer))
    audit = AuditLog()
    event = Event("id", "sub", "ann", (), "disableUser", Target("bob"), Outcome.DONE, None)
    try:
        while True:
            audit.demand()
            audit.write(event)
    except AuditUnavailable:
        pass
    for _ in range(50):
        audit.write(event)
    os.read(reader, select.PIPE_BUF)
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(audit.demand)
        try:
            with pytest.raises(AuditUnavailable):
                asked.result(PATIENCE)
        finally:
            os.close(reader)  # which ends a write that waits for it
    os.close(writer)


def test_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a write fails, the event waits, and no attempt is allowed."""
    with Path("/dev/full").open("wb") as full:
        monkeypatch.setattr(sys, "__stdout__", SimpleNamespace(fileno=full.fileno))
        audit = AuditLog()
        audit.write(
            Event("id", "sub", "ann", (), "disableUser", Target(user="bob"), Outcome.DONE, None)
        )
        with pytest.raises(AuditUnavailable):
            audit.demand()
        reader, writer = os.pipe()
        monkeypatch.setattr(sys, "__stdout__", SimpleNamespace(fileno=lambda: writer))
        audit.demand()
    assert json.loads(os.read(reader, 4096))["action"] == "disableUser"
    os.close(reader)
    os.close(writer)


def test_sink_breaks_during_an_attempt(
    audited: Callable[..., Api], scripted: ScriptedCognito, sink: Sink
) -> None:
    """The event of a change that outlived its sink comes first when the sink works again."""
    gate = threading.Event()
    arrived = threading.Event()

    def carry_out(_: dict[str, Any]) -> Reply:
        arrived.set()
        return held(gate, reply({}))

    scripted.people["bob"] = ()
    scripted.on("AdminDisableUser", carry_out)
    scripted.on("AdminEnableUser", reply({}))
    api = audited()
    enable = 'mutation { enableUser(input: {username: "bob"}) { errors { code } } }'
    with ThreadPoolExecutor() as pool:
        disabling = pool.submit(api.send, DISABLE, BOB)
        assert arrived.wait(30)
        sink.become_device()
        gate.set()
        assert disabling.result().data["disableUser"]["errors"] == []
    assert api.send(enable).codes == ["AUDIT_UNAVAILABLE"]
    sink.repair()
    assert api.send(enable).data
    assert [(e["action"], e["outcome"]) for e in sink.events()] == [
        ("disableUser", "done"),
        ("enableUser", "refused"),
        ("enableUser", "done"),
    ]


def test_rotation(serve: Callable[..., Api], scripted: ScriptedCognito, tmp_path: Path) -> None:
    """After the file was renamed, events go to a new one that only its owner may read."""
    scripted.people["bob"] = ()
    scripted.on("AdminDisableUser", reply({}))
    path = tmp_path / "audit.jsonl"
    api = serve(scripted.url, audit_file=path)
    api.send(DISABLE, BOB)
    path.rename(tmp_path / "audit.jsonl.1")
    api.send(DISABLE, BOB)
    for file in tmp_path.glob("audit*"):
        assert len(file.read_text().splitlines()) == 1
    assert path.stat().st_mode & 0o777 == 0o600


def test_standard_output(
    serve: Callable[..., Api], scripted: ScriptedCognito, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without a file, events go to standard output."""
    scripted.people["bob"] = ()
    scripted.on("AdminDisableUser", reply({}))
    serve(scripted.url).send(DISABLE, BOB)
    lines = [line for line in capfd.readouterr().out.splitlines() if line.startswith("{")]
    (event,) = map(json.loads, lines)
    assert event["action"] == "disableUser"


@pytest.mark.parametrize("path", [".", "missing/audit.jsonl", "/dev/full"])
def test_file_that_cannot_be_opened(serve: Callable[..., Api], tmp_path: Path, path: str) -> None:
    """A sink that does not work at the start keeps the server from starting."""
    with pytest.raises(InvalidSettings, match="GRAPHQL_ADMIN_AUDIT_FILE: "):
        serve("http://127.0.0.1:9", audit_file=tmp_path / path)
