"""Mutations that create, change and delete groups."""

from collections.abc import Mapping
from typing import Any

import strawberry
from strawberry.types.unset import UNSET

from graphql_admin.actions import Action
from graphql_admin.admin.features import Feature
from graphql_admin.admin.mutations import GroupInput, mutation
from graphql_admin.admin.payloads import DeletedGroupPayload
from graphql_admin.admin.values import check_description
from graphql_admin.cognito.operations import Timestamp, is_at
from graphql_admin.errors import BadUserInput, PartlyDone, Stale, UpstreamFailed, WrongState
from graphql_admin.targets import Reads

_CHANGEABLE = ("Description", "Precedence", "RoleArn")
"""The members of a group that UpdateGroup sets. Older documentation of AWS says that it sets those
that are left out to their defaults, so all are sent."""


@strawberry.input
class GroupCreationInput(GroupInput):
    description: str | None = strawberry.field(
        default=None, description="The group's description, at most 2,048 characters."
    )
    precedence: int | None = strawberry.field(
        default=None,
        description="The group's precedence, 0 or more. Of a user's groups, the one with the "
        "lowest number takes precedence.",
    )

    def parameters(self) -> Mapping[str, object]:
        given: dict[str, object] = {}
        if self.description:
            given["Description"] = check_description(self.description, "description")
        if self.precedence is not None:
            given["Precedence"] = _check_precedence(self.precedence)
        return given


@strawberry.input
class GroupUpdateInput(GroupInput):
    description: str | None = strawberry.field(
        default=UNSET,
        description="The new description, at most 2,048 characters. Null removes it; if left out, "
        "it is unchanged.",
    )
    precedence: int | None = strawberry.field(
        default=UNSET,
        description="The new precedence, 0 or more. Of a user's groups, the one with the lowest "
        "number takes precedence. Null removes it; if the pool does not, the error is "
        "`WRONG_STATE`. If left out, it is unchanged.",
    )
    if_updated_at: Timestamp | None = strawberry.field(
        default=None,
        description="Update the group only if its `updatedAt` is this date and time; otherwise the "
        "error is `STALE`. A concurrent change that is made after this check can still be "
        "overwritten.",
    )

    def parameters(self) -> Mapping[str, object]:
        given: dict[str, object] = {}
        if self.description is not UNSET:
            given["Description"] = check_description(self.description or "", "description")
        if self.precedence is not UNSET and self.precedence is not None:
            given["Precedence"] = _check_precedence(self.precedence)
        if not given and self.precedence is UNSET:
            raise BadUserInput("Give a `description`, a `precedence`, or both.")
        return given

    async def prepare(self, reads: Reads) -> Mapping[str, object]:
        group = _group_of(await reads.read("GetGroup", GroupName=reads.target.group))
        if self.if_updated_at is not None and not is_at(
            self.if_updated_at, group.get("LastModifiedDate")
        ):
            raise Stale(
                "The group has changed since you read it. Read it again.", field="ifUpdatedAt"
            )
        kept = {name: group[name] for name in _CHANGEABLE if group.get(name) is not None}
        if self.precedence is None:
            kept.pop("Precedence", None)
        return {**kept, **self.parameters()}

    def confirm(self, reply: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.precedence is not None or _group_of(reply).get("Precedence") is None:
            return reply
        kept = "The user pool did not remove the group's precedence."
        if self.description is UNSET:
            raise WrongState(kept, field="precedence")
        raise PartlyDone(f"{kept} The description was changed.", field="precedence")


@strawberry.input
class GroupDeletionInput(GroupInput):
    with_members: bool = strawberry.field(
        default=False,
        description="Whether to delete the group even if it has members, who then lose their "
        "membership. If false, the error for a group with members is `WRONG_STATE`.",
    )

    async def prepare(self, reads: Reads) -> Mapping[str, object]:
        if not self.with_members and await _has_members(reads):
            raise WrongState("The group has members.", field="groupName")
        return {}


def _check_precedence(number: int) -> int:
    if number < 0:
        raise BadUserInput("`precedence` must be 0 or more.", field="precedence")
    return number


def _group_of(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    group = reply.get("Group")
    if not isinstance(group, dict):
        raise UpstreamFailed
    return group


async def _has_members(reads: Reads) -> bool:
    """Tell whether the group has members. A page may be empty and have others after it."""
    position: dict[str, object] = {}
    while True:
        reply = await reads.read(
            "ListUsersInGroup", GroupName=reads.target.group, Limit=1, **position
        )
        users, token = reply.get("Users"), reply.get("NextToken")
        if not isinstance(users, list):
            raise UpstreamFailed
        if users or token is None:
            return bool(users)
        if position == {"NextToken": token}:
            raise UpstreamFailed  # the list would never end
        position = {"NextToken": token}


@strawberry.type
class GroupChanges:
    create_group = mutation(
        Action.CREATE_GROUP,
        "Create a group, without an IAM role. Cognito allows few changes to the groups of a pool "
        "per second.",
        input=GroupCreationInput,
    )
    update_group = mutation(
        Action.UPDATE_GROUP,
        "Update a group's description or precedence; its IAM role is unchanged. The precedence "
        "decides which group's role a user in several groups gets. Cognito allows few changes to "
        "the groups of a pool per second.",
        input=GroupUpdateInput,
    )
    delete_group = mutation(
        Action.DELETE_GROUP,
        "Delete a group, but not its members. A group that the server's policy names cannot be "
        "deleted.",
        input=GroupDeletionInput,
        payload=DeletedGroupPayload,
    )


FEATURE = Feature(mutation=GroupChanges)
