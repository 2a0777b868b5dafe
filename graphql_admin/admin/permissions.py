"""What a caller may do, as the policy gives it to who they are."""

from graphql_admin.policy.grants import Grants, Rights
from graphql_admin.tokens.caller import Caller

_NONE = Rights(frozenset(), frozenset())


def rights_of(caller: Caller | None, grants: Grants) -> Rights:
    """Return what `caller` may do: a person by groups, a machine by scopes, nobody nothing."""
    if caller is None:
        return _NONE
    if caller.is_machine:
        return grants.of_machine(caller.scopes)
    return grants.of_user(caller.groups)
