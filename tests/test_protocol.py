"""HTTP as bytes come in and go out."""

import asyncio
import socket
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import httpx2
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from graphql_admin.protocol import BEGUN_PER_TURN, MAX_HEAD, Protocol
from tests.processes import read_until, started
from tests.test_cli import SETTINGS


def test_head_without_end() -> None:
    """A head that goes on is refused and its connection closed; other requests are served."""
    with started("serve", GRAPHQL_ADMIN_PORT="0", **SETTINGS) as server:
        url = read_until("Listening on ", server.stderr).split()[-1]
        address = urlsplit(url)
        line = b"X-Padding: " + b"x" * 8000 + b"\r\n"
        sent = 0
        with socket.create_connection((address.hostname, address.port), timeout=30) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
            try:
                while sent < 100 * MAX_HEAD:
                    sent += client.send(line)
            except ConnectionError:
                pass
        assert MAX_HEAD < sent < 100 * MAX_HEAD
        with httpx2.Client(base_url=url, trust_env=False) as client:
            for _ in range(3):  # one connection, many heads
                large = client.post("/graphql", content=b"x" * 250_000)
                assert large.status_code == 401
                assert client.get("/healthz").status_code == 200


class Wire(asyncio.Transport):
    """A connection of which one side is the test."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.closed = asyncio.Event()

    def write(self, data: Any) -> None:
        self.pieces.append(bytes(data))

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        self.closed.set()

    def is_closing(self) -> bool:
        return self.closed.is_set()

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def connect(app: ASGIApp, number: int) -> list[tuple[Protocol, Wire]]:
    """Return connections to one server in the running event loop."""
    config = uvicorn.Config(app, log_config=None)
    config.load()
    server_state = ServerState()
    connections = []
    for _ in range(number):
        protocol = Protocol(config=config, server_state=server_state, app_state={})
        wire = Wire()
        protocol.connection_made(wire)
        connections.append((protocol, wire))
    return connections


def test_requests_begin_some_at_a_time() -> None:
    """Of requests that arrive together, a few begin in each turn, the first ones first."""
    turn = 0
    begun: list[tuple[int, bytes]] = []

    async def app(scope: Scope, _: Receive, send: Send) -> None:
        begun.append((turn, scope["query_string"]))
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    async def act() -> list[Wire]:
        nonlocal turn
        connections = connect(app, 10)
        for number, (protocol, _) in enumerate(connections):
            protocol.data_received(b"GET /?%d HTTP/1.1\r\n\r\n" % number)
        while not all(wire.pieces for _, wire in connections):
            await asyncio.sleep(0)
            turn += 1
        return [wire for _, wire in connections]

    wires = asyncio.run(act())
    assert [query for _, query in begun] == [b"%d" % number for number in range(10)]
    turns = [turn for turn, _ in begun]
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
        await send({"type": "http.response.body", "body": b"on", "more_body": True})
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b"ward"})

    async def act() -> list[bytes]:
        ((protocol, wire),) = connect(app, 1)
        protocol.data_received(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        await wire.closed.wait()
        return wire.pieces

    first, second = asyncio.run(act())
    assert first.startswith(b"HTTP/1.1 200 OK\r\n")
    assert first.endswith(b"\r\n\r\non")
    assert second == b"ward"


def test_websocket_refused() -> None:
    """There is nothing here to talk to over a WebSocket, and the refusal is in good order."""
    upgrade = (
        b"GET /graphql HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with started("serve", GRAPHQL_ADMIN_PORT="0", **SETTINGS) as server:
        address = urlsplit(read_until("Listening on ", server.stderr).split()[-1])
        with socket.create_connection((address.hostname, address.port), timeout=30) as client:
            client.sendall(upgrade)
            assert client.recv(65_536).startswith(b"HTTP/1.1 403 ")
