"""Executes operations by plans that are compiled once per document.

graphql-core completes every field of every object separately: for 60 users of 10 fields it calls
600 resolvers, builds 600 paths and checks 1000 types; and for each resolver Strawberry walks the
types of its arguments and builds the chain of its extensions. Here the plan of a selection does all
that once. Fields that only read from their object are read column by column, for many objects at a
time. The others are resolved by the same functions through the same extensions, guards included.

Plans cover all of this schema except introspection (`__schema`, `_service`). An operation outside
of that, or with a value that does not match the schema, such as a null in a non-null field, takes
graphql-core's ordinary path, which reports errors as usual. No field is resolved twice: the
ordinary path reuses what its resolver returned or raised.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import NoneType
from typing import Any, NamedTuple, TypeAlias

import strawberry
from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
    located_error,
)
from strawberry.types.field import StrawberryField

from graphql_admin.engine.arguments import Variables, VariableValues, compile_arguments
from graphql_admin.engine.caches import LruCache
from graphql_admin.engine.completion import (
    Column,
    Completer,
    Pending,
    Resolved,
    compile_abstract,
    compile_column,
    compile_constant_column,
    compile_leaf,
    compile_lists,
    compile_nullable,
    compile_objects,
    compile_verbatim_column,
    verbatim,
)
from graphql_admin.engine.fallbacks import Fallback, Unplanned
from graphql_admin.engine.fields import definition_of, reader_of
from graphql_admin.engine.selections import Fragments, Selections, fragments_of, tokens_of

PLAN_BYTES = 32 * 2**20
"""Estimated size of all cached plans, in bytes. An operation can have a plan for every combination
of its Boolean variables."""

TOKEN_BYTES = 600
"""Most bytes of a token of a document, with its part of the syntax tree."""

OPERATION_BYTES = 32_768
"""Bytes of an operation's readers of variables; some types have many fields."""

COLUMN_BYTES = 3000
"""Most bytes of a selected field in a plan."""


@dataclass(slots=True)
class ResolveInfo:
    """The part of graphql-core's `GraphQLResolveInfo` that the resolvers here use."""

    context: object
    schema: GraphQLSchema
    fragments: Fragments
    field_nodes: list[FieldNode]
    answers: dict[Hashable, bool]
    """What follows from the nodes, as in `Resolved`. It lasts as long as the plan, and so as the
    document."""


class Planned(NamedTuple):
    """The result of executing an operation by its plan."""

    data: dict[str, Any]
    """The data of the response."""
    outcomes: Sequence[tuple[Pending, Any]]
    """What each resolver returned, or the exception that it raised."""
    is_whole: bool
    """Whether the data is complete, apart from fields whose resolvers raised."""

    def to_result(self) -> ExecutionResult:
        """Return the result of the operation."""
        failed = [each for each in self.outcomes if isinstance(each[1], Exception)]
        if not failed:
            return ExecutionResult(self.data)
        places = dict(_locate(self.data))
        errors = [
            located_error(
                error, pending.field.nodes, [*places[id(pending.target)], pending.field.key]
            )
            for pending, error in failed
        ]
        return ExecutionResult(self.data, errors)

    def replay(self) -> Callable[..., Any]:
        """Return a middleware for graphql-core that replays the outcomes of resolvers."""
        places = dict(_locate(self.data))
        outcomes = {
            (*places[id(pending.target)], pending.field.key): outcome
            for pending, outcome in self.outcomes
        }

        def resolve(
            next_: Callable[..., Any],
            source: Any,
            info: GraphQLResolveInfo[Any],
            **arguments: Any,
        ) -> Any:
            path = tuple(info.path.as_list())
            if path not in outcomes:
                return next_(source, info, **arguments)
            if isinstance(outcomes[path], Exception):
                raise outcomes[path]
            return outcomes[path]

        return resolve


def _locate(
    data: Any, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[int, tuple[str | int, ...]]]:
    """Yield the `id` and the path of every object in a response, which keeps all of them alive."""
    if isinstance(data, dict):
        yield id(data), path
        for key, value in data.items():
            yield from _locate(value, (*path, key))
    elif isinstance(data, list):
        for place, value in enumerate(data):
            yield from _locate(value, (*path, place))


class _Plan(NamedTuple):
    """How to execute an operation for given values of its conditions."""

    complete: Completer | None
    """Completes the root; None if the operation takes the ordinary path."""
    resolved: Sequence[Resolved]
    """Its fields with a resolver."""
    fields: int
    """Number of selected fields."""


Conditions: TypeAlias = tuple[tuple[str, bool], ...]
"""The Boolean variables of an operation, and their values."""

Plans: TypeAlias = LruCache[tuple["CompiledOperation", Conditions], _Plan]
"""The plans of all operations of a schema. The size of each includes its document, which it keeps
in memory."""


class CompiledOperation:
    """An operation and its compiled plans.

    Args:
        schema: The schema.
        document: The document, which is valid.
        operation: One of its operations.
        plans: The cache of its plans.

    Raises:
        Unplanned: It has variables of a type that is not supported here.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        plans: Plans,
    ) -> None:
        self._schema = schema
        self._operation = operation
        self._size = document_size(document)
        self._fragments = fragments_of(document)
        self._variables = Variables(schema, operation)
        self._plans = plans

    async def run(self, given: Mapping[str, Any], context: object) -> Planned | Fallback:
        """Execute the operation by its plan.

        Args:
            given: The variables as the client sent them.
            context: The context for resolvers.

        Returns:
            The result; or why it takes the ordinary path, and then nothing was executed.
        """
        try:
            values = self._variables.read(given)
            plan = self._plan(values)
            if plan.complete is None:
                return Fallback.SELECTION
            # All of them now, so that an invalid one is found before anything is executed.
            arguments = {field: field.arguments(values) for field in plan.resolved}
        except Exception:  # noqa: BLE001  # the ordinary path raises it again, and reports it
            return Fallback.VARIABLES
        run = _RunningPlan(self._schema, self._fragments, arguments, context)
        is_serial = self._operation.operation is OperationType.MUTATION
        data = await run.complete_root(plan.complete, is_serial=is_serial)
        return Planned(data, run.outcomes, run.is_whole)

    def _plan(self, values: VariableValues) -> _Plan:
        # All that `@skip` and `@include`, and so the selections, can depend on.
        conditions = {name: value for name, value in values.items() if isinstance(value, bool)}
        key = (self, tuple(conditions.items()))
        plan = self._plans.get(key)
        if plan is None:
            selections = Selections(self._schema, self._fragments, conditions)
            plan = _Compiler(selections).compile(self._operation)
            self._plans.put(key, plan, self._size + plan.fields * COLUMN_BYTES)
        return plan


@dataclass(slots=True)
class _RunningPlan:
    """One execution of an operation."""

    schema: GraphQLSchema
    fragments: Fragments
    arguments: Mapping[Resolved, Mapping[str, Any]]
    context: object
    outcomes: list[tuple[Pending, Any]] = field(default_factory=list)
    is_whole: bool = True

    async def complete_root(self, complete: Completer, *, is_serial: bool) -> dict[str, Any]:
        """Return the data of the response."""
        pending: list[Pending] = []
        data: dict[str, Any]
        (data,) = complete([None], pending)
        if is_serial:
            for each in pending:
                await self._fill(each)
                if not self.is_whole:
                    break  # finish this one before the next
        else:
            await self._fill_all(pending)
        return data

    async def _fill_all(self, pending: Sequence[Pending]) -> None:
        if len(pending) == 1:
            await self._fill(pending[0])
        elif pending:
            await asyncio.gather(*map(self._fill, pending))

    async def _fill(self, pending: Pending) -> None:
        """Resolve a field and those below it."""
        field = pending.field
        try:
            asked = ResolveInfo(
                self.context, self.schema, self.fragments, field.nodes, field.answers
            )
            # Not an alias such as `Info[Any, None]`, which takes twice as long to call.
            info = strawberry.Info(asked, field.definition)  # type: ignore[arg-type]
            outcome = await field.resolve(pending.source, info, **self.arguments[field])
        except Exception as error:  # noqa: BLE001  # the field's error, whatever it is
            self.outcomes.append((pending, error))
            self.is_whole &= field.nullable
            return
        self.outcomes.append((pending, outcome))
        below: list[Pending] = []
        try:
            (pending.target[field.key],) = field.complete([outcome], below)
        except Exception:  # noqa: BLE001  # the ordinary path raises it again, and reports it
            self.is_whole = False
        else:
            await self._fill_all(below)


class _Compiler:
    """Compiles the plan of an operation for given values of its conditions."""

    def __init__(self, selections: Selections) -> None:
        self._schema = selections.schema
        self._selections = selections
        self._resolved: list[Resolved] = []
        self._fields = 0

    def compile(self, operation: OperationDefinitionNode) -> _Plan:
        """Return the plan; it is empty if something takes the ordinary path."""
        try:
            root = self._schema.get_root_type(operation.operation)
            assert root is not None  # noqa: S101  # the document is valid
            complete = self._compile_object(root, [operation.selection_set], NoneType)
        except Exception:  # noqa: BLE001  # the ordinary path raises it again, and reports it
            return _Plan(None, (), 0)
        return _Plan(complete, self._resolved, self._fields)

    def _compile_value(
        self, type_: GraphQLOutputType, nodes: list[FieldNode], *, nullable: bool = True
    ) -> Completer:
        if is_non_null_type(type_):
            return self._compile_value(type_.of_type, nodes, nullable=False)
        sets = [node.selection_set for node in nodes]
        if is_leaf_type(type_):
            return compile_leaf(type_, nullable=nullable)
        complete: Completer
        if is_list_type(type_):
            complete = compile_lists(self._compile_value(type_.of_type, nodes))
        elif is_object_type(type_):
            complete = self._compile_object(type_, sets, _class_of(type_))
        elif is_abstract_type(type_):
            complete = compile_abstract(
                {
                    _class_of(possible): self._compile_object(possible, sets, _class_of(possible))
                    for possible in self._schema.get_possible_types(type_)
                }
            )
        else:
            raise Unplanned
        return compile_nullable(complete) if nullable else complete

    def _compile_object(
        self, type_: GraphQLObjectType, sets: Sequence[SelectionSetNode | None], class_: type
    ) -> Completer:
        selected = self._selections.collect(type_, sets)
        self._fields += len(selected)
        columns = [self._compile_column(type_, key, nodes) for key, nodes in selected.items()]
        return compile_objects(class_, list(selected), columns)

    def _compile_column(
        self, parent: GraphQLObjectType, key: str, nodes: list[FieldNode]
    ) -> Column | Resolved:
        name = nodes[0].name.value
        if name == "__typename":
            return compile_constant_column(parent.name)
        field = parent.fields.get(name)
        if field is None:  # introspection
            raise Unplanned
        read = reader_of(field)
        types = verbatim(field.type)
        if read is not None and types is not None:
            return compile_verbatim_column(read, types)
        complete = self._compile_value(field.type, nodes)
        if read is not None:
            return compile_column(read, complete)
        definition = definition_of(field)
        if definition is None or definition.base_resolver is None:
            raise Unplanned
        resolved = Resolved(
            key=key,
            nodes=nodes,
            nullable=not is_non_null_type(field.type),
            definition=definition,
            arguments=compile_arguments(field, nodes[0]),
            resolve=_chain(definition),
            complete=complete,
        )
        self._resolved.append(resolved)
        return resolved


def document_size(document: DocumentNode) -> int:
    """Return the estimated size of a parsed document in memory, in bytes."""
    size = 0
    for token in tokens_of(document):
        size += TOKEN_BYTES
        if token.value is not None and len(token.value) > 16:  # otherwise it is negligible
            size += sys.getsizeof(token.value)
    operations = (isinstance(node, OperationDefinitionNode) for node in document.definitions)
    return size + sum(operations) * OPERATION_BYTES


def compile_operation(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    plans: Plans,
) -> CompiledOperation | None:
    """Return an operation that can be executed by plan; None if its variables are not supported."""
    try:
        return CompiledOperation(schema, document, operation, plans)
    except Unplanned:
        return None


def _chain(definition: StrawberryField) -> Callable[..., Awaitable[Any]]:
    """Return a field's resolver wrapped in its extensions, as Strawberry wraps it."""
    resolver = definition.base_resolver
    if resolver is None or not resolver.is_async or not resolver.info_parameter:
        raise Unplanned
    function: Any = resolver.wrapped_func
    info_name = resolver.info_parameter.name
    parent_name = resolver.parent_parameter.name if resolver.parent_parameter else None
    if parent_name is None and resolver.self_parameter is None:
        raise Unplanned

    def call(source: Any, info: strawberry.Info, **arguments: Any) -> Awaitable[Any]:
        arguments[info_name] = info
        if parent_name is None:
            return function(source, **arguments)  # type: ignore[no-any-return]
        arguments[parent_name] = source
        return function(**arguments)  # type: ignore[no-any-return]

    chain: Callable[..., Awaitable[Any]] = call
    for extension in definition.extensions:
        chain = partial(extension.resolve_async, chain)
    return chain


def _class_of(type_: GraphQLObjectType) -> type:
    definition = definition_of(type_)
    if definition is None:
        raise Unplanned
    class_: type = (definition.concrete_of or definition).origin
    return class_
