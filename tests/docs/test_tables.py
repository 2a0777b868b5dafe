"""The tables of the documentation: written from the code, and checked for drift."""

import shutil
from pathlib import Path

import pytest

from docs import limits, tables
from docs.values import to_text
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
    """A table that says something else is found, and written anew."""
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
    with pytest.raises(ValueError, match="one place for the table of settings"):
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
