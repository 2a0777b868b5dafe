"""Mutations of passwords and invitations."""

from collections.abc import Mapping
from enum import Enum

import strawberry

from graphql_admin.actions import Action
from graphql_admin.admin.features import Feature
from graphql_admin.admin.mutations import UserInput, mutation
from graphql_admin.admin.users.filters import read_attributes
from graphql_admin.admin.values import check_password
from graphql_admin.engine.fields import secret
from graphql_admin.errors import BadUserInput, NotInvited, WrongState
from graphql_admin.targets import Reads


@strawberry.input
class PasswordInput(UserInput):
    password: str = secret(
        "The new password: 1 to 256 characters without spaces, as the pool's policy admits it. "
        "Send it in a variable."
    )
    permanent: bool = strawberry.field(
        default=False,
        description="Whether the user keeps it. A temporary password must be replaced at the next "
        "sign-in, and expires after the number of days that the pool is set to.",
    )

    def parameters(self) -> Mapping[str, object]:
        password = check_password(self.password, "password")
        return {"Password": password, "Permanent": self.permanent}

    async def prepare(self, reads: Reads) -> Mapping[str, object]:
        user = await reads.user()
        if user.get("UserStatus") == "EXTERNAL_PROVIDER":
            raise WrongState(
                "This user signs in with another identity provider. A password would be a second "
                "way in."
            )
        return {}


@strawberry.enum(description="How the pool sends a message.")
class DeliveryMedium(Enum):
    EMAIL = strawberry.enum_value("EMAIL", description="By e-mail.")
    SMS = strawberry.enum_value("SMS", description="By text message to the phone.")


@strawberry.input
class InvitationInput(UserInput):
    invite_by: list[DeliveryMedium] = strawberry.field(
        default_factory=lambda: [DeliveryMedium.EMAIL],
        description="How to send the invitation; at least one.",
    )

    def parameters(self) -> Mapping[str, object]:
        media = list(dict.fromkeys(medium.value for medium in self.invite_by))
        if not media:
            raise BadUserInput("`inviteBy` must name a way to send it.", field="inviteBy")
        return {"MessageAction": "RESEND", "DesiredDeliveryMediums": media}

    async def prepare(self, reads: Reads) -> Mapping[str, object]:
        user = await reads.user()
        if user.get("UserStatus") != "FORCE_CHANGE_PASSWORD":
            raise NotInvited
        attributes = read_attributes(user)
        if attributes.get("sub") != user.get("Username"):
            return {}
        # A pool whose usernames are e-mail addresses or phone numbers: there the username that is
        # read is the `sub`, to which some Cognitos send no invitation.
        address = attributes.get("email") or attributes.get("phone_number")
        return {"Username": address} if address else {}


@strawberry.type
class PasswordChanges:
    set_user_password = mutation(
        Action.SET_USER_PASSWORD,
        "Set a user's password. The user is not notified, and stays signed in. A user who signs in "
        "with another identity provider cannot be given one.",
        input=PasswordInput,
    )
    reset_user_password = mutation(
        Action.RESET_USER_PASSWORD,
        "Make a user choose a new password: the old one is no longer valid, and the pool sends "
        "them a code. It takes a confirmed user with a verified e-mail address or phone number. "
        "Each call sends a message.",
    )
    resend_invitation = mutation(
        Action.RESEND_INVITATION,
        "Send the invitation again to a user who has not signed in yet, with a new temporary "
        "password; the one before is no longer valid. Each call sends a message.",
        input=InvitationInput,
    )


FEATURE = Feature(mutation=PasswordChanges)
