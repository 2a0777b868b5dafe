"""The identities of a user at other providers, from the attribute in which Cognito keeps them."""

from typing import Any

import orjson
import strawberry

from graphql_admin.admin.personal import Personal
from graphql_admin.admin.pool_schema import read_object, read_text, read_time
from graphql_admin.cognito.operations import Timestamp

ATTRIBUTE = "identities"


@strawberry.type(
    description="An identity at another provider that signs in as the user. A field is null where "
    "Cognito does not say."
)
class UserIdentity(Personal):
    provider: str | None = strawberry.field(
        description="Name of the identity provider in the pool."
    )
    user_id: str | None = strawberry.field(description="The person's id at the provider.")
    primary: bool | None = strawberry.field(
        description="Whether the user was created by signing in with this identity, and not linked "
        "to it."
    )
    linked_at: Timestamp | None = strawberry.field(
        description="When the identity was linked to the user, or first signed in."
    )


def read_identities(text: str | None) -> list[UserIdentity] | None:
    """Return the identities in the value of the attribute; None if it cannot be read.

    What Cognito adds to it later, or an emulator leaves out, makes no field of the others null.
    """
    if not text:
        return []
    try:
        rows = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return list(map(_read, rows)) if isinstance(rows, list) else None


def _read(value: Any) -> UserIdentity:
    row = read_object(value)
    return UserIdentity(
        provider=read_text(row.get("providerName")),
        user_id=read_text(row.get("userId")),
        primary=_FLAGS.get(str(row.get("primary")).lower()),
        linked_at=_read_date(row.get("dateCreated")),
    )


_FLAGS = {"true": True, "false": False}
"""Cognito writes them as strings."""


def _read_date(value: Any) -> Timestamp | None:
    """Return a date that is in milliseconds since 1970, as a string or a number."""
    text = str(value)
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
        return None
    return read_time(int(text) / 1000)


_DIGITS = 15
"""Digits of a date in milliseconds; the last year of `datetime` has 15."""
