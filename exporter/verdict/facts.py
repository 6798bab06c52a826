"""Facts that a source reports about an ended run. ``verdict.evidence`` reduces them to evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from exporter.frozen import frozen
from exporter.model import SECOND_NS, Job, JobEnd, JobReport, KillRequest, OomKill, OomVictim, Status


@dataclass(frozen=True, slots=True)
class KernelOomKill:
    """OOM kill in the kernel's log.

    ``container_id`` is None if the log names no container. ``named`` tells whether the log names a control
    group at all, so that without a container the process was in none: if there are many kills at once, the
    kernel leaves that line out.
    """

    at_ns: int
    container_id: str | None
    victim: OomVictim
    named: bool = True


@dataclass(frozen=True, slots=True)
class ForkRejected:
    """First fork that the kernel rejected because a container had reached its limit of processes.

    The kernel does not log later ones.
    """

    at_ns: int
    container_id: str


@dataclass(frozen=True, slots=True)
class Crash:
    """Fault for which the kernel sends a process a signal, as its log describes it.

    ``pid`` is the host's, also for a process in a container. ``fault`` is a description, ``module`` the file
    whose code was running, None if the log does not name it.
    """

    at_ns: int
    process: str
    pid: int
    signal: int
    fault: str
    module: str | None


@dataclass(frozen=True, slots=True)
class SeccompKill:
    """System call for which a seccomp profile killed a process. ``pid`` is the host's."""

    at_ns: int
    process: str
    pid: int
    signal: int
    syscall: int


@dataclass(frozen=True, slots=True)
class GpuFault:
    """Xid error that NVIDIA's driver logged.

    ``device`` is the PCI address of the GPU, ``text`` the driver's description. ``pid`` (the host's) and
    ``process`` are the process that used the GPU, None if the driver does not name it.
    """

    at_ns: int
    device: str
    xid: int
    pid: int | None
    process: str | None
    text: str


KernelFact = KernelOomKill | ForkRejected | Crash | SeccompKill | GpuFault


@frozen
class RunFacts:
    """All facts about a run that started and has ended.

    ``code`` is None if it is unknown. ``oom_window_ns`` and ``stop_window_ns`` are how long before the end an
    OOM kill or a stop request may be to explain it; ``stop_seconds`` is the stop timeout of the container,
    None for the engine's default. ``was_stopped`` is set if the engine reported a ``stop`` event.
    ``unhealthy_ns`` is the time since which the health check had failed at the end, None if it had not;
    ``health_output`` is the output of that check. ``inspected`` is set if the limits are known. ``pid`` is
    the host's process id of the container's process 1. ``facts`` are from the kernel's log, about this run or
    about processes that cannot be attributed. ``stopped_together`` is the number of containers that were
    asked to stop at the same time, if these were all containers that ran. ``hung`` is set if it was out of
    memory, but its OOM kills are disabled.
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
        """Duration of the run, None if its start is unknown."""
        return None if self.started_ns is None else max(0, self.ended_ns - self.started_ns)


@dataclass(frozen=True, slots=True)
class FailedStart:
    """Facts about a start that failed, so that nothing ran.

    ``error`` is the engine's text, empty if there is none. ``code`` is the code that the engine reports for
    the failed start, None if it reports none.
    """

    code: int | None
    ended_ns: int
    error: str
    oom_kills: Sequence[OomKill] = ()


@dataclass(frozen=True, slots=True)
class CountedRun:
    """Run that is known only because the engine counted a restart after it."""

    ended_ns: int
    code: None = None
    oom_kills: Sequence[OomKill] = ()


@dataclass(frozen=True, slots=True)
class UnwatchedRun:
    """Run whose engine, at the address ``engine``, was last watched at ``ended_ns`` and will not be again."""

    ended_ns: int
    engine: str
    code: None = None
    oom_kills: Sequence[OomKill] = ()


@dataclass(frozen=True, slots=True)
class SupervisedRun:
    """A container's run that a supervisor made for a job inside it: the job's end is what counts."""

    supervisor: str
    container: RunFacts
    report: JobReport

    @property
    def oom_kills(self) -> Sequence[OomKill]:
        """OOM kills in the container."""
        return self.container.oom_kills

    @property
    def is_final(self) -> bool:
        """Whether the job ended so that its supervisor does not try it again."""
        end = self.report.end
        return end is not None and end.status in {Status.DONE, Status.TERMINATED}

    def as_job(self, job: Job) -> Job:
        """Return the job with its own start, and without the requests after its end, which are not to it."""
        end = self.report.end
        if end is None:
            return job
        started_ns = job.started_ns if self.report.started_ns is None else self.report.started_ns
        kills = tuple(kill for kill in job.kills if kill.at_ns <= end.at_ns)
        return replace(job, started_ns=started_ns, kills=kills)


@dataclass(frozen=True, slots=True)
class NoContainer:
    """Job that ended before a container was made for it, as its supervisor's server reports."""

    supervisor: str
    end: JobEnd
    code: None = None
    oom_kills: Sequence[OomKill] = ()

    @property
    def ended_ns(self) -> int:
        """Time of its end."""
        return self.end.at_ns


@frozen
class EndedRun:
    """Ended job with the facts that its source reports; the first of three stages of an exit.

    ``facts.ended_ns`` is the engine's ``State.FinishedAt``, or the time of its event if that is all there is.
    ``recovered`` means that the end was found afterwards instead of being observed. ``log_tail`` is the end
    of the log, None if it was not read. ``event_ns`` is the time of the ``die`` event, None if there was
    none. ``not_known`` are sentences about what the source could not find out.
    """

    job: Job
    facts: RunFacts | FailedStart | CountedRun | UnwatchedRun | SupervisedRun | NoContainer
    recovered: bool = False
    log_tail: str | None = None
    event_ns: int | None = None
    not_known: tuple[str, ...] = ()
