"""Two clients at once behind a real nginx and a real haproxy: each gets their own answers only.

A proxy sends requests of all its clients over the same connections. Where proxy and server do not
agree on where a request ends, one client gets what is another's.
"""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.support.proxies import NGINX_UPGRADES, Proxy, haproxy, nginx
from tests.support.scripted import Reply, ScriptedCognito, reply, user_of
from tests.support.sockets import Answer, Connection, request
from tests.support.started import NO_QUOTAS, Server, served, until
from tests.support.tokens import Pool

pytestmark = pytest.mark.slow

Start = Callable[[str, Path, Mapping[str, str]], AbstractContextManager[Proxy]]

PROXIES: dict[str, tuple[Start, Mapping[str, str]]] = {
    "nginx as it is shipped": (nginx, {}),
    "nginx with upgrades": (nginx, NGINX_UPGRADES),
    "nginx with upgrades, unbuffered": (
        nginx,
        {
            **NGINX_UPGRADES,
            "proxy_http_version 1.1;": (
                "proxy_http_version 1.1; proxy_request_buffering off; proxy_buffering off;"
            ),
        },
    ),
    "haproxy": (haproxy, {}),
}

UPGRADES = ["h2c", "TLS/1.2", "x", "websocket"]

NUMBERS = count()
"""Of users, each of whom is disabled once."""

SLOW = 0.15
"""Seconds that Cognito takes, so that an answer can be on its way when another request comes."""

BLANK = b"\r\n"
"""What may stand before a request (RFC 9112, section 2.2): padding that fits at every place where
a parser might take up a body for a request."""


class Backend:
    """A Cognito that counts who was disabled, and whether users were listed.

    Args:
        scripted: The Cognito that it is.
    """

    def __init__(self, scripted: ScriptedCognito) -> None:
        self.disabled: Counter[str] = Counter()
        self._scripted = scripted
        scripted.on("AdminDisableUser", self._disable)
        scripted.on("AdminGetUser", lambda asked: reply(user_of(asked["Username"])))
        scripted.on("AdminListGroupsForUser", reply({"Groups": []}))
        scripted.on("AdminUserGlobalSignOut", self._answer_slowly)
        scripted.on("ListGroups", self._list_groups)

    def _disable(self, parameters: dict[str, Any]) -> Reply:
        self.disabled[parameters["Username"]] += 1
        return reply({})

    def _answer_slowly(self, _: dict[str, Any]) -> Reply:
        time.sleep(SLOW)
        return reply({})

    def _list_groups(self, parameters: dict[str, Any]) -> Reply:
        time.sleep(SLOW)
        return reply({"Groups": [{"GroupName": f"secret-{parameters['Limit']}"}]})


@pytest.fixture(scope="module")
def scripted() -> Iterator[ScriptedCognito]:
    """A Cognito for the whole module."""
    with ScriptedCognito() as scripted:
        yield scripted


@pytest.fixture(scope="module")
def backend(scripted: ScriptedCognito) -> Backend:
    """What it does."""
    return Backend(scripted)


@pytest.fixture(scope="module")
def server(backend: Backend, scripted: ScriptedCognito, jwks_url: str) -> Iterator[Server]:
    """The server behind all proxies."""
    assert not backend.disabled
    with served(scripted.url, jwks_url, DEADLINE="5", QUOTAS=NO_QUOTAS) as server:
        yield server


@pytest.fixture(scope="module", params=list(PROXIES.values()), ids=list(PROXIES))
def proxy(
    request: pytest.FixtureRequest, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    """Each of the proxies."""
    start, changes = request.param
    with start(server.url, tmp_path_factory.mktemp("proxy"), changes) as proxy:
        yield proxy


class Client:
    """A client with a connection of its own to the proxy.

    Args:
        proxy: What it connects to.
        token: What it sends with each request; none for an attacker who has none.
    """

    def __init__(self, proxy: Proxy, token: str | None) -> None:
        self._proxy = proxy
        self._token = token
        self._connection: Connection | None = None

    def post(self, query: str) -> Answer:
        """Post a GraphQL document, and return the answer to it."""
        body = json.dumps({"query": query}).encode()
        return self.send(self.head(f"Content-Length: {len(body)}"), body)

    def head(self, *lines: str) -> bytes:
        """Return the head of a post with these lines in it."""
        authorization = [f"Authorization: Bearer {self._token}"] if self._token else []
        return request("POST", "/graphql", "Content-Type: application/json", *authorization, *lines)

    def send(self, *pieces: bytes) -> Answer:
        """Send a request in pieces, and return the next answer."""
        for _ in range(2):  # reconnect if it was closed
            if self._connection is None:
                self._connection = Connection(self._proxy.url, trust=self._proxy.trust)
            self._connection.send(*pieces)
            answer = self._connection.answer()
            if answer is None or answer.headers.get("connection", "") == "close":
                self._connection.close()
                self._connection = None
            if answer is not None:
                return answer
        raise AssertionError("the proxy does not answer")

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()


@pytest.fixture
def administrator(proxy: Proxy, signing_key: Pool) -> Iterator[Client]:
    """Someone who may do everything."""
    client = Client(proxy, signing_key.access_token("root", ["Admins"]))
    yield client
    client.close()


@pytest.fixture
def user(proxy: Proxy, signing_key: Pool) -> Iterator[Client]:
    """Someone who may do nothing, with a token."""
    client = Client(proxy, signing_key.access_token("carol", []))
    yield client
    client.close()


@pytest.fixture
def stranger(proxy: Proxy) -> Iterator[Client]:
    """Someone without a token."""
    client = Client(proxy, None)
    yield client
    client.close()


def attack(attacker: Client, upgrade: str, smuggled: bytes, size: int, *, chunked: bool) -> Answer:
    """Send a request whose body ends with another, and return the answer to the first."""
    body = BLANK * ((size - len(smuggled)) // 2) + smuggled
    framing = f"Content-Length: {len(body)}"
    if chunked:
        framing = "Transfer-Encoding: chunked"
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    head = attacker.head("Connection: Upgrade", f"Upgrade: {upgrade}", framing)
    middle = len(body) - len(smuggled)
    return attacker.send(head, body[:middle], body[middle:])


VARIANTS = [
    (upgrade, size, (number + turn) % 2 == 0)
    for number, upgrade in enumerate(UPGRADES)
    for turn, size in enumerate((2_000, 60_000, 250_000))
]
"""Upgrades, sizes that take the proxies different ways, and whether the body is in chunks."""


def test_answer_of_administrator_is_not_read(
    proxy: Proxy, administrator: Client, user: Client, signing_key: Pool
) -> None:
    """Who smuggles a request in a body gets no answer that is the administrator's."""
    sign_out = json.dumps({"query": "mutation { signUserOut(input: {}) { errors { code } } }"})
    other = Client(proxy, signing_key.access_token("carol", []))
    smuggled = other.head(f"Content-Length: {len(sign_out)}") + sign_out.encode()
    with ThreadPoolExecutor(2) as threads:
        for number, (upgrade, size, chunked) in enumerate(VARIANTS, start=1):
            answer = attack(user, upgrade, smuggled, size, chunked=chunked)
            assert answer.status == 400  # the body is no JSON
            query = f"{{ a{number}: groups(first: {number}) {{ nodes {{ name }} }} }}"
            coming = threads.submit(administrator.post, query)
            time.sleep(SLOW * 1.4)
            own = user.post("{ viewer { username } }")
            assert json.loads(own.body) == {"data": {"viewer": {"username": "carol"}}}
            groups = {"nodes": [{"name": f"secret-{number}"}]}
            assert json.loads(coming.result().body) == {"data": {f"a{number}": groups}}


def test_authorization_of_administrator_is_not_used(
    scripted: ScriptedCognito, backend: Backend, administrator: Client, stranger: Client
) -> None:
    """Who leaves half a request in a body gets no request of the administrator after it."""
    query = "%7Bstolen:groups(first:50)%7Bnodes%7Bname%7D%7D%7D"
    smuggled = f"GET /graphql?query={query} HTTP/1.1\r\nHost: localhost\r\nX-Swallow: ".encode()
    asked = len(scripted.requests)
    for upgrade, size, chunked in VARIANTS:
        assert attack(stranger, upgrade, smuggled, size, chunked=chunked).status == 401
        name = f"user-{next(NUMBERS)}"
        disable = (
            f'mutation {{ disableUser(input: {{username: "{name}"}}) {{ errors {{ code }} }} }}'
        )
        answer = administrator.post(disable)
        assert json.loads(answer.body) == {"data": {"disableUser": {"errors": []}}}
        assert backend.disabled[name] == 1
    limits = [request.parameters.get("Limit") for request in scripted.requests[asked:]]
    assert 50 not in limits


def test_many_at_once(
    proxy: Proxy, backend: Backend, scripted: ScriptedCognito, signing_key: Pool
) -> None:
    """Attackers and administrators who all go on at once: nothing crosses, all is done once."""
    root = signing_key.access_token("root", ["Admins"])
    carol = signing_key.access_token("carol", [])
    over = threading.Event()
    asked = len(scripted.requests)
    query = "%7Bstolen:groups(first:50)%7Bnodes%7Bname%7D%7D%7D"

    def attack_on(seed: int) -> int:
        chance = random.Random(seed)
        client, number = Client(proxy, carol), 0
        whole = request("GET", f"/graphql?query={query}")
        prefix = whole[:-2] + b"X-Swallow: "
        try:
            while not over.is_set():
                smuggled = chance.choice((whole, prefix))
                upgrade, size, chunked = chance.choice(VARIANTS)
                answer = attack(client, upgrade, smuggled, size, chunked=chunked)
                assert answer.status == 400
                number += 1
                document = f"{{ a{seed}x{number}: viewer {{ username }} }}"
                answer = client.post(document)
                own = {f"a{seed}x{number}": {"username": "carol"}}
                assert json.loads(answer.body) == {"data": own}
        finally:
            client.close()
        return number

    def administer(seed: int) -> list[str]:
        client = Client(proxy, root)
        names: list[str] = []
        try:
            while not over.is_set():
                name = f"user-{next(NUMBERS)}"
                alias = f"m{seed}x{len(names)}"
                disable = f'disableUser(input: {{username: "{name}"}}) {{ errors {{ code }} }}'
                answer = client.post(f"mutation {{ {alias}: {disable} }}")
                assert json.loads(answer.body) == {"data": {alias: {"errors": []}}}
                names.append(name)
        finally:
            client.close()
        return names

    with ThreadPoolExecutor(6) as threads:
        attackers = [threads.submit(attack_on, seed) for seed in range(3)]
        administrators = [threads.submit(administer, seed) for seed in range(3)]
        time.sleep(2)
        over.set()
        assert all(attacker.result() for attacker in attackers)
        names = [name for done in administrators for name in done.result()]
    assert names
    assert {backend.disabled[name] for name in names} == {1}
    limits = [request.parameters.get("Limit") for request in scripted.requests[asked:]]
    assert 50 not in limits


LIMITING: dict[str, tuple[Start, Mapping[str, str]]] = {
    "nginx": (nginx, {"rate=50r/s": "rate=1r/m", "burst=200": "burst=2"}),
    "haproxy": (
        haproxy,
        {
            "expire 10s store http_req_rate(10s)": "expire 1h store http_req_rate(1h)",
            "gt 500": "gt 3",
        },
    ),
}


@pytest.mark.parametrize(("start", "changes"), list(LIMITING.values()), ids=list(LIMITING))
def test_rate_of_one_address(
    server: Server, tmp_path: Path, start: Start, changes: Mapping[str, str]
) -> None:
    """More requests of one address than the proxy's limit are 429, and do not reach the server."""
    with start(server.url, tmp_path, changes) as proxy:
        client = Client(proxy, None)
        statuses = [client.post("{ viewer { username } }").status for _ in range(6)]
        client.close()
    assert statuses == [401, 401, 401, 429, 429, 429]


IDLE = 1.0
"""Seconds after which the proxies of the next test close idle connections."""

IMPATIENT: dict[str, tuple[Start, Mapping[str, str]]] = {
    "nginx": (nginx, {"keepalive_timeout 60s;": f"keepalive_timeout {IDLE:.0f}s;"}),
    "haproxy": (haproxy, {"pool-purge-delay 5s": f"pool-purge-delay {IDLE:.0f}s"}),
}


@pytest.fixture(params=list(IMPATIENT.values()), ids=list(IMPATIENT))
def impatient(
    request: pytest.FixtureRequest, scripted: ScriptedCognito, jwks_url: str, tmp_path: Path
) -> Iterator[Proxy]:
    """Proxies that close idle connections a second before the server does."""
    start, changes = request.param
    with (
        served(scripted.url, jwks_url, KEEP_ALIVE=f"{IDLE + 1:.0f}") as server,
        start(server.url, tmp_path, changes) as proxy,
    ):
        yield proxy


def test_idle_connections(impatient: Proxy, backend: Backend, signing_key: Pool) -> None:
    """A proxy that closes idle connections before the server does loses no mutation to that."""
    token = signing_key.access_token("root", ["Admins"])
    with ThreadPoolExecutor(10) as threads:

        def disable(number: int) -> tuple[str, Answer]:
            name = f"user-{next(NUMBERS)}"
            client = Client(impatient, token)
            time.sleep(number % 10 * 0.02)
            answer = client.post(
                f'mutation {{ disableUser(input: {{username: "{name}"}}) {{ errors {{ code }} }} }}'
            )
            client.close()
            return name, answer

        number = 0
        for pause in (0.8, 0.9, 1.0, 1.1, 1.9, 2.0, 2.1):
            for name, answer in threads.map(disable, range(number, number + 10)):
                assert json.loads(answer.body) == {"data": {"disableUser": {"errors": []}}}
                assert backend.disabled[name] == 1
            number += 10
            time.sleep(pause)


BELOW_PREFIX: dict[str, tuple[Start, Mapping[str, str]]] = {
    "nginx": (nginx, {"\n    location / {": "\n    location /admin/ {"}),
    "haproxy": (
        haproxy,
        {
            "\n    default_backend graphql_admin": (
                "\n    use_backend graphql_admin if { path_beg /admin/ }"
            ),
        },
    ),
}


@pytest.mark.parametrize(("start", "changes"), list(BELOW_PREFIX.values()), ids=list(BELOW_PREFIX))
def test_prefix_that_is_not_cut_off(  # noqa: PLR0917  # pytest passes fixtures by name
    backend: Backend,
    scripted: ScriptedCognito,
    jwks_url: str,
    signing_key: Pool,
    tmp_path: Path,
    start: Start,
    changes: Mapping[str, str],
) -> None:
    """Below a path prefix all routes are there, and what is not below it is not the server's."""
    assert not backend.disabled.get("prefix")
    token = signing_key.access_token("root", ["Admins"])
    settings = {"ROOT_PATH": "/admin", "AMPLIFY": "1", "EXPLORER": "1", "QUOTAS": NO_QUOTAS}
    with (
        served(scripted.url, jwks_url, **settings) as server,
        start(server.url, tmp_path, changes) as proxy,
    ):

        def get(path: str, *, authorized: bool = False) -> int:
            connection = Connection(proxy.url, trust=proxy.trust)
            lines = [f"Authorization: Bearer {token}"] if authorized else []
            connection.send(request("GET", path, *lines))
            answer = connection.answer()
            connection.close()
            assert answer is not None
            return answer.status

        until(lambda: get("/admin/readyz") == 200)  # and haproxy's own probe has come through
        assert get("/admin/graphql?query=%7Bgroups%7Bnodes%7Bname%7D%7D%7D", authorized=True) == 200
        assert get("/admin/AdminQueries/listGroups", authorized=True) == 200
        assert get("/admin/explorer") == get("/admin/explorer/explorer.js") == 200
        assert get("/admin/explorer/config.json") == get("/admin/healthz") == 200
        assert get("/admin/AdminQueries/listGroups") == 401
        for elsewhere in ("/administrator/graphql", "/graphql", "/admin/admin/graphql"):
            assert get(elsewhere) in {404, 503}  # 503 is haproxy's, where it has no backend
