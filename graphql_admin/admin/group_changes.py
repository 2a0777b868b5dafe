"""The life of groups: created, changed, deleted."""

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
"""What UpdateGroup sets. What it is not told it may set to a default: AWS has said so, and has
ceased to say so."""


@strawberry.input
class GroupCreationInput(GroupInput):
    description: str | None = strawberry.field(
        default=None, description="What the group is for: at most 2,048 characters."
    )
    precedence: int | None = strawberry.field(
        default=None,
        description="Among a user's groups, the one with the lowest number comes first: from 0.",
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
        description="What the group is for: at most 2,048 characters; null for nothing. As it is "
        "where it is left out.",
    )
    precedence: int | None = strawberry.field(
        default=UNSET,
        description="Among a user's groups, the one with the lowest number comes first: from 0; "
        "null for none, which a pool may not admit (`WRONG_STATE`). As it is where it is left out.",
    )
    if_updated_at: Timestamp | None = strawberry.field(
        default=None,
        description="Change the group only if it last changed then, as its `updatedAt` says; "
        "otherwise the error is `STALE`. It holds for the moment of the read: a change by someone "
        "else at the same time can still be overwritten.",
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
            raise Stale("The group has changed since. Read it again.", field="ifUpdatedAt")
        kept = {name: group[name] for name in _CHANGEABLE if group.get(name) is not None}
        if self.precedence is None:
            kept.pop("Precedence", None)
        return {**kept, **self.parameters()}

    def confirm(self, reply: Mapping[str, Any]) -> None:
        if self.precedence is not None or _group_of(reply).get("Precedence") is None:
            return
        error = WrongState if self.description is UNSET else PartlyDone
        raise error("The user pool keeps the group's precedence.", field="precedence")


@strawberry.input
class GroupDeletionInput(GroupInput):
    with_members: bool = strawberry.field(
        default=False,
        description="Whether to delete the group also if users are in it, who lose their "
        "membership. Otherwise the error is `WRONG_STATE`.",
    )

    async def prepare(self, reads: Reads) -> Mapping[str, object]:
        if not self.with_members and await _has_members(reads):
            raise WrongState("There are users in the group.", field="groupName")
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
        "Create a group. It has no IAM role. Cognito admits few changes of groups a second, "
        "in one pool.",
        input=GroupCreationInput,
    )
    update_group = mutation(
        Action.UPDATE_GROUP,
        "Change a group's description or precedence. Its IAM role stays as it is; the precedence "
        "says whose role a user of several groups gets. Cognito admits few changes of groups a "
        "second, in one pool.",
        input=GroupUpdateInput,
    )
    delete_group = mutation(
        Action.DELETE_GROUP,
        "Delete a group. Its users stay. A group that the server's policy names cannot be deleted.",
        input=GroupDeletionInput,
        payload=DeletedGroupPayload,
    )


FEATURE = Feature(mutation=GroupChanges)
