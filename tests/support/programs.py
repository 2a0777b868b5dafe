"""Programs that tests run beside themselves, and the ports that those listen on."""

import os
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

PATIENCE = 60
"""Seconds until a program that does not get ready, or does not end, is given up."""


class Program:
    """A program that runs while the `with` block lasts, in an environment of its own.

    Args:
        command: The program and its arguments.
        directory: Where it runs.
        environment: Its variables, but for `PATH`, which is everybody's.
    """

    def __init__(
        self,
        *command: str | Path,
        directory: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  # closed when the block ends
        self._process = subprocess.Popen(
            command,
            cwd=directory,
            env={"PATH": os.environ["PATH"], **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Return the first match in what the program says, once it has said it."""
        end = time.monotonic() + PATIENCE
        while (match := re.search(pattern, self.said())) is None:
            assert self.is_alive(), f"it ended, and said:\n{self.said()}"
            assert time.monotonic() < end, f"it is not ready, and said:\n{self.said()}"
            time.sleep(0.02)
        return match

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Return whether it has not ended."""
        return self._process.poll() is None

    def said(self) -> str:
        """Return all that the program has written."""
        size = os.fstat(self._output.fileno()).st_size
        return os.pread(self._output.fileno(), size, 0).decode()

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


def free_port() -> str:
    """Return a TCP port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])
