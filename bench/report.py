"""The results as Markdown."""

from collections.abc import Callable, Iterable, Sequence

from bench.results import Results, Spread
from bench.servers import EXPRESS, FLOOR, Server


def to_markdown(results: Results) -> str:
    """The results for people to read: the comparison first, then each operation."""
    parts = [
        "# Benchmark",
        to_faults(results),
        "## Throughput, as a multiple of the fastest peer",
        _throughput(results),
        "## Each operation",
        *(_operation(results, operation.name, operation.title) for operation in results.operations),
        "## Start and memory",
        to_footprints(results),
        "## The stub is not the limit",
        _stub(results),
        "## Where and how",
        _quiet(results),
        to_table(["", ""], [[key, value] for key, value in results.setting.items()]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def to_faults(results: Results) -> str:
    """What went wrong, or nothing."""
    if not results.faulty:
        return ""
    lines = [
        f"- {cell.server}, {cell.operation}, round {cell.round}: {dict(cell.faults)}"
        for cell in results.faulty
    ]
    return "\n".join(["**Not valid.** These went wrong:", "", *lines])


def _throughput(results: Results) -> str:
    rows = []
    for server in results.servers:
        row = [_name(server)]
        for operation in results.operations:
            peer = results.fastest_peer(operation.name)
            ratio = peer and results.ratio(server.name, peer, operation.name, lambda c: c.rate)
            row.append(_times(ratio or None, bold=server.name == peer))
        rows.append(row)
    return to_table(["server", *(operation.name for operation in results.operations)], rows)


def _operation(results: Results, operation: str, title: str) -> str:
    peer = results.fastest_peer(operation) or ""
    header = [
        "server",
        "requests/s",
        "× fastest peer",
        "× Express",
        "CPU µs a request",
        "CPU × floor",
        "core used",
        "p50 ms",
        "p99 ms",
        "p99 × fastest peer",
        "Cognito calls",
    ]
    rows = []
    for server in results.servers:
        name = server.name

        def spread(figure: str, scale: float = 1, name: str = name) -> Spread:
            return results.spread(name, operation, lambda cell: getattr(cell, figure) * scale)

        def ratio(other: str, figure: str, name: str = name) -> str:
            return _times(results.ratio(name, other, operation, lambda cell: getattr(cell, figure)))

        rows.append(
            [
                _name(server),
                _whole(spread("rate")),
                ratio(peer, "rate"),
                ratio(EXPRESS, "rate"),
                _whole(spread("cpu", 1e6)),
                ratio(FLOOR, "cpu"),
                f"{spread('core_use').median:.0%}",
                f"{spread('p50', 1e3).median:.1f}",
                f"{spread('p99', 1e3).median:.1f}",
                ratio(peer, "p99"),
                f"{spread('calls').median:.2f}".removesuffix(".00"),
            ]
        )
    return f"### {operation}: {title}\n\n{to_table(header, rows)}"


def to_footprints(results: Results) -> str:
    """The table of what each server needs to start and holds in memory."""
    titles = {server.name: _name(server) for server in results.servers}
    rows = [
        [
            titles[each.server],
            _whole(Spread.of([seconds * 1e3 for seconds in each.ready])),
            f"{each.idle_bytes / 2**20:,.0f}",
            f"{each.loaded_bytes / 2**20:,.0f}",
        ]
        for each in results.footprints
    ]
    return to_table(["server", "ready after ms", "MiB then", "MiB after the rounds"], rows)


def _stub(results: Results) -> str:
    rows = [
        [speed.call, f"{speed.rate:,.0f}", f"{speed.cpu * 1e6:.1f}", f"{1 / speed.cpu:,.0f}"]
        for speed in results.stub
    ]
    table = to_table(["call", "served a second", "CPU µs each", "limit a second"], rows)
    most = max(results.cells, key=lambda cell: cell.call_rate)
    busy = max(results.cells, key=lambda cell: cell.load_core_use)
    return (
        f"{table}\n\nThe most that a server asked of it: {most.call_rate:,.0f} calls a second "
        f"({most.server}, {most.operation}). Load and stub together never used more than "
        f"{busy.load_core_use:.0%} of their core ({busy.server}, {busy.operation})."
    )


def _quiet(results: Results) -> str:
    spread = Spread.of([cell.foreign_use for cell in results.cells])
    return (
        "Of the time of the server's core, this much went to anything but the server, "
        f"the kernel's interrupts among it: {spread.median:.0%} in the middle of all measurements, "
        f"{spread.max:.0%} at worst."
    )


def _name(server: Server) -> str:
    return server.title if server.is_peer else f"**{server.title}**"


def _whole(spread: Spread) -> str:
    return _with_range(spread, lambda figure: f"{figure:,.0f}")


def _times(spread: Spread | None, *, bold: bool = False) -> str:
    if spread is None:
        return "–"
    if bold:
        return "**1**"
    return _with_range(spread, lambda figure: f"{figure:.2f}")


def _with_range(spread: Spread, write: Callable[[float], str]) -> str:
    if spread.min == spread.max:
        return write(spread.median)
    return f"{write(spread.median)} ({write(spread.min)}–{write(spread.max)})"


def to_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are figures."""
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, rule, *rows])
