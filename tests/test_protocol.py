"""Heads of requests, as bytes come in: bounded, whatever the parser would take."""

import socket
from urllib.parse import urlsplit

import httpx2

from graphql_admin.protocol import MAX_HEAD
from tests.processes import read_until, started
from tests.test_cli import SETTINGS


def test_head_without_end() -> None:
    """A head that goes on is refused and its connection closed; other requests are served."""
    with started("serve", GRAPHQL_ADMIN_PORT="0", **SETTINGS) as server:
        url = read_until("Listening on ", server.stderr).split()[-1]
        address = urlsplit(url)
        line = b"X-Padding: " + b"x" * 8000 + b"\r\n"
        sent = 0
        with socket.create_connection((address.hostname, address.port), timeout=30) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
            try:
                while sent < 100 * MAX_HEAD:
                    sent += client.send(line)
            except ConnectionError:
                pass
        assert MAX_HEAD < sent < 100 * MAX_HEAD
        with httpx2.Client(base_url=url, trust_env=False) as client:
            for _ in range(3):  # one connection, many heads
                large = client.post("/graphql", content=b"x" * 250_000)
                assert large.status_code == 401
                assert client.get("/healthz").status_code == 200
