"""The bench's command line: `python -m bench`."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TypeVar

from bench import ablate
from bench.ablations import ABLATIONS
from bench.chart import to_svg
from bench.measure import (
    CONNECTIONS,
    BenchFailed,
    Cell,
    Cores,
    Stub,
    Subject,
    measure_stub,
)
from bench.operations import OPERATIONS, Operation
from bench.readme import RECORDED, write_pages
from bench.report import to_markdown
from bench.results import Results, describe_setting
from bench.servers import SERVERS, Server, install_peers

_SECONDS = 1.5
"""Length of a measurement."""

_ABLATION_SECONDS = 0.3
"""Length of a measurement with `--ablate`, which makes four in each round."""

_WARM_UP = 3.0
"""Seconds of load on each operation before the first round, so that JIT compilers have run."""

_Named = TypeVar("_Named", Operation, Server)


def run(
    servers: Sequence[Server],
    operations: Sequence[Operation],
    *,
    rounds: int,
    seconds: float,
    warm_up: float,
    starts: int,
    out: Path,
) -> Results:
    """Measure.

    Args:
        servers: What to measure.
        operations: What to ask of each.
        rounds: How often to measure every server at every operation, in turn.
        seconds: Length of each measurement.
        warm_up: Seconds of load on each operation before the first round.
        starts: How often to start each server; the last start is the one that is measured.
        out: Folder for what the servers log.

    Raises:
        BenchFailed: A server did not start or sent a wrong response.
    """
    cores = Cores.of_this_machine()
    os.sched_setaffinity(0, {cores.load})
    with ExitStack() as stack:
        stub = stack.enter_context(closing(Stub(cores.load, out / "stub.log")))
        _say("loading the stub alone")
        stub_speeds = measure_stub(stub, cores, seconds)

        subjects = []
        start_times: dict[str, list[float]] = {}
        for server in servers:
            _say(f"starting {server.title}")
            log = out / f"{server.name}.log"
            for _ in range(starts - 1):
                with closing(Subject(server, stub, cores, log)) as subject:
                    start_times.setdefault(server.name, []).append(subject.ready)
            subjects.append(stack.enter_context(closing(Subject(server, stub, cores, log))))
            start_times.setdefault(server.name, []).append(subjects[-1].ready)

        for operation in operations:
            for subject in subjects:
                _say(f"checking and warming {subject.server.title}: {operation.title}")
                subject.check(operation)
                subject.warm_up(operation, warm_up)

        cells = []
        for round_ in range(1, rounds + 1):
            for operation in operations:
                for subject in subjects:
                    cell = subject.measure(operation, round_, seconds)
                    cells.append(cell)
                    _say(_progress(cell, rounds))

        return Results(
            setting=describe_setting(rounds, seconds, CONNECTIONS),
            stub=stub_speeds,
            footprints=[
                subject.footprint(start_times[subject.server.name]) for subject in subjects
            ],
            cells=cells,
        )


def _progress(cell: Cell, rounds: int) -> str:
    return (
        f"{cell.round}/{rounds} {cell.operation:12} {cell.server:14} {cell.rate:8,.0f}/s  "
        f"CPU {cell.cpu * 1e6:8,.0f} µs  p50 {cell.p50 * 1e3:7.1f}  p99 {cell.p99 * 1e3:7.1f} ms"
        + (f"  {dict(cell.faults)}" if cell.faults else "")
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _named(options: Sequence[_Named], wanted: str | None, what: str) -> list[_Named]:
    known = [option.name for option in options]
    names = wanted.split(",") if wanted else known
    if unknown := set(names).difference(known):
        raise BenchFailed(
            f"no such {what}: {', '.join(sorted(unknown))}; there are {', '.join(known)}"
        )
    return [option for option in options if option.name in names]


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Compare graphql-admin with alternative servers.",
    )
    parser.add_argument(
        "--ablate",
        nargs="?",
        const=",".join(ABLATIONS),
        metavar="LIST",
        help="measure this server without each of its fast paths instead, or of those named",
    )
    parser.add_argument(
        "--record", action="store_true", help="keep what --ablate found, and show it in the docs"
    )
    parser.add_argument("--only", metavar="LIST", help="operations, such as list,get,add")
    parser.add_argument("--servers", metavar="LIST", help="servers, such as floor,express")
    parser.add_argument("--rounds", type=int, default=9, help="default 9")
    parser.add_argument(
        "--seconds", type=float, help="of each measurement (default 1.5; with --ablate 0.3)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="0.3 s and one round each: does the bench itself run?"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("build/bench"), help="folder (default build/bench)"
    )
    options = parser.parse_args()
    if options.record and not options.ablate:
        parser.error("--record goes with --ablate; `make bench` records the rest")
    return options


def main() -> int:
    """Run the bench and write `results.json`, `results.md` and `results.svg`.

    Returns:
        0; 1 if a server failed or sent a wrong response.
    """
    # So that SIGTERM still stops the servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    options = _parse_arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        if options.ablate:
            return _run_ablations(options)
        servers = _named(SERVERS, options.servers, "server")
        operations = _named(OPERATIONS, options.only, "operation")
        if any(server.is_node for server in servers):
            install_peers()
        results = run(
            servers,
            operations,
            rounds=1 if options.quick else options.rounds,
            seconds=0.3 if options.quick else options.seconds or _SECONDS,
            warm_up=0.1 if options.quick else _WARM_UP,
            starts=1 if options.quick else 3,
            out=options.out,
        )
    except BenchFailed as failure:
        _say(f"bench: {failure}")
        return 1
    (options.out / "results.json").write_bytes(results.to_json())
    (options.out / "results.md").write_text(to_markdown(results), encoding="utf-8")
    (options.out / "results.svg").write_text(to_svg(results), encoding="utf-8")
    _say(f"wrote {options.out}/results.json, results.md and results.svg")
    return 1 if results.faulty else 0


def _run_ablations(options: argparse.Namespace) -> int:
    names = options.ablate.split(",")
    if unknown := set(names).difference(ABLATIONS):
        raise BenchFailed(f"no such fast path: {', '.join(sorted(unknown))}")
    try:
        savings = ablate.measure(
            names,
            options.only or ablate.OPERATION_NAMES,
            rounds=2 if options.quick else options.rounds,
            seconds=0.1 if options.quick else options.seconds or _ABLATION_SECONDS,
            out=options.out,
        )
    except ValueError as error:
        raise BenchFailed(str(error)) from error
    (options.out / ablate.RESULTS).write_bytes(savings.to_json())
    if options.record:
        (RECORDED / ablate.RESULTS).write_bytes(savings.to_json())
        write_pages()
    print(ablate.to_markdown(savings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
