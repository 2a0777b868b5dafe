"""Searching users by one attribute, in ListUsers' filter language."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal
from unicodedata import category

import strawberry
from strawberry.types.unset import UNSET

from graphql_admin.admin.pagination import Row
from graphql_admin.errors import BadUserInput


@strawberry.enum(description="Status of a user in Cognito.")
class UserStatus(Enum):
    UNCONFIRMED = strawberry.enum_value("UNCONFIRMED", description="Signed up, not yet confirmed.")
    CONFIRMED = strawberry.enum_value("CONFIRMED", description="Confirmed; can sign in.")
    EXTERNAL_PROVIDER = strawberry.enum_value(
        "EXTERNAL_PROVIDER", description="Signs in with an external identity provider."
    )
    RESET_REQUIRED = strawberry.enum_value(
        "RESET_REQUIRED", description="Must reset the password before signing in."
    )
    FORCE_CHANGE_PASSWORD = strawberry.enum_value(
        "FORCE_CHANGE_PASSWORD", description="Must replace a temporary password when signing in."
    )
    ARCHIVED = strawberry.enum_value("ARCHIVED", description="No longer active.")
    COMPROMISED = strawberry.enum_value(
        "COMPROMISED", description="Disabled by Cognito because of a potential security threat."
    )
    UNKNOWN = strawberry.enum_value(
        "UNKNOWN",
        description="A status that Cognito reports as unknown, or that this server does not know.",
    )


STATUSES: Mapping[object, UserStatus] = {status.value: status for status in UserStatus}
"""The statuses by Cognito's names. Any other is `UNKNOWN`."""


def read_attributes(row: Mapping[str, Any]) -> Row:
    """Return a user's attributes; AdminGetUser and ListUsers name them differently.

    An attribute without a name, which Cognito's model does not allow, is left out.
    """
    pairs = row.get("Attributes") or row.get("UserAttributes") or ()
    try:
        attributes = {pair["Name"]: pair["Value"] for pair in pairs}
    except (KeyError, TypeError):  # an empty attribute may have no value
        attributes = {
            pair.get("Name"): pair.get("Value", "")
            for pair in (pairs if isinstance(pairs, list) else ())
            if isinstance(pair, dict)
        }
    attributes.pop(None, None)
    return attributes


@dataclass(frozen=True, slots=True)
class Criterion:
    """A condition on one attribute, in ListUsers' filter language."""

    attribute: str
    operator: Literal["=", "^="]
    value: str

    @property
    def is_met_by_all(self) -> bool:
        """Whether every user meets it."""
        return self.operator == "^=" and not self.value

    def expression(self, field: str) -> str:
        """Return the filter, with the value escaped.

        Args:
            field: The field of the request that the value comes from, for the error.

        Raises:
            BadUserInput: The value cannot be part of a filter.
        """
        if not self.value:
            raise BadUserInput("The value must not be empty.", field=field)
        if not self.value.isprintable() and any(category(c) in _REFUSED for c in self.value):
            raise BadUserInput("The value must not have control characters in it.", field=field)
        escaped = self.value.replace("\\", "\\\\").replace('"', '\\"')
        expression = f'{self.attribute} {self.operator} "{escaped}"'
        if len(expression) > _MAX_FILTER_LENGTH:
            raise BadUserInput("The value is too long.", field=field)
        return expression

    def admits(self, row: Row) -> bool:
        """Whether a row that Cognito returned may match.

        An equality is checked again, so that no other user is disclosed if Cognito parses the
        filter differently than intended. Letter case is left to Cognito.
        """
        if self.operator != "=":
            return True
        match self.attribute:
            case "username":
                found = row["Username"]
            case "cognito:user_status":
                found = row.get("UserStatus")
            case "status":
                found = "Enabled" if row.get("Enabled") else "Disabled"
            case _:
                found = read_attributes(row).get(self.attribute)
        return found is not None and found.casefold() == self.value.casefold()


_REFUSED = frozenset({"Cc", "Cs"})
"""Unicode categories of control characters and lone surrogates. Other unprintable characters occur
in names: spaces of other scripts, joiners, direction marks."""

_MAX_FILTER_LENGTH = 256
"""Characters; botocore's model of cognito-idp, UserFilterType."""


_ATTRIBUTES = {"full_name": "name"}
"""Cognito's names of attributes, where those of the filter's fields are others."""


@strawberry.input(one_of=True, description="How to compare a string.")
class StringMatch:
    equals: str | None = strawberry.field(default=UNSET, description="Equal to this string.")
    starts_with: str | None = strawberry.field(
        default=UNSET, description="Starts with this string; the empty string matches every user."
    )


@strawberry.input(one_of=True, description="A condition on one attribute.")
class UserFilter:
    username: StringMatch | None = strawberry.field(default=UNSET, description="By username.")
    sub: StringMatch | None = strawberry.field(default=UNSET, description="By `sub`.")
    email: StringMatch | None = strawberry.field(default=UNSET, description="By e-mail address.")
    phone_number: StringMatch | None = strawberry.field(
        default=UNSET, description="By phone number."
    )
    full_name: StringMatch | None = strawberry.field(default=UNSET, description="By full name.")
    given_name: StringMatch | None = strawberry.field(default=UNSET, description="By given name.")
    family_name: StringMatch | None = strawberry.field(default=UNSET, description="By family name.")
    preferred_username: StringMatch | None = strawberry.field(
        default=UNSET, description="By preferred username."
    )
    status: UserStatus | None = strawberry.field(default=UNSET, description="By status.")
    enabled: bool | None = strawberry.field(
        default=UNSET, description="By whether they are enabled."
    )

    def criterion(self) -> Criterion:
        """Return the condition that is set."""
        field, value = next(item for item in vars(self).items() if item[1] is not UNSET)
        match value:
            case UserStatus():
                return Criterion("cognito:user_status", "=", value.name)
            case bool():
                return Criterion("status", "=", "Enabled" if value else "Disabled")
            case StringMatch(equals=str(text)):
                return Criterion(_ATTRIBUTES.get(field, field), "=", text)
            case StringMatch(starts_with=str(text)):
                return Criterion(_ATTRIBUTES.get(field, field), "^=", text)
        raise AssertionError(field)


@strawberry.input(one_of=True, description="An identifier of one user.")
class UserBy:
    username: str | None = strawberry.field(
        default=UNSET, description="The username; Cognito also accepts an alias or the `sub`."
    )
    sub: str | None = strawberry.field(default=UNSET, description="The `sub`.")
    email: str | None = strawberry.field(default=UNSET, description="The e-mail address.")
    phone_number: str | None = strawberry.field(default=UNSET, description="The phone number.")
