"""The JSON Schema of the policy file, for editors such as VS Code, through taplo.

`python -m graphql_admin.policy.file_schema` writes it; with `--check` it only checks that the file
is up to date.
"""

import json
import sys
from pathlib import Path
from typing import Any

from graphql_admin.actions import Action
from graphql_admin.policy.sight import ALL
from graphql_admin.policy.tables import Names, Table, Word, make_tables

PATH = Path(__file__).with_name("policy.schema.json")


def make_schema() -> dict[str, Any]:
    """Return the schema, of draft 7, which taplo and VS Code support.

    Rules across two tables are left to the parser: a protected group in `[grants]`, who must have a
    line in `[writes]`, and what is both in `[reads]` and `[masks]`.
    """
    tables = make_tables()
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Policy of graphql-admin",
        "description": "Who may do what to whom. Every table contains lists of names.",
        "type": "object",
        "properties": {name: _schema_of_table(table) for name, table in tables.items()},
        "additionalProperties": False,
        "anyOf": [{"required": ["groups"]}, {"required": ["scopes"]}],
    }


def _schema_of_table(table: Table) -> dict[str, Any]:
    schema: dict[str, Any] = {"description": table.description, "type": "object"}
    if table.lists:
        schema["properties"] = {key: _schema_of_list(names) for key, names in table.lists.items()}
    schema["additionalProperties"] = _schema_of_list(table.others) if table.others else False
    if table.key:
        schema["propertyNames"] = _schema_of_word(table.key)
    if not table.may_be_empty:
        schema["minProperties"] = 1
    return schema


def _schema_of_list(names: Names) -> dict[str, Any]:
    schema: dict[str, Any] = {"description": names.description, "type": "array"}
    if not names.may_be_empty:
        schema["minItems"] = 1
    if names.word:
        schema["items"] = {"anyOf": [{"const": ALL}, _schema_of_word(names.word)]}
        return schema
    sentences = {ALL: "All of them.", **{action.label: action.sentence for action in Action}}
    choices = [ALL, *names.choices]
    schema["items"] = {
        "enum": choices,
        # What taplo shows for each: https://taplo.tamasfe.dev/configuration/developing-schemas.html
        "x-taplo": {"docs": {"enumValues": [sentences[choice] for choice in choices]}},
    }
    return schema


def _schema_of_word(word: Word) -> dict[str, Any]:
    return {"type": "string", "pattern": word.pattern}


def write_schema() -> str:
    """Return the contents of the file."""
    return json.dumps(make_schema(), indent=2) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(PATH.read_text(encoding="utf-8") != write_schema() and f"{PATH} is not up to date")
    PATH.write_text(write_schema(), encoding="utf-8")
