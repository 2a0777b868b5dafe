"""The factors that a user signs in with, and the mutations that change them."""

from collections.abc import Mapping
from enum import Enum

import strawberry

from graphql_admin.actions import Action
from graphql_admin.admin.context import Info
from graphql_admin.admin.features import Feature
from graphql_admin.admin.guards import guarded, selects_beyond
from graphql_admin.admin.mutations import UserInput, mutation
from graphql_admin.admin.pagination import Row
from graphql_admin.admin.pool_schema import read_list, read_text
from graphql_admin.admin.users.types import User, key_of
from graphql_admin.errors import BadUserInput, UserNotFound

_IN_USER = frozenset({"__typename", "preferredMfa", "mfa"})
"""Fields whose values AdminGetUser replies with, too."""


@strawberry.type(description="The factors that a user can sign in with, by Cognito's names.")
class UserAuthFactors:
    preferred_mfa: str | None = strawberry.field(
        description="The factor of `mfa` that the user is asked for, such as `SOFTWARE_TOKEN_MFA`; "
        "null if none is preferred."
    )
    mfa: list[str] = strawberry.field(
        description="The factors that are turned on for the user's multi-factor authentication "
        "(MFA), such as `SMS_MFA`, `EMAIL_OTP` and `SOFTWARE_TOKEN_MFA`; empty if there are none."
    )
    first_factors: list[str] = strawberry.field(
        description="What the user can choose from to sign in with, such as `PASSWORD` and "
        "`WEB_AUTHN` (a passkey), where apps offer the choice."
    )


@guarded(
    Action.GET_USER_AUTH_FACTORS,
    name="authFactors",
    description="The factors that the user can sign in with; null if the user no longer exists. "
    "`mfa` and `preferredMfa` alone take no call to Cognito where the user was read by their "
    "username; of users in a list, and with `firstFactors`, it is one call for each.",
)
async def auth_factors_of_user(user: strawberry.Parent[User], info: Info) -> UserAuthFactors | None:
    # Only AdminGetUser has these attributes by this name, and says of MFA what there is: a user in
    # a list has neither of the members, whatever their MFA.
    row: Row | None = user.row if "UserAttributes" in user.row else None
    if row is None or selects_beyond(info, UserAuthFactors.__name__, _IN_USER):
        action = Action.GET_USER_AUTH_FACTORS
        try:
            key = await key_of(user, info.context, action)
            row = await info.context.read(action, "AdminGetUserAuthFactors", Username=key)
        except UserNotFound:
            return None
    return UserAuthFactors(
        preferred_mfa=read_text(row.get("PreferredMfaSetting")) or None,
        mfa=read_list(row.get("UserMFASettingList"), str),
        first_factors=read_list(row.get("ConfiguredUserAuthFactors"), str),
    )


@strawberry.enum(description="Whether a user is asked for a factor of MFA.")
class FactorSetting(Enum):
    OFF = strawberry.enum_value("OFF", description="Not asked for.")
    ON = strawberry.enum_value("ON", description="Asked for, and not preferred.")
    PREFERRED = strawberry.enum_value(
        "PREFERRED", description="Asked for, and preferred to the others."
    )


_MEMBERS = {
    "sms": "SMSMfaSettings",
    "totp": "SoftwareTokenMfaSettings",
    "email": "EmailMfaSettings",
    "passkey": "WebAuthnMfaSettings",
}
"""Cognito's names of the settings, by input field."""


@strawberry.input
class MfaInput(UserInput):
    sms: FactorSetting | None = strawberry.field(
        default=None, description="Codes by text message (SMS). If null or left out: unchanged."
    )
    totp: FactorSetting | None = strawberry.field(
        default=None,
        description="Codes of an authenticator app (TOTP). If null or left out: unchanged.",
    )
    email: FactorSetting | None = strawberry.field(
        default=None, description="Codes by e-mail. If null or left out: unchanged."
    )
    passkey: FactorSetting | None = strawberry.field(
        default=None,
        description="Passkeys, which cannot be `PREFERRED`. If null or left out: unchanged.",
    )

    def parameters(self) -> Mapping[str, object]:
        given: dict[str, FactorSetting] = {
            name: setting for name in _MEMBERS if (setting := getattr(self, name)) is not None
        }
        if not given:
            raise BadUserInput("Name at least one factor.")
        preferred = [name for name, each in given.items() if each is FactorSetting.PREFERRED]
        if "passkey" in preferred:
            raise BadUserInput("Passkeys cannot be preferred.", field="passkey")
        if len(preferred) > 1:
            raise BadUserInput("Only one factor can be preferred.", field=preferred[1])
        # No others: Cognito rejects a factor that the user has not set up, even to turn it off.
        # https://github.com/aws-amplify/amplify-js/issues/944
        return {_MEMBERS[name]: _to_settings(name, setting) for name, setting in given.items()}


def _to_settings(name: str, setting: FactorSetting) -> Mapping[str, bool]:
    settings = {"Enabled": setting is not FactorSetting.OFF}
    if name != "passkey":  # which has no other member
        settings["PreferredMfa"] = setting is FactorSetting.PREFERRED
    return settings


@strawberry.type
class FactorChanges:
    set_user_mfa = mutation(
        Action.SET_USER_MFA,
        "Set which factors of multi-factor authentication (MFA) a user is asked for. Only the "
        "factors that the input names are changed, at least one. The user must have set up an "
        "authenticator app or a passkey themselves, and have an address for codes.",
        input=MfaInput,
    )
    delete_user_totp = mutation(
        Action.DELETE_USER_TOTP,
        "Delete a user's authenticator app (TOTP), such as that of a lost phone, so that they can "
        "set up another. Their other factors are unchanged. Where the pool requires MFA, and there "
        "is no other factor, the user has to set one up at the next sign-in.",
    )


FEATURE = Feature(mutation=FactorChanges, extends={User: (auth_factors_of_user,)})
