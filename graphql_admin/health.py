"""Whether this server lives, is ready for requests, and has room for one more."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from graphql_admin import records
from graphql_admin.auth import KeySet
from graphql_admin.cognito import UserPool
from graphql_admin.errors import AdminError, Overloaded, ShuttingDown

PATHS = frozenset({"/healthz", "/readyz"})
"""Paths that are answered however many requests are in hand."""

RETRY_AFTER = 1
"""Seconds after which a client that was turned away may come again."""

_PAUSE = 5.0
"""Seconds between two attempts at getting ready."""


class Health:
    """The state of this server: what it waits for, and whether it is being shut down.

    Args:
        keys: Verify tokens.
        pool: The user pool, with the credentials to call it.
    """

    def __init__(self, keys: KeySet, pool: UserPool) -> None:
        self._keys = keys
        self._pool = pool
        self.draining = False

    def drain(self) -> None:
        """Take no more requests. Those in hand are answered."""
        self.draining = True

    def obstacles(self) -> Iterator[str]:
        """Yield what keeps this server from being ready."""
        if not self._keys.in_hand:
            yield "keys"
        if not self._pool.keyring.in_hand:
            yield "credentials"
        if self.draining:
            yield "draining"

    @asynccontextmanager
    async def getting_ready(self) -> AsyncIterator[None]:
        """Fetch keys and credentials in the background, until both are in hand."""
        task = asyncio.create_task(self._get_ready())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _get_ready(self) -> None:
        while not (self._keys.in_hand and self._pool.keyring.in_hand):
            with suppress(AdminError):  # which the log tells
                await self._pool.keyring.signer()
            with suppress(AdminError):
                await self._keys.load()
            await asyncio.sleep(_PAUSE)

    async def healthz(self, _: Request) -> Response:
        """Say that the process is alive."""
        return PlainTextResponse("ok\n")

    async def readyz(self, _: Request) -> Response:
        """Say whether requests can be answered, and if not, what for."""
        obstacles = list(self.obstacles())
        body = orjson.dumps({"ready": not obstacles, "waiting_for": obstacles})
        return Response(body, 503 if obstacles else 200, media_type="application/json")


class Gate:
    """ASGI middleware that turns requests away when there are too many, or at the end.

    A request that waits for Cognito is in hand as much as one that is worked on. Probes pass.

    Args:
        app: What answers the others.
        health: Tells whether this server is being shut down.
        limit: How many requests may be in hand at once.
    """

    def __init__(self, app: ASGIApp, health: Health, limit: int) -> None:
        self._app = app
        self._health = health
        self._limit = limit
        self._in_hand = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; see https://asgi.readthedocs.io."""
        if scope["type"] != "http" or scope["path"] in PATHS:
            await self._app(scope, receive, send)
        elif self._health.draining:
            await _turn_away(ShuttingDown())(scope, receive, send)
        elif self._in_hand >= self._limit:
            await _turn_away(Overloaded())(scope, receive, send)
        else:
            self._in_hand += 1
            try:
                await self._app(scope, receive, send)
            finally:
                self._in_hand -= 1


def _turn_away(refusal: AdminError) -> Response:
    # Before anything of the request is read, its `Accept` header included.
    records.current().codes.add(refusal.code)
    error = {"message": refusal.message, "extensions": {"code": refusal.code}}
    return Response(
        orjson.dumps({"errors": [error]}),
        refusal.status,
        {"retry-after": str(RETRY_AFTER), "cache-control": "no-store"},
        media_type="application/json; charset=utf-8",
    )
