"""What each fast path of the server saves: compares the server with and without it.

`python -m bench --ablate` runs this. The first row removes nothing, so it shows the noise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import orjson

from bench.ablations import ABLATIONS
from bench.pairs import HASH_SEED, Ratio, arena, interleave, named_operations, ratios, say
from bench.report import to_table
from bench.servers import OURS, Server, launched

OPERATION_NAMES = "list,list-relay,get,add"
"""The default operations."""

RESULTS = "ablations.json"
"""Name of the file with the figures."""

NOTHING = "nothing"

_WARM_UP = 1.0
"""Seconds of load on each operation of a server before it is measured."""

_ERRORS = 2
"""A difference of fewer standard errors may be chance."""


@dataclass(frozen=True)
class Saving:
    """What a fast path saves at one operation.

    Args:
        ablation: Name of the fast path.
        operation: Name of the operation.
        whole: Median CPU seconds per request with all fast paths.
        ratio: The cost of a request without this one, divided by that with all.
    """

    ablation: str
    operation: str
    whole: float
    ratio: Ratio


@dataclass(frozen=True)
class Savings:
    """All figures of a run.

    Args:
        date: When it was.
        savings: Of each fast path at each operation.
    """

    date: str
    savings: Sequence[Saving]

    def to_json(self) -> bytes:
        """All figures as JSON, in seconds."""
        return orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def from_json(cls, text: bytes) -> "Savings":
        """The figures that `to_json` wrote."""
        value = orjson.loads(text)
        savings = [
            Saving(**{**saving, "ratio": Ratio(**saving["ratio"])}) for saving in value["savings"]
        ]
        return cls(value["date"], savings)

    @property
    def operations(self) -> list[str]:
        """The operations measured, in the order in which they were."""
        return list(dict.fromkeys(saving.operation for saving in self.savings))

    def of(self, ablation: str) -> Mapping[str, Saving]:
        """What one fast path saves, by operation."""
        return {each.operation: each for each in self.savings if each.ablation == ablation}


def measure(
    names: Sequence[str],
    operations: str,
    *,
    rounds: int,
    seconds: float,
    out: Path,
) -> Savings:
    """Measure what fast paths save.

    Args:
        names: Of the fast paths.
        operations: Names of operations, separated by commas.
        rounds: At least two.
        seconds: Length of each measurement.
        out: Folder for what the servers log.

    Raises:
        BenchFailed: A server did not start or sent a wrong response.
    """
    asked = named_operations(operations)
    warm_up = min(_WARM_UP, seconds)
    savings = []
    with arena(out) as place, place.running([_variant(OURS, "")], asked, warm_up) as (whole,):
        for name in (NOTHING, *names):
            say(f"without {name}")
            variant = _variant(f"without-{name}", "" if name == NOTHING else name)
            with place.running([variant], asked, warm_up) as (without,):
                costs = interleave([whole, without], asked, rounds, seconds)
            savings += [
                Saving(
                    name,
                    operation.name,
                    median(costs[OURS, operation.name]),
                    Ratio.of(ratios(costs, variant.name, OURS, operation.name)),
                )
                for operation in asked
            ]
    return Savings(datetime.now(UTC).strftime("%Y-%m-%d"), savings)


def _variant(name: str, ablations: str) -> Server:
    return Server(name, name, launched(ablations), variables=HASH_SEED)


def to_markdown(savings: Savings | None) -> str:
    """The table of all fast paths.

    Args:
        savings: The figures, if there are any yet.
    """
    operations = savings.operations if savings else OPERATION_NAMES.split(",")
    rows = [("", "nothing: the noise", "", NOTHING)] + [
        (f"`{each.name}`", each.title, each.instead, each.name) for each in ABLATIONS.values()
    ]
    return to_table(
        ["", "fast path", "in its place", *operations],
        [
            [name, title, instead, *_cells(savings.of(key) if savings else {}, operations)]
            for name, title, instead, key in rows
        ],
    )


def _cells(savings: Mapping[str, Saving], operations: Sequence[str]) -> list[str]:
    return [_cell(savings[operation]) if operation in savings else "–" for operation in operations]


def _cell(saving: Saving) -> str:
    share = saving.ratio.median - 1
    text = f"{share:+.1%}, {share * saving.whole * 1e6:+,.0f} µs"
    return text if abs(share) > _ERRORS * saving.ratio.error else f"({text})"
