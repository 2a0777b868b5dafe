"""HTTP/1.1 as `protocol`'s table has it: every row, over a socket, whole and split at any byte."""

import asyncio
import json
import re
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from starlette.types import Receive, Scope, Send

from graphql_admin.serving import connections, ending, protocol
from graphql_admin.serving.connections import Bounds
from graphql_admin.serving.heads import MAX_FIELDS, MAX_HEAD
from graphql_admin.web.incoming import BODY_COMPLETE
from tests.support.patience import PATIENCE
from tests.support.started import listening
from tests.support.wires import connect

LAST = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
"""A request that ends a conversation."""


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Tell the client what it asked; read its body, unless the path says otherwise."""
    if scope["type"] == "lifespan":
        await answer_lifespan(receive, send)
        return
    body = b""
    more = scope["path"] != "/unread"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        more = message["more_body"]
    told = {
        "method": scope["method"],
        "path": scope["path"],
        "raw_path": scope["raw_path"].decode(),
        "query": scope["query_string"].decode(),
        "version": scope["http_version"],
        "headers": [[n.decode("latin-1"), v.decode("latin-1")] for n, v in scope["headers"]],
        "body": body.decode("latin-1"),
    }
    text = json.dumps(told).encode()
    if scope["path"] == "/large":
        text = b"x" * int(scope["query_string"])
    headers = [(b"content-length", b"%d" % len(text))]
    if scope["path"] == "/unknown-length":
        headers = []
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})


async def answer_lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    """Where `echo` is served."""
    with listening(echo) as url:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        yield parts.hostname, parts.port


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def told(self) -> dict[str, Any]:
        """What `echo` says of the request."""
        told: dict[str, Any] = json.loads(self.body)
        return told


def converse(address: tuple[str, int], *pieces: bytes, pause: float = 0) -> list[Answer]:
    """Send the pieces, and return the answers that came until the server closed."""
    with socket.create_connection(address, timeout=PATIENCE) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number, piece in enumerate(pieces):
            if number:
                time.sleep(pause)
            try:
                client.sendall(piece)
            except ConnectionError:
                break  # it was answered before, and closed
        return read(client)


def read(client: socket.socket) -> list[Answer]:
    """Return the answers that come until the server closes."""
    data = b""
    while piece := client.recv(65_536):
        data += piece
    return split(data)


def split(data: bytes) -> list[Answer]:
    """Return the answers in what a server has sent; none of them is to a HEAD."""
    answers = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        status = int(line.split(" ")[1])
        headers = dict(field.split(": ", 1) for field in fields)
        if "transfer-encoding" in headers:
            body = b""
            while True:
                size, _, data = data.partition(b"\r\n")
                piece, data = data[: int(size, 16)], data[int(size, 16) + 2 :]
                body += piece
                if not piece:
                    break
        else:
            default = 0 if status < 200 or status in {204, 304} else len(data)
            length = int(headers.get("content-length", default))
            body, data = data[:length], data[length:]
        answers.append(Answer(status, headers, body))
    return answers


def get(*fields: bytes, line: bytes = b"GET /first HTTP/1.1", host: bytes = b"Host: a") -> bytes:
    return b"\r\n".join([line, *([host] if host else []), *fields, b"", b""])


def post(*fields: bytes, body: bytes = b"", path: bytes = b"/first") -> bytes:
    return get(*fields, line=b"POST " + path + b" HTTP/1.1") + body


CHUNKED = b"Transfer-Encoding: chunked"

TAKEN: dict[str, list[bytes]] = {
    "`Upgrade`, also with a body, also `websocket`": [
        get(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMA"),
        *(
            post(connection, b"Upgrade: " + name, b"Content-Length: 9", body=b"GET / HTT")
            for name in (b"h2c", b"TLS/1.2", b"x", b"websocket", b"WebSocket", b"")
            for connection in (
                b"Connection: upgrade",
                b"Connection: keep-alive, Upgrade",
                b"CONNECTION:UPGRADE",
                b"Connection: keep-alive\r\nConnection: Upgrade",
            )
        ),
        post(b"Connection: Upgrade", b"Upgrade: h2c", CHUNKED, body=b"9\r\nGET / HTT\r\n0\r\n\r\n"),
        get(
            *(b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13"),
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ),
    ],
    "another method that is a token": [
        get(line=b"BREW /first HTTP/1.1"),
        get(line=b"get /first HTTP/1.1"),
    ],
    "HTTP/1.1": [get(), get(b"Connection: keep-alive"), get(b"Connection: x, y")],
    "one empty line before the request line": [b"\r\n" + get()],
    "target `*` with OPTIONS": [get(line=b"OPTIONS * HTTP/1.1")],
    "target that is an http URL": [
        get(line=b"GET http://b:80/first?x=1 HTTP/1.1"),
        get(line=b"GET HTTPS://b HTTP/1.1"),
    ],
    "blanks around a value": [post(b"Content-Length: \t 9 \t", body=b"GET / HTT")],
    "`Transfer-Encoding: chunked`, in any case": [
        post(CHUNKED, body=b"9\r\nGET / HTT\r\n0\r\n\r\n"),
        post(b"TRANSFER-ENCODING:Chunked ", body=b"003\r\nGET\r\n6\r\n / HTT\r\n0\r\n\r\n"),
    ],
    "chunk extensions": [post(CHUNKED, body=b'9;a=b ; c="d"\r\nGET / HTT\r\n0;e\r\n\r\n')],
    "trailers": [post(CHUNKED, body=b"9\r\nGET / HTT\r\n0\r\nAuthorization: x\r\nB:\r\n\r\n")],
    "a body that the application does not read": [
        post(b"Content-Length: 9", body=b"GET / HTT", path=b"/unread"),
        post(CHUNKED, body=b"9\r\nGET / HTT\r\n0\r\n\r\n", path=b"/unread"),
        post(b"Content-Length: 500000", body=b"G" * 500_000, path=b"/unread"),
    ],
    "the next request before the response": [get() + get() + post(b"Content-Length: 1", body=b"x")],
}
"""For each row, a request that is answered with 200, and after it another request is, too."""

REFUSED: dict[str, list[tuple[int, bytes]]] = {
    "method CONNECT": [(501, get(line=b"CONNECT a:443 HTTP/1.1"))],
    "HTTP/2 or another version": [
        (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        (505, get(line=b"GET / HTTP/1.2")),
        (505, get(line=b"GET / HTTP/0.9")),
    ],
    "no version, or no request line": [
        *(
            (400, get(line=line))
            for line in (
                *(b"GET /", b"GET", b"GET / HTTP/1.1 ", b"GET  / HTTP/1.1", b"GET / HTTP/11"),
                *(b"GET /\tHTTP/1.1", b"GET / http/1.1", b"GET / HTTP/1.1x", b"G@T / HTTP/1.1"),
                b"GET / x HTTP/1.1",
            )
        )
    ],
    "more empty lines there": [(400, b"\r\n\r\n" + get())],
    "a first byte of no method, such as TLS's": [
        (400, bytes.fromhex("16030100c8010000c40303")),
        (400, b" " + get()),
        (400, b"\n" + get()),
        (400, b"\r" + get()),
    ],
    "line ends without CR, CR without LF": [
        (400, b"GET / HTTP/1.1\nHost: a\n\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a\n\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n"),
    ],
    "control characters, NUL among them": [
        *((400, get(b"X: a" + bytes([code]) + b"b")) for code in (0, 1, 8, 11, 12, 0x1F, 0x7F)),
        (400, get(b"X\0: a")),
        (400, get(line=b"GET /\0 HTTP/1.1")),
        (400, post(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n")),
    ],
    "target `*` with another method": [(400, get(line=b"GET * HTTP/1.1"))],
    "target with a fragment, a blank or beyond ASCII": [
        *(
            (400, get(line=b"GET " + target + b" HTTP/1.1"))
            for target in (
                *(b"/#x", b"/ x", "/ö".encode(), b"x", b"a:80", b"ftp://a/", b"http:///x"),
                *(b"http://u@a/", b"http://a b/", b"http://:80/", b"?x"),
            )
        )
    ],
    "no `Host` in HTTP/1.1, two, or no valid one": [
        (400, get(host=b"")),
        (400, get(b"Host: a")),
        (400, get(b"host: b")),
        *((400, get(host=b"Host: " + host)) for host in (b"a b", b"a/b", b"[a", b"u@a", b"a:b")),
        (400, get(line=b"GET http://b/ HTTP/1.1", host=b"")),
        (400, get(b"Host: a", line=b"GET / HTTP/1.0")),
    ],
    "two of Authorization, Content-Length/-Type": [
        (400, get(b"Authorization: a", b"authorization: b")),
        (400, post(b"Content-Length: 1", b"Content-Length: 1", body=b"x")),
        (400, post(b"Content-Length: 1", b"content-length: 2", body=b"xy")),
        (400, post(b"Content-Type: a/b", b"Content-Type: a/c")),
        (400, get(b"Expect: 100-continue", b"Expect: 100-continue")),
    ],
    "field folded, without colon, blank before it": [
        (400, get(b"X: a", b" b")),
        (400, get(b"\tb: c", host=b"")),
        (400, get(b"X")),
        (400, get(b"Content-Length : 1")),
        (400, get(b"Content-Length\t: 1")),
        (400, get(b": x")),
        (400, get(b"X(y): z")),
        (400, get("Ü: z".encode())),
    ],
    "`Content-Length` that is not digits": [
        *(
            (400, post(b"Content-Length: " + value, body=b"GET /"))
            for value in (
                b"",
                b"+5",
                b"-5",
                b"5,5",
                b"5, 5",
                b"0x5",
                b"5 5",
                b"5;",
                b"5.0",
                b"\xb2",
            )
        )
    ],
    "`Content-Length` of more than 18 digits": [
        (413, post(b"Content-Length: 18446744073709551621", body=b"GET /")),
        (413, post(b"Content-Length: " + b"9" * 5000)),
    ],
    "other codings before `chunked`": [
        (501, post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n")),
        (501, post(b"Transfer-Encoding: gzip", CHUNKED, body=b"0\r\n\r\n")),
    ],
    "codings that do not end with one `chunked`": [
        *(
            (400, post(b"Transfer-Encoding: " + value, body=b"0\r\n\r\n"))
            for value in (
                *(b"", b"gzip", b"identity", b"chunked, gzip", b"chunked, chunked", b"xchunked"),
                *(b"chunked;q=1", b'"chunked"', b"chunked,", b",chunked", b"chunked x"),
            )
        ),
        (400, post(CHUNKED, CHUNKED, body=b"0\r\n\r\n")),
        (400, post(CHUNKED, b"Transfer-Encoding: identity", body=b"0\r\n\r\n")),
    ],
    "`Transfer-Encoding` and `Content-Length`": [
        (400, post(CHUNKED, b"Content-Length: 5", body=b"0\r\n\r\n")),
        (400, post(b"Content-Length: 0", CHUNKED, body=b"0\r\n\r\n")),
    ],
    "`Transfer-Encoding` in HTTP/1.0": [(400, get(CHUNKED, line=b"POST / HTTP/1.0"))],
    "chunks outside the grammar": [
        *(
            (400, post(CHUNKED, body=body))
            for body in (
                *(b"x\r\n", b"\r\n", b"-1\r\n", b"+1\r\nx\r\n", b"0x1\r\nx\r\n", b" 1\r\nx\r\n"),
                *(b"1 \r\nx\r\n", b"1\nx\r\n", b"1\rx\r\n", b"1;\nx\r\n", b"1;\rx\r\nx\r\n"),
                *(b"1\r\nxy\r\n", b"1\r\nx\n0\r\n\r\n", b"1\r\nx0\r\n", b"1\r\nx\r0\r\n"),
                *(b"10000000000000000\r\n", b"fffffffffffffffff1\r\nx", b"0\r\nx\r\n\r\n"),
                *(b"0\r\n x: y\r\n\r\n", b"0\r\nx: y\n\r\n", b"0\r\nx: \0\r\n\r\n", b"0\r\n\n"),
            )
        )
    ],
    "lines of more than 4 KiB between chunks": [
        (400, post(CHUNKED, body=b"1;" + b"x" * 4096)),
        (400, post(CHUNKED, body=b"1\r\nx\r\n0\r\nx:" + b"x" * 4096)),
    ],
    "more than 64 KiB of chunk framing": [
        (400, post(CHUNKED, body=b"1\r\nx\r\n" * 30_000)),
        (400, post(CHUNKED, body=b"0\r\n" + b"x: y\r\n" * 20_000)),
    ],
    "another `Expect`": [(417, post(b"Expect: 200-ok", b"Content-Length: 1", body=b"x"))],
    "request line of more than 64 KiB": [
        (414, get(line=b"GET /" + b"x" * MAX_HEAD + b" HTTP/1.1")),
        (414, b"G" * (MAX_HEAD + 1)),
    ],
    "head of more than 64 KiB": [
        (431, get(b"X: " + b"x" * MAX_HEAD)),
        (431, get(*[b"X: " + b"x" * 1000] * 90)),
        (431, get()[:-2] + b"X: " + b"x" * MAX_HEAD),
    ],
    "more than 100 fields": [(431, get(*[b"X: y"] * MAX_FIELDS))],
}
"""For each row what is refused, and with which status."""


def cases(rows: dict[str, list[Any]]) -> list[Any]:
    return [
        pytest.param(case, id=f"{row} {number}")
        for row, cases in rows.items()
        for number, case in enumerate(cases, 1)
    ]


def check_taken(request: bytes, answers: list[Answer]) -> None:
    *before, last = answers
    assert [answer.status for answer in before] == [200] * max(1, request.count(b" HTTP/1.1\r\n"))
    assert (last.status, last.told["path"]) == (200, "/last")
    assert all(answer.told["path"] != "/" or b"://" in request for answer in before)
    if b"GET / HTT" in request and b"/unread" not in request:
        assert before[0].told["body"] == "GET / HTT"
        assert not {"authorization", "b"} & dict(before[0].told["headers"]).keys()


@pytest.mark.parametrize("request_", cases(TAKEN))
def test_taken(address: tuple[str, int], request_: bytes) -> None:
    """It is answered, its body is where its framing says, and so is the next request."""
    check_taken(request_, converse(address, request_ + LAST))


@pytest.mark.parametrize("case", cases(REFUSED))
def test_refused(address: tuple[str, int], case: tuple[int, bytes]) -> None:
    """It gets its status, nothing that comes after it is answered, and the connection closes."""
    status, request = case
    (answer,) = converse(address, request + LAST)
    assert (answer.status, answer.headers["connection"]) == (status, "close")
    assert b"/last" not in answer.body


def answers_in_memory(conversations: list[list[bytes]]) -> list[list[tuple[int, bytes]]]:
    """Return how each conversation is answered, each read being one of its pieces."""

    async def act() -> list[list[tuple[int, bytes]]]:
        results = []
        connected = connect(echo, len(conversations))
        for (connection, wire), pieces in zip(connected, conversations, strict=True):
            for piece in pieces:
                if wire.is_closing():
                    break
                connection.data_received(piece)
                await asyncio.sleep(0)
            async with asyncio.timeout(PATIENCE):
                await wire.closed.wait()
            results.append([(a.status, a.body) for a in split(b"".join(wire.pieces))])
        return results

    return asyncio.run(act())


SHORT = [
    (row, request + LAST)
    for row, requests in TAKEN.items()
    for request in requests
    if len(request) < 300
] + [
    (row, request + LAST)
    for row, refused in REFUSED.items()
    for _, request in refused
    if len(request) < 300
]


def test_split_at_any_byte() -> None:
    """It makes no difference how a conversation is cut into reads."""
    for row, conversation in SHORT:
        at_most = len(conversation) - len(LAST) + 1
        cuts = [
            [conversation],
            [bytes([byte]) for byte in conversation],
            *([conversation[:at], conversation[at:]] for at in range(1, at_most)),
        ]
        whole, *parts = answers_in_memory(cuts)
        assert whole, row
        for cut, part in zip(cuts[1:], parts, strict=True):
            assert part == whole, (row, cut)


def test_http10(address: tuple[str, int]) -> None:
    """It is answered without chunks, and the connection closes whatever the client asks for."""
    for path in (b"/first", b"/unknown-length"):
        line = b"GET " + path + b" HTTP/1.0"
        (answer,) = converse(address, get(b"Connection: keep-alive", line=line, host=b"") + LAST)
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert (answer.told["path"], answer.told["version"]) == (path.decode(), "1.0")
        assert "transfer-encoding" not in answer.headers


def test_target_that_is_a_url(address: tuple[str, int]) -> None:
    """The application sees the host of the target, and not what `Host` says."""
    line = b"GET http://b:80/first?x=1 HTTP/1.1"
    answer, _ = converse(address, get(b"X: y", line=line) + LAST)
    assert answer.told["headers"] == [["host", "b:80"], ["x", "y"]]
    assert (answer.told["path"], answer.told["query"]) == ("/first", "x=1")


def test_path_is_decoded(address: tuple[str, int]) -> None:
    """The application gets the path decoded, and as it was sent."""
    answer, _ = converse(address, get(line=b"GET /f%C3%B6/%2e?a=%20?b HTTP/1.1") + LAST)
    assert (answer.told["path"], answer.told["raw_path"]) == ("/fö/.", "/f%C3%B6/%2e")
    assert answer.told["query"] == "a=%20?b"


def test_response_of_unknown_length(address: tuple[str, int]) -> None:
    """It goes in chunks."""
    answer, last = converse(address, get(line=b"GET /unknown-length HTTP/1.1") + LAST)
    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.told["path"] == "/unknown-length"
    assert last.status == 200


def test_head(address: tuple[str, int]) -> None:
    """A response to HEAD has a length, and no body."""
    with socket.create_connection(address, timeout=PATIENCE) as client:
        client.sendall(get(line=b"HEAD /first HTTP/1.1") + LAST)
        data = b""
        while piece := client.recv(65_536):
            data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    assert re.search(rb"\r\ncontent-length: [1-9]", head)
    (last,) = split(rest)
    assert last.told["path"] == "/last"


def test_expect_continue(address: tuple[str, int]) -> None:
    """100 comes when the application asks for the body; where it does not, the answer comes."""
    request = post(b"Expect: 100-Continue", b"Content-Length: 9")
    with socket.create_connection(address, timeout=PATIENCE) as client:
        client.sendall(request)
        assert client.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"GET / HTT" + LAST)
        answer, last = read(client)
    assert (answer.told["body"], last.told["path"]) == ("GET / HTT", "/last")
    (answer,) = converse(address, request.replace(b"/first", b"/unread"))
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    answer, last = converse(address, get(b"Expect: 100-continue") + LAST)  # for what body
    assert (answer.status, last.status) == (200, 200)


def test_broken_body_that_is_not_read(address: tuple[str, int]) -> None:
    """The application's answer stands, and what comes after is answered by nothing."""
    (answer,) = converse(address, post(CHUNKED, body=b"x\r\n", path=b"/unread") + LAST)
    assert answer.told["path"] == "/unread"


def test_body_beyond_what_is_dropped(address: tuple[str, int]) -> None:
    """If a body is not read and too long to drop, the connection closes."""
    length = 2 * protocol.MAX_DISCARD
    head = post(b"Content-Length: %d" % length, path=b"/unread")
    (answer,) = converse(address, head + b"x" * 1000)
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    chunk = b"%x\r\n" % length + b"x" * length + b"\r\n0\r\n\r\n"
    with socket.create_connection(address, timeout=PATIENCE) as client:
        client.sendall(post(CHUNKED, path=b"/unread"))
        assert split(client.recv(65_536))[0].status == 200
        try:
            client.sendall(chunk + LAST)
            assert client.recv(65_536) == b""
        except ConnectionError:
            pass  # it closed while there was more to read


def test_client_that_ends_its_side(address: tuple[str, int]) -> None:
    """A request that is whole is answered; of one that is not, nothing is."""
    for request, count in ((get(), 1), (get()[:-2], 0), (post(b"Content-Length: 2", body=b"x"), 0)):
        with socket.create_connection(address, timeout=PATIENCE) as client:
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
            assert len(read(client)) == count


HEAD_TIME = 3.0
"""Seconds that a client has for a head; enough for this one, however slow the machine."""


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time limits that a test can wait for."""
    monkeypatch.setattr(connections, "SWEEP", 0.05)
    monkeypatch.setattr(protocol, "HEAD_TIME", HEAD_TIME)
    for module in (protocol, ending):
        monkeypatch.setattr(module, "WRITE_TIME", 1.0)
        monkeypatch.setattr(module, "LINGER", 0.5)


@contextmanager
def served(**bounds: float) -> Iterator[tuple[str, int]]:
    with listening(echo, Bounds(**bounds)) as url:  # type: ignore[arg-type]  # they are integers
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        yield parts.hostname, parts.port


@pytest.mark.usefixtures("hasty")
def test_head_that_does_not_end() -> None:
    """It is 408 after its time, however it drips, on a connection's first request and later."""
    with served() as address:
        for before in (b"", get()):
            started = time.monotonic()
            with socket.create_connection(address, timeout=PATIENCE) as client:
                client.sendall(before + b"GET /first HTTP/1.1\r\n")
                ended = threading.Event()
                dripping = threading.Thread(target=drip, args=(client, ended))
                dripping.start()
                try:
                    *first, last = read(client)
                finally:
                    ended.set()
                    dripping.join()
                assert [answer.status for answer in first] == [200] * bool(before)
                assert (last.status, last.headers["connection"]) == (408, "close")
                assert time.monotonic() - started > HEAD_TIME - 0.1


def drip(client: socket.socket, ended: threading.Event) -> None:
    while not ended.wait(0.1):
        try:
            client.sendall(b"X: y\r\n")
        except OSError:
            return


@pytest.mark.usefixtures("hasty")
def test_silence() -> None:
    """A connection without any head closes without a word, and so does one that was left idle."""
    with served(keep_alive=2.0) as address:
        started = time.monotonic()
        with socket.create_connection(address, timeout=PATIENCE) as client:
            assert client.recv(1) == b""
            assert time.monotonic() - started > HEAD_TIME - 0.1
        started = time.monotonic()
        with socket.create_connection(address, timeout=PATIENCE) as client:
            client.sendall(get())
            (answer,) = read(client)
            assert answer.status == 200
            assert time.monotonic() - started > 1.9


@pytest.mark.usefixtures("hasty")
def test_request_that_takes_longer_than_idle_connections_may() -> None:
    """Idle time is between requests only."""
    with (
        served(keep_alive=0.2) as address,
        socket.create_connection(address, timeout=PATIENCE) as client,
    ):
        client.sendall(post(b"Content-Length: 2", body=b"x"))
        time.sleep(1.5)
        client.sendall(b"y")
        (answer,) = read(client)
        assert answer.told["body"] == "xy"


@pytest.mark.usefixtures("hasty")
def test_response_that_is_not_read() -> None:
    """The connection is reset, and what else was asked on it is not answered."""
    with served() as address, closing(socket.socket()) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(PATIENCE)
        client.connect(address)
        client.sendall(get(line=b"GET /large?20000000 HTTP/1.1") + get())
        poll = select.poll()
        poll.register(client, select.POLLERR | select.POLLHUP)
        assert poll.poll(PATIENCE * 1000)
        with pytest.raises(ConnectionResetError):
            read(client)


@contextmanager
def reading_little() -> Iterator[socket.socket]:
    """A client that has asked for a large response and takes it as slowly as it likes."""
    with served() as address, closing(socket.socket()) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.settimeout(PATIENCE)
        client.connect(address)
        client.sendall(get(b"Connection: close", line=b"GET /large?20000000 HTTP/1.1"))
        yield client


@pytest.mark.slow
@pytest.mark.usefixtures("hasty")
def test_response_that_is_taken_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may take longer than the time there is, so long as enough of it is taken in each."""
    for module in (protocol, ending):
        monkeypatch.setattr(module, "WRITE_TIME", 3.0)
    monkeypatch.setattr(ending, "MIN_TAKEN", 1)
    with reading_little() as client:
        taken, started = 0, time.monotonic()
        while data := client.recv(65_536):
            taken += len(data)
            time.sleep(0.03)
        assert time.monotonic() - started > 2 * 3.0
        assert taken > 20_000_000


@pytest.mark.usefixtures("hasty")
def test_response_that_drips() -> None:
    """To take a little all the time is to take nothing."""
    with reading_little() as client:
        taken = 0
        with suppress(ConnectionResetError):
            while data := client.recv(1024):
                taken += len(data)
                time.sleep(0.02)
        assert 0 < taken < 10_000_000


@pytest.mark.usefixtures("hasty")
def test_rest_of_a_body_that_does_not_come() -> None:
    """It is not read, so the connection closes within the time for headers."""
    with served() as address:
        (answer,) = converse(address, post(b"Content-Length: 9", path=b"/unread"))
        assert answer.status == 200
        assert "connection" not in answer.headers


def test_more_connections_than_there_may_be() -> None:
    """The longest idle makes room; where none is idle, the new one is closed at once."""
    with served(max_connections=3) as address, ExitStack() as stack:

        def connect_one() -> socket.socket:
            return stack.enter_context(socket.create_connection(address, timeout=PATIENCE))

        clients = [connect_one() for _ in range(3)]
        for client in (clients[1], clients[0], clients[2]):
            client.sendall(get())
            assert client.recv(65_536).startswith(b"HTTP/1.1 200 ")
        clients.append(connect_one())
        assert clients[1].recv(1) == b""
        for client in (clients[0], clients[2], clients[3]):
            client.sendall(post(b"Content-Length: 2", b"Expect: 100-continue"))
            assert client.recv(65_536).startswith(b"HTTP/1.1 100 ")
            client.sendall(b"x")
        refused = connect_one()
        with suppress(ConnectionError):
            refused.sendall(get())
        assert received(refused) == b""
        for client in (clients[0], clients[2], clients[3]):
            client.sendall(b"y")
            assert b'"body": "xy"' in client.recv(65_536)


def received(client: socket.socket) -> bytes:
    try:
        return client.recv(65_536)
    except ConnectionError:
        return b""


def test_more_bytes_pending_than_the_budget() -> None:
    """The address with most bytes loses the largest request; those of the others are answered."""
    with served(max_pending=1_000_000) as address, ExitStack() as stack:

        def begin(source: str, size: int) -> socket.socket:
            client = socket.create_connection(address, PATIENCE, (source, 0))
            stack.enter_context(client)
            fields = (b"Authorization: Bearer %d" % size, b"Content-Length: %d" % (size + 1))
            client.sendall(post(*fields, body=b"x" * size))
            return client

        honest = [begin("127.0.0.1", 150_000) for _ in range(2)]
        greedy = [begin("127.0.0.2", 100_000 + number) for number in range(7)]
        for client in greedy[:-3:-1]:
            assert [answer.status for answer in read(client)] == [503]
        for client in honest:
            client.sendall(b"y")
            assert client.recv(65_536).startswith(b"HTTP/1.1 200 ")


def test_head_without_a_token_counts_for_its_address() -> None:
    """Incomplete headers count for their sender's address, since the caller is not known yet."""
    with served(max_pending=200_000) as address, ExitStack() as stack:
        clients = []
        for _ in range(5):
            client = stack.enter_context(socket.create_connection(address, timeout=PATIENCE))
            client.sendall(get()[:-2] + b"X: " + b"x" * 50_000)
            clients.append(client)
        assert [answer.status for answer in read(clients[-1])] == [503]


def test_every_row_is_tested() -> None:
    """The table at the head of the module has the rows that are tested here, and no other."""
    assert protocol.__doc__
    _, _, rows, _ = re.split(r"^=[= ]+$", protocol.__doc__, flags=re.MULTILINE)
    listed = {row[:48].strip() for row in rows.strip().splitlines()}
    elsewhere = {
        "HTTP/1.0": test_http10,
        "chunks outside the grammar": test_broken_body_that_is_not_read,
        "`Expect: 100-continue`": test_expect_continue,
        "head that takes more than 10 s": test_head_that_does_not_end,
        "no head at all in 10 s": test_silence,
        "nothing for 75 s after a response": test_silence,
        "a response read at less than 512 KiB in 30 s": test_response_that_is_not_read,
        "more bytes of pending requests than the budget": test_more_bytes_pending_than_the_budget,
        "more connections than the limit": test_more_connections_than_there_may_be,
        "end of input from the client": test_client_that_ends_its_side,
    }
    assert listed == TAKEN.keys() | REFUSED.keys() | elsewhere.keys()


def test_body_that_is_complete() -> None:
    """The application is told whether it has to wait for the body."""
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(BODY_COMPLETE in scope["extensions"])
        await echo(scope, receive, send)

    async def act() -> None:
        for pieces in ([post(b"Content-Length: 1", body=b"x")], [post(b"Content-Length: 1"), b"x"]):
            ((connection, wire),) = connect(app, 1)
            for piece in pieces:
                connection.data_received(piece)
                await asyncio.sleep(0)
            await wire.sent.wait()

    asyncio.run(act())
    assert seen == [True, False]
