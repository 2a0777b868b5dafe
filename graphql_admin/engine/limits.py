"""Limits on the complexity of a request, checked before validation.

Everything is counted as often as it is executed: the fields of a fragment count wherever the
fragment is spread. Each fragment is still walked only once, so that a document whose size doubles
with every spread costs no more to reject than any other. Fragments that no operation spreads have
the same limits, since validation walks them too.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    ExecutableDefinitionNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    Token,
    TokenKind,
)

from graphql_admin.engine.selections import tokens_of
from graphql_admin.errors import QueryTooComplex

MAX_OPERATIONS = 20
"""Operations of a document. Only one is executed, but all are validated, and the fragments that
they share are validated again for each."""

MAX_NAME = 200
"""Characters of a name. Errors quote names, and a response repeats an alias in every object."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on one request."""

    depth: int
    """Depth of nested fields."""

    aliases: int
    """Fields with an alias, or selected repeatedly. Both make a short document expensive: the time
    to compare fields for merging grows with the square of their number."""

    directives: int

    root_fields: int
    """Root fields of an operation."""

    spreads: int = 200
    """Fragment spreads. Each pair of fragments in one selection set is compared."""

    length: int = 65_536
    """Characters of the document. The lexer takes time for each."""

    representations: int = 1000
    """Representations in `_entities`. Equal ones share one call, but each is completed."""

    values: int = 5000
    """Values in the variables, those in lists and objects included. Each is coerced, and may cause
    an error."""


@dataclass(slots=True)
class _Weight:
    """The counts of a selection set, nested ones included."""

    depth: int = 0
    aliases: int = 0
    directives: int = 0
    spreads: int = 0
    repeats: int = 0
    names: Counter[str] = field(default_factory=Counter)
    """Response names of the first level."""

    def add(self, other: "_Weight") -> None:
        """Add another selection set of the same level."""
        self.depth = max(self.depth, other.depth)
        self.aliases += other.aliases
        self.directives += other.directives
        self.spreads += other.spreads
        self.repeats += other.repeats
        self.names.update(other.names)

    def add_below(self, other: "_Weight") -> None:
        """Add the selection set of a field of this level."""
        self.depth = max(self.depth, 1 + other.depth)
        self.aliases += other.aliases + other.repetitions
        self.directives += other.directives
        self.spreads += other.spreads
        self.repeats += other.repeats

    @property
    def repetitions(self) -> int:
        return self.names.total() - len(self.names)


class FragmentCycle(Exception):
    """A fragment is spread within itself.

    Args:
        spread: The spread that closes the cycle.
    """

    def __init__(self, spread: FragmentSpreadNode) -> None:
        super().__init__(spread.name.value)
        self.spread = spread


def check_length(text: str, limits: Limits) -> None:
    """Check a document before parsing.

    Raises:
        QueryTooComplex: It is too long.
    """
    if len(text) > limits.length:
        raise QueryTooComplex(f"A document may have at most {limits.length} characters.")


REPEATED_NAME = 16
"""Characters of an alias that count as one more copy of a reply in the response: the response has
the alias in every object, and some attributes are hardly longer than this."""


def check_limits(document: DocumentNode, limits: Limits) -> int:
    """Check a parsed document before validation.

    Returns:
        How often the response may contain any part of a reply from Cognito: once, and twice more
        for each alias, since copies share only the values in memory. Fields repeated without an
        alias are one field in the response.

    Raises:
        QueryTooComplex: It exceeds a limit.
        FragmentCycle: A fragment is spread within itself, so its fields cannot be counted.
    """
    names = list(names_of(document))
    if any(len(name.value or "") > MAX_NAME for name in names):
        raise QueryTooComplex(f"A name may have at most {MAX_NAME} characters.")
    definitions = [
        node for node in document.definitions if isinstance(node, ExecutableDefinitionNode)
    ]
    operations = [node for node in definitions if isinstance(node, OperationDefinitionNode)]
    if len(operations) > MAX_OPERATIONS:
        raise QueryTooComplex(f"A document may have at most {MAX_OPERATIONS} operations.")
    scale = _Scale(definitions)
    repeats = 0
    for node in definitions:
        weight = scale.weigh_definition(node)
        repeats = max(repeats, weight.repeats)
        root_fields = weight.names.total() if isinstance(node, OperationDefinitionNode) else 0
        for number, limit, what in (
            (weight.depth, limits.depth, "levels of nested fields"),
            (weight.aliases + weight.repetitions, limits.aliases, "aliased or repeated fields"),
            (weight.directives, limits.directives, "directives"),
            (weight.spreads, limits.spreads, "fragment spreads"),
            (root_fields, limits.root_fields, "root fields"),
        ):
            if number > limit:
                raise QueryTooComplex(f"An operation may have at most {limit} {what}.")
    # As written, too: fragments that no operation spreads are still compared.
    if sum(map(_is_spread, names)) > limits.spreads:
        raise QueryTooComplex(f"A document may have at most {limits.spreads} fragment spreads.")
    return 1 + repeats


def names_of(document: DocumentNode) -> Iterator[Token]:
    """Yield the name tokens of a parsed document."""
    return (token for token in tokens_of(document) if token.kind is TokenKind.NAME)


def _is_spread(name: Token) -> bool:
    before = name.prev
    return before is not None and before.kind is TokenKind.SPREAD and name.value != "on"


def check_variables(variables: Mapping[str, Any] | None, limits: Limits) -> None:
    """Check variables that were decoded from JSON, before any is coerced.

    Raises:
        QueryTooComplex: They contain too many values.
    """
    left = limits.values
    waiting: list[Any] = [variables]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            value = value.values()
        elif not isinstance(value, list):
            continue
        left -= len(value)
        if left < 0:
            raise QueryTooComplex(f"Variables may have at most {limits.values} values.")
        waiting += value


_CONTAINERS = frozenset({dict, list})
"""The containers that JSON decodes to."""


def size_of(variables: Mapping[str, Any] | None) -> int:
    """Return the estimated size in memory of variables that were decoded from JSON, in bytes."""
    # `sys.getsizeof` adds the overhead of the garbage collector, and takes ten times as long.
    size = 0
    waiting: list[Any] = [variables] if variables else []
    for container in waiting:  # it grows in the loop
        size += container.__sizeof__()
        values = container
        if isinstance(container, dict):
            size += sum(map(str.__sizeof__, container))  # its keys
            values = container.values()
        for value in values:
            if type(value) in _CONTAINERS:
                waiting.append(value)
            else:
                size += value.__sizeof__()
    return size


class _Scale:
    """Counts the definitions of one document."""

    def __init__(self, definitions: Iterable[ExecutableDefinitionNode]) -> None:
        self._fragments = {
            node.name.value: node
            for node in definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        self._weights: dict[str, _Weight | None] = {}
        """The weights of the fragments spread so far; None while one is being counted."""

    def weigh_definition(self, node: ExecutableDefinitionNode) -> _Weight:
        """Return the weight of an operation or a fragment."""
        weight = self._weigh(node.selection_set)
        weight.directives += len(node.directives or ())
        for variable in node.variable_definitions or ():
            weight.directives += len(variable.directives or ())
        return weight

    def _weigh(self, selections: SelectionSetNode) -> _Weight:
        weight = _Weight()
        for selection in selections.selections:
            weight.directives += len(selection.directives or ())
            if isinstance(selection, FieldNode):
                weight.names[(selection.alias or selection.name).value] += 1
                if selection.alias is not None:
                    weight.aliases += 1
                    weight.repeats += 2 + len(selection.alias.value) // REPEATED_NAME
                below = selection.selection_set
                weight.add_below(self._weigh(below) if below else _Weight())
            elif isinstance(selection, FragmentSpreadNode):
                weight.spreads += 1
                weight.add(self._weigh_fragment(selection))
            elif isinstance(selection, InlineFragmentNode):
                weight.add(self._weigh(selection.selection_set))
        return weight

    def _weigh_fragment(self, spread: FragmentSpreadNode) -> _Weight:
        name = spread.name.value
        if name not in self._fragments:
            return _Weight()  # validation rejects it
        if name not in self._weights:
            self._weights[name] = None
            self._weights[name] = self.weigh_definition(self._fragments[name])
        weight = self._weights[name]
        if weight is None:
            raise FragmentCycle(spread)
        return weight
