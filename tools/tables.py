"""Tables of the README that follow from the code.

    python -m tools.tables           # writes them
    python -m tools.tables --check   # writes nothing; fails where one is not up to date

Each stands between two comments, which name it.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from graphql import GraphQLObjectType, GraphQLSchema

from graphql_admin.actions import Action
from graphql_admin.admin.guards import Requires, guard_of
from graphql_admin.admin.schema import AdminSchema
from graphql_admin.engine.fields import definition_of
from graphql_admin.web.amplify import ADMIN_QUERIES

README = Path("README.md")


def table_of_actions() -> str:
    """The actions, and how each is to be had."""
    schema = AdminSchema().graphql_schema
    rows = [
        [
            f"`{action.label}`",
            ", ".join(f"`{path}`" for path in paths_to(action, schema)),
            _route_of(action),
            ", ".join(action.operations) or "–",
        ]
        for action in Action
    ]
    return to_table(["Action", "GraphQL", "Amplify's route", "Cognito"], rows)


def paths_to(action: Action, schema: GraphQLSchema) -> Iterator[str]:
    """Yield the fields that every use of requires an action; those of the root by name alone.

    What a payload shows comes after its mutation, which is named.
    """
    roots = (schema.query_type, schema.mutation_type)
    for type_ in schema.type_map.values():
        if not isinstance(type_, GraphQLObjectType) or type_.name.endswith("Payload"):
            continue
        for name, field in type_.fields.items():
            definition = definition_of(field)
            guard = guard_of(definition) if definition else None
            if isinstance(guard, Requires) and guard.action is action and guard.key_of is None:
                yield name if type_ in roots else f"{type_.name}.{name}"


def _route_of(action: Action) -> str:
    if action not in ADMIN_QUERIES:
        return "–"
    return f"`{'POST' if action.write else 'GET'} /{action.label}`"


def to_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines).replace(" --- ", "---")


TABLES: Mapping[str, Callable[[], str]] = {"actions": table_of_actions}


def rewrite(text: str) -> str:
    """Return a text with every table between its comments as it is now.

    Raises:
        ValueError: A table has no place there.
    """
    for name, make in TABLES.items():
        begin = f"<!-- {name}: written by `make docs`, from the code -->\n"
        end = f"<!-- the end of {name} -->\n"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"there must be one place for the table of {name}")
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n{make()}\n\n{end}{after}"
    return text


def main(arguments: Sequence[str]) -> int:
    """Write the tables, or check them; returns the exit code."""
    old = README.read_text(encoding="utf-8")
    new = rewrite(old)
    if "--check" not in arguments:
        README.write_text(new, encoding="utf-8")
    elif old != new:
        print(f"{README} is not up to date. Run: make docs", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
