"""What the page needs to make an example of each mutation, derived from the schema."""

from typing import Any

from graphql import (
    GraphQLSchema,
    get_nullable_type,
    is_enum_type,
    is_input_object_type,
    is_list_type,
    is_required_input_field,
)

from graphql_admin.actions import Action

_OF_TARGET = frozenset({"username", "groupName"})
"""The input fields for which the page has values."""

_SAMPLES = {"Boolean": False, "Float": 0, "Int": 0}


def describe_changes(schema: GraphQLSchema) -> list[dict[str, Any]]:
    """Return the mutations: the action, the kind of target and the other inputs of each."""
    root = schema.mutation_type
    return [
        {
            "action": name,
            "target": _target(Action.labelled(name)),
            "values": {
                field_name: _sample(each.type)
                for field_name, each in _fields(field.args["input"].type).items()
                if is_required_input_field(each) and field_name not in _OF_TARGET
            },
        }
        for name, field in (root.fields.items() if root else ())
    ]


def _target(action: Action) -> str | None:
    if action.is_for_oneself:
        return "oneself"
    return action.target.value if action.target else None


def _fields(type_: Any) -> dict[str, Any]:
    type_ = get_nullable_type(type_)
    return type_.fields if is_input_object_type(type_) else {}


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
