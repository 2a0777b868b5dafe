"""What the user pool takes: its attributes, its usernames, its passwords.

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


@strawberry.enum(description="The type of an attribute's values, which Cognito holds as strings.")
class AttributeType(Enum):
    STRING = strawberry.enum_value("STRING", description="Text.")
    NUMBER = strawberry.enum_value("NUMBER", description="A number.")
    BOOLEAN = strawberry.enum_value("BOOLEAN", description="`true` or `false`.")
    DATE_TIME = strawberry.enum_value("DATE_TIME", description="A date and time.")
    UNKNOWN = strawberry.enum_value("UNKNOWN", description="A type that is new to this server.")


_TYPES = {
    "String": AttributeType.STRING,
    "Number": AttributeType.NUMBER,
    "Boolean": AttributeType.BOOLEAN,
    "DateTime": AttributeType.DATE_TIME,
}


@strawberry.type(description="An attribute that users of the pool may have.")
class AttributeSchema:
    name: str = strawberry.field(description="The name, such as `email` or `custom:department`.")
    type: AttributeType = strawberry.field(description="The type of its values.")
    required: bool = strawberry.field(description="Whether users who sign up must have it.")
    mutable: bool = strawberry.field(
        description="Whether it can be changed once the user is there."
    )
    developer_only: bool = strawberry.field(
        description="Whether only administrators can set it; a legacy of Cognito."
    )
    min_length: int | None = strawberry.field(description="Characters that a string has at least.")
    max_length: int | None = strawberry.field(description="Characters that a string has at most.")
    min_value: str | None = strawberry.field(description="The smallest number, as the pool has it.")
    max_value: str | None = strawberry.field(description="The largest number, as the pool has it.")


@strawberry.type(description="What the pool asks of passwords.")
class PasswordPolicy:
    minimum_length: int | None = strawberry.field(description="Characters, at least.")
    require_uppercase: bool = strawberry.field(description="Whether it takes a capital letter.")
    require_lowercase: bool = strawberry.field(description="Whether it takes a small letter.")
    require_numbers: bool = strawberry.field(description="Whether it takes a digit.")
    require_symbols: bool = strawberry.field(description="Whether it takes a special character.")
    history_size: int | None = strawberry.field(
        description="How many of a user's last passwords cannot be used again; null for none."
    )
    temporary_password_days: int | None = strawberry.field(
        description="Days that a temporary password is valid."
    )


@strawberry.enum(description="Whether users need a second factor to sign in.")
class MfaMode(Enum):
    OFF = strawberry.enum_value("OFF", description="They cannot have one.")
    OPTIONAL = strawberry.enum_value("OPTIONAL", description="Those who have set one up need it.")
    ON = strawberry.enum_value("ON", description="Everyone needs one.")


@strawberry.type(description="The user pool: what its users and their passwords are like.")
class UserPool:
    attributes: list[AttributeSchema] = strawberry.field(
        description="The attributes that users may have, in the pool's order."
    )
    username_attributes: list[str] = strawberry.field(
        description="The attributes that are used as usernames, if any: then a user is given none."
    )
    alias_attributes: list[str] = strawberry.field(
        description="The attributes by which users can sign in beside their username."
    )
    username_case_sensitive: bool = strawberry.field(
        description="Whether usernames that differ by case are different users."
    )
    mfa: MfaMode | None = strawberry.field(
        description="Whether a second factor is needed; null if it is not told."
    )
    plan: str | None = strawberry.field(
        description="The pool's plan in Cognito's own word, such as `ESSENTIALS`."
    )
    password_policy: PasswordPolicy | None = strawberry.field(
        description="What is asked of passwords; null if it is not told."
    )
    pending_until_verified: list[str] = strawberry.field(
        description="The attributes whose new value counts only once the user has verified it."
    )
    estimated_users: int | None = strawberry.field(
        description="How many users there are, about; Cognito counts them now and then."
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
        # Where it is not told, the pool was made by the API's default.
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
        description="The user pool: which attributes its users may have, and what it asks of "
        "passwords.",
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
