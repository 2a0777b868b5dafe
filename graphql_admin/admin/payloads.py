"""The payloads of mutations: the errors, or the target, read back after the change."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from typing import Any

import strawberry

from graphql_admin.actions import Action
from graphql_admin.admin.action_errors import ActionError
from graphql_admin.admin.context import Info
from graphql_admin.admin.groups.types import Group, find_group
from graphql_admin.admin.guards import Requires, guarded, selects_beyond_key, selects_name
from graphql_admin.admin.nodes import global_id
from graphql_admin.admin.users.types import User, find_user, user_maker
from graphql_admin.engine.fields import shown
from graphql_admin.targets import Target

INVITED = "Invited"
"""In what a creation confirms, beside Cognito's members: whether the user was sent an invitation,
or None if that is not known."""


@strawberry.type
class Payload:
    errors: list[ActionError] = strawberry.field(
        default_factory=list, description="Why the action was not carried out; empty if it was."
    )
    target: strawberry.Private[Target] = Target()  # immutable
    """The target by the names that the caller may know; empty if the action was not carried out."""
    reply: strawberry.Private[Mapping[str, Any]] = field(default_factory=dict)
    """Cognito's reply."""
    is_read: strawberry.Private[bool] = False
    """Whether the target was read from the pool, and has its name there."""
    is_username: strawberry.Private[Callable[[str], Awaitable[bool]] | None] = None
    """Tells whether a given name can only be a username, and so is the name in the pool."""


@strawberry.type
class UserPayload(Payload):
    @guarded(
        Requires(Action.GET_USER, key_of="User"),
        description="The user, read back after the action; null if it was not carried out. "
        "For callers who may not read users, `id` and `username` are as given in the input.",
    )
    async def user(self, info: Info) -> User | None:
        username = self.target.user
        if username is None:
            return None
        if selects_beyond_key(info, "User") or await self._needs_name(info, username):
            return await find_user(info.context, username)
        return User.from_username(username)

    async def _needs_name(self, info: Info, given: str) -> bool:
        """Tell whether the name in the pool is selected, may be shown, and is not known.

        The given name may be an alias, or have other letters, and an `id` made of it would be
        nobody's.
        """
        may_read = Action.GET_USER in info.context.rights.actions
        if self.is_read or not may_read or not selects_name(info, "User"):
            return False
        return self.is_username is None or not await self.is_username(given)


@strawberry.type
class CreatedUserPayload(Payload):
    @guarded(
        Requires(Action.GET_USER, key_of="User"),
        description="The user as created, whose username may differ from the one given; null if no "
        "user was created.",
    )
    async def user(self, info: Info) -> User | None:
        row = self.reply.get("User")
        return user_maker(info.context)(row) if row else None

    @shown("Whether an invitation was sent; null if it is not known, or if no user was created.")
    def invited(self) -> bool | None:
        return self.reply.get(INVITED)


@strawberry.type
class GroupPayload(Payload):
    @guarded(
        Requires(Action.GET_GROUP, key_of="Group"),
        description="The group, read back after the action; null if it was not carried out.",
    )
    async def group(self, info: Info) -> Group | None:
        name = self.target.group
        if name is None:
            return None
        if not selects_beyond_key(info, "Group"):
            return Group.from_name(name)
        row = self.reply.get("Group")
        if isinstance(row, dict) and row.get("GroupName") == name:
            return Group(row)  # as it is after the action: lists and reads may lag behind
        return await find_group(info.context, name)


@strawberry.type
class MembershipPayload(UserPayload, GroupPayload):
    pass


@strawberry.type
class DeletedUserPayload(Payload):
    @shown("The global id made of `deletedUsername`; null if no user was deleted.")
    def deleted_id(self) -> strawberry.ID | None:
        return _id_of("User", self.target.user)

    @shown(
        "The username of the deleted user if the caller may read users, else the name as given in "
        "the input; null if no user was deleted."
    )
    def deleted_username(self) -> str | None:
        return self.target.user


@strawberry.type
class DeletedGroupPayload(Payload):
    @shown("The global id of the deleted group; null if no group was deleted.")
    def deleted_id(self) -> strawberry.ID | None:
        return _id_of("Group", self.target.group)

    @shown("The name of the deleted group; null if no group was deleted.")
    def deleted_name(self) -> str | None:
        return self.target.group


def _id_of(typename: str, key: str | None) -> strawberry.ID | None:
    return None if key is None else strawberry.ID(global_id(typename, key))


KNOWN_FROM_TOKEN = frozenset({"sub"})
"""Fields of the caller, beyond the key, whose values are in their token."""


@strawberry.type
class OneselfPayload(Payload):
    @guarded(
        Requires(Action.GET_USER, key_of="User", known=KNOWN_FROM_TOKEN),
        description="The caller: `id`, `username` and `sub` as in the token, the other fields "
        "read back after the action. Null if it was not carried out.",
    )
    async def user(self, info: Info) -> User | None:
        if self.target.user is None:
            return None
        if not selects_beyond_key(info, "User", known=KNOWN_FROM_TOKEN):
            return User.from_token(self.target.user, info.context.demand_token().sub)
        return await find_user(info.context, self.target.user)
