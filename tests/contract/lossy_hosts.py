"""Made-up hosts whose engine loses some OOM events, and reports others late or before the kill is counted."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

from exporter.model import Cursor, Exit
from exporter.sources.docker.engine import KERNEL_POLL_SECONDS, Event, EventType, Inspection, KernelReport
from exporter.sources.docker.messages import EventReceived
from exporter.sources.docker.track.tracker import Tracker
from tests.contract.tracker_driver import (
    BEGINNING,
    CONFIG,
    SECOND,
    at,
    die,
    exits,
    oom,
    running,
    start,
    start_attempt,
)

LIMIT = 64 << 20
SLOTS = 8
SECONDS = 600.0
_POLLED_AT = (EventType.OOM, EventType.DIE)


class Fate(Enum):
    """Whether a job has a memory limit, its code, and whether it has an OOM kill."""

    SUCCEEDS = (False, 0, False)
    SUCCEEDS_WITH_A_LIMIT = (True, 0, False)
    FAILS = (False, 1, False)
    FAILS_WITH_A_LIMIT = (True, 1, False)
    SURVIVES = (True, 0, True)
    FAILS_AFTER_IT = (True, 1, True)
    STARVES = (True, 137, True)
    IS_KILLED = (False, 137, False)


_SHARES = {
    Fate.SUCCEEDS: 30,
    Fate.SUCCEEDS_WITH_A_LIMIT: 25,
    Fate.FAILS: 10,
    Fate.FAILS_WITH_A_LIMIT: 10,
    Fate.SURVIVES: 7,
    Fate.FAILS_AFTER_IT: 4,
    Fate.STARVES: 6,
    Fate.IS_KILLED: 8,
}


@dataclass(frozen=True)
class EventFaults:
    """Shares of OOM events that are lost, that come after the exit, and that come before the count."""

    lost: float
    late: float
    ahead: float


Observation = Event | Inspection | None


class LossyHost:
    """A host for ten minutes; ``fates`` are the true ones of its containers."""

    def __init__(self, seed: int, faults: EventFaults) -> None:
        """Generate the jobs of all slots."""
        self._dice = random.Random(seed)  # noqa: S311  # not a secret
        self._faults = faults
        self._kills: list[float] = []
        self._observations: list[tuple[float, Observation]] = []
        self.fates: dict[str, Fate] = {}
        for _ in range(SLOTS):
            seconds = self._dice.uniform(0, 1)
            while seconds < SECONDS:
                seconds = self._job(seconds) + self._dice.expovariate(1)

    def exits(self) -> Iterator[Exit]:
        """Return the exits that a tracker beside that engine finds."""
        tracker = Tracker(replace(CONFIG, has_kernel_counter=True), lambda _: None)
        tracker.resumed(Cursor(0, BEGINNING - 100 * SECOND))
        counted = 0
        ticks = ((tick * KERNEL_POLL_SECONDS, None) for tick in range(int(SECONDS / KERNEL_POLL_SECONDS)))
        for seconds, seen in sorted([*self._observations, *ticks], key=lambda each: each[0]):
            if seen is None or (isinstance(seen, Event) and seen.type in _POLLED_AT):
                kills = sum(kill <= seconds for kill in self._kills[counted : counted + 100])
                if kills:
                    tracker.kernel_reported(KernelReport(kills, at(seconds)))
                counted += kills
            _pass(tracker, seconds, seen)
            tracker.release_due(seconds)
            yield from exits(tracker.drain())
        tracker.release_due(10 * SECONDS)
        yield from exits(tracker.drain())

    def _job(self, attempted: float) -> float:
        """Generate one job; return when it ended."""
        dice, container = self._dice, f"{len(self.fates):064x}"
        fate = self.fates[container] = dice.choices(list(_SHARES), list(_SHARES.values()))[0]
        limited, code, has_kill = fate.value
        started = attempted + dice.uniform(0.05, 0.4)
        ended = (
            started
            + 0.05
            + dice.choice([dice.uniform(0.01, 0.1), dice.expovariate(1), dice.expovariate(0.2)])
        )
        limit = LIMIT if limited else None
        self._observations += [
            (attempted, start_attempt(attempted, container)),
            (started, start(started, container)),
        ]
        self._observations.append((started + 0.01, running(started, container, limit=limit)))
        self._observations.append((ended, die(ended, code, container)))
        if has_kill:
            self._kill(container, started, ended)
        return ended

    def _kill(self, container: str, started: float, ended: float) -> None:
        """Kill a process of a job, mostly right before its end, and report it with a fault or without."""
        dice, faults = self._dice, self._faults
        killed = ended - dice.uniform(0.002, 0.08)
        if self.fates[container] is not Fate.STARVES and dice.random() < 1 / 3:
            killed = dice.uniform(started, ended)
        self._kills = sorted([*self._kills, killed])
        chance = dice.random()
        if chance < faults.lost:
            return
        if chance < faults.lost + faults.late:
            reported = ended + dice.uniform(0.001, 0.3)
        elif chance < faults.lost + faults.late + faults.ahead:
            reported = killed - dice.uniform(0, 0.02)
        else:
            reported = killed + dice.uniform(0.0001, 0.005)
        # No event comes before that of the start.
        reported = max(started + 0.0001, reported)
        self._observations.append((reported, oom(reported, container)))


def _pass(tracker: Tracker, seconds: float, seen: Observation) -> None:
    if isinstance(seen, Inspection):
        tracker.inspected(seen.container_id, seen, at(seconds))
    elif seen is not None:
        tracker.event(EventReceived(seen, inspecting=seen.type is EventType.START), seconds)
