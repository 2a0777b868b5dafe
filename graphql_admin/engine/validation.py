"""The validation rules for documents, and what error messages may disclose.

A message never quotes a value of the document, which may be personal. Where introspection is off, a
message also names nothing of the schema that the client did not name.
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
"""Budget of graphql-core for comparing fields with the same response name. A comparison takes two,
so the hundred repetitions that are allowed by default take 10,000."""

validation_context.MAX_FRAGMENT_WORK = 10_000
"""Its budget for walking fragments again for each operation: a spread and the use of a variable
take one each."""

MAX_ERRORS = 10
"""Errors after which validation stops. One more reports that it did."""

SCHEMA_TYPES = frozenset({"_Service"})
"""Types that expose the schema, besides those of introspection."""

SCHEMA_FIELDS = frozenset({"__schema", "__type", "_service"})
"""Fields that return them."""


class ValuesOfCorrectType(ValuesOfCorrectTypeRule):
    """graphql-core's rule, whose messages quote values, with messages that do not.

    The message here names the type, and `locations` shows where the value is. There is one error
    per value, not one per part of it: graphql-core's quotes the whole value in each.
    """

    def is_valid_value_node(
        self, node: ValueNode, input_type: GraphQLInputType | None
    ) -> VisitorAction:
        """Report a value that does not match its type, or contains one that does not."""
        try:
            super().is_valid_value_node(node, input_type)
        except _FirstError as first:
            # A list or an object that had to be copied has no location.
            nodes = [part for part in first.error.nodes or () if part.loc] or [node]
            message = f"This is not a value of the type '{input_type}'."
            super().report_error(GraphQLError(message, nodes))
        return SKIP  # its parts have been checked

    def report_error(self, error: GraphQLError) -> None:
        """Stop checking the value."""
        raise _FirstError(error)


class _FirstError(Exception):
    """A value does not match its type."""

    def __init__(self, error: GraphQLError) -> None:
        super().__init__()
        self.error = error


class KnownDirectives(KnownDirectivesRule):
    """graphql-core's rule, but with one error for all unknown directives, at the first one."""

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self._found_unknown = False

    def enter_directive(self, node: DirectiveNode, *arguments: Any) -> None:
        """Report a directive that is unknown, or not allowed at this location."""
        if node.name.value not in self.locations_map:
            if self._found_unknown:
                return
            self._found_unknown = True
        super().enter_directive(node, *arguments)


class OneOf(ValidationRule):
    """Of a `@oneOf` input, exactly one field is set, and it is not null.

    Strawberry marks such inputs in its own way, so graphql-core's rule does not see them.
    Strawberry's own rule fails where a variable is not defined, or where a fragment precedes its
    operation.
    """

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self._variables: dict[int, VariableNode] = {}

    def enter_object_value(self, node: ObjectValueNode, *_: Any) -> None:
        """Report an input with more or fewer fields, or with a null."""
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
        problem = f"This is not a value of the type '{type_}': exactly one field must be set."
        self.report_error(GraphQLError(problem, node))


MAX_ALIASED_TYPES = 10
"""Aliased `__type` of a document. Tools ask so for what the server's introspection supports."""


class PlainIntrospection(ASTValidationRule):
    """Introspection is allowed, but fields of the schema cannot be repeated under aliases.

    Introspection makes no calls, so it has no cost in `costs`, but it blocks the event loop and
    with it all other requests: a list of all types, each with all fields under a hundred aliases,
    takes half a minute. A few aliased `__type` take no longer than one `__schema`.
    """

    context: ValidationContext

    def __init__(self, context: Any) -> None:
        super().__init__(context)
        self._aliased_types = 0

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        """Report an introspection field with an alias."""
        if not node.alias:
            return
        if node.name.value == "__type" and self._aliased_types < MAX_ALIASED_TYPES:
            self._aliased_types += 1
            return
        parent = self.context.get_parent_type()
        if node.name.value in SCHEMA_FIELDS or (
            parent and (is_introspection_type(parent) or parent.name in SCHEMA_TYPES)
        ):
            problem = GraphQLError("Introspection fields cannot be aliased.", node)
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
"""Strawberry's validation rules, with its rule for `@oneOf` replaced, and one more rule."""


def find_errors(
    schema: GraphQLSchema, document: DocumentNode, *, hidden: bool
) -> list[GraphQLError]:
    """Return the validation errors of a document that is within the limits.

    Args:
        schema: The schema to validate against.
        document: The document.
        hidden: Whether messages must not disclose the schema.

    Raises:
        QueryTooComplex: Validation takes too long.
    """
    rules = (*RULES, NoSchemaIntrospectionCustomRule) if hidden else RULES
    errors = validate(schema, document, rules, max_errors=MAX_ERRORS, hide_suggestions=True)
    if errors and isinstance(errors[-1], ValidationAbortedError) and len(errors) <= MAX_ERRORS:
        # graphql-core's own budget for comparing fields and following fragments is used up.
        raise QueryTooComplex("The document's fields and fragments take too long to validate.")
    return [conceal(error) for error in errors] if hidden else errors


def conceal(error: GraphQLError) -> GraphQLError:
    """Return an error of a document, without what its message discloses of the schema."""
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
    | Introspection\ fields\ cannot\ be\ aliased
    """,
    re.VERBOSE,
)
"""The part of a message of graphql-core that names only what the client named. A message that
another version words differently is replaced by `ValidationFailed.message`."""

_CONCEALED = (
    ("Argument ", "An argument is missing."),
    ("Field ", "A field of an object type must have a selection of subfields."),
    ("This is not a value", "This is not a value of the type that is expected here."),
    ("Variable ", "A variable is used where a value of another type is expected."),
)
"""Replacements for messages that start like this, and match none of those above."""
