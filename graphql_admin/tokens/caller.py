"""The caller of a request, as identified by a verified token."""

from dataclasses import dataclass
from enum import StrEnum

RESERVED_GROUP = "*"
"""Stands for every signed-in user in policies. Cognito allows a group of this name, so no caller is
counted as its member."""


class TokenUse(StrEnum):
    """The `token_use` claim of a Cognito token."""

    ACCESS = "access"
    ID = "id"


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of a request, as identified by the verified token."""

    sub: str
    """Unique id; for a machine, the `client_id` of its app client."""
    username: str | None
    """None for a machine, which is not a user of the pool."""
    groups: frozenset[str]
    token_use: TokenUse
    expires_at: float
    """When the token expires, in seconds since 1970."""
    is_machine: bool = False
    """Whether the token is of the client credentials grant, without a user."""
    scopes: frozenset[str] = frozenset()
    """OAuth scopes of a machine. Those of a user's token give no rights, and are left out."""
