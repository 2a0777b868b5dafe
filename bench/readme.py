"""The README's section on performance, from the figures of a run.

    python -m bench.readme                  # the run in build/bench becomes the recorded one
    python -m bench.readme bench/recorded   # the recorded run, in the words of today

The run is kept in `bench/recorded`, and the section is written from it alone, over the one that is
there. A figure that is worse than a peer's stands as one that is better.
"""

import sys
from pathlib import Path

from bench.operations import LIST, LIST_APOLLO, LIST_RELAY, Operation
from bench.quotas import Quotas
from bench.report import to_faults, to_footprints, to_table
from bench.results import Results, Spread
from bench.servers import APOLLO, EXPRESS, FLOOR, OURS

README = Path(__file__).parent.parent / "README.md"
RECORDED = Path(__file__).with_name("recorded")

_BEGIN = "<!-- Written by `python -m bench.readme` from bench/recorded; edit nothing here. -->"
_END = "<!-- The end of what `python -m bench.readme` wrote. -->"

_INTRODUCTION = """\
`make bench` measures this server beside those that one would use instead, on one machine and in \
one run. Each is pinned to the same one core, checks the token of every request, and reaches the \
same stub of Cognito. Limits, log, metrics and audit are on here; the peers log nothing. \
[bench/README.md](bench/README.md) says what they are and how it is measured. Figures are medians \
of the rounds, and ratios are taken within a round; of p99 and CPU, less is better. The floor is a \
bare Starlette route for each operation, written by hand."""

_RESULTS = "results.json"
_QUOTAS = "quotas.json"


def read_run(folder: Path) -> tuple[Results, Quotas]:
    """The figures in a folder that `python -m bench` and `python -m bench.quotas` wrote to.

    Raises:
        OSError: A file is missing.
    """
    return (
        Results.from_json((folder / _RESULTS).read_bytes()),
        Quotas.from_json((folder / _QUOTAS).read_bytes()),
    )


def to_section(results: Results, quotas: Quotas) -> str:
    """The section, without its heading.

    Raises:
        ValueError: graphql-admin is not in the run.
    """
    if OURS not in {server.name for server in results.servers}:
        raise ValueError(f"{OURS} is not in the run")
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
    ]
    return "\n\n".join(part for part in parts if part)


def replace_section(readme: str, section: str) -> str:
    """The README with the section between its two comments.

    Raises:
        ValueError: It has not one of each.
    """
    before, rest = readme.split(_BEGIN)
    _, after = rest.split(_END)
    return f"{before}{_BEGIN}\n\n{section}\n\n{_END}{after}"


def record(folder: Path, recorded: Path = RECORDED, readme: Path = README) -> None:
    """Keep a run, and write the README's section from it.

    Args:
        folder: Where the run is.
        recorded: Where to keep it.
        readme: The README.

    Raises:
        OSError: A file of the run is missing.
        ValueError: graphql-admin is not in the run, or the README has no place for the section.
    """
    text = replace_section(readme.read_text(encoding="utf-8"), to_section(*read_run(folder)))
    for name in (_RESULTS, _QUOTAS):
        (recorded / name).write_bytes((folder / name).read_bytes())
    readme.write_text(text, encoding="utf-8")


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
        "Whoever reads one user at a time meanwhile waits "
        f"{1e3 * meanwhile.p50:.1f} ms in the middle ({1e3 * before.p50:.1f} before the "
        f"mutations), {1e3 * meanwhile.p99:.1f} ms at p99 ({1e3 * before.p99:.1f} before)."
    )


def _setting(results: Results) -> str:
    setting = dict(results.setting)
    date, processor, system, load = map(setting.pop, ("date", "processor", "system", "load"))
    versions = ", ".join(f"{name} {version}" for name, version in setting.items())
    return (
        f"Measured on {date} on {processor}, {system}: {load}. To do it again, and have this "
        "section written anew: `make bench`, on Linux with Node 20 or later, in about a quarter of "
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
