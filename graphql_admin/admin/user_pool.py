"""The query `userPool`: the pool's attributes, sign-in options and password policy.

DescribeUserPool replies with much more: triggers, roles, senders, templates. What is shown is
picked here, by name; nothing else leaves this module.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any

import strawberry
import structlog

from graphql_admin.actions import Action
from graphql_admin.admin.context import Info
from graphql_admin.admin.features import Feature
from graphql_admin.admin.guards import guarded
from graphql_admin.errors import UpstreamFailed

log = structlog.get_logger(__name__)

_LARGEST_INT = 2**31 - 1
"""GraphQL's `Int`; https://spec.graphql.org/October2021/#sec-Int."""

_DEFAULT_DAYS = 7
"""Days that a temporary password is valid where the pool says 0; botocore's model,
PasswordPolicyType."""


@strawberry.enum(description="The data type of an attribute. All values are strings in Cognito.")
class AttributeType(Enum):
    STRING = strawberry.enum_value("STRING", description="Text.")
    NUMBER = strawberry.enum_value("NUMBER", description="A number.")
    BOOLEAN = strawberry.enum_value("BOOLEAN", description="`true` or `false`.")
    DATE_TIME = strawberry.enum_value("DATE_TIME", description="A date and time.")
    UNKNOWN = strawberry.enum_value("UNKNOWN", description="A type that this server does not know.")


_TYPES = {
    "String": AttributeType.STRING,
    "Number": AttributeType.NUMBER,
    "Boolean": AttributeType.BOOLEAN,
    "DateTime": AttributeType.DATE_TIME,
}


@strawberry.type(description="An attribute that users of the pool can have.")
class AttributeSchema:
    name: str = strawberry.field(description="Name, such as `email` or `custom:department`.")
    type: AttributeType = strawberry.field(description="Data type of its values.")
    required: bool = strawberry.field(description="Whether it is required at sign-up.")
    mutable: bool = strawberry.field(
        description="Whether it can be changed after the user was created."
    )
    developer_only: bool = strawberry.field(
        description="Whether it is a legacy developer attribute, which only administrators set."
    )
    min_length: int | None = strawberry.field(
        description="Minimum length of a string, in characters."
    )
    max_length: int | None = strawberry.field(
        description="Maximum length of a string, in characters."
    )
    min_value: str | None = strawberry.field(
        description="Minimum value of a number; a string, since it may exceed `Int`."
    )
    max_value: str | None = strawberry.field(
        description="Maximum value of a number; a string, since it may exceed `Int`."
    )


@strawberry.type(description="Requirements for passwords.")
class PasswordPolicy:
    minimum_length: int | None = strawberry.field(description="Minimum length, in characters.")
    require_uppercase: bool = strawberry.field(
        description="Whether an uppercase letter is required."
    )
    require_lowercase: bool = strawberry.field(
        description="Whether a lowercase letter is required."
    )
    require_numbers: bool = strawberry.field(description="Whether a digit is required.")
    require_symbols: bool = strawberry.field(description="Whether a symbol is required.")
    history_size: int | None = strawberry.field(
        description="How many of a user's previous passwords cannot be reused; null for none."
    )
    temporary_password_days: int | None = strawberry.field(
        description="How many days a temporary password is valid."
    )


@strawberry.enum(description="Whether users sign in with multi-factor authentication (MFA).")
class MfaMode(Enum):
    OFF = strawberry.enum_value("OFF", description="MFA is off.")
    OPTIONAL = strawberry.enum_value(
        "OPTIONAL", description="Users can set up MFA, and then need it."
    )
    ON = strawberry.enum_value("ON", description="All users need MFA.")


@strawberry.type(description="Attributes, sign-in options and password policy of the user pool.")
class UserPool:
    attributes: list[AttributeSchema] = strawberry.field(
        description="The attributes that users can have, in the pool's order."
    )
    username_attributes: list[str] = strawberry.field(
        description="Attributes that users sign in with in place of a username, such as `email`; "
        "empty if they have a username."
    )
    alias_attributes: list[str] = strawberry.field(
        description="Attributes that users can sign in with, in addition to their username."
    )
    username_case_sensitive: bool = strawberry.field(
        description="Whether usernames are case-sensitive."
    )
    mfa: MfaMode | None = strawberry.field(
        description="Whether MFA is used; null if the pool does not say."
    )
    plan: str | None = strawberry.field(
        description="Cognito's name of the pool's feature plan, such as `ESSENTIALS`."
    )
    password_policy: PasswordPolicy | None = strawberry.field(
        description="Requirements for passwords; null if the pool does not say."
    )
    pending_until_verified: list[str] = strawberry.field(
        description="Attributes whose new value takes effect only after the user has verified it."
    )
    estimated_users: int | None = strawberry.field(
        description="Estimated number of users, which Cognito updates from time to time."
    )


def _read(described: Mapping[str, Any]) -> UserPool:
    """Pick what is shown from a UserPoolType of Cognito."""
    usernames = _object(described.get("UsernameConfiguration"))
    updates = _object(described.get("UserAttributeUpdateSettings"))
    policy = _object(described.get("Policies")).get("PasswordPolicy")
    mode = str(described.get("MfaConfiguration"))
    return UserPool(
        attributes=[
            _read_attribute(each)
            for each in _list(described.get("SchemaAttributes"), dict)
            if isinstance(each.get("Name"), str)
        ],
        username_attributes=_list(described.get("UsernameAttributes"), str),
        alias_attributes=_list(described.get("AliasAttributes"), str),
        # The default of CreateUserPool, where the pool does not say.
        username_case_sensitive=usernames.get("CaseSensitive", True) is True,
        mfa=MfaMode[mode] if mode in MfaMode.__members__ else None,
        plan=_text(described.get("UserPoolTier")),
        password_policy=_read_policy(policy) if isinstance(policy, dict) else None,
        pending_until_verified=_list(updates.get("AttributesRequireVerificationBeforeUpdate"), str),
        estimated_users=_int(described.get("EstimatedNumberOfUsers")),
    )


def _read_attribute(row: Mapping[str, Any]) -> AttributeSchema:
    lengths = _object(row.get("StringAttributeConstraints"))
    values = _object(row.get("NumberAttributeConstraints"))
    return AttributeSchema(
        name=row["Name"],
        type=_TYPES.get(str(row.get("AttributeDataType")), AttributeType.UNKNOWN),
        required=row.get("Required") is True,
        mutable=row.get("Mutable") is not False,
        developer_only=row.get("DeveloperOnlyAttribute") is True,
        min_length=_int(lengths.get("MinLength")),
        max_length=_int(lengths.get("MaxLength")),
        min_value=_text(values.get("MinValue")),
        max_value=_text(values.get("MaxValue")),
    )


def _read_policy(policy: Mapping[str, Any]) -> PasswordPolicy:
    days = policy.get("TemporaryPasswordValidityDays")
    return PasswordPolicy(
        minimum_length=_int(policy.get("MinimumLength")),
        require_uppercase=policy.get("RequireUppercase") is True,
        require_lowercase=policy.get("RequireLowercase") is True,
        require_numbers=policy.get("RequireNumbers") is True,
        require_symbols=policy.get("RequireSymbols") is True,
        history_size=_int(policy.get("PasswordHistorySize")) or None,
        temporary_password_days=_DEFAULT_DAYS if days == 0 else _int(days),
    )


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(values: Any, kind: type) -> list[Any]:
    return [each for each in values if isinstance(each, kind)] if isinstance(values, list) else []


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _int(value: Any) -> int | None:
    """Return a number, which Cognito has as a string in constraints; None for all else."""
    text = str(value)
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(_LARGEST_INT))):
        return None
    return int(text) if int(text) <= _LARGEST_INT else None


@strawberry.type
class UserPoolQuery:
    @guarded(
        Action.GET_USER_POOL,
        description="The user pool: its attributes, sign-in options and password policy.",
    )
    async def user_pool(self, info: Info) -> UserPool | None:
        described = (await info.context.read(Action.GET_USER_POOL, "DescribeUserPool")).get(
            "UserPool"
        )
        if not isinstance(described, dict):
            log.error("reply from Cognito without its user pool")
            raise UpstreamFailed
        return _read(described)


FEATURE = Feature(query=UserPoolQuery)
