"""The target of a change, and its parameters."""

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple, Protocol


class TargetKind(Enum):
    """The kind of object that an action changes."""

    USER = "user"
    GROUP = "group"
    MEMBERSHIP = "membership"
    """A user and a group."""


class Target(NamedTuple):
    """The user, the group, or the membership (both) that a change is aimed at, by name."""

    user: str | None = None
    group: str | None = None


class Change(Protocol):
    """A requested change, such as the input of a mutation."""

    def target(self) -> Target:
        """Return the target as the caller named it."""

    def parameters(self) -> Mapping[str, object]:
        """Return the parameters of Cognito's operation other than the target.

        Raises:
            BadUserInput: A value is invalid.
        """
