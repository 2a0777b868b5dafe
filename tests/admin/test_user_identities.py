"""Identities of users: shown, linked and unlinked; by a scripted Cognito, since moto links none."""

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from graphql_admin.admin.user_identities import LinkInput, UnlinkInput
from graphql_admin.admin.users.identities import read_identities
from tests.support.api import Api
from tests.support.changes import endings, errors_of
from tests.support.scripted import (
    Reply,
    ScriptedCognito,
    failure,
    hang_up,
    held,
    raw,
    reply,
    user_of,
)

CANARY = "canary-id-4711"
"""A person's id at a provider, which must be in no log, event, metric, error or `repr`."""
LINK = """mutation ($input: LinkUserIdentityInput!) {
    done: linkUserIdentity(input: $input) {
        user { username identities { provider userId } } errors { code message field }
    }
}"""
UNLINK = """mutation ($input: UnlinkUserIdentityInput!) {
    done: unlinkUserIdentity(input: $input) {
        user { username identities { provider userId } } errors { code message field }
    }
}"""
GIVEN_LINK = {"username": "bob", "provider": "Google", "value": CANARY}
GIVEN_UNLINK = {"username": "bob", "provider": "Google", "userId": CANARY}
CHANGES = {
    "AdminLinkProviderForUser": (LINK, GIVEN_LINK),
    "AdminDisableProviderForUser": (UNLINK, GIVEN_UNLINK),
}
EACH = pytest.mark.parametrize("operation", CHANGES)
DOUBT = {
    "500": failure("InternalErrorException", 500),
    "hang up": hang_up(),
    "not JSON": raw(b"<html>"),
    "InvalidParameter": failure("InvalidParameterException"),
    "AliasExists": failure("AliasExistsException"),
    "NotAuthorized": failure("NotAuthorizedException"),
    "UserNotFound": failure("UserNotFoundException"),
}
CODES = {
    "500": "UPSTREAM_ERROR",
    "hang up": "UPSTREAM_ERROR",
    "not JSON": "UPSTREAM_ERROR",
    "InvalidParameter": "INVALID_VALUE",
    "AliasExists": "ALREADY_EXISTS",
    "NotAuthorized": "WRONG_STATE",
    "UserNotFound": "USER_NOT_FOUND",
}


def identity(provider: str = "Google", user_id: str = CANARY, **more: Any) -> dict[str, Any]:
    return {
        "userId": user_id,
        "providerName": provider,
        "providerType": provider,
        "issuer": None,
        "primary": "false",
        "dateCreated": "1700000000250",
        **more,
    }


def user(*identities: Any, status: str = "CONFIRMED", text: str | None = None) -> Reply:
    """Reply with bob, who has these identities, or this text in their place."""
    row = user_of("bob")
    value = text if text is not None else json.dumps(identities)
    row["UserAttributes"].append({"Name": "identities", "Value": value})
    return reply({**row, "UserStatus": status})


WITH, WITHOUT = user(identity()), user()
BEFORE = {"AdminLinkProviderForUser": WITHOUT, "AdminDisableProviderForUser": WITH}
AFTER = {"AdminLinkProviderForUser": WITH, "AdminDisableProviderForUser": WITHOUT}


def ask(api: Api, operation: str, **given: Any) -> Mapping[str, Any]:
    document, values = CHANGES[operation]
    payload: Mapping[str, Any] = api.send(document, {"input": {**values, **given}}).data["done"]
    return payload


# What is shown


@pytest.mark.usefixtures("paths")
def test_shown(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """They are in the user's attributes, so they take no call of their own."""
    texts = {
        "one": json.dumps([identity(primary="true")]),
        "odd": json.dumps([7, {"x": 1}, identity(userId=9, dateCreated=1, primary=False)]),
        "dates": json.dumps([identity(dateCreated=each) for each in ("9" * 40, "-1", "x", None)]),
        "empty": "",
        "broken": "[{",
        "no list": '{"a": 1}',
        "null": "null",
    }
    users = [
        {"Username": name, "Attributes": [{"Name": "identities", "Value": text}]}
        for name, text in texts.items()
    ]
    users.append({"Username": "none", "Attributes": []})
    scripted.on("ListUsers", reply({"Users": users}))
    answer = serve(scripted.url).send(
        "{ users { nodes { username identities { provider userId primary linkedAt } } } }"
    )
    shown = {node["username"]: node["identities"] for node in answer.data["users"]["nodes"]}
    whole = {"provider": "Google", "userId": CANARY, "linkedAt": "2023-11-14T22:13:20.250Z"}
    nothing = {"provider": None, "userId": None, "primary": None, "linkedAt": None}
    assert shown["one"] == [{**whole, "primary": True}]
    odd = {**nothing, "provider": "Google", "primary": False}
    odd["linkedAt"] = "1970-01-01T00:00:00.001Z"
    assert shown["odd"] == [nothing, nothing, odd]
    assert [each["linkedAt"] for each in shown["dates"]] == [None] * 4
    assert (shown["empty"], shown["none"]) == ([], [])
    assert (shown["broken"], shown["no list"], shown["null"]) == (None, None, None)
    assert scripted.operations() == ["ListUsers"]


# What is sent


@pytest.mark.usefixtures("paths")
@pytest.mark.parametrize("literal", [True, False], ids=["literal", "variable"])
@pytest.mark.parametrize(
    ("given", "attribute"), [({}, "Cognito_Subject"), ({"attribute": "email"}, "email")]
)
def test_link_as_sent(
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    literal: bool,
    given: dict[str, str],
    attribute: str,
) -> None:
    """The destination is the user on whom it was decided, and no other member is sent."""
    scripted.on("AdminGetUser", [WITHOUT, WITH])
    scripted.on("AdminLinkProviderForUser", reply({}))
    values = {**GIVEN_LINK, "username": "sub-of-bob", **given}
    document = LINK
    if literal:
        text = ", ".join(f"{name}: {json.dumps(value)}" for name, value in values.items())
        document = "mutation" + LINK[LINK.index(" {") :].replace("$input)", f"{{{text}}})")
    answer = serve(scripted.url).send(document, None if literal else {"input": values})
    assert answer.data["done"] == {
        "user": {"username": "bob", "identities": [{"provider": "Google", "userId": CANARY}]},
        "errors": [],
    }
    assert scripted.all_sent("AdminLinkProviderForUser") == [
        {
            "DestinationUser": {"ProviderName": "Cognito", "ProviderAttributeValue": "bob"},
            "SourceUser": {
                "ProviderName": "Google",
                "ProviderAttributeName": attribute,
                "ProviderAttributeValue": CANARY,
            },
        }
    ]


@pytest.mark.usefixtures("paths")
def test_unlink_as_sent(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """The identity is named by the person's id at the provider."""
    scripted.on("AdminGetUser", [WITH, WITHOUT])
    scripted.on("AdminDisableProviderForUser", reply({}))
    payload = ask(serve(scripted.url), "AdminDisableProviderForUser", username="sub-of-bob")
    assert payload == {"user": {"username": "bob", "identities": []}, "errors": []}
    assert scripted.all_sent("AdminDisableProviderForUser") == [
        {
            "User": {
                "ProviderName": "Google",
                "ProviderAttributeName": "Cognito_Subject",
                "ProviderAttributeValue": CANARY,
            }
        }
    ]


def test_calls_about_one_user(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """A change that names no `Username` counts against the quota of its user, too."""
    scripted.on("AdminGetUser", WITHOUT)
    scripted.on("AdminLinkProviderForUser", reply({}))
    api = serve(scripted.url, quotas={"PerUser": 2}, deadline=1)
    fields = " ".join(
        f'x{n}: linkUserIdentity(input: {{username: "bob", provider: "Google", value: "v{n}"}})'
        " { errors { code } }"
        for n in range(8)
    )
    assert "THROTTLED" in api.send(f"mutation {{ {fields} }}").codes


# What is refused before a call


@EACH
@pytest.mark.parametrize(
    ("given", "field"),
    [
        *(({"provider": name}, "provider") for name in ("Cognito", "cognito", " COGNITO ")),
        *(({"provider": name}, "provider") for name in ("", "a" * 33, "a\0", "a\n")),
        *(({"VALUE": value}, "VALUE") for value in ("", "a\0", "a" * 2049)),
    ],
)
def test_values_that_cannot_be(
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    operation: str,
    given: dict[str, str],
    field: str,
) -> None:
    """They are refused before anything is read; `Cognito` would switch off a password."""
    name = "value" if operation == "AdminLinkProviderForUser" else "userId"
    given = {name if key == "VALUE" else key: value for key, value in given.items()}
    payload = ask(serve(scripted.url), operation, **given)
    assert errors_of(payload) == [("INVALID_VALUE", name if field == "VALUE" else field)]
    assert scripted.requests == []
    assert scripted.authority == []


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (user(), "NOT_FOUND"),
        (user(identity(user_id="another")), "NOT_FOUND"),
        (user(identity(user_id=CANARY.upper())), "NOT_FOUND"),
        (user(identity("Facebook")), "NOT_FOUND"),
        (user(identity(), status="EXTERNAL_PROVIDER"), None),
        (user(identity(primary="true")), "WRONG_STATE"),
        (user(7, {}, identity()), None),
    ],
)
def test_only_what_is_theirs_is_unlinked(
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    tmp_path: Path,
    found: Reply,
    code: str | None,
) -> None:
    """The call names the identity and not the user, so it is sent only for the user's own."""
    scripted.on("AdminGetUser", found)
    scripted.on("AdminDisableProviderForUser", reply({}))
    api = serve(scripted.url, audit_file=tmp_path / "audit.jsonl")
    payload = ask(api, "AdminDisableProviderForUser")
    assert [error["code"] for error in payload["errors"]] == ([code] if code else [])
    assert len(scripted.all_sent("AdminDisableProviderForUser")) == (0 if code else 1)
    assert endings(tmp_path / "audit.jsonl") == [("failed" if code else "done", code)]


@EACH
def test_identities_that_cannot_be_read(
    serve: Callable[..., Api], scripted: ScriptedCognito, operation: str
) -> None:
    """Where it cannot be told which a user has, nothing is changed."""
    scripted.on("AdminGetUser", user(text="[{"))
    document, given = CHANGES[operation]
    answer = serve(scripted.url).send(document, {"input": given})
    assert answer.codes == ["UPSTREAM_ERROR"]
    assert scripted.all_sent(operation) == []


@pytest.mark.parametrize(
    ("found", "code", "field"),
    [
        (WITH, "ALREADY_EXISTS", "value"),
        (user(status="EXTERNAL_PROVIDER"), "WRONG_STATE", "username"),
        (failure("UserNotFoundException"), "USER_NOT_FOUND", "username"),
    ],
)
def test_link_that_cannot_be(
    serve: Callable[..., Api], scripted: ScriptedCognito, found: Reply, code: str, field: str
) -> None:
    """The user's state says so before the call."""
    scripted.on("AdminGetUser", found)
    payload = ask(serve(scripted.url), "AdminLinkProviderForUser")
    assert errors_of(payload) == [(code, field)]
    assert scripted.all_sent("AdminLinkProviderForUser") == []


POLICY = """
[groups]
Admins = ["*"]
Support = ["linkUserIdentity", "unlinkUserIdentity"]
[protected]
users = ["6f1c0000-0000-4000-8000-000000000000"]
"""


@EACH
@pytest.mark.parametrize(
    ("sub", "groups", "code"),
    [
        ("sub-of-bob", ["Admins"], "OUT_OF_SCOPE"),
        ("6f1c0000-0000-4000-8000-000000000000", [], "OUT_OF_SCOPE"),
        ("sub-of-sue", [], "OWN_ACCOUNT"),
        ("sub-of-bob", ["Customers"], None),
    ],
)
def test_on_whom(  # noqa: PLR0917  # fixtures and parameters
    serve_policy: Callable[..., Api],
    scripted: ScriptedCognito,
    operation: str,
    sub: str,
    groups: list[str],
    code: str | None,
) -> None:
    """It signs in as the user: not one with more rights, or protected, nor the caller."""
    scripted.people = {"sue": ["Support"]}
    row = user_of("bob", sub=sub)
    has = BEFORE[operation] is WITH
    identities = json.dumps([identity()] if has else [])
    row["UserAttributes"].append({"Name": "identities", "Value": identities})
    scripted.on("AdminGetUser", reply(row))
    scripted.on("AdminListGroupsForUser", reply({"Groups": [{"GroupName": g} for g in groups]}))
    scripted.on(operation, reply({}))
    api = serve_policy(POLICY)
    document, given = CHANGES[operation]
    token = api.token("Support", username="sue")
    keys = document.replace("identities { provider userId }", "")
    errors = api.send(keys, {"input": given}, token=token).data["done"]["errors"]
    assert [error["code"] for error in errors] == ([code] if code else [])
    assert len(scripted.all_sent(operation)) == (0 if code else 1)


# What Cognito says, and whether it is so


@EACH
@pytest.mark.parametrize("doubt", DOUBT)
def test_error_although_it_was_made(  # fixtures and parameters
    serve: Callable[..., Api], scripted: ScriptedCognito, tmp_path: Path, operation: str, doubt: str
) -> None:
    """The user's identities decide, and it is sent once."""
    scripted.on("AdminGetUser", [BEFORE[operation], AFTER[operation], AFTER[operation]])
    scripted.on(operation, DOUBT[doubt])
    api = serve(scripted.url, audit_file=tmp_path / "audit.jsonl")
    payload = ask(api, operation)
    assert payload["errors"] == []
    assert len(payload["user"]["identities"]) == (operation == "AdminLinkProviderForUser")
    assert len(scripted.all_sent(operation)) == 1
    assert endings(tmp_path / "audit.jsonl") == [("done", None)]


@EACH
@pytest.mark.parametrize("doubt", DOUBT)
def test_error_and_it_was_not_made(  # fixtures and parameters
    serve: Callable[..., Api], scripted: ScriptedCognito, tmp_path: Path, operation: str, doubt: str
) -> None:
    """The error stands, and it is sent once."""
    scripted.on("AdminGetUser", BEFORE[operation])
    scripted.on(operation, DOUBT[doubt])
    api = serve(scripted.url, audit_file=tmp_path / "audit.jsonl")
    document, given = CHANGES[operation]
    answer = api.send(document, {"input": given})
    codes = answer.codes or [each["code"] for each in answer.data["done"]["errors"]]
    assert codes == [CODES[doubt]]
    assert len(scripted.all_sent(operation)) == 1
    outcome = "unknown" if CODES[doubt] == "UPSTREAM_ERROR" else "failed"
    assert endings(tmp_path / "audit.jsonl") == [(outcome, CODES[doubt])]
    assert CANARY not in json.dumps([answer.errors, answer.partial])


@EACH
@pytest.mark.parametrize("doubt", ["500", "InvalidParameter"])
@pytest.mark.parametrize(
    "unread", [failure("InternalErrorException", 500), user(text="[{"), reply({"Username": "bob"})]
)
def test_error_and_it_cannot_be_told(  # noqa: PLR0917  # fixtures and parameters
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    tmp_path: Path,
    operation: str,
    doubt: str,
    unread: Reply,
) -> None:
    """Nothing is claimed: not even that an error by which nothing was changed is right."""
    calls = iter([BEFORE[operation]])
    scripted.on("AdminGetUser", lambda _: next(calls, unread))
    scripted.on(operation, DOUBT[doubt])
    api = serve(scripted.url, audit_file=tmp_path / "audit.jsonl")
    document, given = CHANGES[operation]
    answer = api.send(document, {"input": given})
    assert answer.codes == ["UPSTREAM_ERROR"]
    assert endings(tmp_path / "audit.jsonl") == [("unknown", "UPSTREAM_ERROR")]
    assert len(scripted.all_sent(operation)) == 1


@pytest.mark.parametrize(
    ("added", "code"),
    [(CANARY, None), ("another", "UPSTREAM_ERROR"), (None, "INVALID_VALUE")],
)
def test_link_by_another_attribute_in_doubt(
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    tmp_path: Path,
    added: str | None,
    code: str | None,
) -> None:
    """A new one of the provider with another id may be it, or of a concurrent change."""
    old = identity(user_id="old")
    new = [] if added is None else [identity(user_id=added)]
    after = user(old, *new)
    scripted.on("AdminGetUser", [user(old), after, after])
    scripted.on("AdminLinkProviderForUser", failure("InvalidParameterException"))
    api = serve(scripted.url, audit_file=tmp_path / "audit.jsonl")
    answer = api.send(LINK, {"input": {**GIVEN_LINK, "attribute": "email"}})
    codes = answer.codes or [each["code"] for each in answer.data["done"]["errors"]]
    assert codes == ([] if code is None else [code])
    outcome = {None: "done", "UPSTREAM_ERROR": "unknown"}.get(code, "failed")
    assert endings(tmp_path / "audit.jsonl") == [(outcome, code)]


@EACH
def test_time_is_kept_to_look(
    serve: Callable[..., Api], scripted: ScriptedCognito, operation: str
) -> None:
    """Where Cognito does not answer, there is time left to read the result."""
    never = threading.Event()
    scripted.on("AdminGetUser", [BEFORE[operation], AFTER[operation], AFTER[operation]])
    scripted.on(operation, held(never, reply({})))
    assert ask(serve(scripted.url, deadline=2), operation)["errors"] == []
    assert len(scripted.all_sent(operation)) == 1
    never.set()


@pytest.mark.parametrize(
    ("operation", "error", "code", "field"),
    [
        ("AdminLinkProviderForUser", "LimitExceededException", "LIMIT_EXCEEDED", None),
        ("AdminLinkProviderForUser", "AliasExistsException", "ALREADY_EXISTS", "value"),
        ("AdminLinkProviderForUser", "ResourceNotFoundException", "INVALID_VALUE", None),
        ("AdminLinkProviderForUser", "OperationNotEnabledException", "NOT_ENABLED", None),
        ("AdminDisableProviderForUser", "AliasExistsException", "ALREADY_EXISTS", None),
        ("AdminDisableProviderForUser", "ResourceNotFoundException", "NOT_FOUND", "userId"),
        ("AdminDisableProviderForUser", "OperationNotEnabledException", "NOT_ENABLED", None),
    ],
)
def test_declared_errors(  # noqa: PLR0917  # fixtures and parameters
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    operation: str,
    error: str,
    code: str,
    field: str | None,
) -> None:
    """Each has its code."""
    scripted.on("AdminGetUser", BEFORE[operation])
    scripted.on(operation, failure(error, detail=CANARY))
    payload = ask(serve(scripted.url), operation)
    assert errors_of(payload) == [(code, field)]
    assert CANARY not in json.dumps(payload)


@EACH
def test_personal_values_are_nowhere(
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    operation: str,
) -> None:
    """The person's id at the provider is in no log, event, metric, error or `repr`."""
    path = tmp_path / "audit.jsonl"
    api = serve(scripted.url, audit_file=path)
    document, given = CHANGES[operation]
    texts = []
    for answered in (*DOUBT.values(), reply({})):
        scripted.on("AdminGetUser", BEFORE[operation])
        scripted.on(operation, answered)
        answer = api.send(document, {"input": given})
        texts += [
            json.dumps(answer.errors),
            json.dumps((answer.partial["done"] or {}).get("errors")),
        ]
    wrong = {**given, "provider": "Cognito", "username": "b b"}
    texts.append(api.send(document, {"input": wrong}).response.text)
    logged = capfd.readouterr()
    texts += [logged.out, logged.err, path.read_text(), api.client.get("/metrics").text]
    texts += [
        repr(LinkInput(username="bob", provider="Google", value=CANARY)),
        repr(UnlinkInput(username="bob", provider="Google", user_id=CANARY)),
        repr(read_identities(json.dumps([identity()]))),
    ]
    assert [text for text in texts if CANARY in text] == []
