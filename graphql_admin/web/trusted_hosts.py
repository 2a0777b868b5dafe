"""Middleware that rejects requests for hosts that are not allowed.

Starlette's `TrustedHostMiddleware` takes the same patterns, but responds in plain text.
"""

from collections.abc import Collection

from starlette.types import ASGIApp, Receive, Scope, Send

from graphql_admin.errors import AdminError, MalformedRequest, MisdirectedRequest
from graphql_admin.hosts import AllowedHosts
from graphql_admin.web.answers import refuse


class TrustedHosts:
    """ASGI middleware that passes on requests for an allowed host.

    Args:
        app: The application.
        allowed: The allowed hosts.
        exempt: Paths that are served for any host: those of probes, which load balancers send to an
            IP address, and whose responses contain nothing worth protecting.
    """

    def __init__(self, app: ASGIApp, *, allowed: AllowedHosts, exempt: Collection[str]) -> None:
        self._app = app
        self._allowed = allowed
        self._exempt = frozenset(exempt)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; see https://asgi.readthedocs.io."""
        if scope["type"] == "http" and scope["path"] not in self._exempt:
            refusal = self._find_refusal(scope)
            if refusal is not None:
                await refuse(refusal)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _find_refusal(self, scope: Scope) -> AdminError | None:
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1:  # RFC 9112, section 3.2
            return MalformedRequest("A request needs one `Host` header.")
        admitted = self._allowed.admits(hosts[0].decode("latin-1"))
        return None if admitted else MisdirectedRequest()
