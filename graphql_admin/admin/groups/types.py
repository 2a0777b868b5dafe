"""Groups of the user pool."""

from typing import Annotated, Self

import strawberry
import structlog

from graphql_admin.actions import Action
from graphql_admin.admin.cognito_names import check_name
from graphql_admin.admin.context import Context, Info
from graphql_admin.admin.features import Feature
from graphql_admin.admin.guards import guarded
from graphql_admin.admin.nodes import Node
from graphql_admin.admin.pagination import (
    DEFAULT_FIRST,
    After,
    Connection,
    First,
    Listing,
    Row,
    paginate,
)
from graphql_admin.cognito.operations import Timestamp, to_timestamp
from graphql_admin.engine.fields import shown
from graphql_admin.errors import GroupNotFound, UpstreamFailed

log = structlog.get_logger(__name__)


@strawberry.federation.type(keys=["name"], description="A group of the user pool.")
class Group(Node):
    row: strawberry.Private[Row]
    """Cognito's GroupType."""

    def __init__(self, row: Row) -> None:
        self.key = row["GroupName"]
        self.row = row

    @shown("The group's name, unique in the pool.", of_key=True)
    def name(self) -> str:
        return self.key

    @shown("What the group is for.")
    def description(self) -> str | None:
        return self.row.get("Description")

    @shown("Among a user's groups, the one with the lowest number comes first.")
    def precedence(self) -> int | None:
        return self.row.get("Precedence")

    @shown("IAM role that the group's members may assume through an identity pool.")
    def role_arn(self) -> str | None:
        return self.row.get("RoleArn")

    @shown("When the group was made.")
    def created_at(self) -> Timestamp | None:
        return to_timestamp(self.row.get("CreationDate"))

    @shown("When the group last changed.")
    def updated_at(self) -> Timestamp | None:
        return to_timestamp(self.row.get("LastModifiedDate"))

    @classmethod
    def from_name(cls, name: str) -> Self:
        """Make a group of which only the key is known."""
        return cls({"GroupName": name})


ALL_GROUPS = Listing("ListGroups", rows="Groups", key="GroupName", token="NextToken")

GroupName = Annotated[str, strawberry.argument(description="The group's name.")]


async def find_group(context: Context, name: str) -> Group | None:
    """Fetch the group called `name`.

    Raises:
        AdminError: Cognito did not answer well; a group that is not there is None.
    """
    try:
        reply = await context.read("GetGroup", GroupName=name)
    except GroupNotFound:
        return None
    row = reply.get("Group")
    if not isinstance(row, dict) or "GroupName" not in row:
        log.error("reply of Cognito without its group")
        raise UpstreamFailed
    return Group(row)


def by_precedence(row: Row) -> tuple[float, str]:
    """Sort key of Cognito's GroupType: precedence first (none is last), then name."""
    return row.get("Precedence", float("inf")), row["GroupName"]


@strawberry.type
class GroupQuery:
    @guarded(Action.GET_GROUP, description="The group called `name`; null if there is none.")
    async def group(self, info: Info, name: GroupName) -> Group | None:
        return await find_group(info.context, check_name(name, "name"))

    @guarded(Action.LIST_GROUPS, description="The groups of the pool.")
    async def groups(
        self, info: Info, first: First = DEFAULT_FIRST, after: After = None
    ) -> Connection[Group] | None:
        return await paginate(info.context, ALL_GROUPS, Group, first=first, after=after)


FEATURE = Feature(query=GroupQuery)
