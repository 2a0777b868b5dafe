"""HTTP/1.1 for small calls of one JSON service: just what that takes, for little CPU.

A client for any request to any host looks at everything that one may have, which costs more than
all else in a small call. Here requests differ in their headers and body alone, and of a reply
only the status, one header and the body matter. The parser is llhttp, which Node has too.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import httptools
from aiohappyeyeballs import start_connection

from graphql_admin.cognito.transport import (
    CONSTANT_HEADERS,
    ERROR_TYPE,
    ConnectionBroke,
    HttpResponse,
    NotConnected,
    ReplyTooBig,
)

IDLE_SECONDS = 15.0
"""How long a connection is kept for another request; aiohttp keeps it as long."""

MAX_FRAMING_BYTES = 256 * 1024
"""How much of a reply may be no body: heads, trailers, and what is between chunks."""

_HAPPY_EYEBALLS_DELAY = 0.25
"""Seconds after which the next of a host's addresses is tried too; RFC 8305 recommends it."""

_ERROR_TYPE = ERROR_TYPE.encode()
_SHORTEST = len(b"content-length")
_LONGEST = len(b"transfer-encoding")

_Address: TypeAlias = tuple[Any, ...]


class WireTransport:
    """A transport without proxies. `Transport` says what its methods do.

    Idle connections are used in the order last in, first out, so that those that are not needed
    grow old and are closed.

    Args:
        url: Where to send to. It is sent as it is, without more quoting.
        tls: Whom to trust, if the URL is of `https`.
        connect_timeout: Seconds that it may take to find the host and to connect to it.
        largest_reply: Bytes that a reply's body may have.
        idle_timeout: Seconds that a connection is kept for another request.
    """

    def __init__(
        self,
        url: str,
        tls: ssl.SSLContext,
        *,
        connect_timeout: float,
        largest_reply: int,
        idle_timeout: float = IDLE_SECONDS,
    ) -> None:
        parts = urlsplit(url)
        is_secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if is_secure else 80)
        self._tls = tls if is_secure else None
        self._connect_timeout = connect_timeout
        self._largest_reply = largest_reply
        self._idle_timeout = idle_timeout
        constant = "".join(f"{name}: {value}\r\n" for name, value in CONSTANT_HEADERS.items())
        self._head = f"POST {parts.path or '/'} HTTP/1.1\r\n{constant}"
        self._loop = asyncio.get_running_loop()
        self._connections: set[_Connection] = set()
        self._idle: list[_Connection] = []  # the one that is idle for longest comes first
        self._sweep: asyncio.TimerHandle | None = None
        self._look_up: asyncio.Task[list[_Address]] | None = None
        self._closed = False

    async def post(self, headers: Mapping[str, str], body: bytes, limit: float) -> HttpResponse:
        """Send a request, as `Transport` has it."""
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        if not lines.count("\r") == lines.count("\n") == len(headers):
            raise ValueError("a header has a line break in it")
        request = f"{self._head}{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body
        connection = self._take_idle()
        if connection is None:
            async with asyncio.timeout_at(limit):
                connection = await self._connect()
        timer = self._loop.call_at(limit, connection.time_out)
        try:
            reply = await connection.ask(request)
        except BaseException:
            connection.abort()
            raise
        finally:
            timer.cancel()
        if connection.reusable and not connection.is_closing():
            self._keep(connection)
        else:
            connection.abort()
        return reply

    async def close(self) -> None:
        """Close every connection, as `Transport` has it."""
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        self._idle.clear()
        open_ones = list(self._connections)
        for connection in open_ones:
            connection.fail(ConnectionBroke("closed here"))
        for connection in open_ones:
            await connection.lost

    def _take_idle(self) -> "_Connection | None":
        oldest = self._loop.time() - self._idle_timeout
        while self._idle:
            connection = self._idle.pop()
            # Both may have come true without the loop having got round to it.
            if connection.idle_since > oldest and not connection.is_closing():
                return connection
            connection.abort()
        return None

    def _keep(self, connection: "_Connection") -> None:
        connection.idle_since = self._loop.time()
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = self._loop.call_later(self._idle_timeout, self._close_old)

    def _close_old(self) -> None:
        oldest = self._loop.time() - self._idle_timeout
        while self._idle and self._idle[0].idle_since <= oldest:
            self._idle.pop(0).abort()
        self._sweep = None
        if self._idle:
            due = self._idle[0].idle_since + self._idle_timeout
            self._sweep = self._loop.call_at(due, self._close_old)

    async def _connect(self) -> "_Connection":
        try:
            async with asyncio.timeout(self._connect_timeout):
                # Not left to the loop's create_connection: uvloop's tries the addresses one
                # after the other.
                found = await start_connection(
                    await self._find_addresses(), happy_eyeballs_delay=_HAPPY_EYEBALLS_DELAY
                )
                _, connection = await self._loop.create_connection(
                    lambda: _Connection(self._loop, self._connections, self._largest_reply),
                    sock=found,
                    ssl=self._tls,
                    server_hostname=self._host if self._tls else None,
                )
        except OSError as error:  # TimeoutError and the errors of TLS are some
            raise NotConnected(type(error).__name__) from error
        if self._closed:
            connection.abort()
            raise NotConnected("closed here")
        return connection

    async def _find_addresses(self) -> list[_Address]:
        """Look the host up, once for all who want to connect meanwhile: it takes a thread."""
        if self._look_up is None:
            self._look_up = self._loop.create_task(self._ask_resolver())
            self._look_up.add_done_callback(self._forget_look_up)
        return await asyncio.shield(self._look_up)

    async def _ask_resolver(self) -> list[_Address]:
        found = await self._loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        return list(found)

    def _forget_look_up(self, look_up: "asyncio.Task[list[_Address]]") -> None:
        self._look_up = None
        if not look_up.cancelled():
            look_up.exception()  # which nobody may be left to hear of


class _Connection(asyncio.Protocol):
    """One connection, on which one request after the other is sent.

    Args:
        loop: The running event loop.
        siblings: The connections that are open; it is among them while it is.
        largest_reply: Bytes that a reply's body may have.
    """

    _transport: asyncio.Transport

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        siblings: "set[_Connection]",
        largest_reply: int,
    ) -> None:
        self.lost = loop.create_future()
        """Done when the connection is closed."""
        self.idle_since = 0.0
        """By the event loop's clock, in seconds."""
        self._loop = loop
        self._siblings = siblings
        self._largest_reply = largest_reply
        self._reader = _Reader()
        self._waiter: asyncio.Future[HttpResponse] | None = None

    @property
    def reusable(self) -> bool:
        """Whether the last reply leaves the connection fit for another request."""
        return self._reader.reusable

    def ask(self, request: bytes) -> asyncio.Future[HttpResponse]:
        """Send a request, and return its reply to be.

        Who is no longer interested in it must `abort`.
        """
        self._waiter = self._loop.create_future()
        self._reader.begin()
        if self._transport.is_closing():  # the peer was quick to leave, or to speak unasked
            self._waiter.set_exception(ConnectionBroke("ConnectionResetError"))
        else:
            self._transport.write(request)
        return self._waiter

    def is_closing(self) -> bool:
        """Tell whether the connection is closed or about to be."""
        return self._transport.is_closing()

    def abort(self) -> None:
        """Close the connection at once."""
        self._transport.abort()

    def fail(self, error: Exception) -> None:
        """Close the connection at once; if a reply is due, it is this error."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)
        self._transport.abort()

    def time_out(self) -> None:
        """Close the connection at once, because its reply took too long."""
        self.fail(TimeoutError())

    # What the event loop calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._siblings.add(self)

    def data_received(self, data: bytes) -> None:
        if self._waiter is None or self._waiter.done():
            self.abort()  # whatever this is, it is no reply to what will be asked next
            return
        reader = self._reader
        trouble = reader.feed(data)
        if reader.body_size > self._largest_reply:
            self.fail(ReplyTooBig())
        elif reader.size - reader.body_size > MAX_FRAMING_BYTES:
            self.fail(ConnectionBroke("too much that is no body"))
        elif reader.has_ended:
            waiter, self._waiter = self._waiter, None
            waiter.set_result(reader.take_reply())
        elif trouble:
            self.fail(ConnectionBroke(trouble))

    def connection_lost(self, exc: Exception | None) -> None:
        self._siblings.discard(self)
        self.lost.set_result(None)
        if self._waiter is None or self._waiter.done():
            return
        if exc is None and self._reader.ends_with_connection:
            self._waiter.set_result(self._reader.take_reply())
        else:
            self._waiter.set_exception(ConnectionBroke(type(exc or EOFError()).__name__))


class _Reader:
    """Reads the replies of one connection, one after the other.

    The parser is that of the connection too: it is as clean as new where a reply ended well, and
    otherwise the connection is used no more.
    """

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.begin()

    def begin(self) -> None:
        """Be ready for a reply, and forget the last one."""
        self.size = 0
        """Bytes that came in."""
        self.body_size = 0
        """How many of them were body."""
        self.has_ended = False
        self.reusable = False
        """Whether the connection may be used again, once the reply has ended."""
        self._in_body = False
        self._is_delimited = False
        self._status = 0
        self._error_type = ""
        self._body: list[bytes] = []

    @property
    def ends_with_connection(self) -> bool:
        """Whether the reply has a body that only the end of the connection ends."""
        return self._in_body and not self._is_delimited

    def feed(self, data: bytes) -> str:
        """Read on, and return the name of what is wrong with what came, if anything is."""
        self.size += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.reusable = False  # behind a reply with status 101 too, where the parser stops
            return type(error).__name__
        return ""

    def take_reply(self) -> HttpResponse:
        """Return the reply, once it is here, and keep none of it: it is about people."""
        body = b"".join(self._body)
        self._body.clear()
        return HttpResponse(self._status, self._error_type, body)

    # What the parser calls. Once the reply has ended, another may seem to begin.

    def on_message_begin(self) -> None:
        if self.has_ended:
            self.reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        # Most names are told by their length. Those behind the body do not count.
        if self._in_body or self.has_ended or not _SHORTEST <= len(name) <= _LONGEST:
            return
        name = name.lower()
        if name in {b"content-length", b"transfer-encoding"}:
            self._is_delimited = True
        elif name == _ERROR_TYPE and not self._error_type:
            self._error_type = value.decode(errors="replace")

    def on_headers_complete(self) -> None:
        if self.has_ended:
            return
        self._status = self._parser.get_status_code()
        self._in_body = not 100 <= self._status < 200 or self._status == 101
        if not self._in_body:  # an interim reply, of which nothing belongs to the one that follows
            self._error_type = ""
            self._is_delimited = False

    def on_body(self, body: bytes) -> None:
        if self._in_body:
            self._body.append(body)
            self.body_size += len(body)

    def on_message_complete(self) -> None:
        if self._in_body:
            self._in_body = False
            self.has_ended = True
            self.reusable = self._parser.should_keep_alive()
