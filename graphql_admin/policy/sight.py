"""Which attributes of users a caller sees, by `[reads]` and `[masks]` of the policy file."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import reduce
from typing import Any, TypeAlias

ALL = "*"
"""In a list of names: all of them."""

ALWAYS_SEEN = frozenset({"sub"})
"""Attributes that every caller sees who sees the user."""

BROUGHT: Mapping[str, str] = {
    "email": "email_verified",
    "phone_number": "phone_number_verified",
}
"""Attributes of users, each with one that comes with it wherever a policy names it."""

ALIASES = ("email", "phone_number", "preferred_username")
"""The attributes by which a pool may know a user beside username and `sub`; botocore's model of
cognito-idp, AliasAttributeType. Which of them a pool takes for one is its own setting."""

Lists: TypeAlias = Mapping[str, frozenset[str]] | None
"""Names of attributes by group or scope; None without the table."""


class Seen(IntEnum):
    """How much of an attribute is seen."""

    NOTHING = 0
    IN_PART = 1
    WHOLE = 2


@dataclass(frozen=True, slots=True)
class Sight:
    """Which attributes of users are seen. `ALL` stands for those that neither list names."""

    reads: frozenset[str] = frozenset({ALL})
    """Those that are seen."""

    masks: frozenset[str] = frozenset()
    """Those that are seen in part."""

    @property
    def is_whole(self) -> bool:
        """Whether every attribute is seen."""
        return not self.masks and ALL in self.reads

    def of(self, attribute: str) -> Seen:
        """Tell how much is seen of an attribute; of `ALL`, of one that is named nowhere."""
        if attribute in self.reads or attribute in ALWAYS_SEEN:
            return Seen.WHOLE
        if attribute in self.masks:
            return Seen.IN_PART
        if ALL in self.reads:
            return Seen.WHOLE
        return Seen.IN_PART if ALL in self.masks else Seen.NOTHING

    def covers(self, other: "Sight") -> bool:
        """Tell whether at least as much is seen of every attribute as in another sight."""
        return all(self.of(name) >= other.of(name) for name in self.names | other.names)

    def united_with(self, other: "Sight") -> "Sight":
        """Return the sight of who has both: of each attribute what more is seen of."""
        names = self.names | other.names
        seen = {name: max(self.of(name), other.of(name)) for name in names}
        return Sight(
            frozenset(name for name in names if seen[name] is Seen.WHOLE),
            frozenset(name for name in names if seen[name] is Seen.IN_PART),
        )

    @property
    def names(self) -> frozenset[str]:
        """The attributes that it names, and `ALL` for the others."""
        return self.reads | self.masks | {ALL}

    @property
    def hides_aliases(self) -> bool:
        """Whether users may have names that must not be found out."""
        return not self.is_whole and any(self.of(each) is Seen.NOTHING for each in ALIASES)

    def tells(self, name: str, username: str, attributes: Mapping[Any, Any]) -> bool:
        """Tell whether a user may be known to have a name.

        Cognito also takes an alias for a username. Where its attribute is not seen, a reply would
        tell that the user has it.

        Args:
            name: The name that Cognito found the user by.
            username: The user's username.
            attributes: The user's attributes by name.
        """
        seen = (attributes.get(each) for each in ("sub", *ALIASES) if self.of(each))
        folded = name.casefold()
        return any(
            isinstance(each, str) and each.casefold() == folded for each in (username, *seen)
        )


WHOLE = Sight()
BLIND = Sight(reads=frozenset())


def sight_of(
    names: Collection[str],
    *,
    acting: Collection[str],
    everything: Collection[str],
    reads: Lists,
    masks: Lists,
) -> Sight:
    """Return what members of some groups, or clients with some scopes, see.

    Args:
        names: The groups or scopes.
        acting: Those of them that the policy gives any action.
        everything: Those of them that have `*`.
        reads: The table `[reads]`.
        masks: The table `[masks]`.
    """
    if reads is None and masks is None:
        return WHOLE
    of_all = acting if reads is None else everything
    sights = (
        _sight_of_one((reads or {}).get(name), (masks or {}).get(name), of_all=name in of_all)
        for name in names
    )
    return reduce(Sight.united_with, sights, BLIND)


def _sight_of_one(
    read: frozenset[str] | None, masked: frozenset[str] | None, *, of_all: bool
) -> Sight:
    masks = masked or frozenset()
    if read is None:
        # Who has `*`, and is named in `[masks]` alone, sees all but what is masked.
        read = frozenset({ALL}) if of_all and ALL not in masks else frozenset()
    return Sight(with_brought(read) | _flags(masks), masks)


def with_brought(names: frozenset[str]) -> frozenset[str]:
    """Return names of attributes with those that come with them."""
    return names.union(BROUGHT[each] for each in names & BROUGHT.keys())


def _flags(masks: frozenset[str]) -> frozenset[str]:
    """Return what comes with masked attributes: whether it is verified cannot be seen in part."""
    return frozenset(
        verified for name, verified in BROUGHT.items() if not masks.isdisjoint({name, ALL})
    )


_PHONE = re.compile(r"\+[0-9]{8,}")


def mask(attribute: str, value: str) -> str:
    """Return the part of a value that is seen where its attribute is masked.

    Of an e-mail address that is the first character on each side of the `@`, and of a phone number
    the last four digits. The number of asterisks says nothing about the length. Of an address in an
    unusual form, of a short number and of all other values nothing is seen but that there is one.
    """
    if not value:
        return value  # as of an attribute that is missing
    if attribute == "email":
        local, _, domain = value.partition("@")
        if local and domain and "@" not in domain:
            return f"{local[0]}***@{domain[0]}***"
    elif attribute == "phone_number" and _PHONE.fullmatch(value):
        return f"+*******{value[-4:]}"
    return "***"
