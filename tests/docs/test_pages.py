"""The pages as a whole: no link leads nowhere, no page is without a link, no path is made up."""

import re
from pathlib import Path

import pytest

from tests.support.pages import (
    ALL_PAGES,
    PAGES,
    README,
    ROOT,
    Link,
    anchors_of,
    links_of,
    name_of,
    paths_in,
)

LINKS = sorted({(page, link) for page in ALL_PAGES for link in links_of(page)})


@pytest.mark.parametrize(
    ("page", "link"),
    LINKS,
    ids=[f"{name_of(page)}-{name_of(link.target)}#{link.anchor}" for page, link in LINKS],
)
def test_link(page: Path, link: Link) -> None:
    """A link leads to a file of the repository, and to a heading of it where it names one."""
    assert link.target.is_relative_to(ROOT)
    assert link.target.exists()
    assert not link.anchor or link.anchor in anchors_of(link.target), page


def test_links_are_found() -> None:
    """The links are read from the pages: the README's among them."""
    assert sum(page == README for page, _ in LINKS) > len(list((ROOT / "docs").glob("*.md")))


def test_no_page_is_an_orphan() -> None:
    """Every page can be reached from the README."""
    reached, waiting = set[Path](), [README]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            waiting += [link.target for link in links_of(page)]
    assert set(ALL_PAGES) <= reached


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_paths(page: Path) -> None:
    """Every file or folder that a page names is there."""
    assert [path for path in sorted(paths_in(page)) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("file", sorted((ROOT / "deploy").iterdir()), ids=name_of)
def test_paths_in_deploy(file: Path) -> None:
    """Every test that a file for a proxy names is there."""
    paths = re.findall(r"\btests/[\w./-]*\w", file.read_text(encoding="utf-8"))
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
