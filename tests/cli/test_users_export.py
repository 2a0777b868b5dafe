"""`graphql-admin users export`: a file with each user once."""

import csv
import fcntl
import io
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphql_admin.cli.users.exporting import MAX_RESTARTS
from tests.support.scripted import Reply, ScriptedCognito, reply
from tests.support.started import invoke
from tests.support.users_command import Users


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def test_csv(users: Users) -> None:
    """A CSV file has all users with their attributes, groups and states, for its owner alone."""
    users.directory.add_group("Editors")
    ann = users.directory.add_user(
        "ann", "Editors", "Admins", email="ann@example.com", phone_number="+12025550111"
    )
    users.directory.add_user("bob", name='Bob "=" \n')
    users.directory.cognito.admin_disable_user(UserPoolId=users.directory.pool_id, Username="bob")
    file = users.folder / "users.csv"
    ended = users.run("export", file, "--groups")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert "3 users are in" in ended.stderr
    rows = {row["cognito:username"]: row for row in rows_of(file.read_bytes())}
    assert rows.keys() == {"root", "ann", "bob"}
    assert rows["ann"]["sub"] == ann
    assert rows["ann"]["email"] == "ann@example.com"
    assert rows["ann"]["phone_number"] == "'+12025550111"
    assert set(rows["ann"]["groups"].split()) == {"Admins", "Editors"}
    assert (rows["ann"]["enabled"], rows["bob"]["enabled"]) == ("true", "false")
    assert rows["bob"]["name"] == 'Bob "=" \n'
    assert rows["bob"]["status"] == "FORCE_CHANGE_PASSWORD"
    assert users.files() == {"users.csv"}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_json_lines_to_standard_output(users: Users) -> None:
    """`-` is standard output, and has nothing but the users."""
    users.directory.add_user("ann", email="ann@example.com")
    ended = users.run("export", "-", "--format", "jsonl")
    rows = {row["username"]: row for row in map(json.loads, ended.stdout.splitlines())}
    assert rows.keys() == {"root", "ann"}
    assert rows["ann"]["attributes"]["email"] == "ann@example.com"
    assert "groups" not in rows["ann"]
    assert users.files() == set()


def test_plain_csv_with_columns(users: Users) -> None:
    """Columns can be named, and cells left as they are."""
    users.directory.add_user("ann", phone_number="+12025550111", email="ann@example.com")
    ended = users.run(
        "export", "-", "--format", "csv", "--plain", "--columns", "phone_number,custom:x"
    )
    rows = rows_of(ended.stdout.encode())
    assert list(rows[0]) == [
        "cognito:username",
        "phone_number",
        "custom:x",
        "enabled",
        "status",
        "createdAt",
        "updatedAt",
    ]
    assert {row["phone_number"] for row in rows} == {"", "+12025550111"}


def test_imported_again(users: Users) -> None:
    """What was exported can be imported, and is then the same."""
    users.directory.add_group("Editors")
    for number in range(70):
        users.directory.add_user(
            f"user{number}", "Editors", email=f"user{number}@example.com", name=f"'=\t{number}"
        )
    file = users.folder / "users.csv"
    assert users.run("export", file, "--groups").returncode == 0
    before = {name: users.directory.attributes_of(name) for name in users.usernames()}
    for name in before:
        users.directory.cognito.admin_delete_user(UserPoolId=users.directory.pool_id, Username=name)
    ended = users.run("import", file, "--existing", "skip")
    assert ended.returncode == 0, ended.stderr
    assert "70 of 71 users were imported" in ended.stderr
    for name, attributes in before.items():
        assert users.directory.attributes_of(name) == {
            **attributes,
            "sub": users.directory.attributes_of(name)["sub"],
        }
        assert users.directory.groups_of(name) == {"Editors"}


def test_existing_file(users: Users) -> None:
    """A file that exists is not replaced."""
    file = users.write("users.csv", "precious")
    ended = users.run("export", file)
    assert ended.returncode == 1
    assert "exists" in ended.stderr
    assert file.read_text() == "precious"


@pytest.mark.parametrize("groups", [False, True])
def test_missing_rights(serve_users: Callable[..., Users], tmp_path: Any, groups: bool) -> None:
    """Without the right to list users, or their groups, nothing is written."""
    policy = tmp_path / "policy.toml"
    policy.write_text('[groups]\nStaff = ["listUsers"]\nOthers = ["*"]\n')
    users = serve_users("Staff", policy_file=policy)
    arguments = ["--groups"] if groups else []
    ended = users.run("export", users.folder / "a.jsonl", *arguments)
    assert ended.returncode == int(groups)
    assert ("listGroupsForUser" in ended.stderr) == groups
    assert users.files() == (set() if groups else {"a.jsonl"})
    ended = users.run("export", users.folder / "a.csv")
    assert ended.returncode == 2
    assert "--columns" in ended.stderr
    assert users.run("export", users.folder / "a.csv", "--columns", "email").returncode == 0


@pytest.mark.parametrize("format_", ["csv", "jsonl"])
@pytest.mark.parametrize("knows_pool", [True, False])
def test_attributes_that_are_not_seen_whole(
    serve_users: Callable[..., Users], tmp_path: Any, format_: str, knows_pool: bool
) -> None:
    """What is masked or hidden is left out, and that is said: it is not the user's value."""
    actions = ["listUsers", *(["getUserPool"] if knows_pool else [])]
    policy = tmp_path / "policy.toml"
    policy.write_text(
        f'[groups]\nOthers = ["*"]\nStaff = {json.dumps(actions)}\n'
        '[reads]\nStaff = ["name"]\n[masks]\nStaff = ["email", "given_name"]\n'
    )
    users = serve_users("Staff", policy_file=policy)
    users.directory.add_user(
        "ann", email="ann@example.com", name="Ann", given_name="Ann", phone_number="+12025550111"
    )
    file = users.folder / f"users.{format_}"
    if format_ == "csv" and not knows_pool:
        for column in ("email", "phone_number", "email_verified"):
            ended = users.run("export", file, "--columns", f"name,{column}")
            assert ended.returncode == 2
            assert f"does not show the whole of {column}" in ended.stderr
            assert users.files() == set()
        ended = users.run("export", file, "--columns", "name")
    else:
        ended = users.run("export", file)
    assert ended.returncode == 0, ended.stderr
    assert "does not show them whole: " in ended.stderr
    assert {"email", "given_name"} <= set(ended.stderr.replace(",", " ").replace(".", " ").split())
    text = file.read_text()
    assert "***" not in text
    assert "email" not in text
    assert "phone_number" not in text
    assert "Ann" in text


def test_rights_that_change(scripted: ScriptedCognito, tmp_path: Any) -> None:
    """An export does not go on with a token, or a policy, that shows something else."""
    masked = {"viewer": {"attributes": {"read": ["*"], "masked": ["email"], "write": []}}}
    later = json.loads(page("bob", after=None).body)
    later["data"] |= masked
    serve_pages(scripted, [page("ann", after="1"), reply(later)])
    ended = export(scripted, tmp_path)
    assert ended.returncode == 1
    assert "does not show the same attributes" in ended.stderr
    assert not (tmp_path / "users.jsonl").exists()
    serve_pages(scripted, [page("bob", after=None)])
    assert export(scripted, tmp_path).returncode == 0
    assert names_in(tmp_path / "users.jsonl") == ["ann", "bob"]


RIGHTS = {"attributes": {"read": ["*"], "masked": [], "write": ["*"]}}

# What follows is about a list whose pages fail: a scripted server in place of a real one.


def page(*usernames: str, after: str | None) -> Reply:
    nodes = [
        {
            "username": name,
            "enabled": True,
            "userStatus": "CONFIRMED",
            "createdAt": None,
            "updatedAt": None,
            "attributes": [{"name": "email", "value": f"{name}@example.com"}],
        }
        for name in usernames
    ]
    info = {"hasNextPage": after is not None, "endCursor": after}
    return reply({"data": {"viewer": RIGHTS, "users": {"nodes": nodes, "pageInfo": info}}})


def error(code: str, **extensions: Any) -> Reply:
    return reply({"errors": [{"message": "No.", "extensions": {"code": code, **extensions}}]})


def serve_pages(scripted: ScriptedCognito, pages: list[Reply]) -> list[Any]:
    """Answer requests for pages in turn; return the cursors that are asked for."""
    asked: list[Any] = []

    def answer(request: dict[str, Any]) -> Reply:
        if "actions" in request["query"]:
            return reply({"data": {"viewer": {"actions": ["listUsers"], **RIGHTS}}})
        asked.append(request["variables"]["after"])
        return pages.pop(0)

    scripted.on("POST", answer)
    return asked


def export(scripted: ScriptedCognito, tmp_path: Any, *arguments: str) -> Any:
    return invoke(
        "users",
        "export",
        str(tmp_path / "users.jsonl"),
        "--patience",
        "0",
        *arguments,
        GRAPHQL_ADMIN_URL=scripted.url,
        GRAPHQL_ADMIN_TOKEN="token",
        NO_PROXY="*",
    )


def names_in(path: Any) -> list[str]:
    return [json.loads(line)["username"] for line in path.read_text().splitlines()]


def test_resumed(scripted: ScriptedCognito, tmp_path: Any) -> None:
    """An export that stopped goes on from its last page, and writes no user twice."""
    folder = tmp_path / "files"
    folder.mkdir()
    serve_pages(scripted, [page("ann", "bob", after="1"), error("UPSTREAM_ERROR")])
    ended = export(scripted, folder)
    assert ended.returncode == 1
    assert "Run the same command again" in ended.stderr
    assert {path.name for path in folder.iterdir()} == {
        "users.jsonl.part",
        "users.jsonl.part.state",
    }
    with (folder / "users.jsonl.part").open("ab") as file:
        file.write(b'{"username": "half')  # as a process may leave it that is killed
    asked = serve_pages(scripted, [page("bob", "cid", after=None)])
    ended = export(scripted, folder)
    assert ended.returncode == 0, ended.stderr
    assert asked == ["1"]
    assert names_in(folder / "users.jsonl") == ["ann", "bob", "cid"]
    assert {path.name for path in folder.iterdir()} == {"users.jsonl"}


def test_resumed_with_other_options(scripted: ScriptedCognito, tmp_path: Any) -> None:
    """An unfinished export of other options is not mixed with this one."""
    serve_pages(scripted, [page("ann", after="1"), error("UPSTREAM_ERROR")])
    export(scripted, tmp_path)
    before = (tmp_path / "users.jsonl.part").read_bytes()
    serve_pages(scripted, [])
    ended = export(scripted, tmp_path, "--plain")
    assert ended.returncode == 1
    assert "other options" in ended.stderr
    assert (tmp_path / "users.jsonl.part").read_bytes() == before


def test_expired_cursor(scripted: ScriptedCognito, tmp_path: Any) -> None:
    """Where a cursor is no longer valid, the list is read again, and no user written twice."""
    pages = [
        page("ann", "bob", after="1"),
        error("INVALID_CURSOR"),
        page("ann", "zoe", after="2"),
        page("cid", after=None),
    ]
    asked = serve_pages(scripted, pages)
    assert export(scripted, tmp_path).returncode == 0
    assert asked == [None, "1", None, "2"]
    assert names_in(tmp_path / "users.jsonl") == ["ann", "bob", "zoe", "cid"]


def test_cursors_that_always_expire(scripted: ScriptedCognito, tmp_path: Any) -> None:
    """A list whose cursors never work is given up."""
    pages = [page("ann", after="1"), error("INVALID_CURSOR")] * (MAX_RESTARTS + 1)
    serve_pages(scripted, pages)
    ended = export(scripted, tmp_path)
    assert ended.returncode == 1
    assert "INVALID_CURSOR" in ended.stderr
    assert pages == []


def test_a_list_without_an_end(scripted: ScriptedCognito, tmp_path: Any) -> None:
    """A cursor that leads to itself is an error."""
    serve_pages(scripted, [page("ann", after="1"), page("bob", after="1")])
    ended = export(scripted, tmp_path)
    assert ended.returncode == 1
    assert "does not end" in ended.stderr


def test_smaller_pages(scripted: ScriptedCognito, tmp_path: Any) -> None:
    """Pages that the server finds too expensive are made smaller."""
    serve_pages(scripted, [error("QUERY_TOO_EXPENSIVE"), page("ann", after=None)])
    assert export(scripted, tmp_path).returncode == 0
    assert [request.parameters["variables"]["first"] for request in scripted.requests[1:]] == [
        60,
        30,
    ]


def test_partial_page(scripted: ScriptedCognito, tmp_path: Any) -> None:
    """A page with an error other than that a user is gone is not taken for whole."""
    whole = json.loads(page("ann", after=None).body)
    broken = {**whole, "errors": [{"message": "No.", "extensions": {"code": "FORBIDDEN"}}]}
    serve_pages(scripted, [reply(broken)])
    ended = export(scripted, tmp_path)
    assert ended.returncode == 1
    assert not (tmp_path / "users.jsonl").exists()


@pytest.mark.parametrize("users", [None, {}, {"nodes": [{}]}, {"nodes": 1, "pageInfo": []}])
def test_reply_without_members(scripted: ScriptedCognito, tmp_path: Any, users: Any) -> None:
    """A reply that lacks what was asked for is an error, without a traceback."""
    serve_pages(scripted, [reply({"data": {"users": users}})])
    ended = export(scripted, tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") <= 2


def test_two_at_once(scripted: ScriptedCognito, tmp_path: Any) -> None:
    """A second export to the same file is an error, and disturbs neither."""
    with (tmp_path / "users.jsonl.part").open("wb") as part:
        fcntl.flock(part, fcntl.LOCK_EX)
        serve_pages(scripted, [])
        ended = export(scripted, tmp_path)
        assert ended.returncode == 1
        assert "Another process is writing" in ended.stderr


def test_no_link_is_followed(scripted: ScriptedCognito, tmp_path: Any) -> None:
    """What is written goes through no link that others put there."""
    other = tmp_path / "other"
    other.write_text("precious")
    (tmp_path / "users.jsonl.part").symlink_to(other)
    serve_pages(scripted, [page("ann", after=None)])
    assert export(scripted, tmp_path).returncode == 1
    assert other.read_text() == "precious"


def plant_link(path: Path, precious: Path) -> None:
    path.hardlink_to(precious)


def plant_pipe(path: Path, _: Path) -> None:
    os.mkfifo(path)


def plant_file(path: Path, _: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a file of another user")
    path.touch()
    os.chown(path, 12345, 12345)


@pytest.mark.parametrize("plant", [plant_link, plant_pipe, plant_file])
@pytest.mark.parametrize("ending", ["part", "part.state.new"])
def test_nothing_that_another_put_there(
    scripted: ScriptedCognito, tmp_path: Path, plant: Callable[[Path, Path], None], ending: str
) -> None:
    """No user is written to what others put there, and could read or pass on."""
    precious = tmp_path / "precious"
    precious.write_text("precious")
    planted = tmp_path / f"users.jsonl.{ending}"
    plant(planted, precious)
    serve_pages(scripted, [page("ann", after=None)])
    ended = export(scripted, tmp_path)
    assert ended.returncode == 1
    assert f"Could not open file '{planted}'" in ended.stderr
    assert precious.read_text() == "precious"
    assert not planted.is_file() or "ann" not in planted.read_text()
