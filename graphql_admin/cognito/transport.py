"""The interface for sending requests to a service, and the ways in which that fails.

Also an implementation over aiohttp, which supports proxies. Without a proxy, `wire` does the same
for a quarter of the CPU.
"""

import asyncio
import ssl
from collections.abc import Mapping
from typing import NamedTuple, Protocol

import aiohttp
import yarl

from graphql_admin import __version__
from graphql_admin.cognito.access import Approval

CONSTANT_HEADERS = {
    "Accept-Encoding": "identity",
    "User-Agent": f"graphql-admin/{__version__}",
}
"""Headers of every request, besides the signed ones."""

ERROR_TYPE = "x-amzn-errortype"
"""The header in which AWS may name an error."""


class HttpResponse(NamedTuple):
    """A response."""

    status: int
    error_type: str
    """The header `x-amzn-errortype`; "" where there is none. What is not UTF-8 is U+FFFD."""
    body: bytes


class NotConnected(Exception):
    """No connection was made, so nothing was sent.

    Its message, like that of `ConnectionBroke`, is the name of the cause, for the log.
    """


class ConnectionBroke(Exception):
    """The connection ended after the request was sent, or the reply is not HTTP.

    The operation may have been carried out.
    """


class ReplyTooBig(Exception):
    """The reply's body is larger than allowed. The operation was carried out."""


class Transport(Protocol):
    """Sends requests to one URL, over persistent connections.

    It opens as many connections as there are concurrent requests. It must be created, used and
    closed within one event loop.
    """

    async def post(
        self,
        headers: Mapping[str, str],
        body: bytes,
        limit: float,
        approval: Approval | None = None,
    ) -> HttpResponse | None:
        """Send a request, and return the reply.

        Args:
            headers: `Host` among them.
            body: The body.
            limit: When to give up, in seconds of the event loop's clock.
            approval: Confirmed last, so that the request waits for nothing between this and being
                sent.

        Returns:
            The reply; None if nothing was sent, since the approval must be renewed first.

        Raises:
            TimeoutError: There was no reply in time. The request may have arrived.
            NotConnected: Nothing was sent.
            ConnectionBroke: It may have arrived.
            ReplyTooBig: It arrived.
            ValueError: A header has a line break in it; nothing was sent.
            AdminError: What `approval` raised; nothing was sent.
        """

    async def close(self) -> None:
        """Close every connection. Requests in flight fail."""


class AiohttpTransport:
    """A transport over aiohttp, which connects on its own: approvals are confirmed before that.

    Args:
        url: Where to send to. It is used as it is, without further percent-encoding.
        tls: The TLS context, for an `https` URL.
        connect_timeout: Seconds that connecting may take, without the DNS lookup.
        largest_reply: Most bytes of a reply's body.
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
        # No `trust_env`: with it, aiohttp looks up proxies for each request, and replaces the
        # signature by a password from ~/.netrc.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=CONSTANT_HEADERS,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout),
            proxy=proxy,
        )

    async def post(
        self,
        headers: Mapping[str, str],
        body: bytes,
        limit: float,
        approval: Approval | None = None,
    ) -> HttpResponse | None:
        """Send a request; see `Transport`."""
        if approval is not None:
            if not await approval.confirm():
                return None
            approval.is_sent = True
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
                        response.close()  # rather than read the rest to reuse the connection
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
        """Close every connection; see `Transport`."""
        await self._session.close()


def _name(error: BaseException) -> str:
    """Return the name of the cause of an error of aiohttp, rather than of its wrapper."""
    return type(error.__cause__ or error).__name__
