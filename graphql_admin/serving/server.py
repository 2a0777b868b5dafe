"""The server process: uvicorn, from the first request to the last answer."""

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
"""Seconds beyond the deadline of a request in which it can be answered while shutting down."""

_GARBAGE_THRESHOLD = 100_000
"""New objects after which the collector looks at them. A hundred long lists at once are as many,
and leave no garbage behind that would take a collector."""


def run(
    app: Application,
    listener: socket.socket,
    bounds: Bounds,
    *,
    deadline: float,
    on_start: Callable[[], None],
    on_stop: Callable[[], None],
) -> None:
    """Serve until a signal says stop; requests in flight are answered first.

    Args:
        app: What to serve.
        listener: Where to listen.
        bounds: What clients may take of the server.
        deadline: Seconds that one request may take.
        on_start: Called once, when requests are answered.
        on_stop: Called when a signal says stop.

    Raises:
        KeyboardInterrupt: A signal came before requests were answered.
        RuntimeError: This version of uvicorn will not do.
    """
    config = uvicorn.Config(
        app,
        http=partial(Protocol, bounds=bounds),  # type: ignore[arg-type]  # it makes protocols
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,  # nothing here asks where a request came from
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
        # uvicorn has stopped in good order, and only then passed the signal on


class _Server(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, on_start: Callable[[], None], on_stop: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._on_start = on_start
        self._on_stop = on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What there is by now stays: to look through it for garbage, again and again, is most of
        # what makes some requests slower than others.
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GARBAGE_THRESHOLD)
        self._on_start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._on_stop()
        super().handle_exit(sig, frame)
