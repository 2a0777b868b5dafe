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
        description="Delete the user only if their `sub` is this one; otherwise the error is "
        "`STALE`. The username of a deleted user can be reused, their `sub` cannot.",
    )

    async def prepare(self, reads: Reads) -> Mapping[str, object]:
        if self.if_sub is not None:
            user = await reads.user()
            if read_attributes(user).get("sub") != self.if_sub:
                raise Stale("This username now belongs to another user.", field="ifSub")
        return {}


@strawberry.type
class AccountChanges:
    delete_user = mutation(
        Action.DELETE_USER,
        "Delete a user and their group memberships. This cannot be undone, and the username can be "
        "reused. Access and ID tokens issued before remain valid until they expire.",
        input=DeletionInput,
        payload=DeletedUserPayload,
    )
    end_user_sessions = mutation(
        Action.END_USER_SESSIONS,
        "Sign a user out of all devices by revoking their refresh tokens. Access and ID tokens "
        "issued before remain valid until they expire, except where Cognito itself checks them. "
        "The browser session of the hosted sign-in page is not ended.",
    )


FEATURE = Feature(mutation=AccountChanges)
