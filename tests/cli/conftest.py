"""What the tests of the command line ask for: a server on a port, in front of a pool."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from tests.support.directory import Directory
from tests.support.started import listening
from tests.support.tokens import Pool
from tests.support.users_command import Users


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
