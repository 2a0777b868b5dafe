"""What clients can do to a started server: its memory, its descriptors, and others' requests."""

import json
import os
import resource
import selectors
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from graphql import get_introspection_query

from graphql_admin.heads import MAX_HEAD
from tests.processes import PATIENCE, read_until, started
from tests.test_cli import SETTINGS

MEGABYTE = 1024 * 1024

BOUND = 250 * MEGABYTE
"""Memory that a server may come to, whatever clients do."""


class Server:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.url = read_until("Listening on ", process.stderr).split()[-1]
        parts = urlsplit(self.url)
        self.address = (parts.hostname, parts.port)
        # A log that is not read would stop the server.
        threading.Thread(target=lambda: deque(process.stderr or (), maxlen=0), daemon=True).start()

    def memory(self) -> int:
        """Bytes that are resident."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * resource.getpagesize()

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=PATIENCE)

    def is_well(self) -> bool:
        with httpx2.Client(base_url=self.url, trust_env=False, timeout=PATIENCE) as client:
            return client.get("/healthz").status_code == 200


@contextmanager
def serving(wrapper: Sequence[str] = ()) -> Iterator[Server]:
    """A server that reads bodies without a token, which is the most that a stranger can have."""
    variables = SETTINGS | {
        "GRAPHQL_ADMIN_PORT": "0",
        "GRAPHQL_ADMIN_INTROSPECTION": "public",
    }
    with started("serve", wrapper=wrapper, patience=5 * PATIENCE, **variables) as process:
        yield Server(process)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One for all attacks, for what one leaves behind would be seen in the next."""
    with serving() as server:
        yield server


def attack(server: Server, count: int, data: bytes) -> int:
    """Send `data` on each of so many connections as far as the server takes it, and read nothing.

    Returns:
        The most memory that the server came to.
    """
    most = 0
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(count):
            client = stack.enter_context(server.connect())
            client.setblocking(False)
            selector.register(client, selectors.EVENT_WRITE, memoryview(data))
        ready = selector.select(1)
        end = time.monotonic() + 20
        while ready and time.monotonic() < end:
            for key, _ in ready:
                rest = send(key)
                if rest:
                    selector.modify(key.fileobj, selectors.EVENT_WRITE, rest)
                else:
                    selector.unregister(key.fileobj)
            most = max(most, server.memory())
            ready = selector.select(1)
        assert server.is_well()
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
    "bodies that nobody reads": lambda: (
        200,
        b"POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 900001\r\n\r\n" + b"x" * 900_000,
    ),
    "answers that nobody takes": lambda: (
        200,
        (HEAD + b"Content-Length: %d\r\n\r\n" % len(INTROSPECTION) + INTROSPECTION) * 100,
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_memory(server: Server, name: str) -> None:
    """The server stays small, and others are served while the attack goes on."""
    count, data = ATTACKS[name]()
    assert attack(server, count, data) < BOUND
    assert server.is_well()


def test_descriptors() -> None:
    """Idle connections beyond the descriptors make room, and are no more than there is room for."""
    few = ("sh", "-c", 'ulimit -n 128 && exec "$0" "$@"')
    with serving(wrapper=few) as server, ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(server.connect())
        assert server.is_well()
        assert server.descriptors() < 128


def test_no_descriptors_left() -> None:
    """A server that cannot accept connections does so again when it can."""
    with serving() as server, ExitStack() as stack:
        pid = server.process.pid
        assert server.is_well()
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (server.descriptors(), hard))
        for _ in range(20):
            with suppress(OSError):
                stack.enter_context(server.connect())
        began = cpu_seconds(pid)
        time.sleep(2)
        assert cpu_seconds(pid) - began < 1  # it does not spin
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
        assert server.is_well()


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_end_in_good_order() -> None:
    """On SIGTERM idle connections close, what is in flight is answered, and the process ends."""
    with serving() as server, server.connect() as idle, server.connect() as busy:
        body = b'{"query": "{ __typename }"}'
        head = HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body)
        busy.sendall(head)
        assert busy.recv(65_536).startswith(b"HTTP/1.1 100 ")  # so it is in flight
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert idle.recv(65_536).startswith(b"HTTP/1.1 200 ")
        server.process.send_signal(signal.SIGTERM)
        assert idle.recv(1) == b""
        busy.sendall(body)
        answer = b"".join(iter(lambda: busy.recv(65_536), b""))
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in answer
        assert server.process.wait(PATIENCE) == 0


def test_curl_that_offers_http2(server: Server) -> None:
    """Curl's offer of HTTP/2 is not taken, and its request is answered."""
    url, body = f"{server.url}/graphql", '{"query": "{ __typename }"}'
    options = (
        "-sS",
        "--noproxy",
        "*",
        "--http2",
        "-H",
        "Content-Type: application/json",
        "-d",
        body,
    )
    command = ["curl", *options, "-w", "%{http_version} %{http_code}", url]
    reply = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
    assert reply.stderr == b""
    assert reply.stdout == b'{"data":{"__typename":"Query"}}1.1 200'
