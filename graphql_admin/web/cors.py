"""Response headers for browsers: CORS, and restrictions on content.

Cookies are neither set nor read: callers are identified by the `Authorization` header alone, which
a page of another origin cannot send unless a preflight allows it.
"""

import re
from collections.abc import Collection, Iterable

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Header = tuple[bytes, bytes]

PROTECTION: Iterable[Header] = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
"""Added to every response that does not set them; right for JSON, too strict for pages."""

_PROTECTING = frozenset(name for name, _ in PROTECTION)

PREFLIGHT = {
    "access-control-allow-methods": "GET, HEAD, POST",
    "access-control-max-age": "7200",  # seconds; browsers have lower limits
}

_FIELD_NAME = r"[!#$%&'*+.^`|~\w-]+"
_FIELD_NAMES = re.compile(rf"{_FIELD_NAME}(?:[ \t]*,[ \t]*{_FIELD_NAME})*", re.ASCII)
"""A list of header names, by RFC 9110, section 5.1."""

EXPOSED = b"retry-after, www-authenticate, x-request-id"
"""Response headers that pages may read, besides the CORS-safelisted ones."""


class BrowserSafety:
    """Middleware that answers preflights, and adds headers to every response, errors included.

    Args:
        app: The application.
        origins: Origins whose pages may call it; `scheme://host[:port]`, as browsers send it.
    """

    def __init__(self, app: ASGIApp, *, origins: Collection[str]) -> None:
        self._app = app
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; see https://asgi.readthedocs.io."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        allowed = self._find_allowed(scope) if self._origins else None
        added = self._sharing(allowed)

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = message.get("headers", ())
                names = {name for name, _ in own}
                protection = PROTECTION
                if not _PROTECTING.isdisjoint(names):
                    protection = [header for header in PROTECTION if header[0] not in names]
                message = {**message, "headers": [*own, *protection, *added]}
            await send(message)

        if allowed is not None and _is_preflight(scope):
            response = Response(status_code=204, headers={**PREFLIGHT, **_allow_headers(scope)})
            await response(scope, receive, send_safely)
        else:
            await self._app(scope, receive, send_safely)

    def _find_allowed(self, scope: Scope) -> str | None:
        """Return the request's origin, if it is allowed."""
        origin = Headers(scope=scope).get("origin")
        return origin if origin in self._origins else None

    def _sharing(self, origin: str | None) -> list[Header]:
        # For any origin, so that a cache does not serve the response for one origin to another.
        added = [(b"vary", b"Origin")] if self._origins else []
        if origin is not None:
            added.append((b"access-control-allow-origin", origin.encode("latin-1")))
            added.append((b"access-control-expose-headers", EXPOSED))
        return added


def _allow_headers(scope: Scope) -> dict[str, str]:
    """Return the headers of a preflight's response that depend on the headers it asks for.

    Those are allowed: clients of GraphQL and tracers add headers of their own, which this server
    ignores. A list would be out of date with the next tracer, and a page of an allowed origin may
    send the one header that counts, `Authorization`, anyway.
    """
    asked = Headers(scope=scope).get("access-control-request-headers", "").strip(" \t")
    varies = {"vary": "Access-Control-Request-Headers"}
    if not _FIELD_NAMES.fullmatch(asked):
        return varies
    return {**varies, "access-control-allow-headers": asked}


def _is_preflight(scope: Scope) -> bool:
    return scope["method"] == "OPTIONS" and "access-control-request-method" in Headers(scope=scope)
