"""GraphQL documents, parsed and validated once and kept while they are in use."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLInputType,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    OperationType,
    ValidationContext,
    ValueNode,
    is_introspection_type,
    parse,
    specified_rules,
    validate,
)
from graphql.language.visitor import VisitorAction
from graphql.validation import (
    ASTValidationRule,
    NoSchemaIntrospectionCustomRule,
    ValuesOfCorrectTypeRule,
)
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from graphql_admin.costs import Cost, CostTable
from graphql_admin.errors import (
    AdminError,
    OperationNotFound,
    ParseFailed,
    QueryTooComplex,
    ValidationFailed,
)
from graphql_admin.limits import Limits, check_limits
from graphql_admin.schema import AdminSchema

CACHED_DOCUMENTS = 512
"""Documents kept; clients send few different ones unless they write values into the text."""


class InvalidDocument(Exception):
    """The document cannot be executed, whatever the variables.

    Args:
        kind: What is wrong with it.
        errors: Every place where it is.
    """

    def __init__(self, kind: type[AdminError], errors: list[GraphQLError]) -> None:
        super().__init__(kind.message)
        self.kind = kind
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Document:
    """A document that fits the schema."""

    ast: DocumentNode
    operations: Mapping[str | None, OperationDefinitionNode]
    costs: Mapping[str | None, Cost]
    """Of the operations, by the same names."""

    plans: dict[Any, Any] = field(default_factory=dict)
    """What `execution` compiled of it so far."""

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """Return the operation called `name`, or the only one where none is named.

        Raises:
            OperationNotFound: There is none, or it takes a name to tell which.
        """
        if name is None and len(self.operations) == 1:
            return next(iter(self.operations.values()))
        try:
            return self.operations[name]
        except KeyError as error:
            raise OperationNotFound from error

    def cost(self, operation: OperationDefinitionNode) -> Cost:
        """Return the cost of one of the document's operations."""
        return self.costs[_name(operation)]


class ValuesOfCorrectType(ValuesOfCorrectTypeRule):
    """GraphQL's own rule, which says what it found: a value, and so nobody's business.

    What it says here is the type, and `locations` says where.
    """

    def is_valid_value_node(
        self, node: ValueNode, input_type: GraphQLInputType | None
    ) -> VisitorAction:
        """Report where a value, or a part of it, does not fit its type."""
        self._node, self._type = node, input_type
        return super().is_valid_value_node(node, input_type)

    def report_error(self, error: GraphQLError) -> None:
        """Report an error without the value that it is about."""
        message = f"This is not a value of the type '{self._type}'."
        # A list or an object that had to be copied has lost its place.
        nodes = [node for node in error.nodes or () if node.loc] or [self._node]
        super().report_error(GraphQLError(message, nodes))


class PlainIntrospection(ASTValidationRule):
    """The schema may be asked for, but not many times at once.

    Introspection calls nobody and so costs nothing by `costs`, but it holds up everybody else:
    a list of all types, each with all fields under a hundred names, takes half a minute.
    """

    context: ValidationContext

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        """Report a field of the schema that is asked for under another name."""
        parent = self.context.get_parent_type()
        if node.alias and (
            node.name.value in {"__schema", "__type"} or (parent and is_introspection_type(parent))
        ):
            problem = GraphQLError("What describes the schema takes no alias.", node)
            self.report_error(problem)


RULES = (
    *(ValuesOfCorrectType if rule is ValuesOfCorrectTypeRule else rule for rule in specified_rules),
    MaybeNullValidationRule,
    OneOfInputValidationRule,
    PlainIntrospection,
)
"""What Strawberry validates by, and a rule of ours."""


class Documents:
    """The documents that clients send.

    Args:
        schema: What they have to fit.
        introspection: Whether they may ask for the schema itself.
        max_tokens: Lexical tokens that a document may have.
        max_calls: Calls of Cognito that an operation may take.
        limits: What else is too much.
    """

    def __init__(
        self,
        schema: AdminSchema,
        *,
        introspection: bool,
        max_tokens: int,
        max_calls: int,
        limits: Limits,
    ) -> None:
        self._schema = schema.graphql_schema
        self._rules = RULES if introspection else (*RULES, NoSchemaIntrospectionCustomRule)
        self._max_tokens = max_tokens
        self._limits = limits
        self._costs = CostTable(self._schema, enough=max_calls + 1)
        self.load = lru_cache(maxsize=CACHED_DOCUMENTS)(self._load)
        """Return the document with a text, or raise `InvalidDocument`."""

    def _load(self, text: str) -> Document:
        try:
            ast = self._parse(text)
            check_limits(ast, self._limits)
            if errors := validate(self._schema, ast, self._rules, hide_suggestions=True):
                raise InvalidDocument(ValidationFailed, errors)
            return self._describe(ast)
        except QueryTooComplex as error:
            raise InvalidDocument(QueryTooComplex, [GraphQLError(error.message)]) from error
        except RecursionError as error:
            # Fragments in a long row, say, where the limits were set high.
            problem = GraphQLError("The document is nested too deeply.")
            raise InvalidDocument(QueryTooComplex, [problem]) from error

    def _parse(self, text: str) -> DocumentNode:
        try:
            return parse(text, max_lexical_tokens=self._max_tokens, max_comments=self._max_tokens)
        except GraphQLSyntaxError as error:
            # It quotes what it found, which may be part of a value.
            safe = SAFE_SYNTAX_MESSAGE.match(error.message)
            message = f"{safe.group()}." if safe else ParseFailed.message
            problem = GraphQLError(message, source=error.source, positions=error.positions)
            kind = QueryTooComplex if safe and safe["limit"] else ParseFailed
            raise InvalidDocument(kind, [problem]) from error

    def _describe(self, ast: DocumentNode) -> Document:
        operations = {
            _name(node): node
            for node in ast.definitions
            if isinstance(node, OperationDefinitionNode)
        }
        costs = {name: self._costs.estimate(ast, node) for name, node in operations.items()}
        return Document(ast, operations, costs)


SAFE_SYNTAX_MESSAGE = re.compile(
    r"""
    Syntax\ Error:\ (
        # What the grammar wants, and the kind of what stands there, but not its text.
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
"""As much of a parser's message as repeats nothing of the document but punctuation."""


def _name(operation: OperationDefinitionNode) -> str | None:
    return operation.name.value if operation.name else None


def is_mutation(operation: OperationDefinitionNode) -> bool:
    """Whether an operation may change something."""
    return operation.operation is not OperationType.QUERY
