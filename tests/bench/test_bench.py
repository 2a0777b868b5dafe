"""The bench's figures as people read them: the README's section, the report and the plot."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from bench.chart import to_svg
from bench.measure import Cell, Footprint, StubSpeed
from bench.overload.results import Overload
from bench.quotas import Burst, Page, Quotas, Reads
from bench.readme import (
    PAGES,
    RECORDED,
    Run,
    read_run,
    record,
    replace_section,
    to_section,
    to_summary,
)
from bench.report import to_markdown
from bench.results import Results
from bench.servers import ROOT

MIB = 2**20


def cell(server: str, operation: str, round_: int, rate: float, p99: float) -> Cell:
    """One measurement in which the server's core was busy throughout."""
    return Cell(
        server=server,
        operation=operation,
        round=round_,
        rate=rate,
        p50=p99 / 2,
        p99=p99,
        cpu=1 / rate,
        calls=1,
        call_rate=rate,
        load_core_use=0.2,
        foreign_use=0.01,
        faults=Counter(),
    )


RESULTS = Results(
    setting={
        "date": "2026-01-02",
        "processor": "Abacus 9",
        "system": "Linux 6.1, 2 cores",
        "load": "16 connections, 3 rounds of 3 s a cell",
        "Python": "3.11.7",
        "express": "5.3.0",
    },
    stub=[StubSpeed("ListUsers", 100_000, 0.00001)],
    footprints=[
        Footprint("graphql-admin", [0.7, 0.9, 0.8], 90 * MIB, 100 * MIB),
        Footprint("express", [0.3], 80 * MIB, 120 * MIB),
    ],
    cells=[
        cell(server, operation, round_, rate, p99)
        for server, operation, p99, rates in [
            ("graphql-admin", "list", 0.020, (1000, 1200, 600)),
            ("graphql-admin", "list-apollo", 0.020, (950, 1116, 570)),
            ("graphql-admin", "get", 0.050, (400, 400, 400)),
            ("apollo", "list", 0.100, (250, 250, 250)),
            ("apollo", "list-apollo", 0.100, (250, 250, 250)),
            ("apollo", "get", 0.050, (500, 500, 500)),
            ("express", "list", 0.080, (500, 500, 250)),
            ("express", "list-apollo", 0.080, (500, 500, 250)),
            ("express", "get", 0.025, (800, 800, 800)),
        ]
        for round_, rate in enumerate(rates, 1)
    ],
)

QUOTAS = Quotas(
    page=Page(seconds=[0.206, 0.208, 0.3], best=0.2, throttled=2, failed=0),
    burst=Burst(
        mutations=500,
        quota=25,
        seconds=19.19,
        best=19.0,
        throttled=0,
        failed=1,
        before=Reads(p50=0.002, p99=0.004),
        meanwhile=Reads(p50=0.003, p99=0.009),
    ),
)


RUN = Run(RESULTS, QUOTAS, overload=None, savings=None)


def rows_of(markdown: str) -> list[list[str]]:
    """The cells of all rows of all tables, without headers and rules."""
    tables = re.findall(r"(?:^\|.*\n)+", f"{markdown}\n", re.MULTILINE)
    rows = [row for table in tables for row in table.splitlines()[2:]]
    return [[column.strip() for column in row.strip("|").split("|")] for row in rows]


def test_section() -> None:
    """The section has a run's ratios, taken within a round, those that were lost like the rest."""
    section = to_section(RUN)
    express = "Express (Admin Queries)"
    lists = ["list 60 users × 10 fields", "the list as Apollo Client asks for it"]
    assert rows_of(section) == [
        [lists[0], "1,000", "2.40", express, "0.25", "4.00", "2.40", "1,000", "–"],
        [lists[1], "950", "2.23", express, "0.25", "3.80", "2.23", "1,053", "–"],
        ["get one user", "400", "0.50", express, "2.00", "0.80", "0.50", "2,500", "–"],
        ["**graphql-admin**", "800 (700–900)", "90", "100"],
        ["Express (Admin Queries)", "300", "80", "120"],
        [
            "60 users with their groups, AWS's default quotas",
            *("0.208", "0.200", "1.04", "0", "2"),
        ],
        [
            "500 mutations sent at once, 25 calls a second",
            *("19.190", "19.000", "1.01", "1", "0"),
        ],
    ]
    assert "Apollo Client's 0.95, Relay's –." in section
    assert "waits 3.0 ms in the middle (2.0 before the mutations), 9.0 ms at p99 (4.0 before)." in (
        section
    )
    assert "Measured on 2026-01-02 on Abacus 9, Linux 6.1, 2 cores: 16 connections, 3 rounds" in (
        section
    )
    assert "Versions: Python 3.11.7, express 5.3.0." in section


def test_section_faulty_run() -> None:
    """The section of a run in which a server answered wrong begins with that."""
    wrong = replace(RESULTS.cells[0], faults={"status 500": 7})
    section = to_section(replace(RUN, results=replace(RESULTS, cells=[wrong, *RESULTS.cells[1:]])))
    assert section.startswith("**Not valid.**")
    assert "- graphql-admin, list, round 1: {'status 500': 7}" in section


def test_summary() -> None:
    """The README has the ratios to the fastest peer, the start and the memory."""
    relative = "requests per second, relative to the fastest alternative (Express (Admin Queries))"
    assert rows_of(to_summary(RUN)) == [
        [f"list 60 users × 10 fields: {relative}", "2.40 ×"],
        [f"get one user: {relative}", "0.50 ×"],
        ["from the start to the first answer (the alternatives: 300–300 ms)", "800 ms"],
        ["memory then (the alternatives: 80–80 MiB)", "90 MiB"],
    ]


@pytest.mark.parametrize("name", PAGES)
def test_page_is_the_recorded_run(name: str) -> None:
    """Each page's section is what the recorded runs give, to the letter."""
    page = (ROOT / name).read_text(encoding="utf-8")
    assert replace_section(page, PAGES[name](read_run(RECORDED))) == page


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with the pages, whose sections are an older run's."""
    for name in PAGES:
        page = tmp_path / name
        page.parent.mkdir(exist_ok=True)
        committed = (ROOT / name).read_text(encoding="utf-8")
        page.write_text(replace_section(committed, "An older run."), encoding="utf-8")
    return tmp_path


def test_record(root: Path, tmp_path: Path) -> None:
    """A run that is recorded replaces the one before, and nothing else in the pages."""
    run, recorded = tmp_path / "run", tmp_path / "recorded"
    run.mkdir()
    recorded.mkdir()
    (run / "results.json").write_bytes(RESULTS.to_json())
    (run / "quotas.json").write_bytes(QUOTAS.to_json())
    record(run, recorded, root)
    record(run, recorded, root)
    assert read_run(recorded) == RUN
    for name, write in PAGES.items():
        committed = (ROOT / name).read_text(encoding="utf-8")
        assert (root / name).read_text(encoding="utf-8") == replace_section(committed, write(RUN))


def test_record_keeps_what_the_run_lacks(root: Path, tmp_path: Path) -> None:
    """A run of the comparison alone leaves the attacks that are recorded."""
    run, recorded = tmp_path / "run", tmp_path / "recorded"
    run.mkdir()
    recorded.mkdir()
    (run / "results.json").write_bytes(RESULTS.to_json())
    (run / "quotas.json").write_bytes(QUOTAS.to_json())
    (recorded / "overload.json").write_bytes(Overload("2026-01-02", []).to_json())
    record(run, recorded, root)
    assert read_run(recorded).overload == Overload("2026-01-02", [])


def test_record_without_graphql_admin(root: Path, tmp_path: Path) -> None:
    """A run of other servers alone is not recorded."""
    others = [cell for cell in RESULTS.cells if cell.server != "graphql-admin"]
    run = tmp_path / "run"
    run.mkdir()
    (run / "results.json").write_bytes(replace(RESULTS, cells=others).to_json())
    (run / "quotas.json").write_bytes(QUOTAS.to_json())
    with pytest.raises(ValueError, match="graphql-admin is not in the run"):
        record(run, tmp_path / "recorded", root)
    assert "An older run." in (root / "README.md").read_text(encoding="utf-8")


def test_report_without_peers() -> None:
    """Where no peer was measured, there is no ratio to one, in the report as in the plot."""
    alone = Results(
        setting=RESULTS.setting,
        stub=RESULTS.stub,
        footprints=RESULTS.footprints[:1],
        cells=[cell("graphql-admin", "get", 1, 400, 0.05), cell("floor", "get", 1, 800, 0.01)],
    )
    rows = rows_of(to_markdown(alone))
    assert rows[:2] == [["**graphql-admin**", "–"], ["**floor**", "–"]]
    assert rows[2] == [
        "**graphql-admin**",
        *("400", "–", "–", "2,500", "2.00", "100%", "25.0", "50.0", "–", "1"),
    ]
    assert ["**graphql-admin**", "800 (700–900)", "90", "100"] in rows
    plot = to_svg(alone)
    assert ">400/s<" in plot
    assert "×" not in plot
    assert 'class="line"' not in plot
