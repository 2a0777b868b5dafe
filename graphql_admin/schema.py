"""The schema: the feature roots joined, and what is checked of it at start-up."""

from collections.abc import Collection, Iterator
from copy import copy
from inspect import isawaitable
from typing import Any, Literal

import strawberry
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLObjectType,
    GraphQLSchema,
    MiddlewareManager,
    OperationDefinitionNode,
    execute,
)
from strawberry.execution import optimized_is_awaitable
from strawberry.federation.schema import FederationAny
from strawberry.federation.schema import Schema as FederationSchema
from strawberry.federation.schema_directives import Authenticated, Policy
from strawberry.schema.config import StrawberryConfig
from strawberry.types.base import StrawberryObjectDefinition, get_object_definition
from strawberry.types.field import StrawberryField

from graphql_admin.actions import Action
from graphql_admin.caches import LruCache
from graphql_admin.context import Context, Info
from graphql_admin.execution import PLAN_BYTES, Operation, Planned, Plans, is_tested, plan
from graphql_admin.fields import is_shown
from graphql_admin.groups import Group, GroupQuery
from graphql_admin.permissions import (
    Guard,
    Requires,
    guard_of,
    guarded,
    is_audited,
    signed_in,
)
from graphql_admin.references import ReferenceQuery, RequiresForId
from graphql_admin.users import UserMutation, UserQuery, users_in_group

FEDERATION_VERSION: Literal["2.9"] = "2.9"
"""The latest that both Apollo's and Hive's composers accept."""

MAX_ERRORS = 10
"""Errors of variables after which no more are looked for."""

SCHEMA_RESOLVERS = frozenset(
    {
        "Query._service",
        "_Service.sdl",
    }
)
"""Fields with a resolver and no guard, because all they have is the schema itself."""

ANY = strawberry.scalar(
    name="_Any",
    description="A representation of an object: its `__typename` and the fields of a key.",
    serialize=lambda value: value,
    parse_value=lambda value: value,
)

TYPE_EXTENSIONS = {Group: (users_in_group,)}
"""Fields that a type gets from a feature above it."""


@strawberry.type(description="The caller, as their token tells.")
class Viewer:
    username: str = strawberry.field(description="The caller's username.")
    sub: str = strawberry.field(description="The caller's unique id.")
    groups: list[str] = strawberry.field(description="The groups that the token names.")
    actions: list[str] = strawberry.field(description="What the caller may do, by action name.")


@strawberry.type
class ViewerQuery:
    @guarded(Action.VIEWER, description="The caller, and what they may do.")
    async def viewer(self, info: Info) -> Viewer | None:
        caller = signed_in(info)
        return Viewer(
            username=caller.username,
            sub=caller.sub,
            groups=sorted(caller.groups),
            actions=[action.label for action in Action if action in info.context.allowed],
        )


@strawberry.type(name="_Service", description="This server as a subgraph of a federated graph.")
class Service:
    @strawberry.field(description="The schema, as composers take it.")
    def sdl(self, info: Info) -> str:
        return str(info.schema)


@strawberry.type
class ServiceQuery:
    @strawberry.field(name="_service", description="What Apollo Federation asks a subgraph for.")
    def service(self) -> Service:
        return Service()


@strawberry.type(description="What can be read.")
class Query(ViewerQuery, UserQuery, GroupQuery, ReferenceQuery, ServiceQuery):
    pass


@strawberry.type(description="What can be done.")
class Mutation(UserMutation):
    pass


class AdminSchema(FederationSchema):
    """The schema without the fields of disabled actions.

    Args:
        disabled: The disabled actions.
        service: Whether a gateway may ask for the schema through `_service`.
        node_field: Whether there is `node`.
        auth_directives: Whether guarded fields say what they require by the directives of
            federation, too.

    Raises:
        UnguardedField: A resolver could reach Cognito without a permission.
        UnauditedMutation: A mutation would leave no event.
    """

    def __init__(
        self,
        disabled: Collection[Action] = (),
        *,
        service: bool = True,
        node_field: bool = True,
        auth_directives: bool = False,
    ) -> None:
        self._disabled = frozenset(disabled)
        self._service = service
        self._node_field = node_field
        self._auth_directives = auth_directives
        self._is_tested = is_tested()
        self.plans: Plans = LruCache(PLAN_BYTES)
        """How operations are executed, as far as it was compiled and is kept."""
        mutation_fields = self.get_fields(get_object_definition(Mutation, strict=True))
        super().__init__(
            query=Query,
            mutation=Mutation if mutation_fields else None,
            config=StrawberryConfig(disable_field_suggestions=True),
            scalar_overrides={FederationAny: ANY},
            federation_version=FEDERATION_VERSION,
        )
        if unguarded := list(self._find_unguarded()):
            raise UnguardedField(f"no permission stands before {', '.join(unguarded)}")
        if unaudited := [f.name for f in mutation_fields if not is_audited(f)]:
            raise UnauditedMutation(f"no event is written of {', '.join(unaudited)}")

    @property
    def graphql_schema(self) -> GraphQLSchema:
        """The schema as graphql-core knows it."""
        return self._schema

    async def run(
        self,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        variables: dict[str, Any] | None,
        context: Context,
    ) -> ExecutionResult:
        """Execute one operation of a document that fits the schema: by its plan, where it can be.

        Args:
            document: The document.
            operation: One of its operations.
            variables: As the client has them.
            context: Of the request.
        """
        compiled = self._prepare(document, operation, context.plans)
        planned: Planned | None = None
        if compiled is not None:
            planned = await compiled.execute(variables or {}, context)
        if planned and planned.is_whole:
            return planned.to_result()
        middleware = MiddlewareManager(planned.replay()) if planned else None
        return await self.run_ordinarily(document, operation, variables, context, middleware)

    def _prepare(
        self,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        prepared: dict[str | None, Operation | None],
    ) -> Operation | None:
        """Return an operation as it is compiled; None: it takes the ordinary path."""
        name = operation.name.value if operation.name else None
        if name not in prepared:
            tested = self._is_tested
            prepared[name] = plan(self._schema, document, operation, self.plans) if tested else None
        return prepared[name]

    async def run_ordinarily(
        self,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        variables: dict[str, Any] | None,
        context: Context,
        middleware: MiddlewareManager | None = None,
    ) -> ExecutionResult:
        """Execute one operation as graphql-core and Strawberry do it.

        Strawberry's own `execute` would parse and validate the document on every request.
        """
        result: Any = execute(
            self._schema,
            document,
            operation_name=operation.name.value if operation.name else None,
            variable_values=variables,
            context_value=context,
            middleware=middleware,
            max_coercion_errors=MAX_ERRORS,
            hide_suggestions=True,
            is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type]
            executor_class=self.execution_context_class,
        )
        executed: ExecutionResult = await result if isawaitable(result) else result
        return executed

    @property
    def schema_directives_in_use(self) -> list[object]:
        """The directives that `@link` imports."""
        # Strawberry finds those on the fields of a type, not those that `get_fields` adds.
        added = [Authenticated(), Policy(policies=[])] if self._auth_directives else []
        return [*super().schema_directives_in_use, *added]

    def get_fields(self, type_definition: StrawberryObjectDefinition) -> list[StrawberryField]:
        """Return the fields of a type that this schema has."""
        fields = [*type_definition.fields, *TYPE_EXTENSIONS.get(type_definition.origin, ())]
        fields = [self._redescribe(field) for field in fields if not self._is_disabled(field)]
        return list(map(_with_auth_directive, fields)) if self._auth_directives else fields

    def _is_disabled(self, field: StrawberryField) -> bool:
        if field.graphql_name == "_service" and not self._service:
            return True
        guard = guard_of(field)
        if isinstance(guard, RequiresForId) and not self._node_field:
            return True
        return bool(guard and guard.opened_by and guard.opened_by <= self._disabled)

    def _redescribe(self, field: StrawberryField) -> StrawberryField:
        """Return a copy of `field` that names no disabled action, or `field` if it names none."""
        guard = guard_of(field)
        requirement = guard.requirement_without(self._disabled) if guard else ""
        if guard is None or requirement == guard.requirement:
            return field
        field = copy(field)
        field.description = (field.description or "").removesuffix(guard.requirement) + requirement
        return field

    def _find_unguarded(self) -> Iterator[str]:
        for type_ in self._schema.type_map.values():
            if not isinstance(type_, GraphQLObjectType):
                continue
            for name, field in type_.fields.items():
                definition = field.extensions.get("strawberry-definition")
                path = f"{type_.name}.{name}"
                if definition is None or path in SCHEMA_RESOLVERS:
                    continue
                if not (
                    definition.base_resolver is None or is_shown(definition) or guard_of(definition)
                ):
                    yield path


def _with_auth_directive(field: StrawberryField) -> StrawberryField:
    """Return a copy of `field` that says what it requires, or `field` if that is nothing."""
    guard = guard_of(field)
    if guard is None:
        return field
    field = copy(field)
    field.directives = [*field.directives, _auth_directive(guard)]
    return field


def _auth_directive(guard: Guard) -> Authenticated | Policy:
    # Where the action depends on the use of the field, no directive can name it.
    if isinstance(guard, Requires) and not guard.action.open_to_signed_in:
        return Policy(policies=[[guard.action.label]])
    return Authenticated()


class UnguardedField(Exception):
    """A resolver could reach Cognito without a permission."""


class UnauditedMutation(Exception):
    """A mutation would leave no event."""
