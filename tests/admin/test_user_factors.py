"""A user's factors: read and set, authenticator apps deleted; on moto, and scripted otherwise."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphql_admin.actions import Action
from tests.support.api import Api
from tests.support.changes import document_of, endings, errors_of, events_in, go_without_plans
from tests.support.directory import Directory
from tests.support.scripted import ScriptedCognito, failure, hang_up, reply

SET = """mutation ($input: SetUserMfaInput!) {
    done: setUserMfa(input: $input) {
        user { username status authFactors { preferredMfa mfa } } errors { code message field }
    }
}"""
DELETE = """mutation ($input: DeleteUserTotpInput!) {
    done: deleteUserTotp(input: $input) { user { username } errors { code message field } }
}"""
FACTORS = "authFactors { preferredMfa mfa firstFactors }"
ORDINARY = " __schema { queryType { name } } }"
"""At the end of a document, it is executed in the ordinary way and not by a plan."""


def bob(**members: Any) -> dict[str, Any]:
    """Return what AdminGetUser replies."""
    attributes = [{"Name": "sub", "Value": "sub-of-bob"}]
    found = {"Username": "bob", "UserAttributes": attributes, "Enabled": True}
    return {**found, "UserStatus": "CONFIRMED", **members}


@pytest.fixture
def backend(scripted: ScriptedCognito) -> ScriptedCognito:
    """A Cognito with bob in it, who is found by his address too."""
    scripted.on("AdminGetUser", reply(bob()))
    scripted.on("AdminSetUserMFAPreference", reply({}))
    scripted.on("AdminDeleteSoftwareToken", reply({}))
    return scripted


# Against moto, checked by a plain client of it


def test_mfa_is_set(api: Api, directory: Directory) -> None:
    """A factor is preferred, and turned off; the payload shows both, read back."""
    directory.add_user("bob", phone_number="+15550100")
    done = api.send(SET, {"input": {"username": "bob", "sms": "PREFERRED"}}).data["done"]
    assert done["errors"] == []
    assert done["user"] == {
        "username": "bob",
        "status": "FORCE_CHANGE_PASSWORD",
        "authFactors": {"preferredMfa": "SMS_MFA", "mfa": ["SMS_MFA"]},
    }
    user = directory.user("bob")
    assert (user["PreferredMfaSetting"], user["UserMFASettingList"]) == ("SMS_MFA", ["SMS_MFA"])
    api.send(SET, {"input": {"username": "bob", "sms": "OFF"}})
    assert directory.user("bob")["UserMFASettingList"] == []


def test_factor_that_is_not_set_up(api: Api, directory: Directory) -> None:
    """That is the user's state, and the message names what it may be; nothing is changed."""
    directory.add_user("bob")
    (error,) = api.send(
        SET,
        {"input": {"username": "bob", "totp": "ON"}},
    ).data["done"]["errors"]
    assert (error["code"], error["field"]) == ("WRONG_STATE", "username")
    assert "have not set up a factor" in error["message"]
    assert directory.user("bob")["UserMFASettingList"] == []


def test_mfa_by_the_reply_about_the_user(api: Api, directory: Directory) -> None:
    """What AdminGetUser says of MFA is shown; moto could not be asked for more."""
    directory.add_user("bob", phone_number="+15550100")
    query = '{ user(by: {username: "bob"}) { username authFactors { preferredMfa mfa } } }'
    nothing: dict[str, Any] = {"preferredMfa": None, "mfa": []}
    assert api.send(query).data["user"]["authFactors"] == nothing
    directory.cognito.admin_set_user_mfa_preference(
        UserPoolId=directory.pool_id,
        Username="bob",
        SMSMfaSettings={"Enabled": True, "PreferredMfa": True},
    )
    some = {"preferredMfa": "SMS_MFA", "mfa": ["SMS_MFA"]}
    assert api.send(query).data["user"]["authFactors"] == some


# What is read


HAS = {"PreferredMfaSetting": "SMS_MFA", "UserMFASettingList": ["SMS_MFA", "PALM_MFA"]}
MORE = {**HAS, "Username": "bob", "ConfiguredUserAuthFactors": ["PASSWORD", "DREAM"]}
LIST_ROW = {"Username": "bob", "Attributes": [{"Name": "sub", "Value": "sub-of-bob"}]}
BY_NAME = '{ user(by: {username: "bob"}) { %s } }'
BY_SUB = '{ user(by: {sub: "sub-of-bob"}) { %s } }'
BY_KEY = (
    '{ _entities(representations: [{__typename: "User", username: "bob"}]) { ... on User { %s } } }'
)
ASK = "AdminGetUserAuthFactors"
MFA = "authFactors { __typename preferredMfa mfa }"
BY_FRAGMENT = "authFactors { ...F }"
F = " fragment F on UserAuthFactors { mfa firstFactors @include(if: true) }"


@pytest.mark.parametrize("ordinary", [False, True], ids=["plan", "ordinary"])
@pytest.mark.parametrize(
    ("document", "calls"),
    [
        (BY_NAME % MFA, ["AdminGetUser"]),
        (BY_NAME % FACTORS, ["AdminGetUser", ASK]),
        (BY_NAME % BY_FRAGMENT, ["AdminGetUser", ASK]),
        (BY_NAME % f"{MFA} authFactors {{ firstFactors }}", ["AdminGetUser", ASK]),
        (BY_NAME % f"a: {MFA} b: {FACTORS}", ["AdminGetUser", ASK]),
        (BY_SUB % MFA, ["ListUsers", ASK]),
        (BY_KEY % MFA, [ASK]),
        (BY_KEY % f"email {MFA}", ["AdminGetUser"]),
        (f"{{ users(first: 1) {{ nodes {{ {MFA} }} }} }}", ["ListUsers", ASK]),
    ],
)
def test_calls(
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    document: str,
    calls: list[str],
    ordinary: bool,
) -> None:
    """Where the reply about the user says it, no more is asked; names that are new are kept."""
    scripted.on("AdminGetUser", reply(bob(**HAS)))
    scripted.on("ListUsers", reply({"Users": [LIST_ROW]}))
    scripted.on(ASK, reply(MORE))
    document = document.rstrip()[:-1] + ORDINARY if ordinary else document
    answer = serve(scripted.url).send(document + (F if "...F" in document else ""))
    text = json.dumps(answer.data)
    selects_more = "firstFactors" in document or "...F" in document
    assert ('"PALM_MFA"' in text) == ("mfa" in document or "...F" in document)
    assert ('"DREAM"' in text) == selects_more
    assert scripted.operations() == calls


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ({"Username": "bob"}, {"preferredMfa": None, "mfa": [], "firstFactors": []}),
        (
            {"PreferredMfaSetting": "", "UserMFASettingList": None},
            {"preferredMfa": None, "mfa": [], "firstFactors": []},
        ),
        (
            {"PreferredMfaSetting": 7, "UserMFASettingList": [None, "X"]},
            {"preferredMfa": None, "mfa": ["X"], "firstFactors": []},
        ),
    ],
)
def test_replies_that_say_little(
    serve: Callable[..., Api], scripted: ScriptedCognito, said: dict[str, Any], shown: Any
) -> None:
    """What is not there, or not of the model's type, is not shown, and breaks nothing."""
    scripted.on("ListUsers", reply({"Users": [LIST_ROW]}))
    scripted.on(ASK, reply(said))
    answer = serve(scripted.url).send(f"{{ users {{ nodes {{ {FACTORS} }} }} }}")
    assert answer.data["users"]["nodes"] == [{"authFactors": shown}]


def test_list_stays_whole(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """A pool without the setting, and a user who is gone, leave the other users as they are."""
    rows = [{**LIST_ROW, "Username": f"u{number}"} for number in range(3)]
    scripted.on("ListUsers", reply({"Users": rows}))
    results = {
        "u0": failure("OperationNotEnabledException"),
        "u1": failure("UserNotFoundException"),
        "u2": reply(MORE),
    }
    scripted.on(ASK, lambda parameters: results[parameters["Username"]])
    answer = serve(scripted.url).send(f"{{ users {{ nodes {{ username {FACTORS} }} }} }}")
    factors = {"preferredMfa": "SMS_MFA", "mfa": HAS["UserMFASettingList"]}
    assert answer.partial["users"]["nodes"] == [
        {"username": "u0", "authFactors": None},
        {"username": "u1", "authFactors": None},
        {"username": "u2", "authFactors": {**factors, "firstFactors": ["PASSWORD", "DREAM"]}},
    ]
    (error,) = answer.errors
    assert error["extensions"]["code"] == "NOT_ENABLED"
    assert error["path"] == ["users", "nodes", 0, "authFactors"]


def test_right_of_its_own(serve_policy: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """Who may read a user may not read their factors for that, though the reply has them."""
    scripted.on("AdminGetUser", reply(bob(**HAS)))
    api = serve_policy('[groups]\nStaff = ["getUser"]\nSeers = ["getUser", "getUserAuthFactors"]')
    query = BY_NAME % f"username {MFA}"
    answer = api.send(query, groups=("Staff",))
    assert answer.partial == {"user": {"username": "bob", "authFactors": None}}
    assert answer.codes == ["FORBIDDEN"]
    assert "SMS_MFA" not in answer.response.text
    assert api.send(query, groups=("Seers",)).data["user"]["authFactors"]["mfa"]


# What is sent


def settings(enabled: bool, preferred: bool) -> dict[str, bool]:
    return {"Enabled": enabled, "PreferredMfa": preferred}


OFF, ON, PREFERRED = settings(False, False), settings(True, False), settings(True, True)


@pytest.mark.parametrize("way", ["variable", "fields", "literal", "ordinary"])
@pytest.mark.parametrize(
    ("given", "body"),
    [
        ({"sms": "OFF"}, {"SMSMfaSettings": OFF}),
        ({"sms": "ON"}, {"SMSMfaSettings": ON}),
        ({"totp": "PREFERRED"}, {"SoftwareTokenMfaSettings": PREFERRED}),
        ({"email": "ON", "sms": None}, {"EmailMfaSettings": ON}),
        ({"passkey": "ON"}, {"WebAuthnMfaSettings": {"Enabled": True}}),
        ({"passkey": "OFF"}, {"WebAuthnMfaSettings": {"Enabled": False}}),
        (
            {"sms": "OFF", "totp": "PREFERRED", "email": "ON", "passkey": "ON"},
            {
                "SMSMfaSettings": OFF,
                "SoftwareTokenMfaSettings": PREFERRED,
                "EmailMfaSettings": ON,
                "WebAuthnMfaSettings": {"Enabled": True},
            },
        ),
    ],
)
def test_mfa_as_sent(  # noqa: PLR0917  # fixtures and parameters
    serve: Callable[..., Api],
    backend: ScriptedCognito,
    given: dict[str, str | None],
    body: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    """Only the factors that are named are sent, to the user who was found."""
    name = "alias-of-bob"
    variables: dict[str, Any] = {}
    head = "mutation"
    fields = ", ".join(f"{each}: {value or 'null'}" for each, value in given.items())
    if way == "fields":
        names = ("sms", "totp", "email", "passkey")
        # A variable that is declared and not given is as if it was left out.
        head = f"mutation ({', '.join(f'${each}: FactorSetting' for each in names)})"
        fields, variables = ", ".join(f"{each}: ${each}" for each in names), dict(given)
    input_ = f'{{username: "{name}", {fields}}}'
    if way == "variable":
        head, input_ = "mutation ($input: SetUserMfaInput!)", "$input"
        variables = {"input": {"username": name, **given}}
    document = f"{head} {{ done: setUserMfa(input: {input_}) {{ errors {{ code }} }} }}"
    if way == "ordinary":
        go_without_plans(monkeypatch)
    api = serve(backend.url)
    assert api.send(document, variables).data["done"] == {"errors": []}
    assert backend.sent("AdminSetUserMFAPreference") == {"Username": "bob", **body}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, None),
        ({"sms": None, "passkey": None}, None),
        ({"passkey": "PREFERRED"}, "passkey"),
        ({"sms": "PREFERRED", "totp": "PREFERRED"}, "totp"),
        ({"email": "PREFERRED", "sms": "PREFERRED", "totp": "OFF"}, "email"),
    ],
)
def test_settings_that_cannot_be(
    serve: Callable[..., Api], backend: ScriptedCognito, given: dict[str, Any], field: str | None
) -> None:
    """They are refused before anything is read."""
    payload = serve(backend.url).send(SET, {"input": {"username": "bob", **given}}).data["done"]
    assert errors_of(payload) == [("INVALID_VALUE", field)]
    assert payload["user"] is None
    assert backend.requests == backend.authority == []


def test_totp_as_sent(serve: Callable[..., Api], backend: ScriptedCognito) -> None:
    """The user who was found loses the app, whatever name was given; the payload shows them."""
    answer = serve(backend.url).send(DELETE, {"input": {"username": "alias-of-bob"}})
    assert answer.data["done"] == {"user": {"username": "bob"}, "errors": []}
    assert backend.sent("AdminDeleteSoftwareToken") == {"Username": "bob"}


# What comes of it

SET_IT, DELETE_IT = "AdminSetUserMFAPreference", "AdminDeleteSoftwareToken"
CASES = {SET_IT: (SET, {"sms": "ON"}), DELETE_IT: (DELETE, {})}


@pytest.mark.parametrize(
    ("operation", "error", "code"),
    [
        (SET_IT, "InvalidParameterException", "WRONG_STATE"),
        (SET_IT, "NotAuthorizedException", "WRONG_STATE"),
        (SET_IT, "PasswordResetRequiredException", "WRONG_STATE"),
        (SET_IT, "UserNotConfirmedException", "WRONG_STATE"),
        (SET_IT, "UserNotFoundException", "USER_NOT_FOUND"),
        (SET_IT, "OperationNotEnabledException", "NOT_ENABLED"),
        (DELETE_IT, "InvalidParameterException", "WRONG_STATE"),
        (DELETE_IT, "ResourceNotFoundException", "WRONG_STATE"),
        (DELETE_IT, "NotAuthorizedException", "WRONG_STATE"),
        (DELETE_IT, "UserNotConfirmedException", "WRONG_STATE"),
        (DELETE_IT, "UserNotFoundException", "USER_NOT_FOUND"),
        (DELETE_IT, "OperationNotEnabledException", "NOT_ENABLED"),
    ],
)
def test_what_cognito_says(  # noqa: PLR0917  # fixtures and parameters
    serve: Callable[..., Api],
    backend: ScriptedCognito,
    tmp_path: Path,
    operation: str,
    error: str,
    code: str,
) -> None:
    """Each declared error has its code, and nothing was changed; Cognito's words go nowhere."""
    backend.on(operation, failure(error, detail="arn:aws:x bob@example.com"))
    document, given = CASES[operation]
    api = serve(backend.url, audit_file=tmp_path / "audit.jsonl")
    answer = api.send(document, {"input": {"username": "bob", **given}})
    payload = answer.data["done"]
    assert [each["code"] for each in payload["errors"]] == [code]
    assert "arn" not in answer.response.text
    assert payload["user"] is None
    assert backend.operations().count(operation) == 1
    assert endings(tmp_path / "audit.jsonl") == [("failed", code)]


@pytest.mark.parametrize("trouble", [failure("InternalErrorException", 500), hang_up()])
@pytest.mark.parametrize("operation", CASES)
def test_not_sent_again(
    serve: Callable[..., Api],
    backend: ScriptedCognito,
    tmp_path: Path,
    operation: str,
    trouble: Any,
) -> None:
    """In doubt it is not done again: the user may have set up another app meanwhile."""
    backend.on(operation, trouble)
    document, given = CASES[operation]
    api = serve(backend.url, audit_file=tmp_path / "audit.jsonl")
    assert api.send(document, {"input": {"username": "bob", **given}}).codes == ["UPSTREAM_ERROR"]
    assert backend.operations().count(operation) == 1
    assert endings(tmp_path / "audit.jsonl") == [("unknown", "UPSTREAM_ERROR")]


POLICY = """
[groups]
Admins = ["*"]
Support = ["setUserMfa", "deleteUserTotp"]
[protected]
users = ["6f1c0000-0000-4000-8000-000000000000"]
"""


@pytest.mark.parametrize("action", [Action.SET_USER_MFA, Action.DELETE_USER_TOTP])
@pytest.mark.parametrize(
    ("target", "groups", "sub", "code"),
    [
        ("an admin", ["Admins"], "sub-of-bob", "OUT_OF_SCOPE"),
        ("protected", [], "6f1c0000-0000-4000-8000-000000000000", "OUT_OF_SCOPE"),
        ("oneself", [], "sub-of-root", "OWN_ACCOUNT"),
        ("a customer", ["Customers"], "sub-of-bob", None),
    ],
)
def test_on_whom(  # noqa: PLR0917  # fixtures and parameters
    serve_policy: Callable[..., Api],
    backend: ScriptedCognito,
    tmp_path: Path,
    action: Action,
    target: str,
    groups: list[str],
    sub: str,
    code: str | None,
) -> None:
    """A helper changes nobody's factors who has more rights, nor their own, by any name."""
    found = bob(UserAttributes=[{"Name": "sub", "Value": sub}])
    backend.on("AdminGetUser", reply(found))
    backend.on("AdminListGroupsForUser", reply({"Groups": [{"GroupName": g} for g in groups]}))
    given = {"sms": "OFF"} if action is Action.SET_USER_MFA else {}
    answer = serve_policy(POLICY).send(
        document_of(action), {"input": {"username": "alias-of-bob", **given}}, groups=("Support",)
    )
    wrote = {SET_IT, DELETE_IT} & set(backend.operations())
    if code is None:
        assert errors_of(answer.data["done"]) == [], target
        assert wrote
        return
    assert errors_of(answer.data["done"]) == [(code, "username")]
    assert not wrote
    assert endings(tmp_path / "audit.jsonl") == [("refused", code)]


def test_event(serve: Callable[..., Api], backend: ScriptedCognito, tmp_path: Path) -> None:
    """The event says who did it to whom, and not to what effect."""
    api = serve(backend.url, audit_file=tmp_path / "audit.jsonl")
    document = SET
    api.send(document, {"input": {"username": "bob", "sms": "OFF"}})
    (event,) = events_in(tmp_path / "audit.jsonl")
    assert (event["action"], event["target"]) == ("setUserMfa", {"username": "bob", "group": None})
    assert "OFF" not in json.dumps(event)
