"""The errors in the payloads of mutations."""

from enum import Enum
from typing import Self

import strawberry

from graphql_admin.errors import ActionFailed, BadUserInput, payload_code


@strawberry.enum(description="Why an action failed.")
class ActionErrorCode(Enum):
    USER_NOT_FOUND = strawberry.enum_value(
        "USER_NOT_FOUND", description="The pool has no such user."
    )
    GROUP_NOT_FOUND = strawberry.enum_value(
        "GROUP_NOT_FOUND", description="The pool has no such group."
    )
    NOT_FOUND = strawberry.enum_value(
        "NOT_FOUND",
        description="The user has no such session, device, sign-in event or identity, or no longer "
        "has it. Nothing was changed.",
    )
    WRONG_STATE = strawberry.enum_value(
        "WRONG_STATE",
        description="The state of the user or group does not allow the action, such as "
        "confirming a user who is already confirmed.",
    )
    ALREADY_EXISTS = strawberry.enum_value(
        "ALREADY_EXISTS",
        description="An object with this name, or another user with this verified address, already "
        "exists.",
    )
    LIMIT_EXCEEDED = strawberry.enum_value(
        "LIMIT_EXCEEDED", description="A quota of the pool is used up, such as groups per user."
    )
    REJECTED_BY_TRIGGER = strawberry.enum_value(
        "REJECTED_BY_TRIGGER",
        description="A Lambda trigger of the pool rejected the action, or failed.",
    )
    PASSWORD_REJECTED = strawberry.enum_value(
        "PASSWORD_REJECTED",
        description="The password does not meet the pool's password policy, or the user had it "
        "before. Nothing was changed.",
    )
    DELIVERY_FAILED = strawberry.enum_value(
        "DELIVERY_FAILED",
        description="The pool could not send its e-mail or text message. The change itself may "
        "have been made.",
    )
    NOT_ENABLED = strawberry.enum_value(
        "NOT_ENABLED",
        description="The pool's plan or settings do not support the action. Nothing was changed.",
    )
    STALE = strawberry.enum_value(
        "STALE",
        description="The target is not the one that the input expects, or has changed since it was "
        "read. Nothing was changed.",
    )
    OUT_OF_SCOPE = strawberry.enum_value(
        "OUT_OF_SCOPE",
        description="The user has, or the group gives, rights that the caller does not have, or "
        "one of them is protected. Nothing was changed.",
    )
    OWN_ACCOUNT = strawberry.enum_value(
        "OWN_ACCOUNT",
        description="The caller may do this to other users, but not to themselves. Nothing was "
        "changed.",
    )
    CONFLICT = strawberry.enum_value(
        "CONFLICT",
        description="The caller's own rights are being taken, or were a moment ago; or the user's "
        "are, or the user is changing their own. Nothing was changed.",
    )
    INVALID_VALUE = strawberry.enum_value(
        "INVALID_VALUE", description="A value of the input is invalid. Nothing was changed."
    )


@strawberry.type(description="An expected failure of an action.")
class ActionError:
    code: ActionErrorCode = strawberry.field(description="Why the action failed, as a stable code.")
    message: str = strawberry.field(description="Why the action failed, as a message for people.")
    field: str | None = strawberry.field(
        description="The input field that the error is about, if any."
    )

    @classmethod
    def from_error(cls, error: ActionFailed | BadUserInput) -> Self:
        """Convert an expected error for a payload."""
        code = ActionErrorCode[payload_code(error)]
        return cls(code=code, message=error.message, field=error.field)
