"""Tasks of a pool whose threads cannot all be started."""

import queue
import threading

import pytest

from exporter.sources.docker.watch.worker_pool import WorkerPool
from tests.unit.test_kernel_poller import no_thread

PATIENCE_SECONDS = 10


def test_tasks_are_done_by_the_threads_that_could_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    done, go_on = queue.SimpleQueue[int](), threading.Event()
    pool = WorkerPool("test", 3)

    def task(number: int) -> None:
        assert go_on.wait(PATIENCE_SECONDS)
        done.put(number)

    with monkeypatch.context() as limited:
        limited.setattr(threading.Thread, "start", no_thread)
        for _ in range(5):
            with pytest.raises(RuntimeError):
                pool.submit(lambda: task(0))
    assert pool.submit(lambda: task(1))
    with monkeypatch.context() as limited:
        limited.setattr(threading.Thread, "start", no_thread)
        assert pool.submit(lambda: task(2))
    go_on.set()
    assert [done.get(timeout=PATIENCE_SECONDS) for _ in range(2)] == [1, 2]
    assert pool.backlog == 0
    pool.stop()
