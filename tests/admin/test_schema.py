"""What is checked of the schema at start-up, and what holds of all of it."""

import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import strawberry
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    print_type,
    specified_directives,
    validate_schema,
)
from strawberry.extensions import FieldExtension
from strawberry.federation.schema_directives import Authenticated, Policy

from graphql_admin.actions import Action
from graphql_admin.admin.action_errors import ActionError, ActionErrorCode
from graphql_admin.admin.context import Info
from graphql_admin.admin.features import Feature
from graphql_admin.admin.guards import Gated, Requires, guard_of, guarded
from graphql_admin.admin.mutations import (
    GroupInput,
    Input,
    MembershipInput,
    UserInput,
    mutation,
)
from graphql_admin.admin.schema import (
    FEATURES,
    SCHEMA_RESOLVERS,
    AdminSchema,
    UngatedMutation,
    UnguardedField,
)
from graphql_admin.admin.users.types import User
from graphql_admin.errors import ActionFailed
from graphql_admin.targets import TargetKind

SCHEMA = AdminSchema().graphql_schema
FEDERATIONS_OWN = ("__", "link__", "_FieldSet")
OWN_TYPES = [
    type_ for name, type_ in SCHEMA.type_map.items() if not name.startswith(FEDERATIONS_OWN)
]


def test_schema_files_are_up_to_date() -> None:
    """The files are the schema under default settings, with and without federation."""
    schema, root = AdminSchema(), Path(__file__).parent.parent.parent
    federated = (root / "schema.graphql").read_text(encoding="utf-8")
    plain = (root / "examples" / "schema.plain.graphql").read_text(encoding="utf-8")
    assert federated.strip() == schema.as_str().strip()
    assert plain.strip() == schema.as_plain_str().strip()


@pytest.mark.parametrize("auth_directives", [False, True])
@pytest.mark.parametrize("node_field", [False, True])
def test_plain_schema(*, auth_directives: bool, node_field: bool) -> None:
    """It is complete by itself, and is what introspection shows, apart from federation."""
    schema = AdminSchema(auth_directives=auth_directives, node_field=node_field)
    plain = build_schema(schema.as_plain_str())
    assert validate_schema(plain) == []
    assert {each.name for each in plain.directives} == {each.name for each in specified_directives}
    told = schema.graphql_schema.type_map
    own = {name for name in told if not name.startswith("_") and not name.startswith("link__")}
    assert {name for name in plain.type_map if not name.startswith("__")} == own
    for name in own:
        if name != "Query":
            # Strawberry's types do not know that they are `@oneOf`; its SDL does.
            shown = print_type(plain.type_map[name]).replace(" @oneOf", "")
            assert shown == print_type(told[name])
    assert {name for name in own if getattr(plain.type_map[name], "is_one_of", False)} == {
        "BatchStep",
        "StringMatch",
        "UserBy",
        "UserFilter",
    }
    assert plain.query_type is not None
    queries = schema.graphql_schema.query_type
    assert queries is not None
    federation = {"_entities", "_service"}
    assert plain.query_type.fields.keys() == queries.fields.keys() - federation
    for name, field in plain.query_type.fields.items():
        assert str(field.type) == str(queries.fields[name].type)
        assert field.args.keys() == queries.fields[name].args.keys()


def described() -> Iterator[tuple[str, Any]]:
    """Yield all that takes a description, with its path."""
    for type_ in OWN_TYPES:
        yield type_.name, type_
        if isinstance(type_, GraphQLEnumType):
            for name, value in type_.values.items():
                yield f"{type_.name}.{name}", value
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            for name, field in type_.fields.items():
                yield f"{type_.name}.{name}", field
                for argument_name, argument in getattr(field, "args", {}).items():
                    yield f"{type_.name}.{name}({argument_name}:)", argument


@pytest.mark.parametrize(
    ("path", "item"), [pytest.param(*each, id=each[0]) for each in described()]
)
def test_everything_is_described(path: str, item: Any) -> None:
    """Every type, field, argument and value of the schema says what it is."""
    assert item.description, path


def fields(schema: GraphQLSchema = SCHEMA) -> Iterator[tuple[str, Any]]:
    """Yield every field of every object with its path."""
    for type_ in schema.type_map.values():
        if isinstance(type_, GraphQLObjectType) and not type_.name.startswith(FEDERATIONS_OWN):
            for name, field in type_.fields.items():
                yield f"{type_.name}.{name}", field


def test_types_of_node_agree_on_their_fields() -> None:
    """A field of two types of `Node` has one type: clients may select it of both at once."""
    node = SCHEMA.type_map["Node"]
    assert isinstance(node, GraphQLInterfaceType)
    shared = 0
    for one, other in combinations(SCHEMA.get_implementations(node).objects, 2):
        for name in one.fields.keys() & other.fields.keys():
            shared += 1
            assert str(one.fields[name].type) == str(other.fields[name].type), name
    assert shared


def test_guarded_fields_are_nullable() -> None:
    """A refusal blanks the refused field alone; `_entities` is as federation specifies."""
    for path, field in fields():
        if guard_of(field.extensions["strawberry-definition"]) and path != "Query._entities":
            assert not isinstance(field.type, GraphQLNonNull), path


def test_guarded_fields_say_what_they_require() -> None:
    """The description of a guarded field ends with what it requires."""
    for path, field in fields():
        guard = guard_of(field.extensions["strawberry-definition"])
        if guard is not None:
            assert field.description.endswith(guard.requirement()), path


def test_guarded_fields_have_auth_directives() -> None:
    """Where it is so set, routers can read what the descriptions of guarded fields say."""
    for path, field in fields(AdminSchema(auth_directives=True).graphql_schema):
        definition = field.extensions["strawberry-definition"]
        action = re.search(r" Requires the action `(\w+)`\.$", field.description)
        if guard_of(definition) is None:
            assert not definition.directives, path
        elif action:
            assert definition.directives == [Policy(policies=[[action[1]]])], path
        else:
            assert definition.directives == [Authenticated()], path


def test_resolvers_of_the_schema_are_there() -> None:
    """The list of resolvers that show the schema itself names no field that is gone."""
    assert set(SCHEMA_RESOLVERS) <= {path for path, _ in fields()}


def test_unguarded_resolver_fails_start() -> None:
    """A resolver without a permission keeps the server from starting, and is named."""

    @strawberry.type
    class Leaky:
        @strawberry.field
        async def every_user(self, info: strawberry.Info) -> list[str]:
            reply = await info.context.read(Action.LIST_USERS, "ListUsers")
            return [user["Username"] for user in reply["Users"]]

    with pytest.raises(UnguardedField, match=r"Query\.everyUser"):
        AdminSchema(features=(*FEATURES, Feature(query=Leaky)))


class Reading(FieldExtension):
    """An extension that does what a resolver would."""

    async def resolve_async(self, *given: Any, **_: Any) -> Any:
        """Read from Cognito."""
        _next, _source, info = given
        return await info.context.read(Action.GET_USER, "AdminGetUser", Username="bob")


async def read_bob(info: Info) -> str | None:
    """Read from Cognito."""
    return str(await info.context.read(Action.GET_USER, "AdminGetUser", Username="bob"))


@strawberry.type
class Extended:
    bob: str | None = strawberry.field(extensions=[Reading()])


@strawberry.type
class GatedQuery:
    bob: str | None = strawberry.field(read_bob, extensions=[Gated(Action.GET_USER)])


@strawberry.type
class ExtendedBesideItsGuard:
    bob: str | None = strawberry.field(read_bob, extensions=[Requires(Action.GET_USER), Reading()])


GATED_FIELD = strawberry.field(read_bob, name="bob", extensions=[Gated(Action.GET_USER)])


@pytest.mark.parametrize(
    ("feature", "path"),
    [
        (Feature(query=Extended), "Query.bob"),
        (Feature(query=GatedQuery), "Query.bob"),
        (Feature(query=ExtendedBesideItsGuard), "Query.bob"),
        (Feature(extends={User: (GATED_FIELD,)}), "User.bob"),
    ],
    ids=["an extension", "the gate's guard", "an extension next to a guard", "a user's field"],
)
def test_field_without_a_guard_fails_start(feature: Feature, path: str) -> None:
    """A field that could read from Cognito without asking for a right is not served."""
    with pytest.raises(UnguardedField, match=re.escape(path)):
        AdminSchema(features=(*FEATURES, feature))


def test_mutation_of_its_own_making_fails_start() -> None:
    """A mutation that has the gate's guard and goes around the gate is not served."""

    @strawberry.type
    class Deletions:
        @strawberry.field(extensions=[Gated(Action.DISABLE_USER)])
        async def erase_user(self, info: Info, input: UserInput) -> str | None:
            raise AssertionError(info, input)

        @strawberry.field(extensions=[Gated(Action.DISABLE_USER)])
        async def delete_it(self, info: Info) -> str | None:
            raise AssertionError(info)

    with pytest.raises(UngatedMutation, match=r"eraseUser does not.*deleteIt does not"):
        AdminSchema(features=(*FEATURES, Feature(mutation=Deletions)))


def test_ungated_mutation_fails_start() -> None:
    """A mutation that does not go through the gate keeps the server from starting."""

    @strawberry.type
    class DeletionPayload:
        errors: list[ActionError]

    @strawberry.type
    class Deletions:
        @guarded(Action.DISABLE_USER, description="Delete a user.")
        async def purge_user(self, info: strawberry.Info) -> DeletionPayload | None:
            raise AssertionError(info)

    with pytest.raises(UngatedMutation, match="purgeUser"):
        AdminSchema(features=(*FEATURES, Feature(mutation=Deletions)))


@strawberry.input
class Aimless(Input):
    kind = TargetKind.USER

    name: str


@strawberry.input
class Plain:
    username: str


@pytest.mark.parametrize("input_", [GroupInput, MembershipInput, Aimless, Plain])
def test_mutation_without_its_target_fails_start(input_: Any) -> None:
    """A mutation whose input does not say what the action changes is not served."""

    @strawberry.type
    class Deletions:
        delete_user = mutation(
            Action.DISABLE_USER,
            "Delete a user.",
            input=input_,
        )

    features = [each for each in FEATURES if each.mutation is None]
    with pytest.raises(UngatedMutation, match="disableUser"):
        AdminSchema(features=(*features, Feature(mutation=Deletions)))


OF_BATCHES = {"FORBIDDEN", "THROTTLED", "UNAVAILABLE", "UNCERTAIN"}
"""Codes of the errors of steps that would be top-level errors of a single mutation."""


def test_action_error_codes_are_the_outcomes() -> None:
    """A payload can say every expected outcome, an invalid value, and what a batch says instead."""
    codes = {kind.code for kind in ActionFailed.__subclasses__()}
    assert set(ActionErrorCode.__members__) == codes | {"INVALID_VALUE"} | OF_BATCHES


def test_two_schemas_in_one_process() -> None:
    """Schemas can be built side by side, and are equal."""
    assert AdminSchema().as_str() == AdminSchema().as_str()
