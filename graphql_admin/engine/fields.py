"""Fields that show what their object holds, in the form that the schema has for it."""

from collections.abc import Callable, Mapping, Sequence
from inspect import iscoroutinefunction, signature
from operator import attrgetter
from typing import Any, NamedTuple

import strawberry
from graphql import GraphQLField
from strawberry.types.field import StrawberryField

_SHOWS = "shows"
_OF_KEY = "of key"
_READER = "reader"

_DEFINITION = "strawberry-definition"
"""Where Strawberry keeps what an element of graphql-core's schema was made from."""


class FieldReader(NamedTuple):
    """Reads what a field shows."""

    of_one: Callable[[Any], Any]
    """Returns its value in one object."""

    of_many: Callable[[Sequence[Any]], list[Any]]
    """Returns its values in many objects."""


def definition_of(element: Any) -> Any:
    """Return what a type, field or argument of graphql-core's schema was made from.

    Returns:
        Strawberry's definition of it; None for what is graphql-core's own.
    """
    return element.extensions.get(_DEFINITION)


def shown(description: str, *, of_key: bool = False) -> Callable[[Callable[..., Any]], Any]:
    """Make a method into a field that shows what the object holds.

    It needs no guard: a method that gets nothing but its object, and cannot wait for anything,
    does not get to Cognito.

    Args:
        description: What the field gives.
        of_key: Whether the object's key is all that it takes.

    Raises:
        TypeError: The method takes anything else, or is a coroutine.
    """

    def make(method: Callable[..., Any]) -> Any:
        if list(signature(method).parameters) != ["self"] or iscoroutinefunction(method):
            raise TypeError(f"{method.__qualname__} may take nothing but `self`, nor wait")
        metadata = {_SHOWS: True, _OF_KEY: of_key}
        return strawberry.field(method, description=description, metadata=metadata)

    return make


def held(
    type_: Any,
    description: str,
    attribute: str,
    member: str,
    *,
    convert: Callable[[Any], Any] | None = None,
    missing: Callable[[str], Exception] | None = None,
) -> Any:
    """Make a field that shows a member of a mapping that the object holds.

    It is as if a method read it. But plans read it of many objects without a call for each, which
    takes a good half off, or 0.05 µs for a value.

    Args:
        type_: The field's, such as `str | None`.
        description: What the field gives.
        attribute: The object's, in which the mapping is.
        member: Its name in the mapping. One that is not there is None.
        convert: Makes the value of the field from that in the mapping, None included.
        missing: Where every object has the member: makes the error, from its name, to raise where
            one has not.
    """
    mapping_of: Callable[[Any], Mapping[str, Any]] = attrgetter(attribute)

    def read(self: Any) -> Any:
        value = mapping_of(self).get(member)
        if value is None and missing is not None:
            raise missing(member)
        return value if convert is None else convert(value)

    # Where the field may not be null, plans find the None that `read` has an error for.
    def read_column(objects: Sequence[Any]) -> list[Any]:
        return [mapping.get(member) for mapping in map(mapping_of, objects)]

    def convert_column(objects: Sequence[Any]) -> list[Any]:
        return list(map(convert, read_column(objects)))  # type: ignore[arg-type]  # if there is one

    read.__annotations__["return"] = type_
    reader = FieldReader(read, read_column if convert is None else convert_column)
    metadata = {_SHOWS: True, _READER: reader}
    return strawberry.field(read, description=description, metadata=metadata)


def reader_of(field: GraphQLField) -> FieldReader | None:
    """Return what reads a field's value from an object; None: it takes more than the object.

    A resolver that gets nothing but `self` can only show in another form what is in hand.
    No guarded field has a reader: its guard is an extension.
    """
    definition = definition_of(field)
    if definition is None or definition.extensions or field.args:
        return None
    if reader := definition.metadata.get(_READER):
        return reader  # type: ignore[no-any-return]  # `held` made it
    resolver = definition.base_resolver
    read: Callable[[Any], Any]
    if resolver is None:
        read = attrgetter(definition.python_name)
    elif resolver.is_async or resolver.info_parameter or not resolver.self_parameter:
        return None
    else:
        read = resolver.wrapped_func
    return FieldReader(read, lambda objects: list(map(read, objects)))


def is_shown(field: StrawberryField) -> bool:
    """Tell whether a field was made with `shown` or `held`."""
    return _SHOWS in field.metadata


def is_of_key(field: StrawberryField) -> bool:
    """Tell whether a field shows no more than its object's key."""
    return bool(field.metadata.get(_OF_KEY))
