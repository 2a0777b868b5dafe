"""Why an action was not carried out, as the payload of its mutation says it."""

from enum import Enum
from typing import Self

import strawberry

from graphql_admin.errors import ActionFailed, BadUserInput, payload_code


@strawberry.enum(description="How an action ended other than well.")
class ActionErrorCode(Enum):
    USER_NOT_FOUND = strawberry.enum_value(
        "USER_NOT_FOUND", description="The pool has no such user."
    )
    GROUP_NOT_FOUND = strawberry.enum_value(
        "GROUP_NOT_FOUND", description="The pool has no such group."
    )
    WRONG_STATE = strawberry.enum_value(
        "WRONG_STATE",
        description="The user's state does not admit the action, such as confirming a user who "
        "is confirmed already.",
    )
    ALREADY_EXISTS = strawberry.enum_value(
        "ALREADY_EXISTS", description="What was to be made is there already."
    )
    LIMIT_EXCEEDED = strawberry.enum_value(
        "LIMIT_EXCEEDED", description="A limit of the pool is reached, such as groups per user."
    )
    REJECTED_BY_TRIGGER = strawberry.enum_value(
        "REJECTED_BY_TRIGGER", description="A Lambda trigger of the pool refused the action."
    )
    OUT_OF_SCOPE = strawberry.enum_value(
        "OUT_OF_SCOPE",
        description="The user, or the group, has or gives rights beyond one's own, or is "
        "protected; nothing was changed.",
    )
    OWN_ACCOUNT = strawberry.enum_value(
        "OWN_ACCOUNT",
        description="It may be done to others, and not to oneself; nothing was changed.",
    )
    CONFLICT = strawberry.enum_value(
        "CONFLICT",
        description="One's own rights are being changed, or were a moment ago; nothing was "
        "changed. Try again in half a minute.",
    )
    INVALID_VALUE = strawberry.enum_value(
        "INVALID_VALUE", description="A value of the input cannot be right; nothing was changed."
    )


@strawberry.type(description="An expected way for an action to fail.")
class ActionError:
    code: ActionErrorCode = strawberry.field(description="What happened, for programs.")
    message: str = strawberry.field(description="What happened, for people.")
    field: str | None = strawberry.field(description="The input field that it is about, if any.")

    @classmethod
    def from_error(cls, error: ActionFailed | BadUserInput) -> Self:
        """Make the payload's form of an expected error."""
        code = ActionErrorCode[payload_code(error)]
        return cls(code=code, message=error.message, field=error.field)
