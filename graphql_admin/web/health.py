"""Liveness and readiness of this server, and its shutdown."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from graphql_admin.cognito.pool import UserPool
from graphql_admin.errors import AdminError, ShuttingDown
from graphql_admin.tokens.keys import Issuers
from graphql_admin.web.answers import refuse

PATHS = frozenset({"/healthz", "/readyz"})
"""Paths of the probes."""

_PAUSE = 5.0
"""Seconds between two checks for keys and credentials."""


class Health:
    """The state of this server: what it waits for, and whether it is shutting down.

    Args:
        issuers: The issuers of tokens, with the keys to verify them.
        pool: The user pool, with the credentials to call it.
        root_path: The prefix below which probes that come through a proxy are answered, too.
    """

    def __init__(self, issuers: Issuers, pool: UserPool, root_path: str = "") -> None:
        self.paths = PATHS | {root_path + path for path in PATHS}
        """Paths that are served during shutdown, and for any host."""
        self._issuers = issuers
        self._pool = pool
        self.draining = False

    def drain(self) -> None:
        """Accept no more requests. Those in flight are answered."""
        self.draining = True

    def obstacles(self) -> Iterator[str]:
        """Yield what keeps this server from being ready."""
        if not self._issuers.available:
            yield "keys"
        if not self._pool.keyring.available:
            yield "credentials"
        if self.draining:
            yield "draining"

    @asynccontextmanager
    async def getting_ready(self) -> AsyncIterator[None]:
        """Fetch keys and credentials in the background, and the keys again when they are old.

        Requests cause old keys to be fetched, too. But after a night without requests, the first
        one may have a token with a new key, and would be rejected.
        """
        task = asyncio.create_task(self._get_ready())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _get_ready(self) -> None:
        while True:
            if not self._pool.keyring.available:
                with suppress(AdminError):  # it is logged
                    await self._pool.keyring.signer()
            await self._issuers.load_missing()
            self._issuers.keep_fresh()
            await asyncio.sleep(_PAUSE)

    def routes(self) -> list[Route]:
        """Return the routes of the probes."""
        endpoints = {"/healthz": self.healthz, "/readyz": self.readyz}
        return [
            Route(path, endpoint)
            for path in sorted(self.paths)
            for name, endpoint in endpoints.items()
            if path.endswith(name)
        ]

    async def healthz(self, _: Request) -> Response:
        """Respond that the process is alive."""
        return PlainTextResponse("ok\n")

    async def readyz(self, _: Request) -> Response:
        """Respond whether requests can be served, and if not, why."""
        obstacles = list(self.obstacles())
        body = orjson.dumps({"ready": not obstacles, "waiting_for": obstacles})
        return Response(body, 503 if obstacles else 200, media_type="application/json")


class Draining:
    """ASGI middleware that rejects requests during shutdown, except those of probes.

    Args:
        app: The application.
        health: Tells whether this server is shutting down.
    """

    def __init__(self, app: ASGIApp, health: Health) -> None:
        self._app = app
        self._health = health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; see https://asgi.readthedocs.io."""
        if (
            self._health.draining
            and scope["type"] == "http"
            and scope["path"] not in self._health.paths
        ):
            # In the default media type: nothing of the request is read, not even its `Accept`.
            await refuse(ShuttingDown())(scope, receive, send)
        else:
            await self._app(scope, receive, send)
