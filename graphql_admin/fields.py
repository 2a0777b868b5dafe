"""Fields that show what their object holds, in the form that the schema has for it."""

from collections.abc import Callable
from inspect import iscoroutinefunction, signature
from typing import Any

import strawberry
from strawberry.types.field import StrawberryField

_SHOWS = "shows"

_DEFINITION = "strawberry-definition"
"""Where Strawberry keeps what an element of graphql-core's schema was made from."""


def definition_of(element: Any) -> Any:
    """Return what a type, field or argument of graphql-core's schema was made from.

    Returns:
        Strawberry's definition of it; None for what is graphql-core's own.
    """
    return element.extensions.get(_DEFINITION)


def shown(description: str) -> Callable[[Callable[..., Any]], Any]:
    """Make a method into a field that shows what the object holds.

    It needs no guard: a method that gets nothing but its object, and cannot wait for anything,
    does not get to Cognito.

    Args:
        description: What the field gives.

    Raises:
        TypeError: The method takes anything else, or is a coroutine.
    """

    def make(method: Callable[..., Any]) -> Any:
        if list(signature(method).parameters) != ["self"] or iscoroutinefunction(method):
            raise TypeError(f"{method.__qualname__} may take nothing but `self`, nor wait")
        return strawberry.field(method, description=description, metadata={_SHOWS: True})

    return make


def is_shown(field: StrawberryField) -> bool:
    """Tell whether a field was made with `shown`."""
    return _SHOWS in field.metadata
