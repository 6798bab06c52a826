"""Inspections that wait for others, and those whose request cannot be made."""

import queue
import threading
from typing import cast

import pytest

from exporter.sources.docker.engine import Event, EventType
from exporter.sources.docker.messages import Inspected
from exporter.sources.docker.watch.inspections import Inspections
from exporter.sources.docker.watch.inspector import Inspector
from exporter.sources.docker.watch.worker_pool import WorkerPool
from exporter.sources.docker.watch.worker_threads import WorkerThreads
from tests.unit.test_kernel_poller import no_thread

PATIENCE_SECONDS = 10


class Unanswered:
    """Inspector that finds nothing, once it may go on."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.go_on.set()

    def inspect(self, event: Event) -> Inspected:
        assert self.go_on.wait(PATIENCE_SECONDS)
        return Inspected(event.container_id, None, event.at_ns)


def test_an_inspection_on_which_a_verdict_depends_goes_before_those_that_wait() -> None:
    pool, sent, inspector = (
        WorkerPool(WorkerThreads("test", 1), 1),
        queue.SimpleQueue[Inspected](),
        Unanswered(),
    )
    inspections = Inspections(cast("Inspector", inspector), pool, sent.put)
    inspector.go_on.clear()
    for number, container in enumerate("abc"):
        inspections.ask(Event(EventType.START, container, number))
    inspections.ask(Event(EventType.DIE, "c", 3), first=True)
    inspector.go_on.set()
    assert [sent.get(timeout=PATIENCE_SECONDS).event_ns for _ in range(4)] == [0, 2, 3, 1]
    pool.stop()


def test_a_container_is_asked_for_again_after_a_thread_could_not_be_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool, sent = WorkerPool(WorkerThreads("test", 1), 1), queue.SimpleQueue[Inspected]()
    inspections = Inspections(cast("Inspector", Unanswered()), pool, sent.put)
    with monkeypatch.context() as limited:
        limited.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(RuntimeError):
            inspections.ask(Event(EventType.DIE, "a", 1))
    inspections.ask(Event(EventType.DIE, "a", 2))
    assert [sent.get(timeout=PATIENCE_SECONDS).event_ns for _ in range(2)] == [1, 2]
    pool.stop()
