"""What `graphql-admin users` sends its token to, where that is from, and what servers reply."""

import base64
import json
import shlex
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pytest
from cryptography import x509

from graphql_admin.cli.users.server import MAX_REPLY, Patience, Unusable, check_url
from graphql_admin.cli.users.tokens import FixedToken, InvalidToken, TokenCommand
from tests.support.certificates import make_certificate
from tests.support.patience import PATIENCE
from tests.support.scripted import Reply, ScriptedCognito, hang_up, raw, reply
from tests.support.started import ROOT, environment, invoke, run

TOKEN = "secret-token"


def jwt(expires_in: int, name: str = "") -> str:
    claims = json.dumps({"exp": int(time.time()) + expires_in, "name": name}).encode()
    return f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.c2ln"


VIEWER = reply({"data": {"viewer": {"actions": ["listUsers"]}}})
USERS = reply(
    {"data": {"users": {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}}}
)
REJECTED = Reply(
    json.dumps(
        {"errors": [{"message": "No.", "extensions": {"code": "UNAUTHENTICATED"}}]}
    ).encode(),
    401,
)


def export(url: str, *arguments: str, token: str | None = TOKEN, **variables: str) -> Any:
    given = {} if token is None else {"GRAPHQL_ADMIN_TOKEN": token}
    return invoke(
        "users",
        "export",
        "-",
        "--format",
        "jsonl",
        "--url",
        url,
        "--patience",
        "0",
        *arguments,
        **{**given, "NO_PROXY": "*", **variables},
    )


def sent_tokens(scripted: ScriptedCognito) -> list[str]:
    return [str(request.headers["Authorization"]) for request in scripted.requests]


# Tokens


def test_token_of_the_environment(scripted: ScriptedCognito) -> None:
    """The token of the environment is sent."""
    scripted.on("POST", [VIEWER, USERS])
    assert export(scripted.url).returncode == 0
    assert sent_tokens(scripted) == [f"Bearer {TOKEN}"] * 2


def printing(folder: Path, *tokens: str) -> str:
    """Return a command that prints these tokens in turn, and counts how often it was run."""
    script = folder / "print.py"
    script.write_text(
        "import os, pathlib\n"
        f"path = pathlib.Path({str(folder / 'runs')!r})\n"
        "runs = int(path.read_text()) if path.exists() else 0\n"
        "path.write_text(str(runs + 1))\n"
        f"print({list(tokens)!r}[runs])\n"
        "assert 'GRAPHQL_ADMIN_TOKEN' not in os.environ\n"
    )
    return shlex.join([sys.executable, str(script)])


def test_token_command(scripted: ScriptedCognito, tmp_path: Path) -> None:
    """A command's token is used until it is about to expire, and then the next one."""
    first, second = jwt(30), jwt(3600)
    scripted.on("POST", [VIEWER, USERS])
    ended = export(
        scripted.url, "--token-command", printing(tmp_path, first, second), token="other"
    )
    assert ended.returncode == 0, ended.stderr
    assert sent_tokens(scripted) == [f"Bearer {first}", f"Bearer {second}"]


def test_token_with_a_huge_number(scripted: ScriptedCognito, tmp_path: Path) -> None:
    """A token that expires later than the command can count is used until it is rejected."""
    scripted.on("POST", [VIEWER, USERS])
    command = printing(tmp_path, jwt(10**400))
    ended = export(scripted.url, "--token-command", command, token=None)
    assert ended.returncode == 0, ended.stderr


def test_token_rejected(scripted: ScriptedCognito, tmp_path: Path) -> None:
    """Where the server rejects a token, the command is run again, but not for ever."""
    scripted.on("POST", [VIEWER, REJECTED, USERS])
    command = printing(tmp_path, jwt(3600, "a"), jwt(3600, "b"), jwt(3600, "c"))
    assert export(scripted.url, "--token-command", command, "--patience", "60").returncode == 0
    assert len(set(sent_tokens(scripted))) == 2
    scripted.on("POST", [REJECTED, REJECTED])
    (tmp_path / "runs").unlink()
    ended = export(scripted.url, "--token-command", command, "--patience", "60")
    assert ended.returncode == 1
    assert "rejects the token" in ended.stderr


def test_fixed_token_rejected(scripted: ScriptedCognito) -> None:
    """A token that cannot be renewed is not sent again."""
    scripted.on("POST", [REJECTED])
    ended = export(scripted.url)
    assert ended.returncode == 1
    assert "rejects the token" in ended.stderr


def test_token_of_standard_input(scripted: ScriptedCognito) -> None:
    """The token can be read from standard input."""
    scripted.on("POST", [VIEWER, USERS])
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "graphql_admin",
            "users",
            "export",
            "-",
            "--format",
            "jsonl",
            "--url",
            scripted.url,
            "--token-stdin",
        ],
        input=f"{TOKEN}\n",
        text=True,
        env=environment({"NO_PROXY": "*"}),
        cwd=ROOT,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert sent_tokens(scripted) == [f"Bearer {TOKEN}"] * 2


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("false", "exit code 1"),
        ("/nonexistent/program", "cannot be run"),
        ("true", "The token is empty"),
        ("echo 'a b'", "not a token"),
        ("echo 'secret-token\nsecond'", "not a token"),
        ("'", "cannot be read"),
        ("", "is empty"),
        (f"{sys.executable} -c 'print(\"secret-token\" * 5000)'", "not a token"),
    ],
)
def test_token_command_fails(command: str, said: str) -> None:
    """A command that gives no token is an error, which does not repeat what it printed."""
    with pytest.raises(InvalidToken) as caught:
        TokenCommand(command).current()
    assert said in caught.value.message
    assert "secret-token" not in caught.value.message
    assert caught.value.__cause__ is None or "secret-token" not in str(caught.value.__cause__)


def test_no_token_or_two() -> None:
    """Exactly one source of a token is needed; a token is no argument."""
    ended = export("http://127.0.0.1:9", token=None)
    assert ended.returncode == 2
    assert "GRAPHQL_ADMIN_TOKEN" in ended.stderr
    ended = export("http://127.0.0.1:9", "--token-stdin", "--token-command", "true")
    assert ended.returncode == 2
    assert "--token TEXT" not in run("users", "export", "--help").stdout


def test_token_is_in_no_repr() -> None:
    """Tokens are in no `repr`."""
    assert TOKEN not in repr(FixedToken(TOKEN)) + repr(vars(TokenCommand("true")))


@pytest.mark.parametrize("text", ["a.b.c", "e30.e30.x", "opaque", "e30.W10.x", "e30.~.x"])
def test_tokens_that_do_not_say_when_they_expire(text: str) -> None:
    """A token that is no JWT with `exp` is used until the server rejects it."""
    source = TokenCommand(f"echo {text}")
    assert source.current() == source.current() == text


# Servers


HOSTILE: Mapping[str, tuple[Reply, str]] = {
    "a redirect": (Reply(b"", 307, location="http://127.0.0.1:9/"), "redirects"),
    "not found": (raw(b"<html>", 404), "status 404"),
    "forbidden by a proxy": (raw(b"<html>", 403), "status 403"),
    "a bad gateway": (raw(b"<html>", 502), "status 502"),
    "a page": (raw(b"<html>", 200), "not GraphQL"),
    "cut JSON": (Reply(VIEWER.body[:9], promised_length=99), "cut"),
    "cut in the middle": (Reply(VIEWER.body[:9]), "not GraphQL"),
    "nothing": (hang_up(), "no connection"),
    "a list": (raw(b"[]"), "not GraphQL"),
    "depth": (raw(b"[" * 100_000), "not GraphQL"),
    "other data": (raw(b'{"data": 1}'), "not GraphQL"),
    "other errors": (raw(b'{"errors": [1]}'), "not GraphQL"),
    "other actions": (raw(b'{"data": {"viewer": {"actions": 7}}}'), "does not allow: listUsers"),
    "no actions": (raw(b'{"data": {"viewer": null}}'), "does not allow: listUsers"),
    "too much": (raw(b" " * (MAX_REPLY + 1)), "larger than"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_replies(scripted: ScriptedCognito, name: str) -> None:
    """What is no answer is an error in a sentence, and the token goes nowhere else."""
    answer, said = HOSTILE[name]
    scripted.on("POST", answer)
    ended = export(scripted.url)
    assert ended.returncode == 1
    assert said in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert TOKEN not in ended.stderr


def test_no_redirect_is_followed(scripted: ScriptedCognito) -> None:
    """A redirect to another server is not followed, by whatever status."""
    with ScriptedCognito() as other:
        for status in (301, 302, 303, 307, 308):
            scripted.on("POST", Reply(b"", status, location=other.url))
            assert export(scripted.url).returncode == 1
        assert other.requests == []


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY"])
def test_no_proxy_to_this_machine(scripted: ScriptedCognito, name: str) -> None:
    """A server on this machine is reached without the proxy of the environment, on another one."""
    scripted.on("POST", [VIEWER, USERS])
    with ScriptedCognito() as proxy:
        ended = export(scripted.url, NO_PROXY="", **{name: proxy.url})
        assert proxy.requests == []
    assert ended.returncode == 0, ended.stderr


def test_certificate_of_nobody(tmp_path: Path) -> None:
    """A server whose certificate is not valid gets no request."""
    pem = tmp_path / "server.pem"
    pem.write_bytes(make_certificate(x509.DNSName("localhost")))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with ScriptedCognito(context) as backend:
        ended = export(f"https://localhost:{backend.port}")
        assert backend.requests == []
    assert ended.returncode == 1
    assert "certificate is not valid" in ended.stderr


def test_busy_server(scripted: ScriptedCognito) -> None:
    """A query that is throttled is sent again after the pause that the server asks for."""
    throttled = {"message": "No.", "extensions": {"code": "THROTTLED", "retryAfter": 1}}
    busy = Reply(json.dumps({"errors": [throttled]}).encode(), 429)
    scripted.on("POST", [VIEWER, busy, raw(b"<html>", 503), USERS])
    started = time.monotonic()
    assert export(scripted.url, "--patience", "60").returncode == 0
    assert time.monotonic() - started >= 1


@pytest.mark.parametrize("pause", ["1" + "0" * 400, "-1" + "0" * 400, "1e999", "NaN", "true"])
def test_absurd_pause(scripted: ScriptedCognito, pause: str) -> None:
    """A pause that is absurd is like none, or the longest."""
    error = f'{{"message": "No.", "extensions": {{"code": "THROTTLED", "retryAfter": {pause}}}}}'
    scripted.on("POST", raw(f'{{"errors": [{error}]}}'.encode(), 429))
    ended = export(scripted.url)
    assert ended.returncode == 1
    assert "THROTTLED" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_patience() -> None:
    """Pauses get longer up to a bound, and end after the time without a success."""
    now = 0.0
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        pauses.append(seconds)

    patience = Patience(100, sleep, lambda: now)
    patience.wait("first", pause=7)
    assert pauses == [7]
    patience.wait("second", pause=3600)
    assert pauses[1:] == [60]
    patience.reset()
    now = 0.0

    def wait_always() -> None:
        while True:
            patience.wait("still")

    with pytest.raises(Unusable, match="at last: still"):
        wait_always()
    assert 100 <= now <= 115
    assert pauses[2] <= 0.25
    assert 7.5 <= max(pauses[2:]) <= 15


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://a.example", "https://a.example/graphql"),
        ("https://a.example/", "https://a.example/graphql"),
        ("https://a.example/admin/graphql", "https://a.example/admin/graphql"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/graphql"),
        ("http://[::1]:8000", "http://[::1]:8000/graphql"),
        ("http://localhost", "http://localhost/graphql"),
    ],
)
def test_urls(url: str, address: str) -> None:
    """Without a path it is `/graphql`; plain HTTP is for this machine."""
    assert check_url(url, allow_http=False) == address


@pytest.mark.parametrize(
    "url",
    [
        "a.example",
        "ftp://a.example",
        "http://a.example",
        "http://localhost.example",
        "http://127.0.0.1.example",
        "https://",
        "https://user:password@a.example",
        "https://a.example/?token=x",
        "https://a.example/#x",
        "https://[::1",
        "https://a.example:port",
        "file:///etc/passwd",
    ],
)
def test_invalid_urls(url: str) -> None:
    """Where a token must not go, it does not."""
    with pytest.raises(click.BadParameter):
        check_url(url, allow_http=False)


def test_plain_http_on_purpose() -> None:
    """Plain HTTP to another machine has to be asked for."""
    assert check_url("http://a.example", allow_http=True) == "http://a.example/graphql"
