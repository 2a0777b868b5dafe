"""How a part of the server announces what it adds to the schema."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from strawberry.types.field import StrawberryField


@dataclass(frozen=True)
class Feature:
    """What one part adds to the schema."""

    query: type | None = None
    """A Strawberry type with fields of the root of queries."""

    mutation: type | None = None
    """A Strawberry type with fields of the root of mutations."""

    extends: Mapping[type, tuple[StrawberryField, ...]] = field(default_factory=dict)
    """Fields of types that are made below it, by the type."""
