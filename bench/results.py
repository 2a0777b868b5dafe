"""What a run found: its figures, and the comparisons that follow from them."""

import os
import platform
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from statistics import median

import orjson

from bench.measure import Cell, Footprint, StubSpeed
from bench.operations import OPERATIONS, Operation
from bench.servers import PEERS, SERVERS, Server

_PYTHON_PACKAGES = (
    "aiohttp",
    "boto3",
    "graphql-core",
    "httptools",
    "starlette",
    "strawberry-graphql",
    "uvicorn",
)


@dataclass(frozen=True)
class Spread:
    """A figure over the rounds."""

    median: float
    min: float
    max: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> "Spread":
        return cls(median(figures), min(figures), max(figures))


@dataclass(frozen=True)
class Results:
    """All figures of a run.

    Args:
        setting: Where and how it was measured, for people.
    """

    setting: dict[str, str]
    stub: list[StubSpeed]
    footprints: list[Footprint]
    cells: list[Cell]

    @property
    def servers(self) -> list[Server]:
        """The servers measured."""
        names = {cell.server for cell in self.cells}
        return [server for server in SERVERS if server.name in names]

    @property
    def operations(self) -> list[Operation]:
        """The operations measured."""
        names = {cell.operation for cell in self.cells}
        return [operation for operation in OPERATIONS if operation.name in names]

    @property
    def faulty(self) -> list[Cell]:
        """Cells in which something went wrong."""
        return [cell for cell in self.cells if cell.faults]

    def fastest_peer(self, operation: str) -> str | None:
        """The name of the peer that does most of an operation in a second."""
        peers = [server.name for server in self.servers if server.is_peer]
        return max(peers, key=lambda peer: self.spread(peer, operation, _rate).median, default=None)

    def spread(self, server: str, operation: str, figure: Callable[[Cell], float]) -> Spread:
        """A figure of one server and operation over the rounds."""
        return Spread.of([figure(cell) for cell in self._rounds[server, operation]])

    def ratio(
        self, server: str, other: str, operation: str, figure: Callable[[Cell], float]
    ) -> Spread | None:
        """A figure as a multiple of another server's in the same round; None if it was not there.

        Figures of one round were taken within seconds, so what slows the machine for a while
        slows both.
        """
        return self._ratio((server, operation), (other, operation), figure)

    def ratio_of_operations(
        self, server: str, operation: str, other: str, figure: Callable[[Cell], float]
    ) -> Spread | None:
        """A figure as a multiple of the same server's at another operation, as in `ratio`."""
        return self._ratio((server, operation), (server, other), figure)

    def to_json(self) -> bytes:
        """All figures, for programs. Seconds and bytes throughout."""
        value = {
            **asdict(self),
            "fastest_peer": {
                operation.name: self.fastest_peer(operation.name) for operation in self.operations
            },
        }
        return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def from_json(cls, text: bytes) -> "Results":
        """The figures that `to_json` wrote."""
        value = orjson.loads(text)
        return cls(
            setting=value["setting"],
            stub=[StubSpeed(**speed) for speed in value["stub"]],
            footprints=[Footprint(**footprint) for footprint in value["footprints"]],
            cells=[Cell(**cell) for cell in value["cells"]],
        )

    def _ratio(
        self, one: tuple[str, str], other: tuple[str, str], figure: Callable[[Cell], float]
    ) -> Spread | None:
        pairs = zip(self._rounds.get(one, ()), self._rounds.get(other, ()), strict=False)
        ratios = [figure(cell) / figure(another) for cell, another in pairs]
        return Spread.of(ratios) if ratios else None

    @cached_property
    def _rounds(self) -> dict[tuple[str, str], list[Cell]]:
        rounds: dict[tuple[str, str], list[Cell]] = {}
        for cell in self.cells:
            rounds.setdefault((cell.server, cell.operation), []).append(cell)
        return rounds


def _rate(cell: Cell) -> float:
    return cell.rate


def describe_setting(rounds: int, seconds: float, connections: int) -> dict[str, str]:
    """Say where and how a run was made."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "processor": _processor(),
        "system": f"{platform.system()} {_kernel_release()}, {os.cpu_count()} cores",
        "load": f"{connections} connections, {rounds} rounds of {seconds:g} s a cell",
        "Python": f"{platform.python_version()} ({platform.python_compiler()})",
        **{package: version(package) for package in _PYTHON_PACKAGES},
        "Node": _node_version(),
        **_node_packages(),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _kernel_release() -> str:
    """The release without what a distribution or a builder adds to it."""
    return platform.release().partition("-")[0]


def _node_version() -> str:
    try:
        return subprocess.run(
            ["node", "--version"], capture_output=True, text=True, check=True
        ).stdout.strip()
    except FileNotFoundError:
        return "none"


def _node_packages() -> dict[str, str]:
    package = orjson.loads((PEERS / "package.json").read_bytes())
    return dict(package["dependencies"])
