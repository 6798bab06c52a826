"""Asking an engine about its containers: about which events, and by whom."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from exporter.engines.port import Event, Happening, Shadowed

# Beyond this many answers outstanding, what only adorns a job is no longer asked for.
MAX_BACKLOG = 200
_DOUBTFUL_CODES = (None, 255)


class Workers:
    """Threads that ask the engine, beside the one that reads; as many as were needed at once so far.

    Daemon threads, unlike those of an executor: one that hangs in a dead connection must not hold up the
    end of the process.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._tasks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._outstanding = 0
        self._hired = 0
        self._stopped = threading.Event()

    @property
    def backlog(self) -> int:
        """How many tasks there are beyond what all threads together can do now."""
        return max(0, self._outstanding - self._most)

    def submit(self, task: Callable[[], None]) -> bool:
        """Have a task done, one that handles its own errors; False once it is stopped."""
        if self._stopped.is_set():
            return False
        with self._lock:
            self._outstanding += 1
            hire = self._hired < min(self._outstanding, self._most)
            self._hired += hire
        if hire:
            threading.Thread(target=self._work, name=f"inspect {self._hired}", daemon=True).start()
        self._tasks.put(task)
        return True

    def stop(self) -> None:
        """Begin no further task."""
        self._stopped.set()
        for _ in range(self._most):
            self._tasks.put(lambda: None)

    def _work(self) -> None:
        while not self._stopped.is_set():
            self._tasks.get()()
            with self._lock:
                self._outstanding -= 1


class Curiosity:
    """Which events are worth an inspection, and at once: what ``--rm`` removes is gone in moments."""

    def __init__(self) -> None:
        self._attempted: set[str] = set()
        self._started: set[str] = set()
        self._shadowed: set[str] = set()

    def wants(self, event: Event, backlog: int) -> bool:
        """Whether to ask the engine about this event's container."""
        decide = _CURIOSITY.get(event.happening)
        if Shadowed.CODE in event.shadowed:
            self._shadowed.add(event.container_id)
        return decide is not None and decide(self, event, backlog)

    def _attempt(self, event: Event, backlog: int) -> bool:
        """Asked now, an engine answers when the start is over, and before ``--rm`` can remove a failed one.

        (It holds the container's lock meanwhile.) Where it answers at once, ``_attempt_over`` asks again.
        """
        first = event.container_id not in self._attempted
        self._attempted.add(event.container_id)
        return first and backlog < MAX_BACKLOG

    def _attempt_over(self, event: Event, _backlog: int) -> bool:
        """An attempt that ended with no start in between is one that failed."""
        failed = event.container_id in self._attempted
        self._attempted.discard(event.container_id)
        return failed

    def _start(self, event: Event, backlog: int) -> bool:
        asked = event.container_id in self._attempted
        self._attempted.discard(event.container_id)
        self._started.add(event.container_id)
        return not asked and backlog < MAX_BACKLOG

    def _die(self, event: Event, _backlog: int) -> bool:
        """The code is enough, unless it may be wrong or the run's beginning was not seen."""
        known = event.container_id in self._started and event.container_id not in self._shadowed
        return not known or event.code in _DOUBTFUL_CODES

    def _destroy(self, event: Event, _backlog: int) -> bool:
        for known in (self._attempted, self._started, self._shadowed):
            known.discard(event.container_id)
        return False


_CURIOSITY: dict[Happening, Callable[[Curiosity, Event, int], bool]] = {
    Happening.START_ATTEMPT: Curiosity._attempt,  # noqa: SLF001  # the table is the class's own
    Happening.START_ATTEMPT_OVER: Curiosity._attempt_over,  # noqa: SLF001
    Happening.START: Curiosity._start,  # noqa: SLF001
    Happening.DIE: Curiosity._die,  # noqa: SLF001
    Happening.DESTROY: Curiosity._destroy,  # noqa: SLF001
}
