"""Completes resolved values column by column: what a selection takes is compiled once.

A column is the values of one field in many objects. Most columns are plain data, which need no
more than a look at their types; a field that takes a resolver is left for later.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
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

from graphql_admin.engine.arguments import Arguments
from graphql_admin.engine.fallbacks import Unplanned
from graphql_admin.engine.fields import FieldReader, definition_of

Completer: TypeAlias = Callable[[Sequence[Any], "list[Pending]"], Sequence[Any]]
"""Turns resolved values into values of the response; raises if one of them is not plain data.

Fields below that take a resolver are null in them for the time being, and pending.
"""

_VERBATIM: Mapping[str, type] = {
    "String": str,
    "ID": str,
    "Boolean": bool,
    "DateTime": str,
}
"""Types of which a value of exactly this Python type is its own serialized form."""

_PLAIN_TYPES = frozenset({str, bool, int, float})
"""Python types of plain data: neither an exception nor anything to await."""

_LIST = frozenset({list})


@dataclass(frozen=True, slots=True, eq=False)
class Resolved:
    """A field that takes its resolver: how to call it, and how to complete what it returns."""

    key: str
    """Its key in the response."""
    nodes: list[FieldNode]
    """Where it is selected."""
    nullable: bool
    definition: StrawberryField
    arguments: Arguments
    resolve: Callable[..., Awaitable[Any]]
    complete: Completer


class Column(NamedTuple):
    """A field that shows what its object holds."""

    of_many: Completer
    """Returns its values in many objects."""

    of_one: Callable[[Any, "list[Pending]"], Any]
    """Returns its value in one object: the same, for less ado."""


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


def compile_verbatim_column(read: FieldReader, types: frozenset[type]) -> Column:
    """Return what completes values that are their own serialized forms.

    Args:
        read: Reads the values from their objects.
        types: The types that a value may be exactly of.
    """

    def complete(objects: Sequence[Any], _: list[Pending]) -> Sequence[Any]:
        values = read.of_many(objects)
        if not types.issuperset(map(type, values)):
            raise Unplanned
        return values

    def complete_one(object_: Any, _: list[Pending]) -> Any:
        value = read.of_one(object_)
        if type(value) not in types:
            raise Unplanned
        return value

    return Column(complete, complete_one)


def compile_column(read: FieldReader, complete: Completer) -> Column:
    """Return what completes values with `complete`; `read` reads them from their objects."""
    return Column(
        lambda objects, pending: complete(read.of_many(objects), pending),
        lambda object_, pending: complete([read.of_one(object_)], pending)[0],
    )


def compile_constant_column(value: Any) -> Column:
    """Return what gives every object the same value."""
    return Column(lambda objects, _: [value] * len(objects), lambda _, __: value)


def compile_leaf(type_: GraphQLLeafType, *, nullable: bool) -> Completer:
    """Return what completes values of a scalar or an enum."""
    complete = _compile_enum(type_) if isinstance(type_, GraphQLEnumType) else _serialize(type_)
    return let_nulls_be(complete) if nullable else complete


def _compile_enum(type_: GraphQLEnumType) -> Completer:
    enum = definition_of(type_).wrapped_cls
    # By identity, for the hash of a member is a call of Python; the class keeps its members.
    names = {id(member): type_.coerce_output_value(member) for member in enum}
    members = frozenset({enum})
    return lambda values, _: list(map(names.__getitem__, map(id, _expect(members, values))))


def _serialize(type_: GraphQLLeafType) -> Completer:
    def serialize(values: Sequence[Any], _: list[Pending]) -> Sequence[Any]:
        serialized = list(map(type_.coerce_output_value, _expect(_PLAIN_TYPES, values)))
        if None in serialized or Undefined in serialized:
            raise Unplanned
        return serialized

    return serialize


def compile_lists(complete: Completer) -> Completer:
    """Return what completes lists of what `complete` completes."""
    return lambda lists, pending: [complete(items, pending) for items in _expect(_LIST, lists)]


def compile_abstract(completers: Mapping[type, Completer]) -> Completer:
    """Return what completes objects of several classes."""
    return lambda objects, pending: [completers[type(each)]([each], pending)[0] for each in objects]


def compile_objects(
    class_: type, keys: Sequence[str], columns: Sequence[Column | Resolved]
) -> Completer:
    """Return what completes objects of one class.

    Args:
        class_: The class.
        keys: The keys of each in the response.
        columns: The values of each key, or the field that is resolved for it.
    """
    classes = frozenset({class_})
    resolved = [column for column in columns if isinstance(column, Resolved)]
    later = compile_constant_column(None)
    shown = [later if isinstance(column, Resolved) else column for column in columns]
    make = _dicts(len(keys))(*keys)
    of_many, of_one = [each.of_many for each in shown], [each.of_one for each in shown]

    def complete(objects: Sequence[Any], pending: list[Pending]) -> Sequence[Any]:
        _expect(classes, objects)
        if len(objects) == 1:
            targets = make([[read(objects[0], pending) for read in of_one]])
        elif keys:
            targets = make(zip(*[read(objects, pending) for read in of_many], strict=True))
        else:
            targets = [{} for _ in objects]
        for each in resolved:
            pending += map(partial(Pending, each), objects, targets)
        return targets

    return complete


@lru_cache
def _dicts(size: int) -> Callable[..., Callable[[Iterable[Iterable[Any]]], list[dict[str, Any]]]]:
    """Return what takes `size` keys and returns what makes dictionaries of rows of `size` values.

    It does what `dict(zip(keys, row))` does for each row, in half the time: the dictionary is
    written out. A request for 60 users by 10 fields takes 7 % more instructions without (4.43 and
    4.14 million). Nothing but the size goes into the text that is compiled.
    """
    keys = [f"k{place}" for place in range(size)]
    values = [f"v{place}" for place in range(size)]
    row, display = ", ".join(values), ", ".join(map("{}: {}".format, keys, values))
    make = f"lambda {', '.join(keys)}: lambda rows: [{{{display}}} for [{row}] in rows]"
    return eval(make)  # type: ignore[no-any-return]  # noqa: S307  # see above


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
        Unplanned: One is of another.
    """
    if not types.issuperset(map(type, values)):
        raise Unplanned
    return values
