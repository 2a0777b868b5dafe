"""The bench's ablations: each finds what it takes away, and the server answers right without it."""

import os
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bench.ablate import Saving, Savings, to_markdown
from bench.ablated import TRACE
from bench.ablations import ABLATIONS
from bench.measure import Cores, Stub, Subject
from bench.operations import ADD, GET, LIST, LIST_RELAY
from bench.pairs import Ratio
from bench.seams import SeamNotFound, Seams, find, used
from bench.servers import Server, launched

HIDING = {"plans", "signer"}
"""What leaves others nothing to do: without plans there are no columns."""


@pytest.fixture(scope="module")
def cores() -> Cores:
    """The first core and the last, which may be the same: nothing is timed here."""
    cores = sorted(os.sched_getaffinity(0))
    return Cores(cores[0], cores[-1])


@pytest.fixture(scope="module")
def stub(cores: Cores, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stub]:
    with closing(Stub(cores.load, tmp_path_factory.mktemp("stub") / "stub.log")) as running:
        yield running


class Listed(Seams):
    """Lists seams that exist, and replaces none."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def replace(self, seam: str, make: Callable[[Any], Any]) -> None:  # noqa: ARG002
        find(seam)
        self.names.append(seam)


@pytest.mark.slow
@pytest.mark.parametrize(
    "names",
    [ABLATIONS.keys() - HIDING, HIDING],
    ids=["most", "what hides others"],
)
def test_ablations(names: AbstractSet[str], stub: Stub, cores: Cores, tmp_path: Path) -> None:
    """Without its fast paths the server answers as with them, and uses what stands instead."""
    server = Server("ablated", "", launched(",".join(names)), variables={TRACE: "1"})
    log = tmp_path / "server.log"
    with closing(Subject(server, stub, cores, log)) as subject:
        for operation in (LIST, LIST_RELAY, GET, ADD):
            subject.check(operation)
    listed = Listed()
    for name in names:
        ABLATIONS[name].apply(listed)
    lines = log.read_text().splitlines()
    assert [seam for seam in listed.names if used(seam) not in lines] == []


@pytest.mark.parametrize("name", ABLATIONS)
def test_ablation_finds_its_seams(name: str) -> None:
    """Every ablation takes something away, and nothing is listed twice."""
    listed = Listed()
    ABLATIONS[name].apply(listed)
    assert listed.names
    others = Listed()
    for other in ABLATIONS.keys() - {name}:
        ABLATIONS[other].apply(others)
    assert not set(listed.names) & set(others.names)


@pytest.mark.parametrize("seam", ["clock:gone", "gone:now", "clock:now.gone", "gone"])
def test_seam_not_found(seam: str) -> None:
    """A seam that the server no longer has is an error, not a figure about nothing."""
    with pytest.raises(SeamNotFound, match=seam):
        Seams().replace(seam, lambda original: original)


def test_savings_table() -> None:
    """The table has a row for each fast path; what may be chance stands in parentheses."""
    first, second, *_ = ABLATIONS
    savings = Savings(
        "2026-01-02",
        [
            Saving("nothing", "get", 0.0004, Ratio(0.999, 0.99, 1.01, 0.002)),
            Saving(first, "get", 0.0004, Ratio(1.5, 1.49, 1.51, 0.002)),
            Saving(second, "get", 0.0004, Ratio(1.01, 1.0, 1.02, 0.008)),
        ],
    )
    assert Savings.from_json(savings.to_json()) == savings
    header, _, nothing, *rows = to_markdown(savings).splitlines()
    assert header == "|  | fast path | in its place | get |"
    assert nothing.endswith("| (-0.1%, -0 µs) |")
    assert [row.split("`")[1] for row in rows] == list(ABLATIONS)
    assert rows[0].endswith("| +50.0%, +200 µs |")
    assert rows[1].endswith("| (+1.0%, +4 µs) |")
    assert all(row.endswith("| – |") for row in rows[2:])
    assert to_markdown(None).count("| – | – | – | – |") == len(ABLATIONS) + 1
