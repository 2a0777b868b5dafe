"""What each action does with a user in each status: its code, and what is sent to Cognito."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from graphql_admin.actions import Action
from tests.support.api import Api
from tests.support.changes import document_of, endings
from tests.support.leaks import PASSWORD
from tests.support.scripted import Reply, ScriptedCognito, failure, reply


@dataclass(frozen=True)
class Change:
    """An action on bob.

    Attributes:
        operation: The write that it asks of Cognito.
        parameters: Those that go with it, without the pool's id.
        reads: Whether the user is read before.
        given: What its input has besides the username.
        result: Cognito's, where it carries the action out.
    """

    operation: str
    parameters: Mapping[str, Any]
    reads: bool = False
    given: Mapping[str, Any] | None = None
    result: Mapping[str, Any] | None = None


BOB = {"Username": "bob"}
CHANGES = {
    Action.CREATE_USER: Change(
        "AdminCreateUser", {**BOB, "MessageAction": "SUPPRESS"}, result={"User": BOB}
    ),
    Action.RESEND_INVITATION: Change(
        "AdminCreateUser",
        {**BOB, "MessageAction": "RESEND", "DesiredDeliveryMediums": ["EMAIL"]},
        reads=True,
        result={"User": BOB},
    ),
    Action.CONFIRM_USER_SIGN_UP: Change("AdminConfirmSignUp", BOB),
    Action.SET_USER_PASSWORD: Change(
        "AdminSetUserPassword",
        {**BOB, "Password": PASSWORD, "Permanent": False},
        reads=True,
        given={"password": PASSWORD},
    ),
    Action.RESET_USER_PASSWORD: Change("AdminResetUserPassword", BOB, reads=True),
}


@dataclass(frozen=True)
class Row:
    """A user, and what comes of each action.

    Attributes:
        status: What AdminGetUser says; there is no such user if it is None.
        ends: For each of `CHANGES`, in their order.
        enabled: What AdminGetUser says.
    """

    status: str | None
    ends: tuple["End", ...]
    enabled: bool = True


@dataclass(frozen=True)
class End:
    """What comes of an action.

    Attributes:
        code: Of the payload's error; None if the action is carried out.
        error: Cognito's; None if it is not asked, or carries the action out.
    """

    code: str | None = None
    error: str | None = None

    @property
    def is_sent(self) -> bool:
        """Whether Cognito is asked at all."""
        return self.code is None or self.error is not None


OK = End()
EXISTS = End("ALREADY_EXISTS", "UsernameExistsException")
MISSING = End("USER_NOT_FOUND", "UserNotFoundException")
ABSENT = End("USER_NOT_FOUND")
DENIED = End("WRONG_STATE", "NotAuthorizedException")
STATE = End("WRONG_STATE", "UnsupportedUserStateException")
KEPT = End("WRONG_STATE")

CONFIRMED = (EXISTS, KEPT, DENIED, OK, OK)
INVITED = (EXISTS, OK, DENIED, OK, DENIED)
OTHER = (EXISTS, KEPT, DENIED, OK, DENIED)

TABLE = {
    # create, invite again, confirm, set a password, reset it
    "none": Row(None, (OK, ABSENT, MISSING, ABSENT, ABSENT)),
    "UNCONFIRMED": Row("UNCONFIRMED", (EXISTS, KEPT, OK, OK, DENIED)),
    "FORCE_CHANGE_PASSWORD": Row("FORCE_CHANGE_PASSWORD", INVITED),
    "CONFIRMED": Row("CONFIRMED", CONFIRMED),
    "RESET_REQUIRED": Row("RESET_REQUIRED", CONFIRMED),
    "EXTERNAL_PROVIDER": Row("EXTERNAL_PROVIDER", (EXISTS, KEPT, DENIED, KEPT, DENIED)),
    "ARCHIVED": Row("ARCHIVED", OTHER),
    "COMPROMISED": Row("COMPROMISED", OTHER),
    "UNKNOWN": Row("UNKNOWN", OTHER),
    "a status that is new": Row("SOMETHING_NEW", OTHER),
    "disabled, signed up": Row("UNCONFIRMED", (EXISTS, KEPT, OK, OK, DENIED), enabled=False),
    "disabled, invited": Row("FORCE_CHANGE_PASSWORD", INVITED, enabled=False),
    "disabled, confirmed": Row("CONFIRMED", OTHER, enabled=False),
    "deleted meanwhile": Row("FORCE_CHANGE_PASSWORD", (OK, MISSING, MISSING, MISSING, MISSING)),
    "signed in meanwhile": Row("FORCE_CHANGE_PASSWORD", (EXISTS, STATE, DENIED, OK, OK)),
}
"""What Cognito allows, by status; where its documentation does not say, what it is believed to."""

CASES = [
    pytest.param(row, action, end, id=f"{name}-{action.label}")
    for name, row in TABLE.items()
    for action, end in zip(CHANGES, row.ends, strict=True)
]


def found(row: Row) -> Reply:
    """Reply to AdminGetUser."""
    if row.status is None:
        return failure("UserNotFoundException")
    given = {"sub": "sub-of-bob", "email": "bob@example.com"}
    attributes = [{"Name": name, "Value": value} for name, value in given.items()]
    state = {"UserStatus": row.status, "Enabled": row.enabled}
    return reply({**BOB, "UserAttributes": attributes, **state})


@pytest.mark.parametrize(("row", "action", "end"), CASES)
def test_status(  # noqa: PLR0917  # fixtures and parameters
    shared_serve: Callable[..., Api],
    shared_scripted: ScriptedCognito,
    audit: Path,
    row: Row,
    action: Action,
    end: End,
) -> None:
    """An action that the status does not allow has a code that says so, and changes nothing."""
    change = CHANGES[action]
    shared_scripted.on("AdminGetUser", found(row))
    shared_scripted.on("DescribeUserPool", reply({"UserPool": {"SchemaAttributes": []}}))
    done = reply(change.result or {})
    shared_scripted.on(change.operation, failure(end.error) if end.error else done)
    api = shared_serve(shared_scripted.url, audit_file=audit)
    given = {"username": "bob", **(change.given or {})}
    payload = api.send(document_of(action), {"input": given}).data["done"]
    field = None if end.code is None else "username"
    assert payload["errors"] == ([{"code": end.code, "field": field}] if end.code else [])
    sent = [
        (each.operation, {n: v for n, v in each.parameters.items() if n != "UserPoolId"})
        for each in shared_scripted.requests
        if each.operation != "DescribeUserPool"  # which one change reads for the next ones
    ]
    reads = [("AdminGetUser", BOB)] if change.reads else []
    writes = [(change.operation, change.parameters)] if end.is_sent else []
    assert sent == reads + writes
    assert endings(audit)[-1] == ("failed" if end.code else "done", end.code)


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The events of all tests of this module."""
    return tmp_path_factory.mktemp("events") / "audit.jsonl"
