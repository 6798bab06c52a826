"""What an exit costs once it is read, in counts that are the same on any machine: statements and calls."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import event as database_event

from exporter.config.settings import TracedJobs
from exporter.metrics import definitions
from exporter.otlp.sampler import TraceSelector
from exporter.pipeline.loop import MAX_BATCH
from exporter.sources.docker.messages import EventReceived, Inspected, WatchMessage
from tests.contract.pipeline_driver import PipelineDriver
from tests.contract.tracker_driver import create, destroy, die, exited, running, start

MANY = 100
# Twenty rows and more share one.
STATEMENTS = ["BEGIN", "INSERT INTO jobs", "INSERT INTO series", "INSERT INTO cursors", "INSERT INTO outbox"]
# 330 are counted now, 363 when each event made a job of its own, and 662 when it was an
# update of all metrics of its own.
MAX_CALLS = 410


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[PipelineDriver]:
    """Return a connected pipeline without a thread, so that a test decides what is one batch."""
    driver = PipelineDriver(tmp_path, selector=TraceSelector(TracedJobs.ALL))
    with closing(driver.store):
        driver.recorder.resume()
        driver.connect()
        process(driver)
        yield driver


def process(pipeline: PipelineDriver) -> None:
    """Process all messages in the inbox as one batch, and commit what follows from them."""
    pipeline.loop._process_batch(pipeline.inbox.take(MAX_BATCH, 0))
    pipeline.recorder.commit(pipeline.sources.cursors())


def life(number: int) -> Iterator[WatchMessage]:
    """Yield the messages about a container from its creation to its removal."""
    container, began = f"{number:064x}", number / MANY
    yield EventReceived(create(began, container), inspecting=False)
    yield EventReceived(start(began + 1, container), inspecting=True)
    yield Inspected(container, running(began + 1, container))
    yield EventReceived(die(began + 2, number % 2, container), inspecting=True)
    yield Inspected(container, exited(began + 1, began + 2, number % 2, container))
    yield EventReceived(destroy(began + 3, container), inspecting=False)


def statements_of(pipeline: PipelineDriver, action: Callable[[], None]) -> list[str]:
    """Return the first words of the statements that an action sends to the database."""
    sent: list[str] = []

    def record(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        sent.append(" ".join(statement.split()[:3]))

    engine = pipeline.store._database._engine
    database_event.listen(engine, "before_cursor_execute", record)
    action()
    database_event.remove(engine, "before_cursor_execute", record)
    return sent


def calls_of(action: Callable[[], object]) -> int:
    """Return how many functions in Python an action calls."""
    calls = 0

    def count(_frame: FrameType, kind: str, _argument: object) -> None:
        nonlocal calls
        calls += kind == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize("exits", [1, MANY])
def test_many_exits_are_recorded_by_few_statements(pipeline: PipelineDriver, exits: int) -> None:
    for number in range(exits):
        pipeline.send(*life(number))
    sent = statements_of(pipeline, lambda: process(pipeline))
    assert list(dict.fromkeys(sent)) == STATEMENTS
    assert len(sent) <= len(STATEMENTS) + exits / 20
    assert sum(pipeline.stored_series(definitions.EXITS).values()) == exits


def test_an_exit_takes_few_calls_from_its_events_to_its_commit(pipeline: PipelineDriver) -> None:
    for number in range(MANY):
        pipeline.send(*life(number))
    assert calls_of(lambda: process(pipeline)) / MANY <= MAX_CALLS
    assert sum(pipeline.stored_series(definitions.EXITS).values()) == MANY


def test_the_last_exits_of_a_flood_are_recorded_once_no_more_come(
    pipeline: PipelineDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Later than the pipeline's own clock: it commits nothing by itself.
    now = begun = time.monotonic() + 1000
    clock = SimpleNamespace(monotonic=lambda: now, perf_counter=time.perf_counter)
    monkeypatch.setattr("exporter.pipeline.recorder.time", clock)
    waits = []
    pipeline.send(*(message for number in range(MANY) for message in life(number)))
    process(pipeline)
    for number, after in enumerate((0.01, 0.025, 0.09), MANY):
        now = begun + after
        pipeline.send(*life(number))
        pipeline.loop._process_batch(pipeline.inbox.take(MAX_BATCH, 0))
        waits.append((pipeline.recorder.next_due or 0) - begun)
    assert waits == pytest.approx([0.03, 0.045, 0.1])
