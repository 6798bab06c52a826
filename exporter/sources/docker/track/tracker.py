"""The tracker: what an engine tells of its containers in, jobs that began or ended out.

A tracker serves one engine. It does no I/O and reads no clock: ``now`` is handed in, in seconds
that only ever grow. An exit is counted from ``die`` alone; what is asked of the engine beside it
(the true times of start and end, most of all) only enriches, and is waited for no longer than
``Rules.enrich_seconds``.

Events may come again, since an engine is asked for them with an overlap: what was told once is known
by its container and time. A list comes after all events that were told before it was made, so that
what it knows and they do not, no event will tell any more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

from exporter.exit_codes import START_FAILURES, UNKNOWN_STATUS
from exporter.model import SECOND_NS, Cursor, Job, KillRequest, MemoryLimit, OomKill, OomSource
from exporter.sources.docker.engine import (
    ContainerList,
    Event,
    EventGap,
    EventType,
    Inspection,
    KernelReport,
    MaskedField,
)
from exporter.sources.docker.kernel.kmsg import last_container
from exporter.sources.docker.track.checkpoint import Checkpoint
from exporter.sources.docker.track.containers import Containers, LoadHistory
from exporter.sources.docker.track.pending_exits import PendingExits
from exporter.sources.docker.track.run import Container, Run, StartAttempt, TrackerConfig, job_key
from exporter.verdict.evidence import is_terminating
from exporter.verdict.facts import (
    CountedRun,
    Crash,
    EndedRun,
    FailedStart,
    ForkRejected,
    GpuFault,
    KernelOomKill,
    SeccompKill,
)

_MAX_KILLS_KEPT = 1_000
# Requests to end within this time of each other are one act, such as an engine that is told to stop.
_TOGETHER_NS = SECOND_NS
_RECENT_STOPS = 1_000


class Tracker:
    """Puts the events of one engine together into jobs; ``drain`` hands over what came of it.

    ``running`` are the jobs that ran when they were last heard of, ``cursor`` is where everything was on
    record; None where nothing of this engine is.
    """

    def __init__(
        self,
        rules: TrackerConfig,
        load_history: LoadHistory,
        running: Iterable[Job] = (),
        cursor: Cursor | None = None,
    ) -> None:
        self._rules = rules
        self._containers = Containers(load_history)
        self._progress = Checkpoint(cursor)
        self._waiting = PendingExits(rules)
        self._out: list[Job | EndedRun] = []
        self._stops: deque[tuple[str, int]] = deque(maxlen=_RECENT_STOPS)
        for job in sorted(running, key=lambda job: job.attempt):
            self._restore(job)

    def drain(self) -> list[Job | EndedRun]:
        """What has begun (Job) or ended (EndedRun) since the last call, in the order of finding out."""
        out, self._out = self._out, []
        return out

    @property
    def host(self) -> str:
        """The host that its engine runs on."""
        return self._rules.host

    @property
    def next_due(self) -> float | None:
        """When ``release_due`` must be called at the latest; None while nothing waits."""
        return self._waiting.next_due

    @property
    def cursor(self) -> Cursor | None:
        """Before which all that was told has been handed over."""
        return self._progress.cursor(self._waiting.recorded_event_times)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is known that may run, or may be starting, and of which the end was not told."""
        return not any(container.is_open for container in self._containers)

    def release_due(self, now: float) -> None:
        """Let go of what has waited long enough; to be called after whatever was told."""
        for run, oom_kill in self._waiting.decided(now):
            self._decide_oom(run, oom_kill)
        for ended in self._waiting.leave(now):
            self._out.append(ended)
            container = self._containers.get(ended.job.container_id)
            if container is not None:
                self._forget(container)

    def resumed(self, cursor: Cursor, event_gap: EventGap = EventGap.NONE) -> None:
        """The engine's events are being read again, and what it has forgotten of those in between."""
        self._progress.resumed(cursor, event_gap)
        if event_gap is not EventGap.NONE:
            self._drop_attempts()

    def _drop_attempts(self) -> None:
        """Tries to start of which the end was not told, and will not be: a list tells of them."""
        for container in self._containers:
            container.seen_created = False
            container.joined.clear()
            for run in (container.run, *container.restored_runs):
                if run is not None:
                    run.has_missed = True
            if container.is_starting:
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
        is_new = event.type is EventType.CREATE and not replayed
        container = self._containers.meet(event.container_id, is_new=is_new)
        container.seen_created |= event.type is EventType.CREATE
        container.inspections += inspecting
        self._catch_up(container, event.at_ns if replayed else None, now)
        told = self._containers.is_told(event)
        if not told:
            container.learn_from_event(event)
        if told:
            self._repeated(container, event)
        else:
            self._happened(container, event, now, replayed=replayed)
        for run in container.pending_runs:
            if run.died_ns == event.at_ns:
                run.replayed, run.log_awaited = run.replayed or replayed, logging and not told

    def _happened(self, container: Container, event: Event, now: float, *, replayed: bool) -> None:
        match event.type:
            case EventType.START_ATTEMPT:
                self._start_attempt(container, event)
            case EventType.START_ATTEMPT_OVER:
                self._start_attempt_over(container, event, replayed=replayed)
            case EventType.START:
                self._start(container, event, now)
            case EventType.DIE:
                self._die(container, event, now)
            case EventType.DESTROY:
                self._destroy(container, event, now)
            case _:
                self._happened_within(container, event, now)

    def _happened_within(self, container: Container, event: Event, now: float) -> None:
        """What begins and ends no run."""
        match event.type:
            case EventType.OOM:
                self._oom(container, event, now)
            case EventType.KILL:
                self._kill(container, event)
            case EventType.HEALTH:
                self._health(container, event)
            case EventType.STOP:
                self._stopped(container, event)
            case EventType.RENAME if container.run is not None:
                self._tell(container.run)

    def _repeated(self, container: Container, event: Event) -> None:
        """What is told again of a run or a try that is on record."""
        if event.type in {EventType.START, EventType.START_ATTEMPT_OVER}:
            # How the try ended is on record, though its beginning has just been told again.
            container.attempt = None
            self._progress.settles(container.id)

    def log_collected(self, container_id: str, ended_ns: int, log_tail: str | None) -> None:
        """The end of the log of the run that ended then; None where there is none."""
        container = self._containers.get(container_id)
        for run in container.pending_runs if container else ():
            if run.died_ns == ended_ns:
                run.log_tail, run.log_awaited = log_tail, False

    def inspected(self, container_id: str, inspection: Inspection | None, asked_ns: int) -> None:
        """The answer that the event of ``asked_ns`` announced; None where the engine had none."""
        container = self._containers.get(container_id)
        if container is None:
            return
        container.inspections = max(0, container.inspections - 1)
        if inspection is not None:
            container.learn(inspection)
            if container.attempt is not None:
                container.attempt.learn(inspection, asked_ns)
            self._enrich(container, inspection)
            if container.run is not None and container.run.is_described_by(inspection):
                self._tell(container.run)
        if not container.inspections:
            self._conclude_attempt(container)
            self._announce(container.run)

    def start_failed(self, inspection: Inspection) -> None:
        """An inspection shows a start that has failed without an event."""
        container = self._containers.get(inspection.container_id)
        if container is not None:
            container.learn(inspection)
            self._found_unstarted(container, inspection)

    def listed(self, listed: ContainerList, now: float) -> None:
        """All that the engine has. What ended unseen is found here, what has vanished is noted."""
        for container in self._containers:
            self._catch_up(container, None, now)
            self._release_attempt(container)
        present = set(listed.unlisted_ids)
        for inspection in listed.containers:
            present.add(inspection.container_id)
            is_gone = self._containers.is_gone(inspection.container_id)
            if not is_gone and not self._too_old(inspection, listed.as_of_ns):
                self._found(inspection, listed, now)
        for container in self._containers:
            if container.id not in present:
                self._missed(container, listed.as_of_ns, now)
            self._forget(container)
        self._progress.listed(listed.as_of_ns)

    def caught_up(self, until_ns: int) -> None:
        """All that was told up to then has come here."""
        self._progress.read(until_ns)

    def oom_on_other_engine(self, container_id: str, at_ns: int, now: float) -> None:
        """A container of another engine on the same host had a kill, as that one tells."""
        self._waiting.reported_elsewhere(container_id, at_ns, now)

    def kernel_reported(self, report: KernelReport) -> None:
        """What the kernel says of its OOM kills, and of processes that it has refused or ended otherwise."""
        self._waiting.counted(report)
        for fact in report.facts:
            match fact:
                case KernelOomKill():
                    self._kernel_killed(fact)
                case ForkRejected():
                    self._note_fact(self._containers.get(fact.container_id), fact)
                case Crash() | SeccompKill() | GpuFault():
                    owner = self._owner(fact.pid)
                    if owner is None:
                        self._waiting.hint(fact)
                    else:
                        owner.note_fact(fact)

    def _kernel_killed(self, kill: KernelOomKill) -> None:
        container, victim = self._containers.get(kill.container_id or ""), kill.victim
        if container is None:
            # The victim may be of an engine within a container, whose own limit it was.
            container = self._containers.get(last_container(victim.cgroup) or "")
            victim = replace(victim, limit=MemoryLimit.OWN) if container else victim
        owner = None if kill.container_id else self._owner(victim.pid)
        if container is None and owner is not None:
            container = owner.container
        if container is not None:
            self._waiting.logged(container.id, kill.at_ns)
            self._oom_killed(container, OomKill(OomSource.LOG, kill.at_ns, victim), kill.at_ns)
        elif kill.named:
            # Of another engine, or a process of the host.
            self._waiting.logged(kill.container_id, kill.at_ns)

    def _note_fact(self, container: Container | None, fact: ForkRejected) -> None:
        if container is None:
            return
        run = container.run_at(fact.at_ns)
        if run is None:
            # The log can be read before the event of its start.
            container.keep_unmatched(fact)
        else:
            run.note_fact(fact)

    def _owner(self, pid: int | None) -> Run | None:
        """The run whose process 1 this is, on a local engine's host."""
        return self._waiting.run_of(pid) or next(
            (each.run for each in self._containers if pid and each.run is not None and each.run.pid == pid),
            None,
        )

    # Containers

    def _restore(self, job: Job) -> None:
        """A job that ran when it was last heard of; its container may have had runs not on record."""
        container = self._containers.meet(job.container_id)
        container.name, container.image, container.workload = job.name, job.image, job.workload
        container.repository = job.workload.image
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
            # On record is the engine's own time, unless it is that of the event.
            confirmed=bool(job.key) and job.started_ns != job.began_ns,
            key=job.key,
            restarts=job.restarts,
            kills=list(job.kills),
            oom_kills=list(job.oom_kills),
        )
        container.restored_runs.append(run)

    def _catch_up(self, container: Container, at_ns: int | None, now: float) -> None:
        """Go on to the run on record that had begun by then, or to the last."""
        while container.restored_runs and (at_ns is None or container.restored_runs[0].began_ns <= at_ns):
            following = container.restored_runs.pop(0)
            self._lose(container, following.began_ns, now)
            container.run = following

    def _forget(self, container: Container) -> None:
        """Let go of a container that is removed, once nothing about it is open."""
        if container.destroyed and not (container.pending_runs or container.attempt or container.inspections):
            self._containers.let_go(container)
            self._progress.settles(container.id)

    # Beginnings

    def _start(self, container: Container, event: Event, now: float) -> None:
        attempt = container.attempt
        self._lose(container, event.at_ns, now)
        begun = self._begin(container, event.at_ns, event.at_ns)
        begun.seen_beginning = True
        if attempt is not None:
            begun.start_attempt_ns = attempt.began_ns
        # A line of the kernel's log can be read before the event of the start before it.
        self._take_strays(begun, max(begun.start_attempt_ns or 0, begun.began_ns - _TOGETHER_NS), now)
        container.left.clear()
        if container.failed_start_ns is not None and container.failed_start_ns < event.at_ns:
            container.failed_start_ns = None
        if attempt is not None and attempt.early is not None:
            # Nobody asks again, and without the engine's count, restarts that nobody sees are not missed.
            self._enrich(container, attempt.early)
        if not container.inspections:
            self._announce(begun)

    def _begin(self, container: Container, began_ns: int, started_ns: int | None) -> Run:
        last = container.latest_run
        container.attempts += 1
        container.attempt = None
        previous_run_ns = container.last_end_ns if last is None else last.began_ns
        container.run = Run(container, container.attempts, began_ns, started_ns, previous_run_ns)
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

    # Failed starts

    def _start_attempt(self, container: Container, event: Event) -> None:
        container.joined.add(event.network)
        # A network that a running container joins is no try to start it.
        if container.run is None:
            if container.attempt is not None and container.attempt.answer is not None:
                self._count_attempt(container)
            if container.attempt is None or not container.attempt.was_tried:
                # What only left a network, and no answer has shown to have failed, was the end of a run.
                container.left.clear()
                container.attempt = StartAttempt(event.at_ns)
            self._progress.tries(container.id, event.at_ns)

    def _start_attempt_over(self, container: Container, event: Event, *, replayed: bool) -> None:
        """A network was left: if a start was tried and none came, it failed.

        From Engine 28 on, a start that fails joins no network, and yet leaves each of its networks; engines
        before did so where the network itself was what failed (a port that is taken). Left one after the
        other, different ones are of one start, the same one again is of the next.
        """
        had_joined = event.network in container.joined
        container.joined.discard(event.network)
        if container.run is not None:
            return
        if container.attempt is None:
            if had_joined or self._has_left(container, event):
                return
            held = replayed and not container.seen_created
            container.attempt = StartAttempt(event.at_ns, was_tried=False, held=held)
            self._progress.tries(container.id, event.at_ns)
        elif container.attempt.failed_ns and self._has_left(container, event):
            return
        container.left.add(event.network)
        container.left_ns = event.at_ns
        container.attempt.failed_ns.append(event.at_ns)
        self._conclude_attempt(container)

    def _has_left(self, container: Container, event: Event) -> bool:
        """Whether this is one more network of the start that has failed just now."""
        is_long_ago = event.at_ns - container.left_ns > _TOGETHER_NS
        container.left_ns = event.at_ns
        if not container.left or event.network in container.left or is_long_ago:
            container.left.clear()
            return False
        container.left.add(event.network)
        return True

    def _conclude_attempt(self, container: Container) -> None:
        """A failed try counts once no answer about it is outstanding: only an answer knows the code."""
        attempt = container.attempt
        if attempt is None or not attempt.failed_ns or container.inspections or attempt.held:
            return
        self._count_attempt(container)

    def _release_attempt(self, container: Container) -> None:
        """All that is told again has been told: what looks like a failed start is one."""
        if container.attempt is not None:
            container.attempt.held = False
            self._conclude_attempt(container)

    def _count_attempt(self, container: Container) -> None:
        attempt, container.attempt = container.attempt, None
        self._progress.settles(container.id)
        if attempt is None:
            return
        if attempt.was_tried or self._has_failed(container, attempt):
            for at_ns in attempt.failed_ns:
                self._not_started(container, attempt.answer, at_ns)
        self._forget(container)

    def _has_failed(self, container: Container, attempt: StartAttempt) -> bool:
        """Whether what only left a network was a start that failed, and not the end of a run."""
        if container.seen_created:
            # There is no run that nobody has seen, and which this could be the end of.
            return attempt.answer is not None or attempt.early is None
        never_ran = attempt.answer is not None and attempt.answer.started_ns is None
        return never_ran or (self._rules.late_network_connect and attempt.answer is not None)

    def _not_started(
        self, container: Container, answer: Inspection | None, at_ns: int, *, seen: bool = True
    ) -> None:
        container.attempts += 1
        run = Run(container, container.attempts, at_ns, None)
        # A list does not tell when it failed: its number is what every observer sees alike.
        run.key = job_key(self._rules.identity, container.id, container.attempts)
        self._take_strays(run, container.last_end_ns or 0, None)
        container.last_end_ns = max(at_ns, container.last_end_ns or 0)
        container.failed_start_ns = at_ns
        code, error = (None, "") if answer is None else (_start_code(answer), answer.error)
        not_known = () if seen else ("When it failed to start: the engine's list does not say.",)
        self._out.append(
            EndedRun(
                run.job(self._rules),
                FailedStart(code, at_ns, error, tuple(run.oom_kills)),
                recovered=not seen,
                event_ns=at_ns if seen else None,
                not_known=not_known,
            )
        )

    # Evidence

    def _oom(self, container: Container, event: Event, now: float) -> None:
        run = container.run_at(event.at_ns)
        if run is None:
            container.keep_unmatched(OomKill(OomSource.EVENT, event.at_ns))
        elif container.oom_kill_disabled:
            # It would be given a kill of that moment that nobody else claims.
            self._decide_oom(run, None)
        elif self._waiting.reported(run, event.at_ns, now):
            self._decide_oom(run, OomKill(OomSource.EVENT, event.at_ns))

    def _decide_oom(self, run: Run, oom_kill: OomKill | None) -> None:
        """A kill that was reported is now known to be one of this run's, or to be none."""
        if run.container.oom_kill_disabled:
            # Engines up to 23 flag it as killed all the same.
            run.hung_ns, run.oom_denied = run.hung_ns or run.began_ns, True
        elif oom_kill is not None:
            self._waiting.oom_killed(run, oom_kill)
        else:
            run.oom_denied = True
        self._tell(run)

    def _oom_killed(self, container: Container, oom_kill: OomKill, at_ns: int) -> None:
        run = container.run_at(at_ns)
        if run is None:
            container.keep_unmatched(oom_kill)
        elif oom_kill not in run.oom_kills:
            self._waiting.oom_killed(run, oom_kill)
            self._tell(run)

    def _kill(self, container: Container, event: Event) -> None:
        kill = KillRequest(
            None if MaskedField.SIGNAL in container.masked_fields else event.signal, event.at_ns
        )
        run = container.run
        if run is None:
            container.keep_unmatched(kill)
        elif len(run.kills) < _MAX_KILLS_KEPT and kill not in run.kills:
            run.kills.append(kill)
            if is_terminating(kill, container.stop_signal):
                self._stops.append((container.id, event.at_ns))
            self._tell(run)

    def _health(self, container: Container, event: Event) -> None:
        run = container.run
        if run is not None:
            run.unhealthy_ns, run.health_told = event.at_ns if event.healthy is False else None, True
            self._tell(run)

    def _stopped(self, container: Container, event: Event) -> None:
        """The engine's stop command has seen it end; the event comes a moment before its end's, or after."""
        run = container.run or (container.pending_runs[-1] if container.pending_runs else None)
        if run is not None and run.began_ns <= event.at_ns:
            run.was_stopped = True

    def _take_strays(self, run: Run, since_ns: int, now: float | None) -> None:
        """What was told before it was known that there is a run; ``now`` is None of one that never was."""
        unmatched_facts, run.container.unmatched_facts = run.container.unmatched_facts, []
        for stray in unmatched_facts:
            if stray.at_ns is None or stray.at_ns < since_ns:
                continue
            if isinstance(stray, KillRequest):
                run.kills.append(stray)
            elif isinstance(stray, ForkRejected):
                run.note_fact(stray)
            elif stray.source is OomSource.LOG or (
                now is not None and self._waiting.reported(run, stray.at_ns, now)
            ):
                self._waiting.oom_killed(run, stray)

    def _enrich(self, container: Container, inspection: Inspection) -> None:
        """What an inspection says of a run; of another than it was made in, it says nothing."""
        latest = container.latest_run
        if latest is not None and latest.is_described_by(inspection):
            latest.learn(inspection)
        for run in container.pending_runs:
            if run.exit_unknown:
                continue
            if not run.is_described_by(inspection):
                self._take_previous_finish(run, inspection)
            elif not inspection.running:
                run.learn(inspection)
                self._take_end(run, inspection)

    def _take_previous_finish(self, run: Run, inspection: Inspection) -> None:
        """Started anew since, its container's answer still has the time of its end, if it was the last."""
        finished_ns, started_ns = inspection.previous_finished_ns, inspection.started_ns
        is_last = run is max(run.container.pending_runs, key=lambda each: each.began_ns)
        if is_last and run.seen_ending and started_ns is not None and run.ended_ns <= started_ns:
            run.finish(finished_ns)

    def _take_end(self, run: Run, inspection: Inspection) -> None:
        """An inspection after its end has the engine's own time, code and flag."""
        if run.code_unreliable and inspection.code is not None and not inspection.start_failed:
            run.code, run.code_unreliable = inspection.code, False
        run.finish(inspection.finished_ns)
        if inspection.oom_killed and self._flag_counts(run):
            self._waiting.flagged(run)

    def _flag_counts(self, run: Run) -> bool:
        """Whether the engine's flag tells what nothing better does.

        Engines up to 23 do not clear it at the next start; with cgroup v1 it is also set of containers that
        only share the limit, which the kernel's counter tells apart.
        """
        if run.oom_kills or run.oom_denied or run.was_flagged:
            return False
        if self._rules.has_kernel_counter and run.seen_beginning and run.seen_ending:
            return False
        before = run.container.last_finished_run
        return before is None or not before.oom_kills or not run.seen_beginning

    # Ends

    def _die(self, container: Container, event: Event, now: float) -> None:
        if container.attempt is not None and not container.attempt.was_tried:
            if container.seen_created or not self._may_run_unseen(container, event.at_ns):
                # Killed while it was being started, it dies without ever having run.
                return
            # Its network was left by the run that ends here, whose beginning nobody has seen.
            container.attempt = None
            container.left.clear()
        if container.run is None and self._may_run_unseen(container, event.at_ns):
            run = self._begin(container, event.at_ns, None)
            run.announced = True
            self._take_strays(run, container.last_end_ns or 0, now)
        if container.run is not None:
            self._end(container, event.code, event.at_ns, now, seen=True)
        # Otherwise its end is counted already: engines can say ``die`` twice for one run.

    def _may_run_unseen(self, container: Container, at_ns: int) -> bool:
        """Whether there may be a run of which neither an event nor a list has told."""
        last = container.last_end_ns
        return last is None or (
            not self._progress.is_complete
            and container.last_finished_run is None
            and not container.pending_runs
            and at_ns > last
        )

    def _end(self, container: Container, code: int | None, at_ns: int, now: float, *, seen: bool) -> None:
        run, container.run = container.run, None
        self._progress.settles(container.id)
        if run is not None:
            run.end(code, at_ns, seen=seen)
            run.stopped_together = self._stopped_together(run)
            container.last_end_ns = max(at_ns, run.ended_ns, container.last_end_ns or at_ns)
            self._waiting.enter(run, now)

    def _stopped_together(self, run: Run) -> int:
        """Of how many containers the end was asked together with this one, if of all that ran; else 0."""
        asked_ns = max((kill.at_ns for kill in run.kills), default=None)
        if asked_ns is None:
            return 0
        asked = {each for each, at_ns in self._stops if abs(at_ns - asked_ns) <= _TOGETHER_NS}
        still = {each.id for each in self._containers if each.run is not None}
        return len(asked) if run.container.id in asked and still <= asked else 0

    def _lose(self, container: Container, at_ns: int, now: float) -> None:
        """The open run has ended, and how is not to be known any more."""
        run, last_end_ns = container.run, container.last_end_ns
        if run is not None:
            run.exit_unknown = True
            self._end(container, None, at_ns, now, seen=False)
            # Between its beginning and now there may have been more than one.
            container.last_end_ns = max(run.began_ns, last_end_ns or 0)

    def _destroy(self, container: Container, event: Event, now: float) -> None:
        container.destroyed = True
        if container.is_starting:
            # Removed in the middle of a try whose end was not told: created, connected, never started.
            container.attempt = None
        self._lose(container, event.at_ns, now)
        if self._progress.is_complete:
            # Otherwise a list may tell how it ended.
            self._forget(container)

    # Lists

    def _missed(self, container: Container, as_of_ns: int, now: float) -> None:
        """A container that the engine does not have any more."""
        container.destroyed = True
        if container.run is not None:
            self._lose(container, max(as_of_ns, container.run.began_ns), now)

    def _too_old(self, inspection: Inspection, as_of_ns: int) -> bool:
        ended_ns = inspection.created_ns if inspection.started_ns is None else inspection.finished_ns
        known = self._containers.get(inspection.container_id)
        if inspection.running or ended_ns is None or (known is not None and known.run is not None):
            return False
        kept_ns = as_of_ns - self._rules.retention_ns if self._rules.retention_ns else 0
        return ended_ns < max(kept_ns, self._rules.pruned_before_ns)

    def _found(self, inspection: Inspection, listed: ContainerList, now: float) -> None:
        """One container of a list, held against what is on record of it."""
        container = self._containers.meet(inspection.container_id)
        container.learn(inspection)
        if inspection.started_ns is None:
            self._found_unstarted(container, inspection)
            return
        run = container.run
        if run is None or not run.is_described_by(inspection) or self._is_behind(inspection, listed, run):
            if container.has_counted(inspection.started_ns):
                self._enrich(container, inspection)
                self._found_failed_start(container, inspection, listed.as_of_ns)
                return
            if run is not None and inspection.started_ns < run.began_ns:
                self._found_before(container, inspection, now)
                return
            # It has been started anew since.
            self._lose(container, inspection.started_ns, now)
            run = self._begin_found(container, inspection, inspection.started_ns, now)
        run.restarts = inspection.restarts
        if inspection.running:
            run.learn(inspection)
            self._announce(run)
        else:
            run.lost_with_host = (
                listed.events_complete and not self._progress.is_new and inspection.code == UNKNOWN_STATUS
            )
            self._end_found(container, inspection, now)
            self._found_failed_start(container, inspection, listed.as_of_ns)

    def _is_behind(self, inspection: Inspection, listed: ContainerList, run: Run) -> bool:
        """Whether a container has been started since the list asked about it."""
        touched = inspection.container_id in listed.unlisted_ids and run.seen_beginning
        return touched and not inspection.running and (inspection.finished_ns or 0) < run.began_ns

    def _found_before(self, container: Container, inspection: Inspection, now: float) -> None:
        """An end that only the list has told of, of a container that has been started again since."""
        open_run, container.run = container.run, None
        self._begin_found(container, inspection, inspection.started_ns or 0, now)
        self._end_found(container, inspection, now)
        container.run = open_run

    def _end_found(self, container: Container, inspection: Inspection, now: float) -> None:
        """An end that a list has told of; a start that failed since has put its own code in place."""
        overwritten = inspection.start_failed and inspection.code in START_FAILURES
        code = None if overwritten else inspection.code
        began_ns = container.run.began_ns if container.run else 0
        self._end(container, code, inspection.finished_ns or began_ns, now, seen=False)
        self._enrich(container, inspection)

    def _found_failed_start(self, container: Container, inspection: Inspection, as_of_ns: int) -> None:
        """A start that has failed after the last run, of which no event has told."""
        if not inspection.start_failed or inspection.running or container.failed_start_ns is not None:
            return
        is_open = container.attempt is not None or container.run is not None
        if not is_open and not container.has_run_since(inspection):
            self._not_started(container, inspection, as_of_ns, seen=False)

    def _begin_found(self, container: Container, inspection: Inspection, started_ns: int, now: float) -> Run:
        """A run that a list has told of, and before it those that are only known to have been."""
        for before in self._missing(container, inspection):
            ended_ns = started_ns - before
            missed = self._begin(container, ended_ns, None)
            missed.restarts = inspection.restarts - before
            job = missed.job(self._rules)
            container.run = None
            container.last_end_ns = ended_ns
            self._out.append(EndedRun(job, CountedRun(ended_ns), recovered=True))
        run = self._begin(container, started_ns, started_ns)
        run.confirmed, run.restarts = True, inspection.restarts
        self._take_strays(run, started_ns, now)
        return run

    def _missing(self, container: Container, inspection: Inspection) -> Iterator[int]:
        """One for each run between the last that is known and the one in the list, the first one highest."""
        restarts, known = inspection.restarts, container.restarts
        if not container.attempts:
            # Before anyone watched this engine, it is not ours; since then, it would be on record.
            missing = 0 if self._progress.is_new or self._may_be_pruned(inspection) else restarts
        elif known is None:
            missing = 0
        else:
            # An engine counts restarts from the latest start by hand.
            missing = restarts - known - 1 if restarts > known else restarts
        if self._progress.is_new and not container.attempts:
            container.attempts = restarts
        return iter(range(missing, 0, -1))

    def _may_be_pruned(self, inspection: Inspection) -> bool:
        newest_ns = max(inspection.started_ns or 0, inspection.finished_ns or 0)
        return bool(self._rules.retention_ns) and inspection.created_ns < newest_ns - self._rules.retention_ns

    def _found_unstarted(self, container: Container, inspection: Inspection) -> None:
        known = (container.last_end_ns, container.attempt, container.run)
        if inspection.start_failed and known == (None, None, None):
            self._not_started(container, inspection, inspection.created_ns, seen=False)


def _start_code(failed: Inspection) -> int | None:
    """The code of a start that has failed; None where it has none of its own."""
    ran_before = failed.started_ns is not None
    return None if ran_before and failed.code not in START_FAILURES else failed.code
