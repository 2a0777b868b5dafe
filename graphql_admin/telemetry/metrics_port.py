"""Serves the metrics over HTTP, on a port of their own, with a bound on its connections."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import make_wsgi_app

MAX_SCRAPES = 8
"""Open connections to the port of the metrics. Each has a thread and a file descriptor."""

SCRAPE_TIME = 5.0
"""Seconds that such a connection may wait for its client to send or read something."""


@contextmanager
def served(host: str, port: int, *, timeout: float = SCRAPE_TIME) -> Iterator[int]:
    """Serve the metrics at `/metrics` within the context, in separate threads.

    Args:
        host: Address to listen on.
        port: TCP port to listen on; 0 takes a free one.
        timeout: Seconds that a connection may wait for its client.

    Yields:
        The port.

    Raises:
        OSError: Nothing can listen there.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    server_class = type("_MetricsServer", (_MetricsServer,), {"address_family": family})
    handler_class = type("_Handler", (_Handler,), {"timeout": timeout})
    with server_class((address[0], port), handler_class) as server:
        server.set_app(make_wsgi_app())
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


class _Handler(WSGIRequestHandler):
    """Answers one request, and closes the connection."""

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


class _MetricsServer(ThreadingMixIn, WSGIServer):
    """Closes the oldest connection for a new one where there is no place.

    So connections without a request keep no other from the metrics.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, *args: Any) -> None:
        self._places = threading.Semaphore(MAX_SCRAPES)
        self._open: dict[socket.socket, None] = {}
        """The connections, in the order of their arrival."""
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            with suppress(OSError, StopIteration):  # some thread has just closed it
                next(iter(self._open)).shutdown(socket.SHUT_RDWR)  # ends the wait of its thread
            self._places.acquire()
        self._open[request] = None
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        del self._open[request]
        self._places.release()

    def handle_error(self, *_: Any) -> None:
        """Ignore a client that has gone, or sends nothing in time."""
