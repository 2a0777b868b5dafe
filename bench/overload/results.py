"""The results of attacks: the figures, and the table."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import orjson

from bench.report import to_table

MOST_MEGABYTES = 250
"""Resident memory that an attack may bring the server to, in MiB."""

LONGEST_PROBE = 0.1
"""Seconds that `/healthz` may take at p99."""

LONGEST_CALL = 0.5
"""Seconds that another caller's request may take at p99."""

_ANSWERED = "answered"


@dataclass(frozen=True)
class Watched:
    """The results of the requests of a watched client.

    Args:
        count: How many requests.
        outcomes: How often each ended how: `answered`, a code, a status or an error's name.
        p50: Seconds.
        p99: Seconds.
        most: Seconds.
    """

    count: int
    outcomes: Mapping[str, int]
    p50: float
    p99: float
    most: float

    @classmethod
    def of(cls, latencies: Sequence[float], outcomes: Mapping[str, int]) -> "Watched":
        """Sum up at least one request.

        Args:
            latencies: Seconds; also of requests that would have been made while one waited.
            outcomes: Of the requests that were made.
        """
        ordered = sorted(latencies)
        p50, p99 = (ordered[int(share * len(ordered))] for share in (0.5, 0.99))
        return cls(sum(outcomes.values()), dict(outcomes), p50, p99, ordered[-1])

    @property
    def refused(self) -> Mapping[str, int]:
        """Those that were not answered."""
        return {name: count for name, count in self.outcomes.items() if name != _ANSWERED}


@dataclass(frozen=True)
class Row:
    """One attack.

    Args:
        name: Its name.
        title: What it does.
        seconds: How long it took.
        healthz: The probes of `/healthz`.
        caller: The requests of another caller.
        before: Bytes that were resident before.
        peak: At most meanwhile.
        after: Some seconds after.
        remark: What the attacker saw.
    """

    name: str
    title: str
    seconds: float
    healthz: Watched
    caller: Watched
    before: int
    peak: int
    after: int
    remark: str

    @property
    def faults(self) -> list[str]:
        """In what the server did not hold, in a word each."""
        faults = {
            "memory": self.peak > MOST_MEGABYTES * 2**20,
            "healthz": self.healthz.p99 > LONGEST_PROBE or bool(self.healthz.refused),
            "others": self.caller.p99 > LONGEST_CALL or bool(self.caller.refused),
        }
        return [name for name, is_one in faults.items() if is_one]


@dataclass(frozen=True)
class Overload:
    """All figures of a run.

    Args:
        date: When it was.
        rows: The attacks.
    """

    date: str
    rows: Sequence[Row]

    def to_json(self) -> bytes:
        """All figures, for programs. Seconds and bytes throughout."""
        return orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def from_json(cls, text: bytes) -> "Overload":
        """The figures that `to_json` wrote."""
        value = orjson.loads(text)
        for row in value["rows"]:
            for watched in ("healthz", "caller"):
                row[watched] = Watched(**row[watched])
        return cls(value["date"], [Row(**row) for row in value["rows"]])


def to_markdown(overload: Overload) -> str:
    """The table for people."""
    header = [
        "attack",
        "`/healthz` p50, p99, max ms",
        "MiB before, peak, after",
        "another caller's requests",
        "their p50, p99 ms",
        "the attacker saw",
        "holds",
    ]
    return to_table(header, [_cells(row) for row in overload.rows])


def to_line(row: Row) -> str:
    """One row of the table."""
    return f"| {' | '.join(_cells(row))} |"


def _cells(row: Row) -> list[str]:
    healthz, caller = row.healthz, row.caller
    probes = f"{_ms(healthz.p50)}, {_ms(healthz.p99)}, {_ms(healthz.most)}"
    if healthz.refused:
        probes += f"; {_refusals(healthz)}"
    answered = caller.outcomes.get(_ANSWERED, 0)
    others = f"{answered} of {caller.count} answered"
    if caller.refused:
        others += f"; {_refusals(caller)}"
    return [
        row.title,
        probes,
        ", ".join(f"{size / 2**20:,.0f}" for size in (row.before, row.peak, row.after)),
        others,
        f"{_ms(caller.p50)}, {_ms(caller.p99)}",
        row.remark or "–",
        "yes" if not row.faults else f"**no**: {', '.join(row.faults)}",
    ]


def _refusals(watched: Watched) -> str:
    return ", ".join(f"{count} × {name}" for name, count in watched.refused.items())


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:,.1f}" if seconds < 0.1 else f"{seconds * 1e3:,.0f}"
