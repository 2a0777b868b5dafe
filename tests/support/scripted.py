"""A scripted Cognito: a real HTTP server that replies what a test tells it to.

    with ScriptedCognito() as backend:
        backend.on("AdminDisableUser", reply({}))                      # always this
        backend.on("AdminGetUser", [failure("TooManyRequestsException"), reply(ANN)])  # in turn
        backend.on("ListUsers", lambda parameters: reply({"Users": []}))  # computed
        ...  # point AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER at backend.url, act
        assert [request.operation for request in backend.requests] == ["AdminDisableUser"]

An operation that is not scripted, or whose replies are used up, gets a 500 and fails the test
when the `with` block ends. The users in `people` are in the pool, without a script; what is read of
them is in `authority`, not in `requests`. `UserDirectory` is a ready script of users in unreliable
pages.
"""

import random
import re
import secrets
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import orjson

from graphql_admin.actions import Action

JSON = "application/x-amz-json-1.1"

GROUPS_OF_CALLERS = ("Admins", "Clerks", "Others", "Owners", "Readers", "Staff", "Support")
"""Groups that callers are in as the pool has it; a test's token says which of them count."""


@dataclass(frozen=True)
class Request:
    """A request as it came in. Names of headers are matched whatever their case."""

    operation: str
    """Cognito's name for it; for a request without a target, the HTTP method."""
    parameters: dict[str, Any]
    headers: Message
    url: str
    """The path; the whole URL if the sender took this server for a proxy."""
    body: bytes
    sender_port: int
    """The same for two requests that came over one connection."""


@dataclass(frozen=True)
class Reply:
    """What to send back. Made by the functions below."""

    body: bytes = b"{}"
    status: int = 200
    content_type: str = JSON
    error_type: str | None = None
    """The header `x-amzn-errortype`."""
    location: str | None = None
    """Where a redirect leads."""
    promised_length: int | None = None
    """The Content-Length, where it is not the body's. The connection is closed after the body."""
    hang_up: bool = False
    """Close the connection instead of replying."""
    wait_for: threading.Event | None = None
    """Reply only once this is set."""


Script = Reply | Callable[[dict[str, Any]], Reply]


def reply(result: Mapping[str, Any]) -> Reply:
    """Reply that the operation was carried out, with this result."""
    return Reply(orjson.dumps(result))


def failure(code: str, status: int = 400, *, in_header: bool = False, detail: str = "") -> Reply:
    """Reply with an error of AWS, named in the body's `__type` or in the header alone.

    Both names are dressed as AWS may dress them: a namespace before one, a URL after the other.
    """
    if in_header:
        body = orjson.dumps({"message": detail})
        return Reply(body, status, error_type=f"{code}:http://internal.amazon.com/coral/errors/")
    named = f"com.amazonaws.cognito.identity.idp.model#{code}"
    return Reply(orjson.dumps({"__type": named, "message": detail}), status)


def raw(body: bytes, status: int = 200, content_type: str = "text/html") -> Reply:
    """Reply with these bytes."""
    return Reply(body, status, content_type)


def half(whole: Reply) -> Reply:
    """Reply with the first half of `whole`, and close the connection."""
    size = len(whole.body)
    return replace(whole, body=whole.body[: size // 2], promised_length=size)


def hang_up() -> Reply:
    """Close the connection without a reply."""
    return Reply(hang_up=True)


def held(event: threading.Event, then: Reply) -> Reply:
    """Reply with `then` once `event` is set."""
    return replace(then, wait_for=event)


class ScriptedCognito:
    """The server. It listens while the `with` block lasts.

    Args:
        tls: Speak TLS, with this certificate.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.unexpected: list[str] = []
        """Operations that came without a script for them. Clear it if a test means them to."""
        self.people: dict[str, Sequence[str]] = {"root": GROUPS_OF_CALLERS}
        """Who is in the pool, enabled, by username, and in which groups; their `sub` is that of
        the tokens of `tests.support.tokens`."""
        self.authority: list[Request] = []
        """What was asked of the callers."""
        self._scripts: dict[str, Script | list[Script]] = {}
        self._lock = threading.Lock()
        self._stopped = False
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.script = self._take
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port: int = self._server.server_address[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._stopped = True
        self._server.server_close()
        if error is None:
            assert not self.unexpected, f"no script for {self.unexpected}"

    def forget(self) -> None:
        """Reset, for another test: without scripts and requests, and with root alone.

        Raises:
            AssertionError: An operation came without a script for it.
        """
        unexpected = self.unexpected[:]
        with self._lock:
            self._scripts.clear()
            for told in (self.requests, self.authority, self.unexpected):
                told.clear()
            self.people.clear()
            self.people["root"] = GROUPS_OF_CALLERS
        assert not unexpected, f"no script for {unexpected}"

    def on(self, operation: str, script: Script | Sequence[Script]) -> None:
        """Reply so to `operation` from now on; a sequence is used up one by one."""
        with self._lock:
            self._scripts[operation] = list(script) if isinstance(script, Sequence) else script

    def on_all(self, results: Mapping[str, Mapping[str, Any]]) -> None:
        """Carry out whatever an action may ask for, with these results or an empty one."""
        for action in Action:
            for operation in action.operations:
                self.on(operation, reply(results.get(operation, {})))

    def operations(self) -> list[str]:
        """Return the names of the operations that were asked for, in their order."""
        return [request.operation for request in self.requests]

    def all_sent(self, operation: str) -> list[dict[str, Any]]:
        """Return the parameters of each call of an operation, without the pool's id."""
        return [
            {name: value for name, value in each.parameters.items() if name != "UserPoolId"}
            for each in self.requests
            if each.operation == operation
        ]

    def sent(self, operation: str) -> dict[str, Any]:
        """Return the parameters of the one call of an operation, without the pool's id."""
        (only,) = self.all_sent(operation)
        return only

    def _take(self, request: Request) -> Reply:
        with self._lock:
            told = self._tell_of_caller(request)
            if told is not None:
                self.authority.append(request)
                return told
            self.requests.append(request)
            script = self._scripts.get(request.operation, [])
            if isinstance(script, list):
                if not script:
                    self.unexpected.append(request.operation)
                    return raw(b"no script for this", 500)
                script = script.pop(0)
        try:
            answer = script if isinstance(script, Reply) else script(request.parameters)
        except Exception as error:  # noqa: BLE001  # the test is to fail, whatever it is
            self.unexpected.append(f"{request.operation}: {error!r}")
            return raw(b"the script failed", 500)
        while answer.wait_for is not None and not answer.wait_for.wait(0.02):
            if self._stopped:
                return hang_up()
        return answer

    def _tell_of_caller(self, request: Request) -> Reply | None:
        username = request.parameters.get("Username")
        if username not in self.people:
            return None
        match request.operation:
            case "AdminGetUser":
                return reply(user_of(username))
            case "AdminListGroupsForUser":
                return reply({"Groups": [{"GroupName": each} for each in self.people[username]]})
        return None


def user_of(username: str, *, sub: str | None = None, enabled: bool = True) -> dict[str, Any]:
    """Return what AdminGetUser says of a user whom `tests.support.tokens` makes tokens for."""
    return {
        "Username": username,
        "UserAttributes": [{"Name": "sub", "Value": sub or f"sub-of-{username}"}],
        "Enabled": enabled,
        "UserStatus": "CONFIRMED",
    }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    block_on_close = False  # clients keep connections open that nothing will come from
    script: Callable[[Request], Reply]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about clients that hang up; tests give them reason to."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        operation = self.headers.get("X-Amz-Target", self.command).rpartition(".")[2]
        parameters: dict[str, Any] = {}
        with suppress(orjson.JSONDecodeError):
            parameters = orjson.loads(body)
        answer = self.server.script(
            Request(operation, parameters, self.headers, self.path, body, self.client_address[1])
        )
        if answer.hang_up:
            self.close_connection = True
            return
        length = len(answer.body)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        if answer.promised_length is not None:
            length = answer.promised_length
            self.close_connection = True
        self.send_header("Content-Length", str(length))
        if answer.error_type is not None:
            self.send_header("x-amzn-errortype", answer.error_type)
        if answer.location is not None:
            self.send_header("Location", answer.location)
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_CONNECT = do_POST

    def log_message(self, *arguments: object) -> None:
        """Write nothing to the test's output."""


class UserDirectory:
    """A script of users whose lists come in random short and empty pages.

    Cognito does so: a page may be short or empty while there is more; only the absent token is
    the end. A token is valid for exactly the parameters it was issued with, any number of times.

        directory = UserDirectory(250, random.Random(7), groups=["Support"])
        directory.install(backend)
        directory.usernames  # all of them, in the order of the lists

    Args:
        count: How many users there are. All are in each of the groups.
        chance: Decides the sizes of the pages.
        groups: The groups that there are.
        oversized: Whether a page may also be longer than its `Limit`.
    """

    def __init__(
        self,
        count: int,
        chance: random.Random,
        *,
        groups: Sequence[str] = ("Support",),
        oversized: bool = False,
    ) -> None:
        self.users = [_make_user(number) for number in range(count)]
        self.usernames = [user["Username"] for user in self.users]
        self._chance = chance
        self._groups = frozenset(groups)
        self._oversized = oversized
        self._tokens: dict[str, tuple[int, dict[str, Any]]] = {}

    def install(self, backend: ScriptedCognito) -> None:
        """Reply from this directory to the operations that read users."""
        backend.on("ListUsers", self._list_users)
        backend.on("ListUsersInGroup", self._list_users_in_group)
        backend.on("AdminGetUser", self._get_user)

    def _list_users(self, parameters: dict[str, Any]) -> Reply:
        found = [user for user in self.users if _matches(user, parameters.get("Filter"))]
        return self._page(found, parameters, "PaginationToken")

    def _list_users_in_group(self, parameters: dict[str, Any]) -> Reply:
        if parameters["GroupName"] not in self._groups:
            return failure("ResourceNotFoundException")
        return self._page(self.users, parameters, "NextToken")

    def _get_user(self, parameters: dict[str, Any]) -> Reply:
        for user in self.users:
            if user["Username"] == parameters["Username"]:
                return reply({**user, "UserAttributes": user["Attributes"]})
        return failure("UserNotFoundException")

    def _page(
        self, rows: list[dict[str, Any]], parameters: dict[str, Any], token_name: str
    ) -> Reply:
        asked = {name: value for name, value in parameters.items() if name != token_name}
        limit = asked.get("Limit", 60)
        start = 0
        if token_name in parameters:
            start, issued_for = self._tokens.get(parameters[token_name], (0, {}))
            if issued_for != asked:
                return failure("InvalidParameterException")
        if not 1 <= limit <= 60:
            return failure("InvalidParameterException")
        longest = limit + 10 if self._oversized else limit
        size = self._chance.choice([0, limit, self._chance.randint(0, longest)])
        result: dict[str, Any] = {"Users": rows[start : start + size]}
        # A token may also lead to nothing but the end.
        if start + size < len(rows) or (size and self._chance.random() < 0.5):
            token = secrets.token_urlsafe(24)
            self._tokens[token] = (start + size, asked)
            result[token_name] = token
        return reply(result)


def _make_user(number: int) -> dict[str, Any]:
    name = f"user{number:04}"
    return {
        "Username": name,
        "Attributes": [
            {"Name": "sub", "Value": f"00000000-0000-4000-8000-{number:012}"},
            {"Name": "email", "Value": f"{name}@example.com"},
            {"Name": "email_verified", "Value": "true"},
        ],
        "UserCreateDate": 1_700_000_000.5 + number,
        "UserLastModifiedDate": 1_700_000_000.5 + number,
        "Enabled": True,
        "UserStatus": "CONFIRMED",
    }


def _matches(user: dict[str, Any], expression: str | None) -> bool:
    if expression is None:
        return True
    parts = re.fullmatch(r'(\S+)\s*(\^?=)\s*"((?:[^"\\]|\\.)*)"', expression)
    assert parts, f"not a filter: {expression}"
    name, operator, quoted = parts.groups()
    sought = re.sub(r"\\(.)", r"\1", quoted)
    values = {item["Name"]: item["Value"] for item in user["Attributes"]}
    value = values | {"username": user["Username"], "cognito:user_status": user["UserStatus"]}
    found = value.get(name, "")
    return bool(found == sought if operator == "=" else found.startswith(sought))
