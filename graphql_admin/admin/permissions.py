"""The policy: who may do what, and what AWS must allow this server for it."""

from collections.abc import Collection
from functools import lru_cache
from typing import Any

from graphql_admin.actions import Action
from graphql_admin.settings import ANYONE, Grants
from graphql_admin.tokens.caller import Caller


class Policy:
    """Which actions a caller's groups give; none, unless a grant says so.

    Args:
        grants: The actions that each group gives.
        disabled: Actions that nobody may do.
    """

    def __init__(self, grants: Grants, disabled: Collection[Action] = ()) -> None:
        self._grants = {group: actions.difference(disabled) for group, actions in grants.items()}
        self._of_anyone = self._grants.get(ANYONE, frozenset()).union(
            action for action in Action if action.open_to_signed_in and action not in disabled
        )
        self._of_groups = lru_cache(maxsize=1024)(self._actions_of_groups)

    def actions_of(self, caller: Caller | None) -> frozenset[Action]:
        """Return all that `caller` may do: nothing without a token."""
        if caller is None:
            return frozenset()
        return self._of_groups(caller.groups)

    def _actions_of_groups(self, groups: frozenset[str]) -> frozenset[Action]:
        return self._of_anyone.union(*(self._grants.get(group, ()) for group in groups))


def iam_policy(pool_arn: str, actions: Collection[Action]) -> dict[str, Any]:
    """Return the least IAM policy with which this server can carry out `actions`.

    Args:
        pool_arn: ARN of the user pool.
        actions: The enabled actions.
    """
    operations = sorted({operation for action in actions for operation in action.operations})
    statement = {
        "Sid": "AdministerUserPool",
        "Effect": "Allow",
        "Action": [f"cognito-idp:{operation}" for operation in operations],
        "Resource": pool_arn,
    }
    # IAM takes no statement without an action.
    return {"Version": "2012-10-17", "Statement": [statement] if operations else []}
