"""The examples in Python are run as their readers run them, and type-checked."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from graphql_admin.dev.cognito import PASSWORD
from tests.support.pages import ROOT
from tests.support.patience import PATIENCE
from tests.support.site import Site, site

pytestmark = pytest.mark.slow

EXAMPLES = ROOT / "examples"


class Example:
    """A copy of an example, with what its `requirements.txt` names installed for it alone.

    Args:
        name: Of its folder.
        folder: Where the copy goes.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.folder = folder / name
        self._bin = folder / "venv" / "bin"
        shutil.copytree(EXAMPLES / name, self.folder)
        shutil.copy(EXAMPLES / "schema.plain.graphql", folder)
        _succeed([sys.executable, "-m", "venv", str(self._bin.parent)])
        pip = [str(self._bin / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        installed = subprocess.run(
            [*pip, "--requirement", "requirements.txt"],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=5 * PATIENCE,
            check=False,
        )
        if installed.returncode != 0:
            if os.environ.get("CI"):
                pytest.fail(f"CI must run the examples, and pip said:\n{installed.stderr}")
            pytest.skip(f"what {name} needs cannot be installed")

    def run(self, *command: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of its environment, such as `python`."""
        return subprocess.run(
            [self._bin / command[0], *command[1:]],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], **variables},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def check_types(self, *files: str) -> None:
        """Fail where mypy, with all that it can be strict about, finds anything in these files."""
        _succeed(
            [
                *[sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent"],
                *["--cache-dir", os.devnull, "--python-executable", str(self._bin / "python")],
                *files,
            ],
            cwd=self.folder,
        )


def _succeed(command: Sequence[str], **options: Any) -> None:
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, check=False, **options
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def server() -> Iterator[Site]:
    with site() as server:
        yield server


@pytest.fixture(scope="module")
def with_gql(tmp_path_factory: pytest.TempPathFactory) -> Example:
    return Example("python-gql", tmp_path_factory.mktemp("gql"))


@pytest.fixture(scope="module")
def with_ariadne(tmp_path_factory: pytest.TempPathFactory) -> Example:
    """The example, with the client that ariadne-codegen made from the schema."""
    example = Example("python-ariadne-codegen", tmp_path_factory.mktemp("ariadne"))
    made = example.run("ariadne-codegen")
    assert made.returncode == 0, made.stderr
    return example


Admin = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def gql_admin(with_gql: Example, server: Site) -> Admin:
    return _admin(with_gql, server)


@pytest.fixture
def ariadne_admin(with_ariadne: Example, server: Site) -> Admin:
    return _admin(with_ariadne, server)


def _admin(example: Example, server: Site) -> Admin:
    """Run the example's `admin.py` as a user: `admin("list", "a", username="ada")`."""

    def admin(*arguments: str, username: str = "ada") -> "subprocess.CompletedProcess[str]":
        return example.run(
            "python",
            "admin.py",
            *arguments,
            GRAPHQL_URL=f"{server.origin}/graphql",
            TOKEN=server.cognito.token(username),
        )

    return admin


def test_gql_types(with_gql: Example) -> None:
    with_gql.check_types("admin.py", "sign_in.py")


def test_ariadne_types(with_ariadne: Example) -> None:
    with_ariadne.check_types("admin.py")


def emails(server: Site, prefix: str) -> dict[str, str]:
    """Return the e-mail addresses that start like this, by username, as boto3 reads them."""
    pages = server.people.cognito.get_paginator("list_users").paginate(
        UserPoolId=server.people.pool_id
    )
    found = {
        user["Username"]: attribute["Value"]
        for page in pages
        for user in page["Users"]
        for attribute in user["Attributes"]
        if attribute["Name"] == "email"
    }
    return {name: email for name, email in found.items() if email.startswith(prefix)}


def test_gql_lists_all_pages(gql_admin: Admin, server: Site) -> None:
    """Every user is printed once, of more than two pages; and of a prefix those alone."""
    for prefix in ("", "am"):
        listed = gql_admin("list", prefix)
        assert listed.returncode == 0, listed.stderr
        lines = [line.split(" ") for line in listed.stdout.splitlines()]
        found = {name: email for name, email in lines if email != "None"}
        assert found == emails(server, prefix)
        assert len(lines) == (160 if prefix == "" else len(found))
        assert len(found) > (120 if prefix == "" else 1)


def test_ariadne_lists_all_pages(ariadne_admin: Admin, server: Site) -> None:
    """As with gql; and dates are `datetime`s."""
    for prefix in ("", "am"):
        listed = ariadne_admin("list", prefix)
        assert listed.returncode == 0, listed.stderr
        lines = dict(line.split(" ") for line in listed.stdout.splitlines())
        assert len(lines) == (160 if prefix == "" else len(emails(server, prefix)))
        assert lines.keys() >= emails(server, prefix).keys()
        for name in list(lines)[:3]:
            created = server.people.user(name)["UserCreateDate"].astimezone(UTC)
            assert lines[name] == f"{created:%Y-%m-%d}"


def test_gql_adds(gql_admin: Admin, server: Site) -> None:
    assert gql_admin("add", "richard", "Editors").returncode == 0
    assert "Editors" in server.people.groups_of("richard")


def test_ariadne_disables(ariadne_admin: Admin, server: Site) -> None:
    assert server.people.user("richard")["Enabled"]
    assert ariadne_admin("disable", "richard").returncode == 0
    assert not server.people.user("richard")["Enabled"]


def test_gql_says_what_is_wrong(gql_admin: Admin, server: Site) -> None:
    """The expected outcomes, the errors at the top level, and the wrong use."""
    for arguments, username, said in (
        (("add", "no-such-user", "Editors"), "ada", "USER_NOT_FOUND There is no such user.\n"),
        (("add", "otto", "Admins"), "sam", "OUT_OF_SCOPE"),
        (("add", "otto", "Editors"), "otto", "FORBIDDEN"),
        (("list", "a"), "otto", "FORBIDDEN"),
        (("destroy",), "ada", "python admin.py list a"),
    ):
        ended = gql_admin(*arguments, username=username)
        assert ended.returncode == 1
        assert said in ended.stderr
        assert "Traceback" not in ended.stderr
    assert server.people.groups_of("otto") == set()


def test_ariadne_says_what_is_wrong(ariadne_admin: Admin) -> None:
    for arguments, username, said in (
        (("disable", "no-such-user"), "ada", "USER_NOT_FOUND There is no such user.\n"),
        (("disable", "ada"), "sam", "OUT_OF_SCOPE"),
        (("list", "a"), "otto", "FORBIDDEN"),
        (("destroy",), "ada", "python admin.py list a"),
    ):
        ended = ariadne_admin(*arguments, username=username)
        assert ended.returncode == 1
        assert said in ended.stderr
        assert "Traceback" not in ended.stderr


def test_sign_in(with_gql: Example, server: Site) -> None:
    """A script with AWS credentials signs a user in, whose token the server takes."""
    variables = {
        "USER_POOL_ID": server.cognito.pool_id,
        "CLIENT_ID": server.cognito.client_id,
        "PASSWORD": PASSWORD,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER": server.cognito.endpoint_url,
    }
    signed_in = with_gql.run("python", "sign_in.py", "ada", **variables)
    assert signed_in.returncode == 0, signed_in.stderr
    listed = with_gql.run(
        "python",
        "admin.py",
        *("list", "ada@"),
        GRAPHQL_URL=f"{server.origin}/graphql",
        TOKEN=signed_in.stdout.strip(),
    )
    assert listed.stdout == "ada ada@example.com\n"

    new = server.people.add_user("newcomer", email="newcomer@example.com")
    assert new
    server.people.cognito.admin_set_user_password(
        UserPoolId=server.people.pool_id, Username="newcomer", Password=PASSWORD, Permanent=False
    )
    asked = with_gql.run("python", "sign_in.py", "newcomer", **variables)
    assert asked.returncode == 1
    assert "NEW_PASSWORD_REQUIRED" in asked.stderr
