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
from graphql_admin.admin.pool_schema import (
    AttributeSchema,
    read_attributes,
    read_int,
    read_list,
    read_object,
    read_text,
)
from graphql_admin.errors import UpstreamFailed

log = structlog.get_logger(__name__)

_DEFAULT_DAYS = 7
"""Days that a temporary password is valid where the pool says 0; botocore's model,
PasswordPolicyType."""


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
    usernames = read_object(described.get("UsernameConfiguration"))
    updates = read_object(described.get("UserAttributeUpdateSettings"))
    policy = read_object(described.get("Policies")).get("PasswordPolicy")
    mode = str(described.get("MfaConfiguration"))
    return UserPool(
        attributes=read_attributes(described),
        username_attributes=read_list(described.get("UsernameAttributes"), str),
        alias_attributes=read_list(described.get("AliasAttributes"), str),
        # The default of CreateUserPool, where the pool does not say.
        username_case_sensitive=usernames.get("CaseSensitive", True) is True,
        mfa=MfaMode[mode] if mode in MfaMode.__members__ else None,
        plan=read_text(described.get("UserPoolTier")),
        password_policy=_read_policy(policy) if isinstance(policy, dict) else None,
        pending_until_verified=read_list(
            updates.get("AttributesRequireVerificationBeforeUpdate"), str
        ),
        estimated_users=read_int(described.get("EstimatedNumberOfUsers")),
    )


def _read_policy(policy: Mapping[str, Any]) -> PasswordPolicy:
    days = policy.get("TemporaryPasswordValidityDays")
    return PasswordPolicy(
        minimum_length=read_int(policy.get("MinimumLength")),
        require_uppercase=policy.get("RequireUppercase") is True,
        require_lowercase=policy.get("RequireLowercase") is True,
        require_numbers=policy.get("RequireNumbers") is True,
        require_symbols=policy.get("RequireSymbols") is True,
        history_size=read_int(policy.get("PasswordHistorySize")) or None,
        temporary_password_days=_DEFAULT_DAYS if days == 0 else read_int(days),
    )


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
