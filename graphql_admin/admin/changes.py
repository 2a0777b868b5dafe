"""Every change of users and groups, each a mutation."""

import strawberry

from graphql_admin.actions import Action
from graphql_admin.admin.features import Feature
from graphql_admin.admin.mutations import OneselfInput, mutation
from graphql_admin.admin.payloads import OneselfPayload


@strawberry.type
class Changes:
    add_user_to_group = mutation(
        Action.ADD_USER_TO_GROUP,
        "Add a user to a group.",
    )
    remove_user_from_group = mutation(
        Action.REMOVE_USER_FROM_GROUP,
        "Remove a user from a group.",
    )
    confirm_user_sign_up = mutation(
        Action.CONFIRM_USER_SIGN_UP,
        "Confirm the registration of a user who signed up, without their code.",
    )
    disable_user = mutation(
        Action.DISABLE_USER,
        "Disable a user, who can then no longer sign in. Access and ID tokens issued "
        "before remain valid until they expire.",
    )
    enable_user = mutation(
        Action.ENABLE_USER,
        "Enable a user, who can then sign in again.",
    )
    sign_user_out = mutation(
        Action.SIGN_USER_OUT,
        "Sign the caller out of all devices by revoking their refresh tokens. Access and ID tokens "
        "issued before remain valid until they expire.",
        input=OneselfInput,
        payload=OneselfPayload,
    )


FEATURE = Feature(mutation=Changes)
