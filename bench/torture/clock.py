"""A time of day for one process that can be stepped while it runs."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.lab.install import ensure_to_build, program

_SOURCE = Path(__file__).with_name("clock.c")


class SteppedClock:
    """The system's time of day, plus a number of seconds in a file. Durations stay true."""

    def __init__(self, directory: Path) -> None:
        ensure_to_build()
        self._file, self._library = directory / "clock", directory / "clock.so"
        self._file.write_bytes(struct.pack("l", 0))
        command = (program("gcc"), "-shared", "-fPIC", "-O1", "-o", self._library, _SOURCE)
        subprocess.run([str(word) for word in command], check=True)

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables of a process that is to see this clock."""
        return {"LD_PRELOAD": str(self._library), "STEPPED_CLOCK": str(self._file)}

    def step(self, seconds: int) -> None:
        """Let the clock be so many seconds ahead of the system's."""
        with self._file.open("r+b", buffering=0) as file:
            file.write(struct.pack("l", seconds))
