"""Calls to Cognito: sent as by boto3, retried only where safe, every error translated."""

import asyncio
import ipaddress
import os
import random
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import orjson
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography import x509
from moto.server import ThreadedMotoServer
from structlog.testing import capture_logs

from graphql_admin.actions import Action
from graphql_admin.cognito.access import MissingRight
from graphql_admin.cognito.categories import CATEGORIES, Quota
from graphql_admin.cognito.operations import is_read, translate
from graphql_admin.cognito.pool import (
    ATTEMPTS,
    MAX_REPLY_BYTES,
    InvalidAwsSettings,
    UserPool,
)
from graphql_admin.cognito.quotas import Quotas
from graphql_admin.errors import (
    AdminError,
    AlreadyExists,
    AuthEventNotFound,
    BadUserInput,
    CannotLink,
    CannotReset,
    CannotSetMfa,
    DeliveryFailed,
    DeviceNotFound,
    DevicesNotShown,
    Forbidden,
    GroupNotFound,
    IdentityNotFound,
    IdentityTaken,
    Internal,
    InvitationNotSent,
    LimitExceeded,
    NotEnabled,
    NotInvited,
    NoTotp,
    PasswordRejected,
    PasswordUsedBefore,
    RejectedByTrigger,
    SessionNotFound,
    TemporaryPasswordRejected,
    Throttled,
    TimedOut,
    TooManyIdentities,
    UpstreamFailed,
    UsernameTaken,
    UserNotFound,
    WrongState,
)
from tests.support.certificates import make_certificate
from tests.support.patience import PATIENCE
from tests.support.scripted import (
    Reply,
    Request,
    ScriptedCognito,
    UserDirectory,
    failure,
    half,
    hang_up,
    held,
    raw,
    reply,
)

POOL_ID = "eu-west-1_AbCdEf123"
REGION = "eu-west-1"
READ = "AdminGetUser"
WRITE = "AdminDisableUser"
ANN = {"Username": "ann"}
PRIVATE = "arn:aws:iam::123456789012:role/admin may not touch ann@example.com"
OPERATIONS = sorted({operation for action in Action for operation in action.operations})
WRITES = {write for action in Action for write in action.writes}

MODEL = botocore.session.Session().get_service_model("cognito-idp")

MEANINGS: dict[str, type[AdminError]] = {
    "AliasExistsException": AlreadyExists,
    "CodeDeliveryFailureException": DeliveryFailed,
    "GroupExistsException": AlreadyExists,
    "InternalErrorException": UpstreamFailed,
    "InvalidEmailRoleAccessPolicyException": DeliveryFailed,
    "InvalidLambdaResponseException": RejectedByTrigger,
    "InvalidParameterException": BadUserInput,
    "InvalidPasswordException": PasswordRejected,
    "InvalidSmsRoleAccessPolicyException": DeliveryFailed,
    "InvalidSmsRoleTrustRelationshipException": DeliveryFailed,
    "InvalidUserPoolConfigurationException": NotEnabled,
    "LimitExceededException": LimitExceeded,
    "OperationNotEnabledException": NotEnabled,
    "PasswordHistoryPolicyViolationException": PasswordUsedBefore,
    "PasswordResetRequiredException": WrongState,
    "PreconditionNotMetException": NotEnabled,
    "TooManyFailedAttemptsException": WrongState,
    "TooManyRequestsException": Throttled,
    "UnexpectedLambdaException": RejectedByTrigger,
    "UnsupportedUserStateException": WrongState,
    "UserLambdaValidationException": RejectedByTrigger,
    "UserNotConfirmedException": WrongState,
    "UserNotFoundException": UserNotFound,
    "UserPoolAddOnNotEnabledException": NotEnabled,
    "UserPoolTaggingException": UpstreamFailed,
    "UsernameExistsException": AlreadyExists,
}
"""What an error means, whichever operation on users and groups declares it; see `meaning`."""

MEANINGS_BY_OPERATION: dict[tuple[str, str], type[AdminError]] = {
    ("AdminResetUserPassword", "InvalidParameterException"): CannotReset,
    ("AdminResetUserPassword", "NotAuthorizedException"): CannotReset,
    ("AdminCreateUser", "CodeDeliveryFailureException"): InvitationNotSent,
    ("AdminCreateUser", "InvalidPasswordException"): TemporaryPasswordRejected,
    ("AdminCreateUser", "UnsupportedUserStateException"): NotInvited,
    ("AdminCreateUser", "UsernameExistsException"): UsernameTaken,
    ("AdminForgetDevice", "ResourceNotFoundException"): DeviceNotFound,
    ("AdminUpdateDeviceStatus", "ResourceNotFoundException"): DeviceNotFound,
    ("AdminListDevices", "NotAuthorizedException"): DevicesNotShown,
    ("AdminListDevices", "ResourceNotFoundException"): DevicesNotShown,
    ("AdminUpdateAuthEventFeedback", "InvalidParameterException"): AuthEventNotFound,
    ("AdminUpdateAuthEventFeedback", "ResourceNotFoundException"): AuthEventNotFound,
    ("AdminLinkProviderForUser", "AliasExistsException"): IdentityTaken,
    ("AdminLinkProviderForUser", "InvalidParameterException"): CannotLink,
    ("AdminLinkProviderForUser", "LimitExceededException"): TooManyIdentities,
    ("AdminLinkProviderForUser", "ResourceNotFoundException"): CannotLink,
    ("AdminDisableProviderForUser", "ResourceNotFoundException"): IdentityNotFound,
    ("AdminDeleteSoftwareToken", "InvalidParameterException"): NoTotp,
    ("AdminDeleteSoftwareToken", "ResourceNotFoundException"): NoTotp,
    ("AdminRevokeUserSession", "ResourceNotFoundException"): SessionNotFound,
    ("AdminSetUserMFAPreference", "InvalidParameterException"): CannotSetMfa,
}
"""What an error means of one operation."""


def declared(operation: str) -> list[str]:
    """Return the names of the errors that botocore's model declares for an operation."""
    return [shape.name for shape in MODEL.operation_model(operation).error_shapes]


def meaning(operation: str, code: str) -> type[AdminError]:
    """Return what an error means as the reply to an operation.

    Raises:
        KeyError: There is no expectation for it.
    """
    if (operation, code) in MEANINGS_BY_OPERATION:
        return MEANINGS_BY_OPERATION[operation, code]
    if code == "ResourceNotFoundException":
        names_group = "GroupName" in MODEL.operation_model(operation).input_shape.members
        return GroupNotFound if names_group else UpstreamFailed
    reads = operation.startswith(("AdminGet", "AdminList", "Describe", "Get", "List"))
    if code == "NotAuthorizedException":
        return UpstreamFailed if reads else WrongState
    return MEANINGS[code]


OWN_CREDENTIALS_REFUSED = (
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "UnrecognizedClientException",
)


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Settings of AWS that owe nothing to the machine; returns the path of the config file."""
    for name in os.environ:
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    config = tmp_path / "aws-config"
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "aws-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "an example of a secret")
    return config


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch, authorities: Path) -> Iterator[ScriptedCognito]:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authorities))
    with ScriptedCognito() as backend:
        monkeypatch.setenv("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER", backend.url)
        yield backend


def make_pool(**options: Any) -> UserPool:
    return UserPool(POOL_ID, REGION, **{"backoff": 0.001, "quotas": Quotas(pause=0.001)} | options)


def with_pool(act: Callable[[UserPool], Awaitable[Any]], **options: Any) -> Any:
    """Open a pool in a new event loop, and do `act` with it."""

    async def run() -> Any:
        async with make_pool(**options) as pool:
            return await act(pool)

    return asyncio.run(run())


async def ask(
    pool: UserPool,
    operation: str,
    parameters: Mapping[str, object] = ANN,
    within: float = 20,
    caller: str = "",
) -> dict[str, Any]:
    deadline = asyncio.get_running_loop().time() + within
    call = pool.reader.read if is_read(operation) else pool.writer.write
    return await call(operation, parameters, deadline=deadline, caller=caller)


def call(operation: str, parameters: Mapping[str, object] = ANN, **options: Any) -> Any:
    """Make one call, from nothing."""
    within = options.pop("within", 20)
    return with_pool(lambda pool: ask(pool, operation, parameters, within), **options)


async def until(holds: Callable[[], bool]) -> None:
    """Let the event loop run until the condition holds, or fail."""
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110  # a condition of any kind
            await asyncio.sleep(0.005)


# What is sent


def signed_headers(request: Request) -> list[str]:
    listed = request.headers["Authorization"].split("SignedHeaders=")[1]
    return str(listed).split(",")[0].split(";")


def signature_of(request: Request, url: str, credentials: Credentials) -> str:
    """Compute the signature that the request, as it arrived, should have."""
    headers = {name: request.headers[name] for name in signed_headers(request)}
    arrived = AWSRequest("POST", url + request.url, headers, request.body)
    arrived.context["timestamp"] = request.headers["X-Amz-Date"]
    signer = SigV4Auth(credentials, "cognito-idp", REGION)
    return signer.signature(
        signer.string_to_sign(arrived, signer.canonical_request(arrived)), arrived
    )


@pytest.mark.parametrize("token", [None, "an example of a session token"])
@pytest.mark.parametrize("path", ["", "/below/a path/"])
def test_signature(
    backend: ScriptedCognito, monkeypatch: pytest.MonkeyPatch, token: str | None, path: str
) -> None:
    """What arrives is signed with the server's credentials, session token included."""
    path = path.replace(" ", "%20")
    monkeypatch.setenv("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER", backend.url + path)
    if token:
        monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    backend.on(WRITE, reply({}))
    call(WRITE)
    (request,) = backend.requests
    credentials = Credentials("AKIDEXAMPLE", "an example of a secret", token)
    authorization = request.headers["Authorization"]
    assert authorization.endswith(f"Signature={signature_of(request, backend.url, credentials)}")
    assert authorization.startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert f"/{REGION}/cognito-idp/aws4_request," in authorization
    assert request.headers["X-Amz-Security-Token"] == token
    assert ("x-amz-security-token" in authorization) == bool(token)


def test_request_is_that_of_boto3(backend: ScriptedCognito) -> None:
    """Cognito sees what it would see from boto3: target, type, signed headers, parameters."""
    backend.on("ListUsers", reply({"Users": []}))
    client = boto3.session.Session().client("cognito-idp", region_name=REGION)
    client.list_users(UserPoolId=POOL_ID, Limit=25, Filter='name ^= "Zoë"')
    call("ListUsers", {"Limit": 25, "Filter": 'name ^= "Zoë"'})
    theirs, ours = backend.requests
    assert ours.parameters == theirs.parameters
    for name in ("X-Amz-Target", "Content-Type", "Host"):
        assert ours.headers[name] == theirs.headers[name]
    assert signed_headers(ours) == signed_headers(theirs)


def test_pool_id_is_added_where_it_belongs(backend: ScriptedCognito) -> None:
    """The pool's id goes with operations on a pool, and with no others; nothing overrides it."""
    backend.on("ListUserPools", reply({"UserPools": []}))
    backend.on(READ, reply({"Username": "ann"}))
    call("ListUserPools", {"MaxResults": 1})
    call(READ, {"Username": "ann", "UserPoolId": "eu-west-1_another"})
    assert [request.parameters for request in backend.requests] == [
        {"MaxResults": 1},
        {"Username": "ann", "UserPoolId": POOL_ID},
    ]


def test_results(backend: ScriptedCognito) -> None:
    """A call returns the reply as parsed JSON, and an empty object for an empty body."""
    backend.on(READ, reply({"Username": "ann", "UserCreateDate": 1700000000.25}))
    backend.on("AdminAddUserToGroup", raw(b"", content_type="application/x-amz-json-1.1"))
    assert call(READ) == {"Username": "ann", "UserCreateDate": 1700000000.25}
    assert call("AdminAddUserToGroup", ANN | {"GroupName": "g"}) == {}


def test_connection_is_kept(backend: ScriptedCognito) -> None:
    """Calls one after the other share a connection, also after an error."""
    backend.on(WRITE, [reply({}), failure("UserNotFoundException"), reply({})])

    async def act(pool: UserPool) -> None:
        await ask(pool, WRITE)
        with pytest.raises(UserNotFound):
            await ask(pool, WRITE)
        await ask(pool, WRITE)

    with_pool(act)
    assert len({request.sender_port for request in backend.requests}) == 1


def test_connections_are_bounded(backend: ScriptedCognito) -> None:
    """However many calls there are, no more than `connections` are in flight."""
    gate = threading.Barrier(3)
    busy, most = 0, 0
    lock = threading.Lock()

    def answer(_: dict[str, Any]) -> Reply:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        gate.wait(10)  # all three connections are in use at once, so the bound is reached
        with lock:
            busy -= 1
        return reply({})

    backend.on(WRITE, answer)

    async def act(pool: UserPool) -> None:
        calls = (ask(pool, WRITE, {"Username": f"u{n}"}, caller=f"caller{n % 3}") for n in range(9))
        await asyncio.gather(*calls)

    with_pool(act, connections=3)
    assert most == 3
    assert len({request.sender_port for request in backend.requests}) == 3


def test_unknown_operation() -> None:
    """An operation that Cognito does not have is a fault of this server."""
    with pytest.raises(Internal):
        call("AdminMakeCoffee")


def test_parameter_that_is_not_unicode(backend: ScriptedCognito) -> None:
    """Half a surrogate pair cannot be sent, and is the client's mistake."""
    with pytest.raises(BadUserInput):
        call(READ, {"Username": "\ud800"})
    assert backend.requests == []


def test_closed_pool() -> None:
    """A pool that was closed refuses calls with an error that clients may see."""

    async def act() -> None:
        pool = make_pool()
        await pool.open()
        await pool.close()
        await ask(pool, READ)

    with pytest.raises(Internal):
        asyncio.run(act())


# Retries

THROTTLES = {
    "plain": failure("TooManyRequestsException"),
    "in a header": failure("ThrottlingException", in_header=True),
    "as 429": failure("TooManyRequestsException", 429),
    "as 503": failure("SlowDown", 503),
    "by a proxy": raw(b"<h1>Slow down</h1>", 429),
}

TROUBLES = {
    # What comes back: how often a read is sent, how often a write is, and how both end.
    "error of Cognito": (failure("InternalErrorException", 500), 3, 1, UpstreamFailed),
    "unsupported by cognito-local": (failure("Unsupported", 500), 3, 1, UpstreamFailed),
    "HTML as 500": (raw(b"<h1>Internal Server Error</h1>", 500), 3, 1, UpstreamFailed),
    "HTML as 503": (raw(b"<h1>Unavailable</h1>", 503), 3, 1, UpstreamFailed),
    "HTML as 200": (raw(b"<h1>Welcome</h1>"), 3, 1, UpstreamFailed),
    "half of JSON as 200": (raw(b'{"Username": "a'), 3, 1, UpstreamFailed),
    "bytes as 200": (raw(bytes(range(128, 256))), 3, 1, UpstreamFailed),
    "array as 200": (raw(b"[]"), 3, 1, UpstreamFailed),
    "null as 200": (raw(b"null"), 3, 1, UpstreamFailed),
    "deep JSON as 200": (raw(b"[" * 100_000), 3, 1, UpstreamFailed),
    "half a body": (half(reply({"Username": "ann"})), 3, 1, UpstreamFailed),
    "closed before a reply": (hang_up(), 3, 1, UpstreamFailed),
    "too slow": (held(threading.Event(), reply({})), 3, 1, TimedOut),
    "HTML as 403": (raw(b"<h1>Forbidden</h1>", 403), 1, 1, UpstreamFailed),
    "JSON array as 400": (raw(b"[]", 400), 1, 1, UpstreamFailed),
    "type that is not a string": (raw(b'{"__type": 5}', 400), 1, 1, UpstreamFailed),
    "no content": (raw(b"", 204), 1, 1, UpstreamFailed),
    "redirect": (Reply(status=307, location="/elsewhere"), 1, 1, UpstreamFailed),
    "unknown error": (failure("UnheardOfException"), 1, 1, UpstreamFailed),
    "forbidden by a firewall": (failure("ForbiddenException", 403), 1, 1, UpstreamFailed),
    "no right": (failure("AccessDeniedException"), 1, 1, MissingRight),
    "no such user": (failure("UserNotFoundException"), 1, 1, UserNotFound),
    "no more room": (failure("LimitExceededException"), 1, 1, LimitExceeded),
    "limit as 429": (failure("LimitExceededException", 429), 1, 1, LimitExceeded),
    "too large": (raw(b'{"a": "' + b"x" * MAX_REPLY_BYTES + b'"}'), 1, 1, UpstreamFailed),
}


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("operation", [READ, WRITE])
def test_retries(backend: ScriptedCognito, trouble: str, operation: str) -> None:
    """A call is sent again only if that may help and, for a write, surely did nothing yet."""
    script, reads, writes, ending = TROUBLES[trouble]
    backend.on(operation, script)
    with pytest.raises(AdminError) as caught:
        call(operation, attempt_timeout=1.5 if script.wait_for else 20)
    assert type(caught.value) is ending
    assert backend.operations() == [operation] * (reads if operation == READ else writes)


def test_empty_reply_where_there_is_something_to_say(backend: ScriptedCognito) -> None:
    """An empty body is no empty list: it would look like the end of it."""
    backend.on("ListUsers", raw(b"", content_type="application/x-amz-json-1.1"))
    with pytest.raises(UpstreamFailed):
        call("ListUsers", {})
    assert len(backend.requests) == ATTEMPTS


@pytest.mark.parametrize("operation", [READ, WRITE])
@pytest.mark.parametrize("way", THROTTLES)
def test_throttled(backend: ScriptedCognito, operation: str, way: str) -> None:
    """A call that is throttled, in whatever words, is sent again until there is room for it."""
    refusals = [THROTTLES[way]] * (ATTEMPTS + 2)
    backend.on(operation, [*refusals, reply({"Username": "ann"})])
    assert call(operation) == {"Username": "ann"}


@pytest.mark.parametrize("operation", [READ, WRITE])
def test_throttled_for_good(backend: ScriptedCognito, operation: str) -> None:
    """Where there is no room before the deadline, the client is told when to try again."""
    backend.on(operation, failure("TooManyRequestsException"))
    with pytest.raises(Throttled) as caught:
        call(operation, within=20, quotas=Quotas(pause=100))
    assert caught.value.retry_after == pytest.approx(100, abs=1)
    assert len(backend.requests) == 1


def test_recovery_of_a_read(backend: ScriptedCognito) -> None:
    """A read survives a broken connection and an attempt without an answer."""
    slow = held(threading.Event(), reply({}))
    backend.on(READ, [hang_up(), slow, reply({"Username": "ann"})])
    assert call(READ, attempt_timeout=2) == {"Username": "ann"}


def test_each_attempt_is_signed(backend: ScriptedCognito) -> None:
    """Each attempt has a signature of its own that is right, for signatures age."""
    backend.on(READ, [failure("InternalErrorException", 500), reply({"Username": "ann"})])
    call(READ)
    credentials = Credentials("AKIDEXAMPLE", "an example of a secret")
    for request in backend.requests:
        signature = signature_of(request, backend.url, credentials)
        assert request.headers["Authorization"].endswith(f"Signature={signature}")


@pytest.mark.parametrize("operation", [READ, WRITE])
def test_refused_connection(monkeypatch: pytest.MonkeyPatch, operation: str) -> None:
    """If the connection is refused, nothing was sent, so even a write is retried."""
    with socket.socket() as idle:
        idle.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{idle.getsockname()[1]}")
        with capture_logs() as logs, pytest.raises(UpstreamFailed):
            call(operation)
    assert [entry["attempts"] for entry in logs] == [ATTEMPTS]


@pytest.mark.parametrize("operation", [READ, WRITE])
def test_connection_never_established(
    backend: ScriptedCognito, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    """Where a proxy cannot connect nothing was sent, so even a write is tried again."""
    monkeypatch.delenv("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER")
    monkeypatch.setenv("HTTPS_PROXY", backend.url)
    backend.on("CONNECT", raw(b"", 502))
    with pytest.raises(UpstreamFailed):
        call(operation)
    assert [(request.operation, request.url) for request in backend.requests] == [
        ("CONNECT", "cognito-idp.eu-west-1.amazonaws.com:443")
    ] * ATTEMPTS


# Deadlines


@pytest.mark.parametrize("operation", [READ, WRITE])
def test_deadline(backend: ScriptedCognito, operation: str) -> None:
    """A call without an answer ends at its deadline, before the attempt's own time is up."""
    backend.on(operation, held(threading.Event(), reply({})))
    with pytest.raises(TimedOut):
        call(operation, within=0.05, attempt_timeout=60)
    assert len(backend.requests) <= 1  # none, if this machine is slow


def test_deadline_in_the_middle_of_a_body(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reply that stops coming does not hold a call beyond its deadline."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER", url)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
                while connection.recv(65536):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(TimedOut):
            call(READ, within=1)
        thread.join(20)
        assert not thread.is_alive()


def test_deadline_that_has_passed(backend: ScriptedCognito) -> None:
    """A call that comes too late is not sent at all, even if there is an idle connection."""
    backend.on(READ, reply({"Username": "ann"}))
    backend.on(WRITE, reply({}))

    async def act(pool: UserPool) -> None:
        await ask(pool, READ)
        for _ in range(3):
            with pytest.raises(TimedOut):
                await ask(pool, WRITE, within=0)
        await ask(pool, READ)

    with_pool(act)
    assert backend.operations() == [READ, READ]


def test_deadline_before_the_next_attempt(backend: ScriptedCognito) -> None:
    """Rather than sleep past its deadline a call ends at once, and says why it failed."""
    backend.on(READ, failure("InternalErrorException", 500))
    with pytest.raises(UpstreamFailed):
        call(READ, within=5, backoff=1e9)
    assert len(backend.requests) == 1


def test_deadline_while_all_connections_are_in_use(backend: ScriptedCognito) -> None:
    """A call that gets no connection before its deadline is not sent."""
    gate = threading.Event()
    backend.on(READ, held(gate, reply({"Username": "ann"})))

    async def act(pool: UserPool) -> None:
        first = asyncio.create_task(ask(pool, READ))
        await until(lambda: len(backend.requests) == 1)
        with pytest.raises(TimedOut):
            await ask(pool, WRITE, within=0.05)
        gate.set()
        await first

    with_pool(act, connections=1)
    assert backend.operations() == [READ]


def test_waiting_for_a_connection_is_no_attempt(backend: ScriptedCognito) -> None:
    """The time that a call waits for others to end is not taken from its attempt."""
    slow = held(threading.Event(), reply({}))
    backend.on(WRITE, [slow, slow, reply({})])

    async def act(pool: UserPool) -> list[Any]:
        calls = [ask(pool, WRITE) for _ in range(3)]
        ends: list[Any] = await asyncio.gather(*calls, return_exceptions=True)
        return ends

    *late, last = with_pool(act, connections=1, attempt_timeout=0.5)
    assert [type(error) for error in late] == [TimedOut, TimedOut]
    assert last == {}


def test_cancelled_call(backend: ScriptedCognito) -> None:
    """A call that is cancelled gives its connection's place back."""
    backend.on(READ, held(threading.Event(), reply({})))
    backend.on(WRITE, reply({}))

    async def act(pool: UserPool) -> None:
        for _ in range(3):
            backend.requests.clear()
            task = asyncio.create_task(ask(pool, READ))
            await until(lambda: len(backend.requests) == 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await ask(pool, WRITE) == {}

    with_pool(act, connections=1)


def test_largest_reply(backend: ScriptedCognito) -> None:
    """A reply of exactly the size that is allowed is read."""
    empty = len(orjson.dumps({"Username": ""}))
    backend.on(READ, reply({"Username": "x" * (MAX_REPLY_BYTES - empty)}))
    assert len(call(READ)["Username"]) == MAX_REPLY_BYTES - empty


# Errors


@pytest.mark.parametrize("operation", sorted({*OPERATIONS, *CATEGORIES}))
def test_every_declared_error_has_a_meaning(operation: str) -> None:
    """What botocore declares for an operation, in use or to come, is translated as was decided."""
    for code in declared(operation):
        assert translate(operation, code) is meaning(operation, code)


@pytest.mark.parametrize("in_header", [False, True], ids=["__type", "header"])
@pytest.mark.parametrize(
    ("operation", "code"),
    [(operation, code) for operation in OPERATIONS for code in declared(operation)],
)
def test_declared_errors(
    backend: ScriptedCognito, operation: str, code: str, in_header: bool
) -> None:
    """Each declared error becomes the error that it means here, and leaks nothing."""
    backend.on(operation, failure(code, in_header=in_header, detail=PRIVATE))
    with capture_logs() as logs, pytest.raises(AdminError) as caught:
        call(operation, {"Username": "ann@example.com"}, quotas=Quotas(pause=100))
    assert type(caught.value) is meaning(operation, code)
    assert "ann@" not in caught.value.message
    assert "arn" not in caught.value.message
    assert "ann@" not in repr(logs)
    assert "arn:" not in repr(logs)


@pytest.mark.parametrize(
    ("operation", "code", "meaning"),
    [
        ("AdminCreateUser", "UsernameExistsException", UsernameTaken),
        ("AdminUpdateUserAttributes", "AliasExistsException", AlreadyExists),
        ("CreateGroup", "GroupExistsException", AlreadyExists),
        ("AdminSetUserPassword", "InvalidPasswordException", PasswordRejected),
        ("AdminSetUserPassword", "PasswordHistoryPolicyViolationException", PasswordUsedBefore),
        ("AdminResetUserPassword", "UserNotConfirmedException", WrongState),
        ("AdminInitiateAuth", "PasswordResetRequiredException", WrongState),
        ("AdminCreateUser", "UnsupportedUserStateException", NotInvited),
        ("ListUsers", "InvalidToken", BadUserInput),
        ("DeleteGroup", "ResourceNotFoundException", GroupNotFound),
        ("AdminDeleteUser", "ResourceNotFoundException", UpstreamFailed),
        ("AdminCreateUser", "CodeDeliveryFailureException", InvitationNotSent),
        ("AdminDisableUser", "", UpstreamFailed),
    ],
)
def test_translation(operation: str, code: str, meaning: type[AdminError]) -> None:
    """Errors of operations that are not in use yet have their meaning already."""
    assert translate(operation, code) is meaning


@pytest.mark.parametrize("code", OWN_CREDENTIALS_REFUSED)
def test_own_credentials_refused(backend: ScriptedCognito, code: str) -> None:
    """The log says plainly that the server's own credentials are at fault, the client nothing."""
    backend.on(WRITE, failure(code, detail=PRIVATE))
    with capture_logs() as logs, pytest.raises(UpstreamFailed) as caught:
        call(WRITE)
    assert caught.value.message == UpstreamFailed.message
    assert logs == [
        {
            "event": "this server's own credentials may not call this operation; see `iam-policy`"
            if code.startswith("AccessDenied")
            else "AWS rejected this server's own credentials: wrong or expired",
            "log_level": "error",
            "operation": WRITE,
            "status": 400,
            "code": code,
        }
    ]


def test_missing_pool(backend: ScriptedCognito) -> None:
    """The log says plainly that there is no such pool."""
    backend.on("ListUsers", failure("ResourceNotFoundException", detail=PRIVATE))
    with capture_logs() as logs, pytest.raises(UpstreamFailed):
        call("ListUsers", {})
    assert [entry["event"] for entry in logs] == [
        "there is no such user pool in this account and region"
    ]


def test_strange_code_is_not_logged(backend: ScriptedCognito) -> None:
    """Text in place of an error's name goes nowhere."""
    backend.on(WRITE, raw(orjson.dumps({"__type": "ann@example.com may not"}), 400))
    with capture_logs() as logs, pytest.raises(UpstreamFailed):
        call(WRITE)
    assert [entry["code"] for entry in logs] == [""]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_reads_are_told_from_writes(operation: str) -> None:
    """Exactly the operations by which no action changes anything are reads."""
    assert is_read(operation) == (operation not in WRITES)


# Credentials


def script_credentials(config: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Let the credentials come from a shell script, which is to print `KEY` with $n as a name."""
    program = config.with_name("credentials.sh")
    ends = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    keys = (
        r'{"Version":1,"AccessKeyId":"KEY%s","SecretAccessKey":"s","SessionToken":"T%s",'
        rf'"Expiration":"{ends}"}}'
    )
    program.write_text(
        f"cd '{config.parent}'\necho >> runs\nn=$(($(wc -l < runs)))\n{script}\n"
        f"printf '{keys}' $n $n\n"
    )
    config.write_text(f"[default]\ncredential_process = /bin/sh {program}\n")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")


WAIT_FOR_RELEASE = (
    "i=0; while [ ! -e release ]; do i=$((i+1)); [ $i -lt 500 ] || exit 1; sleep 0.02; done"
)


def test_credentials_are_found_off_the_loop(
    backend: ScriptedCognito, aws: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While credentials are sought the event loop goes on, and they are sought once for all."""
    script_credentials(aws, monkeypatch, WAIT_FOR_RELEASE)
    backend.on(WRITE, reply({}))

    async def act(pool: UserPool) -> None:
        calls = [asyncio.create_task(ask(pool, WRITE)) for _ in range(5)]
        await until(aws.with_name("runs").exists)
        with pytest.raises(TimedOut):
            await ask(pool, WRITE, within=0.01)
        aws.with_name("release").touch()
        await asyncio.gather(*calls)

    with_pool(act)
    assert len({request.headers["X-Amz-Security-Token"] for request in backend.requests}) == 1
    assert len(backend.requests) == 5


def test_waiting_for_credentials_takes_no_turn(
    backend: ScriptedCognito, aws: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls that wait for credentials hold neither a connection nor a part of the quota."""
    script_credentials(aws, monkeypatch, WAIT_FOR_RELEASE)
    backend.on(READ, reply({"Username": "ann"}))
    quotas = Quotas({Quota.USER_READ: 1})

    async def act(pool: UserPool) -> None:
        calls = [
            asyncio.create_task(ask(pool, READ, {"Username": f"u{n}"}, within=0.2, caller="eve"))
            for n in range(20)
        ]
        await until(aws.with_name("runs").exists)
        ends = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(end) for end in ends] == [TimedOut] * 20
        permit = quotas.take(READ, "ann", reads=True, caller="ann")
        assert permit is not None
        aws.with_name("release").touch()

    with_pool(act, connections=1, quotas=quotas)
    assert backend.requests == []


def test_credentials_are_refreshed(
    backend: ScriptedCognito, aws: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials that end soon are replaced; calls go on with the old ones meanwhile."""
    # The script is run twice to begin with, since botocore refreshes what ends in five minutes.
    script_credentials(aws, monkeypatch, f"if [ $n -gt 2 ]; then {WAIT_FOR_RELEASE}; fi")
    backend.on(WRITE, reply({}))

    def last_token() -> str:
        return str(backend.requests[-1].headers["X-Amz-Security-Token"])

    async def act(pool: UserPool) -> None:
        await ask(pool, WRITE)
        for _ in range(3):
            await ask(pool, WRITE, within=5)  # less than the script waits
        assert last_token() == "T2"
        aws.with_name("release").touch()
        async with asyncio.timeout(PATIENCE):
            while last_token() == "T2":
                await ask(pool, WRITE)
        assert int(last_token().removeprefix("T")) >= 3

    try:
        with_pool(act)
    finally:
        aws.with_name("release").touch()
    request = backend.requests[-1]
    credentials = Credentials(last_token().replace("T", "KEY"), "s", last_token())
    assert signature_of(request, backend.url, credentials) in request.headers["Authorization"]


def test_no_credentials(backend: ScriptedCognito, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server without credentials says so in its log, and sends nothing."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with capture_logs() as logs, pytest.raises(UpstreamFailed):
        call(READ)
    assert logs == [
        {
            "event": "this server has no AWS credentials",
            "log_level": "error",
            "error": "NoCredentialsError",
        }
    ]
    assert backend.requests == []


def test_credentials_that_cannot_be_had(
    backend: ScriptedCognito, aws: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed search for credentials fails the call, and the next call searches again."""
    script_credentials(aws, monkeypatch, "if [ $n -lt 2 ]; then echo secret >&2; exit 1; fi")
    backend.on(WRITE, reply({}))

    async def act(pool: UserPool) -> None:
        with capture_logs() as logs, pytest.raises(UpstreamFailed):
            await ask(pool, WRITE)
        assert [entry["error"] for entry in logs] == ["CredentialRetrievalError"]
        assert "secret" not in repr(logs)
        assert await ask(pool, WRITE) == {}

    with_pool(act)


# Reads that are the same


class Approval:
    """An approval that a test gives.

    Args:
        backend: Its requests are noted with each call.
        holds: What `confirm` says, in turn; an error is raised. Afterwards it holds.
        error: What `renew` raises.
    """

    def __init__(
        self, backend: ScriptedCognito, *holds: bool | AdminError, error: AdminError | None = None
    ) -> None:
        self.is_sent = False
        self.told: list[tuple[str, int]] = []
        """What was called, each after how many requests."""
        self.pool: UserPool | None = None
        self._backend = backend
        self._holds = list(holds)
        self._error = error

    async def confirm(self) -> bool:
        self.told.append(("confirm", len(self._backend.requests)))
        holds = self._holds.pop(0) if self._holds else True
        if isinstance(holds, AdminError):
            raise holds
        return holds

    async def renew(self) -> None:
        self.told.append(("renew", len(self._backend.requests)))
        if self._error is not None:
            raise self._error
        assert self.pool is not None
        await ask(self.pool, READ)


async def ask_with(pool: UserPool, approval: Approval, operation: str, within: float = 20) -> Any:
    """Write, as long as an approval holds."""
    approval.pool = pool
    deadline = asyncio.get_running_loop().time() + within
    return await pool.writer.write(operation, ANN, deadline=deadline, approval=approval)


def test_approval_that_holds(backend: ScriptedCognito) -> None:
    """A write is confirmed once, before it is sent."""
    backend.on(WRITE, reply({}))
    approval = Approval(backend)
    assert with_pool(lambda pool: ask_with(pool, approval, WRITE)) == {}
    assert approval.told == [("confirm", 0)]
    assert approval.is_sent


def test_approval_that_is_renewed(backend: ScriptedCognito) -> None:
    """It takes reads over the only connection, and the only call about one user at a time."""
    backend.on(WRITE, reply({}))
    backend.on(READ, reply({}))
    approval = Approval(backend, False, False)

    async def act(pool: UserPool) -> None:
        assert await ask_with(pool, approval, WRITE) == {}

    with_pool(act, connections=1, quotas=Quotas({Quota.PER_USER: 2}))
    assert backend.operations() == [READ, READ, WRITE]
    steps = [("confirm", 0), ("renew", 0), ("confirm", 1), ("renew", 1), ("confirm", 2)]
    assert approval.told == steps


@pytest.mark.parametrize(
    "holds", [[Forbidden()], [False, Forbidden()]], ids=["at once", "after it was renewed"]
)
def test_approval_that_has_ended(backend: ScriptedCognito, holds: list[bool | AdminError]) -> None:
    """The write is not sent, and its connection is free for others."""
    backend.on(READ, reply({}))
    approval = Approval(backend, *holds)

    async def act(pool: UserPool) -> None:
        with pytest.raises(Forbidden):
            await ask_with(pool, approval, WRITE)
        await ask(pool, READ)

    with_pool(act, connections=1)
    assert WRITE not in backend.operations()
    assert not approval.is_sent


def test_confirmed_after_the_wait_for_a_connection(backend: ScriptedCognito) -> None:
    """What ends the approval while the write waits for a connection keeps it from being sent."""
    gate = threading.Event()
    backend.on(READ, held(gate, reply({})))
    approval = Approval(backend, Forbidden())

    async def act(pool: UserPool) -> None:
        reading = asyncio.create_task(ask(pool, READ))
        await until(lambda: len(backend.requests) == 1)
        with pytest.raises(TimedOut) as caught:
            await ask_with(pool, approval, WRITE, within=0.05)
        assert "Nothing was changed" in caught.value.message
        assert approval.told == []
        writing = asyncio.create_task(ask_with(pool, approval, WRITE))
        await until(lambda: bool(pool._slots._queues))  # noqa: SLF001
        gate.set()
        await reading
        with pytest.raises(Forbidden):
            await writing

    with_pool(act, connections=1)
    assert backend.operations() == [READ]
    assert not approval.is_sent


def test_confirmed_after_connecting(
    backend: ScriptedCognito, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ends the approval while a connection is made for the write keeps it from being sent."""
    backend.on(READ, reply({}))
    approval = Approval(backend, Forbidden())

    async def act(pool: UserPool) -> None:
        loop = asyncio.get_running_loop()
        is_asked, goes_on, look_up = asyncio.Event(), asyncio.Event(), loop.getaddrinfo

        async def slow(*name: Any, **options: Any) -> Any:
            is_asked.set()
            await goes_on.wait()
            return await look_up(*name, **options)

        monkeypatch.setattr(loop, "getaddrinfo", slow)
        writing = asyncio.create_task(ask_with(pool, approval, WRITE))
        await until(is_asked.is_set)
        assert approval.told == []
        goes_on.set()
        with pytest.raises(Forbidden):
            await writing
        await ask(pool, READ)  # over the same connection
        assert len(pool._transport._connections) == 1  # type: ignore[union-attr]  # noqa: SLF001

    with_pool(act)
    assert backend.operations() == [READ]
    assert not approval.is_sent


def test_confirmed_after_a_throttle(backend: ScriptedCognito) -> None:
    """It is before each attempt. What was throttled was not carried out."""
    backend.on(WRITE, [failure("TooManyRequestsException"), reply({})])
    approval = Approval(backend, True, Forbidden())

    async def act(pool: UserPool) -> None:
        with pytest.raises(Forbidden):
            await ask_with(pool, approval, WRITE)

    with_pool(act)
    assert approval.told == [("confirm", 0), ("confirm", 1)]
    assert not approval.is_sent


def test_renewed_in_doubt(backend: ScriptedCognito) -> None:
    """It is renewed before each attempt after one that may have been carried out."""
    backend.on(READ, reply({}))
    backend.on("AdminDeleteUser", [failure("InternalErrorException", 500), reply({})])
    approval = Approval(backend)
    assert with_pool(lambda pool: ask_with(pool, approval, "AdminDeleteUser")) == {}
    assert approval.told == [("confirm", 0), ("renew", 1), ("confirm", 2)]


@pytest.mark.parametrize("way", ["confirm", "renew"])
def test_refused_in_doubt(backend: ScriptedCognito, way: str) -> None:
    """Nothing more is sent, and it remains in doubt."""
    backend.on(READ, reply({}))
    backend.on("AdminDeleteUser", failure("InternalErrorException", 500))
    refused = Forbidden()
    approval = (
        Approval(backend, True, refused) if way == "confirm" else Approval(backend, error=refused)
    )

    async def act(pool: UserPool) -> None:
        with pytest.raises(UpstreamFailed) as caught:
            await ask_with(pool, approval, "AdminDeleteUser")
        assert caught.value.__cause__ is refused

    with_pool(act)
    assert backend.operations().count("AdminDeleteUser") == 1
    assert approval.is_sent


def test_gone_when_it_is_renewed(backend: ScriptedCognito) -> None:
    """Who is gone after an attempt to delete them was deleted by it."""
    backend.on("AdminDeleteUser", failure("InternalErrorException", 500))
    approval = Approval(backend, error=UserNotFound())
    assert with_pool(lambda pool: ask_with(pool, approval, "AdminDeleteUser")) == {}
    assert backend.operations() == ["AdminDeleteUser"]


def test_approval_without_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is listening, nothing was carried out."""
    with ScriptedCognito() as stopped:
        monkeypatch.setenv("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER", stopped.url)
    approval = Approval(stopped)

    async def act(pool: UserPool) -> None:
        with pytest.raises(UpstreamFailed):
            await ask_with(pool, approval, WRITE)

    with_pool(act)
    assert approval.told == []
    assert not approval.is_sent


def test_same_reads_share_a_call(backend: ScriptedCognito) -> None:
    """A read that is in flight is not sent again; another one is."""
    gate = threading.Event()
    backend.on(READ, held(gate, reply({"Username": "ann"})))

    async def act(pool: UserPool) -> None:
        calls = [asyncio.create_task(ask(pool, READ)) for _ in range(5)]
        other = asyncio.create_task(ask(pool, READ, {"Username": "bob"}))
        await until(lambda: len(backend.requests) == 2)
        gate.set()
        assert await asyncio.gather(*calls, other) == [{"Username": "ann"}] * 6
        await ask(pool, READ)

    with_pool(act)
    assert backend.operations() == [READ] * 3


@pytest.mark.parametrize("ending", [reply({}), failure("UserNotFoundException")])
def test_read_after_a_write(backend: ScriptedCognito, ending: Reply) -> None:
    """A read that begins after a write gets nothing that was read before it, however it ended."""
    gate = threading.Event()
    backend.on(READ, [held(gate, reply({"Username": "old"})), reply({"Username": "new"})])
    backend.on(WRITE, ending)

    async def act(pool: UserPool) -> None:
        before = asyncio.create_task(ask(pool, READ))
        await until(lambda: backend.operations() == [READ])
        with suppress(UserNotFound):
            await ask(pool, WRITE)
        assert await ask(pool, READ) == {"Username": "new"}
        gate.set()
        assert await before == {"Username": "old"}

    with_pool(act)
    assert backend.operations() == [READ, WRITE, READ]


def test_read_during_a_write(backend: ScriptedCognito) -> None:
    """A reply that was read during a write is not for readers after it."""
    write_gate, read_gate = threading.Event(), threading.Event()
    backend.on(READ, [held(read_gate, reply({"Username": "old"})), reply({"Username": "new"})])
    backend.on(WRITE, held(write_gate, reply({})))

    async def act(pool: UserPool) -> None:
        write = asyncio.create_task(ask(pool, WRITE))
        await until(lambda: backend.operations() == [WRITE])
        during = asyncio.create_task(ask(pool, READ))
        await until(lambda: backend.operations() == [WRITE, READ])
        write_gate.set()
        await write
        assert await ask(pool, READ) == {"Username": "new"}
        read_gate.set()
        assert await during == {"Username": "old"}

    with_pool(act)


def test_slow_calls_of_one_caller(backend: ScriptedCognito) -> None:
    """A caller whose calls hang has no more connections than are free, so another's go out."""
    gate = threading.Event()
    backend.on(WRITE, held(gate, reply({})))
    backend.on(READ, reply({"Username": "ann"}))

    async def act(pool: UserPool) -> None:
        users = [{"Username": f"user{number}"} for number in range(50)]
        slow = [asyncio.create_task(ask(pool, WRITE, user, caller="eve")) for user in users]
        await until(lambda: len(backend.requests) == 4)
        for user in users:
            await ask(pool, READ, user, caller="bob")
        assert backend.operations().count(WRITE) == 4
        gate.set()
        assert await asyncio.gather(*slow) == [{}] * 50

    with_pool(act, connections=8, quotas=Quotas(dict.fromkeys(Quota, 1e6)))


def test_spellings_of_one_user_share_a_quota(backend: ScriptedCognito) -> None:
    """A user who was found by an e-mail address counts as the same by the `Username`."""
    backend.on(READ, reply({"Username": "ann"}))
    backend.on(WRITE, reply({}))
    quotas = Quotas({Quota.PER_USER: 0.001})

    async def act(pool: UserPool) -> None:
        await ask(pool, READ, {"Username": "ann@example.com"})
        await ask(pool, WRITE, {"Username": "ann"})
        with pytest.raises(Throttled):
            await ask(pool, WRITE, {"Username": "ann@example.com"})
        await ask(pool, WRITE, {"Username": "bob@example.com"})

    with_pool(act, quotas=quotas)


def test_joined_read_in_the_turn_of_who_comes_first(backend: ScriptedCognito) -> None:
    """A read that one caller queued behind many is made when it is another's turn, and once."""
    backend.on("ListUsers", lambda parameters: reply({"Users": [], "Limit": parameters["Limit"]}))

    async def act(pool: UserPool) -> None:
        pages = [{"Limit": number} for number in range(1, 60)]
        many = [asyncio.create_task(ask(pool, "ListUsers", page, caller="ann")) for page in pages]
        await until(lambda: len(backend.requests) >= 20)
        assert await ask(pool, "ListUsers", pages[-1], caller="bob") == {"Users": [], "Limit": 59}
        await asyncio.gather(*many)

    with_pool(act, quotas=Quotas({Quota.USER_LIST: 20}))
    limits = [request.parameters["Limit"] for request in backend.requests]
    assert limits.index(59) < 50
    assert Counter(limits)[59] == 1


def test_waiting_for_quota_holds_no_connection(backend: ScriptedCognito) -> None:
    """Calls that wait for their quota leave the connections to those that need not wait."""
    backend.on(WRITE, reply({}))
    backend.on(READ, reply({"Username": "ann"}))

    async def act(pool: UserPool) -> None:
        await ask(pool, WRITE)
        waiting = [asyncio.create_task(ask(pool, WRITE, within=1e6)) for _ in range(5)]
        assert await ask(pool, READ) == {"Username": "ann"}
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    with_pool(act, connections=1, quotas=Quotas({Quota.USER_UPDATE: 0.001}))
    assert backend.operations() == [WRITE, READ]


# Endpoints, proxies, certificates


class _Sent(Exception):
    """boto3 was about to send a request."""


def endpoint_of_boto3(region: str) -> str:
    """Return where boto3 sends a request to, under the settings in force."""
    client = boto3.session.Session().client("cognito-idp", region_name=region)
    urls: list[str] = []

    def stop(request: Any, **_: Any) -> None:
        urls.append(request.url)
        raise _Sent

    client.meta.events.register("before-send.cognito-identity-provider", stop)
    with pytest.raises(_Sent):
        client.list_users(UserPoolId=f"{region}_AbCdEf123")
    return urls[0]


PLAIN = "https://cognito-idp.eu-west-1.amazonaws.com/"
SERVICE_URL = "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER"


@pytest.mark.parametrize(
    ("region", "environment", "expected"),
    [
        (REGION, {}, PLAIN),
        (REGION, {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}, PLAIN),
        ("cn-north-1", {}, "https://cognito-idp.cn-north-1.amazonaws.com.cn/"),
        (REGION, {"AWS_ENDPOINT_URL": "http://localhost:9229"}, "http://localhost:9229/"),
        (REGION, {"AWS_ENDPOINT_URL": "http://localhost:9/base"}, "http://localhost:9/base"),
        (
            REGION,
            {"AWS_ENDPOINT_URL": "http://localhost:1", SERVICE_URL: "http://localhost:2"},
            "http://localhost:2/",
        ),
        (
            REGION,
            {"AWS_ENDPOINT_URL": "http://localhost:1", "AWS_USE_FIPS_ENDPOINT": "true"},
            "http://localhost:1/",
        ),
        (
            REGION,
            {
                "AWS_ENDPOINT_URL": "http://localhost:1",
                "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
            },
            PLAIN,
        ),
        (
            "us-gov-west-1",
            {"AWS_USE_FIPS_ENDPOINT": "true"},
            "https://cognito-idp-fips.us-gov-west-1.amazonaws.com/",
        ),
        # Here botocore's client says it has one endpoint, and sends to another.
        (
            "us-gov-west-1",
            {"AWS_USE_DUALSTACK_ENDPOINT": "true"},
            "https://cognito-idp.us-gov-west-1.api.aws/",
        ),
        (
            "ap-southeast-7",
            {"AWS_USE_DUALSTACK_ENDPOINT": "true"},
            "https://cognito-idp.ap-southeast-7.amazonaws.com/",
        ),
        (
            "us-gov-west-1",
            {"AWS_USE_DUALSTACK_ENDPOINT": "true", "AWS_USE_FIPS_ENDPOINT": "true"},
            "https://cognito-idp-fips.us-gov-west-1.api.aws/",
        ),
    ],
)
def test_endpoint(
    monkeypatch: pytest.MonkeyPatch, region: str, environment: dict[str, str], expected: str
) -> None:
    """Requests go where boto3 would send them."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert UserPool(f"{region}_AbCdEf123", region).endpoint_url == expected
    assert endpoint_of_boto3(region) == expected


def test_endpoint_from_the_config_file(aws: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The endpoint may be set in AWS's config file, under the profile in use."""
    aws.write_text(
        "[profile local]\nservices = here\n"
        "[services here]\ncognito_identity_provider =\n  endpoint_url = http://localhost:9229\n"
    )
    monkeypatch.setenv("AWS_PROFILE", "local")
    assert make_pool().endpoint_url == endpoint_of_boto3(REGION) == "http://localhost:9229/"


def test_nothing_is_asked_at_the_start(
    backend: ScriptedCognito, aws: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Making and opening a pool neither loads credentials nor makes a call."""
    script_credentials(aws, monkeypatch, "")

    async def act(_: UserPool) -> None:
        """Do nothing."""

    with_pool(act)
    assert not aws.with_name("runs").exists()
    assert backend.requests == []


def test_proxy(backend: ScriptedCognito, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests go through the proxy that the environment names."""
    monkeypatch.setenv(SERVICE_URL, "http://cognito.invalid")
    monkeypatch.setenv("HTTP_PROXY", backend.url)
    backend.on(WRITE, reply({}))
    assert call(WRITE) == {}
    assert [request.url for request in backend.requests] == ["http://cognito.invalid/"]


def test_no_proxy(backend: ScriptedCognito, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts that the environment excepts are reached without the proxy."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    backend.on(WRITE, reply({}))
    assert call(WRITE) == {}


def test_netrc(backend: ScriptedCognito, aws: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password for the host in ~/.netrc does not take the place of the signature."""
    netrc = aws.with_name("netrc")
    netrc.write_text("default login someone password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    backend.on(WRITE, reply({}))
    call(WRITE)
    assert backend.requests[0].headers["Authorization"].startswith("AWS4-HMAC-SHA256 ")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that is not trusted, in a file with its key."""
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    path.write_bytes(make_certificate(x509.IPAddress(ipaddress.ip_address("127.0.0.1"))))
    return path


@pytest.fixture
def secure_backend(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedCognito]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with ScriptedCognito(tls=context) as backend:
        monkeypatch.setenv(SERVICE_URL, backend.url)
        yield backend


def test_ca_bundle(
    secure_backend: ScriptedCognito, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificates in AWS_CA_BUNDLE are trusted."""
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    secure_backend.on(WRITE, reply({}))
    assert call(WRITE) == {}


def test_ca_bundle_from_the_config_file(
    secure_backend: ScriptedCognito, certificate: Path, aws: Path
) -> None:
    """The certificates that AWS's config file names are trusted."""
    aws.write_text(f"[default]\nca_bundle = {certificate}\n")
    secure_backend.on(WRITE, reply({}))
    assert call(WRITE) == {}


def test_untrusted_certificate(secure_backend: ScriptedCognito) -> None:
    """Nothing is sent to a host whose certificate is not trusted."""
    with capture_logs() as logs, pytest.raises(UpstreamFailed):
        call(WRITE)
    assert secure_backend.requests == []
    assert [entry["reason"] for entry in logs] == ["not connected: SSLCertVerificationError"]


def test_missing_ca_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle that is not there is said at the start."""
    monkeypatch.setenv("AWS_CA_BUNDLE", "/nowhere/bundle.pem")
    with pytest.raises(InvalidAwsSettings, match="No such file"):
        make_pool()


# Against an emulator


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def test_emulator(moto: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Moto takes our calls, and boto3 sees what they did."""
    monkeypatch.setenv(SERVICE_URL, moto)
    client = boto3.session.Session().client("cognito-idp", region_name=REGION)
    pool_id = client.create_user_pool(PoolName="pool")["UserPool"]["Id"]
    client.admin_create_user(UserPoolId=pool_id, Username="ann")

    async def act() -> None:
        async with UserPool(pool_id, REGION, backoff=0) as pool:
            assert (await ask(pool, READ))["Username"] == "ann"
            assert await ask(pool, WRITE) == {}
            with pytest.raises(UserNotFound):
                await ask(pool, READ, {"Username": "bob"})
            with pytest.raises(GroupNotFound):
                await ask(pool, "GetGroup", {"GroupName": "none"})
            with pytest.raises(BadUserInput):
                await ask(pool, "ListUsers", {"PaginationToken": "none"})

    asyncio.run(act())
    assert not client.admin_get_user(UserPoolId=pool_id, Username="ann")["Enabled"]


def test_operation_that_an_emulator_lacks(moto: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What moto has not learned (an HTML page with status 500) does not look like success."""
    monkeypatch.setenv(SERVICE_URL, moto)
    with pytest.raises(UpstreamFailed):
        call("AdminListDevices")


# The scripted endpoint itself


@pytest.mark.parametrize("oversized", [False, True])
def test_directory_of_the_scripted_endpoint(backend: ScriptedCognito, oversized: bool) -> None:
    """Walked by its tokens alone, the directory gives each user once, in uneven pages."""
    directory = UserDirectory(250, random.Random(7), oversized=oversized)
    directory.install(backend)

    async def act(pool: UserPool) -> list[list[str]]:
        pages = []
        asked: dict[str, object] = {"GroupName": "Support", "Limit": 7}
        while True:
            page = await ask(pool, "ListUsersInGroup", asked)
            pages.append([user["Username"] for user in page["Users"]])
            if "NextToken" not in page:
                break
            asked["NextToken"] = page["NextToken"]
        with pytest.raises(BadUserInput):
            await ask(pool, "ListUsersInGroup", asked | {"Limit": 8})
        found = await ask(pool, "ListUsers", {"Filter": 'email ^= "user0249@"'})
        assert len(found["Users"]) <= 1
        with pytest.raises(UserNotFound):
            await ask(pool, READ, {"Username": "nobody"})
        return pages

    pages = with_pool(act)
    assert [name for page in pages for name in page] == directory.usernames
    sizes = {len(page) for page in pages}
    assert {0, 7} < sizes
    assert (max(sizes) > 7) == oversized


def test_scripted_endpoint_refuses_what_has_no_script(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that the test did not foresee fails the test."""
    backend = ScriptedCognito()
    monkeypatch.setenv(SERVICE_URL, backend.url)

    def act() -> None:
        with backend, pytest.raises(UpstreamFailed):
            call(WRITE)

    with pytest.raises(AssertionError, match="no script"):
        act()
