"""Completes plain data column by column, as compiled once for a selection.

graphql-core completes every field of every object on its own: for 60 users of 10 fields it calls
600 resolvers, builds 600 paths and looks at 1000 types. A field that only shows what is in hand
needs none of this. So for each selection of an object a plan is made: how to complete its plain
fields, those of many objects at a time, and which fields are the rest. The rest goes graphql-core's
ordinary path. The whole object does, if a value is not what the schema says, such as a null that
may not be: nothing but plain data has been looked at by then, so the ordinary path finds what is
wrong and reports it as it always does.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from operator import attrgetter
from types import NoneType
from typing import Any, TypeAlias

import structlog
from graphql import (
    FieldNode,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLField,
    GraphQLID,
    GraphQLLeafType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLString,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from graphql.pyutils import AwaitableOrValue, Path, Undefined
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from graphql_admin.context import Context

log = structlog.get_logger(__name__)

TESTED_VERSIONS = {"graphql-core": ("3.3.2",), "strawberry-graphql": ("0.341.2",)}
"""What the tests compared `CompilingExecutor` with: it overrides what is not public there."""

MAX_PLANS = 100
"""Plans of one document, which can have others for every combination of its variables."""

Completer: TypeAlias = Callable[[Sequence[Any]], Sequence[Any]]
"""Turns resolved values into values of the response; raises if one of them is not plain data."""

_VERBATIM: Mapping[GraphQLLeafType, type] = {
    GraphQLString: str,
    GraphQLID: str,
    GraphQLBoolean: bool,
}
"""Types of which a value of exactly this Python type is its own serialized form."""

_PLAIN_TYPES = frozenset({str, bool, int, float, datetime})
"""Python types of plain data: neither an exception nor anything to await."""

_LIST = frozenset({list})

_DEFINITION = "strawberry-definition"


class NotPlain(Exception):
    """This cannot be completed as plain data."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to complete what is selected of objects of one type."""

    nodes: Sequence[FieldNode]
    """The merged nodes of the field whose value they are. Held, because plans are found by the
    nodes' identities, which would otherwise be used again for others."""

    keys: Sequence[str]
    """The completed object's keys, in order."""

    complete: Completer
    """Completes the plain fields."""

    rest: GroupedFieldSet
    """The other fields."""

    def join(self, plain: dict[str, Any], rest: dict[str, Any]) -> dict[str, Any]:
        """Return the completed object."""
        values = plain | rest
        return {key: values[key] for key in self.keys}


def choose_executor() -> type[StrawberryGraphQLCoreExecutionContext]:
    """Return the executor for the installed versions: the ordinary one if they are not tested."""
    installed = {name: version(name) for name in TESTED_VERSIONS}
    if all(installed[name] in tested for name, tested in TESTED_VERSIONS.items()):
        return CompilingExecutor
    log.warning("untested versions: plain data is completed slowly", installed=installed)
    return StrawberryGraphQLCoreExecutionContext


class CompilingExecutor(StrawberryGraphQLCoreExecutionContext):
    """Executes an operation whose `Context` has the plans of its document."""

    context_value: Context

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # All that `@skip` and `@include` can depend on, and with them what is selected.
        self._conditions = tuple(
            item for item in self.variable_values.coerced.items() if isinstance(item[1], bool)
        )

    def collect_and_execute_subfields(
        self,
        return_type: GraphQLObjectType,
        field_details_list: FieldDetailsList,
        path: Path,
        result: Any,
        position_context: Any,
    ) -> AwaitableOrValue[dict[str, Any]]:
        """Complete the object `result`: by its plan, or else on the ordinary path."""
        plan: Plan | None
        plain: dict[str, Any]
        try:
            plan = self._find_plan(return_type, field_details_list)
            (plain,) = plan.complete([result])
        except Exception:  # noqa: BLE001  # the ordinary path meets it again, and reports it
            plan = None
        if plan is None:
            return super().collect_and_execute_subfields(
                return_type, field_details_list, path, result, position_context
            )
        if not plan.rest:
            return plain
        rest = self.execute_fields(return_type, result, path, plan.rest, position_context)
        if isinstance(rest, dict):
            return plan.join(plain, rest)
        return _join_later(plan, plain, rest)

    def _find_plan(self, type_: GraphQLObjectType, selected: FieldDetailsList) -> Plan:
        plans = self.context_value.plans
        key = (type_, self._conditions, *[id(details.node) for details in selected])
        plan = plans.get(key)
        if plan is None:
            if len(plans) == MAX_PLANS:
                raise NotPlain
            plan = plans[key] = self._compile(type_, selected)
        return plan

    def _compile(self, type_: GraphQLObjectType, selected: FieldDetailsList) -> Plan:
        fields = self.collect_subfields(type_, selected).grouped_field_set
        columns = {key: self._compile_field(type_, field) for key, field in fields.items()}
        plain = {key: complete for key, complete in columns.items() if complete}
        return Plan(
            nodes=[details.node for details in selected],
            keys=list(fields),
            complete=_compile_objects(type_, plain) if plain else _refuse,
            rest={key: field for key, field in fields.items() if key not in plain},
        )

    def _compile_field(
        self, parent: GraphQLObjectType, selected: FieldDetailsList
    ) -> Completer | None:
        """Return what turns objects into values of one of their fields; None: it is not plain."""
        name = selected[0].node.name.value
        if name == "__typename":
            return lambda objects: [parent.name] * len(objects)
        field = parent.fields[name]
        read = plain_reader(field)
        complete = self._compile_value(field.type, selected) if read else None
        if read is None or complete is None:
            return None
        return lambda objects: complete(list(map(read, objects)))

    def _compile_value(
        self, type_: GraphQLOutputType, selected: FieldDetailsList, *, nullable: bool = True
    ) -> Completer | None:
        """Return what completes values of one type; None: they are not plain."""
        if is_non_null_type(type_):
            return self._compile_value(type_.of_type, selected, nullable=False)
        complete: Completer | None = None
        if is_leaf_type(type_):
            complete = _compile_leaf(type_)
        elif is_list_type(type_):
            items = self._compile_value(type_.of_type, selected)
            complete = _compile_lists(items) if items else None
        elif is_object_type(type_):
            plan = self._compile(type_, selected)
            complete = None if plan.rest else plan.complete
        return _let_nulls_be(complete) if complete and nullable else complete


def plain_reader(field: GraphQLField) -> Callable[[Any], Any] | None:
    """Return what reads a field's value from an object; None: it takes more than the object.

    A resolver that gets nothing but `self` can only show in another form what is in hand.
    No guarded field is plain: its guard is an extension.
    """
    definition = field.extensions.get(_DEFINITION)
    if definition is None or definition.extensions or field.args:
        return None
    resolver = definition.base_resolver
    if resolver is None:
        return attrgetter(definition.python_name)
    if resolver.is_async or resolver.info_parameter or not resolver.self_parameter:
        return None
    read: Callable[[Any], Any] = resolver.wrapped_func
    return read


def _compile_leaf(type_: GraphQLLeafType) -> Completer:
    if type_ in _VERBATIM or type_.name == "DateTime":
        # Dates too, which orjson writes as the scalar does.
        verbatim = frozenset({_VERBATIM.get(type_, datetime)})
        return lambda values: _expect(verbatim, values)
    if isinstance(type_, GraphQLEnumType):
        enum = type_.extensions[_DEFINITION].wrapped_cls
        names = {member: type_.coerce_output_value(member) for member in enum}
        members = frozenset({enum})
        return lambda values: [names[value] for value in _expect(members, values)]

    def serialize(values: Sequence[Any]) -> Sequence[Any]:
        serialized = list(map(type_.coerce_output_value, _expect(_PLAIN_TYPES, values)))
        if None in serialized or Undefined in serialized:
            raise NotPlain
        return serialized

    return serialize


def _compile_lists(complete: Completer) -> Completer:
    return lambda lists: [complete(items) for items in _expect(_LIST, lists)]


def _compile_objects(type_: GraphQLObjectType, columns: Mapping[str, Completer]) -> Completer:
    definition = type_.extensions[_DEFINITION]
    class_ = frozenset({(definition.concrete_of or definition).origin})

    def complete(objects: Sequence[Any]) -> Sequence[Any]:
        _expect(class_, objects)
        rows = zip(*[column(objects) for column in columns.values()], strict=True)
        return [dict(zip(columns, row, strict=True)) for row in rows]

    return complete


def _let_nulls_be(complete: Completer) -> Completer:
    def complete_others(values: Sequence[Any]) -> Sequence[Any]:
        if NoneType not in set(map(type, values)):
            return complete(values)
        others = iter(complete([value for value in values if value is not None]))
        return [None if value is None else next(others) for value in values]

    return complete_others


def _expect(types: frozenset[type], values: Sequence[Any]) -> Sequence[Any]:
    """Return values that are exactly of these types.

    Raises:
        NotPlain: One is of another.
    """
    if not types.issuperset(map(type, values)):
        raise NotPlain
    return values


def _refuse(_: Sequence[Any]) -> Sequence[Any]:
    raise NotPlain


async def _join_later(
    plan: Plan, plain: dict[str, Any], rest: Awaitable[dict[str, Any]]
) -> dict[str, Any]:
    return plan.join(plain, await rest)
