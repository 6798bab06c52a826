"""Telling a tracker what an engine tells, on a clock that is moved by hand; and what should come of it.

Moments are seconds since a beginning long ago on the engine's clock. The tracker's own clock starts
at 0 and stands still unless a test says ``passes``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Self

from exporter.model import ContainerHistory, Cursor, Evidence, Exit, Job, MemoryLimit, OomVictim, Workload
from exporter.sources.docker.engine import (
    ContainerList,
    Event,
    EventGap,
    EventType,
    Inspection,
    KernelReport,
    MaskedField,
)
from exporter.sources.docker.track.run import TrackerConfig, job_key
from exporter.sources.docker.track.tracker import Tracker
from exporter.verdict.evidence import assess_exit
from exporter.verdict.facts import EndedRun, KernelOomKill

SECOND = 10**9
BEGINNING = 1_700_000_000 * SECOND
HOST = "host"
IMAGE = "job:1"
A, B, C = ("a" * 64, "b" * 64, "c" * 64)
VICTIM = OomVictim(MemoryLimit.OWN, "/docker/one", "python", 4711)


def at(seconds: float) -> int:
    """The moment on the engine's clock, in nanoseconds."""
    return BEGINNING + round(seconds * SECOND)


# --- what an engine tells


def told(event_type: EventType, seconds: float, container: str = A) -> Event:
    """An event that says nothing but what happened."""
    return Event(event_type, container, at(seconds), container[0], IMAGE)


def create(seconds: float, container: str = A) -> Event:
    """It is made."""
    return told(EventType.CREATE, seconds, container)


def attempt(seconds: float, container: str = A) -> Event:
    """Its start is tried: an event of its network, which knows neither name nor image."""
    return Event(EventType.START_ATTEMPT, container, at(seconds))


def over(seconds: float, container: str = A) -> Event:
    """It leaves its network again."""
    return Event(EventType.START_ATTEMPT_OVER, container, at(seconds))


def start(seconds: float, container: str = A) -> Event:
    """It starts."""
    return told(EventType.START, seconds, container)


def oom(seconds: float, container: str = A) -> Event:
    """A process of it is killed for memory."""
    return told(EventType.OOM, seconds, container)


def destroy(seconds: float, container: str = A) -> Event:
    """It is removed."""
    return told(EventType.DESTROY, seconds, container)


def kill(seconds: float, signal: int | None, container: str = A) -> Event:
    """The engine is asked to send it a signal."""
    return Event(EventType.KILL, container, at(seconds), container[0], IMAGE, signal=signal)


def die(seconds: float, code: int | None, container: str = A) -> Event:
    """It ends."""
    return Event(EventType.DIE, container, at(seconds), container[0], IMAGE, code=code)


def hiding(event: Event, *hidden: MaskedField) -> Event:
    """The same of a container with a label that hides such facts in its other events."""
    return Event(
        event.type, event.container_id, event.at_ns, event.name, event.image, masked_fields=frozenset(hidden)
    )


def running(
    started: float,
    container: str = A,
    *,
    limit: int | None = None,
    labels: Mapping[str, str] | None = None,
    restarts: int = 0,
) -> Inspection:
    """How an engine shows it while it runs."""
    return Inspection(
        container,
        container[0],
        IMAGE,
        labels or {},
        running=True,
        created_ns=at(-1),
        started_ns=at(started),
        memory_limit_bytes=limit,
        restarts=restarts,
    )


def exited(  # noqa: PLR0913  # each names a fact
    started: float,
    finished: float,
    code: int,
    container: str = A,
    *,
    oom_killed: bool = False,
    start_failed: bool = False,
    restarts: int = 0,
) -> Inspection:
    """How an engine shows it after its end, or, with ``start_failed``, after a failed start after it."""
    return Inspection(
        container,
        container[0],
        IMAGE,
        {},
        running=False,
        created_ns=at(-1),
        started_ns=at(started),
        finished_ns=at(finished),
        code=code,
        oom_killed=oom_killed,
        start_failed=start_failed,
        restarts=restarts,
    )


def created(container: str = A) -> Inspection:
    """How an engine shows it before its first start."""
    return Inspection(container, container[0], IMAGE, {}, running=False, created_ns=at(-1), code=0)


def unstartable(code: int, container: str = A) -> Inspection:
    """How an engine shows it when its first start has failed."""
    return Inspection(
        container, container[0], IMAGE, {}, running=False, created_ns=at(-1), code=code, start_failed=True
    )


class Telling:
    """A tracker that is told, and due after each word; ``came`` is what came of it since last asked."""

    def __init__(  # noqa: PLR0913  # each names a fact
        self,
        *,
        has_kernel_counter: bool = False,
        late_network_connect: bool = False,
        memory_seconds: int = 0,
        past: Mapping[str, ContainerHistory] | None = None,
        runs: Iterable[Job] = (),
        cursor: Cursor | None = None,
    ) -> None:
        rules = TrackerConfig(
            HOST,
            has_kernel_counter=has_kernel_counter,
            late_network_connect=late_network_connect,
            memory_ns=memory_seconds * SECOND,
        )
        self.now = 0.0
        self._begun: dict[str, Job] = {}
        self.tracker = Tracker(rules, dict(past or {}).get, runs, cursor)
        if cursor is None:
            self.tracker.resumed(Cursor(0, BEGINNING - 100 * SECOND))

    def events(self, *events: Event) -> Self:
        """Events about whose containers nobody asks."""
        for event in events:
            self.tracker.event(event, self.now)
            self.tracker.due(self.now)
        return self

    def asking(self, *events: Event) -> Self:
        """Events about whose containers the engine is asked."""
        for event in events:
            self.tracker.event(event, self.now, inspecting=True)
            self.tracker.due(self.now)
        return self

    def answer(self, inspection: Inspection | None, container: str = A, *, asked: float = 10**6) -> Self:
        """An answer comes, asked for at some moment; if not said, after all that was told."""
        self.tracker.inspected(container, inspection, at(asked))
        self.tracker.due(self.now)
        return self

    def listed(
        self,
        *snapshots: Inspection,
        as_of: float,
        unlisted_ids: str = "",
        event_gap: EventGap = EventGap.NONE,
        events_complete: bool = False,
    ) -> Self:
        """A list of all containers comes, made after ``as_of``; of those ``elsewhere`` it says nothing."""
        known = frozenset(unlisted_ids.split())
        self.tracker.listed(ContainerList(snapshots, at(as_of), known, event_gap, events_complete), self.now)
        self.tracker.due(self.now)
        return self

    def kernel(self, seconds: float, *, counted: int = 0, logged: tuple[str, ...] = ()) -> Self:
        """The kernel is asked, and has killed."""
        kills = (KernelOomKill(at(seconds), container_id, VICTIM) for container_id in logged)
        self.tracker.kernel(KernelReport(counted, at(seconds), tuple(kills)))
        self.tracker.due(self.now)
        return self

    def passes(self, seconds: float) -> Self:
        """Time goes by."""
        self.now += seconds
        self.tracker.due(self.now)
        return self

    def came(self) -> list[Job | Exit]:
        """What began or ended; a job that is told again, for what has happened in it, only once."""
        came: list[Job | Exit] = []
        for each in map(essence, assessed(self.tracker.take())):
            if isinstance(each, Exit) or self._begun.get(each.id) != each:
                came.append(each)
            if isinstance(each, Job):
                self._begun[each.id] = each
        return came

    def ends(self) -> list[Exit]:
        """What ended."""
        return [each for each in map(essence, assessed(self.tracker.take())) if isinstance(each, Exit)]


# --- what should come of it


def assessed(outcomes: Iterable[Job | EndedRun]) -> list[Job | Exit]:
    """What a tracker has handed over, with the facts of each end reduced to evidence."""
    return [assess_exit(each) if isinstance(each, EndedRun) else each for each in outcomes]


def exits(outcomes: Iterable[Job | EndedRun]) -> list[Exit]:
    """The ends among them."""
    return [each for each in assessed(outcomes) if isinstance(each, Exit)]


def essence(each: Job | Exit) -> Job | Exit:
    """An exit without what follows from the rest: what the corpus and the tests of evidence hold."""
    if isinstance(each, Job):
        return each
    evidence = replace(each.evidence, limit=None, ran_ns=None, causes=(), not_known=())
    return replace(each, evidence=evidence, event_ns=None)


def job(  # noqa: PLR0913  # each names a fact
    began: float,
    container: str = A,
    *,
    attempt: int = 1,
    started: float | None = None,
    never_started: bool = False,
    limit: int | None = None,
    created: bool = False,
    named: str | None = None,
    image: str = IMAGE,
    workload: str = "job",
) -> Job:
    """A job; ``created`` says that an answer has told when its container was made."""
    started_ns = at(began if started is None else started)
    return Job(
        container_id=container,
        attempt=attempt,
        name=container[0] if named is None else named,
        instance=HOST,
        workload=Workload(workload, "job" if image else workload),
        image=image,
        began_ns=at(began),
        created_ns=at(-1) if created else None,
        started_ns=None if never_started else started_ns,
        memory_limit_bytes=limit,
        key=job_key(HOST, container, at(began) if never_started else started_ns),
    )


def ended(  # noqa: PLR0913  # each names a fact
    run: Job,
    code: int | None,
    seconds: float,
    *notes: str,
    oom_killed: bool = False,
    asked_to_stop: bool = False,
    oom_kills: int = 0,
    recovered: bool = False,
) -> Exit:
    """The end of a job that had started."""
    evidence = Evidence(oom_killed=oom_killed, asked_to_stop=asked_to_stop, notes=notes)
    return Exit(run, code, at(seconds), evidence, oom_kills, recovered)


def not_started(run: Job, code: int | None, seconds: float, *, recovered: bool = False) -> Exit:
    """The end of a job that the engine could not start."""
    evidence = Evidence(never_started=True, notes=("The engine could not start it.",))
    return Exit(run, code, at(seconds), evidence, recovered=recovered)
