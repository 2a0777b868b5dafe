"""The printed IAM policy is what the server calls: for each action alone, each pair, and all."""

import json
import re
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from click.testing import CliRunner
from graphql import get_named_type

from graphql_admin.actions import Action
from graphql_admin.admin.guards import Requires, guard_of
from graphql_admin.cli import main
from graphql_admin.web.amplify import ADMIN_QUERIES
from tests.support.api import Api
from tests.support.scripted import Reply, ScriptedCognito, failure, reply
from tests.support.tokens import CLIENT_ID, POOL_ID
from tests.support.ways import (
    ALTERNATIVES,
    BEYOND_KEY,
    MAX_CALLS,
    REPLIES,
    SCHEMA,
    WAYS,
    dry_run,
    leaf_selection,
)

pytestmark = pytest.mark.slow

ACCOUNT = "111122223333"
SINGLES = [frozenset({action}) for action in Action]
PAIRS = [frozenset(pair) for pair in combinations(Action, 2)]
EVERY = frozenset(Action)
USER = SCHEMA.graphql_schema.type_map["User"]
BY_KEY = [
    (guard.action, f"{name} {leaf_selection(get_named_type(field.type))}")
    for name, field in USER.fields.items()
    if isinstance(guard := guard_of(field.extensions["strawberry-definition"]), Requires)
]
"""Actions, each with what it reads of a user of whom only the key is known."""
NAMES = {"username": "bob", "groupname": "Editors"}


def labels(actions: frozenset[Action]) -> str:
    return ",".join(action.label for action in Action if action in actions)


Print = Callable[[frozenset[Action], str], dict[str, Any]]


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Print:
    """Return what `graphql-admin iam-policy` prints where only these actions are enabled."""

    def run(enabled: frozenset[Action], max_age: str) -> dict[str, Any]:
        for name, value in {
            "USER_POOL_ID": POOL_ID,
            "CLIENT_IDS": CLIENT_ID,
            "ADMIN_GROUPS": "Admins",
            "DISABLED_ACTIONS": labels(EVERY - enabled),
            "AUTHORITY_MAX_AGE": max_age,
        }.items():
            monkeypatch.setenv(f"GRAPHQL_ADMIN_{name}", value)
        result = CliRunner().invoke(main, ["iam-policy", "--account", ACCOUNT])
        for name in ("USER_POOL_ID", "CLIENT_IDS", "ADMIN_GROUPS", "DISABLED_ACTIONS"):
            monkeypatch.delenv(f"GRAPHQL_ADMIN_{name}")
        monkeypatch.delenv("GRAPHQL_ADMIN_AUTHORITY_MAX_AGE")
        assert result.exit_code == 0, result.output
        policy: dict[str, Any] = json.loads(result.stdout)
        return policy

    return run


STEPS = {action for action in Action if action.write and not action.is_for_oneself}
"""What a batch may have as a step."""

FURTHER = {
    Action.DELETE_GROUP: """mutation {
        deleteGroup(input: {groupName: "Empty"}) { errors { code } }
    }""",
    Action.RESEND_INVITATION: """mutation {
        resendInvitation(input: {username: "sub-of-bob"}) { errors { code } }
    }""",
    Action.GET_USER: '{ user(by: {sub: "sub-of-bob"}) { email } }',
}
"""Documents by which actions make calls that the ways do not lead to."""


def allowed(policy: dict[str, Any]) -> set[str]:
    """Return the operations that a policy allows."""
    return {
        action.removeprefix("cognito-idp:")
        for statement in policy["Statement"]
        for action in statement["Action"]
    }


def find(parameters: dict[str, Any]) -> Reply:
    """Reply with the user; by the `sub`, as in a pool where that is the username."""
    name = "sub-of-bob" if parameters["Username"] == "sub-of-bob" else "bob"
    return reply({**REPLIES["AdminGetUser"], "Username": name})


def drive(api: Api, enabled: frozenset[Action], group: str) -> None:
    """Use everything that the server offers where these actions are enabled, by every way."""
    token = api.token(group)
    for way in WAYS:
        if {way.action, *way.before} <= enabled:
            api.send(way.document, token=token)
    for action, document in [*ALTERNATIVES.items(), *FURTHER.items()]:
        if action in enabled:
            api.send(document, token=token)
    for selection in (selection for action, selection in BY_KEY if action in enabled):
        bob = '[{__typename: "User", username: "bob"}]'
        fields = f"{{ ... on User {{ {selection} }} }}"
        api.send(f"{{ _entities(representations: {bob}) {fields} }}", token=token)
    for action in enabled & STEPS:
        api.send(dry_run(action), token=token)
    for way in WAYS:  # with no more than the key of the user in the payload
        if way.action is Action.GET_USER and way.before <= enabled and way.path[1:] == ("user",):
            api.send(
                way.document.replace(f"user {{ {BEYOND_KEY['User']} }}", "user { id }"), token=token
            )
    for action in enabled & ADMIN_QUERIES.keys():
        names = {"username": "root"} if action is Action.SIGN_USER_OUT else NAMES
        method = "POST" if action.write else "GET"
        answer = api.client.request(
            method,
            f"/AdminQueries/{action.label}",
            headers={"Authorization": token},
            **({"json": names} if action.write else {"params": names}),
        )
        assert answer.status_code in {200, 403}, answer.text


def _configurations() -> list[Any]:
    return [
        *(pytest.param(each, "10", id=labels(each)) for each in [*SINGLES, *PAIRS]),
        *(pytest.param(each, "token", id=f"{labels(each)}-token") for each in SINGLES),
        pytest.param(EVERY, "0", id="all"),
        pytest.param(EVERY, "token", id="all-token"),
    ]


@pytest.mark.parametrize(("enabled", "max_age"), _configurations())
def test_printed_is_called(  # noqa: PLR0917  # fixtures and parameters
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    printed: Print,
    tmp_path: Path,
    enabled: frozenset[Action],
    max_age: str,
) -> None:
    """What is printed is called, and nothing else is, with all actions enabled or one alone."""
    policy = printed(enabled, max_age)
    path = tmp_path / "policy.toml"
    single = [f'{action.label} = ["{action.label}"]' for action in enabled]
    attributes = [f'{action.label} = ["*"]' for action in enabled]
    # Who sees no attribute is told nothing of users by a name that may be one.
    lines = [
        *("[groups]", 'Admins = ["*"]', *single),
        f"Blind = {[action.label for action in enabled]}",
        *("[writes]", *attributes, 'Blind = ["*"]'),
        *("[reads]", *attributes, "Blind = []"),
    ]
    path.write_text("\n".join(lines))
    groups = ["Admins", *(action.label for action in enabled), "Blind"]
    scripted.people = {"root": groups}
    everything = {operation for action in Action for operation in action.operations}
    for operation in everything:
        is_allowed = operation in allowed(policy)
        denied = failure("AccessDeniedException")
        scripted.on(operation, reply(REPLIES.get(operation, {})) if is_allowed else denied)
    if "AdminGetUser" in allowed(policy):
        scripted.on("AdminGetUser", find)
    api = serve(
        scripted.url,
        policy_file=path,
        disabled_actions=labels(EVERY - enabled),
        authority_max_age=max_age,
        max_calls=MAX_CALLS,
        amplify=True,
    )
    for group in groups:
        drive(api, enabled, group)
    called = {*scripted.operations(), *(request.operation for request in scripted.authority)}
    assert called == allowed(policy)


@pytest.mark.parametrize("enabled", [*SINGLES, EVERY], ids=labels)
def test_form(printed: Print, enabled: frozenset[Action]) -> None:
    """A policy is one that IAM takes, of rights that there are, and no wider than it must be.

    These are the rules of Parliament, a linter whose own list of rights ends before some of those
    that Cognito has by now.
    """
    policy = printed(enabled, "10")
    operations = set(
        botocore.session.get_session().get_service_model("cognito-idp").operation_names
    )
    assert policy.keys() == {"Version", "Statement"}
    assert policy["Version"] == "2012-10-17"
    for statement in policy["Statement"]:
        assert statement.keys() == {"Sid", "Effect", "Action", "Resource"}
        assert re.fullmatch("[0-9A-Za-z]+", statement["Sid"])
        assert statement["Effect"] == "Allow"
        assert statement["Resource"] == (
            f"arn:aws:cognito-idp:eu-west-1:{ACCOUNT}:userpool/{POOL_ID}"
        )
        actions = statement["Action"]
        assert actions == sorted(set(actions))
        assert actions
        # Neither a wildcard nor another service's, such as iam:PassRole.
        assert {action.partition(":")[0] for action in actions} == {"cognito-idp"}
        assert allowed(policy) <= operations
    assert bool(policy["Statement"]) == (enabled != {Action.VIEWER})
    assert len(json.dumps(policy)) < 6144  # characters of a managed policy
