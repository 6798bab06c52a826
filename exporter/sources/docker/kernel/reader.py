"""Reader of this machine's kernel: a second source of evidence about exits, where the engine is local.

It reads the field ``oom_kill`` of ``/proc/vmstat``, which counts all OOM kills and is readable inside an
ordinary container, and the kernel's log, which names containers and processes but needs privileges and loses
lines when there are many at once. The paths are parameters, so that tests can replace them.
"""

from __future__ import annotations

import os
import re
import select
import time
from collections.abc import Iterator
from pathlib import Path

from exporter.sources.docker.engine import EngineInfo, KernelReport
from exporter.sources.docker.kernel.kmsg import KmsgParser
from exporter.verdict.facts import KernelOomKill

_RECORD_BYTES = 8192
_MAX_RECORDS = 10_000
# As many as a log of several megabytes has, on a host with hundreds of processors.
_MAX_EARLIER_RECORDS = 100_000
_OOM_KILLS = b"\noom_kill "
_COUNTERS_BYTES = 1 << 16
_MICROSECOND_NS = 1_000
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def is_this_host(info: EngineInfo, proc: Path = Path("/proc")) -> bool:
    """Return whether the engine's kernel is this machine's: a unix socket may lead into a virtual machine.

    Raises OSError if that cannot be known at the moment.
    """
    try:
        kernel = (proc / "sys/kernel/osrelease").read_text().strip()
        meminfo = (proc / "meminfo").read_text()
    except (FileNotFoundError, PermissionError):
        return False
    total = re.search(r"^MemTotal:\s+(\d+) kB", meminfo, re.MULTILINE)
    return kernel == info.kernel and total is not None and int(total.group(1)) * 1024 == info.memory_bytes


class KernelReader:
    """Returns at each ``poll`` what the kernel has counted and logged since the one before.

    The first also returns the OOM kills of containers that it had logged since ``log_since_ns``, if given.
    """

    def __init__(
        self, proc: Path = Path("/proc"), kmsg: Path = Path("/dev/kmsg"), *, log_since_ns: int | None = None
    ) -> None:
        self._vmstat_path = proc / "vmstat"
        # Kept open, as it is read four times a second: to open it takes longer than to read it.
        self._vmstat: int | None = None
        self._polled_ns = self._counted_ns = time.time_ns()
        self._counter = self._read_counter()
        # Whether the log has had no line since before the counter was read.
        self._is_settled = False
        self._kmsg, self._log_since_ns = kmsg, log_since_ns
        self._log = _open_at_end(kmsg)
        self._parser = KmsgParser(_PAGE_BYTES)

    @property
    def has_counter(self) -> bool:
        """True if the kernel has a counter of OOM kills; without it, no report does not mean no kill."""
        return self._counter is not None

    @property
    def has_log(self) -> bool:
        """True if the kernel's log can be read."""
        return self._log is not None

    def poll(self) -> KernelReport | None:
        """Return what was counted and logged since the last call, or None if that is nothing.

        The counter is read first. The kernel logs a kill before it counts it, so that a line may come before
        its count, but a count never before its line.
        """
        before, counter, since_ns = self._counter, self._read_counter(), self._counted_ns
        self._is_settled = counter is not None
        earlier = self._read_earlier()
        facts = tuple(self._parser.parse(self._records(), self._time_ns))
        self._polled_ns = time.time_ns()
        if counter is not None:
            # If it cannot be read for a while, for want of a file descriptor, the next time has it all.
            self._counter, self._counted_ns = counter, self._polled_ns
        increase = 0 if before is None or counter is None else max(0, counter - before)
        if not (increase or facts or earlier):
            return None
        return KernelReport(increase, self._polled_ns, facts, since_ns, earlier)

    def poll_if_logged(self) -> KernelReport | None:
        """Return the same, but do not read the counter while the log shows that it stands still.

        The kernel logs each kill in the moment in which it counts it (``docs/decisions/kernel-counter.md``).
        """
        now_ns = time.time_ns()
        if self._log is None or not self._is_settled or _has_record(self._log):
            return self.poll()
        self._polled_ns = self._counted_ns = now_ns
        return None

    def close(self) -> None:
        """Close what is read."""
        self._close_log()
        if self._vmstat is not None:
            os.close(self._vmstat)
            self._vmstat = None

    def _close_log(self) -> None:
        if self._log is not None:
            os.close(self._log)
            self._log = None

    def _time_ns(self, microseconds: int) -> int:
        """Return the time of a line from its time on the log's clock."""
        # New lines were written after the last poll.
        return min(max(_drifted_ns(microseconds), self._polled_ns + 1), time.time_ns())

    def _read_earlier(self) -> tuple[KernelOomKill, ...]:
        """Return the kills since ``log_since_ns`` at the first call, with times that may have drifted."""
        since_ns, self._log_since_ns = self._log_since_ns, None
        log = None if since_ns is None else _opened(self._kmsg)
        if since_ns is None or log is None:
            return ()
        try:
            facts = KmsgParser(_PAGE_BYTES).parse(_records(log, _MAX_EARLIER_RECORDS), _drifted_ns)
            kills = (fact for fact in facts if isinstance(fact, KernelOomKill) and fact.container_id)
            return tuple(kill for kill in kills if kill.at_ns >= since_ns)
        finally:
            os.close(log)

    def _read_counter(self) -> int | None:
        if self._vmstat is None:
            self._vmstat = _opened(self._vmstat_path)
        if self._vmstat is None:
            return None
        counters = b"\n"
        try:
            # The kernel gives a page at a time.
            while part := os.pread(self._vmstat, _COUNTERS_BYTES, len(counters) - 1):
                counters += part
                # A regular expression takes as long as the kernel does for all of its counters.
                number, is_whole, _ = counters.partition(_OOM_KILLS)[2].partition(b"\n")
                if is_whole:
                    return int(number) if number.isdigit() else None
        except OSError:
            return None
        return None

    def _records(self) -> Iterator[bytes]:
        if self._log is None:
            return
        try:
            for record in _records(self._log, _MAX_RECORDS):
                # It may be about a kill that was counted after the counter was read.
                self._is_settled = False
                yield record
        except OSError:
            self._close_log()


def _has_record(log: int) -> bool:
    """Return whether a read would return a record, or an error. Raises OSError."""
    poll = select.poll()
    poll.register(log, select.POLLIN)
    return bool(poll.poll(0))


def _records(log: int, limit: int) -> Iterator[bytes]:
    """Yield the next records of a log, at most ``limit``. Raises OSError."""
    for _ in range(limit):
        try:
            record = os.read(log, _RECORD_BYTES)
        except BlockingIOError:
            return
        except BrokenPipeError:
            # The kernel has overwritten records that were not read; the next read goes on after them.
            continue
        if not record:
            return
        yield record


def _opened(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None


def _open_at_end(kmsg: Path) -> int | None:
    log = _opened(kmsg)
    if log is None:
        return None
    try:
        os.lseek(log, 0, os.SEEK_END)
    except OSError:
        os.close(log)
        return None
    return log


def _drifted_ns(microseconds: int) -> int:
    """Return the time of a line by the log's clock.

    It starts with the machine, stands still while that sleeps, and is never corrected: in weeks it drifts by
    seconds.
    """
    return time.time_ns() - time.monotonic_ns() + microseconds * _MICROSECOND_NS
