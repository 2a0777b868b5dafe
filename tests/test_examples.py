"""The examples in JavaScript: generated, type-checked and run against an embedded Cognito."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from graphql_admin.dev.cognito import REGION, EmbeddedCognito
from tests.support.patience import PATIENCE
from tests.support.started import started

EXAMPLES = Path(__file__).parent.parent / "examples"
WITH_GENERATED_CODE = frozenset({"codegen", "gql-tada", "relay"})
NAMES = ("apollo-client", "urql", *sorted(WITH_GENERATED_CODE))
USERS = 260
"""More than four pages of the largest size."""

INSTALLED = bool(shutil.which("npm")) and all(
    (EXAMPLES / name / "node_modules").exists() for name in NAMES
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not INSTALLED and os.environ.get("CI") != "true",
        reason="the examples are not installed: that takes Node, and `npm ci` in each of them",
    ),
]


@dataclass(frozen=True)
class Server:
    """The server, with a client of its Cognito that does not go through it."""

    cognito: EmbeddedCognito
    url: str
    aws: Any

    def users(self) -> list[dict[str, Any]]:
        """Return all users of the pool."""
        pages = self.aws.get_paginator("list_users").paginate(UserPoolId=self.cognito.pool_id)
        return [user for page in pages for user in page["Users"]]

    def is_enabled(self, username: str) -> bool:
        """Return whether a user is enabled."""
        reply = self.aws.admin_get_user(UserPoolId=self.cognito.pool_id, Username=username)
        return bool(reply["Enabled"])


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The server as `graphql-admin dev` starts it."""
    with EmbeddedCognito() as cognito:
        cognito.seed(USERS)
        environment = {**cognito.environment, "GRAPHQL_ADMIN_PORT": "0"}
        with started("serve", **environment) as program:
            url = program.wait_for(r"Listening on (\S+)\n")[1]
            aws = boto3.client(
                "cognito-idp",
                region_name=REGION,
                endpoint_url=cognito.endpoint_url,
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=Config(proxies={}),
            )
            yield Server(cognito, f"{url}/graphql", aws)
            aws.close()


def npm(
    example: str, *arguments: str, fails: bool = False, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a script of an example to its end."""
    ended = subprocess.run(
        ["npm", "run", "--silent", *arguments],
        cwd=EXAMPLES / example,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (ended.returncode != 0) is fails, ended.stdout + ended.stderr
    return ended


def run(example: str, server: Server, *arguments: str, fails: bool = False) -> list[str]:
    """Run an example as an administrator, and return the lines that it prints."""
    admin, _, ordinary = server.cognito.people
    ended = npm(
        example,
        "start",
        "--",
        *arguments,
        fails=fails,
        GRAPHQL_ADMIN_URL=server.url,
        GRAPHQL_ADMIN_TOKEN=admin.token,
        OTHER_TOKEN=ordinary.token,
    )
    return ended.stdout.splitlines()


@pytest.fixture(scope="module", autouse=True)
def _generated() -> None:
    """Let the tools of the examples write what they generate from the plain schema."""
    for example in sorted(WITH_GENERATED_CODE):
        npm(example, "generate")


@pytest.mark.parametrize("example", NAMES)
def test_types(example: str) -> None:
    """An example is what TypeScript takes, with the schema's own types."""
    npm(example, "check")


@pytest.mark.parametrize(("example", "username"), [("apollo-client", "richard"), ("urql", "sam")])
def test_list_change_and_refusal(server: Server, example: str, username: str) -> None:
    """It reads every user, disables one, and tells a list that is refused from an empty one."""
    users = server.users()
    assert len(users) == USERS
    assert server.is_enabled(username)
    assert run(example, server, username) == [
        f"users: {USERS}",
        f"disabled: {username}",
        "refused: FORBIDDEN",
    ]
    changed = {user["Username"] for user in server.users() if not user["Enabled"]} ^ {
        user["Username"] for user in users if not user["Enabled"]
    }
    assert changed == {username}


@pytest.mark.parametrize("example", ["apollo-client", "urql"])
def test_change_that_is_not_made(server: Server, example: str) -> None:
    """An example whose change is an error of the payload ends with an error of its own."""
    run(example, server, "ada", fails=True)  # callers cannot disable themselves
    assert server.is_enabled("ada")


def test_relay(server: Server) -> None:
    """A component loads page after page, and again with a filter; a refusal is told apart."""
    disabled = sum(not user["Enabled"] for user in server.users())
    assert 0 < disabled < USERS
    assert run("relay", server) == [
        f"users: {USERS}",
        f"disabled users: {disabled}",
        "refused: You may not list users.",
    ]


def test_codegen(server: Server) -> None:
    """Documents with generated types find the user."""
    reply = server.aws.admin_get_user(UserPoolId=server.cognito.pool_id, Username="otto")
    year = reply["UserCreateDate"].year
    assert run("codegen", server, "otto") == [f"found: otto confirmed {year}"]
    run("codegen", server, "nobody.at.all", fails=True)


def test_gql_tada(server: Server) -> None:
    """Documents that TypeScript types find the user's groups."""
    assert run("gql-tada", server, "ada") == ["groups: ada confirmed Admins Editors"]
    run("gql-tada", server, "nobody.at.all", fails=True)


def test_schema_from_the_server(server: Server, tmp_path: Path) -> None:
    """gql.tada reads the schema from the server, after it has asked what that supports."""
    written = tmp_path / "schema.graphql"
    admin = server.cognito.people[0]
    subprocess.run(
        [
            EXAMPLES / "gql-tada" / "node_modules" / ".bin" / "gql.tada",
            "generate-schema",
            server.url,
            "--header",
            f"Authorization: Bearer {admin.token}",
            "--output",
            written,
        ],
        cwd=EXAMPLES / "gql-tada",
        check=True,
        capture_output=True,
        timeout=PATIENCE,
    )
    assert "type UserConnection {" in written.read_text(encoding="utf-8")
