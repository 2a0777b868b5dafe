"""What a document is validated by, and what may be said of one that does not fit the schema.

A message repeats no value of the document: that is nobody's business. Where the schema is hidden,
a message also names nothing of it that the client did not name.
"""

import re
from typing import Any

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLInputType,
    GraphQLSchema,
    NonNullTypeNode,
    NullValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    ValidationContext,
    ValidationRule,
    ValueNode,
    VariableNode,
    get_named_type,
    is_introspection_type,
    specified_rules,
    validate,
)
from graphql.language import SKIP
from graphql.language.visitor import VisitorAction
from graphql.validation import (
    ASTValidationRule,
    KnownDirectivesRule,
    NoSchemaIntrospectionCustomRule,
    ValuesOfCorrectTypeRule,
    validation_context,
)
from graphql.validation.rules import overlapping_fields_can_be_merged
from graphql.validation.validate import ValidationAbortedError
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule

from graphql_admin.engine.fields import definition_of
from graphql_admin.errors import QueryTooComplex, ValidationFailed

overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET = 50_000
"""What graphql-core may spend on comparing fields that have one name in the response; two for a
comparison, so that the hundred repetitions that are allowed by default take 10,000."""

validation_context.MAX_FRAGMENT_WORK = 10_000
"""What it may spend on going through fragments anew for each operation: one for a spread, and for
the use of a variable."""

MAX_ERRORS = 10
"""Errors after which validation stops. One more says that it did."""

SCHEMA_TYPES = frozenset({"_Service"})
"""Types that describe the schema, besides those of introspection."""

SCHEMA_FIELDS = frozenset({"__schema", "__type", "_service"})
"""Fields that lead to them."""


class ValuesOfCorrectType(ValuesOfCorrectTypeRule):
    """GraphQL's own rule, which says what it found: a value.

    What it says here is the type, and `locations` says where. It reports one error of a value,
    not one of each part: GraphQL's own repeats the whole value in each.
    """

    def is_valid_value_node(
        self, node: ValueNode, input_type: GraphQLInputType | None
    ) -> VisitorAction:
        """Report where a value, or a part of it, does not fit its type."""
        try:
            super().is_valid_value_node(node, input_type)
        except _FirstError as first:
            # A list or an object that had to be copied has lost its place.
            nodes = [part for part in first.error.nodes or () if part.loc] or [node]
            message = f"This is not a value of the type '{input_type}'."
            super().report_error(GraphQLError(message, nodes))
        return SKIP  # all that is in it was looked at

    def report_error(self, error: GraphQLError) -> None:
        """Stop looking at the value."""
        raise _FirstError(error)


class _FirstError(Exception):
    """A value does not fit its type."""

    def __init__(self, error: GraphQLError) -> None:
        super().__init__()
        self.error = error


class KnownDirectives(KnownDirectivesRule):
    """GraphQL's own rule, but all unknown directives are one error, at the place of the first."""

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self._found_unknown = False

    def enter_directive(self, node: DirectiveNode, *arguments: Any) -> None:
        """Report a directive that is not known, or not for this place."""
        if node.name.value not in self.locations_map:
            if self._found_unknown:
                return
            self._found_unknown = True
        super().enter_directive(node, *arguments)


class OneOf(ValidationRule):
    """An input of which one field may be set has exactly one, and it is not null.

    Strawberry marks such inputs in its own way, so that graphql-core's rules pass them over. Its
    rule fails where a variable is not defined, or where a fragment stands before its operation.
    """

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self._variables: dict[int, VariableNode] = {}

    def enter_object_value(self, node: ObjectValueNode, *_: Any) -> None:
        """Report an input with more or fewer fields, or a null."""
        type_ = get_named_type(self.context.get_input_type())
        definition = definition_of(type_) if type_ else None
        if definition is None or not definition.is_one_of:
            return
        if len({field.name.value for field in node.fields}) != 1:
            self._report(type_, node)
            return
        value = node.fields[0].value
        if isinstance(value, NullValueNode):
            self._report(type_, node)
        elif isinstance(value, VariableNode):
            self._variables[id(value)] = value

    def leave_document(self, document: DocumentNode, *_: Any) -> None:
        """Report variables that may be null."""
        if not self._variables:
            return
        for operation in document.definitions:
            if not isinstance(operation, OperationDefinitionNode):
                continue
            nullable = {
                definition.variable.name.value
                for definition in operation.variable_definitions or ()
                if not isinstance(definition.type, NonNullTypeNode)
            }
            for usage in self.context.get_recursive_variable_usages(operation):
                name = usage.node.name.value
                if id(usage.node) in self._variables and name in nullable:
                    problem = f"Variable '${name}' must not be nullable here."
                    self.report_error(GraphQLError(problem, usage.node))

    def _report(self, type_: object, node: ObjectValueNode) -> None:
        problem = f"This is not a value of the type '{type_}': it takes exactly one of its fields."
        self.report_error(GraphQLError(problem, node))


class PlainIntrospection(ASTValidationRule):
    """The schema may be asked for, but not many times at once.

    Introspection calls nobody and so costs nothing by `costs`, but it holds up everybody else:
    a list of all types, each with all fields under a hundred names, takes half a minute.
    """

    context: ValidationContext

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        """Report a field of the schema that is asked for under another name."""
        if not node.alias:
            return
        parent = self.context.get_parent_type()
        if node.name.value in SCHEMA_FIELDS or (
            parent and (is_introspection_type(parent) or parent.name in SCHEMA_TYPES)
        ):
            problem = GraphQLError("What describes the schema takes no alias.", node)
            self.report_error(problem)


_OURS = {
    KnownDirectivesRule: KnownDirectives,
    ValuesOfCorrectTypeRule: ValuesOfCorrectType,
}

RULES = (
    *(_OURS.get(rule, rule) for rule in specified_rules),
    MaybeNullValidationRule,
    OneOf,
    PlainIntrospection,
)
"""What Strawberry validates by, with its rule on `@oneOf` made anew, and a rule of ours."""


def find_errors(
    schema: GraphQLSchema, document: DocumentNode, *, hidden: bool
) -> list[GraphQLError]:
    """Return what is wrong with a document that is within the limits.

    Args:
        schema: What it has to fit.
        document: The document.
        hidden: Whether the schema is not to be told.

    Raises:
        QueryTooComplex: It takes too long to find out.
    """
    rules = (*RULES, NoSchemaIntrospectionCustomRule) if hidden else RULES
    errors = validate(schema, document, rules, max_errors=MAX_ERRORS, hide_suggestions=True)
    if errors and isinstance(errors[-1], ValidationAbortedError) and len(errors) <= MAX_ERRORS:
        # graphql-core's own budget for comparing fields and following fragments is used up.
        raise QueryTooComplex("The document's fields and fragments take too long to compare.")
    return [conceal(error) for error in errors] if hidden else errors


def conceal(error: GraphQLError) -> GraphQLError:
    """Return an error of a document without what it tells of the schema."""
    told = _TOLD.match(error.message)
    if told:
        message = f"{told.group()}."
    else:
        message = next(
            (instead for start, instead in _CONCEALED if error.message.startswith(start)),
            ValidationFailed.message,
        )
    return GraphQLError(message, error.nodes)


_TOLD = re.compile(
    r"""
    Cannot\ query\ field\ '\w+'
    | Cannot\ spread\ fragment\ '\w+'\ within\ itself
    | Field\ '\w+'\ must\ not\ have\ a\ selection
    | Fields\ '\w+'\ conflict
    | Fragment\ ('\w+'\ )?cannot\ be\ spread\ here
    | Fragment\ '\w+'\ is\ never\ used
    | GraphQL\ introspection\ has\ been\ disabled
    | Maximum\ introspection\ depth\ exceeded
    | The\ directive\ '@\w+'\ can\ only\ be\ used\ once\ at\ this\ location
    | There\ can\ be\ only\ one
      \ (argument|fragment|input\ field|operation|variable)\ named\ '\$?\w+'
    | This\ anonymous\ operation\ must\ be\ the\ only\ defined\ operation
    | Too\ many\ validation\ errors
    | Unknown\ (argument|directive|fragment|type)\ '@?\w+'
    | Variable\ '\$\w+'\ is\ (never\ used|not\ defined)
    | What\ describes\ the\ schema\ takes\ no\ alias
    """,
    re.VERBOSE,
)
"""As much of a message as names nothing but what the client did. Messages of graphql-core; one
that it words differently in another version is told as `ValidationFailed.message`."""

_CONCEALED = (
    ("Argument ", "An argument is missing."),
    ("Field ", "A field that has fields of its own takes a selection of them."),
    ("This is not a value", "This is not a value of the type that is expected here."),
    ("Variable ", "A variable is not of a type that is expected where it is used."),
)
"""What is told instead of messages that begin like this, and are none of those above."""
