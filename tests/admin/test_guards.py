"""Who may do what: every action, by every way to it, for every kind of caller.

The ways are read off the built schema, so that a new field is tested as it is added.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
    get_nullable_type,
    is_input_object_type,
    is_leaf_type,
    is_required_argument,
    is_required_input_field,
)

from graphql_admin.actions import Action
from graphql_admin.admin.guards import Guard, Requires, RequiresByType, guard_of
from graphql_admin.admin.nodes import global_id
from graphql_admin.admin.schema import AdminSchema
from graphql_admin.policy.iam import checks_of, iam_policy
from tests.support.api import Api
from tests.support.scripted import ScriptedCognito, reply

USER = {
    "Username": "bob",
    "Enabled": True,
    "UserStatus": "CONFIRMED",
    "Attributes": [{"Name": "sub", "Value": "sub-of-bob"}, {"Name": "email", "Value": "b@x.org"}],
}
GROUP = {"GroupName": "Editors"}
REPLIES = {
    "ListUsers": {"Users": [USER]},
    "AdminGetUser": {**USER, "UserAttributes": USER["Attributes"]},
    "ListUsersInGroup": {"Users": [USER]},
    "GetGroup": {"Group": GROUP},
    "ListGroups": {"Groups": [GROUP]},
    "AdminListGroupsForUser": {"Groups": [GROUP]},
}

SAMPLES = {"username": '"bob"', "groupName": '"Editors"', "name": '"Editors"'}
"""Values of arguments and input fields, by name."""

SAMPLES_BY_TYPE = {"Boolean": "true", "Int": "1", "String": '"sample"'}
"""Values of others, by the names of their types."""

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
    required = {name: member for name, member in members.items() if is_required(member)}
    return ", ".join(f"{name}: {sample_value(name, each.type)}" for name, each in required.items())


def sample_value(name: str, type_: Any) -> str:
    """Return a value of an argument or input field."""
    type_ = get_nullable_type(type_)
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
                id_ = f'(id: "{global_id(typename, key)}")'
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


@pytest.fixture
def policy(tmp_path: Path) -> Callable[[frozenset[Action]], Path]:
    """Write a policy that gives these actions to the group Staff."""

    def write(actions: frozenset[Action]) -> Path:
        path = tmp_path / "policy.toml"
        labels = ", ".join(f'"{action.label}"' for action in actions)
        path.write_text(f"[groups]\nStaff = [{labels}]\nNobodys = ['*']\n")
        return path

    return write


@pytest.fixture
def backend(scripted: ScriptedCognito) -> ScriptedCognito:
    """A Cognito that has one user and one group, and carries out whatever it is asked."""
    for action in Action:
        for operation in action.operations:
            scripted.on(operation, reply(REPLIES.get(operation, {})))
    return scripted


Start = Callable[[frozenset[Action]], Api]


@pytest.fixture
def start(
    serve: Callable[..., Api], backend: ScriptedCognito, policy: Callable[..., Path]
) -> Start:
    """Start the server with a policy that gives these actions to the group Staff."""
    return lambda actions: serve(backend.url, policy_file=policy(actions), max_calls=MAX_CALLS)


def operations_of(actions: frozenset[Action]) -> set[str]:
    """Return the Cognito operations that these actions need, and the decisions on them."""
    operations = {operation for action in actions for operation in action.operations}
    return operations.union(checks_of(actions, knows_groups=True))


CLOSED = [way for way in WAYS if not way.action.open_to_signed_in]


def test_payloads_require_what_reads_their_objects() -> None:
    """Beyond the key, a payload's user takes `getUser`, and its group `getGroup`."""
    required = {
        way.path[1]: set[Action]() for way in WAYS if way.path[1:] in {("user",), ("group",)}
    }
    for way in WAYS:
        if way.path[1:] in {("user",), ("group",)} and way.path[0] != "signUserOut":
            required[way.path[1]].add(way.action)
    assert required == {"user": {Action.GET_USER}, "group": {Action.GET_GROUP}}


def test_ways_lead_through_every_action() -> None:
    """The ways that are tested include every action, every payload, `node` and `_entities`."""
    assert {way.action for way in WAYS} == set(Action)
    mutations = set(SCHEMA.graphql_schema.mutation_type.fields)
    assert {way.path[0] for way in WAYS if len(way.path) > 1} >= {"node", "_entities"} | mutations


@pytest.mark.parametrize("way", CLOSED, ids=str)
def test_denied_with_every_action_but_the_one(start: Start, backend: Any, way: Way) -> None:
    """Whoever may do all else is refused, at the path, and Cognito is not called for it."""
    api = start(frozenset(Action) - {way.action})
    answer = api.send(way.document, groups=("Staff",))
    assert set(answer.codes) == {"FORBIDDEN"}
    for error in answer.errors:
        assert [step for step in error["path"] if isinstance(step, str)] == list(way.path)
    assert set(backend.operations()) <= operations_of(way.before)
    assert way.before or not backend.requests


@pytest.mark.parametrize("way", CLOSED, ids=str)
def test_allowed_with_no_more_than_it_takes(start: Start, way: Way) -> None:
    """Whoever may do what the fields on the way require, and no more, gets an answer."""
    api = start(way.before | {way.action})
    assert api.send(way.document, groups=("Staff",)).data


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_denied_without_a_token(start: Start, backend: Any, way: Way) -> None:
    """Without a token there is nothing to get."""
    answer = start(frozenset(Action)).send(way.document, token="")
    assert answer.response.status_code == 401
    assert answer.response.headers["www-authenticate"].startswith("Bearer")
    assert answer.codes == ["UNAUTHENTICATED"]
    assert backend.requests == []


@pytest.mark.parametrize("groups", [(), ("Readers",), ("staff",), ("Staff,Nobodys",), ("*",)])
def test_denied_to_others(start: Start, backend: Any, groups: tuple[str, ...]) -> None:
    """Whoever is in no group that the policy names may do nothing but what is for everyone."""
    api = start(frozenset(Action))
    for way in CLOSED:
        if not way.before:
            assert api.send(way.document, groups=groups).codes == ["FORBIDDEN"]
    assert backend.requests == []
    labels = api.send("{ viewer { actions } }", groups=groups).data["viewer"]["actions"]
    assert labels == ["signUserOut", "viewer"]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_allowed_to_administrators(serve: Callable[..., Api], backend: Any, way: Way) -> None:
    """Whoever is in an administrators' group may do everything, in whichever of them."""
    api = serve(backend.url, admin_groups="Owners, Admins", max_calls=MAX_CALLS)
    for group in ("Owners", "Admins"):
        assert api.send(way.document, groups=("Readers", group)).data


def test_everyone_may_do_everything_if_said_so(serve: Callable[..., Api], backend: Any) -> None:
    """`*` as the administrators' group lets every signed-in user in, and nobody else."""
    api = serve(backend.url, admin_groups="*", max_calls=MAX_CALLS)
    for way in WAYS:
        assert api.send(way.document, groups=()).data
    assert api.send(WAYS[0].document, token="").response.status_code == 401


def test_everyone_gets_what_a_policy_gives_to_everyone(
    serve: Callable[..., Api], backend: Any, tmp_path: Path
) -> None:
    """`*` as a group in a policy is every signed-in user."""
    path = tmp_path / "policy.toml"
    path.write_text('[groups]\n"*" = ["listGroups"]\nStaff = ["getGroup"]\n')
    api = serve(backend.url, policy_file=path)
    labels = api.send("{ viewer { actions } }", groups=()).data["viewer"]["actions"]
    assert labels == ["listGroups", "signUserOut", "viewer"]
    labels = api.send("{ viewer { actions } }", groups=("Staff",)).data["viewer"]["actions"]
    assert labels == ["listGroups", "getGroup", "signUserOut", "viewer"]


@pytest.mark.parametrize("action", Action, ids=lambda action: action.label)
def test_disabled_action(serve: Callable[..., Api], backend: Any, action: Action) -> None:
    """A disabled action is gone: from the schema, from `viewer`, and for administrators."""
    api = serve(backend.url, disabled_actions=action.label)
    for way in WAYS:
        if way.action is action and not way.before and way.path not in {("node",), ("_entities",)}:
            assert api.send(way.document).codes == ["GRAPHQL_VALIDATION_FAILED"]
    assert f"`{action.label}`" not in api.send("{ _service { sdl } }").data["_service"]["sdl"]
    if action is not Action.VIEWER:
        labels = api.send("{ viewer { actions } }").data["viewer"]["actions"]
        assert labels == [other.label for other in Action if other is not action]
    assert backend.requests == []


def test_all_mutations_disabled(serve: Callable[..., Api], backend: Any) -> None:
    """Without any mutation the schema has no Mutation, and reading goes on."""
    mutations = list(SCHEMA.graphql_schema.mutation_type.fields)
    api = serve(backend.url, disabled_actions=",".join(mutations))
    assert api.send("{ __schema { mutationType { name } } }").data == {
        "__schema": {"mutationType": None}
    }
    assert api.send("{ users { nodes { username } } }").data["users"]["nodes"]


@pytest.mark.parametrize("disabled", [None, *Action])
def test_iam_policy(disabled: Action | None) -> None:
    """The IAM policy lists the operations of the enabled actions on the pool, and no other."""
    actions = [action for action in Action if action is not disabled]
    arn = "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_AbCdEf123"
    (statement,) = iam_policy(arn, actions)["Statement"]
    assert statement["Resource"] == arn
    assert statement["Effect"] == "Allow"
    expected = {operation for action in actions for operation in action.operations}
    # What decides whether a change may be made is read whether or not people may read it.
    expected |= {"AdminGetUser", "AdminListGroupsForUser"}
    assert set(statement["Action"]) == {f"cognito-idp:{operation}" for operation in expected}


@pytest.mark.parametrize(
    ("labels", "knows_groups", "checks"),
    [
        (["disableUser"], True, {"AdminGetUser", "AdminListGroupsForUser"}),
        (["disableUser"], False, {"AdminGetUser"}),
        (["signUserOut"], True, set()),
        (["listUsers", "viewer"], True, set()),
    ],
)
def test_iam_policy_of_checks(labels: list[str], knows_groups: bool, checks: set[str]) -> None:
    """What the checks read is in every policy with a change of others, and in no other."""
    actions = [Action.labelled(label) for label in labels]
    (statement,) = iam_policy("arn", actions, knows_groups=knows_groups)["Statement"]
    expected = {operation for action in actions for operation in action.operations} | checks
    assert set(statement["Action"]) == {f"cognito-idp:{operation}" for operation in expected}


def test_iam_policy_lists_what_is_called(serve: Callable[..., Api], backend: Any) -> None:
    """The operations that all ways together call are those of the IAM policy."""
    api = serve(backend.url, max_calls=MAX_CALLS)
    for way in WAYS:
        api.send(way.document)
    for by in ('username: "bob"', 'sub: "sub-of-bob"'):
        api.send(f"{{ user(by: {{{by}}}) {{ email }} }}")
    api.send("mutation { signUserOut(input: {}) { user { email } } }")
    (statement,) = iam_policy("arn", list(Action))["Statement"]
    assert set(statement["Action"]) == {f"cognito-idp:{name}" for name in backend.operations()}
