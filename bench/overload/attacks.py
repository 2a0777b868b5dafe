"""What an attack is, and what it attacks."""

import asyncio
import json
import socket
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, ClassVar

from bench.measure import Stub
from bench.operations import GET, Request
from bench.people import Person

VIEWER = "{ viewer { username } }"
"""Takes a token and nothing else: no call to Cognito, no right."""

PATIENCE = 30.0
"""Seconds after which a request of an attack is given up."""


class Target:
    """A running server to attack.

    Args:
        port: Of loopback, where it listens.
        stub: The Cognito that it stands in front of.
    """

    def __init__(self, port: int, stub: Stub) -> None:
        self.port = port
        self.stub = stub
        self.user = stub.make_token("somebody", [])
        """The token of an ordinary user, without any right."""
        self.admin = stub.tokens[0]
        """The token of an administrator; the other caller, who is watched, is another one."""

    @asynccontextmanager
    async def connected(
        self, count: int, *, buffer: int | None = None
    ) -> AsyncIterator[list[socket.socket]]:
        """Hold as many connections as the server takes of so many.

        Args:
            count: How many.
            buffer: Bytes that the kernel keeps of what is not read here; None: as many as it does.
        """
        loop = asyncio.get_running_loop()
        sockets: list[socket.socket] = []
        try:
            for _ in range(count):
                each = socket.socket()
                sockets.append(each)
                each.setblocking(False)
                if buffer is not None:
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
                try:
                    async with asyncio.timeout(1):
                        await loop.sock_connect(each, ("127.0.0.1", self.port))
                except OSError:  # a time-out is one
                    each.close()
            yield [each for each in sockets if each.fileno() >= 0]
        finally:
            for each in sockets:
                each.close()

    async def send_all(self, sockets: Iterable[socket.socket], data: bytes, limit: float) -> int:
        """Send the same on every connection, and read nothing.

        Args:
            sockets: The connections.
            data: What to send.
            limit: Seconds after which what is not taken yet is left.

        Returns:
            On how many connections all of it was taken.
        """
        loop = asyncio.get_running_loop()

        async def send(each: socket.socket) -> bool:
            try:
                async with asyncio.timeout(limit):
                    await loop.sock_sendall(each, data)
            except OSError:
                return False
            return True

        return sum(await asyncio.gather(*map(send, sockets)))

    async def ask_each(
        self, requests: Iterable[bytes], *, at_once: int, seconds: float
    ) -> Counter[str]:
        """Send requests on connections that are kept, and read the answers.

        Args:
            requests: Whole requests, as they go over the wire.
            at_once: On so many connections.
            seconds: When to begin no more.

        Returns:
            How many ended how.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        waiting = iter(requests)
        outcomes: Counter[str] = Counter()

        async def ask() -> None:
            async with AsyncExitStack() as stack:
                streams = None
                for request in waiting:
                    if loop.time() >= until:
                        return
                    try:
                        async with asyncio.timeout(PATIENCE):
                            if streams is None:
                                streams = await asyncio.open_connection("127.0.0.1", self.port)
                                stack.callback(streams[1].close)
                            outcome, is_open = await _exchange(*streams, request)
                    except (OSError, EOFError) as error:
                        outcome, is_open = type(error).__name__, False
                    outcomes[outcome] += 1
                    if not is_open:
                        streams = None

        await asyncio.gather(*(ask() for _ in range(at_once)))
        return outcomes


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> tuple[str, bool]:
    writer.write(request)
    await writer.drain()
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
    body = await reader.readexactly(length)
    status = head.split(b" ", 2)[1].decode()
    outcome = status
    if status == "200" and b'"errors"' in body[:12]:
        outcome = str(json.loads(body)["errors"][0]["extensions"]["code"])
    return outcome, b"connection: close" not in head


def graphql(
    query: str, token: str | None, variables: Mapping[str, Any] | None = None, **more: str
) -> bytes:
    """A GraphQL request as it goes over the wire; `more` are further headers."""
    headers = {"Content-Type": "application/json", **more}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    body = {"query": query, "variables": variables}
    return Request("POST", "/graphql", headers, json.dumps(body).encode()).to_bytes()


def get_user(person: Person, token: str) -> bytes:
    """A request for one user, which takes one call to Cognito."""
    return graphql(GET.document, token, {"username": person.username})


def told(outcomes: Counter[str]) -> str:
    """How the requests of an attack ended, for people."""
    return ", ".join(f"{count} × {outcome}" for outcome, count in outcomes.most_common(4))


class Attack(ABC):
    """One attack, which a row of the table is about.

    Its name for the command line is `name`; what it does, for people, is its docstring's first
    line.
    """

    name: ClassVar[str]

    settings: ClassVar[Mapping[str, str]] = {}
    """Of the server, without the prefix of their variables, where not those of the bench."""

    descriptors: ClassVar[int | None] = None
    """File descriptors that the server may have; None: as many as this process."""

    query: ClassVar[str] = VIEWER
    """What the other caller asks for meanwhile."""

    variables: ClassVar[Mapping[str, Any]] = {}
    """Of that query."""

    interval: ClassVar[float] = 0.1
    """Seconds between two requests of the other caller."""

    @classmethod
    def title(cls) -> str:
        """What it does, for people."""
        return (cls.__doc__ or "").partition("\n")[0].rstrip(".")

    @abstractmethod
    async def run(self, target: Target) -> str:
        """Attack; return what the attacker saw of it, for people."""


def numbered(texts: Sequence[str], count: int) -> Iterable[str]:
    """Repeat texts, each time with another comment, so that no cache has seen them."""
    for number in range(count):
        yield f"#{number}\n{texts[number % len(texts)]}"
