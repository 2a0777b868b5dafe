"""Users from a running server to a file.

The list of users may change while it is read: a user who is changed can come again in a later page.
So each username is written once; a digest of 16 bytes is kept of it, some 100 bytes of memory with
what Python adds. The file gets its name when it is complete. Until then it is `NAME.part`, and
`NAME.part.state` says how far it is good, so that another run can go on from there.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from graphql_admin.cli.users.files import CsvReader, InvalidRow, JsonReader, Writer, read
from graphql_admin.cli.users.pool import RIGHTS, AttributeRights
from graphql_admin.cli.users.private_files import give_name, lock, open_private, replace, sync
from graphql_admin.cli.users.records import CREATED_AT, STATUS, UPDATED_AT, Format, Record
from graphql_admin.cli.users.server import Rejected, Server, Unusable

PAGE = 60
"""Users of a page: as many as there can be."""

MAX_RESTARTS = 3
"""How often the list is read from its start because its cursor is no longer valid, and no user was
found that is not in the file."""

_USER = "username enabled userStatus createdAt updatedAt attributes { name value }"

_GROUPS = "groups(first: 60) { nodes { name } pageInfo { hasNextPage endCursor } }"

_PAGE_INFO = "pageInfo { hasNextPage endCursor }"

_MORE_GROUPS = """query ($username: String!, $after: String) {
  user(by: { username: $username }) {
    groups(first: 60, after: $after) { nodes { name } pageInfo { hasNextPage endCursor } }
  }
}"""

_SMALLER = {"QUERY_TOO_EXPENSIVE", "RESPONSE_TOO_LARGE", "TOO_MANY_ERRORS"}
"""Codes of errors that smaller pages do not have."""


@dataclass(frozen=True)
class Export:
    """What is exported.

    Attributes:
        url: The server's address.
        format: Of the file.
        columns: Of a CSV file.
        plain: Whether cells are values as they are.
        groups: Whether groups are exported.
        read: The attributes that the caller sees as a whole; see `AttributeRights`.
        masked: Those that they see in part, which are not exported.
    """

    url: str
    format: str
    columns: Sequence[str]
    plain: bool
    groups: bool
    read: Sequence[str]
    masked: Sequence[str]

    def has(self, attribute: str) -> bool:
        """Tell whether an attribute is exported, if a user has it."""
        return AttributeRights(frozenset(self.read), frozenset(self.masked)).shows(attribute)

    def demand_same(self, viewer: Any) -> None:
        """Check that the caller sees now what they saw at the start.

        Raises:
            Unusable: They see more or less by now.
        """
        rights = AttributeRights.from_viewer(viewer)
        if (rights.read, rights.masked) != (frozenset(self.read), frozenset(self.masked)):
            raise Unusable("The token does not show the same attributes as at the start.")


@dataclass
class _State:
    """How far an export is."""

    export: Mapping[str, Any]
    after: str | None = None
    size: int = 0
    """Bytes of the file that are good."""


@dataclass
class Result:
    """What an export has done.

    Attributes:
        users: The users in the file.
        left_out: Names of attributes that users have, and the file has no column for.
    """

    users: int = 0
    left_out: set[str] = field(default_factory=set)


class Target:
    """Where an export goes: a file that is complete, or is not there.

    Args:
        path: The file.
        export: What is exported, which a file that is continued must agree with.

    Raises:
        Unusable: The file exists, or another export is unfinished there.
    """

    def __init__(self, path: Path, export: Export) -> None:
        self._path = path
        self._part = path.with_name(f"{path.name}.part")
        self._state_path = path.with_name(f"{path.name}.part.state")
        self._export = export
        if path.exists():
            raise Unusable(f"{path} exists. Remove it, or name another file.")
        self._file = open_private(self._part, os.O_RDWR)
        try:
            lock(self._file, self._part)
            self.state = self._load()
            self._file.truncate(self.state.size)
        except BaseException:
            self._file.close()
            raise

    @property
    def is_continued(self) -> bool:
        """Whether there is something in the file."""
        return self.state.size > 0

    def usernames(self) -> set[bytes]:
        """Return digests of the usernames in the file.

        Raises:
            Unusable: The file is not what this program wrote.
        """
        if not self.is_continued:
            return set()
        self._file.seek(0)
        try:
            format_ = Format(self._export.format)
            rows = read(self._file, format_, plain=self._export.plain)
            return {digest_of(username) for username in _usernames(rows)}
        except InvalidRow as problem:
            raise Unusable(f"{self._part} was changed: {problem}. Remove it.") from None
        finally:
            self._file.seek(0, os.SEEK_END)

    def append(self, rows: bytes, after: str | None) -> None:
        """Add rows, and record that the list goes on after a cursor."""
        self._file.write(rows)
        sync(self._file)
        self.state.after = after
        self.state.size += len(rows)
        replace(self._state_path, json.dumps(asdict(self.state)).encode())

    def complete(self) -> None:
        """Give the file its name.

        Raises:
            Unusable: There is another by now.
        """
        give_name(self._part, self._path)
        self._state_path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file, complete or not."""
        self._file.close()

    def _load(self) -> _State:
        fresh = _State(asdict(self._export))
        size = os.fstat(self._file.fileno()).st_size
        if size == 0:
            return fresh
        try:
            told = json.loads(self._state_path.read_bytes())
            state = _State(told["export"], told["after"], int(told["size"]))
        except FileNotFoundError:
            return fresh
        except (OSError, ValueError, KeyError, TypeError):
            raise Unusable(f"{self._state_path} cannot be read. Remove it.") from None
        if state.export != fresh.export or size < state.size:
            raise Unusable(
                f"{self._part} is of an export with other options. Give those, or remove it and "
                f"{self._state_path}."
            )
        return state


class Stream:
    """Where an export goes that is standard output."""

    is_continued = False

    def __init__(self) -> None:
        self.state = _State({})

    def usernames(self) -> set[bytes]:
        """Return that nothing is written yet."""
        return set()

    def append(self, rows: bytes, after: str | None) -> None:
        """Write rows."""
        self.state.after = after
        sys.stdout.buffer.write(rows)
        sys.stdout.buffer.flush()

    def complete(self) -> None:
        """Do nothing: it is written."""

    def close(self) -> None:
        """Do nothing: it is not this program's."""


def export_users(
    server: Server, export: Export, target: Target | Stream, show: Callable[[int], None]
) -> Result:
    """Export the users, or the rest of them.

    Args:
        server: The server.
        export: What is exported.
        target: Where to.
        show: Shows how many users are in the file.

    Raises:
        Unusable: It cannot go on.
    """
    try:
        return _export(server, export, target, show)
    except (KeyError, TypeError, AttributeError):
        raise Unusable("The server's reply does not have what was asked for.") from None


def _export(
    server: Server, export: Export, target: Target | Stream, show: Callable[[int], None]
) -> Result:
    format_ = Format(export.format)
    writer = Writer(format_, export.columns, plain=export.plain)
    seen = target.usernames()
    if not target.is_continued:
        target.append(writer.header(), None)
    result = Result(len(seen))
    columns = set(export.columns)
    for users, after in _pages(server, export, target, lambda: len(seen)):
        rows = []
        for user in users:
            record = _record_of(server, user, export)
            digest = digest_of(record.username)
            if digest not in seen:
                seen.add(digest)
                rows.append(writer.row(record))
                if format_ is Format.CSV:
                    result.left_out |= record.attributes.keys() - columns
        target.append(b"".join(rows), after)
        result.users = len(seen)
        show(result.users)
    target.complete()
    return result


def _pages(
    server: Server, export: Export, target: Target | Stream, count: Callable[[], int]
) -> Any:
    """Yield the users of each page, and the cursor after it."""
    selection = f"{_USER} {_GROUPS}" if export.groups else _USER
    query = f"""query ($first: Int!, $after: String) {{
      viewer {{ {RIGHTS} }}
      users(first: $first, after: $after) {{ nodes {{ {selection} }} {_PAGE_INFO} }}
    }}"""
    first, after = PAGE, target.state.after
    restarts, known = 0, count()
    while True:
        try:
            answer = server.read(query, {"first": first, "after": after})
        except Rejected as error:
            if error.code in _SMALLER and first > 1:
                first //= 2
                continue
            if error.code == "INVALID_CURSOR" and after is not None:
                # Cognito forgets its page tokens after a while.
                restarts = restarts + 1 if count() == known else 1
                known = count()
                if restarts <= MAX_RESTARTS:
                    after = None
                    continue
            raise Unusable(f"The server does not list users: {error}") from None
        page = (answer.data or {}).get("users")
        if not isinstance(page, dict) or any(not _is_gone(error) for error in answer.errors):
            raise Unusable("The server lists users with errors.")
        export.demand_same((answer.data or {}).get("viewer"))
        info = page["pageInfo"]
        following = info["endCursor"] if info["hasNextPage"] else None
        if following is not None and following == after:
            raise Unusable("The server's list of users does not end.")
        after = following
        yield page["nodes"], after
        if after is None:
            return


def _is_gone(error: Mapping[str, Any]) -> bool:
    """Tell whether an error says that a user of the list does not exist any more."""
    extensions = error.get("extensions")
    return isinstance(extensions, dict) and extensions.get("code") == "USER_NOT_FOUND"


def _record_of(server: Server, user: Mapping[str, Any], export: Export) -> Record:
    told = {STATUS: "userStatus", CREATED_AT: "createdAt", UPDATED_AT: "updatedAt"}
    return Record(
        username=user["username"],
        attributes={
            each["name"]: each["value"] for each in user["attributes"] if export.has(each["name"])
        },
        enabled=user["enabled"],
        groups=_groups_of(server, user) if export.groups else None,
        others={name: user[key] for name, key in told.items() if user[key] is not None},
    )


def _groups_of(server: Server, user: Mapping[str, Any]) -> tuple[str, ...]:
    names: list[str] = []
    page = user["groups"]
    while page is not None:  # null: the user was deleted after they were listed
        names += [group["name"] for group in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        variables = {"username": user["username"], "after": page["pageInfo"]["endCursor"]}
        try:
            answer = server.read(_MORE_GROUPS, variables)
        except Rejected as error:
            raise Unusable(f"The server does not list all groups of a user: {error}") from None
        found = (answer.data or {}).get("user")
        page = found["groups"] if found else None
    return tuple(names)


def _usernames(rows: CsvReader | JsonReader) -> Any:
    for row in rows:
        if isinstance(row, InvalidRow):
            raise row
        yield row.username


def digest_of(username: str) -> bytes:
    """Return what is kept of a username: two are the same only by a chance of one in 2¹²⁸."""
    return blake2b(username.encode(), digest_size=16).digest()
