"""Fetches objects by global id (`node`), and by key for other subgraphs (`_entities`)."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Annotated

import strawberry
from strawberry.federation.schema import FederationAny
from strawberry.federation.schema_directives import Key
from strawberry.types.base import get_object_definition

from graphql_admin.actions import Action
from graphql_admin.admin.cognito_names import check_name
from graphql_admin.admin.context import Info
from graphql_admin.admin.features import Feature
from graphql_admin.admin.groups.types import Group, find_group
from graphql_admin.admin.guards import RequiresByType, guarded, key_fields, selects_beyond
from graphql_admin.admin.nodes import Node, parse_global_id
from graphql_admin.admin.users.types import User, find_user, find_user_by
from graphql_admin.errors import BadUserInput, GroupNotFound, UserNotFound

ACTIONS = {"User": Action.GET_USER, "Group": Action.GET_GROUP}
"""The action that fetching an object of each type requires."""


def _keys_of(type_: type) -> tuple[str, ...]:
    directives = get_object_definition(type_, strict=True).directives or ()
    return tuple(str(each.fields) for each in directives if isinstance(each, Key))


KEYS = {type_.__name__: _keys_of(type_) for type_ in (User, Group)}
"""The fields by which other subgraphs refer to an object of each type."""


Entity = Annotated[
    User | Group,
    strawberry.union("_Entity", description="An entity that other subgraphs may refer to."),
]


@strawberry.type
class ReferenceQuery:
    @guarded(
        RequiresByType(ACTIONS, has_key=False),
        name="node",
        description="The object with the global id `id`; null if it does not exist.",
    )
    async def node(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="A global id.")],
    ) -> Node | None:
        typename, key = parse_global_id(id)
        if typename not in ACTIONS:
            raise BadUserInput("This is not an id of this server.", field="id")
        info.context.demand(ACTIONS[typename])
        check_name(key, "id")
        if typename == "Group":
            return await find_group(info.context, key)
        return await find_user_by_key(info, key)

    @guarded(
        RequiresByType(ACTIONS, has_key=True),
        name="_entities",
        description="The entities that other subgraphs refer to by their keys, in the same order.",
    )
    async def entities(
        self,
        info: Info,
        representations: Annotated[
            list[FederationAny],
            strawberry.argument(
                description="The `__typename` and the fields of one key of each entity."
            ),
        ],
    ) -> list[Entity | None]:
        references = [Reference.parse(representation) for representation in representations]
        unique = Counter(references)
        # Equal references share a reply, which the response then contains that often.
        info.context.repeats *= max(unique.values(), default=1)
        results = await asyncio.gather(
            *(_resolve(info, reference) for reference in unique), return_exceptions=True
        )
        resolved = dict(zip(unique, results, strict=True))
        # graphql-core reports an exception in a list as an error at that index, with null.
        return [resolved[reference] for reference in references]  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class Reference:
    """A key by which another subgraph refers to an object."""

    typename: str
    field: str
    value: str

    @classmethod
    def parse(cls, representation: object) -> "Reference | BadUserInput":
        """Make a reference from an `_Any` of the federation specification.

        Returns:
            The reference, or the error to report in its place. Fields that belong to no key are
            ignored, because routers may send them.
        """
        if not isinstance(representation, dict):
            return BadUserInput("A representation must be an object.", field="representations")
        typename = representation.get("__typename")
        if not isinstance(typename, str) or typename not in KEYS:
            return BadUserInput(
                "A representation needs a `__typename` of this subgraph.", field="representations"
            )
        for field in KEYS[typename]:
            value = representation.get(field)
            if isinstance(value, str) and value:
                return cls(typename, field, value)
        return BadUserInput(
            f"A representation of {typename} needs one of its keys as a string.",
            field="representations",
        )


async def _resolve(info: Info, reference: Reference | BadUserInput) -> User | Group:
    if isinstance(reference, BadUserInput):
        raise reference
    # A client that selects no more learns nothing that it did not send: not even whether there is
    # such an object.
    key_is_enough = not _selects_beyond_reference(info, reference)
    if not key_is_enough:
        info.context.demand(ACTIONS[reference.typename])
    match reference:
        case Reference("User", "username", username):
            check_name(username, "username")
            user = (
                User.from_username(username)
                if key_is_enough
                else await find_user_by_key(info, username)
            )
        case Reference("User", "sub", sub):
            user = (
                User.from_sub(sub)
                if key_is_enough
                else await find_user_by(info.context, "sub", sub, field="representations")
            )
        case Reference(value=name):
            check_name(name, "name")
            group = Group.from_name(name) if key_is_enough else await find_group(info.context, name)
            if group is None:
                raise GroupNotFound
            return group
    if user is None:
        raise UserNotFound
    return user


def _selects_beyond_reference(info: Info, reference: Reference) -> bool:
    """Whether anything is selected of the object beyond the fields of the reference."""
    names = frozenset({"__typename", reference.field})
    if reference.field != "sub":  # Cognito takes usernames as keys, not `sub`
        names |= key_fields(info, reference.typename)
    return selects_beyond(info, reference.typename, names)


async def find_user_by_key(info: Info, username: str) -> User | None:
    """Fetch the user whose username is `username`, not one with this alias or `sub`."""
    user = await find_user(info.context, username)
    return user if user and user.key.casefold() == username.casefold() else None


FEATURE = Feature(query=ReferenceQuery)
