"""Prometheus metrics. Every label has few possible values."""

from collections.abc import Collection, Iterable, Mapping
from functools import cache

from prometheus_client import Counter, Gauge, Histogram

from graphql_admin.errors import leaves

OK = "OK"
"""The value of `code` for a success."""

_requests = Counter(
    "graphql_admin_requests",
    "HTTP requests answered, by class of status and error code; of several codes, the worst.",
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
    "Connections that the server closed on clients, by reason.",
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

ENDINGS: Mapping[str, str] = {
    "refused": "a malformed request",
    "head": "headers that took too long",
    "body": "a body that was not read to its end, and went on",
    "unread": "a response that the client did not read in time",
    "budget": "too many bytes of incomplete requests and unread responses",
    "idle": "an idle connection, to make room for another",
    "crowded": "a connection of the address that has most, to make room for another client",
}
"""The reasons for which the server closes a connection on a client."""

_STATUSES = {error.code: error.status for error in leaves()}

# Prometheus sees no increase where a series starts at 1, so series that alarms use start at 0.
for _code, _status in _STATUSES.items():
    if _status >= 500:
        _requests.labels("2xx", _code)  # beside data
        _requests.labels("5xx", _code)
for _reason in ENDINGS:
    _ended_connections.labels(_reason)
for _outcome in ("ok", "failed"):
    _key_fetches.labels(_outcome)

# Looking up a child by its labels costs several times as much as counting.
_labelled_requests = cache(_requests.labels)
_labelled_seconds = cache(_request_seconds.labels)
_labelled_calls = cache(_cognito_calls.labels)


def count_request(status: int, codes: Collection[str], kind: str, seconds: float) -> None:
    """Count an answered request.

    Args:
        status: Its HTTP status.
        codes: The codes of the errors in the response. The one with the highest status counts.
        kind: `query`, `mutation`, or `other` for requests that are not GraphQL.
        seconds: Its duration.
    """
    code = max(codes, key=_severity) if codes else OK
    _labelled_requests(f"{status // 100}xx", code).inc()
    _labelled_seconds(kind).observe(seconds)


def _severity(code: str) -> tuple[int, str]:
    return _STATUSES.get(code, 0), code


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
        reason: One of `ENDINGS`.
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


def begin_fallbacks(kinds: Iterable[str]) -> None:
    """Start the counts of operations that take the ordinary path at 0."""
    for kind in kinds:
        _fallbacks.labels(kind)


def count_fallback(kind: str) -> None:
    """Count an operation that took the ordinary path instead of its plan.

    Args:
        kind: A value of `Fallback`.
    """
    _fallbacks.labels(kind).inc()


def count_key_fetch(*, succeeded: bool) -> None:
    """Count a fetch of the user pool's keys."""
    _key_fetches.labels("ok" if succeeded else "failed").inc()
