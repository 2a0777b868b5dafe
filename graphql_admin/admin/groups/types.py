"""Groups of the user pool."""

from typing import Annotated, Self

import strawberry
import structlog

from graphql_admin.actions import Action
from graphql_admin.admin.cognito_names import check_name
from graphql_admin.admin.context import Context, Info
from graphql_admin.admin.features import Feature
from graphql_admin.admin.guards import guarded
from graphql_admin.admin.nodes import KEY, Node
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
from graphql_admin.engine.fields import FieldReader, held
from graphql_admin.errors import GroupNotFound, UpstreamFailed

log = structlog.get_logger(__name__)


def _member(name: str) -> FieldReader:
    return FieldReader(
        lambda group: group.row.get(name), lambda groups: [group.row.get(name) for group in groups]
    )


@strawberry.federation.type(keys=["name", "id"], description="A group of the user pool.")
class Group(Node):
    row: strawberry.Private[Row]
    """Cognito's GroupType."""

    def __init__(self, row: Row) -> None:
        self.key = row["GroupName"]
        self.row = row

    name = held(KEY, str, "The name of the group, unique in the pool.", of_key=True)
    description = held(_member("Description"), str | None, "The description of the group.")
    precedence = held(
        _member("Precedence"),
        int | None,
        "Precedence among a user's groups: the lowest number comes first.",
    )
    role_arn = held(
        _member("RoleArn"),
        str | None,
        "ARN of the IAM role that members of the group assume through an identity pool.",
    )
    created_at = held(
        _member("CreationDate"),
        Timestamp | None,
        "When the group was created.",
        convert=to_timestamp,
    )
    updated_at = held(
        _member("LastModifiedDate"),
        Timestamp | None,
        "When the group last changed.",
        convert=to_timestamp,
    )

    @classmethod
    def from_name(cls, name: str) -> Self:
        """Create a group of which only the key is known."""
        return cls({"GroupName": name})


ALL_GROUPS = Listing(
    Action.LIST_GROUPS, "ListGroups", rows="Groups", key="GroupName", token="NextToken"
)

GroupName = Annotated[str, strawberry.argument(description="The group's name.")]


async def find_group(context: Context, name: str) -> Group | None:
    """Fetch the group named `name`.

    Raises:
        AdminError: The call failed; a missing group is None, not an error.
    """
    try:
        reply = await context.read(Action.GET_GROUP, "GetGroup", GroupName=name)
    except GroupNotFound:
        return None
    row = reply.get("Group")
    if not isinstance(row, dict) or not isinstance(row.get("GroupName"), str):
        log.error("reply from Cognito without its group")
        raise UpstreamFailed
    return Group(row)


def by_precedence(row: Row) -> tuple[float, str]:
    """Sort key of Cognito's GroupType: precedence (none is last), then name."""
    precedence = row.get("Precedence")
    return float("inf") if precedence is None else precedence, row["GroupName"]


@strawberry.type
class GroupQuery:
    @guarded(
        Action.GET_GROUP, description="The group named `name`; null if there is no such group."
    )
    async def group(self, info: Info, name: GroupName) -> Group | None:
        return await find_group(info.context, check_name(name, "name"))

    @guarded(Action.LIST_GROUPS, description="The groups of the user pool.")
    async def groups(
        self, info: Info, first: First = DEFAULT_FIRST, after: After = None
    ) -> Connection[Group] | None:
        return await paginate(info.context, ALL_GROUPS, Group, first=first, after=after)


FEATURE = Feature(query=GroupQuery)
