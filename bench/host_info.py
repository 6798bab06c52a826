"""Machine of a run, and the time of a durable write on its disk, on which the results depend."""

import os
import platform
import time
from pathlib import Path

from bench.percentiles import median

WRITES = 50
PAGE_BYTES = 4096


def describe_host(directory: Path) -> str:
    """Return one line about the machine of this run."""
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
