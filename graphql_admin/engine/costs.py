"""What a query may cost: how many calls of Cognito it takes where every page is full.

The figures are read off the schema, but for which fields take a call: whoever knows the schema's
guards says that. What is selected below a page, or a list of references, is paid for with each of
its items. A call more for a page that Cognito cuts short is not foreseen here; the request counts
those as it makes them.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    is_abstract_type,
)

from graphql_admin.engine.selections import Selections, fragments_of

TakesCall: TypeAlias = Callable[[GraphQLField], bool]
"""Tells whether a field's resolver may call Cognito."""

PAGE_SIZE = "first"
"""The argument that says how many items a page has."""

REFERENCES = "representations"
"""The argument that lists objects to fetch, each with a call of its own."""


_MAX_INT = 2**31 - 1
"""GraphQL's largest."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many items a field gives."""

    number: int
    """As the document says, or the default."""

    variable: str | None = None
    """The variable that says it, if one does."""

    distinct: bool = False
    """Whether items that are alike count once."""

    def given(self, variables: Mapping[str, Any]) -> int:
        """Return the size with these variables, which need not be of their types yet."""
        value = variables.get(self.variable, self.number) if self.variable else self.number
        if isinstance(value, list):
            value = _count_different(value) if self.distinct else len(value)
        elif isinstance(value, float) and value.is_integer():
            value = int(value)  # as GraphQL's `Int` has it
        # What is no size counts as one: it is refused before anybody is called.
        return min(max(1, value), _MAX_INT) if isinstance(value, int) else 1


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of an operation, but for its variables."""

    terms: Mapping[tuple[Size, ...], int]
    """Number of calls that are made once for each item of each item … of these sizes."""

    references: tuple[Size, ...] = ()
    """Lengths of the lists of references, whether alike or not."""

    mutations: tuple[tuple[str, int], ...] = ()
    """The names of the operation's mutations, each with how often the operation has it."""

    def calls(self, variables: Mapping[str, Any] | None) -> int:
        """Return how many calls the operation takes with these variables."""
        total = 0
        for sizes, number in self.terms.items():
            calls = number
            for size in sizes:
                calls *= size.given(variables or {})
            total += calls
        return total

    def objects(self, variables: Mapping[str, Any] | None) -> int:
        """Return how many objects the operation refers to with these variables, one by one."""
        return sum(size.given(variables or {}) for size in self.references)


class CostTable:
    """The cost of every field of a schema.

    Args:
        schema: The schema.
        takes_call: Tells which of its fields take a call.
        enough: A number of calls from which on it does not matter how many more there are.
    """

    def __init__(self, schema: GraphQLSchema, takes_call: TakesCall, *, enough: int) -> None:
        self._schema = schema
        self._takes_call = takes_call
        self._enough = enough

    def estimate(self, document: DocumentNode, operation: OperationDefinitionNode) -> Cost:
        """Return the cost of an operation of a document that fits the schema.

        Selections on a condition (`@skip`, `@include`) count in full.
        """
        root = self._schema.get_root_type(operation.operation)
        assert root is not None  # noqa: S101  # validation saw to it
        selections = Selections(self._schema, fragments_of(document))
        walk = _Walk(selections, self._takes_call, operation, self._enough)
        below = [operation.selection_set]
        terms = walk.cost_below(root, below, ())
        mutations: Counter[str] = Counter()
        if operation.operation is OperationType.MUTATION:
            asked = selections.collect(root, below).values()
            mutations.update(nodes[0].name.value for nodes in asked)
            del mutations["__typename"]
        return Cost(
            {(): self._enough} if walk.given_up else terms,
            tuple(walk.references),
            tuple(mutations.items()),
        )


class _Walk:
    """Goes through one operation as its execution would."""

    def __init__(
        self,
        selections: Selections,
        takes_call: TakesCall,
        operation: OperationDefinitionNode,
        enough: int,
    ) -> None:
        self._selections = selections
        self._takes_call = takes_call
        self._defaults = {
            node.variable.name.value: node.default_value
            for node in operation.variable_definitions or ()
        }
        self._left = enough
        self.references: list[Size] = []

    @property
    def given_up(self) -> bool:
        """Whether the walk ended early, after more calling fields than matter."""
        return self._left <= 0

    def cost_below(
        self,
        parent: GraphQLObjectType,
        selection_sets: Iterable[SelectionSetNode | None],
        sizes: tuple[Size, ...],
    ) -> Counter[tuple[Size, ...]]:
        """Return the terms of what is selected of one object.

        Args:
            parent: The object's type.
            selection_sets: All that is selected of it.
            sizes: Of the lists that the object is an item of.
        """
        terms: Counter[tuple[Size, ...]] = Counter()
        for nodes in self._selections.collect(parent, selection_sets).values():
            field = parent.fields.get(nodes[0].name.value)
            if field is None or self.given_up:  # introspection calls nobody
                continue
            own = below = sizes
            if PAGE_SIZE in field.args:
                below = (*sizes, self._size(nodes[0], PAGE_SIZE, field))
            elif REFERENCES in field.args:
                size = self._size(nodes[0], REFERENCES, field)
                self.references.append(size)
                # Two references to one object share a call, and not what is asked below each.
                own, below = (*sizes, replace(size, distinct=True)), (*sizes, size)
            if self._takes_call(field):
                terms[own] += 1
                self._left -= 1
            terms += self._cost_of_value(field, nodes, below)
        return terms

    def _cost_of_value(
        self, field: GraphQLField, nodes: list[FieldNode], sizes: tuple[Size, ...]
    ) -> Counter[tuple[Size, ...]]:
        type_ = get_named_type(field.type)
        terms: Counter[tuple[Size, ...]] = Counter()
        selection_sets = [node.selection_set for node in nodes]
        if isinstance(type_, GraphQLObjectType):
            return self.cost_below(type_, selection_sets, sizes)
        if is_abstract_type(type_):
            for possible in self._selections.schema.get_possible_types(type_):
                terms |= self.cost_below(possible, selection_sets, sizes)  # the greater of each
        return terms

    def _size(self, node: FieldNode, name: str, field: GraphQLField) -> Size:
        value = next((a.value for a in node.arguments or () if a.name.value == name), None)
        default = field.args[name].default_value
        fallback = default if isinstance(default, int) else 1
        if isinstance(value, VariableNode):
            variable = value.name.value
            return Size(_number(self._defaults.get(variable), fallback), variable)
        return Size(_number(value, fallback))


def _count_different(references: list[Any]) -> int:
    """Return how many objects are referred to, each that can be none counted as one."""
    # Type names and keys are texts, and all that tells one reference from another.
    texts = [
        frozenset((name, value) for name, value in reference.items() if isinstance(value, str))
        for reference in references
        if isinstance(reference, dict)
    ]
    referring = [each for each in texts if len(each) > 1]
    return len(set(referring)) + len(references) - len(referring)


def _number(value: ValueNode | None, fallback: int) -> int:
    if isinstance(value, IntValueNode):
        return int(value.value)
    return len(value.values) if isinstance(value, ListValueNode) else fallback
