"""What the figures depend on beside the code: the machine, and what a durable write costs on its disk."""

import os
import platform
import time
from pathlib import Path

from bench.figures import median

WRITES = 50
PAGE_BYTES = 4096


def described(directory: Path) -> str:
    """One line about where this run takes place."""
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} CPUs, load {load:.1f}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}; writing {PAGE_BYTES} bytes durably in {directory}: "
        f"{1000 * _fsync_seconds(directory / 'fsync'):.2f} ms"
    )


def _fsync_seconds(path: Path) -> float:
    taken = []
    with path.open("wb", buffering=0) as file:
        for _ in range(WRITES):
            begun = time.perf_counter()
            file.write(bytes(PAGE_BYTES))
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - begun)
    path.unlink()
    return median(taken)
