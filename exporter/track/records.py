"""What is kept of a container and of its runs while they are being put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from exporter.engines.port import Event, Shadowed, Snapshot
from exporter.labels import traceparent
from exporter.model import Job, Kill, OomKill, Remembered, Workload
from exporter.workload import DEFAULT_ORDER, Source, workload_of

DEFAULT_STOP_SIGNAL = 15
# Engines up to 23 can say 255 in ``die`` where an inspect has the true code.
DOUBTFUL_CODE = 255


@dataclass(frozen=True, slots=True)
class Rules:
    """How long to wait for what, and how to name.

    ``oom_seconds`` is how long a late OOM report is waited for, only where it could matter;
    ``oom_window_ns`` how long before an end an OOM kill still explains it. ``kernel_counts`` says
    that the kernel's counter is watched, so that its silence rules an OOM kill out. What a list
    shows to have ended more than ``memory_ns`` ago is left alone, since its record may have been
    deleted and it would count twice; 0 is no limit. The same holds for all before ``pruned_ns``.
    """

    instance: str
    engine: str = ""
    workload_order: tuple[Source, ...] = DEFAULT_ORDER
    oom_seconds: float = 1.0
    oom_window_ns: int = 10 * 10**9
    enrich_seconds: float = 2.0
    kernel_counts: bool = False
    memory_ns: int = 0
    pruned_ns: int = 0


@dataclass(slots=True)
class Container:
    """What is known of a container, whatever run it is in; ``past`` is what is on record of it.

    ``run`` is the open one, ``ending`` those that have ended and still wait. ``inspections`` are
    answers on their way; ``attempt`` is the try to start that is under way or has failed just now.
    ``last_run`` is the latest that was let go of, for what comes later still; ``workload`` is set
    where it is on record and no label is known to make it from. ``strays`` were told of no run that is
    known yet. ``upcoming`` are later runs on record, while the end of ``run`` is not.
    """

    id: str
    name: str = ""
    image: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    shadowed: frozenset[Shadowed] = frozenset()
    created_ns: int | None = None
    memory_limit_bytes: int | None = None
    stop_signal: int = DEFAULT_STOP_SIGNAL
    attempts: int = 0
    last_end_ns: int | None = None
    attempt: StartAttempt | None = None
    inspections: int = 0
    run: Run | None = None
    ending: list[Run] = field(default_factory=list)
    last_run: Run | None = None
    workload: Workload | None = None
    traceparent: str = ""
    past: Remembered | None = None
    upcoming: list[Run] = field(default_factory=list)
    strays: list[Kill | OomKill] = field(default_factory=list)
    destroyed: bool = False

    def remember(self, past: Remembered) -> None:
        """Take over what is on record of it."""
        self.past = replace(past, told_ns=frozenset())
        self.attempts, self.last_end_ns = past.attempts, past.last_end_ns

    def learn_from_event(self, event: Event) -> None:
        """What every event says of its container."""
        self.name = event.name or self.name
        self.image = event.image or self.image
        self.shadowed = self.shadowed | event.shadowed if event.shadowed else self.shadowed
        if event.labels:
            self._label(event.labels)

    def learn(self, snapshot: Snapshot) -> None:
        """What an inspection says of it, whatever run it is in."""
        self.name = snapshot.name or self.name
        self.image = snapshot.image or self.image
        self._label(snapshot.labels)
        self.created_ns = snapshot.created_ns
        self.memory_limit_bytes = snapshot.memory_limit_bytes
        self.stop_signal = snapshot.stop_signal

    def _label(self, labels: Mapping[str, str]) -> None:
        self.labels, self.workload, self.traceparent = dict(labels), None, traceparent(labels)

    def has_counted(self, started_ns: int) -> bool:
        """Whether the run that started then is on record as ended.

        Within one container the engine's times only ever go start, end, start, end.
        """
        return self.last_end_ns is not None and started_ns <= self.last_end_ns

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
        return [*self.ending, *([self.last_run] if self.last_run else [])]

    def run_at(self, at_ns: int) -> Run | None:
        """The run to which something at ``at_ns`` belongs: the open one, unless it began only later."""
        if self.run is not None and (at_ns >= self.run.began_ns or not self.ending):
            return self.run
        began = (run for run in self._runs_before if run.began_ns <= at_ns)
        return max(began, key=lambda run: run.began_ns, default=None)


@dataclass(slots=True)
class StartAttempt:
    """Tries to start: the latest answer about them, and when each was over without a start.

    ``early`` is one without an error, which may show a start that has not been told yet.
    """

    began_ns: int
    answer: Snapshot | None = None
    early: Snapshot | None = None
    failed_ns: list[int] = field(default_factory=list)

    def learn(self, snapshot: Snapshot, asked_ns: int) -> None:
        """What an answer says, unless it was asked for before there was this try."""
        if asked_ns < self.began_ns:
            return
        if snapshot.start_error:
            self.answer = snapshot
        else:
            self.early = snapshot


@dataclass(slots=True, eq=False)
class Run:
    """One run while it is being put together.

    ``after_ns`` is when the run before it began or ended, if known: what started no later is not this
    run. ``tried_ns`` is when the try to start it began, if that was told. ``seen_beginning`` and
    ``seen_ending``: an event has told of it, otherwise a list or the record; ``replayed``: told so only
    afterwards. ``lost``: how it ended is not to be known any more; ``lost_with_host``: it went down with its
    engine. ``restarts`` is the engine's own count when it began, None while nobody has asked. ``enrich_by``
    and ``oom_by`` are how long it waits for what it may yet learn. ``counted_ns`` is when the kernel's count
    was last seen to move before its end was told.
    """

    container: Container
    attempt: int
    began_ns: int
    started_ns: int | None
    after_ns: int | None = None
    tried_ns: int | None = None
    seen_beginning: bool = False
    announced: bool = False
    restarts: int | None = None
    kills: list[Kill] = field(default_factory=list)
    oom_kills: list[OomKill] = field(default_factory=list)
    code: int | None = None
    ended_ns: int = 0
    seen_ending: bool = False
    replayed: bool = False
    lost: bool = False
    lost_with_host: bool = False
    code_in_doubt: bool = False
    log_tail: str | None = None
    log_awaited: bool = False
    enrich_by: float = 0.0
    oom_by: float = 0.0
    counted_ns: int = 0

    def is_shown_by(self, snapshot: Snapshot) -> bool:
        """Whether an inspection was made in or after this run, and before the next."""
        started_ns = snapshot.started_ns
        latest_ns = max(self.began_ns, self.ended_ns)
        return started_ns is not None and (self.after_ns or 0) < started_ns <= latest_ns

    def end(self, code: int | None, at_ns: int, *, seen: bool) -> None:
        """Note its end; a code that a label may have written is none."""
        hidden = seen and Shadowed.CODE in self.container.shadowed
        self.code, self.ended_ns, self.seen_ending = None if hidden else code, max(at_ns, self.began_ns), seen
        # Whose beginning was not seen may have a label that has written this code.
        self.code_in_doubt = not self.seen_beginning or self.code in {None, DOUBTFUL_CODE}

    def job(self, rules: Rules) -> Job:
        """Who ran, as it is known now."""
        container = self.container
        return Job(
            container_id=container.id,
            attempt=self.attempt,
            name=container.name or container.id[:12],
            instance=rules.instance,
            workload=container.workload
            or workload_of(container.labels, container.image, rules.workload_order),
            image=container.image,
            began_ns=self.began_ns,
            engine=rules.engine,
            created_ns=container.created_ns,
            started_ns=self.started_ns,
            memory_limit_bytes=container.memory_limit_bytes,
            traceparent=container.traceparent,
            restarts=self.restarts,
            kills=tuple(self.kills),
            oom_kills=tuple(self.oom_kills),
        )
