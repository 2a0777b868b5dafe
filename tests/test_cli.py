import json
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graphql_admin.cli import main
from graphql_admin.dev.cognito import EmbeddedCognito, isolated_environment
from tests.support.pages import ROOT
from tests.support.patience import PATIENCE
from tests.support.slowness import slow
from tests.support.started import NOT_IN_MOTO, SETTINGS, environment, invoke, run, started

SERVICE = "COGNITO_IDENTITY_PROVIDER"

PERMISSIONS = ["settings", "permissions"]


@pytest.fixture
def busy_port() -> Iterator[int]:
    """A port on which something listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture(scope="module")
def cognito() -> Iterator[EmbeddedCognito]:
    """A pool without people."""
    with isolated_environment(), EmbeddedCognito() as embedded:
        yield embedded


def test_help_is_light() -> None:
    """The command line itself imports nothing heavy."""
    heavy = "{'boto3', 'strawberry', 'aiohttp', 'uvicorn', 'pydantic', 'moto'}"
    code = f"import sys, graphql_admin.cli; print({heavy} & sys.modules.keys())"
    assert run(code=code).stdout.strip() == "set()"


OTHER_VERSIONS = """
import sys
from graphql_admin.admin import schema
from graphql_admin.cli import main
schema.other_versions = lambda: {"graphql-core": "3.2.99"}
main(sys.argv[1:])
"""


@pytest.mark.parametrize("command", ["schema", "iam-policy"])
def test_output_without_the_log(command: str) -> None:
    """What a command prints is all that its standard output has, whatever is logged meanwhile."""
    reply = run(command, code=OTHER_VERSIONS, **SETTINGS)
    assert reply.returncode == 0
    assert reply.stdout == invoke(command, **SETTINGS).stdout


def test_log_of_the_start() -> None:
    """What is logged while a command starts goes to standard error, as JSON."""
    reply = run("schema", code=OTHER_VERSIONS, **SETTINGS)
    (line,) = map(json.loads, reply.stderr.splitlines())
    assert line["level"] == "info"
    assert "graphql-core" in reply.stderr


@pytest.mark.parametrize("closed", [">&-", *slow(">/dev/full", "2>&-", "2>/dev/full", ">&- 2>&-")])
def test_started_without_a_stream(tmp_path: Path, closed: str) -> None:
    """A server whose standard output or error is closed or full serves, or says why not."""
    said = tmp_path / "said"
    line = f"exec {shlex.quote(sys.executable)} -c {shlex.quote(OTHER_VERSIONS)} serve {closed}"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with (
        said.open("wb") as file,
        subprocess.Popen(
            ["sh", "-c", line],
            env=environment({**SETTINGS, "GRAPHQL_ADMIN_PORT": str(port)}),
            cwd=ROOT,
            stdout=file,
            stderr=file,
        ) as server,
    ):
        try:
            wait_for_health(server, port)
        finally:
            server.terminate()
    assert b"Traceback" not in said.read_bytes()


def wait_for_health(server: subprocess.Popen[bytes], port: int) -> None:
    """Wait until the server answers, or has ended."""
    until = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz") as reply:
                assert reply.status == 200
                return
        except OSError:
            time.sleep(0.05)
    assert server.poll() is not None, "neither answered nor ended"


IGNORED = "Ignored, since dev has its own settings: "


def test_dev(tmp_path: Path) -> None:
    """Dev prints an address, three tokens, a query and a curl line that works; Ctrl-C ends it."""
    misleading = {
        "AWS_PROFILE": "production",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "GRAPHQL_ADMIN_ADMIN_GROUPS": "*",
        "GRAPHQL_ADMIN_NO_SUCH_SETTING": "1",
    }
    with started("dev", "--users", "12", "--port", "0", TMPDIR=str(tmp_path), **misleading) as dev:
        curl = dev.wait_for(r"(?m)^curl .*\n")[0]
        said = dev.output()
        assert re.search(r"http://127\.0\.0\.1:\d+/graphql", said)
        assert re.search(r"http://127\.0\.0\.1:\d+/AdminQueries\.$", said, flags=re.MULTILINE)
        assert len(re.findall(r"^eyJ[\w-]+\.[\w-]+\.[\w-]+$", said, flags=re.MULTILINE)) == 3
        for who in (r"ada \(admin", r"sam \(helper", r"otto \(ordinary user"):
            assert re.search(f"^{who}, in .* may ", said, flags=re.MULTILINE)
        assert json.loads(shlex.split(curl)[-1])["query"] in said

        users = answer(*shlex.split(curl))["data"]["users"]["nodes"]
        assert [user["username"] for user in users] == ["ada", "sam", "otto"]

        dev.send(signal.SIGINT)
        assert dev.wait() == 0
        complaints = dev.log()
        assert dev.output().removeprefix(said).strip() == ""
        assert complaints.splitlines()[:2] == [
            f"{IGNORED}GRAPHQL_ADMIN_ADMIN_GROUPS, GRAPHQL_ADMIN_NO_SUCH_SETTING",
            "Creating users",
        ]
        assert "Traceback" not in complaints
    assert not list(tmp_path.iterdir())


def test_dev_lets_pages_call_it_and_drops_no_setting_silently(tmp_path: Path) -> None:
    """Pages of the origins of `--cors-origin` may call it; settings that do not count are named."""
    options = ("--cors-origin", "http://localhost:5173", "--cors-origin", "capacitor://localhost")
    environment = {
        "TMPDIR": str(tmp_path),
        "GRAPHQL_ADMIN_CORS_ORIGINS": "https://other.example",
        "GRAPHQL_ADMIN_QUOTAS": "UserRead=1",
    }
    with started("dev", "--users", "4", "--port", "0", *options, **environment) as dev:
        address = dev.wait_for(r"http://127\.0\.0\.1:\d+/graphql")[0]
        for origin, allowed in (
            ("http://localhost:5173", True),
            ("capacitor://localhost", True),
            ("https://other.example", False),
        ):
            request = urllib.request.Request(address, headers={"Origin": origin}, method="OPTIONS")
            with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
                assert (reply.headers["Access-Control-Allow-Origin"] == origin) is allowed
        dev.send(signal.SIGINT)
        assert dev.wait() == 0
        assert dev.log().splitlines()[:2] == [
            f"{IGNORED}GRAPHQL_ADMIN_CORS_ORIGINS, GRAPHQL_ADMIN_QUOTAS",
            "In place of GRAPHQL_ADMIN_CORS_ORIGINS, use --cors-origin.",
        ]


def answer(program: str, quiet: str, url: str, *options: str) -> Any:
    """Return the answer that a curl line would get, whether or not there is a curl."""
    assert (program, quiet) == ("curl", "-sS")
    headers = {}
    data = None
    for option, value in zip(options[::2], options[1::2], strict=True):
        match option:
            case "-H":
                name, _, content = value.partition(": ")
                headers[name] = content
            case "-d":
                data = value.encode()
            case _:
                pytest.fail(f"what is {option}?")
    request = urllib.request.Request(url, data, headers)
    with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
        return json.load(reply)


@pytest.mark.parametrize("stop", [signal.SIGINT, *slow(signal.SIGTERM, signal.SIGHUP)])
def test_dev_stopped_early(tmp_path: Path, stop: signal.Signals) -> None:
    """A signal while people are being made ends it without a traceback, and cleans up."""
    with started("dev", "--users", "90000", "--port", "0", TMPDIR=str(tmp_path)) as dev:
        dev.wait_for("Creating users")
        dev.send(stop)
        assert dev.wait() == 130
        assert "Traceback" not in dev.log()
    assert not list(tmp_path.iterdir())


DROPPED = """
import signal
import graphql_admin.cli as cli
from graphql_admin.{package} import {module}

class Finalized:
    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)

def with_signal(function):
    def call(*args, **kwargs):
        result = function(*args, **kwargs)
        if not with_signal.sent:
            with_signal.sent = True
            Finalized()  # is gone at once
        return result
    return call

with_signal.sent = False
{module}.{name} = with_signal({module}.{name})
cli.main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "code"),
    [
        (("dev", "cognito", "EmbeddedCognito._create"), 130),
        (("serving", "connections", "admissible"), 130),
        (("serving", "server", "demand_uvicorn"), 0),
    ],
    ids=["making people", "before the server", "as the server starts"],
)
def test_dev_stopped_in_a_finalizer(tmp_path: Path, place: tuple[str, str, str], code: int) -> None:
    """A signal whose exception Python drops, since it comes in a finalizer, ends it as well."""
    package, module, name = place
    script = DROPPED.format(package=package, module=module, name=name)
    reply = run("dev", "--users", "4", "--port", "0", code=script, TMPDIR=str(tmp_path))
    assert reply.returncode == code
    assert "Listening" not in reply.stderr
    assert not list(tmp_path.iterdir())


def test_dev_port_in_use(busy_port: int) -> None:
    """A port in use is reported before any user is created."""
    reply = invoke("dev", "--port", str(busy_port))
    assert reply.returncode == 1
    assert reply.stderr == (
        f"Error: Cannot listen on 127.0.0.1:{busy_port}: "
        f"port {busy_port} is in use by another program. Choose another with --port.\n"
    )


def test_dev_without_its_extra() -> None:
    """Without moto, dev says what to install."""
    code = "import sys; sys.modules['moto'] = None; import graphql_admin.cli as cli; cli.main()"
    reply = run("dev", "--port", "0", code=code)
    assert reply.returncode == 1
    assert "pip install 'graphql-admin[dev]'" in reply.stderr
    assert "Traceback" not in reply.stderr


@pytest.mark.parametrize("stop", [signal.SIGTERM, *slow(signal.SIGINT, signal.SIGHUP)])
def test_serve(stop: signal.Signals) -> None:
    """Serve says where it listens, hides what it runs on, and stops in good order."""
    with started("serve", GRAPHQL_ADMIN_PORT="0", **SETTINGS) as server:
        address = server.wait_for(r"Listening on (\S+)\n")[1]
        with urllib.request.urlopen(f"{address}/healthz", timeout=PATIENCE) as reply:
            assert reply.status == 200
            assert "server" not in reply.headers
        server.send(stop)
        assert server.wait() == 0
        assert "Traceback" not in server.log()


def test_serve_under_nohup() -> None:
    """If SIGHUP is ignored from the start, as with `nohup`, it stays so."""
    ignored = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # which a child has from its parent
    try:
        with started("serve", GRAPHQL_ADMIN_PORT="0", **SETTINGS) as server:
            address = server.wait_for(r"Listening on (\S+)\n")[1]
            server.send(signal.SIGHUP)
            for _ in range(10):
                with urllib.request.urlopen(f"{address}/healthz", timeout=PATIENCE) as reply:
                    assert reply.status == 200
                time.sleep(0.05)
            server.send(signal.SIGTERM)
            assert server.wait() == 0
    finally:
        signal.signal(signal.SIGHUP, ignored)


def test_serve_port_in_use(busy_port: int) -> None:
    """A port in use is said in words, with exit code 1."""
    reply = invoke("serve", GRAPHQL_ADMIN_PORT=str(busy_port), **SETTINGS)
    assert reply.returncode == 1
    assert f"port {busy_port} is in use by another program" in reply.stderr
    assert "Traceback" not in reply.stderr


def test_serve_address_of_another_machine() -> None:
    """An address that this machine does not have is said in words."""
    reply = invoke("serve", GRAPHQL_ADMIN_HOST="192.0.2.1", GRAPHQL_ADMIN_PORT="0", **SETTINGS)
    assert reply.returncode == 1
    assert reply.stderr.startswith("Error: Cannot listen on 192.0.2.1:0: ")
    assert "GRAPHQL_ADMIN_PORT" in reply.stderr
    assert named_pages(reply.stderr) == ["docs/settings.md"]


@pytest.mark.parametrize("command", ["serve", "check", "iam-policy"])
def test_invalid_settings(command: str) -> None:
    """Every problem with the settings is listed at once, with exit code 2."""
    reply = invoke(command, GRAPHQL_ADMIN_PORT="many", GRAPHQL_ADMIN_TYPO="1")
    assert reply.returncode == 2
    for name in ("PORT", "TYPO", "USER_POOL_ID", "CLIENT_IDS", "POLICY_FILE"):
        assert re.search(f"^GRAPHQL_ADMIN_{name}: ", reply.stderr, flags=re.MULTILINE)
    assert reply.stderr.endswith("See docs/settings.md and docs/permissions.md.\n")
    assert "Traceback" not in reply.stderr


@pytest.mark.parametrize(
    ("variable", "value", "said", "pages"),
    [
        ("GRAPHQL_ADMIN_PORT", "many", "a whole number", ["settings"]),
        ("GRAPHQL_ADMIN_POLICY_FILE", "no.toml", "cannot read 'no.toml'", PERMISSIONS),
        ("GRAPHQL_ADMIN_ADMIN_GROUPS", ",", "without empty items", PERMISSIONS),
        ("GRAPHQL_ADMIN_AUDIT_FILE", "/no/folder", "cannot be written", ["settings", "operations"]),
        ("GRAPHQL_ADMIN_EXPLORER_CLIENT_ID", "x", "or neither", ["settings", "operations"]),
        (f"AWS_ENDPOINT_URL_{SERVICE}", "ftp://host", "no URL of http or https", ["settings"]),
        ("AWS_PROFILE", "nobody's", "AWS settings are invalid", ["settings"]),
        ("AWS_CA_BUNDLE", "/no/file", "AWS settings are invalid", ["settings"]),
    ],
)
def test_wrong_setting(variable: str, value: str, said: str, pages: list[str]) -> None:
    """What is wrong is said with its variable, and the pages that say more are named."""
    reply = run("serve", **{**SETTINGS, "GRAPHQL_ADMIN_PORT": "0", variable: value})
    assert reply.returncode == 2
    assert said in reply.stderr
    assert "Traceback" not in reply.stderr
    assert named_pages(reply.stderr.splitlines()[-1]) == [f"docs/{page}.md" for page in pages]


@pytest.mark.parametrize("command", ["", *main.commands])
def test_help(command: str) -> None:
    """Help has an example that can be typed, and names the page that goes on."""
    reply = run(*filter(None, [command]), "--help")
    lines = [line.strip() for line in reply.stdout.splitlines()]
    examples = [line for line in lines if line.startswith(f"graphql-admin {command}".rstrip())]
    assert examples
    for example in examples:
        name, *arguments = shlex.split(example.partition("   ")[0])[1:]
        assert main.commands[name].make_context(name, arguments)
    assert named_pages(reply.stdout)
    assert not [line for line in lines[1:] if line.endswith("...")]


def named_pages(text: str) -> list[str]:
    """Return the pages of the documentation that a message names; each must exist."""
    pages = re.findall(r"docs/[\w-]+\.md", text)
    assert [page for page in pages if not (ROOT / page).exists()] == []
    return pages


def test_check(cognito: EmbeddedCognito) -> None:
    """With a pool and keys that answer, check says so and succeeds."""
    reply = run("check", **cognito.environment, GRAPHQL_ADMIN_DISABLED_ACTIONS=NOT_IN_MOTO)
    assert (reply.returncode, reply.stderr) == (0, "")
    assert "can be reached" in reply.stdout


def test_check_of_the_policy(cognito: EmbeddedCognito) -> None:
    """What of the policy is not in the pool is said in words, with exit code 1; so are notes."""
    variables = dict(cognito.environment)
    del variables["GRAPHQL_ADMIN_POLICY_FILE"]
    variables["GRAPHQL_ADMIN_ADMIN_GROUPS"] = "Admins,Owners"
    variables["GRAPHQL_ADMIN_DISABLED_ACTIONS"] = NOT_IN_MOTO
    reply = invoke("check", **variables)
    assert (reply.returncode, reply.stdout) == (1, "")
    assert reply.stderr == (
        "The policy has groups that the pool does not have: 'Owners'.\n"
        "See docs/permissions.md and docs/operations.md.\n"
    )

    reply = invoke("check", **variables, GRAPHQL_ADMIN_AUTHORITY_MAX_AGE="token")
    assert reply.returncode == 0
    assert "can be reached" in reply.stdout
    assert [line.split(":")[0] for line in reply.stderr.splitlines()] == ["Note", "Note"]


def test_check_with_a_pool_that_is_away(cognito: EmbeddedCognito) -> None:
    """A pool that does not answer is said in words, with exit code 1."""
    away = {"AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER": "http://127.0.0.1:9"}
    reply = invoke("check", **(dict(cognito.environment) | away))
    assert reply.returncode == 1
    assert reply.stderr
    assert "Traceback" not in reply.stderr


def test_schema(tmp_path: Path) -> None:
    """The schema goes to standard output, or the same to a file."""
    printed = run("schema")
    written = invoke("schema", "--output", str(tmp_path / "schema.graphql"))
    assert printed.returncode == written.returncode == 0
    assert "type Query" in printed.stdout
    assert (tmp_path / "schema.graphql").read_text(encoding="utf-8") == printed.stdout


@pytest.mark.parametrize("plain", [False, True])
def test_schema_check(tmp_path: Path, *, plain: bool) -> None:
    """A file that is missing or has drifted fails the check, which says what to run."""
    file = tmp_path / "schema.graphql"
    form = ("--plain",) if plain else ()
    check = ("schema", *form, "--check", "--output", str(file))
    missing = invoke(*check)
    file.write_text(invoke("schema", *form).stdout, encoding="utf-8")
    current = invoke(*check)
    file.write_text("type Query { old: Int }\n", encoding="utf-8")
    drifted = invoke(*check)
    assert [reply.returncode for reply in (missing, current, drifted)] == [1, 0, 1]
    assert "make schema" in drifted.stderr
    assert file.read_text(encoding="utf-8") == "type Query { old: Int }\n"


@pytest.mark.parametrize("form", [(), ("--plain",)], ids=["federated", "plain"])
def test_schema_follows_the_settings(form: tuple[str, ...]) -> None:
    """Both forms are those of a server with these settings, of which no others are needed."""
    ordinary = run("schema", *form)
    reply = run(
        "schema",
        *form,
        GRAPHQL_ADMIN_NODE_FIELD="false",
        GRAPHQL_ADMIN_DISABLED_ACTIONS="disableUser",
        GRAPHQL_ADMIN_AUTH_DIRECTIVES="true",
    )
    assert reply.returncode == 0, reply.stderr
    for member in ("  node(\n", "  disableUser(\n", "input DisableUserInput"):
        assert member in ordinary.stdout
        assert member not in reply.stdout
    assert "interface Node {" in reply.stdout
    assert ("@authenticated" in reply.stdout) is (form == ())
    assert "@authenticated" not in ordinary.stdout


def test_schema_with_an_invalid_setting() -> None:
    """What would give another schema than the server's is said, and no schema is printed."""
    reply = run("schema", GRAPHQL_ADMIN_NODE_FIELD="perhaps", GRAPHQL_ADMIN_DISABLED_ACTION="x")
    assert (reply.returncode, reply.stdout) == (2, "")
    assert reply.stderr == (
        "GRAPHQL_ADMIN_DISABLED_ACTION: there is no such setting\n"
        "GRAPHQL_ADMIN_NODE_FIELD: must be true or false\n"
        "See docs/settings.md.\n"
    )


def test_iam_policy() -> None:
    """The policy names the pool, and the operations of the enabled actions only."""
    disabled = "disableUser,getUser,listGroupsForUser,updateGroup"
    reply = run(
        "iam-policy",
        "--account",
        "111122223333",
        **(SETTINGS | {"GRAPHQL_ADMIN_DISABLED_ACTIONS": disabled}),
    )
    [statement] = json.loads(reply.stdout)["Statement"]
    assert statement["Resource"] == (
        "arn:aws:cognito-idp:eu-west-1:111122223333:userpool/eu-west-1_Example00"
    )
    assert "cognito-idp:AdminEnableUser" in statement["Action"]
    assert "cognito-idp:AdminDisableUser" not in statement["Action"]
    # Without these no change can be made, whether or not a caller may read them.
    assert {"cognito-idp:AdminGetUser", "cognito-idp:AdminListGroupsForUser"} <= set(
        statement["Action"]
    )
    assert reply.stderr == ""


@pytest.mark.parametrize(
    ("pool", "partition"),
    [("cn-north-1_Example00", "aws-cn"), ("us-gov-west-1_Example00", "aws-us-gov")],
)
def test_iam_policy_in_another_partition(pool: str, partition: str) -> None:
    """The partition follows from the pool's region; without an account, that is remarked upon."""
    reply = invoke("iam-policy", **(SETTINGS | {"GRAPHQL_ADMIN_USER_POOL_ID": pool}))
    [statement] = json.loads(reply.stdout)["Statement"]
    assert statement["Resource"].startswith(f"arn:{partition}:cognito-idp:")
    assert statement["Resource"].endswith(f":*:userpool/{pool}")
    assert "--account" in reply.stderr


def test_iam_policy_and_roles() -> None:
    """No policy passes a role; for updates of groups that have one, it says what may be missing."""
    told = run("iam-policy", "--account", "111122223333", **SETTINGS)
    assert "PassRole" in told.stderr
    assert "PassRole" not in told.stdout
