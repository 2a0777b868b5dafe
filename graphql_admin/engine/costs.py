"""The cost of a query: how many calls to Cognito it takes if every page is full.

It is derived from the schema; `takes_call` says which fields call Cognito, since the guards of the
fields are not known here. A selection below a page, or below a list of references, costs its calls
for each item. Additional calls for pages that Cognito cuts short cannot be estimated; the request
counts those when it makes them.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, NamedTuple, TypeAlias

from graphql import (
    BooleanValueNode,
    DocumentNode,
    EnumValueNode,
    FieldNode,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLObjectType,
    GraphQLSchema,
    IntValueNode,
    ListValueNode,
    ObjectValueNode,
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
"""The argument for the number of items of a page."""


def _count_different_ids(ids: list[Any]) -> int:
    """Return the number of distinct ids; each that is not a string counts as one."""
    texts = [each for each in ids if isinstance(each, str)]
    return len(set(texts)) + len(ids) - len(texts)


def _count_different_keys(references: list[Any]) -> int:
    """Return the number of distinct references by key; each invalid one counts as one."""
    # Type names and keys are strings; nothing else distinguishes references.
    texts = [
        frozenset((name, value) for name, value in reference.items() if isinstance(value, str))
        for reference in references
        if isinstance(reference, dict)
    ]
    referring = [each for each in texts if len(each) > 1]
    return len(set(referring)) + len(references) - len(referring)


REFERENCES: Mapping[str, Callable[[list[Any]], int]] = {
    "representations": _count_different_keys,
    "ids": _count_different_ids,
}
"""The arguments that list objects to fetch, one call each, and what counts those that differ."""

COUNTED = "upTo"
"""The argument for how far a field counts the rows of a list, one call for each page."""

ROWS_PER_CALL = 60
"""Rows of Cognito's largest page."""

INPUT = "input"
"""The argument of a mutation."""

STEPS = "steps"
"""The input field that lists the steps of a batch. Their own cost depends on what they do; what is
selected of each result is counted here."""

MAX_STEPS = 50
"""Steps of the batches in one operation."""

_MAX_INT = 2**31 - 1
"""GraphQL's largest `Int`."""


@dataclass(frozen=True, slots=True)
class Size:
    """The number of items that a field returns."""

    number: int
    """The literal in the document, or the default."""

    variable: str | None = None
    """The variable that sets it, if any."""

    count: Callable[[list[Any]], int] = len
    """Counts the items of a list."""

    per_call: int = 1
    """Items that one call returns."""

    def given(self, variables: Mapping[str, Any]) -> int:
        """Return the size for these variables, which are not coerced yet."""
        value = variables.get(self.variable, self.number) if self.variable else self.number
        if isinstance(value, list):
            value = self.count(value)
        elif isinstance(value, float) and value.is_integer():
            value = int(value)  # as GraphQL coerces an `Int`
        # An invalid size counts as one: it is rejected before any call is made.
        number = min(max(1, value), _MAX_INT) if isinstance(value, int) else 1
        return ceil(number / self.per_call)


class Asked(NamedTuple):
    """What a batch asks for, before it is coerced."""

    changes: tuple[str, ...]
    """The name of each step's mutation; none for a step that does not name exactly one."""
    steps: int
    """Number of its steps."""
    options: Mapping[str, object]
    """The values of its other input fields that are strings or Booleans."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """The steps of a batch."""

    input: ValueNode | None
    """Its input, as in the document."""

    defaults: Mapping[str, ValueNode | None]
    """The default values of the operation's variables."""

    def read(self, variables: Mapping[str, Any]) -> Asked:
        """Return what is asked for with these variables, which are not coerced yet."""

        def is_absent(value: Any) -> bool:
            """Tell whether a member is a variable without a value, as if it were not there."""
            if not isinstance(value, VariableNode):
                return False
            name = value.name.value
            return name not in variables and self.defaults.get(name) is None

        def resolve(value: Any) -> Any:
            """Return the value of a node; those of its members and items are still nodes."""
            match value:
                case VariableNode():
                    name = value.name.value
                    return resolve(variables.get(name, self.defaults.get(name)))
                case ListValueNode():
                    return list(value.values)
                case ObjectValueNode():
                    members = ((each.name.value, each.value) for each in value.fields)
                    return {name: member for name, member in members if not is_absent(member)}
                case EnumValueNode() | BooleanValueNode():
                    return value.value
            return value

        input_ = resolve(self.input)
        members = input_ if isinstance(input_, dict) else {}
        steps = resolve(members.get(STEPS))
        # As GraphQL coerces a single value to a list.
        listed = steps if isinstance(steps, list) else [] if steps is None else [steps]
        named = [each for each in map(resolve, listed[:MAX_STEPS]) if isinstance(each, dict)]
        changes = [name for each in named if len(each) == 1 for name in each]
        options = {name: resolve(value) for name, value in members.items() if name != STEPS}
        plain = {name: each for name, each in options.items() if isinstance(each, str | bool)}
        return Asked(tuple(changes), len(listed), plain)

    def given(self, variables: Mapping[str, Any]) -> int:
        """Return the number of steps with these variables, which are not coerced yet."""
        # Too many count as one: they are rejected before any call is made.
        steps = self.read(variables).steps
        return steps if 1 <= steps <= MAX_STEPS else 1


Sizes: TypeAlias = tuple[Size | Batch, ...]
"""Of the lists that an object is an item of."""


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of an operation as a function of its variables."""

    terms: Mapping[Sizes, int]
    """Pairs of a number of calls, and the sizes that it is multiplied by."""

    references: tuple[Size, ...] = ()
    """Lengths of the lists of references, equal ones counted separately."""

    mutations: tuple[tuple[str, int], ...] = ()
    """The names of the operation's mutations, each with how often the operation has it."""

    batches: tuple[Batch, ...] = ()
    """The operation's batches, which are not among `mutations`."""

    def calls(self, variables: Mapping[str, Any] | None) -> int:
        """Return the number of calls that the operation takes with these variables."""
        total = 0
        for sizes, number in self.terms.items():
            calls = number
            for size in sizes:
                calls *= size.given(variables or {})
            total += calls
        return total

    def objects(self, variables: Mapping[str, Any] | None) -> int:
        """Return the number of references with these variables, equal ones counted separately."""
        return sum(size.given(variables or {}) for size in self.references)

    def asked(self, variables: Mapping[str, Any] | None) -> list[Asked]:
        """Return what the batches ask for with these variables."""
        return [batch.read(variables or {}) for batch in self.batches]


class CostTable:
    """The cost of every field of a schema.

    Args:
        schema: The schema.
        takes_call: Tells which of its fields call Cognito.
        enough: Number of calls above which the exact number does not matter.
    """

    def __init__(self, schema: GraphQLSchema, takes_call: TakesCall, *, enough: int) -> None:
        self._schema = schema
        self._takes_call = takes_call
        self._enough = enough

    def estimate(self, document: DocumentNode, operation: OperationDefinitionNode) -> Cost:
        """Return the cost of an operation of a valid document.

        Conditional selections (`@skip`, `@include`) count in full.
        """
        root = self._schema.get_root_type(operation.operation)
        assert root is not None  # noqa: S101  # the document is valid
        selections = Selections(self._schema, fragments_of(document))
        walk = _Walk(selections, self._takes_call, operation, self._enough)
        below = [operation.selection_set]
        terms = walk.cost_below(root, below, ())
        mutations: Counter[str] = Counter()
        if operation.operation is OperationType.MUTATION:
            asked = selections.collect(root, below).values()
            names = (nodes[0].name.value for nodes in asked)
            mutations.update(
                name for name in names if name in root.fields and not _is_batch(root.fields[name])
            )
        return Cost(
            {(): self._enough} if walk.given_up else terms,
            tuple(walk.references),
            tuple(mutations.items()),
            tuple(walk.batches),
        )


class _Walk:
    """Walks one operation as its execution would."""

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
        self.batches: list[Batch] = []

    @property
    def given_up(self) -> bool:
        """Whether the walk ended early, because of too many fields that call."""
        return self._left <= 0

    def cost_below(
        self,
        parent: GraphQLObjectType,
        selection_sets: Iterable[SelectionSetNode | None],
        sizes: Sizes,
    ) -> Counter[Sizes]:
        """Return the terms for the selections of one object.

        Args:
            parent: The object's type.
            selection_sets: All its selection sets.
            sizes: Of the lists that the object is an item of.
        """
        terms: Counter[Sizes] = Counter()
        for nodes in self._selections.collect(parent, selection_sets).values():
            field = parent.fields.get(nodes[0].name.value)
            if field is None or self.given_up:  # introspection makes no calls
                continue
            own = below = sizes
            if _is_batch(field):
                batch = Batch(_argument(nodes[0], INPUT), self._defaults)
                self.batches.append(batch)
                terms += self._cost_of_value(field, nodes, (*sizes, batch))
                continue
            if PAGE_SIZE in field.args:
                below = (*sizes, self._size(nodes[0], PAGE_SIZE, field))
            elif listed := next((name for name in REFERENCES if name in field.args), None):
                size = self._size(nodes[0], listed, field)
                self.references.append(size)
                # Two references to one object share a call, but not the calls of the fields below.
                own, below = (*sizes, replace(size, count=REFERENCES[listed])), (*sizes, size)
            elif COUNTED in field.args:
                size = self._size(nodes[0], COUNTED, field)
                own = (*sizes, replace(size, per_call=ROWS_PER_CALL))
            if self._takes_call(field):
                terms[own] += 1
                self._left -= 1
            terms += self._cost_of_value(field, nodes, below)
        return terms

    def _cost_of_value(
        self, field: GraphQLField, nodes: list[FieldNode], sizes: Sizes
    ) -> Counter[Sizes]:
        type_ = get_named_type(field.type)
        terms: Counter[Sizes] = Counter()
        selection_sets = [node.selection_set for node in nodes]
        if isinstance(type_, GraphQLObjectType):
            return self.cost_below(type_, selection_sets, sizes)
        if is_abstract_type(type_):
            for possible in self._selections.schema.get_possible_types(type_):
                terms |= self.cost_below(possible, selection_sets, sizes)  # the greater of the two
        return terms

    def _size(self, node: FieldNode, name: str, field: GraphQLField) -> Size:
        value = _argument(node, name)
        default = field.args[name].default_value
        fallback = default if isinstance(default, int) else 1
        if isinstance(value, VariableNode):
            variable = value.name.value
            return Size(_number(self._defaults.get(variable), fallback), variable)
        return Size(_number(value, fallback))


def _argument(node: FieldNode, name: str) -> ValueNode | None:
    return next((a.value for a in node.arguments or () if a.name.value == name), None)


def _is_batch(field: GraphQLField) -> bool:
    """Tell whether a field takes steps."""
    argument = field.args.get(INPUT)
    type_ = get_named_type(argument.type) if argument else None
    return isinstance(type_, GraphQLInputObjectType) and STEPS in type_.fields


def _number(value: ValueNode | None, fallback: int) -> int:
    if isinstance(value, IntValueNode):
        return int(value.value)
    return len(value.values) if isinstance(value, ListValueNode) else fallback
