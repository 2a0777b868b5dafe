"""Variables and arguments, coerced by functions that are compiled once per operation.

graphql-core walks the type of a value to coerce it, and Strawberry walks it once more to convert
the result to Python objects. Here one function per variable and argument does both. It accepts only
values that are exactly of its type. Any other raises `Unplanned`, before anything is executed, and
is left to those two, which coerce it or report what is wrong with it.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from graphql import (
    EnumValueNode,
    FieldNode,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLField,
    GraphQLID,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInt,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    Undefined,
    ValueNode,
    VariableNode,
    is_input_type,
    is_list_type,
    is_non_null_type,
    type_from_ast,
    value_from_ast,
)

from graphql_admin.engine.fallbacks import Unplanned
from graphql_admin.engine.fields import definition_of

VariableValues: TypeAlias = Mapping[str, Any]
"""The values of the variables that have one, by name, in the form that resolvers take."""

Reader: TypeAlias = Callable[[Any], Any]
"""Converts a JSON value to the form that resolvers take, or raises `Unplanned`."""

Builder: TypeAlias = Callable[[VariableValues], Any]
"""Builds the value of a literal, which may contain variables; may return `Undefined`."""

Arguments: TypeAlias = Callable[[VariableValues], dict[str, Any]]
"""Builds the arguments of a resolver, or the fields of an input."""

_INT = range(-(2**31), 2**31)


class Variables:
    """The variables of an operation.

    Raises:
        Unplanned: One has a type that is not supported here.
    """

    def __init__(self, schema: GraphQLSchema, operation: OperationDefinitionNode) -> None:
        self._readers: dict[str, Reader] = {}
        self._defaults: dict[str, Any] = {}
        self._required: set[str] = set()
        for definition in operation.variable_definitions or ():
            name = definition.variable.name.value
            type_ = type_from_ast(schema, definition.type)
            if not is_input_type(type_):
                raise Unplanned
            self._readers[name] = _compile_reader(type_)
            if definition.default_value is not None:
                self._defaults[name] = _compile_builder(type_, definition.default_value)({})
            elif is_non_null_type(type_):
                self._required.add(name)

    def read(self, given: Mapping[str, Any]) -> VariableValues:
        """Return the values of the variables.

        Args:
            given: VariableJSON values by name; may contain names that are no variables.

        Raises:
            Unplanned: A value is not exactly of its type.
        """
        if not self._required <= given.keys():
            raise Unplanned
        values = dict(self._defaults)
        for name, read in self._readers.items():
            if name in given:
                values[name] = read(given[name])
        return values


def compile_arguments(field: GraphQLField, node: FieldNode) -> Arguments:
    """Return a function that builds the arguments of a selected field's resolver.

    An argument that the document omits is omitted: the resolver has the same default as the schema.

    Raises:
        Unplanned: An argument is not supported here, or may not be for some values of variables.
    """
    return _compile_members(
        {argument.name.value: argument.value for argument in node.arguments or ()},
        {
            name: (definition_of(argument).python_name, argument.type)
            for name, argument in field.args.items()
        },
    )


def _compile_reader(type_: GraphQLInputType) -> Reader:
    if is_non_null_type(type_):
        return _compile_reader_of(type_.of_type)
    read = _compile_reader_of(type_)
    return lambda value: None if value is None else read(value)


def _compile_reader_of(type_: GraphQLInputType) -> Reader:
    """Return a function that reads non-null values of a type."""
    if is_list_type(type_):
        read_item = _compile_reader(type_.of_type)
        return lambda values: [read_item(value) for value in _exactly(list, values)]
    if isinstance(type_, GraphQLInputObjectType):
        return _compile_object_reader(type_)
    if isinstance(type_, GraphQLEnumType):
        members = _members(type_)
        return lambda name: members[_exactly(str, name)]
    if isinstance(type_, GraphQLScalarType):
        return _BUILT_IN.get(type_) or partial(_parse, type_)
    raise Unplanned


def _compile_object_reader(type_: GraphQLInputObjectType) -> Reader:
    definition = definition_of(type_)
    make, is_one_of = definition.origin, definition.is_one_of
    names = {name: definition_of(field).python_name for name, field in type_.fields.items()}
    readers = {name: _compile_reader(field.type) for name, field in type_.fields.items()}
    required = {name for name, field in type_.fields.items() if _is_required(field)}

    def read(value: Any) -> Any:
        given = _exactly(dict, value)
        if not required <= given.keys() <= readers.keys():
            raise Unplanned
        if is_one_of and (len(given) != 1 or None in given.values()):
            raise Unplanned
        return make(**{names[name]: readers[name](given[name]) for name in given})

    return read


def _compile_builder(type_: GraphQLInputType, node: ValueNode) -> Builder:
    if isinstance(node, VariableNode):
        return _compile_variable(node.name.value, nullable=not is_non_null_type(type_))
    if is_non_null_type(type_):
        type_ = type_.of_type
    if isinstance(node, NullValueNode):
        return lambda _: None
    if isinstance(type_, GraphQLInputObjectType):
        return _compile_object_builder(type_, node)
    if is_list_type(type_):
        return _compile_list_builder(type_.of_type, node)
    if isinstance(type_, GraphQLScalarType) and type_ not in _BUILT_IN:
        raise Unplanned  # it could contain variables
    if isinstance(node, EnumValueNode) and isinstance(type_, GraphQLEnumType):
        member = _members(type_)[node.value]
        return lambda _: member
    value = value_from_ast(node, type_)
    if value is Undefined:
        raise Unplanned
    return lambda _: value


def _compile_variable(name: str, *, nullable: bool) -> Builder:
    def build(values: VariableValues) -> Any:
        value = values.get(name, Undefined)
        if value is None and not nullable:
            raise Unplanned
        return value

    return build


def _compile_list_builder(type_: GraphQLInputType, node: ValueNode) -> Builder:
    if not isinstance(node, ListValueNode):
        raise Unplanned
    builders = [_compile_builder(type_, item) for item in node.values]

    def build(values: VariableValues) -> list[Any]:
        items = [builder(values) for builder in builders]
        if Undefined in items:
            raise Unplanned
        return items

    return build


def _compile_object_builder(type_: GraphQLInputObjectType, node: ValueNode) -> Builder:
    if not isinstance(node, ObjectValueNode):
        raise Unplanned
    definition = definition_of(type_)
    make, is_one_of = definition.origin, definition.is_one_of
    build_members = _compile_members(
        {field.name.value: field.value for field in node.fields},
        {
            name: (definition_of(field).python_name, field.type)
            for name, field in type_.fields.items()
        },
    )

    def build(values: VariableValues) -> Any:
        members = build_members(values)
        if is_one_of and (len(members) != 1 or None in members.values()):
            raise Unplanned
        return make(**members)

    return build


def _compile_members(
    written: Mapping[str, ValueNode], known: Mapping[str, tuple[str, GraphQLInputType]]
) -> Arguments:
    builders: Sequence[tuple[str, Builder]] = [
        (python_name, _compile_builder(type_, written[name]))
        for name, (python_name, type_) in known.items()
        if name in written
    ]

    def build(values: VariableValues) -> dict[str, Any]:
        members = {}
        for name, builder in builders:
            value = builder(values)
            if value is not Undefined:
                members[name] = value
        return members

    return build


def _members(type_: GraphQLEnumType) -> dict[str, Any]:
    definition = definition_of(type_)
    return {value.name: definition.wrapped_cls(value.value) for value in definition.values}


def _is_required(field: Any) -> bool:
    return is_non_null_type(field.type) and field.default_value is Undefined


def _exactly(class_: type, value: Any) -> Any:
    if type(value) is not class_:
        raise Unplanned
    return value


def _parse(type_: GraphQLScalarType, value: Any) -> Any:
    if value is None:  # which the parser of a scalar need not reject
        raise Unplanned
    return type_.parse_value(value)


def _read_int(value: Any) -> int:
    if type(value) is not int or value not in _INT:
        raise Unplanned
    return value


_BUILT_IN: Mapping[GraphQLScalarType, Reader] = {
    GraphQLString: partial(_exactly, str),
    GraphQLID: partial(_exactly, str),
    GraphQLBoolean: partial(_exactly, bool),
    GraphQLInt: _read_int,
}
