"""HTTP/1.1 by hand: bytes as a hostile client sends them, and the answers as they come back."""

import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from tests.support.patience import PATIENCE


class Answer(NamedTuple):
    """A response as it stands on the wire."""

    status: int
    headers: Mapping[str, str]
    """By name, in lower case; of those with the same name the last."""
    body: bytes

    @property
    def mark(self) -> str | None:
        """The id of the request that it answers, where the request had one."""
        return self.headers.get("x-request-id")


def request(  # noqa: D417  # the others are what they are called
    method: str = "GET",
    target: str = "/healthz",
    *headers: str,
    mark: str | None = None,
    body: bytes | None = None,
    host: str = "localhost",
) -> bytes:
    """Return the bytes of a request.

    Args:
        headers: Lines without their ends.
        mark: Its id, which the answer repeats.
        body: Its Content-Length comes with it.
    """
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *headers]
    if mark is not None:
        lines.append(f"X-Request-Id: {mark}")
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


def parse(
    data: bytes, *, ended: bool, has_body: Callable[[Answer], bool] = lambda _: True
) -> tuple[Answer, bytes] | None:
    """Return the response that `data` begins with and what comes after it; none if it is not whole.

    Args:
        data: As received.
        ended: Whether nothing comes after it.
        has_body: Told a response without its body, says whether it has one. That the statuses
            1xx, 204 and 304 have none is known.
    """
    head, separator, rest = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    status = re.fullmatch(r"HTTP/1\.1 (\d{3}) ?.*", first)
    if not separator or status is None:
        return None
    assert status, f"no response: {data[:200]!r}"
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        assert colon, f"no header: {line!r}"
        headers[name.lower()] = value.strip()
    answer = Answer(int(status[1]), headers, b"")
    if answer.status < 200 or answer.status in {204, 304} or not has_body(answer):
        return answer, rest
    if headers.get("transfer-encoding") == "chunked":
        cut = _cut_chunks(rest)
    elif "content-length" in headers:
        length = int(headers["content-length"])
        cut = (rest[:length], rest[length:]) if len(rest) >= length else None
    else:
        cut = (rest, b"") if ended else None
    return cut and (answer._replace(body=cut[0]), cut[1])


def parse_all(
    data: bytes, has_body: Callable[[Answer], bool] = lambda _: True
) -> tuple[list[Answer], bytes]:
    """Return all responses in what a connection brought until it ended, and what is left over."""
    answers = []
    while cut := parse(data, ended=True, has_body=has_body):
        answer, data = cut
        answers.append(answer)
    return answers, data


def _cut_chunks(data: bytes) -> tuple[bytes, bytes] | None:
    body = b""
    while match := re.match(rb"([0-9a-fA-F]+)\r\n", data):
        size = int(match[1], 16)
        start, end = match.end(), match.end() + size
        if data[end : end + 2] != b"\r\n":
            return None
        body, data = body + data[start:end], data[end + 2 :]
        if not size:
            return body, data
    return None


class Connection:
    """A connection to a server, closed with the `with` block.

    Args:
        url: Of the server.
        receive_buffer: Bytes of the receive buffer, to make it small.
        trust: What the server's certificate is verified by, where it speaks TLS.
        source: The address of loopback that it comes from; the system's choice by default.
    """

    def __init__(
        self,
        url: str,
        receive_buffer: int | None = None,
        trust: ssl.SSLContext | None = None,
        source: str | None = None,
    ) -> None:
        address = urlsplit(url)
        self.socket = socket.socket()
        if source is not None:
            self.socket.bind((source, 0))
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect((address.hostname, address.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if trust is not None:
            self.socket = trust.wrap_socket(self.socket, server_hostname=address.hostname)
        self.received = b""
        """What came and was not parsed yet."""

    def send(self, *pieces: bytes, pause: float = 0.01) -> bool:
        """Send pieces that arrive one by one; return whether the server was there to take them."""
        for number, piece in enumerate(pieces):
            if number:
                time.sleep(pause)
            try:
                self.socket.sendall(piece)
            except ConnectionError:
                return False
        return True

    def answer(self) -> Answer | None:
        """Return the next answer, or none where the connection ends before it."""
        while True:
            if cut := parse(self.received, ended=False):
                answer, self.received = cut
                return answer
            if not (data := self._receive()):
                return None
            self.received += data

    def answers(self) -> list[Answer]:
        """Return all answers until the server closes the connection, which it has to."""
        while data := self._receive():
            self.received += data
        answers, rest = parse_all(self.received)
        assert not rest, f"half an answer: {rest[:200]!r}"
        self.received = b""
        return answers

    def is_closed(self, within: float) -> bool:
        """Return whether the server closes the connection in so many seconds at most."""
        end = time.monotonic() + within
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                if not (data := self._receive()):
                    return True
            except TimeoutError:
                return False
            finally:
                self.socket.settimeout(PATIENCE)
            self.received += data
        return False

    def close(self) -> None:
        """Close it."""
        self.socket.close()

    def _receive(self) -> bytes:
        # What the server had sent before it closed is read first.
        with suppress(ConnectionError):
            return self.socket.recv(65536)
        return b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
