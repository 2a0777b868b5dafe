"""The tests are in order: in folders as the rooms are, and each by itself."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.started import ROOT

TESTS = ROOT / "tests"

OTHERS = {"support", "bench", "docs", "node"}
"""Folders of no room: what tests share, the tests of the bench and the docs, packages for Node."""


def imported(path: Path) -> Iterator[str]:
    """Yield the modules that a module imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def is_test(module: str) -> bool:
    """Return whether it is a module of tests."""
    return module.startswith("tests.") and any(
        part.startswith("test_") or part == "conftest" for part in module.split(".")
    )


@pytest.mark.parametrize(
    "path", sorted(TESTS.rglob("*.py")), ids=lambda path: str(path.relative_to(TESTS))
)
def test_none_imports_another(path: Path) -> None:
    """What two tests share is in `tests/support`, so that each can be moved or deleted."""
    tests = [module for module in imported(path) if is_test(module)]
    assert tests == []


def test_folders_are_rooms() -> None:
    """Where a module's tests are follows from where the module is."""
    rooms = {path.parent.name for path in (ROOT / "graphql_admin").glob("*/__init__.py")}
    folders = {path.parent.name for path in TESTS.glob("*/__init__.py")}
    assert folders - OTHERS <= rooms
