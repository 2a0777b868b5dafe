"""The keys that a user pool signs its tokens with: fetched, checked and cached.

The rules for the members of a key are those of RFC 7517.
"""

import asyncio
import math
import time
from collections.abc import Callable, Iterator, Mapping

import aiohttp
import jwt
import orjson
import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from graphql_admin.errors import UpstreamFailed
from graphql_admin.telemetry import metrics

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

ALGORITHM = "RS256"
"""The one algorithm that Cognito signs with. A verifier that supports no other is safe from
algorithm confusion: `none`, or HMAC with the public key as the secret."""

_MAX_KEY_AGE = 3600.0
"""Seconds after which keys are fetched again, even if every token's key is known."""
_FETCH_INTERVAL = 10.0
"""Seconds between two fetches, because an attacker can make up any number of unknown key ids."""
_MAX_KEYS_SIZE = 64 * 1024
_MIN_KEY_BITS = 2048
_KEY_PURPOSE = {"use": "sig", "alg": ALGORITHM, "key_ops": ["verify"]}
"""The members of a key that must have this value if present. RFC 7517 makes them optional; PyJWT
does not check them."""
_PUBLIC_KEY_IDS = frozenset({"dummy", "CognitoLocal"})
"""Ids of the keys of moto and cognito-local. Their private keys are published: anyone can sign with
them."""

_MAX_WAITING = 256
"""Requests that may wait for the first keys; more are rejected at once. Requests with forged tokens
could wait in any number, and without keys callers cannot be told apart."""


class KeysUnavailable(UpstreamFailed):
    """The user pool's keys could not be fetched, so no token can be verified."""

    status = 503
    message = "The keys of the user pool could not be fetched."


class UnknownKey(Exception):
    """The user pool has no key with this id. The verifier catches it."""


class KeySet:
    """The keys of the user pool, fetched from its JWKS endpoint and cached.

    Cached keys stay in use whatever the endpoint answers later; only a set with at least one usable
    key replaces them. Requests wait only for the first keys. A key id that is not cached is
    rejected at once, since attackers can make up any number of them, and each would wait while the
    endpoint hangs. The keys are then fetched in the background, so that the next request finds a
    new one. There is one fetch at a time, in its own task, so that a waiting request that is
    cancelled does not cancel it for the others.

    Args:
        url: URL of the JWKS.
        admit_public_keys: Accept the keys of emulators, with which anyone can sign.
        timeout: Seconds for one fetch, from the DNS lookup to the last byte.
        clock: Monotonic time in seconds.
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
    def available(self) -> bool:
        """Whether there are keys to verify tokens with."""
        return bool(self._keys)

    @property
    def version(self) -> int:
        """A number that grows whenever a fetch returns other keys than the cached ones."""
        return self._version

    async def find(self, kid: str) -> jwt.PyJWK:
        """Return the key with the id `kid`.

        Raises:
            UnknownKey: It is not cached. The keys are fetched again in the background.
            KeysUnavailable: There are no keys yet and none could be fetched, or too many requests
                wait for them.
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
            KeysUnavailable: This fetch failed; there may still be cached keys.
        """
        if not await asyncio.shield(self._start_fetch()):
            raise KeysUnavailable

    def keep_fresh(self) -> None:
        """Start a fetch in the background if the keys are old. No request waits for it."""
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
            log.warning(
                "keys not fetched", url=self._url, error=repr(error), cached=len(self._keys)
            )
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
                    raise jwt.PyJWKSetError("the response is too large")
            return orjson.loads(body)

    def _admit(self, document: object) -> dict[str, jwt.PyJWK]:
        entries = document.get("keys") if isinstance(document, dict) else None
        keys = {}
        for entry in entries if isinstance(entries, list) else []:
            try:
                kid, key = _read_key(entry)
                if kid in self._refused_ids:
                    raise jwt.PyJWKError(f"the private key of {kid} is public")
            except jwt.PyJWTError as error:
                log.warning("key rejected", reason=str(error))
            else:
                keys[kid] = key
        if not keys:
            raise jwt.PyJWKSetError("the response has no usable key")
        return keys


class Issuers:
    """The accepted issuers of tokens, each with its keys; several may have the same.

    A token is verified with the keys of the issuer that it names and no other's, so who holds a key
    of one issuer cannot make tokens of another. That the keys of one cannot be fetched concerns
    only tokens that name it.

    Args:
        keys: The keys of each issuer.
    """

    def __init__(self, keys: Mapping[str, KeySet]) -> None:
        self._keys = dict(keys)
        self._sets = tuple(dict.fromkeys(keys.values()))

    def __contains__(self, issuer: str) -> bool:
        """Whether an issuer is accepted."""
        return issuer in self._keys

    def __iter__(self) -> Iterator[tuple[str, KeySet]]:
        """Yield each set of keys with an issuer that has it."""
        of = {keys: issuer for issuer, keys in reversed(self._keys.items())}
        return ((of[keys], keys) for keys in self._sets)

    @property
    def only(self) -> KeySet | None:
        """The keys of all issuers; None if they differ."""
        return self._sets[0] if len(self._sets) == 1 else None

    def get(self, issuer: str) -> KeySet | None:
        """Return the keys of an issuer; None if it is not accepted."""
        return self._keys.get(issuer)

    @property
    def available(self) -> bool:
        """Whether there are keys of any issuer to verify tokens with."""
        return any(keys.available for keys in self._sets)

    @property
    def version(self) -> int:
        """A number that grows whenever the keys of any issuer change."""
        return sum(keys.version for keys in self._sets)

    async def load_missing(self) -> None:
        """Fetch the keys of those issuers of which there are none. Failures are logged."""
        missing = (keys.load() for keys in self._sets if not keys.available)
        for failure in await asyncio.gather(*missing, return_exceptions=True):
            if isinstance(failure, BaseException) and not isinstance(failure, KeysUnavailable):
                raise failure

    def keep_fresh(self) -> None:
        """Start fetches in the background of keys that are old. No request waits for them."""
        for keys in self._sets:
            keys.keep_fresh()


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
