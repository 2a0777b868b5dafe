"""What every test can ask for: a Cognito to work on, and this server in front of it."""

import logging
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from typing import Any

import boto3
import httpx2
import pytest
from cryptography import x509
from moto.server import ThreadedMotoServer
from mypy_boto3_cognito_idp import CognitoIdentityProviderClient
from starlette.applications import Starlette
from starlette.testclient import TestClient

from graphql_admin.actions import Action
from graphql_admin.app import create_app
from graphql_admin.settings import load_settings
from tests.support.api import Api
from tests.support.certificates import make_certificate
from tests.support.directory import Directory
from tests.support.leaks import find_leaks, find_leaks_in_metrics
from tests.support.patience import PATIENCE
from tests.support.scripted import ScriptedCognito
from tests.support.started import NO_QUOTAS, listening
from tests.support.tokens import CLIENT_ID, POOL_ID, JwksServer, Pool

REGION = "eu-west-1"


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # So it is where a shell runs the tests in the background, and programs would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with one unused certificate, to trust instead of a hundred authorities.

    Reading those takes a third of the time in which a server starts.
    """
    path = tmp_path_factory.mktemp("authorities") / "nobody.pem"
    path.write_bytes(make_certificate(x509.DNSName("nobody.invalid")))
    return path


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, authorities: Path) -> None:
    """Keep the tests from the credentials and settings of the user who runs them."""
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authorities))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.delenv("AWS_PROFILE", raising=False)


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """The URL of moto's server, an imitation of Cognito that keeps state."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def cognito(moto_url: str) -> CognitoIdentityProviderClient:
    """A plain boto3 client of that imitation."""
    return boto3.client(
        "cognito-idp",
        region_name=REGION,
        endpoint_url=moto_url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


@pytest.fixture
def directory(cognito: CognitoIdentityProviderClient) -> Directory:
    """A user pool of its own for the test, empty."""
    return Directory.create(cognito)


@pytest.fixture
def scripted() -> Iterator[ScriptedCognito]:
    """A Cognito that answers what the test says, and remembers what it was asked."""
    with ScriptedCognito() as backend:
        yield backend


@pytest.fixture(scope="session")
def signing_key() -> Pool:
    """What tokens are signed with."""
    return Pool()


@pytest.fixture(scope="session")
def jwks_url(signing_key: Pool) -> Iterator[str]:
    """Where the key to verify those tokens is."""
    with JwksServer(signing_key.jwk()) as server:
        yield server.url


@pytest.fixture
def make_app(monkeypatch: pytest.MonkeyPatch, jwks_url: str) -> Callable[..., Starlette]:
    """Make this server for a Cognito: `make_app(url, pool_id, **settings)`.

    It has no quotas unless the settings have them, so that tests with many calls do not wait.
    """
    return partial(_make_app, monkeypatch, jwks_url)


def _make_app(
    monkeypatch: pytest.MonkeyPatch,
    keys_url: str,
    url: str,
    pool_id: str = POOL_ID,
    **settings: Any,
) -> Starlette:
    monkeypatch.setenv("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER", url)
    settings.setdefault("jwks_url", keys_url)
    settings.setdefault("quotas", NO_QUOTAS)
    settings.setdefault("allowed_hosts", "*")
    if "policy_file" not in settings:
        settings.setdefault("admin_groups", "Admins")
    return create_app(
        load_settings(
            user_pool_id=pool_id,
            client_ids=CLIENT_ID,
            dev=True,
            **settings,
        )
    )


@pytest.fixture
def serve_policy(
    serve: Callable[..., Api], scripted: ScriptedCognito, tmp_path: Path
) -> Callable[..., Api]:
    """Start the server for `scripted`: `serve_policy(policy, **settings)`.

    It has the REST routes, and its events go to `audit.jsonl`.
    """

    def start(policy: str, **settings: Any) -> Api:
        path = tmp_path / "policy.toml"
        path.write_text(policy)
        audit = {"audit_file": tmp_path / "audit.jsonl"}
        return serve(scripted.url, policy_file=path, amplify=True, **{**audit, **settings})

    return start


@pytest.fixture
def serve(
    make_app: Callable[..., Starlette],
    signing_key: Pool,
    moto_url: str,
    cognito: CognitoIdentityProviderClient,
) -> Iterator[Callable[..., Api]]:
    """Start this server in front of a Cognito: `serve(url, pool_id, **settings)`."""
    with ExitStack() as stack:

        def start(url: str, pool_id: str = POOL_ID, **settings: Any) -> Api:
            app = make_app(url, pool_id, **settings)
            client = stack.enter_context(TestClient(app, raise_server_exceptions=False))
            directory = Directory(cognito, pool_id) if url == moto_url else None
            return Api(client, signing_key, pool_id, directory)

        yield start


@pytest.fixture(scope="module")
def lasting_scripted() -> Iterator[ScriptedCognito]:
    """A scripted Cognito for a whole module."""
    with ScriptedCognito() as backend:
        yield backend


@pytest.fixture
def shared_scripted(lasting_scripted: ScriptedCognito) -> Iterator[ScriptedCognito]:
    """What `scripted` is, one for the whole module: no test sees what another told it."""
    yield lasting_scripted
    lasting_scripted.forget()


@pytest.fixture(scope="module")
def shared_serve(jwks_url: str, signing_key: Pool) -> Iterator[Callable[..., Api]]:
    """Start this server as `serve` does, once in a module for each choice of settings.

    It is for tests that leave the server as it was, and the Cognito in front of which it is must
    last as long. A test of what a server caches starts its own.
    """
    started: dict[tuple[object, ...], tuple[Api, httpx2.Headers]] = {}
    with ExitStack() as stack:

        def start(url: str, **settings: Any) -> Api:
            choice = (url, *sorted(settings.items()))
            if choice not in started:
                with pytest.MonkeyPatch.context() as monkeypatch:
                    app = _make_app(monkeypatch, jwks_url, url, **settings)
                client = stack.enter_context(TestClient(app, raise_server_exceptions=False))
                started[choice] = Api(client, signing_key, POOL_ID), client.headers.copy()
            api, headers = started[choice]
            api.client.headers = headers.copy()
            api.client.cookies.clear()
            return api

        yield start


@pytest.fixture(scope="session")
def policy_for_staff(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[frozenset[Action]], Path]:
    """Write a policy that gives these actions to the group Staff."""
    folder = tmp_path_factory.mktemp("policies")

    @cache
    def write(actions: frozenset[Action]) -> Path:
        path = folder / f"{len(list(folder.iterdir()))}.toml"
        labels = ", ".join(f'"{action.label}"' for action in actions)
        path.write_text(f"[groups]\nStaff = [{labels}]\nNobodys = ['*']\n[writes]\nStaff = ['*']\n")
        return path

    return write


@pytest.fixture
def listen(make_app: Callable[..., Starlette], signing_key: Pool) -> Iterator[Callable[..., Api]]:
    """Start this server as `serve` does, on a port, where HTTP is what clients really meet."""
    with ExitStack() as stack:

        def start(url: str, **settings: Any) -> Api:
            base_url = stack.enter_context(listening(make_app(url, **settings)))
            client = stack.enter_context(
                httpx2.Client(base_url=base_url, trust_env=False, timeout=PATIENCE)
            )
            return Api(client, signing_key, POOL_ID)

        yield start


@pytest.fixture
def api(serve: Callable[..., Api], moto_url: str, directory: Directory) -> Api:
    """This server in front of the test's own user pool, open to the group Admins."""
    return serve(moto_url, directory.pool_id)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail every test after which there is a secret in what was logged or counted.

    What is searched is all that pytest captured: the log of this server, standard output and
    error, and what tests print of processes that they started.
    """
    report = yield
    leaks = find_leaks_in_metrics() if report.when == "teardown" else []
    for name, text in report.sections:
        leaks += [f"{leak} ({name})" for leak in find_leaks(text)]
    if leaks and report.passed:
        report.outcome = "failed"
        report.longrepr = f"leaked: {', '.join(leaks)}"
    return report
