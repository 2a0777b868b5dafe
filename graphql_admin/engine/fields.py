"""Fields that read from their object alone, and convert the value to the schema's type."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING
from inspect import iscoroutinefunction, signature
from operator import attrgetter
from typing import Any, NamedTuple

import strawberry
from graphql import GraphQLField, GraphQLInputObjectType, GraphQLSchema
from strawberry.types.field import StrawberryField

_SHOWS = "shows"
_OF_KEY = "of key"
_READER = "reader"
_SECRET = "is secret"  # noqa: S105  # a name, and no secret

_DEFINITION = "strawberry-definition"
"""The extension under which Strawberry keeps the definition that an element of graphql-core's
schema was made from."""


class FieldReader(NamedTuple):
    """Reads the value of a field."""

    of_one: Callable[[Any], Any]
    """Reads it from one object."""

    of_many: Callable[[Sequence[Any]], list[Any]]
    """Reads it from many objects."""


def definition_of(element: Any) -> Any:
    """Return Strawberry's definition of a type, field or argument of graphql-core's schema.

    Returns:
        The definition; None for elements that graphql-core adds.
    """
    return element.extensions.get(_DEFINITION)


def shown(description: str, *, of_key: bool = False) -> Callable[[Callable[..., Any]], Any]:
    """Make a method into a field that reads from its object alone.

    It needs no guard: a method that takes only its object, and is not a coroutine, cannot call
    Cognito.

    Args:
        description: What the field gives.
        of_key: Whether it needs only the object's key.

    Raises:
        TypeError: The method takes other arguments, or is a coroutine.
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
    """Make a field that reads from its object alone, and may convert the value.

    It is like a method with `shown`, but plans read it from many objects without a call for each:
    473 instructions a value instead of 831, with CPython 3.11. The ablation `held` measures the
    whole.

    Args:
        reader: Reads the value.
        type_: The field's type, such as `str | None`.
        description: What the field gives.
        convert: Converts the value that was read, None included.
        missing: Makes the error to raise for None, where every object must have a value.
        of_key: Whether it needs only the object's key.
    """

    def read(self: Any) -> Any:
        value = reader.of_one(self)
        if value is None and missing is not None:
            raise missing()
        return value if convert is None else convert(value)

    def convert_many(objects: Sequence[Any]) -> list[Any]:
        return list(map(convert, reader.of_many(objects)))  # type: ignore[arg-type]  # see below

    read.__annotations__["return"] = type_
    # Where the field is not nullable, a plan finds the None for which `read` raises an error.
    of_one = read if convert else reader.of_one
    metadata = {
        _SHOWS: True,
        _OF_KEY: of_key,
        _READER: FieldReader(of_one, convert_many if convert else reader.of_many),
    }
    return strawberry.field(read, description=description, metadata=metadata)


def secret(description: str, *, default: Any = MISSING) -> Any:
    """Make an input field whose value must not be stored: a password.

    Documents that contain such a value are not cached either; see `documents`.

    Args:
        description: What it takes.
        default: Its value where it is left out; by default, it is required.
    """
    return strawberry.field(description=description, default=default, metadata={_SECRET: True})


def secret_fields(schema: GraphQLSchema) -> Mapping[str, frozenset[str]]:
    """Return the names of the fields that `secret` made, by the names of their input types."""
    found = {
        type_.name: frozenset(
            name
            for name, field in type_.fields.items()
            if (definition := definition_of(field)) and definition.metadata.get(_SECRET)
        )
        for type_ in schema.type_map.values()
        if isinstance(type_, GraphQLInputObjectType)
    }
    return {name: fields for name, fields in found.items() if fields}


def reader_of(field: GraphQLField) -> FieldReader | None:
    """Return the reader of a field; None if the field needs more than its object.

    A resolver that takes only `self` can only convert what the object holds. No guarded field has a
    reader: its guard is an extension.
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
    """Tell whether a field needs only its object's key."""
    return bool(field.metadata.get(_OF_KEY))
