"""The IAM policy of each action is what the action calls, what it checks included."""

from collections.abc import Callable
from itertools import combinations

import pytest

from graphql_admin.actions import Action
from graphql_admin.policy.iam import iam_policy
from tests.support.api import Api
from tests.support.scripted import ScriptedCognito, reply
from tests.support.ways import ALTERNATIVES, REPLIES, WAYS, dry_run

CHANGES = [action for action in Action if action.write]


def granted(*actions: Action) -> set[str]:
    """Return the operations in the policy of these actions."""
    (statement,) = iam_policy("arn", actions)["Statement"]
    return {name.removeprefix("cognito-idp:") for name in statement["Action"]}


@pytest.mark.parametrize("action", CHANGES, ids=lambda action: action.label)
def test_action_alone(serve: Callable[..., Api], scripted: ScriptedCognito, action: Action) -> None:
    """With all others disabled, an action calls all that its policy has, and nothing else."""
    for operation in granted(action):
        scripted.on(operation, reply(REPLIES.get(operation, {})))
    scripted.on("ListUsersInGroup", reply({"Users": []}))
    if action is Action.RESEND_INVITATION:  # the pool is read where the username may be an address
        scripted.on("AdminGetUser", reply({**REPLIES["AdminGetUser"], "Username": "sub-of-bob"}))
    disabled = ",".join(other.label for other in Action if other is not action)
    api = serve(scripted.url, disabled_actions=disabled)
    document = next(
        way.document for way in WAYS if way.action is action and way.path == (action.label,)
    ).replace("withMembers: true", "withMembers: false")
    others = [ALTERNATIVES[action]] if action in ALTERNATIVES else []
    for each in (document, *others):
        (payload,) = api.send(each).data.values()
        assert payload["errors"] == []
    if not action.is_for_oneself:
        api.send(dry_run(action))
    seen = {each.operation for each in (*scripted.requests, *scripted.authority)}
    assert seen == granted(action)


def test_actions_together() -> None:
    """Two actions, or all, need what each of them needs, and no more.

    Where changed users may be read, the settings of the pool tell whether they need to be.
    """
    for pair in combinations(Action, 2):
        needs_nothing = [action for action in pair if not action.operations]
        if not needs_nothing:
            more = granted(*pair) - (granted(pair[0]) | granted(pair[1]))
            assert more <= ({"DescribeUserPool"} if Action.GET_USER in pair else set())
            assert granted(pair[0]) | granted(pair[1]) <= granted(*pair)
    every = [granted(action) for action in Action if action.operations]
    assert granted(*Action) == set[str]().union(*every)


def test_no_policy_passes_a_role() -> None:
    """Roles are infrastructure: nothing here can give one, and no right to is asked for."""
    assert not [name for name in granted(*Action) if "Role" in name]
