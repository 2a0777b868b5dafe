"""The contents of a document: its tokens, and the fields selected of an object.

Everything that needs the selected fields of a valid document uses `Selections`: plans, costs, and
the guards, which check what is selected below a field. `limits` walks documents on its own, because
it runs before validation, so that fragments may be missing or spread within themselves; and it
counts each spread, whatever its type condition.
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
    SelectionNode,
    SelectionSetNode,
    Token,
    VariableNode,
    is_abstract_type,
)

Selected: TypeAlias = Mapping[str, list[FieldNode]]
"""The merged nodes of each selected field, by their key in the response."""

Fragments: TypeAlias = Mapping[str, FragmentDefinitionNode]
"""The fragments of a document, by name."""


@dataclass(slots=True, eq=False)
class Selections:
    """The selections of one operation.

    Fields are collected as in graphql-core, following
    https://spec.graphql.org/September2025/#sec-Field-Collection, for documents that are valid.

    Args:
        schema: The schema.
        fragments: The fragments of the document.
        conditions: The values of the Boolean variables, by name. None: conditional selections
            (`@skip`, `@include`) count as selected.
    """

    schema: GraphQLSchema
    fragments: Fragments
    conditions: Mapping[str, Any] | None = None

    def collect(
        self, type_: GraphQLObjectType, sets: Iterable[SelectionSetNode | None]
    ) -> Selected:
        """Return the fields selected of an object.

        Args:
            type_: The object's type.
            sets: The selection sets of the merged nodes that return it.

        Raises:
            KeyError: A condition has no value.
        """
        selected: dict[str, list[FieldNode]] = {}
        for node in self._fields(type_, sets):
            key = node.alias or node.name
            selected.setdefault(key.value, []).append(node)
        return selected

    def go_beyond(
        self,
        type_: GraphQLObjectType,
        sets: Iterable[SelectionSetNode | None],
        names: frozenset[str],
    ) -> bool:
        """Tell whether a field that is not in `names` is selected of an object.

        Args:
            type_: The object's type.
            sets: The selection sets of the merged nodes that return it.
            names: Names of fields, as in the schema.
        """
        for node in self._fields(type_, sets):  # noqa: SIM110  # a generator within another
            if node.name.value not in names:
                return True
        return False

    def _fields(
        self, type_: GraphQLObjectType, sets: Iterable[SelectionSetNode | None]
    ) -> Iterator[FieldNode]:
        spread: set[str] = set()
        for each in sets:
            # Without recursion: fragments may be nested deeply.
            waiting = [iter(each.selections)] if each else []
            while waiting:
                node = next(waiting[-1], None)
                if node is None:
                    waiting.pop()
                elif not self._is_selected(node):
                    continue
                elif isinstance(node, FieldNode):
                    yield node
                elif fragment := self._enter(node, spread):
                    condition = fragment.type_condition
                    if condition is None or self._is_of(type_, condition.name.value):
                        waiting.append(iter(fragment.selection_set.selections))

    def _enter(
        self, node: SelectionNode, spread: set[str]
    ) -> FragmentDefinitionNode | InlineFragmentNode | None:
        """Return the fragment of a selection; None if it was spread before."""
        if isinstance(node, InlineFragmentNode):
            return node
        assert isinstance(node, FragmentSpreadNode)  # noqa: S101  # the only other kind
        name = node.name.value
        if name in spread:
            return None
        spread.add(name)
        return self.fragments[name]

    def _is_selected(self, node: SelectionNode) -> bool:
        return (
            self.conditions is None
            or not node.directives
            or all(self._lets_pass(each, self.conditions) for each in node.directives)
        )

    @staticmethod
    def _lets_pass(directive: DirectiveNode, conditions: Mapping[str, Any]) -> bool:
        if directive.name.value not in {"skip", "include"}:
            return True
        (condition,) = (argument.value for argument in directive.arguments or ())
        holds: Any = None
        if isinstance(condition, VariableNode):
            holds = conditions[condition.name.value]
        elif isinstance(condition, BooleanValueNode):
            holds = condition.value
        return holds is (directive.name.value == "include")

    def _is_of(self, type_: GraphQLObjectType, name: str) -> bool:
        condition = self.schema.type_map[name]
        return condition is type_ or (
            is_abstract_type(condition) and self.schema.is_sub_type(condition, type_)
        )


def fragments_of(document: DocumentNode) -> Fragments:
    """Return the fragments of a document."""
    return {
        node.name.value: node
        for node in document.definitions
        if isinstance(node, FragmentDefinitionNode)
    }


def tokens_of(document: DocumentNode) -> Iterator[Token]:
    """Yield the tokens of a parsed document, comments included."""
    token = document.loc.start_token if document.loc else None
    while token is not None:
        yield token
        token = token.next
