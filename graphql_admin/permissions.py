"""Who may do what: the policy, and the guards that ask it before a field is resolved.

A field whose resolver may reach Cognito is made with `guarded`, and a mutation with `audited`;
the schema does not start with one that is not.
"""

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import lru_cache
from typing import Any

import strawberry
from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    SelectionSetNode,
)
from strawberry.extensions import FieldExtension
from strawberry.permission import BasePermission, PermissionExtension
from strawberry.types.field import StrawberryField

from graphql_admin import records
from graphql_admin.actions import Action
from graphql_admin.audit import Event, Outcome, outcome_of
from graphql_admin.auth import Caller
from graphql_admin.context import Info
from graphql_admin.errors import AdminError, Forbidden, Internal, Unauthenticated
from graphql_admin.settings import ANYONE, Grants


class Policy:
    """Which actions a caller's groups give; none, unless a grant says so.

    Args:
        grants: The actions that each group gives.
        disabled: Actions that nobody may do.
    """

    def __init__(self, grants: Grants, disabled: Collection[Action] = ()) -> None:
        self._grants = {group: actions.difference(disabled) for group, actions in grants.items()}
        self._of_anyone = self._grants.get(ANYONE, frozenset()).union(
            action for action in Action if action.open_to_signed_in and action not in disabled
        )
        self._of_groups = lru_cache(maxsize=1024)(self._actions_of_groups)

    def actions_of(self, caller: Caller | None) -> frozenset[Action]:
        """Return all that `caller` may do: nothing without a token."""
        if caller is None:
            return frozenset()
        return self._of_groups(caller.groups)

    def _actions_of_groups(self, groups: frozenset[str]) -> frozenset[Action]:
        return self._of_anyone.union(*(self._grants.get(group, ()) for group in groups))


class Guard(BasePermission):
    """A permission class that says which actions it asks for."""

    requirement: str
    """A sentence for the field's description."""

    opened_by: frozenset[Action]
    """The actions of which at least one is needed; where all of them are disabled, the field
    is not in the schema. Empty: the field is always in the schema."""

    def requirement_without(self, disabled: Collection[Action]) -> str:  # noqa: ARG002
        """Return the requirement as it stands where some actions are disabled."""
        return self.requirement

    @abstractmethod
    def required(self, info: Info, **arguments: Any) -> Action | None:
        """Return the action that this use of the field requires, or None."""

    def has_permission(self, source: Any, info: Info, **arguments: Any) -> bool:  # noqa: ARG002
        """Let the caller pass who may do what this use of the field requires.

        Raises:
            Unauthenticated: The request carries no token.
            Forbidden: The caller's groups do not give the action.
        """
        demand(info, self.required(info, **arguments))
        return True


class Requires(Guard):
    """The field requires one action."""

    def __init__(self, action: Action) -> None:
        self.action = action
        self.opened_by = frozenset({action})
        self.requirement = (
            "Requires a valid token."
            if action.open_to_signed_in
            else f"Requires the action `{action.label}`."
        )

    def required(self, info: Info, **arguments: Any) -> Action:  # noqa: ARG002
        """Return the action, whatever the arguments."""
        return self.action


class RequiresBeyondKey(Guard):
    """The field requires an action unless only key fields are selected below it.

    What identifies the object is known to a caller who just named it; all else has to be read.

    Args:
        action: The action that gives the rest.
        key: Names of the fields that come without it.
    """

    opened_by = frozenset()

    def __init__(self, action: Action, key: Collection[str]) -> None:
        self.action = action
        self.key = key
        self.requirement = f"Beyond the key, requires the action `{action.label}`."

    def requirement_without(self, disabled: Collection[Action]) -> str:
        """Return the requirement: nothing gives more than the key if the action is disabled."""
        return "Only the key is to be had." if self.action in disabled else self.requirement

    def required(self, info: Info, **arguments: Any) -> Action | None:  # noqa: ARG002
        """Return the action, or None where only key fields are selected."""
        return self.action if selects_beyond(info, self.key) else None


def demand(info: Info, action: Action | None) -> None:
    """Refuse the request unless its caller may do `action`; None is for whoever has a token.

    Raises:
        Unauthenticated: The request carries no token.
        Forbidden: The caller's groups do not give the action.
    """
    if action is not None:
        records.current().actions.add(action.label)
    signed_in(info)
    if action is not None and action not in info.context.allowed:
        raise Forbidden(f"You are not allowed to do this: it requires the action {action.label}.")


def signed_in(info: Info) -> Caller:
    """Return the request's caller.

    Raises:
        Unauthenticated: The request carries no token.
    """
    if info.context.caller is None:
        raise Unauthenticated
    return info.context.caller


def guarded(
    guard: Action | Guard, *, description: str, name: str | None = None
) -> Callable[[Callable[..., Any]], Any]:
    """Make a resolver into a field that is resolved only for those whom `guard` lets pass.

    Args:
        guard: The action that the field requires, or what tells it from the field's use.
        description: What the field gives; its requirement is added.
        name: The field's name in the schema, where it is not that of the resolver.
    """
    guard = Requires(guard) if isinstance(guard, Action) else guard
    return strawberry.field(  # type: ignore[no-any-return]  # the overloads end in Any
        name=name,
        description=f"{description} {guard.requirement}",
        extensions=[Guarding(guard)],
    )


class Guarding(PermissionExtension):
    """Lets a guard decide before a field is resolved.

    Strawberry's own waits for guards and looks at what they return. Ours wait for nothing, and
    raise.
    """

    def __init__(self, guard: Guard) -> None:
        super().__init__([guard], use_directives=False)
        self.guard = guard

    async def resolve_async(
        self, next_: Callable[..., Awaitable[Any]], source: Any, info: Info, **arguments: Any
    ) -> Any:
        """Resolve the field, if the guard lets the caller pass.

        Raises:
            Unauthenticated: The request carries no token.
            Forbidden: The caller's groups do not give the action.
        """
        if self.guard.has_permission(source, info, **arguments) is not True:
            raise Forbidden
        return await next_(source, info, **arguments)


class Audited(FieldExtension):
    """Writes one event for every use of a mutation, however it ends.

    An attempt begins when the field is executed. A request that is refused as a whole (no good
    token, a document or variables that do not fit) attempts nothing.

    Args:
        action: The action that the mutation is.
    """

    def __init__(self, action: Action) -> None:
        self.action = action

    async def resolve_async(
        self, next_: Callable[..., Awaitable[Any]], source: Any, info: Info, **arguments: Any
    ) -> Any:
        """Resolve the field with every extension below, unless no event could be written.

        Raises:
            AuditUnavailable: The sink of events does not work. Nothing was called.
        """
        # What is not an error of ours either is somebody's who cancelled the request.
        outcome = Outcome.UNKNOWN
        code: str | None = "CANCELLED"
        try:
            info.context.audit.demand()
            payload = await next_(source, info, **arguments)
            errors = [error.code.value for error in payload.errors]
            outcome, code = (Outcome.FAILED, errors[0]) if errors else (Outcome.DONE, None)
        except AdminError as error:
            outcome, code = outcome_of(error), error.code
            raise
        except Exception:  # a fault of ours: the client is told INTERNAL, and so is the event
            code = Internal.code
            raise
        finally:
            info.context.audit.write(self._event(info, arguments, outcome, code))
        return payload

    def _event(
        self, info: Info, arguments: Mapping[str, Any], outcome: Outcome, code: str | None
    ) -> Event:
        caller = info.context.caller
        given = arguments.get("input")
        target = getattr(given, "username", None)
        if target is None and caller is not None:
            target = caller.username  # a mutation that is for oneself needs no name
        return Event(
            request_id=records.current().id,
            sub=caller.sub if caller else None,
            username=caller.username if caller else None,
            groups=caller.groups if caller else (),
            action=self.action.label,
            target_username=target,
            target_group=getattr(given, "group_name", None),
            outcome=outcome,
            code=code,
        )


def audited(action: Action, *, description: str) -> Callable[[Callable[..., Any]], Any]:
    """Make a resolver into a mutation: `guarded`, with an event for every attempt.

    Its argument `input` has the target as `username` and `group_name`; its payload has `errors`.

    Args:
        action: The action that the mutation is.
        description: What the mutation does; its requirement is added.
    """

    def make(resolver: Callable[..., Any]) -> Any:
        field = guarded(action, description=description)(resolver)
        # The last is the outermost, so that a refusal by the guard passes it as well.
        field.extensions.append(Audited(action))
        return field

    return make


def is_audited(field: StrawberryField) -> bool:
    """Whether every use of a field, refused ones included, leaves an event."""
    return bool(field.extensions) and isinstance(field.extensions[-1], Audited)


def guard_of(field: StrawberryField) -> Guard | None:
    """Return the guard that a field was made with, if any."""
    return next((each.guard for each in field.extensions if isinstance(each, Guarding)), None)


def selects_beyond(info: Info, names: Collection[str], *, apart_from: Collection[str] = ()) -> bool:
    """Whether any field is selected below the current one that is not among `names`.

    Conditional selections (`@skip`, `@include`) count as selected.

    Args:
        info: Of the current field.
        names: Names of fields, as in the schema.
        apart_from: Object types that the object is not of. What fragments select of these does
            not count, where the field's type is abstract.
    """
    # Not `info.selected_fields`, which converts every argument and directive for it.
    asked = info._raw_info  # noqa: SLF001
    return any(
        _beyond(node.selection_set, names, apart_from, asked.fragments)
        for node in asked.field_nodes
    )


def _beyond(
    selections: SelectionSetNode | None,
    names: Collection[str],
    apart_from: Collection[str],
    fragments: Mapping[str, FragmentDefinitionNode],
) -> bool:
    for node in selections.selections if selections else ():
        if isinstance(node, FieldNode):
            if node.name.value not in names:
                return True
            continue
        fragment = fragments[node.name.value] if isinstance(node, FragmentSpreadNode) else node
        assert isinstance(fragment, FragmentDefinitionNode | InlineFragmentNode)  # noqa: S101
        condition = fragment.type_condition
        is_apart = condition is not None and condition.name.value in apart_from
        if not is_apart and _beyond(fragment.selection_set, names, apart_from, fragments):
            return True
    return False


def iam_policy(pool_arn: str, actions: Collection[Action]) -> dict[str, Any]:
    """Return the least IAM policy with which this server can carry out `actions`.

    Args:
        pool_arn: ARN of the user pool.
        actions: The enabled actions.
    """
    operations = sorted({operation for action in actions for operation in action.operations})
    statement = {
        "Sid": "AdministerUserPool",
        "Effect": "Allow",
        "Action": [f"cognito-idp:{operation}" for operation in operations],
        "Resource": pool_arn,
    }
    # IAM takes no statement without an action.
    return {"Version": "2012-10-17", "Statement": [statement] if operations else []}
