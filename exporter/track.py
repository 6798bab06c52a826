"""Joining: what an engine tells of its containers in, jobs that began or ended out.

A tracker serves one engine. It does no I/O and reads no clock: ``now`` is handed in, in seconds
that only ever grow. An exit is counted from ``die`` alone; what is asked of the engine beside it
only enriches, and is waited for no longer than ``Rules.enrich_seconds``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from exporter.engines.port import Event, Happening, KernelKills, Shadowed, Snapshot
from exporter.evidence import OomKill, RunRecord, UnexplainedKills, Witness, oom_count, requested_end, weigh
from exporter.model import Evidence, Exit, Job, Kill, Remembered
from exporter.workload import DEFAULT_ORDER, Source, workload_of

OOM_CODE = 137
# Engines up to 23 can say 255 in ``die`` where an inspect has the true code.
DOUBTFUL_CODE = 255
DEFAULT_STOP_SIGNAL = 15
_GONE_REMEMBERED = 10_000
_MAX_KEPT = 1_000

Recall = Callable[[str], Remembered | None]


@dataclass(frozen=True, slots=True)
class Rules:
    """How long to wait for what, and how to name.

    ``oom_seconds`` is how long a late OOM report is waited for, only where it could matter;
    ``oom_window_ns`` how long before an end an OOM kill still explains it. ``kernel_counts`` says
    that the kernel's counter is watched, so that its silence rules an OOM kill out. What a list
    shows to have ended more than ``memory_ns`` ago is left alone, since its record may have been
    deleted and it would count twice; 0 is no limit.
    """

    instance: str
    workload_order: tuple[Source, ...] = DEFAULT_ORDER
    oom_seconds: float = 1.0
    oom_window_ns: int = 10 * 10**9
    enrich_seconds: float = 2.0
    kernel_counts: bool = False
    memory_ns: int = 0


@dataclass(slots=True)
class _Container:
    """What is known of a container, whatever run it is in."""

    id: str
    name: str = ""
    image: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    shadowed: set[Shadowed] = field(default_factory=set)
    created_ns: int | None = None
    memory_limit_bytes: int | None = None
    stop_signal: int = DEFAULT_STOP_SIGNAL
    attempts: int = 0
    last_end_ns: int | None = None
    start_failed_ns: int | None = None
    inspections: int = 0
    run: _Run | None = None
    ending: list[_Run] = field(default_factory=list)
    destroyed: bool = False


@dataclass(slots=True)
class _Run:
    """One run while it is being put together."""

    container: _Container
    attempt: int
    began_ns: int
    started_ns: int | None
    announced: bool = False
    kills: list[Kill] = field(default_factory=list)
    oom_kills: list[OomKill] = field(default_factory=list)
    code: int | None = None
    ended_ns: int = 0
    seen_ending: bool = False
    code_in_doubt: bool = False
    enrich_by: float = 0.0
    oom_by: float = 0.0


class Tracker:
    """Puts the events of one engine together into jobs; ``take`` hands over what came of it."""

    def __init__(self, rules: Rules, recall: Recall, running: Iterable[Job] = ()) -> None:
        self._rules = rules
        self._recall = recall
        self._containers: dict[str, _Container] = {}
        self._gone: OrderedDict[str, None] = OrderedDict()
        self._waiting: list[_Run] = []
        self._kernel = UnexplainedKills(rules.oom_window_ns)
        self._out: list[Job | Exit] = []
        for job in running:
            self._restore(job)

    def take(self) -> list[Job | Exit]:
        """What has begun (Job) or ended (Exit) since the last call, in that order of finding out."""
        out, self._out = self._out, []
        return out

    @property
    def next_due(self) -> float | None:
        """When ``due`` must be called at the latest; None while nothing waits."""
        return min((max(run.enrich_by, run.oom_by) for run in self._waiting), default=None)

    def due(self, now: float) -> None:
        """Let go of what has waited long enough."""
        for run in [run for run in self._waiting if self._ready(run, now)]:
            self._finish(run)

    def event(self, event: Event, now: float, *, inspecting: bool = False) -> None:
        """One event; ``inspecting`` says that an answer about its container is on its way."""
        if event.container_id in self._gone:
            return
        container = self._container(event)
        container.shadowed |= event.shadowed
        container.inspections += inspecting
        handle = _HANDLERS.get(event.happening)
        if handle is not None:
            handle(self, container, event, now)
        self.due(now)

    def inspected(self, container_id: str, snapshot: Snapshot | None, now: float) -> None:
        """The answer that ``event`` announced; None where the engine had none."""
        container = self._containers.get(container_id)
        if container is None:
            return
        container.inspections = max(0, container.inspections - 1)
        if snapshot is not None:
            _learn(container, snapshot)
            self._enrich(container, snapshot)
        self._conclude_failed_start(container, snapshot)
        self._announce(container.run)
        self.due(now)

    def listed(self, snapshots: Iterable[Snapshot], as_of_ns: int, now: float) -> None:
        """All that the engine has. What ended unseen is found here, what has vanished is noted.

        ``as_of_ns`` is a time of the engine's clock before the list was made.
        """
        present = set()
        for snapshot in snapshots:
            present.add(snapshot.container_id)
            if snapshot.container_id not in self._gone and not self._too_old(snapshot, as_of_ns):
                self._found(snapshot, now)
        for container in list(self._containers.values()):
            if container.id not in present and container.run and container.run.began_ns < as_of_ns:
                self._end(container, None, as_of_ns, now, seen=False)
        self.due(now)

    def kernel(self, kills: KernelKills, now: float) -> None:
        """What the kernel says of its OOM kills."""
        self._kernel.counted(kills.counted, kills.at_ns)
        for container_id in kills.logged:
            container = self._containers.get(container_id)
            if container is not None:
                self._oom_killed(container, OomKill(Witness.LOG, kills.at_ns))
        self.due(now)

    # Containers

    def _container(self, event: Event) -> _Container:
        container = self._containers.get(event.container_id)
        if container is None:
            # What is created under our eyes has no past; asking the store would only cost.
            past = None if event.happening is Happening.CREATE else self._recall(event.container_id)
            container = self._meet(event.container_id, past)
        container.name = event.name or container.name
        container.image = event.image or container.image
        if event.labels:
            container.labels = dict(event.labels)
        return container

    def _meet(self, container_id: str, past: Remembered | None) -> _Container:
        container = _Container(container_id)
        if past is not None:
            container.attempts, container.last_end_ns = past.attempts, past.last_end_ns
        self._containers[container_id] = container
        return container

    def _restore(self, job: Job) -> None:
        container = _Container(job.container_id, job.name, job.image)
        container.labels = {}
        container.created_ns, container.memory_limit_bytes = job.created_ns, job.memory_limit_bytes
        container.attempts = job.attempt
        past = self._recall(job.container_id)
        container.last_end_ns = past.last_end_ns if past else None
        container.run = _Run(container, job.attempt, job.began_ns, job.started_ns, announced=True)
        self._containers[job.container_id] = container

    def _forget(self, container: _Container) -> None:
        if container.destroyed and not container.ending:
            self._containers.pop(container.id, None)
            self._gone[container.id] = None
            while len(self._gone) > _GONE_REMEMBERED:
                self._gone.popitem(last=False)

    # Beginnings

    def _start(self, container: _Container, event: Event, now: float) -> None:
        if container.run is not None:
            self._end(container, None, event.at_ns, now, seen=False)
        self._begin(container, event.at_ns, event.at_ns)

    def _begin(self, container: _Container, began_ns: int, started_ns: int | None) -> _Run:
        container.attempts += 1
        container.start_failed_ns = None
        container.run = _Run(container, container.attempts, began_ns, started_ns)
        if not container.inspections:
            self._announce(container.run)
        return container.run

    def _announce(self, run: _Run | None) -> None:
        """Say that a job runs, once what its inspection adds is known."""
        if run is not None and not run.announced:
            run.announced = True
            self._out.append(self._job(run))

    def _rename(self, container: _Container, _event: Event, _now: float) -> None:
        if container.run is not None and container.run.announced:
            self._out.append(self._job(container.run))

    # Failed starts

    def _start_attempt_over(self, container: _Container, event: Event, _now: float) -> None:
        """A try to start ended; only where it was asked about did no start come of it."""
        if container.inspections and container.run is None:
            container.start_failed_ns = event.at_ns

    def _conclude_failed_start(self, container: _Container, snapshot: Snapshot | None) -> None:
        at_ns, container.start_failed_ns = container.start_failed_ns, None
        if at_ns is None or container.run is not None:
            return
        if snapshot is None:
            self._not_started(container, None, at_ns)
        elif snapshot.start_error and not snapshot.running:
            self._not_started(container, snapshot.code, at_ns)

    def _not_started(self, container: _Container, code: int | None, at_ns: int, *, seen: bool = True) -> None:
        container.attempts += 1
        container.last_end_ns = at_ns
        run = _Run(container, container.attempts, at_ns, None)
        evidence = Evidence(never_started=True, notes=("The engine could not start it.",))
        self._out.append(Exit(self._job(run), code, at_ns, evidence, recovered=not seen))
        self._forget(container)

    # Evidence

    def _oom(self, container: _Container, event: Event, _now: float) -> None:
        self._oom_killed(container, OomKill(Witness.EVENT, event.at_ns))

    def _oom_killed(self, container: _Container, oom_kill: OomKill) -> None:
        run = _run_at(container, oom_kill.at_ns or 0)
        if run is None or len(run.oom_kills) >= _MAX_KEPT:
            return
        before = oom_count(run.oom_kills)
        run.oom_kills.append(oom_kill)
        if oom_count(run.oom_kills) > before:
            self._kernel.explained(oom_kill.at_ns or 0)

    def _kill(self, container: _Container, event: Event, _now: float) -> None:
        run = container.run
        if run is not None and len(run.kills) < _MAX_KEPT:
            hidden = Shadowed.SIGNAL in container.shadowed
            run.kills.append(Kill(None if hidden else event.signal, event.at_ns))

    def _enrich(self, container: _Container, snapshot: Snapshot) -> None:
        """What an inspection says of a run that is ending; a later run's answer says nothing of it."""
        for run in container.ending:
            if snapshot.running or snapshot.started_ns is None or snapshot.started_ns > run.ended_ns:
                continue
            if run.started_ns is None:
                run.began_ns = run.started_ns = snapshot.started_ns
            if run.code_in_doubt and snapshot.code is not None:
                run.code, run.code_in_doubt = snapshot.code, False
            if snapshot.oom_killed and not run.oom_kills:
                run.oom_kills.append(OomKill(Witness.FLAG, None))

    # Ends

    def _die(self, container: _Container, event: Event, now: float) -> None:
        guessed = next((run for run in container.ending if not run.seen_ending), None)
        if guessed is not None and guessed.began_ns <= event.at_ns:
            self._confirm(guessed, event, now)
        elif container.run is not None:
            self._end(container, event.code, event.at_ns, now, seen=True)
        elif container.last_end_ns is None:
            self._begin(container, event.at_ns, None).announced = True
            self._end(container, event.code, event.at_ns, now, seen=True)
        # Otherwise its end is counted already: engines can say ``die`` twice for one run.

    def _end(self, container: _Container, code: int | None, at_ns: int, now: float, *, seen: bool) -> None:
        run, container.run = container.run, None
        if run is None:
            return
        run.code, run.ended_ns, run.seen_ending = code, max(at_ns, run.began_ns), seen
        run.enrich_by, run.oom_by = now + self._rules.enrich_seconds, now + self._rules.oom_seconds
        self._doubt(run)
        container.last_end_ns = at_ns
        container.ending.append(run)
        self._waiting.append(run)

    def _confirm(self, run: _Run, event: Event, now: float) -> None:
        """The event of an end that a list had told of first."""
        run.seen_ending, run.ended_ns = True, event.at_ns
        run.code = event.code if event.code is not None else run.code
        run.oom_by = now + self._rules.oom_seconds
        run.container.last_end_ns = event.at_ns
        self._doubt(run)

    def _doubt(self, run: _Run) -> None:
        if Shadowed.CODE in run.container.shadowed and run.seen_ending:
            run.code = None
        run.code_in_doubt = run.code is None or run.code == DOUBTFUL_CODE

    def _destroy(self, container: _Container, event: Event, now: float) -> None:
        container.destroyed = True
        if container.run is not None:
            self._end(container, None, event.at_ns, now, seen=False)
        self._forget(container)

    def _ready(self, run: _Run, now: float) -> bool:
        """Whether nothing more can come that would change the verdict."""
        if run.container.inspections and now < run.enrich_by:
            return False
        if not run.seen_ending or self._oom_possible(run):
            return now >= run.oom_by
        return True

    def _oom_possible(self, run: _Run) -> bool:
        """Whether an OOM kill of which nobody has told yet could explain this end."""
        if run.code == 0 or run.oom_kills or requested_end(run.kills, run.container.stop_signal):
            return False
        return not self._rules.kernel_counts or self._kernel.near(run.ended_ns) is not None

    def _finish(self, run: _Run) -> None:
        self._waiting.remove(run)
        run.container.ending.remove(run)
        self._take_kernels_word(run)
        record = RunRecord(
            run.code,
            run.ended_ns,
            run.kills,
            run.oom_kills,
            run.container.stop_signal,
            self._rules.oom_window_ns,
        )
        evidence = weigh(record)
        recovered = not run.seen_ending
        self._out.append(
            Exit(
                self._job(run),
                run.code,
                run.ended_ns,
                evidence,
                oom_count(run.oom_kills),
                recovered=recovered,
            )
        )
        self._forget(run.container)

    def _take_kernels_word(self, run: _Run) -> None:
        """A kill that nobody else accounts for is this run's; one with 137 goes before others."""
        if not self._rules.kernel_counts or not run.seen_ending or not self._oom_possible(run):
            return
        at_ns = self._kernel.near(run.ended_ns)
        likelier = run.code != OOM_CODE and any(
            other.code == OOM_CODE and self._oom_possible(other) for other in self._waiting
        )
        if at_ns is not None and not likelier:
            run.oom_kills.append(OomKill(Witness.COUNTER, at_ns))
            self._kernel.explained(at_ns)

    # Lists

    def _too_old(self, snapshot: Snapshot, as_of_ns: int) -> bool:
        ended_ns = snapshot.created_ns if snapshot.started_ns is None else snapshot.finished_ns
        return bool(
            self._rules.memory_ns
            and not snapshot.running
            and ended_ns is not None
            and ended_ns < as_of_ns - self._rules.memory_ns
        )

    def _found(self, snapshot: Snapshot, now: float) -> None:
        """One container of a list, held against what is on record of it."""
        container = self._containers.get(snapshot.container_id)
        if container is None:
            container = self._meet(snapshot.container_id, self._recall(snapshot.container_id))
            container.attempts = max(container.attempts, snapshot.restart_count)
        _learn(container, snapshot)
        if snapshot.started_ns is None:
            if snapshot.start_error and container.last_end_ns is None and container.start_failed_ns is None:
                self._not_started(container, snapshot.code, snapshot.created_ns, seen=False)
            return
        if container.run is not None and snapshot.started_ns > container.run.began_ns:
            # It has been started anew since: how the run on record ended, nobody saw.
            self._end(container, None, snapshot.started_ns, now, seen=False)
        if not _counted(container, snapshot.started_ns):
            self._begin(container, snapshot.started_ns, snapshot.started_ns)
        if container.run is not None and not snapshot.running:
            self._end(container, snapshot.code, snapshot.finished_ns or snapshot.started_ns, now, seen=False)
            self._enrich(container, snapshot)

    def _job(self, run: _Run) -> Job:
        container = run.container
        return Job(
            container_id=container.id,
            attempt=run.attempt,
            name=container.name or container.id[:12],
            instance=self._rules.instance,
            workload=workload_of(container.labels, container.image, self._rules.workload_order),
            image=container.image,
            began_ns=run.began_ns,
            created_ns=container.created_ns,
            started_ns=run.started_ns,
            memory_limit_bytes=container.memory_limit_bytes,
        )


_HANDLERS: dict[Happening, Callable[[Tracker, _Container, Event, float], None]] = {
    Happening.START_ATTEMPT_OVER: Tracker._start_attempt_over,  # noqa: SLF001  # the table is the class's own
    Happening.START: Tracker._start,  # noqa: SLF001
    Happening.OOM: Tracker._oom,  # noqa: SLF001
    Happening.KILL: Tracker._kill,  # noqa: SLF001
    Happening.DIE: Tracker._die,  # noqa: SLF001
    Happening.RENAME: Tracker._rename,  # noqa: SLF001
    Happening.DESTROY: Tracker._destroy,  # noqa: SLF001
}


def _learn(container: _Container, snapshot: Snapshot) -> None:
    container.name = snapshot.name or container.name
    container.image = snapshot.image or container.image
    container.labels = dict(snapshot.labels)
    container.created_ns = snapshot.created_ns
    container.memory_limit_bytes = snapshot.memory_limit_bytes
    container.stop_signal = snapshot.stop_signal


def _counted(container: _Container, started_ns: int) -> bool:
    """Whether the run that started then is on record, as running or as ended.

    Within one container the engine's times only ever go start, end, start, end.
    """
    if container.run is not None:
        return True
    return container.last_end_ns is not None and started_ns <= container.last_end_ns


def _run_at(container: _Container, at_ns: int) -> _Run | None:
    """The run to which something at ``at_ns`` belongs: the open one, unless it began only later."""
    if container.run is not None and (at_ns >= container.run.began_ns or not container.ending):
        return container.run
    return container.ending[-1] if container.ending else None
