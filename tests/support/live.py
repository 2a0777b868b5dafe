"""A server as clients meet it: on a port of the loopback address, served by uvicorn."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import uvicorn
from starlette.types import ASGIApp

from graphql_admin.serving.connections import Bounds
from graphql_admin.serving.protocol import Protocol

DEFAULTS = Bounds()

PATIENCE = 30
"""Seconds after which a server that does not start, or does not end, fails its test."""


@contextmanager
def listening(
    app: ASGIApp, bounds: Bounds = DEFAULTS, http: type[asyncio.Protocol] | None = None
) -> Iterator[str]:
    """Serve `app` in a thread for as long as the context lasts, and yield its URL.

    Args:
        app: What is served.
        bounds: What clients may take.
        http: What speaks HTTP in place of this server's own protocol.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            app,
            http=http or partial(Protocol, bounds=bounds),  # type: ignore[arg-type]  # it is called
            ws="none",
            log_level="critical",
            access_log=False,
            server_header=False,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            end = time.monotonic() + PATIENCE
            while not server.started:
                assert thread.is_alive(), "the server did not start"
                assert time.monotonic() < end, "the server does not start"
                time.sleep(0.01)
            yield "http://{}:{}".format(*listener.getsockname())
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
            assert not thread.is_alive(), "the server does not end"
