"""Reconciliation of a list of all containers with the state known from events."""

from __future__ import annotations

from exporter.exit_codes import SIGKILLED, START_FAILURES, UNKNOWN_STATUS
from exporter.model import OomKill, OomSource
from exporter.sources.docker.engine import ContainerList, EventGap, Inspection
from exporter.sources.docker.track.container import Container
from exporter.sources.docker.track.failed_starts import FailedStarts
from exporter.sources.docker.track.job import make_job
from exporter.sources.docker.track.lifecycle import RunLifecycle
from exporter.sources.docker.track.run import Run
from exporter.sources.docker.track.state import EngineState
from exporter.verdict.facts import CountedRun, EndedRun


class Reconciler:
    """Finds in a list the runs that started or ended unseen, and the containers that are gone."""

    def __init__(self, state: EngineState, lifecycle: RunLifecycle, failed_starts: FailedStarts) -> None:
        self._state = state
        self._lifecycle = lifecycle
        self._failed_starts = failed_starts
        # Of the list that is taken in.
        self._as_of_ns = 0

    def listed(self, listed: ContainerList, now: float) -> None:
        """Take in a list; all events that were received before it was made must have been taken in."""
        self._as_of_ns = listed.as_of_ns
        containers = self._state.containers
        for container in containers:
            self._lifecycle.activate_restored(container, now)
            self._failed_starts.release_held(container)
        for inspection in listed.containers:
            if containers.was_removed(inspection.container_id):
                continue
            # With its record, before it is asked what may have been deleted: that may happen meanwhile.
            container = containers.get_or_create(inspection.container_id)
            if not self._is_too_old(container, inspection):
                self._container_found(container, inspection, listed, now)
        present = listed.seen_ids | {inspection.container_id for inspection in listed.containers}
        for container in containers:
            if container.id not in present:
                self._container_missing(container, listed.as_of_ns, now)
            elif container.run is not None and container.run.is_elsewhere:
                self._claim(container.run)
            self._state.discard_if_done(container)
        self._state.checkpoint.listed(listed.as_of_ns)
        # Nothing tells when all was sent again that the engine's clock, since set back, has not reached.
        if listed.event_gap is not EventGap.CLOCK_SET_BACK:
            containers.forget_recorded()
        # What ends from now on ends while the kernel is polled.
        self._state.earlier_oom_kills.clear()

    def _is_too_old(self, container: Container, inspection: Inspection) -> bool:
        """Return whether a container exited so long ago that its record may have been deleted."""
        ended_ns = inspection.created_ns if inspection.started_ns is None else inspection.finished_ns
        if inspection.running or ended_ns is None or container.run is not None:
            return False
        if ended_ns > self._as_of_ns:
            # In the engine's future: before its clock was set back.
            return ended_ns < self._state.config.pruning_mark_ns()
        return ended_ns < self._kept_since_ns()

    def _kept_since_ns(self) -> int:
        """Return since when every exit that was counted is on record; of a new engine, none was counted.

        Not by the retention alone: it deletes nothing that was not read, and an outage may be longer.
        """
        state, pruned_before_ns = self._state, self._state.pruned_before_ns(self._as_of_ns)
        if not state.config.retention_ns or not state.checkpoint.is_new:
            return pruned_before_ns
        return max(pruned_before_ns, self._as_of_ns - state.config.retention_ns)

    def _container_missing(self, container: Container, as_of_ns: int, now: float) -> None:
        """End the run of a container that the engine no longer has."""
        container.removed = True
        if container.run is not None and container.run.is_elsewhere:
            # Of another engine on this host: what became of it is said when all engines are listed.
            container.run = None
        if container.run is not None:
            self._lifecycle.end_unknown(container, max(as_of_ns, container.run.start_event_ns), now)

    def _claim(self, run: Run) -> None:
        """Record a run as this engine's, which has a new address."""
        run.is_elsewhere = False
        self._state.emit_update(run)

    def _container_found(
        self, container: Container, inspection: Inspection, listed: ContainerList, now: float
    ) -> None:
        container.info.update_from_inspect(inspection)
        run, started_ns = container.run, inspection.started_ns
        if started_ns is None:
            self._failed_starts.found_never_started(container, inspection)
        elif run is not None and run.matches(inspection) and not _is_outdated(inspection, listed, run):
            self._update_run(container, run, inspection, listed, now)
        elif container.is_recorded(started_ns):
            self._lifecycle.update_from_inspect(container, inspection)
            self._failed_starts.found_after_run(container, inspection, listed.as_of_ns)
        elif run is not None and started_ns < run.start_event_ns:
            self._add_run_before(container, run, inspection, now)
        else:
            self._lifecycle.end_unknown(container, started_ns, now)
            run = self._begin(container, inspection, started_ns, now)
            self._update_run(container, run, inspection, listed, now)

    def _update_run(
        self, container: Container, run: Run, inspection: Inspection, listed: ContainerList, now: float
    ) -> None:
        """Update the run that goes on; end it if the list shows that it has ended."""
        run.restarts = inspection.restarts
        if inspection.running:
            run.update_from_inspect(inspection)
            self._state.emit_started(run)
            return
        was_lost = inspection.code == UNKNOWN_STATUS
        run.lost_with_host = was_lost and listed.events_complete and not self._state.checkpoint.is_new
        self._end(container, inspection, now)
        self._failed_starts.found_after_run(container, inspection, listed.as_of_ns)

    def _add_run_before(self, container: Container, run: Run, inspection: Inspection, now: float) -> None:
        """Add a run that only the list shows, of a container that has been started again since."""
        container.run = None
        self._begin(container, inspection, inspection.started_ns or 0, now)
        self._end(container, inspection, now)
        container.run = run

    def _begin(self, container: Container, inspection: Inspection, started_ns: int, now: float) -> Run:
        """Start the run that a list shows, after the runs before it that are known only from their count."""
        for before in range(self._missed_runs(container, inspection), 0, -1):
            # Their times are not known. One nanosecond apart, just before the run in the list, they are in
            # order, and each has a key of its own.
            self._add_counted_run(container, started_ns - before, inspection.restarts - before)
        run = self._lifecycle.begin(container, started_ns, started_ns)
        run.start_confirmed, run.restarts = True, inspection.restarts
        self._lifecycle.claim_unmatched(container, run, started_ns, now)
        return run

    def _add_counted_run(self, container: Container, at_ns: int, restarts: int) -> None:
        run = self._lifecycle.begin(container, at_ns, None)
        run.restarts = restarts
        container.run, container.last_end_ns = None, at_ns
        self._state.emit_ended(EndedRun(make_job(run, self._state.config), CountedRun(at_ns), recovered=True))

    def _end(self, container: Container, inspection: Inspection, now: float) -> None:
        """End a run with the code that a list shows, unless a failed start has overwritten it since."""
        is_overwritten = inspection.start_failed and inspection.code in START_FAILURES
        start_event_ns = container.run.start_event_ns if container.run else 0
        code = None if is_overwritten else inspection.code
        if code == SIGKILLED and container.run is not None:
            self._explain_by_earlier_kill(container.run, inspection.finished_ns or 0)
        self._lifecycle.end(container, code, inspection.finished_ns or start_event_ns, now, seen=False)
        self._lifecycle.update_from_inspect(container, inspection)

    def _explain_by_earlier_kill(self, run: Run, ended_ns: int) -> None:
        """Add the OOM kill at the end of a run that the kernel had logged while nobody was watching."""
        kill = self._state.earlier_oom_kills.get(run.info.id)
        if kill is None or run.oom_kills:
            return
        # The log's clock may be far off, and the kill that of a run before.
        is_near_end = abs(ended_ns - kill.at_ns) <= self._state.config.oom_window_ns
        if is_near_end and kill.at_ns >= run.start_ns:
            run.add_oom_kill(OomKill(OomSource.LOG, kill.at_ns, kill.victim))

    def _missed_runs(self, container: Container, inspection: Inspection) -> int:
        """Return how many runs there were between the last one known and the one in the list."""
        restarts, known = inspection.restarts, container.restarts
        is_new = self._state.checkpoint.is_new
        if not container.run_count:
            if is_new:
                # Those runs were before the engine was watched: they are numbered, but not counted.
                container.run_count = restarts
            return 0 if is_new or self._may_be_pruned(inspection) else restarts
        if known is None:
            return 0
        # The engine counts its restarts since the latest start by hand.
        return restarts - known - 1 if restarts > known else restarts

    def _may_be_pruned(self, inspection: Inspection) -> bool:
        """Return whether earlier runs may have been counted and their records deleted."""
        return inspection.created_ns < self._state.pruned_before_ns(self._as_of_ns)


def _is_outdated(inspection: Inspection, listed: ContainerList, run: Run) -> bool:
    """Return whether the container was started after it was inspected for the list."""
    has_events = inspection.container_id in listed.seen_ids and run.start_seen
    return has_events and not inspection.running and (inspection.finished_ns or 0) < run.start_event_ns
