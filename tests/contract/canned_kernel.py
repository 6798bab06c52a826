"""Kernel with recorded reports, read by the reader of the real one."""

from __future__ import annotations

import errno
import os
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import pytest

from exporter.sources.docker.kernel import reader
from exporter.sources.docker.kernel.reader import KernelReader


class CannedKernel:
    """Kernel whose log is a queue of records, its counter a file, and its clock set by the test."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._proc, self._log = directory / "proc", directory / "kmsg"
        self._proc.mkdir()
        self._log.touch()
        self._records: deque[str] = deque()
        self._kills = 0
        self._now_ns = self._booted_ns = 0
        self._count(0)
        clock = {
            "time_ns": lambda: self._now_ns,
            "monotonic_ns": self._since_boot,
            "clock_gettime_ns": lambda _clock: self._since_boot(),
        }
        monkeypatch.setattr(reader, "time", SimpleNamespace(**{**vars(time), **clock}))
        monkeypatch.setattr(reader, "os", SimpleNamespace(**{**vars(os), "read": self._read}))

    def boot(self, at_ns: int) -> KernelReader:
        """Return a reader that is open since the boot of the host."""
        self._now_ns = self._booted_ns = at_ns
        return KernelReader(self._proc, self._log)

    def report(self, records: Iterable[str], kills: int, at_ns: int) -> None:
        """Log these records and count these kills at a time."""
        self._now_ns = at_ns
        self._records.extend(records)
        self._count(kills)

    def _since_boot(self) -> int:
        return self._now_ns - self._booted_ns

    def _count(self, kills: int) -> None:
        self._kills += kills
        (self._proc / "vmstat").write_text(f"oom_kill {self._kills}\n")

    def _read(self, _file: int, _size: int) -> bytes:
        if not self._records:
            raise BlockingIOError(errno.EAGAIN, "no record yet")
        return f"{self._records.popleft()}\n".encode()
