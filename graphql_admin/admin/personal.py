"""Types and inputs of the schema whose values are personal, or secret."""


class Personal:
    """A type whose objects do not repeat their values in a log or a traceback."""

    def __init_subclass__(cls) -> None:
        # Set before Strawberry makes a dataclass of it, whose own `__repr__` would contain every
        # value.
        cls.__repr__ = Personal.__repr__  # type: ignore[method-assign]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"
