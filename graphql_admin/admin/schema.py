"""The schema, joined from the features, and its checks at start-up."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from copy import copy
from enum import Enum
from inspect import isabstract
from itertools import chain
from typing import Literal

import strawberry
import structlog
from graphql import GraphQLObjectType, GraphQLSchema, get_named_type
from strawberry.federation.schema import FederationAny
from strawberry.federation.schema import Schema as FederationSchema
from strawberry.federation.schema_directives import Authenticated, Policy
from strawberry.schema.config import StrawberryConfig
from strawberry.types.base import StrawberryObjectDefinition, get_object_definition
from strawberry.types.field import StrawberryField

from graphql_admin.actions import Action
from graphql_admin.admin import (
    accounts,
    allowed,
    changes,
    federation,
    group_changes,
    passwords,
    user_auth_events,
    user_creation,
    user_devices,
    user_factors,
    user_identities,
    user_pool,
    user_sessions,
    user_updates,
)
from graphql_admin.admin.context import Info
from graphql_admin.admin.features import Feature
from graphql_admin.admin.groups import types as groups
from graphql_admin.admin.guards import Gated, Guard, Requires, guard_of, guarded
from graphql_admin.admin.mutations import goes_through_gate
from graphql_admin.admin.plain import plain_sdl
from graphql_admin.admin.self_check import plans_hold
from graphql_admin.admin.users import types as users
from graphql_admin.cognito.operations import Timestamp, parse_timestamp
from graphql_admin.engine.fields import definition_of, is_shown
from graphql_admin.engine.runner import Runner, other_versions

log = structlog.get_logger(__name__)

FEDERATION_VERSION: Literal["2.9"] = "2.9"
"""The latest version that both Apollo's and Hive's composers support."""

SCHEMA_RESOLVERS = frozenset(
    {
        "Query._service",
        "_Service.sdl",
    }
)
"""Fields with a resolver and without a guard, because they return only the schema itself."""

ANY = strawberry.scalar(
    name="_Any",
    description="A representation of an entity: its `__typename` and the fields of a key.",
    serialize=lambda value: value,
    parse_value=lambda value: value,
)

DATE_TIME = strawberry.scalar(
    name="DateTime",
    description="A date and time in UTC, with milliseconds: `2023-11-14T22:13:20.000Z`.",
    specified_by_url="https://scalars.graphql.org/andimarek/date-time.html",
    serialize=lambda value: value,
    parse_value=parse_timestamp,
)


@strawberry.enum(description="Whether a caller is a user or an app client.")
class CallerKind(Enum):
    PERSON = strawberry.enum_value(
        "PERSON", description="A user of the pool. Their groups give them their rights."
    )
    MACHINE = strawberry.enum_value(
        "MACHINE",
        description="An app client with a token of the client credentials grant. The token's "
        "scopes give it its rights.",
    )


@strawberry.type(description="The caller, as identified by their token.")
class Viewer:
    kind: CallerKind = strawberry.field(description="Whether the caller is a person or a machine.")
    username: str = strawberry.field(
        description="The caller's username; for a machine, its client id."
    )
    sub: str = strawberry.field(description="The caller's `sub`; for a machine, its client id.")
    groups: list[str] = strawberry.field(
        description="The groups in the token; empty for a machine."
    )
    actions: list[str] = strawberry.field(
        description="Names of the actions that the caller may take."
    )


@strawberry.type
class ViewerQuery:
    @guarded(Action.VIEWER, description="The caller and their rights.")
    async def viewer(self, info: Info) -> Viewer | None:
        caller = info.context.demand_token()
        return Viewer(
            kind=CallerKind.MACHINE if caller.is_machine else CallerKind.PERSON,
            username=caller.username or caller.sub,
            sub=caller.sub,
            groups=sorted(caller.groups),
            actions=[action.label for action in Action if action in info.context.rights.actions],
        )


@strawberry.type(name="_Service", description="This server as a subgraph in Apollo Federation.")
class Service:
    @strawberry.field(description="The schema in SDL, for composition.")
    def sdl(self, info: Info) -> str:
        return str(info.schema)


@strawberry.type
class ServiceQuery:
    @strawberry.field(
        name="_service", description="The subgraph's service definition, for Apollo Federation."
    )
    def service(self) -> Service:
        return Service()


FEATURES = (
    Feature(query=ViewerQuery),
    users.FEATURE,
    groups.FEATURE,
    user_pool.FEATURE,
    allowed.FEATURE,
    federation.FEATURE,
    changes.FEATURE,
    user_creation.FEATURE,
    user_updates.FEATURE,
    accounts.FEATURE,
    passwords.FEATURE,
    user_factors.FEATURE,
    user_sessions.FEATURE,
    user_devices.FEATURE,
    user_auth_events.FEATURE,
    user_identities.FEATURE,
    group_changes.FEATURE,
    Feature(query=ServiceQuery),
)
"""The features of the schema, in the order of its root fields."""


class AdminSchema(FederationSchema):
    """The schema without the fields of disabled actions.

    Args:
        disabled: The disabled actions.
        features: The features of the schema.
        service: Whether there is the field `_service`, for gateways.
        node_field: Whether there is the field `node`.
        auth_directives: Whether guarded fields also have the directives of federation for what they
            require.

    Raises:
        UnguardedField: A resolver could call Cognito without a guard.
        UngatedMutation: A mutation does not go through the gate, or has no target.
    """

    def __init__(
        self,
        disabled: Collection[Action] = (),
        *,
        features: Sequence[Feature] = FEATURES,
        service: bool = True,
        node_field: bool = True,
        auth_directives: bool = False,
    ) -> None:
        self._disabled = frozenset(disabled)
        self._service = service
        self._node_field = node_field
        self._auth_directives = auth_directives
        self._added = [feature.extends for feature in features]
        mutation = _join("Mutation", "Admin mutations.", [each.mutation for each in features])
        can_change = bool(self.get_fields(get_object_definition(mutation, strict=True)))
        super().__init__(
            query=_join("Query", "Admin queries.", [each.query for each in features]),
            mutation=mutation if can_change else None,
            config=StrawberryConfig(disable_field_suggestions=True),
            scalar_overrides={FederationAny: ANY, Timestamp: DATE_TIME},
            federation_version=FEDERATION_VERSION,
        )
        if unguarded := list(self._find_unguarded()):
            raise UnguardedField(f"no guard for {', '.join(unguarded)}")
        if ungated := list(self._find_ungated()):
            raise UngatedMutation("; ".join(ungated))
        self.runner = self._make_runner()
        """Executes the operations of clients."""

    @property
    def graphql_schema(self) -> GraphQLSchema:
        """graphql-core's schema."""
        return self._schema

    def as_plain_str(self) -> str:
        """Return the schema in SDL without Apollo Federation."""
        return plain_sdl(self.as_str())

    def _make_runner(self) -> Runner:
        runner = Runner(self._schema, self.execution_context_class)
        versions = other_versions()
        if not versions:
            return runner
        if plans_hold(self._schema, runner):
            log.info("plans hold with versions other than the locked ones", installed=versions)
            return Runner(self._schema, self.execution_context_class)
        log.warning(
            "every operation takes the ordinary path: plans do not hold", installed=versions
        )
        return Runner(self._schema, self.execution_context_class, plans_hold=False)

    @property
    def schema_directives_in_use(self) -> list[object]:
        """The directives that `@link` imports."""
        # Strawberry finds the directives on fields of types, not on those that `get_fields` adds.
        added = [Authenticated(), Policy(policies=[])] if self._auth_directives else []
        return [*super().schema_directives_in_use, *added]

    def get_fields(self, type_definition: StrawberryObjectDefinition) -> list[StrawberryField]:
        """Return the fields of a type in this schema."""
        added = (each.get(type_definition.origin, ()) for each in self._added)
        fields = [*type_definition.fields, *chain.from_iterable(added)]
        fields = [self._redescribe(field) for field in fields if not self._is_disabled(field)]
        return list(map(_with_auth_directive, fields)) if self._auth_directives else fields

    def _is_disabled(self, field: StrawberryField) -> bool:
        if field.graphql_name == "_service" and not self._service:
            return True
        if field.graphql_name == "node" and not self._node_field:
            return True
        guard = guard_of(field)
        return guard is not None and guard.is_closed(self._disabled)

    def _redescribe(self, field: StrawberryField) -> StrawberryField:
        """Return `field`, or a copy whose description names no disabled action."""
        guard = guard_of(field)
        if guard is None or guard.requirement(self._disabled) == guard.requirement():
            return field
        text = (field.description or "").removesuffix(guard.requirement())
        field = copy(field)
        field.description = text + guard.requirement(self._disabled)
        return field

    def _find_ungated(self) -> Iterator[str]:
        """Yield what is wrong with each mutation that must not be served."""
        root = self._schema.mutation_type
        for name, field in root.fields.items() if root else ():
            definition = definition_of(field)
            guard = guard_of(definition)
            if not isinstance(guard, Gated) or not goes_through_gate(definition):
                yield f"{name} does not go through the gate"
                continue
            input_ = definition_of(get_named_type(field.args["input"].type)).origin
            if isabstract(input_) or getattr(input_, "kind", None) is not guard.action.target:
                yield f"{name} has an input without a target of the action's kind"

    def _find_unguarded(self) -> Iterator[str]:
        for type_ in self._schema.type_map.values():
            if not isinstance(type_, GraphQLObjectType):
                continue
            for name, field in type_.fields.items():
                definition = definition_of(field)
                path = f"{type_.name}.{name}"
                if definition is None or path in SCHEMA_RESOLVERS:
                    continue
                if not self._is_guarded(type_, definition):
                    yield path

    def _is_guarded(self, type_: GraphQLObjectType, field: StrawberryField) -> bool:
        """Tell whether a field is safe to resolve for every caller, or has what asks for a right.

        An extension can do what a resolver can, so one that is not a guard is none of ours.
        """
        if not all(isinstance(each, Guard) for each in field.extensions):
            return False
        guard = guard_of(field)
        if isinstance(guard, Gated):
            return type_ is self._schema.mutation_type
        return guard is not None or field.base_resolver is None or is_shown(field)


def _join(name: str, description: str, parts: Iterable[type | None]) -> type:
    """Return a root type with the fields of all parts."""
    root = type(name, tuple(part for part in parts if part is not None), {})
    return strawberry.type(root, description=description)


def _with_auth_directive(field: StrawberryField) -> StrawberryField:
    """Return `field`, or a copy with a directive for what it requires."""
    guard = guard_of(field)
    if guard is None:
        return field
    field = copy(field)
    field.directives = [*field.directives, _auth_directive(guard)]
    return field


def _auth_directive(guard: Guard) -> Authenticated | Policy:
    # If the action depends on the use of the field, no directive can name it.
    if isinstance(guard, Requires) and not (guard.key_of or guard.action.open_to_signed_in):
        return Policy(policies=[[guard.action.label]])
    return Authenticated()


class UnguardedField(Exception):
    """A resolver could call Cognito without a guard."""


class UngatedMutation(Exception):
    """A mutation does not go through the gate, or has no target."""
