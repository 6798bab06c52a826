"""What is kept of a container and of its runs while they are being put together."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from exporter.exit_codes import UNKNOWN_STATUS
from exporter.labels import traceparent
from exporter.model import SECOND_NS, ContainerHistory, Job, KillRequest, OomKill, Workload
from exporter.sources.docker.engine import Event, Inspection, MaskedField
from exporter.verdict.evidence import deduplicate, victim_text
from exporter.verdict.facts import ForkRejected, KernelFact
from exporter.workload import DEFAULT_ORDER, workload_of

DEFAULT_STOP_SIGNAL = 15
_KEY_BYTES = 5
# What concerns a run is told at most this long after its end was.
_TOLD_LATE_NS = SECOND_NS
_MAX_FACTS = 100
_MAX_STRAYS = 1_000
_MOMENT_NS = SECOND_NS
_MAX_RUNNING_NOTES = 10


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """How long to wait for what, and how to name.

    ``oom_seconds`` is how long a late OOM report is waited for, only where it could matter; ``oom_window_ns``
    how long before an end an OOM kill still explains it, ``stop_window_ns`` a request to end.
    ``kernel_counts`` says that the kernel's counter is watched, so that its silence rules an OOM kill out,
    ``kernel_logs`` that its log is read; what was killed before ``kernel_since_ns``, it was not asked about.
    ``late_network_connect`` is as in ``EngineInfo``. ``identity`` is what tells the engine
    from others, whatever it is shown as. What a list shows to have ended more than ``memory_ns`` ago is left
    alone, since its record may have been deleted and it would count twice; 0 is no limit. The same holds for
    all before ``pruned_ns``.
    """

    host: str
    engine: str = ""
    workload_order: tuple[str, ...] = DEFAULT_ORDER
    oom_seconds: float = 1.0
    oom_window_ns: int = 10 * SECOND_NS
    stop_window_ns: int = 60 * SECOND_NS
    enrich_seconds: float = 2.0
    has_kernel_counter: bool = False
    has_kernel_log: bool = False
    kernel_since_ns: int = 0
    late_network_connect: bool = False
    identity: str = ""
    retention_ns: int = 0
    pruned_before_ns: int = 0


@dataclass(slots=True)
class Container:
    """What is known of a container, whatever run it is in; ``past`` is what is on record of it.

    ``run`` is the open one, ``ending`` those that have ended and still wait. ``inspections`` are
    answers on their way; ``attempt`` is the try to start that is under way or has failed just now.
    ``last_run`` is the latest that was let go of, for what comes later still; ``workload`` is set
    where it is on record and no label is known to make it from. ``strays`` were told of no run that is
    known yet. ``upcoming`` are later runs on record, while the end of ``run`` is not. ``joined`` are the
    networks that were joined and not left again, ``left`` those that were left by a start that failed.
    ``failed_start_ns`` is when its latest start failed, if
    it did and that has been told. ``repository`` is the
    image's, where ``image`` does not tell it.
    """

    id: str
    name: str = ""
    image: str = ""
    repository: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    masked_fields: frozenset[MaskedField] = frozenset()
    created_ns: int | None = None
    memory_limit_bytes: int | None = None
    cgroup_parent: str = ""
    oom_kill_disabled: bool = False
    pids_limit: int | None = None
    stop_signal: int = DEFAULT_STOP_SIGNAL
    stop_seconds: int | None = None
    joined: set[str] = field(default_factory=set)
    left: set[str] = field(default_factory=set)
    left_ns: int = 0
    failed_start_ns: int | None = None
    seen_created: bool = False
    attempts: int = 0
    last_end_ns: int | None = None
    attempt: StartAttempt | None = None
    inspections: int = 0
    run: Run | None = None
    pending_runs: list[Run] = field(default_factory=list)
    last_finished_run: Run | None = None
    workload: Workload | None = None
    traceparent: str = ""
    past: ContainerHistory | None = None
    restored_runs: list[Run] = field(default_factory=list)
    unmatched_facts: list[KillRequest | OomKill | ForkRejected] = field(default_factory=list)
    destroyed: bool = False

    def remember(self, past: ContainerHistory) -> None:
        """Take over what is on record of it."""
        self.past = replace(past, recorded_event_times=frozenset())
        self.attempts, self.last_end_ns = past.attempts, past.last_end_ns
        self.failed_start_ns = past.failed_start_ns

    def keep_unmatched(self, stray: KillRequest | OomKill | ForkRejected) -> None:
        """Something was told of a run of it that is not known yet."""
        if len(self.unmatched_facts) < _MAX_STRAYS:
            self.unmatched_facts.append(stray)

    def learn_from_event(self, event: Event) -> None:
        """What every event says of its container."""
        self.name = event.name or self.name
        self.image = event.image or self.image
        self.masked_fields = (
            self.masked_fields | event.masked_fields if event.masked_fields else self.masked_fields
        )
        if event.labels:
            self._label(event.labels)

    def learn(self, inspection: Inspection) -> None:
        """What an inspection says of it, whatever run it is in."""
        self.name = inspection.name or self.name
        self.image = inspection.image or self.image
        self.repository = inspection.repository or self.repository
        self._label(inspection.labels)
        self.created_ns = inspection.created_ns
        self.memory_limit_bytes = inspection.memory_limit_bytes
        self.cgroup_parent = inspection.cgroup_parent
        self.oom_kill_disabled = inspection.oom_kill_disabled
        self.pids_limit = inspection.pids_limit
        self.stop_signal, self.stop_seconds = inspection.stop_signal, inspection.stop_seconds

    @property
    def is_starting(self) -> bool:
        """Whether there is a try to start it that is not known to be over."""
        return self.attempt is not None and not self.attempt.failed_ns

    @property
    def is_open(self) -> bool:
        """Whether it may run or be starting. From Engine 28 on, what has never run may do so unannounced."""
        is_fresh = not (self.attempts or self.destroyed)
        return bool(self.run or self.restored_runs or self.is_starting or is_fresh)

    @property
    def is_inspected(self) -> bool:
        """Whether an inspection has told its limits."""
        return self.created_ns is not None

    def _label(self, labels: Mapping[str, str]) -> None:
        self.labels, self.workload, self.traceparent = dict(labels), None, traceparent(labels)

    def has_counted(self, started_ns: int) -> bool:
        """Whether the run that started then is on record as ended.

        Within one container the engine's times only ever go start, end, start, end.
        """
        return self.last_end_ns is not None and started_ns <= self.last_end_ns

    def has_run_since(self, inspection: Inspection) -> bool:
        """Whether a run after the one that an inspection shows is known."""
        latest, past = self.latest_run, self.past
        if latest is not None:
            return not latest.is_described_by(inspection)
        last_end_ns = past.last_end_ns if past is not None else None
        return last_end_ns is not None and last_end_ns > (inspection.finished_ns or 0)

    @property
    def latest_run(self) -> Run | None:
        """The open run, else the one that began last: who waits longest, leaves last."""
        return self.run or max(self._runs_before, key=lambda run: run.began_ns, default=None)

    @property
    def restarts(self) -> int | None:
        """The engine's own count at the latest run, None while nobody has asked.

        A run may be open on record while one after it has ended there: who waits longest, leaves last.
        """
        latest, past = self.latest_run, self.past
        if past is not None and (latest is None or latest.attempt < past.attempts):
            return past.restarts
        return None if latest is None else latest.restarts

    @property
    def _runs_before(self) -> list[Run]:
        return [*self.pending_runs, *([self.last_finished_run] if self.last_finished_run else [])]

    def run_at(self, at_ns: int) -> Run | None:
        """The run to which something at ``at_ns`` belongs: the open one, unless it began only later.

        What is told long after an end belongs to a run whose start has not been told yet: to none so far.
        """
        if self.run is not None and (at_ns >= self.run.began_ns or not self.pending_runs):
            return self.run
        runs = (run for run in self._runs_before if run.began_ns <= at_ns <= run.latest_ns + _TOLD_LATE_NS)
        return max(runs, key=lambda run: run.began_ns, default=None)


@dataclass(slots=True)
class StartAttempt:
    """Tries to start: the latest answer about them, and when each was over without a start.

    ``early`` is an answer without an error, which may show a start that has not been told yet.
    ``was_tried``: an event has told of the try, and not only of what a failed one leaves. ``held``: what is
    told again may yet show that it was the end of a run.
    """

    began_ns: int
    was_tried: bool = True
    held: bool = False
    answer: Inspection | None = None
    early: Inspection | None = None
    failed_ns: list[int] = field(default_factory=list)

    def learn(self, inspection: Inspection, asked_ns: int) -> None:
        """What an answer says, unless it was asked for before there was this try."""
        if asked_ns < self.began_ns:
            return
        if inspection.start_failed:
            # While --rm removes it, a container loses the engine's text before it loses the code.
            if inspection.error or self.answer is None or not self.answer.error:
                self.answer = inspection
        else:
            self.early = inspection


@dataclass(slots=True, eq=False)
class Run:
    """One run while it is being put together.

    ``began_ns`` is when its start was told; ``started_ns`` is the engine's own time of it once ``confirmed``.
    ``after_ns`` is when the run before it began or ended, if known: what started no later is not this run.
    ``tried_ns`` is when the try to start it began, if that was told. ``ended_ns`` is the engine's own time of
    its end where that is known, ``died_ns`` when an event told of it, None if none did. ``seen_beginning``:
    an event has told of it, otherwise a list or the record; ``replayed``: told so only afterwards. ``lost``:
    how it ended is not to be known any more; ``lost_with_host``: it went down with its engine. ``restarts``
    is the engine's own count when it began, None while nobody has asked. ``pid`` is its process 1 on the
    host. ``enrich_by`` and ``oom_by`` are how long it waits for what it may yet learn. ``counted_ns`` is when
    the kernel's count was last seen to move before its end was told. ``was_flagged``: the engine's flag was
    set before this run can have set it. ``unhealthy_ns`` is since when its health check fails,
    ``health_told`` that an event has said how it is. ``has_missed``: events were missed while it ran.
    ``facts`` are from the kernel's log.
    """

    container: Container
    attempt: int
    began_ns: int
    started_ns: int | None
    previous_run_ns: int | None = None
    start_attempt_ns: int | None = None
    seen_beginning: bool = False
    announced: bool = False
    confirmed: bool = False
    key: str | None = None
    pid: int | None = None
    restarts: int | None = None
    kills: list[KillRequest] = field(default_factory=list)
    oom_kills: list[OomKill] = field(default_factory=list)
    oom_denied: bool = False
    oom_contested: bool = False
    hung_ns: int | None = None
    facts: list[KernelFact] = field(default_factory=list)
    was_stopped: bool = False
    was_flagged: bool = False
    unhealthy_ns: int | None = None
    health_told: bool = False
    health_output: str = ""
    has_missed: bool = False
    code: int | None = None
    ended_ns: int = 0
    died_ns: int | None = None
    has_finish: bool = False
    replayed: bool = False
    exit_unknown: bool = False
    lost_with_host: bool = False
    code_unreliable: bool = False
    stopped_together: int = 0
    log_tail: str | None = None
    log_awaited: bool = False
    inspect_deadline: float = 0.0
    oom_deadline: float = 0.0
    counted_ns: int = 0

    @property
    def seen_ending(self) -> bool:
        """Whether an event has told of its end."""
        return self.died_ns is not None

    @property
    def latest_ns(self) -> int:
        """When it was last heard of."""
        return max(self.began_ns, self.ended_ns, self.died_ns or 0)

    def note_fact(self, fact: KernelFact) -> None:
        """The kernel's log has told something of it."""
        if len(self.facts) < _MAX_FACTS:
            self.facts.append(fact)

    def is_described_by(self, inspection: Inspection) -> bool:
        """Whether an inspection was made in or after this run, and before the next."""
        started_ns = inspection.started_ns
        if self.confirmed:
            return started_ns == self.started_ns
        return started_ns is not None and (self.previous_run_ns or 0) < started_ns <= self.latest_ns

    def end(self, code: int | None, at_ns: int, *, seen: bool) -> None:
        """Note its end; a code that a label may have written is none."""
        hidden = seen and MaskedField.CODE in self.container.masked_fields
        self.code, self.ended_ns = None if hidden else code, max(at_ns, self.began_ns)
        self.died_ns = self.ended_ns if seen else None
        # Whose beginning was not seen may have a label that has written this code.
        self.code_unreliable = not self.seen_beginning or self.code in {None, UNKNOWN_STATUS}

    def learn(self, inspection: Inspection) -> None:
        """What an inspection says of it that was made in it or after it."""
        self.restarts = inspection.restarts
        self.pid = inspection.pid or self.pid
        self.health_output = inspection.health_output or self.health_output
        if inspection.running and self.died_ns is None:
            self._learn_running(inspection)
        if not self.confirmed:
            if self.started_ns is None:
                self.began_ns = inspection.started_ns or self.began_ns
            self.started_ns, self.confirmed = inspection.started_ns, True

    def _learn_running(self, inspection: Inspection) -> None:
        if not self.oom_kills and not self.confirmed:
            self.was_flagged = inspection.oom_killed
        if inspection.healthy is False and not self.health_told:
            # Since when is not told.
            self.unhealthy_ns = inspection.started_ns

    def finish(self, finished_ns: int | None) -> None:
        """Take the engine's own time of its end, unless it makes no sense.

        Of a run of a moment, engines may see the end before they note the time of its beginning.
        """
        started_ns = self.began_ns if self.started_ns is None else self.started_ns
        if finished_ns is not None and finished_ns >= started_ns - _MOMENT_NS:
            self.ended_ns, self.has_finish = max(finished_ns, started_ns), True

    def job(self, rules: TrackerConfig) -> Job:
        """Who ran, as it is known now."""
        container = self.container
        if self.key is None:
            started_ns = self.began_ns if self.started_ns is None else self.started_ns
            self.key = job_key(rules.identity, container.id, started_ns)
        return Job(
            container_id=container.id,
            attempt=self.attempt,
            name=container.name or container.id[:12],
            instance=rules.host,
            workload=container.workload
            or workload_of(
                container.labels, container.image, rules.workload_order, known_as=container.repository
            ),
            image=container.image,
            began_ns=self.began_ns,
            engine=rules.engine,
            created_ns=container.created_ns,
            started_ns=self.started_ns,
            memory_limit_bytes=container.memory_limit_bytes,
            traceparent=container.traceparent,
            key=self.key,
            restarts=self.restarts,
            kills=tuple(self.kills),
            oom_kills=tuple(self.oom_kills),
            notes=running_notes(self),
        )


def job_key(engine: str, container_id: str, start: int) -> str:
    """Return what tells a run from all others: eight letters and digits.

    It comes from what every observer of the engine sees alike: the engine's identity, since hosts made from
    one image have containers with equal ids, and ``State.StartedAt``; of a failed start, which one it was.
    """
    digest = hashlib.sha256(f"{engine} {container_id} {start}".encode()).digest()
    return base64.b32encode(digest[:_KEY_BYTES]).decode().lower()


def running_notes(run: Run) -> tuple[str, ...]:
    """What has happened in a run that goes on, in sentences."""
    return tuple(_running_notes(run)) if run.died_ns is None and not run.ended_ns else ()


def _running_notes(run: Run) -> Iterator[str]:
    for kill in deduplicate(run.oom_kills)[-_MAX_RUNNING_NOTES:]:
        text = victim_text(kill.victim) if kill.victim else kill.source.value
        yield f"{text}; the job goes on."
    if run.hung_ns is not None:
        yield "It is out of memory and may not be killed for that (--oom-kill-disable): it hangs."
    if run.unhealthy_ns is not None:
        said = f": {run.health_output}" if run.health_output else "."
        yield f"Its health check fails{said}"
