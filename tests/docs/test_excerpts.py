"""Pages show regions of the examples as they are, and a region that is missing is an error."""

from pathlib import Path

import pytest

from docs import excerpts, tables
from docs.excerpts import excerpts_of, region_of
from tests.support.pages import ROOT, blocks_of

PLACE = """# Page

<!-- examples/a/b.ts#one: written by `make docs`, from the code -->
<!-- the end of examples/a/b.ts#one -->
"""


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one example."""
    monkeypatch.setattr(excerpts, "ROOT", tmp_path)
    example = tmp_path / "examples" / "a" / "b.ts"
    example.parent.mkdir(parents=True)
    example.write_text("before\n  // docs: one\n  first\n\n    second\n  // docs: end\nafter\n")
    return tmp_path


def written(page: str) -> str:
    return tables.rewrite(page, excerpts_of(page))


def test_excerpt() -> None:
    """The lines of the region are shown, without what indents them all, and only once."""
    page = written(PLACE)
    assert "```ts examples/a/b.ts\nfirst\n\n  second\n```" in page
    assert "before" not in page
    assert "after" not in page
    assert written(page) == page


def test_drift(root: Path) -> None:
    """A region that has changed is shown as it is now."""
    page = written(PLACE)
    example = root / "examples" / "a" / "b.ts"
    example.write_text(example.read_text().replace("second", "third"))
    assert "second" not in written(page)
    assert "third" in written(page)


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        (PLACE.replace("#one", "#two"), r"examples/a/b\.ts: there must be one region called two"),
        (PLACE.replace("b.ts", "c.ts"), r"there is no examples/a/c\.ts"),
        (PLACE.replace("the end of", "no end of"), "one place for examples/a/b.ts#one"),
    ],
)
def test_nothing_to_show(place: str, problem: str) -> None:
    """A region or a file that is not there fails, and so does a place without an end."""
    with pytest.raises(ValueError, match=problem):
        written(place)


@pytest.mark.parametrize(
    "text",
    [
        "# docs: one\na\n",
        "# docs: one\na\n# docs: end\n# docs: one\nb\n# docs: end\n",
        "# docs: one more\na\n# docs: end\n",
    ],
)
def test_region_that_is_not_one(text: str) -> None:
    """A region without an end, one that is there twice, and one with a longer name."""
    with pytest.raises(ValueError, match="one region called one"):
        region_of(text, "one")


def test_pages_show_excerpts() -> None:
    """The examples' code on the page is included, not copied."""
    page = ROOT / "docs" / "clients.md"
    shown = [block for block in blocks_of(page) if block.language != "sh"]
    assert [block for block in shown if not block.label.startswith("examples/")] == []
    assert len(shown) == len(excerpts_of(page.read_text(encoding="utf-8")))
