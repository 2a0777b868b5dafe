"""Mutations that delete users and end their sessions."""

from collections.abc import Mapping

import strawberry

from graphql_admin.actions import Action
from graphql_admin.admin.features import Feature
from graphql_admin.admin.mutations import UserInput, mutation
from graphql_admin.admin.payloads import DeletedUserPayload
from graphql_admin.admin.users.filters import read_attributes
from graphql_admin.errors import Stale
from graphql_admin.targets import Reads


@strawberry.input
class DeletionInput(UserInput):
    if_sub: str | None = strawberry.field(
        default=None,
        description="Delete the user only if this is their `sub`; otherwise the error is `STALE`. "
        "A username may be used again by someone else, a `sub` never is.",
    )

    async def prepare(self, reads: Reads) -> Mapping[str, object]:
        if self.if_sub is not None:
            user = await reads.user()
            if read_attributes(user).get("sub") != self.if_sub:
                raise Stale("This username belongs to another user now.", field="ifSub")
        return {}


@strawberry.type
class AccountChanges:
    delete_user = mutation(
        Action.DELETE_USER,
        "Delete a user, with their memberships. They cannot be restored, and the username can be "
        "used again. Access and ID tokens issued before remain valid until they expire.",
        input=DeletionInput,
        payload=DeletedUserPayload,
    )
    end_user_sessions = mutation(
        Action.END_USER_SESSIONS,
        "Sign a user out of all devices by revoking their refresh tokens. Access and ID tokens "
        "issued before remain valid until they expire, where they are verified without calling "
        "Cognito. A browser that is signed in to the hosted sign-in page stays signed in.",
    )


FEATURE = Feature(mutation=AccountChanges)
