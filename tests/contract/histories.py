"""Histories of containers as a real engine goes through them, and what is true of each exit.

An engine publishes its events in one order, and one reader passes them on in it. Within a container
``start`` comes before ``die`` and ``kill`` before ``die``; ``oom`` may come after ``die``. Containers are
independent of each other. An inspection shows the container at any moment after it was requested, and arrives
at any moment after that, or never. An engine that is starting a container answers only once the start is
over.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count

from exporter.model import Cursor
from exporter.sources.docker.engine import Event, EventGap, EventType, Inspection
from tests.contract.tracker_driver import BEGINNING, IMAGE

# Short, so that no OOM event is as late as a second: what is later belongs to no run that has ended.
STEP_NS = 10_000_000
# The engine takes its times for the inspection a little before the event's.
AHEAD_NS = 300
# Longer than any wait of a tracker.
LONG_SECONDS = 10.0
OOM = "oom"
HANGUP = 1
REQUESTS = (9, 15)
SIGNAL_BASE = 128
PLAIN = {1: "Error", 3: "Error", 137: "SIGKILL", 139: "SegmentationFault", 143: "SIGTERM"}
REQUESTED = {**PLAIN, 137: "Killed", 143: "Terminated"}
UNSTARTED = {126: "CommandNotExecutable", 127: "CommandNotFound", 128: "ContainerCannotRun"}

Fact = tuple[str, int, int | None, str, str]
"""Container, run, code, status and reason: equal in whatever order the events came."""


@dataclass(frozen=True)
class RunPlan:
    """Events during a run (OOM kills and requested signals), its code, and whether an OOM event is late."""

    events: tuple[str | int, ...]
    code: int
    late_oom: bool

    def _explaining(self) -> tuple[int, ...]:
        """Return the signals that explain its code; the code of a signal is explained by that signal only."""
        if self.code > SIGNAL_BASE:
            return tuple(signal for signal in REQUESTS if self.code == SIGNAL_BASE + signal)
        return REQUESTS[1:]

    def verdict(self) -> tuple[int, str, str]:
        """Return code, status and reason that are true of it."""
        asked = [index for index, each in enumerate(self.events) if each in self._explaining()]
        kills = [index for index, each in enumerate(self.events) if each == OOM]
        kills += [len(self.events)] if self.late_oom else []
        since = [each for each in self.events[kills[-1] :] if each in REQUESTS] if kills else []
        if self.code and kills and not since:
            return self.code, "failed", "OOMKilled"
        if self.code == 0:
            return 0, "terminated" if asked else "done", "Completed"
        reasons = REQUESTED if asked else PLAIN
        return self.code, "terminated" if asked else "failed", reasons[self.code]


@dataclass(frozen=True)
class FailedStartPlan:
    """Code of a start that fails."""

    code: int

    def verdict(self) -> tuple[int, str, str]:
        """Return code, status and reason that are true of it."""
        return self.code, "failed", UNSTARTED[self.code]


@dataclass(frozen=True)
class ContainerPlan:
    """Starts of a container; ``removed``: it is removed right after the last one ended."""

    starts: tuple[RunPlan | FailedStartPlan, ...]
    removed: bool


@dataclass(frozen=True)
class InspectDelay:
    """Number of steps after which an inspection is made and after which it arrives."""

    made: int
    arrives: int


@dataclass(frozen=True)
class ListTiming:
    """Step at which a list is begun, after how many it inspects each container, and at which it arrives."""

    begun: int
    seen: tuple[int, ...]
    arrives: int

    def received_at(self, timeline: Timeline) -> int:
        """Return the step after which it is passed on: the events of all that it shows come before it."""
        return min(max(self.arrives, self.begun + max(self.seen)), len(timeline) - 1)


@dataclass(frozen=True)
class Outage:
    """Step before which the exporter stops, for how many it is away, and how many the engine then replays."""

    stopped_at: int
    away: int
    buffered: int = 1_000

    def events(self, timeline: Timeline) -> tuple[int, int]:
        """Return the step before which the exporter stops, and the first one after its return."""
        stopped_at = min(self.stopped_at, len(timeline) - 1)
        return stopped_at, min(stopped_at + self.away, len(timeline) - 1)


@dataclass(frozen=True)
class History:
    """Containers, the order of their steps, the delays of inspections, and after which steps time passes."""

    containers: tuple[ContainerPlan, ...]
    order: tuple[int, ...]
    inspect_delays: tuple[InspectDelay, ...]
    pauses: tuple[int, ...] = ()
    list_timing: ListTiming | None = None

    def truth(self) -> Counter[Fact]:
        """Return what is true of each exit."""
        return Counter(
            (id_of(number), attempt, *each.verdict())
            for number, plan in enumerate(self.containers)
            for attempt, each in enumerate(plan.starts, 1)
        )

    def codes(self) -> Counter[tuple[str, int | None]]:
        """Return container and code of each exit."""
        return Counter((container, code) for container, _, code, _, _ in self.truth().elements())


def id_of(container: int) -> str:
    """Return the id of a container."""
    return "abcdef"[container] * 64


# --- what the engine does


@dataclass(frozen=True)
class Move:
    """Event of one container, and the container's state from then on.

    ``is_busy``: the engine does not answer inspections of the container before its next move. ``is_final``:
    no late OOM event follows.
    """

    type: EventType
    state: Inspection | None
    signal: int | None = None
    is_busy: bool = False
    is_final: bool = True


def moves(container: int, plan: ContainerPlan) -> Iterator[Move]:
    """Return all moves of a container, without times."""
    identity = id_of(container)
    state = Inspection(identity, identity[0], IMAGE, {}, running=False, created_ns=1, code=0)
    yield Move(EventType.CREATE, state)
    for each in plan.starts:
        yield Move(EventType.START_ATTEMPT, state, is_busy=True)
        if isinstance(each, FailedStartPlan):
            state = replace(state, code=each.code, start_failed=True)
            yield Move(EventType.START_ATTEMPT_OVER, state)
            continue
        state = replace(state, running=True, started_ns=1, code=None, start_failed=False, oom_killed=False)
        yield Move(EventType.START, state)
        for step in each.events:
            state = replace(state, oom_killed=state.oom_killed or step == OOM)
            event_type = EventType.OOM if step == OOM else EventType.KILL
            yield Move(event_type, state, None if isinstance(step, str) else step)
        state = replace(state, running=False, finished_ns=1, code=each.code)
        state = replace(state, oom_killed=state.oom_killed or each.late_oom)
        yield Move(EventType.DIE, state, is_final=not each.late_oom)
        if each.late_oom:
            yield Move(EventType.OOM, state)
        yield Move(EventType.START_ATTEMPT_OVER, state)
    if plan.removed:
        yield Move(EventType.DESTROY, None)


@dataclass(frozen=True)
class Step:
    """Move with its time."""

    container: int
    move: Move
    event: Event
    state: Inspection | None


class Timeline:
    """All steps of the engine, in the order of its events."""

    def __init__(self, history: History) -> None:
        self.steps = steps(history)
        self._own: list[list[int]] = [[] for _ in history.containers]
        for place, step in enumerate(self.steps):
            self._own[step.container].append(place)

    def __len__(self) -> int:
        return len(self.steps)

    def own(self, container: int) -> list[tuple[int, Step]]:
        """Return the steps of one container, with their places."""
        return [(place, self.steps[place]) for place in self._own[container]]

    def state_at(self, container: int, place: int) -> Inspection | None:
        """Return the state that an inspection made after the step at ``place`` shows."""
        own = self._own[container]
        index = bisect_right(own, place) - 1
        if index < 0:
            return None
        step = self.steps[own[index]]
        return self.steps[own[index + 1]].state if step.move.is_busy else step.state

    def state_by(self, container: int, place: int, read: int) -> Inspection | None:
        """Return the same for an inspection that arrives at step ``read``: it waits for a start under way."""
        own = [other for other in self._own[container] if other <= min(place, read)]
        if (
            own
            and self.steps[own[-1]].move.is_busy
            and not any(own[-1] < other <= read for other in self._own[container])
        ):
            own.pop()
        return self.state_at(container, own[-1]) if own else None

    def replayed_from(self, cursor: Cursor, back: int, buffered: int) -> tuple[int, EventGap]:
        """Return the first step that the engine replays from a cursor, and what is missing before it."""
        oldest = max(0, back - buffered)
        times = [step.event.at_ns for step in self.steps[oldest:back]]
        repeated = (place for place, at_ns in enumerate(times, oldest) if at_ns >= cursor.since_ns)
        forgotten = cursor.event_ns not in (0, *times)
        return next(repeated, back), EventGap.OVERRUN if forgotten else EventGap.NONE

    def is_failed_start(self, place: int) -> bool:
        """Return whether the step is part of a failed start: it is not retried before its inspections."""
        own = self._own[self.steps[place].container]
        index = own.index(place) if self.steps[place].move.is_busy else own.index(place) - 1
        attempt, result = self.steps[own[index]].move, self.steps[own[index + 1]].move
        return attempt.is_busy and result.type is EventType.START_ATTEMPT_OVER

    def last_before_next_start(self, container: int, place: int) -> int:
        """Return the last step before the container is started again."""
        starts_again = (
            other for other in self._own[container] if other > place and self.steps[other].move.is_busy
        )
        return next(starts_again, len(self.steps)) - 1


def steps(history: History) -> list[Step]:
    """Return all steps of the engine, in the order of its events."""
    left = [list(moves(number, plan)) for number, plan in enumerate(history.containers)]
    clocks = [BEGINNING] * len(left)
    started = [0] * len(left)
    done: list[Step] = []
    for number in count():
        left_to_move = [container for container, rest in enumerate(left) if rest]
        if not left_to_move:
            return done
        container = left_to_move[history.order[number % len(history.order)] % len(left_to_move)]
        move = left[container].pop(0)
        # Times of different containers step back by some milliseconds, within one they never do.
        now_ns = BEGINNING + (number + 1) * STEP_NS - (number * 7 % 4) * STEP_NS // 2
        clocks[container] = now_ns = max(now_ns, clocks[container] + 10 * AHEAD_NS)
        if move.type is EventType.START:
            started[container] = now_ns - AHEAD_NS
        done.append(
            Step(
                container,
                move,
                event_of(container, move, now_ns),
                timed_state(move, started[container], now_ns),
            )
        )
    return done


def event_of(container: int, move: Move, now_ns: int) -> Event:
    """Return the event of a move."""
    identity = id_of(container)
    if move.type in {EventType.START_ATTEMPT, EventType.START_ATTEMPT_OVER}:
        return Event(move.type, identity, now_ns)
    code = move.state.code if move.state and move.type is EventType.DIE else None
    return Event(move.type, identity, now_ns, identity[0], IMAGE, code=code, signal=move.signal)


def timed_state(move: Move, started_ns: int, now_ns: int) -> Inspection | None:
    """Return the state after a move, with its times."""
    state = move.state
    if state is None:
        return None
    return replace(
        state,
        created_ns=BEGINNING,
        started_ns=started_ns if state.started_ns is not None else None,
        finished_ns=now_ns - AHEAD_NS if state.finished_ns is not None else None,
    )
