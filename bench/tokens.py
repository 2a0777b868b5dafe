"""Access tokens as Cognito issues them, signed with a key made for the run."""

import json
import time
import uuid
from collections.abc import Sequence

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from bench.people import ADMIN_GROUP, CLIENT_ID, POOL_ID, REGION

ISSUER = f"https://cognito-idp.{REGION}.amazonaws.com/{POOL_ID}"

_KEY_ID = "bench-key"
_LIFETIME = 24 * 3600


def sub_of(username: str) -> str:
    """Return the `sub` of a user."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, username))


class Issuer:
    """The pool's signing key, which lives as long as the process."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def jwks(self) -> dict[str, object]:
        """The public half, as the pool's key set."""
        key = json.loads(RSAAlgorithm.to_jwk(self._key.public_key()))
        public = {name: key[name] for name in ("kty", "n", "e")}
        return {"keys": [{**public, "alg": "RS256", "use": "sig", "kid": _KEY_ID}]}

    def access_token(self, username: str, groups: Sequence[str] = (ADMIN_GROUP,)) -> str:
        """A token of a member of these groups, good for a day; of an administrator by default."""
        now = int(time.time())
        claims = {
            "sub": sub_of(username),
            "cognito:groups": list(groups),
            "iss": ISSUER,
            "version": 2,
            "client_id": CLIENT_ID,
            "origin_jti": str(uuid.uuid4()),
            "event_id": str(uuid.uuid4()),
            "token_use": "access",
            "scope": "aws.cognito.signin.user.admin",
            "auth_time": now,
            "exp": now + _LIFETIME,
            "iat": now,
            "jti": str(uuid.uuid4()),
            "username": username,
        }
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": _KEY_ID})
