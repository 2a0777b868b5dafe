"""A stub of Cognito's JSON API: replies serialised beforehand, a delay and quotas on demand.

It knows the six operations that the bench leads to. It is written to cost little CPU, so that it
is never the bottleneck; with `--quota` it throttles as Cognito does.

    python -m bench.stub --port 9500 --quota UserUpdate=25

Besides `POST /` it answers, for the bench:
    GET  /tokens      access tokens of administrators, good for a day
    GET  /{pool id}/.well-known/jwks.json
    GET  /counts      calls answered and calls throttled, by operation
    POST /tokens      a token for each `{"username", "groups"}` of a list
    PUT  /delay       seconds, as a JSON number, to wait before each reply
    PUT  /throttled   usernames, as a list, whose calls are throttled, whatever the quotas
    PUT  /keys        whether the key set is served; where it is not, requests for it wait
"""

import argparse
import asyncio
import gc
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import httptools
import orjson
import uvloop

from bench.people import (
    ADMIN_GROUP,
    PAGE_SIZE,
    PAGES,
    POOL_ID,
    Person,
    group_to_cognito,
    page_of,
    page_token,
)
from bench.tokens import Issuer, sub_of

CATEGORIES = {
    "ListUsers": "UserList",
    "AdminGetUser": "UserRead",
    "AdminAddUserToGroup": "UserUpdate",
    "AdminListGroupsForUser": "UserResourceRead",
    "GetGroup": "UserPoolResourceRead",
    "DescribeUserPool": "UserPoolRead",
}
"""The quota category of each operation that the stub knows."""

DEFAULT_QUOTAS = {
    "UserList": 30.0,
    "UserRead": 120.0,
    "UserUpdate": 25.0,
    "UserResourceRead": 50.0,
    "UserPoolResourceRead": 20.0,
    "UserPoolRead": 15.0,
}
"""Calls per second and category that AWS grants an account at first."""

_TARGET_PREFIX = "AWSCognitoIdentityProviderService."
_JWKS_PATH = f"/{POOL_ID}/.well-known/jwks.json"


class TokenBucket:
    """Grants `rate` calls a second, and at most `burst` at once after a pause."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._updated = time.monotonic()

    def take(self) -> bool:
        """Take a token, if there is one."""
        now = time.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._updated) * self._rate)
        self._updated = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Backend:
    """The replies of the stub, independent of the transport.

    Args:
        quotas: Calls per second by category; a category without one is not limited.
        burst: Seconds' worth of a quota that may be used at once.
        delay: Seconds to wait before each reply.
    """

    def __init__(self, quotas: Mapping[str, float], burst: float, delay: float) -> None:
        self.delay = delay
        self._throttled_users: frozenset[str] = frozenset()
        self._serves_keys = True
        self.calls: Counter[str] = Counter()
        self.throttled: Counter[str] = Counter()
        self._buckets = {
            category: TokenBucket(rate, max(1.0, rate * burst)) for category, rate in quotas.items()
        }
        self._issuer = Issuer()
        self._pages = {page_token(number): _page_reply(number) for number in range(PAGES)}
        people = [person for number in range(PAGES) for person in page_of(number)]
        self._people = {
            person.username: _reply(person.to_cognito("UserAttributes")) for person in people
        }
        self._groups = {person.username: _groups_reply(person) for person in people}
        self._operations: dict[str, Callable[[Mapping[str, Any]], bytes]] = {
            "ListUsers": self._list_users,
            "AdminGetUser": partial(self._reply_about_user, self._people),
            "AdminAddUserToGroup": self._add_user_to_group,
            "AdminListGroupsForUser": partial(self._reply_about_user, self._groups),
            "DescribeUserPool": lambda _: _POOL,
            "GetGroup": lambda call: _reply({"Group": group_to_cognito(call["GroupName"])}),
        }

    def call(self, operation: str, body: bytes) -> bytes:
        """Answer a call to Cognito.

        Args:
            operation: Name of the operation, such as `ListUsers`.
            body: The call's parameters in JSON.

        Returns:
            A whole HTTP reply.
        """
        answer = self._operations.get(operation)
        if answer is None:
            return _fault("UnknownOperationException", f"The stub knows no {operation}")
        bucket = self._buckets.get(CATEGORIES[operation])
        parameters = orjson.loads(body)
        is_throttled = parameters.get("Username") in self._throttled_users
        if is_throttled or (bucket is not None and not bucket.take()):
            self.throttled[operation] += 1
            return _fault("TooManyRequestsException", "Rate exceeded")
        self.calls[operation] += 1
        return answer(parameters)

    def control(self, method: str, path: str, body: bytes) -> bytes:
        """Answer a request of the bench, with a whole HTTP response; "" is none."""
        match method, path:
            case "GET", "/tokens":
                return _reply([self._issue(f"admin-{n}") for n in range(PAGES)])
            case "POST", "/tokens":
                return _reply([self._issue(**each) for each in orjson.loads(body)])
            case "PUT", _:
                return self._adjust(path, orjson.loads(body))
            case "GET", "/counts":
                return _reply({"calls": dict(self.calls), "throttled": dict(self.throttled)})
            case "GET", _ if path == _JWKS_PATH:
                return _reply(self._issuer.jwks) if self._serves_keys else b""
            case _:
                return _http("404 Not Found", b"{}")

    def _issue(self, username: str, groups: Sequence[str] = (ADMIN_GROUP,)) -> str:
        """Return the token of a user who is in the pool, and in these groups."""
        user = {
            "Username": username,
            "UserAttributes": [{"Name": "sub", "Value": sub_of(username)}],
            "Enabled": True,
            "UserStatus": "CONFIRMED",
        }
        self._people[username] = _reply(user)
        self._groups[username] = _reply({"Groups": [{"GroupName": name} for name in groups]})
        return self._issuer.access_token(username, groups)

    def _adjust(self, path: str, value: Any) -> bytes:
        match path:
            case "/delay":
                self.delay = float(value)
            case "/throttled":
                self._throttled_users = frozenset(value)
            case "/keys":
                self._serves_keys = bool(value)
            case _:
                return _http("404 Not Found", b"{}")
        return _reply(value)

    def _list_users(self, call: Mapping[str, Any]) -> bytes:
        reply = self._pages.get(call.get("PaginationToken"))
        if reply is None or call.get("Limit") != PAGE_SIZE or call.get("Filter"):
            return _fault(
                "InvalidParameterException", f"The stub lists whole pages of {PAGE_SIZE} only"
            )
        return reply

    def _add_user_to_group(self, call: Mapping[str, Any]) -> bytes:
        return _EMPTY if call["Username"] in self._people else _USER_NOT_FOUND

    def _reply_about_user(self, replies: Mapping[str, bytes], call: Mapping[str, Any]) -> bytes:
        return replies.get(call["Username"], _USER_NOT_FOUND)


def _http(status: str, body: bytes, more: str = "") -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/x-amz-json-1.1\r\n"
        f"Content-Length: {len(body)}\r\n{more}\r\n"
    )
    return head.encode() + body


def _reply(value: object) -> bytes:
    return _http("200 OK", orjson.dumps(value))


def _fault(kind: str, message: str) -> bytes:
    body = orjson.dumps({"__type": kind, "message": message})
    return _http("400 Bad Request", body, f"x-amzn-ErrorType: {kind}\r\n")


def _page_reply(number: int) -> bytes:
    page: dict[str, object] = {
        "Users": [person.to_cognito("Attributes") for person in page_of(number)]
    }
    if token := page_token(number + 1):
        page["PaginationToken"] = token
    return _reply(page)


def _groups_reply(person: Person) -> bytes:
    return _reply({"Groups": [group_to_cognito(name) for name in person.groups]})


_EMPTY = _reply({})
_POOL = _reply({"UserPool": {"Id": POOL_ID, "UsernameConfiguration": {"CaseSensitive": True}}})
_USER_NOT_FOUND = _fault("UserNotFoundException", "User does not exist.")


class StubProtocol(asyncio.Protocol):
    """One connection to the stub. It is kept until the client leaves."""

    _transport: asyncio.Transport

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._path = b""
        self._target = b""
        self._body = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._path = self._target = self._body = b""

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        # Of a signed request's headers only this one matters: the length saves the comparison.
        if len(name) == 12 and name.lower() == b"x-amz-target":
            self._target = value

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        backend = self._backend
        if not self._target:
            method = self._parser.get_method().decode()
            self._send(backend.control(method, self._path.decode(), self._body))
            return
        operation = self._target.decode().removeprefix(_TARGET_PREFIX)
        reply = backend.call(operation, self._body)
        if backend.delay:
            self._loop.call_later(backend.delay, self._send, reply)
        else:
            self._send(reply)

    def _send(self, reply: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(reply)


def parse_quotas(words: list[str]) -> dict[str, float]:
    """Read the values of `--quota`.

    Args:
        words: Each `default`, or a category and its calls per second, such as `UserUpdate=25`.
            Later ones win.

    Raises:
        ValueError: One of them is neither.
    """
    quotas: dict[str, float] = {}
    for word in words:
        category, _, rate = word.partition("=")
        if word == "default":
            quotas |= DEFAULT_QUOTAS
        elif category in DEFAULT_QUOTAS and float(rate) > 0:
            quotas[category] = float(rate)
        else:
            raise ValueError(f"no such quota: {word}")
    return quotas


async def serve(backend: Backend, port: int) -> None:
    """Serve on loopback until cancelled, and say where on the first line of standard output."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: StubProtocol(backend), "127.0.0.1", port)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    gc.freeze()
    await server.serve_forever()


def main() -> None:
    """Run the stub from the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.stub", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--port", type=int, default=0, help="0, the default, is any free port")
    parser.add_argument("--delay", type=float, default=0, help="seconds before each reply")
    parser.add_argument(
        "--quota",
        action="append",
        default=[],
        metavar="CATEGORY=RATE",
        help="calls per second beyond which a category is throttled; `default` is AWS's defaults",
    )
    parser.add_argument(
        "--burst", type=float, default=1, help="seconds' worth of quota after a pause (default 1)"
    )
    options = parser.parse_args()
    try:
        quotas = parse_quotas(options.quota)
    except ValueError as error:
        parser.error(str(error))
    with suppress(KeyboardInterrupt):
        uvloop.run(serve(Backend(quotas, options.burst, options.delay), options.port))


if __name__ == "__main__":
    main()
