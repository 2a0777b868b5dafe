"""moto's server on a free port of the loopback address, which rejects pages of other origins."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING

from graphql_admin.hosts import LOOPBACK, AllowedHosts

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


class MissingExtra(Exception):
    """The `dev` extra is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "The embedded Cognito is not installed. Install it with: "
            "pip install 'graphql-admin[dev]'"
        )


@contextmanager
def moto_server() -> Iterator[str]:
    """Run the server within the context.

    Yields:
        Its URL.

    Raises:
        MissingExtra: It is not installed.
    """
    try:
        from moto.moto_server.werkzeug_app import (  # noqa: PLC0415  # only with the `dev` extra
            DomainDispatcherApplication,
            MotoRequestHandler,
            create_backend_app,
        )
        from werkzeug.serving import make_server  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtra from error
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # otherwise it logs every request
    server = make_server(
        "127.0.0.1",
        0,
        _LocalOnly(DomainDispatcherApplication(create_backend_app)),
        threaded=True,
        request_handler=MotoRequestHandler,
    )
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()


class _LocalOnly:
    """WSGI middleware that serves programs and pages of this machine, and no page of another.

    moto allows every origin by CORS, and requires no token.

    Args:
        app: The application.
    """

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app
        self._hosts = AllowedHosts(LOOPBACK)

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer one HTTP request; see PEP 3333."""
        if not self._hosts.admits(environ.get("HTTP_HOST", "")):
            status = "421 Misdirected Request"
        elif not self._is_local(environ):
            status = "403 Forbidden"
        else:
            return self._app(environ, start_response)
        start_response(status, [("Content-Type", "text/plain"), ("Cache-Control", "no-store")])
        return [b"This server answers its own machine alone.\n"]

    def _is_local(self, environ: "WSGIEnvironment") -> bool:
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None:
            return self._hosts.admits_origin(origin)
        # A request of a page may lack `Origin`, if the page does not read the response.
        return environ.get("HTTP_SEC_FETCH_SITE") != "cross-site"
