"""Inspections whose request cannot be made: what was announced follows, and nothing waits for it."""

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
    def inspect(self, event: Event) -> Inspected:
        return Inspected(event.container_id, None, event.at_ns)


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
