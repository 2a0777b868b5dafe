"""Executes operations by their plans, or, without one, with graphql-core and Strawberry."""

from collections.abc import Mapping
from importlib.metadata import version
from inspect import isawaitable
from typing import Any, NamedTuple

import structlog
from graphql import (
    ExecutionResult,
    GraphQLSchema,
    MiddlewareManager,
    OperationDefinitionNode,
    execute,
)
from strawberry.execution import optimized_is_awaitable

from graphql_admin.engine.caches import LruCache
from graphql_admin.engine.documents import Document, name_of
from graphql_admin.engine.fallbacks import Fallback
from graphql_admin.engine.plans import (
    PLAN_BYTES,
    CompiledOperation,
    Planned,
    Plans,
    compile_operation,
)
from graphql_admin.telemetry import metrics

log = structlog.get_logger(__name__)

metrics.begin_fallbacks(fallback.value for fallback in Fallback)

MAX_ERRORS = 10
"""Errors of variables after which coercion stops."""

LOCKED_VERSIONS: Mapping[str, str] = {"graphql-core": "3.3.2", "strawberry-graphql": "0.341.2"}
"""The versions in `requirements.lock`, with which the tests compare plans and the ordinary path."""


def other_versions() -> dict[str, str]:
    """Return the installed versions that differ from those in the lock file."""
    installed = {name: version(name) for name in LOCKED_VERSIONS}
    return {name: each for name, each in installed.items() if each != LOCKED_VERSIONS[name]}


class RunResult(NamedTuple):
    """The result of an operation."""

    result: ExecutionResult

    fallback: Fallback | None
    """Why it took the ordinary path; None if it did not."""


class Runner:
    """Executes the operations of a schema.

    Args:
        schema: The schema.
        executor_class: Strawberry's execution context, for the ordinary path.
        plans_hold: Whether plans give the same results as the ordinary path with the installed
            versions.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        executor_class: type[Any],
        *,
        plans_hold: bool = True,
    ) -> None:
        self._schema = schema
        self._executor_class = executor_class
        self._plans_hold = plans_hold
        self._logged: set[Fallback] = set()
        self.plans: Plans = LruCache(PLAN_BYTES)
        """The cached plans of all operations."""

    async def run(
        self,
        document: Document,
        operation: OperationDefinitionNode,
        variables: dict[str, Any] | None,
        context: object,
    ) -> ExecutionResult:
        """Execute one operation of a document, by its plan if possible.

        Args:
            document: The document, which is valid.
            operation: One of its operations.
            variables: As the client sent them.
            context: The context for resolvers.
        """
        result, fallback = await self.run_uncounted(document, operation, variables, context)
        if fallback is not None:
            metrics.count_fallback(fallback.value)
            if fallback not in self._logged:
                self._logged.add(fallback)
                log.info("first operation to take the ordinary path", kind=fallback.value)
        return result

    async def run_uncounted(
        self,
        document: Document,
        operation: OperationDefinitionNode,
        variables: dict[str, Any] | None,
        context: object,
    ) -> RunResult:
        """Execute one operation, without counting or logging a fallback to the ordinary path.

        The arguments are those of `run`.
        """
        planned: Planned | Fallback
        if not self._plans_hold:
            planned = Fallback.VERSIONS
        elif document.has_secret:
            planned = Fallback.SECRET
        elif compiled := self._compile(document, operation):
            planned = await compiled.run(variables or {}, context)
        else:
            planned = Fallback.VARIABLES
        middleware = None
        if isinstance(planned, Planned):
            if planned.is_whole:
                return RunResult(planned.to_result(), None)
            middleware, planned = MiddlewareManager(planned.replay()), Fallback.VALUE
        result = await self.run_ordinarily(document, operation, variables, context, middleware)
        return RunResult(result, planned)

    async def run_ordinarily(
        self,
        document: Document,
        operation: OperationDefinitionNode,
        variables: dict[str, Any] | None,
        context: object,
        middleware: MiddlewareManager | None = None,
    ) -> ExecutionResult:
        """Execute one operation with graphql-core and Strawberry.

        Strawberry's `execute` would parse and validate the document for every request.
        """
        result: Any = execute(
            self._schema,
            document.ast,
            operation_name=name_of(operation),
            variable_values=variables,
            context_value=context,
            middleware=middleware,
            max_coercion_errors=MAX_ERRORS,
            hide_suggestions=True,
            is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type]
            executor_class=self._executor_class,
        )
        executed: ExecutionResult = await result if isawaitable(result) else result
        return executed

    def _compile(
        self, document: Document, operation: OperationDefinitionNode
    ) -> CompiledOperation | None:
        name = name_of(operation)
        if name not in document.compiled:
            document.compiled[name] = compile_operation(
                self._schema, document.ast, operation, self.plans
            )
        return document.compiled[name]
