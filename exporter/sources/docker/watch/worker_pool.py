"""Share of one engine in the threads for requests that may take long."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from functools import partial

from exporter.sources.docker.watch.worker_threads import WorkerThreads


class WorkerPool:
    """Tasks of one engine: at most ``max_at_once`` of them take a thread from the others."""

    def __init__(self, threads: WorkerThreads, max_at_once: int) -> None:
        self._threads = threads
        self._max_at_once = max_at_once
        self._lock = threading.Lock()
        self._at_once = 0
        self._waiting: deque[Callable[[], None]] = deque()
        self._stopped = threading.Event()
        threads.add_user()

    @property
    def backlog(self) -> int:
        """Number of tasks beyond those that are done at once."""
        return len(self._waiting)

    @property
    def is_stopped(self) -> bool:
        """Whether no further task is started."""
        return self._stopped.is_set()

    def submit(self, task: Callable[[], None], *, first: bool = False) -> bool:
        """Run a task, which must handle its own errors; return False if the pool is stopped.

        ``first``: before those that wait. Raises RuntimeError if there can be no thread.
        """
        if self._stopped.is_set():
            return False
        with self._lock:
            if self._at_once < self._max_at_once:
                self._threads.run(partial(self._work, task))
                self._at_once += 1
            elif first:
                self._waiting.appendleft(task)
            else:
                self._waiting.append(task)
        return True

    def stop(self) -> None:
        """Start no further task."""
        with self._lock:
            if not self._stopped.is_set():
                self._stopped.set()
                self._threads.remove_user()

    def _work(self, task: Callable[[], None]) -> None:
        if not self._stopped.is_set():
            task()
        with self._lock:
            if self._waiting:
                # Behind the tasks of other engines.
                self._threads.run(partial(self._work, self._waiting.popleft()))
            else:
                self._at_once -= 1
