"""What the page needs to make an example of each mutation, derived from the schema."""

from collections.abc import Mapping
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLSchema,
    get_named_type,
    get_nullable_type,
    is_enum_type,
    is_input_object_type,
    is_leaf_type,
    is_list_type,
    is_object_type,
    is_required_input_field,
)

from graphql_admin.actions import Action
from graphql_admin.admin.guards import Gated, guard_of
from graphql_admin.engine.fields import definition_of, secret_fields

_OF_TARGET = frozenset({"username", "groupName"})
"""The input fields for which the page has values."""

_OBJECTS = frozenset({"user", "group"})
"""The fields of payloads that show the target."""

_SAMPLES = {"Boolean": False, "Float": 0, "Int": 0}


def describe_changes(schema: GraphQLSchema) -> list[dict[str, Any]]:
    """Return the mutations: each one's action, its target, what else it takes, what it shows.

    `secrets` are input fields whose values a page makes up each time, and never stores.
    """
    root = schema.mutation_type
    secrets = secret_fields(schema)
    return [
        _describe(guard.action, field, secrets)
        for field in (root.fields.values() if root else ())
        if isinstance(guard := guard_of(definition_of(field)), Gated)
    ]


def _describe(
    action: Action, field: GraphQLField, secrets: Mapping[str, frozenset[str]]
) -> dict[str, Any]:
    input_ = get_named_type(field.args["input"].type)
    payload = get_named_type(field.type)
    return {
        "action": action.label,
        "target": _target(action),
        "creates": action.row.creates,
        "values": {
            name: _sample(each.type)
            for name, each in _fields(input_).items()
            if is_required_input_field(each) and name not in _OF_TARGET
        },
        "secrets": sorted(secrets.get(input_.name, ())),
        "showsObject": not _OBJECTS.isdisjoint(_fields(payload)),
        "shows": [
            name
            for name, each in _fields(payload).items()
            if is_leaf_type(get_named_type(each.type))
        ],
    }


def _target(action: Action) -> str | None:
    if action.is_for_oneself:
        return "oneself"
    return action.target.value if action.target else None


def _fields(type_: Any) -> dict[str, Any]:
    type_ = get_nullable_type(type_)
    return type_.fields if is_input_object_type(type_) or is_object_type(type_) else {}


def _sample(type_: Any) -> Any:
    """Return a placeholder of the right type, which may have to be edited."""
    type_ = get_nullable_type(type_)
    if is_list_type(type_):
        return []
    if is_enum_type(type_):
        return next(iter(type_.values))
    if is_input_object_type(type_):
        required = {n: each for n, each in type_.fields.items() if is_required_input_field(each)}
        return {name: _sample(each.type) for name, each in required.items()}
    return _SAMPLES.get(str(type_), "")
