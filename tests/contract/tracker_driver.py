"""Driver of a tracker on a clock moved by hand, builders of its input, and of the output expected.

Times are seconds since ``BEGINNING`` on the engine's clock. The tracker's own clock starts at 0 and moves
only when a test calls ``wait``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Self

from exporter.config.settings import ExitSettings, WorkloadSettings
from exporter.model import ContainerHistory, Cursor, Evidence, Exit, Job, LimitOwner, OomVictim, Workload
from exporter.sources.docker.engine import (
    ContainerList,
    Event,
    EventGap,
    EventType,
    Inspection,
    KernelReport,
    MaskedField,
)
from exporter.sources.docker.messages import EventReceived
from exporter.sources.docker.track.config import TrackerConfig
from exporter.sources.docker.track.job import job_key
from exporter.sources.docker.track.tracker import Tracker
from exporter.verdict.evidence import assess_exit
from exporter.verdict.facts import EndedRun, KernelFact, KernelOomKill

SECOND = 10**9
BEGINNING = 1_700_000_000 * SECOND
HOST = "host"
IMAGE = "job:1"
CONFIG = TrackerConfig(
    HOST,
    workload_order=WorkloadSettings().order,
    oom_seconds=ExitSettings().oom_wait,
    oom_window_ns=round(ExitSettings().oom_window * SECOND),
    stop_window_ns=round(ExitSettings().stop_window * SECOND),
    retention_ns=0,
)
A, B, C = ("a" * 64, "b" * 64, "c" * 64)
VICTIM = OomVictim(LimitOwner.OWN, "/docker/one", "python", 4711)


def at(seconds: float) -> int:
    """Return a time on the engine's clock, in nanoseconds."""
    return BEGINNING + round(seconds * SECOND)


# --- events


def event(event_type: EventType, seconds: float, container: str = A) -> Event:
    """Return an event without details of its type."""
    return Event(event_type, container, at(seconds), container[0], IMAGE)


def create(seconds: float, container: str = A) -> Event:
    """Return the event of a created container."""
    return event(EventType.CREATE, seconds, container)


def start_attempt(seconds: float, container: str = A) -> Event:
    """Return the event of a network that was joined; it has neither name nor image."""
    return Event(EventType.START_ATTEMPT, container, at(seconds))


def start_attempt_over(seconds: float, container: str = A) -> Event:
    """Return the event of a network that was left."""
    return Event(EventType.START_ATTEMPT_OVER, container, at(seconds))


def start(seconds: float, container: str = A) -> Event:
    """Return the event of a start."""
    return event(EventType.START, seconds, container)


def oom(seconds: float, container: str = A) -> Event:
    """Return the event of an OOM kill."""
    return event(EventType.OOM, seconds, container)


def destroy(seconds: float, container: str = A) -> Event:
    """Return the event of a removal."""
    return event(EventType.DESTROY, seconds, container)


def kill(seconds: float, signal: int | None, container: str = A) -> Event:
    """Return the event of a kill request."""
    return Event(EventType.KILL, container, at(seconds), container[0], IMAGE, signal=signal)


def die(seconds: float, code: int | None, container: str = A) -> Event:
    """Return the event of an end."""
    return Event(EventType.DIE, container, at(seconds), container[0], IMAGE, code=code)


def masking(event: Event, *hidden: MaskedField) -> Event:
    """Return the same event of a container with a label that masks these fields in other events."""
    return Event(
        event.type, event.container_id, event.at_ns, event.name, event.image, masked_fields=frozenset(hidden)
    )


# --- inspections


def running(
    started: float,
    container: str = A,
    *,
    limit: int | None = None,
    labels: Mapping[str, str] | None = None,
    restarts: int = 0,
) -> Inspection:
    """Return the inspection of a running container."""
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
    """Return the inspection of an exited container; ``start_failed``: a later start has failed."""
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
    """Return the inspection of a container that was never started."""
    return Inspection(container, container[0], IMAGE, {}, running=False, created_ns=at(-1), code=0)


def refused(code: int, container: str = A) -> Inspection:
    """Return the inspection of a container whose first start has failed."""
    return Inspection(
        container, container[0], IMAGE, {}, running=False, created_ns=at(-1), code=code, start_failed=True
    )


# --- other input


@dataclass(frozen=True)
class Inspecting:
    """An event with an inspection requested."""

    event: Event


@dataclass(frozen=True)
class Answer:
    """The response to a requested inspection."""

    container: str
    inspection: Inspection | None
    requested_ns: int


def answer(inspection: Inspection | None, container: str = A, *, requested: float = 10**6) -> Answer:
    """Return the response to an inspection, by default to one that was requested after all events."""
    return Answer(inspection.container_id if inspection else container, inspection, at(requested))


def listed(
    *containers: Inspection,
    as_of: float,
    seen_ids: str = "",
    event_gap: EventGap = EventGap.NONE,
    events_complete: bool = False,
) -> ContainerList:
    """Return a list of all containers, made after ``as_of``; ``seen_ids`` exist but are not in it."""
    return ContainerList(containers, at(as_of), frozenset(seen_ids.split()), event_gap, events_complete)


def kernel(seconds: float, *facts: KernelFact, counted: int = 0, logged: str | None = None) -> KernelReport:
    """Return a report of the kernel: counted kills, and a kill in its log that names a container."""
    kills = [KernelOomKill(at(seconds), logged, VICTIM)] if logged else []
    return KernelReport(counted, at(seconds), (*kills, *facts))


Step = Event | Inspecting | Answer | ContainerList | KernelReport | float
"""What a tracker is given; a number is a time in seconds that passes."""


class TrackerDriver:
    """Tracker whose due exits are released after each step; ``emitted`` returns what it emitted since."""

    def __init__(
        self,
        config: TrackerConfig = CONFIG,
        *,
        past: Mapping[str, ContainerHistory] | None = None,
        runs: Iterable[Job] = (),
        cursor: Cursor | None = None,
    ) -> None:
        self.now = 0.0
        self._emitted: dict[str, Job] = {}
        self._drained: list[Job | EndedRun] = []
        self.tracker = Tracker(config, dict(past or {}).get, runs, cursor)
        if cursor is None:
            self.tracker.resumed(Cursor(0, BEGINNING - 100 * SECOND))

    def play(self, *steps: Step) -> Self:
        """Take the steps one after the other."""
        for step in steps:
            self._take(step)
            self.tracker.release_due(self.now)
            self._drained += self.tracker.drain()
        return self

    def drain(self) -> list[Job | EndedRun]:
        """Return what was emitted since the last call."""
        drained, self._drained = self._drained, []
        return drained

    def _take(self, step: Step) -> None:
        match step:
            case Event():
                self.tracker.event(EventReceived(step, inspecting=False), self.now)
            case Inspecting():
                self.tracker.event(EventReceived(step.event, inspecting=True), self.now)
            case Answer():
                self.tracker.inspected(step.container, step.inspection, step.requested_ns)
            case ContainerList():
                self.tracker.listed(step, self.now)
            case KernelReport():
                self.tracker.kernel_reported(step)
            case seconds:
                self.now += seconds

    def emitted(self) -> list[Job | Exit]:
        """Return jobs and exits emitted since the last call; of a job's updates, only real changes."""
        emitted: list[Job | Exit] = []
        for each in map(comparable, assessed(self.drain())):
            if isinstance(each, Exit) or self._emitted.get(each.id) != each:
                emitted.append(each)
            if isinstance(each, Job):
                self._emitted[each.id] = each
        return emitted

    def summary(self) -> list[str]:
        """Return what was emitted since the last call, in short."""
        return list(map(summary_of, self.emitted()))

    def exits(self) -> list[Exit]:
        """Return the exits emitted since the last call."""
        return [each for each in self.emitted() if isinstance(each, Exit)]


def play(*steps: Step, config: TrackerConfig = CONFIG) -> TrackerDriver:
    """Return a driver that has taken these steps, with nothing on record before."""
    return TrackerDriver(config).play(*steps)


# --- expected output


def assessed(outcomes: Iterable[Job | EndedRun]) -> list[Job | Exit]:
    """Return a tracker's output with the facts of each end reduced to evidence."""
    return [assess_exit(each) if isinstance(each, EndedRun) else each for each in outcomes]


def exits(outcomes: Iterable[Job | EndedRun]) -> list[Exit]:
    """Return the exits in a tracker's output."""
    return [each for each in assessed(outcomes) if isinstance(each, Exit)]


def comparable(each: Job | Exit) -> Job | Exit:
    """Return an exit without derived evidence, which the corpus and the tests of evidence check."""
    if isinstance(each, Job):
        return each
    evidence = replace(each.evidence, limit=None, ran_ns=None, causes=(), not_known=())
    return replace(each, evidence=evidence, event_ns=None)


def summary_of(each: Job | Exit) -> str:
    """Return a job or exit in short, such as "a1" or "a1 exited 137 OOM, recovered"."""
    if isinstance(each, Job):
        return f"{each.container_id[0]}{each.attempt}"
    evidence, run = each.evidence, summary_of(each.job)
    causes = {"asked": evidence.stop_requested, "OOM": evidence.oom_killed, "lost": evidence.host_lost}
    what = "failed to start" if evidence.start_failed else "exited"
    words = [run, what, str(each.code), *(cause for cause, applies in causes.items() if applies)]
    return " ".join(words) + (", recovered" if each.recovered else "")


def job(  # noqa: PLR0913  # each names a fact
    began: float,
    container: str = A,
    *,
    attempt: int = 1,
    started: float | None = None,
    no_start: bool = False,
    limit: int | None = None,
    created: bool = False,
    named: str | None = None,
    image: str = IMAGE,
    workload: str = "job",
) -> Job:
    """Return a job; ``created``: an inspection has reported when its container was created."""
    started_ns = at(began if started is None else started)
    return Job(
        container_id=container,
        attempt=attempt,
        name=container[0] if named is None else named,
        instance=HOST,
        workload=Workload(workload, "job" if image else workload),
        image=image,
        start_event_ns=at(began),
        created_ns=at(-1) if created else None,
        started_ns=None if no_start else started_ns,
        memory_limit_bytes=limit,
        key=job_key(HOST, container, at(began) if no_start else started_ns),
    )


def ended(  # noqa: PLR0913  # each names a fact
    run: Job,
    code: int | None,
    seconds: float,
    *notes: str,
    oom_killed: bool = False,
    stop_requested: bool = False,
    oom_kills: int = 0,
    recovered: bool = False,
) -> Exit:
    """Return the exit of a job that had started."""
    evidence = Evidence(oom_killed=oom_killed, stop_requested=stop_requested, notes=notes)
    return Exit(run, code, at(seconds), evidence, oom_kills, recovered)


def oom_ended(run: Job, code: int | None, seconds: float, *notes: str, recovered: bool = False) -> Exit:
    """Return the exit of a job that one OOM kill ended."""
    return ended(run, code, seconds, *notes, oom_killed=True, oom_kills=1, recovered=recovered)


def oom_note(place: str) -> str:
    """Return the evidence of an OOM event, at a place such as "0.050 s before the end"."""
    return f"The engine reported an OOM kill {place}."


def kill_note(signal: str, place: str) -> str:
    """Return the evidence of a kill request."""
    return f"The engine was asked to send {signal} {place}."


def not_started(run: Job, code: int | None, seconds: float, *, recovered: bool = False) -> Exit:
    """Return the exit of a job that the engine could not start."""
    evidence = Evidence(start_failed=True, notes=("The engine could not start it.",))
    return Exit(run, code, at(seconds), evidence, recovered=recovered)
