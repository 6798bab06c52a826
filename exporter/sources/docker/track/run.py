"""One run of a container, from its start to its exit."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.exit_codes import UNKNOWN_STATUS
from exporter.model import SECOND_NS, Job, JobReport, KillRequest, OomKill
from exporter.sources.docker.engine import Inspection, MaskedField
from exporter.sources.docker.track.container_info import ContainerInfo
from exporter.verdict.facts import KernelFact

_MAX_KILLS = 1_000
_MAX_OOM_KILLS = 1_000
_MAX_FACTS = 100
# The engine may see the end of a very short run before it takes the time of its start.
_CLOCK_SKEW_NS = SECOND_NS


@dataclass(slots=True, eq=False)
class Run:
    """What is known of a run so far.

    Start: ``start_event_ns`` is the time of the ``start`` event; ``started_ns`` is ``State.StartedAt`` once
    ``start_confirmed``, the time of the event before, None if neither is known. ``start_seen``: an event has
    reported the start, otherwise a list or the record has. ``previous_run_ns`` is when the run before it
    began or ended, if known: a start up to then is not this run's. ``start_attempt_ns`` is when the attempt
    that led to it began. ``restarts`` is the engine's count at its start, None before the first inspection.
    ``is_emitted``: its job was handed over, so that updates of it are handed over as well. ``is_elsewhere``:
    its record is that of an engine at another address, and this engine has not shown that it has it. ``key``
    is fixed when a job is first made of it.

    While it runs: ``kills`` are requests to signal it, ``facts`` come from the kernel's log. ``oom_refuted``:
    an OOM event was found to report another's kill; ``oom_contested``: it could not be decided whose kill it
    reported. ``is_hung``: out of memory, and not killed for it (--oom-kill-disable). ``flag_was_set``: the
    engine's OOMKilled flag was set before this run could set it. ``unhealthy_ns`` is since when its health
    check fails, ``health_seen`` that an event has reported its health. ``missed_events``: events were lost
    while it ran. ``pid`` is its process 1 on the host.

    End: ``ended_ns`` is ``State.FinishedAt`` if ``end_confirmed``, else the time of the event; 0 while it
    runs. ``die_event_ns`` is the time of the ``die`` event, None without one; ``end_replayed``: that event
    came as a replay. ``exit_unknown``: its code can no longer be found out. ``code_unreliable``: an
    inspection may correct the code. ``lost_with_host``: the engine or its host went down. ``was_stopped``:
    the engine's stop command saw it end. ``stopped_together`` is the number of containers asked to stop with
    it, 0 if not all were. ``inspect_deadline`` and ``oom_deadline`` are how long the exit waits for an
    inspection or log, and for an OOM event. ``counter_moved_ns`` is when the kernel's OOM counter last moved
    before the end was reported. ``job_report`` is what a supervisor has logged of the job in it, as a whole
    if ``report_is_final``. ``is_finished``: it no longer waits, and was handed over as ended.
    """

    info: ContainerInfo
    number: int
    start_event_ns: int
    started_ns: int | None
    previous_run_ns: int | None = None
    start_attempt_ns: int | None = None
    start_seen: bool = False
    start_confirmed: bool = False
    is_emitted: bool = False
    is_elsewhere: bool = False
    key: str | None = None
    pid: int | None = None
    restarts: int | None = None
    kills: tuple[KillRequest, ...] = ()
    oom_kills: tuple[OomKill, ...] = ()
    oom_refuted: bool = False
    oom_contested: bool = False
    is_hung: bool = False
    facts: tuple[KernelFact, ...] = ()
    flag_was_set: bool = False
    unhealthy_ns: int | None = None
    health_seen: bool = False
    health_output: str = ""
    missed_events: bool = False
    code: int | None = None
    ended_ns: int = 0
    end_confirmed: bool = False
    die_event_ns: int | None = None
    end_replayed: bool = False
    exit_unknown: bool = False
    code_unreliable: bool = False
    lost_with_host: bool = False
    was_stopped: bool = False
    stopped_together: int = 0
    log_tail: str | None = None
    log_pending: bool = False
    job_report: JobReport | None = None
    report_is_final: bool = False
    inspect_deadline: float = 0.0
    report_deadline: float = 0.0
    oom_deadline: float = 0.0
    counter_moved_ns: int = 0
    is_finished: bool = False

    @classmethod
    def from_record(cls, info: ContainerInfo, job: Job, previous_run_ns: int | None, engine: str) -> Run:
        """Return the run of a job on record that had not ended there; ``engine`` is this one's address."""
        return cls(
            info,
            job.attempt,
            job.start_event_ns,
            job.started_ns,
            previous_run_ns,
            is_emitted=True,
            is_elsewhere=job.engine != engine,
            # Without an inspection, the time of the event was recorded as that of the start.
            start_confirmed=bool(job.key) and job.started_ns != job.start_event_ns,
            key=job.key,
            restarts=job.restarts,
            kills=job.kills,
            oom_kills=job.oom_kills,
            job_report=None if job.supervised is None else job.supervised.report,
        )

    @property
    def is_running(self) -> bool:
        """Whether nothing has reported its end."""
        return not self.ended_ns

    @property
    def end_seen(self) -> bool:
        """Whether an event has reported its end."""
        return self.die_event_ns is not None

    @property
    def start_ns(self) -> int:
        """The best known time of its start."""
        return self.start_event_ns if self.started_ns is None else self.started_ns

    @property
    def last_known_ns(self) -> int:
        """The latest time at which it is known to have been there."""
        return max(self.start_event_ns, self.ended_ns, self.die_event_ns or 0)

    def matches(self, inspection: Inspection) -> bool:
        """Return whether an inspection was made in or after this run, and before the next."""
        started_ns = inspection.started_ns
        if self.start_confirmed:
            return started_ns == self.started_ns
        return started_ns is not None and (self.previous_run_ns or 0) < started_ns <= self.last_known_ns

    def add_kill(self, kill: KillRequest) -> bool:
        """Record a kill request; return whether it is new."""
        is_new = len(self.kills) < _MAX_KILLS and kill not in self.kills
        if is_new:
            self.kills += (kill,)
        return is_new

    def add_oom_kill(self, oom_kill: OomKill) -> None:
        """Record an OOM kill of one of its processes."""
        if len(self.oom_kills) < _MAX_OOM_KILLS:
            self.oom_kills += (oom_kill,)

    def add_fact(self, fact: KernelFact) -> None:
        """Record a fact from the kernel's log."""
        if len(self.facts) < _MAX_FACTS:
            self.facts += (fact,)

    def update_from_inspect(self, inspection: Inspection) -> None:
        """Take over an inspection that matches this run."""
        self.restarts = inspection.restarts
        self.pid = inspection.pid or self.pid
        self.health_output = inspection.health_output or self.health_output
        if inspection.running and not self.end_seen:
            self._update_while_running(inspection)
        if not self.start_confirmed:
            if self.started_ns is None:
                self.start_event_ns = inspection.started_ns or self.start_event_ns
            self.started_ns, self.start_confirmed = inspection.started_ns, True

    def _update_while_running(self, inspection: Inspection) -> None:
        if not self.oom_kills and not self.start_confirmed:
            self.flag_was_set = inspection.oom_killed
        if inspection.healthy is False and not self.health_seen:
            # The inspection does not say since when.
            self.unhealthy_ns = inspection.started_ns

    def end(self, code: int | None, at_ns: int, *, seen: bool) -> None:
        """Record the end; ``seen``: an event has reported it. A code that a label may mask is dropped."""
        is_masked = seen and MaskedField.CODE in self.info.masked_fields
        self.code, self.ended_ns = None if is_masked else code, max(at_ns, self.start_event_ns)
        self.die_event_ns = self.ended_ns if seen else None
        # If its start was not seen, neither was whether a label masks the code.
        self.code_unreliable = not self.start_seen or self.code in {None, UNKNOWN_STATUS}

    def update_end(self, inspection: Inspection) -> None:
        """Take over the time, and the code if it was unreliable, from an inspection made after the end."""
        if self.code_unreliable and inspection.code is not None and not inspection.start_failed:
            self.code, self.code_unreliable = inspection.code, False
        self.confirm_end(inspection.finished_ns)

    def confirm_end(self, finished_ns: int | None) -> None:
        """Set the engine's own time of the end, unless it is missing or contradicts the start."""
        if finished_ns is not None and finished_ns >= self.start_ns - _CLOCK_SKEW_NS:
            self.ended_ns, self.end_confirmed = max(finished_ns, self.start_ns), True
