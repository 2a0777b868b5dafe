"""Files that only their owner may read, and that one process at a time writes."""

import fcntl
import os
import stat
from pathlib import Path
from typing import IO

import click

from graphql_admin.cli.users.server import Unusable


def open_private(path: Path, flags: int) -> IO[bytes]:
    """Open a file for its owner alone, and never what another user has put there.

    In a folder that others may write to, such as `/tmp`, that could be a link, a pipe, or a file of
    theirs, which they could go on reading.

    Args:
        path: The file.
        flags: As `os.open` takes them; it can be written, and with `O_RDWR` read too.

    Raises:
        click.FileError: It cannot be opened.
    """
    # It is cut to no length before it is known whose it is. Opening a pipe would wait.
    added = os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags & ~os.O_TRUNC | added, 0o600)
    except OSError as error:
        raise click.FileError(str(path), _told(error)) from None
    try:
        problem = _find_problem(os.fstat(descriptor))
        if not problem:
            os.fchmod(descriptor, 0o600)
            if flags & os.O_TRUNC:
                os.ftruncate(descriptor, 0)
    except OSError as error:
        problem = _told(error)
    if problem:
        os.close(descriptor)
        raise click.FileError(str(path), problem)
    return os.fdopen(descriptor, "r+b" if flags & os.O_RDWR else "wb")


def _told(error: OSError) -> str:
    return error.strerror or "it cannot be opened"


def _find_problem(status: os.stat_result) -> str:
    """Return why an open file must not be written; nothing if it may be."""
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
        return "it is there already, and no file of yours"
    if status.st_nlink > 1:
        return "it is there already, and has another name, too"
    return ""


def lock(file: IO[bytes], path: Path) -> None:
    """Keep other processes from writing a file, until it is closed.

    Raises:
        Unusable: Another process writes it, or did so until now.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # It may have been renamed or removed between its opening and the lock.
        is_there = os.path.samestat(os.fstat(file.fileno()), path.lstat())
    except OSError:
        is_there = False
    if not is_there:
        raise Unusable(f"Another process is writing {path}.")


def sync(file: IO[bytes]) -> None:
    """Have what was written survive the end of this process, and of the machine."""
    file.flush()
    os.fsync(file.fileno())


def replace(path: Path, content: bytes) -> None:
    """Write a small file, or leave the one that is there."""
    temporary = path.with_name(f"{path.name}.new")
    with open_private(temporary, os.O_WRONLY | os.O_TRUNC) as file:
        file.write(content)
        sync(file)
    temporary.replace(path)


def give_name(file: Path, name: Path) -> None:
    """Give a file another name, unless there is something with that name.

    Raises:
        Unusable: There is.
    """
    try:
        os.link(file, name)  # unlike a rename, it replaces nothing
        file.unlink()
    except FileExistsError:
        raise Unusable(f"{name} exists by now; the users are in {file}.") from None
    except OSError:  # file systems without links
        if name.exists():
            raise Unusable(f"{name} exists by now; the users are in {file}.") from None
        file.rename(name)
