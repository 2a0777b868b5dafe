"""What one client can take from a started server: a little memory, and no place of another's.

Each test does to the server what took all of it before, and asks meanwhile as another client. How
long an answer takes is not looked at: it has to come at all.
"""

import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.support.patience import PATIENCE
from tests.support.scripted import ScriptedCognito, held, reply
from tests.support.sockets import Connection, request
from tests.support.started import Server, served
from tests.support.tokens import Pool

pytestmark = pytest.mark.slow

MEMORY = 250.0
"""MiB that the server may have at most, whatever is sent to it."""

QUERY = b'{"query":"{viewer{username}}"}'
JSON = "Content-Type: application/json"
HEAD_TIMEOUT = 10.0
"""Seconds in which a request's head has to be there."""
WRITE_TIMEOUT = 30.0
"""Seconds in which a client has to take something of what is sent."""
GRACE = PATIENCE
"""Seconds that a slow machine may need beyond that."""


@pytest.fixture(scope="module")
def backend() -> Iterator[ScriptedCognito]:
    """A Cognito for the whole module."""
    with ScriptedCognito() as backend:
        backend.on("ListGroups", reply({"Groups": []}))
        yield backend


class Siege:
    """A server under attack, and the callers that it has.

    Args:
        server: The server.
        signing_key: Signs the tokens of callers.
    """

    def __init__(self, server: Server, signing_key: Pool) -> None:
        self.url = server.url
        self.server = server
        self.attacker = f"Authorization: Bearer {signing_key.access_token('mallory', [])}"
        self.other = f"Authorization: Bearer {signing_key.access_token('carol', [])}"
        self.before = server.peak_memory()

    def check(self) -> None:
        """Ask as another client, and expect answers from a server that is not too large."""
        with Connection(self.url) as other:
            other.send(request("GET", "/healthz"))
            answer = other.answer()
            assert answer is not None
            assert answer.status == 200
            headers = (JSON, self.other, "Connection: close")
            other.send(request("POST", "/graphql", *headers, mark="other", body=QUERY))
            answer = other.answer()
            assert answer is not None
            assert (answer.status, answer.mark) == (200, "other")
            assert json.loads(answer.body) == {"data": {"viewer": {"username": "carol"}}}
        memory = self.server.peak_memory()
        print(f"resident: {self.before:.0f} MiB before, {memory:.0f} at most")  # noqa: T201
        assert memory < MEMORY


Besiege = Callable[..., Siege]
"""`besiege(descriptors=None, **settings)`: start a server that is about to be attacked."""


@pytest.fixture
def besiege(backend: ScriptedCognito, jwks_url: str, signing_key: Pool) -> Iterator[Besiege]:
    """Start servers, which end with the test."""
    with ExitStack() as stack:

        def start(descriptors: int | None = None, **settings: str) -> Siege:
            server = served(backend.url, jwks_url, descriptors=descriptors, **settings)
            siege = Siege(stack.enter_context(server), signing_key)
            siege.check()
            return siege

        yield start


def attack(stack: ExitStack, url: str, number: int, *, deaf: bool = False) -> list[Connection]:
    """Return connections from another address, closed with the stack.

    Args:
        stack: Closes them.
        url: Of the server.
        number: How many.
        deaf: Whether next to nothing fits into the buffer of what comes in.
    """
    buffer = 4096 if deaf else None
    return [
        stack.enter_context(Connection(url, receive_buffer=buffer, source="127.0.0.2"))
        for _ in range(number)
    ]


def pour(client: Connection, data: bytes, seconds: float = 1.0) -> int:
    """Send as much as is taken, until nothing is for so long; return how many bytes were."""
    client.socket.settimeout(seconds)
    sent = 0
    try:
        while sent < len(data):
            sent += client.socket.send(data[sent : sent + 65536])
    except (ConnectionError, TimeoutError):
        pass
    return sent


def is_reset(client: Connection, within: float) -> bool:
    """Return whether the server gives the connection up, though what it sent is not read."""
    poll = select.poll()
    poll.register(client.socket, select.POLLERR | select.POLLHUP)
    return bool(poll.poll(within * 1000))


def test_endless_heads(besiege: Besiege) -> None:
    """Heads that do not end are refused at 64 KiB, and do not stay in memory."""
    siege = besiege()
    lines = b"a:b\r\n" * 200_000
    start = request("POST", "/graphql", JSON)[:-2]
    with ExitStack() as stack:
        clients = attack(stack, siege.url, 20)
        for client in clients:
            client.send(start)
            pour(client, lines)
        siege.check()
        for client in clients:
            assert [answer.status for answer in client.answers()] == [431]


HEADS = [
    ([f"X-{number}: x" for number in range(90)], 200),
    ([f"X-{number}: x" for number in range(101)], 431),
    (["X: x"] * 101, 431),
    ([f"X-Padding: {'x' * 60_000}"], 200),
    ([f"X-Padding: {'x' * 65_536}"], 431),
    ([f"{'x' * 65_536}: x"], 431),
    (["X: " + "x" * 1000] * 70, 431),
]


def test_large_heads(besiege: Besiege) -> None:
    """A head has up to 100 headers and 64 KiB; one that has more ends the connection with 431."""
    siege = besiege()
    for lines, status in HEADS:
        whole = request("GET", "/healthz", *lines, "Connection: close")
        for pieces in ([whole], [whole[:40_000], whole[40_000:]], [whole[:-1], whole[-1:]]):
            with Connection(siege.url) as client:
                client.send(*pieces)
                assert [answer.status for answer in client.answers()] == [status], lines[0][:20]


def test_long_target(besiege: Besiege) -> None:
    """A target that is too long is 414 or 431, in one piece or many."""
    siege = besiege()
    for target in ("/" + "x" * 70_000, "/graphql?query=" + "x" * 300_000):
        with Connection(siege.url) as client:
            pour(client, request("GET", target))
            assert [answer.status for answer in client.answers()] in ([414], [431], [400])


def test_endless_trailers(besiege: Besiege) -> None:
    """What follows the body, or stands between chunks, has the bounds of a head."""
    siege = besiege()
    start = request("POST", "/graphql", JSON, siege.attacker, "Transfer-Encoding: chunked")
    line = b"X-Padding: " + b"x" * 1000 + b"\r\n"
    with ExitStack() as stack:
        for first, more in (
            (b"0\r\n", line),
            (b"0\r\nX-Padding: ", b"x" * 1000),
            (b"1;padding=", b"x" * 1000),
            (b"", b"1;" + b"x" * 1000 + b"\r\nx\r\n"),
        ):
            for client in attack(stack, siege.url, 5):
                client.send(start, first)
                pour(client, more * 5000)
                assert client.is_closed(within=GRACE)
        siege.check()


def test_slow_heads(besiege: Besiege) -> None:
    """A head has ten seconds, the first one too, however it drips; an idle connection has more."""
    siege = besiege()
    head = request("GET", "/healthz", *[f"X-{number}: x" for number in range(90)])
    first = request("GET", "/healthz", mark="first")
    with ExitStack() as stack:
        nothing, half, drip, next_half, next_drip, idle, trailers = attack(stack, siege.url, 7)
        half.send(head[:-4])
        for client in (next_half, next_drip, idle):
            client.send(first)
            assert client.answer() is not None
        next_half.send(head[:30])
        trailers.send(
            request("POST", "/graphql", JSON, siege.attacker, "Transfer-Encoding: chunked"),
            b"1\r\nx\r\n0\r\nX: x\r\n",
        )
        end = time.monotonic() + HEAD_TIMEOUT + GRACE
        dripping = {client: iter(head) for client in (drip, next_drip)}
        while dripping and time.monotonic() < end:
            for client, left in list(dripping.items()):
                if not client.send(bytes([next(left)])) or client.is_closed(within=0.1):
                    del dripping[client]
            time.sleep(0.3)
        assert not dripping
        for client in (nothing, half, next_half, trailers):
            assert client.is_closed(within=GRACE)
        for client in (half, drip, next_half, next_drip):
            statuses = [answer.status for answer in client.answers()]
            assert statuses in ([], [408])
        idle.send(first)  # the default keep-alive is longer than what a balancer's is
        answer = idle.answer()
        assert answer is not None
        assert answer.status == 200
        siege.check()


def test_keep_alive(besiege: Besiege) -> None:
    """An idle connection is kept for as long as the setting says, and no longer."""
    siege = besiege(KEEP_ALIVE="5")
    with Connection(siege.url) as client:
        for _ in range(4):
            time.sleep(1.5)
            started = time.monotonic()
            client.send(request("GET", "/healthz"))
            answer = client.answer()
            assert answer is not None
            assert answer.status == 200
        assert client.is_closed(within=5 + GRACE)
        assert time.monotonic() - started > 4.5
    siege.check()


PIPELINES = {
    "probes": request("GET", "/healthz"),
    "refused": request("POST", "/graphql", JSON, body=QUERY),
    "nothing there": request("GET", "/nothing"),
    "bodies": request("POST", "/graphql", JSON, body=b" " * 5000),
}


@pytest.mark.parametrize("piece", PIPELINES.values(), ids=PIPELINES.keys())
def test_pipeline_without_end(besiege: Besiege, piece: bytes) -> None:
    """Of 100,000 requests whose answers are not read, the server reads as many as it answers."""
    siege = besiege()
    with ExitStack() as stack:
        (client,) = attack(stack, siege.url, 1, deaf=True)
        pour(client, piece * min(100_000, 20_000_000 // len(piece)), seconds=3)
        siege.check()


def test_unread_answers(besiege: Besiege) -> None:
    """Who reads no answers holds no place of those who do, and is given up after a while."""
    siege = besiege(MAX_CONCURRENCY="20", EXPLORER="1")
    piece = request("GET", "/explorer/graphiql.js")  # a megabyte, which no system's buffer takes
    with ExitStack() as stack:
        clients = attack(stack, siege.url, 25, deaf=True)
        for client in clients:
            pour(client, piece * 1000, seconds=0.1)
        for _ in range(5):
            siege.check()
        end = time.monotonic() + WRITE_TIMEOUT + GRACE
        assert all(is_reset(client, end - time.monotonic()) for client in clients)
        siege.check()


def test_pending_bodies_hold_no_place(besiege: Besiege) -> None:
    """Bodies that do not come hold no place of those that did."""
    siege = besiege(MAX_CONCURRENCY="20")
    start = request("POST", "/graphql", JSON, siege.attacker, f"Content-Length: {len(QUERY)}")
    with ExitStack() as stack:
        for client in attack(stack, siege.url, 40):
            client.send(start + QUERY[:-1])
        for _ in range(5):
            siege.check()


@pytest.mark.parametrize("framing", ["Content-Length: 262144", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("with_token", [True, False])
def test_full_bodies(besiege: Besiege, framing: str, *, with_token: bool) -> None:
    """Bodies that are not whole share one budget; who takes most of it is ended first."""
    siege = besiege()
    authorization = [siege.attacker] if with_token else []
    start = request("POST", "/graphql", JSON, framing, *authorization)
    body = b" " * 262_000
    if "chunked" in framing:
        body = b"%x\r\n" % 262_144 + body
    with ExitStack() as stack:
        clients = attack(stack, siege.url, 800)
        for client in clients:
            pour(client, start + body, seconds=0.5)
        siege.check()
        answers = [client.is_closed(within=0.001) for client in clients[:10]]
        assert len(answers) == 10


def test_one_token_in_many_spellings(besiege: Besiege) -> None:
    """Behind one address, a caller whose token was verified keeps a body larger than each other."""
    siege = besiege(MAX_PENDING=str(2**20))
    start = ("POST", "/graphql", JSON)
    body = QUERY.ljust(250_000)
    with ExitStack() as stack:
        other = stack.enter_context(Connection(siege.url))
        other.send(request(*start, siege.other, body=body)[:-1])
        for blanks in range(2, 12):
            client = stack.enter_context(Connection(siege.url))
            spelled = siege.attacker.replace("Bearer ", "bearer" + " " * blanks)
            pour(client, request(*start, spelled, body=b" " * 200_000)[:-1])
        other.send(body[-1:])
        answer = other.answer()
        assert answer is not None
        assert (answer.status, answer.body) == (200, b'{"data":{"viewer":{"username":"carol"}}}')


WHOLE = {
    "text": b'"%b"' % (b"x" * 250_000),
    "empty lists": b"[%b]" % b",".join([b"[]"] * 80_000),
}


@pytest.mark.parametrize("value", WHOLE.values(), ids=WHOLE.keys())
def test_whole_bodies(besiege: Besiege, backend: ScriptedCognito, value: bytes) -> None:
    """Large requests that wait for a slow Cognito do not stay in memory as they came."""
    opened = threading.Event()
    backend.on("AdminUserGlobalSignOut", held(opened, reply({})))
    siege = besiege()
    query = b"mutation { signUserOut(input: {}) { errors { code } } }"
    body = b'{"query":"%b","variables":{"unknown":%b}}' % (query, value)
    whole = request("POST", "/graphql", JSON, siege.attacker, body=body)
    with ExitStack() as stack:
        stack.callback(opened.set)
        for client in attack(stack, siege.url, 600):
            pour(client, whole)
        siege.check()


SIGN_OUT = "mutation { signUserOut(input: {}) { errors { code } } }"

OVERSIZED = {
    "member": lambda _: {"query": SIGN_OUT, "unknown": [[]] * 60_000},
    "variable": lambda _: {
        "query": SIGN_OUT,
        "variables": {"unknown": "x" * 250_000 + "\U0001f600"},
    },
    "objects": lambda _: {"query": SIGN_OUT, "variables": {"unknown": [{"a": {}}] * 2400}},
}
"""Requests that take more memory than their bodies have bytes, by their number."""


@pytest.mark.parametrize("parameters", OVERSIZED.values(), ids=OVERSIZED.keys())
def test_whole_bodies_of_many(
    besiege: Besiege,
    backend: ScriptedCognito,
    signing_key: Pool,
    parameters: Callable[[int], dict[str, object]],
) -> None:
    """What requests of many callers hold while Cognito is slow has one bound in bytes."""
    opened = threading.Event()
    backend.on("AdminUserGlobalSignOut", held(opened, reply({})))
    siege = besiege()
    tokens = [signing_key.access_token(f"mallory{number}", []) for number in range(8)]
    with ExitStack() as stack:
        stack.callback(opened.set)
        for number, client in enumerate(attack(stack, siege.url, 400)):
            body = json.dumps(parameters(number), ensure_ascii=False).encode()
            bearer = f"Authorization: Bearer {tokens[number % len(tokens)]}"
            pour(client, request("POST", "/graphql", JSON, bearer, body=body))
        siege.check()


def people(*attributes: dict[str, str]) -> list[dict[str, object]]:
    """Return a page of users with these attributes, in the format of Cognito."""
    return [
        {
            "Username": f"u{number}",
            "Attributes": [{"Name": "sub", "Value": f"{number}"}, *attributes],
        }
        for number in range(60)
    ]


LONG = [{"Name": f"custom:a{number}", "Value": "x" * 2048} for number in range(20)]

SHORT = [{"Name": f"custom:{number}", "Value": "x"} for number in range(20)]

FIELD = "attributes { name value }"

LONG_NAMES = " ".join(f"a{number:0>199}: name" for number in range(95))

REPEATING = {
    "lists": (LONG, " ".join(f"a{number}: {FIELD}" for number in range(95))),
    "short values": (SHORT, " ".join(f"a{number}: {FIELD}" for number in range(95))),
    "names": (SHORT, f"attributes {{ {LONG_NAMES} }}"),
    "pages of long values": (LONG, FIELD),
}
"""What users have, and what is asked of each."""


@pytest.mark.parametrize(("attributes", "fields"), REPEATING.values(), ids=REPEATING.keys())
def test_large_responses(
    besiege: Besiege,
    backend: ScriptedCognito,
    signing_key: Pool,
    attributes: list[dict[str, str]],
    fields: str,
) -> None:
    """A short document does not make a response of hundreds of megabytes of a few replies."""
    groups = [{"GroupName": f"g{number}"} for number in range(60)]
    backend.on("ListGroups", reply({"Groups": groups}))
    backend.on("ListUsersInGroup", reply({"Users": people(*attributes)}))
    siege = besiege()
    query = f"{{ groups(first: 60) {{ nodes {{ users(first: 60) {{ nodes {{ {fields} }} }} }} }} }}"
    token = signing_key.access_token("ann", ["Admins"])
    with Connection(siege.url, source="127.0.0.2") as client:
        bearer = f"Authorization: Bearer {token}"
        body = json.dumps({"query": query}).encode()
        client.send(request("POST", "/graphql", JSON, bearer, body=body))
        answer = client.answer()
    assert answer is not None
    assert len(answer.body) < 40 * 2**20
    codes = {error["extensions"]["code"] for error in json.loads(answer.body)["errors"]}
    assert "RESPONSE_TOO_LARGE" in codes
    siege.check()


def test_one_object_a_thousand_times(
    besiege: Besiege, backend: ScriptedCognito, signing_key: Pool
) -> None:
    """References that are alike share a reply, which counts for each of them."""
    (ann, *_) = people(*LONG)
    backend.on("AdminGetUser", reply({"Username": "ann", "UserAttributes": ann["Attributes"]}))
    siege = besiege()
    query = (
        "query ($all: [_Any!]!) { _entities(representations: $all) "
        f"{{ ... on User {{ {FIELD} }} }} }}"
    )
    variables = {"all": [{"__typename": "User", "username": "ann"}] * 1000}
    bearer = f"Authorization: Bearer {signing_key.access_token('ann', ['Admins'])}"
    with Connection(siege.url, source="127.0.0.2") as client:
        body = json.dumps({"query": query, "variables": variables}).encode()
        client.send(request("POST", "/graphql", JSON, bearer, body=body))
        answer = client.answer()
    assert answer is not None
    assert len(answer.body) < 20 * 2**20
    assert b"RESPONSE_TOO_LARGE" in answer.body
    siege.check()


def test_descriptors(besiege: Besiege) -> None:
    """When there are as many connections as there can be, the idle ones make room."""
    siege = besiege(descriptors=128)
    with ExitStack() as stack:
        attack(stack, siege.url, 140)
        siege.check()
        for client in attack(stack, siege.url, 140):
            client.send(request("GET", "/healthz"))
        siege.check()
        for client in attack(stack, siege.url, 140):
            client.send(request("POST", "/graphql", JSON)[:-2])
        siege.check()


def test_connections_end(besiege: Besiege) -> None:
    """Connections that come and go, in the middle of anything, leave nothing behind."""
    siege = besiege()
    whole = request("GET", "/healthz")
    for number in range(3000):
        client = Connection(siege.url, source="127.0.0.2")
        client.send(whole[: number % len(whole)])
        if number % 3 == 0:  # reset rather than closed
            linger = b"\1\0\0\0\0\0\0\0"
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        client.close()
    siege.check()
    assert siege.server.peak_memory() < siege.before + 60
