"""This server as its users start it: a process of its own."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from graphql_admin.dev.cognito import isolated_environment
from tests.support.programs import Program
from tests.support.tokens import CLIENT_ID, POOL_ID

ROOT = Path(__file__).parent.parent.parent

PATIENCE = 60
"""Seconds after which a server that hangs is killed, and its test fails."""


@dataclass(frozen=True)
class Server:
    """A running server."""

    process: subprocess.Popen[str]
    url: str
    metrics_url: str

    def finish(self) -> tuple[int, str, str]:
        """Wait for the server's end; return its exit code, audit events and log."""
        events, log = self.process.communicate(timeout=PATIENCE)
        print(log)  # noqa: T201  # for whoever looks for leaks in what was captured
        return self.process.returncode, events, log


@contextmanager
def served(cognito_url: str, jwks_url: str, **settings: str) -> Iterator[Server]:
    """Start the server in front of a Cognito, and kill it at the end at the latest."""
    with isolated_environment():
        environment = dict(os.environ)
    with (
        subprocess.Popen(
            [sys.executable, "-m", "graphql_admin", "serve"],
            env={**environment, **_variables(cognito_url, jwks_url, settings)},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        ending = threading.Timer(PATIENCE, process.kill)
        ending.start()
        try:
            assert process.stderr is not None
            metrics_port = process.stderr.readline().split()[-1]
            url = process.stderr.readline().split()[-1]
            yield Server(process, url, f"http://127.0.0.1:{metrics_port}/metrics")
        finally:
            ending.cancel()
            process.kill()


@dataclass(frozen=True)
class Besieged:
    """A running server whose log grows as long as it likes, and whose memory is looked at."""

    program: Program
    url: str

    def memory(self) -> float:
        """Return the most resident memory that it ever had, in MiB."""
        status = Path(f"/proc/{self.program.pid}/status").read_text(encoding="ascii")
        peak = re.search(r"VmHWM:\s*(\d+) kB", status)
        assert peak, status
        return int(peak[1]) / 1024


@contextmanager
def besieged(
    cognito_url: str, jwks_url: str, *, descriptors: int | None = None, **settings: str
) -> Iterator[Besieged]:
    """Start the server in front of a Cognito, with so many file descriptors at most."""
    limited = ("sh", "-c", f'ulimit -n {descriptors} && exec "$@"', "sh") if descriptors else ()
    with Program(
        *limited,
        sys.executable,
        "-m",
        "graphql_admin",
        "serve",
        directory=ROOT,
        environment=_variables(cognito_url, jwks_url, settings),
    ) as program:
        url = program.wait_for(r"Listening on (\S+)")[1]
        try:
            yield Besieged(program, url)
        finally:
            print(program.said())  # noqa: T201  # for whoever looks for leaks in what was captured


def _variables(cognito_url: str, jwks_url: str, settings: Mapping[str, str]) -> dict[str, str]:
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
    return {
        **{f"GRAPHQL_ADMIN_{name}": value for name, value in own.items()},
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER": cognito_url,
    }
