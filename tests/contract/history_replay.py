"""Replays a history to a tracker as the watcher would, also with an outage of the exporter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import count

from exporter.model import ContainerHistory, Exit, Job
from exporter.sources.docker.engine import ContainerList, Event, EventGap, EventType, Inspection
from exporter.sources.docker.messages import EventReceived
from exporter.sources.docker.watch.inspect_policy import InspectPolicy, Need
from exporter.verdict.catalog_file import builtin_catalog
from exporter.verdict.classify import classify
from tests.contract.histories import (
    STEP_NS,
    Fact,
    History,
    ListTiming,
    Outage,
    Step,
    Timeline,
    id_of,
)
from tests.contract.tracker_driver import BEGINNING, TrackerDriver, assessed, listed, play

LONG_SECONDS = 10.0


def replay(history: History) -> TrackerDriver:
    """Return a tracker that was given a whole history, after all its waits."""
    driver, timeline = TrackerDriver(), Timeline(history)
    Replayer(driver, history, timeline).read(range(len(timeline)))
    return driver.play(LONG_SECONDS)


def replay_with_outage(history: History, outage: Outage) -> list[Exit]:
    """Return the exits of two trackers: one that stops, and one that continues later from its record.

    The engine replays to the second one what it still has since the last event on record.
    """
    timeline = Timeline(history)
    stopped_at, back = outage.events(timeline)
    # It runs since before the first container was created.
    before = play(listed(as_of=-50))
    Replayer(before, history, timeline).read(range(stopped_at))
    recorded, cursor = assessed(before.drain()), before.tracker.cursor
    past, left = on_record(recorded)
    assert cursor is not None
    after = TrackerDriver(past=past, runs=left, cursor=cursor)
    first, event_gap = timeline.replayed_from(cursor, back, outage.buffered)
    after.tracker.resumed(cursor, event_gap)
    list_timing = history.list_timing or ListTiming(0, (0,), 0)
    again = replace(history, list_timing=replace(list_timing, begun=back, arrives=back + list_timing.arrives))
    Replayer(after, again, timeline, back, event_gap).read(range(first, len(timeline)))
    return [each for each in recorded if isinstance(each, Exit)] + after.play(LONG_SECONDS).exits()


def on_record(emitted: Sequence[Job | Exit]) -> tuple[dict[str, ContainerHistory], list[Job]]:
    """Return what a store has on record: the history of each container, and the jobs that run."""
    jobs = {each.id: each for each in emitted if isinstance(each, Job)}
    ends = {each.job.id: each for each in emitted if isinstance(each, Exit)}
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
        starts = [time for time in (known.last_start_ns, each.started_ns) if time is not None]
        last_start_ns = max(starts, default=None)
        past[each.container_id] = ContainerHistory(
            attempts, latest, None, recorded_event_times, failed_ns, last_start_ns
        )
    return past, [each for key, each in jobs.items() if key not in ends]


class Replayer:
    """Gives a tracker what the watcher would of a history: events, inspections, and one list."""

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
        self._policy = InspectPolicy()
        self._inspections = count()
        self._due_inspections: dict[int, list[tuple[Event, Inspection | None]]] = {}

    def read(self, places: range) -> None:
        """Pass on the steps at these places, and then all inspections that are still to come."""
        late: set[int] = set()
        for place in places:
            step = self._timeline.steps[place]
            self._pass_event(place, step, replayed=place < self._back)
            self._pass_inspections(self._due_inspections.pop(place, []))
            list_timing = self._history.list_timing
            if list_timing is not None and place == list_timing.received_at(self._timeline):
                _deliver_list(self._driver, self._timeline, self._history, self._event_gap)
            late = (late - {step.container}) | (set() if step.move.is_final else {step.container})
            self._driver.play(0.001)
            if place in self._history.pauses and not late:
                self._driver.play(LONG_SECONDS)
        for answers in self._due_inspections.values():
            self._pass_inspections(answers)
        # As in the pipeline, no position is recorded before what was found up to there.
        self._driver.play(0.0)

    def _pass_event(self, place: int, step: Step, *, replayed: bool) -> None:
        inspecting = self._policy.observe(step.event) is not Need.NONE
        received = EventReceived(step.event, inspecting, replayed)
        self._driver.tracker.event(received, self._driver.now)
        if inspecting:
            self._request_inspection(place, step)

    def _request_inspection(self, place: int, step: Step) -> None:
        timeline, inspect_delays = self._timeline, self._history.inspect_delays
        delay = inspect_delays[next(self._inspections) % len(inspect_delays)]
        # An inspection during a start waits for its end.
        limit = len(timeline)
        if timeline.is_failed_start(place):
            limit = timeline.last_before_next_start(step.container, place)
        made = place if step.move.is_busy else min(place + delay.made, limit)
        state = timeline.state_at(step.container, made)
        when = min(place + delay.arrives, limit)
        self._due_inspections.setdefault(when, []).append((step.event, state))

    def _pass_inspections(self, answers: Sequence[tuple[Event, Inspection | None]]) -> None:
        for asked, answer in answers:
            self._driver.tracker.inspected(asked.container_id, answer, asked.at_ns)
            self._driver.tracker.release_due(self._driver.now)


def _deliver_list(driver: TrackerDriver, timeline: Timeline, history: History, event_gap: EventGap) -> None:
    """Pass on a list made while events were being read; it can be behind them, never ahead."""
    list_timing = history.list_timing
    if list_timing is None:
        return
    read = list_timing.received_at(timeline)
    begun = min(list_timing.begun, read)
    states = [
        timeline.state_by(container, begun + list_timing.seen[container % len(list_timing.seen)], read)
        for container in range(len(history.containers))
    ]
    touched = {timeline.steps[place].event.container_id for place in range(begun, read + 1)}
    driver.tracker.listed(
        ContainerList(
            tuple(state for state in states if state is not None),
            BEGINNING + begun * STEP_NS,
            frozenset(touched),
            event_gap,
        ),
        driver.now,
    )


def verdicts(driver: TrackerDriver) -> Counter[Fact]:
    """Return what the tracker found out about each exit."""
    return Counter(fact(each) for each in driver.exits())


def fact(end: Exit) -> Fact:
    """Return container, run, code, status and reason of an exit."""
    verdict = classify(end.code, end.evidence, builtin_catalog(), end.job.workload)
    return (end.job.container_id, end.job.attempt, end.code, verdict.status.value, verdict.reason)


def findable_exits(history: History, outage: Outage) -> Counter[tuple[str, int | None]]:
    """Return the exits that can be found after an outage: those seen, and those the engine still shows.

    An engine keeps the last end of each container that it still has, unless a later start has failed.
    """
    timeline = Timeline(history)
    _, back = outage.events(timeline)
    list_timing = history.list_timing or ListTiming(0, (0,), 0)
    listed = replace(list_timing, begun=back, arrives=back + list_timing.arrives).received_at(timeline)
    verdicts: Counter[tuple[str, int | None]] = Counter()
    for number in range(len(history.containers)):
        own = timeline.own(number)
        ends = [place for place, step in own if step.move.type is EventType.DIE]
        seen = [place for place in ends if place >= back]
        last = [place for place in ends if place < back][-1:]
        # Where a new run has begun or failed since, the engine has forgotten the end before it.
        starts_again = [place for place, step in own if step.move.is_busy and place <= listed]
        there = [step for place, step in own if place <= listed]
        seen += [place for place in last if place > starts_again[-1] and there[-1].state is not None]
        for place in seen:
            state = timeline.steps[place].state
            verdicts[id_of(number), state.code if state else None] += 1
    return verdicts
