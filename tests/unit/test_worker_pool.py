"""Tasks of several engines in the threads that they share, which cannot always be started."""

import queue
import threading

import pytest

from exporter.sources.docker.watch.worker_pool import WorkerPool
from exporter.sources.docker.watch.worker_threads import WorkerThreads
from tests.lab.wait import wait_until
from tests.unit.test_kernel_poller import no_thread

PATIENCE_SECONDS = 10


class Task:
    """Task that waits until it may go on, and is then among the ``done``."""

    def __init__(self, done: queue.SimpleQueue[int], go_on: threading.Event, number: int) -> None:
        self._done, self._go_on, self._number = done, go_on, number

    def __call__(self) -> None:
        assert self._go_on.wait(PATIENCE_SECONDS)
        self._done.put(self._number)


def running(name: str) -> int:
    """Return how many threads of a name there are."""
    return sum(thread.name.startswith(name) for thread in threading.enumerate())


def test_tasks_are_done_by_the_threads_that_could_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    done, go_on = queue.SimpleQueue[int](), threading.Event()
    pool = WorkerPool(WorkerThreads("test", 3), 3)
    with monkeypatch.context() as limited:
        limited.setattr(threading.Thread, "start", no_thread)
        for _ in range(5):
            with pytest.raises(RuntimeError):
                pool.submit(Task(done, go_on, 0))
    assert pool.submit(Task(done, go_on, 1))
    with monkeypatch.context() as limited:
        limited.setattr(threading.Thread, "start", no_thread)
        assert pool.submit(Task(done, go_on, 2))
    go_on.set()
    assert [done.get(timeout=PATIENCE_SECONDS) for _ in range(2)] == [1, 2]
    assert pool.backlog == 0
    pool.stop()


def test_an_engine_that_does_not_answer_leaves_threads_to_others() -> None:
    done, go_on, answered = queue.SimpleQueue[int](), threading.Event(), threading.Event()
    threads = WorkerThreads("test shared", 3)
    dead, alive = WorkerPool(threads, 2), WorkerPool(threads, 2)
    for number in range(5):
        dead.submit(Task(done, go_on, number))
    assert dead.backlog == 3
    answered.set()
    for number in range(10, 15):
        alive.submit(Task(done, answered, number))
    assert [done.get(timeout=PATIENCE_SECONDS) for _ in range(5)] == [10, 11, 12, 13, 14]
    assert running("test shared") == 3
    go_on.set()
    assert sorted(done.get(timeout=PATIENCE_SECONDS) for _ in range(5)) == [0, 1, 2, 3, 4]
    for pool in (dead, alive):
        pool.stop()


def test_threads_end_without_tasks_but_for_one_until_its_users_have_gone() -> None:
    done, go_on = queue.SimpleQueue[int](), threading.Event()
    threads = WorkerThreads("test idle", 3, idle_seconds=0.01)
    pools = WorkerPool(threads, 3), WorkerPool(threads, 3)
    for number in range(3):
        pools[0].submit(Task(done, go_on, number))
    assert running("test idle") == 3
    go_on.set()
    assert wait_until(lambda: running("test idle") == 1, PATIENCE_SECONDS)
    pools[0].stop()
    pools[0].stop()
    pools[1].submit(Task(done, go_on, 3))
    assert [done.get(timeout=PATIENCE_SECONDS) for _ in range(4)][-1] == 3
    assert running("test idle") == 1
    pools[1].stop()
    assert wait_until(lambda: running("test idle") == 0, PATIENCE_SECONDS)
