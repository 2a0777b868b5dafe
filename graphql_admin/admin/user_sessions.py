"""The sessions of a user: the list, and the mutation that ends one."""

import re
from collections.abc import Mapping
from enum import Enum

import strawberry

from graphql_admin.actions import Action
from graphql_admin.admin.context import Info
from graphql_admin.admin.features import Feature
from graphql_admin.admin.guards import guarded
from graphql_admin.admin.mutations import UserInput, mutation
from graphql_admin.admin.pagination import Listing, Row, read_all
from graphql_admin.admin.personal import Personal
from graphql_admin.admin.pool_schema import read_object, read_text, read_time
from graphql_admin.admin.users.types import User, find_user
from graphql_admin.cognito.operations import Timestamp
from graphql_admin.errors import BadUserInput, UserNotFound
from graphql_admin.targets import Reads

_ID = re.compile("(tkn|sso)[a-z0-9]{25}", re.ASCII)
"""botocore's model of cognito-idp, SessionIdType."""


@strawberry.enum(description="What a session was made for.")
class SessionKind(Enum):
    TOKEN = strawberry.enum_value(
        "TOKEN", description="The tokens that an app got when the user signed in."
    )
    SSO = strawberry.enum_value(
        "SSO",
        description="The sign-in page's own session, from which apps get tokens without asking "
        "the user again.",
    )
    UNKNOWN = strawberry.enum_value("UNKNOWN", description="One that this server does not know.")


_KINDS: Mapping[object, SessionKind] = {kind.value: kind for kind in SessionKind}


@strawberry.type(description="A session of a user that has not ended.")
class UserSession(Personal):
    id: str = strawberry.field(description="Cognito's id of the session, by which it can be ended.")
    kind: SessionKind = strawberry.field(description="What the session was made for.")
    client_id: str | None = strawberry.field(
        description="The app client that the user signed in to."
    )
    created_at: Timestamp | None = strawberry.field(description="When the session started.")
    last_active_at: Timestamp | None = strawberry.field(description="When it was last used.")
    device_type: str | None = strawberry.field(
        description="The kind of device or browser, as Cognito names it."
    )
    last_ip_address: str | None = strawberry.field(
        description="The IP address that it was last used from."
    )
    city: str | None = strawberry.field(description="The city of that address, by estimate.")
    country: str | None = strawberry.field(description="The country of that address, by estimate.")
    origin_session_id: str | None = strawberry.field(
        description="Id of the session of the sign-in page that this one came from, if any."
    )


def _read_session(row: Row) -> UserSession:
    """Pick what is shown from a SessionDescriptionType of Cognito."""
    place = read_object(row.get("LastLocation"))
    return UserSession(
        id=row["SessionId"],
        kind=_KINDS.get(read_text(row.get("SessionType")), SessionKind.UNKNOWN),
        client_id=read_text(row.get("ClientId")),
        created_at=read_time(row.get("CreateDate")),
        last_active_at=read_time(row.get("LastActiveDate")),
        device_type=read_text(row.get("DeviceType")),
        last_ip_address=read_text(row.get("LastIPAddress")),
        city=read_text(place.get("City")),
        country=read_text(place.get("Country")),
        origin_session_id=read_text(row.get("OriginSessionId")),
    )


@guarded(
    Action.LIST_USER_SESSIONS,
    name="sessions",
    description="All sessions of the user that have not ended, in Cognito's order; null if the "
    "user no longer exists. The list is eventually consistent: a session may take some seconds to "
    "appear or disappear. Where the pool does not keep sessions, the error is `NOT_ENABLED`.",
)
async def sessions_of_user(user: strawberry.Parent[User], info: Info) -> list[UserSession] | None:
    context = info.context
    # Of a user of whom only the key is known it may be an alias, and this operation takes usernames
    # alone.
    known = user
    if "sub" not in user.values:
        found = await find_user(context, user.key, Action.LIST_USER_SESSIONS)
        if found is None:
            return None
        known = found
    listing = Listing(
        Action.LIST_USER_SESSIONS,
        "AdminListUserSessions",
        rows="Sessions",
        key="SessionId",
        token="NextToken",
        parameters={"Username": known.key},
        size=None,
    )
    try:
        # Cognito says that one page has them all. Should it not, the calls of the request are the
        # bound.
        rows = await read_all(context, listing)
    except UserNotFound:
        return None
    return list(map(_read_session, rows))


@strawberry.input
class SessionInput(UserInput):
    session_id: str = strawberry.field(description="The session's `id`.")
    linked: bool = strawberry.field(
        default=False,
        description="Whether to end the linked sessions, too: of a session of the sign-in page, "
        "those that came from it; of another, the one that it came from.",
    )

    def parameters(self) -> Mapping[str, object]:
        if not _ID.fullmatch(self.session_id):
            raise BadUserInput(
                "`sessionId` must be `tkn` or `sso`, and 25 lowercase letters or digits.",
                field="sessionId",
            )
        return {
            "SessionId": self.session_id,
            "RevokeAssociatedSessions": "LINKED" if self.linked else "NONE",
        }

    async def prepare(self, reads: Reads) -> Mapping[str, object]:
        await reads.user()  # for the username, since this operation takes no aliases
        return {}


@strawberry.type
class SessionChanges:
    end_user_session = mutation(
        Action.END_USER_SESSION,
        "End one of a user's sessions: its refresh and access tokens are revoked. Where tokens are "
        "verified by the pool's keys alone, they are accepted until they expire. The user can sign "
        "in again.",
        input=SessionInput,
    )


FEATURE = Feature(mutation=SessionChanges, extends={User: (sessions_of_user,)})
