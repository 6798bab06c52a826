"""Threads for requests that may take long."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable


class WorkerPool:
    """Threads beside the one that reads events; they are started as needed, up to ``max_threads``.

    ``name`` is that of the threads in a stack dump. They are daemon threads, unlike those of an executor:
    one that hangs in a dead connection must not delay the end of the process.
    """

    def __init__(self, name: str, max_threads: int) -> None:
        self._name = name
        self._max_threads = max_threads
        self._tasks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._outstanding = 0
        self._threads = 0
        self._stopped = threading.Event()

    @property
    def backlog(self) -> int:
        """Number of tasks beyond those that all threads together can do at once."""
        return max(0, self._outstanding - self._max_threads)

    @property
    def is_stopped(self) -> bool:
        """Whether no further task is started."""
        return self._stopped.is_set()

    def submit(self, task: Callable[[], None]) -> bool:
        """Run a task, which must handle its own errors; return False if the pool is stopped."""
        if self._stopped.is_set():
            return False
        with self._lock:
            if self._threads < min(self._outstanding + 1, self._max_threads):
                self._add_thread()
            self._outstanding += 1
        self._tasks.put(task)
        return True

    def _add_thread(self) -> None:
        """Add a thread; at a limit of threads, those that there are do. Without any, raises RuntimeError."""
        thread = threading.Thread(target=self._work, name=f"{self._name} {self._threads + 1}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            if not self._threads:
                raise
        else:
            self._threads += 1

    def stop(self) -> None:
        """Start no further task."""
        self._stopped.set()
        for _ in range(self._max_threads):
            self._tasks.put(lambda: None)

    def _work(self) -> None:
        while not self._stopped.is_set():
            self._tasks.get()()
            with self._lock:
                self._outstanding -= 1
