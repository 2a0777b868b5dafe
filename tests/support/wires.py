"""Connections to this server of which one side is the test, without a socket."""

import asyncio
from collections.abc import Iterable
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from graphql_admin.serving.protocol import Protocol


class Wire(asyncio.Transport):
    """A connection of which one side is the test."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.sent = asyncio.Event()
        self.closed = asyncio.Event()

    def write(self, data: Any) -> None:
        self.pieces.append(bytes(data))
        self.sent.set()

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        self.closed.set()

    def is_closing(self) -> bool:
        return self.closed.is_set()

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def write_eof(self) -> None:
        self.close()

    def abort(self) -> None:
        self.close()


def connect(app: ASGIApp, number: int) -> list[tuple[Protocol, Wire]]:
    """Return connections to one server in the running event loop."""
    config = uvicorn.Config(app, log_config=None)
    config.load()
    server_state = ServerState()
    connections = []
    for _ in range(number):
        protocol = Protocol(config=config, server_state=server_state, app_state={})
        wire = Wire()
        protocol.connection_made(wire)
        connections.append((protocol, wire))
    return connections
