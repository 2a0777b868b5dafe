"""HTTP/1.1 by uvicorn and its fast parser, with two things that they leave out.

The head of a request may be as long as it likes there; here it has to end. And an application
cannot tell there whether a body has yet to arrive; here it is told when all of it is in hand.
"""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from graphql_admin.requests import IN_HAND

MAX_HEAD = 1024 * 1024
"""Bytes of a request line and headers, with as much of the body as arrives in one piece."""


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 with heads that end; one that does not is 400, and its connection is closed.

    The scope of a request that has arrived as a whole has the extension `IN_HAND`.
    """

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
        """Note where the next head begins, and that there is no more to this request."""
        self._in_head, self._received = True, 0
        self.scope["extensions"] = {IN_HAND: {}}
        super().on_message_complete()
