"""The attributes of users in inputs: checked by what Cognito, the pool and its users allow."""

import re
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import strawberry
from strawberry.types.unset import UNSET
from strawberry.utils.str_converters import to_camel_case

from graphql_admin.admin.mutations import UserInput
from graphql_admin.admin.personal import Personal
from graphql_admin.admin.pool_schema import (
    AttributeSchema,
    AttributeType,
    read_attributes,
    read_list,
)
from graphql_admin.admin.users import filters
from graphql_admin.admin.users.filters import Criterion
from graphql_admin.admin.values import check_attribute_name, check_attribute_value, is_settable
from graphql_admin.errors import AlreadyExists, BadUserInput, UpstreamFailed
from graphql_admin.policy.sight import BROUGHT
from graphql_admin.targets import Reads

MAX_ATTRIBUTES = 70
"""Attributes in the list of an input: 50 custom ones, and the standard ones."""

_TYPED = {
    "email": "email",
    "email_verified": "email_verified",
    "phone_number": "phone_number",
    "phone_number_verified": "phone_number_verified",
    "full_name": "name",
    "given_name": "given_name",
    "family_name": "family_name",
    "preferred_username": "preferred_username",
}
"""The attributes that have a field of their own, by its name in Python."""

_FIELDS = {name: to_camel_case(member) for member, name in _TYPED.items()}


def field_of(attribute: str) -> str:
    """Return the input field that sets an attribute."""
    return _FIELDS.get(attribute, f"attributes.{attribute}")


_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


class Given(NamedTuple):
    """An attribute as an input has it."""

    field: str
    """The input field."""
    value: str | None
    """As Cognito takes it; None to have none."""

    def __repr__(self) -> str:  # without the value, which may be personal
        return f"{type(self).__name__}({self.field})"


@strawberry.input(description="An attribute to set.")
class UserAttributeInput(Personal):
    name: str = strawberry.field(
        description="Name, such as `locale` or `custom:department`. An attribute that has its own "
        "input field, such as `email`, must be set with that."
    )
    value: str | None = strawberry.field(
        default=UNSET,
        description="Value: at most 2,048 bytes in UTF-8. Null deletes the attribute; the value "
        "must not be left out.",
    )


_VERIFIED = (
    "Whether the {0} is verified. With `true` a new {0} takes effect at once, and no message is "
    "sent. With `false` the pool decides: it may keep the previous {0} until the user has verified "
    "the new one."
)


@strawberry.input
class AttributesInput(UserInput):
    email: str | None = strawberry.field(default=UNSET, description="E-mail address.")
    email_verified: bool | None = strawberry.field(
        default=UNSET, description=_VERIFIED.format("e-mail address")
    )
    phone_number: str | None = strawberry.field(
        default=UNSET, description="Phone number, in E.164 form."
    )
    phone_number_verified: bool | None = strawberry.field(
        default=UNSET, description=_VERIFIED.format("phone number")
    )
    full_name: str | None = strawberry.field(
        default=UNSET, description="Full name: the attribute `name`."
    )
    given_name: str | None = strawberry.field(default=UNSET, description="Given name.")
    family_name: str | None = strawberry.field(default=UNSET, description="Family name.")
    preferred_username: str | None = strawberry.field(
        default=UNSET, description="Preferred username."
    )
    attributes_: list[UserAttributeInput] | None = strawberry.field(
        name="attributes", default=UNSET, description="Other attributes, each at most once."
    )

    def attributes(self) -> Mapping[str, str]:
        return {name: given.field for name, given in self.given().items()}

    def given(self) -> Mapping[str, Given]:
        """Return the attributes in the input by their names; an empty string is no value.

        Raises:
            BadUserInput: One of them cannot be.
        """
        found: dict[str, Given] = {}
        for name, given in self._given():
            if name in found:
                raise BadUserInput("This attribute is given more than once.", field=given.field)
            if given.value is not None:
                check_attribute_value(given.value, given.field)
            found[name] = given
        return found

    def _given(self) -> Iterator[tuple[str, Given]]:
        for member, name in _TYPED.items():
            value = getattr(self, member)
            if value is not UNSET:
                text = str(value).lower() if isinstance(value, bool) else value
                yield name, Given(to_camel_case(member), text or None)
        others = self.attributes_ or ()
        if len(others) > MAX_ATTRIBUTES:
            raise BadUserInput(f"At most {MAX_ATTRIBUTES} can be given.", field="attributes")
        for each in others:
            field = f"attributes.{check_attribute_name(each.name)}"
            if each.name in _TYPED.values():
                raise BadUserInput("This attribute has a field of its own.", field=field)
            if each.value is UNSET:
                raise BadUserInput("Give its `value`, or null for none.", field=field)
            yield each.name, Given(field, each.value or None)


def check_schema(
    described: Mapping[str, Any], attributes: Mapping[str, Given], *, creates: bool
) -> None:
    """Check attributes by the pool's schema.

    What is rejected here Cognito would reject too, for a reason that it tells in no code.

    Args:
        described: Cognito's UserPoolType.
        attributes: By name.
        creates: Whether they are set as the user is created.

    Raises:
        BadUserInput: The pool does not allow one of them.
    """
    schemas = {each.name: each for each in read_attributes(described)}
    for name, given in attributes.items():
        schema = schemas.get(name)
        if schema is None:
            raise BadUserInput("The user pool has no such attribute.", field=given.field)
        problem = _find_problem(schema, given.value, creates=creates)
        if problem:
            raise BadUserInput(problem, field=given.field)


def _find_problem(schema: AttributeSchema, value: str | None, *, creates: bool) -> str | None:
    if schema.developer_only:
        return "This attribute is for developers only."
    if not (schema.mutable or creates):
        return "This attribute cannot be changed."
    if value is None:
        return "This attribute is required." if schema.required else None
    return _find_problem_of_value(schema, value)


def _find_problem_of_value(schema: AttributeSchema, value: str) -> str | None:
    match schema.type:
        case AttributeType.STRING:
            return _find_problem_of_length(schema, len(value))
        case AttributeType.NUMBER:
            return _find_problem_of_number(schema, value)
        case AttributeType.BOOLEAN if value.lower() not in {"true", "false"}:
            return "The value must be `true` or `false`."
        case AttributeType.DATE_TIME if not _is_date(value):
            return "The value must be a date and time."
    return None


def _find_problem_of_length(schema: AttributeSchema, length: int) -> str | None:
    if schema.min_length is not None and length < schema.min_length:
        return f"The value must be at least {schema.min_length} characters."
    if schema.max_length is not None and length > schema.max_length:
        return f"The value must be at most {schema.max_length} characters."
    return None


def _find_problem_of_number(schema: AttributeSchema, value: str) -> str | None:
    if not _NUMBER.fullmatch(value):
        return "The value must be a number."
    if (least := _read_number(schema.min_value)) is not None and Decimal(value) < least:
        return f"The value must be at least {least}."
    if (most := _read_number(schema.max_value)) is not None and Decimal(value) > most:
        return f"The value must be at most {most}."
    return None


def _read_number(text: str | None) -> Decimal | None:
    return Decimal(text) if text is not None and _NUMBER.fullmatch(text) else None


def _is_date(value: str) -> bool:
    """Tell whether a value may be a date: in ISO 8601, or in seconds since 1970."""
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return _NUMBER.fullmatch(value) is not None
    return True


def check_immutable(described: Mapping[str, Any], given: Collection[str]) -> None:
    """Check that a user who is created has each attribute that is required and cannot be set later.

    Without it, the user could never complete the first sign-in.

    Args:
        described: Cognito's UserPoolType.
        given: The names of the attributes that the user will have.

    Raises:
        BadUserInput: One is missing.
    """
    for each in read_attributes(described):
        if each.required and not each.mutable and each.name not in given and is_settable(each.name):
            raise BadUserInput(
                "The user pool requires this attribute, and it cannot be set later.",
                field=field_of(each.name),
            )


async def check_aliases(
    reads: Reads, described: Mapping[str, Any], attributes: Mapping[str, Given], *, creates: bool
) -> None:
    """Check that no verified address is taken from another user.

    A pool in which it is an alias would silently make it the alias of this user instead.

    Args:
        reads: Read the users who have it, and the target.
        described: Cognito's UserPoolType.
        attributes: By name.
        creates: Whether the user is created by the change.

    Raises:
        AlreadyExists: Another user has it, verified.
        BadUserInput: It cannot be searched for.
        AdminError: It is not known, since a call failed.
    """
    aliases = read_list(described.get("AliasAttributes"), str)
    for name, verified in BROUGHT.items():
        claimed = attributes.get(verified)
        if name not in aliases or claimed is None or claimed.value != "true":
            continue
        if not reads.may_search_by(name):
            continue
        given = attributes.get(name)
        if given is None or given.value is None:
            continue
        criterion = Criterion(name, "=", given.value)
        async for sub in _find_holders(reads, criterion, verified, given.field):
            if creates or sub != filters.read_attributes(await reads.user()).get("sub"):
                raise AlreadyExists(
                    "Another user has this address, and it is verified.", field=given.field
                )


async def _find_holders(
    reads: Reads, criterion: Criterion, verified: str, field: str
) -> AsyncIterator[object]:
    """Yield the `sub` of each user who meets a criterion and has it verified."""
    position: dict[str, object] = {"Filter": criterion.expression(field)}
    while True:
        reply = await reads.read("ListUsers", **position)
        rows, token = reply.get("Users"), reply.get("PaginationToken")
        if token and token == position.get("PaginationToken"):
            raise UpstreamFailed  # the list would never end
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise UpstreamFailed
        for row in rows:
            attributes = filters.read_attributes(row)
            if criterion.admits(row) and attributes.get(verified, "").lower() == "true":
                yield attributes.get("sub")
        if not token:
            return
        position["PaginationToken"] = token
