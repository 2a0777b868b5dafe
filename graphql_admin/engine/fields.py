"""Fields that show what their object holds, in the form that the schema has for it."""

from collections.abc import Callable, Sequence
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
    reader: FieldReader,
    type_: Any,
    description: str,
    *,
    convert: Callable[[Any], Any] | None = None,
    missing: Callable[[], Exception] | None = None,
    of_key: bool = False,
) -> Any:
    """Make a field that shows what the object holds, as it is or converted.

    It is as if a method showed it, but plans read it of many objects without a call for each:
    473 instructions a value in place of 831, with CPython 3.11. The ablation `held` has the rest.

    Args:
        reader: Reads it.
        type_: The field's, such as `str | None`.
        description: What the field gives.
        convert: Makes the value of the field from what was read, None included.
        missing: Where every object should have it: makes the error to raise where one has None.
        of_key: Whether the object's key is all that it takes.
    """

    def read(self: Any) -> Any:
        value = reader.of_one(self)
        if value is None and missing is not None:
            raise missing()
        return value if convert is None else convert(value)

    def convert_many(objects: Sequence[Any]) -> list[Any]:
        return list(map(convert, reader.of_many(objects)))  # type: ignore[arg-type]  # see below

    read.__annotations__["return"] = type_
    # Where the field may not be null, a plan finds the None that `read` has an error for.
    of_one = read if convert else reader.of_one
    metadata = {
        _SHOWS: True,
        _OF_KEY: of_key,
        _READER: FieldReader(of_one, convert_many if convert else reader.of_many),
    }
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
