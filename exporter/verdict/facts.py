"""Facts that a source knows about a run that has ended. Evidence is made of them in ``verdict.evidence``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from exporter.model import SECOND_NS, Job, KillRequest, OomKill, OomVictim


@dataclass(frozen=True, slots=True)
class KernelOomKill:
    """The kernel killed a process for memory; ``container_id`` is None where its log names no container.

    Where it is ``named``, that is a process in no container. Otherwise nobody knows: in crowds the kernel
    leaves out the line that names the control group.
    """

    at_ns: int
    container_id: str | None
    victim: OomVictim
    named: bool = True


@dataclass(frozen=True, slots=True)
class ForkRejected:
    """A container reached its limit of processes; the kernel says so of its first rejected fork only."""

    at_ns: int
    container_id: str


@dataclass(frozen=True, slots=True)
class Crash:
    """A process did what gets it a signal; ``pid`` is the host's, also of a process in a container.

    ``fault`` is in words; ``module`` is the file whose code was running, None where the line names none.
    """

    at_ns: int
    process: str
    pid: int
    signal: int
    fault: str
    module: str | None


@dataclass(frozen=True, slots=True)
class SeccompKill:
    """A process made a system call that its seccomp profile answers with a signal; numbers are the host's."""

    at_ns: int
    process: str
    pid: int
    signal: int
    syscall: int


@dataclass(frozen=True, slots=True)
class GpuFault:
    """NVIDIA's driver reported an Xid; ``device`` is the GPU's PCI address, ``text`` the driver's own words.

    ``pid`` (the host's) and ``process`` are those that used it, None where the driver names none.
    """

    at_ns: int
    device: str
    xid: int
    pid: int | None
    process: str | None
    text: str


KernelFact = KernelOomKill | ForkRejected | Crash | SeccompKill | GpuFault


@dataclass(frozen=True, slots=True)
class RunFacts:
    """All that was seen of a run that has ended.

    ``was_stopped``: the engine's stop command has seen it end. ``stop_window_ns`` is for how long after it a
    request explains an end, ``stop_seconds`` how long the container wants to be given. ``unhealthy_ns`` is
    since when its health check had failed at the end, None if it had not. ``inspected``: the limits are
    known. ``pid`` is process 1 on the host. ``facts`` are what the kernel's log says of this run, or of
    processes of which it cannot be told whose they are. ``stopped_together`` is of how many containers the
    engine was asked for the end at the same time, if these were all that ran. ``hung``: it was out of memory,
    and may not be killed for that.
    """

    code: int | None
    ended_ns: int
    kills: Sequence[KillRequest]
    oom_kills: Sequence[OomKill]
    stop_signal: int
    oom_window_ns: int
    started_ns: int | None = None
    lost_with_host: bool = False
    stop_window_ns: int = 60 * SECOND_NS
    stop_seconds: int | None = None
    was_stopped: bool = False
    unhealthy_ns: int | None = None
    health_output: str = ""
    inspected: bool = False
    memory_limit_bytes: int | None = None
    cgroup_parent: str = ""
    pids_limit: int | None = None
    pid: int | None = None
    facts: Sequence[KernelFact] = ()
    stopped_together: int = 0
    hung: bool = False

    @property
    def ran_ns(self) -> int | None:
        """How long it ran, if that is known."""
        return None if self.started_ns is None else max(0, self.ended_ns - self.started_ns)


@dataclass(frozen=True, slots=True)
class FailedStart:
    """A start that failed: nothing ran.

    ``error`` is the engine's own text, empty where there is none. ``code`` is the code that the engine
    reports for the failed start, None where it reports none.
    """

    code: int | None
    ended_ns: int
    error: str
    oom_kills: Sequence[OomKill] = ()


@dataclass(frozen=True, slots=True)
class CountedRun:
    """A run of which nothing is known except that the engine counted a restart after it."""

    ended_ns: int
    code: None = None
    oom_kills: Sequence[OomKill] = ()


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A job that has ended, as its source reports it: with facts, and not yet classified.

    ``facts.ended_ns`` is the engine's ``State.FinishedAt``, or the time of its event where that is all there
    is. ``event_ns`` is the time of that event, None where there was none. ``recovered``: the end was not seen
    when it happened and was found afterwards. ``log_tail`` is the end of its log, None where it was not read.
    ``not_known`` are sentences about what the source could not find out.
    """

    job: Job
    facts: RunFacts | FailedStart | CountedRun
    recovered: bool = False
    log_tail: str | None = None
    event_ns: int | None = None
    not_known: tuple[str, ...] = ()
