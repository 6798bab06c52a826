"""What the watch would say of a case of the corpus, told to the tracker on the case's own clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import groupby
from typing import Any, TypeAlias

from exporter.log_tail import LogTail
from exporter.model import Cursor, Job
from exporter.sources.docker.api import parse
from exporter.sources.docker.engine import ContainerList, Event, EventGap
from exporter.sources.docker.track.tracker import Tracker
from exporter.sources.docker.watch.inspect_policy import InspectPolicy
from exporter.verdict.facts import EndedRun
from tests.contract.canned_kernel import CannedKernel
from tests.contract.tracker_driver import CONFIG
from tests.corpus.cases import Case, Table
from tests.scripted.times import SECOND
from tests.scripted.wire import encoded

# Longer than anything is waited for.
PATIENCE_SECONDS = 20.0
LOG_TAIL = LogTail(lines=20, max_bytes=4096)

Place: TypeAlias = tuple[int, Table]


def replay(case: Case, kernel: CannedKernel) -> list[Job | EndedRun]:
    """All that began or ended in a case, from a start of the exporter right before it to long after it."""
    told = Replay(case, kernel)
    told.begin()
    for _, lines in groupby(enumerate(case.lines), key=_moment):
        told.lines(list(lines))
    told.end()
    return told.tracker.drain()


def _moment(place: Place) -> object:
    """What of the kernel was read at one moment stands together, all else alone."""
    number, line = place
    return ("kernel", line["at_ns"]) if line.keys() & {"kmsg", "counted"} else number


class Replay:
    """A tracker that is told a case line by line; its clock is that of the lines, and never goes back."""

    def __init__(self, case: Case, kernel: CannedKernel) -> None:
        self.tracker = Tracker(
            replace(
                CONFIG,
                has_kernel_counter=case.is_counted,
                has_kernel_log=case.is_counted,
                late_network_connect=True,
            ),
            lambda _: None,
        )
        self._case = case
        self._kernel = kernel
        self._kernel_reader = kernel.boot(case.booted_ns)
        self._policy = InspectPolicy(max_backlog=1)
        self._begun_ns = _time_of(case.lines[0]) - SECOND
        self._now_ns = self._latest_ns = self._resumed_ns = self._begun_ns
        self._event_gap = EventGap.NONE
        self._logged_ns: dict[str, int] = {}

    @property
    def _now(self) -> float:
        return (self._now_ns - self._begun_ns) / SECOND

    def begin(self) -> None:
        """The exporter connects to an engine that has no containers yet."""
        self.tracker.resumed(Cursor(0, self._begun_ns, self._begun_ns))
        self.tracker.listed(ContainerList((), self._begun_ns, events_complete=True), self._now)

    def lines(self, lines: list[Place]) -> None:
        """One line, or all that was read of the kernel at one moment."""
        place, first = lines[0]
        self._goes_on(_time_of(first))
        if first.keys() & {"kmsg", "counted"}:
            self._ask_kernel([line for _, line in lines])
        else:
            (kind,) = first.keys() & _KINDS.keys()
            _KINDS[kind](self, place, first)
        self.tracker.release_due(self._now)

    def end(self) -> None:
        """Nothing more comes."""
        self.tracker.release_due(self._now + PATIENCE_SECONDS)

    def _goes_on(self, at_ns: int) -> None:
        self._now_ns = max(self._now_ns, at_ns)
        self.tracker.release_due(self._now)

    def _event(self, place: int, line: Table) -> None:
        """An event; whether it is inspected is decided as the watch decides it."""
        event = parse.event(encoded(line["event"]))
        inspecting, logging = self._policy.should_inspect(event, 0), self._has_log(place, event)
        self._policy.observe(event)
        self._latest_ns = event.at_ns or self._latest_ns
        self.tracker.event(
            event,
            self._now,
            inspecting=inspecting,
            replayed=event.at_ns <= self._resumed_ns,
            logging=logging,
        )
        if logging:
            self._logged_ns[event.container_id] = event.at_ns
        if inspecting:
            answer = self._case.answer_to(place, event.container_id)
            inspection = None if answer is None else parse.inspection(answer)
            self.tracker.inspected(event.container_id, inspection, event.at_ns)

    def _has_log(self, place: int, event: Event) -> bool:
        """Whether the end of its container's log was read at this event: the next line but an answer."""
        following = (line for line in self._case.lines[place + 1 :] if "inspect" not in line)
        name = next(following, {}).get("of")
        return name is not None and name == self._case.names.get(event.container_id)

    def _log(self, _place: int, line: Table) -> None:
        container_id = self._case.id_of(line["of"])
        self.tracker.log_collected(
            container_id, self._logged_ns.pop(container_id), LOG_TAIL.extract(line["log"])
        )

    def _ask_kernel(self, lines: list[Table]) -> None:
        records = [line["kmsg"] for line in lines if "kmsg" in line]
        counted = sum(line.get("counted", 0) for line in lines)
        self._kernel.report(records, counted, lines[0]["at_ns"])
        said = self._kernel_reader.poll()
        if said is not None:
            self.tracker.kernel_reported(said)

    def _connected(self, _place: int, line: Table) -> None:
        """The exporter is back: what happened up to now is told again, and what is not, a list knows."""
        self._policy, self._resumed_ns = InspectPolicy(max_backlog=1), line["connected"]
        self._event_gap = EventGap(line.get("lapse", "none"))
        cursor = Cursor(self._latest_ns, self._begun_ns, self._latest_ns)
        self.tracker.resumed(cursor, self._event_gap)

    def _list(self, _place: int, line: Table) -> None:
        snapshots = tuple(parse.inspection(answer) for answer in line["list"])
        events_complete = bool(line.get("of_all", False))
        self.tracker.listed(
            ContainerList(
                snapshots, line["as_of_ns"], event_gap=self._event_gap, events_complete=events_complete
            ),
            self._now,
        )

    def _nothing(self, _place: int, _line: Table) -> None:
        """An answer is given where it is asked for, and the end of a connection is not told."""


_KINDS: Mapping[str, Callable[[Replay, int, Table], None]] = {
    "event": Replay._event,  # the table is the class's own
    "inspect": Replay._nothing,
    "log": Replay._log,
    "lost_connection": Replay._nothing,
    "connected": Replay._connected,
    "list": Replay._list,
}


def _time_of(line: Mapping[str, Any]) -> int:
    """When a line was told; 0 where it does not say, and so is told at once."""
    told = line["event"]["timeNano"] if "event" in line else line.get("at_ns", line.get("as_of_ns"))
    return int(told or line.get("connected") or line.get("lost_connection") or 0)
