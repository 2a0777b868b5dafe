"""Bearer token → `Caller`. The only module that knows JWT, and the keys that Cognito signs with.

Sources of the rules: RFC 8725 (JWT best practices), RFC 7515 and 7517 (what a header and a key
say about themselves), and Amazon Cognito's developer guide, "Verifying JSON web tokens".
"""

import asyncio
import math
import re
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from hashlib import sha256
from sys import getsizeof
from typing import Any, NoReturn, Self

import aiohttp
import jwt
import orjson
import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from graphql_admin.errors import Unauthenticated, UpstreamFailed
from graphql_admin.settings import Settings, TokenUse
from graphql_admin.telemetry import metrics

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_ALGORITHM = "RS256"
"""The one algorithm that Cognito signs with. A verifier that knows no other cannot be talked
into `none`, or into HMAC with the public key as its secret."""
_JWS = jwt.PyJWS(algorithms=[_ALGORITHM])

_MAX_TOKEN_LENGTH = 16 * 1024
_LEEWAY = 30.0
"""Seconds by which our clock may be behind Cognito's: a token is good that was issued, or is good
from, so much later than now, lest the first request after a sign-in is refused. RFC 7519 (4.1.4,
4.1.5) leaves a small leeway to who verifies. There is none after `exp`: it would give every stolen
token another half minute, and save nobody more than one refresh."""
_MAX_LIFETIME = 24 * 3600.0
"""Seconds. Cognito issues nothing longer, so a longer life is somebody's own making."""
_YEAR_10000 = 253_402_300_800
"""Epoch seconds. No time beyond makes sense, `1e20` and infinity included."""

_MAX_KEY_AGE = 3600.0
"""Seconds after which keys are fetched again, though all of them still serve."""
_FETCH_INTERVAL = 10.0
"""Seconds between two fetches, whoever asks: unknown key ids cost an attacker nothing to make."""
_MAX_KEYS_SIZE = 64 * 1024
_MIN_KEY_BITS = 2048
_KEY_PURPOSE = {"use": "sig", "alg": _ALGORITHM, "key_ops": ["verify"]}
"""What a key may say it is for. RFC 7517 lets it say nothing; PyJWT takes it whatever it says."""
_PUBLIC_KEY_IDS = frozenset({"dummy", "CognitoLocal"})
"""Keys of moto and cognito-local. Their private halves are published: anyone can sign with them."""

_MAX_WAITING = 256
"""Requests that may wait for the first keys; more are refused at once. Whoever forges tokens could
let any number wait, and nobody can be told from anybody yet."""

_MAX_REMEMBERED_SIZE = 8 * 1024 * 1024
"""Bytes that callers who are remembered may take; some 8,000 of the usual kind. The groups of one
may take 20 kB."""

_USUAL_SCHEME = "Bearer "
_CREDENTIALS = re.compile(r"(?:bearer +)?([\w-]+\.[\w-]+\.[\w-]*)", re.ASCII | re.IGNORECASE)


class KeysUnavailable(UpstreamFailed):
    """The user pool's keys could not be fetched, so no token can be called good or bad."""

    status = 503
    message = "The keys of the user pool could not be fetched."


class UnknownKey(Exception):
    """The user pool has no key with this id. Never leaves this module through a verifier."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request, as the verified token says."""

    sub: str
    """A machine's is the `client_id` of its app client."""
    username: str | None
    """None of a machine, which is no user of the pool."""
    groups: frozenset[str]
    token_use: TokenUse
    expires_at: float
    """Epoch seconds."""
    is_machine: bool = False
    """Whether the token was issued for client credentials, and no user signed in."""
    scopes: frozenset[str] = frozenset()
    """A machine's. Those of a user's token give no rights, and are left out."""


def bearer_token(authorization: str) -> str:
    """Return the token in an `Authorization` header: `Bearer <jwt>`, or the bare `<jwt>`.

    The bare form is what the clients of Amplify's Admin Queries send.

    Raises:
        Unauthenticated: The header holds anything else.
    """
    credentials = _CREDENTIALS.fullmatch(authorization)
    if credentials is None:
        _refuse("authorization")
    return credentials[1]


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


class TokenVerifier:
    """Tells good tokens from bad ones.

    A bad token is refused without a hint at what is wrong with it, for whoever forges one would
    take it as advice; the log says it, as the `reason` of "token refused".

    Args:
        issuers: The `iss` of good tokens, any of these.
        client_ids: The app clients whose tokens are good.
        token_uses: The kinds of token that are good.
        keys: What tokens are signed with.
        admits_machines: Whether tokens are good that no user signed in for.
        clock: Epoch seconds.
    """

    def __init__(
        self,
        *,
        issuers: Collection[str],
        client_ids: Collection[str],
        token_uses: Collection[TokenUse],
        keys: KeySet,
        admits_machines: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.keys = keys
        self._issuers = frozenset(issuers)
        self._client_ids = frozenset(client_ids)
        self._token_uses = frozenset(token_uses)
        self._admits_machines = admits_machines
        self._clock = clock
        self._remembered = _RememberedCallers()

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make a verifier for the tokens of the user pool that the settings name."""
        if settings.issuer is not None:
            issuers = [settings.issuer]
        else:
            # Which of the two is in a token depends on how the pool was set up.
            issuers = [
                f"https://{host}.{settings.region}.amazonaws.com/{settings.user_pool_id}"
                for host in ("cognito-idp", "issuer-cognito-idp")
            ]
        return cls(
            issuers=issuers,
            client_ids=settings.client_ids,
            token_uses=settings.token_use,
            keys=KeySet(
                settings.jwks_url or f"{issuers[0]}/.well-known/jwks.json",
                admit_public_keys=settings.dev,
            ),
            admits_machines=settings.policy.scopes is not None,
        )

    def recall(self, authorization: str) -> Caller | None:
        """Return who is behind an `Authorization` header, if its token was verified lately.

        Only the usual form of the header is looked at, and only for what is known already. So
        what this returns nothing for may be good all the same.
        """
        if not (
            authorization.startswith(_USUAL_SCHEME)
            and authorization.isascii()
            and len(authorization) <= _MAX_TOKEN_LENGTH
        ):
            return None
        self.keys.keep_fresh()
        token = authorization[len(_USUAL_SCHEME) :]
        return self._remembered.find(token, self.keys.version, self._clock())

    async def verify(self, token: str) -> Caller:
        """Return who is behind a token.

        Raises:
            Unauthenticated: The token is not good.
            KeysUnavailable: There are no keys to tell by.
        """
        if len(token) > _MAX_TOKEN_LENGTH or not token.isascii():
            _refuse("malformed")
        self.keys.keep_fresh()
        caller = self._remembered.find(token, self.keys.version, self._clock())
        if caller is None:
            caller = self._read_claims(await self._open(token))
            self._remembered.add(token, self.keys.version, caller)
        return caller

    async def _open(self, token: str) -> dict[str, Any]:
        """Return the claims of a token that is signed with one of the pool's keys."""
        try:
            header = _JWS.get_unverified_header(token)
        except jwt.InvalidTokenError:
            _refuse("malformed")
        if header.get("alg") != _ALGORITHM:
            _refuse("algorithm")
        if "crit" in header:  # "refuse me unless you know these": Cognito has none to know
            _refuse("critical header")
        try:
            key = await self.keys.find(_text(header, "kid"))
        except UnknownKey:
            _refuse("unknown key")
        try:
            payload = _JWS.decode_complete(token, key, algorithms=[_ALGORITHM])["payload"]
        except jwt.InvalidTokenError:
            _refuse("signature")
        try:
            claims = orjson.loads(payload)
        except orjson.JSONDecodeError:
            _refuse("malformed")
        if not isinstance(claims, dict):
            _refuse("malformed")
        return claims

    def _read_claims(self, claims: dict[str, Any]) -> Caller:
        # PyJWT's own claim checks take "1700000000" and true for times, and tell the time
        # by a clock that cannot be passed in.
        if _text(claims, "iss") not in self._issuers:
            _refuse("issuer")
        expires_at = self._check_times(claims)

        token_use = _text(claims, "token_use")
        if token_use not in self._token_uses:
            _refuse("token use")
        is_id = token_use == TokenUse.ID
        if _text(claims, "aud" if is_id else "client_id") not in self._client_ids:
            _refuse("client")

        if not is_id and _is_machine(claims):
            return self._read_machine(claims, expires_at)
        return Caller(
            sub=_text(claims, "sub"),
            username=_text(claims, "cognito:username" if is_id else "username"),
            groups=_groups(claims),
            token_use=TokenUse(token_use),
            expires_at=expires_at,
        )

    def _read_machine(self, claims: dict[str, Any], expires_at: float) -> Caller:
        if not self._admits_machines:
            _refuse("client credentials, and no [scopes] in the policy")
        return Caller(
            sub=_text(claims, "sub"),
            username=None,
            groups=frozenset(),
            token_use=TokenUse.ACCESS,
            expires_at=expires_at,
            is_machine=True,
            scopes=_scopes(claims),
        )

    def _check_times(self, claims: dict[str, Any]) -> float:
        now = self._clock()
        issued_at, expires_at = _moment(claims, "iat"), _moment(claims, "exp")
        if now >= expires_at:
            _refuse("expired")
        if now < issued_at - _LEEWAY:
            _refuse("not yet valid")
        if "nbf" in claims and now < _moment(claims, "nbf") - _LEEWAY:
            _refuse("not yet valid")
        if not 0 < expires_at - issued_at <= _MAX_LIFETIME:
            _refuse("lifetime")
        return expires_at


class _RememberedCallers:
    """The callers of tokens verified lately, since verifying is most of what a token costs.

    A token is kept as its hash, so that no memory dump holds one to sign in with. What was
    verified with other keys than today's is never found again. When full, the oldest go.
    """

    def __init__(self) -> None:
        self._callers: dict[tuple[int, bytes], Caller] = {}
        self._size = 0
        """Bytes that all of them take."""

    def find(self, token: str, keys_version: int, now: float) -> Caller | None:
        caller = self._callers.get((keys_version, _digest(token)))
        return caller if caller is not None and now < caller.expires_at else None

    def add(self, token: str, keys_version: int, caller: Caller) -> None:
        key = (keys_version, _digest(token))
        if key in self._callers:  # it has expired but for the leeway
            return
        self._callers[key] = caller
        self._size += _size_of(caller)
        while self._size > _MAX_REMEMBERED_SIZE:
            oldest = next(iter(self._callers))
            self._size -= _size_of(self._callers.pop(oldest))


_SIZE_OF_ENTRY = 400
"""Bytes that a caller and the key take beside what is measured."""


def _size_of(caller: Caller) -> int:
    """Return about how many bytes it takes to remember a caller."""
    texts = (caller.sub, caller.username, *caller.groups, *caller.scopes)
    sets = (caller.groups, caller.scopes)
    return _SIZE_OF_ENTRY + sum(map(getsizeof, sets)) + sum(map(getsizeof, texts))


def _digest(token: str) -> bytes:
    return sha256(token.encode("ascii")).digest()


def _refuse(reason: str) -> NoReturn:
    log.info("token refused", reason=reason)
    raise Unauthenticated from None


def _text(members: dict[str, Any], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str) or value == "":
        _refuse(f"no valid {name}")
    return value


def _moment(claims: dict[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(f"no valid {name}")
    if not 0 <= value < _YEAR_10000:
        _refuse(f"no valid {name}")
    return value


def _is_machine(claims: dict[str, Any]) -> bool:
    """Tell whether an access token was issued for client credentials.

    RFC 9068, section 2.2: its `sub` is then the client itself. Cognito gives it no `username`.
    """
    return claims.get("sub") == claims.get("client_id") and claims.keys().isdisjoint(_OF_USERS)


_OF_USERS = frozenset({"username", "cognito:username", "cognito:groups"})
"""Claims of users."""


def _scopes(claims: dict[str, Any]) -> frozenset[str]:
    # RFC 6749, section 3.3: separated by spaces.
    return frozenset(_text(claims, "scope").split(" ")) - {""}


def _groups(claims: dict[str, Any]) -> frozenset[str]:
    groups = claims.get("cognito:groups", [])
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        _refuse("no valid cognito:groups")
    # Cognito admits `*` as the name of a group. To a policy it means every signed-in user.
    return frozenset(groups) - {"*"}


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
    key = jwt.PyJWK(entry, _ALGORITHM)
    if not isinstance(key.key, RSAPublicKey):
        raise jwt.PyJWKError("a private key")
    if key.key.key_size < _MIN_KEY_BITS:
        raise jwt.PyJWKError(f"below {_MIN_KEY_BITS} bits")
    return kid, key


def _public_keys(keys: dict[str, jwt.PyJWK]) -> dict[str, RSAPublicKey]:
    return {kid: key.key for kid, key in keys.items()}
