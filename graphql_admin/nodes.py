"""The Relay `Node` interface and its global ids."""

from base64 import urlsafe_b64decode
from binascii import b2a_base64

import strawberry

from graphql_admin.errors import BadUserInput
from graphql_admin.fields import shown

_URL_SAFE = bytes.maketrans(b"+/", b"-_")
"""From the letters of Base64 to those that need no quoting in URLs."""


@strawberry.interface(description="An object that can be fetched again by its `id`.")
class Node:
    key: strawberry.Private[str]
    """What Cognito knows the object as, among those of its type."""

    @shown("The object's global id: opaque, and good for `node`.")
    def id(self) -> strawberry.ID:
        return global_id(type(self).__name__, self.key)


def global_id(typename: str, key: str) -> strawberry.ID:
    """Return the global id of the `typename` that Cognito knows as `key`."""
    text = b2a_base64(f"{typename}:{key}".encode()).rstrip(b"=\n")
    return strawberry.ID(text.translate(_URL_SAFE).decode())


def parse_global_id(id_: str) -> tuple[str, str]:
    """Return the type name and the key in a global id.

    Raises:
        BadUserInput: It is not a global id of this server.
    """
    try:
        text = urlsafe_b64decode(id_ + "=" * (-len(id_) % 4)).decode()
    except ValueError as error:
        raise BadUserInput("This is not an id of this server.", field="id") from error
    typename, _, key = text.partition(":")
    if global_id(typename, key) != id_:
        raise BadUserInput("This is not an id of this server.", field="id")
    return typename, key
