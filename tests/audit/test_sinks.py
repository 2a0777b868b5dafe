"""What audit events may be appended to: files and pipes that no other user created."""

import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from graphql_admin.audit.sinks import UnfitSink, open_sink
from graphql_admin.settings import InvalidSettings
from tests.support.api import Api
from tests.support.patience import PATIENCE
from tests.support.scripted import ScriptedCognito, reply
from tests.support.started import ROOT

DISABLE = 'mutation { disableUser(input: {username: "bob"}) { errors { code } } }'

SOMEBODY_ELSE = 12345


@pytest.fixture
def opened() -> Iterator[Callable[[Path], os.stat_result]]:
    """Open a sink, say what it is, and close it."""

    def look(path: Path) -> os.stat_result:
        file = open_sink(path)
        try:
            return os.fstat(file)
        finally:
            os.close(file)

    return look


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A directory that others can write in."""
    directory = tmp_path / "shared"
    directory.mkdir()
    directory.chmod(0o777)
    return directory


def test_new_file(opened: Callable[[Path], os.stat_result], tmp_path: Path, shared: Path) -> None:
    """A file that is made is for its owner alone, wherever it is."""
    for directory in (tmp_path, shared):
        status = opened(directory / "audit.jsonl")
        assert stat.S_IMODE(status.st_mode) == 0o600
        assert opened(directory / "audit.jsonl").st_ino == status.st_ino


def test_link_of_ours(opened: Callable[[Path], os.stat_result], tmp_path: Path) -> None:
    """A link is followed, also one to another, and one to what is yet to be made."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to(tmp_path / "logs" / "events")
    (tmp_path / "logs").mkdir()
    status = opened(tmp_path / "a")
    assert (tmp_path / "logs" / "events").stat().st_ino == status.st_ino
    assert stat.S_IMODE(status.st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o775, 0o770])
def test_link_in_a_directory_of_others(tmp_path: Path, mode: int) -> None:
    """A link where others can write may be theirs, and is not followed: nothing is made."""
    directory = tmp_path / "shared"
    directory.mkdir()
    directory.chmod(mode)
    (directory / "audit.jsonl").symlink_to(tmp_path / "target")
    with pytest.raises(UnfitSink, match="symbolic link that other users could have put there"):
        open_sink(directory / "audit.jsonl")
    assert not (tmp_path / "target").exists()


def test_link_to_a_link_of_others(tmp_path: Path, shared: Path) -> None:
    """Each link in a row has to be trusted, not the first alone."""
    (shared / "hop").symlink_to(tmp_path / "target")
    (tmp_path / "audit.jsonl").symlink_to(shared / "hop")
    with pytest.raises(UnfitSink, match="symbolic link that other users could have put there"):
        open_sink(tmp_path / "audit.jsonl")
    assert not (tmp_path / "target").exists()


def test_links_in_a_circle(tmp_path: Path) -> None:
    """Links without an end are an error."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        open_sink(tmp_path / "a")


def test_things_of_others(tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link, file or pipe of another user's is taken only where they cannot have put it."""
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for directory in (tmp_path, shared):
        (directory / "file").touch()
        os.mkfifo(directory / "pipe")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "file").touch()
    (theirs / "link").symlink_to(tmp_path / "target")
    if os.geteuid() == 0:
        for path in (tmp_path / "link", *tmp_path.glob("*/file"), *tmp_path.glob("*/pipe")):
            os.chown(path, SOMEBODY_ELSE, -1, follow_symlinks=False)
        for path in (tmp_path / "file", theirs):
            os.chown(path, SOMEBODY_ELSE, -1)
        os.close(open_sink(tmp_path / "file"))  # which root must have put there for them
    else:
        # Only root can change the owner of a file, so another process acts as the other user.
        monkeypatch.setattr(os, "geteuid", lambda: SOMEBODY_ELSE)
    for path in (tmp_path / "link", theirs / "link"):
        with pytest.raises(UnfitSink, match="symbolic link that other users could have put there"):
            open_sink(path)
    for path in (shared / "file", shared / "pipe", theirs / "file"):
        with pytest.raises(UnfitSink, match="file that other users could have put there"):
            open_sink(path)
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("depth", [1, 2])
def test_link_on_the_way(tmp_path: Path, shared: Path, depth: int) -> None:
    """A link to a directory is held to the same rule as one to the file, however far up it is."""
    logs = tmp_path / "logs" / "a" / "b"
    logs.mkdir(parents=True)
    (shared / "link").symlink_to(logs if depth == 1 else tmp_path / "logs" / "a")
    path = shared / "link" / ("audit.jsonl" if depth == 1 else "b/audit.jsonl")
    with pytest.raises(
        UnfitSink, match=r"'.*/link' is a symbolic link that other users could have put"
    ):
        open_sink(path)
    assert not list(logs.iterdir())


def test_links_of_ours_on_the_way(
    opened: Callable[[Path], os.stat_result], tmp_path: Path, shared: Path
) -> None:
    """Links that only we can have put there are followed on the way, relative ones and `..` too."""
    (tmp_path / "logs" / "a").mkdir(parents=True)
    (tmp_path / "link").symlink_to("logs")
    (tmp_path / "logs" / "up").symlink_to("a/../a")
    status = opened(tmp_path / "link" / "up" / "audit.jsonl")
    assert (tmp_path / "logs" / "a" / "audit.jsonl").stat().st_ino == status.st_ino
    (tmp_path / "hop").symlink_to(shared)
    (shared / "link").symlink_to(tmp_path / "logs")
    with pytest.raises(UnfitSink, match="symbolic link that other users could have put there"):
        open_sink(tmp_path / "hop" / "link" / "audit.jsonl")


def test_directory_of_others_on_the_way(
    tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory of another user's is taken only where they cannot have put it."""
    for directory in (tmp_path, shared):
        (directory / "theirs" / "logs").mkdir(parents=True)
    if os.geteuid() == 0:
        for directory in (tmp_path, shared):
            os.chown(directory / "theirs", SOMEBODY_ELSE, -1)
        os.close(open_sink(tmp_path / "theirs" / "logs" / "audit.jsonl"))
    else:
        monkeypatch.setattr(os, "geteuid", lambda: SOMEBODY_ELSE)
    with pytest.raises(UnfitSink, match="directory that other users could have put there"):
        open_sink(shared / "theirs" / "logs" / "audit.jsonl")
    assert not list((shared / "theirs" / "logs").iterdir())


def test_second_name_of_our_own_file(tmp_path: Path, shared: Path) -> None:
    """Where others can write, a file of ours under a second name may be one they chose."""
    secret = tmp_path / "authorized_keys"
    secret.touch()
    (shared / "audit.jsonl").hardlink_to(secret)
    with pytest.raises(UnfitSink, match="file that other users could have put there"):
        open_sink(shared / "audit.jsonl")


def test_other_kinds(
    serve: Callable[..., Api], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Directories, sockets, devices and pipes without a reader keep the server from starting."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "socket"))
    os.mkfifo(tmp_path / "pipe")
    kinds = {
        tmp_path: "is a directory, and must be a file or a pipe",
        tmp_path / "socket": "is a socket, and must be a file or a pipe",
        tmp_path / "pipe": "is a pipe without a reader",
        Path("/dev/null"): "is a character device, and must be a file or a pipe",
        Path("/dev/full"): "is a character device, and must be a file or a pipe",
        tmp_path / "missing" / "audit.jsonl": "No such file or directory",
    }
    with suppress(OSError):  # takes root, and a kernel that lets it
        os.mknod(tmp_path / "disk", stat.S_IFBLK | 0o600, os.makedev(7, 0))
        kinds[tmp_path / "disk"] = "is a block device, and must be a file or a pipe"
    for path, problem in kinds.items():
        with pytest.raises(InvalidSettings, match="GRAPHQL_ADMIN_AUDIT_FILE: ") as refused:
            serve("http://127.0.0.1:9", audit_file=path)
        assert problem in str(refused.value)
        assert str(path) in str(refused.value)
    server.close()
    assert "Traceback" not in capfd.readouterr().out


WRITE = """
import os, sys
from pathlib import Path
from graphql_admin.audit.sinks import open_sink
os.write(open_sink(Path(sys.argv[1])), b"event\\n")
"""


@pytest.mark.parametrize(
    "path", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/dev/stderr"], ids=str
)
@pytest.mark.parametrize("kind", ["pipe", "file", "terminal", "null", "socket"])
def test_standard_streams(tmp_path: Path, path: str, kind: str) -> None:
    """`/dev/stdout` is a link, and right, where it leads to a file, a pipe or a terminal."""
    reader, stream = {
        "pipe": os.pipe,
        "file": lambda: open_both(tmp_path / "file"),
        "terminal": os.openpty,
        "null": lambda: open_both(Path(os.devnull)),
        "socket": lambda: tuple(each.detach() for each in socket.socketpair()),
    }[kind]()
    outcome = subprocess.run(
        [sys.executable, "-c", WRITE, path],
        cwd=ROOT,
        check=False,
        stdout=subprocess.PIPE if path == "/dev/stderr" else stream,
        stderr=stream if path == "/dev/stderr" else subprocess.PIPE,
        timeout=PATIENCE,
    )
    os.close(stream)
    if kind in {"pipe", "file", "terminal"}:
        assert outcome.returncode == 0
        assert os.read(reader, 100).split() == [b"event"]
    else:
        assert outcome.returncode == 1
    os.close(reader)


def open_both(path: Path) -> tuple[int, int]:
    """Return what reads and what writes a file."""
    writer = os.open(path, os.O_WRONLY | os.O_CREAT)
    return os.open(path, os.O_RDONLY), writer


def test_link_put_there_at_rotation(
    serve: Callable[..., Api], scripted: ScriptedCognito, tmp_path: Path, shared: Path
) -> None:
    """The rules hold whenever the file is reopened; if they fail, nothing is changed."""
    scripted.people["bob"] = ()
    scripted.on("AdminDisableUser", reply({}))
    path = shared / "audit.jsonl"
    target = tmp_path / "target"
    api = serve(scripted.url, audit_file=path)
    assert api.send(DISABLE).data
    path.rename(shared / "audit.jsonl.1")
    path.symlink_to(target)
    assert api.send(DISABLE).codes == ["AUDIT_UNAVAILABLE"]
    assert not target.exists()
    path.unlink()
    os.mkfifo(path)
    assert api.send(DISABLE).codes == ["AUDIT_UNAVAILABLE"]
    path.unlink()
    assert api.send(DISABLE).data
    assert scripted.operations() == ["AdminDisableUser"] * 2
    outcomes = [json.loads(line)["outcome"] for line in path.read_text().splitlines()]
    assert outcomes == ["refused", "refused", "done"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
