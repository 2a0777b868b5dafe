"""Cognito's operations: their input, replies and errors, from botocore's model."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import NewType

import botocore.session
from botocore.loaders import Loader
from botocore.model import ServiceModel

from graphql_admin.actions import Action
from graphql_admin.cognito.categories import CATEGORIES
from graphql_admin.errors import (
    AdminError,
    AlreadyExists,
    AuthEventNotFound,
    BadUserInput,
    CannotLink,
    CannotReset,
    CannotSetMfa,
    DeliveryFailed,
    DeviceNotFound,
    DevicesNotShown,
    GroupNotFound,
    IdentityNotFound,
    IdentityTaken,
    InvitationNotSent,
    LimitExceeded,
    NotEnabled,
    NotInvited,
    NoTotp,
    PasswordRejected,
    PasswordUsedBefore,
    RejectedByTrigger,
    SessionNotFound,
    TemporaryPasswordRejected,
    Throttled,
    TooManyIdentities,
    UpstreamFailed,
    UsernameTaken,
    UserNotFound,
    WrongState,
)

SERVICE = "cognito-idp"

_DECLARED = {each for action in Action for each in (*action.row.reads, *action.row.checks)}

_READS = frozenset(
    operation
    for operation in _DECLARED.union(CATEGORIES)
    # Not by all names of Cognito: GetTokensFromRefreshToken makes tokens, and
    # GetUserAttributeVerificationCode sends a message. And not by rows alone, so that no mistake in
    # one has a change sent again.
    if re.match("(Admin)?(Describe|Get|List)[A-Z]", operation)
)

_THROTTLING = frozenset(
    {
        # The errors that botocore treats as throttling, except LimitExceededException: with it
        # Cognito reports that a resource quota is used up, which a retry does not change.
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
        # Each also occurs with the suffix `Exception`.
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
    "InvalidPasswordException": PasswordRejected,
    "InvalidToken": BadUserInput,  # moto's error for a page token that it did not issue
    "PasswordHistoryPolicyViolationException": PasswordUsedBefore,
    "LimitExceededException": LimitExceeded,
    "InvalidLambdaResponseException": RejectedByTrigger,
    "UnexpectedLambdaException": RejectedByTrigger,
    "UserLambdaValidationException": RejectedByTrigger,
    "CodeDeliveryFailureException": DeliveryFailed,
    "InvalidEmailRoleAccessPolicyException": DeliveryFailed,
    "InvalidSmsRoleAccessPolicyException": DeliveryFailed,
    "InvalidSmsRoleTrustRelationshipException": DeliveryFailed,
    "UserNotFoundException": UserNotFound,
    "InvalidUserPoolConfigurationException": NotEnabled,
    "OperationNotEnabledException": NotEnabled,
    "PreconditionNotMetException": NotEnabled,
    "UserPoolAddOnNotEnabledException": NotEnabled,
    "PasswordResetRequiredException": WrongState,
    "TooManyFailedAttemptsException": WrongState,  # the user's, not ours
    "UnsupportedUserStateException": WrongState,
    "UserNotConfirmedException": WrongState,
} | dict.fromkeys(_THROTTLING, Throttled)

_MEANINGS_OF_WRITES: Mapping[str, type[AdminError]] = {
    # A read that gets this is an error of this server or its settings.
    # Not the lack of a right (that is AccessDeniedException): AdminConfirmSignUp says so of a user
    # who is confirmed already.
    "NotAuthorizedException": WrongState,
}

_MEANINGS_BY_OPERATION: Mapping[tuple[str, str], type[AdminError]] = {
    # Its one parameter is the username, which was checked.
    ("AdminResetUserPassword", "InvalidParameterException"): CannotReset,
    ("AdminResetUserPassword", "NotAuthorizedException"): CannotReset,
    # It comes after the user was made: https://github.com/boto/boto3/issues/3524
    ("AdminCreateUser", "CodeDeliveryFailureException"): InvitationNotSent,
    ("AdminCreateUser", "InvalidPasswordException"): TemporaryPasswordRejected,
    ("AdminCreateUser", "UnsupportedUserStateException"): NotInvited,
    ("AdminCreateUser", "UsernameExistsException"): UsernameTaken,
    ("AdminForgetDevice", "ResourceNotFoundException"): DeviceNotFound,
    ("AdminUpdateDeviceStatus", "ResourceNotFoundException"): DeviceNotFound,
    # It declares no UserNotFoundException.
    ("AdminListDevices", "NotAuthorizedException"): DevicesNotShown,
    ("AdminListDevices", "ResourceNotFoundException"): DevicesNotShown,
    # Its other parameters, and the user, were checked.
    ("AdminUpdateAuthEventFeedback", "InvalidParameterException"): AuthEventNotFound,
    ("AdminUpdateAuthEventFeedback", "ResourceNotFoundException"): AuthEventNotFound,
    ("AdminLinkProviderForUser", "AliasExistsException"): IdentityTaken,
    ("AdminLinkProviderForUser", "InvalidParameterException"): CannotLink,
    ("AdminLinkProviderForUser", "LimitExceededException"): TooManyIdentities,
    ("AdminLinkProviderForUser", "ResourceNotFoundException"): CannotLink,
    ("AdminDisableProviderForUser", "ResourceNotFoundException"): IdentityNotFound,
    # Its one parameter is the username, and the gate has read the user: neither can be missing.
    ("AdminDeleteSoftwareToken", "InvalidParameterException"): NoTotp,
    ("AdminDeleteSoftwareToken", "ResourceNotFoundException"): NoTotp,
    # The user was read before, so it is not the pool.
    ("AdminRevokeUserSession", "ResourceNotFoundException"): SessionNotFound,
    # Which settings there are was checked.
    ("AdminSetUserMFAPreference", "InvalidParameterException"): CannotSetMfa,
}

DONE_IF_GONE: Mapping[str, type[AdminError]] = {
    "AdminDeleteUser": UserNotFound,
    "DeleteGroup": GroupNotFound,
}
"""Operations that may be sent again where it is unknown whether Cognito carried them out, and the
error of the next attempt which shows that it did. Any other change is sent again only if it was
certainly not made: a second invitation or reset is a second message, and a password that is set
twice may replace a newer one."""


def is_read(operation: str) -> bool:
    """Tell whether `operation` is known to change nothing, so that retrying it is safe."""
    return operation in _READS


def translate(operation: str, aws_code: str) -> type[AdminError]:
    """Return what Cognito's error `aws_code` means as the reply to `operation`.

    The message is ignored: messages are not part of Cognito's interface, and change.

    Args:
        operation: Name of an operation, such as `AdminDisableUser`.
        aws_code: Name of the error without namespace, such as `UserNotFoundException`.

    Returns:
        The error's class; `UpstreamFailed` for every code that is not known to be expected.

    Raises:
        OperationNotFoundError: botocore's model has no such operation.
    """
    meaning = _MEANINGS_BY_OPERATION.get((operation, aws_code))
    if meaning is None and aws_code == "ResourceNotFoundException":
        # Cognito has one error for a missing group and a missing pool. Where a group was named, it
        # is the group: if the pool did not exist, no caller would have a token from it.
        return GroupNotFound if describe(operation).takes_group else UpstreamFailed
    meaning = meaning or _MEANINGS.get(aws_code)
    if meaning is None and not is_read(operation):
        meaning = _MEANINGS_OF_WRITES.get(aws_code)
    return meaning or UpstreamFailed


Timestamp = NewType("Timestamp", str)
"""A date and time of RFC 3339 in UTC, with milliseconds: `2023-11-14T22:13:20.000Z`."""


@lru_cache(maxsize=4096)  # users are read repeatedly, and their two dates are often equal
def to_timestamp(seconds: float | None) -> Timestamp | None:
    """Convert a date from Cognito, in seconds since 1970."""
    if seconds is None:
        return None
    second, millisecond = divmod(round(seconds * 1000), 1000)
    minute, second = divmod(second, 60)
    day, minute = divmod(minute, 24 * 60)
    # A list has two of these for each row, so the day comes from a cache, and there is no call to
    # `Timestamp`, which only returns its argument.
    return _day(day) + _MINUTES[minute] + _SECONDS[second] + _MILLISECONDS[millisecond]  # type: ignore[return-value]


def is_at(timestamp: Timestamp, seconds: object) -> bool:
    """Tell whether a timestamp is that of a date as Cognito sends it, to the millisecond.

    Args:
        timestamp: In any zone, with any number of digits.
        seconds: Since 1970; anything but a number is no date.
    """
    if not isinstance(seconds, int | float):
        return False
    moment = datetime.fromisoformat(timestamp) - datetime.fromtimestamp(0, UTC)
    return round(moment.total_seconds() * 1000) == round(seconds * 1000)


def parse_timestamp(value: object) -> Timestamp:
    """Return `value` if it is a date and time with a zone, in a format of ISO 8601.

    Raises:
        ValueError: It is not; the message does not repeat it.
    """
    try:
        if isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None:
            return Timestamp(value)
    except ValueError:
        pass
    raise ValueError("not a date and time with a zone")


@lru_cache(maxsize=4096)  # days, some eleven years
def _day(days: int) -> str:
    return f"{datetime.fromtimestamp(days * 86_400, UTC):%Y-%m-%d}"


_MINUTES = tuple(f"T{hour:02}:{minute:02}" for hour in range(24) for minute in range(60))
_SECONDS = tuple(f":{second:02}" for second in range(60))
_MILLISECONDS = tuple(f".{millisecond:03}Z" for millisecond in range(1000))


@dataclass(frozen=True, slots=True)
class Operation:
    """What is the same for every call to an operation."""

    name: str
    headers: Mapping[str, str]
    is_read: bool
    takes_pool: bool
    takes_user: bool
    """Whether it has the parameter `Username`."""
    takes_group: bool
    replies: bool
    """Whether a reply has members. If so, an empty reply is malformed."""


@cache
def _loader() -> Loader:
    loader: Loader = botocore.session.Session().get_component("data_loader")
    return loader


def start_session() -> botocore.session.Session:
    """Return a new session, which reads AWS's settings as boto3 does."""
    session = botocore.session.Session()
    # Sessions share the loader: reading botocore's data files again is most of the time that a
    # session takes.
    session.register_component("data_loader", _loader())
    return session


@cache
def service_model() -> ServiceModel:
    """Return botocore's model of Cognito's user pools."""
    return start_session().get_service_model(SERVICE)


@cache
def describe(name: str) -> Operation:
    """Return an operation from botocore's model.

    Raises:
        OperationNotFoundError: There is no operation of that name.
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
        takes_user="Username" in members,
        takes_group="GroupName" in members,
        replies=bool(operation.output_shape and operation.output_shape.members),
    )
