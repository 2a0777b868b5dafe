"""Completes resolved values column by column: what a selection takes is compiled once.

A column is the values of one field in many objects. Most columns are plain data, which need no
more than a look at their types; a field that takes a resolver is left for later.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import repeat
from types import NoneType
from typing import Any, NamedTuple, TypeAlias

from graphql import (
    FieldNode,
    GraphQLEnumType,
    GraphQLLeafType,
    GraphQLOutputType,
    is_non_null_type,
)
from graphql.pyutils import Undefined
from strawberry.types.field import StrawberryField

from graphql_admin.fields import definition_of
from graphql_admin.inputs import Values

Completer: TypeAlias = Callable[[Sequence[Any], "list[Pending]"], Sequence[Any]]
"""Turns resolved values into values of the response; raises if one of them is not plain data.

Fields below that take a resolver are null in them for the time being, and pending.
"""

_VERBATIM: Mapping[str, type] = {
    "String": str,
    "ID": str,
    "Boolean": bool,
    "DateTime": datetime,  # which orjson writes as the scalar does
}
"""Types of which a value of exactly this Python type is its own serialized form."""

_PLAIN_TYPES = frozenset({str, bool, int, float, datetime})
"""Python types of plain data: neither an exception nor anything to await."""

_LIST = frozenset({list})


class NotPlain(Exception):
    """This cannot be completed as plain data."""


@dataclass(frozen=True, slots=True, eq=False)
class Resolved:
    """A field that takes its resolver: how to call it, and how to complete what it returns."""

    key: str
    """Its key in the response."""
    nodes: list[FieldNode]
    """Where it is selected."""
    nullable: bool
    definition: StrawberryField
    arguments: Callable[[Values], dict[str, Any]]
    resolve: Callable[..., Awaitable[Any]]
    complete: Completer


class Pending(NamedTuple):
    """A field of one object, yet to be resolved."""

    field: Resolved
    source: Any
    """The object."""
    target: dict[str, Any]
    """The object in the response."""


def verbatim(type_: GraphQLOutputType) -> frozenset[type] | None:
    """Return the Python types of which a value is its own serialized form; None: of none."""
    if is_non_null_type(type_):
        inner = _VERBATIM.get(getattr(type_.of_type, "name", ""))
        return frozenset({inner}) if inner else None
    inner = _VERBATIM.get(getattr(type_, "name", ""))
    return frozenset({inner, NoneType}) if inner else None


def compile_verbatim_column(read: Callable[[Any], Any], types: frozenset[type]) -> Completer:
    """Return what completes a column of values that are their own serialized forms."""

    def complete(objects: Sequence[Any], _: list[Pending]) -> Sequence[Any]:
        values = list(map(read, objects))
        if not types.issuperset(map(type, values)):
            raise NotPlain
        return values

    return complete


def compile_leaf(type_: GraphQLLeafType, *, nullable: bool) -> Completer:
    """Return what completes values of a scalar or an enum."""
    complete = _compile_enum(type_) if isinstance(type_, GraphQLEnumType) else _serialize(type_)
    return let_nulls_be(complete) if nullable else complete


def _compile_enum(type_: GraphQLEnumType) -> Completer:
    enum = definition_of(type_).wrapped_cls
    names = {member: type_.coerce_output_value(member) for member in enum}
    members = frozenset({enum})
    return lambda values, _: list(map(names.__getitem__, _expect(members, values)))


def _serialize(type_: GraphQLLeafType) -> Completer:
    def serialize(values: Sequence[Any], _: list[Pending]) -> Sequence[Any]:
        serialized = list(map(type_.coerce_output_value, _expect(_PLAIN_TYPES, values)))
        if None in serialized or Undefined in serialized:
            raise NotPlain
        return serialized

    return serialize


def compile_lists(complete: Completer) -> Completer:
    """Return what completes lists of what `complete` completes."""
    return lambda lists, pending: [complete(items, pending) for items in _expect(_LIST, lists)]


def compile_abstract(completers: Mapping[type, Completer]) -> Completer:
    """Return what completes objects of several classes."""
    return lambda objects, pending: [completers[type(each)]([each], pending)[0] for each in objects]


def compile_objects(
    class_: type, keys: Sequence[str], columns: Sequence[Completer | Resolved]
) -> Completer:
    """Return what completes objects of one class.

    Args:
        class_: The class.
        keys: The keys of each in the response.
        columns: The values of each key, or the field that is resolved for it.
    """
    classes = frozenset({class_})
    resolved = [column for column in columns if isinstance(column, Resolved)]

    def complete(objects: Sequence[Any], pending: list[Pending]) -> Sequence[Any]:
        _expect(classes, objects)
        nulls = [None] * len(objects)
        completed = [
            nulls if isinstance(column, Resolved) else column(objects, pending)
            for column in columns
        ]
        rows = zip(*completed, strict=True) if completed else [()] * len(objects)
        targets = list(map(dict, map(zip, repeat(keys), rows)))
        for each in resolved:
            pending += map(partial(Pending, each), objects, targets)
        return targets

    return complete


def let_nulls_be(complete: Completer) -> Completer:
    """Return what completes values of which some may be null."""

    def complete_others(values: Sequence[Any], pending: list[Pending]) -> Sequence[Any]:
        if NoneType not in set(map(type, values)):
            return complete(values, pending)
        others = iter(complete([value for value in values if value is not None], pending))
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
