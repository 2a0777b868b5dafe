"""The log: one line for each request, in two formats, and nothing in it that is private."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.support.api import Api
from tests.support.scripted import ScriptedCognito, failure, reply
from tests.support.started import ROOT

ENABLE = 'mutation Lock { enableUser(input: {username: "bob"}) { user { email } } }'


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    """What the server logs."""
    with capture_logs() as captured:
        yield captured


def requests_in(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if line["event"] == "request"]


def test_request_line(
    serve: Callable[..., Api], scripted: ScriptedCognito, lines: list[dict[str, Any]]
) -> None:
    """A request leaves one line: the caller, the requested actions, the outcome, and the cost."""
    scripted.on("AdminEnableUser", reply({}))
    scripted.on("AdminGetUser", failure("InternalErrorException", 500))
    serve(scripted.url).send(ENABLE)
    (line,) = requests_in(lines)
    assert line.pop("ms") > 0
    assert line == {
        "event": "request",
        "log_level": "info",
        "method": "POST",
        "path": "/graphql",
        "status": 200,
        "operation": "mutation",
        "name": "Lock",
        "actions": ["enableUser", "getUser"],
        "sub": "sub-of-root",
        "codes": ["UPSTREAM_ERROR"],
        "cognito_calls": 4,  # two of them are of the caller
    }


def test_refused_request(serve: Callable[..., Api], lines: list[dict[str, Any]]) -> None:
    """A request that is refused whole leaves a line as well."""
    serve("http://127.0.0.1:9").send("{ viewer { username } }", token="")
    (line,) = requests_in(lines)
    assert (line["status"], line["codes"], line["sub"]) == (401, ["UNAUTHENTICATED"], None)


def test_rejected_request_of_a_caller(
    serve: Callable[..., Api], lines: list[dict[str, Any]]
) -> None:
    """The caller of a rejected request is known by their token."""
    serve("http://127.0.0.1:9").send("{ nothing }")
    (line,) = requests_in(lines)
    assert (line["codes"], line["sub"]) == (["GRAPHQL_VALIDATION_FAILED"], "sub-of-root")


def test_what_is_made_up_stays_out(serve: Callable[..., Api], lines: list[dict[str, Any]]) -> None:
    """Paths and methods that the server does not have are not repeated, and names are cut."""
    api = serve("http://127.0.0.1:9")
    api.client.request("BREW", "/users/ann?token=x")
    api.send(f"query {'Q' * 200} {{ __typename }}")
    api.send(f"query {'Q' * 201} {{ __typename }}")
    unknown, long, refused = requests_in(lines)
    assert (unknown["method"], unknown["path"]) == (None, None)
    assert (long["name"], long["codes"]) == ("Q" * 64, [])
    assert (refused["name"], refused["codes"]) == (None, ["QUERY_TOO_COMPLEX"])


def test_probes_leave_no_line(serve: Callable[..., Api], lines: list[dict[str, Any]]) -> None:
    """Probes leave a line only where they fail."""
    api = serve("http://127.0.0.1:9")
    api.client.get("/healthz")
    assert requests_in(lines) == []
    api.client.app.state.health.drain()  # type: ignore[attr-defined]  # it is Starlette
    api.client.get("/readyz")
    assert [line["status"] for line in requests_in(lines)] == [503]


@pytest.mark.parametrize("id_", ["a", "order-66.b_C", "0" * 64])
def test_request_id_taken(serve: Callable[..., Api], id_: str) -> None:
    """A sane X-Request-Id is the request's, and returned."""
    client = serve("http://127.0.0.1:9").client
    assert client.get("/graphql", headers={"X-Request-Id": id_}).headers["x-request-id"] == id_


@pytest.mark.parametrize("id_", ["", "0" * 65, "a b", "ann@example.com", 'a"}', "é"])
def test_request_id_made(serve: Callable[..., Api], id_: str) -> None:
    """Without a sane X-Request-Id every request gets one of its own."""
    client = serve("http://127.0.0.1:9").client
    ids = {
        client.get("/healthz", headers={"X-Request-Id": id_.encode()}).headers["x-request-id"]
        for _ in range(3)
    }
    assert len(ids) == 3
    assert id_ not in ids


LOGGING = """
import logging, structlog, warnings
from graphql_admin.telemetry.log import configure_logging
configure_logging()
structlog.get_logger("own").info("own line", answer=42)
try:
    {}["secret-key"]
except KeyError:
    logging.getLogger("uvicorn.error").exception("Exception in ASGI application\\nsecret-detail")
    structlog.get_logger("own").exception("own fault")
logging.getLogger("aiohttp").info("too quiet to be heard")
warnings.warn("beware")
"""


def test_json_lines() -> None:
    """Lines are JSON on standard error, other libraries' too, without what exceptions say."""
    done = subprocess.run(
        [sys.executable, "-c", LOGGING], cwd=ROOT, capture_output=True, text=True, check=True
    )
    own, foreign, fault, warning = map(json.loads, done.stderr.splitlines())
    assert done.stdout == ""
    assert (own["event"], own["answer"], own["level"]) == ("own line", 42, "info")
    assert (foreign["event"], foreign["logger"], foreign["level"]) == (
        "Exception in ASGI application",
        "uvicorn.error",
        "error",
    )
    assert foreign["exception"] == fault["exception"] == "KeyError"
    assert foreign["where"] == fault["where"] == "<string>:7"
    assert warning["logger"] == "py.warnings"
    assert "secret" not in done.stderr


def test_for_people() -> None:
    """On a terminal, lines are for people, and no more telling."""
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        with os.fdopen(theirs, "wb") as stderr:
            subprocess.run([sys.executable, "-c", LOGGING], cwd=ROOT, stderr=stderr, check=True)
        text = terminal.read(65_536).decode()
    assert "own line" in text
    assert not text.startswith("{")
    assert "secret" not in text
