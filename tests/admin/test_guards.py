"""Who may do what: every action, by every way to it, for every kind of caller."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphql_admin.actions import Action
from graphql_admin.policy.grants import FOR_ANYONE
from graphql_admin.policy.iam import checks_of, iam_policy
from tests.support.api import Api
from tests.support.scripted import ScriptedCognito
from tests.support.ways import ALTERNATIVES, MAX_CALLS, REPLIES, SCHEMA, WAYS, Way


@pytest.fixture
def backend(shared_scripted: ScriptedCognito) -> ScriptedCognito:
    """A Cognito that has one user and one group, and carries out whatever it is asked."""
    shared_scripted.on_all(REPLIES)
    return shared_scripted


@pytest.fixture
def serve(shared_serve: Callable[..., Api]) -> Callable[..., Api]:
    """Start the server; nothing that it answers here depends on what it answered before."""
    return shared_serve


Start = Callable[[frozenset[Action]], Api]


@pytest.fixture
def start(
    serve: Callable[..., Api],
    backend: ScriptedCognito,
    policy_for_staff: Callable[[frozenset[Action]], Path],
) -> Start:
    """Start the server with a policy that gives these actions to the group Staff."""
    return lambda actions: serve(
        backend.url, policy_file=policy_for_staff(actions), max_calls=MAX_CALLS
    )


def operations_of(actions: frozenset[Action]) -> set[str]:
    """Return the Cognito operations that these actions need, and the decisions on them."""
    operations = {operation for action in actions for operation in action.operations}
    return operations.union(checks_of(actions, knows_groups=True))


SELECTIONS = {
    "username id __typename": False,
    "groups { nodes { name } }": False,
    "named: username ... on User { id } ...Key": False,
    "email": True,
    "username email @include(if: $yes)": True,
    "username ... on User @skip(if: $yes) { id email }": True,
    "...Key ...Beyond": True,
}
"""What can be selected of the user in a payload, and whether it is more than the key."""


def test_each_selection_is_guarded_at_each_execution(start: Start) -> None:
    """What a payload's user requires follows from its own selection, the first time and later."""
    fields = [
        f'a{place}: addUserToGroup(input: {{username: "ann", groupName: "Others"}}) '
        f"{{ user {{ {selection} }} }}"
        for place, selection in enumerate(SELECTIONS)
    ]
    document = (
        f"mutation ($yes: Boolean!) {{ {' '.join(fields)} }} "
        "fragment Key on User { username } fragment Beyond on User { status }"
    )
    expected = [(f"a{place}", "user") for place, beyond in enumerate(SELECTIONS.values()) if beyond]
    api = start(frozenset(Action) - {Action.GET_USER})
    for yes in (True, False, True):
        answer = api.send(document, {"yes": yes}, groups=("Staff",))
        assert set(answer.codes) == {"FORBIDDEN"}
        assert [tuple(error["path"]) for error in answer.errors] == expected
        given = [key for key, payload in answer.partial.items() if payload["user"] is not None]
        assert len(given) == len(SELECTIONS) - len(expected)


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
    assert {way.path[0] for way in WAYS} >= mutations
    # A payload has an object, unless that is deleted.
    deleting = {name for name in mutations if name.startswith("delete")}
    deeper = {way.path[0] for way in WAYS if len(way.path) > 1}
    assert deeper >= {"node", "_entities"} | (mutations - deleting)


@pytest.mark.parametrize("way", CLOSED, ids=str)
def test_denied_with_every_action_but_the_one(start: Start, backend: Any, way: Way) -> None:
    """A caller with all other rights is refused, at the path, and Cognito is not called for it.

    Where a field on the way requires the action too, it is refused there.
    """
    api = start(frozenset(Action) - {way.action})
    answer = api.send(way.document, groups=("Staff",))
    assert set(answer.codes) == {"FORBIDDEN"}
    for error in answer.errors:
        refused = tuple(step for step in error["path"] if isinstance(step, str))
        if way.action in way.before:
            assert refused in {other.path for other in CLOSED if other.action is way.action}
            assert way.path[: len(refused)] == refused != way.path
        else:
            assert refused == way.path
    assert set(backend.operations()) <= operations_of(way.before)
    assert way.before or not backend.requests


@pytest.mark.parametrize("way", CLOSED, ids=str)
def test_allowed_with_no_more_than_it_takes(start: Start, way: Way) -> None:
    """A caller with only the rights that the fields on the path require gets an answer."""
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


OTHERS = pytest.mark.parametrize(
    "groups", [(), ("Readers",), ("staff",), ("Staff,Nobodys",), ("*",)]
)
"""Groups of users who are in no group of the policy."""


@OTHERS
@pytest.mark.parametrize("way", [way for way in CLOSED if not way.before], ids=str)
def test_denied_to_others(start: Start, backend: Any, groups: tuple[str, ...], way: Way) -> None:
    """A user in no group of the policy is refused, and Cognito is not called."""
    api = start(frozenset(Action))
    assert api.send(way.document, groups=groups).codes == ["FORBIDDEN"]
    assert backend.requests == []


@OTHERS
def test_what_is_for_everyone(start: Start, backend: Any, groups: tuple[str, ...]) -> None:
    """A user in no group of the policy has only the rights of every signed-in user."""
    api = start(frozenset(Action))
    labels = api.send("{ viewer { actions } }", groups=groups).data["viewer"]["actions"]
    assert labels == ["signUserOut", "viewer"]
    assert backend.requests == []


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("group", ["Owners", "Admins"])
def test_allowed_to_administrators(
    serve: Callable[..., Api], backend: Any, way: Way, group: str
) -> None:
    """A member of any administrators' group may do everything."""
    api = serve(backend.url, admin_groups="Owners, Admins", max_calls=MAX_CALLS)
    assert api.send(way.document, groups=("Readers", group)).data


@pytest.mark.parametrize(
    "way", [way for way in WAYS if {way.action, *way.before} <= FOR_ANYONE], ids=str
)
def test_everyone_may_do_everything_if_said_so(
    serve: Callable[..., Api], backend: Any, way: Way
) -> None:
    """`*` as the administrators' group makes every signed-in user one, and no one else."""
    api = serve(backend.url, admin_groups="*", max_calls=MAX_CALLS)
    answer = api.send(way.document, groups=())
    # What came with a later version is for those whom a policy names.
    is_old = {way.action, *way.before} <= FOR_ANYONE
    assert answer.codes == ([] if is_old else ["FORBIDDEN"])
    assert api.send(way.document, token="").response.status_code == 401


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
    of_types = {("node",), ("nodes",), ("_entities",)}
    for way in WAYS:
        if way.action is action and not way.before and way.path not in of_types:
            assert api.send(way.document).codes == ["GRAPHQL_VALIDATION_FAILED"]
    assert f"`{action.label}`" not in api.send("{ _service { sdl } }").data["_service"]["sdl"]
    if action is not Action.VIEWER:
        labels = api.send("{ viewer { actions } }").data["viewer"]["actions"]
        assert labels == [other.label for other in Action if other is not action]
    assert backend.requests == []


def test_all_mutations_disabled(serve: Callable[..., Api], backend: Any) -> None:
    """Without any mutation the schema has no Mutation, and reading goes on."""
    mutations = [action.label for action in Action if action.write]
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
    expected |= {"AdminGetUser", "AdminListGroupsForUser", "GetGroup"}
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
    for document in ALTERNATIVES.values():
        api.send(document)
    (statement,) = iam_policy("arn", list(Action))["Statement"]
    assert set(statement["Action"]) == {f"cognito-idp:{name}" for name in backend.operations()}
