"""The checks of imports find what they are for."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.patience import PATIENCE
from tests.support.started import ROOT

pytestmark = pytest.mark.slow

FLOORS = [sys.executable, ".ci/floors"]
CONTRACTS = [
    sys.executable,
    "-c",
    "from importlinter.cli import lint_imports_command; lint_imports_command()",
    "--no-cache",
]


def run(check: list[str], folder: Path) -> int:
    """Run a check in a copy of the package; returns the exit code."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    ended = subprocess.run(
        check, cwd=folder, env=environment, capture_output=True, timeout=PATIENCE, check=False
    )
    return ended.returncode


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package, with what checks its imports."""
    ignored = shutil.ignore_patterns("__pycache__", "node_modules")
    shutil.copytree(ROOT / "graphql_admin", tmp_path / "graphql_admin", ignore=ignored)
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize("check", [FLOORS, CONTRACTS], ids=["floors", "contracts"])
def test_imports_as_they_are(copy: Path, check: list[str]) -> None:
    """As it is, the package passes."""
    assert run(check, copy) == 0


CIRCLES = [
    ("web/explorer/examples.py", "from graphql_admin.web import explorer"),
    ("cli/check.py", "from graphql_admin.cli import main"),
    ("admin/cognito_names.py", "from graphql_admin.admin import schema"),
]
"""Modules that then import one another, a package's own module among them."""

UPWARD = [
    ("cognito/wire.py", "from graphql_admin.admin import context"),
    ("engine/limits.py", "import graphql_admin.cognito.access"),
    ("admin/context.py", "import boto3"),
    ("admin/nodes.py", "from graphql_admin.admin import attempts"),
    ("admin/guards.py", "from graphql_admin.admin import pagination"),
    ("policy/grants.py", "from graphql_admin.policy import decisions"),
]
"""Imports of a higher layer, or of a library that belongs to another."""


@pytest.mark.parametrize(
    ("check", "module", "line"),
    [*((FLOORS, *each) for each in CIRCLES), *((CONTRACTS, *each) for each in UPWARD)],
)
def test_forbidden_import(copy: Path, check: list[str], module: str, line: str) -> None:
    """A check fails with one import more that is not as it should be."""
    with (copy / "graphql_admin" / module).open("a") as file:
        file.write(f"{line}\n")
    assert run(check, copy) != 0
