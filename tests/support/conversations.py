"""Made-up HTTP/1.1 conversations: good and broken, in odd pieces, the same for the same seed.

Each request has a mark in its target, which the answer of `tests.support.echo` repeats, so that an
answer that goes to another request shows. Bodies hold requests too, whose marks no answer may have.
"""

import json
import random
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

HIDDEN = "hidden"
"""What the mark of a request in a body begins with."""


class Sent(NamedTuple):
    """A request of a conversation."""

    mark: str
    data: bytes
    body: bytes = b""
    """What its framing says that the body is."""
    defect: str | None = None
    """What is wrong with it, or so odd that a server may refuse it."""
    is_last: bool = False
    """Whether the server has to close the connection after it."""
    may_be_last: bool = False
    """Whether the server may."""


class Conversation(NamedTuple):
    """What a client sends over one connection."""

    number: int
    requests: list[Sent]
    pieces: list[bytes]

    @property
    def defect(self) -> str | None:
        """What is wrong with one of the requests."""
        return next((sent.defect for sent in self.requests if sent.defect), None)


def make(number: int) -> Conversation:
    """Return the conversation with that number."""
    chance = random.Random(number)
    requests = [_good(chance, f"m{number}-{place}") for place in range(chance.randint(1, 5))]
    if number % 2:
        place = chance.randrange(len(requests))
        mark = requests[place].mark
        name, make_broken = chance.choice(_DEFECTS)
        requests[place] = Sent(mark, make_broken(chance, mark), defect=name)
    last = f"m{number}-last"
    requests.append(
        Sent(last, _head("GET", _target(last, "echo"), ["Connection: close"]), is_last=True)
    )
    return Conversation(number, requests, _cut(chance, b"".join(sent.data for sent in requests)))


def _cut(chance: random.Random, data: bytes) -> list[bytes]:
    """Cut at random places, preferably within and around line ends."""
    ends = [place for place in range(len(data)) if data[place] in b"\r\n"]
    cuts = {chance.randrange(1, len(data)) for _ in range(chance.choice((0, 0, 1, 3)))}
    cuts |= {
        min(len(data) - 1, chance.choice(ends) + chance.choice((0, 0, 1, 2)))
        for _ in range(chance.choice((0, 1, 2, 5)))
    }
    places = [0, *sorted(cuts - {0}), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


_MODES = ("echo", "echo", "echo", "slow", "stream", "early", "none", "large")


def _target(mark: str, mode: str) -> str:
    return f"/echo?mark={mark}&mode={mode}"


def _head(method: str, target: str, lines: list[str], version: str = "HTTP/1.1") -> bytes:
    host = ["Host: localhost"]
    text = "\r\n".join([f"{method} {target} {version}", *host, *lines, "", ""])
    return text.encode("latin-1")


def _oddly(chance: random.Random, name: str, value: str) -> str:
    """Return a header with blanks and letters that make no difference."""
    if chance.random() < 0.5:
        name = "".join(chance.choice((letter.lower(), letter.upper())) for letter in name)
    before, after = (chance.choice(("", " ", " ", "  ", "\t", " \t ")) for _ in range(2))
    return f"{name}:{before}{value}{after if chance.random() < 0.3 else ''}"


_UPGRADES = ["h2c", "TLS/1.2", "x", "websocket", "h2c, websocket", "HTTP/2.0", "WebSocket", ""]


def _more_headers(chance: random.Random) -> list[str]:
    lines = []
    if chance.random() < 0.35:
        connection = chance.choice(("Upgrade", "upgrade", "keep-alive, Upgrade", "Upgrade, x"))
        lines += [
            _oddly(chance, "Connection", connection),
            _oddly(chance, "Upgrade", chance.choice(_UPGRADES)),
        ]
        if chance.random() < 0.3:
            lines.append("HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA")
    for _ in range(chance.choice((0, 0, 1, 3))):
        value = chance.choice(("", "x", "a b", "a, b", "\xe9\xff", '"q\\""', "x" * 300, "GET / ;:"))
        lines.append(
            _oddly(chance, chance.choice(("X-One", "Accept", "X_Under", "x!#$%&'*+.^`|~")), value)
        )
    chance.shuffle(lines)
    return lines


def _body(chance: random.Random, mark: str) -> bytes:
    """Return a body, most often one that looks like a request."""
    hidden = _head("GET", _target(f"{HIDDEN}-{mark}", "echo"), [])
    kinds: list[Callable[[], bytes]] = [
        lambda: b"",
        lambda: json.dumps({"query": "{ viewer { sub } }" * chance.randint(1, 20)}).encode(),
        lambda: chance.randbytes(chance.randint(1, 3000)),
        lambda: b"\r\n" * chance.randint(1, 2000) + hidden,
        lambda: b"0\r\n\r\n" + hidden * chance.randint(1, 5),
        lambda: hidden[: chance.randint(1, len(hidden))],
        lambda: hidden * chance.randint(1, 100),
    ]
    return chance.choice(kinds)()


def _chunked(chance: random.Random, body: bytes) -> bytes:
    """Return a body in chunks of random sizes, some with extensions, some with trailers."""
    out = b""
    while body:
        size = chance.randint(1, max(1, min(len(body), chance.choice((1, 10, 1000, 100_000)))))
        if out.count(b"\r\n") > 60:
            size = len(body)
        extension = chance.choice(("", "", "", ";x", ";name=value", ';q="a b"'))
        number = chance.choice(("{:x}", "{:X}", "000{:x}")).format(size)
        out += f"{number}{extension}\r\n".encode() + body[:size] + b"\r\n"
        body = body[size:]
    trailers = chance.choice(("", "", "", "X-Trailer: x\r\n", "Host: other\r\nX-One: y\r\n"))
    return out + chance.choice((b"0", b"000")) + b"\r\n" + trailers.encode() + b"\r\n"


def _framed(chance: random.Random, body: bytes, *, chunked: bool) -> tuple[list[str], bytes]:
    if chunked:
        coding = chance.choice(("chunked", "chunked", "Chunked", "CHUNKED"))
        return [_oddly(chance, "Transfer-Encoding", coding)], _chunked(chance, body)
    return [_oddly(chance, "Content-Length", str(len(body)))], body


def _good(chance: random.Random, mark: str) -> Sent:
    method = chance.choice(("GET", "GET", "HEAD", "POST", "POST", "POST", "PUT", "OPTIONS"))
    mode = chance.choice(_MODES)
    lines = _more_headers(chance)
    body = sent = b""
    has_body = False
    if method in {"POST", "PUT"} or chance.random() < 0.2:
        has_body = True
        body = _body(chance, mark)
        framing, sent = _framed(chance, body, chunked=chance.random() < 0.5)
        lines += framing
        if chance.random() < 0.1:
            lines.append("Expect: 100-continue")
    return Sent(
        mark,
        _head(method, _target(mark, mode), lines) + sent,
        body,
        may_be_last=mode == "early" and has_body,
    )


Defect = Callable[[random.Random, str], bytes]


def _with_lines(*lines: str) -> Defect:
    """Return what makes a post with these lines; `{n}` in them is the length of its body."""

    def make_broken(chance: random.Random, mark: str) -> bytes:
        body = _body(chance, mark)
        others = _more_headers(chance)
        place = chance.randint(0, len(others))
        given = [line.replace("{n}", str(len(body))) for line in lines]
        if chance.random() < 0.5 and any("chunked" in line.lower() for line in lines):
            body = _chunked(chance, body)
        return (
            _head("POST", _target(mark, "echo"), [*others[:place], *given, *others[place:]]) + body
        )

    return make_broken


def _with_chunks(size: bytes, end: bytes = b"\r\n", after: bytes = b"\r\n") -> Defect:
    """Return what makes a post with a chunk of this size, and these ends of lines."""

    def make_broken(chance: random.Random, mark: str) -> bytes:
        body = _body(chance, mark) or b"x"
        number = size.replace(b"{n}", b"%x" % len(body))
        sent = _head("POST", _target(mark, "echo"), ["Transfer-Encoding: chunked"])
        return sent + number + end + body + after + b"0" + end + after

    return make_broken


def _with_start(line: str, *lines: str) -> Defect:
    """Return what makes a request with this first line, in which `{t}` is the target."""

    def make_broken(chance: random.Random, mark: str) -> bytes:
        others = _more_headers(chance)
        first = line.replace("{t}", _target(mark, "echo"))
        return "\r\n".join([first, *(lines or ["Host: localhost"]), *others, "", ""]).encode(
            "latin-1"
        )

    return make_broken


def _mutated(chance: random.Random, mark: str) -> bytes:
    """Return a good request of which one byte is another, is gone, or is there twice."""
    data = bytearray(_good(chance, mark).data)
    head = data.index(b"\r\n\r\n") + 4
    place = chance.randrange(head if chance.random() < 0.8 else len(data))
    kind = chance.randrange(3)
    if kind == 0:
        data[place] = chance.choice(b'\0\t\n\r "#,/09:;=?AX_az\x7f\x80\xff')
    elif kind == 1:
        del data[place]
    else:
        data.insert(place, chance.choice(b"\0\t\n\r ,:;0x\x80"))
    return bytes(data)


def _ended_with(end: bytes) -> Defect:
    """Return what makes a request whose lines end with something else."""

    def make_broken(chance: random.Random, mark: str) -> bytes:
        sent = _good(chance, mark).data
        head, _, body = sent.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        ends = [end if chance.random() < 0.5 else b"\r\n" for _ in lines]
        ends[chance.randrange(len(ends))] = end
        return b"".join(line + e for line, e in zip(lines, ends, strict=True)) + b"\r\n" + body

    return make_broken


_DEFECTS: list[tuple[str, Defect]] = [
    *[("a byte", _mutated)] * 12,
    ("an empty line before", lambda chance, mark: b"\r\n" + _good(chance, mark).data),
    *[
        (f"lines {lines}", _with_lines(*lines))
        for lines in (
            ("Content-Length: {n}", "Transfer-Encoding: chunked"),
            ("Transfer-Encoding: chunked", "Content-Length: {n}"),
            ("Content-Length: 0", "Transfer-Encoding: chunked"),
            ("Content-Length: {n}", "Content-Length: {n}"),
            ("Content-Length: {n}", "Content-Length: 0"),
            ("Content-Length: 0", "Content-Length: {n}"),
            ("Content-Length: {n}, {n}",),
            ("Content-Length: {n}, 0",),
            ("Content-Length: +{n}",),
            ("Content-Length: -{n}",),
            ("Content-Length: 0x{n}",),
            ("Content-Length: {n}.0",),
            ("Content-Length: {n}e0",),
            ("Content-Length: 1_{n}",),
            ("Content-Length: 1 {n}",),
            ("Content-Length:",),
            ("Content-Length: x",),
            ("Content-Length: {n}x",),
            ("Content-Length: 1844674407370955161{n}",),
            ("Content-Length : {n}",),
            ("Content-Length\t: {n}",),
            (" Content-Length: {n}",),
            ("Content-Length:\r\n {n}",),
            ("Content-Length: {n}\r\n ",),
            ("X: x\r\n Content-Length: {n}",),
            ("X: x\nContent-Length: {n}",),
            ("X: x\rContent-Length: {n}",),
            ("Content_Length: {n}",),
            ("Transfer-Encoding: gzip, chunked",),
            ("Transfer-Encoding: chunked, gzip",),
            ("Transfer-Encoding: gzip", "Transfer-Encoding: chunked"),
            ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
            ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
            ("Transfer-Encoding: chunked, chunked",),
            ("Transfer-Encoding: identity", "Content-Length: {n}"),
            ("Transfer-Encoding: identity",),
            ("Transfer-Encoding: xchunked", "Content-Length: {n}"),
            ("Transfer-Encoding: chunkedx", "Content-Length: {n}"),
            ("Transfer-Encoding: chunked;q=1",),
            ('Transfer-Encoding: "chunked"',),
            ("Transfer-Encoding: \x0bchunked",),
            ("Transfer-Encoding: chunked\x0b",),
            ("Transfer-Encoding: chunked\xa0",),
            ("Transfer-Encoding: ,chunked",),
            ("Transfer-Encoding:", "Content-Length: {n}"),
            ("Transfer-Encoding : chunked", "Content-Length: {n}"),
            (" Transfer-Encoding: chunked", "Content-Length: {n}"),
            ("Transfer-Encoding:\r\n chunked",),
            ("X: x\r\n Transfer-Encoding: chunked", "Content-Length: {n}"),
            ("X: x\nTransfer-Encoding: chunked", "Content-Length: {n}"),
            ("X: x\rTransfer-Encoding: chunked", "Content-Length: {n}"),
            ("Transfer_Encoding: chunked", "Content-Length: {n}"),
            ("Transfer-Encoding: chunked\r\nX\0: x",),
            ("X: \0", "Content-Length: {n}"),
            ("X: \x1f", "Content-Length: {n}"),
            ("X: \x7f", "Content-Length: {n}"),
            ("X", "Content-Length: {n}"),
            (": x", "Content-Length: {n}"),
            ("X Y: x", "Content-Length: {n}"),
            ("X\xe9: x", "Content-Length: {n}"),
            ("X(: x", "Content-Length: {n}"),
            ("X: x\r\n y", "Content-Length: {n}"),
            ("Host: other", "Content-Length: {n}"),
            ("Host: localhost", "Content-Length: {n}"),
            ("Connection: close, Upgrade", "Upgrade: h2c", "Content-Length: {n}"),
        )
    ],
    *[
        (f"chunk {size!r} {end!r} {after!r}", _with_chunks(size, end, after))
        for size, end, after in (
            (b"", b"\r\n", b"\r\n"),
            (b"0x{n}", b"\r\n", b"\r\n"),
            (b"+{n}", b"\r\n", b"\r\n"),
            (b"-{n}", b"\r\n", b"\r\n"),
            (b"{n}_", b"\r\n", b"\r\n"),
            (b" {n}", b"\r\n", b"\r\n"),
            (b"{n} ", b"\r\n", b"\r\n"),
            (b"{n} ;x", b"\r\n", b"\r\n"),
            (b"{n}\t", b"\r\n", b"\r\n"),
            (b"{n}g", b"\r\n", b"\r\n"),
            (b"1{n}", b"\r\n", b"\r\n"),
            (b"1000000000000000{n}", b"\r\n", b"\r\n"),
            (b"f000000000000000{n}", b"\r\n", b"\r\n"),
            (b"{n};\0", b"\r\n", b"\r\n"),
            (b"{n};\n", b"\r\n", b"\r\n"),
            (b"{n};\rx", b"\r\n", b"\r\n"),
            (b'{n};x="\r\n"', b"\r\n", b"\r\n"),
            (b"{n};x=" + b"x" * 500, b"\r\n", b"\r\n"),
            (b"{n}", b"\n", b"\r\n"),
            (b"{n}", b"\r\n", b"\n"),
            (b"{n}", b"\r\n", b""),
            (b"{n}", b"\r\n", b"\r"),
            (b"{n}", b"\r\n", b"x\r\n"),
            (b"{n}", b"\r", b"\r\n"),
            (b"{n}", b"\n", b"\n"),
        )
    ],
    *[
        (f"start {line!r} {lines}", _with_start(line, *lines))
        for line, *lines in (
            ("GET {t}",),
            ("GET {t} HTTP/0.9",),
            ("GET {t} HTTP/1.2",),
            ("GET {t} HTTP/2.0",),
            ("GET {t} HTTP/3.0",),
            ("GET {t} HTTP/1",),
            ("GET {t} HTTP/1.10",),
            ("GET {t} http/1.1",),
            ("GET {t} HTTPS/1.1",),
            ("GET {t} ICE/1.0",),
            ("GET {t} RTSP/1.0",),
            ("GET {t} HTTP/1.1 ",),
            ("GET  {t} HTTP/1.1",),
            ("GET {t}  HTTP/1.1",),
            ("GET\t{t}\tHTTP/1.1",),
            (" GET {t} HTTP/1.1",),
            ("GET {t} x HTTP/1.1",),
            ("GET {t}#x HTTP/1.1",),
            ("GET {t}\0 HTTP/1.1",),
            ("GET {t}\xe9 HTTP/1.1",),
            ("GET {t}\x7f HTTP/1.1",),
            ("GET {t} HTTP/1.1", "X: x"),
            ("GET {t} HTTP/1.1", "Host: localhost", "Host: localhost"),
            ("GET {t} HTTP/1.1", "Host: localhost, other"),
            ("GET {t} HTTP/1.1", "Host: a b"),
            ("GET {t} HTTP/1.1", "Host: a/b"),
            ("GET {t} HTTP/1.1", "Host: a@b"),
            ("GET {t} HTTP/1.1", "Host:"),
            ("GET {t} HTTP/1.1", " Host: localhost"),
            ("GET http://localhost{t} HTTP/1.1",),
            ("GET http://other{t} HTTP/1.1",),
            ("GET ftp://localhost{t} HTTP/1.1",),
            ("GET //other{t} HTTP/1.1",),
            ("GET x{t} HTTP/1.1",),
            ("GET * HTTP/1.1",),
            ("OPTIONS * HTTP/1.1",),
            ("CONNECT localhost:443 HTTP/1.1",),
            ("CONNECT {t} HTTP/1.1",),
            ("PRI * HTTP/2.0",),
            ("get {t} HTTP/1.1",),
            ("GE\x01T {t} HTTP/1.1",),
            ("G\xc9T {t} HTTP/1.1",),
            ("BREW {t} HTTP/1.1",),
            ("M-SEARCH {t} HTTP/1.1",),
            ("SOURCE {t} HTTP/1.1",),
            ("GET {t} HTTP/1.0",),
            ("GET {t} HTTP/1.0", "Connection: keep-alive"),
            ("POST {t} HTTP/1.0", "Transfer-Encoding: chunked"),
            (
                "GET {t} HTTP/1.1",
                "Host: localhost",
                "Connection: Upgrade",
                "Upgrade: websocket",
                "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            ),
            ("",),
        )
    ],
    *[(f"lines end with {end!r}", _ended_with(end)) for end in (b"\n", b"\r", b"\n\r", b"\r\r\n")],
]
