"""Random histories of containers, told as a real engine tells them, and what each exit really was.

An engine publishes its events in one order, and one reader hands them on in it. Within a container
``start`` comes before ``die`` and ``kill`` before ``die``; ``oom`` may come after ``die``. Containers
move independently of each other. The answer to an inspection is how the container stood at any moment
after it was asked for, and arrives at any moment after that, or never; an engine that is starting a
container answers only when it is done with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count

from hypothesis import strategies as st

from exporter.classify import classify
from exporter.engines.port import Event, Happening, Snapshot
from exporter.model import Exit
from exporter.reasons import builtin
from exporter.watch import _Curiosity
from tests.contract.telling import BEGINNING, IMAGE, Telling

STEP_NS = 2_000_000
# The engine takes its times for the inspection a little before the event's.
AHEAD_NS = 300
# Longer than anything is waited for.
LONG_SECONDS = 10.0
OOM = "oom"
HANGUP = 1
REQUESTS = (9, 15)
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

    def verdict(self) -> tuple[int, str, str]:
        """Code, status and reason, by the design's table."""
        asked = [index for index, each in enumerate(self.within) if each in REQUESTS]
        kills = [index for index, each in enumerate(self.within) if each == OOM]
        kills += [len(self.within)] if self.late_oom else []
        if self.code and kills and not any(index > kills[-1] for index in asked):
            return self.code, "failed", "OOMKilled"
        if self.code == 0:
            return 0, "terminated" if asked else "done", "Completed"
        words = REQUESTED if asked else PLAIN
        return self.code, "terminated" if asked else "failed", words[self.code]


@dataclass(frozen=True)
class Failed:
    """A start that failed."""

    code: int

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


def name_of(container: int) -> str:
    """The id of a container."""
    return "abcdef"[container] * 64


# --- what the engine does


@dataclass(frozen=True)
class Move:
    """One step of one container: how it stands from then on, and the event that tells of it.

    ``busy`` says that the engine holds it until its next move, and answers nothing about it before.
    """

    happening: Happening
    standing: Snapshot | None
    signal: int | None = None
    busy: bool = False
    settled: bool = True


def moves(container: int, life: Life) -> Iterator[Move]:
    """All that one container goes through; times are put in when it is its turn."""
    identity = name_of(container)
    standing = Snapshot(identity, identity[0], IMAGE, {}, running=False, created_ns=1, code=0)
    yield Move(Happening.CREATE, standing)
    for each in life.starts:
        yield Move(Happening.START_ATTEMPT, standing, busy=True)
        if isinstance(each, Failed):
            standing = replace(standing, code=each.code, start_error=True)
            yield Move(Happening.START_ATTEMPT_OVER, standing)
            continue
        standing = replace(
            standing, running=True, started_ns=1, code=None, start_error=False, oom_killed=False
        )
        yield Move(Happening.START, standing)
        for step in each.within:
            standing = replace(standing, oom_killed=standing.oom_killed or step == OOM)
            happening = Happening.OOM if step == OOM else Happening.KILL
            yield Move(happening, standing, None if isinstance(step, str) else step)
        standing = replace(standing, running=False, finished_ns=1, code=each.code)
        standing = replace(standing, oom_killed=standing.oom_killed or each.late_oom)
        yield Move(Happening.DIE, standing, settled=not each.late_oom)
        if each.late_oom:
            yield Move(Happening.OOM, standing)
        yield Move(Happening.START_ATTEMPT_OVER, standing)
    if life.removed:
        yield Move(Happening.DESTROY, None)


@dataclass(frozen=True)
class Step:
    """One move of the engine at its place among all."""

    container: int
    move: Move
    event: Event
    standing: Snapshot | None


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
        if move.happening is Happening.START:
            started[container] = now_ns - AHEAD_NS
        done.append(
            Step(container, move, as_event(container, move, now_ns), dated(move, started[container], now_ns))
        )
    return done


def as_event(container: int, move: Move, now_ns: int) -> Event:
    """The event that tells of a move."""
    identity = name_of(container)
    if move.happening in {Happening.START_ATTEMPT, Happening.START_ATTEMPT_OVER}:
        return Event(move.happening, identity, now_ns)
    code = move.standing.code if move.standing and move.happening is Happening.DIE else None
    return Event(move.happening, identity, now_ns, identity[0], IMAGE, code=code, signal=move.signal)


def dated(move: Move, started_ns: int, now_ns: int) -> Snapshot | None:
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


def standing_at(done: Sequence[Step], container: int, place: int) -> Snapshot | None:
    """What an inspection made after the step at ``place`` is answered."""
    own = [(index, step) for index, step in enumerate(done) if step.container == container]
    before = [step for index, step in own if index <= place]
    if not before:
        return None
    if before[-1].move.busy:
        return own[len(before)][1].standing
    return before[-1].standing


# --- how it is told


def tell(history: History) -> Telling:
    """Tell a tracker of it, as the watch would, until nothing is left to wait for."""
    done = steps(history)
    telling = Telling()
    arriving: dict[int, list[tuple[str, Snapshot | None]]] = {}
    curiosity, inspections = _Curiosity(), count()
    late: set[int] = set()
    for place, step in enumerate(done):
        inspecting = curiosity.wants(step.event, 0)
        telling.tracker.event(step.event, telling.now, inspecting=inspecting)
        if inspecting:
            answering = history.answerings[next(inspections) % len(history.answerings)]
            # One that is asked for while the engine is busy starting waits for that, and is then answered.
            limit = last_before_next_try(done, step.container, place) if failing(done, place) else len(done)
            made = place if step.move.busy else min(place + answering.made, limit)
            standing = standing_at(done, step.container, made)
            when = min(place + answering.arrives, limit)
            arriving.setdefault(when, []).append((step.event.container_id, standing))
        for container_id, answer in arriving.pop(place, []):
            telling.answer(answer, container_id)
        if history.listing is not None and place == min(history.listing.arrives, len(done) - 1):
            hear_list(telling, done, history)
        late = (late - {step.container}) | (set() if step.move.settled else {step.container})
        telling.passes(0.001)
        if place in history.pauses and not late:
            telling.passes(LONG_SECONDS)
    for answers in arriving.values():
        for container_id, answer in answers:
            telling.answer(answer, container_id)
    return telling.passes(LONG_SECONDS)


def failing(done: Sequence[Step], place: int) -> bool:
    """Whether the step is part of a failed start: of such, nobody tries again before the answers came."""
    own = [step for step in done if step.container == done[place].container]
    index = own.index(done[place])
    tried, result = own[index : index + 2] if own[index].move.busy else own[index - 1 : index + 1]
    return tried.move.busy and result.move.happening is Happening.START_ATTEMPT_OVER


def last_before_next_try(done: Sequence[Step], container: int, place: int) -> int:
    """The last step before the container is started again."""
    tries = (
        index
        for index, step in enumerate(done)
        if index > place and step.container == container and step.move.busy
    )
    return next(tries, len(done)) - 1


def hear_list(telling: Telling, done: Sequence[Step], history: History) -> None:
    """Hand over a list that was made while the events were being read.

    It may be behind them as far as it likes, and ahead of them up to the container's next start.
    """
    listing = history.listing
    if listing is None:
        return
    read = min(listing.arrives, len(done) - 1)
    begun = min(listing.begun, read)
    standings = [
        standing_at(
            done,
            container,
            min(
                begun + listing.seen[container % len(listing.seen)],
                last_before_next_try(done, container, read),
            ),
        )
        for container in range(len(history.lives))
    ]
    telling.tracker.listed(
        [standing for standing in standings if standing is not None], done[begun].event.at_ns, telling.now
    )


def found(telling: Telling) -> Counter[Fact]:
    """What the tracker made of it."""
    return Counter(fact(each) for each in telling.ends())


def fact(end: Exit) -> Fact:
    """An exit, judged."""
    verdict = classify(end.code, end.evidence, builtin(), end.job.workload)
    return (end.job.container_id, end.job.attempt, end.code, verdict.status.value, verdict.reason)


# --- random ones


@st.composite
def runs(draw: st.DrawFn) -> Ran:
    """A run."""
    happenings: list[str | int] = [OOM, HANGUP, *REQUESTS]
    within = tuple(draw(st.lists(st.sampled_from(happenings), max_size=3)))
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
