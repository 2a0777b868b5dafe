"""A user's sessions: listed, and ended one by one; moto has none, so Cognito is scripted."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY, generate_latest

from graphql_admin.admin.user_sessions import SessionInput, _read_session
from tests.support.api import Api
from tests.support.changes import endings, errors_of, go_without_plans
from tests.support.scripted import ScriptedCognito, failure, hang_up, reply

LIST, END = "AdminListUserSessions", "AdminRevokeUserSession"
ID = "tkn0123456789abcdefghijklmno"
SSO = "sso0123456789abcdefghijklmno"
CANARIES = {
    "LastIPAddress": "203.0.113.77",
    "DeviceType": "Canary Phone 9",
    "LastLocation": {"City": "Canaryville", "Country": "Canaria"},
}
SESSION = {
    "SessionId": ID,
    "SessionType": "TOKEN",
    "ClientId": "app1",
    "CreateDate": 1_700_000_000.25,
    "LastActiveDate": 1_700_000_100,
    "OriginSessionId": SSO,
    "IsCurrentSession": False,
    **CANARIES,
}
FIELDS = (
    "id kind clientId createdAt lastActiveAt deviceType lastIpAddress city country originSessionId"
)
SHOWN = {
    "id": ID,
    "kind": "TOKEN",
    "clientId": "app1",
    "createdAt": "2023-11-14T22:13:20.250Z",
    "lastActiveAt": "2023-11-14T22:15:00.000Z",
    "deviceType": "Canary Phone 9",
    "lastIpAddress": "203.0.113.77",
    "city": "Canaryville",
    "country": "Canaria",
    "originSessionId": SSO,
}
NOTHING = dict.fromkeys(SHOWN) | {"kind": "UNKNOWN"}
ROW = {"Username": "bob", "Attributes": [{"Name": "sub", "Value": "sub-of-bob"}]}
BOB = {
    "Username": "bob",
    "UserAttributes": ROW["Attributes"],
    "Enabled": True,
    "UserStatus": "CONFIRMED",
}
BY_NAME = f'{{ user(by: {{username: "bob"}}) {{ sessions {{ {FIELDS} }} }} }}'
END_IT = """mutation ($input: EndUserSessionInput!) {
    done: endUserSession(input: $input) {
        user { username sessions { id } } errors { code message field }
    }
}"""
ONLY = END_IT.replace("sessions { id }", "")


@pytest.fixture
def backend(scripted: ScriptedCognito) -> ScriptedCognito:
    """A Cognito with bob and his session in it, where aliases lead to him too."""
    scripted.on("AdminGetUser", reply(BOB))
    scripted.on("ListUsers", reply({"Users": [ROW]}))
    scripted.on(LIST, reply({"Sessions": [SESSION]}))
    scripted.on(END, reply({}))
    return scripted


# The list


@pytest.mark.parametrize("ordinary", [False, True], ids=["plan", "ordinary"])
def test_session_as_shown(
    serve: Callable[..., Api], backend: ScriptedCognito, ordinary: bool
) -> None:
    """All that Cognito says of it, but whether it is the current one, which it is not here."""
    document = BY_NAME[:-1] + " __schema { queryType { name } } }" if ordinary else BY_NAME
    assert serve(backend.url).send(document).data["user"]["sessions"] == [SHOWN]
    assert backend.sent(LIST) == {"Username": "bob"}


@pytest.mark.parametrize(
    ("document", "calls"),
    [
        ('{ user(by: {username: "alias-of-bob"}) { sessions { id } } }', ["AdminGetUser", LIST]),
        ('{ user(by: {sub: "sub-of-bob"}) { sessions { id } } }', ["ListUsers", LIST]),
        ("{ users { nodes { sessions { id } } } }", ["ListUsers", LIST]),
        (
            (
                '{ _entities(representations: [{__typename: "User", username: "alias-of-bob"}]) '
                "{ ... on User { sessions { id } } } }"
            ),
            ["AdminGetUser", LIST],
        ),
        (
            (
                'mutation { enableUser(input: {username: "alias-of-bob"}) '
                "{ user { sessions { id } } } }"
            ),
            ["AdminEnableUser", "AdminGetUser", LIST],
        ),
    ],
)
def test_username_that_is_asked_for(
    serve: Callable[..., Api], backend: ScriptedCognito, document: str, calls: list[str]
) -> None:
    """Whichever way leads to a user, it is by the username, and never by an alias."""
    backend.on("AdminEnableUser", reply({}))
    answer = serve(backend.url).send(document)
    assert ID in json.dumps(answer.data)
    assert backend.operations() == calls
    assert backend.sent(LIST) == {"Username": "bob"}


def test_oneself_by_the_token(serve: Callable[..., Api], backend: ScriptedCognito) -> None:
    """A caller who signs out sees what is left, by the username of the token."""
    backend.on("AdminUserGlobalSignOut", reply({}))
    answer = serve(backend.url).send(
        "mutation { signUserOut(input: {}) { user { sessions { id } } } }"
    )
    assert answer.data["signUserOut"]["user"]["sessions"] == [{"id": ID}]
    assert backend.sent(LIST) == {"Username": "root"}


@pytest.mark.parametrize(
    ("members", "shown"),
    [
        ({}, {}),
        ({"SessionType": "TOKEN"}, {"kind": "TOKEN"}),
        ({"SessionType": "SSO"}, {"kind": "SSO"}),
        ({"SessionType": "DREAM"}, {}),
        ({"SessionType": ["SSO"], "ClientId": 7, "CreateDate": "today", "LastLocation": []}, {}),
        ({"LastLocation": {"City": None, "Country": "Canaria"}}, {"country": "Canaria"}),
        ({"NewMember": {"a": [1]}}, {}),
        *(({"CreateDate": date, "LastActiveDate": date}, {}) for date in (1e300, -1e18, 10**18)),
        ({"CreateDate": True}, {}),
    ],
)
def test_sessions_that_say_little(
    serve: Callable[..., Api], backend: ScriptedCognito, members: Any, shown: Any
) -> None:
    """What is new, missing or of another type does not break the list."""
    backend.on(LIST, reply({"Sessions": [{"SessionId": SSO, **members}, SESSION]}))
    assert serve(backend.url).send(BY_NAME).data["user"]["sessions"] == [
        {**NOTHING, "id": SSO, **shown},
        SHOWN,
    ]


@pytest.mark.parametrize("said", [{}, {"Sessions": []}, {"Sessions": [], "NextToken": None}])
def test_no_sessions(serve: Callable[..., Api], backend: ScriptedCognito, said: Any) -> None:
    """An empty list is an answer."""
    backend.on(LIST, reply(said))
    assert serve(backend.url).send(BY_NAME).data == {"user": {"sessions": []}}


def test_largest_page_and_what_follows(serve: Callable[..., Api], backend: ScriptedCognito) -> None:
    """125 sessions come in one page; a token that leads on is followed to the end."""
    ids = [f"tkn{number:025}" for number in range(128)]
    pages = {
        None: reply({"Sessions": [{"SessionId": each} for each in ids[:125]], "NextToken": "a"}),
        "a": reply({"Sessions": [], "NextToken": "b"}),
        "b": reply({"Sessions": [{"SessionId": each} for each in ids[125:]]}),
    }
    backend.on(LIST, lambda parameters: pages[parameters.get("NextToken")])
    found = serve(backend.url).send(BY_NAME).data["user"]["sessions"]
    assert [each["id"] for each in found] == ids
    asked = [each.parameters for each in backend.requests if each.operation == LIST]
    assert [set(each) - {"UserPoolId", "Username"} for each in asked] == [
        set(),
        {"NextToken"},
        {"NextToken"},
    ]


@pytest.mark.parametrize("token", ["same", "new"])
def test_list_without_an_end(
    serve: Callable[..., Api], backend: ScriptedCognito, token: str
) -> None:
    """It is an error and not half a list, after no more calls than a request may take."""

    def page(parameters: dict[str, Any]) -> Any:
        number = int(parameters.get("NextToken", "0"))
        return reply({"Sessions": [SESSION], "NextToken": str(number + (token == "new"))})

    backend.on(LIST, page)
    answer = serve(backend.url, max_calls=20).send(BY_NAME)
    assert answer.partial == {"user": {"sessions": None}}
    assert answer.codes == ["QUERY_TOO_EXPENSIVE" if token == "new" else "UPSTREAM_ERROR"]
    assert len(backend.requests) <= 20


def test_list_stays_whole(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """A pool that keeps no sessions says so of each user, and the users are all there."""
    rows = [{**ROW, "Username": f"u{number}"} for number in range(60)]
    scripted.on("ListUsers", reply({"Users": rows}))
    scripted.on(LIST, failure("OperationNotEnabledException"))
    answer = serve(scripted.url).send("{ users(first: 60) { nodes { username sessions { id } } } }")
    nodes = [{"username": row["Username"], "sessions": None} for row in rows]
    assert answer.partial == {"users": {"nodes": nodes}}
    assert answer.codes == ["NOT_ENABLED"] * 60
    assert sorted(error["path"][2] for error in answer.errors) == list(range(60))
    assert {error["path"][3] for error in answer.errors} == {"sessions"}


@pytest.mark.parametrize(
    ("error", "codes"),
    [
        ("UserNotFoundException", []),
        ("OperationNotEnabledException", ["NOT_ENABLED"]),
        ("InvalidParameterException", ["BAD_USER_INPUT"]),
        ("NotAuthorizedException", ["UPSTREAM_ERROR"]),
        ("ResourceNotFoundException", ["UPSTREAM_ERROR"]),
        ("InternalErrorException", ["UPSTREAM_ERROR"]),
    ],
)
def test_what_cognito_says_of_the_list(
    serve: Callable[..., Api], backend: ScriptedCognito, error: str, codes: list[str]
) -> None:
    """Each declared error has its code at the field's path; a user who is gone has no list."""
    backend.on(LIST, failure(error, detail="arn:aws:x 203.0.113.77"))
    answer = serve(backend.url).send(BY_NAME)
    assert answer.partial == {"user": {"sessions": None}}
    assert answer.codes == codes
    assert "arn" not in answer.response.text


@pytest.mark.parametrize(("max_calls", "is_made"), [(121, True), (120, False)])
def test_price(
    serve: Callable[..., Api], scripted: ScriptedCognito, max_calls: int, is_made: bool
) -> None:
    """60 users with sessions and factors are read within the budget, or refused before a call."""
    rows = [{**ROW, "Username": f"u{number}"} for number in range(60)]
    scripted.on("ListUsers", reply({"Users": rows}))
    scripted.on(LIST, reply({"Sessions": [SESSION] * 125}))
    scripted.on("AdminGetUserAuthFactors", reply({"Username": "u"}))
    api = serve(scripted.url, max_calls=max_calls)
    document = "{ users(first: 60) { nodes { sessions { id } authFactors { mfa } } } }"
    answer = api.send(document)
    if is_made:
        assert len(answer.data["users"]["nodes"]) == 60
        assert len(scripted.requests) == 121
    else:
        assert answer.codes == ["QUERY_TOO_EXPENSIVE"]
        assert scripted.requests == []


# Ending one


@pytest.mark.parametrize(
    ("given", "linked"),
    [({}, "NONE"), ({"linked": False}, "NONE"), ({"linked": True}, "LINKED")],
)
@pytest.mark.parametrize("way", ["variable", "literal", "ordinary"])
@pytest.mark.parametrize("session", [ID, SSO])
def test_end_as_sent(  # noqa: PLR0917  # fixtures and parameters
    serve: Callable[..., Api],
    backend: ScriptedCognito,
    given: dict[str, bool],
    linked: str,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    session: str,
) -> None:
    """Cognito is told the username, whichever name was given, and always whether to go on."""
    fields = "".join(f", {name}: {json.dumps(value)}" for name, value in given.items())
    document = (
        'mutation { done: endUserSession(input: {username: "alias-of-bob", '
        f'sessionId: "{session}"{fields}}}) {{ user {{ username }} errors {{ code }} }} }}'
    )
    if way == "ordinary":
        go_without_plans(monkeypatch)
    variables = {"input": {"username": "alias-of-bob", "sessionId": session, **given}}
    api = serve(backend.url)
    answer = api.send(ONLY, variables) if way == "variable" else api.send(document)
    assert answer.data["done"] == {"user": {"username": "bob"}, "errors": []}
    assert backend.operations() == ["AdminGetUser", END]
    assert backend.sent(END) == {
        "Username": "bob",
        "SessionId": session,
        "RevokeAssociatedSessions": linked,
    }


def test_payload_shows_what_is_left(serve: Callable[..., Api], backend: ScriptedCognito) -> None:
    """The list is read after the change."""
    answer = serve(backend.url).send(END_IT, {"input": {"username": "bob", "sessionId": SSO}})
    assert answer.data["done"]["user"] == {"username": "bob", "sessions": [{"id": ID}]}
    assert backend.operations().index(END) < backend.operations().index(LIST)


@pytest.mark.parametrize(
    "session",
    [
        "",
        "tkn",
        ID[:-1],
        f"{ID}a",
        f"{ID}\n",
        ID.upper(),
        f"xyz{ID[3:]}",
        f"{ID[:-1]}ß",
        f"{ID[:-1]}٣",
        f"{ID[:-1]}\0",
        "a" * 10_000,
    ],
)
def test_ids_that_cannot_be(
    serve: Callable[..., Api], backend: ScriptedCognito, session: str
) -> None:
    """They are refused before anything is read, and not repeated."""
    given = {"username": "bob", "sessionId": session}
    answer = serve(backend.url).send(ONLY, {"input": given})
    assert errors_of(answer.data["done"]) == [("INVALID_VALUE", "sessionId")]
    assert backend.requests == backend.authority == []


@pytest.mark.parametrize("given", [{}, {"sessionId": None}, {"sessionId": ID, "linked": None}])
def test_inputs_that_do_not_fit(
    serve: Callable[..., Api], backend: ScriptedCognito, given: dict[str, Any]
) -> None:
    """The session must be named, and whether others are ended is true or false."""
    answer = serve(backend.url).send(ONLY, {"input": {"username": "bob", **given}})
    assert answer.codes == ["BAD_USER_INPUT"]
    assert backend.requests == []


@pytest.mark.parametrize(
    ("error", "code", "field"),
    [
        ("ResourceNotFoundException", "NOT_FOUND", "sessionId"),
        ("UserNotFoundException", "USER_NOT_FOUND", "username"),
        ("InvalidParameterException", "INVALID_VALUE", None),
        ("NotAuthorizedException", "WRONG_STATE", "username"),
        ("OperationNotEnabledException", "NOT_ENABLED", None),
    ],
)
def test_what_cognito_says(  # noqa: PLR0917  # fixtures and parameters
    serve: Callable[..., Api],
    backend: ScriptedCognito,
    tmp_path: Path,
    error: str,
    code: str,
    field: str | None,
) -> None:
    """Each declared error has its code, and no session was ended."""
    backend.on(END, failure(error, detail="arn:aws:x 203.0.113.77"))
    api = serve(backend.url, audit_file=tmp_path / "audit.jsonl")
    answer = api.send(ONLY, {"input": {"username": "bob", "sessionId": ID}})
    assert errors_of(answer.data["done"]) == [(code, field)]
    assert answer.data["done"]["user"] is None
    assert "arn" not in answer.response.text
    assert endings(tmp_path / "audit.jsonl") == [("failed", code)]


@pytest.mark.parametrize("trouble", [failure("InternalErrorException", 500), hang_up()])
def test_not_sent_again(
    serve: Callable[..., Api], backend: ScriptedCognito, tmp_path: Path, trouble: Any
) -> None:
    """In doubt it is not done again: that it is gone would not say whether the linked ones are."""
    backend.on(END, trouble)
    api = serve(backend.url, audit_file=tmp_path / "audit.jsonl")
    given = {"username": "bob", "sessionId": ID, "linked": True}
    assert api.send(ONLY, {"input": given}).codes == ["UPSTREAM_ERROR"]
    assert backend.operations().count(END) == 1
    assert endings(tmp_path / "audit.jsonl") == [("unknown", "UPSTREAM_ERROR")]


POLICY = """
[groups]
Admins = ["*"]
Support = ["endUserSession"]
[protected]
users = ["6f1c0000-0000-4000-8000-000000000000"]
"""


@pytest.mark.parametrize(
    ("groups", "sub", "code"),
    [
        (["Admins"], "sub-of-bob", "OUT_OF_SCOPE"),
        ([], "6f1c0000-0000-4000-8000-000000000000", "OUT_OF_SCOPE"),
        ([], "sub-of-root", None),
        (["Customers"], "sub-of-bob", None),
    ],
    ids=["an admin", "protected", "oneself", "a customer"],
)
def test_on_whom(  # noqa: PLR0917  # fixtures and parameters
    serve_policy: Callable[..., Api],
    backend: ScriptedCognito,
    tmp_path: Path,
    groups: list[str],
    sub: str,
    code: str | None,
) -> None:
    """A helper ends no session of who has more rights, and may end their own."""
    attributes = [{"Name": "sub", "Value": sub}]
    backend.on("AdminGetUser", reply({**BOB, "UserAttributes": attributes}))
    backend.on("AdminListGroupsForUser", reply({"Groups": [{"GroupName": g} for g in groups]}))
    document = ONLY.replace("user { username  }", "")
    api = serve_policy(POLICY)
    answer = api.send(
        document, {"input": {"username": "alias-of-bob", "sessionId": ID}}, groups=("Support",)
    )
    assert errors_of(answer.data["done"]) == ([(code, "username")] if code else [])
    assert (END in backend.operations()) == (code is None)
    assert endings(tmp_path / "audit.jsonl") == [("refused", code) if code else ("done", None)]


# Nothing of it goes anywhere else


@pytest.mark.parametrize(
    "said",
    [
        reply({"Sessions": [SESSION, {"SessionType": "TOKEN", **CANARIES}]}),
        reply({"Sessions": {ID: CANARIES}}),
        reply({"Sessions": [{**SESSION, "CreateDate": 1e300}]}),
        failure("InternalErrorException", 500, detail=json.dumps(CANARIES)),
        failure("InvalidParameterException", detail=json.dumps(CANARIES)),
    ],
    ids=["incomplete", "no list", "no date", "failed", "invalid"],
)
def test_canaries(  # noqa: PLR0917  # fixtures and parameters
    serve: Callable[..., Api],
    backend: ScriptedCognito,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    said: Any,
) -> None:
    """No address, place, device or session is in a log, event, metric or error."""
    backend.on(LIST, said)
    backend.on(END, failure("ResourceNotFoundException", detail=json.dumps(SESSION)))
    api = serve(backend.url, audit_file=tmp_path / "audit.jsonl")
    listed = api.send(BY_NAME)
    api.send(END_IT, {"input": {"username": "bob", "sessionId": ID}})
    api.send(ONLY, {"input": {"username": "bob", "sessionId": f"{ID}x"}})
    api.send(
        f'mutation {{ endUserSession(input: {{username: "bob", sessionId: "{ID}"}}) {{ no }} }}'
    )
    output = capfd.readouterr()
    where = [
        caplog.text,
        output.out + output.err,
        (tmp_path / "audit.jsonl").read_text(),
        generate_latest(REGISTRY).decode(),
        json.dumps(listed.errors),
    ]
    assert len(where[2].splitlines()) == 2
    for canary in (ID, ID[3:], SSO, "203.0.113", "Canary"):
        assert [text for text in where if canary in text] == []


def test_repr() -> None:
    """What a traceback may show of it is not the session."""
    given = SessionInput(username="bob", session_id=ID)
    assert repr(given) == "SessionInput(…)"
    assert repr(_read_session(SESSION)) == "UserSession(…)"
