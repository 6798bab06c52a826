"""Read a large database file in order, so that it is in memory when its pages are read in theirs.

After a boot, each page that is asked for waits for the disk, and they are all over the file: a check of a
million jobs took half a minute, and slowed all answers down. In order, the file is there in seconds.
"""

from __future__ import annotations

import time
from pathlib import Path
from threading import Event

# What is larger may not stay in memory until it is asked for.
MAX_BYTES = 4 << 30
_PIECE_BYTES = 1 << 20


def read_ahead(path: Path, stopping: Event) -> int:
    """Read a file once, until stopping; return how many bytes: none of a very large one. Raises OSError.

    After each piece comes a pause as long as it took: half of the disk's time is left to others.
    """
    if path.stat().st_size > MAX_BYTES:
        return 0
    piece, count = bytearray(_PIECE_BYTES), 0
    with path.open("rb", buffering=0) as file:
        while not stopping.is_set():
            began = time.monotonic()
            read = file.readinto(piece)
            if not read:
                break
            count += read
            stopping.wait(time.monotonic() - began)
    return count
