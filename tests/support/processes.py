"""Programs that a test starts, and ends whatever happens."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from graphql_admin.dev.cognito import isolated_environment

ROOT = Path(__file__).parent.parent.parent

PATIENCE = 60
"""Seconds after which a command that hangs is ended, and its test fails."""


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with none of its settings but `variables`."""
    with isolated_environment():
        return dict(os.environ) | dict(variables)


@contextmanager
def started(
    *arguments: str, wrapper: Sequence[str] = (), patience: float = PATIENCE, **variables: str
) -> Iterator[subprocess.Popen[str]]:
    """Start a command, and end it with the context, or after `patience` seconds.

    A wrapper is a command that takes the command as its arguments.
    """
    with subprocess.Popen(
        [*wrapper, sys.executable, "-m", "graphql_admin", *arguments],
        env=environment(variables),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        ending = threading.Timer(patience, process.kill)
        ending.start()
        try:
            yield process
        finally:
            ending.cancel()
            process.kill()


def read_until(pattern: str, stream: IO[str] | None) -> str:
    """Return what the stream says up to and with the first line that matches."""
    assert stream is not None
    text = ""
    for line in stream:
        text += line
        if re.match(pattern, line):
            return text
    raise AssertionError(f"ended without {pattern}: {text}")
