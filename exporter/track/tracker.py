"""The tracker: what an engine tells of its containers in, jobs that began or ended out.

A tracker serves one engine. It does no I/O and reads no clock: ``now`` is handed in, in seconds
that only ever grow. An exit is counted from ``die`` alone; what is asked of the engine beside it
only enriches, and is waited for no longer than ``Rules.enrich_seconds``.

Events may come again, since an engine is asked for them with an overlap: what was told once is known
by its container and time. A list comes after all events that were told before it was made, so that
what it knows and they do not, no event will tell any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from exporter.engines.port import Event, Happening, KernelKills, Lapse, Listed, Shadowed, Snapshot
from exporter.model import Cursor, Evidence, Exit, Job, Kill, OomKill, Witness
from exporter.track.containers import Containers, Recall
from exporter.track.progress import Progress
from exporter.track.records import Container, Rules, Run, StartAttempt
from exporter.track.waiting import WaitingRoom

_MAX_KILLS_KEPT = 1_000
# Docker's word for a container that was there when the engine went down, and not when it came back.
_LOST_WITH_HOST = 255
_UNSTARTED = Evidence(never_started=True, notes=("The engine could not start it.",))
_COUNTED_ONLY = Evidence(notes=("Known only from the engine's count of restarts.",))


class Tracker:
    """Puts the events of one engine together into jobs; ``take`` hands over what came of it.

    ``running`` are the jobs that ran when they were last heard of, ``cursor`` is where everything was on
    record; None where nothing of this engine is.
    """

    def __init__(
        self, rules: Rules, recall: Recall, running: Iterable[Job] = (), cursor: Cursor | None = None
    ) -> None:
        self._rules = rules
        self._containers = Containers(recall)
        self._progress = Progress(cursor)
        self._waiting = WaitingRoom(rules)
        self._out: list[Job | Exit] = []
        for job in sorted(running, key=lambda job: job.attempt):
            self._restore(job)

    def take(self) -> list[Job | Exit]:
        """What has begun (Job) or ended (Exit) since the last call, in the order of finding out."""
        out, self._out = self._out, []
        return out

    @property
    def instance(self) -> str:
        """The host that its engine runs on."""
        return self._rules.instance

    @property
    def next_due(self) -> float | None:
        """When ``due`` must be called at the latest; None while nothing waits."""
        return self._waiting.next_due

    @property
    def cursor(self) -> Cursor | None:
        """Before which all that was told has been handed over."""
        return self._progress.cursor(self._waiting.told_ns)

    def due(self, now: float) -> None:
        """Let go of what has waited long enough; to be called after whatever was told."""
        for ended in self._waiting.leave(now):
            self._out.append(ended)
            container = self._containers.get(ended.job.container_id)
            if container is not None:
                self._forget(container)

    def resumed(self, cursor: Cursor, lapse: Lapse = Lapse.NONE) -> None:
        """The engine's events are being read again, and what it has forgotten of those in between."""
        self._progress.resumed(cursor, lapse)
        if lapse is not Lapse.NONE:
            self._drop_attempts()

    def _drop_attempts(self) -> None:
        """Tries to start of which the end was not told, and will not be: a list tells of them."""
        for container in self._containers:
            if container.attempt is not None and not container.attempt.failed_ns:
                container.attempt = None
                self._progress.settles(container.id)

    def event(
        self,
        event: Event,
        now: float,
        *,
        inspecting: bool = False,
        replayed: bool = False,
        logging: bool = False,
    ) -> None:
        """One event; ``inspecting``: an answer about its container is on its way; ``logging``: its log is.

        ``replayed``: it happened before we were there to see it.
        """
        if not event.container_id:
            return
        self._progress.told(event.at_ns)
        if self._containers.is_gone(event.container_id):
            return
        # What is created under our eyes has no past.
        is_new = event.happening is Happening.CREATE and not replayed
        container = self._containers.meet(event.container_id, is_new=is_new)
        container.inspections += inspecting
        self._catch_up(container, event.at_ns if replayed else None, now)
        told = self._containers.is_told(event)
        if not told:
            container.learn_from_event(event)
        handle = (_REPEATED if told else _HANDLERS).get(event.happening)
        if handle is not None:
            handle(self, container, event, now)
        for run in container.ending:
            if run.ended_ns == event.at_ns:
                run.replayed, run.log_awaited = run.replayed or replayed, logging and not told

    def logged(self, container_id: str, ended_ns: int, log_tail: str | None) -> None:
        """The end of the log of the run that ended then; None where there is none."""
        container = self._containers.get(container_id)
        for run in container.ending if container else ():
            if run.ended_ns == ended_ns:
                run.log_tail, run.log_awaited = log_tail, False

    def inspected(self, container_id: str, snapshot: Snapshot | None, asked_ns: int) -> None:
        """The answer that the event of ``asked_ns`` announced; None where the engine had none."""
        container = self._containers.get(container_id)
        if container is None:
            return
        container.inspections = max(0, container.inspections - 1)
        if snapshot is not None:
            container.learn(snapshot)
            if container.attempt is not None:
                container.attempt.learn(snapshot, asked_ns)
            self._enrich(container, snapshot)
        if not container.inspections:
            self._conclude_attempt(container)
            self._announce(container.run)

    def listed(self, listed: Listed, now: float) -> None:
        """All that the engine has. What ended unseen is found here, what has vanished is noted."""
        for container in self._containers:
            self._catch_up(container, None, now)
        present = set(listed.elsewhere)
        for snapshot in listed.snapshots:
            present.add(snapshot.container_id)
            is_gone = self._containers.is_gone(snapshot.container_id)
            if not is_gone and not self._too_old(snapshot, listed.as_of_ns):
                self._found(snapshot, listed, now)
        for container in self._containers:
            if container.id not in present:
                self._missed(container, listed.as_of_ns, now)
            self._forget(container)
        self._progress.listed(listed.as_of_ns)

    def read(self, until_ns: int) -> None:
        """All that was told up to then has come here."""
        self._progress.read(until_ns)

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

    def _restore(self, job: Job) -> None:
        """A job that ran when it was last heard of; its container may have had runs not on record."""
        container = self._containers.meet(job.container_id)
        container.name, container.image, container.workload = job.name, job.image, job.workload
        container.traceparent = job.traceparent
        container.created_ns, container.memory_limit_bytes = job.created_ns, job.memory_limit_bytes
        last_end_ns = container.last_end_ns
        run = Run(
            container,
            job.attempt,
            job.began_ns,
            job.started_ns,
            last_end_ns if last_end_ns is not None and last_end_ns < job.began_ns else None,
            announced=True,
            restarts=job.restarts,
            kills=list(job.kills),
            oom_kills=list(job.oom_kills),
        )
        container.upcoming.append(run)

    def _catch_up(self, container: Container, at_ns: int | None, now: float) -> None:
        """Go on to the run on record that had begun by then, or to the last."""
        while container.upcoming and (at_ns is None or container.upcoming[0].began_ns <= at_ns):
            following = container.upcoming.pop(0)
            self._lose(container, following.began_ns, now)
            container.run = following

    def _forget(self, container: Container) -> None:
        """Let go of a container that is removed, once nothing about it is open."""
        if container.destroyed and not (container.ending or container.attempt or container.inspections):
            self._containers.let_go(container)
            self._progress.settles(container.id)

    # Beginnings

    def _start(self, container: Container, event: Event, now: float) -> None:
        attempt = container.attempt
        self._lose(container, event.at_ns, now)
        begun = self._begin(container, event.at_ns, event.at_ns)
        begun.seen_beginning, container.strays = True, []
        if attempt is not None:
            begun.tried_ns = attempt.began_ns
        if attempt is not None and attempt.early is not None:
            # Nobody asks again, and without the engine's count, restarts that nobody sees are not missed.
            self._enrich(container, attempt.early)
        if not container.inspections:
            self._announce(begun)

    def _begin(self, container: Container, began_ns: int, started_ns: int | None) -> Run:
        last = container.latest_run
        container.attempts += 1
        container.attempt = None
        after_ns = container.last_end_ns if last is None else last.began_ns
        container.run = Run(container, container.attempts, began_ns, started_ns, after_ns)
        self._progress.begins(container.id, began_ns)
        return container.run

    def _announce(self, run: Run | None) -> None:
        """Say that a job runs, once what its inspection adds is known."""
        if run is not None and not run.announced:
            run.announced = True
            self._tell(run)

    def _tell(self, run: Run) -> None:
        """Say how a job stands that runs; nobody needs to hear of one before it is announced."""
        if run is run.container.run and run.announced:
            self._progress.settles(run.container.id)
            self._out.append(run.job(self._rules))

    def _rename(self, container: Container, _event: Event, _now: float) -> None:
        if container.run is not None:
            self._tell(container.run)

    # Failed starts

    def _start_attempt(self, container: Container, event: Event, _now: float) -> None:
        # A network that a running container joins is no try to start it.
        if container.run is None:
            if container.attempt is not None and container.attempt.answer is not None:
                self._count_attempt(container)
            container.attempt = container.attempt or StartAttempt(event.at_ns)
            self._progress.tries(container.id, event.at_ns)

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
        self._progress.settles(container.id)
        if attempt is None:
            return
        for at_ns in attempt.failed_ns:
            self._not_started(container, None if attempt.answer is None else attempt.answer.code, at_ns)
        self._forget(container)

    def _not_started(self, container: Container, code: int | None, at_ns: int, *, seen: bool = True) -> None:
        container.attempts += 1
        container.last_end_ns = at_ns
        job = Run(container, container.attempts, at_ns, None).job(self._rules)
        self._out.append(Exit(job, code, at_ns, _UNSTARTED, recovered=not seen))

    def _attempt_told(self, container: Container, _event: Event, _now: float) -> None:
        """How the try ended is on record, though its beginning has just been told again."""
        container.attempt = None
        self._progress.settles(container.id)

    # Evidence

    def _oom(self, container: Container, event: Event, _now: float) -> None:
        self._oom_killed(container, OomKill(Witness.EVENT, event.at_ns), event.at_ns)

    def _oom_killed(self, container: Container, oom_kill: OomKill, at_ns: int) -> None:
        run = container.run_at(at_ns)
        if run is None:
            container.strays.append(oom_kill)
        elif oom_kill not in run.oom_kills:
            self._waiting.oom_killed(run, oom_kill)
            self._tell(run)

    def _kill(self, container: Container, event: Event, _now: float) -> None:
        kill = Kill(None if Shadowed.SIGNAL in container.shadowed else event.signal, event.at_ns)
        run = container.run
        if run is None:
            container.strays.append(kill)
        elif len(run.kills) < _MAX_KILLS_KEPT and kill not in run.kills:
            run.kills.append(kill)
            self._tell(run)

    def _take_strays(self, run: Run, since_ns: int) -> None:
        """What was told before it was known that there is a run."""
        strays, run.container.strays = run.container.strays, []
        for stray in strays:
            if stray.at_ns is None or stray.at_ns < since_ns:
                continue
            if isinstance(stray, Kill):
                run.kills.append(stray)
            else:
                self._waiting.oom_killed(run, stray)

    def _enrich(self, container: Container, snapshot: Snapshot) -> None:
        """What an inspection says of a run; of another than it was made in, it says nothing."""
        latest = container.latest_run
        if latest is not None and latest.is_shown_by(snapshot):
            latest.restarts = snapshot.restarts
        for run in container.ending:
            if snapshot.running or run.lost or not run.is_shown_by(snapshot):
                continue
            if run.started_ns is None:
                run.began_ns = run.started_ns = snapshot.started_ns or run.began_ns
            if run.code_in_doubt and snapshot.code is not None and not snapshot.start_error:
                run.code, run.code_in_doubt = snapshot.code, False
            if snapshot.oom_killed and not run.oom_kills:
                self._waiting.oom_killed(run, OomKill(Witness.FLAG, None))

    # Ends

    def _die(self, container: Container, event: Event, now: float) -> None:
        if container.run is None and self._may_run_unseen(container, event.at_ns):
            run = self._begin(container, event.at_ns, None)
            run.announced = True
            self._take_strays(run, container.last_end_ns or 0)
        if container.run is not None:
            self._end(container, event.code, event.at_ns, now, seen=True)
        # Otherwise its end is counted already: engines can say ``die`` twice for one run.

    def _may_run_unseen(self, container: Container, at_ns: int) -> bool:
        """Whether there may be a run of which neither an event nor a list has told."""
        last = container.last_end_ns
        return last is None or (
            not self._progress.knows_all
            and container.last_run is None
            and not container.ending
            and at_ns > last
        )

    def _end(self, container: Container, code: int | None, at_ns: int, now: float, *, seen: bool) -> None:
        run, container.run = container.run, None
        self._progress.settles(container.id)
        if run is not None:
            run.end(code, at_ns, seen=seen)
            container.last_end_ns = max(at_ns, container.last_end_ns or at_ns)
            self._waiting.enter(run, now)

    def _lose(self, container: Container, at_ns: int, now: float) -> None:
        """The open run has ended, and how is not to be known any more."""
        run, last_end_ns = container.run, container.last_end_ns
        if run is not None:
            run.lost = True
            self._end(container, None, at_ns, now, seen=False)
            # Between its beginning and now there may have been more than one.
            container.last_end_ns = max(run.began_ns, last_end_ns or 0)

    def _destroy(self, container: Container, event: Event, now: float) -> None:
        container.destroyed = True
        if container.attempt is not None and not container.attempt.failed_ns:
            # Removed in the middle of a try whose end was not told: created, connected, never started.
            container.attempt = None
        self._lose(container, event.at_ns, now)
        if self._progress.knows_all:
            # Otherwise a list may tell how it ended.
            self._forget(container)

    # Lists

    def _missed(self, container: Container, as_of_ns: int, now: float) -> None:
        """A container that the engine does not have any more."""
        container.destroyed = True
        if container.run is not None:
            self._lose(container, max(as_of_ns, container.run.began_ns), now)

    def _too_old(self, snapshot: Snapshot, as_of_ns: int) -> bool:
        ended_ns = snapshot.created_ns if snapshot.started_ns is None else snapshot.finished_ns
        known = self._containers.get(snapshot.container_id)
        if snapshot.running or ended_ns is None or (known is not None and known.run is not None):
            return False
        kept_ns = as_of_ns - self._rules.memory_ns if self._rules.memory_ns else 0
        return ended_ns < max(kept_ns, self._rules.pruned_ns)

    def _found(self, snapshot: Snapshot, listed: Listed, now: float) -> None:
        """One container of a list, held against what is on record of it."""
        container = self._containers.meet(snapshot.container_id)
        container.learn(snapshot)
        if snapshot.started_ns is None:
            self._found_unstarted(container, snapshot)
            return
        run = container.run
        if run is None or not run.is_shown_by(snapshot) or self._is_behind(snapshot, listed, run):
            if container.has_counted(snapshot.started_ns):
                self._enrich(container, snapshot)
                return
            if run is not None and snapshot.started_ns < run.began_ns:
                self._found_before(container, snapshot, now)
                return
            # It has been started anew since.
            self._lose(container, snapshot.started_ns, now)
            run = self._begin_found(container, snapshot, snapshot.started_ns)
        run.restarts = snapshot.restarts
        if snapshot.running:
            self._announce(run)
        else:
            run.lost_with_host = (
                listed.of_all and not self._progress.is_new and snapshot.code == _LOST_WITH_HOST
            )
            self._end_found(container, snapshot, now)

    def _is_behind(self, snapshot: Snapshot, listed: Listed, run: Run) -> bool:
        """Whether a container has been started since the list asked about it."""
        touched = snapshot.container_id in listed.elsewhere and run.seen_beginning
        return touched and not snapshot.running and (snapshot.finished_ns or 0) < run.began_ns

    def _found_before(self, container: Container, snapshot: Snapshot, now: float) -> None:
        """An end that only the list has told of, of a container that has been started again since."""
        open_run, container.run = container.run, None
        self._begin_found(container, snapshot, snapshot.started_ns or 0)
        self._end_found(container, snapshot, now)
        container.run = open_run

    def _end_found(self, container: Container, snapshot: Snapshot, now: float) -> None:
        """An end that a list has told of; a start that failed since has put its own code in place."""
        code = None if snapshot.start_error else snapshot.code
        began_ns = container.run.began_ns if container.run else 0
        self._end(container, code, snapshot.finished_ns or began_ns, now, seen=False)
        self._enrich(container, snapshot)

    def _begin_found(self, container: Container, snapshot: Snapshot, started_ns: int) -> Run:
        """A run that a list has told of, and before it those that are only known to have been."""
        for before in self._missing(container, snapshot):
            ended_ns = started_ns - before
            job = self._begin(container, ended_ns, None).job(self._rules)
            container.run = None
            container.last_end_ns = ended_ns
            self._out.append(Exit(job, None, ended_ns, _COUNTED_ONLY, recovered=True))
        run = self._begin(container, started_ns, started_ns)
        run.restarts = snapshot.restarts
        self._take_strays(run, started_ns)
        return run

    def _missing(self, container: Container, snapshot: Snapshot) -> Iterator[int]:
        """One for each run between the last that is known and the one in the list, the first one highest."""
        restarts, known = snapshot.restarts, container.restarts
        if not container.attempts:
            # Before anyone watched this engine, it is not ours; since then, it would be on record.
            missing = 0 if self._progress.is_new or self._may_be_pruned(snapshot) else restarts
        elif known is None:
            missing = 0
        else:
            # An engine counts restarts from the latest start by hand.
            missing = restarts - known - 1 if restarts > known else restarts
        if self._progress.is_new and not container.attempts:
            container.attempts = restarts
        return iter(range(missing, 0, -1))

    def _may_be_pruned(self, snapshot: Snapshot) -> bool:
        newest_ns = max(snapshot.started_ns or 0, snapshot.finished_ns or 0)
        return bool(self._rules.memory_ns) and snapshot.created_ns < newest_ns - self._rules.memory_ns

    def _found_unstarted(self, container: Container, snapshot: Snapshot) -> None:
        known = (container.last_end_ns, container.attempt, container.run)
        if snapshot.start_error and known == (None, None, None):
            self._not_started(container, snapshot.code, snapshot.created_ns, seen=False)


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
# What is told again of a run or a try that is on record.
_REPEATED: dict[Happening, Callable[[Tracker, Container, Event, float], None]] = {
    Happening.START: Tracker._attempt_told,  # noqa: SLF001
    Happening.START_ATTEMPT_OVER: Tracker._attempt_told,  # noqa: SLF001
}
