"""Compares variants of this server: the CPU of a request, as ratios of paired measurements.

A difference of a few per cent is less than the fluctuations of a machine, unless the variants
alternate within seconds. So all of them run throughout, short measurements alternate, and a figure
is the median of ratios that were each measured within one round.
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median, quantiles

from bench.measure import Cores, Stub, Subject
from bench.operations import OPERATIONS, Operation
from bench.servers import Server

HASH_SEED = {"PYTHONHASHSEED": "0"}
"""Variables for a variant: with seeds at random, two processes of the same code differ by a per
cent, since their dictionaries lie otherwise in memory."""

OPERATION_NAMES = "list,get,add"
"""The default operations."""

_MEDIAN_ERROR = 1.2533 * 1.4826
"""The standard error of a median as a multiple of the median deviation over the root of the number
of figures, where they are spread normally."""

Costs = Mapping[tuple[str, str], Sequence[float]]
"""Seconds of CPU per request in each round, by the names of variant and operation."""


@dataclass(frozen=True)
class Ratio:
    """What one variant costs as a multiple of another, over the rounds.

    Args:
        median: Of the ratios.
        low: Their lower quartile.
        high: Their upper quartile.
        error: The standard error of the median.
    """

    median: float
    low: float
    high: float
    error: float

    @classmethod
    def of(cls, ratios: Sequence[float]) -> "Ratio":
        """Sum up the ratios of at least two rounds."""
        middle = median(ratios)
        low, _, high = quantiles(ratios, n=4, method="inclusive")
        deviation = median(abs(ratio - middle) for ratio in ratios)
        return cls(middle, low, high, _MEDIAN_ERROR * deviation / len(ratios) ** 0.5)

    def __str__(self) -> str:
        return f"{self.median:.3f} ({self.low:.3f}–{self.high:.3f})"


class Arena:
    """The stub, and the cores of a run.

    Args:
        stub: Of Cognito.
        cores: Of this machine.
        out: Folder for what the servers log.
    """

    def __init__(self, stub: Stub, cores: Cores, out: Path) -> None:
        self._stub = stub
        self._cores = cores
        self._out = out

    @contextmanager
    def running(
        self, variants: Sequence[Server], operations: Sequence[Operation], warm_up: float
    ) -> Iterator[list[Subject]]:
        """Run the variants, checked and warm.

        Args:
            variants: What to run.
            operations: What each must answer right.
            warm_up: Seconds of load on each operation before it is measured.

        Raises:
            BenchFailed: One did not start or did not answer right.
        """
        with ExitStack() as stack:
            subjects = []
            for variant in variants:
                log = self._out / f"{variant.name}.log"
                subject = stack.enter_context(
                    closing(Subject(variant, self._stub, self._cores, log))
                )
                for operation in operations:
                    subject.check(operation)
                    subject.warm_up(operation, warm_up)
                subjects.append(subject)
            yield subjects


@contextmanager
def arena(out: Path) -> Iterator[Arena]:
    """Start the stub, and keep this process, which is the load, to the stub's core.

    Raises:
        BenchFailed: The machine has one core, or the stub did not start.
    """
    cores = Cores.of_this_machine()
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cores.load})
    try:
        with closing(Stub(cores.load, out / "stub.log")) as stub:
            yield Arena(stub, cores, out)
    finally:
        os.sched_setaffinity(0, allowed)


def interleave(
    subjects: Sequence[Subject], operations: Sequence[Operation], rounds: int, seconds: float
) -> Costs:
    """Measure in turn.

    In a round each subject is measured twice, in a palindromic order that starts with another one
    each time: so a steady slow-down affects all equally.

    Args:
        subjects: Running, checked and warm.
        operations: What to ask of each.
        rounds: How often.
        seconds: Length of each measurement.

    Raises:
        BenchFailed: One answered wrong.
    """
    costs: dict[tuple[str, str], list[float]] = {}
    for round_ in range(1, rounds + 1):
        first = round_ % len(subjects)
        order = [*subjects[first:], *subjects[:first]]
        for operation in operations:
            cells = [
                subject.measure_right(operation, round_, seconds)
                for subject in [*order, *reversed(order)]
            ]
            for subject in subjects:
                name = subject.server.name
                cost = fmean(cell.cpu for cell in cells if cell.server == name)
                costs.setdefault((name, operation.name), []).append(cost)
            say(f"{round_}/{rounds} {operation.name:8} {_costs_so_far(costs, operation)}")
    return costs


def _costs_so_far(costs: Costs, operation: Operation) -> str:
    return "  ".join(
        f"{variant} {seconds[-1] * 1e6:,.1f}"
        for (variant, name), seconds in costs.items()
        if name == operation.name
    )


def ratios(costs: Costs, variant: str, other: str, operation: str) -> list[float]:
    """What a variant costs as a multiple of another in the same round, for each round."""
    pairs = zip(costs[variant, operation], costs[other, operation], strict=True)
    return [one / another for one, another in pairs]


def named_operations(names: str) -> list[Operation]:
    """The operations with these names, separated by commas.

    Raises:
        ValueError: There is no such operation.
    """
    known = {operation.name: operation for operation in OPERATIONS}
    if unknown := [name for name in names.split(",") if name not in known]:
        raise ValueError(f"no such operation: {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in names.split(",")]


def say(line: str) -> None:
    """Print how far it is."""
    print(line, file=sys.stderr, flush=True)
