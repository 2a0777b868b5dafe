"""Verifies tokens, and identifies their callers.

The rules are from RFC 8725 (JWT best practices), RFC 7515 (the header of a token), and Amazon
Cognito's developer guide, "Verifying JSON web tokens".
"""

import re
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from hashlib import sha256
from sys import getsizeof
from typing import Any, NoReturn, Self

import jwt
import orjson
import structlog

from graphql_admin.errors import Unauthenticated
from graphql_admin.tokens.caller import RESERVED_GROUP, Caller, TokenUse
from graphql_admin.tokens.keys import ALGORITHM, KeySet, UnknownKey

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_JWS = jwt.PyJWS(algorithms=[ALGORITHM])

MAX_TOKEN_LENGTH = 16 * 1024
"""Characters of a token. Cognito's have a few kB, unless a trigger adds claims to them."""

_LEEWAY = 30.0
"""Seconds by which our clock may be behind Cognito's: `iat` and `nbf` may be this much later than
now, or the first request after a sign-in might be rejected. RFC 7519 (4.1.4, 4.1.5) allows
verifiers a small leeway. There is none after `exp`: it would give every stolen token another half
minute, and save a client no more than one refresh."""
_MAX_LIFETIME = 24 * 3600.0
"""Longest lifetime of a token, in seconds. Cognito issues none with a longer one, so such a token
is not from Cognito."""
_YEAR_10000 = 253_402_300_800
"""Latest time in a claim, in seconds since 1970. Later ones make no sense, such as `1e20` or
infinity."""

_MAX_REMEMBERED_SIZE = 8 * 1024 * 1024
"""Bytes of the cache of callers; some 8,000 typical ones. The groups of one caller may take 20
kB."""

_USUAL_SCHEME = "Bearer "
_CREDENTIALS = re.compile(r"(?:bearer +)?([\w-]+\.[\w-]+\.[\w-]*)", re.ASCII | re.IGNORECASE)


def bearer_token(authorization: str) -> str:
    """Return the token in an `Authorization` header: `Bearer <jwt>`, or `<jwt>` alone.

    Clients of Amplify's Admin Queries send the second form.

    Raises:
        Unauthenticated: The header has another form.
    """
    credentials = _CREDENTIALS.fullmatch(authorization)
    if credentials is None:
        _refuse("authorization")
    return credentials[1]


class TokenVerifier:
    """Verifies tokens.

    An invalid token is rejected without saying why, because that would help someone who forges
    tokens. The log has the reason, as `reason` of "token rejected".

    Args:
        issuers: The accepted values of `iss`.
        client_ids: The app clients whose tokens are accepted.
        token_uses: The accepted kinds of token.
        keys: The keys that tokens are signed with.
        admits_machines: Whether tokens of machines are accepted.
        clock: The time in seconds since 1970.
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
    def for_pool(
        cls,
        pool_id: str,
        region: str,
        *,
        client_ids: Collection[str],
        token_uses: Collection[TokenUse],
        issuer: str | None = None,
        jwks_url: str | None = None,
        admit_public_keys: bool = False,
        admits_machines: bool = False,
    ) -> Self:
        """Make a verifier for tokens of a user pool.

        Args:
            pool_id: The pool's id.
            region: The AWS region that it is in.
            client_ids: As for the class.
            token_uses: As for the class.
            issuer: The accepted `iss`, where it is neither of Cognito's two forms.
            jwks_url: URL of the keys, where it is not below the issuer.
            admit_public_keys: As for `KeySet`.
            admits_machines: As for the class.
        """
        # Which of the two a token has depends on the configuration of the pool.
        hosts = ("cognito-idp", "issuer-cognito-idp")
        issuers = [f"https://{host}.{region}.amazonaws.com/{pool_id}" for host in hosts]
        if issuer is not None:
            issuers = [issuer]
        return cls(
            issuers=issuers,
            client_ids=client_ids,
            token_uses=token_uses,
            keys=KeySet(
                jwks_url or f"{issuers[0]}/.well-known/jwks.json",
                admit_public_keys=admit_public_keys,
            ),
            admits_machines=admits_machines,
        )

    def recall(self, authorization: str) -> Caller | None:
        """Return the caller for an `Authorization` header, if its token was verified recently.

        Only the usual form of the header is parsed, and only cached callers are found. If this
        returns None, the token may still be valid.
        """
        if not (
            authorization.startswith(_USUAL_SCHEME)
            and authorization.isascii()
            and len(authorization) <= MAX_TOKEN_LENGTH
        ):
            return None
        self.keys.keep_fresh()
        token = authorization[len(_USUAL_SCHEME) :]
        return self._remembered.find(token, self.keys.version, self._clock())

    def identify(self, authorization: str) -> str | None:
        """Return the caller's `sub`, as `recall` finds it."""
        caller = self.recall(authorization)
        return caller.sub if caller is not None else None

    async def verify(self, token: str) -> Caller:
        """Return the caller that a token identifies.

        Raises:
            Unauthenticated: The token is not valid.
            KeysUnavailable: There are no keys to verify it with.
        """
        if len(token) > MAX_TOKEN_LENGTH:
            _refuse("too long")
        if not token.isascii():
            _refuse("malformed")
        self.keys.keep_fresh()
        caller = self._remembered.find(token, self.keys.version, self._clock())
        if caller is None:
            caller = self._read_claims(await self._open(token))
            self._remembered.add(token, self.keys.version, caller)
        return caller

    async def _open(self, token: str) -> dict[str, Any]:
        """Return the claims of a token, if it is signed with one of the pool's keys."""
        try:
            header = _JWS.get_unverified_header(token)
        except jwt.InvalidTokenError:
            _refuse("malformed")
        if header.get("alg") != ALGORITHM:
            _refuse("algorithm")
        if "crit" in header:  # extensions that must be understood; Cognito uses none
            _refuse("critical header")
        try:
            key = await self.keys.find(_text(header, "kid"))
        except UnknownKey:
            _refuse("unknown key")
        try:
            payload = _JWS.decode_complete(token, key, algorithms=[ALGORITHM])["payload"]
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
        # PyJWT's own claim checks accept "1700000000" and true as times, and use a clock that
        # cannot be injected.
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
            _refuse("client credentials grant, and no [scopes] in the policy")
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
    """A cache of the callers of verified tokens, since verifying takes most of a token's CPU.

    A token is kept as its hash, so that a memory dump contains none that can be used. Entries that
    were verified with other keys than the current ones are not found. When the cache is full, the
    least recently used entries are dropped.
    """

    def __init__(self) -> None:
        self._callers = OrderedDict[tuple[int, bytes], Caller]()
        """The least recently used first."""
        self._size = 0
        """Size of all entries in bytes."""

    def find(self, token: str, keys_version: int, now: float) -> Caller | None:
        key = (keys_version, _digest(token))
        caller = self._callers.get(key)
        if caller is None or now >= caller.expires_at:
            return None
        self._callers.move_to_end(key)
        return caller

    def add(self, token: str, keys_version: int, caller: Caller) -> None:
        key = (keys_version, _digest(token))
        if key in self._callers:  # two requests verified it at the same time
            return
        self._callers[key] = caller
        self._size += _size_of(caller)
        while self._size > _MAX_REMEMBERED_SIZE:
            _, dropped = self._callers.popitem(last=False)
            self._size -= _size_of(dropped)


_SIZE_OF_ENTRY = 400
"""Bytes of an entry beyond what is measured."""


def _size_of(caller: Caller) -> int:
    """Return the estimated size of an entry in bytes."""
    texts = (caller.sub, caller.username, *caller.groups, *caller.scopes)
    sets = (caller.groups, caller.scopes)
    return _SIZE_OF_ENTRY + sum(map(getsizeof, sets)) + sum(map(getsizeof, texts))


def _digest(token: str) -> bytes:
    return sha256(token.encode("ascii")).digest()


def _refuse(reason: str) -> NoReturn:
    log.info("token rejected", reason=reason)
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
    """Tell whether an access token is of the client credentials grant.

    By RFC 9068, section 2.2, its `sub` is then the client. Cognito gives it no `username`.
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
    return frozenset(groups) - {RESERVED_GROUP}
