"""The target of a change, and its parameters."""

from collections.abc import Awaitable, Callable, Mapping
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
    """What a change may read about its target, and check, before it is made."""

    @property
    def target(self) -> Target:
        """The target, as it must be sent to Cognito."""

    def demand_attributes(self, attributes: Mapping[str, str]) -> None:
        """Check that the caller may set attributes, beyond those in the input.

        Args:
            attributes: Their names, each with the input field that sets it.

        Raises:
            BadUserInput: The caller may not set one of them.
        """

    def may_search_by(self, attribute: str) -> bool:
        """Tell whether the answer may depend on who has a value of an attribute.

        A change that is made cannot but tell. One that is only checked leaves no trace in the pool,
        so it tells no more than a search: nothing of what the caller does not see.
        """

    async def user(self) -> Mapping[str, Any]:
        """Return the reply of AdminGetUser about the target.

        Raises:
            AdminError: There is no such user, or the user could not be read.
        """

    async def pool(self) -> Mapping[str, Any] | None:
        """Return what DescribeUserPool says of the user pool, at most a minute old.

        Returns:
            Cognito's UserPoolType; None if this server's credentials may not read it.

        Raises:
            AdminError: It could not be read.
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

    def attributes(self) -> Mapping[str, str]:
        """Return the names of the user's attributes that it sets, each with its input field.

        It is called after `parameters`, of actions that set attributes.
        """

    def operation(self) -> str | None:
        """Return which of the action's alternatives carries it out; None for its `write`."""

    @property
    def spare(self) -> float:
        """Seconds of the request's time that are kept for `look_again`."""

    async def prepare(self, reads: Reads) -> Mapping[str, object]:
        """Return the parameters of Cognito's operation that depend on the target's state.

        It is called after the change is authorized.

        Raises:
            AdminError: The target's state does not allow the change, or could not be read.
        """

    def confirm(self, reply: Mapping[str, Any]) -> Mapping[str, Any]:
        """Check Cognito's reply, and return it, with what else the payload shows.

        Raises:
            AdminError: Cognito replied with 200, and did not make all of the change.
        """

    def leaves_open(self, error: Exception) -> bool:
        """Tell whether Cognito may have made the change although it replied with this error."""

    async def look_again(self, error: Exception, reads: Reads) -> Mapping[str, Any]:
        """Find out whether Cognito made the change, where it is not known.

        Args:
            error: What leaves it open.
            reads: As for `prepare`.

        Returns:
            What `confirm` would have returned.

        Raises:
            AdminError: `error` itself if it is still not known, or what was found out.
        """


class Done(NamedTuple):
    """A change that was made."""

    target: Target
    """The target, as it was sent to Cognito."""

    reply: Mapping[str, Any]
    """Cognito's reply, which may contain the target after the change."""

    is_read: bool = False
    """Whether the target is named as the pool names it, since it was read; else as given."""

    is_username: Callable[[str], Awaitable[bool]] | None = None
    """Tells whether the pool has a given name for what it is, a username; see `described_pool`."""
