"""The journal of an import: what became of each row, so that another run can go on from there.

It is a file of JSON Lines beside the imported one, to which every request adds two lines: before it
is sent, which rows it has; after its reply, what became of them. Each line is on the disk before
the program goes on. So after a crash the only rows of which it is not known whether they were
carried out are those with a first line and no second one. It has the numbers of rows and codes of
errors, and nothing of users.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any

from graphql_admin.cli.users.private_files import lock, open_private, sync
from graphql_admin.cli.users.server import Unusable


class State(IntEnum):
    """What has become of a row."""

    NEW = 0
    """Nothing yet."""
    SENT = 1
    """The user may have been created: a request was sent, and it is not known what became of it."""
    CREATED = 2
    """The user was created by this import. Groups or disabling may be left to do."""
    DONE = 3
    FAILED = 4
    EXISTS = 5
    """There was such a user before, and the row was skipped."""

    @property
    def is_final(self) -> bool:
        """Whether nothing is left to do."""
        return self >= State.DONE


class Journal:
    """The journal, which one process at a time may write.

    Args:
        path: The file.
        identity: Of the import: the digest of its file, the server and the options. A journal of
            another is not continued.
        rows: How many rows there are.

    Attributes:
        rows: How many rows there are.
        is_continued: Whether there was an earlier run.
        errors: Why rows failed, and whether their users were created, by their numbers.

    Raises:
        Unusable: It is of another import, or another process writes it.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any], rows: int) -> None:
        self._path = path
        self.rows = rows
        self._states = bytearray(rows)
        self._sent_at: dict[int, float] = {}
        self.errors: dict[int, tuple[str, bool]] = {}
        self._file = open_private(path, os.O_RDWR)
        try:
            lock(self._file, path)
            self.is_continued = self._load(dict(identity))
            if not self.is_continued:
                self._append({"import": dict(identity)})
        except BaseException:
            self._file.close()
            raise

    def state(self, row: int) -> State:
        """Return what has become of a row."""
        return State(self._states[row])

    def sent_at(self, row: int) -> float:
        """Return when a row was first sent whose outcome is not known, in seconds since 1970."""
        return self._sent_at[row]

    def count(self, *states: State) -> int:
        """Return how many rows are in one of these states."""
        return sum(self._states.count(state) for state in states)

    def send(self, rows: Sequence[int]) -> None:
        """Record that users are about to be created."""
        entry = {"sent": list(rows), "at": time.time()}
        self._append(entry)
        self._apply(entry)

    def record(self, outcomes: Mapping[int, tuple[State, str, bool]]) -> None:
        """Record what has become of rows.

        Args:
            outcomes: For each the state, the error if it failed, and whether the user was created.
        """
        if not outcomes:
            return
        entry = {"rows": [[row, *outcome] for row, outcome in outcomes.items()]}
        self._append(entry)
        self._apply(entry)

    def close(self, *, remove: bool) -> None:
        """Close the file.

        Args:
            remove: Whether it is no longer needed.
        """
        if remove:
            self._path.unlink(missing_ok=True)
        self._file.close()

    def _load(self, identity: dict[str, Any]) -> bool:
        """Read the file; return whether there was an earlier run."""
        self._file.seek(0)
        head = self._file.readline()
        if not head.endswith(b"\n"):  # none, or cut off before anything was sent
            self._file.seek(0)
            self._file.truncate()
            return False
        try:
            if json.loads(head)["import"] != identity:
                raise Unusable(
                    f"{self._path} is of an import of another file, to another server or with "
                    "other options. Finish that one, or remove the journal."
                )
            size = len(head)
            for line in self._file:
                if not line.endswith(b"\n"):  # cut off as it was written, before anything was sent
                    break
                self._apply(json.loads(line))
                size += len(line)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            raise Unusable(f"{self._path} cannot be read. It is not a journal.") from None
        self._file.seek(size)
        self._file.truncate()
        return True

    def _append(self, entry: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(entry).encode() + b"\n")
        sync(self._file)

    def _apply(self, entry: Mapping[str, Any]) -> None:
        for row in entry.get("sent", ()):
            if self._states[row] == State.NEW:
                self._states[row] = State.SENT
                self._sent_at[row] = entry["at"]
        for row, state, error, created in entry.get("rows", ()):
            self._states[row] = State(state)
            if state == State.FAILED:
                self.errors[row] = (error, created)
            if state != State.SENT:
                self._sent_at.pop(row, None)
