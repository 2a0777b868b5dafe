"""The requests of the bench, in the API of each kind of server, and the right responses.

An operation is requested from several seats concurrently. Each seat is a different administrator,
who reads a different page of the pool and a different user, so that no two requests in flight are
equal: a server that coalesces equal calls has no advantage.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlencode

from bench.people import PAGE_SIZE, Person, page_of

GROUP = "Editors"
"""The group that people are added to."""

_FIELDS = (
    "username sub email emailVerified phoneNumber givenName status enabled createdAt updatedAt"
)


@dataclass(frozen=True)
class Operation:
    """An operation to measure.

    Args:
        name: For the command line.
        title: For people.
        document: The GraphQL document.
        delay: Seconds that Cognito takes for each call.
    """

    name: str
    title: str
    document: str
    delay: float = 0


LIST = Operation(
    "list",
    "list 60 users × 10 fields",
    f"query Users($after: String) {{ users(first: {PAGE_SIZE}, after: $after) "
    f"{{ nodes {{ {_FIELDS} }} }} }}",
)
LIST_APOLLO = Operation(
    "list-apollo",
    "the list as Apollo Client asks for it",
    f"query Users($after: String) {{ users(first: {PAGE_SIZE}, after: $after) "
    f"{{ nodes {{ {_FIELDS} __typename }} __typename }} }}",
)
LIST_RELAY = Operation(
    "list-relay",
    "the list as Relay asks for it",
    f"query Users($after: String) {{ users(first: {PAGE_SIZE}, after: $after) "
    f"{{ edges {{ node {{ {_FIELDS} id __typename }} cursor }} "
    "pageInfo { endCursor hasNextPage } } }",
)
GET = Operation(
    "get",
    "get one user",
    f"query User($username: String!) {{ user(by: {{ username: $username }}) {{ {_FIELDS} }} }}",
)
ADD = Operation(
    "add",
    "add a user to a group",
    "mutation Add($input: AddUserToGroupInput!) { addUserToGroup(input: $input) "
    "{ user { username } errors { code } } }",
)
GROUPS = Operation(
    "groups",
    "60 users with their groups",
    f"query UsersWithGroups($after: String) {{ users(first: {PAGE_SIZE}, after: $after) "
    "{ nodes { username groups(first: 10) { nodes { name } } } } }",
)
LIST_SLOW = Operation(
    "list-slow", "the list from a Cognito that takes 20 ms", LIST.document, delay=0.02
)

OPERATIONS = (LIST, LIST_APOLLO, LIST_RELAY, GET, ADD, GROUPS, LIST_SLOW)

_LISTS = (LIST, LIST_APOLLO, LIST_RELAY, LIST_SLOW)


@dataclass(frozen=True)
class Seat:
    """A caller with one connection.

    Args:
        number: Of the page of the pool that the caller looks at.
        token: The caller's access token.
        cursor: The cursor of the start of that page; None for the first page.
    """

    number: int
    token: str
    cursor: str | None

    @property
    def person(self) -> Person:
        """The user whom the caller reads or changes."""
        return page_of(self.number)[0]


@dataclass(frozen=True)
class Request:
    """An HTTP request to a server on loopback."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""

    def to_bytes(self) -> bytes:
        """The request in bytes."""
        headers = {"Host": "127.0.0.1", **self.headers}
        if self.body:
            headers["Content-Length"] = str(len(self.body))
        lines = [f"{self.method} {self.path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


class Dialect(Protocol):
    """The requests for one kind of server, and the parser of its responses."""

    def requests(self, operation: Operation, seat: Seat) -> list[Request]:
        """The requests of one operation, to send one after the other."""

    def read(self, operation: Operation, replies: Sequence[Any]) -> object:
        """The content of decoded responses, in the form of `right_answer`.

        Raises:
            KeyError, TypeError, ValueError: The replies have another shape.
        """

    def walk(self, seat: Seat) -> Request:
        """The request whose reply tells where the page after the seat's begins."""

    def next_cursor(self, reply: Any) -> str:
        """The start of the next page, from the reply to `walk`."""


def right_answer(operation: Operation, seat: Seat) -> object:
    """The content that every response must have, in a form independent of the server."""
    people = page_of(seat.number)
    if operation in _LISTS:
        return [person.to_answer() for person in people]
    if operation is GET:
        return seat.person.to_answer()
    if operation is ADD:
        return seat.person.username
    return [(person.username, set(person.groups)) for person in people]


class GraphQL:
    """graphql-admin's schema. The GraphQL peers serve the part of it that is asked for here."""

    def requests(self, operation: Operation, seat: Seat) -> list[Request]:
        return [self._ask(operation.document, self._variables(operation, seat), seat)]

    def read(self, operation: Operation, replies: Sequence[Any]) -> object:
        (reply,) = replies
        if "errors" in reply:
            raise ValueError(reply["errors"])
        data = reply["data"]
        if operation is LIST_RELAY:
            return self._read_edges(data["users"])
        if operation in _LISTS:
            users = data["users"]["nodes"]
            if operation is LIST_APOLLO:
                _require(all(user.pop("__typename") == "User" for user in users), "__typename")
            return [_with_dates(user) for user in users]
        if operation is GET:
            return _with_dates(data["user"])
        if operation is ADD:
            _require(data["addUserToGroup"]["errors"] == [], "no errors")
            return data["addUserToGroup"]["user"]["username"]
        return [
            (user["username"], {group["name"] for group in user["groups"]["nodes"]})
            for user in data["users"]["nodes"]
        ]

    def walk(self, seat: Seat) -> Request:
        document = (
            f"query Walk($after: String) {{ users(first: {PAGE_SIZE}, after: $after) "
            "{ pageInfo { endCursor } } }"
        )
        return self._ask(document, {"after": seat.cursor}, seat)

    def next_cursor(self, reply: Any) -> str:
        return str(reply["data"]["users"]["pageInfo"]["endCursor"])

    def _ask(self, document: str, variables: Mapping[str, object], seat: Seat) -> Request:
        name = document.split("(", 1)[0].split()[1]
        body = {"operationName": name, "query": document, "variables": variables}
        return _post("/graphql", seat, body)

    def _variables(self, operation: Operation, seat: Seat) -> Mapping[str, object]:
        if operation is GET:
            return {"username": seat.person.username}
        if operation is ADD:
            return {"input": {"username": seat.person.username, "groupName": GROUP}}
        return {"after": seat.cursor}

    def _read_edges(self, users: Any) -> list[dict[str, object]]:
        edges = users["edges"]
        nodes = [edge["node"] for edge in edges]
        _require(all(node.pop("__typename") == "User" for node in nodes), "__typename")
        _require(len({node.pop("id") for node in nodes}) == len(nodes), "an id for each user")
        _require(len({edge["cursor"] for edge in edges}) == len(nodes), "a cursor for each user")
        _require(isinstance(users["pageInfo"]["hasNextPage"], bool), "hasNextPage")
        return [_with_dates(node) for node in nodes]


class Floor(GraphQL):
    """The floor: GraphQL's replies, but a path for each operation, so no document to execute."""

    def requests(self, operation: Operation, seat: Seat) -> list[Request]:
        variables = self._variables(operation, seat)
        path = "/list" if operation in _LISTS else f"/{operation.name}"
        return [_post(path, seat, variables)]

    def read(self, operation: Operation, replies: Sequence[Any]) -> object:
        return super().read(LIST if operation in _LISTS else operation, replies)

    def walk(self, seat: Seat) -> Request:
        return self.requests(LIST, seat)[0]


class AdminQueries:
    """The REST API of Amplify's Admin Queries.

    It has no route for users with their groups: a client lists the users and then asks for the
    groups of each.
    """

    def requests(self, operation: Operation, seat: Seat) -> list[Request]:
        username = seat.person.username
        if operation is GET:
            return [self._get("/getUser", seat, username=username)]
        if operation is ADD:
            return [_post("/addUserToGroup", seat, {"username": username, "groupname": GROUP})]
        users = self.walk(seat)
        if operation is not GROUPS:
            return [users]
        return [users] + [
            self._get("/listGroupsForUser", seat, username=person.username, limit=10)
            for person in page_of(seat.number)
        ]

    def read(self, operation: Operation, replies: Sequence[Any]) -> object:
        first, *rest = replies
        if operation is GET:
            return self._read_user(first, first["UserAttributes"])
        if operation is ADD:
            return first["message"].removeprefix("Success adding ").removesuffix(f" to {GROUP}")
        if operation in _LISTS:
            return [self._read_user(user, user["Attributes"]) for user in first["Users"]]
        groups = [{group["GroupName"] for group in reply["Groups"]} for reply in rest]
        return [
            (user["Username"], names) for user, names in zip(first["Users"], groups, strict=True)
        ]

    def walk(self, seat: Seat) -> Request:
        token = {"token": seat.cursor} if seat.cursor else {}
        return self._get("/listUsers", seat, limit=PAGE_SIZE, **token)

    def next_cursor(self, reply: Any) -> str:
        return str(reply["NextToken"])

    def _get(self, path: str, seat: Seat, **query: object) -> Request:
        return Request("GET", f"{path}?{urlencode(query)}", _headers(seat))

    def _read_user(self, user: Any, attributes: Any) -> dict[str, object]:
        values = {attribute["Name"]: attribute["Value"] for attribute in attributes}
        return _with_dates(
            {
                "username": user["Username"],
                "sub": values["sub"],
                "email": values["email"],
                "emailVerified": values["email_verified"] == "true",
                "phoneNumber": values["phone_number"],
                "givenName": values["given_name"],
                "status": user["UserStatus"],
                "enabled": user["Enabled"],
                "createdAt": user["UserCreateDate"],
                "updatedAt": user["UserLastModifiedDate"],
            }
        )


def _headers(seat: Seat) -> dict[str, str]:
    return {"Authorization": f"Bearer {seat.token}", "Accept": "application/json"}


def _post(path: str, seat: Seat, body: Mapping[str, object]) -> Request:
    headers = {**_headers(seat), "Content-Type": "application/json"}
    return Request("POST", path, headers, json.dumps(body).encode())


def _with_dates(user: Mapping[str, Any]) -> dict[str, object]:
    dates = {key: datetime.fromisoformat(user[key]) for key in ("createdAt", "updatedAt")}
    return {**user, **dates}


def _require(held: object, what: str) -> None:
    if not held:
        raise ValueError(f"the reply must have {what}")
