"""`graphql-admin users import`: each row becomes a user, once, or is reported."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.patience import PATIENCE
from tests.support.scripted import Reply, ScriptedCognito, hang_up, held, reply
from tests.support.started import ROOT, environment, invoke, started
from tests.support.users_command import Users

HEADER = "cognito:username,email,email_verified,name,enabled,groups\r\n"


def test_import(users: Users) -> None:
    """Users are created with attributes and groups, disabled where the file says so."""
    users.directory.add_group("Editors")
    file = users.write(
        "users.csv",
        f"\ufeff{HEADER}ann,ann@example.com,TRUE,'=Ann,TRUE,Editors Admins\r\nbob,,,,false,\r\n",
    )
    ended = users.run("import", file)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == ""
    assert "2 of 2 users were imported" in ended.stderr
    ann = users.directory.attributes_of("ann")
    assert (ann["email"], ann["email_verified"], ann["name"]) == ("ann@example.com", "true", "=Ann")
    assert users.directory.groups_of("ann") == {"Editors", "Admins"}
    assert users.directory.user("ann")["Enabled"]
    assert not users.directory.user("bob")["Enabled"]
    assert users.files() == {"users.csv"}


def test_more_than_a_batch(users: Users) -> None:
    """A file of many rows takes many batches, for groups too."""
    users.directory.add_group("A")
    users.directory.add_group("B")
    rows: list[dict[str, Any]] = [
        {"username": f"user{number}", "groups": ["A", "B"], "enabled": number % 2 == 0}
        for number in range(120)
    ]
    ended = users.run("import", users.write_lines("users.jsonl", rows))
    assert ended.returncode == 0, ended.stderr
    assert users.usernames() == {row["username"] for row in rows}
    for row in rows[::17]:
        assert users.directory.groups_of(row["username"]) == {"A", "B"}
        assert users.directory.user(row["username"])["Enabled"] == row["enabled"]


def test_existing_user_is_not_changed(users: Users) -> None:
    """A user who exists is neither put into groups nor disabled, and their row is reported."""
    users.directory.add_group("Editors")
    users.directory.add_user("ann", name="Ann")
    file = users.write("users.csv", f"{HEADER}ann,,,Eve,false,Editors\nbob,,,,,Editors\n")
    ended = users.run("import", file)
    assert ended.returncode == 1
    assert "1 of 2 users were imported" in ended.stderr
    assert users.directory.attributes_of("ann")["name"] == "Ann"
    assert users.directory.groups_of("ann") == set()
    assert users.directory.user("ann")["Enabled"]
    (row,) = csv.DictReader(io.StringIO((users.folder / "users.failed.csv").read_text()))
    assert row["cognito:username"] == "ann"
    assert row["error"].startswith("ALREADY_EXISTS: ")
    ended = users.run("import", file, "--existing", "skip")
    assert ended.returncode == 0
    assert "2 existed before" in ended.stderr
    assert users.directory.groups_of("ann") == set()


def test_report_can_be_imported(users: Users) -> None:
    """What failed can be run again once its reason is gone: only what is left is done."""
    rows: list[dict[str, Any]] = [
        {"username": "ann", "attributes": {"name": "Ann"}, "groups": ["Later"], "enabled": False},
        {"username": "bob"},
    ]
    ended = users.run("import", users.write_lines("users.jsonl", rows))
    assert ended.returncode == 1
    report = users.folder / "users.failed.jsonl"
    (row,) = map(json.loads, report.read_text().splitlines())
    assert row["created"] is True
    assert "GROUP_NOT_FOUND" in row.pop("error")
    assert {name: row[name] for name in rows[0]} == rows[0]
    assert users.files() == {"users.jsonl", "users.failed.jsonl"}
    users.directory.add_group("Later")
    ended = users.run("import", report)
    assert ended.returncode == 0, ended.stderr
    assert users.directory.groups_of("ann") == {"Later"}
    assert not users.directory.user("ann")["Enabled"]


def test_users_of_external_providers(users: Users) -> None:
    """A user who signs in elsewhere is not made one with a password; the others are imported."""
    rows = [{"username": "google_1", "status": "EXTERNAL_PROVIDER"}, {"username": "bob"}]
    file = users.write_lines("users.jsonl", rows)
    ended = users.run("import", file, "--dry-run")
    assert "line 1: EXTERNAL_PROVIDER" in ended.stdout
    assert users.run("import", file).returncode == 1
    assert users.usernames() == {"bob"}
    (row,) = map(json.loads, (users.folder / "users.failed.jsonl").read_text().splitlines())
    assert row["username"] == "google_1"


def test_dry_run(users: Users) -> None:
    """A dry run changes nothing, writes no file, and tells what would be refused."""
    users.directory.add_user("ann")
    file = users.write("users.csv", f"{HEADER}ann,,,,,\nbob,,,,,Nowhere\n")
    ended = users.run("import", file, "--dry-run")
    assert ended.returncode == 1
    assert "line 2: ALREADY_EXISTS" in ended.stdout
    assert "group Nowhere: There is no such group." in ended.stdout
    assert "1 of 2 users would be created" in ended.stdout
    assert users.usernames() == {"ann"}
    assert users.files() == {"users.csv"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f"{HEADER}ann,,,,,\nann,,,,,\n", "line 3: the username occurs on a line before"),
        (f"{HEADER}ann,,,,,\n,,,,,\n", "line 3: there is no username"),
        (f"{HEADER}ann,,yes,,,\n", "line 2: `email_verified` must be true or false"),
        ("cognito:username,shoe,hat\nann,1,2\n", "no such attributes: 'hat', 'shoe'"),
        (f"{HEADER}ann,,,,,A A\n", "line 2: `groups` has a group twice"),
        (f'{HEADER}ann,"\n', "line 2: not CSV"),
    ],
)
def test_invalid_file(users: Users, content: str, said: str) -> None:
    """Nothing is sent of a file with an error."""
    ended = users.run("import", users.write("users.csv", content))
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Nothing was sent" in ended.stderr
    assert users.usernames() == set()
    assert users.files() == {"users.csv"}


def test_missing_rights(serve_users: Callable[..., Users], tmp_path: Path) -> None:
    """What the token does not allow is told before anything is sent."""
    policy = tmp_path / "policy.toml"
    policy.write_text(
        '[groups]\nStaff = ["createUser"]\nOthers = ["*"]\n[writes]\nStaff = ["name"]\n'
    )
    users = serve_users("Staff", policy_file=policy)
    ended = users.run("import", users.write("a.csv", f"{HEADER}ann,,,,false,Others\n"))
    assert ended.returncode == 1
    assert "does not allow: addUserToGroup, disableUser" in ended.stderr
    assert users.usernames() == set()


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_attributes_that_may_not_be_set(
    serve_users: Callable[..., Users], tmp_path: Path, options: list[str]
) -> None:
    """A file with an attribute that the caller may not set is refused before anything is sent."""
    policy = tmp_path / "policy.toml"
    policy.write_text(
        '[groups]\nOthers = ["*"]\nStaff = ["createUser", "getUserPool"]\n'
        '[writes]\nStaff = ["name"]\n'
    )
    users = serve_users("Staff", policy_file=policy)
    rows: list[dict[str, Any]] = [
        {"username": "ann", "attributes": {"name": "Ann", "sub": "x"}},
        {"username": "bob", "attributes": {"email": "bob@example.com"}},
    ]
    ended = users.run("import", users.write_lines("users.jsonl", rows), *options)
    assert ended.returncode == 1
    assert ended.stderr.rstrip().endswith(
        "The token does not allow to set: email. Nothing was changed."
    )
    assert users.usernames() == set()
    file = users.write("users.csv", "cognito:username,name,email\nann,Ann,\n")
    assert users.run("import", file, *options).returncode == 0


# What follows is about replies that fail: a scripted server in place of a real one.


class Scripted:
    """A GraphQL server that creates users, and answers as a test wants."""

    def __init__(self, backend: ScriptedCognito) -> None:
        self.users: dict[str, dict[str, str]] = {}
        self.created: list[str] = []
        self.batches: list[list[dict[str, Any]]] = []
        self.mishaps: list[Callable[[Reply], Reply]] = []
        """What becomes of the replies to batches, in turn."""
        self.outcomes: dict[str, list[str]] = {}
        """Codes of steps that are not tried, by username."""
        self.actions = ["createUser", "getUser", "addUserToGroup", "disableUser"]
        self.seen = ["*"]
        """The attributes that the caller sees."""
        backend.on("POST", self.answer)

    def answer(self, request: dict[str, Any]) -> Reply:
        query, variables = request["query"], request["variables"]
        if "viewer" in query:
            rights = {"read": self.seen, "masked": [], "write": ["*"]}
            return reply({"data": {"viewer": {"actions": self.actions, "attributes": rights}}})
        if "user(by" in query:
            if "getUser" not in self.actions:
                forbidden = {"message": "No.", "extensions": {"code": "FORBIDDEN"}}
                return reply({"data": {"user": None}, "errors": [forbidden]})
            return reply({"data": {"user": self.read(variables["username"])}})
        self.batches.append(variables["steps"])
        results = [self.carry_out(step) for step in variables["steps"]]
        answer = reply({"data": {"batch": {"errors": [], "results": results}}})
        return self.mishaps.pop(0)(answer) if self.mishaps else answer

    def read(self, username: str) -> dict[str, Any] | None:
        if username not in self.users:
            return None
        attributes = [{"name": n, "value": v} for n, v in self.users[username].items()]
        now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
        return {"createdAt": now, "attributes": attributes}

    def carry_out(self, step: dict[str, Any]) -> dict[str, Any]:
        ((action, values),) = step.items()
        username = values["username"]
        if codes := self.outcomes.get(username):
            code = codes.pop(0)
            return self.result(code if code in {"SKIPPED", "UNCERTAIN"} else "FAILED", code)
        if action != "createUser":
            return self.result("DONE")
        if username in self.users:
            return self.result("FAILED", "ALREADY_EXISTS", "username")
        self.users[username] = {"name": values.get("fullName", "")}
        self.created.append(username)
        return self.result("DONE")

    @staticmethod
    def result(outcome: str, code: str | None = None, field: str | None = None) -> dict[str, Any]:
        errors = [{"code": code, "message": "No.", "field": field}] if code else []
        return {"index": 0, "outcome": outcome, "invited": None, "errors": errors}


@pytest.fixture
def fake(scripted: ScriptedCognito) -> Scripted:
    """That server."""
    return Scripted(scripted)


def import_(
    scripted: ScriptedCognito, file: Path, *arguments: str, patience: float = PATIENCE, **more: str
) -> Any:
    variables = {"GRAPHQL_ADMIN_URL": scripted.url, "GRAPHQL_ADMIN_TOKEN": "token", "NO_PROXY": "*"}
    return invoke(
        "users", "import", str(file), "--patience", str(patience), *arguments, **variables, **more
    )


def write(folder: Path, *usernames: str, **row: Any) -> Path:
    file = folder / "users.jsonl"
    lines = [json.dumps({"username": name, **row}) for name in usernames]
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def lose(_: Reply) -> Reply:
    return hang_up()


def make_html(_: Reply) -> Reply:
    return Reply(b"<html>Bad Gateway</html>", 502, "text/html")


def cut(whole: Reply) -> Reply:
    return Reply(whole.body[:30], promised_length=len(whole.body))


@pytest.mark.parametrize("mishap", [lose, make_html, cut])
def test_lost_reply(
    scripted: ScriptedCognito, fake: Scripted, tmp_path: Path, mishap: Callable[[Reply], Reply]
) -> None:
    """Users whose reply was lost are found, not created twice and not reported."""
    fake.mishaps.append(mishap)
    ended = import_(scripted, write(tmp_path, "ann", "bob", groups=["Editors"]))
    assert ended.returncode == 0, ended.stderr
    assert fake.created == ["ann", "bob"]
    assert [list(step) for step in fake.batches[-1]] == [["addUserToGroup"]] * 2
    assert [path.name for path in tmp_path.iterdir()] == ["users.jsonl"]


def test_lost_reply_and_another_user(
    scripted: ScriptedCognito, fake: Scripted, tmp_path: Path
) -> None:
    """A user who is not as the row has them was not created by the import, and is left alone."""
    fake.users["ann"] = {"name": "Another"}
    fake.mishaps.append(lose)
    ended = import_(
        scripted, write(tmp_path, "ann", "bob", groups=["A"], attributes={"name": "Ours"})
    )
    assert ended.returncode == 1
    assert fake.created == ["bob"]
    assert [step["addUserToGroup"]["username"] for step in fake.batches[-1]] == ["bob"]


def test_lost_reply_without_the_right_to_read(
    scripted: ScriptedCognito, fake: Scripted, tmp_path: Path
) -> None:
    """Where users cannot be read, the report says that it is not known."""
    fake.actions.remove("getUser")
    fake.mishaps.append(lose)
    ended = import_(scripted, write(tmp_path, "ann", groups=["A"]))
    assert ended.returncode == 1
    assert "is not known" in (tmp_path / "users.failed.jsonl").read_text()
    assert fake.created == ["ann"]
    assert all(list(step) == ["createUser"] for batch in fake.batches for step in batch)


def test_steps_that_were_not_tried(
    scripted: ScriptedCognito, fake: Scripted, tmp_path: Path
) -> None:
    """Steps that had no time, no turn or an unknown end are sent again until they have one."""
    fake.outcomes = {
        "ann": ["SKIPPED", "THROTTLED", "UNAVAILABLE"],
        "bob": ["UNCERTAIN", "SKIPPED"],
    }
    ended = import_(scripted, write(tmp_path, "ann", "bob", "cid"))
    assert ended.returncode == 0, ended.stderr
    assert sorted(fake.created) == ["ann", "bob", "cid"]


def test_a_row_that_always_fails(scripted: ScriptedCognito, fake: Scripted, tmp_path: Path) -> None:
    """A row for which the server fails each time is reported, and does not stop the others."""
    fake.outcomes = {"ann": ["UNAVAILABLE"] * 99}
    ended = import_(scripted, write(tmp_path, "ann", "bob"))
    assert ended.returncode == 1
    assert fake.created == ["bob"]
    assert "UNAVAILABLE" in (tmp_path / "users.failed.jsonl").read_text()


def test_batch_rejected_for_one_row(
    scripted: ScriptedCognito, fake: Scripted, tmp_path: Path
) -> None:
    """A batch that is rejected as a whole is halved, down to the row that is the reason."""
    answer = fake.answer

    def reject(request: dict[str, Any]) -> Reply:
        if any("bad" in str(step) for step in request["variables"].get("steps", [])):
            told = {"message": "No.", "extensions": {"code": "BAD_USER_INPUT"}}
            return Reply(json.dumps({"errors": [told]}).encode(), 400)
        return answer(request)

    scripted.on("POST", reject)
    names = [f"user{number}" for number in range(20)]
    ended = import_(scripted, write(tmp_path, *names[:7], "bad", *names[7:]))
    assert ended.returncode == 1
    assert fake.created == names
    assert (tmp_path / "users.failed.jsonl").read_text().count("\n") == 1


def test_given_up_and_resumed(scripted: ScriptedCognito, fake: Scripted, tmp_path: Path) -> None:
    """An import that gives up keeps its journal, and the next run goes on from there."""
    fake.mishaps += [lambda whole: whole, lose]
    names = [f"user{number}" for number in range(120)]
    file = write(tmp_path, *names)
    ended = import_(scripted, file, patience=0)
    assert ended.returncode == 1
    assert "50 of 120 users are finished. Run the same command again" in ended.stderr
    journal = (tmp_path / "users.jsonl.journal").read_text()
    assert "user1" not in journal
    assert "token" not in journal
    other = import_(scripted, file, "--existing", "skip")
    assert other.returncode == 1
    assert "other options" in other.stderr
    ended = import_(scripted, file)
    assert ended.returncode == 0, ended.stderr
    assert "after 50 users" in ended.stderr
    assert fake.created == names
    assert [path.name for path in tmp_path.iterdir()] == ["users.jsonl"]


@pytest.mark.parametrize("rest", ["", '{"se', '{"rows": [[0, 99, "", true]]}\n', "[]\n", "{}x\n"])
def test_journal_cut_or_spoiled(
    scripted: ScriptedCognito, fake: Scripted, tmp_path: Path, rest: str
) -> None:
    """A last line that was cut off is ignored; a journal that is something else is an error."""
    fake.mishaps.append(lose)
    file = write(tmp_path, "ann")
    assert import_(scripted, file, patience=0).returncode == 1
    journal = tmp_path / "users.jsonl.journal"
    with journal.open("a") as opened:
        opened.write(rest)
    ended = import_(scripted, file)
    assert fake.created == ["ann"]
    if rest.endswith("\n"):
        assert ended.returncode == 1
        assert "is not a journal" in ended.stderr
    else:
        assert ended.returncode == 0


def test_file_changed_between_runs(
    scripted: ScriptedCognito, fake: Scripted, tmp_path: Path
) -> None:
    """The journal of another file is not gone on with."""
    fake.mishaps.append(lose)
    assert import_(scripted, write(tmp_path, "ann"), patience=0).returncode == 1
    ended = import_(scripted, write(tmp_path, "bob"))
    assert ended.returncode == 1
    assert "another file" in ended.stderr
    assert fake.created == ["ann"]


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_stopped(
    scripted: ScriptedCognito, fake: Scripted, tmp_path: Path, stop: signal.Signals
) -> None:
    """A signal ends the import with a sentence on how to go on, and without a traceback."""
    gate = threading.Event()
    reached = threading.Event()

    def hold(whole: Reply) -> Reply:
        reached.set()
        return held(gate, whole)

    fake.mishaps.append(hold)
    variables = {"GRAPHQL_ADMIN_URL": scripted.url, "GRAPHQL_ADMIN_TOKEN": "token"}
    file = write(tmp_path, "ann")
    with started("users", "import", str(file), **variables) as program:
        assert reached.wait(PATIENCE)
        arguments = Path(f"/proc/{program.pid}/cmdline").read_bytes()
        assert b"token" not in arguments
        second = import_(scripted, file)
        assert "Another process" in second.stderr
        program.send(stop)
        assert program.wait() == 130
        said = program.said()
    gate.set()
    assert "0 of 1 users are finished. Run the same command again to go on." in said
    assert "Traceback" not in said
    assert import_(scripted, file).returncode == 0
    assert fake.created == ["ann"]


def test_progress(scripted: ScriptedCognito, fake: Scripted, tmp_path: Path) -> None:
    """On a terminal there is a bar, elsewhere there is none."""
    master, terminal = os.openpty()
    names = [f"user{number}" for number in range(60)]
    file = write(tmp_path, *names)
    variables = {"GRAPHQL_ADMIN_URL": scripted.url, "GRAPHQL_ADMIN_TOKEN": "token"}
    code = (
        "import os, sys; os.dup2(int(sys.argv.pop(1)), 2); "
        "from graphql_admin.cli import main; main(sys.argv[1:])"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(terminal), "users", "import", str(file)],
        env=environment(variables),
        cwd=ROOT,
        pass_fds=[terminal],
        check=True,
        timeout=PATIENCE,
    )
    os.close(terminal)
    said = b""
    while True:
        try:
            part = os.read(master, 65_536)
        except OSError:
            break
        if not part:
            break
        said += part
    os.close(master)
    assert re.search(rb"\rImporting \[#+\] 60 of 60", said)
    assert len(fake.created) == 60
    fake.users.clear()
    assert "\r" not in import_(scripted, file).stderr


def test_a_pipe(scripted: ScriptedCognito, fake: Scripted, tmp_path: Path) -> None:
    """A pipe, which can be read only once, is no file to import."""
    pipe = tmp_path / "users.csv"
    os.mkfifo(pipe)
    ended = import_(scripted, pipe)
    assert ended.returncode == 2
    assert "not a regular file" in ended.stderr
    assert not fake.batches


@pytest.mark.parametrize("is_sensitive", [False, True])
def test_usernames_that_differ_in_case(
    scripted: ScriptedCognito, fake: Scripted, tmp_path: Path, is_sensitive: bool
) -> None:
    """Two usernames that differ in case alone are two users only where the pool says so."""
    answer = fake.answer
    fake.actions.append("getUserPool")
    pool = {
        "attributes": [{"name": "name"}],
        "usernameAttributes": [],
        "usernameCaseSensitive": is_sensitive,
        "estimatedUsers": 0,
    }

    def describe(request: dict[str, Any]) -> Reply:
        if "userPool" in request["query"]:
            return reply({"data": {"userPool": pool}})
        return answer(request)

    scripted.on("POST", describe)
    ended = import_(scripted, write(tmp_path, "ann", "Ann"))
    assert ended.returncode == (0 if is_sensitive else 2)
    assert fake.created == (["ann", "Ann"] if is_sensitive else [])


def test_addresses_as_usernames(scripted: ScriptedCognito, fake: Scripted, tmp_path: Path) -> None:
    """In a pool whose usernames are addresses, the username that it generated is not used."""
    answer = fake.answer
    fake.actions.append("getUserPool")
    pool = {
        "attributes": [{"name": "email"}],
        "usernameAttributes": ["email"],
        "usernameCaseSensitive": False,
        "estimatedUsers": None,
    }

    def describe(request: dict[str, Any]) -> Reply:
        if "userPool" in request["query"]:
            return reply({"data": {"userPool": pool}})
        return answer(request)

    scripted.on("POST", describe)
    file = write(
        tmp_path, "6f1c0000-0000-4000-8000-000000000000", attributes={"email": "a@example.com"}
    )
    assert import_(scripted, file).returncode == 0
    assert fake.created == ["a@example.com"]
    ended = import_(scripted, write(tmp_path, "6f1c0000-0000-4000-8000-000000000000"))
    assert ended.returncode == 2
    assert "line 1: there is no username" in ended.stderr


@pytest.mark.parametrize("existing", ["fail", "skip"])
def test_lost_reply_about_users_who_are_not_seen(
    scripted: ScriptedCognito, fake: Scripted, tmp_path: Path, existing: str
) -> None:
    """Whether a user is ours is not known by attributes that are not seen: the row is reported."""
    fake.seen = []
    fake.mishaps = [lambda _: hang_up()]
    file = tmp_path / "users.jsonl"
    row = {"username": "ann", "attributes": {"name": "Ann"}, "groups": ["Editors"]}
    file.write_text(json.dumps(row) + "\n")
    ended = import_(scripted, file, "--existing", existing)
    assert ended.returncode == 1
    (reported,) = (tmp_path / "users.failed.jsonl").read_text().splitlines()
    assert "does not show the whole of name" in json.loads(reported)["error"]
    assert fake.created == ["ann"]
