"""`graphql-admin users` against a server, as a test runs it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from tests.support.directory import Directory
from tests.support.started import run as run_to_end


@dataclass(frozen=True)
class Users:
    """`graphql-admin users` against a server.

    Attributes:
        url: The server's.
        token: An administrator's.
        directory: The pool behind it.
        folder: Where files are.
    """

    url: str
    token: str
    directory: Directory
    folder: Path

    def run(self, *arguments: str | Path, **variables: str) -> CompletedProcess[str]:
        """Run the command with the administrator's token."""
        given = {
            "GRAPHQL_ADMIN_URL": self.url,
            "GRAPHQL_ADMIN_TOKEN": self.token,
            "NO_PROXY": "*",
            **variables,
        }
        ended = run_to_end("users", *map(str, arguments), **given)
        assert self.token not in ended.stdout + ended.stderr
        return ended

    def write(self, name: str, content: str) -> Path:
        """Write a file."""
        path = self.folder / name
        path.write_bytes(content.encode())
        return path

    def write_lines(self, name: str, rows: Sequence[dict[str, Any]]) -> Path:
        """Write a file of JSON Lines."""
        return self.write(name, "".join(json.dumps(row) + "\n" for row in rows))

    def files(self) -> set[str]:
        """Return the names of the files."""
        return {path.name for path in self.folder.iterdir()}

    def usernames(self) -> set[str]:
        """Return the names of the users in the pool but the administrator."""
        pages = self.directory.cognito.get_paginator("list_users").paginate(
            UserPoolId=self.directory.pool_id
        )
        return {str(user["Username"]) for page in pages for user in page["Users"]} - {"root"}
