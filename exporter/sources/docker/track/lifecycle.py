"""Starts and ends of runs."""

from __future__ import annotations

from exporter.model import SECOND_NS, Job, KillRequest, OomKill, OomSource
from exporter.sources.docker.engine import Event, Inspection
from exporter.sources.docker.track.container import NO_NETWORKS, Container
from exporter.sources.docker.track.oom_attribution import OomAttribution
from exporter.sources.docker.track.pending_exits import PendingExits
from exporter.sources.docker.track.run import Run
from exporter.sources.docker.track.state import EngineState
from exporter.verdict.facts import ForkRejected

# A line of the kernel's log can be read before the event of the start that precedes it.
_START_DELAY_NS = SECOND_NS


class RunLifecycle:
    """Starts, restores and ends the runs of containers, and fills them in from inspections."""

    def __init__(self, state: EngineState, pending_exits: PendingExits, oom: OomAttribution) -> None:
        self._state = state
        self._pending_exits = pending_exits
        self._oom = oom

    # Runs on record

    def restore(self, job: Job) -> None:
        """Restore the run of a job that is on record as running."""
        container = self._state.containers.get_or_create(job.container_id)
        container.info.update_from_record(job)
        last_end_ns = container.last_end_ns
        previous_run_ns = (
            last_end_ns if last_end_ns is not None and last_end_ns < job.start_event_ns else None
        )
        run = Run.from_record(container.info, job, previous_run_ns, self._state.config.engine)
        container.restored_runs += (run,)

    def activate_restored(self, container: Container, now: float, *, until_ns: int | None = None) -> None:
        """Continue with the last restored run, or with the last one that began by ``until_ns``."""
        while container.restored_runs and (
            until_ns is None or container.restored_runs[0].start_event_ns <= until_ns
        ):
            run, *later = container.restored_runs
            container.restored_runs = tuple(later)
            self.end_unknown(container, run.start_event_ns, now)
            container.run = run

    # Events

    def start(self, container: Container, event: Event, now: float) -> None:
        """Start a run; the one before, if it goes on, has ended unseen."""
        attempt = container.start_attempt
        self.end_unknown(container, event.at_ns, now)
        run = self.begin(container, event.at_ns, event.at_ns)
        run.start_seen = True
        if attempt is not None:
            run.start_attempt_ns = attempt.began_ns
        self.claim_unmatched(
            container, run, max(run.start_attempt_ns or 0, run.start_event_ns - _START_DELAY_NS), now
        )
        container.left_networks = NO_NETWORKS
        if container.failed_start_ns is not None and container.failed_start_ns < event.at_ns:
            container.failed_start_ns = None
        if attempt is not None and attempt.ok_state is not None:
            # No other inspection is requested, and without the restart count, missed restarts are not found.
            self.update_from_inspect(container, attempt.ok_state)

    def die(self, container: Container, event: Event, now: float) -> None:
        """End a run; if none is known, one that started unseen. A second ``die`` of one run is ignored."""
        attempt = container.start_attempt
        if attempt is not None and not attempt.joined_network:
            if container.seen_created or not self._may_run_unseen(container, event.at_ns):
                # Killed while it was being started: it never ran.
                return
            # The network was left at the end of this run, whose start nobody saw.
            container.start_attempt = None
            container.left_networks = NO_NETWORKS
        if container.run is None and self._may_run_unseen(container, event.at_ns):
            run = self.begin(container, event.at_ns, None)
            run.is_emitted = True
            self.claim_unmatched(container, run, container.last_end_ns or 0, now)
        if container.run is not None:
            self.end(container, event.code, event.at_ns, now, seen=True)

    def destroy(self, container: Container, event: Event, now: float) -> None:
        """Remove a container; a run that goes on has ended unseen, a start under way never ran."""
        container.removed = True
        if container.is_starting:
            container.start_attempt = None
        self.end_unknown(container, event.at_ns, now)
        if self._state.checkpoint.is_complete:
            # Otherwise a list that was made before may show how it ended.
            self._state.discard_if_done(container)

    def _may_run_unseen(self, container: Container, at_ns: int) -> bool:
        """Return whether a run may have started that neither an event nor a list has shown."""
        last_end_ns = container.last_end_ns
        return last_end_ns is None or (
            not self._state.checkpoint.is_complete
            and container.last_finished_run is None
            and not container.pending_runs
            and at_ns > last_end_ns
        )

    # Steps

    def begin(self, container: Container, start_event_ns: int, started_ns: int | None) -> Run:
        """Start the next run of a container and return it."""
        latest = container.latest_run
        previous_run_ns = container.last_end_ns if latest is None else latest.start_event_ns
        if not container.run_count:
            container.run_count = self._state.earlier_submissions(container)
        container.run_count += 1
        container.start_attempt = None
        container.run = Run(container.info, container.run_count, start_event_ns, started_ns, previous_run_ns)
        self._state.checkpoint.open(container.id, start_event_ns)
        return container.run

    def end(self, container: Container, code: int | None, at_ns: int, now: float, *, seen: bool) -> None:
        """End the run that goes on, if there is one; ``seen``: an event has reported the end."""
        run, container.run = container.run, None
        self._state.checkpoint.close(container.id)
        if run is not None:
            run.end(code, at_ns, seen=seen)
            run.stopped_together = self._state.stopped_together(run)
            container.last_end_ns = max(at_ns, run.ended_ns, container.last_end_ns or at_ns)
            self._pending_exits.add(container, run, now)

    def end_unknown(self, container: Container, at_ns: int, now: float) -> None:
        """End the run that goes on, if there is one, without its code and the true time."""
        run, last_end_ns = container.run, container.last_end_ns
        if run is not None:
            run.exit_unknown = True
            self.end(container, None, at_ns, now, seen=False)
            # There may have been other runs between its start and now.
            container.last_end_ns = max(run.start_event_ns, last_end_ns or 0)

    def claim_unmatched(self, container: Container, run: Run, since_ns: int, now: float) -> None:
        """Add to a new run the facts since a time that were received before it was known."""
        for fact in container.pop_unmatched(since_ns):
            match fact:
                case ForkRejected():
                    run.add_fact(fact)
                case KillRequest():
                    run.add_kill(fact)
                case OomKill(OomSource.LOG):
                    run.add_oom_kill(fact)
                case OomKill(at_ns=int(at_ns)) if self._oom.event_reported(run, at_ns, now):
                    run.add_oom_kill(fact)

    # Inspections

    def update_from_inspect(self, container: Container, inspection: Inspection) -> None:
        """Fill in the runs that an inspection was made in or after, and no others."""
        latest = container.latest_run
        if latest is not None and latest.matches(inspection):
            latest.update_from_inspect(inspection)
        for run in container.pending_runs:
            if run.exit_unknown:
                continue
            if not run.matches(inspection):
                _confirm_previous_end(container, run, inspection)
            elif not inspection.running:
                run.update_from_inspect(inspection)
                run.update_end(inspection)
                if inspection.oom_killed:
                    self._oom.flag_inspected(run, container.last_finished_run)


def _confirm_previous_end(container: Container, run: Run, inspection: Inspection) -> None:
    """Set the time of a run's end from an inspection of the next run, which still shows it."""
    started_ns = inspection.started_ns
    is_last = run is max(container.pending_runs, key=lambda each: each.start_event_ns)
    if is_last and run.end_seen and started_ns is not None and run.ended_ns <= started_ns:
        run.confirm_end(inspection.previous_finished_ns)
