"""How complex a request may be, checked before anything looks at it twice.

Everything is counted as often as it is carried out: what a fragment holds counts wherever the
fragment is spread. Each fragment is still looked at once, so that a document that doubles at
every spread costs no more to refuse than any other. Fragments that no operation spreads are held
to the same limits, since validation looks at them too.
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
"""Operations of a document. Only one is executed, and all are validated: what they share, each
of them anew."""

MAX_NAME = 200
"""Characters of a name. Errors repeat names, and a response repeats an alias in every object."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may have at most."""

    depth: int
    """Fields one below another."""

    aliases: int
    """Fields asked for under another name, or again. Both make a short document do a lot: to
    compare fields that may be merged takes time with the square of their number."""

    directives: int

    root_fields: int
    """Fields that the operation begins with."""

    spreads: int = 200
    """Fragments spread. Each pair of those that are spread side by side is compared."""

    length: int = 65_536
    """Characters of the document. The lexer takes them one by one."""

    representations: int = 1000
    """Objects that `_entities` is asked for. Those that are alike take one call together, and are
    completed one by one."""

    values: int = 5000
    """Values in the variables, those in lists and objects included. Each is looked at, and may be
    an error."""


@dataclass(slots=True)
class _Weight:
    """What a selection set amounts to, with all below it."""

    depth: int = 0
    aliases: int = 0
    directives: int = 0
    spreads: int = 0
    repeats: int = 0
    names: Counter[str] = field(default_factory=Counter)
    """Response names on the first level."""

    def add(self, other: "_Weight") -> None:
        """Add what stands on the same level."""
        self.depth = max(self.depth, other.depth)
        self.aliases += other.aliases
        self.directives += other.directives
        self.spreads += other.spreads
        self.repeats += other.repeats
        self.names.update(other.names)

    def add_below(self, other: "_Weight") -> None:
        """Add what stands below a field of this level."""
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
        spread: Where.
    """

    def __init__(self, spread: FragmentSpreadNode) -> None:
        super().__init__(spread.name.value)
        self.spread = spread


def check_length(text: str, limits: Limits) -> None:
    """Check a document that is not parsed yet.

    Raises:
        QueryTooComplex: It is too long.
    """
    if len(text) > limits.length:
        raise QueryTooComplex(f"A document may have at most {limits.length} characters.")


REPEATED_NAME = 16
"""Characters of an alias for which the response counts as having one more part of a reply: it has
the alias in every object, and there are attributes that are hardly longer than this."""


def check_limits(document: DocumentNode, limits: Limits) -> int:
    """Check a document that is parsed and not yet validated.

    Returns:
        How often the response may have any part of what a call of Cognito replies: once, and
        twice more for each alias, since what is repeated shares no memory but the values. Fields
        repeated without an alias are one field in the response.

    Raises:
        QueryTooComplex: It is beyond a limit.
        FragmentCycle: A fragment is spread within itself, so that nothing can be counted.
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
            (weight.depth, limits.depth, "fields one below another"),
            (weight.aliases + weight.repetitions, limits.aliases, "aliased or repeated fields"),
            (weight.directives, limits.directives, "directives"),
            (weight.spreads, limits.spreads, "spreads of fragments"),
            (root_fields, limits.root_fields, "fields to begin with"),
        ):
            if number > limit:
                raise QueryTooComplex(f"An operation may have at most {limit} {what}.")
    # As written, too: what no operation spreads is compared all the same.
    if sum(map(_is_spread, names)) > limits.spreads:
        raise QueryTooComplex(f"A document may have at most {limits.spreads} spreads of fragments.")
    return 1 + repeats


def names_of(document: DocumentNode) -> Iterator[Token]:
    """Yield the tokens of a parsed document that are names."""
    return (token for token in tokens_of(document) if token.kind is TokenKind.NAME)


def _is_spread(name: Token) -> bool:
    before = name.prev
    return before is not None and before.kind is TokenKind.SPREAD and name.value != "on"


def check_variables(variables: Mapping[str, Any] | None, limits: Limits) -> None:
    """Check variables that were decoded from JSON, before any of them is looked at.

    Raises:
        QueryTooComplex: They hold too many values.
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
"""What JSON decodes to that holds something else."""


def size_of(variables: Mapping[str, Any] | None) -> int:
    """Return the estimated size in memory of variables that were decoded from JSON, in bytes."""
    # `sys.getsizeof` adds what the collector needs, and takes ten times as long.
    size = 0
    waiting: list[Any] = [variables] if variables else []
    for container in waiting:  # which grows meanwhile
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
    """Weighs the definitions of one document."""

    def __init__(self, definitions: Iterable[ExecutableDefinitionNode]) -> None:
        self._fragments = {
            node.name.value: node
            for node in definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        self._weights: dict[str, _Weight | None] = {}
        """Of the fragments that were spread so far; None while one is being weighed."""

    def weigh_definition(self, node: ExecutableDefinitionNode) -> _Weight:
        """Return what an operation or a fragment amounts to."""
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
            return _Weight()  # validation refuses it
        if name not in self._weights:
            self._weights[name] = None
            self._weights[name] = self.weigh_definition(self._fragments[name])
        weight = self._weights[name]
        if weight is None:
            raise FragmentCycle(spread)
        return weight
