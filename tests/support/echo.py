"""An ASGI application that answers with what was understood of the request.

The parameter `mark` of the target is repeated, and `mode` is one of: `echo`; `slow`, which waits a
moment; `stream`, which sends the answer in pieces of no announced length; `early`, which answers
without reading the body; `none`, which answers 204; and `large`.
"""

import asyncio
import json
import re
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request; see https://asgi.readthedocs.io."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close"})
    if scope["type"] != "http":
        return
    query = parse_qs(scope["query_string"].decode("latin-1"))
    mark, mode = query.get("mark", ["none"])[0], query.get("mode", ["echo"])[0]
    seen: dict[str, Any] = {
        "mark": mark,
        "method": scope["method"],
        # Of an absolute target some servers give the path, and others all.
        "path": re.sub(r"^http://\w+", "", scope["path"]),
        "headers": [_read_header(name, value) for name, value in scope["headers"]],
    }
    if mode != "early":
        body = await _read(receive)
        if body is None:
            return
        seen["body"] = sha256(body).hexdigest()
    if mode == "slow":
        await asyncio.sleep(0.005)
    await _answer(send, seen, mode)


def _read_header(name: bytes, value: bytes) -> tuple[str, str]:
    if name == b"transfer-encoding":
        value = value.lower()  # as h11 does
    return name.decode("latin-1"), value.decode("latin-1")


async def _answer(send: Send, seen: dict[str, Any], mode: str) -> None:
    content = json.dumps(seen).encode()
    headers = [(b"x-mark", seen["mark"].encode()), (b"x-method", seen["method"].encode())]
    status = 200
    if mode == "large":
        content += b" " * 100_000
    if seen["method"] == "CONNECT":
        status = 405  # with another, what follows would be a tunnel
    elif mode == "none":
        status, content = 204, b""
    if content and mode != "stream":
        headers.append((b"content-length", b"%d" % len(content)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if mode == "stream":
        for start in range(0, len(content), 100):
            piece = content[start : start + 100]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        content = b""
    await send({"type": "http.response.body", "body": content})


async def _read(receive: Receive) -> bytearray | None:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return body
