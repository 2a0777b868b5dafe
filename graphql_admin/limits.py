"""How complex a document may be, checked before anything looks at it twice.

Everything is counted as often as it is carried out: what a fragment holds counts wherever the
fragment is spread. Each fragment is still looked at once, so that a document that doubles at
every spread costs no more to refuse than any other.
"""

from collections import Counter
from dataclasses import dataclass, field

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from graphql_admin.errors import QueryTooComplex


@dataclass(frozen=True, slots=True)
class Limits:
    """What one operation may have at most."""

    depth: int
    """Fields one below another."""

    aliases: int
    """Fields asked for under another name, or again. Both make a short document do a lot: to
    compare fields that may be merged takes time with the square of their number."""

    directives: int

    root_fields: int
    """Fields that the operation begins with."""


@dataclass(slots=True)
class _Weight:
    """What a selection set amounts to, with all below it."""

    depth: int = 0
    aliases: int = 0
    directives: int = 0
    names: Counter[str] = field(default_factory=Counter)
    """Response names on the first level."""

    def add(self, other: "_Weight") -> None:
        """Add what stands on the same level."""
        self.depth = max(self.depth, other.depth)
        self.aliases += other.aliases
        self.directives += other.directives
        self.names.update(other.names)

    def add_below(self, other: "_Weight") -> None:
        """Add what stands below a field of this level."""
        self.depth = max(self.depth, 1 + other.depth)
        self.aliases += other.aliases + other.repetitions
        self.directives += other.directives

    @property
    def repetitions(self) -> int:
        return self.names.total() - len(self.names)


def check_limits(document: DocumentNode, limits: Limits) -> None:
    """Check a document that is parsed and not yet validated.

    Raises:
        QueryTooComplex: An operation is beyond a limit.
    """
    scale = _Scale(document)
    for node in document.definitions:
        if not isinstance(node, OperationDefinitionNode):
            continue
        weight = scale.weigh(node.selection_set)
        for number, limit, what in (
            (weight.depth, limits.depth, "fields one below another"),
            (weight.aliases + weight.repetitions, limits.aliases, "aliased or repeated fields"),
            (weight.directives + len(node.directives or ()), limits.directives, "directives"),
            (weight.names.total(), limits.root_fields, "fields to begin with"),
        ):
            if number > limit:
                raise QueryTooComplex(f"An operation may have at most {limit} {what}.")


class _Scale:
    """Weighs the selections of one document."""

    def __init__(self, document: DocumentNode) -> None:
        self._fragments = {
            node.name.value: node
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        self._weights: dict[str, _Weight] = {}

    def weigh(self, selections: SelectionSetNode) -> _Weight:
        weight = _Weight()
        for selection in selections.selections:
            weight.directives += len(selection.directives or ())
            if isinstance(selection, FieldNode):
                weight.names[(selection.alias or selection.name).value] += 1
                weight.aliases += selection.alias is not None
                below = selection.selection_set
                weight.add_below(self.weigh(below) if below else _Weight())
            elif isinstance(selection, FragmentSpreadNode):
                weight.add(self._weigh_fragment(selection.name.value))
            elif isinstance(selection, InlineFragmentNode):
                weight.add(self.weigh(selection.selection_set))
        return weight

    def _weigh_fragment(self, name: str) -> _Weight:
        if name not in self._weights:
            # Nothing, while it is being weighed: validation refuses a fragment within itself,
            # as it does one that is not there.
            self._weights[name] = _Weight()
            if name in self._fragments:
                self._weights[name] = self.weigh(self._fragments[name].selection_set)
        return self._weights[name]
