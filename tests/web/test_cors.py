"""What browsers are told, and what a page of another origin can do."""

from collections.abc import Callable

import httpx2
import pytest

from tests.support.api import Api
from tests.support.scripted import ScriptedCognito

ALLOWED = "https://app.example.com"
ORIGINS = [
    ALLOWED,
    "http://localhost:3000",
    "capacitor://localhost",
    "chrome-extension://cjpalhdlnbpafiamejdnhcphjbkeiagm",
]
FOREIGN = [
    "capacitor://localhost.evil.example",
    "https://evil.example.com",
    "https://app.example.com.evil.example",
    "https://evil.example/https://app.example.com",
    "http://app.example.com",
    "https://app.example.com:8443",
    "https://APP.example.com",
    "null",
    "",
]
DISABLE = 'mutation { disableUser(input: {username: "bob"}) { errors { code } } }'
ACCESS = "access-control-"


@pytest.fixture
def api(serve: Callable[..., Api], scripted: ScriptedCognito) -> Api:
    """This server, open to the pages of a few origins."""
    return serve(scripted.url, cors_origins=",".join(ORIGINS))


def answers(api: Api, origin: str) -> dict[int, httpx2.Response]:
    """Return answers of every kind to requests of a page, by status."""
    client, admin = api.client, {"Authorization": f"Bearer {api.token('Admins')}"}
    client.headers["Origin"] = origin
    found = [
        client.post("/graphql", json={"query": "{ __typename }"}, headers=admin),
        client.options("/graphql"),
        client.post("/graphql", json=[], headers=admin),
        client.post("/graphql", json={"query": "{ __typename }"}),
        client.get("/nothing"),
        client.put("/graphql", headers=admin),
        client.post("/graphql", json={}, headers={**admin, "Accept": "text/html"}),
        client.post("/graphql", json={"query": " " * 300_000}, headers=admin),
        client.post("/graphql", content="{}", headers=admin),
    ]
    return {response.status_code: response for response in found}


KINDS = {200, 204, 400, 401, 404, 405, 406, 413, 415}


@pytest.mark.parametrize("origin", ORIGINS)
def test_allowed_origin(api: Api, origin: str) -> None:
    """A page of an allowed origin may read every answer, refusals included."""
    found = answers(api, origin)
    assert found.keys() == KINDS
    for response in found.values():
        assert response.headers["access-control-allow-origin"] == origin
        assert "www-authenticate" in response.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in response.headers
        assert response.headers["vary"] == "Origin"


@pytest.mark.parametrize("origin", FOREIGN)
def test_foreign_origin(api: Api, origin: str) -> None:
    """A page of any other origin may read none, however alike it is spelt."""
    for response in answers(api, origin).values():
        assert not [name for name in response.headers if name.startswith(ACCESS)]
        assert response.headers["vary"] == "Origin"


def test_no_origins_by_default(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """Where no origin is set, no page may read anything."""
    for response in answers(serve(scripted.url), ALLOWED).values():
        assert not [name for name in response.headers if name.startswith(ACCESS)]
        assert "vary" not in response.headers


def preflight(
    api: Api, origin: str, asked: str = "authorization,content-type", path: str = "/graphql"
) -> httpx2.Response:
    """Ask as a browser does before it sends a page's request with these headers."""
    return api.client.options(
        path,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": asked,
        },
    )


def values_of(response: httpx2.Response, name: str) -> set[str]:
    """Return the items of a header that is a list."""
    return {
        item.strip().lower()
        for value in response.headers.get_list(name)
        for item in value.split(",")
    }


def test_preflight(api: Api) -> None:
    """A preflight of an allowed origin, which carries no token, lets the real request come."""
    response = preflight(api, ALLOWED)
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["access-control-allow-origin"] == ALLOWED
    assert "POST" in response.headers["access-control-allow-methods"]
    assert values_of(response, "access-control-allow-headers") == {"authorization", "content-type"}
    assert "*" not in "".join(response.headers.values())


@pytest.mark.parametrize("path", ["/graphql", "/AdminQueries/listUsers", "/explorer", "/healthz"])
@pytest.mark.parametrize(
    "asked",
    [
        "authorization,baggage,content-type,sentry-trace",
        "apollo-require-preflight,apollographql-client-name,apollographql-client-version",
        "authorization, graphql-client-name, graphql-client-version",
        "traceparent , tracestate,\tx-request-id",
        "x-amz-user-agent,x-datadog-trace-id,x-requested-with",
        "Authorization,X-Of-Its-Own!",
        "authorization",
    ],
)
def test_a_preflight_is_allowed_whatever_headers_it_asks_for(
    serve: Callable[..., Api], scripted: ScriptedCognito, asked: str, path: str
) -> None:
    """Clients and tracers add headers of their own; a page whose origin is allowed may send any."""
    api = serve(scripted.url, cors_origins=ALLOWED, amplify="1", explorer="1")
    response = preflight(api, ALLOWED, asked, path)
    assert response.status_code == 204
    wanted = {name.strip().lower() for name in asked.split(",")}
    assert values_of(response, "access-control-allow-headers") == wanted
    assert values_of(response, "vary") == {"origin", "access-control-request-headers"}


@pytest.mark.parametrize("asked", ["", " ", "a b", "authorization,", "a,,b", "a: b", '"a"'])
def test_a_preflight_that_asks_for_no_headers_is_told_none(api: Api, asked: str) -> None:
    """What is no list of header names is not repeated."""
    response = preflight(api, ALLOWED, asked)
    assert response.status_code == 204
    assert "access-control-allow-headers" not in response.headers
    assert response.headers["access-control-allow-origin"] == ALLOWED


@pytest.mark.parametrize("origin", FOREIGN)
def test_preflight_of_foreign_origin(api: Api, origin: str) -> None:
    """A preflight of another origin lets nothing come."""
    response = preflight(api, origin)
    assert not [name for name in response.headers if name.startswith(ACCESS)]


@pytest.mark.parametrize("introspection", ["authenticated", "public"])
@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""],
)
def test_simple_request(
    serve: Callable[..., Api], scripted: ScriptedCognito, content_type: str, introspection: str
) -> None:
    """What a page may send without a preflight, cookies included, does nothing."""
    api = serve(scripted.url, introspection=introspection)
    headers = {"Origin": FOREIGN[0], "Content-Type": content_type, "Cookie": f"t={api.token('A')}"}
    content = f'{{"query": {DISABLE!r}}}'.replace("'", '"')
    response = api.client.post("/graphql", content=content, headers=headers)
    assert response.status_code == (415 if introspection == "public" else 401)
    response = api.client.get("/graphql", params={"query": DISABLE}, headers=headers)
    assert response.status_code == (405 if introspection == "public" else 401)
    assert scripted.requests == []


def test_protection(api: Api) -> None:
    """No response may be stored, sniffed, framed or run, by its headers; none has a cookie."""
    found = answers(api, ALLOWED) | {0: api.client.get("/healthz")}
    for response in found.values():
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert response.headers["cross-origin-resource-policy"] == "same-origin"
        policy = response.headers["content-security-policy"].split("; ")
        assert {"default-src 'none'", "frame-ancestors 'none'"} <= set(policy)
        assert "set-cookie" not in response.headers
