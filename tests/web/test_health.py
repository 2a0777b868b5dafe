"""Health: readiness, and an end in good order."""

import json
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from tests.support.api import Api
from tests.support.patience import PATIENCE
from tests.support.scripted import Reply, ScriptedCognito, held, reply
from tests.support.slowness import slow
from tests.support.started import served, until
from tests.support.tokens import JwksServer, Pool

GROUPS = "{ groups { nodes { name } } }"
FIRST_GROUPS = "{{ groups(first: {}) {{ nodes {{ name }} }} }}"  # reads that are alike share a call


class Gate:
    """A Cognito that holds its replies back until it is opened, and counts who waits.

    Args:
        scripted: The Cognito whose lists of groups are held back.
    """

    def __init__(self, scripted: ScriptedCognito) -> None:
        self.opened = threading.Event()
        self._waiting = threading.Semaphore(0)
        scripted.on("ListGroups", self._hold)

    def _hold(self, _: dict[str, Any]) -> Reply:
        self._waiting.release()
        return held(self.opened, reply({"Groups": []}))

    def wait_for(self, count: int) -> None:
        """Wait until so many more requests have come."""
        for _ in range(count):
            assert self._waiting.acquire(timeout=PATIENCE)


def wait_until_ready(client: Any) -> None:
    """Ask until the server is ready; it gets there without any other request."""
    for _ in range(1000):
        if client.get("/readyz").status_code == 200:
            return
        threading.Event().wait(0.01)
    raise AssertionError(client.get("/readyz").text)


def test_ready(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """A server that was just started gets ready by itself, and says so."""
    client = serve(scripted.url).client
    wait_until_ready(client)
    answer = client.get("/readyz")
    assert answer.json() == {"ready": True, "waiting_for": []}
    assert scripted.requests == []


def test_not_ready_without_keys(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """Without keys the server starts and lives, and is not ready for requests."""
    with JwksServer() as jwks:
        jwks.answer(500)
        client = serve(scripted.url, jwks_url=jwks.url).client
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert "keys" in answer.json()["waiting_for"]
        assert client.get("/healthz").status_code == 200


def test_not_ready_without_credentials(
    serve: Callable[..., Api], scripted: ScriptedCognito, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without AWS credentials the server starts and lives, and is not ready for requests."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    client = serve(scripted.url).client
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "credentials" in answer.json()["waiting_for"]
    assert client.get("/healthz").status_code == 200


def test_keys_are_kept_fresh(
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    signing_key: Pool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Keys are fetched again when they are old, also where no request comes."""
    monkeypatch.setattr("graphql_admin.tokens.keys._MAX_KEY_AGE", 0.0)
    monkeypatch.setattr("graphql_admin.tokens.keys._FETCH_INTERVAL", 0.0)
    monkeypatch.setattr("graphql_admin.web.health._PAUSE", 0.01)
    with JwksServer() as jwks:
        serve(scripted.url, jwks_url=jwks.url)
        until(lambda: jwks.requests > 2)
        jwks.publish(signing_key.jwk())
        before = jwks.requests
        until(lambda: jwks.requests > before + 2)


def test_turned_away_while_draining(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """Once shutting down has started, requests on persistent connections are rejected."""
    api = serve(scripted.url)
    wait_until_ready(api.client)
    api.client.app.state.health.drain()  # type: ignore[attr-defined]  # it is Starlette
    answer = api.client.get("/readyz")
    assert (answer.status_code, answer.json()["waiting_for"]) == (503, ["draining"])
    refused = api.send(GROUPS)
    assert (refused.response.status_code, refused.codes) == (503, ["SHUTTING_DOWN"])
    assert scripted.requests == []


@pytest.mark.parametrize("stop", [signal.SIGTERM, *slow(signal.SIGHUP)])
def test_stop(
    scripted: ScriptedCognito, jwks_url: str, signing_key: Pool, stop: signal.Signals
) -> None:
    """On a signal 20 requests in flight are answered, new ones refused, and the exit code is 0."""
    gate = Gate(scripted)
    headers = {"Authorization": signing_key.access_token("root", ["Admins"])}
    quotas = "PerPool=100,UserPoolResourceRead=100"
    with served(scripted.url, jwks_url, DEADLINE="60", QUOTAS=quotas) as server:

        def ask(number: int) -> httpx2.Response:
            query = FIRST_GROUPS.format(number)
            with httpx2.Client(timeout=PATIENCE) as client:
                return client.post(f"{server.url}/graphql", json={"query": query}, headers=headers)

        with (
            ThreadPoolExecutor(20) as threads,
            httpx2.Client(base_url=server.url, timeout=PATIENCE) as kept,
        ):
            wait_until_ready(kept)
            waiting = [threads.submit(ask, number) for number in range(1, 21)]
            gate.wait_for(20)
            server.program.send(stop)
            wait_until_refused(server.url)
            gate.opened.set()
            answers = [answer.result() for answer in waiting]
        assert [answer.status_code for answer in answers] == [200] * 20
        assert all(answer.json() == {"data": {"groups": {"nodes": []}}} for answer in answers)
        code, events, log = server.finish()
        assert (code, events) == (0, "")
        lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
        done = [line for line in lines if line["event"] == "request" and line["status"] == 200]
        assert len(done) == 20
        assert "Traceback" not in log


@pytest.mark.parametrize("stop", [signal.SIGTERM, *slow(signal.SIGHUP)])
def test_stop_with_a_change_in_flight(
    scripted: ScriptedCognito, jwks_url: str, signing_key: Pool, stop: signal.Signals
) -> None:
    """A change that is in progress when the signal comes is finished, and its event written."""
    opened, arrived = threading.Event(), threading.Event()

    def enable(_: dict[str, Any]) -> Reply:
        arrived.set()
        return held(opened, reply({}))

    scripted.on("AdminEnableUser", enable)
    headers = {"Authorization": signing_key.access_token("root", ["Admins"])}
    document = 'mutation { enableUser(input: {username: "bob"}) { errors { code } } }'
    with served(scripted.url, jwks_url, DEADLINE="60") as server:

        def act() -> httpx2.Response:
            with httpx2.Client(timeout=PATIENCE) as client:
                url = f"{server.url}/graphql"
                return client.post(url, json={"query": document}, headers=headers)

        with (
            ThreadPoolExecutor(1) as threads,
            httpx2.Client(base_url=server.url, timeout=PATIENCE) as kept,
        ):
            wait_until_ready(kept)
            answer = threads.submit(act)
            until(lambda: arrived.is_set() or answer.done())
            assert arrived.is_set(), answer.result().text
            server.program.send(stop)
            wait_until_refused(server.url)
            opened.set()
            assert answer.result().json() == {"data": {"enableUser": {"errors": []}}}
        code, events, log = server.finish()
    assert code == 0
    (event,) = map(json.loads, events.splitlines())
    assert (event["target"]["username"], event["outcome"]) == ("bob", "done")
    assert "Traceback" not in log


def wait_until_refused(url: str) -> None:
    """Ask until the server answers 503 or no more; never may it answer well in between."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            answer = httpx2.post(
                f"{url}/graphql", json={"query": "{ __typename }"}, timeout=PATIENCE
            )
        except (httpx2.ConnectError, httpx2.RemoteProtocolError, httpx2.ReadError):
            return
        if answer.status_code == 503:
            assert answer.json()["errors"][0]["extensions"]["code"] == "SHUTTING_DOWN"
        threading.Event().wait(0.01)
    raise AssertionError("requests are still taken")
