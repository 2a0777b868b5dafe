"""The Relay `Node` interface and its global ids."""

from binascii import a2b_base64, b2a_base64

import strawberry

from graphql_admin.engine.fields import FieldReader, shown
from graphql_admin.errors import BadUserInput


@strawberry.interface(description="An object that can be fetched again by its `id`.")
class Node:
    key: strawberry.Private[str]
    """What identifies the object in Cognito, among those of its type."""

    @shown("The object's global id, an opaque string; `node` and `nodes` take it.", of_key=True)
    def id(self) -> strawberry.ID:
        return global_id(type(self).__name__, self.key)  # type: ignore[return-value]  # it is one


KEY = FieldReader(lambda node: node.key, lambda nodes: [node.key for node in nodes])
"""Reads the keys of nodes."""


def global_id(typename: str, key: str) -> str:
    """Return the global id of the object of type `typename` with the key `key`.

    It has the format of Relay's reference implementation, the npm package `graphql-relay`.
    """
    return b2a_base64(f"{typename}:{key}".encode(), newline=False).decode()


def parse_global_id(id_: str, field: str) -> tuple[str, str]:
    """Return the type name and the key in a global id.

    Args:
        id_: The id.
        field: The field of the request that it comes from, for the error.

    Raises:
        BadUserInput: It is not a global id of this server.
    """
    try:
        text = a2b_base64(id_).decode()
    except ValueError as error:
        raise BadUserInput("This is not an id of this server.", field=field) from error
    typename, _, key = text.partition(":")
    if global_id(typename, key) != id_:
        raise BadUserInput("This is not an id of this server.", field=field)
    return typename, key
