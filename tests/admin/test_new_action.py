"""A new action is what `docs/contributing.md` says, and no more: the page is put to the test.

The blocks of code on the page, two mutations and a query, are added to a copy of the repository,
where the tests that go through every action then run, and those in `new_action_scenario`.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
COPIED = ("graphql_admin", "tests", "docs", "examples", "schema.graphql", "pyproject.toml")
NOT_COPIED = shutil.ignore_patterns("__pycache__", "node", "node_modules", "vendor", ".*")


def blocks(kind: str = "python") -> list[str]:
    """Return the blocks of code of a kind on the page, in their order."""
    page = (ROOT / "docs" / "contributing.md").read_text(encoding="utf-8")
    return re.findall(rf"```{kind}\n(.*?)```\n", page, re.DOTALL)


def insert(path: Path, lines: str, *, above: str | None = None, ending: str | None = None) -> None:
    """Insert lines above a class of a module, or after the last assignment in it.

    Without a class, they come after the last import.
    """
    text = path.read_text(encoding="utf-8")
    body = ast.parse(text).body
    classes = {node.name: node for node in body if isinstance(node, ast.ClassDef)}
    if above:
        class_ = classes[above]
        at = min(node.lineno for node in (class_, *class_.decorator_list)) - 1
        lines += "\n\n"
    else:
        scope = classes[ending].body if ending else body
        kinds = ast.Assign | ast.AsyncFunctionDef if ending else ast.ImportFrom
        at = [node for node in scope if isinstance(node, kinds)][-1].end_lineno or 0
    whole = text.splitlines(keepends=True)
    path.write_text("".join([*whole[:at], lines, *whole[at:]]), encoding="utf-8")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with the actions of the page."""
    folder = tmp_path_factory.mktemp("repository")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=NOT_COPIED)
        else:
            shutil.copy(ROOT / name, folder / name)
    row, imports, input_, mutations = blocks()
    changes = folder / "graphql_admin" / "admin" / "changes.py"
    insert(folder / "graphql_admin" / "actions.py", row, ending="Action")
    insert(changes, mutations, ending="Changes")
    insert(changes, input_, above="Changes")
    insert(changes, imports)
    (row,), (query,) = blocks("python row of a query"), blocks("python query")
    insert(folder / "graphql_admin" / "actions.py", row, ending="Action")
    insert(
        folder / "graphql_admin" / "admin" / "user_pool.py", f"\n{query}", ending="UserPoolQuery"
    )
    (example,) = blocks("text query")
    examples = folder / "graphql_admin" / "web" / "explorer" / "assets" / "examples.js"
    text = examples.read_text(encoding="utf-8")
    at = text.index("    reading(")
    examples.write_text(text[:at] + example + text[at:], encoding="utf-8")
    run(folder, "ruff", "check", "--fix", "--select", "I", "--quiet", "graphql_admin")
    run(folder, "graphql_admin", "schema", "--output", "schema.graphql")
    plain = "examples/schema.plain.graphql"
    run(folder, "graphql_admin", "schema", "--plain", "--output", plain)
    run(folder, "docs.tables")
    return folder


def run(folder: Path, module: str, *arguments: str) -> str:
    """Run a module of the copy; returns what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    ended = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


NEW_ACTIONS = "expireUserPassword or setUserNickname or EXPIRE_USER_PASSWORD or SET_USER_NICKNAME"
EVERY_ACTION = [
    "tests/admin/test_guards.py::test_ways_lead_through_every_action",
    "tests/admin/test_guards.py::test_payloads_require_what_reads_their_objects",
    "tests/admin/test_guards.py::test_iam_policy_lists_what_is_called",
    "tests/audit/test_log.py::test_events_are_the_attempts",
    "tests/admin/test_attempts.py::test_every_action_that_writes_is_one_gated_mutation",
    "tests/admin/test_attempts.py::test_inputs_do_not_repeat_their_values",
    "tests/cognito/test_quotas.py::test_every_operation_has_a_category",
]


def test_denial_matrix(copy: Path) -> None:
    """Each new action is denied, allowed, disabled and priced by every way to it."""
    printed = run(copy, "pytest", "-n0", "-k", NEW_ACTIONS, "tests/admin/test_guards.py")
    ran = re.search(r"(\d+) passed", printed)
    # By each of the two: denied by right and by token, allowed by right and to administrators; the
    # same for the target in the payload; disabled.
    assert ran
    assert int(ran[1]) >= 2 * (4 + 4 + 1)


def test_on_whom(copy: Path) -> None:
    """Each new action is refused and made as its row says, and priced with what decides on it."""
    files = ("tests/admin/test_denials.py", "tests/admin/test_prices.py")
    ran = re.search(r"(\d+) passed", run(copy, "pytest", "-n0", "-k", NEW_ACTIONS, *files))
    # By each of the two: under three names, as a field and as a step; the prices for four callers
    # and what is too dear for three, each twice.
    assert ran
    assert int(ran[1]) == 2 * (6 + 8 + 6)


def test_query(copy: Path) -> None:
    """A new query is denied, allowed and disabled by every way to it, and probed."""
    files = ("tests/admin/test_guards.py", "tests/test_check.py::test_every_read_is_probed")
    select = ("-k", "csvHeader or getCsvHeader or probed")
    ran = re.search(r"(\d+) passed", run(copy, "pytest", "-n0", *select, *files))
    # Denied by right and by token, allowed by right and to administrators of two groups; disabled;
    # the probe.
    assert ran
    assert int(ran[1]) >= 6


def test_what_goes_through_every_action(copy: Path) -> None:
    """Audit, IAM policy and quotas have the new actions."""
    printed = run(copy, "pytest", "-n0", *EVERY_ACTION)
    assert f"{len(EVERY_ACTION)} passed" in printed


def test_example_in_the_explorer(copy: Path) -> None:
    """The explorer offers an example of each new action, to callers that may do it."""
    example = "tests/web/test_explorer_browser.py::test_every_allowed_action_has_an_example"
    if "1 skipped" in run(copy, "pytest", "-n0", example):
        pytest.skip("there is no chromium on this machine")


def test_lint(copy: Path) -> None:
    """The page's code is in the form of the rest."""
    run(copy, "ruff", "check", "graphql_admin")
    run(copy, "ruff", "format", "--check", "graphql_admin")


def test_schema(copy: Path) -> None:
    """Everything of the new actions is described, and guarded as it says."""
    run(copy, "pytest", "-n0", "tests/admin/test_schema.py")
    sdl = (copy / "schema.graphql").read_text(encoding="utf-8")
    assert re.search(r"input SetUserNicknameInput \{.*?nickname: String!\n\}", sdl, re.DOTALL)
    assert "expireUserPassword(" in sdl


def test_table_of_actions(copy: Path) -> None:
    """The page of actions has the rows."""
    page = (copy / "docs" / "actions.md").read_text(encoding="utf-8")
    assert "| `expireUserPassword` | `expireUserPassword` | – | AdminResetUserPassword |\n" in page
    assert "| `setUserNickname` | `setUserNickname` | – | AdminUpdateUserAttributes |\n" in page
    assert "| `getCsvHeader` | `csvHeader` | – | GetCSVHeader |\n" in page
    run(copy, "docs.tables", "--check")


def test_errors_of_the_operations(copy: Path) -> None:
    """What Cognito's errors mean is known of the new operations too."""
    run(
        copy,
        "pytest",
        "-n0",
        "-k",
        "has_a_meaning or told_from_writes",
        "tests/cognito/test_pool.py",
    )


def test_end_to_end(copy: Path) -> None:
    """The pool is changed, the right target is recorded, and the value is nowhere."""
    assert "3 passed" in run(copy, "pytest", "-n0", "tests/admin/new_action_scenario.py")
