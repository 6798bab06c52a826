"""Following the logs of supervised containers, whatever their engine does."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from exporter.model import SECOND_NS, JobEnd, JobReport, Status
from exporter.sources.docker.engine import (
    ContainerList,
    EngineError,
    Event,
    EventType,
    Inspection,
    LogRefusedError,
)
from exporter.sources.docker.messages import JobReported
from exporter.sources.docker.supervisors.dstack import IS_TASK, TASK_ID
from exporter.sources.docker.watch import job_logs, run_log
from exporter.sources.docker.watch.job_logs import JobLogFollower
from tests.unit.test_dstack_log import CHANGED, DONE, FAILED, RUNNING, exec_failed

SECONDS = 10.0
LABELS = {IS_TASK: "true", TASK_ID: "a task"}
A, B = "a" * 64, "b" * 64
START_NS = 1_000 * SECOND_NS
END_NS = START_NS + 60 * SECOND_NS
HANG = None
"""Instead of a line: the engine sends nothing more."""

Step = tuple[int, str] | Exception | None
GONE = LogRefusedError("the engine does not give it (HTTP 404)")
BROKEN = EngineError("the connection was closed")


def line(seconds: float, text: str) -> tuple[int, str]:
    """Return a line of a log, some seconds after the start."""
    return START_NS + round(seconds * SECOND_NS), text


class Logs:
    """Logs of an engine: what each reading of a container's log gets, the last one again and again."""

    def __init__(self, readings: dict[str, list[Sequence[Step]]]) -> None:
        self._readings = readings
        self.positions: list[int] = []
        self.closed: queue.SimpleQueue[str] = queue.SimpleQueue()

    async def read(self, container_id: str, since_ns: int) -> AsyncGenerator[tuple[int, str], None]:
        """Yield the lines of one reading."""
        self.positions.append(since_ns)
        readings = self._readings[container_id]
        try:
            for step in readings.pop(0) if len(readings) > 1 else readings[0]:
                if isinstance(step, Exception):
                    raise step
                if step is HANG:
                    await asyncio.Event().wait()
                    continue
                yield step
        finally:
            self.closed.put(container_id)


class Follower:
    """Follower of scripted logs; ends with the test."""

    def __init__(self, *readings: Sequence[Step], **of_others: list[Sequence[Step]]) -> None:
        self.logs = Logs({A: list(readings)} | {name * 64: steps for name, steps in of_others.items()})
        self.sent: queue.SimpleQueue[JobReported] = queue.SimpleQueue()
        self.follower = JobLogFollower(self.logs.read, self.sent.put)

    def event(self, kind: EventType, at_ns: int, container_id: str = A, labels: Any = LABELS) -> None:
        """Send an event."""
        self.follower.observe(Event(kind, container_id, at_ns, labels=labels))

    def run(self, container_id: str = A) -> None:
        """Send the start and the end of a run."""
        self.event(EventType.START, START_NS, container_id)
        self.event(EventType.DIE, END_NS, container_id)

    def final(self) -> JobReport:
        """Return the next report that is final."""
        while not (reported := self.sent.get(timeout=SECONDS)).is_final:
            pass
        return reported.report


@pytest.fixture
def followers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Follower]]:
    """Followers to be stopped; nothing waits long."""
    monkeypatch.setattr(run_log, "RETRY_SECONDS", 0.001)
    monkeypatch.setattr(run_log, "LOG_END_SECONDS", 0.05)
    made: list[Follower] = []
    yield made
    for each in made:
        each.follower.stop()


@pytest.fixture
def follow(followers: list[Follower]) -> Any:
    """Make a follower of what each reading of one container's log gets, and of others by their letter."""

    def made(*readings: Sequence[Step], **of_others: list[Sequence[Step]]) -> Follower:
        followers.append(Follower(*readings, **of_others))
        return followers[-1]

    return made


LISTED = Inspection(A, "a-0-0", "image", LABELS, running=True, created_ns=START_NS, started_ns=START_NS)
ENDED = JobReport(
    was_heard=True,
    started_ns=line(1, "")[0],
    end=JobEnd(line(2, "")[0], Status.FAILED, received_ns=line(2, "")[0]),
)
UNENDED = JobReport(was_heard=True, started_ns=line(1, "")[0])


def test_each_change_is_reported_and_the_end_with_the_containers(follow: Any) -> None:
    follower = follow([line(0, "noise"), line(1, RUNNING), line(1.5, "noise"), line(2, FAILED)])
    follower.event(EventType.START, START_NS)
    reports = [follower.sent.get(timeout=SECONDS) for _ in range(2)]
    assert reports == [JobReported(A, START_NS, UNENDED), JobReported(A, START_NS, ENDED)]
    follower.event(EventType.DIE, END_NS)
    assert follower.sent.get(timeout=SECONDS) == JobReported(A, START_NS, ENDED, is_final=True)
    # Its first lines may be older than the event of its start.
    assert follower.logs.positions[0] == START_NS - SECOND_NS


def test_a_log_that_goes_on_and_on_sends_no_more(follow: Any) -> None:
    flood = [line(3, f"{CHANGED} new={text}") for text in ["running", *map(str, range(100))] * 2]
    follower = follow([*flood, *[line(4, exec_failed(f"exit status {number}")) for number in range(100)]])
    follower.run()
    reports = [follower.sent.get(timeout=SECONDS) for _ in range(2)]
    assert [each.is_final for each in reports] == [False, True]
    assert reports[1].report.unreadable
    assert follower.sent.empty()


@pytest.mark.parametrize("labels", [{}, {IS_TASK: "false", TASK_ID: "x"}, {TASK_ID: "x"}])
def test_other_containers_logs_are_not_read(follow: Any, labels: dict[str, str]) -> None:
    follower = follow([GONE], b=[[GONE]])
    follower.event(EventType.START, START_NS, A, labels)
    follower.run(B)
    assert follower.final().unreadable
    assert len(follower.logs.positions) == 1


def test_a_log_that_is_refused_is_unreadable_at_once(follow: Any) -> None:
    follower = follow([GONE])
    follower.event(EventType.START, START_NS)
    assert follower.final() == JobReport(unreadable=str(GONE))


@pytest.mark.parametrize("ending", [[BROKEN], []], ids=["broken", "ended too early"])
def test_a_log_that_breaks_off_is_continued_where_it_was_left(follow: Any, ending: list[Step]) -> None:
    follower = follow([line(1, RUNNING), *ending], [BROKEN], [line(2, FAILED), HANG])
    follower.event(EventType.START, START_NS)
    assert [follower.sent.get(timeout=SECONDS).report for _ in range(2)] == [UNENDED, ENDED]
    follower.event(EventType.DIE, END_NS)
    assert follower.final() == ENDED
    assert follower.logs.positions == [START_NS - SECOND_NS, *[line(1, "")[0] + 1] * 2]


def test_lines_that_an_engine_kept_back_are_read_once_the_container_has_ended(
    follow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_log, "SOON_SECONDS", SECONDS)
    follower = follow([line(1, RUNNING)], [line(2, FAILED)])
    follower.event(EventType.START, START_NS)
    assert follower.sent.get(timeout=SECONDS).report == UNENDED
    follower.event(EventType.DIE, END_NS)
    assert follower.final() == ENDED


def test_a_log_that_had_ended_is_whole_though_it_is_gone_then(follow: Any) -> None:
    follower = follow([line(1, RUNNING)], [GONE])
    follower.event(EventType.START, START_NS)
    assert follower.final() == UNENDED


@pytest.mark.parametrize(
    ("steps", "cause"),
    [
        ([HANG], "it did not end with the container"),
        ([BROKEN], f"it could not be read to its end: {BROKEN}"),
        ([GONE], str(GONE)),
        ([ValueError("x")], "reading it failed by a bug"),
    ],
    ids=["hangs", "broken", "gone", "bug"],
)
def test_why_a_log_could_not_be_read_is_said_unless_it_told_the_end(
    follow: Any, steps: list[Step], cause: str
) -> None:
    follower = follow([line(1, RUNNING), *steps], b=[[line(1, RUNNING), line(2, FAILED), *steps]])
    with capture_logs():
        follower.run(A)
        assert follower.final() == JobReport(was_heard=True, started_ns=UNENDED.started_ns, unreadable=cause)
        assert follower.logs.closed.get(timeout=SECONDS) == A
        follower.run(B)
        assert follower.final() == ENDED


def test_the_logs_of_a_list_are_read_also_of_what_has_ended(follow: Any) -> None:
    steps = [line(1, RUNNING), line(2, FAILED)]
    follower = follow(steps, b=[[*steps, HANG]])
    rows = [
        replace(LISTED, finished_ns=END_NS, running=False),
        replace(LISTED, container_id=B),
        replace(LISTED, container_id="c" * 64, labels={}),
        replace(LISTED, container_id="d" * 64, started_ns=None, running=False),
    ]
    # What is replayed may come before the list.
    follower.event(EventType.DIE, END_NS)
    follower.follower.observe_list(ContainerList(tuple(rows), END_NS))
    assert follower.final() == ENDED
    follower.event(EventType.DIE, END_NS, B)
    assert follower.final() == ENDED
    assert follower.logs.positions == [START_NS - SECOND_NS] * 2


def test_a_log_is_followed_once_per_run_and_each_run_has_its_own_lines(follow: Any) -> None:
    again_ns = END_NS + SECOND_NS // 10
    follower = follow([line(1, RUNNING), line(2, FAILED), HANG], [line(70, RUNNING), line(71, DONE)])
    follower.event(EventType.START, START_NS)
    follower.event(EventType.START, START_NS)
    follower.event(EventType.DIE, END_NS)
    follower.event(EventType.START, again_ns)
    follower.event(EventType.DIE, again_ns + 60 * SECOND_NS)
    found = {report.since_ns: report.report for report in iter_final(follower, 2)}
    assert found[START_NS] == ENDED
    assert found[again_ns].end == JobEnd(line(71, "")[0], Status.DONE, code=0, received_ns=line(71, "")[0])
    # None of the first run's, although it ended just before.
    assert follower.logs.positions == [START_NS - SECOND_NS, END_NS + 1]


def test_a_list_shows_the_end_of_the_run_before(follow: Any) -> None:
    follower = follow([HANG])
    again = replace(LISTED, previous_finished_ns=START_NS - SECOND_NS // 10)
    follower.follower.observe_list(ContainerList((again,), END_NS))
    follower.event(EventType.DIE, END_NS)
    follower.final()
    assert follower.logs.positions == [START_NS - SECOND_NS // 10 + 1]


def test_a_list_shows_a_restart_that_no_event_has_reported(follow: Any) -> None:
    follower = follow([line(1, RUNNING), HANG], [line(70, RUNNING), line(71, DONE), HANG])
    follower.event(EventType.START, START_NS)
    assert follower.sent.get(timeout=SECONDS).report == UNENDED
    again_ns = END_NS + SECOND_NS
    again = replace(LISTED, started_ns=again_ns, previous_finished_ns=END_NS)
    for _ in range(2):
        follower.follower.observe_list(ContainerList((again,), again_ns))
    follower.event(EventType.DIE, again_ns + 60 * SECOND_NS)
    found = {report.since_ns: report.report for report in iter_final(follower, 2)}
    assert found[START_NS].end is None
    assert found[again_ns].end == JobEnd(line(71, "")[0], Status.DONE, code=0, received_ns=line(71, "")[0])
    assert follower.logs.positions == [START_NS - SECOND_NS, END_NS + 1]


def iter_final(follower: Follower, count: int) -> Iterator[JobReported]:
    """Yield the next final reports."""
    while count:
        reported = follower.sent.get(timeout=SECONDS)
        if reported.is_final:
            count -= 1
            yield reported


def test_more_logs_than_may_be_followed_are_unreadable(follow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_logs, "MAX_FOLLOWED", 1)
    follower = follow([HANG], b=[[HANG]])
    follower.event(EventType.START, START_NS)
    with capture_logs() as logged:
        follower.run(B)
        assert follower.final() == JobReport(unreadable="too many logs are followed")
    assert [entry["container"] for entry in logged] == [B]


def test_what_runs_is_followed_before_what_has_ended(follow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_logs, "MAX_FOLLOWED", 1)
    follower = follow([HANG], b=[[line(1, RUNNING), HANG]])
    rows = (replace(LISTED, finished_ns=END_NS, running=False), replace(LISTED, container_id=B))
    with capture_logs():
        follower.follower.observe_list(ContainerList(rows, END_NS))
        reports = [follower.sent.get(timeout=SECONDS) for _ in range(2)]
    refused = JobReport(unreadable="too many logs are followed")
    assert {each.container_id: each.report for each in reports} == {A: refused, B: UNENDED}


def test_a_stop_ends_all_readings_and_what_is_observed_then_is_ignored(follow: Any) -> None:
    follower = follow([line(1, RUNNING), HANG], b=[[line(1, RUNNING), HANG]])
    for container_id in (A, B):
        follower.event(EventType.START, START_NS, container_id)
        follower.sent.get(timeout=SECONDS)
    follower.follower.stop()
    assert {follower.logs.closed.get(timeout=SECONDS) for _ in range(2)} == {A, B}
    follower.run()
    assert follower.sent.empty()


def test_a_follower_that_was_never_started_can_be_stopped() -> None:
    JobLogFollower(Logs({}).read, lambda _: None).stop()
