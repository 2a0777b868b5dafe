"""One caller against all: one that requests much, or holds on to it, blocks no other."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from graphql_admin.cognito.pool import UserPool
from tests.support.api import Api
from tests.support.api import Reply as Answer
from tests.support.patience import PATIENCE
from tests.support.scripted import Reply, ScriptedCognito, held, reply
from tests.support.tokens import JwksServer, Pool

GROUPS = "{{ groups(first: {}) {{ nodes {{ name }} }} }}"  # reads that are alike share a call
USERS = "{ users(first: 7) { nodes { username } } }"
VIEWER = "{ viewer { username } }"


ANN = {
    "Username": "ann",
    "Attributes": [],
    "UserCreateDate": 1_700_000_000,
    "UserLastModifiedDate": 1_700_000_000,
    "Enabled": True,
    "UserStatus": "CONFIRMED",
}


class HangingCognito:
    """A Cognito that lists users, and does not answer who lists groups until it is told to.

    Args:
        scripted: The Cognito.
    """

    def __init__(self, scripted: ScriptedCognito) -> None:
        self.opened = threading.Event()
        self._waiting = threading.Semaphore(0)
        scripted.on("ListGroups", self._hang)
        scripted.on("ListUsers", reply({"Users": [ANN]}))

    def _hang(self, _: dict[str, Any]) -> Reply:
        self._waiting.release()
        return held(self.opened, reply({"Groups": []}))

    def wait_for(self, count: int) -> None:
        """Wait until so many more lists of groups have been asked for."""
        for _ in range(count):
            assert self._waiting.acquire(timeout=PATIENCE)


@pytest.fixture
def start(
    listen: Callable[..., Api], scripted: ScriptedCognito, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Api]:
    """Start this server; what hangs goes on doing so until the test ends it."""
    monkeypatch.setitem(UserPool.__init__.__kwdefaults__, "attempt_timeout", 300.0)
    return lambda **settings: listen(scripted.url, deadline=300, **settings)


@contextmanager
def crowd(api: Api, username: str) -> Iterator[Callable[[str], Any]]:
    """Send requests of one caller, each over its own connection, without waiting for answers."""
    headers = {"Authorization": f"Bearer {api.token('Admins', username=username)}"}
    with (
        httpx2.Client(
            base_url=api.client.base_url,
            headers=headers,
            timeout=PATIENCE,
            limits=httpx2.Limits(max_connections=None),
            trust_env=False,
        ) as client,
        ThreadPoolExecutor(100) as threads,
    ):

        def send(query: str) -> Answer:
            return Answer(client.post("/graphql", json={"query": query}))

        yield lambda query: threads.submit(send, query)


def test_excess_of_one_caller(start: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """300 requests of one caller at a Cognito that hangs: the excess is refused, and no other's."""
    cognito = HangingCognito(scripted)
    api = start(max_concurrency=40)
    bob = api.token("Admins", username="bob")
    with crowd(api, "ann") as send:
        try:
            waiting = [send(GROUPS.format(number)) for number in range(1, 21)]
            cognito.wait_for(20)
            refused = [send(GROUPS.format(1 + number % 60)) for number in range(280)]
            for answer in refused:
                assert answer.result().codes == ["OVERLOADED"]
                assert answer.result().response.status_code == 503
                assert int(answer.result().response.headers["retry-after"]) > 0
            for _ in range(50):
                assert api.send(VIEWER, token=bob).data == {"viewer": {"username": "bob"}}
                assert api.send(USERS, token=bob).data["users"]["nodes"] == [{"username": "ann"}]
        finally:
            cognito.opened.set()
        assert all(answer.result().data == {"groups": {"nodes": []}} for answer in waiting)
        assert send(GROUPS.format(1)).result().data == {"groups": {"nodes": []}}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (VIEWER, None),
        ("{ __typename }", None),
        ("{ __schema { queryType { name } } }", None),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("{", "GRAPHQL_PARSE_FAILED"),
    ],
)
def test_what_needs_no_call(
    start: Callable[..., Api], scripted: ScriptedCognito, query: str, code: str | None
) -> None:
    """What takes no call to Cognito is answered to a caller without a place left, too."""
    cognito = HangingCognito(scripted)
    api = start(max_concurrency=1)
    with crowd(api, "ann") as send:
        try:
            send(GROUPS.format(1))
            cognito.wait_for(1)
            assert send(USERS).result().codes == ["OVERLOADED"]
            assert send(query).result().codes == ([code] if code else [])
            assert api.client.get("/healthz").status_code == 200
        finally:
            cognito.opened.set()


def test_callers_of_both_protocols(start: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """A caller's requests are counted together, by GraphQL and by Amplify's routes."""
    cognito = HangingCognito(scripted)
    api = start(max_concurrency=4, amplify=True)

    def list_users(username: str) -> httpx2.Response:
        authorization = f"Bearer {api.token('Admins', username=username)}"
        return api.client.get("/AdminQueries/listUsers", headers={"Authorization": authorization})

    with crowd(api, "ann") as send:
        try:
            waiting = [send(GROUPS.format(number)) for number in (1, 2)]
            cognito.wait_for(2)
            refused = list_users("ann")
            assert (refused.status_code, refused.json()["code"]) == (503, "OVERLOADED")
            assert int(refused.headers["retry-after"]) > 0
            assert list_users("bob").status_code == 200
        finally:
            cognito.opened.set()
        assert [answer.result().response.status_code for answer in waiting] == [200, 200]
        assert list_users("ann").status_code == 200


def send_raw(api: Api, token: str, length: int, body: bytes = b"", count: int = 1) -> socket.socket:
    """Send a request with a body of that length, of which `body` comes, so many times."""
    parts = urlsplit(str(api.client.base_url))
    connection = socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE)
    head = (
        "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n"
    )
    connection.sendall((head.encode() + body) * count)
    return connection


def test_bodies_that_do_not_come(start: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """Requests whose bodies do not come hold no place, whosever they are."""
    HangingCognito(scripted)
    api = start(max_concurrency=2)
    ordinary = api.token(username="eve")
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(send_raw(api, ordinary, 1000, b'{"query": "'))
        for _ in range(20):
            assert api.send(USERS).data["users"]["nodes"] == [{"username": "ann"}]
            assert api.send(VIEWER).data


def test_responses_that_are_not_read(start: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """Requests whose answers are not taken hold no place, once the answers are made."""
    HangingCognito(scripted)
    attributes = [{"Name": "name", "Value": "x" * 2000}]
    users = [{"Username": f"user{number}", "Attributes": attributes} for number in range(60)]
    fields = " ".join(f"n{number}: attributes {{ value }}" for number in range(90))
    page = f"{{ users(first: 60) {{ nodes {{ {fields} }} }} }}"
    scripted.on("ListUsers", reply({"Users": users}))  # an answer of 10 MB
    api = start(max_concurrency=2)
    token = api.token("Admins", username="eve")
    body = json.dumps({"query": page}).encode()
    with ExitStack() as stack:
        for _ in range(2):
            connection = stack.enter_context(send_raw(api, token, len(body), body, count=3))
            assert connection.recv(9) == b"HTTP/1.1 "
        for _ in range(5):
            assert len(api.send(USERS).data["users"]["nodes"]) == 7


def test_forged_tokens_while_the_keys_hang(
    start: Callable[..., Api],
    scripted: ScriptedCognito,
    signing_key: Pool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Forged tokens are refused at once, and hold no place, while the JWKS endpoint hangs."""
    HangingCognito(scripted)
    monkeypatch.setattr("graphql_admin.tokens.keys._FETCH_INTERVAL", 0.0)
    with JwksServer(signing_key.jwk()) as jwks:
        api = start(max_concurrency=2, jwks_url=jwks.url)
        assert api.send(VIEWER).data
        jwks.gate.clear()
        forged = signing_key.access_token("root", ["Admins"], header={"kid": "unknown"})
        for _ in range(40):
            refused = api.send(USERS, token=forged)
            assert refused.codes == ["UNAUTHENTICATED"]
        assert jwks.requests == 2
        assert api.send(USERS).data


def test_requests_before_the_keys(
    start: Callable[..., Api],
    scripted: ScriptedCognito,
    signing_key: Pool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without keys a bounded number of requests waits for them; the others are told at once."""
    HangingCognito(scripted)
    monkeypatch.setattr("graphql_admin.tokens.keys._MAX_WAITING", 5)
    with JwksServer(signing_key.jwk()) as jwks:
        jwks.gate.clear()
        api = start(max_concurrency=2, jwks_url=jwks.url)
        with crowd(api, "ann") as send:
            try:
                answers = [send(VIEWER) for _ in range(25)]
                done = threading.Semaphore(0)
                for answer in answers:
                    answer.add_done_callback(lambda _: done.release())
                for _ in range(20):
                    assert done.acquire(timeout=PATIENCE)
                refused = [answer.result() for answer in answers if answer.done()]
                assert {answer.response.status_code for answer in refused} == {503}
            finally:
                jwks.gate.set()
            found = [answer.result().response.status_code for answer in answers]
            assert found.count(200) == 5
