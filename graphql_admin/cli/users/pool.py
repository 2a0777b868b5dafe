"""What a command has to know of the server and its pool before it starts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from graphql_admin.cli.users.server import Rejected, Server, Unusable
from graphql_admin.policy.sight import ALWAYS_SEEN, BROUGHT
from graphql_admin.telemetry.lines import printable

_ADDRESS_OF = {verified: address for address, verified in BROUGHT.items()}

MAX_NAMES = 70
"""Names of attributes that a message has: as many as a pool can have."""

RIGHTS = "attributes { read masked write }"
"""Of the caller: what is selected to know which attributes they see and may set."""

_VIEWER = f"{{ viewer {{ actions {RIGHTS} }} }}"

_POOL = (
    "{ userPool { attributes { name } usernameAttributes usernameCaseSensitive estimatedUsers } }"
)


@dataclass(frozen=True)
class AttributeRights:
    """Which attributes a caller sees, and may set. `*` is every one that is not named.

    Attributes:
        read: Those seen as a whole.
        masked: Those seen in part.
        write: Those that may be set.
    """

    read: frozenset[str] = frozenset()
    masked: frozenset[str] = frozenset()
    write: frozenset[str] = frozenset()

    @classmethod
    def from_viewer(cls, viewer: Any) -> Self:
        """Return what the server says of the caller; nothing, if it does not say it."""
        told = _object(_object(viewer).get("attributes"))
        names = (frozenset(map(str, _list(told.get(key)))) for key in ("read", "masked", "write"))
        return cls(*names)

    def shows(self, attribute: str) -> bool:
        """Tell whether an attribute is seen as a whole, and the address of one that verifies it."""
        address = _ADDRESS_OF.get(attribute)
        if address is not None and not self.shows(address):
            return False
        if attribute in self.read or attribute in ALWAYS_SEEN:
            return True
        return "*" in self.read and attribute not in self.masked

    def may_set(self, attribute: str) -> bool:
        """Tell whether an attribute may be set."""
        return attribute in self.write or "*" in self.write


@dataclass(frozen=True)
class Pool:
    """The pool, as far as the caller may know it.

    Attributes:
        actions: Names of the actions that the caller may take.
        rights: The attributes that the caller sees, and may set.
        attributes: Names of the attributes that users can have; None if the caller may not know.
        username_attributes: The attributes that the pool has as usernames.
        is_case_sensitive: Whether two usernames may differ in the case of their letters alone.
        estimate: About how many users there are; None if that is not known.
    """

    actions: frozenset[str]
    rights: AttributeRights
    attributes: tuple[str, ...] | None = None
    username_attributes: tuple[str, ...] = ()
    is_case_sensitive: bool = True
    estimate: int | None = None


def look_at(server: Server) -> Pool:
    """Ask what the caller may do, and for the pool.

    Raises:
        Unusable: The server does not say what the caller may do.
    """
    try:
        viewer = (server.read(_VIEWER).data or {}).get("viewer")
        actions = frozenset(map(str, _list(_object(viewer).get("actions"))))
        rights = AttributeRights.from_viewer(viewer)
    except Rejected as error:
        raise Unusable(f"The server does not say what the token allows: {error}") from None
    if "getUserPool" not in actions:
        return Pool(actions, rights)
    try:
        found = _object((server.read(_POOL).data or {}).get("userPool"))
    except Rejected:
        return Pool(actions, rights)
    names = [_object(each).get("name") for each in _list(found.get("attributes"))]
    estimate = found.get("estimatedUsers")
    return Pool(
        actions,
        rights,
        tuple(name for name in names if isinstance(name, str)) or None,
        tuple(map(str, _list(found.get("usernameAttributes")))),
        found.get("usernameCaseSensitive") is not False,
        estimate if isinstance(estimate, int) else None,
    )


def demand(pool: Pool, actions: Mapping[str, bool]) -> None:
    """Check that the caller may do what is needed.

    Args:
        pool: The pool.
        actions: Names of actions, and whether each is needed.

    Raises:
        Unusable: The caller may not.
    """
    missing = [name for name, needed in actions.items() if needed and name not in pool.actions]
    if missing:
        raise Unusable(f"The token does not allow: {', '.join(missing)}. Nothing was changed.")


def demand_writes(pool: Pool, attributes: Iterable[str]) -> None:
    """Check that the caller may set attributes.

    Args:
        pool: The pool.
        attributes: Their names.

    Raises:
        Unusable: The caller may not.
    """
    missing = sorted(name for name in attributes if not pool.rights.may_set(name))
    if missing:
        names = printable(", ".join(missing[:MAX_NAMES]))
        raise Unusable(f"The token does not allow to set: {names}. Nothing was changed.")


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
