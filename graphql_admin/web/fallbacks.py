"""Responses where no endpoint sent one: for unknown paths, and for faults of this server."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graphql_admin.errors import MethodNotAllowed, NotFound
from graphql_admin.telemetry.log import log_fault
from graphql_admin.web.answers import refuse


async def refuse_path(_: Request, error: Exception) -> Response:
    """Respond for the router, where it finds no route, or none for the method."""
    assert isinstance(error, HTTPException)  # noqa: S101  # registered for these exceptions
    if error.status_code == MethodNotAllowed.status and error.headers:
        allowed = ", ".join(sorted(error.headers["Allow"].split(", ")))
        return refuse(MethodNotAllowed(f"Use {allowed}.", allowed=allowed))
    return refuse(NotFound())


class FaultBarrier:
    """Middleware that turns any exception of the application into a response.

    Starlette and uvicorn would log the traceback with the message, which may quote anything.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; see https://asgi.readthedocs.io."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def note_start(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, note_start)
        except Exception as error:  # noqa: BLE001  # that is its purpose
            if started:  # the connection is closed after the incomplete response
                log_fault(error)
            else:
                await refuse(error)(scope, receive, send)
