"""Whom or what a change is aimed at, and what it consists of."""

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple, Protocol


class TargetKind(Enum):
    """What an action that changes something is aimed at."""

    USER = "user"
    GROUP = "group"
    MEMBERSHIP = "membership"
    """A user and a group."""


class Target(NamedTuple):
    """The user, the group, or the membership that a change is aimed at, by name."""

    user: str | None = None
    group: str | None = None


class Change(Protocol):
    """What a caller asks to be changed, such as the input of a mutation."""

    def target(self) -> Target:
        """Return the target as the caller named it."""

    def parameters(self) -> Mapping[str, object]:
        """Return what Cognito's operation takes beyond the target.

        Raises:
            BadUserInput: A value cannot be right.
        """
