"""Lock file: two exporters on one database would count every exit twice."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import IO

from exporter.store.private_files import PRIVATE_FILE

_MAY_BE_READ = (errno.EACCES, errno.EPERM, errno.EROFS)
"""Errors on opening a file to write that may still be read."""


class InUseError(Exception):
    """Another process has the lock."""


def lock_path(database: Path) -> Path:
    """Return the lock file of a database: one, by whatever symbolic links the database is named."""
    actual = Path(os.path.realpath(database))
    return actual.with_name(f"{actual.name}.lock")


def acquire(database: Path) -> IO[str] | None:
    """Lock a database until the file is closed or the process ends. Raises InUseError, or OSError.

    Returns None if there is no lock file and none can be created: opening the database then fails with a
    better message, or else it must not be used.
    """
    path = lock_path(database)
    try:
        lock = _opened(path)
    except OSError:
        if os.path.lexists(path):
            raise
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise InUseError from error
    return lock


def _opened(path: Path) -> IO[str]:
    # A link to elsewhere may have been put there by anyone who may write to the directory.
    flags = os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.fdopen(os.open(path, os.O_RDWR | flags, PRIVATE_FILE), "r+", encoding="ascii")
    except OSError as error:
        if error.errno not in _MAY_BE_READ:
            raise
        # What may be read can be locked as well.
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), encoding="ascii")
