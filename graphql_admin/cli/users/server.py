"""A running server, over HTTP: requests with a token, and what can be done about their failures.

The token goes to the one address that was given: no redirect is followed, and plain HTTP only leads
to this machine unless that is asked for. A reply is bounded in size and time.
"""

import json
import random
import ssl
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPException
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import click

from graphql_admin import __version__
from graphql_admin.cli.users.tokens import TokenSource
from graphql_admin.telemetry.lines import printable

MAX_REPLY = 32 * 1024 * 1024
"""Bytes of a reply. 60 users with all that Cognito lets them have are a quarter of it."""

MAX_PAUSE = 60.0
"""Seconds of a pause that a server may ask for."""

_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 15.0

_BUSY = {429, 502, 503, 504}

_AGAIN = {
    "AUDIT_UNAVAILABLE",
    "AUTHORITY_UNAVAILABLE",
    "INTERNAL",
    "OVERLOADED",
    "REQUEST_TIMEOUT",
    "SHUTTING_DOWN",
    "THROTTLED",
    "TIMEOUT",
    "UPSTREAM_ERROR",
}
"""Codes of errors after which the same request may succeed later."""


class Unusable(click.ClickException):
    """The server cannot be worked with: trying again would not help."""


class NoAnswer(Exception):
    """A request has no answer that can be used; whether it was carried out is not known.

    Args:
        reason: What happened, for people.
        pause: Seconds after which the server wants to be asked again.
    """

    def __init__(self, reason: str, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.pause = pause


class Rejected(Exception):
    """The server rejects a request as it is; it was not carried out.

    Args:
        code: The code of the first error.
        message: Its message.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(printable(f"{code}: {message}"))
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Answer:
    """The body of a GraphQL response."""

    data: Mapping[str, Any] | None = field(repr=False)
    errors: list[Mapping[str, Any]] = field(repr=False)


class Patience:
    """Pauses between attempts, which get longer, until nothing has succeeded for too long.

    Args:
        seconds: How long that is.
        sleep: Waits.
        now: The time in seconds.
    """

    def __init__(
        self,
        seconds: float,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = seconds
        self._sleep = sleep
        self._now = now
        self._since: float | None = None
        self._pause = _FIRST_PAUSE

    def reset(self) -> None:
        """Record that something succeeded."""
        self._since = None
        self._pause = _FIRST_PAUSE

    def wait(self, reason: str, pause: float = 0.0) -> None:
        """Wait before the next attempt.

        Args:
            reason: Why there is another, for people.
            pause: The least number of seconds to wait.

        Raises:
            Unusable: Nothing has succeeded for too long.
        """
        now = self._now()
        self._since = now if self._since is None else self._since
        if now - self._since >= self._seconds:
            raise Unusable(
                f"Nothing has succeeded for {self._seconds:g} s; at last: {printable(reason)}"
            )
        spread = self._pause * random.uniform(0.5, 1.0)  # noqa: S311  # it is no secret
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        self._sleep(max(spread, min(pause, MAX_PAUSE)))


class Server:
    """The server.

    Args:
        url: Its address, as `check_url` returns it.
        tokens: Where the token comes from.
        timeout: Seconds to wait for a reply.
        patience: Seconds without a success after which it is given up.
    """

    def __init__(self, url: str, tokens: TokenSource, timeout: float, patience: float) -> None:
        self.url = url
        self.patience = Patience(patience)
        self._tokens = tokens
        self._timeout = timeout
        self._rejected = False
        """Whether the last token that was sent was rejected."""
        self._opener = _make_opener(url)

    def read(self, query: str, variables: Mapping[str, Any] | None = None) -> Answer:
        """Send a query, until it is answered without an error that will pass.

        Raises:
            Rejected: The server rejects it.
            Unusable: There is no answer.
        """
        while True:
            try:
                answer = self.send(query, variables)
            except NoAnswer as failure:
                self.patience.wait(failure.reason, failure.pause)
            else:
                self.patience.reset()
                return answer

    def send(self, query: str, variables: Mapping[str, Any] | None = None) -> Answer:
        """Send a request once.

        Raises:
            NoAnswer: It is not known whether it was carried out.
            Rejected: It was not carried out.
            Unusable: No request will be.
        """
        status, headers, body = self._post({"query": query, "variables": variables or {}})
        answer = _parse(body)
        codes = [_code_of(error) for error in answer.errors] if answer is not None else []
        if "UNAUTHENTICATED" in codes or (answer is None and status == 401):
            self._renew()
        self._rejected = False
        if answer is None:
            raise _explain(status, headers)
        if busy := _AGAIN.intersection(codes):
            pauses = [_pause_of(error) for error in answer.errors]
            raise NoAnswer(min(busy), max([_retry_after(headers), *pauses]))
        if codes and all(value is None for value in (answer.data or {}).values()):
            raise Rejected(codes[0], str(answer.errors[0].get("message", "")))
        return answer

    def _renew(self) -> None:
        """Get another token after one was rejected.

        Raises:
            NoAnswer: There is another.
            Unusable: There is none, or the other was rejected too.
        """
        if self._rejected or not self._tokens.renew():
            raise Unusable("The server rejects the token: it is invalid, or has expired.")
        self._rejected = True
        raise NoAnswer("the token was rejected, and there is another")

    def _post(self, request: Mapping[str, Any]) -> tuple[int, Message, bytes]:
        # Made for each request, so that no object keeps the token longer.
        prepared = urllib.request.Request(  # noqa: S310  # `check_url` looked at the scheme
            self.url,
            json.dumps(request).encode(),
            {
                "Authorization": f"Bearer {self._tokens.current()}",
                "Content-Type": "application/json",
                "Accept": "application/graphql-response+json, application/json;q=0.9",
                "User-Agent": f"graphql-admin/{__version__}",
            },
        )
        try:
            # Every status is a response, since there is no handler that makes errors of some.
            with self._opener.open(prepared, timeout=self._timeout) as response:
                return response.status, response.headers, self._read(response)
        except (OSError, HTTPException, ValueError) as error:
            raise _explain_connection(error) from None

    def _read(self, response: Any) -> bytes:
        deadline = time.monotonic() + self._timeout
        parts: list[bytes] = []
        size = 0
        while part := response.read1(65_536):
            parts.append(part)
            size += len(part)
            if size > MAX_REPLY:
                raise Unusable(f"The server's reply is larger than {MAX_REPLY:,} bytes.")
            if time.monotonic() > deadline:
                raise TimeoutError
        return b"".join(parts)


def _make_opener(url: str) -> urllib.request.OpenerDirector:
    """Return what opens connections; it follows no redirect, since the token is for one address."""
    opener = urllib.request.OpenerDirector()
    # A proxy for plain HTTP reads the token, and has a machine of its own for `localhost`.
    proxies: dict[str, str] | None = {} if _is_here(urlsplit(url).hostname or "") else None
    for handler in (
        urllib.request.ProxyHandler(proxies),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
    ):
        opener.add_handler(handler)
    return opener


def check_url(url: str, *, allow_http: bool) -> str:
    """Return the address of a server's GraphQL, from what was given for it.

    Args:
        url: What was given; without a path, it is `/graphql`.
        allow_http: Whether the token may go to another machine without TLS.

    Raises:
        click.BadParameter: It is not such an address.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise click.BadParameter("that is not a URL.") from None
    if parts.scheme not in {"http", "https"} or not host or not url.isascii():
        raise click.BadParameter("give a URL such as https://admin.example.com/graphql.")
    if parts.username is not None or parts.query or parts.fragment:
        raise click.BadParameter("it must have no user, query or fragment.")
    if parts.scheme == "http" and not (allow_http or _is_here(host)):
        raise click.BadParameter(
            "over plain HTTP, others on the way could read the token. Use https, or --allow-http "
            "in a network that you trust."
        )
    path = parts.path if parts.path not in {"", "/"} else "/graphql"
    return urlunsplit(parts._replace(path=path))


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _parse(body: bytes) -> Answer | None:
    """Return the GraphQL response in a body; None if there is none."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(parsed, dict) or not parsed.keys() & {"data", "errors"}:
        return None
    data, errors = parsed.get("data"), parsed.get("errors", [])
    if not isinstance(data, dict | None) or not isinstance(errors, list):
        return None
    if not all(isinstance(error, dict) for error in errors):
        return None
    return Answer(data, errors)


def _code_of(error: Mapping[str, Any]) -> str:
    extensions = error.get("extensions")
    return str(extensions.get("code")) if isinstance(extensions, dict) else ""


def _pause_of(error: Mapping[str, Any]) -> float:
    extensions = error.get("extensions")
    told = extensions.get("retryAfter") if isinstance(extensions, dict) else None
    # No float has every number of JSON.
    return max(0.0, min(told, MAX_PAUSE)) if isinstance(told, int | float) else 0.0


def _retry_after(headers: Message) -> float:
    """Return the seconds of `Retry-After`; 0 for a date, which servers rarely send."""
    told = str(headers.get("Retry-After", ""))
    return float(told) if told.isascii() and told.isdecimal() and len(told) < 9 else 0.0


def _explain(status: int, headers: Message) -> Exception:
    """Return the error for a response that is not GraphQL."""
    if 300 <= status < 400:
        return Unusable("The server redirects to another address. Give that one with --url.")
    if status in _BUSY or status >= 500:
        return NoAnswer(f"status {status}", _retry_after(headers))
    if status == 200:
        return NoAnswer("a reply that is not GraphQL, or was cut off")
    return Unusable(
        f"The server replied with status {status}, and not with GraphQL. Is --url its whole "
        "address, with the path, such as https://admin.example.com/graphql?"
    )


def _explain_connection(error: Exception) -> Exception:
    """Return the error for a connection that failed."""
    reason = getattr(error, "reason", error)
    if isinstance(reason, ssl.SSLCertVerificationError):
        return Unusable(f"The server's certificate is not valid: {reason.verify_message}.")
    if isinstance(reason, TimeoutError):
        return NoAnswer("no reply in time")
    told = getattr(reason, "strerror", None) or type(reason).__name__
    return NoAnswer(f"no connection, or it was cut: {told}")
