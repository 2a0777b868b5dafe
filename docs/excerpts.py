"""Regions of the examples, which pages show: `docs.tables` writes them, and checks for drift.

A region stands in a file of `examples` between two comments, `# docs: NAME` and `# docs: end`, or
with `//`. A page shows it between two comments of its own, which name the file and the region.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parent.parent

LANGUAGES: Mapping[str, str] = {
    ".graphql": "graphql",
    ".json": "json",
    ".mjs": "js",
    ".py": "python",
    ".toml": "toml",
    ".ts": "ts",
    ".tsx": "tsx",
}
"""The languages of blocks, by the suffixes of files."""

_PLACE = re.compile(r"^<!-- (examples/([^#\s]+)#([\w -]+)): written by ", re.MULTILINE)

_REGION = r"^[ \t]*(?:#|//) docs: {name}\n(.*?)^[ \t]*(?:#|//) docs: end$"


def excerpts_of(page: str) -> Mapping[str, Callable[[], str]]:
    """Return what makes each excerpt that a page has a place for, by its name."""
    return {
        name: partial(_show, Path("examples", path), region)
        for name, path, region in _PLACE.findall(page)
    }


def region_of(text: str, name: str) -> str:
    """Return the lines of a region, without what indents them all.

    Raises:
        ValueError: There is no such region, or more than one.
    """
    pattern = _REGION.format(name=re.escape(name))
    found = re.findall(pattern, text, re.MULTILINE | re.DOTALL)
    if len(found) != 1:
        raise ValueError(f"there must be one region called {name}, and there are {len(found)}")
    return dedent(found[0]).strip("\n")


def _show(path: Path, region: str) -> str:
    file = ROOT / path
    if not file.is_file():
        raise ValueError(f"there is no {path}")
    try:
        text = region_of(file.read_text(encoding="utf-8"), region)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    # The label tells the tests of the pages that the tests of the examples run this.
    return f"```{LANGUAGES[path.suffix]} {path}\n{text}\n```"
