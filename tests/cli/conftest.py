"""What the tests of the command line ask for: a server on a port, in front of a pool."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from starlette.applications import Starlette

from tests.support.directory import Directory
from tests.support.started import listening
from tests.support.started import run as run_to_end
from tests.support.tokens import Pool


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


@pytest.fixture
def serve_users(
    make_app: Callable[..., Starlette],
    signing_key: Pool,
    moto_url: str,
    directory: Directory,
    tmp_path: Path,
) -> Iterator[Callable[..., Users]]:
    """Start a server: `serve_users(*groups, **settings)`, with a token of a user in the groups."""
    with ExitStack() as stack:

        def start(*groups: str, **settings: Any) -> Users:
            app = make_app(moto_url, directory.pool_id, **settings)
            url = stack.enter_context(listening(app))
            sub = directory.enroll("root", *groups)
            issuer = f"https://cognito-idp.eu-west-1.amazonaws.com/{directory.pool_id}"
            token = signing_key.access_token("root", list(groups), iss=issuer, sub=sub)
            folder = tmp_path / "files"
            folder.mkdir(exist_ok=True)
            return Users(url, token, directory, folder)

        yield start


@pytest.fixture
def users(serve_users: Callable[..., Users]) -> Users:
    """The command with the token of an administrator, on a pool of moto."""
    return serve_users("Admins")
