"""Passwords set and reset, invitations sent again: on moto, and scripted otherwise."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.changes import endings
from tests.support.directory import Directory
from tests.support.leaks import PASSWORD
from tests.support.scripted import Reply, ScriptedCognito, failure, hang_up, reply

SET = """mutation ($input: SetUserPasswordInput!) {
    setUserPassword(input: $input) { user { username status } errors { code message field } }
}"""
RESET = """mutation ($input: ResetUserPasswordInput!) {
    resetUserPassword(input: $input) { user { username status } errors { code message field } }
}"""
RESEND = """mutation ($input: ResendInvitationInput!) {
    resendInvitation(input: $input) { user { username status } errors { code message field } }
}"""
GOOD = PASSWORD
"""What must be in no output; `conftest` checks that."""


def ask(api: Api, document: str, **given: Any) -> Mapping[str, Any]:
    """Return the payload of a mutation."""
    (payload,) = api.send(document, {"input": given}).data.values()
    return payload  # type: ignore[no-any-return]


def codes(payload: Mapping[str, Any]) -> list[str]:
    return [error["code"] for error in payload["errors"]]


# Against moto, checked by a plain client of it


def sign_in(directory: Directory, username: str, password: str) -> Mapping[str, Any]:
    """Sign in as a user does, and return what Cognito replies."""
    cognito, pool_id = directory.cognito, directory.pool_id
    client = cognito.create_user_pool_client(
        UserPoolId=pool_id,
        ClientName="app",
        ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
    )["UserPoolClient"]["ClientId"]
    return cognito.admin_initiate_auth(
        UserPoolId=pool_id,
        ClientId=client,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": username, "PASSWORD": password},
    )


@pytest.mark.parametrize(
    ("permanent", "status"),
    [(None, "FORCE_CHANGE_PASSWORD"), (False, "FORCE_CHANGE_PASSWORD"), (True, "CONFIRMED")],
)
def test_password_is_set(
    api: Api, directory: Directory, permanent: bool | None, status: str
) -> None:
    """The user signs in with it; with a temporary one, to choose another."""
    directory.add_user("bob")
    given = {} if permanent is None else {"permanent": permanent}
    done = ask(api, SET, username="bob", password=GOOD, **given)
    assert done == {"user": {"username": "bob", "status": status}, "errors": []}
    assert directory.user("bob")["UserStatus"] == status
    signed_in = sign_in(directory, "bob", GOOD)
    assert ("AuthenticationResult" in signed_in) == (status == "CONFIRMED")
    assert signed_in.get("ChallengeName") in {None, "NEW_PASSWORD_REQUIRED"}


def test_password_that_the_pool_does_not_admit(api: Api, directory: Directory) -> None:
    """The pool's policy has its own code, and nothing is changed."""
    directory.add_user("bob")
    assert ask(api, SET, username="bob", password="short")["errors"] == [
        {
            "code": "PASSWORD_REJECTED",
            "message": "The password does not meet the user pool's policy.",
            "field": "password",
        }
    ]
    assert directory.user("bob")["UserStatus"] == "FORCE_CHANGE_PASSWORD"


def confirmed(directory: Directory, username: str, **attributes: str) -> None:
    directory.add_user(username, **attributes)
    directory.cognito.admin_set_user_password(
        UserPoolId=directory.pool_id, Username=username, Password=GOOD, Permanent=True
    )


def test_password_is_reset(api: Api, directory: Directory) -> None:
    """The user must choose another; moto still lets them sign in."""
    confirmed(directory, "bob", email="bob@example.com", email_verified="true")
    done = ask(api, RESET, username="bob")
    assert done == {"user": {"username": "bob", "status": "RESET_REQUIRED"}, "errors": []}
    assert directory.user("bob")["UserStatus"] == "RESET_REQUIRED"


@pytest.mark.parametrize("state", ["invited", "disabled", "without an address"])
def test_password_that_cannot_be_reset(api: Api, directory: Directory, state: str) -> None:
    """That is the user's state, whatever Cognito calls it; the message names what it may be."""
    address = {} if state == "without an address" else {"email": "b@x.org"}
    if state == "invited":
        directory.add_user("bob", **address, email_verified="true")
    else:
        confirmed(directory, "bob", **address)
    if state == "disabled":
        directory.cognito.admin_disable_user(UserPoolId=directory.pool_id, Username="bob")
    (error,) = ask(api, RESET, username="bob")["errors"]
    assert (error["code"], error["field"]) == ("WRONG_STATE", "username")
    assert "verified e-mail address" in error["message"]


def test_invitation_is_sent_again(api: Api, directory: Directory) -> None:
    """Who was invited is invited again; who was not, and who is not there, is not."""
    directory.add_user("bob", email="bob@example.com")
    assert codes(ask(api, RESEND, username="bob")) == []
    assert directory.user("bob")["UserStatus"] == "FORCE_CHANGE_PASSWORD"
    confirmed(directory, "eve", email="eve@example.com")
    before = directory.user("eve")["UserAttributes"]
    assert codes(ask(api, RESEND, username="eve")) == ["WRONG_STATE"]
    assert directory.user("eve")["UserAttributes"] == before
    assert codes(ask(api, RESEND, username="nobody")) == ["USER_NOT_FOUND"]
    users = directory.cognito.list_users(UserPoolId=directory.pool_id)["Users"]
    assert {user["Username"] for user in users} == {"bob", "eve", "root"}


def test_invitation_in_a_pool_of_addresses(
    serve: Callable[..., Api], moto_url: str, cognito: Any, tmp_path: Path
) -> None:
    """Where usernames are e-mail addresses, the invitation is asked for by the address.

    moto makes another user whom it invites, and that is said.
    """
    pool_id = cognito.create_user_pool(PoolName="addresses", UsernameAttributes=["email"])[
        "UserPool"
    ]["Id"]
    directory = Directory(cognito, pool_id)
    sub = directory.add_user("bob@example.com", email="bob@example.com")
    api = serve(moto_url, pool_id, audit_file=tmp_path / "audit.jsonl")
    root = directory.add_user("root@example.com")
    directory.add_group("Admins")
    cognito.admin_add_user_to_group(
        UserPoolId=pool_id, Username="root@example.com", GroupName="Admins"
    )
    token = api.token("Admins", username=root, sub=root)
    for name in ("bob@example.com", sub):
        answer = api.send(RESEND, {"input": {"username": name}}, token=token)
        (error,) = answer.data["resendInvitation"]["errors"]
        assert (error["code"], error["field"]) == ("WRONG_STATE", "username")
        assert "another user" in error["message"]
    assert endings(tmp_path / "audit.jsonl") == [("unknown", "WRONG_STATE")] * 2


# Scripted: what Cognito says; `test_statuses.py` has every status


def user(status: str, *, name: str = "bob", **attributes: str) -> dict[str, Any]:
    """Return what AdminGetUser replies."""
    given = {"sub": "sub-of-bob", **attributes}
    return {
        "Username": name,
        "UserAttributes": [{"Name": n, "Value": value} for n, value in given.items()],
        "Enabled": True,
        "UserStatus": status,
    }


OK = reply({})
CREATED = reply({"User": {"Username": "bob"}})
DOCUMENTS = {
    "AdminSetUserPassword": (SET, {"password": GOOD}),
    "AdminResetUserPassword": (RESET, {}),
    "AdminCreateUser": (RESEND, {}),
}


@pytest.mark.parametrize(
    ("operation", "error", "code"),
    [
        ("AdminSetUserPassword", "InvalidPasswordException", "PASSWORD_REJECTED"),
        ("AdminSetUserPassword", "PasswordHistoryPolicyViolationException", "PASSWORD_REJECTED"),
        ("AdminSetUserPassword", "InvalidParameterException", "INVALID_VALUE"),
        ("AdminSetUserPassword", "OperationNotEnabledException", "NOT_ENABLED"),
        ("AdminResetUserPassword", "InvalidParameterException", "WRONG_STATE"),
        ("AdminResetUserPassword", "LimitExceededException", "LIMIT_EXCEEDED"),
        ("AdminResetUserPassword", "InvalidEmailRoleAccessPolicyException", "DELIVERY_FAILED"),
        ("AdminResetUserPassword", "UserLambdaValidationException", "REJECTED_BY_TRIGGER"),
        ("AdminCreateUser", "CodeDeliveryFailureException", "DELIVERY_FAILED"),
        ("AdminCreateUser", "InvalidSmsRoleTrustRelationshipException", "DELIVERY_FAILED"),
        ("AdminCreateUser", "UnsupportedUserStateException", "WRONG_STATE"),
        ("AdminCreateUser", "PreconditionNotMetException", "NOT_ENABLED"),
    ],
)
def test_what_cognito_says(  # noqa: PLR0917  # fixtures and parameters
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    tmp_path: Path,
    operation: str,
    error: str,
    code: str,
) -> None:
    """Its errors have their codes; of a message that was not sent the rest may have been done."""
    scripted.on("AdminGetUser", reply(user("FORCE_CHANGE_PASSWORD", **BOTH)))
    scripted.on(operation, failure(error, detail="arn:aws:iam::1:role/x bob@example.com"))
    api = serve(scripted.url, audit_file=tmp_path / "audit.jsonl")
    document, given = DOCUMENTS[operation]
    payload = ask(api, document, username="bob", **given)
    assert codes(payload) == [code]
    assert "arn" not in json.dumps(payload)
    assert payload["user"] is None
    assert scripted.operations().count(operation) == 1
    outcome = "unknown" if code == "DELIVERY_FAILED" else "failed"
    assert endings(tmp_path / "audit.jsonl") == [(outcome, code)]


def test_used_before_and_too_weak_are_told_apart(
    serve: Callable[..., Api], scripted: ScriptedCognito
) -> None:
    """One code, two messages."""
    scripted.on("AdminGetUser", reply(user("CONFIRMED")))
    messages = set()
    for error in ("InvalidPasswordException", "PasswordHistoryPolicyViolationException"):
        scripted.on("AdminSetUserPassword", failure(error))
        payload = ask(serve(scripted.url), SET, username="bob", password=GOOD)
        messages |= {each["message"] for each in payload["errors"]}
    assert len(messages) == 2


@pytest.mark.parametrize("trouble", [failure("InternalErrorException", 500), hang_up()])
@pytest.mark.parametrize("operation", ["AdminResetUserPassword", "AdminCreateUser"])
def test_no_second_message_in_doubt(
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    tmp_path: Path,
    operation: str,
    trouble: Any,
) -> None:
    """What may have been sent is not sent again, and is recorded as unknown."""
    scripted.on("AdminGetUser", reply(user("FORCE_CHANGE_PASSWORD", **BOTH)))
    scripted.on(operation, trouble)
    api = serve(scripted.url, audit_file=tmp_path / "audit.jsonl")
    document, given = DOCUMENTS[operation]
    answer = api.send(document, {"input": {"username": "bob", **given}})
    assert answer.codes == ["UPSTREAM_ERROR"]
    assert scripted.operations().count(operation) == 1
    assert endings(tmp_path / "audit.jsonl") == [("unknown", "UPSTREAM_ERROR")]


# What is sent


@pytest.mark.parametrize(
    ("given", "media"),
    [
        ({}, ["EMAIL"]),
        ({"inviteBy": ["SMS"]}, ["SMS"]),
        ({"inviteBy": ["SMS", "EMAIL", "SMS"]}, ["SMS", "EMAIL"]),
        ({"inviteBy": "SMS"}, ["SMS"]),
    ],
)
def test_invitation_as_sent(
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    tmp_path: Path,
    given: dict[str, Any],
    media: list[str],
) -> None:
    """It says that it is one, and how to send it; Cognito's own defaults are never used."""
    scripted.on("AdminGetUser", reply(user("FORCE_CHANGE_PASSWORD", **BOTH)))
    scripted.on("AdminCreateUser", CREATED)
    api = serve(scripted.url, audit_file=tmp_path / "audit.jsonl")
    assert codes(ask(api, RESEND, username="bob@example.com", **given)) == []
    assert scripted.sent("AdminCreateUser") == {
        "Username": "bob",
        "MessageAction": "RESEND",
        "DesiredDeliveryMediums": media,
    }


MAIL, PHONE = "bob@example.com", "+15550100"
BOTH = {"email": MAIL, "phone_number": PHONE}
ANY = ["email", "phone_number"]


def invited(sub: str) -> Reply:
    """Reply that a user was invited."""
    attributes = [{"Name": "sub", "Value": sub}]
    return reply({"User": {"Username": sub, "Attributes": attributes}})


def addresses(scripted: ScriptedCognito, usernames: list[str] | None) -> None:
    """Let the pool's usernames be these attributes; None if the server may not read which."""
    pool = reply({"UserPool": {} if usernames is None else {"UsernameAttributes": usernames}})
    no_right = failure("AccessDeniedException")
    scripted.on("DescribeUserPool", no_right if usernames is None else pool)


@pytest.mark.parametrize(
    ("usernames", "given", "attributes", "address"),
    [
        (ANY, "sub-of-bob", BOTH, MAIL),
        (ANY, MAIL, BOTH, MAIL),
        (ANY, PHONE, BOTH, PHONE),
        (ANY, "sub-of-bob", {"phone_number": PHONE}, PHONE),
        (ANY, "+15550199", {"email": MAIL}, MAIL),  # no longer theirs
        (["email"], "sub-of-bob", BOTH, MAIL),
        (["email"], PHONE, BOTH, MAIL),  # which is no username
        (["email"], "sub-of-bob", {"phone_number": PHONE}, "sub-of-bob"),
        (["phone_number"], "sub-of-bob", BOTH, PHONE),
        (["phone_number"], MAIL, BOTH, PHONE),
        (["phone_number"], "sub-of-bob", {"email": MAIL}, "sub-of-bob"),
        ([], MAIL, BOTH, "sub-of-bob"),
        (None, "sub-of-bob", BOTH, MAIL),
        (None, PHONE, BOTH, PHONE),
    ],
)
def test_invitation_by_the_address(  # noqa: PLR0917  # fixtures and parameters
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    tmp_path: Path,
    usernames: list[str] | None,
    given: str,
    attributes: dict[str, str],
    address: str,
) -> None:
    """In a pool of addresses the invitation goes to one of the user's: the one given, if it is."""
    found = user("FORCE_CHANGE_PASSWORD", name="sub-of-bob", **attributes)
    scripted.on("AdminGetUser", reply(found))
    addresses(scripted, usernames)
    scripted.on("AdminCreateUser", invited("sub-of-bob"))
    api = serve(scripted.url, audit_file=tmp_path / "audit.jsonl")
    media = ["EMAIL" if "email" in attributes else "SMS"]
    assert codes(ask(api, RESEND, username=given, inviteBy=media)) == []
    assert scripted.sent("AdminCreateUser")["Username"] == address


def test_invitation_of_another_user(
    serve: Callable[..., Api], scripted: ScriptedCognito, tmp_path: Path
) -> None:
    """If the address became another user's after it was read, it is not said that it was done."""
    found = user("FORCE_CHANGE_PASSWORD", name="sub-of-bob", email=MAIL)
    scripted.on("AdminGetUser", reply(found))
    addresses(scripted, ["email"])
    scripted.on("AdminCreateUser", invited("sub-of-another"))
    api = serve(scripted.url, audit_file=tmp_path / "audit.jsonl")
    assert codes(ask(api, RESEND, username="sub-of-bob")) == ["WRONG_STATE"]
    assert endings(tmp_path / "audit.jsonl") == [("unknown", "WRONG_STATE")]


@pytest.mark.parametrize(
    ("media", "attributes"),
    [
        (["EMAIL"], {}),
        (["EMAIL"], {"email": ""}),
        (["EMAIL"], {"phone_number": "+15550100"}),
        (["SMS"], {"email": "bob@example.com"}),
        (["EMAIL", "SMS"], {"email": "bob@example.com"}),
    ],
)
def test_invitation_without_an_address(
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    media: list[str],
    attributes: dict[str, str],
) -> None:
    """Nobody is left with a new temporary password that could not be sent."""
    scripted.on("AdminGetUser", reply(user("FORCE_CHANGE_PASSWORD", **attributes)))
    (error,) = ask(serve(scripted.url), RESEND, username="bob", inviteBy=media)["errors"]
    assert (error["code"], error["field"]) == ("WRONG_STATE", "inviteBy")
    assert scripted.operations() == ["AdminGetUser"]


@pytest.mark.parametrize(
    "password",
    ["a" * 256, "Pässwörd-1", "密码-Abc-1", "\U0001f511-Key-1", "quote\"'\\-1", "$(rm)-{x}-1"],
)
def test_password_as_sent(
    serve: Callable[..., Api], scripted: ScriptedCognito, password: str
) -> None:
    """Every character arrives as it was given."""
    scripted.on("AdminGetUser", reply(user("CONFIRMED")))
    scripted.on("AdminSetUserPassword", OK)
    api = serve(scripted.url)
    assert codes(ask(api, SET, username="bob", password=password, permanent=True)) == []
    assert scripted.sent("AdminSetUserPassword") == {
        "Username": "bob",
        "Password": password,
        "Permanent": True,
    }


@pytest.mark.parametrize(
    ("document", "given", "field"),
    [
        (SET, {"password": ""}, "password"),
        (SET, {"password": "a" * 257}, "password"),
        (SET, {"password": "two words"}, "password"),
        (SET, {"password": "tab\tbed"}, "password"),
        (SET, {"password": "line\nfeed"}, "password"),
        (SET, {"password": "n\0l"}, "password"),
        (RESEND, {"inviteBy": []}, "inviteBy"),
    ],
)
def test_values_that_cannot_be(
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    document: str,
    given: dict[str, Any],
    field: str,
) -> None:
    """They are refused before anything is read."""
    (error,) = ask(serve(scripted.url), document, username="bob", **given)["errors"]
    assert (error["code"], error["field"]) == ("INVALID_VALUE", field)
    assert scripted.requests == []
    assert scripted.authority == []


@pytest.mark.parametrize(
    ("document", "given"),
    [
        (SET, {}),
        (SET, {"password": None}),
        (SET, {"password": 1234567890}),
        (SET, {"password": GOOD, "permanent": None}),
        (RESEND, {"inviteBy": ["PIGEON"]}),
        (RESEND, {"inviteBy": None}),
        (RESEND, {"inviteBy": [None]}),
    ],
)
def test_values_of_other_types(
    serve: Callable[..., Api], scripted: ScriptedCognito, document: str, given: dict[str, Any]
) -> None:
    """They do not fit the schema."""
    answer = serve(scripted.url).send(document, {"input": {"username": "bob", **given}})
    assert answer.codes == ["BAD_USER_INPUT"]
    assert scripted.requests == []


def test_half_a_surrogate_pair(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """A lone surrogate is in no password; nothing is sent."""
    api = serve(scripted.url)
    body = json.dumps({"query": SET, "variables": {"input": {"username": "bob", "password": "P"}}})
    answer = api.client.post(
        "/graphql",
        content=body.replace('"P"', '"P\\ud800"'),
        headers={"Authorization": api.token("Admins"), "Content-Type": "application/json"},
    )
    assert "data" not in answer.json() or codes(answer.json()["data"]["setUserPassword"])
    assert scripted.requests == []
