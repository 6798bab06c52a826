"""Random histories of containers, told as a real engine tells them, and what each exit really was.

An engine publishes its events in one order, and one reader hands them on in it. Within a container
``start`` comes before ``die`` and ``kill`` before ``die``; ``oom`` may come after ``die``. Containers
move independently of each other. The answer to an inspection is how the container stood at any moment
after it was asked for, and arrives at any moment after that, or never; an engine that is starting a
container answers only when it is done with it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count

from hypothesis import strategies as st

from exporter.model import ContainerHistory, Cursor, Exit, Job
from exporter.sources.docker.engine import ContainerList, Event, EventGap, EventType, Inspection
from exporter.sources.docker.watch.inspect_policy import InspectPolicy
from exporter.verdict.catalog_file import builtin_catalog
from exporter.verdict.classify import classify
from tests.contract.tracker_driver import BEGINNING, IMAGE, TrackerDriver, assessed, listed, play

STEP_NS = 50_000_000
# The engine takes its times for the inspection a little before the event's.
AHEAD_NS = 300
# Longer than anything is waited for.
LONG_SECONDS = 10.0
OOM = "oom"
HANGUP = 1
REQUESTS = (9, 15)
SIGNAL_BASE = 128
PLAIN = {1: "Error", 3: "Error", 137: "SIGKILL", 139: "SegmentationFault", 143: "SIGTERM"}
REQUESTED = {**PLAIN, 137: "Killed", 143: "Terminated"}
UNSTARTED = {126: "CommandNotExecutable", 127: "CommandNotFound", 128: "ContainerCannotRun"}

Fact = tuple[str, int, int | None, str, str]
"""Container, attempt, code, status and reason: what must be the same however it was told."""


@dataclass(frozen=True)
class Ran:
    """A run: what happened in it, in order (OOM kills and signals asked for), its code, and a late report."""

    within: tuple[str | int, ...]
    code: int
    late_oom: bool

    def _explaining(self) -> tuple[int, ...]:
        """The requests that can have made its code: a signal's code is made by that signal only."""
        if self.code > SIGNAL_BASE:
            return tuple(signal for signal in REQUESTS if self.code == SIGNAL_BASE + signal)
        return REQUESTS[1:]

    def verdict(self) -> tuple[int, str, str]:
        """Code, status and reason, by the design's table."""
        asked = [index for index, each in enumerate(self.within) if each in self._explaining()]
        kills = [index for index, each in enumerate(self.within) if each == OOM]
        kills += [len(self.within)] if self.late_oom else []
        since = [each for each in self.within[kills[-1] :] if each in REQUESTS] if kills else []
        if self.code and kills and not since:
            return self.code, "failed", "OOMKilled"
        if self.code == 0:
            return 0, "terminated" if asked else "done", "Completed"
        words = REQUESTED if asked else PLAIN
        return self.code, "terminated" if asked else "failed", words[self.code]


@dataclass(frozen=True)
class Failed:
    """A start that failed."""

    code: int

    def _explaining(self) -> tuple[int, ...]:
        """The requests that can have made its code: a signal's code is made by that signal only."""
        if self.code > SIGNAL_BASE:
            return tuple(signal for signal in REQUESTS if self.code == SIGNAL_BASE + signal)
        return REQUESTS[1:]

    def verdict(self) -> tuple[int, str, str]:
        """Code, status and reason, by the design's table."""
        return self.code, "failed", UNSTARTED[self.code]


@dataclass(frozen=True)
class Life:
    """What a container goes through; one that is ``removed`` goes right after its last end."""

    starts: tuple[Ran | Failed, ...]
    removed: bool


@dataclass(frozen=True)
class Answering:
    """How one inspection goes: how much later it is made and arrives, in steps."""

    made: int
    arrives: int


@dataclass(frozen=True)
class Listing:
    """How one list goes: when it is begun, how much later it sees each container, and when it arrives."""

    begun: int
    seen: tuple[int, ...]
    arrives: int

    def heard(self, timeline: Timeline) -> int:
        """The step after which it is handed over: none that it has seen is read later."""
        return min(max(self.arrives, self.begun + max(self.seen)), len(timeline) - 1)


@dataclass(frozen=True)
class Outage:
    """An exporter that is killed before a step, and comes back some steps later.

    The engine then remembers so many of its latest steps.
    """

    killed: int
    away: int
    remembered: int = 1_000

    def within(self, timeline: Timeline) -> tuple[int, int]:
        """The step before which it is killed, and the first one that it sees again."""
        killed = min(self.killed, len(timeline) - 1)
        return killed, min(killed + self.away, len(timeline) - 1)


@dataclass(frozen=True)
class History:
    """Lives, and how they are told: who moves next, how inspections go, when a long time passes."""

    lives: tuple[Life, ...]
    turns: tuple[int, ...]
    answerings: tuple[Answering, ...]
    pauses: tuple[int, ...] = ()
    listing: Listing | None = None

    def truth(self) -> Counter[Fact]:
        """What each exit really was."""
        return Counter(
            (name_of(number), attempt, *each.verdict())
            for number, life in enumerate(self.lives)
            for attempt, each in enumerate(life.starts, 1)
        )

    def codes(self) -> Counter[tuple[str, int | None]]:
        """Container and code of each exit."""
        return Counter((container, code) for container, _, code, _, _ in self.truth().elements())


def name_of(container: int) -> str:
    """The id of a container."""
    return "abcdef"[container] * 64


# --- what the engine does


@dataclass(frozen=True)
class Move:
    """One step of one container: how it stands from then on, and the event that tells of it.

    ``busy`` says that the engine holds it until its next move, and answers nothing about it before.
    """

    type: EventType
    standing: Inspection | None
    signal: int | None = None
    busy: bool = False
    settled: bool = True


def moves(container: int, life: Life) -> Iterator[Move]:
    """All that one container goes through; times are put in when it is its turn."""
    identity = name_of(container)
    standing = Inspection(identity, identity[0], IMAGE, {}, running=False, created_ns=1, code=0)
    yield Move(EventType.CREATE, standing)
    for each in life.starts:
        yield Move(EventType.START_ATTEMPT, standing, busy=True)
        if isinstance(each, Failed):
            standing = replace(standing, code=each.code, start_failed=True)
            yield Move(EventType.START_ATTEMPT_OVER, standing)
            continue
        standing = replace(
            standing, running=True, started_ns=1, code=None, start_failed=False, oom_killed=False
        )
        yield Move(EventType.START, standing)
        for step in each.within:
            standing = replace(standing, oom_killed=standing.oom_killed or step == OOM)
            event_type = EventType.OOM if step == OOM else EventType.KILL
            yield Move(event_type, standing, None if isinstance(step, str) else step)
        standing = replace(standing, running=False, finished_ns=1, code=each.code)
        standing = replace(standing, oom_killed=standing.oom_killed or each.late_oom)
        yield Move(EventType.DIE, standing, settled=not each.late_oom)
        if each.late_oom:
            yield Move(EventType.OOM, standing)
        yield Move(EventType.START_ATTEMPT_OVER, standing)
    if life.removed:
        yield Move(EventType.DESTROY, None)


@dataclass(frozen=True)
class Step:
    """One move of the engine at its place among all."""

    container: int
    move: Move
    event: Event
    standing: Inspection | None


class Timeline:
    """Everything that the engine does, in the order in which it tells of it."""

    def __init__(self, history: History) -> None:
        self.steps = steps(history)
        self._own: list[list[int]] = [[] for _ in history.lives]
        for place, step in enumerate(self.steps):
            self._own[step.container].append(place)

    def __len__(self) -> int:
        return len(self.steps)

    def own(self, container: int) -> list[tuple[int, Step]]:
        """The steps of one container, with their places."""
        return [(place, self.steps[place]) for place in self._own[container]]

    def standing_at(self, container: int, place: int) -> Inspection | None:
        """What an inspection made after the step at ``place`` is answered."""
        own = self._own[container]
        index = bisect_right(own, place) - 1
        if index < 0:
            return None
        step = self.steps[own[index]]
        return self.steps[own[index + 1]].standing if step.move.busy else step.standing

    def standing_by(self, container: int, place: int, read: int) -> Inspection | None:
        """The same, made by the time that the step ``read`` was read: a start under way is waited for."""
        own = [other for other in self._own[container] if other <= min(place, read)]
        if (
            own
            and self.steps[own[-1]].move.busy
            and not any(own[-1] < other <= read for other in self._own[container])
        ):
            own.pop()
        return self.standing_at(container, own[-1]) if own else None

    def replayed_from(self, cursor: Cursor, back: int, remembered: int) -> tuple[int, EventGap]:
        """The first step that is told again since an event, a little overlapping, and what is lacking."""
        oldest = max(0, back - remembered)
        times = [step.event.at_ns for step in self.steps[oldest:back]]
        told = (place for place, at_ns in enumerate(times, oldest) if at_ns >= cursor.since_ns)
        forgotten = cursor.event_ns not in (0, *times)
        return next(told, back), EventGap.OVERRUN if forgotten else EventGap.NONE

    def is_failing(self, place: int) -> bool:
        """Whether the step is part of a failed start: of such, nobody tries again before the answers came."""
        own = self._own[self.steps[place].container]
        index = own.index(place) if self.steps[place].move.busy else own.index(place) - 1
        tried, result = self.steps[own[index]].move, self.steps[own[index + 1]].move
        return tried.busy and result.type is EventType.START_ATTEMPT_OVER

    def last_before_next_try(self, container: int, place: int) -> int:
        """The last step before the container is started again."""
        tries = (other for other in self._own[container] if other > place and self.steps[other].move.busy)
        return next(tries, len(self.steps)) - 1


def steps(history: History) -> list[Step]:
    """Everything that the engine does, in the order in which it tells of it."""
    left = [list(moves(number, life)) for number, life in enumerate(history.lives)]
    clocks = [BEGINNING] * len(left)
    started = [0] * len(left)
    done: list[Step] = []
    for number in count():
        movable = [container for container, rest in enumerate(left) if rest]
        if not movable:
            return done
        container = movable[history.turns[number % len(history.turns)] % len(movable)]
        move = left[container].pop(0)
        # Times of different containers step back by some milliseconds, within one they never do.
        now_ns = BEGINNING + (number + 1) * STEP_NS - (number * 7 % 4) * STEP_NS // 2
        clocks[container] = now_ns = max(now_ns, clocks[container] + 10 * AHEAD_NS)
        if move.type is EventType.START:
            started[container] = now_ns - AHEAD_NS
        done.append(
            Step(container, move, as_event(container, move, now_ns), dated(move, started[container], now_ns))
        )
    return done


def as_event(container: int, move: Move, now_ns: int) -> Event:
    """The event that tells of a move."""
    identity = name_of(container)
    if move.type in {EventType.START_ATTEMPT, EventType.START_ATTEMPT_OVER}:
        return Event(move.type, identity, now_ns)
    code = move.standing.code if move.standing and move.type is EventType.DIE else None
    return Event(move.type, identity, now_ns, identity[0], IMAGE, code=code, signal=move.signal)


def dated(move: Move, started_ns: int, now_ns: int) -> Inspection | None:
    """How the container stands after a move, with the times that an inspection shows."""
    standing = move.standing
    if standing is None:
        return None
    return replace(
        standing,
        created_ns=BEGINNING,
        started_ns=started_ns if standing.started_ns is not None else None,
        finished_ns=now_ns - AHEAD_NS if standing.finished_ns is not None else None,
    )


# --- how it is told


def replay(history: History) -> TrackerDriver:
    """Tell a tracker of it, as the watch would, until nothing is left to wait for."""
    driver, timeline = TrackerDriver(), Timeline(history)
    Replayer(driver, history, timeline).read(range(len(timeline)))
    return driver.play(LONG_SECONDS)


def replay_with_outage(history: History, outage: Outage) -> list[Exit]:
    """The same to two trackers: one that is killed, and one that begins later with what is on record.

    The engine tells the second one again what it remembers since the last event on record.
    """
    timeline = Timeline(history)
    killed, back = outage.within(timeline)
    # It has been there since before the first of them was made.
    before = play(listed(as_of=-50))
    Replayer(before, history, timeline).read(range(killed))
    recorded, cursor = assessed(before.tracker.drain()), before.tracker.cursor
    past, left = on_record(recorded)
    assert cursor is not None
    after = TrackerDriver(past=past, runs=left, cursor=cursor)
    first, event_gap = timeline.replayed_from(cursor, back, outage.remembered)
    after.tracker.resumed(cursor, event_gap)
    listing = history.listing or Listing(0, (0,), 0)
    again = replace(history, listing=replace(listing, begun=back, arrives=back + listing.arrives))
    Replayer(after, again, timeline, back, event_gap).read(range(first, len(timeline)))
    return [each for each in recorded if isinstance(each, Exit)] + after.play(LONG_SECONDS).exits()


def on_record(came: Sequence[Job | Exit]) -> tuple[dict[str, ContainerHistory], list[Job]]:
    """What a store tells of all that was recorded: what it remembers by container, and which jobs run."""
    jobs = {each.id: each for each in came if isinstance(each, Job)}
    ends = {each.job.id: each for each in came if isinstance(each, Exit)}
    jobs |= {key: end.job for key, end in ends.items()}
    past: dict[str, ContainerHistory] = {}
    for key, each in jobs.items():
        known = past.get(each.container_id, ContainerHistory(0, None))
        ended_ns = ends[key].finished_ns if key in ends else None
        latest = max((time for time in (known.last_end_ns, ended_ns) if time is not None), default=None)
        times = [each.start_event_ns, ended_ns, *(kill.at_ns for kill in each.kills)]
        times += [kill.at_ns for kill in each.oom_kills]
        times += [ends[key].event_ns] if key in ends else []
        recorded_event_times = known.recorded_event_times | {time for time in times if time is not None}
        failed_ns = known.failed_start_ns
        if each.attempt > known.attempts:
            failed_ns = ended_ns if key in ends and ends[key].evidence.start_failed else None
        attempts = max(known.attempts, each.attempt)
        past[each.container_id] = ContainerHistory(attempts, latest, None, recorded_event_times, failed_ns)
    return past, [each for key, each in jobs.items() if key not in ends]


class Replayer:
    """What a watch does with a history: hands on its events, asks about some, and lists once."""

    def __init__(
        self,
        driver: TrackerDriver,
        history: History,
        timeline: Timeline,
        back: int = 0,
        event_gap: EventGap = EventGap.NONE,
    ) -> None:
        self._back, self._event_gap = back, event_gap
        self._driver = driver
        self._history = history
        self._timeline = timeline
        self._policy = InspectPolicy(max_backlog=1)
        self._inspections = count()
        self._arriving: dict[int, list[tuple[Event, Inspection | None]]] = {}

    def read(self, places: range) -> None:
        """Read the steps at these places, and then hand over all answers that are still to come."""
        late: set[int] = set()
        for place in places:
            step = self._timeline.steps[place]
            self._see(place, step, replayed=place < self._back)
            self._hear(self._arriving.pop(place, []))
            listing = self._history.listing
            if listing is not None and place == listing.heard(self._timeline):
                _deliver_list(self._driver, self._timeline, self._history, self._event_gap)
            late = (late - {step.container}) | (set() if step.move.settled else {step.container})
            self._driver.play(0.001)
            if place in self._history.pauses and not late:
                self._driver.play(LONG_SECONDS)
        for answers in self._arriving.values():
            self._hear(answers)

    def _see(self, place: int, step: Step, *, replayed: bool) -> None:
        inspecting = self._policy.should_inspect(step.event, 0)
        self._policy.observe(step.event)
        self._driver.tracker.event(step.event, self._driver.now, inspecting=inspecting, replayed=replayed)
        if inspecting:
            self._ask(place, step)

    def _ask(self, place: int, step: Step) -> None:
        timeline, answerings = self._timeline, self._history.answerings
        answering = answerings[next(self._inspections) % len(answerings)]
        # One that is asked for while the engine is busy starting waits for that, and is then answered.
        limit = len(timeline)
        if timeline.is_failing(place):
            limit = timeline.last_before_next_try(step.container, place)
        made = place if step.move.busy else min(place + answering.made, limit)
        standing = timeline.standing_at(step.container, made)
        when = min(place + answering.arrives, limit)
        self._arriving.setdefault(when, []).append((step.event, standing))

    def _hear(self, answers: Sequence[tuple[Event, Inspection | None]]) -> None:
        for asked, answer in answers:
            self._driver.tracker.inspected(asked.container_id, answer, asked.at_ns)
            self._driver.tracker.release_due(self._driver.now)


def _deliver_list(driver: TrackerDriver, timeline: Timeline, history: History, event_gap: EventGap) -> None:
    """Hand over a list that was made while the events were being read; it may be behind them, never ahead."""
    listing = history.listing
    if listing is None:
        return
    read = listing.heard(timeline)
    begun = min(listing.begun, read)
    standings = [
        timeline.standing_by(container, begun + listing.seen[container % len(listing.seen)], read)
        for container in range(len(history.lives))
    ]
    touched = {timeline.steps[place].event.container_id for place in range(begun, read + 1)}
    driver.tracker.listed(
        ContainerList(
            tuple(standing for standing in standings if standing is not None),
            BEGINNING + begun * STEP_NS,
            frozenset(touched),
            event_gap,
        ),
        driver.now,
    )


def found(driver: TrackerDriver) -> Counter[Fact]:
    """What the tracker made of it."""
    return Counter(fact(each) for each in driver.exits())


def fact(end: Exit) -> Fact:
    """An exit, judged."""
    verdict = classify(end.code, end.evidence, builtin_catalog(), end.job.workload)
    return (end.job.container_id, end.job.attempt, end.code, verdict.status.value, verdict.reason)


# --- random ones


@st.composite
def runs(draw: st.DrawFn) -> Ran:
    """A run."""
    span_events: list[str | int] = [OOM, HANGUP, *REQUESTS]
    within = tuple(draw(st.lists(st.sampled_from(span_events), max_size=3)))
    code = draw(st.sampled_from([0, *PLAIN]))
    # A run of which a late report could not change the verdict is not waited for.
    may_be_late = code != 0 and not set(within) & set(REQUESTS)
    return Ran(within, code, may_be_late and draw(st.booleans()))


STARTS = st.one_of(runs(), runs(), st.builds(Failed, st.sampled_from(sorted(UNSTARTED))))
LIVES = st.one_of(
    st.builds(Life, st.tuples(STARTS), st.just(value=True)),
    st.builds(Life, st.lists(STARTS, min_size=1, max_size=3).map(tuple), st.booleans()),
)
LAGS = st.integers(min_value=0, max_value=12)
ANSWERINGS = st.builds(Answering, LAGS, LAGS)
TURNS = st.lists(st.integers(min_value=0, max_value=3), min_size=1, max_size=30).map(tuple)
PLACES = st.integers(min_value=0, max_value=40)


def histories() -> st.SearchStrategy[History]:
    """Histories in which containers are asked about, and never listed."""
    return st.builds(
        History,
        st.lists(LIVES, min_size=1, max_size=4).map(tuple),
        TURNS,
        st.lists(ANSWERINGS, min_size=1, max_size=8).map(tuple),
        st.lists(PLACES, max_size=3).map(tuple),
    )


def listed_histories() -> st.SearchStrategy[History]:
    """Histories in which a list is made at some moment, too."""
    listings = st.builds(Listing, PLACES, st.lists(LAGS, min_size=1, max_size=4).map(tuple), PLACES)
    return st.builds(
        lambda history, listing: replace(history, pauses=(), listing=listing), histories(), listings
    )


def outages() -> st.SearchStrategy[Outage]:
    """Outages of any length, at any moment."""
    return st.builds(Outage, PLACES, PLACES)


def forgetful_outages() -> st.SearchStrategy[Outage]:
    """Outages after which the engine remembers less than has happened, at times."""
    return st.builds(Outage, PLACES, PLACES, PLACES)


def must_be_known(history: History, outage: Outage) -> Counter[tuple[str, int | None]]:
    """The exits that even a watcher that was away can tell: those it sees, and those that are still there.

    An engine keeps the last end of each container that it still has, unless a later start failed.
    """
    timeline = Timeline(history)
    _, back = outage.within(timeline)
    listing = history.listing or Listing(0, (0,), 0)
    listed = replace(listing, begun=back, arrives=back + listing.arrives).heard(timeline)
    found: Counter[tuple[str, int | None]] = Counter()
    for number in range(len(history.lives)):
        own = timeline.own(number)
        ends = [place for place, step in own if step.move.type is EventType.DIE]
        seen = [place for place in ends if place >= back]
        last = [place for place in ends if place < back][-1:]
        # Where a new run has begun or failed since, the engine has forgotten the end before it.
        tried = [place for place, step in own if step.move.busy and place <= listed]
        there = [step for place, step in own if place <= listed]
        seen += [place for place in last if place > tried[-1] and there[-1].standing is not None]
        for place in seen:
            standing = timeline.steps[place].standing
            found[name_of(number), standing.code if standing else None] += 1
    return found
