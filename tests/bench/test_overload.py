"""The bench's attacks: what is in the table, how it judges, and that one of them runs."""

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from bench.measure import Cores, Stub, Subject
from bench.overload.__main__ import ATTACKS
from bench.overload.attacks import VIEWER, Target, get_user, graphql
from bench.overload.results import Overload, Row, Watched, to_markdown
from bench.people import Person
from bench.servers import SERVE, Server

MIB = 2**20

GOOD = Row(
    name="heads",
    title="Heads that never end",
    seconds=6.0,
    healthz=Watched.of([0.002] * 99 + [0.05], {"answered": 100}),
    caller=Watched.of([0.003, 0.004, 0.2], {"answered": 3}),
    before=100 * MIB,
    peak=120 * MIB,
    after=110 * MIB,
    remark="20 were closed",
)


@pytest.mark.parametrize(
    ("row", "faults"),
    [
        (GOOD, []),
        (replace(GOOD, peak=251 * MIB), ["memory"]),
        (replace(GOOD, healthz=Watched.of([0.15] * 10, {"answered": 10})), ["healthz"]),
        (replace(GOOD, healthz=Watched.of([0.001], {"TimeoutError": 1})), ["healthz"]),
        (replace(GOOD, caller=Watched.of([0.1], {"OVERLOADED": 1})), ["others"]),
        (replace(GOOD, caller=Watched.of([0.1] * 9 + [1.1], {"answered": 10})), ["others"]),
    ],
)
def test_faults(row: Row, faults: list[str]) -> None:
    """Memory, probes and other callers each have a bound."""
    assert row.faults == faults


def test_table() -> None:
    """The table has what was watched, and the file all of it."""
    caller = Watched.of([0.01, 10], {"answered": 1, "OVERLOADED": 1})
    overload = Overload("2026-01-02", [GOOD, replace(GOOD, caller=caller, remark="")])
    assert Overload.from_json(overload.to_json()) == overload
    _, _, good, bad = to_markdown(overload).splitlines()
    assert good == (
        "| Heads that never end | 2.0, 50.0, 50.0 | 100, 120, 110 | 3 of 3 answered | 4.0, 200 "
        "| 20 were closed | yes |"
    )
    assert bad.endswith("| 1 of 2 answered; 1 × OVERLOADED | 10,000, 10,000 | – | **no**: others |")


def test_attacks_are_described() -> None:
    """Every row says what it does, and no two say the same."""
    titles = [attack.title() for attack in ATTACKS.values()]
    assert all(titles)
    assert len(set(titles)) == len(titles)


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    """A server to attack, in front of the stub."""
    cores = sorted(os.sched_getaffinity(0))
    with closing(Stub(cores[-1], tmp_path / "stub.log")) as stub:
        server = Server("attacked", "attacked", SERVE)
        place = Cores(cores[0], cores[-1])
        with closing(Subject(server, stub, place, tmp_path / "server.log")) as subject:
            yield Target(subject.port, stub)


@pytest.mark.slow
def test_target(target: Target) -> None:
    """What attackers see is how the server answered, and the stub behaves as they tell it."""

    def ask(*requests: bytes) -> Counter[str]:
        return asyncio.run(target.ask_each(requests, at_once=2, seconds=30))

    assert ask(*[graphql(VIEWER, target.user)] * 5) == {"200": 5}
    assert ask(graphql(VIEWER, "a.b.c")) == {"401": 1}
    assert ask(get_user(Person(1), target.user), get_user(Person(1), target.admin)) == {
        "FORBIDDEN": 1,
        "200": 1,
    }
    assert ask(graphql("{ nothing }", target.user)) == {"GRAPHQL_VALIDATION_FAILED": 1}
    target.stub.tell("/throttled", [Person(2).username])
    assert ask(get_user(Person(3), target.admin)) == {"200": 1}
    assert ask(get_user(Person(2), target.admin)) == {"THROTTLED": 1}
