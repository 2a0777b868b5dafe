"""What is left to the ordinary path: that of graphql-core and Strawberry."""

from enum import Enum


class Unplanned(Exception):
    """This cannot be planned, or not for these values: it is left to the ordinary path."""


class Fallback(Enum):
    """Why an operation took the ordinary path."""

    VERSIONS = "versions"
    """Beside the installed versions, plans do not do what the ordinary path does."""

    SELECTION = "selection"
    """It selects what is not planned, such as the schema itself."""

    VARIABLES = "variables"
    """A variable or an argument is not exactly of its type."""

    VALUE = "value"
    """A resolved value is not what the schema says, or is an error where null may not be."""
