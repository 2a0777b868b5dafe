"""What a stranger with a socket can do to a started server: nothing to others.

Every test here starts `graphql-admin serve` and talks to it byte by byte. What the parts of the
server promise one by one is in the tests of these parts.
"""

import json
from collections.abc import Iterator

import pytest

from tests.support.scripted import ScriptedCognito, reply
from tests.support.slowness import slow
from tests.support.sockets import Answer, Connection, request
from tests.support.started import Server, served
from tests.support.tokens import Pool

LAST = request("GET", "/healthz", "Connection: close", mark="last")
SMUGGLED = request("GET", "/readyz", mark="smuggled")
QUERY = b'{"query":"{viewer{username}}"}'


@pytest.fixture(scope="module")
def backend() -> Iterator[ScriptedCognito]:
    """A Cognito for the whole module."""
    with ScriptedCognito() as backend:
        backend.on("ListGroups", reply({"Groups": []}))
        yield backend


@pytest.fixture(scope="module")
def server(backend: ScriptedCognito, jwks_url: str) -> Iterator[Server]:
    """A server for the tests that leave it as it was."""
    with served(backend.url, jwks_url, DEADLINE="2") as server:
        yield server


@pytest.fixture(scope="module")
def authorization(signing_key: Pool) -> str:
    """The header of an ordinary user."""
    return f"Authorization: Bearer {signing_key.access_token('carol', [])}"


def outcome(answers: list[Answer]) -> list[tuple[int, str | None]]:
    """Return the statuses and the ids of the requests that were answered."""
    return [(answer.status, answer.mark) for answer in answers if answer.status >= 200]


UPGRADES = [
    "h2c",
    "TLS/1.2",
    "x",
    "websocket",
    "WebSocket, h2c",
    "h2c\r\nUpgrade: websocket",
    "",
]
CONNECTIONS = [
    "Upgrade",
    *slow("upgrade, HTTP2-Settings", "keep-alive, Upgrade", "keep-alive"),
]


@pytest.mark.parametrize("upgrade", UPGRADES)
@pytest.mark.parametrize("connection", CONNECTIONS)
@pytest.mark.parametrize("framing", ["length", "chunks"])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_upgrade_with_body(
    server: Server, method: str, connection: str, upgrade: str, framing: str
) -> None:
    """An Upgrade that is not taken is as none: the body is body, in however many segments."""
    length = [f"Content-Length: {len(SMUGGLED)}"]
    chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)
    headers = [f"Connection: {connection}", f"Upgrade: {upgrade}"]
    if framing == "chunks":
        length, body = ["Transfer-Encoding: chunked"], chunk
    else:
        body = SMUGGLED
    head = request(method, "/graphql", *headers, *length, mark="first")
    middle = len(body) // 2
    for pieces in (
        [head + body, LAST],
        [head, body, LAST],
        [head, body[:middle], body[middle:], LAST],
        [head[:-2], head[-2:] + body + LAST],
    ):
        with Connection(server.url) as client:
            client.send(*pieces)
            assert outcome(client.answers()) == [(401, "first"), (200, "last")]


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_upgrade_is_ignored(server: Server, authorization: str, method: str) -> None:
    """Clients that ask for HTTP/2 in every request, as curl's `--http2`, are served."""
    headers = [
        "User-Agent: curl/7.88.1",
        "Accept: */*",
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
        "Content-Type: application/json",
        authorization,
    ]
    if method == "POST":
        sent = request("POST", "/graphql", *headers, mark="first", body=QUERY)
    else:
        target = "/graphql?query=%7Bviewer%7Busername%7D%7D"
        sent = request("GET", target, *headers, mark="first")
    with Connection(server.url) as client:
        client.send(sent, sent, LAST)
        answers = client.answers()
    assert outcome(answers) == [(200, "first"), (200, "first"), (200, "last")]
    assert json.loads(answers[0].body) == {"data": {"viewer": {"username": "carol"}}}


def test_websocket_without_body(server: Server) -> None:
    """There is no WebSocket here: a handshake is answered, and nothing after it is lost."""
    headers = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]
    with Connection(server.url) as client:
        client.send(request("GET", "/graphql", *headers, mark="first"), LAST)
        statuses = [answer.status for answer in client.answers()]
    assert 101 not in statuses
    assert statuses in ([401, 200], [403])  # refused as such, it ends the connection


def test_bare_http2(server: Server) -> None:
    """HTTP/2 without an Upgrade is refused, and none of its frames is taken for a request."""
    with Connection(server.url) as client:
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0", SMUGGLED)
        assert [answer.status for answer in client.answers()] in ([400], [501], [505])


def head(*lines: str) -> bytes:
    """Return the headers of an ordinary request, without its authorization."""
    return request("POST", "/graphql", "Content-Type: application/json", *lines, mark="first")


def chunks(size: str = "1e", extension: str = "", trailers: str = "", last: str = "0") -> bytes:
    """Return the query in one chunk."""
    return (
        (f"{size}{extension}\r\n").encode("latin-1")
        + QUERY
        + f"\r\n{last}\r\n".encode()
        + (f"{trailers}\r\n".encode("latin-1"))
    )


CHUNKED = "Transfer-Encoding: chunked"

UNDERSTOOD = {
    "length": head("Content-Length: 30") + QUERY,
    "length, blanks": head("Content-Length:  \t 30 \t ") + QUERY,
    "length, one trailing blank": head("Content-Length: 30 ") + QUERY,
    "length, odd case": head("cOnTeNt-LeNgTh: 30") + QUERY,
    "chunks": head(CHUNKED) + chunks(),
    "chunks, odd case": head("tRaNsFeR-eNcOdInG: cHuNkEd") + chunks("1E"),
    "chunks, zeros before": head(CHUNKED) + chunks("001e", last="000"),
    "chunks, an extension": head(CHUNKED) + chunks(extension=';name=value;quoted="x"'),
    "chunks, trailers": head(CHUNKED)
    + chunks(trailers="X-Trailer: x\r\nAuthorization: Bearer x\r\n"),
    "an expectation": head("Content-Length: 30", "Expect: 100-continue") + QUERY,
    "absolute target": b"POST http://localhost/graphql HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\nX-Request-Id: first\r\nContent-Length: 30\r\n\r\n" + QUERY,
    "no length": request("POST", "/graphql", mark="first"),
}
"""Requests that are whole and right, however odd."""

REFUSED = {
    "length and chunks": head("Content-Length: 4", CHUNKED) + chunks(),
    "chunks and length": head(CHUNKED, "Content-Length: 4") + chunks(),
    "length 0 and chunks": head("Content-Length: 0", CHUNKED) + chunks(),
    "chunks and length 0": head(CHUNKED, "Content-Length: 0") + chunks(),
    "two lengths": head("Content-Length: 30", "Content-Length: 31") + QUERY,
    "two lengths, one too many": head("Content-Length: 0", "Content-Length: 30") + QUERY,
    "length, listed": head("Content-Length: 30, 31") + QUERY,
    "length, plus": head("Content-Length: +30") + QUERY,
    "length, minus": head("Content-Length: -30") + QUERY,
    "length, hexadecimal": head("Content-Length: 0x1e") + QUERY,
    "length, point": head("Content-Length: 30.0") + QUERY,
    "length, exponent": head("Content-Length: 3e1") + QUERY,
    "length, underscore": head("Content-Length: 3_0") + QUERY,
    "length, inner blank": head("Content-Length: 3 0") + QUERY,
    "length, empty": head("Content-Length: ") + QUERY,
    "length, a word": head("Content-Length: thirty") + QUERY,
    "length, beyond 64 bits": head("Content-Length: 18446744073709551646") + QUERY,
    "length, NUL": head("Content-Length: 30\0") + QUERY,
    "length, other digits": head("Content-Length: \xb3\xb0") + QUERY,
    "length, blank before colon": head("Content-Length : 30") + QUERY,
    "length, tab before colon": head("Content-Length\t: 30") + QUERY,
    "length, blank before name": head(" Content-Length: 30") + QUERY,
    "length, folded": head("Content-Length:\r\n 30") + QUERY,
    "gzip, chunked": head("Transfer-Encoding: gzip, chunked") + chunks(),
    "chunked, gzip": head("Transfer-Encoding: chunked, gzip") + chunks(),
    "gzip": head("Transfer-Encoding: gzip") + chunks(),
    "identity": head("Transfer-Encoding: identity", "Content-Length: 30") + QUERY,
    "chunked, identity": head("Transfer-Encoding: chunked, identity") + chunks(),
    "chunked twice": head("Transfer-Encoding: chunked, chunked") + chunks(),
    "chunked in two lines": head(CHUNKED, CHUNKED) + chunks(),
    "gzip and chunked in two lines": head("Transfer-Encoding: gzip", CHUNKED) + chunks(),
    "chunked, a parameter": head("Transfer-Encoding: chunked;q=1") + chunks(),
    "chunked, quoted": head('Transfer-Encoding: "chunked"') + chunks(),
    "xchunked": head("Transfer-Encoding: xchunked") + chunks(),
    "chunked, vertical tab": head("Transfer-Encoding: \x0bchunked") + chunks(),
    "chunked, form feed": head("Transfer-Encoding: chunked\x0c") + chunks(),
    "chunked, no-break space": head("Transfer-Encoding: chunked\xa0") + chunks(),
    "chunked, NUL": head("Transfer-Encoding: chunked\0") + chunks(),
    "chunked, empty": head("Transfer-Encoding: ") + chunks(),
    "chunked, commas": head("Transfer-Encoding: ,chunked,,") + chunks(),
    "chunked, blank before colon": head("Transfer-Encoding : chunked") + chunks(),
    "chunked, folded": head("Transfer-Encoding:\r\n chunked") + chunks(),
    "chunked, blank before name": head(" Transfer-Encoding: chunked") + chunks(),
    "chunked, hidden in a line": head("X: x\nTransfer-Encoding: chunked") + chunks(),
    "chunked, hidden by a CR": head("X: x\rTransfer-Encoding: chunked") + chunks(),
    "chunk size, empty": head(CHUNKED) + chunks(""),
    "chunk size, 0x": head(CHUNKED) + chunks("0x1e"),
    "chunk size, plus": head(CHUNKED) + chunks("+1e"),
    "chunk size, minus": head(CHUNKED) + chunks("-1e"),
    "chunk size, underscore": head(CHUNKED) + chunks("1_e"),
    "chunk size, blank before": head(CHUNKED) + chunks(" 1e"),
    "chunk size, beyond 64 bits": head(CHUNKED) + chunks("10000000000000001e"),
    "chunk size, too small": head(CHUNKED) + chunks("1d"),
    "chunk size, too large": head(CHUNKED) + chunks("1f"),
    "chunk extension with LF": head(CHUNKED) + chunks(extension=";\n"),
    "chunk extension with CR": head(CHUNKED) + chunks(extension=";\rx"),
    "chunk extension with NUL": head(CHUNKED) + chunks(extension=";\0"),
    "chunk ends with LF": head(CHUNKED) + b"1e\n" + QUERY + b"\r\n0\r\n\r\n",
    "chunk data ends with LF": head(CHUNKED) + b"1e\r\n" + QUERY + b"\n0\r\n\r\n",
    "last chunk ends with LF": head(CHUNKED) + b"1e\r\n" + QUERY + b"\r\n0\n\n",
    "trailer with blank before colon": head(CHUNKED) + chunks(trailers="X : x\r\n"),
    "trailer with LF": head(CHUNKED) + chunks(trailers="X: x\n"),
    "lines end with LF": head("Content-Length: 30").replace(b"\r\n", b"\n") + QUERY,
    "one line ends with LF": head("X: x", "Content-Length: 30").replace(b"x\r\n", b"x\n") + QUERY,
    "lines end with CR": head("Content-Length: 30").replace(b"\r\n", b"\r") + QUERY,
    "NUL in a value": head("X: \0", "Content-Length: 30") + QUERY,
    "control character in a value": head("X: \x01", "Content-Length: 30") + QUERY,
    "NUL in a name": head("X\0: x", "Content-Length: 30") + QUERY,
    "no colon": head("X", "Content-Length: 30") + QUERY,
    "no name": head(": x", "Content-Length: 30") + QUERY,
    "name with a blank": head("X Y: x", "Content-Length: 30") + QUERY,
    "name beyond ASCII": head("X\xe9: x", "Content-Length: 30") + QUERY,
    "folded": head("X: x\r\n y", "Content-Length: 30") + QUERY,
    "two hosts": head("Host: other", "Content-Length: 30") + QUERY,
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "host with a path": request("GET", "/healthz", host="localhost/x"),
    "host with credentials": request("GET", "/healthz", host="root@localhost"),
    "host with a blank": request("GET", "/healthz", host="a b"),
    "chunks in HTTP/1.0": head(CHUNKED).replace(b"HTTP/1.1", b"HTTP/1.0") + chunks(),
    "no version": b"GET /healthz\r\n",
    "HTTP/0.9": b"GET /healthz HTTP/0.9\r\n\r\n",
    "HTTP/1.2": b"GET /healthz HTTP/1.2\r\nHost: localhost\r\n\r\n",
    "HTTP/2.0": b"GET /healthz HTTP/2.0\r\nHost: localhost\r\n\r\n",
    "HTTP/1.10": b"GET /healthz HTTP/1.10\r\nHost: localhost\r\n\r\n",
    "HTTP/1": b"GET /healthz HTTP/1\r\nHost: localhost\r\n\r\n",
    "http/1.1": b"GET /healthz http/1.1\r\nHost: localhost\r\n\r\n",
    "RTSP/1.0": b"DESCRIBE /healthz RTSP/1.0\r\nHost: localhost\r\n\r\n",
    "ICE/1.0": b"SOURCE /healthz ICE/1.0\r\nHost: localhost\r\n\r\n",
    "blank at the end of the first line": b"GET /healthz HTTP/1.1 \r\nHost: localhost\r\n\r\n",
    "two blanks in the first line": b"GET  /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "tab in the first line": b"GET\t/healthz\tHTTP/1.1\r\nHost: localhost\r\n\r\n",
    "target with a blank": b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "target with NUL": b"GET /\0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "target without a slash": b"GET healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "CONNECT": b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n",
    "CONNECT with a body": b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n"
    b"Content-Length: %d\r\n\r\n" % len(SMUGGLED),
    "method with a control character": b"G\x01T /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "blank before the method": b" GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "TLS": bytes.fromhex("16030100a5010000a10303") + b"x" * 100,
}
"""Requests of which it is not certain where they end, or which are none."""


EITHER = {
    "host with a comma": request("GET", "/healthz", host="a,b"),
    "method in lower case": b"get /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "chunks, blanks": head("Transfer-Encoding: \t chunked \t ") + chunks(),
    "target with a fragment": b"GET /healthz#x HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "target of another scheme": b"GET ftp://localhost/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "target of another host": b"GET http://other/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "lines before": b"\r\n\r\n" + head("Content-Length: 30") + QUERY,
    "length, zeros before": head("Content-Length: 0030") + QUERY,
    "target beyond ASCII": b"GET /\xe9 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "chunks, a length in the trailers": head(CHUNKED) + chunks(trailers="Content-Length: 5\r\n"),
}
"""Requests that a server may take or refuse, and that end in one place only."""


def authorized(sent: bytes, authorization: str) -> bytes:
    """Return a request with the header in it, if it is one that has an id."""
    return sent.replace(b"X-Request-Id", f"{authorization}\r\nX-Request-Id".encode())


@pytest.mark.parametrize("sent", UNDERSTOOD.values(), ids=UNDERSTOOD.keys())
def test_framing_understood(server: Server, authorization: str, sent: bytes) -> None:
    """A request that is right is answered in whichever pieces it comes, and the next one too."""
    with_token = authorized(sent, authorization)
    status = 415 if b"Content-Type" not in sent else 200
    middle = sent.index(b"\r\n\r\n") + 4
    cuts = [
        [with_token + LAST],
        [with_token, LAST],
        [with_token[:-3], with_token[-3:] + LAST],
        [with_token[:-33], with_token[-33:-8], with_token[-8:], LAST],
        [with_token[:middle], with_token[middle:], LAST],
    ]
    for pieces in cuts:
        with Connection(server.url) as client:
            client.send(*pieces)
            answers = [answer for answer in client.answers() if answer.status != 100]
        assert outcome(answers) == [(status, "first"), (200, "last")]
        if status == 200:
            assert json.loads(answers[0].body) == {"data": {"viewer": {"username": "carol"}}}


@pytest.mark.parametrize("sent", REFUSED.values(), ids=REFUSED.keys())
def test_framing_refused(server: Server, authorization: str, sent: bytes) -> None:
    """A request that could be read in two ways is refused, and nothing after it is read at all."""
    with_token = authorized(sent, authorization)
    middle = sent.find(b"\r\n\r\n") + 4
    for pieces in (
        [with_token + SMUGGLED + LAST],
        [with_token, SMUGGLED, LAST],
        [with_token[:middle], with_token[middle:] + SMUGGLED, LAST],
    ):
        with Connection(server.url) as client:
            client.send(*pieces)
            answers = outcome(client.answers())
        # One answer at most: where the head is right and the body is not, it may be that of the
        # request, such as 401. Where a size is wrong, it may also take the others for its body.
        assert len(answers) == 1, answers
        ((status, _),) = answers
        assert 400 <= status < 600
        assert status != 500


@pytest.mark.parametrize("sent", EITHER.values(), ids=EITHER.keys())
def test_framing_either(server: Server, authorization: str, sent: bytes) -> None:
    """Such a request has one answer, and where it is refused, that is the last."""
    with_token = authorized(sent, authorization)
    for pieces in (
        [with_token + LAST],
        [with_token, LAST],
        [with_token[:-5], with_token[-5:], LAST],
    ):
        with Connection(server.url) as client:
            client.send(*pieces)
            answers = outcome(client.answers())
        assert answers[-1] == (200, "last") or [status for status, _ in answers] == [400]
        assert len(answers) <= 2


@pytest.mark.parametrize(
    ("coding", "status"), [("gzip, chunked", 501), ("br, Chunked", 501), ("gzip", 400)]
)
def test_transfer_coding_unknown(server: Server, coding: str, status: int) -> None:
    """A coding that is not known is 501, and one that does not end is 400: RFC 9112, 6.1, 6.3."""
    with Connection(server.url) as client:
        client.send(head(f"Transfer-Encoding: {coding}") + chunks())
        assert [answer.status for answer in client.answers()] == [status]


def test_after_a_refusal(server: Server) -> None:
    """What was pipelined before a request that is refused is answered, and nothing after it."""
    first = request("GET", "/healthz", mark="first")
    second = request("GET", "/readyz", mark="second")
    for pieces in ([first + second + b"\0\r\n\r\n" + SMUGGLED], [first, second, b"\0\r\n", LAST]):
        with Connection(server.url) as client:
            client.send(*pieces)
            answers = outcome(client.answers())
        assert answers[:2] == [(200, "first"), (200, "second")]
        assert [status for status, _ in answers[2:]] == [400]


def test_close_is_the_end(server: Server) -> None:
    """After a request with `Connection: close` nothing is answered, whatever comes."""
    for close in ("close", "Close", "keep-alive, close", "close, keep-alive", "x,close"):
        first = request("GET", "/healthz", f"Connection: {close}", mark="first")
        with Connection(server.url) as client:
            client.send(first + SMUGGLED, SMUGGLED)
            assert outcome(client.answers()) == [(200, "first")]


def test_http_1_0(server: Server) -> None:
    """HTTP/1.0 ends with its answer, which has no chunks, unless it asks to be kept."""
    first = b"GET /healthz HTTP/1.0\r\nX-Request-Id: first\r\n\r\n"
    with Connection(server.url) as client:
        client.send(first + SMUGGLED)
        (answer,) = client.answers()
    assert (answer.status, answer.mark, answer.body) == (200, "first", b"ok\n")
    assert "transfer-encoding" not in answer.headers


def test_head_has_no_body(server: Server) -> None:
    """The answer to HEAD ends with its head, or what follows would be taken for it."""
    first = request("HEAD", "/healthz", mark="first")
    with Connection(server.url) as client:
        client.send(first + first + LAST)
        heads = b""
        while piece := client.socket.recv(65536):
            heads += piece
    assert heads.count(b"HTTP/1.1 200") == 3
    assert heads.count(b"ok\n") == 1
    assert heads.endswith(b"ok\n")


@pytest.mark.parametrize(
    "mark",
    [
        "a\r\nX-Split: b",
        "a\nX-Split: b",
        "a\rX-Split: b",
        "a%0d%0aX-Split: b",
        "a\\r\\nX-Split: b",
        "\u010d\u010aX-Split: b".encode().decode("latin-1"),
        "a\x85X-Split: b",
        "a" * 65,
    ],
)
def test_response_is_not_split(server: Server, mark: str) -> None:
    """No header of a request gets a line of its own into the response."""
    for name in ("X-Request-Id", "Origin", "Access-Control-Request-Headers", "Accept"):
        for method in ("GET", "OPTIONS"):
            with Connection(server.url) as client:
                client.send(request(method, "/healthz", f"{name}: {mark}", "Connection: close"))
                answers = client.answers()
            assert len(answers) == 1
            assert "x-split" not in answers[0].headers
            assert mark not in answers[0].headers.values()


def test_expectation(server: Server, authorization: str) -> None:
    """Who waits for 100 Continue gets it, or the final answer; then the next request is served."""
    waiting = head(authorization, "Content-Length: 30", "Expect: 100-continue")
    with Connection(server.url) as client:
        client.send(waiting)
        answer = client.answer()
        assert answer is not None
        assert answer.status == 100
        client.send(QUERY, LAST)
        assert outcome(client.answers()) == [(200, "first"), (200, "last")]


def test_expectation_refused(server: Server) -> None:
    """A client that is rejected at once cannot smuggle a request in the body that follows."""
    waiting = head(f"Content-Length: {len(SMUGGLED)}", "Expect: 100-continue")
    with Connection(server.url) as client:
        client.send(waiting, SMUGGLED, LAST)
        answers = outcome(client.answers())
    assert answers in ([(401, "first"), (200, "last")], [(401, "first")])


def test_refused_before_the_body(server: Server) -> None:
    """A request that is refused by its head ends by its framing, or with the connection."""
    for lines in ([f"Content-Length: {len(SMUGGLED)}"], [CHUNKED]):
        body = SMUGGLED if lines != [CHUNKED] else chunks()
        for target, status in (("/graphql", 401), ("/nothing", 404), ("/healthz", 405)):
            first = request("POST", target, *lines, mark="first")
            for pieces in ([first, body, LAST], [first + body, LAST], [first + body + LAST]):
                with Connection(server.url) as client:
                    client.send(*pieces)
                    answers = outcome(client.answers())
                assert answers in ([(status, "first"), (200, "last")], [(status, "first")])


def test_too_large_a_body(server: Server, authorization: str) -> None:
    """What is left of a body that is too large is not taken for a request."""
    size = 300_000 // len(SMUGGLED) * len(SMUGGLED)
    for lines, body in (
        ([f"Content-Length: {size}"], SMUGGLED * (size // len(SMUGGLED))),
        (
            [CHUNKED],
            (b"%x\r\n%b\r\n" % (len(SMUGGLED), SMUGGLED)) * (size // len(SMUGGLED)) + b"0\r\n\r\n",
        ),
    ):
        with Connection(server.url) as client:
            client.send(head(authorization, *lines), body[:1000], body[1000:], LAST)
            answers = outcome(client.answers())
        assert answers in ([(413, "first"), (200, "last")], [(413, "first")])
