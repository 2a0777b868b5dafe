"""A minimal HTTP/1.1 client for small calls to one JSON service, for little CPU.

A general-purpose client handles every kind of request, which costs more than the rest of a small
call. Here requests differ only in headers and body, and of a reply only the status, one header and
the body matter. The parser is llhttp, which Node uses too.
"""

import asyncio
import select
import socket
import ssl
import time
from collections.abc import Mapping
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import httptools
from aiohappyeyeballs import start_connection

from graphql_admin.cognito.access import Approval
from graphql_admin.cognito.transport import (
    CONSTANT_HEADERS,
    ERROR_TYPE,
    ConnectionBroke,
    HttpResponse,
    NotConnected,
    ReplyTooBig,
)

IDLE_SECONDS = 15.0
"""Seconds that an idle connection is kept; the same as in aiohttp."""

MAX_FRAMING_BYTES = 256 * 1024
"""Most bytes of a reply outside its body: headers, trailers and chunk framing."""

_HAPPY_EYEBALLS_DELAY = 0.25
"""Seconds after which the next address of a host is tried too, as RFC 8305 recommends."""

_LOOKS = 4
"""How often it is looked whether a connection can be used for a write before it is given up. A TLS
server sends tickets for later sessions once a connection is made, and until they have been read
they look like the end."""

_ROUNDS = 3
"""Rounds of the event loop in which it reads what has come; asyncio's needs two."""

_ERROR_TYPE = ERROR_TYPE.encode()
_SHORTEST = len(b"content-length")
_LONGEST = len(b"transfer-encoding")

_Address: TypeAlias = tuple[Any, ...]


class WireTransport:
    """A transport without proxies; see `Transport` for its methods.

    Idle connections are reused last in, first out, so that those that are not needed time out and
    are closed.

    Args:
        url: Where to send to. It is used as it is, without further percent-encoding.
        tls: The TLS context, for an `https` URL.
        connect_timeout: Seconds that the DNS lookup and connecting may take.
        largest_reply: Most bytes of a reply's body.
        idle_timeout: Seconds that an idle connection is kept.
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
        self._connections: set[_HttpConnection] = set()
        # The one that has been idle longest comes first, except those put back unused.
        self._idle: list[_HttpConnection] = []
        self._sweep: asyncio.TimerHandle | None = None
        self._look_up: asyncio.Task[list[_Address]] | None = None
        self._closed = False

    async def post(
        self,
        headers: Mapping[str, str],
        body: bytes,
        limit: float,
        approval: Approval | None = None,
    ) -> HttpResponse | None:
        """Send a request; see `Transport`."""
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        if not lines.count("\r") == lines.count("\n") == len(headers):
            raise ValueError("a header has a line break in it")
        request = f"{self._head}{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body
        connection = self._take_idle(is_sent_once=approval is not None)
        if connection is None:
            async with asyncio.timeout_at(limit):
                connection = await self._connect()
        if approval is not None and not await self._confirm(approval, connection):
            return None
        timer = self._loop.call_at(limit, connection.time_out)
        try:
            reply = await connection.ask(request)
        except BaseException:
            connection.abort()
            raise
        finally:
            timer.cancel()
        if connection.reusable and not connection.is_closing():
            connection.rest()
            self._keep(connection)
        else:
            connection.abort()
        return reply

    async def _confirm(self, approval: Approval, connection: "_HttpConnection") -> bool:
        """Have a write confirmed that is sent at once; tell whether it is.

        Raises:
            NotConnected: The connection has ended meanwhile.
        """
        for _ in range(_LOOKS):
            is_confirmed = False
            try:
                is_confirmed = await approval.confirm()
            finally:
                if not is_confirmed:
                    self._keep(connection)
            if not is_confirmed:
                return False
            if not connection.has_ended():
                approval.is_sent = True
                return True
            try:
                for _ in range(_ROUNDS):
                    await asyncio.sleep(0)
            except BaseException:
                connection.abort()
                raise
            if connection.is_closing():
                break
        connection.abort()
        raise NotConnected("closed before the request")

    async def close(self) -> None:
        """Close every connection; see `Transport`."""
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        self._idle.clear()
        open_ones = list(self._connections)
        for connection in open_ones:
            connection.fail(ConnectionBroke("closed here"))
        for connection in open_ones:
            await connection.lost

    def _take_idle(self, *, is_sent_once: bool) -> "_HttpConnection | None":
        """Return an idle connection, if there is one that can be used.

        Args:
            is_sent_once: Whether the request must not be sent again if the connection turns out to
                be closed, which is then found out first.
        """
        # By the wall clock too, since the other stands still while the machine is suspended.
        oldest = self._loop.time() - self._idle_timeout
        oldest_by_wall = time.time() - self._idle_timeout
        while self._idle:
            connection = self._idle.pop()
            # Each may be true already, before the event loop has run the callback for it.
            if (
                connection.idle_since > oldest
                and connection.idle_since_by_wall > oldest_by_wall
                and not (connection.has_ended() if is_sent_once else connection.is_closing())
            ):
                return connection
            connection.abort()
        return None

    def _keep(self, connection: "_HttpConnection") -> None:
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

    async def _connect(self) -> "_HttpConnection":
        try:
            async with asyncio.timeout(self._connect_timeout):
                # Not with the loop's create_connection: uvloop's tries the addresses one after the
                # other.
                found = await start_connection(
                    await self._find_addresses(), happy_eyeballs_delay=_HAPPY_EYEBALLS_DELAY
                )
                _, connection = await self._loop.create_connection(
                    lambda: _HttpConnection(self._loop, self._connections, self._largest_reply),
                    sock=found,
                    ssl=self._tls,
                    server_hostname=self._host if self._tls else None,
                )
        except OSError as error:  # TimeoutError and TLS errors included
            raise NotConnected(type(error).__name__) from error
        if self._closed:
            connection.abort()
            raise NotConnected("closed here")
        return connection

    async def _find_addresses(self) -> list[_Address]:
        """Look up the host, once for all concurrent connections: a lookup takes a thread."""
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
            look_up.exception()  # which no task may be left to await


class _HttpConnection(asyncio.Protocol):
    """A connection, over which one request after the other is sent.

    Args:
        loop: The running event loop.
        siblings: The open connections; it adds and removes itself.
        largest_reply: Bytes that a reply's body may have.
    """

    _transport: asyncio.Transport

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        siblings: "set[_HttpConnection]",
        largest_reply: int,
    ) -> None:
        self.lost = loop.create_future()
        """Done when the connection is closed."""
        self._loop = loop
        self.rest()
        self._siblings = siblings
        self._largest_reply = largest_reply
        self._reader = _ReplyReader()
        self._waiter: asyncio.Future[HttpResponse] | None = None

    @property
    def reusable(self) -> bool:
        """Whether the connection can be reused after the last reply."""
        return self._reader.reusable

    def ask(self, request: bytes) -> asyncio.Future[HttpResponse]:
        """Send a request, and return a future of its reply.

        If the reply is no longer wanted, call `abort`.
        """
        self._waiter = self._loop.create_future()
        self._reader.begin()
        if self._transport.is_closing():  # closed by the peer, or by data that came unrequested
            self._waiter.set_exception(ConnectionBroke("ConnectionResetError"))
        else:
            self._transport.write(request)
        return self._waiter

    def rest(self) -> None:
        """Note that the connection is idle from now on."""
        self.idle_since = self._loop.time()
        """When it was made or last used, in seconds of the event loop's clock."""
        self.idle_since_by_wall = time.time()
        """The same, in seconds since 1970."""

    def is_closing(self) -> bool:
        """Tell whether the connection is closed or closing, as far as the event loop knows."""
        return self._transport.is_closing()

    def has_ended(self) -> bool:
        """Tell whether the idle connection is closed, or cannot be used for another reason.

        The event loop does not know yet what happened while this process did not run, as in a
        function that is frozen between invocations. So the kernel is asked whether there is
        something to read: the end, or data that is no reply to anything.
        """
        return self._transport.is_closing() or bool(self._unread.poll(0))

    def abort(self) -> None:
        """Close the connection at once."""
        self._transport.abort()

    def fail(self, error: Exception) -> None:
        """Close the connection at once; a pending reply gets this error."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)
        self._transport.abort()

    def time_out(self) -> None:
        """Close the connection at once, because its reply took too long."""
        self.fail(TimeoutError())

    # What the event loop calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._unread = select.poll()
        self._unread.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        self._siblings.add(self)

    def data_received(self, data: bytes) -> None:
        if self._waiter is None or self._waiter.done():
            self.abort()  # unsolicited data must not be taken for the next reply
            return
        reader = self._reader
        trouble = reader.feed(data)
        if reader.body_size > self._largest_reply:
            self.fail(ReplyTooBig())
        elif reader.size - reader.body_size > MAX_FRAMING_BYTES:
            self.fail(ConnectionBroke("too much outside the body"))
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


class _ReplyReader:
    """Parses the replies of one connection, one after the other.

    The parser is kept for the life of the connection: it is in its initial state after a complete
    reply, and after anything else the connection is not reused.
    """

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.begin()

    def begin(self) -> None:
        """Prepare for the next reply, and drop the last one."""
        self.size = 0
        """Bytes received."""
        self.body_size = 0
        """Those of them that are body."""
        self.has_ended = False
        self.reusable = False
        """Whether the connection may be reused after the reply."""
        self._in_body = False
        self._is_delimited = False
        self._status = 0
        self._error_type = ""
        self._body: list[bytes] = []

    @property
    def ends_with_connection(self) -> bool:
        """Whether the reply's body is delimited by the end of the connection."""
        return self._in_body and not self._is_delimited

    def feed(self, data: bytes) -> str:
        """Parse more data; return what is wrong with it, if anything."""
        self.size += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.reusable = False  # after a reply with status 101 too, where the parser stops
            return type(error).__name__
        return ""

    def take_reply(self) -> HttpResponse:
        """Return the reply if it is complete, and keep none of it: it holds personal data."""
        body = b"".join(self._body)
        self._body.clear()
        return HttpResponse(self._status, self._error_type, body)

    # Callbacks of the parser. After the end of the reply, another may seem to begin.

    def on_message_begin(self) -> None:
        if self.has_ended:
            self.reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        # Most names differ in length alone. Trailers do not count.
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
        if not self._in_body:  # an interim reply; the final one does not inherit its headers
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
