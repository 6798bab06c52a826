"""Lines of the kernel while a job is recorded: its log, and its counter of OOM kills."""

import os
import re
import select
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

RECORD_BYTES = 8192
LOOK_MILLISECONDS = 5
COUNTED = re.compile(rb"^oom_kill (\d+)$", re.MULTILINE)
KILLED = re.compile(r"oom-kill:.*task_memcg=(\S*?),task=")
KEPT = re.compile(
    r"[^;]*;(oom-kill:|.*Killed process \d+ \(|\[ *pid *\]|\[ *\d+\] "
    r"|cgroup: fork rejected|.*: segfault at |traps: |audit: type=1326 )"
)
"""Records about kills, rejected forks and crashes; an OOM kill has some hundred others."""

REFUSED = "fork rejected by pids controller"
CRASHED = re.compile(r"\[(\d+)\](?:: segfault at | (?:trap )?[\w ]+ ip:)")

Line: TypeAlias = Mapping[str, Any]
Hear: TypeAlias = Callable[[list[dict[str, Any]]], None]


class KernelObserver(threading.Thread):
    """Reports each record of the kernel's log, and each increase of the counter, until it is ended.

    The log is read first, as the kernel writes it before it counts.
    """

    def __init__(self, hear: Hear) -> None:
        super().__init__(daemon=True)
        self._hear = hear
        self._ended = threading.Event()
        self._log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.lseek(self._log, 0, os.SEEK_END)
        self._counted = counted()

    def run(self) -> None:
        """Poll and report."""
        poller = select.poll()
        poller.register(self._log, select.POLLIN)
        while not self._ended.is_set():
            poller.poll(LOOK_MILLISECONDS)
            said = [record for record in records(self._log) if KEPT.match(record)]
            moved = self._moved()
            if said or moved:
                # Lines of one poll have one time.
                at_ns = time.time_ns()
                counted_line = {"counted": moved, "at_ns": at_ns}
                self._hear([*({"kmsg": record, "at_ns": at_ns} for record in said), counted_line])

    def end(self) -> None:
        """Stop, and close the log."""
        self._ended.set()
        self.join()
        os.close(self._log)

    def _moved(self) -> int:
        before, self._counted = self._counted, counted()
        return self._counted - before


def records(log: int) -> Iterator[str]:
    """Yield the new records, unchanged."""
    while True:
        try:
            yield os.read(log, RECORD_BYTES).decode(errors="replace").rstrip("\n")
        except BlockingIOError:
            return
        except BrokenPipeError:
            # Records were overwritten before they were read; the next read returns the oldest that is left.
            continue


def counted() -> int:
    """Return the number of OOM kills since the boot."""
    found = COUNTED.search(Path("/proc/vmstat").read_bytes())
    if found is None:
        raise LookupError("this kernel does not count its OOM kills (/proc/vmstat has no oom_kill)")
    return int(found[1])


def booted_ns() -> int:
    """Return the start of the log's clock, in nanoseconds since 1970."""
    return time.time_ns() - time.monotonic_ns()


def without_others(lines: Sequence[Line], containers: Sequence[str]) -> list[Line]:
    """Return the lines without those about limits and crashes of other processes."""
    pids = {str(line["inspect"]["State"]["Pid"]) for line in lines if line.get("inspect")}
    return [line for line in lines if _is_ours(line.get("kmsg", ""), containers, pids)]


def _is_ours(record: str, containers: Sequence[str], pids: Collection[str]) -> bool:
    if REFUSED in record:
        return _names_one(record, containers)
    crashed = CRASHED.search(record)
    return crashed is None or crashed[1] in pids


def foreign_kills(lines: Sequence[Line], containers: Sequence[str]) -> list[str]:
    """Return the control groups of other OOM kills meanwhile."""
    kills = [kill[1] for line in lines if (kill := KILLED.search(line.get("kmsg", "")))]
    others = [each for each in kills if not _names_one(each, containers)]
    unknown = sum(line.get("counted", 0) for line in lines) - len(kills)
    return [*others, *(["a kill without a line"] if unknown else [])]


def _names_one(text: str, containers: Sequence[str]) -> bool:
    return any(container in text for container in containers)
