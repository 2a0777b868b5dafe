"""A new field is what `docs/contributing.md` says: its line is put into a copy of the package."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.pages import ROOT, blocks_of
from tests.support.patience import PATIENCE

READ = """
from graphql_admin.admin.schema import AdminSchema
from graphql_admin.admin.users.types import User
from graphql_admin.engine.fields import reader_of

schema = AdminSchema()
reader = reader_of(schema.graphql_schema.type_map["User"].fields["nickname"])
users = [
    User({"Username": "a", "Attributes": [{"Name": "nickname", "Value": "Al"}]}),
    User({"Username": "b", "Attributes": []}),
]
print(reader.of_many(users), [reader.of_one(user) for user in users])
print(schema.as_str())
"""


def test_field(tmp_path: Path) -> None:
    """The field is in the schema, described, and read of many users at once."""
    shutil.copytree(
        ROOT / "graphql_admin",
        tmp_path / "graphql_admin",
        ignore=shutil.ignore_patterns("__pycache__", "vendor"),
    )
    (line,) = [
        block.text
        for block in blocks_of(ROOT / "docs" / "contributing.md")
        if block.language == "python" and block.label == "field"
    ]
    types = tmp_path / "graphql_admin" / "admin" / "users" / "types.py"
    text = types.read_text(encoding="utf-8")
    above = text.index('    full_name = held(_attribute("name")')
    indented = "".join(f"    {each.strip()}\n" for each in line.splitlines())
    types.write_text(text[:above] + indented + text[above:], encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-c", READ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    values, _, sdl = ended.stdout.partition("\n")
    assert values == "['Al', None] ['Al', None]"
    assert re.search(r'"""Nickname\."""\n  nickname: String\n', sdl)
