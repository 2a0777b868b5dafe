"""What a document holds: its tokens, and the fields selected of an object.

Fields are collected as graphql-core does it, by
https://spec.graphql.org/September2025/#sec-Field-Collection,
for documents that are valid.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from graphql import (
    BooleanValueNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    SelectionSetNode,
    Token,
    VariableNode,
    is_abstract_type,
)

Selected: TypeAlias = Mapping[str, list[FieldNode]]
"""The merged nodes of each selected field, by their key in the response."""


@dataclass(frozen=True, slots=True)
class Collector:
    """Collects fields within one operation.

    Args:
        schema: The schema.
        fragments: The fragments of the document, by name.
        conditions: The values of the Boolean variables, by name.
    """

    schema: GraphQLSchema
    fragments: Mapping[str, FragmentDefinitionNode]
    conditions: Mapping[str, Any]

    def collect(
        self, type_: GraphQLObjectType, sets: Iterable[SelectionSetNode | None]
    ) -> Selected:
        """Return the fields that are selected of an object.

        Args:
            type_: The object's type.
            sets: The selection sets of the merged nodes whose value it is.

        Raises:
            KeyError: A condition has no value.
        """
        selected: dict[str, list[FieldNode]] = {}
        spread: set[str] = set()
        for selections in sets:
            for node in self._walk(type_, selections, spread):
                key = node.alias or node.name
                selected.setdefault(key.value, []).append(node)
        return selected

    def _walk(
        self, type_: GraphQLObjectType, selections: SelectionSetNode | None, spread: set[str]
    ) -> Iterator[FieldNode]:
        for node in selections.selections if selections else ():
            if not all(map(self._lets_pass, node.directives or ())):
                continue
            if isinstance(node, FieldNode):
                yield node
            elif isinstance(node, InlineFragmentNode):
                if node.type_condition is None or self._is_of(
                    type_, node.type_condition.name.value
                ):
                    yield from self._walk(type_, node.selection_set, spread)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in spread:
                spread.add(node.name.value)
                fragment = self.fragments[node.name.value]
                if self._is_of(type_, fragment.type_condition.name.value):
                    yield from self._walk(type_, fragment.selection_set, spread)

    def _lets_pass(self, directive: DirectiveNode) -> bool:
        if directive.name.value not in {"skip", "include"}:
            return True
        (condition,) = (argument.value for argument in directive.arguments or ())
        holds: Any = None
        if isinstance(condition, VariableNode):
            holds = self.conditions[condition.name.value]
        elif isinstance(condition, BooleanValueNode):
            holds = condition.value
        return holds is (directive.name.value == "include")

    def _is_of(self, type_: GraphQLObjectType, name: str) -> bool:
        condition = self.schema.type_map[name]
        return condition is type_ or (
            is_abstract_type(condition) and self.schema.is_sub_type(condition, type_)
        )


def tokens_of(document: DocumentNode) -> Iterator[Token]:
    """Yield the tokens of a parsed document, comments included."""
    token = document.loc.start_token if document.loc else None
    while token is not None:
        yield token
        token = token.next
