"""The end of a connection, and the data that it holds until then."""

import asyncio
import select
from math import inf

from uvicorn.server import ServerState

from graphql_admin.serving.arrivals import Arrivals
from graphql_admin.serving.clients import Client
from graphql_admin.serving.connections import Connections
from graphql_admin.serving.exchanges import Exchange, status_line
from graphql_admin.serving.heads import Refused
from graphql_admin.serving.outgoing import Outgoing
from graphql_admin.serving.states import (
    HIGH_WATER,
    LINGER,
    MIN_TAKEN,
    WRITE_TIME,
    State,
)
from graphql_admin.telemetry import metrics


class Ending:
    """The part of a connection that ends it: by itself, by its time limits, or in favour of others.

    Args:
        server_state: uvicorn's server state.
        connections: All connections of the server.
        loop: The running event loop.
    """

    address: str

    def __init__(
        self,
        server_state: ServerState,
        connections: Connections,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._server_state = server_state
        self._connections = connections
        self._loop = loop
        self._transport: asyncio.Transport
        self._state = State.HEAD
        self._is_last = False
        """Whether the next request is the last one, or the current one if there is one."""
        self._client_ended = False
        """Whether the client will send no more."""
        self.deadline = inf
        self._arrivals = Arrivals()
        self._is_unseen = False
        """Whether it waits for its turn to parse received data."""
        self._is_reading = True
        self._wants_to_read = True
        """Whether it reads, or will on its turn."""
        self._has_more = False
        """Whether the last read filled the buffer, so that there may be more."""
        self._waits_to_read = False
        """Whether it waits for its turn to read on."""
        self._large_read = 0
        """The turn of the event loop in which a read may be a large one."""
        self._taken = 0
        """Bytes of an incomplete body that were read, or, once it is discarded, dropped."""
        self._exchange: Exchange | None = None
        self._out: Outgoing
        self.held = 0

    @property
    def default_headers(self) -> bytes:
        """Header lines of every response."""
        return self._connections.to_lines(self._server_state.default_headers)

    def write(self, pieces: list[bytes], *, at_once: bool) -> None:
        """Send data; `at_once`, or together with other writes in this turn of the loop."""
        if self._state is not State.LINGERING:
            self._out.write(pieces, at_once=at_once)

    def refuse(self, refusal: Refused) -> None:
        """Respond with a status, in place of the application, and close."""
        metrics.count_ended_connection("refused")
        exchange = self._exchange
        if exchange is not None and not exchange.complete:
            if exchange.started:
                self.close()  # a response has been started
                return
            exchange.disconnect()
        body = f"{refusal.reason}\n".encode()
        self.write(
            [
                status_line(refusal.status),
                self.default_headers,
                b"content-type: text/plain; charset=utf-8\r\n",
                b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body),
                body,
            ],
            at_once=True,
        )
        self._finish()

    def close(self) -> None:
        """Close after all written data has been sent."""
        self._close()

    def abort(self) -> None:
        """Close at once with a reset, so that the kernel, too, drops pending data."""
        self._state = State.CLOSED
        self._connections.forget(self)
        if self._exchange is not None:
            self._exchange.disconnect()
        self._drop()
        self._out.reset()
        self._account()

    def _finish(self) -> None:
        """Close after the client has read the response; see the docstring of `protocol`."""
        is_all = self._state is State.ANSWERING and self._arrivals.body.complete
        if self._client_ended or (is_all and not self._arrivals.data and self._is_reading):
            self._close()
            return
        self._drop()
        self._out.flush()
        if self._transport.is_closing():
            return
        self._state = State.LINGERING
        self._transport.write_eof()
        if self._out.may_write is None:
            self.deadline = self._loop.time() + LINGER

    def _close(self) -> None:
        self._out.flush()
        self._state = State.CLOSED
        self._connections.idle.pop(self, None)
        self._drop()
        self._account()
        self._transport.close()
        self.deadline = self._loop.time() + WRITE_TIME

    # From the server's other connections

    @property
    def is_executing(self) -> bool:
        """Whether the application executes a request, and has not responded yet.

        Without all of its body, it only waits.
        """
        exchange = self._exchange
        return (
            self._state is State.ANSWERING
            and exchange is not None
            and exchange.entered
            and not exchange.started
        )

    def client(self) -> Client:
        """Return the client for whom it holds data.

        Only the application can verify a token, so the caller is known if it did so before.
        """
        if self._exchange is not None:
            for name, value in self._exchange.scope["headers"]:
                if name == b"authorization":
                    identify = self._connections.bounds.identify
                    return Client(self.address, identify(value.decode("latin-1")))
        return Client(self.address, None)

    def expire(self) -> None:
        """Handle the deadline."""
        if self._out.may_write is not None and self._out.take_stock() >= MIN_TAKEN:
            self.deadline = self._loop.time() + WRITE_TIME
            self._account()
        elif self._out.may_write is not None or self._state is State.CLOSED:
            metrics.count_ended_connection("unread")
            self.abort()
        elif self._state is State.HEAD and self._arrivals.data:
            metrics.count_ended_connection("head")
            self.refuse(Refused(408, "The head of the request did not arrive in time."))
            self._settle()
        elif self._state is State.HEAD and self._has_arrived():
            self.deadline = self._loop.time() + LINGER
        else:
            if self._state is State.DISCARDING:
                metrics.count_ended_connection("body")
            self._close()

    def make_room(self) -> bool:
        """Close it if it is still idle; return whether it was."""
        if self._has_arrived():
            return False
        self._close()
        self._connections.forget(self)
        return True

    def give_up(self) -> None:
        """End the incomplete request, or whatever else holds data, and free it."""
        if self._out.untaken:
            self.abort()
            return
        if self._state in (State.HEAD, State.BODY):
            self.refuse(Refused(503, "The server has too little memory for the request now."))
        elif self._exchange is not None:
            self._is_last = True
            self._exchange.keep_alive = False
            self._read(wanted=False)
        self._drop()
        self._account()

    def _has_arrived(self) -> bool:
        """Return whether data has arrived that the event loop has not read yet.

        Closing would then reset the connection, and the client could not know whether its mutation
        was carried out.
        """
        client = self._transport.get_extra_info("socket")
        if client is None:
            return False
        poll = select.poll()
        poll.register(client.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    # Memory, and reading

    def _settle(self) -> None:
        """Count the held bytes, and continue reading if there is memory for more."""
        self._account()
        if self._is_unseen:
            self._read(wanted=False)
        elif self._state in (State.ANSWERING, State.TAKING):
            if not self._is_last:
                self._read(wanted=not self._arrivals.data)
        elif self._state is State.BODY:
            assert self._exchange is not None  # noqa: S101  # reading the body
            self._read(wanted=self._exchange.unread < HIGH_WATER)
        elif self._state is not State.CLOSED:
            self._read(wanted=True)

    def _read(self, *, wanted: bool) -> None:
        """Resume or pause reading.

        A client that sends more than a small read at a time waits for a turn to be read from again.
        So the bytes read in one turn of the event loop are bounded, however much has arrived.
        """
        if wanted and self._is_reading and not self._has_more:
            return
        self._wants_to_read = wanted
        if wanted and self._has_more:
            if self._waits_to_read:
                return
            turns = self._connections.turns
            if turns.reads.enter():
                self._has_more, self._large_read = False, turns.number
            else:
                self._waits_to_read = True
                turns.reads.wait(self.client(), self._read_on)
                wanted = False
        if wanted is self._is_reading or self._client_ended or self._transport.is_closing():
            return
        self._is_reading = wanted
        if wanted:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _read_on(self) -> None:
        """Resume reading on its turn, if still wanted."""
        self._waits_to_read = False
        if self._wants_to_read:
            self._has_more, self._large_read = False, self._connections.turns.number
            self._read(wanted=True)

    def _account(self) -> None:
        held = len(self._arrivals.data) + self._out.untaken
        if self._state is State.BODY:
            held += self._taken
        change = held - self.held
        if change:
            self.held = held
            self._connections.hold(change)

    def _drop(self) -> None:
        self._arrivals.drop()
        self._taken = 0
