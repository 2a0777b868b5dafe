"""How to call Cognito: what to send, and when to retry.

botocore provides the credentials, the endpoint and the model of the service. The request itself
goes over a transport of our own, because a botocore call costs many times the CPU, takes a thread
and cannot be cancelled. Any operation of the model can be called; this module does not know which
action needs which.
"""

import asyncio
import random
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, NoReturn, Self
from urllib.parse import urlsplit

import botocore.session
import orjson
import structlog
from botocore.exceptions import BotoCoreError
from botocore.httpsession import ProxyConfiguration, where
from botocore.model import OperationNotFoundError
from botocore.utils import get_environ_proxies

from graphql_admin.cognito.access import (
    Approval,
    CallRejected,
    MissingRight,
    PoolReader,
    PoolWriter,
)
from graphql_admin.cognito.coalescing import SharedReads
from graphql_admin.cognito.credentials import Keyring
from graphql_admin.cognito.operations import (
    DONE_IF_GONE,
    OWN_CREDENTIALS_REFUSED,
    SERVICE,
    Operation,
    describe,
    service_model,
    start_session,
    translate,
)
from graphql_admin.cognito.quotas import Permit, Quotas
from graphql_admin.cognito.replies import Reply
from graphql_admin.cognito.shares import Slots
from graphql_admin.cognito.signing import Signer
from graphql_admin.cognito.transport import (
    AiohttpTransport,
    ConnectionBroke,
    NotConnected,
    ReplyTooBig,
    Transport,
)
from graphql_admin.cognito.wire import WireTransport
from graphql_admin.errors import (
    AdminError,
    BadUserInput,
    Internal,
    Throttled,
    TimedOut,
    UpstreamFailed,
)
from graphql_admin.telemetry import metrics

log = structlog.get_logger(__name__)

ATTEMPTS = 3
"""Most attempts of one call, not counting those that Cognito throttled."""

MAX_REPLY_BYTES = 8 * 1024 * 1024
"""Bytes of a reply. 60 users with 50 attributes of 2,048 characters take some 6 MB."""

_OUT_OF_TIME = "The request ran out of time. Nothing was changed."


class InvalidAwsSettings(Exception):
    """The environment variables or files of AWS's own tools are invalid; the message says why."""


class _PendingCall(NamedTuple):
    """One call, with all its attempts."""

    operation: Operation
    body: bytes
    user: str | None
    """The `Username` of the user whom it is about."""
    caller: str
    deadline: float
    approval: Approval | None

    def __repr__(self) -> str:  # without the body, which may contain a password
        return f"{type(self).__name__}({self.operation.name})"


class _AttemptFailed(Exception):
    """One attempt failed, and a retry may succeed.

    Args:
        error: The error of the call, if there is no retry.
        reason: For the log.
        changed_nothing: Whether it is certain that Cognito did not carry the operation out.
    """

    def __init__(self, error: AdminError, reason: str, *, changed_nothing: bool = False) -> None:
        super().__init__(reason)
        self.error = error
        self.reason = reason
        self.changed_nothing = changed_nothing


class UserPool:
    """A user pool, which is called through its `reader` and its `writer`.

    Nothing is sent, and no credentials are loaded, before the first call. Open and close it in the
    same running event loop, or use it with `async with`.

    Args:
        pool_id: The pool's id.
        region: The AWS region that the pool is in.
        connections: How many attempts, each with its own connection, may be in flight. A caller may
            have as many as are free; further attempts wait, and callers take turns.
        attempt_timeout: Seconds that one attempt may take.
        backoff: Longest first pause before a retry, in seconds. The longest second one is twice
            that; each pause is a random part of its maximum.
        quotas: The quotas on calls; by default, Cognito's own defaults.

    Raises:
        InvalidAwsSettings: AWS's own settings (profile, endpoint, CA bundle) are invalid.
    """

    def __init__(
        self,
        pool_id: str,
        region: str,
        *,
        connections: int = 128,
        attempt_timeout: float = 5.0,
        backoff: float = 0.1,
        quotas: Quotas | None = None,
    ) -> None:
        self.pool_id = pool_id
        with _settings_explained():
            session = start_session()
            self.endpoint_url = _resolve_endpoint(session, region)
            """Where requests go, with all of AWS's settings applied."""
            authorities = session.get_config_variable("ca_bundle") or where()  # as boto3 verifies
            self._ssl = ssl.create_default_context(cafile=authorities)
        proxies = ProxyConfiguration(get_environ_proxies(self.endpoint_url))
        self._proxy = proxies.proxy_url_for(self.endpoint_url)
        self.keyring = Keyring(session, service_model().signing_name, region, self.endpoint_url)
        """The server's own credentials."""
        self._slots = Slots(connections)
        self._attempt_timeout = attempt_timeout
        self._backoff = backoff
        self._quotas = quotas or Quotas()
        self._reads = SharedReads()
        self._transport: Transport | None = None
        self.reader = PoolReader(pool_id, self._call)
        self.writer = PoolWriter(self._call)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Prepare for calls from the running event loop."""
        url, tls = self.endpoint_url, self._ssl
        # Half of an attempt's time, so that a connection failure is not mistaken for a slow reply.
        connect_timeout = self._attempt_timeout / 2
        if self._proxy is None:
            self._transport = WireTransport(
                url, tls, connect_timeout=connect_timeout, largest_reply=MAX_REPLY_BYTES
            )
        else:
            self._transport = AiohttpTransport(
                url,
                tls,
                connect_timeout=connect_timeout,
                largest_reply=MAX_REPLY_BYTES,
                proxy=self._proxy,
            )

    async def close(self) -> None:
        """Close every connection. Calls in flight fail."""
        self.keyring.close()
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.close()

    async def _call(
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
        try:
            described = describe(operation)
        except OperationNotFoundError as error:
            log.error("Cognito has no such operation", operation=operation)
            raise Internal from error
        if described.takes_pool:
            parameters = {**parameters, "UserPoolId": self.pool_id}
        try:
            body = orjson.dumps(parameters)
        except orjson.JSONEncodeError as error:  # a lone surrogate, for example
            raise BadUserInput from error
        if deadline <= asyncio.get_running_loop().time():
            raise TimedOut(_OUT_OF_TIME)
        username = parameters.get("Username")
        user = username if isinstance(username, str) else user
        call = _PendingCall(described, body, user, caller, deadline, approval)
        if described.is_read and anew:
            return await self._carry_out(call, await self._wait_for_permit(call))
        if described.is_read:
            return await self._reads.get_in_turn(
                (operation, body),
                caller,
                take=partial(self._take_permit, call),
                wait=partial(self._wait_for_permit, call),
                fetch=partial(self._carry_out, call),
                deadline=deadline,
            )
        self._reads.forget()
        try:
            permit = self._take_permit(call) or await self._wait_for_permit(call)
            return await self._carry_out(call, permit)
        finally:
            self._reads.forget()

    def _take_permit(self, call: _PendingCall) -> Permit | None:
        if self.keyring.ready is None:
            return None
        return self._quotas.take(
            call.operation.name, call.user, reads=call.operation.is_read, caller=call.caller
        )

    async def _wait_for_permit(self, call: _PendingCall, *, again: bool = False) -> Permit:
        if self.keyring.ready is None:
            # Before the permit, so that a call that waits for credentials does not use up a turn.
            await self._wait_for_signer(call)
        return await self._quotas.acquire(
            call.operation.name,
            call.user,
            reads=call.operation.is_read,
            caller=call.caller,
            deadline=call.deadline,
            again=again,
        )

    async def _wait_for_signer(self, call: _PendingCall) -> Signer:
        try:
            async with asyncio.timeout_at(call.deadline):
                return await self.keyring.signer()
        except TimeoutError as error:
            raise TimedOut(_OUT_OF_TIME) from error

    async def _carry_out(self, call: _PendingCall, permit: Permit) -> Reply:
        """Make the call, with retries; the permit is for the first attempt."""
        try:
            reply = await self._try_repeatedly(call, permit)
        except TimeoutError as error:
            log.warning(
                "call to Cognito failed", operation=call.operation.name, reason="deadline passed"
            )
            if call.approval is None or call.approval.is_sent:
                raise TimedOut from error
            raise TimedOut(_OUT_OF_TIME) from error
        username = reply.get("Username")
        if call.user is not None and isinstance(username, str):
            self._quotas.learn(call.user, username)
        return reply

    async def _try_repeatedly(self, call: _PendingCall, permit: Permit) -> Reply:
        attempt = 0
        in_doubt: AdminError | None = None
        while True:
            with permit:
                try:
                    # After an attempt in doubt, the name in the call may be another user's by now.
                    reply = None if in_doubt else await self._try_once(call)
                    while reply is None:
                        await _renew(call)
                        reply = await self._try_once(call)
                except _AttemptFailed as failure:
                    in_doubt = _doubt_after(failure, call, in_doubt)
                    if isinstance(failure.error, Throttled):
                        # Does not count as an attempt: the quotas know when to send it again.
                        permit.throttled()
                        pause = 0.0
                    else:
                        attempt += 1
                        pause = self._pause_after(failure, call, attempt)
                except AdminError as error:
                    return _end(call, error, in_doubt)
                else:
                    return reply
            metrics.count_retry(call.operation.name)
            if pause:
                await asyncio.sleep(pause)
            try:
                permit = await self._wait_for_permit(call, again=True)
            except AdminError as error:
                return _end(call, error, in_doubt)

    def _pause_after(self, failure: _AttemptFailed, call: _PendingCall, attempt: int) -> float:
        """Return how many seconds to wait before another attempt.

        Raises:
            AdminError: There must be no other attempt.
        """
        pause = random.uniform(0, self._backoff * 2 ** (attempt - 1))  # noqa: S311  # only spreads load
        operation = call.operation
        if (
            attempt == ATTEMPTS
            or not (failure.changed_nothing or operation.is_read or operation.name in DONE_IF_GONE)
            or asyncio.get_running_loop().time() + pause >= call.deadline
        ):
            log.warning(
                "call to Cognito failed",
                operation=operation.name,
                reason=failure.reason,
                attempts=attempt,
            )
            raise failure.error from failure.__cause__
        return pause

    async def _try_once(self, call: _PendingCall) -> Reply | None:
        """Make one attempt, once there is a slot for it.

        Returns:
            The reply; None if nothing was sent, since the call's approval must be renewed first. It
            is not renewed while the call has a slot: that takes calls, and it may be the only slot.

        Raises:
            TimeoutError: The deadline passed.
            _AttemptFailed: A retry may succeed.
            AdminError: No retry would succeed.
        """
        operation, deadline = call.operation, call.deadline
        transport = self._transport or _reject_closed(operation)
        if not self._slots.take(call.caller):
            async with asyncio.timeout_at(deadline):
                await self._slots.wait(call.caller)
        try:
            signer = self.keyring.ready or await self._wait_for_signer(call)
            limit = asyncio.get_running_loop().time() + self._attempt_timeout
            headers = signer.sign(operation.headers, call.body)
            try:
                response = await transport.post(
                    headers, call.body, min(limit, deadline), call.approval
                )
            except TimeoutError as error:
                if deadline <= limit:
                    raise
                raise _AttemptFailed(TimedOut(), "attempt timed out") from error
        except NotConnected as error:
            reason = f"not connected: {error}"
            raise _AttemptFailed(UpstreamFailed(), reason, changed_nothing=True) from error
        except ConnectionBroke as error:
            reason = f"connection broke: {error}"
            raise _AttemptFailed(UpstreamFailed(), reason) from error
        except ReplyTooBig as error:
            log.error("reply from Cognito is too large", operation=operation.name)
            raise UpstreamFailed from error
        finally:
            self._slots.give_back(call.caller)
        if response is None:
            return None
        status, error_type, reply = response
        if status == 200:
            return _read_result(operation, reply)
        raise _read_error(operation, status, _find_code(error_type, reply))


def _reject_closed(operation: Operation) -> NoReturn:
    log.error("the user pool is not open", operation=operation.name)
    raise Internal


async def _renew(call: _PendingCall) -> None:
    if call.approval is not None:
        await call.approval.renew()


def _doubt_after(
    failure: _AttemptFailed, call: _PendingCall, in_doubt: AdminError | None
) -> AdminError | None:
    """Return the error of the last attempt that Cognito may have carried out, if there is one.

    Args:
        failure: Of this attempt.
        call: The call.
        in_doubt: The same error, of the attempts before.
    """
    if not (failure.changed_nothing or call.operation.is_read):
        return failure.error
    if in_doubt is None and call.approval is not None:
        call.approval.is_sent = False
    return in_doubt


def _end(call: _PendingCall, error: AdminError, in_doubt: AdminError | None) -> Reply:
    """Return or raise what comes of a call that is not attempted again.

    Args:
        call: The call.
        error: Why it is not.
        in_doubt: The error of the last attempt that Cognito may have carried out.
    """
    if in_doubt is None:
        if isinstance(error, CallRejected) and call.approval is not None:
            call.approval.is_sent = False
        raise error
    gone = DONE_IF_GONE.get(call.operation.name)
    if gone is not None and isinstance(error, gone):
        return Reply({})
    raise in_doubt from error  # `error` may say that nothing was changed


def _read_result(operation: Operation, reply: bytes) -> Reply:
    if not reply and not operation.replies:
        return Reply({})
    try:
        result = orjson.loads(reply)
    except orjson.JSONDecodeError as error:
        raise _AttemptFailed(UpstreamFailed(), "reply is not JSON") from error
    if not isinstance(result, dict):
        raise _AttemptFailed(UpstreamFailed(), "reply is not an object")
    return Reply(result, len(reply))


def _read_error(operation: Operation, status: int, code: str) -> Exception:
    meaning = translate(operation.name, code)
    if meaning is Throttled or (status == 429 and meaning is UpstreamFailed):
        metrics.count_throttle(operation.name)
        return _AttemptFailed(Throttled(), "throttled", changed_nothing=True)
    if meaning is not UpstreamFailed:
        return meaning()
    if status >= 500:
        return _AttemptFailed(UpstreamFailed(), f"status {status} {code}".rstrip())
    failure = UpstreamFailed()
    if code.removesuffix("Exception") == "AccessDenied":
        event = "this server's own credentials may not call this operation; see `iam-policy`"
        failure = MissingRight()
    elif code.removesuffix("Exception") in OWN_CREDENTIALS_REFUSED:
        event = "AWS rejected this server's own credentials: wrong or expired"
        failure = CallRejected()
    elif code == "ResourceNotFoundException":
        event = "there is no such user pool in this account and region"
    else:
        event = "call to Cognito failed"
    log.error(event, operation=operation.name, status=status, code=code)
    return failure


def _find_code(error_type: str, reply: bytes) -> str:
    """Return the name of the error in a reply, or "" if it has none that can be parsed.

    AWS's JSON protocol has it in the header, in the body's `__type`, or in both, possibly with a
    namespace as prefix (`namespace#Code`) and a URL as suffix (`Code:http://…`).
    """
    if not error_type:
        try:
            fields = orjson.loads(reply)
        except orjson.JSONDecodeError:
            return ""
        error_type = str(fields.get("__type", "")) if isinstance(fields, dict) else ""
    code = error_type.partition(":")[0].rpartition("#")[2]
    return code if code.isalnum() and len(code) <= 100 else ""


@contextmanager
def _settings_explained() -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ValueError, OSError) as error:
        raise InvalidAwsSettings(f"The AWS settings are invalid: {error}") from error


def _resolve_endpoint(session: botocore.session.Session, region: str) -> str:
    client: Any = session.create_client(  # Any: botocore adds the methods at run time
        SERVICE,
        region_name=region,
        # Placeholders: without them the client would load the real credentials, which may take
        # seconds.
        aws_access_key_id="none",
        aws_secret_access_key="none",  # noqa: S106
    )
    # Not `client.meta.endpoint_url`: requests go where the service's endpoint rules say, and
    # with AWS_USE_DUALSTACK_ENDPOINT that is another host in some regions.
    url = client.generate_presigned_url("list_user_pools", Params={"MaxResults": 1})
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"}:
        raise ValueError(f"the endpoint {parts.scheme}://{parts.netloc} is no URL of http or https")
    return str(parts._replace(query="").geturl())
