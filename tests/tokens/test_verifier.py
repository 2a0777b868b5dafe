"""Which tokens are valid, what is in a caller, and how the pool's keys are cached."""

import asyncio
import hmac
import json
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from hashlib import sha256
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from structlog.testing import capture_logs

from graphql_admin.app import make_verifier as make_verifier_of
from graphql_admin.errors import Unauthenticated, UpstreamFailed
from graphql_admin.settings import Settings
from graphql_admin.tokens import keys as key_module
from graphql_admin.tokens import verifier as auth
from graphql_admin.tokens.caller import Caller, TokenUse
from graphql_admin.tokens.keys import KeySet, KeysUnavailable, UnknownKey
from graphql_admin.tokens.verifier import TokenVerifier, bearer_token
from tests.support.tokens import (
    ABSENT,
    CLIENT_ID,
    ISSUER,
    POOL_ID,
    JwksServer,
    Pool,
    base64url,
    base64url_int,
    rsa_key,
)

pytestmark = pytest.mark.anyio

NOW = 1_750_000_000
HOUR = 3600
POOL = Pool(now=NOW)
STRANGER = Pool(now=NOW, key=rsa_key("stranger"))
"""Signs with a key of its own under the pool's key id."""


class Clock:
    """A clock that goes when told."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def endpoint() -> Iterator[JwksServer]:
    with JwksServer(POOL.jwk()) as server:
        yield server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(endpoint: JwksServer, clock: Clock) -> KeySet:
    return KeySet(endpoint.url, clock=clock)


@pytest.fixture
def verifier(keys: KeySet, clock: Clock) -> TokenVerifier:
    return make_verifier(keys, clock)


def make_verifier(
    keys: KeySet, clock: Clock, *token_uses: TokenUse, **arguments: Any
) -> TokenVerifier:
    return TokenVerifier(
        **{
            "issuers": {ISSUER},
            "client_ids": {CLIENT_ID},
            "token_uses": token_uses or {TokenUse.ACCESS},
            "keys": keys,
            "clock": clock,
            **arguments,
        }
    )


async def refusal(verify: Awaitable[Caller]) -> str:
    """Return the reason that the log has for the refusal of a token."""
    with capture_logs() as events, pytest.raises(Unauthenticated) as caught:
        await verify
    assert type(caught.value) is Unauthenticated
    assert caught.value.message == Unauthenticated.message
    assert caught.value.__suppress_context__
    (refused,) = [event for event in events if event["event"] == "token rejected"]
    assert refused.keys() == {"event", "log_level", "reason"}
    reason: str = refused["reason"]
    return reason


async def eventually(condition: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    pytest.fail("did not come about")


def hs256(secret: bytes) -> str:
    """Return a token whose HMAC secret is public."""
    signed, _, _ = POOL.access_token(header={"alg": "HS256"}).rpartition(".")
    return f"{signed}.{base64url(hmac.digest(secret, signed.encode(), sha256))}"


def unsigned(alg: str) -> str:
    signed, _, _ = POOL.access_token(header={"alg": alg}).rpartition(".")
    return f"{signed}."


def with_other_claims() -> str:
    header, _, signature = POOL.access_token("alice").split(".")
    return f"{header}.{POOL.access_token('mallory').split('.')[1]}.{signature}"


# Valid tokens


async def test_verify_access_token(verifier: TokenVerifier) -> None:
    """A good access token says who the caller is."""
    caller = await verifier.verify(POOL.access_token("alice", ["Admins", "Editors"]))
    assert caller == Caller(
        sub="sub-of-alice",
        username="alice",
        groups=frozenset({"Admins", "Editors"}),
        token_use=TokenUse.ACCESS,
        expires_at=NOW + HOUR,
    )


async def test_verify_id_token_where_enabled(keys: KeySet, clock: Clock) -> None:
    """Where ID tokens are enabled, one says who the caller is."""
    verifier = make_verifier(keys, clock, TokenUse.ACCESS, TokenUse.ID)
    caller = await verifier.verify(POOL.id_token("alice", ["Admins"]))
    assert caller.username == "alice"
    assert caller.groups == {"Admins"}
    assert caller.token_use is TokenUse.ID


async def test_verify_takes_every_issuer_configured(keys: KeySet, clock: Clock) -> None:
    """A token of any configured issuer is good."""
    issuers = {ISSUER, "https://issuer-cognito-idp.example/pool"}
    verifier = make_verifier(keys, clock, issuers=issuers)
    for issuer in issuers:
        assert await verifier.verify(POOL.access_token(iss=issuer))


@pytest.mark.parametrize(
    ("claim", "groups"),
    [
        (ABSENT, set()),
        ([], set()),
        (["x,Admins"], {"x,Admins"}),
        ([" Admins"], {" Admins"}),
        (["*"], set()),
        (["*", "Editors"], {"Editors"}),
    ],
)
async def test_verify_groups(verifier: TokenVerifier, claim: Any, groups: set[str]) -> None:
    """Groups are taken as they are, commas and blanks included, but no caller is in `*`."""
    assert (await verifier.verify(POOL.access_token(groups=claim))).groups == groups


@pytest.mark.parametrize(
    "claims",
    [
        {"iat": NOW + 29},
        {"exp": NOW + 0.5},
        {"exp": NOW + 24 * HOUR},
        {"nbf": NOW + 29},
        {"aud": "https://another.example"},
        {"scope": "openid", "jti": "1", "anything": {"else": None}},
    ],
    ids=str,
)
async def test_verify_tolerates(verifier: TokenVerifier, claims: dict[str, Any]) -> None:
    """Our clock may be 30 s behind, a token may live for 24 h and say what we do not ask."""
    assert await verifier.verify(POOL.access_token(**claims))


async def test_verify_ignores_keys_in_the_token(verifier: TokenVerifier) -> None:
    """A key that the token itself brings or points to is not used, whether good or forged."""
    header = {"jwk": STRANGER.jwk(), "jku": "http://127.0.0.1:1/", "x5u": "http://127.0.0.1:1/"}
    assert await verifier.verify(POOL.access_token(header=header))
    assert await refusal(verifier.verify(STRANGER.access_token(header=header))) == "signature"


# Invalid tokens


COGNITO_USERNAME: dict[str, Any] = {"cognito:username": "alice"}
NO_COGNITO_USERNAME: dict[str, Any] = {"cognito:username": ABSENT}

BAD_TOKENS = {
    # what it is made of
    "empty": ("", "malformed"),
    "one part": ("abc", "malformed"),
    "two parts": ("abc.def", "malformed"),
    "four parts": (POOL.access_token() + ".abc", "malformed"),
    "not base64": ("!.!.!", "malformed"),
    "not ASCII": (POOL.access_token() + "é", "malformed"),
    "lone surrogate": ("\ud800.a.b", "malformed"),
    "header not JSON": (f"{base64url(b'{')}.e30.e30", "malformed"),
    "header an array": (f"{base64url(b'[]')}.e30.e30", "malformed"),
    "header nested deeply": (f"{base64url(b'[' * 9000)}.e30.e30", "malformed"),
    "too long": (POOL.access_token(padding="x" * 16384), "too long"),
    "too long and not ASCII": ("é" * 16385, "too long"),
    "claims an array": (POOL.sign(["sub"]), "malformed"),
    # the header
    "alg none": (unsigned("none"), "algorithm"),
    "alg NONE": (unsigned("NONE"), "algorithm"),
    "alg none, yet signed": (POOL.access_token(header={"alg": "none"}), "algorithm"),
    "alg absent": (POOL.access_token(header={"alg": ABSENT}), "algorithm"),
    "alg an array": (POOL.access_token(header={"alg": ["RS256"]}), "algorithm"),
    "alg RS512": (POOL.access_token(header={"alg": "RS512"}), "algorithm"),
    "alg PS256": (POOL.access_token(header={"alg": "PS256"}), "algorithm"),
    "HS256 with the public key as PEM": (
        hs256(POOL.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)),
        "algorithm",
    ),
    "HS256 with the public key as JWK": (hs256(json.dumps(POOL.jwk()).encode()), "algorithm"),
    "kid absent": (POOL.access_token(header={"kid": ABSENT}), "no valid kid"),
    "kid empty": (POOL.access_token(header={"kid": ""}), "no valid kid"),
    "kid a number": (POOL.access_token(header={"kid": 1}), "malformed"),
    "kid null": (POOL.access_token(header={"kid": None}), "malformed"),
    "kid unknown": (POOL.access_token(header={"kid": "key-2"}), "unknown key"),
    "crit unknown": (POOL.access_token(header={"crit": ["x"], "x": 1}), "malformed"),
    "crit known to PyJWT": (
        POOL.access_token(header={"crit": ["b64"], "b64": True}),
        "critical header",
    ),
    "b64 false": (POOL.access_token(header={"crit": ["b64"], "b64": False}), "malformed"),
    # the signature
    "signed by another": (STRANGER.access_token(), "signature"),
    "signature absent": (unsigned("RS256"), "signature"),
    "signature of other claims": (with_other_claims(), "signature"),
    # where it is from and for
    "iss absent": (POOL.access_token(iss=ABSENT), "no valid iss"),
    "iss an array": (POOL.access_token(iss=[ISSUER]), "no valid iss"),
    "other pool": (POOL.access_token(iss=ISSUER[:-3] + "999"), "issuer"),
    "iss with a slash": (POOL.access_token(iss=ISSUER + "/"), "issuer"),
    "iss a prefix": (POOL.access_token(iss=ISSUER[:-1]), "issuer"),
    "token_use absent": (POOL.access_token(token_use=ABSENT), "no valid token_use"),
    "token_use unknown": (POOL.access_token(token_use="refresh"), "token use"),
    "token_use an array": (POOL.access_token(token_use=["access"]), "no valid token_use"),
    "ID token": (POOL.id_token(), "token use"),
    "other client": (POOL.access_token(client_id="another"), "client"),
    "client_id absent": (POOL.access_token(client_id=ABSENT), "no valid client_id"),
    "client_id absent, aud good": (
        POOL.access_token(client_id=ABSENT, aud=CLIENT_ID),
        "no valid client_id",
    ),
    # when it is good
    "exp absent": (POOL.access_token(exp=ABSENT), "no valid exp"),
    "exp null": (POOL.access_token(exp=None), "no valid exp"),
    "exp 1e20": (POOL.access_token(exp=1e20), "no valid exp"),
    "exp of 400 digits": (POOL.access_token(exp=10**400), "malformed"),
    "exp infinite": (POOL.access_token(exp=float("inf")), "malformed"),
    "exp NaN": (POOL.access_token(exp=float("nan")), "malformed"),
    "exp a string": (POOL.access_token(exp=str(NOW + HOUR)), "no valid exp"),
    "exp a bool": (POOL.access_token(exp=True), "no valid exp"),
    "exp negative": (POOL.access_token(exp=-1), "no valid exp"),
    "expired": (POOL.access_token(exp=NOW - 30, iat=NOW - HOUR), "expired"),
    "expired this moment": (POOL.access_token(exp=NOW, iat=NOW - HOUR), "expired"),
    "expired half a second ago": (POOL.access_token(exp=NOW - 0.5, iat=NOW - HOUR), "expired"),
    "iat absent": (POOL.access_token(iat=ABSENT), "no valid iat"),
    "iat a string": (POOL.access_token(iat=str(NOW)), "no valid iat"),
    "iat a bool": (POOL.access_token(iat=True), "no valid iat"),
    "iat to come": (POOL.access_token(iat=NOW + 31), "not yet valid"),
    "nbf to come": (POOL.access_token(nbf=NOW + 31), "not yet valid"),
    "nbf a string": (POOL.access_token(nbf=str(NOW)), "no valid nbf"),
    "nbf null": (POOL.access_token(nbf=None), "no valid nbf"),
    "valid for 25 h": (POOL.access_token(exp=NOW + 25 * HOUR), "lifetime"),
    "good for less than nothing": (POOL.access_token(exp=NOW + 1, iat=NOW + 2), "lifetime"),
    # whose it is
    "sub absent": (POOL.access_token(sub=ABSENT), "no valid sub"),
    "sub empty": (POOL.access_token(sub=""), "no valid sub"),
    "sub a number": (POOL.access_token(sub=7), "no valid sub"),
    "username absent": (POOL.access_token(username=ABSENT), "no valid username"),
    "username empty": (POOL.access_token(username=""), "no valid username"),
    "username null": (POOL.access_token(username=None), "no valid username"),
    "username of an ID token": (
        POOL.access_token(username=ABSENT, **COGNITO_USERNAME),
        "no valid username",
    ),
    "groups a string": (POOL.access_token(groups="Admins"), "no valid cognito:groups"),
    "groups an object": (POOL.access_token(groups={"Admins": 1}), "no valid cognito:groups"),
    "groups null": (POOL.access_token(groups=None), "no valid cognito:groups"),
    "groups with a number": (POOL.access_token(groups=["A", 1]), "no valid cognito:groups"),
    "groups with an array": (POOL.access_token(groups=[["A"]]), "no valid cognito:groups"),
}


@pytest.mark.parametrize(("token", "reason"), BAD_TOKENS.values(), ids=BAD_TOKENS)
async def test_verify_refuses(verifier: TokenVerifier, token: str, reason: str) -> None:
    """An invalid token is rejected without a hint to the client; the log has the reason."""
    assert await refusal(verifier.verify(token)) == reason


BAD_ID_TOKENS = {
    "aud absent": (POOL.id_token(aud=ABSENT), "no valid aud"),
    "aud an array": (POOL.id_token(aud=[CLIENT_ID]), "no valid aud"),
    "other client": (POOL.id_token(aud="another"), "client"),
    "aud absent, client_id good": (
        POOL.id_token(aud=ABSENT, client_id=CLIENT_ID),
        "no valid aud",
    ),
    "username of an access token": (
        POOL.id_token(username="alice", **NO_COGNITO_USERNAME),
        "no valid cognito:username",
    ),
    "access token": (POOL.access_token(), "token use"),
}


@pytest.mark.parametrize(("token", "reason"), BAD_ID_TOKENS.values(), ids=BAD_ID_TOKENS)
async def test_verify_refuses_id_token(keys: KeySet, clock: Clock, token: str, reason: str) -> None:
    """Where ID tokens are enabled, each must still be one, and for our client."""
    verifier = make_verifier(keys, clock, TokenUse.ID)
    assert await refusal(verifier.verify(token)) == reason


@pytest.mark.parametrize("scheme", ["", "Bearer ", "bearer ", "BEARER ", "Bearer   "])
def test_bearer_token(scheme: str) -> None:
    """The header may hold `Bearer <jwt>`, or the bare token as Amplify's clients send it."""
    token = POOL.access_token()
    assert bearer_token(scheme + token) == token


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        " ",
        "Bearer",
        "Bearer ",
        "Bearer null",
        "Basic YWxpY2U6c2VjcmV0",
        "Basic a.b.c",
        "Bearer a.b.c d.e.f",
        "Bearer a.b.c, Bearer d.e.f",
        "Bearer Bearer a.b.c",
        "Bearera.b.c d",
        "Bearer\ta.b.c",
        "Bearer a.b.c\n",
        " a.b.c",
        "a.b",
        "a.b.c.d",
        "é.b.c",
        "token=a.b.c",
    ],
)
def test_bearer_token_refuses(authorization: str) -> None:
    """Anything but one token, with or without `Bearer`, is refused."""
    with capture_logs() as events, pytest.raises(Unauthenticated):
        bearer_token(authorization)
    assert events == [{"event": "token rejected", "log_level": "info", "reason": "authorization"}]


# From settings


def make_settings(**values: Any) -> Settings:
    required = {"user_pool_id": POOL_ID, "client_ids": CLIENT_ID, "admin_groups": "Admins"}
    return Settings(**{**required, **values})


async def test_from_settings(endpoint: JwksServer) -> None:
    """With only the required settings, access tokens of the pool's two issuers are good."""
    endpoint.publish(Pool(kid="dummy").jwk())
    verifier = make_verifier_of(make_settings(dev=True, jwks_url=endpoint.url))
    pool = Pool(kid="dummy")
    new_form = ISSUER.replace("cognito-idp", "issuer-cognito-idp")
    assert await verifier.verify(pool.access_token())
    assert await verifier.verify(pool.access_token(iss=new_form))
    other_region = ISSUER.replace("eu-west-1.", "eu-west-2.")
    assert await refusal(verifier.verify(pool.access_token(iss=other_region))) == "issuer"
    assert await refusal(verifier.verify(pool.id_token())) == "token use"


async def test_from_settings_with_issuer(endpoint: JwksServer) -> None:
    """An issuer in the settings takes the place of both of Cognito's forms."""
    issuer = "https://cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_AbCdEf123"
    settings = make_settings(dev=True, issuer=issuer, jwks_url=endpoint.url, token_use="access,id")
    verifier = make_verifier_of(settings)
    pool = Pool()
    assert await verifier.verify(pool.access_token(iss=issuer))
    assert await verifier.verify(pool.id_token(iss=issuer))
    assert await refusal(verifier.verify(pool.access_token())) == "issuer"


# Keys


async def test_keys_are_fetched_once(verifier: TokenVerifier, endpoint: JwksServer) -> None:
    """Many first requests at a time share one fetch, and later ones need none."""
    endpoint.gate.clear()
    tokens = [POOL.access_token(f"user-{n}") for n in range(20)]
    requests = [asyncio.create_task(verifier.verify(token)) for token in tokens]
    await eventually(lambda: endpoint.requests == 1)
    endpoint.gate.set()
    assert len(await asyncio.gather(*requests)) == 20
    await verifier.verify(POOL.access_token("one-more"))
    assert endpoint.requests == 1


async def test_unknown_kid_fetches_once_in_ten_seconds(
    verifier: TokenVerifier, endpoint: JwksServer, clock: Clock
) -> None:
    """However many unknown key ids come, the keys are fetched at most once in 10 s."""

    async def send_unknown_kids() -> None:
        tokens = [POOL.access_token(header={"kid": f"unknown-{n}"}) for n in range(5)]
        replies = await asyncio.gather(*map(verifier.verify, tokens), return_exceptions=True)
        assert {type(reply) for reply in replies} == {Unauthenticated}

    await verifier.keys.load()
    await send_unknown_kids()
    clock.now += 9.9
    await send_unknown_kids()
    assert endpoint.requests == 1
    clock.now += 0.1
    await send_unknown_kids()
    await eventually(lambda: endpoint.requests == 2)


async def test_new_key_is_found(
    verifier: TokenVerifier, endpoint: JwksServer, clock: Clock
) -> None:
    """A key that the pool has added is found from the next request on; a removed one is not."""
    await verifier.verify(POOL.access_token())
    added = Pool(kid="key-2", key=rsa_key("second"), now=NOW)
    endpoint.publish(added.jwk())
    clock.now += 10
    assert await refusal(verifier.verify(added.access_token())) == "unknown key"
    await eventually(lambda: verifier.keys.version == 2)
    assert await verifier.verify(added.access_token())
    assert await refusal(verifier.verify(POOL.access_token())) == "unknown key"


async def test_unknown_kid_waits_for_nothing(
    verifier: TokenVerifier, endpoint: JwksServer, clock: Clock
) -> None:
    """While the endpoint hangs, unknown key ids are rejected at once, and valid tokens accepted."""
    await verifier.keys.load()
    clock.now += 10
    endpoint.gate.clear()
    for number in range(100):
        forged = POOL.access_token(header={"kid": f"unknown-{number}"})
        async with asyncio.timeout(0):  # it ends the first time that anything is waited for
            assert await refusal(verifier.verify(forged)) == "unknown key"
    assert await verifier.verify(POOL.access_token())
    await eventually(lambda: endpoint.requests == 2)


async def test_few_wait_for_the_first_keys(
    verifier: TokenVerifier, endpoint: JwksServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the requests that come before the first keys, only so many wait for them."""
    monkeypatch.setattr(key_module, "_MAX_WAITING", 20)
    endpoint.gate.clear()
    first = [asyncio.create_task(verifier.verify(POOL.access_token(f"u{n}"))) for n in range(20)]
    await eventually(lambda: endpoint.requests == 1)
    with pytest.raises(KeysUnavailable):
        await verifier.verify(POOL.access_token())
    first.pop().cancel()
    await asyncio.sleep(0)
    last = asyncio.create_task(verifier.verify(POOL.access_token()))
    await asyncio.sleep(0)
    assert not last.done()
    endpoint.gate.set()
    assert len(await asyncio.gather(*first, last)) == 20


@pytest.mark.parametrize("wait", [KeySet.load, lambda keys: keys.find("key-1")])
async def test_request_that_gives_up_leaves_the_fetch(
    keys: KeySet, endpoint: JwksServer, wait: Callable[[KeySet], Coroutine[Any, Any, object]]
) -> None:
    """A request that is cancelled while the keys come takes them from no other request."""
    endpoint.gate.clear()
    given_up = asyncio.create_task(wait(keys))
    patient = asyncio.create_task(keys.find("key-1"))
    await eventually(lambda: endpoint.requests == 1)
    given_up.cancel()
    endpoint.gate.set()
    assert (await patient).key_id == "key-1"
    assert endpoint.requests == 1


async def test_loads_share_a_fetch(keys: KeySet, endpoint: JwksServer) -> None:
    """Loading fetches again each time, but never twice concurrently."""
    await asyncio.gather(keys.load(), keys.load(), keys.find("key-1"))
    assert endpoint.requests == 1
    await keys.load()
    assert endpoint.requests == 2


BAD_REPLIES: dict[str, tuple[int, bytes]] = {
    "500": (500, b"<html>Sorry</html>"),
    "404 with keys": (404, json.dumps({"keys": [STRANGER.jwk()]}).encode()),
    "HTML": (200, b"<html>Sorry</html>"),
    "nothing": (200, b""),
    "half": (200, json.dumps({"keys": [POOL.jwk()]}).encode()[:-9]),
    "empty set": (200, b'{"keys": []}'),
    "no set": (200, b"{}"),
    "null": (200, b"null"),
    "set a number": (200, b'{"keys": 1}'),
    "set an object": (200, b'{"keys": {"kid": "key-1"}}'),
    "keys not objects": (200, b'{"keys": [null, 1, "key-1", []]}'),
    "only keys that are refused": (
        200,
        json.dumps({"keys": [STRANGER.jwk(use="enc")]}).encode(),
    ),
    "too long": (
        200,
        json.dumps({"keys": [STRANGER.jwk()], "padding": "x" * 70_000}).encode(),
    ),
}


@pytest.mark.parametrize(("status", "body"), BAD_REPLIES.values(), ids=BAD_REPLIES)
async def test_cached_keys_outlive_bad_replies(
    verifier: TokenVerifier, endpoint: JwksServer, clock: Clock, status: int, body: bytes
) -> None:
    """Cached keys stay in use when the endpoint answers anything but a usable set."""
    await verifier.keys.load()
    endpoint.answer(status, body)
    clock.now += 10
    with pytest.raises(KeysUnavailable):
        await verifier.keys.load()
    assert await verifier.verify(POOL.access_token())
    assert verifier.keys.available


@pytest.mark.parametrize(("status", "body"), BAD_REPLIES.values(), ids=BAD_REPLIES)
async def test_bad_reply_without_cached_keys(
    verifier: TokenVerifier, endpoint: JwksServer, clock: Clock, status: int, body: bytes
) -> None:
    """Without any key no token is called bad; once the endpoint answers, good ones are good."""
    endpoint.answer(status, body)
    for _ in range(2):
        with pytest.raises(KeysUnavailable):
            await verifier.verify(POOL.access_token())
    assert endpoint.requests == 1
    assert not verifier.keys.available
    endpoint.publish(POOL.jwk())
    clock.now += 10
    assert await verifier.verify(POOL.access_token())


async def test_dead_endpoint(clock: Clock) -> None:
    """Cached keys outlive the endpoint; an unknown key id is then rejected, not waited for."""
    with JwksServer(POOL.jwk()) as short_lived:
        keys = KeySet(short_lived.url, clock=clock)
        await keys.load()
    clock.now += 10
    with pytest.raises(KeysUnavailable):
        await keys.load()
    assert (await keys.find("key-1")).key_id == "key-1"
    with pytest.raises(UnknownKey):
        await keys.find("key-2")


async def test_slow_endpoint(endpoint: JwksServer) -> None:
    """An endpoint that does not answer in time counts as one that is down."""
    endpoint.gate.clear()
    with pytest.raises(KeysUnavailable):
        await KeySet(endpoint.url, timeout=0.05).find("key-1")


async def test_redirect_is_not_followed(keys: KeySet, endpoint: JwksServer) -> None:
    """The keys come from the URL in the settings, not from where its host points."""
    with JwksServer(STRANGER.jwk()) as elsewhere:
        endpoint.answer(302)
        endpoint.headers["Location"] = elsewhere.url
        with pytest.raises(KeysUnavailable):
            await keys.load()
        assert elsewhere.requests == 0


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/", "nonsense", ""])
async def test_url_that_is_not_http(url: str) -> None:
    """Keys come over HTTP or not at all."""
    with pytest.raises(KeysUnavailable):
        await KeySet(url).load()


async def starts_fetch(verifier: TokenVerifier, token: str) -> bool:
    """Return whether verifying the token, which must be good, leaves a new task behind."""
    tasks = asyncio.all_tasks()
    await verifier.verify(token)
    return not asyncio.all_tasks() <= tasks


async def test_old_keys_are_refreshed_in_the_background(
    verifier: TokenVerifier, endpoint: JwksServer, clock: Clock
) -> None:
    """Keys are fetched again after an hour, and no request that has its key waits for it."""
    token = POOL.access_token(exp=NOW + 3 * HOUR)
    await verifier.verify(token)
    clock.now += HOUR - 1
    assert not await starts_fetch(verifier, token)

    endpoint.gate.clear()
    clock.now += 1
    assert await starts_fetch(verifier, token)
    assert not await starts_fetch(verifier, token)
    await eventually(lambda: endpoint.requests == 2)
    added = Pool(kid="key-2", key=rsa_key("second"), now=clock.now)
    endpoint.publish(POOL.jwk(), added.jwk())
    endpoint.gate.set()
    await eventually(lambda: verifier.keys.version == 2)
    assert not await starts_fetch(verifier, added.access_token())
    assert endpoint.requests == 2


async def test_failed_refresh_fails_no_request(
    verifier: TokenVerifier, endpoint: JwksServer, clock: Clock
) -> None:
    """While the refresh fails, requests go on, and it is tried again after 10 s."""
    token = POOL.access_token(exp=NOW + 3 * HOUR)
    await verifier.verify(token)
    endpoint.answer(500)
    clock.now += HOUR
    for _ in range(2):
        with capture_logs() as events:
            assert await starts_fetch(verifier, token)
            await eventually(lambda: bool(events))
        assert [event["event"] for event in events] == ["keys not fetched"]
        clock.now += 9.9
        assert not await starts_fetch(verifier, token)
        clock.now += 0.1


REFUSED_KEYS = {
    "kty absent": (POOL, {"kty": ABSENT}),
    "kty oct": (POOL, {"kty": "oct", "k": base64url(b"k" * 32)}),
    "kty EC": (POOL, {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}),
    "use enc": (POOL, {"use": "enc"}),
    "use null": (POOL, {"use": None}),
    "alg RSA-OAEP": (POOL, {"alg": "RSA-OAEP"}),
    "alg RS512": (POOL, {"alg": "RS512"}),
    "alg HS256": (POOL, {"alg": "HS256"}),
    "alg none": (POOL, {"alg": "none"}),
    "key_ops encrypt": (POOL, {"key_ops": ["encrypt"]}),
    "key_ops verify and encrypt": (POOL, {"key_ops": ["verify", "encrypt"]}),
    "key_ops empty": (POOL, {"key_ops": []}),
    "kid absent": (POOL, {"kid": ABSENT}),
    "kid a number": (POOL, {"kid": 1}),
    "n absent": (POOL, {"n": ABSENT}),
    "n a number": (POOL, {"n": 7}),
    "n not base64": (POOL, {"n": "!"}),
    "e even": (POOL, {"e": "Ag"}),
    "private": (POOL, {"d": base64url_int(POOL.key.private_numbers().d)}),
    "private, kty absent": (POOL, {"d": base64url(b"secret"), "kty": ABSENT}),
    "1024 bits": (Pool(key=rsa_key("small", 1024), now=NOW), {}),
    "moto's": (Pool(kid="dummy", now=NOW), {}),
    "cognito-local's": (Pool(kid="CognitoLocal", now=NOW), {}),
}


@pytest.mark.parametrize(("pool", "members"), REFUSED_KEYS.values(), ids=REFUSED_KEYS)
async def test_key_is_refused(
    verifier: TokenVerifier, endpoint: JwksServer, pool: Pool, members: dict[str, Any]
) -> None:
    """A key for another purpose, too small or known to all is not used; those beside it are."""
    beside = Pool(kid="beside", key=rsa_key("second"), now=NOW)
    endpoint.publish(pool.jwk(**members), beside.jwk())
    with capture_logs() as events:
        assert await verifier.verify(beside.access_token())
    (refused,) = events
    assert refused["event"] == "key rejected"
    assert pool.jwk(**members).get("d", "no private part") not in str(refused)
    assert await refusal(verifier.verify(pool.access_token())) == "unknown key"


@pytest.mark.parametrize(
    "members",
    [{"use": ABSENT, "alg": ABSENT}, {"key_ops": ["verify"]}],
    ids=["says nothing", "says verify"],
)
async def test_key_is_admitted(
    verifier: TokenVerifier, endpoint: JwksServer, members: dict[str, Any]
) -> None:
    """A key may leave its purpose unsaid, or say that it verifies."""
    endpoint.publish(POOL.jwk(**members))
    assert await verifier.verify(POOL.access_token())


async def test_public_keys_are_admitted_when_asked(endpoint: JwksServer, clock: Clock) -> None:
    """An emulator's key serves only where that is asked for."""
    emulator = Pool(kid="dummy", now=NOW)
    endpoint.publish(emulator.jwk())
    keys = KeySet(endpoint.url, admit_public_keys=True, clock=clock)
    assert await make_verifier(keys, clock).verify(emulator.access_token())


def test_keys_unavailable_is_an_upstream_error() -> None:
    """Not having the keys is reported as a fault of the user pool's side."""
    assert issubclass(KeysUnavailable, UpstreamFailed)
    assert KeysUnavailable().code == "UPSTREAM_ERROR"


# Remembered tokens


@pytest.fixture
def signatures(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the tokens whose signature is checked, in order."""
    checked = []
    decode_complete = jwt.PyJWS.decode_complete

    def spy(jws: jwt.PyJWS, token: str, *arguments: Any, **options: Any) -> dict[str, Any]:
        checked.append(token)
        return decode_complete(jws, token, *arguments, **options)

    monkeypatch.setattr(jwt.PyJWS, "decode_complete", spy)
    return checked


async def test_token_is_verified_once(verifier: TokenVerifier, signatures: list[str]) -> None:
    """The same token again costs no signature check; another one of the same user does."""
    token, other = POOL.access_token(groups=["A"]), POOL.access_token(groups=["B"])
    assert await verifier.verify(token) == await verifier.verify(token)
    assert (await verifier.verify(other)).groups == {"B"}
    assert signatures == [token, other]


async def test_remembered_token_expires(verifier: TokenVerifier, clock: Clock) -> None:
    """A token that was good before is refused once it has expired."""
    token = POOL.access_token()
    await verifier.verify(token)
    clock.now = NOW + HOUR - 1
    assert await verifier.verify(token)
    clock.now = NOW + HOUR
    assert await refusal(verifier.verify(token)) == "expired"


async def test_rotation_forgets_tokens(
    verifier: TokenVerifier, endpoint: JwksServer, signatures: list[str]
) -> None:
    """Tokens are verified again when the keys change, and only then."""
    token = POOL.access_token()
    await verifier.verify(token)
    await verifier.keys.load()
    await verifier.verify(token)
    assert signatures == [token]
    endpoint.publish(POOL.jwk(), Pool(kid="key-2", key=rsa_key("second")).jwk())
    await verifier.keys.load()
    await verifier.verify(token)
    assert signatures == [token, token]
    endpoint.publish(STRANGER.jwk())
    await verifier.keys.load()
    assert await refusal(verifier.verify(token)) == "signature"


async def test_refused_token_is_not_remembered(verifier: TokenVerifier, clock: Clock) -> None:
    """A token refused for being too early is good when its time has come."""
    token = POOL.access_token(nbf=NOW + 60)
    assert await refusal(verifier.verify(token)) == "not yet valid"
    clock.now += 30
    assert await verifier.verify(token)


async def test_memory_is_bounded(
    verifier: TokenVerifier, signatures: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Callers are remembered in so many bytes; the least recently used makes room."""
    monkeypatch.setattr(auth, "_MAX_REMEMBERED_SIZE", 2048)
    first, second, third = (POOL.access_token(name) for name in ("a", "b", "c"))
    for token in (first, second, third, second, third, first):
        await verifier.verify(token)
    assert signatures == [first, second, third, first]
    # `third` and `first` are remembered now
    await verifier.verify(third)
    await verifier.verify(second)  # in place of `first`
    assert verifier.recall(f"Bearer {third}") is not None
    await verifier.verify(first)  # in place of `second`
    await verifier.verify(third)
    assert signatures == [first, second, third, first, second, first]


@pytest.mark.slow
async def test_memory_of_callers_with_many_groups(
    verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many groups are in tokens, what is remembered of them stays within its bound."""
    monkeypatch.setattr(auth, "_MAX_REMEMBERED_SIZE", 1024 * 1024)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(200):
            groups = [f"{number:02}{group:02}" for group in range(800)]
            assert len((await verifier.verify(POOL.access_token(groups=groups))).groups) == 800
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 2 * 1024 * 1024


async def test_good_token_of_today() -> None:
    """With the clocks of the machine, a token made now is good."""
    with JwksServer(Pool().jwk()) as server:
        verifier = TokenVerifier(
            issuers=[ISSUER],
            client_ids=[CLIENT_ID],
            token_uses=[TokenUse.ACCESS],
            keys=KeySet(server.url),
        )
        caller = await verifier.verify(Pool().access_token())
    assert caller.expires_at == pytest.approx(time.time() + HOUR, abs=60)
