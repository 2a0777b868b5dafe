import gzip
import re
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from graphql_admin.app import explorer_routes
from graphql_admin.settings import InvalidSettings, Settings, load_settings
from graphql_admin.web import explorer
from tests.support.people import Person
from tests.support.tokens import CLIENT_ID

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

ASSETS = sorted(
    file.name
    for file in resources.files("graphql_admin.web.explorer").joinpath("assets").iterdir()
    if file.name != "index.html"
)


def settings(**changed: Any) -> Settings:
    """Return settings with the explorer on, except for what is given."""
    return load_settings(
        **{
            "user_pool_id": "eu-west-1_AbCdEf123",
            "client_ids": CLIENT_ID,
            "admin_groups": "Admins",
            "explorer": True,
            **changed,
        }
    )


def visit(
    path: str, of: Settings | None = None, headers: Mapping[str, str] | None = None
) -> httpx2.Response:
    """Return the explorer's answer to a GET, redirections not followed."""
    routes = explorer_routes(of or settings(), lambda: [Person()])
    return TestClient(Starlette(routes=routes), follow_redirects=False).get(path, headers=headers)


def policy(of: Settings) -> dict[str, str]:
    """Return the directives of the page's Content-Security-Policy."""
    header = visit("/explorer", of).headers["Content-Security-Policy"]
    return dict(directive.split(" ", 1) for directive in header.split("; "))


def test_nothing_of_it_is_served_where_it_is_off(serve: Callable[..., Any]) -> None:
    """Without the setting there is no page, no file, and no way to them."""
    client = serve("http://127.0.0.1:1").client
    for path in ("/explorer", "/explorer/config.json", "/explorer/explorer.js"):
        assert client.get(path).status_code == 404
    assert client.get("/graphql", headers={"Accept": BROWSER}).status_code == 401


def test_it_is_off_by_default() -> None:
    """The explorer is off by default."""
    assert settings(explorer=False) == load_settings(
        user_pool_id="eu-west-1_AbCdEf123", client_ids=CLIENT_ID, admin_groups="Admins"
    )


def test_a_browser_is_led_to_it_before_any_token_is_asked(serve: Callable[..., Any]) -> None:
    """Who opens the endpoint in a browser lands at the explorer; the way holds behind a prefix."""
    client = serve("http://127.0.0.1:1", explorer=True).client
    reply = client.get("/graphql", headers={"Accept": BROWSER}, follow_redirects=False)
    assert (reply.status_code, reply.headers["Location"]) == (303, "explorer")
    assert client.get("/graphql", headers={"Accept": BROWSER}).url.path == "/explorer"


@pytest.mark.parametrize(
    ("method", "path", "accept"),
    [
        ("GET", "/graphql?query={viewer{username}}", BROWSER),
        ("GET", "/graphql", "application/json"),
        ("GET", "/graphql", "application/json, text/html;q=0.1"),
        ("GET", "/graphql", "*/*"),
        ("POST", "/graphql", BROWSER),
    ],
)
def test_all_others_meet_the_endpoint(
    serve: Callable[..., Any], method: str, path: str, accept: str
) -> None:
    """A query, another method, or a client that prefers JSON is no visit of a person."""
    client = serve("http://127.0.0.1:1", explorer=True).client
    reply = client.request(method, path, headers={"Accept": accept}, follow_redirects=False)
    assert reply.status_code in {401, 406}


def test_the_page_may_run_nothing_but_its_own_files() -> None:
    """No script in the markup, no `eval`, no other host, no frame around it."""
    directives = policy(settings())
    assert directives.pop("style-src").startswith("'self' 'nonce-")
    assert directives == {
        "default-src": "'none'",
        "script-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }


def test_the_page_may_talk_to_the_hosted_sign_in_page() -> None:
    """Its origin is the one other that `connect-src` names."""
    url = "https://example.auth.eu-west-1.amazoncognito.com"
    signed_in_there = settings(explorer_login_url=url + "/", explorer_client_id=CLIENT_ID)
    assert policy(signed_in_there)["connect-src"] == f"'self' {url}"


def test_the_nonce_is_new_for_every_response() -> None:
    """The style that the nonce admits cannot be foreseen, and the page is not kept."""
    pages = [visit("/explorer") for _ in range(2)]
    nonces = [re.search(r'nonce="([\w-]{22})"', page.text) for page in pages]
    assert all(
        nonce and f"'nonce-{nonce[1]}'" in page.headers["Content-Security-Policy"]
        for nonce, page in zip(nonces, pages, strict=True)
    )
    assert len({nonce[1] for nonce in nonces if nonce}) == 2
    assert pages[0].headers["Cache-Control"] == "no-store"


def test_the_markup_holds_no_script_and_no_style_of_its_own() -> None:
    """What the policy would refuse is not there."""
    markup = visit("/explorer").text
    assert re.findall(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|javascript:", markup) == []


@pytest.mark.parametrize("path", ["/explorer", "/explorer/config.json", "/explorer/explorer.js"])
def test_every_response_has_the_security_headers(path: str) -> None:
    """Types are not guessed, addresses are not told, other sites may not embed it."""
    headers = visit(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize("name", ASSETS)
def test_every_file_is_served_plain_and_compressed(name: str) -> None:
    """Both are the file, with a type, and each has an entity tag of its own."""
    plain = visit(f"/explorer/{name}", headers={"Accept-Encoding": "identity"})
    zipped = visit(f"/explorer/{name}", headers={"Accept-Encoding": "gzip, br"})
    assert plain.content == zipped.content  # the client decompresses
    assert int(zipped.headers["Content-Length"]) == len(gzip.compress(plain.content, mtime=0))
    assert "Content-Encoding" not in plain.headers
    assert plain.headers["Content-Type"] == explorer.CONTENT_TYPES[name[name.rindex(".") :]]
    assert plain.headers["ETag"] != zipped.headers["ETag"]


def test_a_file_that_the_browser_has_is_not_sent_again() -> None:
    """The entity tag answers whether it is still the same."""
    first = visit("/explorer/explorer.js")
    again = visit("/explorer/explorer.js", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    other = visit("/explorer/explorer.js", headers={"If-None-Match": '"something else"'})
    assert other.status_code == 200


@pytest.mark.parametrize("name", ["none.js", "index.html", "..%2f__init__.py", "vendor/build.js"])
def test_nothing_but_those_files_is_served(name: str) -> None:
    """No other file of the package can be had."""
    assert visit(f"/explorer/{name}").status_code == 404


def test_every_file_that_the_page_names_is_there() -> None:
    """The page and its scripts import nothing that is missing, and nothing from elsewhere."""
    named = set(re.findall(r'(?:href|src)="([^"]+)"', visit("/explorer").text))
    for script in [name for name in ASSETS if name.endswith(".js") and name != "graphiql.js"]:
        named |= set(re.findall(r'from "\./([^"]+)"', visit(f"/explorer/{script}").text))
    assert {name.removeprefix("explorer/") for name in named} <= set(ASSETS)


def test_tokens_of_ready_people_are_given_in_dev_mode_only() -> None:
    """A server that is not in dev mode serves no tokens, even if it is passed people."""
    alice = {"role": "admin", "username": "alice", "token": "a.good.token", "may": "do everything"}
    reply = visit("/explorer/config.json", settings(dev=True))
    assert reply.json()["people"] == [alice]
    assert reply.headers["Cache-Control"] == "no-store"
    assert visit("/explorer/config.json", settings()).json()["people"] == []


def test_the_page_is_told_how_to_sign_in() -> None:
    """Where the hosted page is, as which client, and which of its tokens is accepted here."""
    url = "https://auth.example.com"
    hosted = {"explorer_login_url": url, "explorer_client_id": CLIENT_ID}
    told = visit("/explorer/config.json", settings(**hosted)).json()
    assert told["signIn"] == {"url": url, "clientId": CLIENT_ID, "tokenUse": "access"}
    told = visit("/explorer/config.json", settings(**hosted, token_use="id")).json()
    assert told["signIn"]["tokenUse"] == "id"
    assert visit("/explorer/config.json", settings()).json()["signIn"] is None


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"explorer_login_url": "https://a.example"}, "EXPLORER_CLIENT_ID: set it and"),
        ({"explorer_client_id": CLIENT_ID}, "EXPLORER_CLIENT_ID: set it and"),
        (
            {"explorer_login_url": "https://a.example", "explorer_client_id": "another"},
            "EXPLORER_CLIENT_ID: must be one of",
        ),
        ({"explorer_login_url": "http://a.example"}, "EXPLORER_LOGIN_URL: must be an https"),
        ({"explorer_login_url": "http://127.0.0.1:80"}, "EXPLORER_LOGIN_URL: must be an https"),
        (
            {"explorer_login_url": "http://a.example", "dev": True},
            "EXPLORER_LOGIN_URL: must be an https",
        ),
        ({"explorer_login_url": "https://a.example/x"}, "EXPLORER_LOGIN_URL: must be an origin"),
        ({"explorer_login_url": "https://a.example; x"}, "EXPLORER_LOGIN_URL: must be an origin"),
        ({"explorer_login_url": "https://u@a.example"}, "EXPLORER_LOGIN_URL: must be an origin"),
        ({"explorer_login_url": "https://*.example"}, "EXPLORER_LOGIN_URL: must be an origin"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(changed: dict[str, Any], problem: str) -> None:
    """The hosted page is an https origin, with a client whose tokens are accepted here."""
    with pytest.raises(InvalidSettings) as refused:
        settings(**changed)
    assert any(
        sentence.startswith("GRAPHQL_ADMIN_" + problem) for sentence in refused.value.problems
    )


def test_the_hosted_page_may_be_on_this_machine_in_dev_mode() -> None:
    """A stand-in for it needs no certificate there."""
    local = "http://127.0.0.1:8765"
    allowed = settings(explorer_login_url=local, explorer_client_id=CLIENT_ID, dev=True)
    assert allowed.explorer_login_url == local


def test_the_endpoint_behind_the_door_gets_what_it_would_have_got() -> None:
    """The door changes no request that it lets in."""

    async def echo(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse((await receive())["body"].decode())(scope, receive, send)

    app = Starlette(routes=[Route("/graphql", explorer.BrowserRedirect(echo))])
    assert TestClient(app).post("/graphql", content="a body").text == "a body"
