"""Requests about the container of an event: its state, and its log if it may have failed."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest
from structlog.testing import capture_logs

from exporter.log_tail import LogTail
from exporter.sources.docker.engine import (
    Engine,
    EngineError,
    Event,
    EventType,
    ForbiddenError,
    Inspection,
    RawLogTail,
)
from exporter.sources.docker.messages import Inspected, LogCollected
from exporter.sources.docker.watch.inspect_policy import InspectPolicy
from exporter.sources.docker.watch.inspector import Inspector

ID = "a" * 64
DIED = Event(EventType.DIE, ID, at_ns=7, code=3)
SNAPSHOT = Inspection(ID, "name", "image", {}, running=False, created_ns=1)


class FakeEngine:
    """Engine that records its requests, and returns or raises what it was given."""

    def __init__(
        self, log: RawLogTail | Exception | None, inspection: Inspection | Exception | None = None
    ) -> None:
        self.log, self.inspection = log, inspection
        self.requests: list[tuple[object, ...]] = []

    def log_tail(self, container_id: str, lines: int, since_ns: int, until_ns: int) -> RawLogTail | None:
        """Return the log."""
        self.requests.append((container_id, lines, since_ns, until_ns))
        if isinstance(self.log, Exception):
            raise self.log
        return self.log

    def inspect(self, container_id: str) -> Inspection | None:
        """Return the state of a container."""
        self.requests.append((container_id,))
        if isinstance(self.inspection, Exception):
            raise self.inspection
        return self.inspection


def inspector(engine: FakeEngine, tail: LogTail | None = LogTail(2, 100)) -> Inspector:  # noqa: B008  # frozen
    """Return an inspector of this engine."""
    return Inspector(cast("Engine", engine), tail)


def test_only_the_tail_of_the_runs_own_log_is_kept() -> None:
    engine = FakeEngine(RawLogTail("1\n2\n3\n", is_whole=True))
    assert inspector(engine).read_log(DIED, 5) == LogCollected(ID, 7, "2\n3")
    assert engine.requests == [(ID, 2, 5, 7)]


def test_the_first_line_of_a_cut_log_is_dropped() -> None:
    engine = FakeEngine(RawLogTail("ord=hunter2\n2", is_whole=False))
    assert inspector(engine).read_log(DIED, 5).log_tail == "2"


@pytest.mark.parametrize("log", [None, EngineError("gone"), ZeroDivisionError("a bug")])
def test_a_log_that_cannot_be_read_is_none(log: Exception | None) -> None:
    with capture_logs():
        assert inspector(FakeEngine(log)).read_log(DIED, 5) == LogCollected(ID, 7, None)


def test_a_request_that_is_not_allowed_is_logged_with_its_path() -> None:
    refused = ForbiddenError("/containers/a/json: HTTP 403: Forbidden")
    with capture_logs() as logged:
        inspector(FakeEngine(refused, refused)).inspect(DIED)
        inspector(FakeEngine(refused, refused)).read_log(DIED, 5)
    assert [(entry["log_level"], entry["cause"]) for entry in logged] == [("warning", str(refused))] * 2


@pytest.mark.parametrize("inspection", [SNAPSHOT, None, EngineError("gone"), ZeroDivisionError("a bug")])
def test_an_inspection_reads_no_log(inspection: Inspection | Exception | None) -> None:
    engine = FakeEngine(None, inspection)
    with capture_logs():
        found = inspector(engine).inspect(DIED)
    assert found == Inspected(ID, inspection if isinstance(inspection, Inspection) else None, 7)
    assert engine.requests == [(ID,)]


@pytest.mark.parametrize(
    ("event", "tail", "wanted"),
    [
        (DIED, LogTail(2, 100), True),
        (replace(DIED, code=None), LogTail(2, 100), True),
        (DIED, None, False),
        (replace(DIED, code=0), LogTail(2, 100), False),
        (Event(EventType.START, ID, at_ns=7), LogTail(2, 100), False),
    ],
    ids=["failed", "of an unknown code", "no logs configured", "did not fail", "has not ended"],
)
def test_only_logs_of_runs_that_may_have_failed_are_read(
    event: Event, tail: LogTail | None, *, wanted: bool
) -> None:
    assert inspector(FakeEngine(None), tail).should_read_log(event) is wanted


def test_a_log_begins_at_the_end_of_the_previous_run() -> None:
    policy = InspectPolicy()
    assert policy.previous_end_ns(ID) == 0
    policy.observe(replace(DIED, at_ns=10))
    assert (policy.previous_end_ns(ID), policy.previous_end_ns("b" * 64)) == (10, 0)
    policy.observe(Event(EventType.DESTROY, ID, at_ns=30))
    assert policy.previous_end_ns(ID) == 0
