"""Prometheus metrics. Every label has few possible values."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from prometheus_client import Counter, Gauge, Histogram, start_http_server

OK = "OK"
"""The value of `code` for a success."""

_requests = Counter(
    "graphql_admin_requests",
    "HTTP requests answered, by class of status and first error code.",
    ["status", "code"],
)
_request_seconds = Histogram(
    "graphql_admin_request_seconds",
    "Seconds from a request's headers to the end of its response.",
    ["kind"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30),
)
_in_flight = Gauge("graphql_admin_requests_in_flight", "HTTP requests in flight.")
_now_in_flight = 0
_in_flight.set_function(lambda: _now_in_flight)  # read per scrape, not per request
_open_connections = Gauge("graphql_admin_connections", "Open connections of clients.")
_now_open = 0
_open_connections.set_function(lambda: _now_open)
_refused_connections = Counter(
    "graphql_admin_connections_refused",
    "Connections that were closed at once, for lack of room.",
)
_ended_connections = Counter(
    "graphql_admin_connections_ended",
    "Connections that the server closed on clients, by reason; see the list of limits.",
    ["reason"],
)
_cognito_calls = Counter(
    "graphql_admin_cognito_calls",
    "Finished calls to Cognito, by operation and outcome: OK or an error code.",
    ["operation", "outcome"],
)
_cognito_retries = Counter(
    "graphql_admin_cognito_retries", "Retries of calls to Cognito.", ["operation"]
)
_cognito_throttles = Counter(
    "graphql_admin_cognito_throttles", "Attempts that Cognito throttled.", ["operation"]
)
_fallbacks = Counter(
    "graphql_admin_fallbacks",
    "Operations that took the ordinary path, which is slower, by kind of reason.",
    ["kind"],
)
_key_fetches = Counter(
    "graphql_admin_jwks_fetches", "Fetches of the user pool's keys.", ["outcome"]
)

# Looking up a child by its labels costs several times as much as counting.
_labelled_requests = cache(_requests.labels)
_labelled_seconds = cache(_request_seconds.labels)
_labelled_calls = cache(_cognito_calls.labels)


def count_request(status: int, code: str, kind: str, seconds: float) -> None:
    """Count an answered request.

    Args:
        status: Its HTTP status.
        code: The code of an error in the answer, or `OK`.
        kind: `query`, `mutation`, or `other` for requests that are not GraphQL.
        seconds: Its duration.
    """
    _labelled_requests(f"{status // 100}xx", code).inc()
    _labelled_seconds(kind).observe(seconds)


def count_request_in_flight(change: int) -> None:
    """Count a request as in flight (1), or as answered (-1)."""
    global _now_in_flight  # noqa: PLW0603  # a number is all there is to it
    _now_in_flight += change


def count_connection(change: int) -> None:
    """Count a connection as open (1), or as closed (-1)."""
    global _now_open  # noqa: PLW0603  # a number is all there is to it
    _now_open += change


def count_refused_connection() -> None:
    """Count a connection that was closed at once, because there was no room."""
    _refused_connections.inc()


def count_ended_connection(reason: str) -> None:
    """Count a connection that the server closed on a client.

    Args:
        reason: `refused` for a malformed request, `head` for headers that took too long, `unread`
            for a response that the client did not read, `body` for a body that was not needed and
            went on, `budget` for bytes held in memory, `idle` and `crowded` to make room.
    """
    _ended_connections.labels(reason).inc()


def count_call(operation: str, outcome: str) -> None:
    """Count a finished call to Cognito, with its error code or `OK`."""
    _labelled_calls(operation, outcome).inc()


def count_retry(operation: str) -> None:
    """Count a retry of a call to Cognito."""
    _cognito_retries.labels(operation).inc()


def count_throttle(operation: str) -> None:
    """Count an attempt that Cognito throttled."""
    _cognito_throttles.labels(operation).inc()


def count_fallback(kind: str) -> None:
    """Count an operation that took the ordinary path instead of its plan.

    Args:
        kind: `selection` for introspection, `variables` for values that are not exactly of their
            types, `value` for replies from Cognito that do not match the schema, or errors in
            non-null fields; `versions` for library versions with which plans do not hold.
    """
    _fallbacks.labels(kind).inc()


def count_key_fetch(*, succeeded: bool) -> None:
    """Count a fetch of the user pool's keys."""
    _key_fetches.labels("ok" if succeeded else "failed").inc()


@contextmanager
def served(host: str, port: int) -> Iterator[int]:
    """Serve the metrics at `/metrics` within the context, in a separate thread.

    Args:
        host: Address to listen on.
        port: TCP port to listen on; 0 takes a free one.

    Yields:
        The port.

    Raises:
        OSError: Nothing can listen there.
    """
    server, thread = start_http_server(port, host)
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
