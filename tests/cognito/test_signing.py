"""Signatures: the same as botocore's, whatever is signed and whenever."""

from datetime import UTC, datetime

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from graphql_admin.cognito.signing import Signer

URLS = [
    "https://cognito-idp.eu-west-1.amazonaws.com",
    "https://cognito-idp.eu-west-1.amazonaws.com/",
    "https://cognito-idp.eu-west-1.amazonaws.com:443/",
    "http://127.0.0.1:5000",
    "http://localhost:80/",
    "https://proxy.example.com:8443/cognito/v1",
    "https://Proxy.Example.com/a%20b",
]


def make_signer(access_key: str, secret_key: str, token: str | None, url: str) -> Signer:
    return Signer(access_key, secret_key, token, service="cognito-idp", region="eu-west-1", url=url)


TEXT = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(
    access_key=TEXT,
    secret_key=TEXT,
    token=st.none() | TEXT,
    body=st.binary(max_size=100),
    target=TEXT,
    now=st.integers(0, 2**31).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
)
@pytest.mark.parametrize("url", URLS)
def test_signature_is_botocores(
    *,
    url: str,
    access_key: str,
    secret_key: str,
    token: str | None,
    body: bytes,
    target: str,
    now: datetime,
) -> None:
    """The headers of a signed request are those that botocore would send."""
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}
    signed = make_signer(access_key, secret_key, token, url).sign(headers, body, now)

    request = AWSRequest("POST", url, headers, body)
    credentials = Credentials(access_key, secret_key, token)
    botocore = SigV4Auth(credentials, "cognito-idp", "eu-west-1")
    botocore.add_auth(request)
    request.context["timestamp"] = signed["X-Amz-Date"]
    request.headers.replace_header("X-Amz-Date", signed["X-Amz-Date"])
    del request.headers["Authorization"]
    to_sign = botocore.string_to_sign(request, botocore.canonical_request(request))
    botocore._inject_signature_to_request(  # noqa: SLF001  # it takes no time to sign at
        request, botocore.signature(to_sign, request)
    )
    sent = dict(request.headers.items())
    assert signed.pop("Host")
    assert signed == sent


def test_signature_over_midnight() -> None:
    """A new day has a new key."""
    signer = make_signer("key", "secret", None, URLS[0])
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "X.ListUsers"}
    before = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
    after = datetime(2027, 1, 1, tzinfo=UTC)
    first, second, again = (signer.sign(headers, b"{}", now) for now in (before, after, before))
    assert first == again
    fresh = make_signer("key", "secret", None, URLS[0])
    assert second == fresh.sign(headers, b"{}", after)
