"""nginx and haproxy as deployers run them: of the files in `deploy`, in front of a server."""

import os
import shutil
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509

from tests.support.certificates import make_certificate
from tests.support.started import Program, free_port, until

DEPLOY = Path(__file__).parent.parent.parent / "deploy"

NGINX_UPGRADES = {
    'proxy_set_header Connection "";': (
        "proxy_set_header Upgrade $http_upgrade;\n"
        "        proxy_set_header Connection $connection_upgrade;"
    ),
    "upstream graphql_admin {": (
        "map $http_upgrade $connection_upgrade {\n    default upgrade;\n    '' '';\n}\n"
        "upstream graphql_admin {"
    ),
}
"""Makes nginx pass on `Upgrade`, as many configurations do for WebSockets, and ours does not."""

_NGINX_AROUND = """
daemon off;
master_process off;
pid {directory}/nginx.pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/bodies;
    proxy_temp_path {directory}/answers;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    include {directory}/site.conf;
}}
"""


def require(program: str) -> str:
    """Return the path of a program; without it skip the test, but fail in CI."""
    # Debian has both where only root looks.
    path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/local/sbin:/usr/sbin")
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must test the server behind {program}: install it")
        pytest.skip(f"there is no {program} on this machine")
    return path


class Proxy:
    """A proxy that runs.

    Attributes:
        url: Where it listens.
        trust: What its certificate is verified by.
    """

    def __init__(self, port: str, certificate: str) -> None:
        self.url = f"https://127.0.0.1:{port}"
        self.trust = ssl.create_default_context(cadata=certificate)


@contextmanager
def nginx(server: str, directory: Path, changes: Mapping[str, str]) -> Iterator[Proxy]:
    """Run nginx in front of the server at that URL, with changes to `deploy/nginx.conf`."""
    program = require("nginx")
    pem, certificate = _make_certificate(directory)
    port = free_port()
    site = render(
        DEPLOY / "nginx.conf",
        {
            "listen 443 ssl http2;": f"listen 127.0.0.1:{port} ssl http2;",
            "server 127.0.0.1:8000;": f"server {urlsplit(server).netloc};",
            "rate=50r/s": "rate=1000000r/s",  # all of a test's clients have one address
            "/etc/ssl/certs/admin.example.com.pem": str(pem),
            "/etc/ssl/private/admin.example.com.pem": str(pem),
            **changes,
        },
    )
    (directory / "site.conf").write_text(site, encoding="utf-8")
    main = directory / "nginx.conf"
    main.write_text(_NGINX_AROUND.format(directory=directory), encoding="utf-8")
    with Program(program, "-p", directory, "-c", main, "-e", "stderr") as running:
        _wait_for(port, running)
        yield Proxy(port, certificate)


@contextmanager
def haproxy(server: str, directory: Path, changes: Mapping[str, str]) -> Iterator[Proxy]:
    """Run haproxy in front of the server at that URL, with changes to `deploy/haproxy.cfg`."""
    program = require("haproxy")
    pem, certificate = _make_certificate(directory)
    port = free_port()
    config = render(
        DEPLOY / "haproxy.cfg",
        {
            "bind :443 ": f"bind 127.0.0.1:{port} ",
            "server one 127.0.0.1:8000 ": f"server one {urlsplit(server).netloc} ",
            "gt 500": "gt 1000000",  # all of a test's clients have one address
            "/etc/haproxy/certs/admin.example.com.pem": str(pem),
            **changes,
        },
    )
    file = directory / "haproxy.cfg"
    file.write_text(config, encoding="utf-8")
    with Program(program, "-db", "-f", file) as running:
        _wait_for(port, running)
        yield Proxy(port, certificate)


def render(file: Path, changes: Mapping[str, str]) -> str:
    """Return what is in the file with these changes, each of which has to fit exactly once."""
    text = file.read_text(encoding="utf-8")
    for old, new in changes.items():
        assert text.count(old) == 1, f"{file.name} has {old!r} {text.count(old)} times"
        text = text.replace(old, new)
    return text


def _make_certificate(directory: Path) -> tuple[Path, str]:
    pem = make_certificate(x509.IPAddress(ip_address("127.0.0.1"))).decode()
    file = directory / "certificate.pem"
    file.write_text(pem, encoding="ascii")
    return file, pem.partition("-----BEGIN PRIVATE KEY-----")[0]


def _wait_for(port: str, running: Program) -> None:
    def answers() -> bool:
        assert running.is_alive(), running.said()
        with closing(socket.socket()) as client:
            return client.connect_ex(("127.0.0.1", int(port))) == 0

    until(answers)
