"""Connections to this server of which one side is the test, without a socket."""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from graphql_admin.serving.connections import Bounds
from graphql_admin.serving.protocol import Protocol

DEFAULTS = Bounds()


class Wire(asyncio.Transport):
    """A connection of which one side is the test.

    Args:
        address: The IP address that it comes from.
    """

    def __init__(self, address: str = "127.0.0.1") -> None:
        super().__init__({"peername": (address, 1)})
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


def connect(app: ASGIApp, number: int, bounds: Bounds = DEFAULTS) -> list[tuple[Protocol, Wire]]:
    """Return connections to one server in the running event loop."""
    return list(connecting(app, ["127.0.0.1"] * number, bounds))


def connecting(
    app: ASGIApp, addresses: Iterable[str], bounds: Bounds = DEFAULTS
) -> Iterator[tuple[Protocol, Wire]]:
    """Yield connections to one server in the running event loop, one after the other.

    Args:
        app: What is served.
        addresses: The IP address that each comes from.
        bounds: What clients may take.
    """
    config = uvicorn.Config(app, log_config=None)
    config.load()
    server_state = ServerState()
    for address in addresses:
        protocol = Protocol(config=config, server_state=server_state, app_state={}, bounds=bounds)
        wire = Wire(address)
        protocol.connection_made(wire)
        yield protocol, wire
