"""What a user pool does with tokens: signs them, and publishes the keys to verify them with."""

import base64
import json
import threading
import time
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

from tests.support.patience import PATIENCE

POOL_ID = "eu-west-1_AbCdEf123"
ISSUER = f"https://cognito-idp.eu-west-1.amazonaws.com/{POOL_ID}"
CLIENT_ID = "4h57kui8c0example0client0"

ABSENT = object()
"""In place of the value of a claim, or of a member of a header or key: leave it out."""


@cache
def rsa_key(name: str = "pool", bits: int = 2048) -> RSAPrivateKey:  # noqa: ARG001  # cached by it
    """Return the RSA key of that name, made once in a test run."""
    return generate_private_key(public_exponent=65537, key_size=bits)


class Pool:
    """A user pool's signing key: makes tokens of any claims, and the JWK to verify them with.

    Args:
        kid: Id of the key.
        key: The key; by default one that all pools of a test run share.
        now: Epoch seconds at which tokens are issued; by default the time when they are made.
    """

    def __init__(
        self, *, kid: str = "key-1", key: RSAPrivateKey | None = None, now: float | None = None
    ) -> None:
        self.kid = kid
        self.key = key or rsa_key()
        self.now = now

    def access_token(
        self,
        username: str = "alice",
        /,
        groups: Any = ABSENT,
        *,
        header: dict[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """Return an access token like Cognito's, except for the given claims."""
        access = {"token_use": "access", "client_id": CLIENT_ID, "username": username}
        return self.sign({**self._claims(username, groups), **access, **claims}, header)

    def id_token(
        self,
        username: str = "alice",
        /,
        groups: Any = ABSENT,
        *,
        header: dict[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """Return an ID token like Cognito's, except for the given claims."""
        id_ = {"token_use": "id", "aud": CLIENT_ID, "cognito:username": username}
        return self.sign({**self._claims(username, groups), **id_, **claims}, header)

    def sign(self, claims: Any, header: dict[str, Any] | None = None) -> str:
        """Return a JWT of these claims, signed with RS256 whatever its header says."""
        members = _present({"kid": self.kid, "alg": "RS256", **(header or {})})
        signed = ".".join(base64url(_json(part)) for part in (members, _present(claims)))
        return f"{signed}.{base64url(self.key.sign(signed.encode(), PKCS1v15(), SHA256()))}"

    def jwk(self, **members: Any) -> dict[str, Any]:
        """Return the public key as Cognito publishes it, except for the given members."""
        numbers = self.key.public_key().public_numbers()
        own = {"kty": "RSA", "kid": self.kid, "use": "sig", "alg": "RS256"}
        jwk = {**own, "n": base64url_int(numbers.n), "e": base64url_int(numbers.e), **members}
        return {name: value for name, value in jwk.items() if value is not ABSENT}

    def _claims(self, username: str, groups: Any) -> dict[str, Any]:
        now = int(time.time()) if self.now is None else self.now
        return {
            "sub": f"sub-of-{username}",
            "iss": ISSUER,
            "iat": now,
            "exp": now + 3600,
            "cognito:groups": groups,
        }


class JwksServer:
    """The JWKS endpoint of a user pool, on loopback; a context manager.

    Args:
        keys: The JWKs that it publishes.

    Attributes:
        requests: How many requests came, to any path.
        status: Of the replies to come.
        headers: Of the replies to come.
        body: Of the replies to come.
        gate: Replies wait while it is cleared.
    """

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.requests = 0
        self.headers: dict[str, str] = {}
        self.gate = threading.Event()
        self.gate.set()
        self.publish(*keys)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        """Where the keys are."""
        return f"http://127.0.0.1:{self._server.server_port}/.well-known/jwks.json"

    def publish(self, *keys: dict[str, Any]) -> None:
        """Answer with these JWKs from now on."""
        self.answer(200, _json({"keys": keys}))

    def answer(self, status: int, body: bytes = b"") -> None:
        """Answer with this from now on."""
        self.status, self.body = status, body

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                endpoint.requests += 1
                endpoint.gate.wait(PATIENCE)
                try:
                    self.send_response(endpoint.status)
                    for name, value in endpoint.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(endpoint.body)))
                    self.end_headers()
                    self.wfile.write(endpoint.body)
                except ConnectionError:
                    pass  # the client gave up waiting, as some tests want

            def log_message(self, *_: object) -> None:
                """Keep the output of the tests quiet."""

        return Handler

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def base64url(data: bytes) -> str:
    """Encode as the parts of a JWT are."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def base64url_int(number: int) -> str:
    """Encode as the numbers of a JWK are."""
    return base64url(number.to_bytes((number.bit_length() + 7) // 8))


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _present(members: Any) -> Any:
    if not isinstance(members, dict):
        return members
    return {name: value for name, value in members.items() if value is not ABSENT}
