"""A request and its response in ASGI, version 2.3: https://asgi.readthedocs.io."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http import HTTPStatus
from typing import Any, Protocol, TypeAlias

from graphql_admin.serving.heads import Head, Refused

log = logging.getLogger("uvicorn.error")

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Application: TypeAlias = Callable[
    [Scope, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]
"""An ASGI application."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def status_line(status: int) -> bytes:
    """Return the status line of a response."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode("ascii")


_STATUS_LINES = {status: status_line(status) for status in range(100, 600)}

_FAULT: list[Message] = [
    {
        "type": "http.response.start",
        "status": 500,
        "headers": [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"21"),
            (b"connection", b"close"),
        ],
    },
    {"type": "http.response.body", "body": b"Internal Server Error"},
]


class Carrier(Protocol):
    """The interface of a connection for its exchange."""

    @property
    def default_headers(self) -> bytes:
        """Header lines of every response."""

    def write(self, pieces: list[bytes], *, at_once: bool) -> None:
        """Send data; `at_once`, or together with other writes in this turn of the loop."""

    async def drain(self) -> None:
        """Wait until the client has read what was written."""

    def ask_for_body(self) -> None:
        """Resume reading, if it paused because the application had not requested more."""

    def may_go_on(self) -> bool:
        """Return whether the connection can take another request after this one."""

    def refuse(self, refusal: Refused) -> None:
        """Respond in place of the application, and close."""

    def close(self) -> None:
        """Close after all written data has been sent."""

    def response_complete(self) -> None:
        """Continue with the next request."""


class Exchange:
    """A request that the application answers.

    Args:
        scope: The ASGI scope.
        head: The request's head.
        carrier: Its connection.
    """

    __slots__ = (
        "_arrived",
        "_body",
        "_body_complete",
        "_carrier",
        "_chunked",
        "_delivered",
        "_has_content",
        "_head",
        "_is_head",
        "_left",
        "_refusal",
        "awaits_continue",
        "complete",
        "disconnected",
        "entered",
        "keep_alive",
        "scope",
        "started",
    )

    def __init__(self, scope: Scope, head: Head, carrier: Carrier) -> None:
        self.scope = scope
        self._carrier = carrier
        self.keep_alive = head.keep_alive
        """Whether another request may follow."""
        self.awaits_continue = head.expects_continue
        """Whether the client waits for `100 Continue` before it sends the body."""
        self._body: bytes | bytearray = b""
        """The part of the body that has arrived and was not delivered yet."""
        self._body_complete = False
        self._delivered = False
        """Whether the application has all of the body."""
        self._refusal: Refused | None = None
        """Why the rest of the body is not available."""
        self._arrived: asyncio.Event | None = None
        self.disconnected = False
        """Whether the client has disconnected."""
        self.entered = False
        """Whether the application runs, or has run."""
        self.started = False
        """Whether the application has sent the head of the response."""
        self.complete = False
        """Whether the application has sent all of the response."""
        self._head: list[bytes] = []
        """The head of the response, which is sent with the first part of its body."""
        self._is_head = head.method == "HEAD"
        self._has_content = True
        self._chunked = head.version == "1.1"
        """Whether a response of unknown length is chunked. If not, the end of the connection
        delimits it."""
        self._left = 0
        """Remaining bytes of the response's body, if its length is known."""

    async def run(self, app: Callable[..., Awaitable[object]]) -> None:
        """Run the application."""
        try:
            result = await app(self.scope, self.receive, self.send)
        except BaseException as error:  # the client gets a response for any of them
            log.error("Exception in ASGI application\n", exc_info=error)
            await self._fail()
        else:
            if result is not None:
                log.error("ASGI callable should return None, but returned '%s'.", result)
                self._carrier.close()
            elif not self.complete and not self.disconnected:
                missing = "completing" if self.started else "starting"
                log.error("ASGI callable returned without %s response.", missing)
                await self._fail()

    async def _fail(self) -> None:
        if self.started and not self._head:
            self._carrier.close()  # a response has been started
            return
        self.started, self._head = False, []  # none of it has been sent
        for message in _FAULT:
            await self.send(message)

    # From the connection

    @property
    def unread(self) -> int:
        """Bytes of the body that the application has not received yet."""
        return len(self._body)

    def feed(self, content: bytes, *, complete: bool) -> None:
        """Add data to the body.

        Args:
            content: The data.
            complete: Whether it is the last.
        """
        if not self._body:
            self._body = content
        else:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += content
        self._body_complete = complete
        self._wake()

    def fail(self, refusal: Refused) -> None:
        """Record why the rest of the body is not available, in case it is requested."""
        self._refusal = refusal
        self._wake()

    def disconnect(self) -> None:
        """Record that the client has disconnected."""
        self.disconnected = True
        self._body = b""
        self._wake()

    def _wake(self) -> None:
        if self._arrived is not None:
            self._arrived.set()

    # From the application

    async def receive(self) -> Message:
        """Return the next ASGI message of the request, or a disconnect."""
        if self.awaits_continue and not self.started and not self.disconnected:
            self.awaits_continue = False
            self._carrier.write([CONTINUE], at_once=True)
        while not (self.disconnected or self.complete):
            if self._body or (self._body_complete and not self._delivered):
                body, self._body = bytes(self._body), b""
                self._delivered = self._body_complete
                return {"type": "http.request", "body": body, "more_body": not self._delivered}
            if self._refusal is not None:
                self._carrier.refuse(self._refusal)
                break
            self._carrier.ask_for_body()
            if self._arrived is None:
                self._arrived = asyncio.Event()
            self._arrived.clear()
            await self._arrived.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Process the next ASGI message of the response.

        Raises:
            RuntimeError: It is unexpected, or contradicts the head of the response.
        """
        if self.disconnected:
            return
        kind = message["type"]
        if not self.started:
            if kind != "http.response.start":
                raise RuntimeError(f"Expected 'http.response.start', but got '{kind}'.")
            # It is sent with the first part of the body, as ASGI requires.
            self._head = self._make_head(message["status"], message.get("headers", ()))
            self.started = True
        elif self.complete:
            raise RuntimeError(f"Unexpected '{kind}', after the response was completed.")
        elif kind != "http.response.body":
            raise RuntimeError(f"Expected 'http.response.body', but got '{kind}'.")
        else:
            more = message.get("more_body", False)
            pieces = self._make_body(message.get("body", b""), more=more)
            if self._head:
                pieces = [*self._head, *pieces]
                self._head = []
            self.complete = not more
            self._carrier.write(pieces, at_once=not more)
            if more:
                await self._carrier.drain()
            else:
                self._wake()
                self._carrier.response_complete()

    def _make_head(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
        """Return the head of the response, and record how its body is framed.

        Raises:
            RuntimeError: A header contains a line break or a NUL.
        """
        named = list(headers)
        fields = dict(named)
        if fields and not b"".join(fields).islower():  # as ASGI requires
            raise RuntimeError("Invalid HTTP header.")
        if b"transfer-encoding" in fields:  # which this module sets
            named = [header for header in named if header[0] != b"transfer-encoding"]
        text = b"\r\n".join(map(b": ".join, named)) + b"\r\n" if named else b""
        if text.count(b"\r") != len(named) or text.count(b"\n") != len(named) or b"\0" in text:
            raise RuntimeError("Invalid HTTP header.")
        length = fields.get(b"content-length")
        closes = b"connection" in fields and b"close" in [
            option.strip() for option in fields[b"connection"].lower().split(b",")
        ]
        if closes or not self._carrier.may_go_on():
            self.keep_alive = False
        self._has_content = not self._is_head and status not in {204, 304}
        framing = self._frame(length) if self._has_content else b""
        if not self.keep_alive and not closes:
            framing = b"connection: close\r\n" + framing
        return [_STATUS_LINES[status], self._carrier.default_headers, text, framing, b"\r\n"]

    def _frame(self, length: bytes | None) -> bytes:
        """Return the header line for the framing of the body, if the application set none."""
        if length is not None:
            self._left = int(length)
            self._chunked = False
        elif self._chunked:
            return b"transfer-encoding: chunked\r\n"
        else:
            self._left = -1  # delimited by the end of the connection
            self.keep_alive = False
        return b""

    def _make_body(self, body: bytes, *, more: bool) -> list[bytes]:
        """Return a part of the body with its framing.

        Raises:
            RuntimeError: The body is longer or shorter than its Content-Length.
        """
        if not self._has_content:
            return []
        if self._chunked:
            pieces = [b"%x\r\n" % len(body), body, b"\r\n"] if body else []
            if not more:
                pieces.append(b"0\r\n\r\n")
            return pieces
        if self._left >= 0:
            self._left -= len(body)
            if self._left < 0:
                raise RuntimeError("Response content longer than Content-Length")
            if self._left and not more:
                raise RuntimeError("Response content shorter than Content-Length")
        return [body]
