"""How long the head of a request may be, which uvicorn leaves open with its fast parser."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD = 1024 * 1024
"""Bytes of a request line and headers, with as much of the body as arrives in one piece."""


class BoundedHead(HttpToolsProtocol):
    """HTTP/1.1 with heads that end; one that does not is 400, and its connection is closed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._received = 0

    def data_received(self, data: bytes) -> None:
        """Take what arrived; what began in a body does not count for the head after it."""
        self._received = self._received + len(data) if self._in_head else 0
        if self._received > MAX_HEAD:
            self.send_400_response("The head of the request is too long.")
            return
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """Note where the head ends."""
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note where the next head begins."""
        self._in_head, self._received = True, 0
        super().on_message_complete()
