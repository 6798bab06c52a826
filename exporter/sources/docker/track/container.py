"""A container with its runs and its start attempt."""

from __future__ import annotations

from dataclasses import dataclass, replace

from exporter.model import SECOND_NS, ContainerHistory, KillRequest, OomKill
from exporter.sources.docker.engine import Inspection
from exporter.sources.docker.track.container_info import ContainerInfo
from exporter.sources.docker.track.run import Run
from exporter.sources.docker.track.start_attempt import StartAttempt
from exporter.verdict.facts import ForkRejected

# Events and log lines about a run come at most this long after its end.
_MAX_DELAY_NS = SECOND_NS
_MAX_UNMATCHED = 1_000
NO_NETWORKS: frozenset[str] = frozenset()

RunFact = KillRequest | OomKill | ForkRejected


@dataclass(slots=True)
class Container:
    """State of one container of the engine.

    ``run`` is the run that goes on. ``restored_runs`` are later runs on record whose predecessor has not
    ended there. ``pending_runs`` have ended and wait for late evidence; ``last_finished_run`` is the latest
    of those that no longer wait. ``run_count`` counts runs and failed starts. ``unmatched`` are facts about a
    run whose start is not known yet.

    ``start_attempt`` is under way, or has failed and waits for inspections. ``joined_networks`` were joined
    and not left since, ``left_networks`` were left by the start that failed at ``left_ns``.
    ``failed_start_ns`` is when the latest start failed, None after a run. ``seen_created``: its ``create``
    event was received.

    ``history`` is what is on record. ``open_inspections`` counts inspections requested and not answered.

    Here and in ``Run``, what is nearly always empty is a tuple or a frozen set, which all then share:
    an engine may keep thousands of stopped containers.
    """

    info: ContainerInfo
    history: ContainerHistory | None = None
    run: Run | None = None
    run_count: int = 0
    restored_runs: tuple[Run, ...] = ()
    pending_runs: tuple[Run, ...] = ()
    last_finished_run: Run | None = None
    last_end_ns: int | None = None
    unmatched: tuple[RunFact, ...] = ()
    start_attempt: StartAttempt | None = None
    joined_networks: frozenset[str] = NO_NETWORKS
    left_networks: frozenset[str] = NO_NETWORKS
    left_ns: int = 0
    failed_start_ns: int | None = None
    seen_created: bool = False
    removed: bool = False
    open_inspections: int = 0

    @property
    def id(self) -> str:
        """Full id of the container."""
        return self.info.id

    def load_history(self, history: ContainerHistory) -> None:
        """Continue from what is on record."""
        self.history = replace(history, recorded_event_times=frozenset())
        self.run_count, self.last_end_ns = history.attempts, history.last_end_ns
        self.failed_start_ns = history.failed_start_ns

    # Runs

    @property
    def latest_run(self) -> Run | None:
        """The run that goes on, else the one that began last; they do not finish in order."""
        return self.run or max(self._ended_runs, key=lambda run: run.start_event_ns, default=None)

    @property
    def _ended_runs(self) -> list[Run]:
        return [*self.pending_runs, *([self.last_finished_run] if self.last_finished_run else [])]

    def run_at(self, at_ns: int) -> Run | None:
        """Return the run that something at ``at_ns`` belongs to; None if its start is not known yet.

        That is the run that goes on, unless it began later, or one that had ended shortly before.
        """
        if self.run is not None and (at_ns >= self.run.start_event_ns or not self.pending_runs):
            return self.run
        runs = (
            run
            for run in self._ended_runs
            if run.start_event_ns <= at_ns <= run.last_known_ns + _MAX_DELAY_NS
        )
        return max(runs, key=lambda run: run.start_event_ns, default=None)

    @property
    def restarts(self) -> int | None:
        """The engine's restart count at the latest run; None before the first inspection.

        A run may still go on while the next one has already ended on record: runs do not finish in order.
        """
        latest, history = self.latest_run, self.history
        if history is not None and (latest is None or latest.number < history.attempts):
            return history.restarts
        return None if latest is None else latest.restarts

    def is_recorded(self, started_ns: int) -> bool:
        """Return whether the run that started then has ended already.

        By the engine's clock, starts and ends of one container alternate.
        """
        return self.last_end_ns is not None and started_ns <= self.last_end_ns

    def has_run_since(self, inspection: Inspection) -> bool:
        """Return whether a later run is known than the one that an inspection shows."""
        latest = self.latest_run
        if latest is not None:
            return not latest.matches(inspection)
        # By its start: the recorded end may be the time of the event, which is later than the inspected one.
        # And of a run of a moment, engines give an end before its start.
        last_start_ns = self.history.last_start_ns if self.history is not None else None
        inspected_ns = max(inspection.started_ns or 0, inspection.finished_ns or 0)
        return last_start_ns is not None and last_start_ns > inspected_ns

    def finish(self, run: Run) -> None:
        """Record that a pending run no longer waits."""
        run.is_finished = True
        self.pending_runs = tuple(each for each in self.pending_runs if each is not run)
        if self.last_finished_run is None or self.last_finished_run.start_event_ns < run.start_event_ns:
            self.last_finished_run = run

    def run_started_at(self, start_ns: int) -> Run | None:
        """Return the run that an event or inspection shows to have started then; None if it is gone."""
        runs = [*self.restored_runs, *self.pending_runs, *([self.run] if self.run else [])]
        return next((run for run in runs if start_ns in {run.start_event_ns, run.started_ns}), None)

    def end_reported(self, at_ns: int, *, replayed: bool, log_pending: bool) -> None:
        """Record how the ``die`` event at a time was received: as a replay, and with its log requested."""
        for run in self.pending_runs:
            if run.die_event_ns == at_ns:
                run.end_replayed, run.log_pending = run.end_replayed or replayed, log_pending

    def events_missed(self) -> None:
        """Record that events were lost."""
        self.seen_created = False
        self.joined_networks = NO_NETWORKS
        for run in (self.run, *self.restored_runs):
            if run is not None:
                run.missed_events = True

    # Facts that come before the start of their run

    def add_unmatched(self, fact: RunFact) -> None:
        """Keep a fact about a run that is not known yet."""
        if len(self.unmatched) < _MAX_UNMATCHED:
            self.unmatched += (fact,)

    def pop_unmatched(self, since_ns: int) -> list[RunFact]:
        """Return the unmatched facts since a time, and forget them and all earlier ones."""
        unmatched, self.unmatched = self.unmatched, ()
        return [fact for fact in unmatched if fact.at_ns is not None and fact.at_ns >= since_ns]

    # State as a whole

    @property
    def is_starting(self) -> bool:
        """Whether a start is under way."""
        return self.start_attempt is not None and not self.start_attempt.failed_ns

    @property
    def may_run(self) -> bool:
        """Whether it runs, or may be started without an event before the ``start``.

        From Engine 28 on, no event shows the attempt to start a container that never ran.
        """
        is_fresh = not (self.run_count or self.removed)
        return bool(self.run or self.restored_runs or self.is_starting or is_fresh)

    @property
    def is_done(self) -> bool:
        """Whether it was removed and nothing about it is outstanding."""
        return self.removed and not (self.pending_runs or self.start_attempt or self.open_inspections)
