"""Sign-in events of users: listed and rated; by a scripted Cognito, since moto has none."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphql_admin.admin.user_auth_events import _read
from tests.support.api import Api
from tests.support.changes import endings, errors_of
from tests.support.scripted import Reply, ScriptedCognito, failure, reply, user_of

CANARIES = ("203.0.113.77", "Canary Browser", "Canaryville", "Canaryland", "canary-event-1")
"""What must be in no log, event, metric or `repr`."""

EVENT = {
    "EventId": "canary-event-1",
    "EventType": "SignIn",
    "CreationDate": 1_700_000_000.25,
    "EventResponse": "Fail",
    "EventRisk": {
        "RiskDecision": "AccountTakeover",
        "RiskLevel": "High",
        "CompromisedCredentialsDetected": False,
    },
    "ChallengeResponses": [
        {"ChallengeName": "Password", "ChallengeResponse": "Success"},
        {"ChallengeName": "Mfa", "ChallengeResponse": "Failure"},
    ],
    "EventContextData": {
        "IpAddress": "203.0.113.77",
        "DeviceName": "Canary Browser",
        "Timezone": "x",
        "City": "Canaryville",
        "Country": "Canaryland",
    },
    "EventFeedback": {"FeedbackValue": "Invalid", "Provider": "Admin"},
}
SHOWN = {
    "id": "canary-event-1",
    "kind": "SignIn",
    "at": "2023-11-14T22:13:20.250Z",
    "response": "Fail",
    "challenges": [
        {"name": "Password", "response": "Success"},
        {"name": "Mfa", "response": "Failure"},
    ],
    "riskLevel": "High",
    "riskDecision": "AccountTakeover",
    "compromisedCredentials": False,
    "ipAddress": "203.0.113.77",
    "device": "Canary Browser",
    "city": "Canaryville",
    "country": "Canaryland",
    "wasTheUser": False,
}
LIST = """query ($first: Int, $after: String) { user(by: {username: "bob"}) { username
    authEvents(first: $first, after: $after) {
        nodes { id kind at response challenges { name response } riskLevel riskDecision
            compromisedCredentials ipAddress device city country wasTheUser }
        edges { cursor node { id } } pageInfo { hasNextPage endCursor }
    }
} }"""
RATE = """mutation ($input: RateUserAuthEventInput!) {
    done: rateUserAuthEvent(input: $input) { user { username } errors { code message field } }
}"""


@pytest.fixture
def backend(scripted: ScriptedCognito) -> ScriptedCognito:
    """bob, and a Cognito that carries out what it is asked."""
    scripted.on("AdminGetUser", reply(user_of("bob")))
    scripted.on("AdminUpdateAuthEventFeedback", reply({}))
    return scripted


def pages(rows: list[dict[str, Any]], size: int) -> Callable[[dict[str, Any]], Reply]:
    """Script pages that are no longer than `size`; a limit by another name is 60, as is 0."""

    def script(parameters: dict[str, Any]) -> Reply:
        assert parameters["Username"] == "bob"
        assert "Limit" not in parameters
        limit = parameters.get("MaxResults") or 60
        start = int(parameters.get("NextToken", "at-0")[3:])
        end = start + min(size, limit)
        more = {"NextToken": f"at-{end}"} if end < len(rows) else {}
        return reply({"AuthEvents": rows[start:end], **more})

    return script


@pytest.mark.usefixtures("paths")
def test_list(serve: Callable[..., Api], backend: ScriptedCognito) -> None:
    """What Cognito says of an event is shown."""
    backend.on("AdminListUserAuthEvents", reply({"AuthEvents": [EVENT]}))
    answer = serve(backend.url).send(LIST)
    assert answer.data["user"]["authEvents"]["nodes"] == [SHOWN]
    assert backend.all_sent("AdminListUserAuthEvents") == [{"Username": "bob", "MaxResults": 25}]


ODD = [
    {"EventId": "e1", "EventType": "Teleport", "EventResponse": "Perhaps"},
    {"EventId": "e2", "EventRisk": {"RiskLevel": "Absurd", "RiskDecision": "Shrug"}},
    {"EventId": "e3", "EventRisk": None, "EventContextData": 7, "ChallengeResponses": "none"},
    {"EventId": "e4", "EventFeedback": {"FeedbackValue": "Maybe"}, "CreationDate": -1e30},
    {"EventId": "e5", "EventFeedback": {"FeedbackValue": ["Valid"]}, "EventType": 7},
    {
        "EventId": "e6",
        "CreationDate": 10**18,
        "EventRisk": {"CompromisedCredentialsDetected": "yes"},
    },
    {"EventType": "SignIn"},
    None,
]


def test_unknown_values(serve: Callable[..., Api], backend: ScriptedCognito) -> None:
    """Names that AWS adds are shown as they are; what cannot be read is null."""
    backend.on("AdminListUserAuthEvents", reply({"AuthEvents": [*ODD, EVENT]}))
    nodes = serve(backend.url).send(LIST).data["user"]["authEvents"]["nodes"]
    assert [node["id"] for node in nodes] == ["e1", "e2", "e3", "e4", "e5", "e6", "canary-event-1"]
    assert (nodes[0]["kind"], nodes[0]["response"]) == ("Teleport", "Perhaps")
    assert (nodes[1]["riskLevel"], nodes[1]["riskDecision"]) == ("Absurd", "Shrug")
    assert nodes[2]["challenges"] == []
    assert [node["wasTheUser"] for node in nodes] == [None] * 6 + [False]
    assert (nodes[3]["at"], nodes[4]["kind"], nodes[5]["at"]) == (None, None, None)
    assert nodes[5]["compromisedCredentials"] is None
    assert nodes[-1] == SHOWN


@pytest.mark.usefixtures("paths")
@pytest.mark.parametrize("first", [1, 7, 60])
def test_each_once(serve: Callable[..., Api], backend: ScriptedCognito, first: int) -> None:
    """Paged with `MaxResults`, every event comes once, however short Cognito's pages are."""
    rows = [{"EventId": f"e{number}"} for number in range(100)]
    backend.on("AdminListUserAuthEvents", pages(rows, 9))
    api, found, after = serve(backend.url), [], None
    while True:
        page = api.send(LIST, {"first": first, "after": after}).data["user"]["authEvents"]
        found += [node["id"] for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        assert len(page["nodes"]) == first
        after = page["pageInfo"]["endCursor"]
    assert found == [row["EventId"] for row in rows]
    limits = {each["MaxResults"] for each in backend.all_sent("AdminListUserAuthEvents")}
    assert limits == {first}


@pytest.mark.parametrize("first", [0, 61, -1])
def test_sizes_that_cannot_be(
    serve: Callable[..., Api], backend: ScriptedCognito, first: int
) -> None:
    """0 would be 60 to Cognito: it is refused, as elsewhere, before a call for the list."""
    assert serve(backend.url).send(LIST, {"first": first}).codes == ["BAD_USER_INPUT"]
    assert backend.all_sent("AdminListUserAuthEvents") == []


def test_cursor_of_another_list(serve: Callable[..., Api], backend: ScriptedCognito) -> None:
    """A cursor continues the list of the user whom it is of, and nothing else."""
    rows = [{"EventId": f"e{number}"} for number in range(10)]
    backend.on("AdminListUserAuthEvents", pages(rows, 60))
    api = serve(backend.url)
    after = api.send(LIST, {"first": 2}).data["user"]["authEvents"]["pageInfo"]["endCursor"]
    devices = "query ($after: String) { user(by: {username: %s}) { devices(after: $after) "
    devices += "{ nodes { key } } } }"
    assert api.send(devices % '"bob"', {"after": after}).codes == ["INVALID_CURSOR"]
    backend.on("AdminGetUser", reply(user_of("eve")))
    answer = api.send(LIST.replace('"bob"', '"eve"'), {"first": 2, "after": after})
    assert answer.codes == ["INVALID_CURSOR"]
    assert len(backend.all_sent("AdminListUserAuthEvents")) == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("UserPoolAddOnNotEnabledException", "NOT_ENABLED"),
        ("OperationNotEnabledException", "NOT_ENABLED"),
        ("UserNotFoundException", "USER_NOT_FOUND"),
        ("NotAuthorizedException", "UPSTREAM_ERROR"),
        ("ResourceNotFoundException", "UPSTREAM_ERROR"),
        ("InvalidParameterException", "BAD_USER_INPUT"),
        ("InternalErrorException", "UPSTREAM_ERROR"),
    ],
)
def test_errors_of_the_list(
    serve: Callable[..., Api], backend: ScriptedCognito, error: str, code: str
) -> None:
    """The list is null, its error says why, and the user is shown anyway."""
    backend.on("AdminListUserAuthEvents", failure(error, detail="arn:aws:iam::1:role/x"))
    answer = serve(backend.url).send(LIST)
    assert answer.codes == [code]
    assert answer.errors[0]["path"] == ["user", "authEvents"]
    assert answer.partial == {"user": {"username": "bob", "authEvents": None}}
    assert "arn" not in answer.response.text


@pytest.mark.usefixtures("paths")
def test_pool_without_the_plan(serve: Callable[..., Api], backend: ScriptedCognito) -> None:
    """A list of users stays whole, whichever of their lists the pool does not have."""
    users = [{"Username": f"u{n}", "Attributes": [], "Enabled": True} for n in range(3)]
    backend.on("ListUsers", reply({"Users": users}))
    backend.on("AdminListUserAuthEvents", failure("UserPoolAddOnNotEnabledException"))
    backend.on("AdminListDevices", reply({"Devices": [{"DeviceKey": "eu_0"}]}))
    answer = serve(backend.url).send(
        "{ users(first: 3) { nodes { username authEvents { nodes { id } } devices { nodes { key } }"
        " } } }"
    )
    assert answer.partial["users"]["nodes"] == [
        {"username": f"u{n}", "authEvents": None, "devices": {"nodes": [{"key": "eu_0"}]}}
        for n in range(3)
    ]
    assert sorted((each["extensions"]["code"], each["path"]) for each in answer.errors) == [
        ("NOT_ENABLED", ["users", "nodes", number, "authEvents"]) for number in range(3)
    ]


def test_sixty_users(serve: Callable[..., Api], backend: ScriptedCognito) -> None:
    """60 users with devices and events are priced; beyond the budget nothing is called."""
    users = [{"Username": f"u{n}", "Attributes": [], "Enabled": True} for n in range(60)]
    backend.on("ListUsers", reply({"Users": users}))
    backend.on("AdminListUserAuthEvents", reply({"AuthEvents": [EVENT]}))
    backend.on("AdminListDevices", reply({"Devices": []}))
    document = "{ users(first: 60) { nodes { devices { nodes { key } } authEvents { nodes { id } }"
    document += " } } }"
    assert serve(backend.url, max_calls=120).send(document).codes == ["QUERY_TOO_EXPENSIVE"]
    assert backend.requests == []
    rates = {"UserResourceRead": 1000}
    nodes = serve(backend.url, max_calls=121, quotas=rates).send(document).data["users"]["nodes"]
    assert len(nodes) == 60
    assert len(backend.requests) == 121


@pytest.mark.usefixtures("paths")
@pytest.mark.parametrize("literal", [True, False], ids=["literal", "variable"])
@pytest.mark.parametrize(("was", "value"), [(True, "Valid"), (False, "Invalid")])
def test_as_sent(
    serve: Callable[..., Api], backend: ScriptedCognito, literal: bool, was: bool, value: str
) -> None:
    """Exactly what Cognito takes is sent, with the username that it has for the user."""
    given = {"username": "sub-of-bob", "eventId": "a+B-_9", "wasTheUser": was}
    document = RATE
    if literal:
        text = ", ".join(f"{name}: {json.dumps(value)}" for name, value in given.items())
        document = "mutation" + RATE[RATE.index(" {") :].replace("$input)", f"{{{text}}})")
    payload = serve(backend.url).send(document, None if literal else {"input": given}).data["done"]
    assert payload == {"user": {"username": "bob"}, "errors": []}
    assert backend.all_sent("AdminUpdateAuthEventFeedback") == [
        {"Username": "bob", "EventId": "a+B-_9", "FeedbackValue": value}
    ]


@pytest.mark.parametrize(
    "given",
    [
        {"eventId": "e"},
        {"eventId": "e", "wasTheUser": None},
        {"eventId": None, "wasTheUser": True},
        {"eventId": "e", "wasTheUser": "Valid"},
    ],
)
def test_values_of_other_types(
    serve: Callable[..., Api], backend: ScriptedCognito, given: dict[str, Any]
) -> None:
    """They do not fit the schema; nothing is assumed in their place."""
    answer = serve(backend.url).send(RATE, {"input": {"username": "bob", **given}})
    assert answer.codes == ["BAD_USER_INPUT"]
    assert backend.requests == []


@pytest.mark.parametrize("event", ["", "a b", "a" * 51, "é", "a\n", "a/b"])
def test_ids_that_cannot_be(
    serve: Callable[..., Api], backend: ScriptedCognito, event: str
) -> None:
    """They are refused before anything is read."""
    given = {"username": "bob", "eventId": event, "wasTheUser": True}
    answer = serve(backend.url).send(RATE, {"input": given})
    assert errors_of(answer.data["done"]) == [("INVALID_VALUE", "eventId")]
    assert backend.requests == []
    assert backend.authority == []


@pytest.mark.parametrize(
    ("error", "code", "field"),
    [
        ("InvalidParameterException", "NOT_FOUND", "eventId"),
        ("ResourceNotFoundException", "NOT_FOUND", "eventId"),
        ("UserPoolAddOnNotEnabledException", "NOT_ENABLED", None),
        ("OperationNotEnabledException", "NOT_ENABLED", None),
        ("UserNotFoundException", "USER_NOT_FOUND", "username"),
        ("NotAuthorizedException", "WRONG_STATE", "username"),
    ],
)
def test_errors_of_rating(  # noqa: PLR0917  # fixtures and parameters
    serve: Callable[..., Api],
    backend: ScriptedCognito,
    tmp_path: Path,
    error: str,
    code: str,
    field: str | None,
) -> None:
    """Each declared error has its code; nothing was changed."""
    backend.on("AdminUpdateAuthEventFeedback", failure(error))
    api = serve(backend.url, audit_file=tmp_path / "audit.jsonl")
    given = {"username": "bob", "eventId": "e-1", "wasTheUser": False}
    payload = api.send(RATE, {"input": given}).data["done"]
    assert errors_of(payload) == [(code, field)]
    assert payload["user"] is None
    assert endings(tmp_path / "audit.jsonl") == [("failed", code)]


def test_missing_user(serve: Callable[..., Api], backend: ScriptedCognito) -> None:
    """The user is read first, so that a missing one is no missing event."""
    backend.on("AdminGetUser", failure("UserNotFoundException"))
    given = {"username": "nobody", "eventId": "e-1", "wasTheUser": False}
    payload = serve(backend.url).send(RATE, {"input": given}).data["done"]
    assert errors_of(payload) == [("USER_NOT_FOUND", "username")]
    assert backend.all_sent("AdminUpdateAuthEventFeedback") == []


def test_personal_values_are_nowhere(
    serve: Callable[..., Api],
    backend: ScriptedCognito,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """No IP address, city, device or id of an event is in a log, event, metric or `repr`."""
    backend.on("AdminListUserAuthEvents", reply({"AuthEvents": [*ODD, EVENT]}))
    path = tmp_path / "audit.jsonl"
    api = serve(backend.url, audit_file=path)
    assert "Canaryville" in api.send(LIST).response.text
    given = {"username": "bob", "eventId": "canary-event-1", "wasTheUser": False}
    api.send(RATE, {"input": given})
    backend.on("AdminUpdateAuthEventFeedback", failure("InternalErrorException", 500))
    failed = api.send(RATE, {"input": given})
    event = _read(EVENT)
    logged = capfd.readouterr()
    texts = [logged.out, logged.err, path.read_text(), failed.response.text, repr(event)]
    texts += [repr(event.challenges), api.client.get("/metrics").text]
    assert endings(path) == [("done", None), ("unknown", "UPSTREAM_ERROR")]
    assert [each for each in CANARIES for text in texts if each in text] == []
