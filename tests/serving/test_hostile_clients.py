"""What clients can do to a started server: its memory, its descriptors, and others' requests."""

import json
import os
import resource
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx2
import pytest
from graphql import get_introspection_query

from graphql_admin.serving.heads import MAX_HEAD
from tests.support.patience import PATIENCE
from tests.support.started import Server, served

MEGABYTE = 1024 * 1024

BOUND = 250.0
"""MiB that a server may come to, whatever clients do."""


@contextmanager
def serving(descriptors: int | None = None) -> Iterator[Server]:
    """A server that reads bodies without a token, which is the most that a stranger can have."""
    nowhere = "http://127.0.0.1:9"
    with served(nowhere, nowhere, descriptors=descriptors, INTROSPECTION="public") as server:
        yield server


def connect(server: Server) -> socket.socket:
    return socket.create_connection(server.address, timeout=PATIENCE)


def is_well(server: Server) -> bool:
    with httpx2.Client(base_url=server.url, trust_env=False, timeout=PATIENCE) as client:
        return client.get("/healthz").status_code == 200


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One for all attacks, for what one leaves behind would be seen in the next."""
    with serving() as server:
        yield server


def attack(server: Server, count: int, data: bytes) -> float:
    """Send `data` on each of so many connections as far as the server takes it, and read nothing.

    Returns:
        The most memory that the server came to, in MiB.
    """
    most = 0.0
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(count):
            client = stack.enter_context(connect(server))
            client.setblocking(False)
            selector.register(client, selectors.EVENT_WRITE, memoryview(data))
        ready = selector.select(1)
        end = time.monotonic() + PATIENCE
        while ready and time.monotonic() < end:
            for key, _ in ready:
                rest = send(key)
                if rest:
                    selector.modify(key.fileobj, selectors.EVENT_WRITE, rest)
                else:
                    selector.unregister(key.fileobj)
            most = max(most, server.memory())
            ready = selector.select(1)
        assert is_well(server)
        return max(most, server.memory())


def send(key: selectors.SelectorKey) -> memoryview | None:
    client, rest = key.fileobj, key.data
    assert isinstance(client, socket.socket)
    try:
        return rest[client.send(rest[:65_536]) :]  # type: ignore[no-any-return]  # of a view
    except OSError:
        return None


HEAD = b"POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
INTROSPECTION = json.dumps({"query": get_introspection_query()}).encode()
ATTACKS: dict[str, Callable[[], tuple[int, bytes]]] = {
    "lines that never end": lambda: (40, HEAD + b"X-Padding: xxxxxxxxxxxxxxxxxxx\r\n" * 100_000),
    "a head that never ends": lambda: (40, HEAD + b"X-Padding: " + b"x" * 4 * MEGABYTE),
    "heads that are almost whole": lambda: (1500, HEAD + b"X: " + b"x" * (MAX_HEAD - 100)),
    "a pipeline": lambda: (20, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 100_000),
    "a pipeline of refusals": lambda: (20, HEAD + b"Content-Length: 0\r\n\r\n" * 100_000),
    "bodies that are almost whole": lambda: (
        1000,
        HEAD + b"Content-Length: 250001\r\n\r\n" + b"x" * 250_000,
    ),
    "chunks that are almost none": lambda: (
        100,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 12_000,
    ),
    "bodies that are not read": lambda: (
        200,
        b"POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 900001\r\n\r\n" + b"x" * 900_000,
    ),
    "responses that clients do not read": lambda: (
        200,
        (HEAD + b"Content-Length: %d\r\n\r\n" % len(INTROSPECTION) + INTROSPECTION) * 100,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
def test_memory(server: Server, name: str) -> None:
    """The server stays small, and others are served while the attack goes on."""
    count, data = ATTACKS[name]()
    assert attack(server, count, data) < BOUND
    assert is_well(server)


@pytest.mark.slow
def test_descriptors() -> None:
    """Idle connections beyond the descriptors make room, and are no more than there is room for."""
    with serving(descriptors=128) as server, ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(connect(server))
        assert is_well(server)
        assert server.descriptors() < 128


@pytest.mark.slow
def test_no_descriptors_left() -> None:
    """A server that cannot accept connections does so again when it can."""
    with serving() as server, ExitStack() as stack:
        pid = server.program.pid
        assert is_well(server)
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (server.descriptors(), hard))
        for _ in range(20):
            with suppress(OSError):
                stack.enter_context(connect(server))
        started = cpu_seconds(pid)
        time.sleep(2)
        assert cpu_seconds(pid) - started < 1  # it does not spin
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
        assert is_well(server)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_end_in_good_order() -> None:
    """On SIGTERM idle connections close, what is in flight is answered, and the process ends."""
    with serving() as server, connect(server) as idle, connect(server) as busy:
        body = b'{"query": "{ __typename }"}'
        head = HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body)
        busy.sendall(head)
        assert busy.recv(65_536).startswith(b"HTTP/1.1 100 ")  # so it is in flight
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert idle.recv(65_536).startswith(b"HTTP/1.1 200 ")
        server.program.send(signal.SIGTERM)
        assert idle.recv(1) == b""
        busy.sendall(body)
        answer = b"".join(iter(lambda: busy.recv(65_536), b""))
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in answer
        assert server.program.wait() == 0
