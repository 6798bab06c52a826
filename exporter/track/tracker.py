"""The tracker: what an engine tells of its containers in, jobs that began or ended out.

A tracker serves one engine. It does no I/O and reads no clock: ``now`` is handed in, in seconds
that only ever grow. An exit is counted from ``die`` alone; what is asked of the engine beside it
only enriches, and is waited for no longer than ``Rules.enrich_seconds``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable

from exporter.engines.port import Event, Happening, KernelKills, Shadowed, Snapshot
from exporter.evidence import OomKill, Witness
from exporter.model import Evidence, Exit, Job, Kill, Remembered
from exporter.track.records import Container, Rules, Run, StartAttempt
from exporter.track.waiting import WaitingRoom

_GONE_REMEMBERED = 10_000
_START_LAG_NS = 10 * 10**9
_MAX_KILLS_KEPT = 1_000

Recall = Callable[[str], Remembered | None]


class Tracker:
    """Puts the events of one engine together into jobs; ``take`` hands over what came of it."""

    def __init__(self, rules: Rules, recall: Recall, running: Iterable[Job] = ()) -> None:
        self._rules = rules
        self._recall = recall
        self._containers: dict[str, Container] = {}
        self._gone: OrderedDict[str, None] = OrderedDict()
        self._waiting = WaitingRoom(rules)
        self._out: list[Job | Exit] = []
        self._listed = False
        for job in running:
            self._restore(job)

    def take(self) -> list[Job | Exit]:
        """What has begun (Job) or ended (Exit) since the last call, in the order of finding out."""
        out, self._out = self._out, []
        return out

    @property
    def next_due(self) -> float | None:
        """When ``due`` must be called at the latest; None while nothing waits."""
        return self._waiting.next_due

    @property
    def is_sure(self) -> bool:
        """Whether everything that a list told of has been handed over."""
        return self._waiting.is_sure

    def due(self, now: float) -> None:
        """Let go of what has waited long enough; to be called after whatever was told."""
        for ended in self._waiting.leave(now):
            self._out.append(ended)
            container = self._containers.get(ended.job.container_id)
            if container is not None:
                self._forget(container)

    def event(self, event: Event, now: float, *, inspecting: bool = False) -> None:
        """One event; ``inspecting`` says that an answer about its container is on its way."""
        if event.container_id in self._gone:
            return
        container = self._container(event)
        container.learn_from_event(event)
        container.inspections += inspecting
        handle = _HANDLERS.get(event.happening)
        if handle is not None:
            handle(self, container, event, now)

    def inspected(self, container_id: str, snapshot: Snapshot | None) -> None:
        """The answer that ``event`` announced; None where the engine had none."""
        container = self._containers.get(container_id)
        if container is None:
            return
        container.inspections = max(0, container.inspections - 1)
        if snapshot is not None:
            container.learn(snapshot)
            self._enrich(container, snapshot)
        if not container.inspections:
            self._conclude_attempt(container)
            self._announce(container.run)

    def listed(
        self,
        snapshots: Iterable[Snapshot],
        as_of_ns: int,
        now: float,
        unanswered: frozenset[str] = frozenset(),
    ) -> None:
        """All that the engine has. What ended unseen is found here, what has vanished is noted.

        ``as_of_ns`` is a time of the engine's clock before the list was made; of the ``unanswered`` it is
        only known that they are there.
        """
        present = set(unanswered)
        for snapshot in snapshots:
            present.add(snapshot.container_id)
            if snapshot.container_id not in self._gone and not self._too_old(snapshot, as_of_ns):
                self._found(snapshot, as_of_ns, now)
        self._listed = True
        for container in list(self._containers.values()):
            if container.id not in present:
                self._missed(container, as_of_ns, now)

    def explained_elsewhere(self, at_ns: int) -> None:
        """A container of another engine on the same host accounts for a kill."""
        self._waiting.explained(at_ns)

    def kernel(self, kills: KernelKills) -> None:
        """What the kernel says of its OOM kills."""
        self._waiting.counted(kills)
        for container_id in kills.logged:
            container = self._containers.get(container_id)
            if container is not None:
                self._oom_killed(container, OomKill(Witness.LOG, kills.at_ns), kills.at_ns)
            else:
                self._waiting.explained(kills.at_ns)

    # Containers

    def _container(self, event: Event) -> Container:
        container = self._containers.get(event.container_id)
        if container is None:
            # What is created under our eyes has no past; asking the store would only cost.
            past = None if event.happening is Happening.CREATE else self._recall(event.container_id)
            container = self._meet(event.container_id, past)
        return container

    def _meet(self, container_id: str, past: Remembered | None) -> Container:
        container = self._containers[container_id] = Container(container_id)
        container.remember(past)
        return container

    def _restore(self, job: Job) -> None:
        """A job that ran when it was last heard of."""
        container = self._meet(job.container_id, self._recall(job.container_id))
        container.name, container.image, container.workload = job.name, job.image, job.workload
        container.created_ns, container.memory_limit_bytes = job.created_ns, job.memory_limit_bytes
        container.run = Run(
            container, job.attempt, job.began_ns, job.started_ns, container.last_end_ns, announced=True
        )
        container.attempts = job.attempt

    def _forget(self, container: Container) -> None:
        """Let go of a container that is removed, once nothing about it is open."""
        if container.destroyed and not container.ending and container.attempt is None:
            self._containers.pop(container.id, None)
            self._gone[container.id] = None
            while len(self._gone) > _GONE_REMEMBERED:
                self._gone.popitem(last=False)

    # Beginnings

    def _start(self, container: Container, event: Event, now: float) -> None:
        found = container.run or next((run for run in container.ending if run.found), None)
        if found is not None and found.found and 0 <= event.at_ns - found.began_ns < _START_LAG_NS:
            # A list has told of this start.
            found.found, container.attempt = False, None
            return
        if container.run is not None:
            container.run.lost = True
            self._end(container, None, event.at_ns, now, seen=False)
        self._announce_unless_asked(self._begin(container, event.at_ns, event.at_ns))

    def _begin(self, container: Container, began_ns: int, started_ns: int | None) -> Run:
        last = container.ending[-1] if container.ending else container.last_run
        container.attempts += 1
        container.attempt = None
        after_ns = container.last_end_ns if last is None else last.began_ns
        container.run = Run(container, container.attempts, began_ns, started_ns, after_ns)
        return container.run

    def _announce_unless_asked(self, run: Run) -> None:
        if not run.container.inspections:
            self._announce(run)

    def _announce(self, run: Run | None) -> None:
        """Say that a job runs, once what its inspection adds is known."""
        if run is not None and not run.announced:
            run.announced = True
            self._out.append(run.job(self._rules))

    def _rename(self, container: Container, _event: Event, _now: float) -> None:
        if container.run is not None and container.run.announced:
            self._out.append(container.run.job(self._rules))

    # Failed starts

    def _start_attempt(self, container: Container, _event: Event, _now: float) -> None:
        # A network that a running container joins is no try to start it.
        if container.run is None:
            if container.attempt is not None and container.attempt.answer is not None:
                self._count_attempt(container)
            container.attempt = container.attempt or StartAttempt()

    def _start_attempt_over(self, container: Container, event: Event, _now: float) -> None:
        """A try to start is over; if no start came in between, it failed."""
        if container.attempt is not None:
            container.attempt.failed_ns.append(event.at_ns)
            self._conclude_attempt(container)

    def _conclude_attempt(self, container: Container) -> None:
        """A failed try counts once no answer about it is outstanding: only an answer knows the code."""
        attempt = container.attempt
        if attempt is None or not attempt.failed_ns or container.inspections:
            return
        self._count_attempt(container)

    def _count_attempt(self, container: Container) -> None:
        attempt, container.attempt = container.attempt, None
        if attempt is None or not attempt.failed_ns:
            return
        told = next((run for run in container.ending if run.never_started), None)
        if told is not None:
            # A list has told of it.
            told.began_ns = told.ended_ns = attempt.failed_ns.pop(0)
            told.seen_ending = told.settled = True
            container.last_end_ns = told.ended_ns
        for at_ns in attempt.failed_ns:
            self._not_started(container, None if attempt.answer is None else attempt.answer.code, at_ns)
        self._forget(container)

    def _not_started(self, container: Container, code: int | None, at_ns: int, *, seen: bool = True) -> None:
        container.attempts += 1
        container.last_end_ns = at_ns
        job = Run(container, container.attempts, at_ns, None).job(self._rules)
        evidence = Evidence(never_started=True, notes=("The engine could not start it.",))
        self._out.append(Exit(job, code, at_ns, evidence, recovered=not seen))

    # Evidence

    def _oom(self, container: Container, event: Event, _now: float) -> None:
        self._oom_killed(container, OomKill(Witness.EVENT, event.at_ns), event.at_ns)

    def _oom_killed(self, container: Container, oom_kill: OomKill, at_ns: int) -> None:
        run = container.run_at(at_ns) or self._unseen(container, at_ns)
        if run is not None:
            self._waiting.oom_killed(run, oom_kill)

    def _kill(self, container: Container, event: Event, _now: float) -> None:
        run = container.run or next((run for run in container.ending if not run.seen_ending), None)
        run = run or self._unseen(container, event.at_ns)
        if run is not None and len(run.kills) < _MAX_KILLS_KEPT:
            hidden = Shadowed.SIGNAL in container.shadowed
            run.kills.append(Kill(None if hidden else event.signal, event.at_ns))

    def _enrich(self, container: Container, snapshot: Snapshot) -> None:
        """What an inspection says of a run that is ending; a later run's answer says nothing of it."""
        for run in container.ending:
            if run.never_started:
                continue
            if snapshot.running or snapshot.started_ns is None or snapshot.started_ns > run.ended_ns:
                continue
            if run.lost or (run.after_ns is not None and snapshot.started_ns <= run.after_ns):
                continue
            if run.started_ns is None:
                run.began_ns = run.started_ns = snapshot.started_ns
            if snapshot.code is not None and not snapshot.start_error:
                run.code, run.code_in_doubt = snapshot.code, False
            if snapshot.oom_killed and not run.oom_kills:
                self._waiting.oom_killed(run, OomKill(Witness.FLAG, None))

    def _unseen(self, container: Container, at_ns: int) -> Run | None:
        """The run that must be there, though neither an event nor a list has told of its beginning."""
        if container.run is None and self._may_run_unseen(container, at_ns):
            self._begin(container, at_ns, None).announced = True
        return container.run

    def _may_run_unseen(self, container: Container, at_ns: int) -> bool:
        last = container.last_end_ns
        return last is None or (
            not self._listed and container.last_run is None and not container.ending and at_ns > last
        )

    # Ends

    def _die(self, container: Container, event: Event, now: float) -> None:
        told = next((run for run in container.ending if not run.seen_ending and not run.never_started), None)
        if container.run is None and told is not None and told.began_ns <= event.at_ns:
            # A list has told of this end; the event is the better witness, but an inspection of the code.
            if told.code_in_doubt:
                told.end(event.code, event.at_ns, seen=True)
            else:
                told.ended_ns, told.seen_ending = event.at_ns, True
            container.last_end_ns = event.at_ns
        elif self._unseen(container, event.at_ns) is not None:
            self._end(container, event.code, event.at_ns, now, seen=True)
        # Otherwise its end is counted already: engines can say ``die`` twice for one run.

    def _end(self, container: Container, code: int | None, at_ns: int, now: float, *, seen: bool) -> None:
        run, container.run = container.run, None
        if run is not None:
            run.end(code, at_ns, seen=seen)
            container.last_end_ns = at_ns
            self._waiting.enter(run, now)

    def _destroy(self, container: Container, event: Event, now: float) -> None:
        container.destroyed = True
        if container.attempt is not None and not container.attempt.failed_ns:
            # Removed in the middle of a try whose end was not told: created, connected, never started.
            container.attempt = None
        self._end(container, None, event.at_ns, now, seen=False)
        self._forget(container)

    # Lists

    def _missed(self, container: Container, as_of_ns: int, now: float) -> None:
        """A container that a list does not have: gone, unless it has come only since."""
        if container.run is not None and container.run.began_ns < as_of_ns:
            self._end(container, None, as_of_ns, now, seen=False)
        elif container.run is None and container.seen_ns < as_of_ns and not container.inspections:
            container.destroyed = True
            self._forget(container)

    def _too_old(self, snapshot: Snapshot, as_of_ns: int) -> bool:
        ended_ns = snapshot.created_ns if snapshot.started_ns is None else snapshot.finished_ns
        known = self._containers.get(snapshot.container_id)
        return bool(
            self._rules.memory_ns
            and (known is None or known.run is None)
            and not snapshot.running
            and ended_ns is not None
            and ended_ns < as_of_ns - self._rules.memory_ns
        )

    def _found(self, snapshot: Snapshot, as_of_ns: int, now: float) -> None:
        """One container of a list, held against what is on record of it."""
        container = self._containers.get(snapshot.container_id)
        if container is None:
            container = self._meet(snapshot.container_id, self._recall(snapshot.container_id))
            container.attempts = max(container.attempts, snapshot.restart_count)
        container.learn(snapshot)
        if snapshot.started_ns is None:
            self._found_unstarted(container, snapshot, now)
            return
        run = container.run
        if run is not None and run.after_ns is not None and snapshot.started_ns <= run.after_ns:
            # Asked before the open run began: it tells of the one before.
            return
        if run is not None and run.started_ns is not None and snapshot.started_ns > run.began_ns:
            # It has been started anew since: how the run on record ended, nobody saw.
            run.lost = True
            self._end(container, None, snapshot.started_ns, now, seen=False)
            run = self._begin(container, snapshot.started_ns, snapshot.started_ns)
            run.found = True
        elif not container.has_counted(snapshot.started_ns):
            run = self._begin(container, snapshot.started_ns, snapshot.started_ns)
            run.found = True
        if run is None:
            return
        if run.started_ns is None:
            run.began_ns = run.started_ns = snapshot.started_ns
        if snapshot.running:
            self._announce(run)
        else:
            finished_ns = snapshot.finished_ns or snapshot.started_ns
            run.settled = finished_ns < as_of_ns - 10**9
            self._end(container, snapshot.code, finished_ns, now, seen=False)
            self._enrich(container, snapshot)

    def _found_unstarted(self, container: Container, snapshot: Snapshot, now: float) -> None:
        if (
            snapshot.start_error
            and container.last_end_ns is None
            and container.attempt is None
            and container.run is None
        ):
            run = self._begin(container, snapshot.created_ns, None)
            run.announced = run.never_started = True
            self._end(container, snapshot.code, snapshot.created_ns, now, seen=False)


_HANDLERS: dict[Happening, Callable[[Tracker, Container, Event, float], None]] = {
    Happening.START_ATTEMPT: Tracker._start_attempt,  # noqa: SLF001  # the table is the class's own
    Happening.START_ATTEMPT_OVER: Tracker._start_attempt_over,  # noqa: SLF001
    Happening.START: Tracker._start,  # noqa: SLF001
    Happening.OOM: Tracker._oom,  # noqa: SLF001
    Happening.KILL: Tracker._kill,  # noqa: SLF001
    Happening.DIE: Tracker._die,  # noqa: SLF001
    Happening.RENAME: Tracker._rename,  # noqa: SLF001
    Happening.DESTROY: Tracker._destroy,  # noqa: SLF001
}
