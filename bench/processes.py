"""Processes that the bench starts: on which core, what they cost, and their end."""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def busy_seconds(core: int) -> float:
    """Time that a core has not been idle since the machine started, by any process."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _iowait, *rest = map(int, ticks[:8])
            return (user + nice + system + sum(rest)) / _TICKS
    raise ValueError(f"there is no core {core}")


def _cpu_clock(pid: int) -> int:
    """The clock of a process's CPU time, as clock_getcpuclockid(3) numbers it on Linux.

    /proc/PID/stat has the same time, but counted in hundredths of a second.
    """
    return (~pid << 3) | 2


class Pinned:
    """A process, with its children, that runs on one core.

    Args:
        command: What to run.
        core: Number of the core.
        log: File for standard error, and for standard output where that is not piped.
        env: Variables besides the bench's own.
        cwd: Folder to run it in.
        pipe_output: Whether the bench wants to read standard output.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        core: int,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        pipe_output: bool = False,
    ) -> None:
        with log.open("wb") as sink:
            self._process = subprocess.Popen(
                ["taskset", "--cpu-list", str(core), *command],
                env=os.environ | (env or {}),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if pipe_output else sink,
                stderr=sink,
            )

    def read_line(self) -> str:
        """The next line of piped standard output; empty at its end, or where it is not piped."""
        output = self._process.stdout
        return "" if output is None else output.readline().decode().rstrip()

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended by itself."""
        return self._process.poll() is not None

    @property
    def cpu_seconds(self) -> float:
        """User and system time used so far, to the nanosecond."""
        return sum(time.clock_gettime(_cpu_clock(pid)) for pid in self._pids)

    @property
    def resident_bytes(self) -> int:
        """Memory held in RAM now."""
        return _PAGE_BYTES * sum(
            int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self._pids
        )

    @property
    def peak_bytes(self) -> int:
        """Memory that the process itself held in RAM at most; see `forget_peak`."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        kibibytes = status.partition("VmHWM:")[2].split()[0]
        return int(kibibytes) * 1024

    def forget_peak(self) -> None:
        """Let `peak_bytes` be the most from now on; proc_pid_clear_refs(5) has the 5."""
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")

    def stop(self) -> None:
        """End the process, politely first."""
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    @property
    def _pids(self) -> Iterator[int]:
        waiting = [self._process.pid]
        while waiting:
            pid = waiting.pop()
            yield pid
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                waiting += map(int, children.read_text().split())
