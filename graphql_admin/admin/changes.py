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
        takes="Which user to add to which group.",
        gives="What came of adding a user to a group.",
    )
    remove_user_from_group = mutation(
        Action.REMOVE_USER_FROM_GROUP,
        "Remove a user from a group.",
        takes="Which user to remove from which group.",
        gives="What came of removing a user from a group.",
    )
    confirm_user_sign_up = mutation(
        Action.CONFIRM_USER_SIGN_UP,
        "Confirm the registration of a user who signed up, without their code.",
        takes="Whose registration to confirm.",
        gives="What came of confirming a registration.",
    )
    disable_user = mutation(
        Action.DISABLE_USER,
        "Disable a user, who can then no longer sign in. Tokens that were issued before stay good "
        "until they expire.",
        takes="Whom to disable.",
        gives="What came of disabling a user.",
    )
    enable_user = mutation(
        Action.ENABLE_USER,
        "Enable a user, who can then sign in again.",
        takes="Whom to enable.",
        gives="What came of enabling a user.",
    )
    sign_user_out = mutation(
        Action.SIGN_USER_OUT,
        "Sign oneself out of all devices: revoke the refresh tokens. Tokens that were issued "
        "before stay good until they expire.",
        takes="Whom to sign out, which can only be oneself.",
        gives="What came of signing out.",
        input=OneselfInput,
        payload=OneselfPayload,
    )


FEATURE = Feature(mutation=Changes)
