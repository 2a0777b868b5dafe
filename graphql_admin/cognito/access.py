"""The two ways to a user pool: what can only read, and what can change something."""

from collections.abc import Awaitable, Mapping
from typing import Protocol

import structlog

from graphql_admin.cognito.operations import is_read
from graphql_admin.cognito.replies import Reply
from graphql_admin.errors import Internal, UpstreamFailed

log = structlog.get_logger(__name__)


class MissingRight(UpstreamFailed):
    """AWS does not let this server's own credentials call the operation."""


class Call(Protocol):
    """Makes one call of Cognito, whatever it does."""

    async def __call__(
        self,
        operation: str,
        parameters: Mapping[str, object],
        *,
        deadline: float,
        caller: str = "",
        anew: bool = False,
    ) -> Reply:
        """Call an operation; the arguments are those of `read` and `write`."""
        ...


class PoolReader:
    """Reads from a user pool, and cannot change anything there.

    Args:
        pool_id: The pool's id.
        call: Makes a call of Cognito.
    """

    __slots__ = ("_call", "pool_id")

    def __init__(self, pool_id: str, call: Call) -> None:
        self.pool_id = pool_id
        self._call = call

    def read(
        self,
        operation: str,
        parameters: Mapping[str, object],
        *,
        deadline: float,
        caller: str = "",
        anew: bool = False,
    ) -> Awaitable[Reply]:
        """Carry out an operation that changes nothing.

        Reads that are the same share one call while it is under way, but for those that ask after
        a write of this pool began.

        Args:
            operation: Its name in Cognito's API, such as `AdminGetUser`.
            parameters: As in Cognito's API. The pool's id is added where it belongs.
            deadline: When to give up, in seconds of the event loop's clock.
            caller: On whose behalf; where calls must wait, callers take turns.
            anew: Make a call of one's own, so that nothing in the reply is older than this.

        Returns:
            Cognito's reply as JSON has it (times are seconds since 1970). Others may have it too:
            it is not to be changed.

        Raises:
            Internal: The operation changes something, there is none of that name, or the pool is
                not open.
            AdminError: As `PoolWriter.write` has it.
        """
        if not is_read(operation):
            log.error("an operation that changes something is no read", operation=operation)
            raise Internal
        return self._call(operation, parameters, deadline=deadline, caller=caller, anew=anew)


class PoolWriter:
    """Carries out any operation on a user pool; see `attempts`, which alone has one.

    Args:
        call: Makes a call of Cognito.
    """

    __slots__ = ("_call",)

    def __init__(self, call: Call) -> None:
        self._call = call

    def write(
        self,
        operation: str,
        parameters: Mapping[str, object],
        *,
        deadline: float,
        caller: str = "",
    ) -> Awaitable[Reply]:
        """Carry out an operation, trying again where that is safe and may help.

        It waits for its turn, so that Cognito's quotas are kept.

        Args:
            operation: Its name in Cognito's API, such as `AdminDisableUser`.
            parameters: As in Cognito's API. The pool's id is added where it belongs.
            deadline: When to give up, in seconds of the event loop's clock.
            caller: On whose behalf; where calls must wait, callers take turns.

        Returns:
            Cognito's reply as JSON has it (times are seconds since 1970); `{}` if it is empty.

        Raises:
            TimedOut: The deadline passed, or the last attempt took too long. A write may have
                been carried out.
            Throttled: Cognito's quotas do not allow the call before the deadline.
            UpstreamFailed: Cognito could not be reached, failed, replied what cannot be read or
                refused the server's own credentials. A write may have been carried out.
            BadUserInput: A parameter cannot be right.
            ActionFailed: Any of its subclasses, as `translate` has it.
            Internal: There is no such operation, or the pool is not open.
        """
        return self._call(operation, parameters, deadline=deadline, caller=caller)
