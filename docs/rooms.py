"""The rooms of the package and their floors, from the import contract and the docstrings."""

import ast
import tomllib
from pathlib import Path

import graphql_admin

PACKAGE = Path(graphql_admin.__file__).parent

WIDTH = 11
"""Characters of the picture for each room: four rooms fit on a phone."""


def floors() -> list[list[str]]:
    """Return the rooms, those of the highest floor first, as the contract has them."""
    contracts = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (
        each
        for each in contracts["tool"]["importlinter"]["contracts"]
        if each.get("containers") == [PACKAGE.name]
    )
    return [layer.split(" | ") for layer in contract["layers"]]


def picture() -> str:
    """Return the floors as a block of text, in which imports go down."""
    lines = ("".join(room.ljust(WIDTH) for room in floor).rstrip() for floor in floors())
    return "\n".join(["```text", *lines, "```"])


def purpose_of(room: str) -> str:
    """Return what a room is for: the first line of its docstring.

    Raises:
        ValueError: It has none.
    """
    path = PACKAGE / room / "__init__.py"
    source = path if path.exists() else PACKAGE / f"{room}.py"
    docstring = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8")))
    if not docstring:
        raise ValueError(f"{source} has no docstring")
    return docstring.splitlines()[0]
