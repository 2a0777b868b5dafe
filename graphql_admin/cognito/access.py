"""The two interfaces to a user pool: one can only read, the other can write."""

from collections.abc import Awaitable, Mapping
from typing import Protocol

import structlog

from graphql_admin.cognito.operations import is_read
from graphql_admin.cognito.replies import Reply
from graphql_admin.errors import Internal, UpstreamFailed

log = structlog.get_logger(__name__)


class Approval(Protocol):
    """The approval of a write, which may end while the write waits to be sent."""

    is_sent: bool
    """Whether Cognito may have carried the write out. The pool sets it."""

    def confirm(self) -> Awaitable[bool]:
        """Tell whether it still holds; if not, `renew` comes first.

        The write has a connection by then and is sent at once, so this calls no pool.

        Raises:
            AdminError: The write must not be sent.
        """

    def renew(self) -> Awaitable[None]:
        """Approve the write again, by what the pool has now. It may call the pool's `reader`.

        Raises:
            AdminError: The write must not be sent.
        """


class CallRejected(UpstreamFailed):
    """AWS rejected the call before Cognito carried anything out."""


class MissingRight(CallRejected):
    """The server's own AWS credentials are not allowed to call the operation."""


class Call(Protocol):
    """Makes one call to Cognito, a read or a write."""

    async def __call__(
        self,
        operation: str,
        parameters: Mapping[str, object],
        *,
        deadline: float,
        caller: str = "",
        anew: bool = False,
        approval: Approval | None = None,
        user: str | None = None,
    ) -> Reply:
        """Call an operation; the arguments are those of `read` and `write`."""
        ...


class PoolReader:
    """Reads from a user pool; cannot change anything in it.

    Args:
        pool_id: The pool's id.
        call: Makes a call to Cognito.
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
        """Call an operation that changes nothing.

        Identical reads share one call while it is in flight. A read that is requested after a write
        to this pool has started does not join one from before.

        Args:
            operation: Its name in Cognito's API, such as `AdminGetUser`.
            parameters: As in Cognito's API. The pool's id is added where it belongs.
            deadline: When to give up, in seconds of the event loop's clock.
            caller: Who the call is made for; where calls must wait, callers take turns.
            anew: Make a new call rather than join one in flight, so that nothing in the reply is
                older than this request.

        Returns:
            Cognito's reply as parsed JSON (timestamps are seconds since 1970). It may be shared
            with other callers, so it must not be modified.

        Raises:
            Internal: The operation is a write, there is no operation of that name, or the pool is
                not open.
            AdminError: As for `PoolWriter.write`.
        """
        if not is_read(operation):
            log.error("not a read operation", operation=operation)
            raise Internal
        return self._call(operation, parameters, deadline=deadline, caller=caller, anew=anew)


class PoolWriter:
    """Calls any operation on a user pool; only `attempts` has one.

    Args:
        call: Makes a call to Cognito.
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
        approval: Approval | None = None,
        user: str | None = None,
    ) -> Awaitable[Reply]:
        """Call an operation, and retry it where that is safe and may help.

        The call waits for its turn, so that Cognito's quotas are not exceeded.

        Args:
            operation: Its name in Cognito's API, such as `AdminDisableUser`.
            parameters: As in Cognito's API. The pool's id is added where it belongs.
            deadline: When to give up, in seconds of the event loop's clock.
            caller: Who the call is made for; where calls must wait, callers take turns.
            approval: Confirmed before each attempt, once there is a connection for it. Before an
                attempt after one that may have been carried out, it is renewed, too.
            user: The `Username` of the user whom it is about, for the quota of calls about one
                user, where the parameters have no `Username`.

        Returns:
            Cognito's reply as parsed JSON (timestamps are seconds since 1970); `{}` if it is empty.

        Raises:
            TimedOut: The deadline passed, or the last attempt took too long. A write may have
                been carried out.
            Throttled: Cognito's quotas do not allow the call before the deadline.
            UpstreamFailed: Cognito could not be reached, failed, sent a reply that cannot be parsed
                or rejected the server's own credentials. A write may have been carried out.
            BadUserInput: A parameter is invalid.
            ActionFailed: Any of its subclasses; `translate` says which.
            Internal: There is no operation of that name, or the pool is not open.
            AdminError: What `approval` raised. Nothing was carried out.
        """
        return self._call(
            operation,
            parameters,
            deadline=deadline,
            caller=caller,
            approval=approval,
            user=user,
        )
