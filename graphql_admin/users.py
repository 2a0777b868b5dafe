"""Users of the user pool."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Self

import strawberry
from strawberry.types.unset import UNSET

from graphql_admin.actions import Action
from graphql_admin.context import Context, Info
from graphql_admin.cursors import Position
from graphql_admin.errors import AmbiguousUser, UserNotFound
from graphql_admin.features import Feature
from graphql_admin.fields import shown
from graphql_admin.filters import (
    STATUSES,
    Criterion,
    UserBy,
    UserFilter,
    UserStatus,
    read_attributes,
)
from graphql_admin.groups import Group, by_precedence
from graphql_admin.guards import guarded
from graphql_admin.names import check_name
from graphql_admin.nodes import Node
from graphql_admin.operations import to_datetime
from graphql_admin.pagination import (
    DEFAULT_FIRST,
    MAX_FIRST,
    After,
    Connection,
    First,
    Listing,
    Row,
    paginate,
    read_page,
)


@strawberry.type(description="An attribute of a user, as Cognito holds it.")
class UserAttribute:
    name: str = strawberry.field(description="Such as `email` or `custom:department`.")
    value: str = strawberry.field(description="The value; Cognito holds every value as a text.")


_BOOLS: Mapping[str | None, bool] = {"true": True, "false": False}
"""What Cognito's texts for Boolean attributes mean; a user may also be without."""


@strawberry.federation.type(keys=["username", "sub"], description="A user of the user pool.")
class User(Node):
    row: strawberry.Private[Row]
    """Cognito's UserType, or the reply of AdminGetUser."""

    values: strawberry.Private[Row]
    """The attributes in it, by name."""

    def __init__(self, row: Row) -> None:
        self.key = row["Username"]
        self.row = row
        self.values = read_attributes(row)

    @shown(
        "The user's name in the pool, which never changes. In a mutation's payload where nothing "
        "beyond the key is selected: the name as it was given.",
        of_key=True,
    )
    def username(self) -> str:
        return self.key

    @shown("The user's unique id, the `sub` of their tokens.")
    def sub(self) -> str:
        return self.values.get("sub")  # type: ignore[return-value]  # no user is without

    @shown("E-mail address.")
    def email(self) -> str | None:
        return self.values.get("email")

    @shown("Whether the e-mail is verified.")
    def email_verified(self) -> bool | None:
        return _BOOLS.get(self.values.get("email_verified"))

    @shown("Phone number, in E.164 form.")
    def phone_number(self) -> str | None:
        return self.values.get("phone_number")

    @shown("Whether the phone number is verified.")
    def phone_number_verified(self) -> bool | None:
        return _BOOLS.get(self.values.get("phone_number_verified"))

    @shown("Full name.")
    def name(self) -> str | None:
        return self.values.get("name")

    @shown("Given name.")
    def given_name(self) -> str | None:
        return self.values.get("given_name")

    @shown("Family name.")
    def family_name(self) -> str | None:
        return self.values.get("family_name")

    @shown("The name the user goes by.")
    def preferred_username(self) -> str | None:
        return self.values.get("preferred_username")

    @shown("Where the user is in the account's life.")
    def status(self) -> UserStatus:
        return STATUSES.get(self.row.get("UserStatus")) or UserStatus.UNKNOWN

    @shown("Whether the user may sign in.")
    def enabled(self) -> bool:
        return self.row.get("Enabled")  # type: ignore[return-value]  # every row has it

    @shown("When the user was made.")
    def created_at(self) -> datetime | None:
        return to_datetime(self.row.get("UserCreateDate"))

    @shown("When the user last changed.")
    def updated_at(self) -> datetime | None:
        return to_datetime(self.row.get("UserLastModifiedDate"))

    @shown("Every attribute, standard and custom, in Cognito's own form.")
    def attributes(self) -> list[UserAttribute]:
        return [UserAttribute(name=name, value=value) for name, value in self.values.items()]

    @guarded(
        Action.LIST_GROUPS_FOR_USER,
        description="The user's groups: by precedence, then name, up to 60 groups.",
    )
    async def groups(
        self, info: Info, first: First = DEFAULT_FIRST, after: After = None
    ) -> Connection[Group] | None:
        listing = Listing(
            "AdminListGroupsForUser",
            rows="Groups",
            token="NextToken",
            parameters={"Username": self.key},
            sort_key=by_precedence,
            limit=MAX_FIRST,
        )
        return await paginate(info.context, listing, Group, first=first, after=after)

    @classmethod
    def from_username(cls, username: str) -> Self:
        """Make a user of whom only the username is known."""
        return cls({"Username": username})

    @classmethod
    def from_sub(cls, sub: str) -> Self:
        """Make a user of whom only the `sub` is known."""
        return cls({"Username": "", "Attributes": [{"Name": "sub", "Value": sub}]})


def list_users(criterion: Criterion | None) -> Listing:
    """Return the list of all users, or of those who meet a criterion.

    Raises:
        BadUserInput: The criterion's value cannot be part of a filter.
    """
    if criterion is None:
        return Listing("ListUsers", rows="Users", token="PaginationToken")
    return Listing(
        "ListUsers",
        rows="Users",
        token="PaginationToken",
        parameters={"Filter": criterion.expression()},
        keep=criterion.admits,
    )


async def find_user(context: Context, username: str) -> User | None:
    """Fetch the user called `username`, as the last write left them.

    Raises:
        AdminError: Cognito did not answer well; a user who is not there is None.
    """
    try:
        return User(await context.read("AdminGetUser", Username=username))
    except UserNotFound:
        return None


async def find_user_by(context: Context, attribute: str, value: str) -> User | None:
    """Fetch the one user whose `attribute` is `value`, from Cognito's index of users.

    Raises:
        AmbiguousUser: There is more than one.
        AdminError: Cognito did not answer well; a user who is not there is None.
    """
    listing = list_users(Criterion(attribute, "=", value))
    # No two users have one `sub`, so that one who is found spares the look for another.
    count = 1 if attribute == "sub" else 2
    page = await read_page(context, listing, Position(None, limit=2), count)
    if len(page.rows) > 1:
        raise AmbiguousUser
    return User(page.rows[0]) if page.rows else None


@strawberry.type
class UserQuery:
    @guarded(Action.GET_USER, description="The user identified by `by`; null if there is none.")
    async def user(
        self,
        info: Info,
        by: Annotated[UserBy, strawberry.argument(description="What identifies the user.")],
    ) -> User | None:
        attribute, value = next(item for item in vars(by).items() if item[1] is not UNSET)
        if attribute == "username":
            return await find_user(info.context, check_name(value, "username"))
        return await find_user_by(info.context, attribute, value)

    @guarded(
        Action.LIST_USERS,
        description="The users of the pool, or those whom `filter` admits. A change may take a "
        "moment to show here; `user` shows it at once.",
    )
    async def users(
        self,
        info: Info,
        first: First = DEFAULT_FIRST,
        after: After = None,
        filter: Annotated[
            UserFilter | None, strawberry.argument(description="Which users; all by default.")
        ] = None,
    ) -> Connection[User] | None:
        listing = list_users(filter.criterion() if filter else None)
        return await paginate(info.context, listing, User, first=first, after=after)


@guarded(Action.LIST_USERS_IN_GROUP, name="users", description="The users who are in the group.")
async def users_in_group(
    group: strawberry.Parent[Group],
    info: Info,
    first: First = DEFAULT_FIRST,
    after: After = None,
) -> Connection[User] | None:
    listing = Listing(
        "ListUsersInGroup",
        rows="Users",
        token="NextToken",
        parameters={"GroupName": group.key},
    )
    return await paginate(info.context, listing, User, first=first, after=after)


FEATURE = Feature(query=UserQuery, extends={Group: (users_in_group,)})
