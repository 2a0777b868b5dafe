"""What Cognito's operations take and reply, their errors included, as botocore's model has it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import NewType

import botocore.session
from botocore.loaders import Loader
from botocore.model import ServiceModel

from graphql_admin.errors import (
    AdminError,
    AlreadyExists,
    BadUserInput,
    GroupNotFound,
    LimitExceeded,
    RejectedByTrigger,
    Throttled,
    UpstreamFailed,
    UserNotFound,
    WrongState,
)

SERVICE = "cognito-idp"

_READ_PREFIXES = ("AdminGet", "AdminList", "Get", "List", "Describe")

_THROTTLING = frozenset(
    {
        # What botocore takes for throttling, but for LimitExceededException: Cognito says that
        # of things that there are too many of, which another attempt does not change.
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)

OWN_CREDENTIALS_REFUSED = frozenset(
    {
        # Each also comes with `Exception` behind it.
        "ExpiredToken",
        "InvalidSignature",
        "MissingAuthenticationToken",
        "UnrecognizedClient",
    }
)

_MEANINGS: Mapping[str, type[AdminError]] = {
    "AliasExistsException": AlreadyExists,
    "GroupExistsException": AlreadyExists,
    "UsernameExistsException": AlreadyExists,
    "InvalidParameterException": BadUserInput,
    "InvalidPasswordException": BadUserInput,
    "InvalidToken": BadUserInput,  # moto's word for a page token that it did not issue
    "PasswordHistoryPolicyViolationException": BadUserInput,
    "LimitExceededException": LimitExceeded,
    "InvalidLambdaResponseException": RejectedByTrigger,
    "UnexpectedLambdaException": RejectedByTrigger,
    "UserLambdaValidationException": RejectedByTrigger,
    "UserNotFoundException": UserNotFound,
    "PasswordResetRequiredException": WrongState,
    "TooManyFailedAttemptsException": WrongState,  # this user's attempts, not our requests
    "UnsupportedUserStateException": WrongState,
    "UserNotConfirmedException": WrongState,
} | dict.fromkeys(_THROTTLING, Throttled)


def is_read(operation: str) -> bool:
    """Tell whether `operation` changes nothing, so that it may be sent again at any time.

    Its name says so. That holds for what is signed with the server's credentials; a few
    operations that take a user's own token instead are named `Get…` and do change something.
    """
    return operation.startswith(_READ_PREFIXES)


def translate(operation: str, aws_code: str) -> type[AdminError]:
    """Return what Cognito's error `aws_code` means as the reply to `operation`.

    Messages play no part: they are not part of Cognito's interface, and change.

    Args:
        operation: Name of an operation, such as `AdminDisableUser`.
        aws_code: Name of the error without namespace, such as `UserNotFoundException`.

    Returns:
        The error's class; `UpstreamFailed` for every code that is not known to be expected.

    Raises:
        OperationNotFoundError: botocore's model has no such operation.
    """
    if aws_code == "ResourceNotFoundException":
        # Cognito says the same of a missing group and of a missing pool. Where a group was
        # named, it is the group: the pool is there, or nobody would have a token.
        return GroupNotFound if describe(operation).takes_group else UpstreamFailed
    if aws_code == "NotAuthorizedException":
        # Not the lack of a right (that is AccessDeniedException): AdminConfirmSignUp says so of
        # a user who is confirmed already.
        return UpstreamFailed if is_read(operation) else WrongState
    return _MEANINGS.get(aws_code, UpstreamFailed)


Timestamp = NewType("Timestamp", str)
"""A date and time in UTC to the millisecond, as RFC 3339 has it: `2023-11-14T22:13:20.000Z`."""


@lru_cache(maxsize=4096)  # who is shown once is mostly shown again, often with two equal dates
def to_timestamp(seconds: float | None) -> Timestamp | None:
    """Turn a date as Cognito sends it, seconds since 1970, into a timestamp."""
    if seconds is None:
        return None
    second, millisecond = divmod(round(seconds * 1000), 1000)
    minute, second = divmod(second, 60)
    day, minute = divmod(minute, 24 * 60)
    # A list has two of these for each row: put together from what is written already, without a
    # call of `Timestamp`, which returns what it gets.
    return _day(day) + _MINUTES[minute] + _SECONDS[second] + _MILLISECONDS[millisecond]  # type: ignore[return-value]


@lru_cache(maxsize=4096)  # days, which are some eleven years
def _day(days: int) -> str:
    return f"{datetime.fromtimestamp(days * 86_400, UTC):%Y-%m-%d}"


_MINUTES = tuple(f"T{hour:02}:{minute:02}" for hour in range(24) for minute in range(60))
_SECONDS = tuple(f":{second:02}" for second in range(60))
_MILLISECONDS = tuple(f".{millisecond:03}Z" for millisecond in range(1000))


@dataclass(frozen=True, slots=True)
class Operation:
    """What never changes between two calls of an operation."""

    name: str
    headers: Mapping[str, str]
    is_read: bool
    takes_pool: bool
    takes_group: bool
    replies: bool
    """Whether a reply has anything in it. If so, an empty one is a broken one."""


@cache
def _loader() -> Loader:
    loader: Loader = botocore.session.Session().get_component("data_loader")
    return loader


def start_session() -> botocore.session.Session:
    """Return a new session, which reads AWS's settings as boto3 does."""
    session = botocore.session.Session()
    # Each session would read botocore's data files anew, which is most of the time it takes.
    session.register_component("data_loader", _loader())
    return session


@cache
def service_model() -> ServiceModel:
    """Return botocore's model of Cognito's user pools."""
    return start_session().get_service_model(SERVICE)


@cache
def describe(name: str) -> Operation:
    """Return what botocore's model has about an operation.

    Raises:
        OperationNotFoundError: There is none of that name.
    """
    model = service_model()
    operation = model.operation_model(name)
    members = operation.input_shape.members if operation.input_shape else {}
    return Operation(
        name=name,
        headers={
            "Content-Type": f"application/x-amz-json-{model.metadata['jsonVersion']}",
            "X-Amz-Target": f"{model.metadata['targetPrefix']}.{name}",
        },
        is_read=is_read(name),
        takes_pool="UserPoolId" in members,
        takes_group="GroupName" in members,
        replies=bool(operation.output_shape and operation.output_shape.members),
    )
