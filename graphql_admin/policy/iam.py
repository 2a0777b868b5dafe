"""The least-privilege IAM policy for the enabled actions."""

from collections.abc import Collection
from typing import Any

from graphql_admin.actions import Action
from graphql_admin.policy.decisions import TargetRead, may_leave_unread


def checks_of(actions: Collection[Action], *, knows_groups: bool) -> tuple[str, ...]:
    """Return the operations that the decisions on the enabled changes call.

    They read the caller's own standing before every change, except those that are only allowed on
    the caller's own account, and the target's before some. Without the permission to call them,
    every such change is rejected.

    Args:
        actions: The enabled actions.
        knows_groups: Whether rights come from the groups in the pool.
    """
    changes = (action for action in actions if action.write is not None)
    if all(action.is_for_oneself for action in changes):
        return ()
    reads = (TargetRead.USER, TargetRead.GROUPS) if knows_groups else (TargetRead.USER,)
    return tuple(read.value for read in reads)


def lookups_of(actions: Collection[Action]) -> frozenset[str]:
    """Return the operations by which dry runs of the enabled changes look for their targets.

    Without the permission to call them, only dry runs are rejected.
    """
    return frozenset(
        operation
        for action in actions
        if not action.is_for_oneself
        for operation in action.row.lookups
    )


def settings_of(actions: Collection[Action]) -> frozenset[str]:
    """Return the operations by which it is known if a changed user was given by their username.

    Without the permission to call them, the user is read back where the name is shown.
    """
    is_shown = Action.GET_USER in actions
    depends = is_shown and any(may_leave_unread(action.row) for action in actions)
    return frozenset({"DescribeUserPool"} if depends else ())


def iam_policy(
    pool_arn: str,
    actions: Collection[Action],
    *,
    knows_groups: bool = True,
    further: Collection[str] = (),
) -> dict[str, Any]:
    """Return the least-privilege IAM policy for `actions`.

    Args:
        pool_arn: ARN of the user pool.
        actions: The enabled actions.
        knows_groups: Whether rights come from the groups in the pool.
        further: Operations that no action and no decision needs.
    """
    operations = {operation for action in actions for operation in action.operations}
    operations.update(checks_of(actions, knows_groups=knows_groups), further)
    operations.update(lookups_of(actions), settings_of(actions))
    statement = {
        "Sid": "AdministerUserPool",
        "Effect": "Allow",
        "Action": [f"cognito-idp:{operation}" for operation in sorted(operations)],
        "Resource": pool_arn,
    }
    # IAM rejects a statement without an action.
    return {"Version": "2012-10-17", "Statement": [statement] if operations else []}
