"""HTTP/1.1 by uvicorn and its fast parser, with four things that they leave out.

What of a request is no body may be as long as it likes there; here it has to end. An application
cannot tell there whether a body has yet to arrive; here it is told when all of it is in hand. The
head and the body of a response are sent there one after the other; here they go out together. And
requests that arrive together are all begun there before any is finished; here some at a time.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from graphql_admin.requests import IN_HAND

MAX_HEAD = 1024 * 1024
"""Bytes that may come in without any of them being body: heads, trailers, and what is between
chunks. What arrives in one piece counts as a whole."""

BEGUN_PER_TURN = 3
"""Requests that are begun in one turn of the event loop. With fewer, more time goes into turns;
with more, a request whose reply from Cognito just missed a turn waits longer for the next."""


class _Turnstile:
    """Lets requests begin in the order in which they came, some in each turn of the event loop.

    Replies from Cognito are dealt with in every turn, so requests in hand are finished while new
    ones wait. Otherwise some would take twice as long as others under load.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        # Requests begin in what holds for the server, not in what another request has set.
        self._context = copy_context()
        self._begun = 0
        """In this turn."""
        self._waiting: deque[Callable[[], None]] = deque()

    def enter(self, begin: Callable[[], None]) -> None:
        """Call `begin`, which begins a request, now or in a turn to come."""
        if not self._begun:
            self._loop.call_soon(self._turn, context=self._context)
        if self._begun < BEGUN_PER_TURN:
            self._begun += 1
            begin()
        else:
            self._waiting.append(begin)

    def _turn(self) -> None:
        self._begun = min(BEGUN_PER_TURN, len(self._waiting))
        for _ in range(self._begun):
            self._waiting.popleft()()
        if self._begun:
            self._loop.call_soon(self._turn, context=self._context)


_turnstiles: WeakKeyDictionary[ServerState, _Turnstile] = WeakKeyDictionary()
"""That of each server in this process."""


class _Gathering:
    """A transport that sends in one piece what is written in one turn of the event loop.

    It has what uvicorn's protocol uses of one.

    Args:
        transport: What it sends through.
        loop: The running event loop.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._written: list[bytes] = []
        self.get_extra_info = transport.get_extra_info
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self.set_protocol = transport.set_protocol

    def write(self, data: bytes) -> None:
        """Send something, at the end of this turn at the latest."""
        if not self._written:
            self._loop.call_soon(self.flush)
        self._written.append(data)

    def flush(self) -> None:
        """Send what was written, now, if anybody is left to read it."""
        if self._written:
            if not self.is_closing():
                self._transport.writelines(self._written)
            self._written.clear()

    def close(self) -> None:
        """Close the connection, once all that was written is sent."""
        self.flush()
        self._transport.close()


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 with heads and trailers that end; where one does not, the connection is closed.

    The scope of a request that has arrived as a whole has the extension `IN_HAND`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._turnstile = _turnstiles.setdefault(self.server_state, _Turnstile(self.loop))
        self._in_head = True
        self._received = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection."""
        self._gathering = _Gathering(transport, self.loop)
        super().connection_made(self._gathering)  # type: ignore[arg-type]

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._turnstile.enter(partial(super()._start_asgi_task, cycle, app))

    def on_response_complete(self) -> None:
        """Send the response, and turn to the next request."""
        self._gathering.flush()
        super().on_response_complete()

    def data_received(self, data: bytes) -> None:
        """Take what arrived."""
        self._received += len(data)
        if self._received > MAX_HEAD:
            self.send_400_response("There is too much beside the body of the request.")
            return
        super().data_received(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a trailer is left out, since whoever guards this looks at heads."""
        if self._in_head:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body, whose length is for the application to bound."""
        self._received = 0
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """Note where the head ends."""
        self._in_head = False
        self._take_host_from_target()
        super().on_headers_complete()

    def _take_host_from_target(self) -> None:
        """Let the host in a target of the absolute form be that of the request.

        RFC 9112, section 3.2.2: the `Host` header is to be ignored then, whatever it says.
        """
        if self.url.startswith((b"/", b"*")):
            return
        try:
            target = httptools.parse_url(self.url)
        except httptools.HttpParserInvalidURLError:
            return  # the parser will refuse the request
        if target.host:
            host = b"[%b]" % target.host if b":" in target.host else target.host
            port = b":%d" % target.port if target.port else b""
            self.headers[:] = [header for header in self.headers if header[0] != b"host"]
            self.headers.append((b"host", host + port))

    def on_message_complete(self) -> None:
        """Note where the next head begins, and that there is no more to this request."""
        self._in_head, self._received = True, 0
        self.scope["extensions"] = {IN_HAND: {}}
        super().on_message_complete()
