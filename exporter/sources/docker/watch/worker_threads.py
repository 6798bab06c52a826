"""Threads for requests that may take long, shared by all engines."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

# As long as containers end every now and then, the threads stay.
IDLE_SECONDS = 10.0


class WorkerThreads:
    """Threads that are started as tasks need them, up to ``max_threads``, and end when they are idle.

    One stays as long as there are users: at a limit of threads there may be no other. ``name`` is that of the
    threads in a stack dump. They are daemon threads, unlike those of an executor: one that hangs in a dead
    connection must not delay the end of the process.
    """

    def __init__(self, name: str, max_threads: int, idle_seconds: float = IDLE_SECONDS) -> None:
        self._name = name
        self._max_threads = max_threads
        self._idle_seconds = idle_seconds
        self._tasks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._users = 0
        # Tasks that wait or run.
        self._outstanding = 0
        self._threads = 0

    def add_user(self) -> None:
        """Keep a thread from now on."""
        with self._lock:
            self._users += 1

    def remove_user(self) -> None:
        """Keep no thread for one of the users."""
        with self._lock:
            self._users -= 1

    def run(self, task: Callable[[], None]) -> None:
        """Run a task, which must handle its own errors. Raises RuntimeError if there can be no thread."""
        with self._lock:
            if self._threads < min(self._outstanding + 1, self._max_threads):
                self._add_thread()
            self._outstanding += 1
        self._tasks.put(task)

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

    def _work(self) -> None:
        while (task := self._next()) is not None:
            task()
            with self._lock:
                self._outstanding -= 1

    def _next(self) -> Callable[[], None] | None:
        """Return the next task, or None if this thread shall end."""
        while True:
            try:
                return self._tasks.get(timeout=self._idle_seconds)
            except queue.Empty:
                if self._is_over():
                    return None

    def _is_over(self) -> bool:
        """Count out a thread that found no task, unless it is needed."""
        with self._lock:
            needed = max(self._outstanding, min(self._users, 1))
            if self._threads <= needed:
                return False
            self._threads -= 1
            return True
