"""A stand-in for the user pool's hosted sign-in page: OAuth's code grant with PKCE."""

import hashlib
import json
import secrets
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.support.tokens import CLIENT_ID, base64url

PAGE = """<!doctype html><html lang="en"><title>Sign in</title><link rel="icon" href="data:,">
<a href="{back}">Sign in as alice</a>"""


class SignInPage:
    """A hosted sign-in page that signs in every visitor who follows its link; a context manager.

    Args:
        token: Makes the access token that it hands out.

    Attributes:
        requests: Method, path and parameters of every request that came.
    """

    def __init__(self, token: Callable[[], str]) -> None:
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self._token = token
        self._challenges: dict[str, dict[str, str]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        """Its origin."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def paths(self) -> list[str]:
        """Return the paths that were asked for, in order."""
        return [path for _, path, _ in self.requests]

    def _authorize(self, asked: dict[str, str]) -> str:
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT_ID
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(12)
        self._challenges[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def _redeem(self, form: dict[str, str]) -> str | None:
        """Return a token for a code, once, to a client with the verifier (RFC 7636, 4.6)."""
        asked = self._challenges.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        good = (
            asked is not None
            and asked["code_challenge"] == base64url(digest)
            and form["redirect_uri"] == asked["redirect_uri"]
            and form["client_id"] == asked["client_id"]
            and form["grant_type"] == "authorization_code"
        )
        return self._token() if good else None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                asked = dict(parse_qsl(url.query))
                page.requests.append(("GET", url.path, asked))
                if url.path == "/logout":
                    self.send_response(302)
                    self.send_header("Location", asked["logout_uri"])
                    self.end_headers()
                else:
                    body = PAGE.format(back=page._authorize(asked).replace("&", "&amp;"))
                    self._reply(200, "text/html", body)

            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = dict(parse_qsl(text))
                page.requests.append(("POST", self.path, form))
                token = page._redeem(form)
                reply = {"error": "invalid_grant"}
                if token is not None:
                    reply = {"access_token": token, "id_token": "an.id.token", "expires_in": "3600"}
                self._reply(200 if token else 400, "application/json", json.dumps(reply))

            def _reply(self, status: int, content_type: str, body: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                # As Cognito's token endpoint does: browsers of any origin may read the reply.
                self.send_header("Access-Control-Allow-Origin", "*")
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                """Keep the output of the tests quiet."""

        return Handler
