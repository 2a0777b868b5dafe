"""Mutations of passwords and invitations."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

import strawberry

from graphql_admin.actions import Action
from graphql_admin.admin.features import Feature
from graphql_admin.admin.mutations import UserInput, mutation
from graphql_admin.admin.pool_schema import read_list
from graphql_admin.admin.users.filters import read_attributes
from graphql_admin.admin.values import check_password
from graphql_admin.engine.fields import secret
from graphql_admin.errors import BadUserInput, NotInvited, WrongState
from graphql_admin.targets import Reads

ADDRESSES = ("email", "phone_number")
"""The attributes that a pool may have as usernames."""


@strawberry.input
class PasswordInput(UserInput):
    password: str = secret(
        "The new password: 1 to 256 characters without spaces, which must meet the pool's password "
        "policy. Send it in a variable, not in the document."
    )
    permanent: bool = strawberry.field(
        default=False,
        description="Whether the password is permanent. A temporary one must be changed at the "
        "next sign-in, and expires as the pool's `passwordPolicy` says.",
    )

    def parameters(self) -> Mapping[str, object]:
        password = check_password(self.password, "password")
        return {"Password": password, "Permanent": self.permanent}

    async def prepare(self, reads: Reads) -> Mapping[str, object]:
        user = await reads.user()
        if user.get("UserStatus") == "EXTERNAL_PROVIDER":
            raise WrongState(
                "This user signs in through another identity provider, and cannot be given a "
                "password."
            )
        return {}


@strawberry.enum(description="How the pool delivers a message.")
class DeliveryMedium(Enum):
    EMAIL = strawberry.enum_value("EMAIL", description="E-mail.")
    SMS = strawberry.enum_value("SMS", description="Text message (SMS).")


ADDRESS_OF: Mapping[DeliveryMedium, str] = {
    DeliveryMedium.EMAIL: "email",
    DeliveryMedium.SMS: "phone_number",
}
"""The attribute with the address that a medium delivers to."""


@strawberry.input
class InvitationInput(UserInput):
    invite_by: list[DeliveryMedium] = strawberry.field(
        default_factory=lambda: [DeliveryMedium.EMAIL],
        description="How to deliver the invitation: at least one medium, each of which requires "
        "the user's address.",
    )

    def parameters(self) -> Mapping[str, object]:
        media = list(dict.fromkeys(medium.value for medium in self.invite_by))
        if not media:
            raise BadUserInput("`inviteBy` must name at least one medium.", field="inviteBy")
        return {"MessageAction": "RESEND", "DesiredDeliveryMediums": media}

    async def prepare(self, reads: Reads) -> Mapping[str, object]:
        user = await reads.user()
        if user.get("UserStatus") != "FORCE_CHANGE_PASSWORD":
            raise NotInvited
        attributes = read_attributes(user)
        # Cognito may set a new temporary password before it finds that it cannot send it.
        if not all(attributes.get(ADDRESS_OF[medium]) for medium in self.invite_by):
            raise WrongState("The user has no address for one of these media.", field="inviteBy")
        if attributes.get("sub") != user.get("Username"):
            return {}
        # The usernames of this pool are e-mail addresses or phone numbers, and AdminGetUser replies
        # with the `sub`. Emulators send no invitation to it, and AWS does not say whether it does.
        names = _names_in(await reads.pool())
        addresses = [attributes[name] for name in names if attributes.get(name)]
        if not addresses:
            return {}
        # One by which the user was found is certainly a username of theirs.
        return {"Username": self.username if self.username in addresses else addresses[0]}


def _names_in(described: Mapping[str, Any] | None) -> Sequence[str]:
    """Return the attributes that are usernames in the pool, as far as it is known."""
    return ADDRESSES if described is None else read_list(described.get("UsernameAttributes"), str)


@strawberry.type
class PasswordChanges:
    set_user_password = mutation(
        Action.SET_USER_PASSWORD,
        "Set a user's password. The user is not notified, and their sessions are not ended. Users "
        "who sign in through another identity provider cannot be given a password.",
        input=PasswordInput,
    )
    reset_user_password = mutation(
        Action.RESET_USER_PASSWORD,
        "Reset a user's password: the current one is no longer valid, and the pool sends the user "
        "a code to set a new one. The user must be confirmed and have a verified e-mail address or "
        "phone number. Each call sends a message.",
    )
    resend_invitation = mutation(
        Action.RESEND_INVITATION,
        "Send a user's invitation again, with a new temporary password; the previous one is no "
        "longer valid. The user must have been invited, and not have signed in yet. Each call "
        "sends a message.",
        input=InvitationInput,
    )


FEATURE = Feature(mutation=PasswordChanges)
