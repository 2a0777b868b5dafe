"""GraphQL documents, parsed and validated once, and cached."""

import re
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    ConstValueNode,
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    ObjectFieldNode,
    OperationDefinitionNode,
    OperationType,
    Source,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    parse,
    visit,
)

from graphql_admin.engine.caches import LruCache
from graphql_admin.engine.costs import Cost, CostTable, TakesCall
from graphql_admin.engine.fields import secret_fields
from graphql_admin.engine.invalid_variables import find_invalid_variables
from graphql_admin.engine.limits import (
    FragmentCycle,
    Limits,
    check_length,
    check_limits,
    check_variables,
)
from graphql_admin.engine.plans import CompiledOperation, document_size
from graphql_admin.engine.validation import find_errors
from graphql_admin.errors import (
    AdminError,
    OperationNotFound,
    ParseFailed,
    QueryTooComplex,
    QueryTooExpensive,
    ValidationFailed,
)

CACHE_BYTES = 32 * 2**20
"""Estimated size of the cached documents, in bytes. Clients send few different ones unless they
interpolate values into them."""


class InvalidDocument(Exception):
    """The document cannot be executed with any variables.

    Args:
        kind: What is wrong with it.
        errors: The errors, with their locations.
    """

    def __init__(self, kind: type[AdminError], errors: list[GraphQLError]) -> None:
        super().__init__(kind.message)
        self.kind = kind
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Document:
    """A valid document.

    Args:
        ast: graphql-core's node.
        operations: By name; an anonymous one by None.
        costs: The costs of the operations, by the same names.
        max_calls: Calls to Cognito that an operation may take.
        limits: Limits on its variables.
        size: Its estimated size in memory, the source included, in bytes.
        repeats: How often a response may repeat any part of a reply.
        has_secret: Whether it may contain the value of a `secret` field, and must not be cached.
    """

    ast: DocumentNode
    operations: Mapping[str | None, OperationDefinitionNode]
    costs: Mapping[str | None, Cost]
    max_calls: int
    limits: Limits
    size: int
    repeats: int = 1
    has_secret: bool = False

    compiled: dict[str | None, CompiledOperation | None] = field(default_factory=dict)
    """The operations that `Runner` has compiled so far, by the same names."""

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """Return the operation named `name`, or the only one if `name` is None.

        Raises:
            OperationNotFound: There is no such operation, or several and no name.
        """
        if name is None and len(self.operations) == 1:
            return next(iter(self.operations.values()))
        try:
            return self.operations[name]
        except KeyError as error:
            raise OperationNotFound from error

    def mutations(self, operation: OperationDefinitionNode) -> tuple[tuple[str, int], ...]:
        """Return the names of an operation's mutations, each with how often it has it."""
        return self.costs[name_of(operation)].mutations

    def estimate(
        self,
        operation: OperationDefinitionNode,
        variables: Mapping[str, Any] | None,
        beyond: int = 0,
    ) -> int:
        """Return how many calls to Cognito an operation may take with these variables.

        Args:
            operation: One of the document's.
            variables: As the client has them.
            beyond: Calls that its mutations may take beyond one for each.

        Raises:
            InvalidDocument: They are too many, or the variables exceed a limit.
        """
        try:
            check_variables(variables, self.limits)
        except QueryTooComplex as error:
            raise InvalidDocument(QueryTooComplex, [GraphQLError(error.message)]) from error
        cost = self.costs[name_of(operation)]
        # Checked before equal ones are found, which takes time for each.
        if cost.objects(variables) > self.limits.representations:
            problem = f"A request may refer to at most {self.limits.representations} objects."
            raise InvalidDocument(QueryTooExpensive, [GraphQLError(problem)])
        estimated = cost.calls(variables) + beyond
        if estimated > self.max_calls:
            problem = (
                f"The query may take {estimated} or more calls to the user pool. At most "
                f"{self.max_calls} are allowed: ask for less at a time."
            )
            raise InvalidDocument(QueryTooExpensive, [GraphQLError(problem)])
        return estimated


class Documents:
    """The documents that clients send.

    Args:
        schema: The schema to validate them against.
        takes_call: Tells which of its fields call Cognito.
        introspection: Whether introspection is allowed.
        max_tokens: Lexical tokens that a document may have.
        max_calls: Calls to Cognito that an operation may take.
        limits: The other limits.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        takes_call: TakesCall,
        *,
        introspection: bool,
        max_tokens: int,
        max_calls: int,
        limits: Limits,
    ) -> None:
        self._schema = schema
        self._hidden = not introspection
        self._max_tokens = max_tokens
        self._max_calls = max_calls
        self._limits = limits
        self._costs = CostTable(schema, takes_call, enough=max_calls + 1)
        self._secrets = frozenset[str]().union(*secret_fields(schema).values())
        self._cache: LruCache[str, Document] = LruCache(CACHE_BYTES)

    def load(self, text: str, *, keep: bool = True) -> Document:
        """Return the document with this source.

        Args:
            text: The source.
            keep: Whether to cache it.

        Raises:
            InvalidDocument: It cannot be executed.
        """
        document = self._cache.get(text)
        if document is None:
            document = self._load(text)
            if keep and not document.has_secret:
                self._cache.put(text, document, document.size)
        return document

    def explain(
        self, operation: OperationDefinitionNode, variables: Mapping[str, Any] | None
    ) -> list[GraphQLError]:
        """Return what is wrong with the variables of an operation; see `invalid_variables`."""
        return find_invalid_variables(self._schema, operation, variables or {}, hidden=self._hidden)

    def _load(self, text: str) -> Document:
        try:
            check_length(text, self._limits)
            ast = self._parse(text)
            repeats = check_limits(ast, self._limits)
            if errors := find_errors(self._schema, ast, hidden=self._hidden):
                raise InvalidDocument(ValidationFailed, errors)
            return self._describe(ast, repeats, sys.getsizeof(text) + document_size(ast))
        except QueryTooComplex as error:
            raise InvalidDocument(QueryTooComplex, [GraphQLError(error.message)]) from error
        except FragmentCycle as cycle:
            message = f"Cannot spread fragment '{cycle.spread.name.value}' within itself."
            problem = GraphQLError(message, cycle.spread)
            raise InvalidDocument(ValidationFailed, [problem]) from cycle
        except RecursionError as error:
            # A long chain of fragments, for example, where the limits are set high.
            problem = GraphQLError("The document is nested too deeply.")
            raise InvalidDocument(QueryTooComplex, [problem]) from error

    def _parse(self, text: str) -> DocumentNode:
        source = Source(text)
        try:
            return parse(source, max_lexical_tokens=self._max_tokens, max_comments=self._max_tokens)
        except GraphQLSyntaxError as error:
            # It quotes the unexpected token, which may be part of a value.
            safe = SAFE_SYNTAX_MESSAGE.match(error.message)
            message = f"{safe.group()}." if safe else ParseFailed.message
            problem = GraphQLError(message)
            problem.locations = error.locations
            kind = QueryTooComplex if safe and safe["limit"] else ParseFailed
            raise InvalidDocument(kind, [problem]) from error
        finally:
            # Creating an error with its source scans that for lines. `places_of` needs no source:
            # tokens have positions.
            source.body = ""

    def _describe(self, ast: DocumentNode, repeats: int, size: int) -> Document:
        operations = {
            name_of(node): node
            for node in ast.definitions
            if isinstance(node, OperationDefinitionNode)
        }
        costs = {name: self._costs.estimate(ast, node) for name, node in operations.items()}
        return Document(
            ast,
            operations,
            costs,
            self._max_calls,
            self._limits,
            size,
            repeats,
            has_secret=may_have_secret(ast, self._secrets),
        )


SAFE_SYNTAX_MESSAGE = re.compile(
    r"""
    Syntax\ Error:\ (
        # The expected and the unexpected kind of token, but not its text.
        (Expected\ (<EOF>|[A-Z]\w+|(?P<quote>["'])[^"'\s]{1,12}(?P=quote)),\ found|Unexpected)
        \ (<EOF>|[A-Z]\w+|["'][^\w"'\s]{1,3}["'])
    |
        (?P<limit>
            Document\ (contains\ more\ than\ \d+\ (tokens|comments)|is\ nested\ too\ deeply)
        )
    )
    """,
    re.VERBOSE,
)
"""The part of a parser's message that quotes only punctuation of the document."""


def may_have_secret(ast: DocumentNode, secrets: Collection[str]) -> bool:
    """Tell whether a document may contain the value of a secret field.

    It does where such a field is given anything but a variable, and may where it is given a
    variable and any variable has a default.

    Args:
        ast: The document.
        secrets: The names of secret fields.
    """
    fields: list[ObjectFieldNode] = []
    defaults: list[ConstValueNode] = []

    class Finder(Visitor):
        def enter_object_field(self, node: ObjectFieldNode, *_: Any) -> None:
            if node.name.value in secrets:
                fields.append(node)

        def enter_variable_definition(self, node: VariableDefinitionNode, *_: Any) -> None:
            if node.default_value is not None:
                defaults.append(node.default_value)

    operations = (node for node in ast.definitions if isinstance(node, OperationDefinitionNode))
    if any(map(is_mutation, operations)):
        visit(ast, Finder())
    return bool(fields and defaults) or any(
        not isinstance(field.value, VariableNode) for field in fields
    )


def name_of(operation: OperationDefinitionNode) -> str | None:
    """Return the name of an operation, if it has one."""
    return operation.name.value if operation.name else None


def places_of(error: GraphQLError) -> list[dict[str, int]]:
    """Return the locations of an error for the response: a few at most."""
    tokens = [node.loc.start_token for node in error.nodes or () if node.loc]
    if tokens:
        places = [(token.line, token.column) for token in tokens[:MAX_PLACES]]
    else:
        places = [(place.line, place.column) for place in error.locations or ()]
    return [{"line": line, "column": column} for line, column in places]


MAX_PLACES = 10
"""Locations of an error."""


def is_mutation(operation: OperationDefinitionNode) -> bool:
    """Whether an operation may change something."""
    return operation.operation is not OperationType.QUERY
