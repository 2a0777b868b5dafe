"""The target of a change, and its parameters."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple, Protocol


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


class Reads(Protocol):
    """What a change may read about its target before it is made."""

    @property
    def target(self) -> Target:
        """The target, as it must be sent to Cognito."""

    async def user(self) -> Mapping[str, Any]:
        """Return the reply of AdminGetUser about the target.

        Raises:
            AdminError: There is no such user, or the user could not be read.
        """

    async def read(self, operation: str, **parameters: object) -> Mapping[str, Any]:
        """Call a read operation of the action's row, without the cache.

        Raises:
            AdminError: The call failed.
        """


class Change(Protocol):
    """A requested change, such as the input of a mutation."""

    def target(self) -> Target:
        """Return the target as the caller named it."""

    def parameters(self) -> Mapping[str, object]:
        """Return the parameters of Cognito's operation other than the target.

        Raises:
            BadUserInput: A value is invalid.
        """

    async def prepare(self, reads: Reads) -> Mapping[str, object]:
        """Return the parameters of Cognito's operation that depend on the target's state.

        It is called after the change is authorized.

        Raises:
            AdminError: The target's state does not allow the change, or could not be read.
        """

    def confirm(self, reply: Mapping[str, Any]) -> None:
        """Check Cognito's reply.

        Raises:
            ActionFailed: Cognito replied with 200, and did not make all of the change.
        """


class Done(NamedTuple):
    """A change that was made."""

    target: Target
    """The target, as it was sent to Cognito."""

    reply: Mapping[str, Any]
    """Cognito's reply, which may contain the target after the change."""
