"""The bench's comparison of two checkouts: what it runs, and how it judges."""

import json
import shutil
from pathlib import Path

import pytest

from bench.compare import AGAIN, NEW, OLD, Verdict, checkout, to_json, to_markdown, variant
from bench.measure import BenchFailed
from bench.servers import ROOT


def judge(new: list[float], old: list[float], again: list[float]) -> Verdict:
    costs = {(OLD, "get"): old, (AGAIN, "get"): again, (NEW, "get"): new}
    return Verdict.of(costs, "get", allowed=0.03)


QUIET = [1.000, 1.002, 0.998, 1.001, 0.999, 1.0, 1.001, 0.999, 1.0]
NOISY = [1.00, 1.20, 0.90, 1.15, 0.85, 1.05, 0.95, 1.10, 1.00]


@pytest.mark.parametrize(
    ("new", "again", "verdict"),
    [
        ([1.01] * 9, QUIET, "within 3%"),
        ([0.5] * 9, QUIET, "within 3%"),
        ([1.05] * 9, QUIET, "**5.0% more**, and 3% is allowed"),
        ([1.05] * 9, NOISY, "below the noise of"),
        ([1.6] * 9, NOISY, "% more**, and 3% is allowed"),
    ],
)
def test_verdict(new: list[float], again: list[float], verdict: str) -> None:
    """More than is allowed fails, unless two processes of the same code differ as much."""
    judged = judge(new, [1.0] * 9, again)
    assert verdict in str(judged)
    assert judged.passes == ("more**" not in verdict)


def test_verdict_drift() -> None:
    """What slows the machine for some rounds slows old and new, and so is no difference."""
    slow = [1.0, 1.0, 1.0, 3.0, 3.0, 3.0, 3.0, 1.0, 1.0]
    judged = judge([1.01 * each for each in slow], slow, slow)
    assert judged.ratio.median == pytest.approx(1.01)
    assert judged.least < 0.001
    assert str(judged) == "within 3%"


def test_verdict_output() -> None:
    """The table has µs and ratios; the file has seconds, and what was decided."""
    judged = judge([0.00042] * 9, [0.0004] * 9, [0.0004] * 9)
    assert to_markdown([judged]).splitlines()[2] == (
        "| get | 400.0 | 420.0 | 1.050 (1.050–1.050) | 1.000 (1.000–1.000) "
        "| **5.0% more**, and 3% is allowed |"
    )
    (row,) = json.loads(to_json([judged]))
    assert (row["old"], row["passes"]) == (0.0004, False)


@pytest.mark.slow
def test_variant_runs_its_own_code(tmp_path: Path) -> None:
    """A checkout is measured by its own code, whatever is installed."""
    package = tmp_path / "graphql_admin"
    package.mkdir()
    (package / "__init__.py").touch()
    assert variant(OLD, tmp_path).root == tmp_path
    shutil.rmtree(package)
    with pytest.raises(BenchFailed, match="Python finds"):
        variant(OLD, tmp_path)


@pytest.mark.slow
def test_checkout() -> None:
    """The old code is a folder, or what git knows under a name."""
    with checkout(str(ROOT)) as folder:
        assert folder == ROOT.resolve()
    with checkout("HEAD") as folder:
        assert (folder / "graphql_admin" / "app.py").is_file()
        assert folder != ROOT
    assert not folder.exists()
    with (
        pytest.raises(BenchFailed, match="neither a checkout nor a commit"),
        checkout("no-such-name"),
    ):
        pass
