"""Lock file: two exporters on one database would count every exit twice."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO


class InUseError(Exception):
    """Another process has the lock."""


def acquire(path: Path) -> IO[str] | None:
    """Lock the database at ``path`` until the file is closed or the process ends. Raises InUseError.

    Returns None if the lock file cannot be created: opening the database then fails with a better message.
    """
    try:
        # Opened to append: an exporter that is refused must not change the file.
        lock = path.with_name(f"{path.name}.lock").open("a", encoding="ascii")
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise InUseError from error
    return lock
