"""The second witness of ends: this machine's kernel, where the engine is local.

Two sources: the field ``oom_kill`` of ``/proc/vmstat``, which counts every OOM kill and is readable
from inside an ordinary container, and the kernel's log, which names containers and processes but needs
privileges and drops lines when they come in crowds. The paths are parameters, so that a test
can hand over a canned tree.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from exporter.sources.docker.engine import EngineInfo, KernelReport
from exporter.sources.docker.kernel.kmsg import KmsgParser

_RECORD_BYTES = 8192
_MAX_RECORDS = 10_000
_COUNTED = re.compile(rb"^oom_kill (\d+)$", re.MULTILINE)
_MICROSECOND_NS = 1_000


def is_this_host(info: EngineInfo, proc: Path = Path("/proc")) -> bool:
    """Whether the engine's host is this machine: a unix socket may lead into a virtual machine."""
    try:
        kernel = (proc / "sys/kernel/osrelease").read_text().strip()
        meminfo = (proc / "meminfo").read_text()
    except OSError:
        return False
    total = re.search(r"^MemTotal:\s+(\d+) kB", meminfo, re.MULTILINE)
    return kernel == info.kernel and total is not None and int(total.group(1)) * 1024 == info.memory_bytes


class KernelReader:
    """Tells at each ``ask`` what the kernel has killed and logged since the last."""

    def __init__(self, proc: Path = Path("/proc"), kmsg: Path = Path("/dev/kmsg")) -> None:
        self._vmstat = proc / "vmstat"
        self._asked_ns = time.time_ns()
        self._counted = self._count()
        self._log = _open_at_end(kmsg)
        self._reader = KmsgParser(os.sysconf("SC_PAGE_SIZE"))

    @property
    def has_counter(self) -> bool:
        """Whether the kernel tells its counter at all; without it, silence proves nothing."""
        return self._counted is not None

    @property
    def can_read_log(self) -> bool:
        """Whether the kernel's log is read."""
        return self._log is not None

    def ask(self) -> KernelReport | None:
        """What was killed and logged since the last call; None where nothing was.

        The counter is read first: each kill is logged before it is counted, so a line may be
        ahead of its count, never a count ahead of a line that is still to come.
        """
        before, self._counted = self._counted, self._count()
        moved = 0 if before is None or self._counted is None else max(0, self._counted - before)
        facts = tuple(self._reader.facts(self._records(), self._at_ns))
        self._asked_ns = now_ns = time.time_ns()
        return KernelReport(moved, now_ns, facts) if moved or facts else None

    def close(self) -> None:
        """Close the log."""
        if self._log is not None:
            os.close(self._log)
            self._log = None

    def _at_ns(self, microseconds: int) -> int:
        """When a line was written that has this time of the log's clock."""
        now_ns = time.time_ns()
        # That clock runs from the start of the machine, and nobody sets it right: in weeks it drifts away
        # from the others by seconds. But what is new was written since the log was last read.
        drifted_ns = now_ns - time.monotonic_ns() + microseconds * _MICROSECOND_NS
        return min(max(drifted_ns, self._asked_ns + 1), now_ns)

    def _count(self) -> int | None:
        try:
            counted = _COUNTED.search(self._vmstat.read_bytes())
        except OSError:
            return None
        return int(counted[1]) if counted else None

    def _records(self) -> Iterator[bytes]:
        for _ in range(_MAX_RECORDS):
            if self._log is None:
                return
            try:
                record = os.read(self._log, _RECORD_BYTES)
            except BlockingIOError:
                return
            except BrokenPipeError:
                # The kernel's ring has overtaken us; the next read goes on with what is left.
                continue
            except OSError:
                self.close()
                return
            if not record:
                return
            yield record


def _open_at_end(kmsg: Path) -> int | None:
    try:
        log = os.open(kmsg, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        os.lseek(log, 0, os.SEEK_END)
    except OSError:
        os.close(log)
        return None
    return log
