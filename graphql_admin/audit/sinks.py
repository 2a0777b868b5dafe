"""Opens the file for audit events, unless other users could have put it there.

A user who can write to the file's directory could redirect events, or make this server append to a
file that only the server may write. So a link is followed, and a file or directory of another user
accepted, only if no one but root and the server's own user can have put it there. This is checked
for every component of the path, not only for the last.
"""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK

_MAX_LINKS = 40
"""Most links to follow, as in Linux; more are taken for a loop."""

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a block device",
    stat.S_IFCHR: "a character device",
}


class UnfitSink(OSError):
    """Audit events must not be written to this file.

    Args:
        path: Where it is.
        problem: The end of a sentence that starts with the path.
    """

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{str(path)!r} {problem}")


def open_sink(path: Path) -> int:
    """Open a regular file or a pipe for appending; create the file if there is none.

    A new file has the mode 0600. Links to a file descriptor of this process, such as `/dev/stdout`,
    may also lead to its terminal.

    Returns:
        A file descriptor for non-blocking writes.

    Raises:
        UnfitSink: It is neither, or other users could have put it there.
        OSError: It cannot be opened.
    """
    for _ in range(_MAX_LINKS):
        if _is_own_descriptor(path):
            return _open_own(path)
        link = _first_link(path)
        if link is None:
            # Checked before it is opened, too, because opening some devices has effects.
            with suppress(FileNotFoundError):
                _check(os.lstat(path), path)
            return _open(path)
        path = link.parent / link.readlink() / path.relative_to(link)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


def _first_link(path: Path) -> Path | None:
    """Return the first link on the way from the root to `path`, `path` itself included.

    Raises:
        UnfitSink: Other users could have put the link there, or a directory on the way to it.
    """
    way = Path(path.root or ".")
    for name in path.parts[bool(path.root) :]:
        directory, way = way, way / name
        try:
            status = os.lstat(way)
        except FileNotFoundError:
            return None
        if stat.S_ISLNK(status.st_mode):
            if _others_can_write(directory) or not _is_trusted(status):
                raise UnfitSink(way, "is a symbolic link that other users could have put there")
            return way
        if way != path and not _is_trusted(status) and _others_can_write(directory):
            raise UnfitSink(way, "is a directory that other users could have put there")
    return None


def _open(path: Path) -> int:
    try:
        file = os.open(path, _FLAGS | os.O_NOFOLLOW, mode=0o600)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise UnfitSink(path, "is a pipe without a reader") from error
        raise
    try:
        _check(os.fstat(file), path)
    except UnfitSink:
        os.close(file)
        raise
    return file


def _check(status: os.stat_result, path: Path) -> None:
    _check_kind(status, path)
    is_ours = _is_trusted(status) and status.st_nlink == 1
    if not is_ours and _others_can_write(path.parent):
        raise UnfitSink(path, "is a file that other users could have put there")


def _check_kind(status: os.stat_result, path: Path) -> None:
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISFIFO(status.st_mode)):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise UnfitSink(path, f"is {kind}, and must be a file or a pipe")


def _is_own_descriptor(path: Path) -> bool:
    # The kernel makes these links, only to files that this process inherited or opened.
    return os.path.realpath(path.parent) in {f"/proc/{os.getpid()}/fd", "/dev/fd"}


def _open_own(path: Path) -> int:
    status = path.stat()
    if stat.S_ISCHR(status.st_mode):
        file = os.open(path, _FLAGS | os.O_NOCTTY)
        if os.isatty(file):
            return file
        os.close(file)
    _check_kind(status, path)
    return os.open(path, _FLAGS)


def _is_trusted(status: os.stat_result) -> bool:
    return status.st_uid in {0, os.geteuid()}


def _others_can_write(directory: Path) -> bool:
    status = directory.stat()
    return not _is_trusted(status) or bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
