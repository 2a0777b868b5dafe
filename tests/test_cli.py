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

import pytest

from graphql_admin.dev.cognito import EmbeddedCognito, isolated_environment
from tests.support.processes import PATIENCE, ROOT, environment, read_until, started

SETTINGS = {
    "GRAPHQL_ADMIN_USER_POOL_ID": "eu-west-1_Example00",
    "GRAPHQL_ADMIN_CLIENT_IDS": "example",
    "GRAPHQL_ADMIN_ADMIN_GROUPS": "Admins",
    "AWS_ACCESS_KEY_ID": "example",
    "AWS_SECRET_ACCESS_KEY": "example",
    "AWS_REGION": "eu-west-1",
    "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER": "http://127.0.0.1:9",
}


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "graphql_admin", *arguments],
        env=environment(variables),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


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
    reply = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert reply.stdout.strip() == b"set()"


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
        said = read_until("curl ", dev.stdout)
        curl = said.splitlines()[-1]
        assert re.search(r"http://127\.0\.0\.1:\d+/graphql", said)
        assert re.search(r"http://127\.0\.0\.1:\d+/AdminQueries\.$", said, flags=re.MULTILINE)
        assert len(re.findall(r"^eyJ[\w-]+\.[\w-]+\.[\w-]+$", said, flags=re.MULTILINE)) == 3
        for who in (r"ada \(admin", r"sam \(supporter", r"otto \(ordinary user"):
            assert re.search(f"^{who}, in .* may ", said, flags=re.MULTILINE)
        assert json.loads(shlex.split(curl)[-1])["query"] in said

        reply = subprocess.run(curl, shell=True, capture_output=True, timeout=PATIENCE, check=True)
        users = json.loads(reply.stdout)["data"]["users"]["nodes"]
        assert [user["username"] for user in users] == ["ada", "sam", "otto"]

        dev.send_signal(signal.SIGINT)
        rest, complaints = dev.communicate(timeout=PATIENCE)
        assert dev.returncode == 0
        assert rest.strip() == ""
        assert complaints.splitlines()[0] == "Making people"
        assert "Traceback" not in complaints
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_dev_stopped_early(tmp_path: Path, stop: signal.Signals) -> None:
    """A signal while people are being made ends it without a traceback, and cleans up."""
    with started("dev", "--users", "90000", "--port", "0", TMPDIR=str(tmp_path)) as dev:
        read_until("Making people", dev.stderr)
        dev.send_signal(stop)
        _, complaints = dev.communicate(timeout=PATIENCE)
        assert dev.returncode == 130
        assert "Traceback" not in complaints
    assert not list(tmp_path.iterdir())


def test_dev_port_in_use(busy_port: int) -> None:
    """A port in use is said in words before anybody is made."""
    reply = run("dev", "--port", str(busy_port))
    assert reply.returncode == 1
    assert reply.stderr == (
        f"Error: Cannot listen on 127.0.0.1:{busy_port}: "
        f"port {busy_port} is in use by another program.\n"
    )


def test_dev_without_its_extra() -> None:
    """Without moto, dev says what to install."""
    code = "import sys; sys.modules['moto'] = None; import graphql_admin.cli as cli; cli.main()"
    reply = subprocess.run(
        [sys.executable, "-c", code, "dev", "--port", "0"],
        env=environment({}),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert reply.returncode == 1
    assert "pip install 'graphql-admin[dev]'" in reply.stderr
    assert "Traceback" not in reply.stderr


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_serve(stop: signal.Signals) -> None:
    """Serve says where it listens, hides what it runs on, and stops in good order."""
    with started("serve", GRAPHQL_ADMIN_PORT="0", **SETTINGS) as server:
        address = read_until("Listening on ", server.stderr).split()[-1]
        with urllib.request.urlopen(f"{address}/healthz", timeout=PATIENCE) as reply:
            assert reply.status == 200
            assert "server" not in reply.headers
        server.send_signal(stop)
        _, complaints = server.communicate(timeout=PATIENCE)
        assert server.returncode == 0
        assert "Traceback" not in complaints


def test_serve_under_nohup() -> None:
    """Where SIGHUP is ignored from the start, as `nohup` has it, it stays so."""
    ignored = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # which a child has from its parent
    try:
        with started("serve", GRAPHQL_ADMIN_PORT="0", **SETTINGS) as server:
            address = read_until("Listening on ", server.stderr).split()[-1]
            server.send_signal(signal.SIGHUP)
            for _ in range(10):
                with urllib.request.urlopen(f"{address}/healthz", timeout=PATIENCE) as reply:
                    assert reply.status == 200
                time.sleep(0.05)
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=PATIENCE)
            assert server.returncode == 0
    finally:
        signal.signal(signal.SIGHUP, ignored)


def test_serve_port_in_use(busy_port: int) -> None:
    """A port in use is said in words, with exit code 1."""
    reply = run("serve", GRAPHQL_ADMIN_PORT=str(busy_port), **SETTINGS)
    assert reply.returncode == 1
    assert f"port {busy_port} is in use by another program" in reply.stderr
    assert "Traceback" not in reply.stderr


def test_serve_address_of_another_machine() -> None:
    """An address that this machine does not have is said in words."""
    reply = run("serve", GRAPHQL_ADMIN_HOST="192.0.2.1", GRAPHQL_ADMIN_PORT="0", **SETTINGS)
    assert reply.returncode == 1
    assert reply.stderr.startswith("Error: Cannot listen on 192.0.2.1:0: ")


@pytest.mark.parametrize("command", ["serve", "check", "iam-policy"])
def test_invalid_settings(command: str) -> None:
    """Every problem with the settings is listed at once, with exit code 2."""
    reply = run(command, GRAPHQL_ADMIN_PORT="many", GRAPHQL_ADMIN_TYPO="1")
    assert reply.returncode == 2
    for name in ("PORT", "TYPO", "USER_POOL_ID", "CLIENT_IDS", "POLICY_FILE"):
        assert re.search(f"^GRAPHQL_ADMIN_{name}: ", reply.stderr, flags=re.MULTILINE)
    assert "Traceback" not in reply.stderr


def test_check(cognito: EmbeddedCognito) -> None:
    """With a pool and keys that answer, check says so and succeeds."""
    reply = run("check", **cognito.environment)
    assert (reply.returncode, reply.stderr) == (0, "")
    assert "answer" in reply.stdout


def test_check_of_the_policy(cognito: EmbeddedCognito) -> None:
    """What of the policy is not in the pool is said in words, with exit code 1; so are notes."""
    variables = dict(cognito.environment)
    del variables["GRAPHQL_ADMIN_POLICY_FILE"]
    variables["GRAPHQL_ADMIN_ADMIN_GROUPS"] = "Admins,Owners"
    reply = run("check", **variables)
    assert (reply.returncode, reply.stdout) == (1, "")
    assert reply.stderr == "The policy names groups that the pool does not have: 'Owners'.\n"

    reply = run("check", **variables, GRAPHQL_ADMIN_AUTHORITY_MAX_AGE="token")
    assert reply.returncode == 0
    assert "answer" in reply.stdout
    assert [line.split(":")[0] for line in reply.stderr.splitlines()] == ["Note", "Note"]


def test_check_with_a_pool_that_is_away(cognito: EmbeddedCognito) -> None:
    """A pool that does not answer is said in words, with exit code 1."""
    away = {"AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER": "http://127.0.0.1:9"}
    reply = run("check", **(dict(cognito.environment) | away))
    assert reply.returncode == 1
    assert reply.stderr
    assert "Traceback" not in reply.stderr


def test_schema(tmp_path: Path) -> None:
    """The schema goes to standard output, or the same to a file."""
    printed = run("schema")
    written = run("schema", "--output", str(tmp_path / "schema.graphql"))
    assert printed.returncode == written.returncode == 0
    assert "type Query" in printed.stdout
    assert (tmp_path / "schema.graphql").read_text(encoding="utf-8") == printed.stdout


def test_schema_check(tmp_path: Path) -> None:
    """A file that is missing or has drifted fails the check, which says what to run."""
    file = tmp_path / "schema.graphql"
    check = ("schema", "--check", "--output", str(file))
    missing = run(*check)
    file.write_text(run("schema").stdout, encoding="utf-8")
    current = run(*check)
    file.write_text("type Query { old: Int }\n", encoding="utf-8")
    drifted = run(*check)
    assert [reply.returncode for reply in (missing, current, drifted)] == [1, 0, 1]
    assert "make schema" in drifted.stderr
    assert file.read_text(encoding="utf-8") == "type Query { old: Int }\n"


def test_iam_policy() -> None:
    """The policy names the pool, and the operations of the enabled actions only."""
    reply = run(
        "iam-policy",
        "--account",
        "111122223333",
        **(SETTINGS | {"GRAPHQL_ADMIN_DISABLED_ACTIONS": "disableUser,getUser,listGroupsForUser"}),
    )
    [statement] = json.loads(reply.stdout)["Statement"]
    assert statement["Resource"] == (
        "arn:aws:cognito-idp:eu-west-1:111122223333:userpool/eu-west-1_Example00"
    )
    assert "cognito-idp:AdminEnableUser" in statement["Action"]
    assert "cognito-idp:AdminDisableUser" not in statement["Action"]
    # Without these no change can be made, whether or not they are read for anybody.
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
    reply = run("iam-policy", **(SETTINGS | {"GRAPHQL_ADMIN_USER_POOL_ID": pool}))
    [statement] = json.loads(reply.stdout)["Statement"]
    assert statement["Resource"].startswith(f"arn:{partition}:cognito-idp:")
    assert statement["Resource"].endswith(f":*:userpool/{pool}")
    assert "--account" in reply.stderr
