"""Fetches objects by global id (`node`, `nodes`), and by key for other subgraphs (`_entities`)."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, TypeVar

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

MAX_IDS = 60
"""Ids of one `nodes`."""

Asked = TypeVar("Asked", bound=Hashable)

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
        return await _find_node(info, id)

    @guarded(
        RequiresByType(ACTIONS, has_key=False),
        name="nodes",
        description="The objects with the global ids `ids`, in the same order; null for one that "
        f"does not exist. At most {MAX_IDS}; equal ones are fetched once. One that is denied or "
        "malformed is an error in its place, and does not affect the others.",
    )
    async def nodes(
        self,
        info: Info,
        ids: Annotated[
            list[strawberry.ID], strawberry.argument(description="Global ids, as of `node`.")
        ],
    ) -> list[Node | None] | None:
        if len(ids) > MAX_IDS:
            raise BadUserInput(f"At most {MAX_IDS} ids can be given.", field="ids")
        return await _each(info, ids, partial(_find_node, info, field="ids"))  # type: ignore[return-value]

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
        return await _each(info, references, partial(_resolve, info))  # type: ignore[return-value]


async def _each(
    info: Info, given: Sequence[Asked], find: Callable[[Asked], Awaitable[Node | None]]
) -> list[Node | BaseException | None]:
    """Return the object of each of some ids or references, or the error in its place.

    graphql-core reports an exception in a list as an error at that index, with null.
    """
    unique = Counter(given)
    # Equal ones share a reply, which the response then contains that often.
    info.context.repeats *= max(unique.values(), default=1)
    results = await asyncio.gather(*map(find, unique), return_exceptions=True)
    found = dict(zip(unique, results, strict=True))
    return [found[each] for each in given]


async def _find_node(info: Info, id_: str, *, field: str = "id") -> User | Group | None:
    typename, key = parse_global_id(id_, field)
    if typename not in ACTIONS:
        raise BadUserInput("This is not an id of this server.", field=field)
    info.context.demand(ACTIONS[typename])
    check_name(key, field)
    if typename == "Group":
        return await find_group(info.context, key)
    return await find_user_by_key(info, key)


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
                return cls._of_id(typename, value) if field == "id" else cls(typename, field, value)
        return BadUserInput(
            f"A representation of {typename} needs one of its keys as a string.",
            field="representations",
        )

    @classmethod
    def _of_id(cls, typename: str, id_: str) -> "Reference | BadUserInput":
        """Make a reference from a global id, which has the object's first key in it."""
        try:
            named, key = parse_global_id(id_, "representations")
        except BadUserInput as error:
            return error
        if named != typename or not key:
            return BadUserInput(
                f"This is not an id of a {typename} of this server.", field="representations"
            )
        return cls(typename, KEYS[typename][0], key)


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
