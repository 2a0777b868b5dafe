"""The pages of the documentation, as readers see them: links, headings and blocks of code."""

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent.parent

README = ROOT / "README.md"

PAGES = (README, *sorted((ROOT / "docs").glob("*.md")))

ALL_PAGES = (*PAGES, ROOT / "CHANGELOG.md", ROOT / "bench" / "README.md")

_BLOCK = re.compile(r"^( *)```(\S+) *([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A block of code."""

    language: str
    label: str
    """What stands after the language."""
    text: str


class Link(NamedTuple):
    """A link to a page or file of this repository."""

    target: Path
    anchor: str


def name_of(page: Path) -> str:
    """Return a page's path in the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks_of(page: Path) -> list[Block]:
    """Return a page's blocks of code, in their order."""
    found = _BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [Block(match[2], match[3], dedent(match[4])) for match in found]


def is_like(actual: Any, expected: Any) -> bool:
    """Whether a value is what a page shows, where `…` stands for anything."""
    match expected:
        case dict():
            return (
                isinstance(actual, dict)
                and actual.keys() == expected.keys()
                and all(is_like(actual[key], value) for key, value in expected.items())
            )
        case list():
            return (
                isinstance(actual, list)
                and len(actual) == len(expected)
                and all(map(is_like, actual, expected))
            )
        case str():
            pattern = ".*".join(map(re.escape, expected.split("…")))
            return isinstance(actual, str) and re.fullmatch(pattern, actual) is not None
    return bool(actual == expected)


def links_of(page: Path) -> Iterator[Link]:
    """Yield a page's links to what is in the repository, images among them."""
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose_of(page)):
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            yield Link((page.parent / path).resolve() if path else page, anchor)


def anchors_of(page: Path) -> set[str]:
    """Return the anchors of a page's headings, made as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def paths_in(page: Path) -> set[str]:
    """Return the files and folders of the repository that a page names, linked or not."""
    rooms = "graphql_admin|tests|docs|bench|deploy|examples"
    return set(re.findall(rf"`((?:{rooms})/[\w./-]*)`", _prose_of(page)))


def _prose_of(page: Path) -> str:
    return _BLOCK.sub("", page.read_text(encoding="utf-8"))
