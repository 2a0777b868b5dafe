"""HTTP/1.1 for uvicorn: the states of a connection, and what it accepts and rejects.

uvicorn's own protocol cannot be used for this, because of its parser, httptools: it returns all
requests of a read at once and cannot be paused between them, so the length of a pipeline is only
bounded by that of a read; and in a request with `Upgrade` it skips the body, wherever that may end.
No subclass can change the parser. So the head is found here by its empty line, parsed by a short
grammar (`heads`), and the body is consumed by its framing (`bodies`), whatever else the head
contains. uvicorn remains the server, with its state and the ASGI interface.

================================================  ======  ========================================
What arrives                                      Status  Then
================================================  ======  ========================================
`Upgrade`, also with a body, also `websocket`     –       ignored: RFC 9110, section 7.8
method CONNECT                                    501     closed
another method that is a token                    –       the application answers
HTTP/1.1                                          –       open, unless `Connection: close`
HTTP/1.0                                          –       closed after the response
HTTP/2 or another version                         505     closed
no version, or no request line                    400     closed
one empty line before the request line            –       ignored: RFC 9112, section 2.2
more empty lines there                            400     closed
a first byte of no method, such as TLS's          400     closed
line ends without CR, CR without LF               400     closed
control characters, NUL among them                400     closed
target `*` with OPTIONS                           –       the application gets the path `*`
target `*` with another method                    400     closed
target that is an http URL                        –       its authority counts, and not `Host`
target with a fragment, a blank or beyond ASCII   400     closed
no `Host` in HTTP/1.1, two, or no valid one       400     closed
two of Authorization, Content-Length/-Type        400     closed
field folded, without colon, blank before it      400     closed
blanks around a value                             –       not part of it
`Content-Length` that is not digits               400     closed
`Content-Length` of more than 18 digits           413     closed
`Transfer-Encoding: chunked`, in any case         –       read
other codings before `chunked`                    501     closed
codings that do not end with one `chunked`        400     closed
`Transfer-Encoding` and `Content-Length`          400     closed
`Transfer-Encoding` in HTTP/1.0                   400     closed
chunk extensions                                  –       dropped
trailers                                          –       dropped
chunks outside the grammar                        400     closed, if the body is asked for
lines of more than 4 KiB between chunks           400     closed
more than 64 KiB of chunk framing                 400     closed
`Expect: 100-continue`                            100     once the application asks for the body
another `Expect`                                  417     closed
request line of more than 64 KiB                  414     closed
head of more than 64 KiB                          431     closed
more than 100 fields                              431     closed
head that takes more than 10 s                    408     closed
no head at all in 10 s                            –       closed
nothing for 75 s after a response                 –       closed
the next request before the response              –       waits, and no more is read
a body that the application does not read         –       dropped, up to 1 MiB and 10 s
a response read at less than 512 KiB in 30 s      –       reset
more bytes of pending requests than the budget    503     closed, largest of the top client
more connections than the limit                   –       one closed: idle, of most, or new
end of input from the client                      –       complete requests are answered
================================================  ======  ========================================

If the client may still be sending, its connection is first closed for writing, and received data is
dropped for two seconds: with unread data, the kernel would send a reset, and the client might lose
the response because of it.
"""

import asyncio
from functools import partial
from math import inf
from typing import Any
from urllib.parse import unquote
from weakref import WeakKeyDictionary

import uvicorn
from uvicorn.protocols.utils import get_local_addr, get_remote_addr
from uvicorn.server import ServerState

from graphql_admin.serving.clients import Client, network_of
from graphql_admin.serving.connections import Bounds, Connections
from graphql_admin.serving.ending import Ending
from graphql_admin.serving.exchanges import Exchange
from graphql_admin.serving.heads import Head, Refused
from graphql_admin.serving.outgoing import Outgoing
from graphql_admin.serving.states import HEAD_TIME, LINGER, MAX_DISCARD, WRITE_TIME, State
from graphql_admin.telemetry import metrics
from graphql_admin.web.incoming import BODY_COMPLETE


def demand_uvicorn(config: uvicorn.Config) -> None:
    """Check that uvicorn has the private attributes that this module uses.

    Raises:
        RuntimeError: It does not, so this version of it is not supported.
    """
    if not config.loaded:
        config.load()
    taken = {
        ServerState(): ("connections", "default_headers", "tasks", "total_requests"),
        config: ("asgi_version", "loaded_app", "root_path"),
    }
    missing = [name for owner, names in taken.items() for name in names if not hasattr(owner, name)]
    if missing:
        raise RuntimeError(f"uvicorn {uvicorn.__version__} has no {', '.join(missing)}.")


_servers: WeakKeyDictionary[ServerState, Connections] = WeakKeyDictionary()
"""The connections of each server in this process."""


class Protocol(Ending, asyncio.BufferedProtocol):
    """A connection. uvicorn creates it, and calls `shutdown`; the event loop calls the rest.

    The scope of a request whose body arrived with its head has the extension `BODY_COMPLETE`.

    Args:
        config: uvicorn's configuration.
        server_state: uvicorn's server state, with its connections and tasks.
        app_state: The lifespan state of the application, for the scopes of requests.
        bounds: The limits; those of the first connection of a server apply.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        bounds: Bounds = Bounds(),  # noqa: B008  # immutable
    ) -> None:
        if not config.loaded:
            config.load()
        self._app = config.loaded_app
        self._root_path = config.root_path
        self._asgi = {"version": config.asgi_version, "spec_version": "2.3"}
        self._app_state = app_state
        loop = _loop or asyncio.get_running_loop()
        connections = _servers.get(server_state)
        if connections is None:
            connections = _servers[server_state] = Connections(bounds, loop, server_state.tasks)
        super().__init__(server_state, connections, loop)
        self._is_first = True
        """Whether no request has arrived yet."""

    # From the event loop

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection, if there is a place for it."""
        self._transport = transport
        self._out = Outgoing(transport, self._loop)
        self._client = get_remote_addr(transport)
        self.address = network_of(self._client[0]) if self._client else ""
        if not self._connections.admit(self):
            self._state = State.CLOSED
            transport.abort()
            return
        self._server_state.connections.add(self)  # type: ignore[arg-type]  # of its own protocols
        self._server = get_local_addr(transport)
        self._connections.idle[self] = None
        self.deadline = self._loop.time() + HEAD_TIME

    def get_buffer(self, _: int) -> memoryview:
        """Return the buffer to read into, which bounds the read."""
        connections = self._connections
        if self._large_read == connections.turns.number:
            return connections.large_buffer
        return connections.small_buffer

    def buffer_updated(self, size: int) -> None:
        """Process a read."""
        buffer = self.get_buffer(size)
        self._large_read = 0
        self._has_more = size == len(buffer)
        self.data_received(bytes(buffer[:size]))
        if self._has_more:
            self._settle()

    def data_received(self, data: bytes) -> None:
        """Process received data."""
        state = self._state
        if state is State.LINGERING or state is State.CLOSED:
            self._taken += len(data)
            if self._taken > MAX_DISCARD:
                self._close()
            return
        if self._is_last and state in (State.ANSWERING, State.TAKING):
            self._read(wanted=False)  # it would not be answered
            return
        self._arrivals.add(data)
        if state is State.HEAD:
            if self in self._connections.idle:
                del self._connections.idle[self]
                if not self._is_first:
                    self.deadline = self._loop.time() + HEAD_TIME
            heads = self._connections.turns.heads
            if not heads.enter():
                self._is_unseen = True
                heads.wait(Client(self.address, None), self._look)
                self._settle()
                return
        self._advance()

    def eof_received(self) -> bool:
        """Read no more; return whether there is still a request to answer."""
        if self._state not in (State.ANSWERING, State.TAKING) or self._exchange is None:
            return False
        self._client_ended = self._is_last = True
        self._exchange.keep_alive = False
        return True

    def connection_lost(self, _: Exception | None) -> None:
        """Clean up after the connection."""
        self._state = State.CLOSED
        self._server_state.connections.discard(self)
        self._connections.forget(self)
        self._drop()
        self._out.resume()
        self._account()
        if self._exchange is not None:
            self._exchange.disconnect()

    def pause_writing(self) -> None:
        """Record that the client reads slowly."""
        self._out.pause()
        self.deadline = self._loop.time() + WRITE_TIME
        self._account()

    def resume_writing(self) -> None:
        """Record that the client has read what was written."""
        self._out.resume()
        self.deadline = inf
        if self._state is State.TAKING:
            self._turn_to_next()
            self._advance()
        elif self._state in (State.LINGERING, State.CLOSED):
            self.deadline = self._loop.time() + LINGER
        elif self._state is State.DISCARDING:
            self.deadline = self._loop.time() + HEAD_TIME
        self._settle()

    # From uvicorn

    def shutdown(self) -> None:
        """Close, after the response if a request is in flight."""
        self._is_last = True
        if self._state in (State.BODY, State.ANSWERING):
            assert self._exchange is not None  # noqa: S101  # these states have one
            self._exchange.keep_alive = False
        elif self._state is State.HEAD and (
            self._is_unseen or (not self._arrivals.data and self._has_arrived())
        ):
            self.deadline = self._loop.time() + LINGER  # answer what has arrived first
        elif self._state is not State.CLOSED:
            self._close()

    # What arrives

    def _look(self) -> None:
        """Parse received data on its turn."""
        self._is_unseen = False
        self._advance()

    def _advance(self) -> None:
        """Consume as much of the received data as the state allows."""
        try:
            arrivals, more = self._arrivals, True
            while arrivals.data and more:
                if self._state is State.HEAD:
                    head = arrivals.take_head()
                    more = head is not None
                    if head is not None:
                        self._begin(head)
                elif self._state is State.BODY or self._state is State.DISCARDING:
                    more = self._take_body()
                else:
                    more = False
        except Refused as refusal:
            self.refuse(refusal)
        self._settle()

    def _begin(self, head: Head) -> None:
        self.deadline = inf
        self._is_first = False
        path = head.path.decode("ascii")
        if "%" in path:
            path = unquote(path)
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": self._asgi,
            "http_version": head.version,
            "server": self._server,
            "client": self._client,
            "scheme": "http",
            "method": head.method,
            "root_path": self._root_path,
            "path": self._root_path + path,
            "raw_path": self._root_path.encode("ascii") + head.path,
            "query_string": head.query,
            "headers": head.headers,
            "state": self._app_state.copy(),
            "extensions": {},
        }
        exchange = self._exchange = Exchange(scope, head, self)
        if self._is_last:
            exchange.keep_alive = False
        self._state = State.BODY
        self._taken = 0
        if self._arrivals.data or head.length == 0:
            self._take_body()
        if self._state is State.ANSWERING:
            scope["extensions"][BODY_COMPLETE] = {}
        turns = self._connections.turns
        is_probe = path in self._connections.bounds.probes
        starts = turns.probes if is_probe else turns.requests
        starts.add(self.client(), partial(self._run, exchange))

    async def _run(self, exchange: Exchange) -> None:
        if not exchange.disconnected:
            exchange.entered = True
            await exchange.run(self._app)

    def _take_body(self) -> bool:
        """Consume the received part of the body; return whether the body is complete."""
        assert self._exchange is not None  # noqa: S101  # reading the body
        try:
            content = self._arrivals.take_body()
        except Refused as refusal:
            self._break_off(refusal)
            return False
        is_complete = self._arrivals.body.complete
        self._taken += len(content)
        if self._state is State.BODY:
            self._exchange.feed(content, complete=is_complete)
            if is_complete:
                self._state = State.ANSWERING
                self._taken = 0
        elif is_complete:
            self._turn_to_next()
        elif self._taken > MAX_DISCARD:
            metrics.count_ended_connection("body")
            self._finish()
        return is_complete

    def _break_off(self, refusal: Refused) -> None:
        """Ignore the rest of an invalid body, and everything after it."""
        self._is_last = True
        self._drop()
        if self._state is State.DISCARDING:
            self._finish()
            return
        assert self._exchange is not None  # noqa: S101  # reading its body
        self._state = State.ANSWERING
        self._exchange.keep_alive = False
        self._exchange.fail(refusal)

    # What the exchange asks for

    async def drain(self) -> None:
        """Wait until the client has read what was written."""
        await self._out.drain()

    def ask_for_body(self) -> None:
        """Resume reading, if it paused because the application had not requested more."""
        self._settle()

    def may_go_on(self) -> bool:
        """Return whether the connection can take another request after the one in flight."""
        exchange = self._exchange
        if exchange is None or exchange.awaits_continue:
            return False  # the client may or may not send its body
        return not self._is_last and self._arrivals.body.remaining <= MAX_DISCARD

    def response_complete(self) -> None:
        """Continue with the next request after the client has read the response."""
        self._server_state.total_requests += 1
        if self._exchange is None or self._state not in (State.BODY, State.ANSWERING):
            return
        if not self._exchange.keep_alive:
            self._finish()
        elif self._state is State.BODY:
            self._state = State.DISCARDING
            self._taken = 0
            if self._out.may_write is None:
                self.deadline = self._loop.time() + HEAD_TIME
        else:
            self._turn_to_next()
        self._advance()

    def _turn_to_next(self) -> None:
        if self._out.may_write is not None:
            self._state = State.TAKING
            return
        self._exchange = None
        self._state = State.HEAD
        if self._is_last:
            self._finish()
        elif self._arrivals.data:
            self.deadline = self._loop.time() + HEAD_TIME
        else:
            self._connections.idle[self] = None
            self.deadline = self._loop.time() + self._connections.bounds.keep_alive
