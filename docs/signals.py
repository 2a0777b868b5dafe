"""What the server tells those who run it: its metrics, and what it logs besides requests.

The metrics describe themselves. The lines are found in the code; what each means is written here,
and a line of the level `error` or `warning` without a meaning fails `make check`.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from prometheus_client.metrics import MetricWrapperBase

import graphql_admin
from graphql_admin.telemetry import metrics


class Line(NamedTuple):
    """A line of the log."""

    level: str
    event: str


MEANINGS: Mapping[str, Mapping[str, str]] = {
    "error": {
        "this server's own credentials may not call this operation; see `iam-policy`": (
            "The AWS role lacks the permission for `operation`. `graphql-admin iam-policy` prints "
            "all that it needs, and `graphql-admin check` names all that are missing."
        ),
        "AWS rejected this server's own credentials: wrong or expired": (
            "Renew the credentials of the process, or check its clock."
        ),
        "this server has no AWS credentials": (
            "No provider of boto3 found any. `/readyz` is 503, and says `credentials`."
        ),
        "there is no such user pool in this account and region": (
            "The pool was deleted, or `USER_POOL_ID` or the credentials are of another account."
        ),
        "call to Cognito failed": (
            "Cognito rejected a call in a way that this server does not know; `code` says which."
        ),
        "reply from Cognito is too large": "A reply above the limit was not read.",
        "reply from Cognito without its list": "The reply does not match Cognito's model.",
        "reply from Cognito with an invalid page token": (
            "The reply does not match Cognito's model; the list is not shown."
        ),
        "reply from Cognito without its group": "The reply does not match Cognito's model.",
        "reply from Cognito without its user": "The reply does not match Cognito's model.",
        "reply from Cognito without its user pool": "The reply does not match Cognito's model.",
        "left out rows from Cognito without a name": (
            "The reply does not match Cognito's model; lists are short of these rows."
        ),
        "user from Cognito without a member": (
            "The reply does not match Cognito's model: every user has this member."
        ),
        "audit events cannot be written": (
            "Changes are rejected as `AUDIT_UNAVAILABLE` until the disk or the pipe takes events "
            "again."
        ),
        "audit event waits for its sink": (
            "A change was made, and its event is in memory alone. Repair the sink before the "
            "process ends."
        ),
        "audit events lost": (
            "The process ended while events were waiting: CloudTrail has the changes, not by whom."
        ),
        "audit event dropped": (
            "Too many events wait: the event of a rejected attempt is only in this line."
        ),
        "internal error": "A fault of this server. `exception` and `where` belong in a report.",
        "Cognito has no such operation": "A fault of this server.",
        "not a read operation": "A fault of this server.",
        "the user pool is not open": "A fault of this server.",
        "Exception in ASGI application": "A fault of this server.",
        "ASGI callable should return None, but returned '…'.": "A fault of this server.",
        "ASGI callable returned without … response.": "A fault of this server.",
    },
    "warning": {
        "call to Cognito failed": (
            "All attempts failed, or the deadline passed; `reason` says why."
        ),
        "Cognito throttles calls": (
            "Cognito's quota is used up, by this server or another app: lower `QUOTA_SHARE`, or "
            "ask AWS for more."
        ),
        "settings of the user pool are not read: no right to do so": (
            "The AWS role lacks the permission for DescribeUserPool: Cognito alone decides which "
            "attributes may be set, an alias may be taken from another user, and a changed user "
            "whose `id` or `username` is selected is read back each time."
        ),
        "keys not fetched": (
            "The pool's keys could not be fetched. Cached keys stay in use; after a rotation, "
            "new tokens are rejected."
        ),
        "key rejected": "A key of the pool's set is not used; `reason` says why.",
        "every operation takes the ordinary path: plans do not hold": (
            "The self-check at start-up failed. Install the versions in `requirements.lock`."
        ),
    },
}
"""What each line of a level means, and what to do about it."""


def rows_of_metrics() -> list[list[str]]:
    """Return a row for each metric: its name, its labels and what it is."""
    rows = []
    for collector in vars(metrics).values():
        if not isinstance(collector, MetricWrapperBase):
            continue
        (family,) = collector.describe()
        suffix = "_total" if family.type == "counter" else ""
        labels = ", ".join(f"`{label}`" for label in labels_of(collector))
        rows.append([f"`{family.name}{suffix}`", family.type, labels or "–", family.documentation])
    return rows


def labels_of(collector: MetricWrapperBase) -> Sequence[str]:
    """Return the names of a metric's labels."""
    names: Sequence[str] = collector._labelnames  # noqa: SLF001  # the library has no other way
    return names


def rows_of_lines() -> list[list[str]]:
    """Return a row for each line of the log but those of requests, errors first.

    Raises:
        ValueError: A line has no meaning here, or one that is no longer logged has.
    """
    rows = {
        Line(level, event): meaning
        for level, meanings in MEANINGS.items()
        for event, meaning in meanings.items()
    }
    lines = set(lines_of(Path(graphql_admin.__file__).parent))
    if unknown := sorted(lines ^ rows.keys()):
        names = ", ".join(f"{event!r} ({level})" for level, event in unknown)
        raise ValueError(f"docs/signals.py and the log do not agree on {names}")
    return [[f"`` {event} ``", level, meaning] for (level, event), meaning in rows.items()]


def lines_of(folder: Path) -> Iterator[Line]:
    """Yield what the modules below a folder log as errors and warnings."""
    for path in folder.rglob("*.py"):
        for scope in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from _lines_of_function(scope)


def _lines_of_function(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Line]:
    for node in ast.walk(function):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="log"), attr=level), args=[event, *_]
            ) if level in MEANINGS:
                for text in _texts_of(event, function):
                    yield Line(level, text.strip().replace("%s", "…"))


def _texts_of(node: ast.expr, function: ast.AST) -> Iterator[str]:
    """Yield the strings that an expression may be: itself, or what its variable is assigned."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.Name(id=name):
            for other in ast.walk(function):
                match other:
                    case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                        yield from _texts_of(value, function)
        case _:
            raise ValueError(f"line {node.lineno} logs what cannot be read from the code")
