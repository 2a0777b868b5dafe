"""Hosts: a page that lets its name lead to this machine gets no answer from this server."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import boto3
import httpx2
import pytest
from starlette.applications import Starlette

from graphql_admin.app import create_app
from graphql_admin.dev.cognito import EmbeddedCognito, isolated_environment
from graphql_admin.hosts import LOOPBACK, AllowedHosts
from graphql_admin.settings import InvalidSettings, load_settings
from tests.support.patience import PATIENCE
from tests.support.started import listening

LOCAL = [
    "localhost",
    "localhost:8000",
    "LocalHost:1",
    "localhost.",
    "localhost.:8000",
    "app.localhost:3000",
    "127.0.0.1",
    "127.0.0.1:65535",
    "127.1.2.3:80",
    "[::1]",
    "[::1]:8000",
    "[0:0:0:0:0:0:0:1]:8000",
    "[::ffff:127.0.0.1]",
    "localhost:",
]

FOREIGN = [
    "attacker.example",
    "attacker.example:8000",
    "ATTACKER.EXAMPLE.",
    "localhost.attacker.example",
    "127.0.0.1.attacker.example",
    "attackerlocalhost",
    "192.168.0.1:8000",
    "10.0.0.1",
    "0.0.0.0",
    "[::]",
    "[fe80::1]",
    "[::ffff:10.0.0.1]",
    "user@localhost",
    "localhost@attacker.example",
    "localhost:8000:80",
    "localhost:port",
    "localhost, attacker.example",
    "localhost attacker.example",
    "127.0.0.1/",
    "::1",
    "[::1",
    "löcalhost",
    "loc%61lhost",
    "",
]


@pytest.mark.parametrize("host", LOCAL)
def test_loopback(host: str) -> None:
    """This machine's own names and addresses are known in every spelling."""
    assert AllowedHosts(LOOPBACK).admits(host)


@pytest.mark.parametrize("host", FOREIGN)
def test_not_loopback(host: str) -> None:
    """All others are not this machine's, whatever they look like."""
    assert not AllowedHosts(LOOPBACK).admits(host)


@pytest.mark.parametrize(
    ("pattern", "admitted", "refused"),
    [
        ("admin.example.com", ["ADMIN.example.com:443"], ["example.com", "x.admin.example.com"]),
        ("Admin.Example.Com.", ["admin.example.com."], ["admin.example.org"]),
        ("*.example.com", ["a.example.com", "b.a.example.com:1"], ["example.com", "aexample.com"]),
        ("10.0.0.5", ["10.0.0.5:80", "[::ffff:10.0.0.5]"], ["10.0.0.6", "10.0.0.5.example"]),
        ("10.0.0.0/8", ["10.1.2.3"], ["11.0.0.1"]),
        ("[2001:db8::1]", ["[2001:DB8:0::1]:80"], ["[2001:db8::2]"]),
        ("2001:db8::/32", ["[2001:db8::7]"], ["[2001:db9::7]"]),
        ("graphql_admin", ["graphql_admin:8000"], ["graphql"]),
        ("*", ["attacker.example", "", "anything at all"], []),
    ],
)
def test_patterns(pattern: str, admitted: list[str], refused: list[str]) -> None:
    """Names, names below a name, addresses and networks can be allowed; `*` is any."""
    hosts = AllowedHosts([pattern])
    assert [host for host in admitted if not hosts.admits(host)] == []
    assert [host for host in refused if hosts.admits(host)] == []


@pytest.mark.parametrize(
    "value", ["a.*.example.com", "*example.com", "a b", "https://x", "x:80", "10.0.0.1/8", "", "a,"]
)
def test_setting_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be a host is refused at the start."""
    monkeypatch.setenv("GRAPHQL_ADMIN_ALLOWED_HOSTS", value)
    with pytest.raises(InvalidSettings, match="GRAPHQL_ADMIN_ALLOWED_HOSTS: "):
        load_settings(user_pool_id="eu-west-1_Abc", client_ids="c", admin_groups="Admins")


def send(url: str, request: str) -> tuple[int, bytes]:
    """Send a request as it stands, to be closed after it; return the answer's status and body."""
    address = urlsplit(url)
    with socket.create_connection(
        (address.hostname, address.port or 80), timeout=PATIENCE
    ) as sender:
        sender.sendall(request.encode("latin-1"))
        answer = b""
        while chunk := sender.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body


def ask(url: str, *hosts: str, target: str = "/explorer/config.json") -> tuple[int, bytes]:
    """Get a path with these `Host` headers."""
    lines = "".join(f"Host: {host}\r\n" for host in hosts)
    return send(url, f"GET {target} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n")


@pytest.fixture(scope="module")
def cognito() -> Iterator[EmbeddedCognito]:
    """The embedded Cognito of dev mode."""
    with isolated_environment(), EmbeddedCognito() as embedded:
        embedded.seed(4)
        yield embedded


@contextmanager
def serving_dev(cognito: EmbeddedCognito) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cognito.environment.items():
            patch.setenv(name, value)
        app = create_app(load_settings(), cognito.ready_people)
    with listening(app) as url:
        yield url


@pytest.fixture(scope="module")
def dev(cognito: EmbeddedCognito) -> Iterator[str]:
    """The URL of the server that dev mode starts."""
    with serving_dev(cognito) as url:
        yield url


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:1", "app.LOCALHOST."])
def test_dev_answers_this_machine(dev: str, host: str) -> None:
    """In dev mode the explorer gets its tokens under every name of this machine."""
    status, body = ask(dev, host)
    assert status == 200
    assert json.loads(body)["people"][0]["token"]


TARGETS = ["/explorer/config.json", "/explorer", "/graphql", "/nothing"]


@pytest.mark.parametrize("host", ["attacker.example", "127.0.0.1.attacker.example:8000"])
@pytest.mark.parametrize("target", TARGETS)
def test_dev_refuses_rebound_names(dev: str, host: str, target: str) -> None:
    """A page whose name was rebound to this machine gets neither a token nor anything else."""
    status, body = ask(dev, host, target=target)
    assert status == 421
    (error,) = json.loads(body)["errors"]
    assert error["extensions"]["code"] == "MISDIRECTED_REQUEST"
    assert host not in body.decode()


@pytest.mark.parametrize("target", TARGETS)
def test_dev_refuses_what_is_no_host(dev: str, target: str) -> None:
    """A field that names no host is malformed, as RFC 9112, section 3.2, has it."""
    status, body = ask(dev, "user@localhost", target=target)
    assert status == 400
    assert b"token" not in body


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        ("http://attacker.example/explorer/config.json", "localhost", 421),
        ("http://attacker.example:8000/explorer/config.json", "127.0.0.1", 421),
        ("http://127.0.0.1:8000/explorer/config.json", "attacker.example", 200),
        ("http://[::1]:8000/explorer/config.json", "attacker.example", 200),
        ("http://LOCALHOST/explorer/config.json", "localhost", 200),
    ],
)
def test_dev_absolute_form(dev: str, target: str, host: str, status: int) -> None:
    """Where the request's target names a host, that counts, as RFC 9112, section 3.2.2, has it."""
    assert ask(dev, host, target=target)[0] == status


@pytest.mark.parametrize("hosts", [(), ("localhost", "localhost"), ("localhost", "a.example")])
def test_dev_not_one_host(dev: str, hosts: tuple[str, ...]) -> None:
    """Without a host, or with several, the request is refused."""
    status, body = ask(dev, *hosts)
    assert status == 400
    assert b"token" not in body


def test_probes_are_for_any_host(dev: str) -> None:
    """Balancers probe by address, and learn nothing but whether the server lives."""
    assert ask(dev, "10.1.2.3:8000", target="/healthz") == (200, b"ok\n")
    assert ask(dev, "10.1.2.3:8000", target="/readyz")[0] in {200, 503}


def test_rebound_preflight_and_mutation(dev: str, cognito: EmbeddedCognito) -> None:
    """With a valid token too, nothing is done for a host that is not this server's."""
    headers = {
        "Authorization": f"Bearer {cognito.token('ada')}",
        "Host": "attacker.example",
        "Origin": "http://attacker.example",
    }
    query = {"query": 'mutation { disableUser(input: {username: "richard"}) { errors { code } } }'}
    answer = httpx2.post(f"{dev}/graphql", json=query, headers=headers, timeout=PATIENCE)
    assert answer.status_code == 421
    assert "access-control-allow-origin" not in answer.headers
    assert plain(cognito).admin_get_user(UserPoolId=cognito.pool_id, Username="richard")["Enabled"]


def plain(cognito: EmbeddedCognito) -> Any:
    """Return a plain client of the embedded Cognito."""
    return boto3.client(
        "cognito-idp",
        region_name="eu-west-1",
        endpoint_url=cognito.endpoint_url,
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )


LIST_POOLS = "AWSCognitoIdentityProviderService.ListUserPools"


def ask_cognito(url: str, **headers: str) -> httpx2.Response:
    """List the pools of the embedded Cognito, as a page would."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.post(
        url,
        content=b'{"MaxResults": 10}',
        timeout=PATIENCE,
        headers={"X-Amz-Target": LIST_POOLS, "Authorization": AUTHORIZATION, **given},
    )


AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=x/20261126/eu-west-1/cognito-idp/aws4_request, "
    "SignedHeaders=host, Signature=x"
)


@pytest.mark.parametrize("host", ["attacker.example", "attacker.example:5000", "10.0.0.1", ""])
def test_embedded_cognito_refuses_rebound_names(cognito: EmbeddedCognito, host: str) -> None:
    """The embedded Cognito answers this machine's names alone, too."""
    assert ask_cognito(cognito.endpoint_url).status_code == 200
    status, body = ask(cognito.endpoint_url, host, target="/moto-api/data.json")
    assert status == 421
    assert b"eu-west-1" not in body
    status, _ = ask(
        cognito.endpoint_url, "localhost", target="http://attacker.example/moto-api/data.json"
    )
    assert status == 421
    assert ask(cognito.endpoint_url, target="/moto-api/data.json")[0] == 421
    assert ask(cognito.endpoint_url, "localhost", "localhost", target="/moto-api/")[0] == 421


@pytest.mark.parametrize(
    "origin", ["https://attacker.example", "null", "http://localhost.attacker.example", "file://"]
)
def test_embedded_cognito_answers_no_foreign_page(cognito: EmbeddedCognito, origin: str) -> None:
    """A page of another origin can neither read what the embedded Cognito says nor change it."""
    answer = ask_cognito(cognito.endpoint_url, Origin=origin)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers
    reset = httpx2.post(
        f"{cognito.endpoint_url}/moto-api/reset", headers={"Origin": origin}, timeout=PATIENCE
    )
    assert reset.status_code == 403
    assert plain(cognito).describe_user_pool(UserPoolId=cognito.pool_id)
    preflight = httpx2.request(
        "OPTIONS",
        cognito.endpoint_url,
        headers={"Origin": origin, "Access-Control-Request-Method": "POST"},
    )
    assert preflight.status_code == 403
    assert "access-control-allow-origin" not in preflight.headers


def test_embedded_cognito_without_an_origin(cognito: EmbeddedCognito) -> None:
    """A page that does not say where it is from is told by its browser to be of another site."""
    url = f"{cognito.endpoint_url}/moto-api/data.json"
    assert (
        httpx2.get(url, timeout=PATIENCE, headers={"Sec-Fetch-Site": "cross-site"}).status_code
        == 403
    )
    assert httpx2.get(url, timeout=PATIENCE, headers={"Sec-Fetch-Site": "none"}).status_code == 200


def test_embedded_cognito_answers_local_pages(cognito: EmbeddedCognito) -> None:
    """An app under development, on a port of this machine, may call it."""
    answer = ask_cognito(
        cognito.endpoint_url, Origin="http://localhost:3000", Sec_Fetch_Site="cross-site"
    )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] in {"*", "http://localhost:3000"}


def test_any_host_by_default(
    make_app: Callable[..., Starlette], scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless told its hosts, a server answers for any; in dev mode, for this machine."""
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    known = {"user_pool_id": "eu-west-1_Abc", "client_ids": "c", "admin_groups": "Admins"}
    assert load_settings(**known).hosts.any
    assert not load_settings(**known, dev=True).hosts.any
    assert load_settings(**known, dev=True, allowed_hosts="*").hosts.any
    allowed = "admin.example.com, *.internal.example.com, 10.0.0.0/8"
    with listening(make_app(scripted.url, allowed_hosts=allowed)) as url:
        for host in ("admin.example.com", "a.internal.example.com:80", "10.9.8.7:8000"):
            assert ask(url, host, target="/graphql")[0] == 401
        for host in ("example.com", "internal.example.com", "127.0.0.1", "localhost"):
            assert ask(url, host, target="/graphql")[0] == 421
