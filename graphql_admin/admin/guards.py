"""The guards of fields, which check the caller's rights before a field is resolved.

A field whose resolver may call Cognito is made with `guarded`; the server does not start with one
that is not.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import lru_cache
from typing import Any

import strawberry
from graphql import GraphQLField, GraphQLObjectType
from strawberry.extensions import FieldExtension
from strawberry.types.field import StrawberryField

from graphql_admin.actions import Action
from graphql_admin.admin.context import Info
from graphql_admin.engine.fields import definition_of, is_of_key
from graphql_admin.engine.selections import Selections


class Guard(FieldExtension, ABC):
    """Resolves a field only for callers that may do what this use of it requires.

    Not Strawberry's `PermissionExtension`, which awaits each permission and checks what it returns:
    a guard waits for nothing, and raises.
    """

    @abstractmethod
    def requirement(self, disabled: Collection[Action] = ()) -> str:
        """Return what the field requires where some actions are disabled: a sentence."""

    @abstractmethod
    def is_closed(self, disabled: Collection[Action]) -> bool:
        """Whether the field is unusable where some actions are disabled."""

    @abstractmethod
    def demand(self, info: Info) -> None:
        """Reject the request unless its caller may do what this use of the field requires.

        Raises:
            Unauthenticated: The request carries no token.
            Forbidden: The caller's groups do not give the action.
        """

    async def resolve_async(
        self, next_: Callable[..., Awaitable[Any]], source: Any, info: Info, **arguments: Any
    ) -> Any:
        """Resolve the field, if the caller may do what it requires.

        Raises:
            Unauthenticated: The request carries no token.
            Forbidden: The caller's groups do not give the action.
        """
        self.demand(info)
        return await next_(source, info, **arguments)


class Requires(Guard):
    """The field requires one action.

    Args:
        action: The action.
        key_of: The object type that the field returns, if its key fields do not require the action:
            a client that named the object learns nothing from them that it did not send itself.
        known: Names of further fields that do not require the action, because the caller knows
            their values.
    """

    def __init__(
        self, action: Action, *, key_of: str | None = None, known: Collection[str] = ()
    ) -> None:
        self.action = action
        self.key_of = key_of
        self.known = frozenset(known)

    def requirement(self, disabled: Collection[Action] = ()) -> str:
        """Return what the field requires where some actions are disabled: a sentence."""
        if self.key_of is not None:
            gives_rest = [] if self.action in disabled else [f"`{self.action.label}`"]
            return _requirement_beyond_key(gives_rest)
        if self.action.open_to_signed_in:
            return "Requires a valid token."
        return f"Requires the action `{self.action.label}`."

    def is_closed(self, disabled: Collection[Action]) -> bool:
        """Whether the field is unusable where some actions are disabled."""
        return self.key_of is None and self.action in disabled

    def demand(self, info: Info) -> None:
        """Reject the request unless its caller may do the action, or it selects only key fields."""
        if self.key_of is None or selects_beyond_key(info, self.key_of, known=self.known):
            info.context.demand(self.action)
        else:
            info.context.demand_token()


class RequiresByType(Guard):
    """Each object that the field returns requires an action by its type.

    The guard requires only a valid token. The resolver checks the action for each object, so that
    an object that is denied does not affect the others.

    Args:
        actions: The required actions by type name.
        has_key: Whether the key fields of an object do not require the action.
    """

    def __init__(self, actions: Mapping[str, Action], *, has_key: bool) -> None:
        self.actions = actions
        self.has_key = has_key

    def requirement(self, disabled: Collection[Action] = ()) -> str:
        """Return what the field requires where some actions are disabled: a sentence."""
        enabled = [
            f"`{action.label}` for a {typename}"
            for typename, action in self.actions.items()
            if action not in disabled
        ]
        if self.has_key:
            return _requirement_beyond_key(enabled)
        return f"Requires the action {', '.join(enabled)}."

    def is_closed(self, disabled: Collection[Action]) -> bool:
        """Whether the field is unusable where some actions are disabled."""
        return not self.has_key and set(disabled).issuperset(self.actions.values())

    def demand(self, info: Info) -> None:
        """Reject the request unless its caller has a token."""
        info.context.demand_token()


class Gated(Requires):
    """The field is a mutation: the gate checks the action, and records an attempt without it."""

    def resolve_async(
        self, next_: Callable[..., Awaitable[Any]], source: Any, info: Info, **arguments: Any
    ) -> Any:
        """Resolve the field, whatever the caller's rights."""
        return next_(source, info, **arguments)


def guarded(
    guard: Action | Guard, *, description: str, name: str | None = None
) -> Callable[[Callable[..., Any]], Any]:
    """Make a resolver into a field with a guard.

    Args:
        guard: The action that the field requires, or a guard that derives it from the use of the
            field.
        description: What the field returns; its requirement is appended.
        name: The field's name in the schema, where it is not that of the resolver.
    """
    guard = Requires(guard) if isinstance(guard, Action) else guard
    return strawberry.field(  # type: ignore[no-any-return]  # the overloads end in Any
        name=name,
        description=f"{description} {guard.requirement()}",
        extensions=[guard],
    )


def guard_of(field: StrawberryField) -> Guard | None:
    """Return the guard that a field was made with, if any."""
    return next((each for each in field.extensions if isinstance(each, Guard)), None)


def _requirement_beyond_key(actions: Collection[str]) -> str:
    if not actions:
        return "Only the key fields are available."
    return f"Beyond the key, requires the action {', '.join(actions)}."


def takes_call(field: GraphQLField) -> bool:
    """Tell whether a field's resolver may call Cognito: the action of its guard has operations.

    Derived from the schema, so that there is no second table to keep up to date.
    """
    guard = guard_of(definition_of(field))
    return guard is not None and not (isinstance(guard, Requires) and not guard.action.operations)


def selects_beyond_key(info: Info, typename: str, *, known: frozenset[str] = frozenset()) -> bool:
    """Whether any field beyond an object's key is selected below the current field.

    Args:
        info: The info of the current field.
        typename: The object's type.
        known: Names of further fields that count as key fields.
    """
    return selects_beyond(info, typename, key_fields(info, typename, known=known))


def key_fields(info: Info, typename: str, *, known: frozenset[str] = frozenset()) -> frozenset[str]:
    """Return the names of the fields of an object type that need only its key.

    They are those that return the key, and those with their own guard, which start from it.

    Args:
        info: The info of any field.
        typename: The object's type.
        known: Names of further fields that count as key fields.
    """
    return _key_fields(_object_type(info, typename), known)


def selects_name(info: Info, typename: str) -> bool:
    """Whether a field that returns an object's key is selected below the current field."""
    return selects_beyond(info, typename, _other_key_fields(_object_type(info, typename)))


@lru_cache(maxsize=64)
def _other_key_fields(type_: GraphQLObjectType) -> frozenset[str]:
    """Return the names of the key fields that start from the key, and do not return it."""
    of_key = {name for name, field in type_.fields.items() if is_of_key(definition_of(field))}
    return _key_fields(type_, frozenset()) - of_key


@lru_cache(maxsize=64)
def _key_fields(type_: GraphQLObjectType, known: frozenset[str]) -> frozenset[str]:
    definitions = {name: definition_of(field) for name, field in type_.fields.items()}
    of_key = (name for name, each in definitions.items() if is_of_key(each) or guard_of(each))
    return known.union(("__typename", *of_key))


def selects_beyond(info: Info, typename: str, names: frozenset[str]) -> bool:
    """Whether any field that is not in `names` is selected of the current field's value.

    Conditional selections (`@skip`, `@include`) count as selected.

    Args:
        info: The info of the current field.
        typename: The object type of the value; the type of the field may be abstract.
        names: Names of fields, as in the schema.
    """
    # Not `info.selected_fields`, which converts every argument and directive.
    asked = info._raw_info  # noqa: SLF001
    selections = Selections(asked.schema, asked.fragments)
    sets = [node.selection_set for node in asked.field_nodes]
    return selections.go_beyond(_object_type(info, typename), sets, names)


def _object_type(info: Info, typename: str) -> GraphQLObjectType:
    type_ = info._raw_info.schema.type_map[typename]  # noqa: SLF001
    assert isinstance(type_, GraphQLObjectType)  # noqa: S101  # types with keys are
    return type_
