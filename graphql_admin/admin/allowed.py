"""The field `allowedActions`: what the caller may do to one user or group.

Frontends use it to hide the other actions. It depends only on the caller's token, and authorizes
nothing: each change is decided on when it is requested.
"""

from collections.abc import Collection

import strawberry

from graphql_admin.actions import Action
from graphql_admin.admin.context import Context, Info
from graphql_admin.admin.features import Feature
from graphql_admin.admin.groups.types import Group
from graphql_admin.admin.guards import guarded
from graphql_admin.admin.pagination import read_all
from graphql_admin.admin.users.types import User, find_user, list_groups_of
from graphql_admin.errors import UserNotFound
from graphql_admin.policy.decisions import KnownUser, Principal


def _labels(actions: Collection[Action]) -> list[str]:
    return [action.label for action in Action if action in actions]


def _principal(context: Context) -> Principal:
    caller = context.demand_token()
    return Principal(caller.sub, context.rights, caller.is_machine)


@guarded(
    Action.LIST_GROUPS_FOR_USER,
    name="allowedActions",
    description="Names of the actions that the caller may take on this user; null if the user no "
    "longer exists. Changes of a membership are among them if there can be a group with which the "
    "caller may do so: one that has the action among its own `allowedActions`. Even then callers "
    "may not remove themselves from a group that gives rights.",
)
async def allowed_on_user(user: strawberry.Parent[User], info: Info) -> list[str] | None:
    context = info.context
    sub = user.values.get("sub")
    if sub is None:  # only the key is known
        found = await find_user(context, user.key, Action.LIST_GROUPS_FOR_USER)
        if found is None:
            return None
        user, sub = found, found.sub()
    principal = _principal(context)
    groups = None
    if context.decisions.depends_on_groups(principal):
        try:
            rows = await read_all(context, list_groups_of(user.key))
        except UserNotFound:
            return None
        groups = frozenset(row["GroupName"] for row in rows)
    return _labels(context.decisions.allowed_on_user(principal, KnownUser(sub, groups)))


@guarded(
    Action.VIEWER,
    name="allowedActions",
    description="Names of the actions that the caller may take on this group. Changes of a "
    "membership are among them if there can be a user with whom the caller may do so: one who has "
    "the action among their own `allowedActions`. Even then callers may not remove themselves from "
    "a group that gives rights.",
)
async def allowed_on_group(group: strawberry.Parent[Group], info: Info) -> list[str] | None:
    decisions = info.context.decisions
    return _labels(decisions.allowed_on_group(_principal(info.context), group.key))


FEATURE = Feature(extends={User: (allowed_on_user,), Group: (allowed_on_group,)})
"""Adds the field to both types."""
