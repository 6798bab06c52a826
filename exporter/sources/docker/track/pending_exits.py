"""Runs that have ended, while late evidence may still change their verdict."""

from __future__ import annotations

from dataclasses import replace

from exporter.model import JobReport
from exporter.sources.docker.messages import LOG_END_SECONDS
from exporter.sources.docker.track.config import TrackerConfig
from exporter.sources.docker.track.container import Container
from exporter.sources.docker.track.crash_log import CrashLog
from exporter.sources.docker.track.job import make_job
from exporter.sources.docker.track.oom_attribution import OomAttribution, priority
from exporter.sources.docker.track.run import Run
from exporter.sources.docker.track.run_facts import run_facts, unknowns
from exporter.verdict.facts import EndedRun, RunFacts, SupervisedRun
from exporter.verdict.stop_requests import needs_stop_event

# How long an exit waits for an inspection or log that was requested.
INSPECT_SECONDS = 2.0
# Longer than the watcher reads a log after the end of its container.
REPORT_SECONDS = LOG_END_SECONDS + 1.0


class PendingExits:
    """Runs that have ended and were not handed over, in the order of their ends."""

    def __init__(self, config: TrackerConfig, oom: OomAttribution, crash_log: CrashLog) -> None:
        self._config = config
        self._oom = oom
        self._crash_log = crash_log
        self._containers: dict[Run, Container] = {}

    @property
    def next_due(self) -> float | None:
        """Time at which the next run can be handed over, or the next OOM kill decided; None if none waits."""
        dues = [self._due(run) for run in self._containers]
        if self._oom.next_due is not None:
            dues.append(self._oom.next_due)
        return min(dues, default=None)

    @property
    def runs(self) -> list[Run]:
        """The runs that wait."""
        return list(self._containers)

    @property
    def die_event_times(self) -> list[int]:
        """Times of the events that reported the ends."""
        return [run.die_event_ns for run in self._containers if run.die_event_ns is not None]

    def find(self, pid: int) -> Run | None:
        """Return the run whose process 1 had this id on the host."""
        return next((run for run in self._containers if run.pid == pid), None)

    def add(self, container: Container, run: Run, now: float) -> None:
        """Add a run that has just ended."""
        run.inspect_deadline = now + INSPECT_SECONDS
        run.report_deadline = now + REPORT_SECONDS
        run.oom_deadline = now + self._config.oom_seconds
        container.pending_runs += (run,)
        self._containers[run] = container
        self._oom.run_ended(run)

    def pop_due(self, now: float) -> list[EndedRun]:
        """Return the runs that need not wait any longer, and forget them."""
        due = [run for run in self._containers if self._due(run) <= now]
        # The most likely victim first: a counted kill is then gone for the others.
        ended = {run: self._pop(run) for run in sorted(due, key=priority, reverse=True)}
        return [ended[run] for run in due]

    def _due(self, run: Run) -> float:
        """Return until when a run waits; a time in the past if nothing can change its verdict."""
        due = 0.0
        if self._containers[run].open_inspections or run.log_pending:
            due = run.inspect_deadline
        if self._waits_for_report(run):
            due = max(due, run.report_deadline)
        # Last, since it takes longest to find out: with many exits, nearly all wait for an inspection.
        if run.oom_deadline > due and self._may_change(run):
            due = run.oom_deadline
        return due

    def _waits_for_report(self, run: Run) -> bool:
        """Return whether the log of its supervisor is still being read."""
        is_read = self._config.reads_job_logs and run.info.supervised is not None
        return is_read and not (run.report_is_final or run.exit_unknown)

    def _may_change(self, run: Run) -> bool:
        """Return whether an OOM event or the end of a stop command may still come, and would matter."""
        if self._oom.may_change(run):
            return True
        return bool(run.kills) and needs_stop_event(run_facts(run, self._config))

    def _pop(self, run: Run) -> EndedRun:
        self._containers.pop(run).finish(run)
        self._oom.attribute_counted(run, self._containers)
        crashes = self._crash_log.before_exit(run.code, run.ended_ns)
        facts = run_facts(run, self._config, crashes)
        reported = self._with_report(run, facts)
        job = make_job(run, self._config)
        return EndedRun(
            reported.as_job(job) if isinstance(reported, SupervisedRun) else job,
            reported,
            recovered=run.end_replayed or not run.end_seen,
            log_tail=run.log_tail,
            event_ns=run.die_event_ns,
            not_known=tuple(unknowns(run, facts, self._config)),
        )

    def _with_report(self, run: Run, facts: RunFacts) -> RunFacts | SupervisedRun:
        """Return the facts with what the supervisor of the container has reported, if it has one."""
        report = run.job_report or JobReport()
        if run.info.supervised is None:
            return facts
        if report.end is None and (run.exit_unknown or run.lost_with_host):
            return facts
        if report.end is None and not (run.report_is_final or report.unreadable):
            cause = (
                "it was not read to its end"
                if self._config.reads_job_logs
                else "it is not read (see the settings)"
            )
            report = replace(report, unreadable=cause)
        return SupervisedRun(run.info.supervised.supervisor, facts, report)
