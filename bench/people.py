"""The user pool of the bench: who is in it, as Cognito tells it and as a right answer tells it.

The stub serves these people and the bench checks every server's answers against them.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, uuid5

REGION = "eu-west-1"
POOL_ID = f"{REGION}_Bench0001"
CLIENT_ID = "bench0client0id0of0the0app"
ADMIN_GROUP = "Admins"

PAGE_SIZE = 60
"""Cognito's largest page."""

PAGES = 16
"""Pages in the pool, so that as many callers can each read another page at the same time."""

_FIRST_SIGN_UP = 1_700_000_000.25
_STATUSES = ("CONFIRMED", "CONFIRMED", "FORCE_CHANGE_PASSWORD", "UNCONFIRMED")
_GROUPS = ("Admins", "Editors", "Readers", "Support", "Finance", "Partners", "Beta", "Press")


@dataclass(frozen=True)
class Person:
    """A user of the pool, wholly determined by a number."""

    number: int

    @property
    def username(self) -> str:
        return f"person-{self.number:04}"

    @property
    def sub(self) -> str:
        return str(uuid5(NAMESPACE_URL, self.username))

    @property
    def email(self) -> str:
        return f"{self.username}@bench.example"

    @property
    def email_verified(self) -> bool:
        return self.number % 5 != 0

    @property
    def phone_number(self) -> str:
        return f"+44207946{self.number:04}"

    @property
    def given_name(self) -> str:
        # Not only ASCII, as names are not.
        return f"Zoë Person {self.number}"

    @property
    def status(self) -> str:
        return _STATUSES[self.number % len(_STATUSES)]

    @property
    def enabled(self) -> bool:
        return self.number % 7 != 0

    @property
    def created(self) -> float:
        """Seconds since the epoch."""
        return _FIRST_SIGN_UP + 3600 * self.number

    @property
    def updated(self) -> float:
        """Seconds since the epoch."""
        return self.created + 60.5

    @property
    def groups(self) -> list[str]:
        return [_GROUPS[(self.number + step) % len(_GROUPS)] for step in range(3)]

    def to_cognito(self, attributes_key: str) -> dict[str, object]:
        """The person as Cognito's JSON has it.

        Args:
            attributes_key: `Attributes` in lists, `UserAttributes` in AdminGetUser.
        """
        attributes = {
            "sub": self.sub,
            "email": self.email,
            "email_verified": "true" if self.email_verified else "false",
            "phone_number": self.phone_number,
            "phone_number_verified": "false",
            "given_name": self.given_name,
            "locale": "en-GB",
        }
        return {
            "Username": self.username,
            attributes_key: [{"Name": key, "Value": value} for key, value in attributes.items()],
            "UserCreateDate": self.created,
            "UserLastModifiedDate": self.updated,
            "Enabled": self.enabled,
            "UserStatus": self.status,
        }

    def to_answer(self) -> dict[str, object]:
        """The person's ten fields as a right answer has them."""
        return {
            "username": self.username,
            "sub": self.sub,
            "email": self.email,
            "emailVerified": self.email_verified,
            "phoneNumber": self.phone_number,
            "givenName": self.given_name,
            "status": self.status,
            "enabled": self.enabled,
            "createdAt": datetime.fromtimestamp(self.created, UTC),
            "updatedAt": datetime.fromtimestamp(self.updated, UTC),
        }


def page_of(number: int) -> list[Person]:
    """The people on a page of the pool, counted from 0."""
    return [Person(number * PAGE_SIZE + row) for row in range(PAGE_SIZE)]


def page_token(number: int) -> str | None:
    """The token that asks for a page. The first page has none, nor is there one past the end.

    It is about as long as Cognito's own.
    """
    return f"page-{number:02}-" + "CAISlAIIARKuAQgD" * 16 if 0 < number < PAGES else None


def group_to_cognito(name: str) -> dict[str, object]:
    """A group as Cognito's JSON has it."""
    return {
        "GroupName": name,
        "UserPoolId": POOL_ID,
        "Description": f"The {name.lower()} of the bench",
        "Precedence": 10,
        "CreationDate": _FIRST_SIGN_UP,
        "LastModifiedDate": _FIRST_SIGN_UP,
    }
