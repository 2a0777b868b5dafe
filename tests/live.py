"""A server as clients meet it: on a port of the loopback address, served by uvicorn."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp
from uvicorn.config import WSProtocolType

from graphql_admin.protocol import Protocol

PATIENCE = 30
"""Seconds after which a server that does not start, or does not end, fails its test."""


@contextmanager
def listening(
    app: ASGIApp, http: type[asyncio.Protocol] = Protocol, ws: WSProtocolType = "auto"
) -> Iterator[str]:
    """Serve `app` in a thread for as long as the context lasts, and yield its URL.

    Args:
        app: What is served.
        http: What speaks HTTP; by default what speaks it in this server.
        ws: What speaks WebSocket.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            app,
            http=http,
            ws=ws,
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
