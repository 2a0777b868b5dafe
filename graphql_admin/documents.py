"""GraphQL documents, parsed and validated once and kept while they are in use."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    OperationType,
    parse,
    specified_rules,
)
from graphql.validation import NoSchemaIntrospectionCustomRule
from strawberry.schema.schema import validate_document

from graphql_admin.errors import AdminError, OperationNotFound, ParseFailed, ValidationFailed
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


class Documents:
    """The documents that clients send.

    Args:
        schema: What they have to fit.
        introspection: Whether they may ask for the schema itself.
        max_tokens: Lexical tokens that a document may have.
    """

    def __init__(self, schema: AdminSchema, *, introspection: bool, max_tokens: int) -> None:
        self._schema = schema.graphql_schema
        self._rules = specified_rules
        if not introspection:
            self._rules += (NoSchemaIntrospectionCustomRule,)
        self._max_tokens = max_tokens
        self.load = lru_cache(maxsize=CACHED_DOCUMENTS)(self._load)
        """Return the document with a text, or raise `InvalidDocument`."""

    def _load(self, text: str) -> Document:
        try:
            ast = parse(text, max_tokens=self._max_tokens)
        except GraphQLSyntaxError as error:
            raise InvalidDocument(ParseFailed, [error]) from error
        if errors := validate_document(self._schema, ast, self._rules):
            raise InvalidDocument(ValidationFailed, errors)
        operations = {
            node.name.value if node.name else None: node
            for node in ast.definitions
            if isinstance(node, OperationDefinitionNode)
        }
        return Document(ast, operations)


def is_mutation(operation: OperationDefinitionNode) -> bool:
    """Whether an operation may change something."""
    return operation.operation is not OperationType.QUERY
