"""What a client meets, over HTTP, when its token is not good or Cognito is not well."""

import threading
from collections.abc import Callable

import jwt
import pytest

from tests.support.api import Api
from tests.support.scripted import (
    Reply,
    ScriptedCognito,
    failure,
    half,
    hang_up,
    held,
    raw,
    reply,
)
from tests.support.tokens import ABSENT, Pool

USER = '{ user(by: {username: "bob"}) { username } }'
ENABLE = 'mutation { enableUser(input: {username: "bob"}) { user { username } errors { code } } }'
SECRET = "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_Secret"


def bad_tokens(api: Api, signing_key: Pool) -> dict[str, str]:
    """Return tokens that are not good, each for one reason."""
    claims = jwt.decode(api.token("Admins"), options={"verify_signature": False})
    numbers = signing_key.key.public_key().public_numbers()
    return {
        "of another pool": api.token("Admins", iss="https://cognito-idp.eu-west-1.amazonaws.com/x"),
        "of another client": api.token("Admins", client_id="another"),
        "expired": api.token("Admins", exp=1_600_000_000, iat=1_599_999_000),
        "without exp": api.token("Admins", exp=ABSENT),
        "exp 1e20": api.token("Admins", exp=1e20),
        "groups as a string": api.token(**{"cognito:groups": "Admins"}),
        "an ID token": api.token("Admins", token_use="id", aud="x"),
        "alg none": jwt.encode(claims, None, "none", headers={"kid": signing_key.kid}),
        "HS256 with the public key": jwt.encode(
            claims, str(numbers.n), "HS256", headers={"kid": signing_key.kid}
        ),
        "of an unknown key": Pool(kid="unknown").access_token("root", ["Admins"]),
        "garbage": "a.b.c",
    }


def test_token_refused(
    serve: Callable[..., Api], scripted: ScriptedCognito, signing_key: Pool
) -> None:
    """A token that is not good is refused alike, whatever is wrong with it, and does nothing."""
    api = serve(scripted.url)
    bodies = set()
    for reason, token in bad_tokens(api, signing_key).items():
        for document in (USER, ENABLE, "{ __typename }"):
            answer = api.send(document, token=token)
            assert answer.response.status_code == 401, reason
            assert answer.response.headers["www-authenticate"].startswith("Bearer")
            assert answer.codes == ["UNAUTHENTICATED"]
            bodies.add(answer.response.content)
    assert len(bodies) == 1
    assert scripted.requests == []


@pytest.mark.parametrize("prefix", ["Bearer ", "bearer ", ""])
def test_token_admitted(serve: Callable[..., Api], scripted: ScriptedCognito, prefix: str) -> None:
    """A token is accepted with the scheme `Bearer`, and without, as Amplify's clients send it."""
    api = serve(scripted.url)
    response = api.client.post(
        "/graphql",
        json={"query": "{ viewer { username } }"},
        headers={"Authorization": prefix + api.token()},
    )
    assert response.json() == {"data": {"viewer": {"username": "root"}}}


def test_id_token_where_enabled(
    serve: Callable[..., Api], scripted: ScriptedCognito, signing_key: Pool
) -> None:
    """An ID token is accepted where the settings say so."""
    api = serve(scripted.url, token_use="access,id")
    issuer = f"https://cognito-idp.eu-west-1.amazonaws.com/{api.pool_id}"
    token = signing_key.id_token("bob", ["Readers"], iss=issuer)
    assert api.send("{ viewer { username groups } }", token=token).data == {
        "viewer": {"username": "bob", "groups": ["Readers"]}
    }


FAULTS: dict[str, tuple[Reply, str]] = {
    "throttled": (failure("TooManyRequestsException", detail=SECRET), "THROTTLED"),
    "our credentials": (failure("AccessDeniedException", detail=SECRET), "UPSTREAM_ERROR"),
    "expired credentials": (failure("ExpiredTokenException", detail=SECRET), "UPSTREAM_ERROR"),
    "broken inside": (failure("InternalErrorException", 500, detail=SECRET), "UPSTREAM_ERROR"),
    "unheard-of error": (failure("BrandNewException", detail=SECRET), "UPSTREAM_ERROR"),
    "HTML": (raw(f"<html>{SECRET}</html>".encode(), 200), "UPSTREAM_ERROR"),
    "HTML 500": (raw(f"<html>{SECRET}</html>".encode(), 500), "UPSTREAM_ERROR"),
    "not an object": (raw(b"[]", 200, "application/json"), "UPSTREAM_ERROR"),
    "half a body": (half(reply({"Username": "bob", "UserAttributes": []})), "UPSTREAM_ERROR"),
    "no answer": (hang_up(), "UPSTREAM_ERROR"),
}


@pytest.mark.parametrize(("fault", "code"), FAULTS.values(), ids=FAULTS.keys())
def test_cognito_unwell(
    serve: Callable[..., Api], scripted: ScriptedCognito, fault: Reply, code: str
) -> None:
    """Whatever Cognito does, the client gets a code and none of its words, and the server lives."""
    for operation in ("AdminGetUser", "AdminEnableUser"):
        scripted.on(operation, fault)
    # What is throttled is tried again until the deadline.
    api = serve(scripted.url, deadline=2 if code == "THROTTLED" else 15)
    for document, field in ((USER, "user"), (ENABLE, "enableUser")):
        answer = api.send(document)
        assert answer.partial == {field: None}
        assert answer.codes == [code]
        assert "arn:" not in answer.response.text
    assert (scripted.operations().count("AdminEnableUser") > 1) == (code == "THROTTLED")
    scripted.on("AdminGetUser", reply({"Username": "bob", "UserAttributes": []}))
    assert api.send(USER).data == {"user": {"username": "bob"}}


def test_cognito_slow(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """A Cognito that does not answer in time is TIMEOUT, and the server lives on."""
    never = threading.Event()
    for operation in ("AdminGetUser", "AdminEnableUser"):
        scripted.on(operation, held(never, reply({})))
    api = serve(scripted.url, deadline=0.3)
    assert api.send(USER).codes == ["TIMEOUT"]
    assert api.send(ENABLE).codes == ["TIMEOUT"]
    scripted.on("AdminGetUser", reply({"Username": "bob", "UserAttributes": []}))
    assert serve(scripted.url).send(USER).data == {"user": {"username": "bob"}}


def test_cognito_dead(serve: Callable[..., Api]) -> None:
    """A Cognito that is not there is UPSTREAM_ERROR; nor does it say who may change something."""
    api = serve("http://127.0.0.1:9")
    assert api.send(USER).codes == ["UPSTREAM_ERROR"]
    assert api.send(ENABLE).codes == ["AUTHORITY_UNAVAILABLE"]


def test_operation_that_an_emulator_lacks(
    serve: Callable[..., Api], scripted: ScriptedCognito
) -> None:
    """Neither moto's HTML 500 nor cognito-local's `Unsupported` looks like success."""
    api = serve(scripted.url)
    for answer in (raw(b"<!doctype html>", 500), failure("Unsupported", 500)):
        scripted.on("AdminEnableUser", answer)
        assert api.send(ENABLE).codes == ["UPSTREAM_ERROR"]


def test_keys_unavailable(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """Without keys no token can be called bad: the answer is 503, not 401."""
    api = serve(scripted.url, jwks_url="http://127.0.0.1:9/keys")
    answer = api.send(USER)
    assert (answer.response.status_code, answer.codes) == (503, ["UPSTREAM_ERROR"])
    assert scripted.requests == []
