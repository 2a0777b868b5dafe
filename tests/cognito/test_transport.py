"""Both transports alike: what they send, which replies they read, and how they fail.

The peer is a raw TCP server that a test scripts byte by byte. In a few points the lean transport
is the stricter one, which their tests say.
"""

import asyncio
import os
import socket
import ssl
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import pytest
import uvloop
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from graphql_admin.cognito.transport import (
    AiohttpTransport,
    ConnectionBroke,
    HttpResponse,
    NotConnected,
    ReplyTooBig,
    Transport,
)
from graphql_admin.cognito.wire import IDLE_SECONDS, WireTransport
from tests.support.certificates import make_certificate
from tests.support.patience import PATIENCE

HEADERS = {"Content-Type": "application/x-amz-json-1.1", "Host": "cognito.example"}
BODY = b'{"Username": "ann"}'
LARGEST = 1000
"""Bytes of the largest reply that is read."""

TRUSTING_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For where no TLS is spoken, since reading a hundred authorities takes longer than a test."""

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
GOOD_REPLY = HttpResponse(200, "", b"{}")


class Talk:
    """A connection, as the server has it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.requests: list[bytes] = []
        self.client_left = asyncio.Event()

    async def request(self) -> bytes:
        """Wait for a whole request; b"" if the client closed the connection instead."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            self.client_left.set()
            return b""
        length = head.lower().split(b"content-length:")[1].split(b"\r\n")[0]
        self.requests.append(head + await self.reader.readexactly(int(length)))
        return self.requests[-1]

    async def send(self, *pieces: bytes) -> None:
        """Send these, such that they most likely arrive one by one."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            for _ in range(3):  # this loop is the client's too: let it read
                await asyncio.sleep(0)

    async def until_closed(self) -> None:
        """Wait for the client to close the connection, which is all it may do."""
        assert await self.request() == b""


Script = Callable[[Talk], Awaitable[None]]


class Peer:
    """A server that does on each connection what its script says, and then closes it."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.script = script
        self.talks: list[Talk] = []
        self.port = 0
        self._tls = tls
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        ends = await asyncio.gather(*self._tasks, return_exceptions=True)
        faults = [end for end in ends if isinstance(end, Exception)]
        assert not faults, f"the script failed: {faults}"

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.append(asyncio.create_task(self._serve(Talk(reader, writer))))

    async def _serve(self, talk: Talk) -> None:
        self.talks.append(talk)
        try:
            await self.script(talk)
        except ConnectionError:
            pass  # clients are given reason to hang up
        finally:
            talk.writer.close()


def stalling(under_way: asyncio.Event, sent: bytes) -> Script:
    """Answer one request with no more than this, say so, and wait for the end."""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(sent)
        under_way.set()
        await talk.until_closed()

    return script


def always(*pieces: bytes) -> Script:
    """Answer each request so."""

    async def script(talk: Talk) -> None:
        while await talk.request():
            await talk.send(*pieces)

    return script


def once(*pieces: bytes) -> Script:
    """Answer one request so, and close the connection."""

    async def script(talk: Talk) -> None:
        if await talk.request():
            await talk.send(*pieces)

    return script


def per_connection(*scripts: Script) -> Script:
    """Do this on the first connection, that on the second."""
    left = iter(scripts)

    async def script(talk: Talk) -> None:
        await next(left)(talk)

    return script


@dataclass(frozen=True)
class World:
    """A transport to try, and the event loop that it is to run on."""

    transport: type[Any]
    loop: Callable[[], asyncio.AbstractEventLoop]

    def make(self, url: str, tls: ssl.SSLContext | None = None, **options: Any) -> Transport:
        options = {"connect_timeout": PATIENCE, "largest_reply": LARGEST} | options
        made: Transport = self.transport(url, tls or TRUSTING_NOBODY, **options)
        return made

    def run(self, act: Awaitable[Any]) -> Any:
        async def bounded() -> Any:
            async with asyncio.timeout(PATIENCE):
                return await act

        with asyncio.Runner(loop_factory=self.loop) as runner:
            return runner.run(bounded())

    def meet(
        self, script: Script, act: Callable[[Transport, Peer], Awaitable[Any]], **options: Any
    ) -> Any:
        """Let the transport meet a peer with this script."""

        async def main() -> Any:
            async with Peer(script) as peer:
                transport = self.make(f"http://127.0.0.1:{peer.port}", **options)
                try:
                    return await act(transport, peer)
                finally:
                    await transport.close()

        return self.run(main())


LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
LEAN = {f"lean on {name}": World(WireTransport, loop) for name, loop in LOOPS.items()}
PLAIN = {f"plain on {name}": World(AiohttpTransport, loop) for name, loop in LOOPS.items()}
WORLDS = LEAN | PLAIN


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest) -> World:
    """Each transport, on each event loop."""
    return WORLDS[request.param]


@pytest.fixture(params=LEAN)
def lean_world(request: pytest.FixtureRequest) -> World:
    """The lean transport, on each event loop."""
    return LEAN[request.param]


def in_a_minute() -> float:
    return asyncio.get_running_loop().time() + 60


async def ask(transport: Transport) -> HttpResponse:
    response = await transport.post(HEADERS, BODY, in_a_minute())
    assert response is not None
    return response


# What is sent


@pytest.mark.parametrize("path", ["", "/", "/below/a%20path/"])
def test_request(world: World, path: str) -> None:
    """The request is for the URL's path, and has each header once, the body and its length."""

    async def main() -> bytes:
        async with Peer(always(GOOD)) as peer:
            transport = world.make(f"http://127.0.0.1:{peer.port}{path}")
            await ask(transport)
            await transport.close()
            return peer.talks[0].requests[0]

    head, _, body = world.run(main()).partition(b"\r\n\r\n")
    line, *headers = head.decode().split("\r\n")
    assert line == f"POST {path or '/'} HTTP/1.1"
    fields = dict(header.split(": ", 1) for header in headers)
    assert len(fields) == len(headers)
    assert fields.pop("User-Agent").startswith("graphql-admin/")
    assert fields.pop("Accept", "*/*") == "*/*"  # aiohttp has it
    assert fields == HEADERS | {"Accept-Encoding": "identity", "Content-Length": str(len(BODY))}
    assert body == BODY


@pytest.mark.parametrize("text", ["a\r\nX-Admin: yes", "a\nb", "a\rb", "a\r\n"])
def test_line_break_in_a_header(world: World, text: str) -> None:
    """A header with a line break in it is refused, and nothing is sent."""

    async def act(transport: Transport, peer: Peer) -> None:
        with pytest.raises(ValueError, match="header"):
            await transport.post(HEADERS | {"X-Amz-Security-Token": text}, BODY, in_a_minute())
        assert not any(talk.requests for talk in peer.talks)

    world.meet(always(GOOD), act)


# Replies


@dataclass(frozen=True)
class Case:
    """A reply, and how it must be parsed."""

    raw: bytes
    reply: HttpResponse
    kept: bool = True
    """Whether the connection is good for another request."""
    closes: bool = False
    """Whether the server closes the connection behind it."""


CASES = {
    "a length": Case(GOOD, GOOD_REPLY),
    "no body": Case(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", HttpResponse(200, "", b"")),
    "no content": Case(b"HTTP/1.1 204 No Content\r\n\r\n", HttpResponse(204, "", b"")),
    "an error's name that is not UTF-8": Case(
        b"HTTP/1.1 400 Bad\r\nX-Amzn-ErrorType: \x80One\r\nContent-Length: 0\r\n\r\n",
        HttpResponse(400, "\ufffdOne", b""),
    ),
    "no reason": Case(b"HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\n1", HttpResponse(200, "", b"1")),
    "an error": Case(
        b"HTTP/1.1 400 Bad Request\r\nX-Amzn-ErrorType: UserNotFoundException:http://a/\r\n"
        b"content-length: 3\r\nDate: today\r\n\r\nabc",
        HttpResponse(400, "UserNotFoundException:http://a/", b"abc"),
    ),
    "an error twice": Case(
        b"HTTP/1.1 400 Bad Request\r\nx-amzn-errortype: One\r\nx-amzn-errortype: Two\r\n"
        b"Content-Length: 0\r\n\r\n",
        HttpResponse(400, "One", b""),
    ),
    "chunks": Case(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'1\r\n{\r\n00A;why="not"\r\n"a": "\r\n"}\r\n1\r\n}\r\n0\r\n\r\n',
        HttpResponse(200, "", b'{"a": "\r\n"}}'),
    ),
    "trailers": Case(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\n{}\r\n0\r\nx-amzn-errortype: Late\r\n\r\n",
        GOOD_REPLY,
    ),
    "until the end": Case(b"HTTP/1.1 200 OK\r\n\r\n{}", GOOD_REPLY, kept=False, closes=True),
    "nothing until the end": Case(
        b"HTTP/1.1 500 Oops\r\n\r\n", HttpResponse(500, "", b""), kept=False, closes=True
    ),
    "the last": Case(
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
        GOOD_REPLY,
        kept=False,
    ),
    "the last in chunks": Case(
        b"HTTP/1.1 200 OK\r\nConnection: Close\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\n{}\r\n0\r\n\r\n",
        GOOD_REPLY,
        kept=False,
    ),
    "HTTP/1.0": Case(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", GOOD_REPLY, kept=False),
    "HTTP/1.0 that stays": Case(
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}", GOOD_REPLY
    ),
    "continue": Case(b"HTTP/1.1 100 Continue\r\n\r\n" + GOOD, GOOD_REPLY),
    "early hints": Case(
        b"HTTP/1.1 103 Early Hints\r\nx-amzn-errortype: Early\r\n\r\n"
        b"HTTP/1.1 102 Processing\r\n\r\n" + GOOD,
        GOOD_REPLY,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_reply(world: World, name: str) -> None:
    """A reply is parsed by the rules of HTTP, and its connection reused exactly if it may be."""
    case = CASES[name]

    async def act(transport: Transport, peer: Peer) -> None:
        for _ in range(3):
            assert await ask(transport) == case.reply
        assert len(peer.talks) == (1 if case.kept else 3)
        if not case.kept and not case.closes:
            for talk in peer.talks:
                await talk.client_left.wait()

    world.meet((once if case.closes else always)(case.raw), act)


@pytest.mark.parametrize("name", CASES)
def test_reply_in_pieces(world: World, name: str) -> None:
    """It does not matter where the network cuts a reply."""
    case = CASES[name]
    cuts = [[case.raw[:at], case.raw[at:]] for at in range(1, len(case.raw))]
    left = iter([*cuts, [case.raw[at : at + 1] for at in range(len(case.raw))]])

    async def script(talk: Talk) -> None:
        while await talk.request():
            await talk.send(*next(left))
            if case.closes:
                break

    async def act(transport: Transport, _: Peer) -> None:
        for _ in range(len(cuts) + 1):
            assert await ask(transport) == case.reply

    world.meet(script, act)


@pytest.mark.parametrize("name", CASES)
def test_end_in_the_middle(world: World, name: str) -> None:
    """A connection that ends before its reply does is no reply, wherever that happens."""
    case = CASES[name]
    # What only the connection's end ends is whole from the end of its head on.
    until = case.raw.index(b"\r\n\r\n") + 4 if case.closes else len(case.raw)
    scripts = [once(case.raw[:at]) for at in range(until)]

    async def act(transport: Transport, _: Peer) -> None:
        for _ in range(until):
            with pytest.raises(ConnectionBroke):
                await ask(transport)
        assert await ask(transport) == GOOD_REPLY

    world.meet(per_connection(*scripts, always(GOOD)), act)


def test_reset_in_the_middle(lean_world: World) -> None:
    """The lean one takes a connection that is reset for no reply, where its end would end one."""

    async def reset(talk: Talk) -> None:
        await talk.request()
        await talk.send(b"HTTP/1.1 200 OK\r\n\r\n{")
        linger = b"\1\0\0\0\0\0\0\0"  # on, for no time: close with RST
        talk.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        talk.writer.transport.abort()

    async def act(transport: Transport, _: Peer) -> None:
        with pytest.raises(ConnectionBroke):
            await ask(transport)

    lean_world.meet(reset, act)


def test_no_reply_at_all(world: World) -> None:
    """A server that closes each connection at once, or before it replies, gives no reply."""

    async def nothing(_: Talk) -> None:
        """Close the connection."""

    async def act(transport: Transport, _: Peer) -> None:
        for _ in range(10):
            with pytest.raises(ConnectionBroke):
                await ask(transport)

    world.meet(nothing, act)
    world.meet(once(), act)


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 2x0 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000 + b"\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_malformed_reply(world: World, raw: bytes) -> None:
    """What is no HTTP is no reply, and its connection is closed."""

    async def bad(talk: Talk) -> None:
        await talk.request()
        await talk.send(raw)
        await talk.until_closed()

    async def act(transport: Transport, _: Peer) -> None:
        with pytest.raises(ConnectionBroke):
            await ask(transport)
        assert await ask(transport) == GOOD_REPLY

    world.meet(per_connection(bad, always(GOOD)), act)


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"X-Header: of a head without end\r\n"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1;extension=1\r\n \r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"Trailer: x\r\n"),
    ],
)
def test_framing_without_end(lean_world: World, head: bytes, piece: bytes) -> None:
    """The lean one gives up a reply that goes on and on, but not with its body."""

    async def flood(talk: Talk) -> None:
        await talk.request()
        await talk.send(head)
        while True:
            await talk.send(piece * 10_000)

    async def act(transport: Transport, _: Peer) -> None:
        with pytest.raises(ConnectionBroke, match="outside the body"):
            await ask(transport)

    lean_world.meet(flood, act, largest_reply=10_000_000)


BODIES = {
    "declared": lambda body: b"Content-Length: %d\r\n\r\n%b" % (len(body), body),
    "in chunks": lambda body: (
        b"Transfer-Encoding: chunked\r\n\r\n1\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n"
        % (body[:1], len(body) - 1, body[1:])
    ),
    "until the end": lambda body: b"\r\n" + body,
}


@pytest.mark.parametrize("way", BODIES)
@pytest.mark.parametrize("excess", [0, 1, 100_000])
def test_largest_reply(world: World, way: str, excess: int) -> None:
    """A body of the size that is allowed is read, a larger one is not, however it is framed."""
    body = b"x" * (LARGEST + excess)
    left = iter([b"HTTP/1.1 200 OK\r\n" + BODIES[way](body), GOOD])

    async def script(talk: Talk) -> None:
        while await talk.request():
            await talk.send(next(left))
            if way == "until the end":
                break

    async def act(transport: Transport, _: Peer) -> None:
        if excess:
            with pytest.raises(ReplyTooBig):
                await ask(transport)
            assert await ask(transport) == GOOD_REPLY
        else:
            assert await ask(transport) == HttpResponse(200, "", body)

    world.meet(script, act)


def test_body_without_end(world: World) -> None:
    """A body that never ends is given up when it is larger than is allowed."""

    async def flood(talk: Talk) -> None:
        await talk.request()
        await talk.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await talk.send(b"x" * 100)

    async def act(transport: Transport, _: Peer) -> None:
        with pytest.raises(ReplyTooBig):
            await ask(transport)

    world.meet(flood, act)


def test_large_request(world: World) -> None:
    """A body that does not fit into what the network takes at once arrives whole."""
    large = b"x" * 1_000_000

    async def act(transport: Transport, peer: Peer) -> None:
        assert await transport.post(HEADERS, large, in_a_minute()) == GOOD_REPLY
        assert peer.talks[0].requests[0].endswith(b"\r\n\r\n" + large)

    world.meet(always(GOOD), act)


# Random replies

TOKEN = st.text("abcXYZ-", min_size=1, max_size=12).map(str.encode)
VALUE = st.text("abc:;,= 09", max_size=12).map(str.strip).map(str.encode)
PIECES = st.lists(st.integers(0, 400), max_size=8)


@st.composite
def replies(draw: st.DrawFn) -> bytes:
    """Valid replies: interim ones, any framing, headers of all sorts."""
    raw = b"".join(
        b"HTTP/1.1 %d \r\nx-amzn-errortype: Early\r\n\r\n" % status
        for status in draw(st.lists(st.sampled_from([100, 102, 103]), max_size=2))
    )
    headers = [b"X-%b: %b\r\n" % pair for pair in draw(st.lists(st.tuples(TOKEN, VALUE)))]
    headers += draw(st.lists(st.just(b"X-Amzn-Errortype: Oops:http://x\r\n"), max_size=1))
    headers += draw(st.lists(st.just(b"Connection: close\r\n"), max_size=1))
    body = draw(st.binary(max_size=200))
    framing = draw(st.sampled_from(["length", "chunks", "end"]))
    if framing == "length":
        headers.append(b"Content-Length: %d\r\n" % len(body))
    elif framing == "chunks":
        headers.append(b"Transfer-Encoding: chunked\r\n")
        cuts = [0, *sorted(at for at in draw(PIECES) if at < len(body)), len(body)]
        parts = [body[start:end] for start, end in pairwise(cuts) if start < end]
        body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    head = b"HTTP/1.%d %d Reason\r\n" % (
        draw(st.sampled_from([0, 1] if framing != "chunks" else [1])),
        draw(st.sampled_from([200, 400, 404, 429, 500, 503])),
    )
    return raw + head + b"".join(draw(st.permutations(headers))) + b"\r\n" + body


def outcome(world: World, raw: bytes, cuts: list[int]) -> object:
    """Return what a transport makes of a reply that is cut there, and then the connection."""
    places = [0, *sorted({at for at in cuts if 0 < at < len(raw)}), len(raw)]
    pieces = [raw[start:end] for start, end in pairwise(places)]

    async def act(transport: Transport, _: Peer) -> object:
        try:
            return await ask(transport)
        except (ConnectionBroke, NotConnected, ReplyTooBig) as error:
            return type(error)

    return world.meet(once(*pieces), act)


few = settings(derandomize=True, max_examples=60, deadline=None)


@pytest.mark.slow
@few
@given(raw=replies(), cuts=PIECES)
def test_random_replies(raw: bytes, cuts: list[int]) -> None:
    """The lean transport gives exactly what the plain one gives, wherever a reply is cut."""
    given_by = {name: outcome(world, raw, cuts) for name, world in WORLDS.items()}
    assert isinstance(given_by["lean on asyncio"], HttpResponse)
    assert len(set(given_by.values())) == 1, given_by


@pytest.mark.slow
@few
@given(raw=replies(), at=st.integers(0, 300), byte=st.binary(max_size=2), cuts=PIECES)
def test_random_damage(raw: bytes, at: int, byte: bytes, cuts: list[int]) -> None:
    """Of a damaged reply the two transports never make two different ones."""
    raw = raw[:at] + byte + raw[at + 1 :]
    lean = outcome(LEAN["lean on asyncio"], raw, cuts)
    plain = outcome(PLAIN["plain on asyncio"], raw, cuts)
    assert lean == plain or not (isinstance(lean, HttpResponse) and isinstance(plain, HttpResponse))


# Connections


def echo(talk: Talk) -> Awaitable[None]:
    """Answer each request with its body."""

    async def script() -> None:
        while request := await talk.request():
            body = request.partition(b"\r\n\r\n")[2]
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
            await talk.send(head, body)

    return script()


def test_many_at_once(world: World) -> None:
    """Each of many requests gets its own reply, and the next ones use the same connections."""

    async def act(transport: Transport, peer: Peer) -> None:
        for _ in range(3):
            bodies = [b"%d" % number for number in range(50)]
            replies = await asyncio.gather(
                *(transport.post(HEADERS, body, in_a_minute()) for body in bodies)
            )
            assert [reply.body for reply in replies] == bodies
        assert len(peer.talks) == 50

    world.meet(echo, act)


def test_last_in_first_out(lean_world: World) -> None:
    """Requests one after the other over the lean one use one connection, though more are idle."""

    async def act(transport: Transport, peer: Peer) -> None:
        await asyncio.gather(*(ask(transport) for _ in range(5)))
        for _ in range(10):
            await ask(transport)
        assert sorted(len(talk.requests) for talk in peer.talks) == [1, 1, 1, 1, 11]

    lean_world.meet(always(GOOD), act)


def test_idle_connection_that_the_server_closed(world: World) -> None:
    """A connection that the server closed while it was idle is not used again."""

    async def leave(talk: Talk) -> None:
        await talk.request()
        await talk.send(GOOD)
        talk.writer.write_eof()
        await talk.until_closed()

    async def act(transport: Transport, peer: Peer) -> None:
        assert await ask(transport) == GOOD_REPLY
        await peer.talks[0].client_left.wait()
        assert await ask(transport) == GOOD_REPLY
        assert len(peer.talks) == 2

    world.meet(per_connection(leave, always(GOOD)), act)


class Confirming:
    """The approval of a write.

    Args:
        first: What happens before it is confirmed.
    """

    def __init__(self, first: Callable[[], object] = lambda: None) -> None:
        self.is_sent = False
        self._first = first

    async def confirm(self) -> bool:
        self._first()
        return True

    async def renew(self) -> None:
        raise AssertionError("it was confirmed")


def end_unnoticed(talk: Talk, last_words: bytes = b"") -> None:
    """End a connection such that the event loop, which does not run meanwhile, cannot know."""
    with socket.socket(fileno=os.dup(talk.writer.get_extra_info("socket").fileno())) as end:
        end.sendall(last_words)
        end.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("last_words", [b"", GOOD])
def test_write_after_the_process_did_not_run(lean_world: World, last_words: bytes) -> None:
    """A write is not sent on a connection that ended while the process was stopped."""

    async def act(transport: Transport, peer: Peer) -> None:
        await asyncio.gather(*(ask(transport) for _ in range(3)))
        for talk in peer.talks:
            end_unnoticed(talk, last_words)
        approval = Confirming()
        assert await transport.post(HEADERS, BODY, in_a_minute(), approval) == GOOD_REPLY
        assert approval.is_sent
        assert [len(talk.requests) for talk in peer.talks] == [1, 1, 1, 1]

    lean_world.meet(always(GOOD), act)


def test_connection_that_ends_before_a_confirmed_write(lean_world: World) -> None:
    """A write whose connection ended while it was confirmed is known not to have been sent."""

    async def act(transport: Transport, peer: Peer) -> None:
        await ask(transport)
        approval = Confirming(lambda: end_unnoticed(peer.talks[0]))
        with pytest.raises(NotConnected):
            await transport.post(HEADERS, BODY, in_a_minute(), approval)
        assert not approval.is_sent
        assert await transport.post(HEADERS, BODY, in_a_minute(), Confirming()) == GOOD_REPLY
        assert [len(talk.requests) for talk in peer.talks] == [1, 1]

    lean_world.meet(always(GOOD), act)


def test_connection_that_was_idle_by_the_wall_clock(
    lean_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection from before the machine was suspended is not used again.

    The event loop's clock stands still meanwhile.
    """

    async def act(transport: Transport, peer: Peer) -> None:
        await ask(transport)
        then = time.time()
        monkeypatch.setattr(time, "time", lambda: then + IDLE_SECONDS)
        await ask(transport)
        await ask(transport)
        assert [len(talk.requests) for talk in peer.talks] == [1, 2]

    lean_world.meet(always(GOOD), act)


@pytest.mark.parametrize("unasked", [GOOD, b"\r\n", b"x"])
def test_idle_connection_that_the_server_speaks_on(lean_world: World, unasked: bytes) -> None:
    """The lean one takes what comes unasked for no reply to the next request."""

    async def chatter(talk: Talk) -> None:
        await talk.request()
        await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", unasked)
        await talk.until_closed()

    async def act(transport: Transport, peer: Peer) -> None:
        assert await ask(transport) == HttpResponse(200, "", b"")
        await peer.talks[0].client_left.wait()
        assert await ask(transport) == GOOD_REPLY
        assert len(peer.talks) == 2

    lean_world.meet(per_connection(chatter, always(GOOD)), act, idle_timeout=PATIENCE * 2)


@pytest.mark.parametrize("more", [GOOD, b"HTTP/1.1 200 OK\r\nContent-", b"H"])
def test_more_than_a_reply(lean_world: World, more: bytes) -> None:
    """The lean one takes what comes behind a reply for no reply to the next request."""

    async def chatter(talk: Talk) -> None:
        await talk.request()
        await talk.send(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n" + more)
        await talk.until_closed()

    async def act(transport: Transport, peer: Peer) -> None:
        assert await ask(transport) == HttpResponse(201, "", b"")
        assert await ask(transport) == GOOD_REPLY
        assert len(peer.talks) == 2

    lean_world.meet(per_connection(chatter, always(GOOD)), act)


@pytest.mark.parametrize("upgrade", [b"", b"Connection: upgrade\r\nUpgrade: websocket\r\n"])
def test_switch_of_protocols(lean_world: World, upgrade: bytes) -> None:
    """The lean one asks nothing more where the server means to speak something else."""
    raw = b"HTTP/1.1 101 Switching Protocols\r\n" + upgrade + b"\r\n"

    async def act(transport: Transport, peer: Peer) -> None:
        for _ in range(2):
            assert (await ask(transport)).status == 101
        assert len(peer.talks) == 2

    lean_world.meet(always(raw), act)


def test_idle_connections_are_closed(lean_world: World) -> None:
    """The lean one closes idle connections after a time."""

    async def act(transport: Transport, peer: Peer) -> None:
        await asyncio.gather(*(ask(transport) for _ in range(5)))
        for talk in peer.talks:
            await talk.client_left.wait()
        assert await ask(transport) == GOOD_REPLY
        assert len(peer.talks) == 6

    lean_world.meet(always(GOOD), act, idle_timeout=0.05)


def test_connection_that_was_idle_for_too_long(lean_world: World) -> None:
    """The lean one does not use a connection after its time, even if it is not closed yet."""

    async def act(transport: Transport, peer: Peer) -> None:
        for _ in range(3):
            assert await ask(transport) == GOOD_REPLY
        assert len(peer.talks) == 3

    lean_world.meet(always(GOOD), act, idle_timeout=0)


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200", GOOD[:-1], b"HTTP/1.1 200 OK\r\n\r\n{"])
def test_cancelled_request(world: World, sent: bytes) -> None:
    """Who gives up in the middle of a reply leaves nothing of it to the next request."""
    under_way = asyncio.Event()

    async def act(transport: Transport, peer: Peer) -> None:
        task = asyncio.create_task(ask(transport))
        await under_way.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await peer.talks[0].client_left.wait()
        assert await ask(transport) == GOOD_REPLY
        assert len(peer.talks) == 2

    world.meet(per_connection(stalling(under_way, sent), always(GOOD)), act)


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200", GOOD[:-1], b"HTTP/1.1 200 OK\r\n\r\n{"])
def test_reply_that_takes_too_long(world: World, sent: bytes) -> None:
    """A reply that is not there in time is given up, and leaves nothing to the next request."""

    async def stall(talk: Talk) -> None:
        while await talk.request():
            await talk.send(GOOD if len(talk.requests) == 1 else sent)

    async def act(transport: Transport, peer: Peer) -> None:
        assert await ask(transport) == GOOD_REPLY  # so that connecting is not what takes too long
        soon = asyncio.get_running_loop().time() + 0.05
        with pytest.raises(TimeoutError):
            await transport.post(HEADERS, BODY, soon)
        await peer.talks[0].client_left.wait()
        assert await ask(transport) == GOOD_REPLY
        assert len(peer.talks) == 2

    world.meet(per_connection(stall, always(GOOD)), act)


def test_connection_that_takes_too_long(world: World) -> None:
    """A connection that is not made in time is given up, whatever else it might take."""

    async def main() -> None:
        async with Peer(lambda talk: talk.reader.read(-1)) as peer:
            transport = world.make(f"https://localhost:{peer.port}")
            soon = asyncio.get_running_loop().time() + 0.05
            with pytest.raises(TimeoutError):
                await transport.post(HEADERS, BODY, soon)
            await transport.close()

    world.run(main())


def test_cancelled_while_connecting(world: World) -> None:
    """Who gives up before there is a connection does not spoil it for others."""

    async def act(transport: Transport, _: Peer) -> None:
        for _ in range(20):
            tasks = [asyncio.create_task(ask(transport)) for _ in range(3)]
            await asyncio.sleep(0)
            tasks[0].cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(ends[0], asyncio.CancelledError)
            assert ends[1:] == [GOOD_REPLY] * 2

    world.meet(once(CASES["the last"].raw), act)


def close_in_flight(world: World, sent: bytes) -> None:
    """Close the transport when so much of a reply has been sent, and see all connections go."""
    under_way = asyncio.Event()

    async def act(transport: Transport, peer: Peer) -> None:
        first = asyncio.create_task(ask(transport))
        await under_way.wait()
        assert await ask(transport) == GOOD_REPLY
        await transport.close()
        with pytest.raises(ConnectionBroke):
            await first
        for talk in peer.talks:
            await talk.client_left.wait()

    world.meet(per_connection(stalling(under_way, sent), always(GOOD)), act)


def test_close(world: World) -> None:
    """Closing the transport closes every connection, and fails the request in flight."""
    close_in_flight(world, b"")


@pytest.mark.parametrize("sent", [GOOD[:-1], b"HTTP/1.1 200 OK\r\n\r\n{"])
def test_close_in_the_middle(lean_world: World, sent: bytes) -> None:
    """To close the lean one fails a request in the middle of its reply, too."""
    close_in_flight(lean_world, sent)


def test_close_while_connecting(lean_world: World) -> None:
    """A connection that the lean one makes while it is closed is closed."""

    async def act(transport: Transport, peer: Peer) -> None:
        first = asyncio.create_task(ask(transport))
        await asyncio.sleep(0)
        await transport.close()
        with pytest.raises(NotConnected):
            await first
        assert not any(talk.requests for talk in peer.talks)

    lean_world.meet(always(GOOD), act)


# Connecting


def test_refused_connection(world: World) -> None:
    """If the connection is refused, the reason says so."""

    async def act(port: int) -> None:
        transport = world.make(f"http://127.0.0.1:{port}")
        with pytest.raises(NotConnected, match="ConnectionRefusedError"):
            await ask(transport)
        await transport.close()

    with socket.socket() as idle:
        idle.bind(("127.0.0.1", 0))
        world.run(act(idle.getsockname()[1]))


def test_unknown_host(world: World) -> None:
    """A host that has no address is not connected to, however many ask for it at once."""

    async def act() -> None:
        transport = world.make("http://nowhere.invalid")
        tasks = [asyncio.create_task(ask(transport)) for _ in range(3)]
        for end in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(end, NotConnected)
            assert str(end) == "gaierror"
        await transport.close()

    world.run(act())


def test_host_with_several_addresses(world: World) -> None:
    """Where a host has several addresses, one that answers is found."""

    async def act() -> None:
        async with Peer(echo) as peer:  # on 127.0.0.1 alone
            transport = world.make(f"http://localhost:{peer.port}")
            replies = await asyncio.gather(*(ask(transport) for _ in range(20)))
            assert replies == [HttpResponse(200, "", BODY)] * 20
            await transport.close()

    world.run(act())


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for `localhost`, in a file with its key."""
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    path.write_bytes(make_certificate(x509.DNSName("localhost")))
    return path


def meet_over_tls(
    world: World,
    certificate: Path,
    act: Callable[[Transport, Peer], Awaitable[None]],
    *,
    host: str = "localhost",
    trusts: bool = True,
) -> list[str | None]:
    """Let the transport meet a peer that speaks TLS; return the names that it was called by."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    names: list[str | None] = []
    server.sni_callback = lambda _, name, __: names.append(name)
    client = ssl.create_default_context(cafile=str(certificate) if trusts else None)

    async def main() -> None:
        async with Peer(echo, server) as peer:
            transport = world.make(f"https://{host}:{peer.port}", client)
            try:
                await act(transport, peer)
            finally:
                await transport.close()

    world.run(main())
    return names


def test_tls(world: World, certificate: Path) -> None:
    """Over TLS it is the same; the server's name is sent, and connections are kept."""

    async def act(transport: Transport, peer: Peer) -> None:
        for size in (1, LARGEST):
            for _ in range(3):
                sent = b"x" * size
                assert await transport.post(HEADERS, sent, in_a_minute()) == HttpResponse(
                    200, "", sent
                )
        assert len(peer.talks) == 1
        with pytest.raises(ReplyTooBig):
            await transport.post(HEADERS, b"x" * 1_000_000, in_a_minute())

    assert meet_over_tls(world, certificate, act) == ["localhost"]


def test_write_as_tickets_come(lean_world: World, certificate: Path) -> None:
    """Tickets that a TLS server sends at any time are not taken for the end of the connection."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    client = ssl.create_default_context(cafile=str(certificate))
    are_sent = threading.Event()

    def serve(listener: socket.socket) -> None:
        """Speak TLS in a thread, so that it goes on while the event loop does not."""
        with suppress(OSError):
            while True:
                accepted, _ = listener.accept()
                with suppress(OSError), server.wrap_socket(accepted, server_side=True) as spoken:
                    are_sent.set()
                    if spoken.recv(10_000):
                        spoken.sendall(GOOD)
                    spoken.recv(10_000)

    async def act(port: int) -> None:
        for _ in range(20):
            transport = lean_world.make(f"https://localhost:{port}", client)
            are_sent.clear()
            # uvloop only sends the last of the handshake after this.
            approval = Confirming(lambda: are_sent.wait(0.02))
            assert await transport.post(HEADERS, BODY, in_a_minute(), approval) == GOOD_REPLY
            assert approval.is_sent
            await transport.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            lean_world.run(act(listener.getsockname()[1]))
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # which ends `accept`
            thread.join()


@pytest.mark.parametrize(
    ("host", "trusts"), [("localhost", False), ("127.0.0.1", True)], ids=["untrusted", "another's"]
)
def test_bad_certificate(world: World, certificate: Path, host: str, trusts: bool) -> None:
    """Nothing is sent to a host that cannot prove that it is the one."""

    async def act(transport: Transport, peer: Peer) -> None:
        with pytest.raises(NotConnected, match="SSLCertVerificationError"):
            await ask(transport)
        assert not any(talk.requests for talk in peer.talks)

    meet_over_tls(world, certificate, act, host=host, trusts=trusts)


def test_no_tls_where_it_should_be(world: World) -> None:
    """Nothing is sent to a host that does not speak TLS."""

    async def refuse(talk: Talk) -> None:
        await talk.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async def main() -> None:
        async with Peer(refuse) as peer:
            transport = world.make(f"https://localhost:{peer.port}")
            with pytest.raises(NotConnected):
                await ask(transport)
            await transport.close()

    world.run(main())


def test_handshake_without_end(world: World) -> None:
    """A server that says nothing when a connection is made is not connected to."""

    async def main() -> None:
        async with Peer(lambda talk: talk.reader.read(-1)) as peer:
            transport = world.make(f"https://localhost:{peer.port}", connect_timeout=0.1)
            with pytest.raises(NotConnected, match="TimeoutError"):
                await ask(transport)
            await transport.close()

    world.run(main())
