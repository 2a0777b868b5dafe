"""What a caller may see of a user: attributes are taken out or masked where rows become users.

Replies from Cognito are shared between requests, and the server's own checks need all of them. So
this is done for each caller, after the reply was read.
"""

from functools import lru_cache

from graphql_admin.admin.pagination import Row
from graphql_admin.admin.users.filters import Criterion, read_attributes
from graphql_admin.errors import Forbidden
from graphql_admin.policy.sight import Seen, Sight, mask

_MEMBERS = ("Attributes", "UserAttributes")
"""What has the attributes in Cognito's replies: the latter in that of AdminGetUser."""

_OWN = frozenset({"username", "sub", "status", "cognito:user_status"})
"""What ListUsers filters by, and every caller sees who sees the user."""


class View:
    """What callers with one sight see of users.

    Args:
        sight: What they see of attributes.
    """

    __slots__ = ("_in_part", "_whole", "sight")

    def __init__(self, sight: Sight) -> None:
        self.sight = sight
        # A pool has some seventy attributes at most, and all its users have the same ones.
        self._whole: set[str] = set()
        self._in_part: dict[str, bool] = {}

    def of(self, row: Row) -> tuple[Row, Row]:
        """Return a row of Cognito without its attributes, and what is seen of those, by name.

        Args:
            row: Cognito's UserType, or the reply of AdminGetUser.
        """
        values = read_attributes(row)
        for name in values.keys() - self._whole:
            in_part = self._in_part.get(name)
            if in_part is None:
                much = self.sight.of(name)
                if much is Seen.WHOLE:
                    self._whole.add(name)
                    continue
                in_part = self._in_part[name] = much is Seen.IN_PART
            if in_part:
                values[name] = mask(name, values[name])
            else:
                del values[name]
        bare = row.copy()
        for member in _MEMBERS:
            if member in bare:
                bare[member] = ()
        return bare, values


@lru_cache(maxsize=1024)
def view_of(sight: Sight) -> View:
    """Return the view of a sight."""
    return View(sight)


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
