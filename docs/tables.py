"""Tables and excerpts of the documentation that follow from the code.

    python -m docs.tables           # writes them
    python -m docs.tables --check   # writes nothing; fails where one is not up to date

Each stands in a page between two comments, which name it. `excerpts.py` says what an excerpt is.
"""

import ast
import inspect
import json
import re
import sys
import types
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    get_named_type,
    parse,
)
from pydantic.fields import FieldInfo

from docs import excerpts, limits, rooms, signals
from graphql_admin.actions import Action
from graphql_admin.admin.guards import Requires, guard_of
from graphql_admin.admin.schema import AdminSchema
from graphql_admin.dev.cognito import POLICY
from graphql_admin.engine.fallbacks import Fallback
from graphql_admin.engine.fields import definition_of
from graphql_admin.errors import (
    ActionFailed,
    AdminError,
    BadUserInput,
    Refusal,
    leaves,
    payload_code,
)
from graphql_admin.policy.iam import iam_policy
from graphql_admin.policy.sight import ALL
from graphql_admin.settings import Settings
from graphql_admin.telemetry.metrics import ENDINGS
from graphql_admin.web.amplify import ADMIN_QUERIES

DOCS = Path("docs")

NONE = "–"


def table_of_actions() -> str:
    """The actions, and how each is used."""
    schema = AdminSchema().graphql_schema
    rows = [
        [
            f"`{action.label}`",
            ", ".join(f"`{path}`" for path in paths_to(action, schema)),
            f"`{_route_of(action)}`" if action in ADMIN_QUERIES else NONE,
            ", ".join(action.operations) or NONE,
        ]
        for action in Action
    ]
    return to_table(["Action", "GraphQL", "Admin Queries", "Cognito"], rows)


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


def table_of_routes() -> str:
    """The routes of Admin Queries, and the GraphQL that does the same."""
    schema = AdminSchema().graphql_schema
    rows = [
        [
            f"`{_route_of(action)}`",
            ", ".join(f"`{name}`" for name in _parameters(query.document)),
            ", ".join(
                f"`{_example(path, schema)}`"
                for path in paths_to(action, schema)
                if f"{path.rpartition('.')[2]}(" in query.document  # the route's own field
            ),
        ]
        for action, query in ADMIN_QUERIES.items()
    ]
    return to_table(["Route", "Parameters", "GraphQL"], rows)


def _route_of(action: Action) -> str:
    return f"{'POST' if action.write else 'GET'} /{action.label}"


def _parameters(document: str) -> list[str]:
    (operation,) = parse(document).definitions
    assert isinstance(operation, OperationDefinitionNode)  # noqa: S101  # the route's own
    return [node.variable.name.value for node in operation.variable_definitions or ()]


def _example(path: str, schema: GraphQLSchema) -> str:
    mutations = schema.mutation_type
    if mutations and path in mutations.fields:
        input_ = get_named_type(mutations.fields[path].args["input"].type)
        assert isinstance(input_, GraphQLInputObjectType)  # noqa: S101  # the schema's rule
        required = [
            name for name, field in input_.fields.items() if isinstance(field.type, GraphQLNonNull)
        ]
        call = f"{path}(input: {{{', '.join(required)}}})"
        return f"mutation {{ {call} {{ errors {{ code message }} }} }}"
    parent, _, name = path.rpartition(".")
    queries = schema.query_type
    assert queries is not None  # noqa: S101  # every schema has queries
    type_ = schema.type_map[parent] if parent else queries
    assert isinstance(type_, GraphQLObjectType)  # noqa: S101  # fields are objects'
    field = type_.fields[name]
    text = f"{name}{_arguments(field.args)} {{ … }}"
    if not parent:
        return f"{{ {text} }}"
    root = parent.lower()
    return f"{{ {root}{_arguments(queries.fields[root].args)} {{ {text} }} }}"


def _arguments(arguments: Collection[str]) -> str:
    return f"({', '.join(arguments)})" if arguments else ""


def table_of_settings() -> str:
    """The settings, in the order of their class; first those that are required."""
    fields = sorted(Settings.model_fields.items(), key=lambda each: not each[1].is_required())
    docstrings = docstrings_of(Settings)
    rows = [
        [
            f"`{name.upper()}`",
            _default_of(field),
            _form_of(field, docstrings[name]),
            _name_settings(docstrings[name]),
        ]
        for name, field in fields
    ]
    return to_table(["Variable", "Default", "Form", "Meaning"], rows)


def docstrings_of(class_: type) -> Mapping[str, str]:
    """Return the docstrings of a class's attributes, or an enum's members, on one line each.

    Raises:
        ValueError: An annotated attribute has none.
    """
    (definition,) = ast.parse(inspect.getsource(class_)).body
    assert isinstance(definition, ast.ClassDef)  # noqa: S101  # the source of a class
    docstrings = {}
    following = [*definition.body[1:], None]
    for node, after in zip(definition.body, following, strict=True):
        match node, after:
            case (
                (
                    ast.AnnAssign(target=ast.Name(id=name))
                    | ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant())
                ),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                docstrings[name] = _to_line(text)
            case ast.AnnAssign(target=ast.Name(id=name)), _:
                raise ValueError(f"{class_.__name__}.{name} has no docstring")
    return docstrings


def _default_of(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    match field.get_default(call_default_factory=True):
        case None | "":
            return NONE
        case bool(value):
            return f"`{str(value).lower()}`"
        case frozenset() | dict() as values:
            return f"`{','.join(values)}`" if values else NONE
        case int(value) | float(value):
            return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"
        case value:
            return f"`{value}`"


_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}

_NUMERIC = re.compile(r"(.*?) (?:that|of|to|for|under|at)\b")
"""The docstring of a setting that is a number begins with what it counts."""


def _form_of(field: FieldInfo, docstring: str) -> str:
    """Return what a setting may be, in words.

    Raises:
        ValueError: There are no words for its type.
    """
    kinds = tuple(_kinds(field.annotation))
    for kind in kinds:
        if issubclass(kind, StrEnum):
            return _first_of(_CHOICES, kinds) + ", ".join(f"`{choice}`" for choice in kind)
    words = _first_of(_FORMS, kinds)
    return words or ", ".join([_unit_of(docstring), *_bounds_of(field)])


_CHOICES = {
    Mapping: "list of `NAME=NUMBER`; the names are ",
    frozenset: "list of ",
    StrEnum: "one of ",
}

_FORMS = {
    frozenset: "list",
    bool: "`true` or `false`",
    int: "",
    float: "",
    Path: "path",
    str: "string",
}
"""By type, the first that fits. Nothing for numbers, whose docstrings have the unit."""


def _first_of(words: Mapping[Any, str], kinds: Sequence[type]) -> str:
    for type_, text in words.items():
        if any(issubclass(kind, type_) for kind in kinds):
            return text
    raise ValueError(f"there are no words for {kinds}")


def _unit_of(docstring: str) -> str:
    unit = _NUMERIC.match(docstring)
    if unit is None:
        raise ValueError(f"{docstring!r} does not begin with a unit")
    return unit[1] if unit[1][:2].isupper() else unit[1][0].lower() + unit[1][1:]


def _kinds(annotation: Any) -> Iterator[type]:
    """Yield the types in an annotation, except None."""
    origin = get_origin(annotation)
    if origin is None:
        if isinstance(annotation, type) and annotation is not types.NoneType:
            yield annotation
    elif origin in (Union, types.UnionType):
        for argument in get_args(annotation):
            yield from _kinds(argument)
    elif hasattr(annotation, "__metadata__"):
        yield from _kinds(get_args(annotation)[0])
    else:
        yield origin
        for argument in get_args(annotation):
            yield from _kinds(argument)


def _bounds_of(field: FieldInfo) -> Iterator[str]:
    for constraint in field.metadata:
        for name, words in _BOUNDS.items():
            if (bound := getattr(constraint, name, None)) is not None:
                yield f"{words} {bound:g}" if isinstance(bound, float) else f"{words} {bound}"


def _name_settings(text: str) -> str:
    """Give settings that a docstring names the names of their variables."""

    def rename(match: re.Match[str]) -> str:
        return f"`{match[1].upper()}`" if match[1] in Settings.model_fields else match[0]

    return re.sub(r"`(\w+)`", rename, text)


def table_of_refusals() -> str:
    """The errors at the top level of a response, in the order of their statuses."""
    rows = [
        [f"`{error.code}`", str(error.status), meaning_of(error), error.remedy]
        for error in sorted(leaves(Refusal), key=lambda error: error.status)
    ]
    return to_table(["Code", "Status", "Meaning", "What the client does"], rows)


def table_of_payload_codes() -> str:
    """The codes that the payload of any mutation may have, as the schema describes them."""
    errors = _errors_in_payloads()
    rows = [
        [f"`{name}`", _status_over_rest(errors[name]), meaning, errors[name].remedy]
        for name, meaning in _meanings_of("ActionErrorCode").items()
        if name in errors
    ]
    return to_table(["Code", "Over REST", "Meaning", "What the client does"], rows)


def table_of_codes_in_batches() -> str:
    """The codes that only the steps of a batch have."""
    errors = _errors_in_payloads()
    rows = [
        [f"`{name}`", _capitalized(meaning.removeprefix("Only in a batch: "))]
        for name, meaning in _meanings_of("ActionErrorCode").items()
        if name not in errors
    ]
    return to_table(["Code", "Meaning"], rows)


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def table_of_steps() -> str:
    """The outcomes of the steps of a batch."""
    rows = [[f"`{name}`", meaning] for name, meaning in _meanings_of("BatchStepOutcome").items()]
    return to_table(["Outcome", "Meaning"], rows)


def _meanings_of(enum: str) -> Mapping[str, str]:
    """Return the values of an enum of the schema, with their descriptions."""
    type_ = AdminSchema().graphql_schema.type_map[enum]
    assert isinstance(type_, GraphQLEnumType)  # noqa: S101  # the schema's own
    return {name: value.description or "" for name, value in type_.values.items()}


def _errors_in_payloads() -> Mapping[str, type[AdminError]]:
    expected = (error for error in leaves() if issubclass(error, ActionFailed | BadUserInput))
    return {payload_code(error): error for error in expected}


def _status_over_rest(error: type[AdminError]) -> str:
    if error.code == payload_code(error):
        return str(error.status)
    return f"{error.status}, `{error.code}`"


def meaning_of(error: type[AdminError]) -> str:
    """Return an error's docstring without the sections on its arguments."""
    docstring, _, _ = inspect.cleandoc(error.__doc__ or "").partition("\n\nArgs:")
    return _to_line(docstring)


def table_of_limits(name: str) -> str:
    """A section of the limits.

    Raises:
        ValueError: A limit of the code is in no section.
    """
    if missing := list(limits.undocumented()):
        raise ValueError(f"docs/limits.py has no row for {', '.join(missing)}")
    header = ["Limit", "Value", "When exceeded", "Protects"]
    return to_table(header, limits.table_of(limits.SECTIONS[name]))


def printed_iam_policy() -> str:
    """What `graphql-admin iam-policy` prints for the pool of the examples, as a block."""
    arn = "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_AbCdEf123"
    return f"```json\n{json.dumps(iam_policy(arn, frozenset(Action)), indent=2)}\n```"


def table_of_dev_groups() -> str:
    """The groups that the policy of `graphql-admin dev` names, and what their members may do."""
    of_groups, grants = POLICY["groups"], POLICY["grants"]
    given = dict.fromkeys(group for groups in grants.values() for group in groups)
    rows = [
        [
            f"`{group}`",
            _rights(of_groups.get(group, [])),
            ", ".join(f"`{giver}`" for giver in grants if group in grants[giver]) or NONE,
        ]
        for group in (*of_groups, *given)
    ]
    return to_table(["Group", "Its members may", "Who manages its members, besides `Admins`"], rows)


def _rights(actions: Collection[str]) -> str:
    if ALL in actions:
        return "do everything"
    return ", ".join(f"`{action}`" for action in actions) or NONE


def table_of_rooms() -> str:
    """What each room is for, from the highest floor down."""
    names = [name for floor in rooms.floors() for name in floor]
    return to_table(["Room", "What"], [[f"`{name}`", rooms.purpose_of(name)] for name in names])


def table_of_metrics() -> str:
    """The metrics, by the descriptions that they have themselves."""
    return to_table(["Metric", "Type", "Labels", "What"], signals.rows_of_metrics())


def table_of_endings() -> str:
    """Why connections are closed on clients."""
    rows = [[f"`{reason}`", meaning] for reason, meaning in ENDINGS.items()]
    return to_table(["`reason`", "Closed for"], rows)


def table_of_fallbacks() -> str:
    """Why operations are not executed by their plans."""
    docstrings = docstrings_of(Fallback)
    rows = [[f"`{each.value}`", docstrings[each.name]] for each in Fallback]
    return to_table(["`kind`", "The operation is executed by graphql-core, since"], rows)


def table_of_log_lines() -> str:
    """The lines of the log that are not requests."""
    return to_table(["Line", "Level", "What it means"], signals.rows_of_lines())


def _to_line(text: str) -> str:
    return " ".join(text.split())


def to_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines).replace(" --- ", "---")


TABLES: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "actions.md": {"actions": table_of_actions},
    "architecture.md": {"picture of the rooms": rooms.picture, "rooms": table_of_rooms},
    "admin-queries.md": {"routes": table_of_routes},
    "getting-started.md": {"groups of make dev": table_of_dev_groups},
    "settings.md": {"settings": table_of_settings, "IAM policy": printed_iam_policy},
    "errors.md": {
        "outcomes": table_of_payload_codes,
        "refusals": table_of_refusals,
    },
    "batches.md": {
        "outcomes of steps": table_of_steps,
        "codes of steps": table_of_codes_in_batches,
    },
    "operations.md": {
        "log lines": table_of_log_lines,
        "metrics": table_of_metrics,
        "connections ended": table_of_endings,
        "fallbacks": table_of_fallbacks,
    },
    "limits.md": {name: partial(table_of_limits, name) for name in limits.SECTIONS},
}
"""The tables of each page, by their names."""


def rewrite(text: str, tables: Mapping[str, Callable[[], str]]) -> str:
    """Return a page with every table between its comments as it is now.

    Raises:
        ValueError: A table has no place there.
    """
    for name, make in tables.items():
        begin = f"<!-- {name}: written by `make docs`, from the code -->\n"
        end = f"<!-- the end of {name} -->\n"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"there must be one place for {name}")
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n{make()}\n\n{end}{after}"
    return text


def main(arguments: Sequence[str]) -> int:
    """Write the tables and excerpts, or check them; returns the exit code."""
    stale = []
    for page in sorted({*DOCS.glob("*.md"), *(DOCS / name for name in TABLES)}):
        old = page.read_text(encoding="utf-8")
        new = rewrite(old, {**TABLES.get(page.name, {}), **excerpts.excerpts_of(old)})
        if old == new:
            continue
        if "--check" in arguments:
            stale.append(page)
        else:
            page.write_text(new, encoding="utf-8")
    for page in stale:
        print(f"{page} is not up to date. Run: make docs", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
