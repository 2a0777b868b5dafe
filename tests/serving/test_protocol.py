"""HTTP as bytes come in and go out."""

import asyncio
import socket
from collections.abc import Iterator
from contextvars import Context, ContextVar

import httpx2
import pytest
from starlette.types import Receive, Scope, Send

from graphql_admin.serving.heads import MAX_HEAD
from graphql_admin.serving.protocol import Protocol
from graphql_admin.serving.turns import BEGUN_PER_TURN
from tests.support.patience import PATIENCE
from tests.support.started import Server, served
from tests.support.wires import Wire, connect

POST = (
    b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One for all tests here, which is to go on serving after each."""
    nowhere = "http://127.0.0.1:9"
    with served(nowhere, nowhere) as server:
        yield server


@pytest.mark.parametrize(
    ("start", "line"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n", b"X-Padding: " + b"x" * 8000 + b"\r\n"),
        (POST + b"0\r\n", b"X-Padding: " + b"x" * 8000 + b"\r\n"),
        (POST + b"0\r\nX-Padding: ", b"x" * 8000),
        (POST + b"1;padding=", b"x" * 8000),
    ],
    ids=["head", "trailers", "trailer", "chunk extension"],
)
def test_endless(server: Server, start: bytes, line: bytes) -> None:
    """What goes on and is no body ends with its connection; other requests are served."""
    sent = 0
    with socket.create_connection(server.address, timeout=PATIENCE) as client:
        client.sendall(start)
        try:
            while sent < 100 * MAX_HEAD:
                sent += client.send(line)
        except ConnectionError:
            pass
    assert MAX_HEAD < sent < 100 * MAX_HEAD
    with httpx2.Client(base_url=server.url, trust_env=False, timeout=PATIENCE) as client:
        for _ in range(3):  # one connection, many heads
            large = client.post("/graphql", content=b"x" * 250_000)
            assert large.status_code == 401
            assert client.get("/healthz").status_code == 200


async def answer(send: Send) -> None:
    """Send the least response there is."""
    await send({"type": "http.response.start", "status": 204})
    await send({"type": "http.response.body"})


def test_requests_begin_some_at_a_time() -> None:
    """Of requests that arrive together, a few begin in each turn, the first ones first."""
    turn = 0
    started: list[tuple[int, bytes]] = []

    async def app(scope: Scope, _: Receive, send: Send) -> None:
        started.append((turn, scope["query_string"]))
        await answer(send)

    async def act() -> list[Wire]:
        nonlocal turn
        connections = connect(app, 10)
        for number, (protocol, _) in enumerate(connections):
            protocol.data_received(b"GET /?%d HTTP/1.1\r\nHost: a\r\n\r\n" % number)
        async with asyncio.timeout(PATIENCE):
            while not all(wire.pieces for _, wire in connections):
                await asyncio.sleep(0)
                turn += 1
        return [wire for _, wire in connections]

    wires = asyncio.run(act())
    assert [query for _, query in started] == [b"%d" % number for number in range(10)]
    turns = [turn for turn, _ in started]
    assert {turns.count(turn) for turn in turns} == {BEGUN_PER_TURN, 1}
    assert all(wire.pieces[0].startswith(b"HTTP/1.1 204 ") for wire in wires)


def test_response_goes_out_together() -> None:
    """The head and the body are one piece, and so is what else is written in one turn."""

    async def app(_: Scope, __: Receive, send: Send) -> None:
        head = {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-length", b"6")],
        }
        await send(head)
        await send({"type": "http.response.body", "body": b"o", "more_body": True})
        await send({"type": "http.response.body", "body": b"n", "more_body": True})
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b"ward"})

    async def act() -> list[bytes]:
        ((protocol, wire),) = connect(app, 1)
        protocol.data_received(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        await wire.closed.wait()
        return wire.pieces

    first, second = asyncio.run(act())
    assert first.startswith(b"HTTP/1.1 200 OK\r\n")
    assert first.endswith(b"\r\n\r\non")
    assert second == b"ward"


def test_nothing_goes_out_to_who_has_left() -> None:
    """What was written to a connection that closed before the turn ended is dropped."""

    async def act() -> list[bytes]:
        left = asyncio.Event()

        async def app(_: Scope, __: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 204})
            wire.closed.set()
            left.set()

        ((protocol, wire),) = connect(app, 1)
        protocol.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await left.wait()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return wire.pieces

    assert asyncio.run(act()) == []


def test_requests_begin_in_a_context_of_the_server() -> None:
    """What the request of one client sets in its context, that of no other client finds there."""
    who: ContextVar[bytes | None] = ContextVar("who", default=None)
    found: dict[bytes, bytes | None] = {}

    async def app(scope: Scope, _: Receive, send: Send) -> None:
        name = scope["query_string"]
        found[name] = who.get()
        who.set(name)
        if name == b"first":
            asyncio.get_running_loop().call_soon(feed_others, context=Context())
        await answer(send)  # after it the next request of this client may start

    def feed_others() -> None:
        for number, (protocol, _) in enumerate(connections[1:]):
            protocol.data_received(b"GET /?%d HTTP/1.1\r\nHost: a\r\n\r\n" % number)

    async def act() -> None:
        nonlocal connections
        connections = connect(app, 2 * BEGUN_PER_TURN + 2)
        first = b"GET /?first HTTP/1.1\r\nHost: a\r\n\r\nGET /?second HTTP/1.1\r\nHost: a\r\n\r\n"
        connections[0][0].data_received(first)
        for _, wire in connections:
            await wire.sent.wait()

    connections: list[tuple[Protocol, Wire]] = []
    asyncio.run(act())
    others = {name: value for name, value in found.items() if name.isdigit()}
    assert set(others.values()) == {None}
    assert len(others) == 2 * BEGUN_PER_TURN + 1


def test_many_heads_on_one_connection() -> None:
    """Each head may have its length, however many came before on the same connection."""

    async def app(_: Scope, __: Receive, send: Send) -> None:
        await answer(send)

    async def act() -> list[bytes]:
        ((protocol, wire),) = connect(app, 1)
        request = b"GET / HTTP/1.1\r\nHost: a\r\nX-Padding: " + b"x" * (MAX_HEAD // 5) + b"\r\n\r\n"
        for _ in range(10):
            protocol.data_received(request)
            await wire.sent.wait()
            wire.sent.clear()
        return wire.pieces

    assert {piece[:13] for piece in asyncio.run(act())} == {b"HTTP/1.1 204 "}


def test_long_body() -> None:
    """A body may be longer than all that is none; the application decides how long."""
    size = 0

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        nonlocal size
        more = True
        while more:
            message = await receive()
            size += len(message["body"])
            more = message["more_body"]
        await answer(send)

    async def act() -> bytes:
        ((protocol, wire),) = connect(app, 1)
        head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (3 * MAX_HEAD)
        protocol.data_received(head)
        for _ in range(6):
            protocol.data_received(b"x" * (MAX_HEAD // 2))
            await asyncio.sleep(0)
        await wire.sent.wait()
        return wire.pieces[0]

    assert asyncio.run(act()).startswith(b"HTTP/1.1 204 ")
    assert size == 3 * MAX_HEAD


def test_trailers_are_no_headers() -> None:
    """What follows a body is left out: a gateway that checks heads has not seen it."""
    names: list[bytes] = []

    async def app(scope: Scope, _: Receive, send: Send) -> None:
        names.extend(name for name, _ in scope["headers"])
        await answer(send)

    async def act() -> None:
        ((protocol, wire),) = connect(app, 1)
        protocol.data_received(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
            b"1\r\nx\r\n0\r\nAuthorization: Bearer x\r\n\r\n"
        )
        await wire.closed.wait()

    asyncio.run(act())
    assert names == [b"host", b"transfer-encoding", b"connection"]


def test_websocket_ignored(server: Server) -> None:
    """An offer to speak WebSocket is not taken: the request is answered as without it."""
    upgrade = (
        b"GET /graphql HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with socket.create_connection(server.address, timeout=PATIENCE) as client:
        client.sendall(upgrade)
        assert client.recv(65_536).startswith(b"HTTP/1.1 401 ")
