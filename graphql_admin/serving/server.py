"""Runs uvicorn, from start-up to graceful shutdown."""

import gc
import math
import socket
from collections.abc import Callable
from functools import partial
from types import FrameType

import uvicorn

from graphql_admin.serving.connections import Bounds
from graphql_admin.serving.exchanges import Application
from graphql_admin.serving.protocol import Protocol, demand_uvicorn

_GRACE = 5
"""Seconds beyond the deadline of a request that shutdown waits for it."""

_GARBAGE_THRESHOLD = 100_000
"""New objects after which the garbage collector runs. A hundred concurrent long lists are as many,
and leave no cyclic garbage."""


def run(
    app: Application,
    listener: socket.socket,
    bounds: Bounds,
    *,
    deadline: float,
    on_start: Callable[[], None],
    on_stop: Callable[[], None],
) -> None:
    """Serve until a signal to stop; requests in flight are answered first.

    Args:
        app: The application.
        listener: The listening socket.
        bounds: The limits on clients.
        deadline: Seconds that one request may take.
        on_start: Called once, when the server accepts requests.
        on_stop: Called on a signal to stop.

    Raises:
        KeyboardInterrupt: A signal came before the server accepted requests.
        RuntimeError: This version of uvicorn is not supported.
    """
    config = uvicorn.Config(
        app,
        http=partial(Protocol, bounds=bounds),  # type: ignore[arg-type]  # a factory of protocols
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,  # the address of the client is not used
        server_header=False,
        timeout_graceful_shutdown=math.ceil(deadline) + _GRACE,
    )
    demand_uvicorn(config)
    server = _Server(config, on_start, on_stop)
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        if not server.started:
            raise
        # uvicorn has shut down gracefully, and then raised the signal again


class _Server(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, on_start: Callable[[], None], on_stop: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._on_start = on_start
        self._on_stop = on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # Existing objects are permanent: traversing them in every collection is most of what makes
        # some requests slower than others.
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GARBAGE_THRESHOLD)
        self._on_start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._on_stop()
        super().handle_exit(sig, frame)
