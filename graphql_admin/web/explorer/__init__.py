"""The explorer: a GraphiQL page that shows the caller and their rights.

All its files come from this package; scripts and styles are in `assets/`, their sources in
`vendor/`. The page connects to this server and, if one is configured, to the user pool's hosted
sign-in page; its Content-Security-Policy allows no other connection.

GraphiQL is release 4, the last with the CodeMirror editor: 1.3 MB, 0.4 MB compressed. Release 5 has
Monaco instead, which takes 6.5 MB and needs web workers, for features that are not used here.
"""

import gzip
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Final, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from graphql_admin.actions import Action
from graphql_admin.web.explorer.examples import describe_changes

__all__ = [
    "BrowserRedirect",
    "Person",
    "SignIn",
    "content_security_policy",
    "describe_changes",
    "routes",
]

CONTENT_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
"""By file name suffix. Not from `mimetypes`, whose table differs between machines."""

HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Headers of every response of the explorer."""


class Person(Protocol):
    """A made-up user whose token the explorer of a development server offers."""

    @property
    def role(self) -> str:
        """What kind of caller this is, such as `admin`."""

    @property
    def username(self) -> str:
        """The username."""

    @property
    def token(self) -> str:
        """A valid token of this user."""

    @property
    def may(self) -> str:
        """Their rights, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """The configuration of the user pool's hosted sign-in page."""

    url: str
    """Its origin."""

    client_id: str
    """The app client to sign in as."""

    token_use: str
    """The kind of token to send after the sign-in: `access` or `id`."""


def routes(
    people: Callable[[], Sequence[Person]] = tuple,
    *,
    root_path: str = "",
    changes: Sequence[Mapping[str, Any]],
    introspection: str,
    sign_in: SignIn | None,
) -> list[Route]:
    """Return the explorer's routes.

    Args:
        people: Called in a thread when the page asks for the users to choose from.
        root_path: The prefix of their paths.
        changes: The schema's mutations, from `describe_changes`.
        introspection: Who may read the schema: `public`, `authenticated` or `off`.
        sign_in: The hosted sign-in page; without it, users paste a token.
    """
    files = _read_assets()
    index = files["index.html"].body.decode()

    async def page(_: Request) -> Response:
        nonce = secrets.token_urlsafe(16)
        return Response(
            index.replace("{nonce}", nonce),
            media_type="text/html",
            headers={
                **HEADERS,
                "Cache-Control": "no-store",
                "Content-Security-Policy": content_security_policy(sign_in, nonce),
                "Cross-Origin-Opener-Policy": "same-origin",
            },
        )

    def config(_: Request) -> Response:
        content = {
            "actions": {
                **{action.label: action.sentence for action in Action},
                "batch": "Carry out many changes at once.",
            },
            "changes": changes,
            "secrets": sorted({name for change in changes for name in change["secrets"]}),
            "introspection": introspection,
            "signIn": _describe_sign_in(sign_in),
            "people": [
                {name: getattr(person, name) for name in ("role", "username", "token", "may")}
                for person in people()
            ],
        }
        return JSONResponse(content, headers={**HEADERS, "Cache-Control": "no-store"})

    async def asset(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in files or name == "index.html":  # the page itself, which needs its policy
            return Response(status_code=404, headers=HEADERS)
        return files[name].respond(request)

    return [
        Route(f"{root_path}/explorer", page),
        Route(f"{root_path}/explorer/config.json", config),
        Route(f"{root_path}/explorer/{{name}}", asset),
    ]


class BrowserRedirect:
    """Redirects browsers from the GraphQL endpoint to the explorer; passes on all other requests.

    A browser is recognized by a GET request without `query` that accepts HTML before other types.
    It needs no token.

    Args:
        endpoint: The GraphQL endpoint.
    """

    def __init__(self, endpoint: ASGIApp) -> None:
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; see https://asgi.readthedocs.io."""
        app = self._endpoint
        if scope["method"] == "GET" and _is_from_browser(Request(scope)):
            # Relative, so that it is right below a path prefix, whether a proxy cuts it or not.
            app = RedirectResponse("explorer", status_code=303, headers={"Vary": "Accept"})
        await app(scope, receive, send)


def _is_from_browser(request: Request) -> bool:
    first_choice = request.headers.get("accept", "").split(",")[0].split(";")[0].strip()
    return first_choice.lower() == "text/html" and "query" not in request.query_params


def content_security_policy(sign_in: SignIn | None, nonce: str) -> str:
    """Return the page's policy: only files of this server, no inline scripts or styles.

    Args:
        sign_in: The hosted sign-in page, whose token endpoint the page calls.
        nonce: Unguessable, new for every response. It allows the `<style>` that a library of
            GraphiQL inserts to stop the page from scrolling behind an open dialog.
    """
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            f"style-src 'self' 'nonce-{nonce}'",
            "img-src 'self' data:",
            "connect-src 'self'" + (f" {sign_in.url}" if sign_in else ""),
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )


def _describe_sign_in(sign_in: SignIn | None) -> dict[str, str] | None:
    """Return the configuration that the page needs for the hosted sign-in page."""
    if sign_in is None:
        return None
    return {"url": sign_in.url, "clientId": sign_in.client_id, "tokenUse": sign_in.token_use}


@cache
def _read_assets() -> dict[str, "_Asset"]:
    return {
        file.name: _Asset.read(file)
        for file in resources.files(__package__).joinpath("assets").iterdir()
    }


@dataclass(frozen=True, slots=True)
class _Asset:
    """A file to serve: read, hashed and compressed once."""

    body: bytes
    compressed: bytes
    content_type: str
    etag: str
    """The entity tag of `body`, without quotes."""

    @classmethod
    def read(cls, file: Traversable) -> "_Asset":
        body = file.read_bytes()
        return cls(
            body=body,
            compressed=gzip.compress(body, mtime=0),
            content_type=CONTENT_TYPES[file.name[file.name.rindex(".") :]],
            etag=sha256(body).hexdigest()[:32],
        )

    def respond(self, request: Request) -> Response:
        zipped = "gzip" in request.headers.get("accept-encoding", "")
        etag = f'"{self.etag}-gzip"' if zipped else f'"{self.etag}"'
        headers = {
            **HEADERS,
            "Cache-Control": "no-cache",  # cache it, but revalidate
            "ETag": etag,
            "Vary": "Accept-Encoding",
        }
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        headers["Content-Type"] = self.content_type
        if zipped:
            headers["Content-Encoding"] = "gzip"
        return Response(self.compressed if zipped else self.body, headers=headers)
