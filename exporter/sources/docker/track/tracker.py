"""Puts the events, inspections and lists of one engine together into jobs that started or ended.

Each part of this package has one job; this module only hands what is received to the part that it concerns.
The events start and end runs in ``EngineState``; ended runs wait in ``PendingExits`` for late evidence, and
then leave through ``EngineState.drain``.

Nothing here reads a clock: ``now`` is passed in, in seconds, and never decreases. The only I/O is
``load_history``, called when a container is seen for the first time. An exit is counted from its ``die``
alone; inspections add to it, and are waited for no longer than ``pending_exits.INSPECT_SECONDS``.

Events may be received again, since an engine is asked for them with an overlap; they are recognised by
container and time. A list comes after all events that were received before it was made: what it shows and
they do not, no event will report any more.
"""

from __future__ import annotations

from collections.abc import Iterable

from exporter.model import Cursor, Job
from exporter.sources.docker.engine import (
    ContainerList,
    Event,
    EventGap,
    EventType,
    Inspection,
    KernelReport,
)
from exporter.sources.docker.messages import EventReceived, JobReported
from exporter.sources.docker.track.config import TrackerConfig
from exporter.sources.docker.track.container import Container
from exporter.sources.docker.track.containers import LoadHistory, LoadSubmissions
from exporter.sources.docker.track.crash_log import CrashLog
from exporter.sources.docker.track.failed_starts import FailedStarts
from exporter.sources.docker.track.kernel_facts import KernelFacts
from exporter.sources.docker.track.lifecycle import RunLifecycle
from exporter.sources.docker.track.oom_attribution import OomAttribution
from exporter.sources.docker.track.pending_exits import PendingExits
from exporter.sources.docker.track.reconcile import Reconciler
from exporter.sources.docker.track.run_events import RunEvents
from exporter.sources.docker.track.state import EngineState
from exporter.verdict.facts import EndedRun


class Tracker:
    """Tracks the containers of one engine; ``drain`` returns the outcomes.

    ``running`` are the jobs on record that have not ended there. ``cursor`` is the position on record, None
    if the engine was never watched.
    """

    def __init__(
        self,
        config: TrackerConfig,
        load_history: LoadHistory,
        running: Iterable[Job] = (),
        cursor: Cursor | None = None,
        load_containers_of_job: LoadSubmissions = lambda _job_name: frozenset(),
    ) -> None:
        self._connected_ns = 0
        crash_log = CrashLog()
        self._state = EngineState(config, load_history, cursor, load_containers_of_job)
        self._oom = OomAttribution(config)
        self._pending_exits = PendingExits(config, self._oom, crash_log)
        self._run_events = RunEvents(self._state, self._oom)
        self._kernel_facts = KernelFacts(
            self._state, self._pending_exits, self._oom, crash_log, self._run_events
        )
        self._lifecycle = RunLifecycle(self._state, self._pending_exits, self._oom)
        self._failed_starts = FailedStarts(self._state)
        self._reconciler = Reconciler(self._state, self._lifecycle, self._failed_starts)
        for job in sorted(running, key=lambda job: job.attempt):
            self._lifecycle.restore(job)

    @property
    def host(self) -> str:
        """Name shown for the host of its engine."""
        return self._state.config.host

    @property
    def next_due(self) -> float | None:
        """Time at which ``release_due`` must be called at the latest; None while nothing waits."""
        return self._pending_exits.next_due

    @property
    def cursor(self) -> Cursor | None:
        """Position before which every event has been handed over; None before the first list."""
        return self._state.checkpoint.cursor(self._pending_exits.die_event_times)

    @property
    def pruning_mark_ns(self) -> int:
        """Time before which records were deleted, by the engine's clock then."""
        return self._state.config.pruning_mark_ns()

    @property
    def is_idle(self) -> bool:
        """Whether no container runs, or may be starting."""
        return not any(container.may_run for container in self._state.containers)

    def drain(self) -> list[Job | EndedRun]:
        """Return jobs that started or changed since the last call, then runs that ended."""
        return self._state.drain()

    def release_due(self, now: float) -> None:
        """Emit the runs that need not wait any longer; to be called after everything else."""
        for run, oom_kill in self._oom.decide(now, self._pending_exits.runs):
            self._run_events.oom_decided(run, oom_kill)
        for ended in self._pending_exits.pop_due(now):
            self._state.emit_ended(ended)
            container = self._state.containers.get(ended.job.container_id)
            if container is not None:
                self._state.discard_if_done(container)

    # Events

    def resumed(self, cursor: Cursor, event_gap: EventGap = EventGap.NONE, *, now_ns: int = 0) -> None:
        """Continue at the cursor from which events are now read, at ``now_ns`` of the engine's clock.

        ``event_gap``: what was lost before.
        """
        self._connected_ns = now_ns
        self._state.checkpoint.resumed(cursor, event_gap)
        if event_gap is not EventGap.NONE:
            for container in self._state.containers:
                container.events_missed()
                self._failed_starts.events_missed(container)

    def event(self, received: EventReceived, now: float) -> None:
        """Take in an event; ``inspected`` and ``log_collected`` will be called, if it says so."""
        event, replayed = received.event, received.replayed
        if not event.container_id or self._may_be_pruned(received):
            return
        self._state.checkpoint.event_received(event.at_ns)
        containers = self._state.containers
        if containers.was_removed(event.container_id):
            return
        is_created = event.type is EventType.CREATE
        container = containers.get_or_create(
            event.container_id, is_new=is_created and not (replayed or received.ahead)
        )
        container.open_inspections += received.inspecting
        self._lifecycle.activate_restored(container, now, until_ns=event.at_ns if replayed else None)
        is_first = containers.mark_seen(event)
        if is_first:
            # Sent again after a gap, it does not say that all events since then were seen.
            container.seen_created |= is_created
            container.info.update_from_event(event)
            self._dispatch(container, event, now, replayed=replayed)
        elif event.type in {EventType.START, EventType.START_ATTEMPT_OVER}:
            self._failed_starts.already_concluded(container)
        container.end_reported(event.at_ns, replayed=replayed, log_pending=received.reading_log and is_first)

    def _may_be_pruned(self, received: EventReceived) -> bool:
        """Return whether an event was received before, and its record may have been deleted.

        Only what an engine replays after its clock was set back, or has come back: other records are kept.
        """
        at_ns = received.event.at_ns
        if received.ahead:
            return at_ns < self._state.config.pruning_mark_ns()
        return received.replayed and at_ns < self._state.pruned_before_ns(self._connected_ns)

    def _dispatch(self, container: Container, event: Event, now: float, *, replayed: bool) -> None:
        """Hand on an event that starts or ends something."""
        match event.type:
            case EventType.START_ATTEMPT:
                self._failed_starts.network_joined(container, event)
            case EventType.START_ATTEMPT_OVER:
                self._failed_starts.network_left(container, event, replayed=replayed)
            case EventType.START:
                self._lifecycle.start(container, event, now)
                self._emit_if_answered(container)
            case EventType.DIE:
                self._lifecycle.die(container, event, now)
            case EventType.DESTROY:
                self._lifecycle.destroy(container, event, now)
            case _:
                self._dispatch_within_run(container, event, now)

    def _dispatch_within_run(self, container: Container, event: Event, now: float) -> None:
        """Hand on an event during a run."""
        match event.type:
            case EventType.OOM:
                self._run_events.oom(container, event, now)
            case EventType.KILL:
                self._run_events.kill(container, event)
            case EventType.HEALTH:
                self._run_events.health(container, event)
            case EventType.STOP:
                self._run_events.stop(container, event)
            case EventType.RENAME if container.run is not None:
                self._state.emit_update(container.run)

    def caught_up(self, until_ns: int) -> None:
        """Record that all events up to a time have been taken in."""
        self._state.checkpoint.caught_up(until_ns)

    def oom_on_other_engine(self, container_id: str, at_ns: int, now: float) -> None:
        """Take in that another engine on the same host reports an OOM kill."""
        self._oom.other_engine_reported(container_id, at_ns, now)

    # Everything else that is received

    def inspected(self, container_id: str, inspection: Inspection | None, requested_ns: int) -> None:
        """Take in the inspection that the event at ``requested_ns`` announced; None if there is none."""
        container = self._state.containers.get(container_id)
        if container is None:
            return
        if container.open_inspections:
            container.open_inspections -= 1
        if inspection is not None:
            container.info.update_from_inspect(inspection)
            if container.start_attempt is not None:
                container.start_attempt.update_from_inspect(inspection, requested_ns)
            self._lifecycle.update_from_inspect(container, inspection)
            if container.run is not None and container.run.matches(inspection):
                self._state.emit_update(container.run)
        self._failed_starts.conclude_if_answered(container)
        self._emit_if_answered(container)

    def _emit_if_answered(self, container: Container) -> None:
        """Emit a run that started, once no inspection is outstanding."""
        if not container.open_inspections:
            self._state.emit_started(container.run)

    def start_failed(self, inspection: Inspection) -> None:
        """Take in an inspection of a container whose start has failed without an event."""
        container = self._state.containers.get(inspection.container_id)
        if container is not None:
            container.info.update_from_inspect(inspection)
            self._failed_starts.found_never_started(container, inspection)

    def log_collected(self, container_id: str, ended_ns: int, log_tail: str | None) -> None:
        """Take in the end of the log of the run that ended then; None if there is none."""
        container = self._state.containers.get(container_id)
        for run in container.pending_runs if container else ():
            if run.die_event_ns == ended_ns:
                run.log_tail, run.log_pending = log_tail, False

    def job_reported(self, reported: JobReported) -> None:
        """Take in what a supervisor has logged of the job in a run.

        A log may be read again, when its container is gone perhaps: an end that is known stays.
        """
        container = self._state.containers.get(reported.container_id)
        run = None if container is None else container.run_started_at(reported.since_ns)
        if run is None:
            return
        known = None if run.job_report is None else run.job_report.end
        if reported.report.end is not None or known is None:
            run.job_report = reported.report
        run.report_is_final |= reported.is_final
        if run.job_report is not None and run.job_report.end != known:
            self._state.emit_update(run)

    def kernel_reported(self, report: KernelReport) -> None:
        """Take in a report of the kernel on its OOM kills and on processes that it refused or ended."""
        self._kernel_facts.reported(report)

    def listed(self, listed: ContainerList, now: float) -> None:
        """Take in a list of all containers; it shows what ended or vanished unseen."""
        self._reconciler.listed(listed, now)
