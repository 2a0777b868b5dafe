"""What one client can take from others: an address from addresses, a caller from callers in it."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from starlette.types import Receive, Scope, Send

from graphql_admin.serving.clients import network_of
from graphql_admin.serving.connections import Bounds
from graphql_admin.serving.turns import BEGUN_PER_TURN, HEADS_PER_TURN
from tests.support.patience import PATIENCE
from tests.support.sockets import Connection, request
from tests.support.started import listening, until
from tests.support.wires import connecting

HERE, THERE = "127.0.0.1", "127.0.0.2"


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
    ],
)
def test_addresses(host: str, network: str) -> None:
    """All addresses in a /64 are one client; an IPv4 address is one however it is written."""
    assert network_of(host) == network


def identify(authorization: str) -> str | None:
    """Know the tokens `SUB.NUMBER`, except those of "forged", in one spelling of the scheme."""
    scheme, _, token = authorization.partition(" ")
    sub = token.partition(".")[0]
    return sub if scheme == "Bearer" and sub != "forged" else None


GREEDY: dict[str, tuple[str, Callable[[int], str]]] = {
    "forged tokens of another address": (THERE, "Bearer forged.{}".format),
    "forged tokens": (HERE, "Bearer forged.{}".format),
    "tokens of one caller": (HERE, "Bearer mallory.{}".format),
    "spellings of one token": (HERE, lambda n: "bearer" + " " * (n + 1) + "mallory.1"),
    "tokens of callers of another address": (THERE, "Bearer mallory{0}.{0}".format),
}
"""An address that many requests come from, and the `Authorization` of each by its number."""


@pytest.mark.parametrize(("source", "authorization"), GREEDY.values(), ids=GREEDY.keys())
def test_turns(source: str, authorization: Callable[[int], str]) -> None:
    """However many another client looks like, one request waits for one of its requests."""
    started: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        started.append(dict(scope["headers"])[b"authorization"].decode())
        await answer(scope, receive, send)

    many = [authorization(number) for number in range(HEADS_PER_TURN - 1)]
    one = "Bearer alice.1"

    async def act() -> None:
        addresses = [source] * len(many) + [HERE]
        connections = list(connecting(app, addresses, Bounds(identify=identify)))
        for (protocol, _), each in zip(connections, [*many, one], strict=True):
            protocol.data_received(request("GET", "/", f"Authorization: {each}"))
        async with asyncio.timeout(PATIENCE):
            for _, wire in connections:
                await wire.sent.wait()

    asyncio.run(act())
    assert len(started) == HEADS_PER_TURN
    assert started.index(one) < 2 * BEGUN_PER_TURN


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the body, unless the path is `/unread`; send as many bytes as the query says."""
    if scope["type"] == "lifespan":
        return
    more = scope["path"] != "/unread"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        more = message["more_body"]
    body = b"x" * int(scope["query_string"] or b"1")
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.mark.parametrize(("source", "authorization"), GREEDY.values(), ids=GREEDY.keys())
def test_memory(source: str, authorization: Callable[[int], str]) -> None:
    """The client that holds most loses requests, however many it looks like; others keep larger."""
    with (
        listening(answer, Bounds(max_pending=1_000_000, identify=identify)) as url,
        ExitStack() as stack,
    ):

        def begin(source: str, authorization: str, size: int) -> Connection:
            client = stack.enter_context(Connection(url, source=source))
            fields = (f"Authorization: {authorization}", f"Content-Length: {size + 1}")
            client.send(request("POST", "/", *fields), b"x" * size)
            return client

        honest = [begin(HERE, f"Bearer alice{number}.1", 150_000) for number in range(2)]
        greedy = [begin(source, authorization(number), 100_000 + number) for number in range(7)]
        for client in greedy[:-3:-1]:
            assert [answer.status for answer in client.answers()] == [503]
        for client in [*honest, *greedy[:-2]]:
            client.send(b"y")
            answered = client.answer()
            assert answered is not None
            assert answered.status == 200


CROWDS = {
    "unread response": request("GET", "/?8000000"),
    "unread response, and more requests": request("GET", "/?8000000") + request() * 100,
    "closed for writing": b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
    "incomplete body that is dropped": request("GET", "/unread", "Content-Length: 9"),
}
"""What an address sends on all connections, and takes one byte of the responses."""


@pytest.mark.parametrize("sent", CROWDS.values(), ids=CROWDS.keys())
def test_room(sent: bytes) -> None:
    """The address with most connections gives one up for another, whatever it does on them."""
    with listening(answer, Bounds(max_connections=5)) as url, ExitStack() as stack:
        crowd = [
            stack.enter_context(Connection(url, receive_buffer=4096, source=THERE))
            for _ in range(5)
        ]
        for client in crowd:
            client.send(sent)
            assert client.socket.recv(1) == b"H"
        check(url, HERE)


def check(url: str, source: str) -> None:
    """Ask from an address, and expect a response."""
    with Connection(url, source=source) as client:
        client.send(request("GET", "/", "Connection: close"))
        assert [answer.status for answer in client.answers()] == [200]


def test_idle_connections_of_others_stay() -> None:
    """An address that opens connections again and again closes its own idle ones, not others'."""
    ask = request("GET", "/")
    with listening(answer, Bounds(max_connections=4)) as url, ExitStack() as stack:
        idle = stack.enter_context(Connection(url, source=HERE))
        idle.send(ask)
        assert idle.answer() is not None
        for _ in range(12):
            client = stack.enter_context(Connection(url, source=THERE))
            client.send(ask)
            assert client.answer() is not None
        idle.send(ask)
        answered = idle.answer()
        assert answered is not None
        assert answered.status == 200


def test_no_room() -> None:
    """A request that is being executed is not ended for another client, but answered."""
    executing: list[str] = []
    opened = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            executing.append(scope["path"])
            await asyncio.to_thread(opened.wait)
        await answer(scope, receive, send)

    with listening(app, Bounds(max_connections=3)) as url, ExitStack() as stack:
        stack.callback(opened.set)
        crowd = [stack.enter_context(Connection(url, source=THERE)) for _ in range(3)]
        for client in crowd:
            client.send(request("POST", "/", body=b"x"))
        until(lambda: len(executing) == 3)
        with Connection(url, source=HERE) as client:
            client.send(request("GET", "/", "Connection: close"))
            assert client.answers() == []
        opened.set()
        for client in crowd:
            answered = client.answer()
            assert answered is not None
            assert answered.status == 200
        check(url, HERE)


def test_no_room_for_equals() -> None:
    """An address takes no place from one that has no more than itself."""
    with listening(answer, Bounds(max_connections=4)) as url, ExitStack() as stack:
        start = request("POST", "/", "Content-Length: 2", "Expect: 100-continue")
        clients = []
        for source in (HERE, THERE, HERE, THERE):
            client = stack.enter_context(Connection(url, source=source))
            client.send(start)
            assert client.socket.recv(65_536).startswith(b"HTTP/1.1 100 ")
            clients.append(client)
        with Connection(url, source=HERE) as refused:
            refused.send(request("GET", "/", "Connection: close"))
            assert refused.answers() == []
        for client in clients:
            client.send(b"xy")
            answered = client.answer()
            assert answered is not None
            assert answered.status == 200


def test_room_instead_of_requests_that_wait() -> None:
    """A request that waits for its turn is ended for another address, and not executed later."""
    started: list[str] = []
    number = 2 * BEGUN_PER_TURN

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        started.append(scope["path"])
        await answer(scope, receive, send)

    async def act() -> list[int]:
        connections = []
        addresses = [THERE] * number + [HERE]
        for protocol, wire in connecting(app, addresses, Bounds(max_connections=number)):
            protocol.data_received(request("GET", f"/{len(connections)}"))
            connections.append((protocol, wire))
        async with asyncio.timeout(PATIENCE):
            for index, (_, wire) in enumerate(connections):
                if index:
                    await wire.sent.wait()
        return [index for index, (_, wire) in enumerate(connections) if wire.closed.is_set()]

    # None has started before the turn ends, so the oldest is ended.
    assert asyncio.run(act()) == [0]
    assert set(started) == {f"/{index}" for index in range(1, number + 1)}
