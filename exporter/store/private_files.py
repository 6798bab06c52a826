"""Files of a database for its own user alone, whatever the umask: they have log tails and evidence."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

PRIVATE_FILE = stat.S_IRUSR | stat.S_IWUSR
_PRIVATE_DIRECTORY = stat.S_IRWXU
# SQLite gives them the mode of the database when it creates them.
_BESIDE = ("-wal", "-shm")


def create_directories(path: Path) -> None:
    """Create a directory and those above it, for this user alone; those that exist stay. Raises OSError."""
    missing = [each for each in (path, *path.parents) if not each.is_dir()]
    for each in reversed(missing):
        each.mkdir(_PRIVATE_DIRECTORY, exist_ok=True)


def create_file(path: Path) -> None:
    """Create an empty file for this user alone, unless there is one. Raises OSError."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, PRIVATE_FILE))


def take_from_others(database: Path) -> None:
    """Take the files of a database from all but its user, and its group, which may be there for backups."""
    actual = Path(os.path.realpath(database))
    for suffix in ("", *_BESIDE):
        file = actual.with_name(actual.name + suffix)
        # Of another user, who decides on it; or there is none.
        with suppress(FileNotFoundError, PermissionError):
            mode = stat.S_IMODE(file.stat().st_mode)
            if mode & stat.S_IRWXO:
                file.chmod(mode & ~stat.S_IRWXO)
