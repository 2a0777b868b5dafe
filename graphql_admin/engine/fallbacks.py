"""Fallbacks to the ordinary path, which is that of graphql-core and Strawberry."""

from enum import Enum


class Unplanned(Exception):
    """This cannot be planned, or not for these values; the ordinary path takes it."""


class Fallback(Enum):
    """Why an operation took the ordinary path."""

    VERSIONS = "versions"
    """With the installed versions, plans and the ordinary path give different results."""

    SELECTION = "selection"
    """It selects something that is not planned, such as introspection."""

    VARIABLES = "variables"
    """A variable or an argument is not exactly of its type."""

    SECRET = "secret"  # noqa: S105  # a name, and no secret
    """It may contain a password, which a cached plan would keep in memory."""

    VALUE = "value"
    """A resolved value does not match the schema, or is an error where null is not allowed."""
