"""Events during a run: OOM kills, requests to stop, health."""

from __future__ import annotations

from exporter.model import KillRequest, OomKill, OomSource
from exporter.sources.docker.engine import Event, MaskedField
from exporter.sources.docker.track.container import Container
from exporter.sources.docker.track.oom_attribution import OomAttribution
from exporter.sources.docker.track.run import Run
from exporter.sources.docker.track.state import EngineState
from exporter.verdict.stop_requests import is_terminating


class RunEvents:
    """Records in a run what happens during it, and emits the updated job."""

    def __init__(self, state: EngineState, oom: OomAttribution) -> None:
        self._state = state
        self._oom = oom

    def oom(self, container: Container, event: Event, now: float) -> None:
        """Record an OOM kill that the engine reports, once it is accepted as the run's own."""
        run, oom_kill = container.run_at(event.at_ns), OomKill(OomSource.EVENT, event.at_ns)
        if run is None:
            container.add_unmatched(oom_kill)
        elif container.info.oom_kill_disabled:
            # A claim could be given a kill of that moment that belongs to another container.
            self.oom_decided(run, None)
        elif self._oom.event_reported(run, event.at_ns, now):
            self.oom_decided(run, oom_kill)

    def oom_decided(self, run: Run, oom_kill: OomKill | None) -> None:
        """Record whose kill an OOM event has reported: None if it was not this run's."""
        if run.info.oom_kill_disabled:
            # Engines up to 23 set the OOMKilled flag of such a container as well.
            run.is_hung = run.oom_refuted = True
        elif oom_kill is not None:
            run.add_oom_kill(oom_kill)
        else:
            run.oom_refuted = True
        self._state.emit_update(run)

    def oom_logged(self, container: Container, oom_kill: OomKill, at_ns: int) -> None:
        """Record an OOM kill for which the kernel's log names the container."""
        run = container.run_at(at_ns)
        if run is None:
            container.add_unmatched(oom_kill)
        elif oom_kill not in run.oom_kills:
            run.add_oom_kill(oom_kill)
            self._state.emit_update(run)

    def kill(self, container: Container, event: Event) -> None:
        """Record that the engine was asked to send a signal."""
        is_masked = MaskedField.SIGNAL in container.info.masked_fields
        kill = KillRequest(None if is_masked else event.signal, event.at_ns)
        run = container.run
        if run is None:
            container.add_unmatched(kill)
        elif run.add_kill(kill):
            if is_terminating(kill, container.info.stop_signal):
                self._state.stop_requested(container, event.at_ns)
            self._state.emit_update(run)

    def health(self, container: Container, event: Event) -> None:
        """Record the result of a health check."""
        run = container.run
        if run is not None:
            run.unhealthy_ns, run.health_seen = event.at_ns if event.healthy is False else None, True
            self._state.emit_update(run)

    def stop(self, container: Container, event: Event) -> None:
        """Record that the engine's stop command saw the run end; the event may come before its ``die``."""
        run = container.run or (container.pending_runs[-1] if container.pending_runs else None)
        if run is not None and run.start_event_ns <= event.at_ns:
            run.was_stopped = True
