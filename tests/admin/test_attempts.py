"""The gate: nothing is changed but through it, and every attempt is recorded as it was aimed."""

import ast
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import strawberry
from starlette.testclient import TestClient

import graphql_admin
from graphql_admin.actions import Action, Row
from graphql_admin.admin.attempts import Attempts
from graphql_admin.admin.context import Context, Info
from graphql_admin.admin.features import Feature
from graphql_admin.admin.guards import Gated, GatedSteps, guard_of, guarded
from graphql_admin.admin.mutations import UserInput, mutation
from graphql_admin.admin.schema import FEATURES, AdminSchema
from graphql_admin.admin.users.types import find_user
from graphql_admin.app import build_app, make_parts
from graphql_admin.cognito.access import PoolWriter
from graphql_admin.cognito.pool import UserPool
from graphql_admin.errors import BadUserInput, UpstreamFailed
from graphql_admin.settings import load_settings
from graphql_admin.targets import TargetKind
from tests.support.api import Api
from tests.support.scripted import ScriptedCognito, reply, user_of
from tests.support.tokens import CLIENT_ID, POOL_ID, Pool

PACKAGE = Path(graphql_admin.__file__).parent
MUTATIONS = AdminSchema().graphql_schema.mutation_type


# Nothing else can write


def test_every_action_that_writes_is_one_gated_mutation() -> None:
    """The mutations are the rows that write, each under the action's name and behind the gate.

    Beside them is only the batch, whose steps are these.
    """
    guards = {
        name: guard_of(field.extensions["strawberry-definition"])
        for name, field in MUTATIONS.fields.items()
    }
    batch = guards.pop("batch")
    assert isinstance(batch, GatedSteps)
    assert batch.actions == {each for each in Action if each.write and not each.is_for_oneself}
    assert all(type(guard) is Gated for guard in guards.values())
    assert {name: guard.action for name, guard in guards.items()} == {
        action.label: action for action in Action if action.write
    }


def test_rows_that_write_say_on_whom() -> None:
    """No action is left to the defaults that decide on whom it may be done."""
    module = ast.parse((PACKAGE / "actions.py").read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(module) if isinstance(node, ast.Call)]
    rows = [
        {each.arg: ast.unparse(each.value) for each in call.keywords}
        for call in calls
        if ast.unparse(call.func) == "Row"
    ]
    assert len(rows) == len(Action)
    for row in rows:
        if "write" in row:
            assert "effect" in row, row["name"]
            assert ("on_oneself" in row) == (row["target"] != "TargetKind.GROUP"), row["name"]


def reachable(thing: object) -> Iterator[object]:
    """Yield all of this package's objects that public names lead to from a thing."""
    seen: set[int] = set()
    waiting = [thing]
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        if type(each).__module__.startswith("graphql_admin"):
            names = [name for name in dir(each) if not name.startswith("_")]
            waiting += [getattr(each, name, None) for name in names]


@pytest.fixture
def serve_features(
    scripted: ScriptedCognito,
    monkeypatch: pytest.MonkeyPatch,
    jwks_url: str,
    signing_key: Pool,
    tmp_path: Path,
) -> Iterator[Callable[[Sequence[Feature]], Api]]:
    """Start the server with a schema of these features, with events going to `audit.jsonl`."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER", scripted.url)
    settings = load_settings(
        user_pool_id=POOL_ID,
        client_ids=CLIENT_ID,
        jwks_url=jwks_url,
        dev=True,
        allowed_hosts="*",
        admin_groups="Admins",
        audit_file=tmp_path / "audit.jsonl",
    )
    with ExitStack() as stack:

        def start(features: Sequence[Feature]) -> Api:
            parts = replace(make_parts(settings), schema=AdminSchema(features=features))
            client = TestClient(build_app(parts), raise_server_exceptions=False)
            return Api(stack.enter_context(client), signing_key, POOL_ID)

        yield start


Probe = Callable[[Context], Awaitable[None]]


@pytest.fixture
def run_probe(serve_features: Callable[..., Api]) -> Callable[[Probe], list[str]]:
    """Do something with the context of a real request; returns the codes of its errors."""

    def run(probe: Probe, groups: tuple[str, ...] = ("Admins",)) -> list[str]:
        @strawberry.type
        class Probing:
            @guarded(Action.VIEWER, description="What the test wants.")
            async def probe(self, info: Info) -> str | None:
                await probe(info.context)
                return None

        return (
            serve_features([*FEATURES, Feature(query=Probing)])
            .send("{ probe }", groups=groups)
            .codes
        )

    return run


def test_context_leads_to_nothing_that_writes(run_probe: Callable[..., list[str]]) -> None:
    """From what resolvers get, no public name leads to what writes, or to what has it."""
    found: list[object] = []

    async def look(context: Context) -> None:
        found.extend(reachable(context))

    assert run_probe(look) == []
    assert any(isinstance(each, Attempts) for each in found)
    assert not [each for each in found if isinstance(each, PoolWriter | UserPool)]


def test_reading_without_the_right(
    run_probe: Callable[..., list[str]], scripted: ScriptedCognito
) -> None:
    """What is read asks for the right, whatever the field's guard asked for."""

    async def read(context: Context) -> None:
        await find_user(context, "bob")

    assert run_probe(read, groups=("Readers",)) == ["FORBIDDEN"]
    assert scripted.requests == []


def test_reading_for_another_action(
    run_probe: Callable[..., list[str]], scripted: ScriptedCognito
) -> None:
    """An action's right gives its own operations, and no others."""

    async def read(context: Context) -> None:
        await context.read(Action.LIST_GROUPS, "AdminGetUser", Username="bob")

    assert run_probe(read) == ["INTERNAL"]
    assert scripted.requests == []


@pytest.mark.parametrize("way", ["context", "pool"])
@pytest.mark.parametrize(
    "operation",
    ["AdminDisableUser", "GetTokensFromRefreshToken", "GetUserAttributeVerificationCode"],
)
def test_a_read_that_writes_is_refused(
    run_probe: Callable[..., list[str]], scripted: ScriptedCognito, way: str, operation: str
) -> None:
    """What changes something is not called by asking for it as a read, whatever its name."""

    async def read(context: Context) -> None:
        if way == "context":
            await context.read(Action.GET_USER, operation, Username="bob")
        else:
            bob = {"Username": "bob"}
            await context.pool.read(operation, bob, deadline=context.deadline)

    assert run_probe(read) == ["INTERNAL"]
    assert scripted.requests == []


def names_in(path: Path) -> set[str]:
    """Return every name and attribute in a module."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    names |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return names | {
        n.name for node in nodes if isinstance(node, ast.ImportFrom) for n in node.names
    }


def test_only_the_gate_is_given_the_writer() -> None:
    """Where the parts are put together, `attempts` gets the writer; no other module names it."""
    modules = {
        path.relative_to(PACKAGE).as_posix(): names_in(path) for path in PACKAGE.rglob("*.py")
    }
    naming = {name for name, names in modules.items() if "PoolWriter" in names}
    assert naming == {"admin/attempts.py", "cognito/pool.py"}
    naming = {name for name, names in modules.items() if "writer" in names}
    # That of CSV files; no module of the command line is part of a server.
    naming -= {name for name in naming if name.startswith("cli/users/")}
    assert naming <= {
        "app.py",
        "admin/attempts.py",
        "cognito/access.py",
        "cognito/pool.py",
        "serving/protocol.py",  # asyncio's, of a connection
        "cognito/transport.py",
        "cognito/wire.py",
    }


# What an attempt records


@pytest.fixture
def audited(
    serve: Callable[..., Api], scripted: ScriptedCognito, tmp_path: Path
) -> Iterator[tuple[Api, Callable[[], list[dict[str, Any]]]]]:
    """The server in front of a scripted Cognito, and its events."""
    path = tmp_path / "audit.jsonl"
    api = serve(scripted.url, audit_file=path)
    return api, lambda: [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("call", "target", "ending"),
    [
        ('disableUser(input: {username: ""})', ("", None), ("failed", "INVALID_VALUE")),
        ('enableUser(input: {username: "bob"})', ("bob", None), ("done", None)),
        (
            'addUserToGroup(input: {username: "bob", groupName: ""})',
            ("bob", ""),
            ("failed", "INVALID_VALUE"),
        ),
        (
            'addUserToGroup(input: {username: "", groupName: "Editors"})',
            ("", "Editors"),
            ("failed", "INVALID_VALUE"),
        ),
        (
            'removeUserFromGroup(input: {username: "bob", groupName: "Editors"})',
            ("bob", "Editors"),
            ("done", None),
        ),
        ("signUserOut(input: {})", ("root", None), ("done", None)),
        ("signUserOut(input: {username: null})", ("root", None), ("done", None)),
        ('signUserOut(input: {username: "sub-of-root"})', ("root", None), ("done", None)),
        ('signUserOut(input: {username: "eve"})', ("eve", None), ("refused", "FORBIDDEN")),
        ('signUserOut(input: {username: ""})', ("", None), ("refused", "FORBIDDEN")),
    ],
)
def test_target_is_recorded_as_given(
    audited: Any,
    scripted: ScriptedCognito,
    call: str,
    target: tuple[str | None, str | None],
    ending: tuple[str, str | None],
) -> None:
    """An event has the names that the caller gave, empty ones too; the caller by their username."""
    api, events = audited
    for action in Action:
        if action.write:
            scripted.on(action.write, reply({}))
    api.send(f"mutation {{ {call} {{ errors {{ code }} }} }}")
    (event,) = events()
    assert (event["target"]["username"], event["target"]["group"]) == target
    assert (event["outcome"], event["code"]) == ending
    sent = [request.parameters for request in scripted.requests]
    assert bool(sent) == (ending[0] == "done")
    for parameters in sent:
        assert parameters["Username"] == ("root" if call.startswith("signUserOut") else target[0])
        assert parameters.get("GroupName") == target[1]


def test_payloads_are_of_what_was_changed(audited: Any, scripted: ScriptedCognito) -> None:
    """A payload has the user that was sent to Cognito; null if the action was not carried out."""
    api, _ = audited
    scripted.on("AdminUserGlobalSignOut", reply({}))
    document = """mutation {
        one: signUserOut(input: {username: "sub-of-root"}) { user { username } errors { code } }
        two: disableUser(input: {username: ""}) { user { username } errors { code } }
    }"""
    assert api.send(document).data == {
        "one": {"user": {"username": "root"}, "errors": []},
        "two": {"user": None, "errors": [{"code": "INVALID_VALUE"}]},
    }


def test_without_a_token_the_target_is_recorded(
    serve: Callable[..., Api], scripted: ScriptedCognito, tmp_path: Path
) -> None:
    """Who has no token is recorded with what they aimed at, and has no name to stand for it."""
    path = tmp_path / "audit.jsonl"
    api = serve(scripted.url, audit_file=path, introspection="public")
    document = """mutation {
        disableUser(input: {username: "bob"}) { errors { code } }
        signUserOut(input: {}) { errors { code } }
    }"""
    api.send(document, token="")
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert [event["target"]["username"] for event in events] == ["bob", None]
    assert {event["code"] for event in events} == {"UNAUTHENTICATED"}


def test_rights_come_before_values(audited: Any, scripted: ScriptedCognito) -> None:
    """Who may not do it at all is told that, and nothing of what is wrong with the values."""
    api, events = audited
    answer = api.send(
        'mutation { disableUser(input: {username: ""}) { errors { code } } }', groups=()
    )
    assert answer.codes == ["FORBIDDEN"]
    assert [(each["outcome"], each["target"]["username"]) for each in events()] == [("refused", "")]
    assert scripted.requests == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RuntimeError("a secret"), "INTERNAL"),
        (BadUserInput("No.", field="username"), "INVALID_VALUE"),
        (UpstreamFailed(), "UPSTREAM_ERROR"),
    ],
    ids=["fault", "value", "read"],
)
def test_what_was_not_sent_is_not_unknown(
    serve_features: Callable[..., Api],
    scripted: ScriptedCognito,
    tmp_path: Path,
    error: Exception,
    code: str,
) -> None:
    """An attempt that ends before Cognito is called for the change has changed nothing."""

    @strawberry.input
    class Failing(UserInput):
        def parameters(self) -> dict[str, object]:
            raise error

    @strawberry.type
    class Failings:
        disable_user = mutation(Action.DISABLE_USER, "Disable.", input=Failing)

    features = [each for each in FEATURES if each.mutation is None]
    api = serve_features([*features, Feature(mutation=Failings)])
    document = 'mutation { disableUser(input: {username: "bob"}) { errors { code } } }'
    answer = api.send(document)
    payload = answer.partial["disableUser"] or {"errors": []}
    assert answer.codes + [each["code"] for each in payload["errors"]] == [code]
    path = tmp_path / "audit.jsonl"
    (event,) = map(json.loads, path.read_text().splitlines())
    assert (event["outcome"], event["code"]) == ("failed", code)
    assert scripted.requests == []


@pytest.mark.parametrize(
    ("action", "operation", "is_sent"),
    [
        (Action.UPDATE_USER, "AdminDeleteUserAttributes", True),
        (Action.UPDATE_USER, "AdminUpdateUserAttributes", True),
        (Action.UPDATE_USER, "AdminDisableUser", False),
        (Action.DISABLE_USER, "AdminDeleteUser", False),
    ],
)
def test_only_operations_of_the_row(
    serve_features: Callable[..., Api],
    scripted: ScriptedCognito,
    action: Action,
    operation: str,
    is_sent: bool,
) -> None:
    """An input chooses among what its action's row has, and nothing else."""

    @strawberry.input
    class Choosing(UserInput):
        def operation(self) -> str:
            return operation

    @strawberry.type
    class Choices:
        chosen = mutation(action, "Choose.", input=Choosing)

    scripted.on(operation, reply({}))
    scripted.on("AdminGetUser", reply(user_of("bob")))
    scripted.on("AdminListGroupsForUser", reply({"Groups": []}))
    features = [each for each in FEATURES if each.mutation is None]
    api = serve_features([*features, Feature(mutation=Choices)])
    document = f'mutation {{ {action.label}(input: {{username: "bob"}}) {{ errors {{ code }} }} }}'
    assert api.send(document).codes == ([] if is_sent else ["INTERNAL"])
    assert (operation in scripted.operations()) == is_sent


def test_inputs_do_not_repeat_their_values() -> None:
    """No string that is made of an input contains its values."""
    for name in MUTATIONS.fields:
        input_ = MUTATIONS.fields[name].args["input"].type.of_type
        type_ = input_.extensions["strawberry-definition"].origin
        values = dict.fromkeys((field.name for field in fields(type_)), "hunter2")
        assert "hunter2" not in repr(type_(**values)) + str(type_(**values))


def test_rows_that_cannot_be() -> None:
    """What writes has a target, and nothing else has one."""
    with pytest.raises(ValueError, match="deleteUser"):
        Row(name="deleteUser", sentence="Delete a user.", write="AdminDeleteUser")
    with pytest.raises(ValueError, match="setUserMfa"):
        Row(name="setUserMfa", sentence="Set MFA.", alternatives=("AdminSetUserMFAPreference",))
    with pytest.raises(ValueError, match="getDevice"):
        Row(name="getDevice", sentence="Read a device.", target=TargetKind.USER)
    with pytest.raises(TypeError, match="getUser"):
        mutation(Action.GET_USER, "Get.")
