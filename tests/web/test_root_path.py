"""`ROOT_PATH`: the server below a path prefix that the proxy in front does not cut off."""

import json
import re
import socket
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx2
import pytest
from structlog.testing import capture_logs

from tests.support.api import Api
from tests.support.patience import PATIENCE
from tests.support.scripted import ScriptedCognito, reply
from tests.support.started import served, until
from tests.support.tokens import Pool

ROOT = "/admin"

GROUPS = {"query": "{ groups { nodes { name } } }"}

ELSEWHERE = [
    "",
    "/",
    "/graphql",
    "/explorer",
    "/explorer/explorer.js",
    "/AdminQueries/listGroups",
    "/admin",
    "/admin/",
    "/administrator",
    "/administrator/graphql",
    "/admingraphql",
    "/admin//graphql",
    "//admin/graphql",
    "/admin/graphql/",
    "/admin/../graphql",
    "/other/../admin/graphql",
    "/admin/admin/graphql",
    "/Admin/graphql",
    "/x/admin/graphql",
    "/admin/readyz/",
    "/admin%2500/graphql",
]
"""Paths at which there is nothing."""


@pytest.fixture
def backend(scripted: ScriptedCognito) -> ScriptedCognito:
    """A Cognito with one group."""
    scripted.on("ListGroups", reply({"Groups": [{"GroupName": "Editors"}]}))
    return scripted


@pytest.fixture
def api(listen: Callable[..., Api], backend: ScriptedCognito) -> Api:
    """The server below the prefix, with all its routes, on a port."""
    return listen(
        backend.url,
        root_path=ROOT,
        amplify=True,
        explorer=True,
        cors_origins="https://app.example.com",
        allowed_hosts="admin.example.com,127.0.0.1",
    )


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    """What the server logs."""
    with capture_logs() as captured:
        yield captured


def test_graphql_and_rest(api: Api) -> None:
    """GraphQL and the REST routes are below the prefix."""
    headers = {"Authorization": f"Bearer {api.token('Admins')}"}
    answer = api.client.post("/admin/graphql", json=GROUPS, headers=headers)
    assert answer.json() == {"data": {"groups": {"nodes": [{"name": "Editors"}]}}}
    got = api.client.get("/admin/graphql", params=GROUPS, headers=headers)
    assert got.json() == answer.json()
    listed = api.client.get("/admin/AdminQueries/listGroups", headers=headers)
    assert [group["GroupName"] for group in listed.json()["Groups"]] == ["Editors"]


@pytest.mark.parametrize("path", ELSEWHERE)
def test_nothing_elsewhere(api: Api, backend: ScriptedCognito, path: str) -> None:
    """No other path has anything, not even one that only begins with the same letters."""
    headers = {"Authorization": f"Bearer {api.token('Admins')}", "Content-Type": "application/json"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    body = json.dumps(GROUPS)
    status, text = exchange(
        str(api.client.base_url),
        f"POST {path or '/'} HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}",
    )
    assert status == 404, text
    assert backend.operations() == []


def exchange(url: str, sent: str) -> tuple[int, str]:
    """Send a request as it stands, which no client would normalise."""
    address = urlsplit(url)
    where = (address.hostname, address.port or 80)
    with socket.create_connection(where, timeout=PATIENCE) as client:
        client.sendall(sent.encode())
        answer = b""
        while chunk := client.recv(65536):
            answer += chunk
    return int(answer.split(b" ")[1]), answer.decode()


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/admin/healthz", "/admin/readyz"])
def test_probes_at_both(api: Api, path: str, lines: list[dict[str, Any]]) -> None:
    """A probe comes to the process itself or through the proxy, for any host, and is not logged."""
    for host in ("10.1.2.3:8000", "admin.example.com"):
        until(lambda host=host: api.client.get(path, headers={"Host": host}).status_code == 200)
    assert [line for line in lines if line["event"] == "request" and line["status"] < 400] == []
    assert api.client.get("/admin/graphql", headers={"Host": "10.1.2.3"}).status_code == 421


def test_probes_while_draining(serve: Callable[..., Api], backend: ScriptedCognito) -> None:
    """While the server shuts down, both are answered, and nothing else."""
    client = serve(backend.url, root_path=ROOT).client
    client.app.state.health.drain()  # type: ignore[attr-defined]  # it is Starlette
    assert client.get("/admin/healthz").status_code == client.get("/healthz").status_code == 200
    for path in ("/admin/readyz", "/readyz"):
        assert client.get(path).json()["waiting_for"][-1:] == ["draining"]
    refused = client.post("/admin/graphql", json=GROUPS)
    assert refused.json()["errors"][0]["extensions"]["code"] == "SHUTTING_DOWN"


def test_explorer(api: Api) -> None:
    """The explorer's page finds its files, the endpoint and its configuration by relative URLs."""
    client = api.client
    page = client.get("/admin/explorer")
    assert page.status_code == 200
    links = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    assert len(links) > 4
    for link in links:
        assert client.get(urljoin("/admin/explorer", link)).status_code == 200
    redirect = client.get("/admin/graphql", headers={"Accept": "text/html"})
    assert redirect.status_code == 303
    assert urljoin("/admin/graphql", redirect.headers["location"]) == "/admin/explorer"
    assert client.get("/admin/explorer/config.json").status_code == 200


def test_browsers_and_hosts(api: Api) -> None:
    """Pages of allowed origins may call it, and hosts are checked, as without a prefix."""
    asked = {
        "Origin": "https://app.example.com",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    preflight = api.client.options("/admin/graphql", headers=asked)
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "https://app.example.com"
    for path in ("/admin/graphql", "/admin/explorer", "/graphql"):
        assert api.client.get(path, headers={"Host": "attacker.example"}).status_code == 421


def test_log(api: Api, lines: list[dict[str, Any]]) -> None:
    """The log has the paths that there are, and none that a client made up."""
    headers = {"Authorization": f"Bearer {api.token('Admins')}"}
    api.client.post("/admin/graphql", json=GROUPS, headers=headers)
    for path in ("/graphql", "/admin/secret-of-a-client", "/administrator"):
        api.client.get(path)
    paths = [line["path"] for line in lines if line["event"] == "request"]
    assert paths == ["/admin/graphql", None, None, None]


def test_several_segments(listen: Callable[..., Api], backend: ScriptedCognito) -> None:
    """A prefix may have several segments, as of an API's stage."""
    client = listen(backend.url, root_path="/v1.0/pool-a_b~").client
    assert client.get("/v1.0/pool-a_b~/healthz").text == "ok\n"
    assert client.post("/v1.0/pool-a_b~/graphql", json=GROUPS).status_code == 401
    assert client.post("/v1.0/graphql", json=GROUPS).status_code == 404


def test_started(scripted: ScriptedCognito, jwks_url: str, signing_key: Pool) -> None:
    """A started server serves there, and its metrics where they always are."""
    scripted.on("ListGroups", reply({"Groups": []}))
    headers = {"Authorization": signing_key.access_token("root", ["Admins"])}
    with served(scripted.url, jwks_url, ROOT_PATH=ROOT) as server:
        answer = httpx2.post(f"{server.url}/admin/graphql", json=GROUPS, headers=headers)
        assert answer.json() == {"data": {"groups": {"nodes": []}}}
        assert httpx2.get(f"{server.url}/healthz").status_code == 200
        assert httpx2.get(f"{server.url}/admin/metrics").status_code == 404
        assert "graphql_admin_requests" in httpx2.get(server.metrics_url).text
