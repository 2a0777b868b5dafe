"""How requests get to a service and replies come back, and in which ways that fails.

What `cognito` asks of a transport, and one over aiohttp, which is the one that knows proxies.
Where there is none, `wire` does the same for a quarter of the CPU.
"""

import asyncio
import ssl
from collections.abc import Mapping
from typing import NamedTuple, Protocol

import aiohttp
import yarl

from graphql_admin import __version__

CONSTANT_HEADERS = {
    "Accept-Encoding": "identity",
    "User-Agent": f"graphql-admin/{__version__}",
}
"""What goes with every request, beside what is signed."""

ERROR_TYPE = "x-amzn-errortype"
"""The header in which AWS may name an error."""


class HttpResponse(NamedTuple):
    """What came back."""

    status: int
    error_type: str
    """The header `x-amzn-errortype`; "" where there is none. What is not UTF-8 is U+FFFD."""
    body: bytes


class NotConnected(Exception):
    """There was no connection, so it is certain that nothing was sent.

    Its text, like that of `ConnectionBroke`, is the name of what was met, for the log.
    """


class ConnectionBroke(Exception):
    """The request was under way when the connection ended, or what came is no HTTP.

    What was asked for may have been done.
    """


class ReplyTooBig(Exception):
    """The reply's body is larger than is allowed. What was asked for was done."""


class Transport(Protocol):
    """Sends requests to one URL, over connections that it keeps.

    It opens as many connections as there are requests at once. To be made, used and closed within
    one event loop.
    """

    async def post(self, headers: Mapping[str, str], body: bytes, limit: float) -> HttpResponse:
        """Send a request, and return the reply.

        Args:
            headers: `Host` among them.
            body: The body.
            limit: When to give up, in seconds of the event loop's clock.

        Raises:
            TimeoutError: There was no reply in time. The request may have arrived.
            NotConnected: Nothing was sent.
            ConnectionBroke: It may have arrived.
            ReplyTooBig: It arrived.
            ValueError: A header has a line break in it; nothing was sent.
        """

    async def close(self) -> None:
        """Close every connection. Requests under way fail."""


class AiohttpTransport:
    """A transport over aiohttp.

    Args:
        url: Where to send to. It is sent as it is, without more quoting.
        tls: Whom to trust, if the URL is of `https`.
        connect_timeout: Seconds that it may take to connect to a host whose address is known.
        largest_reply: Bytes that a reply's body may have.
        proxy: URL of the proxy to go through, if any.
    """

    def __init__(
        self,
        url: str,
        tls: ssl.SSLContext,
        *,
        connect_timeout: float,
        largest_reply: int,
        proxy: str | None = None,
    ) -> None:
        self._url = yarl.URL(url, encoded=True)
        self._largest_reply = largest_reply
        # No `trust_env`: with it aiohttp looks for proxies anew at each request, and puts a
        # password from ~/.netrc in place of the signature.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=CONSTANT_HEADERS,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout),
            proxy=proxy,
        )

    async def post(self, headers: Mapping[str, str], body: bytes, limit: float) -> HttpResponse:
        """Send a request, as `Transport` has it."""
        async with asyncio.timeout_at(limit):
            return await self._post(headers, body)

    async def _post(self, headers: Mapping[str, str], body: bytes) -> HttpResponse:
        try:
            async with self._session.post(
                self._url, data=body, headers=headers, allow_redirects=False
            ) as response:
                reply = bytearray()
                async for chunk in response.content.iter_any():
                    reply += chunk
                    if len(reply) > self._largest_reply:
                        response.close()  # rather than read the rest to use the connection again
                        raise ReplyTooBig
                # aiohttp keeps bytes that are not UTF-8 as surrogates.
                named = response.headers.get(ERROR_TYPE, "").encode(errors="surrogateescape")
                return HttpResponse(response.status, named.decode(errors="replace"), bytes(reply))
        except (
            aiohttp.ClientConnectorError,
            aiohttp.ClientHttpProxyError,
            aiohttp.ConnectionTimeoutError,
        ) as error:
            raise NotConnected(_name(error)) from error
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionBroke(_name(error)) from error

    async def close(self) -> None:
        """Close every connection, as `Transport` has it."""
        await self._session.close()


def _name(error: BaseException) -> str:
    """Return the name of what aiohttp met, rather than of what it makes of it."""
    return type(error.__cause__ or error).__name__
