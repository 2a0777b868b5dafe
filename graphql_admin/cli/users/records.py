"""A user as a file has them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

USERNAME = "cognito:username"
"""The column of the username, by the name that Cognito's own import has for it."""

MFA = "cognito:mfa_enabled"
"""A column of Cognito's own import. An administrator cannot set up MFA for others."""

ENABLED = "enabled"
GROUPS = "groups"
STATUS = "status"
CREATED_AT = "createdAt"
UPDATED_AT = "updatedAt"

CREATED = "created"
"""In a report: whether an import has created the user, so that only the rest is left to do."""

ERROR = "error"
"""In a report: why the user was not imported. An import ignores it."""

READ_ONLY = (STATUS, CREATED_AT, UPDATED_AT)
"""What an export tells, and cannot be set."""

OWN_COLUMNS = frozenset({USERNAME, MFA, ENABLED, GROUPS, CREATED, ERROR, *READ_ONLY})
"""Every other column is an attribute. No attribute of Cognito has one of these names."""

NOT_SET = frozenset({"sub", "identities"})
"""Attributes that Cognito sets itself."""

BOOLEANS = frozenset({"email_verified", "phone_number_verified"})
"""Attributes that are Booleans in the API."""

FIELDS: Mapping[str, str] = {
    "email": "email",
    "email_verified": "emailVerified",
    "phone_number": "phoneNumber",
    "phone_number_verified": "phoneNumberVerified",
    "name": "fullName",
    "given_name": "givenName",
    "family_name": "familyName",
    "preferred_username": "preferredUsername",
}
"""The attributes that have a field of their own in `CreateUserInput`."""


class Format(Enum):
    """How a file has its users."""

    CSV = "csv"
    JSONL = "jsonl"


@dataclass(frozen=True)
class Record:
    """A user.

    Attributes:
        username: The username.
        attributes: Attributes by name, without those that have no value.
        enabled: Whether the user is enabled.
        groups: Names of groups, in order; None if they are not known.
        others: The columns that are neither an attribute nor one of the others here, as they are.
        created: Whether an import has created the user.
        line: The line of the file on which the user starts; 0 if they are from no file.
    """

    username: str = field(repr=False)
    attributes: Mapping[str, str] = field(repr=False, default_factory=dict)
    enabled: bool = True
    groups: tuple[str, ...] | None = field(repr=False, default=None)
    others: Mapping[str, str] = field(repr=False, default_factory=dict)
    created: bool = False
    line: int = 0

    @property
    def is_external(self) -> bool:
        """Whether the user is one of an external provider, created by their first sign-in."""
        return self.others.get(STATUS) == "EXTERNAL_PROVIDER"

    @property
    def settable(self) -> dict[str, str]:
        """The attributes that an import sets."""
        return {name: each for name, each in self.attributes.items() if name not in NOT_SET}


def read_bool(text: str) -> bool:
    """Return a Boolean as Cognito and spreadsheets write it, in any letter case.

    Raises:
        ValueError: It is not one.
    """
    match text.lower():
        case "true":
            return True
        case "false":
            return False
    raise ValueError("must be true or false")


def check(record: Record) -> list[str]:
    """Return what is wrong with a record from a file, whatever the pool is."""
    problems = []
    for name in sorted(BOOLEANS & record.attributes.keys()):
        try:
            read_bool(record.attributes[name])
        except ValueError as error:
            problems.append(f"`{name}` {error}")
    if len(set(record.groups or ())) < len(record.groups or ()):
        problems.append(f"`{GROUPS}` has a group twice")
    return problems
