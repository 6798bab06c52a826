"""Parser of the kernel's log: records of ``/dev/kmsg`` in, facts out. It reads nothing by itself.

Source: the kernel's ``Documentation/ABI/testing/dev-kmsg``, ``mm/oom_kill.c``, ``arch/x86``,
``kernel/cgroup/pids.c`` and ``kernel/auditsc.c``, NVIDIA's list of Xids, and what kernels were seen to write.
Users choose the names of processes: one may be called ``x) total-vm:1`` or ``[1] trap``. A name has at most
fifteen bytes, so each pattern requires more fixed text after a name than fits into one.
"""

from __future__ import annotations

import re
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from exporter.model import LimitOwner, OomVictim
from exporter.text import sanitize
from exporter.verdict.facts import Crash, ForkRejected, GpuFault, KernelFact, KernelOomKill, SeccompKill

_HOST_CGROUP = "/"
_KILL_PREFIX = "oom-kill:"
# The kernel cuts its records at about 1000 characters.
_MAX_LINE = 8192
_KIB = 1024
# A kill of a whole control group logs its first victim twice, the second time among the others.
_RECENT_PIDS = 64
# Only the kernel has facility 0: it changes that number in records that are written to the device.
_RECORD = re.compile(rb"([0-7]),\d{1,20},(\d{1,17}),([^;,]*)[^;\n]*;([^\n]*)")
_CONTINUED = (b"c", b"+")
_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")
_CONTAINER = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_KILL = re.compile(
    r"oom-kill:constraint=CONSTRAINT_(?P<constraint>[A-Z_]{1,20}),.*?"
    r"(?:,oom_memcg=(?P<limited>.*?)|,global_oom),task_memcg=(?P<cgroup>.*?)"
    r",task=(?P<process>.{0,60}),pid=(?P<pid>\d{1,10}),uid=\d+$"
)
_KILLED = re.compile(
    r"(?:(?P<whose>Out of memory|Memory cgroup out of memory)(?: \(\w+\))?: )?"
    r"Killed process (?P<pid>\d{1,10}) \((?P<process>.*)\)(?:, UID \d+,)? "
    r"total-vm:\d+kB, anon-rss:(?P<rss>\d{1,15})kB"
)
_TABLE = re.compile(r"\[ *pid *\] +(uid +tgid +total_vm +rss .*)name$")
_ROW = re.compile(r"\[ *(?P<pid>\d{1,10})\] +\d+ +(?P<tgid>\d{1,10}) +\d+ +(?P<rss>\d{1,15}) ")
_SEGFAULT = re.compile(
    r"(?P<process>.{0,60}?)\[(?P<pid>\d{1,10})\]: segfault at (?P<address>[0-9a-f]{1,16}) "
    r"ip [0-9a-f]+ sp [0-9a-f]+ error (?P<error>[0-9a-f]{1,8})"
)
_TRAP = re.compile(
    r"traps: (?P<process>.{0,60}?)\[(?P<pid>\d{1,10})\] (?:trap )?(?P<trap>[A-Za-z0-9 ]{1,40}) "
    r"ip:[0-9a-f]+ sp:[0-9a-f]+ error:[0-9a-f]+"
)
_MODULE = re.compile(r" in (.+?)\[(?:[0-9a-f]+,)?[0-9a-f]+\+[0-9a-f]+\]")
_BAD_MEMORY = re.compile(
    r"(?:MCE|Memory failure: 0x[0-9a-f]+): Killing (?P<process>.{0,60}):(?P<pid>\d{1,10}) "
    r"due to hardware memory corruption"
)
_FORK = re.compile(r"cgroup: fork rejected by pids controller in (/.*)$")
_SECCOMP = re.compile(
    r"audit: type=1326 audit\(.*? pid=(?P<pid>\d{1,10}) "
    r"comm=(?:\"(?P<process>[^\"]*)\"|(?P<hex>(?:[0-9A-F]{2})+)) .*?"
    r" sig=(?P<signal>\d{1,3}) arch=[0-9a-f]+ syscall=(?P<syscall>-?\d{1,10}) "
)
_XID = re.compile(
    r"NVRM: Xid \((?:PCI:)?(?P<device>[0-9A-Fa-f:.]{1,40})\): (?P<xid>\d{1,5})(?:, (?P<rest>.*))?$"
)
_XID_USER = re.compile(r"pid='?(?P<pid>\d{1,10}|<unknown>)'?(?:, name=(?P<process>.*?))?(?:, (?P<text>.*))?$")
_UNKNOWN = "<unknown>"
# arch/x86/include/asm/trap_pf.h
_WRITING, _EXECUTING = 0x2, 0x10
_TRAP_SIGNALS = {
    "divide error": signal.SIGFPE,
    "int3": signal.SIGTRAP,
    "debug": signal.SIGTRAP,
    "overflow": signal.SIGSEGV,
    "bounds": signal.SIGSEGV,
    "invalid opcode": signal.SIGILL,
    "coprocessor segment overrun": signal.SIGFPE,
    "invalid TSS": signal.SIGSEGV,
    "segment not present": signal.SIGBUS,
    "stack segment": signal.SIGBUS,
    "alignment check": signal.SIGBUS,
    "general protection": signal.SIGSEGV,
    "general protection fault": signal.SIGSEGV,
}


@dataclass(frozen=True, slots=True)
class _Largest:
    """Largest process so far of a table; ``columns`` is the number of columns before the name."""

    columns: int
    pids: frozenset[str] = frozenset()
    pages: int = -1
    process: str = ""

    def larger_of(self, row: re.Match[str]) -> _Largest:
        """Return the larger process, this one or that of the row."""
        pages, cells = int(row["rss"]), row.string.partition("]")[2].split(maxsplit=self.columns)
        if pages <= self.pages:
            return self
        # A name may consist of blanks, or be empty.
        process = cells[self.columns] if len(cells) > self.columns else ""
        return _Largest(self.columns, frozenset((row["pid"], row["tgid"])), pages, _unescape(process))


class KmsgParser:
    """Parses the records of a log in their order; ``page_bytes`` is the size of a memory page.

    The log of an OOM kill has several lines: a table of processes, a line with the control group, and a line
    with the size of the victim. With many kills at once, the kernel writes only the last of these.
    """

    def __init__(self, page_bytes: int) -> None:
        self._page_bytes = page_bytes
        self._largest: _Largest | None = None
        self._partial = ""
        self._kill: KernelOomKill | None = None
        self._reported_pids: deque[int] = deque(maxlen=_RECENT_PIDS)

    def parse(self, records: Iterable[bytes], time_ns: Callable[[int], int]) -> Iterator[KernelFact]:
        """Yield the facts of the next records; ``time_ns`` converts microseconds of the log's clock.

        A kill without its last line is yielded too, since an exit may be waiting for the fact.
        """
        for record in records:
            parts = _RECORD.match(record)
            if parts:
                text = self._join(parts[4].decode("latin-1"), is_continued=parts[3] in _CONTINUED)
                yield from self._parse_line(text, time_ns(int(parts[2])))
        yield from self._finish_kill()

    def _join(self, text: str, *, is_continued: bool) -> str:
        """Return the line with its beginning: lines of other CPUs may come between its pieces."""
        if is_continued and self._partial:
            text = self._partial + text
        if text.startswith(_KILL_PREFIX):
            self._partial = "" if _KILL.match(text) else text[:_MAX_LINE]
        return text

    def _parse_line(self, text: str, at_ns: int) -> Iterator[KernelFact]:
        if kill := _KILL.match(text):
            yield from self._finish_kill()
            self._kill = self._start_kill(kill, at_ns)
        elif killed := _KILLED.match(text):
            yield from self._end_kill(killed, at_ns)
        elif table := _TABLE.match(text):
            self._largest = _Largest(len(table[1].split()))
        elif self._largest is not None and (row := _ROW.match(text)):
            self._largest = self._largest.larger_of(row)
        else:
            yield from (fact for parse in _PARSERS if (fact := parse(text, at_ns)) is not None)

    def _start_kill(self, line: re.Match[str], at_ns: int) -> KernelOomKill:
        """Return the kill that a line with a control group begins."""
        container_id, cgroup = innermost_container(line["cgroup"]), line["limited"]
        if cgroup is None or line["constraint"] != "MEMCG":
            limit, cgroup = LimitOwner.HOST, _HOST_CGROUP
        elif cgroup == line["cgroup"] or (
            container_id is not None and innermost_container(cgroup) == container_id
        ):
            limit = LimitOwner.OWN
        else:
            limit = LimitOwner.PARENT
        largest = self._take_largest(line["pid"])
        victim = OomVictim(
            limit, _unescape(cgroup), _unescape(line["process"]), int(line["pid"]), largest=largest
        )
        return KernelOomKill(at_ns, container_id, victim)

    def _take_largest(self, victim: str) -> tuple[str, int] | None:
        largest, self._largest = self._largest, None
        if largest is None or victim in largest.pids or largest.pages < 0:
            return None
        return largest.process, largest.pages * self._page_bytes

    def _end_kill(self, line: re.Match[str], at_ns: int) -> Iterator[KernelOomKill]:
        """Yield the kill that a line completes, or that only this line reports."""
        pid, rss_bytes, self._partial = int(line["pid"]), int(line["rss"]) * _KIB, ""
        if self._kill is not None and self._kill.victim.pid == pid:
            self._kill = replace(self._kill, victim=replace(self._kill.victim, rss_bytes=rss_bytes))
        yield from self._finish_kill()
        if pid not in self._reported_pids:
            is_host = line["whose"] == "Out of memory"
            limit, cgroup = (LimitOwner.HOST, _HOST_CGROUP) if is_host else (None, "")
            victim = OomVictim(limit, cgroup, _unescape(line["process"]), pid, rss_bytes)
            self._kill = KernelOomKill(at_ns, None, victim, named=False)
            yield from self._finish_kill()

    def _finish_kill(self) -> Iterator[KernelOomKill]:
        kill, self._kill = self._kill, None
        if kill is not None:
            self._reported_pids.append(kill.victim.pid)
            yield kill


def _fork_rejected(text: str, at_ns: int) -> ForkRejected | None:
    line = _FORK.match(text)
    container_id = innermost_container(line[1]) if line else None
    return ForkRejected(at_ns, container_id) if container_id else None


def _segfault(text: str, at_ns: int) -> Crash | None:
    line = _SEGFAULT.match(text)
    if not line:
        return None
    error = int(line["error"], 16)
    access = "executing" if error & _EXECUTING else "writing" if error & _WRITING else "reading"
    return _crash(line, at_ns, signal.SIGSEGV, f"segfault at address 0x{line['address']}, {access}")


def _trap(text: str, at_ns: int) -> Crash | None:
    line = _TRAP.match(text)
    number = _TRAP_SIGNALS.get(line["trap"]) if line else None
    return _crash(line, at_ns, number, line["trap"]) if line and number else None


def _bad_memory(text: str, at_ns: int) -> Crash | None:
    line = _BAD_MEMORY.match(text)
    return _crash(line, at_ns, signal.SIGBUS, "hardware memory corruption") if line else None


def _crash(line: re.Match[str], at_ns: int, number: int, fault: str) -> Crash:
    module = _MODULE.match(line.string, line.end())
    name = _unescape(module[1]) if module else None
    return Crash(at_ns, _unescape(line["process"]), int(line["pid"]), int(number), fault, name)


def _seccomp_kill(text: str, at_ns: int) -> SeccompKill | None:
    """Return a system call that was answered with a signal; without a signal it was only logged."""
    line = _SECCOMP.match(text)
    if not line or int(line["signal"]) == 0:
        return None
    name = line["process"]
    process = (
        _unescape(name) if name is not None else sanitize(bytes.fromhex(line["hex"]).decode(errors="replace"))
    )
    return SeccompKill(at_ns, process, int(line["pid"]), int(line["signal"]), int(line["syscall"]))


def _gpu_fault(text: str, at_ns: int) -> GpuFault | None:
    line = _XID.match(text)
    if not line:
        return None
    user = _XID_USER.match(line["rest"] or "")
    pid, process = (user["pid"], user["process"]) if user else (_UNKNOWN, None)
    description = user["text"] if user else line["rest"]
    return GpuFault(
        at_ns,
        device=line["device"],
        xid=int(line["xid"]),
        pid=None if pid == _UNKNOWN else int(pid),
        process=None if process in {None, _UNKNOWN} else _unescape(process),
        text=_unescape(description or ""),
    )


_PARSERS: tuple[Callable[[str, int], KernelFact | None], ...] = (
    _fork_rejected,
    _segfault,
    _trap,
    _bad_memory,
    _seccomp_kill,
    _gpu_fault,
)


def innermost_container(cgroup: str) -> str | None:
    """Return the id of the innermost container in a control group's path, or None."""
    ids: list[str] = _CONTAINER.findall(cgroup)
    return ids[-1] if ids else None


def _unescape(text: str) -> str:
    """Return text without the log's escapes, sanitized."""
    raw = _ESCAPED.sub(lambda escaped: bytes([int(escaped[1], 16)]), text.encode("latin-1"))
    return sanitize(raw.decode(errors="replace"))
