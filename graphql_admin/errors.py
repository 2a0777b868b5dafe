"""Every error that a client of this server can meet.

AdminError
├── Refusal                    top-level `errors`, as `extensions.code`
│   ├── Unauthenticated        UNAUTHENTICATED      who are you?
│   ├── Forbidden              FORBIDDEN            you may not do this
│   ├── BadUserInput           BAD_USER_INPUT       this value cannot be right
│   ├── InvalidCursor          INVALID_CURSOR       this cursor is not of this list
│   ├── AmbiguousUser          AMBIGUOUS_USER       more than one user matches
│   ├── Throttled              THROTTLED            Cognito asks to slow down
│   ├── TimedOut               TIMEOUT              Cognito took too long
│   ├── UpstreamFailed         UPSTREAM_ERROR       Cognito failed, or we may not call it
│   └── Internal               INTERNAL             a fault of this server
└── Outcome                    `errors` of a mutation's payload: expected, for the app to handle
    ├── UserNotFound           USER_NOT_FOUND
    ├── GroupNotFound          GROUP_NOT_FOUND
    ├── WrongState             WRONG_STATE
    ├── AlreadyExists          ALREADY_EXISTS
    ├── LimitExceeded          LIMIT_EXCEEDED
    └── RejectedByTrigger      REJECTED_BY_TRIGGER

A `BadUserInput` met by a mutation is an expected outcome too: its payload says INVALID_VALUE.
A `UserNotFound` or `GroupNotFound` met by a query is a null.
"""

from typing import ClassVar


class AdminError(Exception):
    """An error with a stable code and a message that is safe to show to any client.

    Args:
        message: For people; says nothing that Cognito said. Default: the class's own.
    """

    code: ClassVar[str]
    message: str = ""

    def __init__(self, message: str | None = None) -> None:
        self.message = message or type(self).message
        super().__init__(self.message)


class Refusal(AdminError):
    """An error of the request, reported in the response's top-level `errors`."""


class Unauthenticated(Refusal):
    """The request carries no token, or one that is not good."""

    code = "UNAUTHENTICATED"
    message = "A valid token is required."


class Forbidden(Refusal):
    """The caller's groups do not give the right to do this."""

    code = "FORBIDDEN"
    message = "You are not allowed to do this."


class BadUserInput(Refusal):
    """A value in the request cannot be right, whatever the state of the user pool.

    Args:
        message: What is wrong with it, without repeating the value.
        field: Name of the argument or input field, as in the schema.
    """

    code = "BAD_USER_INPUT"
    message = "A value in the request is not valid."

    def __init__(self, message: str | None = None, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class InvalidCursor(Refusal):
    """The cursor was edited, has expired, or belongs to another list."""

    code = "INVALID_CURSOR"
    message = "The cursor is not valid for this list. Start again without one."


class AmbiguousUser(Refusal):
    """More than one user matches what was meant to identify one."""

    code = "AMBIGUOUS_USER"
    message = "More than one user matches. Look the user up by username or sub."


class Throttled(Refusal):
    """Cognito refused calls because too many were made; nothing was changed."""

    code = "THROTTLED"
    message = "Too many requests to the user pool. Try again shortly."


class TimedOut(Refusal):
    """Cognito did not answer within the request's deadline."""

    code = "TIMEOUT"
    message = "The user pool did not answer in time. A change may or may not have been made."


class UpstreamFailed(Refusal):
    """Cognito failed, answered nonsense, or refused this server's own credentials."""

    code = "UPSTREAM_ERROR"
    message = "The user pool could not be reached or refused the call."


class Internal(Refusal):
    """A fault of this server; its log says more."""

    code = "INTERNAL"
    message = "Something went wrong on the server."


class Outcome(AdminError):
    """An expected way for an action to end, reported in its payload."""

    field: ClassVar[str | None] = None


class UserNotFound(Outcome):
    """The user pool has no such user."""

    code = "USER_NOT_FOUND"
    message = "There is no such user."
    field = "username"


class GroupNotFound(Outcome):
    """The user pool has no such group."""

    code = "GROUP_NOT_FOUND"
    message = "There is no such group."
    field = "groupName"


class WrongState(Outcome):
    """The user's state does not admit the action."""

    code = "WRONG_STATE"
    message = "The user's current state does not admit this."
    field = "username"


class AlreadyExists(Outcome):
    """What was to be made is there already."""

    code = "ALREADY_EXISTS"
    message = "It exists already."


class LimitExceeded(Outcome):
    """A quota of the user pool's resources is used up."""

    code = "LIMIT_EXCEEDED"
    message = "A limit of the user pool is reached."


class RejectedByTrigger(Outcome):
    """A Lambda trigger of the user pool refused the action or failed."""

    code = "REJECTED_BY_TRIGGER"
    message = "A Lambda trigger of the user pool refused the action."
