"""The mutation that creates a user, and what it does where Cognito does not say whether it did."""

import re
import time
from collections.abc import Collection, Mapping
from typing import Any

import strawberry
import structlog

from graphql_admin.actions import Action
from graphql_admin.admin.features import Feature
from graphql_admin.admin.mutations import mutation
from graphql_admin.admin.passwords import ADDRESS_OF, DeliveryMedium
from graphql_admin.admin.payloads import INVITED, CreatedUserPayload
from graphql_admin.admin.pool_schema import read_list
from graphql_admin.admin.user_attributes import (
    AttributesInput,
    Given,
    check_aliases,
    check_immutable,
    check_schema,
    field_of,
)
from graphql_admin.admin.users.filters import read_attributes
from graphql_admin.admin.values import check_password
from graphql_admin.engine.fields import secret
from graphql_admin.errors import (
    AdminError,
    BadUserInput,
    DeliveryFailed,
    InvitationNotSent,
    UpstreamFailed,
    UsernameTaken,
)
from graphql_admin.policy.sight import BROUGHT
from graphql_admin.targets import Reads

log = structlog.get_logger(__name__)

SPARE = 3.0
"""Seconds that are kept to look whether the user is there, should Cognito not say so."""

RECENT = 60.0
"""Seconds within which a user whom this server may have created was created."""

_ADDRESSES: Mapping[str, re.Pattern[str]] = {
    "email": re.compile(r"[^@]+@[^@]+"),
    "phone_number": re.compile(r"\+[0-9]+"),
}
"""The attributes that pools may have as usernames or aliases, and what looks like one."""


@strawberry.input
class UserCreationInput(AttributesInput):
    temporary_password: str | None = secret(
        "A password that the user must change at the first sign-in: 1 to 256 characters without "
        "spaces, which must meet the pool's password policy. Without it, the pool generates one. "
        "Send it in a variable, not in the document.",
        default=None,
    )
    invite_by: list[DeliveryMedium] = strawberry.field(
        default_factory=list,
        description="How to deliver an invitation with the temporary password; each medium "
        "requires the user's address. If it is empty, no invitation is sent.",
    )

    @property
    def spare(self) -> float:
        return SPARE

    def parameters(self) -> Mapping[str, object]:
        told: dict[str, object] = {}
        # Whatever the pool is like, a name that looks like no address is none.
        self._check_addresses(_addresses_in(self.username))
        if asked := self._asked():
            told["UserAttributes"] = [
                {"Name": name, "Value": value} for name, value in asked.items()
            ]
        if self.temporary_password is not None:
            field = "temporaryPassword"
            told["TemporaryPassword"] = check_password(self.temporary_password, field)
        # Left out, Cognito would send an SMS.
        if self.invite_by:
            media = list(dict.fromkeys(medium.value for medium in self.invite_by))
            return {**told, "DesiredDeliveryMediums": media}
        return {**told, "MessageAction": "SUPPRESS"}

    def attributes(self) -> Mapping[str, str]:
        return {name: given.field for name, given in self._given_values().items()}

    def _given_values(self) -> Mapping[str, Given]:
        return {name: given for name, given in self.given().items() if given.value}

    def _asked(self) -> Mapping[str, str]:
        return {name: given.value for name, given in self.given().items() if given.value}

    def _check_addresses(self, implied: Collection[str]) -> None:
        """Check that the user has each address that the input relies on.

        Args:
            implied: The attributes that the username may set.
        """
        given = self._given_values()
        _check_media(self.invite_by, {*given, *implied})
        _check_verified(given, {*given, *implied})

    async def prepare(self, reads: Reads) -> Mapping[str, object]:
        described = await reads.pool()
        given = self._given_values()
        implied = _implied(described, self.username)
        # The username sets them. Where the pool's settings are not known, it may.
        reads.demand_attributes(dict.fromkeys(implied - given.keys(), "username"))
        if described is not None:
            _check_username(described, self.username, given)
            self._check_addresses(implied)
            check_schema(described, given, creates=True)
            check_immutable(described, implied.union(given))
            await check_aliases(reads, described, given, creates=True)
        return {}

    def confirm(self, reply: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"User": _user_of(reply), INVITED: bool(self.invite_by)}

    async def look_again(self, error: Exception, reads: Reads) -> Mapping[str, Any]:
        try:
            user = _named(await reads.read("AdminGetUser", Username=self.username))
        except AdminError:  # there is none, or it cannot be told
            raise error from None
        if not (isinstance(error, InvitationNotSent) or self._may_have_made(user)):
            raise UsernameTaken from error
        return {"User": user, INVITED: False if isinstance(error, DeliveryFailed) else None}

    def _may_have_made(self, user: Mapping[str, Any]) -> bool:
        """Tell whether a user is as this change would have made them, and as new."""
        created = user.get("UserCreateDate")
        if not isinstance(created, int | float) or created < time.time() - RECENT:
            return False
        attributes = read_attributes(user)
        # Not an alias of another user: it is the username, or the address in its place.
        names = {user.get("Username"), *(attributes.get(name) for name in _ADDRESSES)}
        return any(_is_same(each, self.username) for each in names) and all(
            # The pool may take the username for the address, which differs from it by case alone.
            _is_same(attributes.get(name), value)
            if name in _ADDRESSES
            else attributes.get(name) == value
            for name, value in self._asked().items()
        )


def _user_of(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    user = reply.get("User")
    if not isinstance(user, dict):
        log.error("reply from Cognito without its user")
        raise UpstreamFailed
    return _named(user)


def _named(user: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(user.get("Username"), str):
        log.error("user from Cognito without a member", member="Username")
        raise UpstreamFailed
    return user


def _addresses_in(username: str) -> set[str]:
    """Return which attributes a username looks like an address for."""
    return {name for name, pattern in _ADDRESSES.items() if pattern.fullmatch(username)}


def _implied(described: Mapping[str, Any] | None, username: str) -> set[str]:
    """Return the attributes that the pool sets to the username; those that it may, if not known."""
    found = _addresses_in(username)
    if described is None:
        return found
    return found.intersection(read_list(described.get("UsernameAttributes"), str))


def _check_media(media: Collection[DeliveryMedium], addresses: Collection[str]) -> None:
    """Check that a user has the address that each medium delivers to.

    Cognito would create the user, and then fail, or send nothing.
    """
    for medium in media:
        address = ADDRESS_OF[medium]
        if address not in addresses:
            raise BadUserInput(
                f"An invitation by `{medium.value}` requires this address.", field=field_of(address)
            )


def _check_verified(given: Mapping[str, Given], addresses: Collection[str]) -> None:
    """Check that a user has each address that is verified: none can be it before it is there."""
    for address, verified in BROUGHT.items():
        claimed = given.get(verified)
        if claimed is not None and claimed.value == "true" and address not in addresses:
            raise BadUserInput("Give the address that is verified, too.", field=claimed.field)


def _check_username(
    described: Mapping[str, Any], username: str, given: Mapping[str, Given]
) -> None:
    """Check a username by the addresses that the pool has as usernames, or as aliases."""
    usernames = read_list(described.get("UsernameAttributes"), str)
    aliases = read_list(described.get("AliasAttributes"), str)
    patterns = [_ADDRESSES[name] for name in usernames if name in _ADDRESSES]
    if patterns and not any(pattern.fullmatch(username) for pattern in patterns):
        raise BadUserInput(
            "In this pool, the username of a new user is their address.", field="username"
        )
    preferred = given.get("preferred_username")
    if "preferred_username" in aliases and preferred and _is_same(preferred.value, username):
        # Cognito says that there is no such user: https://github.com/aws/aws-sdk-net/issues/761
        raise BadUserInput(
            "Users of this pool can sign in with their preferred usernames, so one must not be a "
            "username.",
            field=preferred.field,
        )
    for name, pattern in _ADDRESSES.items():
        if not pattern.fullmatch(username):
            continue
        if name in aliases:
            raise BadUserInput(
                "Users of this pool can sign in with their addresses, so a username must not look "
                "like one.",
                field="username",
            )
        address = given.get(name)
        if name in usernames and address is not None and not _is_same(address.value, username):
            raise BadUserInput(
                "In this pool, the username of a new user is their address.", field=address.field
            )


def _is_same(one: object, other: str) -> bool:
    return isinstance(one, str) and one.casefold() == other.casefold()


@strawberry.type
class UserCreation:
    create_user = mutation(
        Action.CREATE_USER,
        "Create a user, who is in no group. If the pool's usernames are e-mail addresses or phone "
        "numbers, `username` is the address, and the pool generates the user's actual username. An "
        "attribute that is null or an empty string is not set; one that is required and cannot be "
        "changed later must be, and an address can be verified only if it is given. The server's "
        "policy may limit which attributes a caller can set; an address as `username` is one of "
        "them. If Cognito does not say whether the user was created, the server reads the user "
        "instead of trying again.",
        input=UserCreationInput,
        payload=CreatedUserPayload,
    )


FEATURE = Feature(mutation=UserCreation)
