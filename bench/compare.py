"""Compares the CPU of requests between this code and another checkout, interleaved in one run.

    python -m bench.compare --old main
    python -m bench.compare --old ../another-checkout --only list,get --within 2

The old code runs twice, as two processes: the difference between those is the noise of the run. All
run on this environment's Python, with its packages.
"""

import argparse
import io
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from zipfile import ZipFile

import orjson

from bench.measure import BenchFailed
from bench.pairs import (
    HASH_SEED,
    OPERATION_NAMES,
    Costs,
    Ratio,
    arena,
    interleave,
    named_operations,
    ratios,
    say,
)
from bench.report import to_table
from bench.servers import ROOT, SERVE, Server

OLD, AGAIN, NEW = "old", "old-again", "new"

_PACKAGE = "graphql_admin"
_WARM_UP = 2.0
"""Seconds of load on each operation and process before the first round."""

_ERRORS = 2
"""A difference of fewer standard errors may be chance."""


@dataclass(frozen=True)
class Verdict:
    """The result for one operation.

    Args:
        operation: Its name.
        old: Seconds of CPU per request with the old code, the median.
        new: With the new code.
        ratio: New by old, in which old is the mean of its two processes.
        noise: One process of the old code by the other.
        allowed: By how much the ratio may exceed 1.
    """

    operation: str
    old: float
    new: float
    ratio: Ratio
    noise: Ratio
    allowed: float

    @classmethod
    def of(cls, costs: Costs, operation: str, allowed: float) -> "Verdict":
        """Summarize the costs of the three processes."""
        old = [
            (one + another) / 2
            for one, another in zip(costs[OLD, operation], costs[AGAIN, operation], strict=True)
        ]
        both = {**costs, ("both", operation): old}
        return cls(
            operation=operation,
            old=median(old),
            new=median(costs[NEW, operation]),
            ratio=Ratio.of(ratios(both, NEW, "both", operation)),
            noise=Ratio.of(ratios(costs, AGAIN, OLD, operation)),
            allowed=allowed,
        )

    @property
    def least(self) -> float:
        """The least significant difference, as a fraction.

        That is the difference between the two processes of the old code, or the error of the
        medians, whichever is greater.
        """
        return max(
            abs(self.noise.median - 1), _ERRORS * self.noise.error, _ERRORS * self.ratio.error
        )

    @property
    def passes(self) -> bool:
        """Whether the new code costs no more than allowed, within the noise of this run."""
        return self.ratio.median - 1 <= max(self.allowed, self.least)

    def __str__(self) -> str:
        difference = self.ratio.median - 1
        if difference <= self.allowed:
            return f"within {self.allowed:.0%}"
        if self.passes:
            return f"below the noise of {self.least:.1%}; measure again on a quieter machine"
        return f"**{difference:.1%} more**, and {self.allowed:.0%} is allowed"


def compare(
    old: Path, operations: str, *, rounds: int, seconds: float, allowed: float, out: Path
) -> list[Verdict]:
    """Compare this code with another checkout.

    Args:
        old: The other checkout.
        operations: Names of operations, separated by commas.
        rounds: At least two.
        seconds: Length of each measurement.
        allowed: By how much the new code may cost more, as a fraction.
        out: Folder for what the servers log.

    Raises:
        BenchFailed: A server did not start, ran other code, or sent a wrong response.
    """
    variants = [variant(OLD, old), variant(NEW, ROOT), variant(AGAIN, old)]
    asked = named_operations(operations)
    with arena(out) as place, place.running(variants, asked, min(_WARM_UP, seconds)) as subjects:
        costs = interleave(subjects, asked, rounds, seconds)
    return [Verdict.of(costs, operation.name, allowed) for operation in asked]


def variant(name: str, root: Path) -> Server:
    """The server as it is in a checkout.

    Raises:
        BenchFailed: Python would run other code there.
    """
    found = subprocess.run(
        [sys.executable, "-c", f"import {_PACKAGE}; print({_PACKAGE}.__file__)"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    if Path(found).resolve() != (root / _PACKAGE / "__init__.py").resolve():
        raise BenchFailed(f"in {root}, Python finds {found}")
    return Server(name, name, SERVE, root=root, variables=HASH_SEED)


@contextmanager
def checkout(old: str) -> Iterator[Path]:
    """The folder of the old code, within the context.

    Args:
        old: A folder, or what git calls a commit of this repository.

    Raises:
        BenchFailed: It is neither.
    """
    if (Path(old) / _PACKAGE).is_dir():
        yield Path(old).resolve()
        return
    archive = subprocess.run(
        ["git", "archive", "--format=zip", old, _PACKAGE],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if archive.returncode:
        raise BenchFailed(
            f"{old} is neither a checkout nor a commit: {archive.stderr.decode().strip()}"
        )
    with TemporaryDirectory() as folder:
        with ZipFile(io.BytesIO(archive.stdout)) as files:
            files.extractall(folder)
        yield Path(folder)


def to_markdown(verdicts: Sequence[Verdict]) -> str:
    """The table: CPU in µs per request, ratios with their quartiles."""
    header = ["", "old µs", "new µs", "new / old", "old / old", "verdict"]
    return to_table(
        header,
        [
            [
                verdict.operation,
                f"{verdict.old * 1e6:,.1f}",
                f"{verdict.new * 1e6:,.1f}",
                str(verdict.ratio),
                str(verdict.noise),
                str(verdict),
            ]
            for verdict in verdicts
        ],
    )


def to_json(verdicts: Sequence[Verdict]) -> bytes:
    """The figures as JSON, in seconds."""
    rows = [
        {**asdict(verdict), "least": verdict.least, "passes": verdict.passes}
        for verdict in verdicts
    ]
    return orjson.dumps(rows, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.compare",
        description="CPU per request of this code, compared with another checkout.",
    )
    parser.add_argument(
        "--old", required=True, metavar="PATH", help="a checkout, or a commit as git names it"
    )
    parser.add_argument(
        "--only",
        default=OPERATION_NAMES,
        metavar="LIST",
        help=f"operations (default {OPERATION_NAMES})",
    )
    parser.add_argument("--rounds", type=int, default=9, help="default 9, at least 2")
    parser.add_argument(
        "--seconds", type=float, default=0.5, help="of each measurement (default 0.5)"
    )
    parser.add_argument(
        "--within", type=float, default=3, metavar="PERCENT", help="what is allowed (default 3)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("build/bench"), help="folder (default build/bench)"
    )
    options = parser.parse_args()
    if options.rounds < 2:
        parser.error("--rounds must be 2 or more")
    return options


def main() -> int:
    """Compare, print the table and write `compare.json`.

    Returns:
        0; 1 if an operation costs more than allowed; 2 if nothing could be measured.
    """
    # So that SIGTERM still stops the servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    options = _parse_arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        with checkout(options.old) as old:
            verdicts = compare(
                old,
                options.only,
                rounds=options.rounds,
                seconds=options.seconds,
                allowed=options.within / 100,
                out=options.out,
            )
    except (BenchFailed, ValueError) as failure:
        say(f"bench.compare: {failure}")
        return 2
    (options.out / "compare.json").write_bytes(to_json(verdicts))
    print(to_markdown(verdicts))
    return 0 if all(verdict.passes for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
