"""What a command has to know of the server and its pool before it starts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql_admin.cli.users.server import Rejected, Server, Unusable

_VIEWER = "{ viewer { actions } }"

_POOL = (
    "{ userPool { attributes { name } usernameAttributes usernameCaseSensitive estimatedUsers } }"
)


@dataclass(frozen=True)
class Pool:
    """The pool, as far as the caller may know it.

    Attributes:
        actions: Names of the actions that the caller may take.
        attributes: Names of the attributes that users can have; None if the caller may not know.
        username_attributes: The attributes that the pool has as usernames.
        is_case_sensitive: Whether two usernames may differ in the case of their letters alone.
        estimate: About how many users there are; None if that is not known.
    """

    actions: frozenset[str]
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
    except Rejected as error:
        raise Unusable(f"The server does not say what the token allows: {error}") from None
    if "getUserPool" not in actions:
        return Pool(actions)
    try:
        found = _object((server.read(_POOL).data or {}).get("userPool"))
    except Rejected:
        return Pool(actions)
    names = [_object(each).get("name") for each in _list(found.get("attributes"))]
    estimate = found.get("estimatedUsers")
    return Pool(
        actions,
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


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
