"""What linters of schemas say of the plain schema, and what changed in it for clients."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.patience import PATIENCE

ROOT = Path(__file__).parent.parent
LINTERS = Path("tests/node/linters")
PLAIN = "examples/schema.plain.graphql"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("node") and (ROOT / LINTERS / "node_modules").exists())
        and os.environ.get("CI") != "true",
        reason="the linters are not installed: that takes Node, and `npm ci` in their folder",
    ),
]

NOT_SORTED = ("enum-values", "input-object-fields", "type-fields")
"""What is in an order that reads well, and not in that of the alphabet."""


def node(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program at the top of the repository to its end."""
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def schema_linter(file: Path | str) -> subprocess.CompletedProcess[str]:
    """Run graphql-schema-linter with all of its rules but those on the order."""
    rules = ",".join(f"{each}-sorted-alphabetically" for each in NOT_SORTED)
    program = LINTERS / "node_modules" / ".bin" / "graphql-schema-linter"
    return node(program, "--except", rules, file)


def eslint(file: Path | str) -> subprocess.CompletedProcess[str]:
    """Run graphql-eslint with its rules for Relay."""
    program = LINTERS / "node_modules" / ".bin" / "eslint"
    return node(program, "--max-warnings", "0", "--config", LINTERS / "eslint.config.mjs", file)


@pytest.mark.parametrize("linter", [eslint, schema_linter])
def test_linter_finds_nothing(linter: object) -> None:
    """The linter has nothing to say."""
    assert callable(linter)
    ended = linter(PLAIN)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_schema_linter_finds_a_fault(tmp_path: Path) -> None:
    """graphql-schema-linter looks: it finds a field without a description."""
    faulty = tmp_path / "schema.graphql"
    sdl = (ROOT / PLAIN).read_text(encoding="utf-8")
    faulty.write_text(sdl.replace('  """Full name."""\n  fullName: String', "  fullName: String"))
    ended = schema_linter(faulty)
    assert ended.returncode != 0
    assert "User.fullName" in ended.stdout


def test_breaking_changes_are_in_the_changelog() -> None:
    """The changelog names what breaks the clients of the first version, and nothing else.

    The copy of that version's schema is `f63d9ee.plain.graphql`, after its commit.
    """
    ended = node("node", LINTERS / "breaking.mjs", LINTERS / "f63d9ee.plain.graphql", PLAIN)
    assert ended.returncode == 0, ended.stderr
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    listed = re.search(r"graphql-inspector calls breaking:\s*([^.]*(?:\.\w[^.]*)*)\.\s", changelog)
    assert listed
    named = re.findall(r"`([\w.]+)`", listed[1])
    assert sorted(named) == sorted({change["path"] for change in json.loads(ended.stdout)})


def test_types_of_node_can_be_selected_together(tmp_path: Path) -> None:
    """graphql-js takes one query of all that a user and a group both have, and `buildSchema`."""
    script = tmp_path / "check.mjs"
    script.write_text(
        """
        import { readFileSync } from "node:fs";
        import { createRequire } from "node:module";
        const { buildSchema, parse, validate } = createRequire(process.argv[2])("graphql");
        const schema = buildSchema(readFileSync(process.argv[3], "utf8"));
        const all = schema.getPossibleTypes(schema.getType("Node")).map((type) => {
          const leaves = Object.values(type.getFields()).filter(({ type }) => !type.getFields
            && !String(type).match(/Connection|UserAttribute|UserIdentity|UserAuth|UserSession/));
          return `... on ${type.name} { ${leaves.map(({ name }) => name).join(" ")} }`;
        });
        const query = `query ($id: ID!) { node(id: $id) { ${all.join(" ")} } }`;
        console.log(JSON.stringify([all.length, validate(schema, parse(query)).map(String)]));
        """
    )
    require_from = ROOT / LINTERS / "breaking.mjs"
    ended = node("node", script, require_from, ROOT / PLAIN)
    assert ended.returncode == 0, ended.stderr
    types, errors = json.loads(ended.stdout)
    assert (types, errors) == (2, [])
