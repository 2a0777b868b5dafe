"""`python -m bench.overload`: attack a server, one row of the table after the other.

Each attack has its own server, on its own core, with default settings except those of the attack.
Another process measures the effect on other clients.
"""

import argparse
import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.measure import BenchFailed, Cores, Stub, Subject
from bench.operations import GET, LIST
from bench.overload.attacks import Attack, Target
from bench.overload.callers import CALLERS, Nothing
from bench.overload.connections import CONNECTIONS
from bench.overload.documents import DOCUMENTS
from bench.overload.results import Overload, Row, Watched, to_line, to_markdown
from bench.pairs import say
from bench.readme import RECORDED, write_pages
from bench.servers import ROOT, SERVE, Server

_ROWS: tuple[type[Attack], ...] = (Nothing, *DOCUMENTS, *CONNECTIONS, *CALLERS)

ATTACKS = {attack.name: attack for attack in _ROWS}
"""Every row of the table, by name."""

_RESULTS = "overload.json"

_LONGEST = 60.0
"""Seconds after which an attack ends, whatever it waits for."""

_LEAST = 2.0
"""Seconds that a row is watched at least, since some attacks are over at once."""

_REST = 2.0
"""Seconds between an attack and the measurement of memory after it."""

_WATCH_LIMIT = 60.0
"""Seconds within which the watching process must end."""


def measure(name: str, out: Path) -> Row:
    """Start a server, attack it, and return the result.

    Args:
        name: The attack's.
        out: Folder for what is logged.

    Raises:
        BenchFailed: The server did not start, or ended.
    """
    attack = ATTACKS[name]
    cores = Cores.of_this_machine()
    os.sched_setaffinity(0, {cores.load})
    try:
        with closing(Stub(cores.load, out / "stub.log")) as stub:
            log = out / f"overload-{name}.log"
            with closing(Subject(_server(attack), stub, cores, log)) as subject:
                for operation in (LIST, GET):
                    subject.check(operation)
                return _attack(attack, Target(subject.port, stub), subject)
    finally:
        os.sched_setaffinity(0, {cores.server, cores.load})


def _server(attack: type[Attack]) -> Server:
    limits: tuple[str, ...] = ()
    if attack.descriptors is not None:
        limits = ("prlimit", f"--nofile={attack.descriptors}:{attack.descriptors}")
    settings = {f"GRAPHQL_ADMIN_{name}": value for name, value in attack.settings.items()}
    return Server(attack.name, attack.name, (*limits, *SERVE), variables=settings)


def _attack(attack: type[Attack], target: Target, subject: Subject) -> Row:
    before = subject.resident_bytes
    subject.forget_peak()
    started = time.perf_counter()
    with _watching(attack, target) as watch:
        remark = asyncio.run(_run(attack, target))
        seconds = time.perf_counter() - started
        time.sleep(max(0.0, _LEAST - seconds))
        answers = _end(watch)
    peak = subject.peak_bytes
    time.sleep(_REST)
    return Row(
        name=attack.name,
        title=attack.title(),
        seconds=seconds,
        healthz=Watched.of(**answers["healthz"]),
        caller=Watched.of(**answers["caller"]),
        before=before,
        peak=peak,
        after=subject.resident_bytes,
        remark=remark,
    )


async def _run(attack: type[Attack], target: Target) -> str:
    try:
        async with asyncio.timeout(_LONGEST):
            return await attack().run(target)
    except TimeoutError:
        return f"ended after {_LONGEST:.0f} s"


@contextmanager
def _watching(attack: type[Attack], target: Target) -> Iterator[subprocess.Popen[str]]:
    token = target.stub.tokens[1]
    command = [sys.executable, "-m", "bench.overload.watch"]
    command += [str(target.port), token, str(attack.interval)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as watch:
        try:
            body = {"query": attack.query, "variables": dict(attack.variables)}
            assert watch.stdin is not None  # noqa: S101  # it is piped
            watch.stdin.write(json.dumps(body) + "\n")
            watch.stdin.flush()
            yield watch
        finally:
            watch.kill()


def _end(watch: subprocess.Popen[str]) -> dict[str, dict[str, Any]]:
    answers, _ = watch.communicate(timeout=_WATCH_LIMIT)
    if not answers:
        raise BenchFailed("nothing was watched")
    return json.loads(answers)  # type: ignore[no-any-return]


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.overload", description="Attack a server, and watch the others."
    )
    parser.add_argument("--only", metavar="LIST", help=f"rows: {', '.join(ATTACKS)}")
    parser.add_argument(
        "--record", action="store_true", help="keep the figures, and show them in the docs"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("build/bench"), help="folder (default build/bench)"
    )
    options = parser.parse_args()
    options.names = options.only.split(",") if options.only else list(ATTACKS)
    if unknown := set(options.names).difference(ATTACKS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    if options.record and options.only:
        parser.error("only all rows together are recorded")
    return options


def run(names: Sequence[str], out: Path) -> Overload:
    """Measure rows, and print each.

    Raises:
        BenchFailed: A server did not start, or ended.
    """
    rows = []
    for name in names:
        say(f"{name}: {ATTACKS[name].title()}")
        rows.append(measure(name, out))
        say(to_line(rows[-1]))
    return Overload(datetime.now(UTC).strftime("%Y-%m-%d"), rows)


def main() -> int:
    """Attack, print the table, and write `overload.json`.

    Returns:
        0; 1 where the server did not hold; 2 where nothing could be measured.
    """
    # So that SIGTERM still stops the servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    options = _parse_arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        overload = run(options.names, options.out)
    except (BenchFailed, subprocess.TimeoutExpired) as failure:
        say(f"bench.overload: {failure}")
        return 2
    (options.out / _RESULTS).write_bytes(overload.to_json())
    if options.record:
        (RECORDED / _RESULTS).write_bytes(overload.to_json())
        write_pages()
    print(to_markdown(overload))
    return 1 if any(row.faults for row in overload.rows) else 0


if __name__ == "__main__":
    sys.exit(main())
