"""Measurements of a server under load: its throughput, latency and cost."""

import http.client
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from bench.load import Exchange, Load, run_load
from bench.operations import GET, Operation, Request, Seat, right_answer
from bench.people import PAGE_SIZE, PAGES
from bench.processes import Pinned, busy_seconds
from bench.servers import ROOT, Server, environment, free_port

CONNECTIONS = PAGES
"""Concurrent callers, each with its own page of the pool."""

_START_LIMIT = 60.0
"""Seconds within which a server must be ready."""


class BenchFailed(Exception):
    """A server did not start or sent a wrong response, so it cannot be measured."""


@dataclass(frozen=True)
class Cores:
    """The two cores of a run: one for the server measured, one for the load and the stub."""

    server: int
    load: int

    @classmethod
    def of_this_machine(cls) -> "Cores":
        """The first two cores that the bench may use.

        Raises:
            BenchFailed: There is only one.
        """
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2:
            raise BenchFailed("the bench needs two cores: for the server, and for load and stub")
        return cls(*cores[:2])


@dataclass(frozen=True)
class Cell:
    """One operation on one server in one round.

    Args:
        rate: Operations per second.
        p50: Seconds.
        p99: Seconds.
        cpu: Seconds of the server's CPU per operation.
        calls: Calls to Cognito per operation.
        call_rate: Calls to Cognito per second.
        load_core_use: Share of the other core's time that load and stub used.
        foreign_use: Share of the server's core's time that went to anything but the server.
        faults: The faults, with the number of each.
    """

    server: str
    operation: str
    round: int
    rate: float
    p50: float
    p99: float
    cpu: float
    calls: float
    call_rate: float
    load_core_use: float
    foreign_use: float
    faults: Mapping[str, int]

    @property
    def core_use(self) -> float:
        """Share of its core's time that the server used."""
        return self.cpu * self.rate


@dataclass(frozen=True)
class Footprint:
    """Start-up time and memory of a server.

    Args:
        ready: Seconds from a start to the first right response, for each start.
        idle_bytes: Resident memory then.
        loaded_bytes: Resident memory after all rounds.
    """

    server: str
    ready: list[float]
    idle_bytes: int
    loaded_bytes: int


@dataclass(frozen=True)
class StubSpeed:
    """The capacity of the stub without a server.

    Args:
        call: The call it was loaded with.
        rate: Calls per second, the load on the other core.
        cpu: Seconds of its CPU per call, so that 1 / cpu is its limit.
    """

    call: str
    rate: float
    cpu: float


class Stub:
    """The stub of Cognito, in its own process."""

    def __init__(self, core: int, log: Path) -> None:
        command = [sys.executable, "-m", "bench.stub"]
        self.process = Pinned(command, core=core, log=log, cwd=ROOT, pipe_output=True)
        self.url = self.process.read_line()
        if not self.url:
            raise BenchFailed(f"the stub did not start: {log.read_text()}")
        self.port = int(self.url.rpartition(":")[2])
        self.tokens: list[str] = self._ask("GET", "/tokens")

    def set_delay(self, seconds: float) -> None:
        """Set the delay of every reply."""
        self.tell("/delay", seconds)

    def tell(self, path: str, value: object) -> None:
        """Control the stub; `bench.stub` lists how."""
        self._ask("PUT", path, json.dumps(value).encode())

    def make_token(self, username: str, groups: Sequence[str]) -> str:
        """An access token of a member of these groups."""
        asked = json.dumps([{"username": username, "groups": groups}]).encode()
        (token,) = self._ask("POST", "/tokens", asked)
        return str(token)

    def count_calls(self) -> int:
        """Calls answered so far."""
        return sum(self._ask("GET", "/counts")["calls"].values())

    def close(self) -> None:
        """End the stub."""
        self.process.stop()

    def _ask(self, method: str, path: str, body: bytes = b"") -> Any:
        return json.loads(_send(self.port, Request(method, path, {}, body)))


class Subject:
    """A running server to measure."""

    def __init__(self, server: Server, stub: Stub, cores: Cores, log: Path) -> None:
        self.server = server
        self._stub = stub
        self._log = log
        self._core = cores.server
        self.port = free_port()
        self._exchanges: dict[Operation, list[list[Exchange]]] = {}
        started = time.perf_counter()
        self._process = Pinned(
            server.command,
            core=cores.server,
            log=log,
            cwd=server.root,
            env={**environment(stub.url, self.port), **server.variables},
        )
        try:
            self._wait_until_ready(started + _START_LIMIT)
            self.ready = time.perf_counter() - started
            self._idle_bytes = self._process.resident_bytes
            self._seats = list(self._take_seats())
        except BaseException:
            self.close()
            raise

    @property
    def resident_bytes(self) -> int:
        """Memory that the server holds in RAM now."""
        return self._process.resident_bytes

    @property
    def peak_bytes(self) -> int:
        """Peak memory since its start, or since `forget_peak`.

        Raises:
            BenchFailed: The server has ended.
        """
        if self._process.has_ended:
            raise BenchFailed(f"{self.server.name} has ended; see {self._log}")
        return self._process.peak_bytes

    def forget_peak(self) -> None:
        """Reset the peak."""
        self._process.forget_peak()

    def footprint(self, ready: list[float]) -> Footprint:
        """The footprint of the server now.

        Args:
            ready: Seconds that its starts took.
        """
        return Footprint(self.server.name, ready, self._idle_bytes, self._process.resident_bytes)

    def check(self, operation: Operation) -> None:
        """Check that the server answers correctly from every seat, and keep its replies.

        Raises:
            BenchFailed: It does not.
        """
        self._exchanges[operation] = [self._rehearse(operation, seat) for seat in self._seats]

    def warm_up(self, operation: Operation, seconds: float) -> None:
        """Load the server without measuring."""
        self._stub.set_delay(operation.delay)
        self._run_load(operation, seconds)

    def measure(self, operation: Operation, round_: int, seconds: float) -> Cell:
        """Load the server and measure."""
        self._stub.set_delay(operation.delay)
        calls = self._stub.count_calls()
        before = self._clocks()
        load = self._run_load(operation, seconds)
        elapsed, cpu, load_cpu, core = (
            after - start for after, start in zip(self._clocks(), before, strict=True)
        )
        calls = self._stub.count_calls() - calls
        done = len(load.latencies)
        if not done:
            raise BenchFailed(f"{self.server.name} answered nothing: {load.faults}")
        return Cell(
            server=self.server.name,
            operation=operation.name,
            round=round_,
            rate=done / load.seconds,
            p50=load.percentile(0.50),
            p99=load.percentile(0.99),
            cpu=cpu / done,
            calls=calls / done,
            call_rate=calls / load.seconds,
            load_core_use=load_cpu / elapsed,
            foreign_use=max(0.0, core - cpu) / elapsed,
            faults=load.faults,
        )

    def measure_right(self, operation: Operation, round_: int, seconds: float) -> Cell:
        """Load the server and measure, without any fault.

        Raises:
            BenchFailed: There was a fault.
        """
        cell = self.measure(operation, round_, seconds)
        if cell.faults:
            raise BenchFailed(f"{self.server.name}, {operation.name}: {dict(cell.faults)}")
        return cell

    def close(self) -> None:
        """End the server."""
        self._process.stop()

    def _clocks(self) -> tuple[float, float, float, float]:
        """Time passed; time used by the server, by load and stub, by all on the server's core."""
        return (
            time.perf_counter(),
            self._process.cpu_seconds,
            time.process_time() + self._stub.process.cpu_seconds,
            busy_seconds(self._core),
        )

    def _run_load(self, operation: Operation, seconds: float) -> Load:
        try:
            return uvloop.run(run_load(self.port, self._exchanges[operation], seconds))
        except OSError as error:  # a refused connection or a time-out
            raise BenchFailed(
                f"{self.server.name}, {operation.name}: {error!r}; see {self._log}"
            ) from error

    def _wait_until_ready(self, limit: float) -> None:
        seat = Seat(0, self._stub.tokens[0], None)
        while True:
            try:
                self._rehearse(GET, seat)
            except (OSError, http.client.HTTPException):
                if self._process.has_ended or time.perf_counter() > limit:
                    message = f"{self.server.name} did not start: {self._log.read_text()}"
                    raise BenchFailed(message) from None
                time.sleep(0.005)
            else:
                return

    def _take_seats(self) -> Iterator[Seat]:
        dialect = self.server.dialect
        cursor = None
        for number, token in enumerate(self._stub.tokens):
            seat = Seat(number, token, cursor)
            yield seat
            if number + 1 < len(self._stub.tokens):
                reply = _send(self.port, dialect.walk(seat))
                cursor = dialect.next_cursor(json.loads(reply))

    def _rehearse(self, operation: Operation, seat: Seat) -> list[Exchange]:
        dialect = self.server.dialect
        requests = dialect.requests(operation, seat)
        replies = [_send(self.port, request) for request in requests]
        try:
            answer = dialect.read(operation, [json.loads(reply) for reply in replies])
        except (KeyError, TypeError, ValueError) as error:
            problem = f"{error!r} in {replies[0][:500]!r}"
            raise BenchFailed(f"{self.server.name}, {operation.name}: {problem}") from error
        if answer != right_answer(operation, seat):
            raise BenchFailed(
                f"{self.server.name}, {operation.name}: a wrong answer, {replies[0][:500]!r}"
            )
        return [
            Exchange(request.to_bytes(), reply)
            for request, reply in zip(requests, replies, strict=True)
        ]


def measure_stub(stub: Stub, cores: Cores, seconds: float) -> list[StubSpeed]:
    """Load the stub itself, from the servers' core, with the two most important calls."""
    stub.set_delay(0)
    username = Seat(0, "", None).person.username
    os.sched_setaffinity(0, {cores.server})
    try:
        return [
            _measure_call(stub, "ListUsers", {"Limit": PAGE_SIZE}, seconds),
            _measure_call(stub, "AdminGetUser", {"Username": username}, seconds),
        ]
    finally:
        os.sched_setaffinity(0, {cores.load})


def _measure_call(
    stub: Stub, operation: str, parameters: Mapping[str, object], seconds: float
) -> StubSpeed:
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": f"AWSCognitoIdentityProviderService.{operation}",
        "X-Amz-Date": "20250101T000000Z",
        "Authorization": "AWS4-HMAC-SHA256 " + "0" * 200,  # the stub checks no signature
    }
    request = Request("POST", "/", headers, json.dumps(parameters).encode())
    exchange = Exchange(request.to_bytes(), _send(stub.port, request))
    cpu = stub.process.cpu_seconds
    load = uvloop.run(run_load(stub.port, [[exchange]] * CONNECTIONS, seconds))
    cpu = stub.process.cpu_seconds - cpu
    if load.faults:
        raise BenchFailed(f"the stub failed: {load.faults}")
    return StubSpeed(operation, len(load.latencies) / load.seconds, cpu / len(load.latencies))


def _send(port: int, request: Request) -> bytes:
    """Send a request on a new connection and return the response's body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(
            request.method, request.path, request.body or None, dict(request.headers)
        )
        reply = connection.getresponse()
        body = reply.read()
    finally:
        connection.close()
    if reply.status != 200:
        raise BenchFailed(f"{request.method} {request.path}: {reply.status} {body[:500]!r}")
    return body
