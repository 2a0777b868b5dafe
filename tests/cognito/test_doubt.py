"""Writes that Cognito may have carried out: sent again only where that does no harm."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from graphql_admin.actions import Action
from graphql_admin.cognito.operations import DONE_IF_GONE
from graphql_admin.cognito.pool import ATTEMPTS, UserPool
from graphql_admin.cognito.quotas import Quotas
from graphql_admin.errors import AdminError, GroupNotFound, TimedOut, UpstreamFailed, UserNotFound
from tests.support.scripted import ScriptedCognito, failure, hang_up, held, reply

GONE = {"AdminDeleteUser": "UserNotFoundException", "DeleteGroup": "ResourceNotFoundException"}
NAMED = {"Username": "ann", "GroupName": "Editors"}
ONCE = sorted({write for action in Action for write in action.writes} - GONE.keys())


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedCognito]:
    with ScriptedCognito() as backend:
        monkeypatch.setenv("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER", backend.url)
        yield backend


def write(operation: str, *, within: float = 20, attempt_timeout: float = 5.0) -> Any:
    """Call an operation, from nothing."""

    async def run() -> Any:
        async with UserPool(
            "eu-west-1_AbCdEf123",
            "eu-west-1",
            backoff=0.001,
            attempt_timeout=attempt_timeout,
            quotas=Quotas(pause=0.001),
        ) as pool:
            deadline = asyncio.get_running_loop().time() + within
            return await pool.writer.write(operation, NAMED, deadline=deadline)

    return asyncio.run(run())


TROUBLE = {
    "500": lambda _: failure("InternalErrorException", 500),
    "hang-up": lambda _: hang_up(),
    "timeout": lambda never: held(never, reply({})),
}


def test_what_may_be_sent_again() -> None:
    """What deletes may be, and nothing that sends a message or makes something."""
    assert {"AdminDeleteUser": UserNotFound, "DeleteGroup": GroupNotFound} == DONE_IF_GONE


@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize("operation", ONCE)
def test_nothing_else_is_sent_twice(backend: ScriptedCognito, operation: str, trouble: str) -> None:
    """In doubt there is one call, and the error says that it is in doubt."""
    never = threading.Event()
    backend.on(operation, TROUBLE[trouble](never))
    with pytest.raises((UpstreamFailed, TimedOut)):
        write(operation, attempt_timeout=0.3)
    assert backend.operations() == [operation]


@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize("operation", GONE)
def test_gone_after_an_attempt_of_ours(
    backend: ScriptedCognito, operation: str, trouble: str
) -> None:
    """What is gone when it is deleted again was deleted by the attempt before: that is done."""
    never = threading.Event()
    backend.on(operation, [TROUBLE[trouble](never), failure(GONE[operation])])
    assert write(operation, attempt_timeout=3.0) == {}
    assert backend.operations() == [operation] * 2


@pytest.mark.parametrize("operation", GONE)
def test_gone_before(backend: ScriptedCognito, operation: str) -> None:
    """What was gone before, or before a call that certainly did nothing, was not deleted."""
    backend.on(operation, [failure("TooManyRequestsException"), failure(GONE[operation])])
    with pytest.raises((UserNotFound, GroupNotFound)):
        write(operation)


@pytest.mark.parametrize("operation", GONE)
def test_in_doubt_to_the_end(backend: ScriptedCognito, operation: str) -> None:
    """It is sent a few times, and remains in doubt."""
    backend.on(operation, failure("InternalErrorException", 500))
    with pytest.raises(UpstreamFailed):
        write(operation)
    assert backend.operations() == [operation] * ATTEMPTS


@pytest.mark.parametrize("operation", GONE)
def test_throttled_in_doubt(backend: ScriptedCognito, operation: str) -> None:
    """A throttle after an attempt in doubt does not make it certain that nothing was changed."""
    backend.on(
        operation,
        lambda _: (
            failure("TooManyRequestsException")
            if len(backend.requests) > 1
            else failure("InternalErrorException", 500)
        ),
    )
    with pytest.raises(AdminError) as caught:
        write(operation, within=1)
    assert caught.type in {UpstreamFailed, TimedOut}
