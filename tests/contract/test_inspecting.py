"""What is asked about a container at an event: its log only where it may have failed, and that first."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest
from structlog.testing import capture_logs

from exporter.engines.port import Engine, EngineError, Event, Happening, Snapshot
from exporter.log_tail import LogTail
from exporter.watch.inspecting import Curiosity, Inspector
from exporter.watch.messages import Inspected

ID = "a" * 64
DIED = Event(Happening.DIE, ID, at_ns=7, code=3)
SNAPSHOT = Snapshot(ID, "name", "image", {}, running=False, created_ns=1)


class AskedEngine:
    """An engine that notes what it is asked, and answers or fails as it is told."""

    address, is_local = "unix:///engine.sock", True

    def __init__(self, log: str | Exception | None, snapshot: Snapshot | Exception | None = SNAPSHOT) -> None:
        self.log, self.snapshot = log, snapshot
        self.asked: list[tuple[object, ...]] = []

    def log_tail(self, container_id: str, lines: int, since_ns: int, until_ns: int) -> str | None:
        """Tell the log."""
        self.asked.append(("log", container_id, lines, since_ns, until_ns))
        if isinstance(self.log, Exception):
            raise self.log
        return self.log

    def inspect(self, container_id: str) -> Snapshot | None:
        """Tell how it stands."""
        self.asked.append(("inspect", container_id))
        if isinstance(self.snapshot, Exception):
            raise self.snapshot
        return self.snapshot


def about(engine: AskedEngine, event: Event = DIED, tail: LogTail | None = LogTail(2, 100)) -> Inspected:  # noqa: B008  # frozen
    """Ask an engine about the container of an event."""
    return Inspector(cast("Engine", engine), tail).about(event, 5)


def test_of_what_may_have_failed_the_log_is_asked_for_first_and_between_its_ends() -> None:
    engine = AskedEngine("1\n2\n3\n")
    assert about(engine) == Inspected(ID, SNAPSHOT, 7, "2\n3")
    assert engine.asked == [("log", ID, 2, 5, 7), ("inspect", ID)]


@pytest.mark.parametrize(
    ("event", "tail"),
    [
        (DIED, None),
        (replace(DIED, code=0), LogTail(2, 100)),
        (Event(Happening.START, ID, at_ns=7), LogTail(2, 100)),
    ],
    ids=["nobody asked for logs", "it did not fail", "it has not ended"],
)
def test_otherwise_no_log_is_read(event: Event, tail: LogTail | None) -> None:
    engine = AskedEngine("a secret")
    assert about(engine, event, tail) == Inspected(ID, SNAPSHOT, 7, None)
    assert engine.asked == [("inspect", ID)]


def test_a_code_that_nobody_knows_may_be_a_failure() -> None:
    assert about(AskedEngine("why"), replace(DIED, code=None)).log_tail == "why"


@pytest.mark.parametrize("log", [None, EngineError("gone"), ZeroDivisionError("a bug")])
def test_without_a_log_there_is_still_the_answer(log: Exception | None) -> None:
    with capture_logs():
        assert about(AskedEngine(log)) == Inspected(ID, SNAPSHOT, 7, None)


@pytest.mark.parametrize("snapshot", [None, EngineError("gone")])
def test_without_an_answer_there_is_still_the_log(snapshot: Exception | None) -> None:
    with capture_logs():
        assert about(AskedEngine("why", snapshot)) == Inspected(ID, None, 7, "why")


def test_a_run_after_another_begins_where_that_ended_and_what_is_gone_is_forgotten() -> None:
    curiosity = Curiosity(wants_logs=True)
    ends = [replace(DIED, at_ns=at_ns) for at_ns in (10, 20)]
    assert [curiosity.ended_before(event) for event in ends] == [0, 10]
    assert curiosity.ended_before(replace(DIED, container_id="b" * 64)) == 0
    curiosity.wants(Event(Happening.DESTROY, ID, at_ns=30), 0)
    assert curiosity.ended_before(replace(DIED, at_ns=40)) == 0


@pytest.mark.parametrize(("code", "wanted"), [(0, False), (3, True), (None, True)])
def test_a_known_end_is_asked_about_only_for_its_log(code: int | None, *, wanted: bool) -> None:
    for wants_logs in (False, True):
        curiosity = Curiosity(wants_logs=wants_logs)
        curiosity.wants(Event(Happening.START, ID, at_ns=1), 0)
        # A code that is not known is always worth asking about.
        expected = (wanted and wants_logs) or code is None
        assert curiosity.wants(replace(DIED, code=code), 0) is expected
