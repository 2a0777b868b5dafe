"""What a caller may see of a user: attributes are taken out or masked where rows become users.

Replies from Cognito are shared between requests, and the server's own checks need all of them. So
this is done for each caller, after the reply was read.
"""

from graphql_admin.admin.pagination import Row
from graphql_admin.admin.users.filters import Criterion, read_attributes
from graphql_admin.errors import Forbidden
from graphql_admin.policy.sight import Seen, Sight, mask

_MEMBERS = ("Attributes", "UserAttributes")
"""What has the attributes in Cognito's replies: the latter in that of AdminGetUser."""

_OWN = frozenset({"username", "sub", "status", "cognito:user_status"})
"""What ListUsers filters by, and every caller sees who sees the user."""


def seen(sight: Sight, row: Row) -> Row:
    """Return what a caller sees of a row of Cognito.

    Args:
        sight: What the caller sees.
        row: Cognito's UserType, or the reply of AdminGetUser.
    """
    attributes = [
        {"Name": name, "Value": value if much is Seen.WHOLE else mask(name, value)}
        for name, value in read_attributes(row).items()
        if (much := sight.of(name)) is not Seen.NOTHING
    ]
    return {name: attributes if name in _MEMBERS else value for name, value in row.items()}


def demand_filter(sight: Sight, criterion: Criterion) -> None:
    """Reject a search by an attribute that the caller does not see: its result would tell it.

    By one that is masked, users can be found who have exactly a value.

    Raises:
        Forbidden: The caller does not see the attribute, or not the whole of it.
    """
    name = criterion.attribute
    if sight.is_whole or name in _OWN:
        return
    much = sight.of(name)
    if much is Seen.NOTHING:
        raise Forbidden("You are not allowed to search by this attribute: you do not see it.")
    if much is Seen.IN_PART and criterion.operator != "=":
        raise Forbidden(
            "You are not allowed to search by the start of this attribute: you see it in part. Use "
            "`equals`."
        )
