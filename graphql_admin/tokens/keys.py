"""The keys that a user pool signs its tokens with: fetched, checked and kept.

Source of the rules: RFC 7517, for what a key says about itself.
"""

import asyncio
import math
import time
from collections.abc import Callable

import aiohttp
import jwt
import orjson
import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from graphql_admin.errors import UpstreamFailed
from graphql_admin.telemetry import metrics

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

ALGORITHM = "RS256"
"""The one algorithm that Cognito signs with. A verifier that knows no other cannot be talked
into `none`, or into HMAC with the public key as its secret."""

_MAX_KEY_AGE = 3600.0
"""Seconds after which keys are fetched again, though all of them still serve."""
_FETCH_INTERVAL = 10.0
"""Seconds between two fetches, whoever asks: unknown key ids cost an attacker nothing to make."""
_MAX_KEYS_SIZE = 64 * 1024
_MIN_KEY_BITS = 2048
_KEY_PURPOSE = {"use": "sig", "alg": ALGORITHM, "key_ops": ["verify"]}
"""What a key may say it is for. RFC 7517 lets it say nothing; PyJWT takes it whatever it says."""
_PUBLIC_KEY_IDS = frozenset({"dummy", "CognitoLocal"})
"""Keys of moto and cognito-local. Their private halves are published: anyone can sign with them."""

_MAX_WAITING = 256
"""Requests that may wait for the first keys; more are refused at once. Whoever forges tokens could
let any number wait, and nobody can be told from anybody yet."""


class KeysUnavailable(UpstreamFailed):
    """The user pool's keys could not be fetched, so no token can be called good or bad."""

    status = 503
    message = "The keys of the user pool could not be fetched."


class UnknownKey(Exception):
    """The user pool has no key with this id. Never leaves a verifier."""


class KeySet:
    """The keys of the user pool, fetched from its JWKS endpoint and kept.

    Keys in hand serve on whatever the endpoint answers later; only a set with at least one
    usable key replaces them. Requests wait for the first keys alone. A key that is not among
    those in hand is unknown at once: any number of ids can be made up, and while the endpoint
    hangs each would wait. It is fetched in the background, so the next request finds it. There is
    one fetch at a time, in a task of its own: a request that gives up while it waits takes the
    fetch from nobody else.

    Args:
        url: Where the JWKS is.
        admit_public_keys: Admit the keys of emulators, which anybody can sign with.
        timeout: Seconds for one fetch, from the look-up of the host to the last byte.
        clock: Seconds, from any start.
    """

    def __init__(
        self,
        url: str,
        *,
        admit_public_keys: bool = False,
        timeout: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._refused_ids = frozenset[str]() if admit_public_keys else _PUBLIC_KEY_IDS
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._version = 0
        self._fetch: asyncio.Task[bool] | None = None
        self._fetch_began = -math.inf
        self._keys_came = -math.inf
        self._waiting = 0

    @property
    def in_hand(self) -> bool:
        """Whether there are keys to verify tokens with."""
        return bool(self._keys)

    @property
    def version(self) -> int:
        """A number that grows whenever a fetch brings other keys than those in hand."""
        return self._version

    async def find(self, kid: str) -> jwt.PyJWK:
        """Return the key with the id `kid`.

        Raises:
            UnknownKey: It is none of those in hand. They are fetched anew in the background.
            KeysUnavailable: There are no keys in hand and none could be fetched, or too many
                requests wait for them.
        """
        if kid in self._keys:
            return self._keys[kid]
        if self._may_fetch():
            self._start_fetch()
        if self._keys:
            raise UnknownKey
        if self._fetch is not None:
            await self._wait(self._fetch)
        if kid in self._keys:
            return self._keys[kid]
        raise UnknownKey if self._keys else KeysUnavailable

    async def _wait(self, fetch: asyncio.Task[bool]) -> None:
        if self._waiting >= _MAX_WAITING:
            raise KeysUnavailable
        self._waiting += 1
        try:
            await asyncio.shield(fetch)
        finally:
            self._waiting -= 1

    async def load(self) -> None:
        """Fetch the keys now.

        Raises:
            KeysUnavailable: This fetch failed, though keys may still be in hand.
        """
        if not await asyncio.shield(self._start_fetch()):
            raise KeysUnavailable

    def keep_fresh(self) -> None:
        """Start a fetch in the background where the keys are old. No request waits for it."""
        age = self._clock() - self._keys_came
        if self._keys and age >= _MAX_KEY_AGE and self._may_fetch():
            self._start_fetch()

    def _may_fetch(self) -> bool:
        return self._clock() - self._fetch_began >= _FETCH_INTERVAL

    def _start_fetch(self) -> asyncio.Task[bool]:
        if self._fetch is None or self._fetch.done():
            self._fetch_began = self._clock()
            self._fetch = asyncio.create_task(self._replace_keys())
        return self._fetch

    async def _replace_keys(self) -> bool:
        try:
            keys = self._admit(await self._download())
        except (aiohttp.ClientError, TimeoutError, ValueError, jwt.PyJWKSetError) as error:
            metrics.count_key_fetch(succeeded=False)
            log.warning("keys not fetched", error=repr(error), in_hand=len(self._keys))
            return False
        metrics.count_key_fetch(succeeded=True)
        if _public_keys(keys) != _public_keys(self._keys):
            self._version += 1
        self._keys = keys
        self._keys_came = self._clock()
        return True

    async def _download(self) -> object:
        async with (
            aiohttp.ClientSession(timeout=self._timeout, trust_env=True) as session,
            session.get(self._url, allow_redirects=False) as response,
        ):
            if response.status != 200:
                raise jwt.PyJWKSetError(f"the endpoint answered {response.status}")
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > _MAX_KEYS_SIZE:
                    raise jwt.PyJWKSetError("the answer is too long")
            return orjson.loads(body)

    def _admit(self, document: object) -> dict[str, jwt.PyJWK]:
        entries = document.get("keys") if isinstance(document, dict) else None
        keys = {}
        for entry in entries if isinstance(entries, list) else []:
            try:
                kid, key = _read_key(entry)
                if kid in self._refused_ids:
                    raise jwt.PyJWKError(f"the private half of {kid} is public")
            except jwt.PyJWTError as error:
                log.warning("key refused", reason=str(error))
            else:
                keys[kid] = key
        if not keys:
            raise jwt.PyJWKSetError("the answer holds no usable key")
        return keys


def _read_key(entry: object) -> tuple[str, jwt.PyJWK]:
    if not isinstance(entry, dict):
        raise jwt.PyJWKError("not an object")
    kid = entry.get("kid")
    if not isinstance(kid, str) or kid == "":
        raise jwt.PyJWKError("no valid kid")
    if entry.get("kty") != "RSA":
        raise jwt.PyJWKError("not an RSA key")
    for member, value in _KEY_PURPOSE.items():
        if entry.get(member, value) != value:
            raise jwt.PyJWKError(f"another {member} than {value}")
    key = jwt.PyJWK(entry, ALGORITHM)
    if not isinstance(key.key, RSAPublicKey):
        raise jwt.PyJWKError("a private key")
    if key.key.key_size < _MIN_KEY_BITS:
        raise jwt.PyJWKError(f"below {_MIN_KEY_BITS} bits")
    return kid, key


def _public_keys(keys: dict[str, jwt.PyJWK]) -> dict[str, RSAPublicKey]:
    return {kid: key.key for kid, key in keys.items()}
