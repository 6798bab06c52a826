"""One exporter for each database: two would count every exit twice."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO


class InUseError(Exception):
    """Another process holds it."""


def hold(path: Path) -> IO[str] | None:
    """A lock beside ``path`` that lasts until it is closed or its process ends. Raises InUseError.

    None where no file can be made: what is wrong there, the database says better.
    """
    try:
        # Opened to append: an exporter that is refused must not touch it.
        lock = path.with_name(f"{path.name}.lock").open("a", encoding="ascii")
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise InUseError from error
    return lock
