"""Locks between processes; the kernel releases those of a process that dies."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def locked(path: Path, *, shared: bool = False) -> Generator[None]:
    """Hold the lock of a file, which is created and stays; wait for whoever has it.

    Several may hold it `shared`, but nobody else then.
    """
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield


def open_locked(path: Path) -> IO[str]:
    """Open a file with its lock, to be read and written; another holder may have removed it meanwhile."""
    while True:
        file = path.open("a+")
        fcntl.flock(file, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()
