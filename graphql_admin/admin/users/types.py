"""Users of the user pool."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Self

import strawberry
import structlog
from strawberry.types.unset import UNSET
from strawberry.utils.str_converters import to_camel_case

from graphql_admin.actions import Action
from graphql_admin.admin.cognito_names import check_name
from graphql_admin.admin.context import Context, Info
from graphql_admin.admin.features import Feature
from graphql_admin.admin.groups.types import Group, by_precedence
from graphql_admin.admin.guards import guarded
from graphql_admin.admin.nodes import KEY, Node
from graphql_admin.admin.pagination import (
    DEFAULT_FIRST,
    MAX_FIRST,
    After,
    Connection,
    First,
    Listing,
    Row,
    paginate,
    read_all,
)
from graphql_admin.admin.users.filters import (
    STATUSES,
    Criterion,
    UserBy,
    UserFilter,
    UserStatus,
    read_attributes,
)
from graphql_admin.admin.users.identities import ATTRIBUTE, UserIdentity, read_identities
from graphql_admin.cognito.operations import Timestamp, to_timestamp
from graphql_admin.engine.fields import FieldReader, held, shown
from graphql_admin.errors import AmbiguousUser, UpstreamFailed, UserNotFound

log = structlog.get_logger(__name__)


@strawberry.type(description="An attribute of a user, as stored in Cognito.")
class UserAttribute:
    name: str = strawberry.field(description="The name, such as `email` or `custom:department`.")
    value: str = strawberry.field(description="The value; Cognito stores every value as a string.")


_BOOLS: Mapping[str, bool] = {"true": True, "false": False}
"""Values of Boolean attributes in lower case. Cognito stores them as strings in the letter case of
the client that set them: Python and .NET write `True`."""


def _read_bool(text: str | None) -> bool | None:
    """Return the value of a Boolean attribute; None if it is missing or not a Boolean."""
    return None if text is None else _BOOLS.get(text.lower())


def _read_status(name: object) -> UserStatus:
    return STATUSES.get(name) or UserStatus.UNKNOWN


def _incomplete(member: str) -> UpstreamFailed:
    """Return the error for a user without a member that every user in Cognito has.

    The fault is that of Cognito, or of its emulator.
    """
    log.error("user from Cognito without a member", member=member)
    return UpstreamFailed()


def _attribute(name: str) -> FieldReader:
    """Return what reads an attribute: None if it is missing, or empty, as deleting may leave it."""
    return FieldReader(
        lambda user: user.values.get(name) or None,
        lambda users: [user.values.get(name) or None for user in users],
    )


def _member(name: str) -> FieldReader:
    return FieldReader(
        lambda user: user.row.get(name), lambda users: [user.row.get(name) for user in users]
    )


@strawberry.federation.type(keys=["username", "sub"], description="A user of the user pool.")
class User(Node):
    row: strawberry.Private[Row]
    """Cognito's UserType, or the reply of AdminGetUser."""

    values: strawberry.Private[Row]
    """Its attributes by name."""

    def __init__(self, row: Row) -> None:
        self.key = row["Username"]
        self.row = row
        self.values = read_attributes(row)

    username = held(
        KEY,
        str,
        "The username, which never changes. Where only key fields are selected of a reference, or "
        "of a payload by callers who may not read users, it may be a name as it was given: an "
        "alias, or in other letters.",
        of_key=True,
    )
    sub = held(
        _attribute("sub"),
        str,
        "The user's unique id, which is the `sub` claim of their tokens.",
        missing=partial(_incomplete, "sub"),
    )
    email = held(_attribute("email"), str | None, "E-mail address.")
    email_verified = held(
        _attribute("email_verified"),
        bool | None,
        "Whether the e-mail address is verified.",
        convert=_read_bool,
    )
    phone_number = held(_attribute("phone_number"), str | None, "Phone number, in E.164 form.")
    phone_number_verified = held(
        _attribute("phone_number_verified"),
        bool | None,
        "Whether the phone number is verified.",
        convert=_read_bool,
    )
    full_name = held(_attribute("name"), str | None, "Full name.")
    given_name = held(_attribute("given_name"), str | None, "Given name.")
    family_name = held(_attribute("family_name"), str | None, "Family name.")
    preferred_username = held(_attribute("preferred_username"), str | None, "Preferred username.")
    status = held(
        _member("UserStatus"),
        UserStatus,
        "The user's status.",
        convert=_read_status,
    )
    user_status = held(
        _member("UserStatus"),
        str | None,
        "The status as Cognito names it, even if this server does not know it.",
    )
    enabled = held(
        _member("Enabled"),
        bool,
        "Whether the user is enabled; a disabled user cannot sign in.",
        missing=partial(_incomplete, "Enabled"),
    )
    created_at = held(
        _member("UserCreateDate"),
        Timestamp | None,
        "When the user was created.",
        convert=to_timestamp,
    )
    updated_at = held(
        _member("UserLastModifiedDate"),
        Timestamp | None,
        "When the user last changed.",
        convert=to_timestamp,
    )

    @shown("Every attribute, standard and custom, as stored in Cognito.")
    def attributes(self) -> list[UserAttribute]:
        present = ((name, value) for name, value in self.values.items() if value)
        return [UserAttribute(name=name, value=value) for name, value in present]

    @shown(
        "The identities at other providers that sign in as the user; null if Cognito's list cannot "
        "be read."
    )
    def identities(self) -> list[UserIdentity] | None:
        return read_identities(self.values.get(ATTRIBUTE))

    @guarded(
        Action.LIST_GROUPS_FOR_USER,
        description="The user's groups, ordered by precedence, then by name.",
    )
    async def groups(
        self, info: Info, first: First = DEFAULT_FIRST, after: After = None
    ) -> Connection[Group] | None:
        listing = list_groups_of(self.key)
        return await paginate(info.context, listing, Group, first=first, after=after)

    @classmethod
    def from_username(cls, username: str) -> Self:
        """Create a user of whom only the username is known."""
        return cls({"Username": username})

    @classmethod
    def from_sub(cls, sub: str) -> Self:
        """Create a user of whom only the `sub` is known."""
        return cls.from_token("", sub)

    @classmethod
    def from_token(cls, username: str, sub: str) -> Self:
        """Create a user of whom only what is in their token is known."""
        return cls({"Username": username, "Attributes": [{"Name": "sub", "Value": sub}]})


def list_users(action: Action, criterion: Criterion | None, *, field: str) -> Listing:
    """Return the list of all users, or of those that meet a criterion.

    Args:
        action: The action that the users are read for.
        criterion: The condition; None for all users.
        field: The field of the request that it comes from, for the error.

    Raises:
        BadUserInput: The criterion's value cannot be part of a filter.
    """
    if criterion is None:
        return Listing(action, "ListUsers", rows="Users", key="Username", token="PaginationToken")
    return Listing(
        action,
        "ListUsers",
        rows="Users",
        key="Username",
        token="PaginationToken",
        parameters={"Filter": criterion.expression(field)},
        keep=criterion.admits,
    )


def list_groups_of(username: str) -> Listing:
    """Return the list of the groups that a user is in."""
    return Listing(
        Action.LIST_GROUPS_FOR_USER,
        "AdminListGroupsForUser",
        rows="Groups",
        key="GroupName",
        token="NextToken",
        parameters={"Username": username},
        sort_key=by_precedence,
        limit=MAX_FIRST,
    )


async def find_user(
    context: Context, username: str, action: Action = Action.GET_USER
) -> User | None:
    """Fetch the user named `username`, with strong consistency.

    Args:
        context: The request's context.
        username: The name.
        action: The action that the user is read for.

    Raises:
        AdminError: The call failed; a missing user is None, not an error.
    """
    try:
        reply = await context.read(action, "AdminGetUser", Username=username)
    except UserNotFound:
        return None
    if reply.get("Username") is None:
        raise _incomplete("Username")
    return User(reply)


async def find_user_by(context: Context, attribute: str, value: str, *, field: str) -> User | None:
    """Fetch the one user whose `attribute` is `value`, from Cognito's index of users.

    Args:
        context: The request's context.
        attribute: Cognito's name of the attribute.
        value: The value.
        field: The field of the request that it comes from, for the error.

    Raises:
        BadUserInput: The value cannot be part of a filter.
        AmbiguousUser: There is more than one.
        QueryTooExpensive: The request's calls were used up before the end of the list, so that it
            is not known whether there is a match, or a second one.
        AdminError: The call failed; a missing user is None, not an error.
    """
    listing = list_users(Action.GET_USER, Criterion(attribute, "=", value), field=field)
    # A `sub` is unique, so after one match there is no need to look for a second.
    enough = 1 if attribute == "sub" else 2
    rows = await read_all(context, listing, enough=enough)
    if len(rows) > 1:
        raise AmbiguousUser
    return User(rows[0]) if rows else None


@strawberry.type
class UserQuery:
    @guarded(
        Action.GET_USER, description="The user identified by `by`; null if there is no such user."
    )
    async def user(
        self,
        info: Info,
        by: Annotated[UserBy, strawberry.argument(description="The identifier of the user.")],
    ) -> User | None:
        attribute, value = next(item for item in vars(by).items() if item[1] is not UNSET)
        if attribute == "username":
            return await find_user(info.context, check_name(value, "username"))
        return await find_user_by(
            info.context, attribute, value, field=f"by.{to_camel_case(attribute)}"
        )

    @guarded(
        Action.LIST_USERS,
        description="The users of the pool, or those that match `filter`. The list is eventually "
        "consistent: a change may take a moment to appear here, while `user` shows it at once.",
    )
    async def users(
        self,
        info: Info,
        first: First = DEFAULT_FIRST,
        after: After = None,
        filter: Annotated[
            UserFilter | None,
            strawberry.argument(description="Return only the users that match; all by default."),
        ] = None,
    ) -> Connection[User] | None:
        listing = list_users(
            Action.LIST_USERS, filter.criterion() if filter else None, field="filter"
        )
        return await paginate(info.context, listing, User, first=first, after=after)


@guarded(Action.LIST_USERS_IN_GROUP, name="users", description="The users in the group.")
async def users_in_group(
    group: strawberry.Parent[Group],
    info: Info,
    first: First = DEFAULT_FIRST,
    after: After = None,
) -> Connection[User] | None:
    listing = Listing(
        Action.LIST_USERS_IN_GROUP,
        "ListUsersInGroup",
        rows="Users",
        key="Username",
        token="NextToken",
        parameters={"GroupName": group.key},
    )
    return await paginate(info.context, listing, User, first=first, after=after)


FEATURE = Feature(query=UserQuery, extends={Group: (users_in_group,)})
