"""Files that only their owner may read, and that one process at a time writes."""

import fcntl
import os
from pathlib import Path
from typing import IO

import click

from graphql_admin.cli.users.server import Unusable


def open_private(path: Path, flags: int) -> IO[bytes]:
    """Open a file for its owner alone, and never through a link that stands there.

    Args:
        path: The file.
        flags: As `os.open` takes them; it can be written, and with `O_RDWR` read too.

    Raises:
        click.FileError: It cannot be opened.
    """
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        os.fchmod(descriptor, 0o600)
    except OSError as error:
        raise click.FileError(str(path), error.strerror or "it cannot be opened") from None
    return os.fdopen(descriptor, "r+b" if flags & os.O_RDWR else "wb")


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
