"""Who makes a request, as a verified token says."""

from dataclasses import dataclass
from enum import StrEnum

RESERVED_GROUP = "*"
"""No caller is in a group of this name, which Cognito admits: to a policy it means every signed-in
user."""


class TokenUse(StrEnum):
    """The `token_use` claim of a Cognito token."""

    ACCESS = "access"
    ID = "id"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request, as the verified token says."""

    sub: str
    """A machine's is the `client_id` of its app client."""
    username: str | None
    """None of a machine, which is no user of the pool."""
    groups: frozenset[str]
    token_use: TokenUse
    expires_at: float
    """Epoch seconds."""
    is_machine: bool = False
    """Whether the token was issued for client credentials, and no user signed in."""
    scopes: frozenset[str] = frozenset()
    """A machine's. Those of a user's token give no rights, and are left out."""
