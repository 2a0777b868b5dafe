"""The attributes that users of the pool may have, by DescribeUserPool."""

from collections.abc import Mapping
from enum import Enum
from typing import Any

import strawberry

from graphql_admin.cognito.operations import Timestamp, to_timestamp

_LARGEST_INT = 2**31 - 1
"""GraphQL's `Int`; https://spec.graphql.org/October2021/#sec-Int."""


@strawberry.enum(description="The data type of an attribute. All values are strings in Cognito.")
class AttributeType(Enum):
    STRING = strawberry.enum_value("STRING", description="Text.")
    NUMBER = strawberry.enum_value("NUMBER", description="A number.")
    BOOLEAN = strawberry.enum_value("BOOLEAN", description="`true` or `false`.")
    DATE_TIME = strawberry.enum_value("DATE_TIME", description="A date and time.")
    UNKNOWN = strawberry.enum_value("UNKNOWN", description="A type that this server does not know.")


_TYPES = {
    "String": AttributeType.STRING,
    "Number": AttributeType.NUMBER,
    "Boolean": AttributeType.BOOLEAN,
    "DateTime": AttributeType.DATE_TIME,
}


@strawberry.type(description="An attribute that users of the pool can have.")
class AttributeSchema:
    name: str = strawberry.field(description="Name, such as `email` or `custom:department`.")
    type: AttributeType = strawberry.field(description="Data type of its values.")
    required: bool = strawberry.field(description="Whether it is required at sign-up.")
    mutable: bool = strawberry.field(
        description="Whether it can be changed after the user was created."
    )
    developer_only: bool = strawberry.field(
        description="Whether it is a legacy developer attribute, which only administrators set."
    )
    min_length: int | None = strawberry.field(
        description="Minimum length of a string, in characters."
    )
    max_length: int | None = strawberry.field(
        description="Maximum length of a string, in characters."
    )
    min_value: str | None = strawberry.field(
        description="Minimum value of a number; a string, since it may exceed `Int`."
    )
    max_value: str | None = strawberry.field(
        description="Maximum value of a number; a string, since it may exceed `Int`."
    )


def read_attributes(described: Mapping[str, Any]) -> list[AttributeSchema]:
    """Return the attributes of a UserPoolType of Cognito, in the pool's order."""
    return [
        _read_attribute(each)
        for each in read_list(described.get("SchemaAttributes"), dict)
        if isinstance(each.get("Name"), str)
    ]


def _read_attribute(row: Mapping[str, Any]) -> AttributeSchema:
    lengths = read_object(row.get("StringAttributeConstraints"))
    values = read_object(row.get("NumberAttributeConstraints"))
    return AttributeSchema(
        name=row["Name"],
        type=_TYPES.get(str(row.get("AttributeDataType")), AttributeType.UNKNOWN),
        required=row.get("Required") is True,
        mutable=row.get("Mutable") is not False,
        developer_only=row.get("DeveloperOnlyAttribute") is True,
        min_length=read_int(lengths.get("MinLength")),
        max_length=read_int(lengths.get("MaxLength")),
        min_value=read_text(values.get("MinValue")),
        max_value=read_text(values.get("MaxValue")),
    )


def read_object(value: Any) -> Mapping[str, Any]:
    """Return an object of a reply; an empty one for all else."""
    return value if isinstance(value, dict) else {}


def read_list(values: Any, kind: type) -> list[Any]:
    """Return the items of a list in a reply that are of a type; none for all else."""
    return [each for each in values if isinstance(each, kind)] if isinstance(values, list) else []


def read_text(value: Any) -> str | None:
    """Return a string of a reply; None for all else."""
    return value if isinstance(value, str) else None


def read_time(value: Any) -> Timestamp | None:
    """Return a date of a reply, in seconds since 1970; None for all else."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return to_timestamp(value)
    except (ValueError, OverflowError, OSError):  # beyond the years of `datetime` or the system
        return None


def read_int(value: Any) -> int | None:
    """Return a number, which Cognito has as a string in constraints; None for all else."""
    text = str(value)
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(_LARGEST_INT))):
        return None
    return int(text) if int(text) <= _LARGEST_INT else None
