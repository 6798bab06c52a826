"""Detection of starts that failed.

No event reports a failed start. What shows it are the networks of the container: a start joins them, and if
it fails, leaves them again without a ``start`` event in between. From Engine 28 on, a start that fails joins
no network and yet leaves each of its networks; older engines do so if the network itself was what failed
(such as a port that is taken). Only an inspection has the code and the error text.
"""

from __future__ import annotations

from exporter.exit_codes import START_FAILURES
from exporter.model import SECOND_NS, KillRequest, OomKill, OomSource
from exporter.sources.docker.engine import Event, Inspection
from exporter.sources.docker.track.container import NO_NETWORKS, Container
from exporter.sources.docker.track.job import job_key, make_job
from exporter.sources.docker.track.run import Run
from exporter.sources.docker.track.start_attempt import StartAttempt
from exporter.sources.docker.track.state import EngineState
from exporter.verdict.facts import EndedRun, FailedStart, ForkRejected

# Different networks that are left within this time of each other are left by one failed start.
_SAME_START_NS = SECOND_NS
_TIME_UNKNOWN = "When it failed to start: the engine's list does not say."


class FailedStarts:
    """Follows start attempts, and emits those that failed."""

    def __init__(self, state: EngineState) -> None:
        self._state = state

    # Events

    def network_joined(self, container: Container, event: Event) -> None:
        """Open a start attempt, unless the container runs."""
        container.joined_networks |= {event.network}
        if container.run is not None:
            return
        attempt = container.start_attempt
        if attempt is not None and attempt.failed_state is not None:
            self._conclude(container, attempt)
        if container.start_attempt is None or not container.start_attempt.joined_network:
            # A network that was only left, and no inspection of a failed start: that was the end of a run.
            container.left_networks = NO_NETWORKS
            container.start_attempt = StartAttempt(event.at_ns)
        self._state.checkpoint.open_if_absent(container.id, event.at_ns)

    def network_left(self, container: Container, event: Event, *, replayed: bool) -> None:
        """Record that a start attempt, if there is one, has failed."""
        was_joined = event.network in container.joined_networks
        container.joined_networks = container.joined_networks - {event.network} or NO_NETWORKS
        attempt = container.start_attempt
        if container.run is not None:
            return
        if attempt is None:
            if was_joined or self._is_of_last_failure(container, event):
                return
            is_held = replayed and not container.seen_created
            attempt = container.start_attempt = StartAttempt(
                event.at_ns, joined_network=False, is_held=is_held
            )
            self._state.checkpoint.open_if_absent(container.id, event.at_ns)
        elif attempt.failed_ns and self._is_of_last_failure(container, event):
            return
        container.left_networks |= {event.network}
        container.left_ns = event.at_ns
        attempt.failed_ns.append(event.at_ns)
        self.conclude_if_answered(container)

    def _is_of_last_failure(self, container: Container, event: Event) -> bool:
        """Return whether this is one more network of the start that has just failed.

        One failed start leaves different networks; the same network is left again by the next one.
        """
        is_later = event.at_ns - container.left_ns > _SAME_START_NS
        container.left_ns = event.at_ns
        if not container.left_networks or event.network in container.left_networks or is_later:
            container.left_networks = NO_NETWORKS
            return False
        container.left_networks |= {event.network}
        return True

    def already_concluded(self, container: Container) -> None:
        """Drop an attempt whose outcome is on record; only its beginning was replayed."""
        container.start_attempt = None
        self._state.checkpoint.close(container.id)

    # Conclusions

    def conclude_if_answered(self, container: Container) -> None:
        """Conclude a failed attempt once no inspection is outstanding: only inspections have its code."""
        attempt = container.start_attempt
        if attempt is None or not attempt.failed_ns or attempt.is_held or container.open_inspections:
            return
        self._conclude(container, attempt)

    def release_held(self, container: Container) -> None:
        """Conclude an attempt that waited for replayed events: no event has shown a run."""
        if container.start_attempt is not None:
            container.start_attempt.is_held = False
            self.conclude_if_answered(container)

    def events_missed(self, container: Container) -> None:
        """Drop an attempt whose end was missed; a list will show how it ended."""
        if container.is_starting:
            self.already_concluded(container)

    def _conclude(self, container: Container, attempt: StartAttempt) -> None:
        container.start_attempt = None
        self._state.checkpoint.close(container.id)
        if attempt.joined_network or self._has_failed(container, attempt):
            for at_ns in attempt.failed_ns:
                self._emit(container, attempt.failed_state, at_ns)
        self._state.discard_if_done(container)

    def _has_failed(self, container: Container, attempt: StartAttempt) -> bool:
        """Return whether a network that was only left was left by a failed start, not at the end of a run."""
        failed = attempt.failed_state
        if container.seen_created:
            # Every run of this container was seen.
            return failed is not None or attempt.ok_state is None
        never_ran = failed is not None and failed.started_ns is None
        return never_ran or (self._state.config.late_network_connect and failed is not None)

    # Inspections

    def found_never_started(self, container: Container, inspection: Inspection) -> None:
        """Emit a first start that failed, from the inspection of a container that has never run."""
        known = (container.last_end_ns, container.start_attempt, container.run)
        if inspection.start_failed and known == (None, None, None):
            self._emit(container, inspection, inspection.created_ns, seen=False)

    def found_after_run(self, container: Container, inspection: Inspection, as_of_ns: int) -> None:
        """Emit a start that failed after the last run, from an inspection."""
        if not inspection.start_failed or inspection.running or container.failed_start_ns is not None:
            return
        is_open = container.start_attempt is not None or container.run is not None
        if not is_open and not container.has_run_since(inspection):
            self._emit(container, inspection, as_of_ns, seen=False)

    def _emit(
        self, container: Container, inspection: Inspection | None, at_ns: int, *, seen: bool = True
    ) -> None:
        container.run_count += 1
        run = Run(container.info, container.run_count, at_ns, None)
        # A list does not show when a start failed: its number is what every observer sees alike.
        run.key = job_key(self._state.config.identity, container.id, container.run_count)
        _claim_unmatched(container, run)
        container.last_end_ns = max(at_ns, container.last_end_ns or 0)
        container.failed_start_ns = at_ns
        code, error = (None, "") if inspection is None else (_start_code(inspection), inspection.error)
        self._state.emit_ended(
            EndedRun(
                make_job(run, self._state.config),
                FailedStart(code, at_ns, error, run.oom_kills),
                recovered=not seen,
                event_ns=at_ns if seen else None,
                not_known=() if seen else (_TIME_UNKNOWN,),
            )
        )


def _claim_unmatched(container: Container, run: Run) -> None:
    """Add what was received since the last run, except OOM events: they alone prove no kill."""
    for fact in container.pop_unmatched(container.last_end_ns or 0):
        match fact:
            case KillRequest():
                run.add_kill(fact)
            case OomKill(OomSource.LOG):
                run.add_oom_kill(fact)
            case ForkRejected():
                run.add_fact(fact)


def _start_code(failed: Inspection) -> int | None:
    """Return the code of a failed start; None if the code is that of the run before.

    A start that was refused before the runtime was called, or one by a restart policy, leaves that in place.
    """
    ran_before = failed.started_ns is not None
    return None if ran_before and failed.code not in START_FAILURES else failed.code
