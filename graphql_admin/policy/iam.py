"""What AWS must allow this server: the least IAM policy for the actions that are enabled."""

from collections.abc import Collection
from typing import Any

from graphql_admin.actions import Action
from graphql_admin.policy.decisions import Read


def checks_of(actions: Collection[Action], *, knows_groups: bool) -> tuple[str, ...]:
    """Return the operations by which it is decided whether an enabled change may be made.

    They read the caller's own standing before every change but one of oneself, and the target's
    before some. Where they may not be called, every such change is refused.

    Args:
        actions: The enabled actions.
        knows_groups: Whether the pool's groups are those that give rights.
    """
    changes = (action for action in actions if action.write is not None)
    if all(action.is_for_oneself for action in changes):
        return ()
    reads = (Read.USER, Read.GROUPS) if knows_groups else (Read.USER,)
    return tuple(read.value for read in reads)


def iam_policy(
    pool_arn: str, actions: Collection[Action], *, knows_groups: bool = True
) -> dict[str, Any]:
    """Return the least IAM policy with which this server can carry out `actions`.

    Args:
        pool_arn: ARN of the user pool.
        actions: The enabled actions.
        knows_groups: Whether the pool's groups are those that give rights.
    """
    operations = {operation for action in actions for operation in action.operations}
    operations.update(checks_of(actions, knows_groups=knows_groups))
    statement = {
        "Sid": "AdministerUserPool",
        "Effect": "Allow",
        "Action": [f"cognito-idp:{operation}" for operation in sorted(operations)],
        "Resource": pool_arn,
    }
    # IAM takes no statement without an action.
    return {"Version": "2012-10-17", "Statement": [statement] if operations else []}
