"""The sign-in events of a user: the list, and the mutation that rates one."""

import re
from collections.abc import Mapping

import strawberry

from graphql_admin.actions import Action
from graphql_admin.admin.context import Info
from graphql_admin.admin.features import Feature
from graphql_admin.admin.guards import guarded
from graphql_admin.admin.mutations import UserInput, mutation
from graphql_admin.admin.pagination import (
    DEFAULT_FIRST,
    After,
    Connection,
    First,
    Listing,
    Row,
    paginate,
)
from graphql_admin.admin.personal import Personal
from graphql_admin.admin.pool_schema import read_list, read_object, read_text, read_time
from graphql_admin.admin.users.types import User, key_of
from graphql_admin.cognito.operations import Timestamp
from graphql_admin.errors import BadUserInput

MAX_EVENT_ID = 50
"""Characters; botocore's model of cognito-idp, EventIdType."""

_ID = re.compile(r"[\w+-]+", re.ASCII)
"""botocore's model of cognito-idp, EventIdType."""

_RATINGS: Mapping[str | None, bool] = {"Valid": True, "Invalid": False}


@strawberry.type(description="An answer to a challenge during a sign-in.")
class UserAuthChallenge(Personal):
    name: str | None = strawberry.field(
        description="Cognito's name of the challenge, such as `Password` or `Mfa`."
    )
    response: str | None = strawberry.field(description="`Success` or `Failure`.")


@strawberry.type(
    description="An event that Cognito recorded for a user, such as a sign-in. A field is null "
    "where Cognito does not say."
)
class UserAuthEvent(Personal):
    id: str = strawberry.field(description="The event's id.")
    kind: str | None = strawberry.field(
        description="Cognito's name of the kind: `SignIn`, `SignUp`, `ForgotPassword`, "
        "`PasswordChange`, `ResendCode`, or another one."
    )
    at: Timestamp | None = strawberry.field(description="When it happened.")
    response: str | None = strawberry.field(
        description="How it ended: `Pass`, `Fail`, `InProgress`, or another name of Cognito's."
    )
    challenges: list[UserAuthChallenge] = strawberry.field(
        description="The challenges that were answered."
    )
    risk_level: str | None = strawberry.field(
        description="The risk: `Low`, `Medium`, `High`, or another name of Cognito's."
    )
    risk_decision: str | None = strawberry.field(
        description="What Cognito decided: `NoRisk`, `AccountTakeover`, `Block`, or another name "
        "of Cognito's."
    )
    compromised_credentials: bool | None = strawberry.field(
        description="Whether Cognito knows the password to be compromised."
    )
    ip_address: str | None = strawberry.field(description="The IP address that it came from.")
    device: str | None = strawberry.field(description="The device or browser that it came from.")
    city: str | None = strawberry.field(description="The city that it came from.")
    country: str | None = strawberry.field(description="The country that it came from.")
    was_the_user: bool | None = strawberry.field(
        description="Whether it was the user, as a caller rated it; null if it is not rated."
    )


def _read(row: Row) -> UserAuthEvent:
    risk, source = read_object(row.get("EventRisk")), read_object(row.get("EventContextData"))
    feedback = read_object(row.get("EventFeedback"))
    compromised = risk.get("CompromisedCredentialsDetected")
    return UserAuthEvent(
        id=row["EventId"],
        kind=read_text(row.get("EventType")),
        at=read_time(row.get("CreationDate")),
        response=read_text(row.get("EventResponse")),
        challenges=[
            UserAuthChallenge(
                name=read_text(each.get("ChallengeName")),
                response=read_text(each.get("ChallengeResponse")),
            )
            for each in read_list(row.get("ChallengeResponses"), dict)
        ],
        risk_level=read_text(risk.get("RiskLevel")),
        risk_decision=read_text(risk.get("RiskDecision")),
        compromised_credentials=compromised if isinstance(compromised, bool) else None,
        ip_address=read_text(source.get("IpAddress")),
        device=read_text(source.get("DeviceName")),
        city=read_text(source.get("City")),
        country=read_text(source.get("Country")),
        was_the_user=_RATINGS.get(read_text(feedback.get("FeedbackValue"))),
    )


@guarded(
    Action.LIST_USER_AUTH_EVENTS,
    name="authEvents",
    description="The user's sign-in events, in Cognito's order, if the pool's threat protection "
    "records them; otherwise the error is `NOT_ENABLED`.",
)
async def auth_events_of_user(
    user: strawberry.Parent[User], info: Info, first: First = DEFAULT_FIRST, after: After = None
) -> Connection[UserAuthEvent] | None:
    key = await key_of(user, info.context, Action.LIST_USER_AUTH_EVENTS)
    listing = Listing(
        Action.LIST_USER_AUTH_EVENTS,
        "AdminListUserAuthEvents",
        rows="AuthEvents",
        key="EventId",
        token="NextToken",
        parameters={"Username": key},
        size="MaxResults",
    )
    return await paginate(info.context, listing, _read, first=first, after=after)


@strawberry.input
class RatingInput(UserInput):
    event_id: str = strawberry.field(description="The event's `id`.")
    was_the_user: bool = strawberry.field(description="Whether it was the user.")

    def parameters(self) -> Mapping[str, object]:
        if len(self.event_id) > MAX_EVENT_ID or not _ID.fullmatch(self.event_id):
            raise BadUserInput("This is not the id of an event.", field="eventId")
        return {
            "EventId": self.event_id,
            "FeedbackValue": "Valid" if self.was_the_user else "Invalid",
        }


@strawberry.type
class AuthEventChanges:
    rate_user_auth_event = mutation(
        Action.RATE_USER_AUTH_EVENT,
        "Say whether a sign-in event of a user was the user. Cognito's threat protection learns "
        "from it; it ends no session.",
        input=RatingInput,
    )


FEATURE = Feature(mutation=AuthEventChanges, extends={User: (auth_events_of_user,)})
