"""The beginning of a file that is read again and again while the daemon runs."""

from __future__ import annotations

import errno
from pathlib import Path


def read_file_start(path: Path, max_bytes: int) -> bytes:
    """Return at most ``max_bytes`` of a file. Raises OSError, also for a pipe.

    A pipe gives its content only once, and a thread that waits for somebody to write it could not be stopped.
    """
    if path.is_fifo():
        raise OSError(errno.ESPIPE, "it is a pipe, which can be read only once; give a file")
    with path.open("rb") as file:
        return file.read(max_bytes)
