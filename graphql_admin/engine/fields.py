"""Fields that show what their object holds, in the form that the schema has for it."""

from collections.abc import Callable
from inspect import iscoroutinefunction, signature
from typing import Any

import strawberry
from strawberry.types.field import StrawberryField

_SHOWS = "shows"
_OF_KEY = "of key"

_DEFINITION = "strawberry-definition"
"""Where Strawberry keeps what an element of graphql-core's schema was made from."""


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


def is_shown(field: StrawberryField) -> bool:
    """Tell whether a field was made with `shown`."""
    return _SHOWS in field.metadata


def is_of_key(field: StrawberryField) -> bool:
    """Tell whether a field shows no more than its object's key."""
    return bool(field.metadata.get(_OF_KEY))
