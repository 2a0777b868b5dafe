"""Parses the head of HTTP/1.1 requests.

Only the grammar of RFC 9112 is accepted. A parser that is more or less lenient than the proxy in
front of it sees other requests than the proxy, and then a client may get the response of another
(request smuggling). So everything outside of the grammar is rejected, and its connection is closed.
"""

import re
from typing import NamedTuple

MAX_HEAD = 65_536
"""Most bytes of a head, its request line and its empty line included."""

MAX_FIELDS = 100
"""Most header fields in a head."""

MAX_LENGTH_DIGITS = 18
"""Most digits of a `Content-Length`: no body is longer."""

CONTROL_CHARACTER = "There is a control character in the head, or a line end that is not CR LF."

_VISIBLE = bytes(range(0x21, 0x7F))
_TEXT = b"\t " + _VISIBLE + bytes(range(0x80, 0x100))
"""Allowed characters of a field value: RFC 9110, section 5.5."""

_TARGET = _VISIBLE.replace(b"#", b"")
"""Allowed characters of a target. More than in the grammar of URIs: clients send braces
unencoded."""

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VERSION = re.compile(rb"HTTP/[0-9]\.[0-9]")
_HOST = re.compile(rb"(?:[!$%&'()*+,;=~._0-9A-Za-z-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")
_ABSOLUTE = re.compile(rb"https?://([^/?]+)(.*)", re.IGNORECASE)

_SINGLE = (b"authorization", b"content-length", b"content-type", b"expect", b"host")
"""Fields that must not be repeated: implementations differ in which one counts."""

_METHODS = {m.encode(): m for m in ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")}

_NAMES = {
    spelling: name
    for name in (
        *(b"accept", b"accept-encoding", b"accept-language", b"authorization", b"cache-control"),
        *(b"connection", b"content-length", b"content-type", b"cookie", b"host", b"origin"),
        *(b"pragma", b"priority", b"referer", b"sec-ch-ua", b"sec-ch-ua-mobile", b"traceparent"),
        *(b"sec-ch-ua-platform", b"sec-fetch-dest", b"sec-fetch-mode", b"sec-fetch-site"),
        *(b"transfer-encoding", b"user-agent", b"via", b"x-amzn-trace-id", b"x-forwarded-for"),
        *(b"x-forwarded-host", b"x-forwarded-port", b"x-forwarded-proto", b"x-real-ip"),
        b"x-request-id",
    )
    for spelling in (name, name.title())
}
"""Common names, in their usual spelling, with their lower case. Others are converted one by one."""


class Refused(Exception):
    """A request is rejected with a status, and its connection is closed.

    Args:
        status: The HTTP status.
        reason: A sentence for the developer of the client. It quotes nothing of the request.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Head(NamedTuple):
    """The head of a request."""

    method: str

    path: bytes
    """The path as it was sent, or `*`."""

    query: bytes
    """The part after the first question mark."""

    version: str
    """`1.1` or `1.0`."""

    headers: list[tuple[bytes, bytes]]
    """Names in lower case, and values without surrounding whitespace, in order."""

    length: int | None
    """Bytes of the body; None for a chunked body."""

    keep_alive: bool
    """Whether another request may follow on the connection."""

    expects_continue: bool
    """Whether the client waits for `100 Continue` before it sends the body."""


def parse(head: bytes) -> Head:
    """Parse a head.

    Args:
        head: The head without the line end of its last line and the empty line.

    Raises:
        Refused: It is outside of the grammar, or requires something unsupported.
    """
    line, *lines = head.splitlines()
    if len(lines) > MAX_FIELDS:
        raise Refused(431, "There are too many header fields.")
    # Lines are split at a CR or an LF alone, too. Then there are more of them than pairs of both.
    if head.translate(None, _TEXT) != b"\r\n" * len(lines):
        raise Refused(400, CONTROL_CHARACTER)
    method, target, version = _parse_line(line)
    headers = []
    for field in lines:
        name, colon, value = field.partition(b":")
        if not colon:
            raise Refused(400, "A header field has no colon.")
        headers.append((_NAMES.get(name) or _to_lower(name), value.strip(b" \t")))
    fields = dict(headers)
    if len(fields) != len(headers):
        fields = _combine(headers)
    host = fields.get(b"host")
    if host is None:
        if version == "1.1":
            raise Refused(400, "The header field Host is missing.")
    elif not _HOST.fullmatch(host):
        raise Refused(400, "The header field Host is not valid.")
    path, query, authority = _parse_target(method, target)
    if authority is not None:  # it overrides Host: RFC 9112, section 3.2.2
        others = [header for header in headers if header[0] != b"host"]
        headers = [(b"host", authority), *others]
    length = _parse_length(fields, version)
    return Head(
        method,
        path,
        query,
        version,
        headers,
        length,
        version == "1.1" and not _closes(fields.get(b"connection")),
        b"expect" in fields and version == "1.1" and _expects_continue(fields) and length != 0,
    )


def _parse_line(line: bytes) -> tuple[str, bytes, str]:
    """Return the method, the target and the version of HTTP."""
    parts = line.split(b" ")
    if len(parts) != 3:
        raise Refused(400, "The request line is not a method, a target and a version.")
    name, target, version = parts
    method = _METHODS.get(name)
    if method is None:
        if not _TOKEN.fullmatch(name):
            raise Refused(400, "The method is not a token.")
        method = name.decode("ascii")
    if version not in (b"HTTP/1.1", b"HTTP/1.0"):
        if _VERSION.fullmatch(version):
            raise Refused(505, "Only HTTP/1.1 and HTTP/1.0 are served.")
        raise Refused(400, "The request line does not end with a version of HTTP.")
    if method == "CONNECT":
        raise Refused(501, "This server is not a proxy.")
    return method, target, "1.1" if version == b"HTTP/1.1" else "1.0"


def _parse_target(method: str, target: bytes) -> tuple[bytes, bytes, bytes | None]:
    """Return the path and the query of a target, and the authority if it has one."""
    authority = None
    if target.translate(None, _TARGET):
        raise Refused(400, "The target has a character that must be encoded.")
    if not target.startswith(b"/"):
        if target == b"*" and method == "OPTIONS":
            return target, b"", None
        absolute = _ABSOLUTE.fullmatch(target)
        if not absolute or not _HOST.fullmatch(absolute[1]) or absolute[1].startswith(b":"):
            raise Refused(400, "The target is not a path, nor an http URL.")
        authority, target = absolute.groups()
        if not target.startswith(b"/"):
            target = b"/" + target
    path, _, query = target.partition(b"?")
    return path, query, authority


def _to_lower(name: bytes) -> bytes:
    if not _TOKEN.fullmatch(name):  # such as a folded line, or whitespace before the colon
        raise Refused(400, "The name of a header field is not a token.")
    return name.lower()


def _combine(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Combine repeated fields: RFC 9110, section 5.3."""
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        if name not in fields:
            fields[name] = value
        elif name in _SINGLE:
            raise Refused(400, "A header field that must be unique is repeated.")
        else:
            fields[name] += b", " + value
    return fields


def _parse_length(fields: dict[bytes, bytes], version: str) -> int | None:
    """Return the length of the body, or None if it is chunked: RFC 9112, section 6.3."""
    digits = fields.get(b"content-length")
    coding = fields.get(b"transfer-encoding")
    if coding is not None:
        if version == "1.0" or digits is not None:
            raise Refused(
                400, "Transfer-Encoding is not allowed with Content-Length, or in HTTP/1.0."
            )
        _require_chunked(coding)
        return None
    if digits is None:
        return 0
    if not digits.isdigit():
        raise Refused(400, "The header field Content-Length is not a number.")
    if len(digits) > MAX_LENGTH_DIGITS:
        raise Refused(413, "The Content-Length is too large.")
    return int(digits)


def _require_chunked(coding: bytes) -> None:
    codings = [item.strip(b" \t").lower() for item in coding.split(b",")]
    if codings == [b"chunked"]:
        return
    is_last = codings[-1] == b"chunked" and codings.count(b"chunked") == 1
    if not is_last or not all(map(_TOKEN.fullmatch, codings)):
        raise Refused(400, "The end of the body is not defined.")
    raise Refused(501, "Only the transfer coding `chunked` is supported.")


def _closes(connection: bytes | None) -> bool:
    return connection is not None and b"close" in (
        option.strip(b" \t") for option in connection.lower().split(b",")
    )


def _expects_continue(fields: dict[bytes, bytes]) -> bool:
    if fields[b"expect"].lower() != b"100-continue":
        raise Refused(417, "Only the expectation `100-continue` is supported.")
    return True
