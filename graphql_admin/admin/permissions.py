"""The rights that the policy gives a caller."""

from graphql_admin.policy.grants import Grants, Rights
from graphql_admin.tokens.caller import Caller

_NONE = Rights(frozenset(), frozenset(), writes=frozenset())


def rights_of(caller: Caller | None, grants: Grants) -> Rights:
    """Return a person's rights by groups, a machine's by scopes, and no rights for None."""
    if caller is None:
        return _NONE
    if caller.is_machine:
        return grants.of_machine(caller.scopes)
    return grants.of_user(caller.groups)
