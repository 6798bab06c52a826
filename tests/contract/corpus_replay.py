"""Replay of a case of the corpus to a tracker as the watcher would, on the case's own clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import groupby
from typing import Any, TypeAlias

from exporter.log_tail import LogTail
from exporter.model import Cursor, Job
from exporter.sources.docker.api import parse
from exporter.sources.docker.engine import ContainerList, Event, EventGap
from exporter.sources.docker.messages import EventReceived
from exporter.sources.docker.track.tracker import Tracker
from exporter.sources.docker.watch.inspect_policy import InspectPolicy, Need
from exporter.verdict.facts import EndedRun
from tests.contract.canned_kernel import CannedKernel
from tests.contract.tracker_driver import CONFIG
from tests.corpus.cases import Case, Table
from tests.scripted.times import SECOND
from tests.scripted.wire import encoded

# Longer than any wait of a tracker.
LONG_SECONDS = 20.0
LOG_TAIL = LogTail(lines=20, max_bytes=4096)

Line: TypeAlias = tuple[int, Table]
"""Number of a line in its case, and the line."""


def replay(case: Case, kernel: CannedKernel) -> list[Job | EndedRun]:
    """Return what a tracker emits that starts right before a case, and ends long after it."""
    replayed = CorpusReplay(case, kernel)
    replayed.start()
    for _, lines in groupby(enumerate(case.lines), key=_group):
        replayed.take(list(lines))
    return replayed.finish()


def _group(line: Line) -> object:
    """Return a key that is equal for lines of the kernel that were read together."""
    number, table = line
    return ("kernel", table["at_ns"]) if _is_of_kernel(table) else number


def _is_of_kernel(table: Table) -> bool:
    return bool(table.keys() & {"kmsg", "counted"})


class CorpusReplay:
    """Tracker that is given a case line by line; its clock follows the lines, and never goes back."""

    def __init__(self, case: Case, kernel: CannedKernel) -> None:
        config = replace(
            CONFIG,
            has_kernel_counter=case.is_counted,
            has_kernel_log=case.is_counted,
            late_network_connect=True,
        )
        self._tracker = Tracker(config, lambda _: None)
        self._case = case
        self._kernel = kernel
        self._kernel_reader = kernel.boot(case.booted_ns)
        self._policy = InspectPolicy()
        self._started_ns = _time_of(case.lines[0]) - SECOND
        self._now_ns = self._latest_event_ns = self._resumed_ns = self._started_ns
        self._event_gap = EventGap.NONE
        self._log_ends_ns: dict[str, int] = {}
        self._emitted: list[Job | EndedRun] = []

    @property
    def _now(self) -> float:
        return (self._now_ns - self._started_ns) / SECOND

    def start(self) -> None:
        """Connect to an engine that has no containers yet."""
        self._tracker.resumed(Cursor(0, self._started_ns, self._started_ns))
        self._tracker.listed(ContainerList((), self._started_ns, events_complete=True), self._now)

    def take(self, lines: list[Line]) -> None:
        """Take in one line, or the lines of the kernel that were read together."""
        number, first = lines[0]
        self._now_ns = max(self._now_ns, _time_of(first))
        self._tracker.release_due(self._now)
        if _is_of_kernel(first):
            self._poll_kernel([line for _, line in lines])
        else:
            self._take_line(number, first)
        self._tracker.release_due(self._now)
        self._emitted += self._tracker.drain()

    def finish(self) -> list[Job | EndedRun]:
        """Return all that the tracker emits."""
        self._tracker.release_due(self._now + LONG_SECONDS)
        return [*self._emitted, *self._tracker.drain()]

    def _take_line(self, number: int, line: Table) -> None:
        match line:
            case {"event": message}:
                self._event(number, parse.event(encoded(message)))
            case {"log": text, "of": name}:
                container_id = self._case.id_of(name)
                ended_ns = self._log_ends_ns.pop(container_id)
                self._tracker.log_collected(container_id, ended_ns, LOG_TAIL.extract(text))
            case {"connected": at_ns}:
                self._resume(at_ns, EventGap(line.get("lapse", "none")))
            case {"list": containers, "as_of_ns": as_of_ns}:
                self._list(containers, as_of_ns, events_complete=bool(line.get("of_all")))
            case {"inspect": _} | {"lost_connection": _}:
                # The first is taken with the event that requests it; the tracker is not told of the second.
                pass
            case _:
                raise ValueError(line)

    def _event(self, number: int, event: Event) -> None:
        """Take in an event, with its inspection if the watcher's policy requests one."""
        inspecting, logging = self._policy.observe(event) is not Need.NONE, self._has_log(number, event)
        self._latest_event_ns = event.at_ns or self._latest_event_ns
        replayed = event.at_ns <= self._resumed_ns
        received = EventReceived(event, inspecting, replayed, reading_log=logging)
        self._tracker.event(received, self._now)
        if logging:
            self._log_ends_ns[event.container_id] = event.at_ns
        if inspecting:
            answer = self._case.answer_to(number, event.container_id)
            inspection = None if answer is None else parse.inspection(answer)
            self._tracker.inspected(event.container_id, inspection, event.at_ns)

    def _has_log(self, number: int, event: Event) -> bool:
        """Return whether the next line but inspections is the log of the event's container."""
        following = (line for line in self._case.lines[number + 1 :] if "inspect" not in line)
        name = next(following, {}).get("of")
        return name is not None and name == self._case.names.get(event.container_id)

    def _poll_kernel(self, lines: list[Table]) -> None:
        records = [line["kmsg"] for line in lines if "kmsg" in line]
        counted = sum(line.get("counted", 0) for line in lines)
        self._kernel.report(records, counted, lines[0]["at_ns"])
        report = self._kernel_reader.poll()
        if report is not None:
            self._tracker.kernel_reported(report)

    def _resume(self, at_ns: int, event_gap: EventGap) -> None:
        """Reconnect: events up to now are replays."""
        self._policy, self._resumed_ns, self._event_gap = InspectPolicy(), at_ns, event_gap
        cursor = Cursor(self._latest_event_ns, self._started_ns, self._latest_event_ns)
        self._tracker.resumed(cursor, event_gap)

    def _list(self, containers: list[Table], as_of_ns: int, *, events_complete: bool) -> None:
        inspections = tuple(map(parse.inspection, containers))
        listed = ContainerList(
            inspections, as_of_ns, event_gap=self._event_gap, events_complete=events_complete
        )
        self._tracker.listed(listed, self._now)


def _time_of(line: Mapping[str, Any]) -> int:
    """Return when a line was read; 0 if it does not say, so that it is taken at once."""
    if "event" in line:
        return int(line["event"]["timeNano"])
    times = (line.get(key) for key in ("at_ns", "as_of_ns", "connected", "lost_connection"))
    return int(next((at_ns for at_ns in times if at_ns), 0))
