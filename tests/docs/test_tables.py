"""The tables of the documentation: written from the code, and checked for drift."""

import re
import shutil
from pathlib import Path

import pytest

from docs import limits, signals, tables
from docs.values import to_text
from graphql_admin.cognito.pool import ATTEMPTS
from graphql_admin.cognito.quotas import FIRST_PAUSE, LONGEST_PAUSE
from graphql_admin.telemetry.metrics import ENDINGS
from tests.support.pages import ROOT

WRITTEN = [(page, name) for page, each in tables.TABLES.items() for name in each]


@pytest.fixture(autouse=True)
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the pages, which `docs.tables` reads and writes."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "docs"


def test_pages_are_up_to_date() -> None:
    """The pages of the repository have the tables as the code gives them."""
    assert tables.main(["--check"]) == 0


@pytest.mark.parametrize(("page", "name"), WRITTEN)
def test_drift(copy: Path, capsys: pytest.CaptureFixture[str], page: str, name: str) -> None:
    """A table that differs is found, and written again."""
    written = (copy / page).read_text(encoding="utf-8")
    edited = written.replace(f"<!-- the end of {name} -->", f"| else |\n<!-- the end of {name} -->")
    (copy / page).write_text(edited, encoding="utf-8")
    assert tables.main(["--check"]) == 1
    assert capsys.readouterr().err == f"docs/{page} is not up to date. Run: make docs\n"
    assert tables.main([]) == 0
    assert (copy / page).read_text(encoding="utf-8") == written


def test_table_without_a_place(copy: Path) -> None:
    """A page that lost the place of its table is no reason to leave the table out."""
    (copy / "settings.md").write_text("# Settings\n", encoding="utf-8")
    with pytest.raises(ValueError, match="one place for settings"):
        tables.main([])


def test_limit_without_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """A constant or setting that is a limit and has no row is found."""
    assert list(limits.undocumented()) == []
    monkeypatch.setattr(limits, "SECTIONS", {"limits between callers": limits.CALLERS})
    missing = list(limits.undocumented())
    assert "serving.MAX_HEAD" in missing
    assert "settings.max_body" in missing
    assert "settings.max_concurrency" not in missing
    with pytest.raises(ValueError, match=r"has no row for .*serving\.MAX_HEAD"):
        tables.table_of_limits("limits between callers")


def test_row_without_a_limit() -> None:
    """A row on a constant that is no longer there fails."""
    row = limits.Limit("", "{serving.MAX_NONSENSE}", "", "")
    with pytest.raises(LookupError, match="serving has 0 values of MAX_NONSENSE"):
        limits.table_of([row])


def test_log_line_without_a_meaning(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that is logged and not explained is found, and one that is logged no longer."""
    meanings = {level: dict(each) for level, each in signals.MEANINGS.items()}
    meanings["error"]["nonsense"] = meanings["error"].pop("internal error")
    monkeypatch.setattr(signals, "MEANINGS", meanings)
    with pytest.raises(ValueError, match=r"'internal error' \(error\), 'nonsense' \(error\)"):
        tables.table_of_log_lines()


def test_lines_of(tmp_path: Path) -> None:
    """Lines are found where they are logged, also where a variable has what is said."""
    (tmp_path / "module.py").write_text(
        "def one(a):\n    log.error('first', a=a)\n    log.info('second')\n"
        "async def two(a):\n    event = 'third'\n    if a:\n        event = 'fourth %s'\n"
        "    log.warning(event, a)\n"
    )
    assert set(signals.lines_of(tmp_path)) == {
        ("error", "first"),
        ("warning", "third"),
        ("warning", "fourth …"),
    }
    (tmp_path / "module.py").write_text("def one(a):\n    log.error(str(a))\n")
    with pytest.raises(ValueError, match="line 2 logs what cannot be read from the code"):
        list(signals.lines_of(tmp_path))


def test_endings() -> None:
    """The reasons in the table are those for which connections are closed."""
    counted = {
        reason
        for path in (ROOT / "graphql_admin").rglob("*.py")
        for reason in re.findall(r'count_ended_connection\("(\w+)"\)', path.read_text("utf-8"))
    }
    assert counted == ENDINGS.keys()


def test_throttling(copy: Path) -> None:
    """What the page on limits says of throttled calls has the values of the code."""
    prose = " ".join((copy / "limits.md").read_text(encoding="utf-8").split())
    assert f"a pause of {to_text(FIRST_PAUSE, 's')} to {to_text(LONGEST_PAUSE, 's')}" in prose
    assert f"among the {ATTEMPTS} attempts of a call" in prose


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (64 * 1024, "bytes", "64 KiB"),
        (8 * 2**20, "bytes", "8 MiB"),
        (1000, "bytes", "1,000 bytes"),
        (0.02, "s", "20 ms"),
        (15.0, "s", "15 s"),
        (24 * 3600.0, "s", "24 h"),
        (0.9, "%", "90%"),
        (4096, "", "4,096"),
    ],
)
def test_units(value: float, unit: str, text: str) -> None:
    """Values are shown with their units."""
    assert to_text(value, unit) == text
