"""Metrics: what is counted, under few labels, and where it is read."""

import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx2
import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from graphql_admin.telemetry import metrics_port
from graphql_admin.telemetry.metrics_port import MAX_SCRAPES
from tests.support.api import Api
from tests.support.patience import PATIENCE
from tests.support.scripted import ScriptedCognito, failure, reply
from tests.support.started import served
from tests.support.tokens import JwksServer, Pool

GROUPS = "{ groups { nodes { name } } }"


class Counted:
    """The increase of a counter since the start of the test."""

    def __init__(self) -> None:
        self._before = self._read()

    def __call__(self, name: str, **labels: str) -> float:
        """Return how much a counter grew."""
        key = (f"graphql_admin_{name}", tuple(sorted(labels.items())))
        return self._read().get(key, 0) - self._before.get(key, 0)

    def series(self) -> int:
        """Return how many series there are by now."""
        return len(self._read())

    @staticmethod
    def _read() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in REGISTRY.collect()
            for sample in family.samples
        }


@pytest.fixture
def counted() -> Counted:
    """What is counted from now on."""
    return Counted()


def test_requests(serve: Callable[..., Api], scripted: ScriptedCognito, counted: Counted) -> None:
    """Requests are counted by class of status and code, and timed by kind."""
    scripted.on("ListGroups", reply({"Groups": []}))
    api = serve(scripted.url)
    api.send(GROUPS)
    api.send(GROUPS, groups=())
    api.send(GROUPS, token="")
    assert counted("requests_total", status="2xx", code="OK") == 1
    assert counted("requests_total", status="2xx", code="FORBIDDEN") == 1
    assert counted("requests_total", status="4xx", code="UNAUTHENTICATED") == 1
    assert counted("request_seconds_count", kind="query") == 2
    assert counted("request_seconds_count", kind="other") == 1
    assert counted("requests_in_flight") == 0


def test_several_codes(
    serve: Callable[..., Api], scripted: ScriptedCognito, counted: Counted
) -> None:
    """Of several errors the worst is counted, so that an alarm on it sees it."""
    scripted.on("AdminGetUser", failure("InternalErrorException"))
    answer = serve(scripted.url).send(
        '{ user(by: {username: "bob"}) { email } empty: user(by: {username: ""}) { email } }'
    )
    assert set(answer.codes) == {"BAD_USER_INPUT", "UPSTREAM_ERROR"}
    assert counted("requests_total", status="2xx", code="UPSTREAM_ERROR") == 1
    assert counted("requests_total", status="2xx", code="BAD_USER_INPUT") == 0


def test_calls(serve: Callable[..., Api], scripted: ScriptedCognito, counted: Counted) -> None:
    """Calls to Cognito are counted by outcome; throttles and retries by attempt."""
    throttled = failure("TooManyRequestsException")
    scripted.on("ListGroups", [throttled, throttled, reply({"Groups": []})])
    scripted.on("AdminGetUser", failure("UserNotFoundException"))
    api = serve(scripted.url)
    api.send(GROUPS)
    api.send('{ user(by: {username: "bob"}) { email } }')
    assert counted("cognito_calls_total", operation="ListGroups", outcome="OK") == 1
    assert counted("cognito_calls_total", operation="AdminGetUser", outcome="USER_NOT_FOUND") == 1
    assert counted("cognito_throttles_total", operation="ListGroups") == 2
    assert counted("cognito_retries_total", operation="ListGroups") == 2


def test_key_fetches(
    serve: Callable[..., Api], scripted: ScriptedCognito, signing_key: Pool, counted: Counted
) -> None:
    """Fetches of keys are counted, those that failed apart."""
    scripted.on("ListGroups", reply({"Groups": []}))
    with JwksServer(signing_key.jwk()) as jwks:
        serve(scripted.url, jwks_url=jwks.url).send(GROUPS)
        jwks.answer(500)
        serve(scripted.url, jwks_url=jwks.url).send(GROUPS)
    assert counted("jwks_fetches_total", outcome="ok") == 1
    assert counted("jwks_fetches_total", outcome="failed") >= 1


def test_labels_are_bounded(serve: Callable[..., Api], counted: Counted) -> None:
    """Whatever clients make up, there are no more series for it."""
    api = serve("http://127.0.0.1:9")

    def make_up(salt: int) -> None:
        api.client.request(f"BREW{salt}", f"/{salt}", headers={"X-Request-Id": str(salt)})
        api.send(f"query Q{salt} {{ __typename }}")
        api.send(f"query Q{salt} {{ unknown{salt} }}")
        api.send("{ __typename }", token=f"{salt}.{salt}.{salt}")

    make_up(0)
    series = counted.series()
    for salt in range(1, 20):
        make_up(salt)
    assert counted.series() == series


def test_served(scripted: ScriptedCognito, jwks_url: str) -> None:
    """The server has metrics on a port of their own, and not on the other."""
    with served(scripted.url, jwks_url) as server:
        text = httpx2.get(server.metrics_url, timeout=PATIENCE).text
        names = {family.name for family in text_string_to_metric_families(text)}
        assert {
            "graphql_admin_requests",
            "graphql_admin_request_seconds",
            "graphql_admin_requests_in_flight",
            "graphql_admin_cognito_calls",
            "graphql_admin_cognito_retries",
            "graphql_admin_cognito_throttles",
            "graphql_admin_jwks_fetches",
        } <= names
        # Prometheus sees no growth from no series to 1, and one `INTERNAL` has to raise an alarm.
        for status in ("2xx", "5xx"):
            assert f'graphql_admin_requests_total{{code="INTERNAL",status="{status}"}} 0.0' in text
        assert 'graphql_admin_fallbacks_total{kind="versions"} 0.0' in text
        assert 'graphql_admin_jwks_fetches_total{outcome="failed"} 0.0' in text
        assert 'graphql_admin_connections_ended_total{reason="budget"} 0.0' in text
        assert httpx2.get(f"{server.url}/metrics", timeout=PATIENCE).status_code == 404
        server.program.send(signal.SIGTERM)
        assert server.finish()[0] == 0


def test_port_in_use() -> None:
    """A port in use cannot be taken twice."""
    with (
        metrics_port.served("127.0.0.1", 0) as port,
        pytest.raises(OSError, match="in use"),
        metrics_port.served("127.0.0.1", port),
    ):
        pass


def test_idle_connections(scripted: ScriptedCognito, jwks_url: str) -> None:
    """Idle connections to the metrics take few descriptors, and keep no request from an answer."""
    with served(scripted.url, jwks_url, descriptors=128) as server, ExitStack() as stack:
        before = server.descriptors()
        address = urlsplit(server.metrics_url)
        for _ in range(200):
            client = socket.create_connection((address.hostname, address.port), PATIENCE)
            stack.enter_context(client)
        for _ in range(3):
            text = httpx2.get(server.metrics_url, timeout=PATIENCE, trust_env=False).text
            assert "graphql_admin_requests_total" in text
            health = httpx2.get(f"{server.url}/healthz", timeout=PATIENCE, trust_env=False)
            assert health.status_code == 200
        assert server.descriptors() <= before + MAX_SCRAPES + 3  # the client's, and one at each end


def test_slow_connections() -> None:
    """A connection on which no request comes is closed after a while."""
    with (
        metrics_port.served("127.0.0.1", 0, timeout=0.1) as port,
        socket.create_connection(("127.0.0.1", port), PATIENCE) as client,
    ):
        client.sendall(b"GET /metrics HTT")
        assert client.recv(100) == b""


def test_one_request_for_each_connection() -> None:
    """A connection ends with its response, and what else was sent on it is not answered."""
    with (
        metrics_port.served("127.0.0.1", 0) as port,
        socket.create_connection(("127.0.0.1", port), PATIENCE) as client,
    ):
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
        received = b""
        while piece := client.recv(65_536):
            received += piece
    assert received.count(b"HTTP/1.0 200") == 1
