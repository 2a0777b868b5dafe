import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import httpx2
import pytest

from graphql_admin.actions import Action
from graphql_admin.errors import (
    AdminError,
    BadUserInput,
    GroupNotFound,
    LimitExceeded,
    RejectedByTrigger,
    Throttled,
    UpstreamFailed,
    UserNotFound,
    WrongState,
)
from graphql_admin.web.amplify import ADMIN_QUERIES
from tests.support.api import Api
from tests.support.directory import Directory
from tests.support.scripted import ScriptedCognito, failure, reply
from tests.support.tokens import Pool

BOB = {
    "Username": "bob",
    "Attributes": [{"Name": "sub", "Value": "sub-of-bob"}, {"Name": "custom:d", "Value": "R&D"}],
    "UserCreateDate": 1_767_323_045.678,
    "UserLastModifiedDate": 1_767_323_046,
    "Enabled": True,
    "UserStatus": "CONFIRMED",
}
EDITORS = {
    "GroupName": "Editors",
    "UserPoolId": "eu-west-1_AbCdEf123",
    "Description": "Who edit",
    "Precedence": 0,
    "CreationDate": 1_767_323_045.678,
    "LastModifiedDate": 1_767_323_046,
}
REPLIES = {
    "ListUsers": {"Users": [BOB]},
    "AdminGetUser": {**BOB, "UserAttributes": BOB["Attributes"]},
    "ListUsersInGroup": {"Users": [BOB]},
    "ListGroups": {"Groups": [EDITORS]},
    "AdminListGroupsForUser": {"Groups": [EDITORS]},
}
CREATED, CHANGED = "2026-01-02T03:04:05.678Z", "2026-01-02T03:04:06.000Z"
BOB_SHOWN = {**BOB, "UserCreateDate": CREATED, "UserLastModifiedDate": CHANGED}
EDITORS_SHOWN = {**EDITORS, "CreationDate": CREATED, "LastModifiedDate": CHANGED}
NAMES = {"username": "bob", "groupname": "Editors"}

READING = {
    "getUser": {
        **{name: value for name, value in BOB_SHOWN.items() if name != "Attributes"},
        "UserAttributes": BOB["Attributes"],
    },
    "listUsers": {"Users": [BOB_SHOWN]},
    "listUsersInGroup": {"Users": [BOB_SHOWN]},
    "listGroups": {"Groups": [EDITORS_SHOWN]},
    "listGroupsForUser": {"Groups": [{"GroupName": "Editors", "Description": "Who edit"}]},
}
WRITING = {
    "addUserToGroup": "Success adding bob to Editors",
    "removeUserFromGroup": "Removed bob from Editors",
    "confirmUserSignUp": "Confirmed bob registration",
    "disableUser": "Disabled bob",
    "enableUser": "Enabled bob",
    "signUserOut": "Signed out bob from all devices",
}
ROUTES = [*READING, *WRITING]
CLOSED = [route for route in ROUTES if route != "signUserOut"]


class AdminQueries:
    """The routes, as Amplify's clients call them: with the bare token."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def send(
        self,
        route: str,
        parameters: dict[str, Any] | None = None,
        *,
        groups: tuple[str, ...] = ("Admins",),
        token: str | None = None,
        **options: Any,
    ) -> httpx2.Response:
        """Call a route with `parameters`, or with all that any route takes."""
        name = route.removesuffix("/")
        if token is None:
            if name in WRITING and name != "signUserOut":
                token = self.api.token_of_user(*groups)
            else:
                token = self.api.token(*groups, username="bob")
        headers = {"Authorization": token} if token else {}
        parameters = NAMES if parameters is None else parameters
        where = {"json": parameters} if name in WRITING else {"params": parameters}
        options = {**where, **options}
        options["headers"] = {**headers, **options.get("headers", {})}
        method = options.pop("method", "POST" if name in WRITING else "GET")
        return self.api.client.request(method, f"/AdminQueries/{route}", **options)


Start = Callable[..., AdminQueries]


@pytest.fixture
def scripted(shared_scripted: ScriptedCognito) -> ScriptedCognito:
    """A Cognito without scripts."""
    return shared_scripted


@pytest.fixture
def backend(scripted: ScriptedCognito) -> ScriptedCognito:
    """A Cognito that has one user and one group, and carries out whatever it is asked."""
    scripted.on_all(REPLIES)
    return scripted


@pytest.fixture
def start(shared_serve: Callable[..., Api], backend: ScriptedCognito) -> Start:
    """Start the server with the routes on."""
    return lambda **settings: AdminQueries(
        shared_serve(backend.url, **{"amplify": True} | settings)
    )


@pytest.fixture
def routes(start: Start) -> AdminQueries:
    """The routes, open to the group Admins."""
    return start()


@pytest.fixture
def staff(
    start: Start, policy_for_staff: Callable[[frozenset[Action]], Path]
) -> Callable[[frozenset[Action]], AdminQueries]:
    """Start the server with a policy that gives these actions to the group Staff."""
    return lambda actions: start(policy_file=policy_for_staff(actions))


def refusal(response: httpx2.Response) -> tuple[int, str]:
    """Return the status and the code of a refusal, which has a message and nothing else."""
    body = response.json()
    assert body.keys() == {"message", "code"}
    assert body["message"]
    assert response.headers["content-type"] == "application/json"
    return response.status_code, body["code"]


def test_every_route_of_admin_queries() -> None:
    """There are the eleven routes of Admin Queries, by the names of their actions."""
    assert {action.label for action in ADMIN_QUERIES} == set(ROUTES)
    assert len(ROUTES) == 11


@pytest.mark.parametrize("route", READING)
def test_reading(routes: AdminQueries, backend: ScriptedCognito, route: str) -> None:
    """A reply looks as Cognito's does, with dates as JavaScript writes them; one call is made."""
    response = routes.send(route)
    assert (response.status_code, response.json()) == (200, READING[route])
    assert len(backend.requests) == 1


@pytest.mark.parametrize("route", WRITING)
def test_writing(routes: AdminQueries, backend: ScriptedCognito, route: str) -> None:
    """What was done is said in Amplify's words; one call is made, and what decides on it."""
    response = routes.send(route)
    assert (response.status_code, response.json()) == (200, {"message": WRITING[route]})
    *reads, request = backend.requests
    taking = ["AdminGetUser"] if route == "disableUser" else []
    assert [read.operation for read in reads] == taking
    assert request.parameters["Username"] == "bob"


def test_what_is_not_set_is_left_out(routes: AdminQueries, scripted: ScriptedCognito) -> None:
    """A group without description, precedence and role is shown without them."""
    scripted.on("ListGroups", reply({"Groups": [{"GroupName": "Bare"}]}))
    assert routes.send("listGroups").json() == {
        "Groups": [{"GroupName": "Bare", "UserPoolId": "eu-west-1_AbCdEf123"}]
    }


@pytest.mark.parametrize(
    ("limit", "asked"), [(None, 25), ("", 25), ("0", 25), ("1", 1), ("60", 60)]
)
def test_limit(
    routes: AdminQueries, backend: ScriptedCognito, limit: str | None, asked: int
) -> None:
    """No limit, or 0, is 25; up to 60 is what it says."""
    assert routes.send("listUsers", {} if limit is None else {"limit": limit}).status_code == 200
    assert backend.requests[0].parameters == {"Limit": asked, "UserPoolId": "eu-west-1_AbCdEf123"}


@pytest.mark.parametrize("limit", ["61", "-1", "1.5", "ten", "\u0661", "1e1", "9" * 5000])
def test_limit_refused(routes: AdminQueries, backend: ScriptedCognito, limit: str) -> None:
    """Any other limit is refused before Cognito is called."""
    assert refusal(routes.send("listUsers", {"limit": limit})) == (400, "BAD_USER_INPUT")
    assert backend.requests == []


@pytest.mark.parametrize("route", ["listUsers", "listUsersInGroup", "listGroups"])
def test_pages(serve: Callable[..., Api], moto_url: str, directory: Directory, route: str) -> None:
    """NextToken leads through a list, each user once, and is absent on the last page."""
    directory.add_group("Editors")
    for number in range(5):
        directory.add_user(f"user{number}", "Editors")
        directory.add_group(f"Group{number}")
    routes = AdminQueries(serve(moto_url, directory.pool_id, amplify=True))
    found = []
    # Amplify's client for JavaScript writes a missing token so.
    parameters = {"groupname": "Editors", "limit": "2", "token": "undefined"}
    for _ in range(5):
        page = routes.send(route, parameters).json()
        found += [row.get("Username") or row["GroupName"] for row in page.get("Users", [])]
        found += [row["GroupName"] for row in page.get("Groups", [])]
        if "NextToken" not in page:
            break
        parameters["token"] = page["NextToken"]
    expected = {f"user{number}" for number in range(5)}
    if route == "listGroups":
        expected = {"Editors"} | {f"Group{number}" for number in range(5)}
    assert len(found) == len(expected)
    assert set(found) == expected


def test_token_of_another_list(routes: AdminQueries, scripted: ScriptedCognito) -> None:
    """A token that is garbage, or of another list, is refused."""
    scripted.on("ListUsers", reply({"Users": [BOB], "PaginationToken": "more"}))
    token = routes.send("listUsers", {"limit": "1"}).json()["NextToken"]
    assert refusal(routes.send("listGroups", {"token": token})) == (400, "INVALID_CURSOR")
    assert refusal(routes.send("listUsers", {"token": "garbage"})) == (400, "INVALID_CURSOR")
    # And the words that stand for no token are none themselves.
    assert "Users" in routes.send("listUsers", {"token": "null", "limit": "1"}).json()


@pytest.mark.parametrize(
    ("route", "aws_code", "refused"),
    [
        ("getUser", "UserNotFoundException", UserNotFound),
        ("listGroupsForUser", "UserNotFoundException", UserNotFound),
        ("listUsersInGroup", "ResourceNotFoundException", GroupNotFound),
        ("disableUser", "UserNotFoundException", UserNotFound),
        ("addUserToGroup", "ResourceNotFoundException", GroupNotFound),
        ("addUserToGroup", "LimitExceededException", LimitExceeded),
        ("confirmUserSignUp", "NotAuthorizedException", WrongState),
        ("confirmUserSignUp", "UserLambdaValidationException", RejectedByTrigger),
        ("enableUser", "InvalidParameterException", BadUserInput),
        ("listGroups", "AccessDeniedException", UpstreamFailed),
        ("disableUser", "AccessDeniedException", UpstreamFailed),
    ],
)
def test_errors(
    routes: AdminQueries,
    scripted: ScriptedCognito,
    route: str,
    aws_code: str,
    refused: type[AdminError],
) -> None:
    """What Cognito refuses has the status that it deserves, and nothing of what Cognito said."""
    operation = Action.labelled(route).operations[0]
    scripted.on(operation, failure(aws_code, detail="arn:aws:secret"))
    response = routes.send(route)
    assert refusal(response) == (refused.status, refused.code)
    assert "arn:" not in response.text


@pytest.mark.parametrize("route", ["enableUser", "listUsers"])
def test_throttled(serve: Callable[..., Api], scripted: ScriptedCognito, route: str) -> None:
    """What Cognito throttles until the deadline is refused as such."""
    (operation, *_) = Action.labelled(route).operations
    scripted.on(operation, failure("TooManyRequestsException", detail="arn:aws:secret"))
    response = AdminQueries(serve(scripted.url, amplify=True, deadline=2)).send(route)
    assert refusal(response) == (Throttled.status, Throttled.code)
    assert "arn:" not in response.text


def test_reply_that_makes_no_sense(routes: AdminQueries, scripted: ScriptedCognito) -> None:
    """A reply from Cognito without what every user has is Cognito's fault, without details."""
    scripted.on("ListUsers", reply({"Users": [{"Username": "bob"}]}))
    assert refusal(routes.send("listUsers")) == (502, "UPSTREAM_ERROR")


@pytest.mark.parametrize(
    ("route", "parameters"),
    [
        ("getUser", {}),
        ("getUser", {"username": ""}),
        ("getUser", {"username": "a\tb"}),
        ("listGroupsForUser", {"username": "a\tb"}),
        ("listUsersInGroup", {"username": "bob"}),
        ("addUserToGroup", {"username": "bob"}),
        ("disableUser", {"username": None}),
        ("disableUser", {"username": 5}),
        ("disableUser", {"username": "x" * 129}),
        ("signUserOut", {}),
    ],
)
def test_names_that_cannot_be_right(
    routes: AdminQueries, backend: ScriptedCognito, route: str, parameters: dict[str, Any]
) -> None:
    """A name that is missing, or can be no name, is refused before Cognito is called."""
    assert refusal(routes.send(route, parameters)) == (400, "BAD_USER_INPUT")
    assert backend.requests == []


@pytest.mark.parametrize("username", ["carol", "null", "undefined"])
def test_signing_others_out(routes: AdminQueries, backend: ScriptedCognito, username: str) -> None:
    """Administrators, too, sign out only themselves."""
    assert refusal(routes.send("signUserOut", {"username": username})) == (403, "FORBIDDEN")
    assert backend.requests == []


def test_signing_out(routes: AdminQueries, backend: ScriptedCognito) -> None:
    """Every signed-in user may sign themselves out."""
    assert routes.send("signUserOut", groups=()).status_code == 200
    assert backend.operations() == ["AdminUserGlobalSignOut"]


@pytest.mark.parametrize("route", CLOSED)
def test_denied_with_every_action_but_the_one(
    staff: Any, backend: ScriptedCognito, route: str
) -> None:
    """A caller with all other rights is refused, and Cognito is not called."""
    routes = staff(frozenset(Action) - {Action.labelled(route)})
    assert refusal(routes.send(route, groups=("Staff",))) == (403, "FORBIDDEN")
    assert backend.requests == []


@pytest.mark.parametrize("route", CLOSED)
def test_allowed_with_the_one_action(staff: Any, route: str) -> None:
    """The action of the route's name is all it takes."""
    routes = staff(frozenset({Action.labelled(route)}))
    assert routes.send(route, groups=("Staff",)).status_code == 200


@pytest.mark.parametrize("route", CLOSED)
@pytest.mark.parametrize("groups", [(), ("Readers",), ("staff",), ("Staff,Nobodys",), ("*",)])
def test_denied_to_others(
    staff: Any, backend: ScriptedCognito, groups: tuple[str, ...], route: str
) -> None:
    """A user in no group of the policy may only sign themselves out."""
    routes = staff(frozenset(Action))
    assert refusal(routes.send(route, groups=groups)) == (403, "FORBIDDEN")
    assert backend.requests == []


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("introspection", ["public", "authenticated"])
@pytest.mark.parametrize("token", ["", "a.b.c", "[object Object]"])
def test_denied_without_a_token(
    start: Start, backend: ScriptedCognito, route: str, introspection: str, token: str
) -> None:
    """Without a token, or with a bad one, there is nothing to get, even if the schema is public."""
    response = start(introspection=introspection).send(route, token=token)
    assert refusal(response) == (401, "UNAUTHENTICATED")
    assert response.headers["www-authenticate"] == "Bearer"
    assert backend.requests == []


@pytest.mark.parametrize(("setting", "status"), [("access", 401), ("access,id", 200)])
def test_id_token(start: Start, signing_key: Pool, setting: str, status: int) -> None:
    """An ID token is accepted if the settings allow it, and only then."""
    routes = start(token_use=setting)
    issuer = f"https://cognito-idp.eu-west-1.amazonaws.com/{routes.api.pool_id}"
    token = signing_key.id_token("bob", ["Admins"], iss=issuer)
    assert routes.send("listUsers", token=token).status_code == status


@pytest.mark.parametrize("route", ROUTES)
def test_disabled_action_has_no_route(start: Start, route: str) -> None:
    """Where an action is disabled its route is not there, and all others are."""
    routes = start(disabled_actions=route)
    for other in ROUTES:
        response = routes.send(other)
        if other == route:
            assert refusal(response) == (404, "NOT_FOUND")
        else:
            assert response.status_code == 200


def test_everything_but_one_disabled(start: Start) -> None:
    """A list of one group's users needs no other action."""
    others = ",".join(a.label for a in Action if a is not Action.LIST_USERS_IN_GROUP)
    assert start(disabled_actions=others).send("listUsersInGroup").status_code == 200


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
def test_off_by_default(
    shared_serve: Callable[..., Api], backend: ScriptedCognito, route: str, method: str
) -> None:
    """Unless they are switched on, no route answers."""
    routes = AdminQueries(shared_serve(backend.url))
    assert routes.send(route, method=method).status_code == 404
    assert backend.requests == []


def test_another_path(start: Start) -> None:
    """The routes are where the settings say, and nowhere else."""
    routes = start(amplify_path="/old/admin")
    assert routes.send("listUsers").status_code == 404
    headers = {"Authorization": routes.api.token("Admins")}
    assert routes.api.client.get("/old/admin/listUsers", headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["nothing", "", "listUsers/more", "/listUsers", "LISTUSERS"])
def test_unknown_route(routes: AdminQueries, path: str) -> None:
    """There is nothing at any other path."""
    assert refusal(routes.send(path)) == (404, "NOT_FOUND")


def test_trailing_slash(routes: AdminQueries) -> None:
    """A slash at the end makes no difference."""
    assert routes.send("listUsers/").json() == READING["listUsers"]
    response = routes.send("disableUser/")
    assert response.json() == {"message": "Disabled bob"}


ALLOWED = dict.fromkeys(READING, "GET, HEAD, OPTIONS") | dict.fromkeys(WRITING, "POST, OPTIONS")
"""What changes something takes a POST, what reads a GET or HEAD."""


@pytest.mark.parametrize(
    ("route", "method"),
    [
        (route, method)
        for route, method in product(ROUTES, ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
        if method not in ALLOWED[route].split(", ")
    ],
)
def test_other_methods(
    routes: AdminQueries, backend: ScriptedCognito, route: str, method: str
) -> None:
    """Any other method is refused with those that are allowed."""
    response = routes.send(route, method=method)
    assert response.status_code == 405
    assert response.headers["allow"] == ALLOWED[route]
    assert backend.requests == []


@pytest.mark.parametrize("route", ROUTES)
def test_options(routes: AdminQueries, backend: ScriptedCognito, route: str) -> None:
    """OPTIONS says which methods are allowed, without a token."""
    response = routes.send(route, method="OPTIONS", token="")
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["allow"] == ALLOWED[route]
    assert backend.requests == []


@pytest.mark.parametrize("route", READING)
def test_head(routes: AdminQueries, route: str) -> None:
    """HEAD is answered as GET is, without the body."""
    whole, head = routes.send(route), routes.send(route, method="HEAD")
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(whole.content)))


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"username": "j\xc3\xbcrgen"}'),
        ("application/json; charset=UTF-8", b'{"username": "j\xc3\xbcrgen", "more": [1]}'),
        (None, b'{"username": "j\xc3\xbcrgen"}'),
        ("application/x-www-form-urlencoded", b"username=j%C3%BCrgen"),
        ("application/x-www-form-urlencoded; charset=utf-8", b"more=1&username=j\xc3\xbcrgen"),
    ],
)
def test_bodies(
    routes: AdminQueries, backend: ScriptedCognito, content_type: str | None, body: bytes
) -> None:
    """A body is JSON, said or not, or a form."""
    headers = {"Content-Type": content_type} if content_type else {}
    response = routes.send("disableUser", json=None, content=body, headers=headers)
    assert response.json() == {"message": "Disabled jürgen"}
    assert backend.requests[0].parameters["Username"] == "jürgen"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; charset=utf8",
        "application/json ; Charset = UTF8",
        "application/json; charset='utf-8'; version=1",
        "application/json; charset=us-ascii",
    ],
)
def test_charsets_by_any_name_of_utf_8(routes: AdminQueries, content_type: str) -> None:
    """UTF-8 has names that no registry lists, and clients write them."""
    response = routes.send("disableUser", headers={"Content-Type": content_type})
    assert response.json() == {"message": "Disabled bob"}


PLUS = "bob+x"


@pytest.mark.parametrize("written", [PLUS, "bob%2Bx", "bob%2bx"])
@pytest.mark.parametrize(
    ("route", "name", "parameter", "operation"),
    [
        ("getUser", "username", "Username", "AdminGetUser"),
        ("listGroupsForUser", "username", "Username", "AdminListGroupsForUser"),
        ("listUsersInGroup", "groupname", "GroupName", "ListUsersInGroup"),
    ],
)
def test_a_plus_in_a_query_string_is_a_plus(  # noqa: PLR0917  # fixtures and parameters
    routes: AdminQueries,
    backend: ScriptedCognito,
    route: str,
    name: str,
    parameter: str,
    operation: str,
    written: str,
) -> None:
    """No name has a space in it, and not every client escapes a plus."""
    headers = {"Authorization": routes.api.token("Admins")}
    response = routes.api.client.get(f"/AdminQueries/{route}?{name}={written}", headers=headers)
    assert response.status_code == 200
    assert backend.sent(operation)[parameter] == PLUS


@pytest.mark.parametrize("written", [PLUS, "bob%2Bx"])
def test_a_plus_in_a_form_is_a_plus(routes: AdminQueries, written: str) -> None:
    """A form is read as a query string is."""
    body = f"username={written}".encode()
    response = routes.send("disableUser", json=None, content=body, headers=FORM)
    assert response.json() == {"message": f"Disabled {PLUS}"}


def test_a_space_in_a_query_string_is_in_no_name(
    routes: AdminQueries, backend: ScriptedCognito
) -> None:
    """A space that is written as one is refused, as ever."""
    headers = {"Authorization": routes.api.token("Admins")}
    path = "/AdminQueries/getUser?username=bob%20x"
    assert refusal(routes.api.client.get(path, headers=headers)) == INVALID
    assert backend.requests == []


@pytest.mark.parametrize(
    ("content_type", "body", "refused"),
    [
        ("text/plain", b'{"username": "bob"}', (415, "UNSUPPORTED_MEDIA_TYPE")),
        ("multipart/form-data; boundary=x", b"--x--", (415, "UNSUPPORTED_MEDIA_TYPE")),
        ("application/json; charset=utf-16", b"{}", (415, "UNSUPPORTED_MEDIA_TYPE")),
        ("application/json", b"", (400, "BAD_REQUEST")),
        ("application/json", b'["bob"]', (400, "BAD_REQUEST")),
        ("application/json", b'{"username": "\xff"}', (400, "BAD_REQUEST")),
        ("application/x-www-form-urlencoded", b"username=%FF", (400, "BAD_REQUEST")),
        ("application/x-www-form-urlencoded", b"username=\xff", (400, "BAD_REQUEST")),
        ("application/x-www-form-urlencoded", b"a=1&" * 101, (400, "BAD_REQUEST")),
        ("application/json", b" " * 300_000, (413, "PAYLOAD_TOO_LARGE")),
    ],
)
def test_bodies_refused(
    routes: AdminQueries,
    backend: ScriptedCognito,
    content_type: str,
    body: bytes,
    refused: tuple[int, str],
) -> None:
    """Anything else is refused, and does nothing."""
    headers = {"Content-Type": content_type}
    response = routes.send("disableUser", json=None, content=body, headers=headers)
    assert refusal(response) == refused
    assert backend.requests == []


def test_query_string_too_long(start: Start) -> None:
    """A query string has the same bound as a body."""
    response = start(max_body=1024).send("getUser", {"username": "x" * 1024})
    assert refusal(response) == (414, "URI_TOO_LONG")


@pytest.mark.parametrize(
    ("origin", "shared"), [("https://app.example.com", True), ("https://evil.example.com", False)]
)
@pytest.mark.parametrize(
    ("route", "options"),
    [
        ("listUsers", {}),
        ("disableUser", {"parameters": {}}),
        ("listUsers", {"token": ""}),
        ("listUsers", {"groups": ()}),
        ("nothing", {}),
        ("listUsers", {"method": "PUT"}),
    ],
)
def test_pages_of_other_origins(
    start: Start, origin: str, shared: bool, route: str, options: dict[str, Any]
) -> None:
    """Pages of the origins in the settings may read every answer, refusals too, and no others."""
    routes = start(cors_origins="https://app.example.com")
    response = routes.send(route, headers={"Origin": origin}, **options)
    assert ("access-control-allow-origin" in response.headers) is shared


@pytest.mark.parametrize("route", ROUTES)
def test_limits_of_documents_are_for_clients(start: Start, route: str) -> None:
    """However little a client's own document may hold, the routes work."""
    routes = start(max_aliases=0, max_depth=1, max_tokens=100, introspection="off")
    assert routes.send(route).status_code == 200


def test_calls_are_bounded(start: Start, scripted: ScriptedCognito) -> None:
    """A route makes no more calls to Cognito than a request may."""
    scripted.on(
        "ListUsers", [reply({"Users": [], "PaginationToken": str(page)}) for page in range(2)]
    )
    response = start(max_calls=2).send("listUsers")
    assert refusal(response) == (400, "QUERY_TOO_EXPENSIVE")
    assert len(scripted.requests) == 2


def test_audit(start: Start, tmp_path: Path) -> None:
    """A change leaves its event, carried out or refused, as in GraphQL."""
    log = tmp_path / "audit.jsonl"
    routes = start(audit_file=log)
    routes.send("addUserToGroup")
    routes.send("addUserToGroup", groups=())
    routes.send("listUsers")
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(event["action"], event["outcome"]) for event in events] == [
        ("addUserToGroup", "done"),
        ("addUserToGroup", "refused"),
    ]
    assert events[0]["target"] == {"username": "bob", "group": "Editors"}


FORM = {"Content-Type": "application/x-www-form-urlencoded"}
INVALID = (400, "BAD_USER_INPUT")


@pytest.mark.parametrize(
    ("route", "options", "target", "refused", "ending"),
    [
        ("disableUser", {"json": {"username": ""}}, ("", None), INVALID, "failed"),
        ("disableUser", {"content": b"username=", "headers": FORM}, ("", None), INVALID, "failed"),
        ("disableUser", {"json": {"username": ""}, "groups": ()}, ("", None),
         (403, "FORBIDDEN"), "refused"),
        ("addUserToGroup", {"json": {"username": "bob", "groupname": ""}}, ("bob", ""), INVALID,
         "failed"),
        ("addUserToGroup", {"json": {"username": "", "groupname": "Editors"}}, ("", "Editors"),
         INVALID, "failed"),
        ("signUserOut", {"json": {"username": ""}}, ("", None), (403, "FORBIDDEN"), "refused"),
        ("disableUser", {"json": {}}, None, INVALID, None),
        ("disableUser", {"json": {"username": None}}, None, INVALID, None),
        ("disableUser", {"json": {"username": ["bob"]}}, None, INVALID, None),
        ("addUserToGroup", {"json": {"username": "bob"}}, None, INVALID, None),
    ],
)  # fmt: skip
def test_audit_of_names_that_cannot_be_right(  # noqa: PLR0917  # fixtures and parameters
    start: Start,
    backend: ScriptedCognito,
    tmp_path: Path,
    route: str,
    options: dict[str, Any],
    target: tuple[str, str | None] | None,
    refused: tuple[int, str],
    ending: str | None,
) -> None:
    """An empty name is an attempt, as in GraphQL; without a string for each name there is none."""
    log = tmp_path / "audit.jsonl"
    assert refusal(start(audit_file=log).send(route, **{"json": None, **options})) == refused
    events = [json.loads(line) for line in log.read_text().splitlines()]
    aimed = [(event["target"]["username"], event["target"]["group"]) for event in events]
    assert aimed == ([] if target is None else [target])
    assert [event["outcome"] for event in events] == ([] if ending is None else [ending])
    assert backend.requests == []


@pytest.mark.parametrize(
    "path",
    [
        "/AdminQueries/getUser?username=",
        "/AdminQueries/listUsers?token=",
        "/AdminQueries/listGroupsForUser?username=",
        "/AdminQueries/listUsersInGroup?groupname=",
        "/graphql?query=",
    ],
)
@pytest.mark.parametrize("bytes_", ["%FF", "bob%C3", "%ED%A0%80"])
def test_query_string_that_is_not_utf_8(
    routes: AdminQueries, backend: ScriptedCognito, path: str, bytes_: str
) -> None:
    """What is not UTF-8 is refused: with a part of a name lost, it would be another's."""
    headers = {"Authorization": routes.api.token("Admins")}
    assert routes.api.client.get(path + bytes_, headers=headers).status_code == 400
    assert backend.requests == []


def test_status_that_is_new(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """A status that Cognito adds later is passed on as it came, by REST and beside `status`."""
    user = {"Username": "bob", "UserStatus": "TELEPORTED", "Enabled": True}
    scripted.on("AdminGetUser", reply(user))
    scripted.on("ListUsers", reply({"Users": [user]}))
    api = serve(scripted.url, amplify=True)
    headers = {"Authorization": api.token("Admins")}
    got = api.client.get("/AdminQueries/getUser?username=bob", headers=headers).json()
    assert got["UserStatus"] == "TELEPORTED"
    (listed,) = api.client.get("/AdminQueries/listUsers", headers=headers).json()["Users"]
    assert listed["UserStatus"] == "TELEPORTED"
    query = '{ user(by: {username: "bob"}) { status userStatus } }'
    assert api.send(query).data == {"user": {"status": "UNKNOWN", "userStatus": "TELEPORTED"}}
