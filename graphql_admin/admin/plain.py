"""The schema in SDL without Apollo Federation, for tools that know GraphQL alone."""

from typing import Any

from graphql import (
    REMOVE,
    DirectiveNode,
    FieldDefinitionNode,
    GraphQLOneOfDirective,
    SchemaDefinitionNode,
    TypeDefinitionNode,
    Visitor,
    VisitorAction,
    build_ast_schema,
    parse,
    print_directive,
    print_schema,
    specified_directives,
    visit,
)

_DIRECTIVES_OF_GRAPHQL = frozenset(directive.name for directive in specified_directives)


def plain_sdl(sdl: str) -> str:
    """Return the SDL of a subgraph without what is in it for gateways.

    That is the directives that are not GraphQL's own, and the types and fields whose names start
    with `_`. `@oneOf` is defined, for tools of which the version does not know it.
    """
    plain = build_ast_schema(visit(parse(sdl), _WithoutFederation()))
    return f"{print_directive(GraphQLOneOfDirective)}\n\n{print_schema(plain)}"


class _WithoutFederation(Visitor):
    def enter_schema_definition(self, _: SchemaDefinitionNode, *__: Any) -> VisitorAction:
        return REMOVE  # it has no more than `@link`, and the usual names of the root types

    def enter_directive(self, node: DirectiveNode, *_: Any) -> VisitorAction:
        return None if node.name.value in _DIRECTIVES_OF_GRAPHQL else REMOVE

    def enter_field_definition(self, node: FieldDefinitionNode, *_: Any) -> VisitorAction:
        return REMOVE if node.name.value.startswith("_") else None

    def enter_object_type_definition(self, node: TypeDefinitionNode, *_: Any) -> VisitorAction:
        return REMOVE if node.name.value.startswith("_") else None

    enter_scalar_type_definition = enter_object_type_definition
    enter_union_type_definition = enter_object_type_definition
