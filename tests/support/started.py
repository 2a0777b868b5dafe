"""What tests start: servers, the command line of this one, and other programs."""

import asyncio
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from unittest.mock import patch
from urllib.parse import urlsplit

import uvicorn
from click.testing import CliRunner
from starlette.types import ASGIApp

from graphql_admin.cli import main
from graphql_admin.cognito.categories import Quota
from graphql_admin.dev.cognito import isolated_environment
from graphql_admin.serving.connections import Bounds
from graphql_admin.serving.protocol import Protocol
from tests.support.patience import PATIENCE
from tests.support.tokens import CLIENT_ID, POOL_ID

ROOT = Path(__file__).parent.parent.parent

DEFAULTS = Bounds()

SETTINGS = {
    "GRAPHQL_ADMIN_USER_POOL_ID": "eu-west-1_Example00",
    "GRAPHQL_ADMIN_CLIENT_IDS": "example",
    "GRAPHQL_ADMIN_ADMIN_GROUPS": "Admins",
    "AWS_ACCESS_KEY_ID": "example",
    "AWS_SECRET_ACCESS_KEY": "example",
    "AWS_REGION": "eu-west-1",
    "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER": "http://127.0.0.1:9",
}
"""Variables with which the server starts, though there is no Cognito where it looks for one."""

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that the command line handles."""

NOT_IN_MOTO = "getUserAuthFactors,listUserSessions,listUserDevices,listUserAuthEvents"
"""Actions that read what moto does not have."""

NO_QUOTAS = ",".join(f"{quota}=1e6" for quota in Quota)
"""Quotas, as the setting has them, that no test reaches."""


def until(holds: Callable[[], Any]) -> Any:
    """Return what `holds` returns, once that is true.

    Raises:
        AssertionError: It was not within `PATIENCE`.
    """
    deadline = time.monotonic() + PATIENCE
    while not (result := holds()):
        assert time.monotonic() < deadline, "this never came to hold"
        time.sleep(0.02)
    return result


@contextmanager
def listening(
    app: ASGIApp, bounds: Bounds = DEFAULTS, http: type[asyncio.Protocol] | None = None
) -> Iterator[str]:
    """Serve `app` in a thread for as long as the context lasts, and yield its URL.

    Args:
        app: What is served.
        bounds: What clients may take.
        http: What speaks HTTP in place of this server's own protocol.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            app,
            http=http or partial(Protocol, bounds=bounds),
            ws="none",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            until(lambda: server.started or not thread.is_alive())
            assert server.started, "the server did not start"
            yield "http://{}:{}".format(*listener.getsockname())
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
            assert not thread.is_alive(), "the server does not end"


class Program:
    """A program that runs while the `with` block lasts.

    What it writes goes to files, since a pipe that is not read would stop it.

    Args:
        command: The program and its arguments.
        directory: Where it runs.
        environment: Its variables, except `PATH`, which is that of the tests.
    """

    def __init__(
        self,
        *command: str | Path,
        directory: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  # closed when the block ends
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed when the block ends
        self._process = subprocess.Popen(
            command,
            cwd=directory,
            env={"PATH": os.environ["PATH"], **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._log,
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Return whether it has not ended."""
        return self._process.poll() is None

    def output(self) -> str:
        """Return what it has written to standard output."""
        return _written(self._output)

    def log(self) -> str:
        """Return what it has written to standard error."""
        return _written(self._log)

    def said(self) -> str:
        """Return all that it has written."""
        return self.output() + self.log()

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Return the first match in what the program says, once it has said it."""

        def match() -> re.Match[str] | None:
            alive = self.is_alive()
            found = re.search(pattern, self.said())
            assert found or alive, f"it ended, and said:\n{self.said()}"
            return found

        found: re.Match[str] = until(match)
        return found

    def send(self, sent: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(sent)

    def wait(self) -> int:
        """Wait for its end, and return its exit code; -N where signal N killed it."""
        return self._process.wait(PATIENCE)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()
            self._output.close()
            self._log.close()


def _written(file: Any) -> str:
    size = os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), size, 0).decode()


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with none of its settings but `variables`."""
    with isolated_environment():
        return dict(os.environ) | dict(variables)


def run(
    *arguments: str, code: str | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end, or Python `code` that is given the arguments."""
    program = ["-m", "graphql_admin"] if code is None else ["-c", code]
    return subprocess.run(
        [sys.executable, *program, *arguments],
        env=environment(variables),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def invoke(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as `run` does, but in this process, which spares a second's start.

    The log stays as the tests have it: a logger keeps its stream, and the command's is closed.
    """
    handlers = {number: signal.getsignal(number) for number in HANDLED}
    try:
        with isolated_environment(), patch("graphql_admin.telemetry.log.configure_logging"):
            os.environ.update(variables)
            result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return subprocess.CompletedProcess(
        arguments, result.exit_code, stdout=result.stdout, stderr=result.stderr
    )


@contextmanager
def started(*arguments: str, wrapper: Sequence[str] = (), **variables: str) -> Iterator[Program]:
    """Start the command line, and kill it with the end of the context.

    Args:
        arguments: Of the command line.
        wrapper: A command that takes the command as its arguments.
        variables: Of its environment.
    """
    command = [*wrapper, sys.executable, "-m", "graphql_admin", *arguments]
    with Program(*command, directory=ROOT, environment=environment(variables)) as program:
        try:
            yield program
        finally:
            program.kill()


@dataclass(frozen=True)
class Server:
    """This server as its users start it: a process of its own.

    Attributes:
        program: The process.
        url: Where it listens.
        metrics_url: Where its metrics are.
    """

    program: Program
    url: str
    metrics_url: str

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        assert parts.hostname
        assert parts.port
        return parts.hostname, parts.port

    def finish(self) -> tuple[int, str, str]:
        """Wait for the server's end; return its exit code, audit events and log."""
        code = self.program.wait()
        return code, self.program.output(), self.program.log()

    def memory(self) -> float:
        """Return the resident memory, in MiB."""
        pages = Path(f"/proc/{self.program.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * resource.getpagesize() / 2**20

    def peak_memory(self) -> float:
        """Return the most resident memory that it ever had, in MiB."""
        status = Path(f"/proc/{self.program.pid}/status").read_text(encoding="ascii")
        peak = re.search(r"VmHWM:\s*(\d+) kB", status)
        assert peak, status
        return int(peak[1]) / 1024

    def descriptors(self) -> int:
        """Return how many file descriptors it has."""
        return len(list(Path(f"/proc/{self.program.pid}/fd").iterdir()))


@contextmanager
def served(
    cognito_url: str, jwks_url: str, *, descriptors: int | None = None, **settings: str
) -> Iterator[Server]:
    """Start the server, and kill it with the end of the context.

    Args:
        cognito_url: Where its Cognito is.
        jwks_url: Where the keys of tokens are.
        descriptors: File descriptors that it may have at most; as many as the tests if None.
        settings: More settings, or others, without the prefix of their variables.
    """
    limited = ("sh", "-c", f'ulimit -n {descriptors} && exec "$0" "$@"') if descriptors else ()
    own = {
        "DEV": "1",
        "USER_POOL_ID": POOL_ID,
        "CLIENT_IDS": CLIENT_ID,
        "ADMIN_GROUPS": "Admins",
        "ALLOWED_HOSTS": "*",
        "JWKS_URL": jwks_url,
        "PORT": "0",
        "METRICS_PORT": "0",
        **settings,
    }
    variables = {
        **{f"GRAPHQL_ADMIN_{name}": value for name, value in own.items()},
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER": cognito_url,
    }
    with started("serve", wrapper=limited, **variables) as program:
        try:
            url = program.wait_for(r"Listening on (\S+)\n")[1]
            port = program.wait_for(r"Metrics are on port (\d+)\n")[1]
            yield Server(program, url, f"http://127.0.0.1:{port}/metrics")
        finally:
            print(program.said())  # noqa: T201  # for the search for leaks in captured output


def free_port() -> str:
    """Return a TCP port of loopback that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])
