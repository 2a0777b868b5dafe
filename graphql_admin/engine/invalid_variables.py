"""What is wrong with the variables of a request: which, where in it, and by what rule.

No message repeats a value, which may be personal. Where introspection is off, a message also names
nothing of the schema that the client did not name.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from graphql import (
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLSchema,
    OperationDefinitionNode,
    Undefined,
    coerce_input_value,
    is_input_type,
    is_list_type,
    is_non_null_type,
    is_required_input_field,
    print_ast,
    type_from_ast,
)

from graphql_admin.engine.fields import definition_of
from graphql_admin.errors import BadUserInput

MAX_ERRORS = 10
"""Errors of variables, of which each has one at most."""

_NAME = re.compile(r"[_A-Za-z][_0-9A-Za-z]{0,63}")
"""A key that may be repeated, since it can be the name of a field."""


class _Problem(NamedTuple):
    """Something that is wrong with a part of a variable."""

    path: str
    """The part, such as `filter.email`; the variable's name for all of it."""

    rule: str
    """What the part must be, as the end of a sentence that starts with it."""

    is_type: bool = False
    """Whether it is not of its type at all."""


def find_invalid_variables(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    given: Mapping[str, Any],
    *,
    hidden: bool,
) -> list[GraphQLError]:
    """Return an error for each variable that is not valid, up to `MAX_ERRORS`.

    Args:
        schema: The schema.
        operation: The operation, of a valid document.
        given: The variables as the client sent them.
        hidden: Whether messages must not disclose the schema.
    """
    errors: list[GraphQLError] = []
    for definition in operation.variable_definitions or ():
        name, type_ = definition.variable.name.value, type_from_ast(schema, definition.type)
        if not is_input_type(type_) or len(errors) == MAX_ERRORS:
            continue
        problem = None
        if name in given:
            problem = _find(type_, given[name], name, hidden=hidden)
        elif is_non_null_type(type_) and definition.default_value is None:
            problem = _Problem(name, "", is_type=True)
        if problem is None:
            continue
        message = f"Variable `${name}` is not valid: `{problem.path}` {problem.rule}."
        if problem.is_type and problem.path == name:  # its type is in the document
            message = f"Variable `${name}` must be a `{print_ast(definition.type)}`."
        cause = BadUserInput(message, field=problem.path)
        errors.append(GraphQLError(message, definition, original_error=cause))
    return errors


def _find(type_: GraphQLInputType, value: Any, path: str, *, hidden: bool) -> _Problem | None:
    if value is None:
        is_valid = not is_non_null_type(type_)
        return None if is_valid else _Problem(path, "must not be null", is_type=True)
    if is_non_null_type(type_):
        type_ = type_.of_type
    if is_list_type(type_):
        if not isinstance(value, list):  # a list of one may be written without brackets
            return _find(type_.of_type, value, path, hidden=hidden)
        found = (
            _find(type_.of_type, item, f"{path}.{place}", hidden=hidden)
            for place, item in enumerate(value)
        )
        return next(filter(None, found), None)
    if isinstance(type_, GraphQLInputObjectType):
        return _find_in_object(type_, value, path, hidden=hidden)
    if coerce_input_value(value, type_) is Undefined:
        return _mistyped(type_, path, hidden=hidden)
    return None


def _find_in_object(
    type_: GraphQLInputObjectType, value: Any, path: str, *, hidden: bool
) -> _Problem | None:
    if not isinstance(value, dict):
        return _mistyped(type_, path, hidden=hidden)
    for name in value:
        if name not in type_.fields:
            is_name = _NAME.fullmatch(name)
            rule = f"has an unknown field, `{name}`" if is_name else "has an unknown field"
            return _Problem(path, rule)
    for name, field in type_.fields.items():
        if name not in value and is_required_input_field(field):
            if hidden:
                return _Problem(path, "is not complete")
            return _Problem(f"{path}.{name}", "is required")
    if definition_of(type_).is_one_of and (len(value) != 1 or None in value.values()):
        fields = "field" if hidden else f"field of `{type_}`"
        return _Problem(path, f"must set exactly one {fields}, and not to null")
    found = (
        _find(type_.fields[name].type, member, f"{path}.{name}", hidden=hidden)
        for name, member in value.items()
    )
    return next(filter(None, found), None)


def _mistyped(type_: GraphQLInputType, path: str, *, hidden: bool) -> _Problem:
    rule = "is not of the type that is expected here" if hidden else f"must be a `{type_}`"
    return _Problem(path, rule, is_type=True)
