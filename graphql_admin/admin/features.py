"""The interface by which a part of the server adds to the schema."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from strawberry.types.field import StrawberryField


@dataclass(frozen=True)
class Feature:
    """The additions of one part to the schema."""

    query: type | None = None
    """A Strawberry type whose fields are added to `Query`."""

    mutation: type | None = None
    """A Strawberry type whose fields are added to `Mutation`."""

    extends: Mapping[type, tuple[StrawberryField, ...]] = field(default_factory=dict)
    """Fields that are added to types defined in other modules, by type."""
