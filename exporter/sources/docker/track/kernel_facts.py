"""Facts from the kernel's OOM counter and log, and the runs that they concern."""

from __future__ import annotations

from dataclasses import replace

from exporter.model import LimitOwner, OomKill, OomSource
from exporter.sources.docker.engine import KernelReport
from exporter.sources.docker.kernel.kmsg import innermost_container
from exporter.sources.docker.track.container import Container
from exporter.sources.docker.track.crash_log import CrashLog, ProcessCrash
from exporter.sources.docker.track.oom_attribution import OomAttribution
from exporter.sources.docker.track.pending_exits import PendingExits
from exporter.sources.docker.track.run import Run
from exporter.sources.docker.track.run_events import RunEvents
from exporter.sources.docker.track.state import EngineState
from exporter.verdict.facts import Crash, ForkRejected, GpuFault, KernelOomKill, SeccompKill


class KernelFacts:
    """Hands each fact in a report of the kernel to the run that it concerns."""

    def __init__(
        self,
        state: EngineState,
        pending_exits: PendingExits,
        oom: OomAttribution,
        crash_log: CrashLog,
        run_events: RunEvents,
    ) -> None:
        self._state = state
        self._pending_exits = pending_exits
        self._oom = oom
        self._crash_log = crash_log
        self._run_events = run_events

    def reported(self, report: KernelReport) -> None:
        """Take in a report."""
        self._oom.counter_moved(report.oom_kills, report.at_ns, report.since_ns)
        for kill in report.earlier:
            if kill.container_id:
                self._state.earlier_oom_kills[kill.container_id] = kill
        for fact in report.facts:
            match fact:
                case KernelOomKill():
                    self._oom_killed(fact)
                case ForkRejected():
                    self._fork_rejected(fact)
                case Crash() | SeccompKill() | GpuFault():
                    self._crashed(fact)

    def _oom_killed(self, kill: KernelOomKill) -> None:
        container, victim = self._state.containers.get(kill.container_id or ""), kill.victim
        if container is None:
            # The victim may belong to an engine inside a container, whose own limit was then reached.
            container = self._state.containers.get(innermost_container(victim.cgroup) or "")
            victim = replace(victim, limit=LimitOwner.OWN) if container else victim
        if container is None and not kill.container_id:
            container = self._container_of(victim.pid)
        if container is not None:
            self._oom.line_logged(container.id, kill.at_ns)
            self._run_events.oom_logged(container, OomKill(OomSource.LOG, kill.at_ns, victim), kill.at_ns)
        elif kill.named:
            # It is a container of another engine, or a process of the host.
            self._oom.line_logged(kill.container_id, kill.at_ns)

    def _fork_rejected(self, fact: ForkRejected) -> None:
        container = self._state.containers.get(fact.container_id)
        if container is None:
            return
        run = container.run_at(fact.at_ns)
        if run is None:
            # The log can be read before the start event of the run.
            container.add_unmatched(fact)
        else:
            run.add_fact(fact)

    def _crashed(self, crash: ProcessCrash) -> None:
        run = self._run_of(crash.pid)
        if run is None:
            self._crash_log.add(crash)
        else:
            run.add_fact(crash)

    def _container_of(self, pid: int) -> Container | None:
        run = self._run_of(pid)
        return None if run is None else self._state.containers.get(run.info.id)

    def _run_of(self, pid: int | None) -> Run | None:
        """Return the run whose process 1 has this id on the host; pending runs first."""
        if not pid:
            return None
        running = (container.run for container in self._state.containers)
        return self._pending_exits.find(pid) or next((run for run in running if run and run.pid == pid), None)
