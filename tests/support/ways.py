"""Every way through the schema to a field that requires an action.

The ways are read off the built schema, so that a new field is tested as it is added.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
    get_nullable_type,
    is_enum_type,
    is_input_object_type,
    is_leaf_type,
    is_required_argument,
    is_required_input_field,
)

from graphql_admin.actions import Action
from graphql_admin.admin.guards import GatedSteps, Guard, Requires, RequiresByType, guard_of
from graphql_admin.admin.nodes import global_id
from graphql_admin.admin.schema import AdminSchema

IDENTITY = "id-at-provider"
"""The id of a user at the provider `sample`."""
IDENTITIES = f'[{{"providerName": "sample", "userId": "{IDENTITY}", "primary": "false"}}]'

USER = {
    "Username": "bob",
    "Enabled": True,
    "UserStatus": "FORCE_CHANGE_PASSWORD",
    "Attributes": [
        {"Name": "sub", "Value": "sub-of-bob"},
        {"Name": "email", "Value": "b@x.org"},
        {"Name": "identities", "Value": IDENTITIES},
    ],
}
GROUP = {"GroupName": "Editors"}
SESSION_ID = "tkn0123456789abcdefghijklmno"
REPLIES = {
    "ListUsers": {"Users": [USER]},
    "AdminGetUser": {**USER, "UserAttributes": USER["Attributes"]},
    "ListUsersInGroup": {"Users": [USER]},
    "AdminListDevices": {"Devices": [{"DeviceKey": "eu-west-1_0a"}]},
    "AdminListUserAuthEvents": {"AuthEvents": [{"EventId": "e-1"}]},
    "GetGroup": {"Group": GROUP},
    "ListGroups": {"Groups": [GROUP]},
    "AdminListGroupsForUser": {"Groups": [GROUP]},
    "AdminCreateUser": {"User": USER},
    "AdminGetUserAuthFactors": {"Username": "bob", "ConfiguredUserAuthFactors": ["PASSWORD"]},
    "AdminListUserSessions": {"Sessions": [{"SessionId": SESSION_ID, "SessionType": "TOKEN"}]},
    "CreateGroup": {"Group": GROUP},
    "DescribeUserPool": {
        "UserPool": {
            "Id": "eu-west-1_AbCdEf123",
            "AliasAttributes": ["email"],
            "SchemaAttributes": [
                {"Name": "email", "AttributeDataType": "String", "Mutable": True},
                {"Name": "email_verified", "AttributeDataType": "Boolean", "Mutable": True},
                {"Name": "name", "AttributeDataType": "String", "Mutable": True},
            ],
        }
    },
    "UpdateGroup": {"Group": GROUP},
}

SAMPLES = {
    "username": '"bob"',
    "groupName": '"Editors"',
    "name": '"Editors"',
    "email": '"sample@example.com"',
    "deviceKey": '"eu-west-1_0a"',
    "userId": f'"{IDENTITY}"',
    "sessionId": f'"{SESSION_ID}"',
}
"""Values of arguments and input fields, by name."""

OPTIONAL = frozenset({"withMembers", "precedence", "email", "emailVerified", "sms"})
"""What is given too, although it need not be, so that an action is carried out."""

ALTERNATIVES = {
    Action.UPDATE_USER: """mutation {
        updateUser(input: {username: "bob", fullName: null}) { errors { code } }
    }"""
}
"""Documents by which actions choose an operation that the ways do not lead to."""

SAMPLES_BY_TYPE = {"Boolean": "true", "Int": "1", "String": '"sample"'}
"""Values of others, by the names of their types."""

STEP = '(input: {steps: [{addUserToGroup: {username: "bob", groupName: "Editors"}}]})'
"""The arguments of a batch whose result has every object."""

OF_STEP = frozenset({Action.ADD_USER_TO_GROUP})
"""What its step requires. Without it the step is refused, and not the batch."""

MAX_CALLS = 10_000
"""Enough for every way, whatever it may cost where pages are full."""

BEYOND_KEY = {"User": "email", "Group": "description"}
SHORTEST = {"User": "username", "Group": "name"}


@dataclass(frozen=True)
class Way:
    """A way through the schema to a field that requires an action.

    Attributes:
        path: Response path of the field.
        document: Asks for the field, and for no other guarded one but those on the way.
        action: What the field requires.
        before: What the fields on the way require.
    """

    path: tuple[str, ...]
    document: str
    action: Action
    before: frozenset[Action]

    def __str__(self) -> str:
        return self.document


@dataclass(frozen=True)
class Use:
    """One way to use a guarded field: with these arguments, for this type of object."""

    action: Action
    arguments: str
    selection: str
    typename: str | None = None
    """The object's type, where the field's type is abstract."""


def leaf_selection(type_: Any) -> str:
    """Return a selection below an object that reaches no guarded field."""
    if is_leaf_type(type_):
        return ""
    if isinstance(type_, GraphQLUnionType | GraphQLInterfaceType):
        return "{ __typename }"
    if type_.name in SHORTEST:
        return f"{{ {SHORTEST[type_.name]} }}"
    if type_.name.endswith("Payload"):
        return "{ errors { code } }"
    if type_.name.endswith("Connection"):
        return "{ pageInfo { hasNextPage } }"
    name = next(n for n, f in type_.fields.items() if is_leaf_type(get_named_type(f.type)))
    return f"{{ {name} }}"


def sample(members: dict[str, Any]) -> str:
    """Return the arguments or input fields that must be there, with values."""
    required = {
        name: member for name, member in members.items() if is_required(member) or name in OPTIONAL
    }
    return ", ".join(f"{name}: {sample_value(name, each.type)}" for name, each in required.items())


def sample_value(name: str, type_: Any) -> str:
    """Return a value of an argument or input field."""
    type_ = get_nullable_type(type_)
    if is_enum_type(type_):
        return next(iter(type_.values))
    if not is_input_object_type(type_):
        return SAMPLES.get(name) or SAMPLES_BY_TYPE[type_.name]
    one_of = type_.extensions["strawberry-definition"].is_one_of
    return '{username: "bob"}' if one_of else f"{{{sample(type_.fields)}}}"


def is_required(member: Any) -> bool:
    return is_required_argument(member) or is_required_input_field(member)


def uses(guard: Guard, field: Any, type_: Any) -> Iterator[Use]:
    """Yield the uses of a guarded field that differ in what they require."""
    match guard:
        case Requires(action=action, key_of=None):
            arguments = sample(field.args)
            yield Use(action, f"({arguments})" if arguments else "", leaf_selection(type_))
        case Requires(action=action):
            yield Use(action, "", f"{{ {BEYOND_KEY[type_.name]} }}")
        case RequiresByType(actions=actions, has_key=False):
            for typename, key in (("User", "bob"), ("Group", "Editors")):
                given = json.dumps(global_id(typename, key))
                id_ = f"(id: {given})" if "id" in field.args else f"(ids: [{given}])"
                yield Use(actions[typename], id_, "{ id }", typename)
        case RequiresByType(actions=actions):
            for typename, key in (
                ("User", 'username: "bob"'),
                ("User", 'sub: "sub-of-bob"'),
                ("Group", 'name: "Editors"'),
            ):
                reference = f'(representations: [{{__typename: "{typename}", {key}}}])'
                beyond = f"{{ ... on {typename} {{ {BEYOND_KEY[typename]} }} }}"
                yield Use(actions[typename], reference, beyond, typename)
        case _:
            raise AssertionError(f"a new kind of guard: {guard}")


def find_ways(schema: AdminSchema) -> Iterator[Way]:
    """Yield every way to every guarded field that passes no field twice."""
    roots = schema.graphql_schema
    yield from _find(roots.query_type, "query", (), frozenset())
    yield from _find(roots.mutation_type, "mutation", (), frozenset())


def _find(
    type_: Any, prefix: str, path: tuple[str, ...], before: frozenset[Action]
) -> Iterator[Way]:
    if not isinstance(type_, GraphQLObjectType):
        return
    for name, field in type_.fields.items():
        if name in path:
            continue
        field_type = get_named_type(field.type)
        here = (*path, name)
        guard = guard_of(field.extensions["strawberry-definition"])
        if isinstance(guard, GatedSteps):
            yield from _find(field_type, f"{prefix} {{ {name}{STEP}", here, before | OF_STEP)
            continue
        if guard is None:
            yield from _find(field_type, f"{prefix} {{ {name}", here, before)
            continue
        for use in uses(guard, field, field_type):
            opened = f"{prefix} {{ {name}{use.arguments}"
            document = f"{opened} {use.selection}"
            document += "}" * (document.count("{") - document.count("}"))
            yield Way(here, document, use.action, before)
            if use.typename:
                opened += f" {{ ... on {use.typename}"
                field_type = SCHEMA.graphql_schema.type_map[use.typename]
            yield from _find(field_type, opened, here, before | {use.action})


SCHEMA = AdminSchema()
WAYS = list(dict.fromkeys(find_ways(SCHEMA)))


def dry_run(action: Action) -> str:
    """Return a document that only checks a change."""
    field = SCHEMA.graphql_schema.mutation_type.fields[action.label]
    step = f"{{{action.label}: {sample_value('', field.args['input'].type)}}}"
    return (
        f"mutation {{ batch(input: {{dryRun: true, steps: [{step}]}})"
        " { results { outcome errors { code } } } }"
    )


assert ALTERNATIVES.keys() == {action for action in Action if action.row.alternatives}
