"""The pages that show figures, from the figures of recorded runs.

    python -m bench.readme                  # the run in build/bench becomes the recorded one
    python -m bench.readme bench/recorded   # the recorded runs, in the words of today

Runs are kept in `bench/recorded`, and sections of three pages are written from them alone, over
those that are there: five figures in the README, all of the comparison and the table of attacks in
`docs/performance.md`, what each fast path saves in `bench/README.md`. A figure that is worse than
a peer's stands as one that is better.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import ablate
from bench.measure import Footprint
from bench.operations import ADD, GET, LIST, LIST_APOLLO, LIST_RELAY, Operation
from bench.overload import results as attacks
from bench.quotas import Quotas
from bench.report import to_faults, to_footprints, to_table
from bench.results import Results, Spread
from bench.servers import APOLLO, EXPRESS, FLOOR, OURS, ROOT

RECORDED = Path(__file__).with_name("recorded")

_BEGIN = "<!-- Written by `python -m bench.readme` from bench/recorded; edit nothing here. -->"
_END = "<!-- The end of what `python -m bench.readme` wrote. -->"

_INTRODUCTION = """\
`make bench` compares this server with its alternatives, on one machine and in one run. \
Each is pinned to the same one core, checks the token of every request, and reaches the same stub \
of Cognito. Limits, log, metrics and audit are on here; the peers log nothing. \
[bench/README.md](../bench/README.md) says what they are and how it is measured. Figures are \
medians of the rounds, and ratios are taken within a round; of p99 and CPU, less is better. The \
floor is a bare Starlette route for each operation, written by hand."""

_ATTACKS = f"""\
## Under attack

`python -m bench.overload` attacks the server, with default settings except those in a row, from \
one process, while another probes `/healthz` every 20 ms and sends requests of another caller, \
each time on a new connection. A server holds that stays below {attacks.MOST_MEGABYTES} MiB, \
answers `/healthz` within {attacks.LONGEST_PROBE * 1e3:.0f} ms at p99, and answers all others, \
within {attacks.LONGEST_CALL:g} s at p99."""

_NO_ATTACKS = "No run is recorded yet."

_SAVINGS = """\
What a request costs more, in CPU, without the fast path; in parentheses what may be chance."""

_RELATIVE = "requests per second, relative to the fastest alternative"

_REST = """\
[Performance](docs/performance.md) has the rest: the alternatives, a hand-written baseline, \
Cognito's quotas, and behaviour under attack."""

_RESULTS = "results.json"
_QUOTAS = "quotas.json"
_OVERLOAD = "overload.json"


@dataclass(frozen=True)
class Run:
    """What was measured.

    Args:
        results: The comparison with the peers.
        quotas: How the server lives with Cognito's quotas.
        overload: Attacks, where they were made.
        savings: What fast paths save, where that was measured.
    """

    results: Results
    quotas: Quotas
    overload: attacks.Overload | None
    savings: ablate.Savings | None


def read_run(folder: Path) -> Run:
    """The figures in a folder that the bench wrote to.

    Raises:
        OSError: The comparison or the quotas are missing.
    """
    overload, savings = folder / _OVERLOAD, folder / ablate.RESULTS
    return Run(
        Results.from_json((folder / _RESULTS).read_bytes()),
        Quotas.from_json((folder / _QUOTAS).read_bytes()),
        attacks.Overload.from_json(overload.read_bytes()) if overload.exists() else None,
        ablate.Savings.from_json(savings.read_bytes()) if savings.exists() else None,
    )


def to_summary(run: Run) -> str:
    """The README's section, without its heading: five figures.

    Raises:
        ValueError: graphql-admin is not in the run.
    """
    results = run.results
    _require_ours(results)
    titles = {server.name: server.title for server in results.servers}
    rows = [
        [
            f"{operation.title}: {_RELATIVE} ({titles.get(results.fastest_peer(name) or '', '–')})",
            f"{_times(_to_fastest(results, name))} ×",
        ]
        for operation in (LIST, GET, ADD)
        if (name := operation.name) in {each.name for each in results.operations}
    ]
    rows += [
        _start(results, "from the start to the first answer", _ready, "ms"),
        _start(results, "memory then", lambda each: each.idle_bytes / 2**20, "MiB"),
    ]
    parts = [to_faults(results), to_table(["", OURS], rows), _REST]
    return "\n\n".join(part for part in parts if part)


def to_section(run: Run) -> str:
    """The section of `docs/performance.md`.

    Raises:
        ValueError: graphql-admin is not in the run.
    """
    results, quotas = run.results, run.quotas
    _require_ours(results)
    parts = [
        to_faults(results),
        _INTRODUCTION,
        _comparison(results),
        _list_forms(results),
        "Start and memory, from the start of the process to the first right answer:",
        to_footprints(results),
        "At Cognito's quotas, with a stub that throttles as Cognito does:",
        _quotas(quotas),
        _reads(quotas),
        _setting(results),
        _ATTACKS,
        _attacks(run.overload),
    ]
    return "\n\n".join(part for part in parts if part)


def to_savings(run: Run) -> str:
    """The section of `bench/README.md`."""
    when = f"Measured on {run.savings.date}." if run.savings else "No run is recorded yet."
    return "\n\n".join([f"{_SAVINGS} {when}", ablate.to_markdown(run.savings)])


PAGES: Mapping[str, Callable[[Run], str]] = {
    "README.md": to_summary,
    "docs/performance.md": to_section,
    "bench/README.md": to_savings,
}
"""What writes the section of each page."""


def replace_section(page: str, section: str) -> str:
    """A page with the section between its two comments.

    Raises:
        ValueError: It has not one of each.
    """
    before, rest = page.split(_BEGIN)
    _, after = rest.split(_END)
    return f"{before}{_BEGIN}\n\n{section}\n\n{_END}{after}"


def record(folder: Path, recorded: Path = RECORDED, root: Path = ROOT) -> None:
    """Keep a run, and write the pages' sections from it and what else is kept.

    Args:
        folder: Where the run is; what it has none of stays as it is kept.
        recorded: Where to keep it.
        root: Folder of the pages.

    Raises:
        OSError: A file of the run, or a page, is missing.
        ValueError: graphql-admin is not in the run, or a page has no place for its section.
    """
    names = [_RESULTS, _QUOTAS]
    names += [name for name in (_OVERLOAD, ablate.RESULTS) if (folder / name).exists()]
    files = {name: (folder / name).read_bytes() for name in names}
    _require_ours(Results.from_json(files[_RESULTS]))
    for name, content in files.items():
        (recorded / name).write_bytes(content)
    write_pages(recorded, root)


def write_pages(recorded: Path = RECORDED, root: Path = ROOT) -> None:
    """Write the pages' sections from what is kept.

    Raises:
        OSError: A file is missing.
        ValueError: A page has no place for its section.
    """
    run = read_run(recorded)
    for name, write in PAGES.items():
        page = root / name
        text = replace_section(page.read_text(encoding="utf-8"), write(run))
        page.write_text(text, encoding="utf-8")


def _require_ours(results: Results) -> None:
    if OURS not in {server.name for server in results.servers}:
        raise ValueError(f"{OURS} is not in the run")


def _to_fastest(results: Results, operation: str) -> Spread | None:
    peer = results.fastest_peer(operation) or ""
    return results.ratio(OURS, peer, operation, lambda cell: cell.rate)


def _start(
    results: Results, what: str, figure: Callable[[Footprint], float], unit: str
) -> list[str]:
    """A row on the start: the least and the most of the alternatives, and this server's figure."""
    peers = {server.name for server in results.servers if server.is_peer}
    theirs = [figure(each) for each in results.footprints if each.server in peers]
    (ours,) = (figure(each) for each in results.footprints if each.server == OURS)
    if theirs:
        what += f" (the alternatives: {min(theirs):,.0f}–{max(theirs):,.0f} {unit})"
    return [what, f"{ours:,.0f} {unit}"]


def _ready(footprint: Footprint) -> float:
    return Spread.of(footprint.ready).median * 1e3


def _attacks(overload: attacks.Overload | None) -> str:
    if overload is None:
        return _NO_ATTACKS
    return f"{attacks.to_markdown(overload)}\n\nMeasured on {overload.date}."


def _comparison(results: Results) -> str:
    titles = {server.name: server.title for server in results.servers}
    header = [
        "",
        "requests/s",
        "× fastest peer",
        "which is",
        "p99 × that peer's",
        "requests/s × Apollo",
        "× Express",
        "CPU µs a request",
        "CPU × floor",
    ]
    rows = []
    for operation in results.operations:
        peer = results.fastest_peer(operation.name) or ""

        def ratio(other: str, figure: str, name: str = operation.name) -> str:
            return _times(results.ratio(OURS, other, name, lambda cell: getattr(cell, figure)))

        rate = results.spread(OURS, operation.name, lambda cell: cell.rate).median
        cpu = results.spread(OURS, operation.name, lambda cell: cell.cpu).median
        rows.append(
            [
                operation.title,
                f"{rate:,.0f}",
                ratio(peer, "rate"),
                titles.get(peer, "–"),
                ratio(peer, "p99"),
                ratio(APOLLO, "rate"),
                ratio(EXPRESS, "rate"),
                f"{cpu * 1e6:,.0f}",
                ratio(FLOOR, "cpu"),
            ]
        )
    return to_table(header, rows)


def _list_forms(results: Results) -> str:
    def rate(form: Operation) -> str:
        spread = results.ratio_of_operations(OURS, form.name, LIST.name, lambda cell: cell.rate)
        return _times(spread)

    return (
        "Lists as clients ask for them, with `__typename` and `id`, come at this part of the plain "
        f"list's requests per second: Apollo Client's {rate(LIST_APOLLO)}, "
        f"Relay's {rate(LIST_RELAY)}."
    )


def _quotas(quotas: Quotas) -> str:
    page, burst = quotas.page, quotas.burst
    seconds = Spread.of(page.seconds).median
    header = ["", "seconds", "quota allows", "ratio", "requests that failed", "calls throttled"]
    return to_table(
        header,
        [
            [
                "60 users with their groups, AWS's default quotas",
                f"{seconds:.3f}",
                f"{page.best:.3f}",
                f"{seconds / page.best:.2f}",
                str(page.failed),
                str(page.throttled),
            ],
            [
                f"{burst.mutations} mutations sent at once, {burst.quota} calls a second",
                f"{burst.seconds:.3f}",
                f"{burst.best:.3f}",
                f"{burst.seconds / burst.best:.2f}",
                str(burst.failed),
                str(burst.throttled),
            ],
        ],
    )


def _reads(quotas: Quotas) -> str:
    before, meanwhile = quotas.burst.before, quotas.burst.meanwhile
    return (
        "A caller who reads one user at a time meanwhile waits "
        f"{1e3 * meanwhile.p50:.1f} ms in the middle ({1e3 * before.p50:.1f} before the "
        f"mutations), {1e3 * meanwhile.p99:.1f} ms at p99 ({1e3 * before.p99:.1f} before)."
    )


def _setting(results: Results) -> str:
    setting = dict(results.setting)
    date, processor, system, load = map(setting.pop, ("date", "processor", "system", "load"))
    versions = ", ".join(f"{name} {version}" for name, version in setting.items())
    return (
        f"Measured on {date} on {processor}, {system}: {load}. To do it again, and have this "
        "section updated: `make bench`, on Linux with Node 20 or later, in about a quarter of "
        f"an hour.\n\nVersions: {versions}."
    )


def _times(spread: Spread | None) -> str:
    return "–" if spread is None else f"{spread.median:.2f}"


def main() -> int:
    """Record the run in the folder that the command line names, or in `build/bench`.

    Returns:
        0, or 1 where there is no such run.
    """
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/bench")
    try:
        record(folder)
    except (OSError, ValueError) as error:
        print(f"bench.readme: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
