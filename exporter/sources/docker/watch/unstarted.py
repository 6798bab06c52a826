"""Containers that were created and of which no start was told: some starts fail without an event.

From Docker 28 on, one whose port is taken tells nothing at all, so that only an inspection shows it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from exporter.sources.docker.engine import Event, EventType

# Those that are created to be started much later are left to the lists.
_KEPT_SECONDS = 300.0
_MAX_KEPT = 1_000
_MAX_AT_ONCE = 50
_TELLS_OF_START = (
    EventType.START_ATTEMPT,
    EventType.START_ATTEMPT_OVER,
    EventType.START,
    EventType.DIE,
    EventType.DESTROY,
)


class Unstarted:
    """Those of one engine, as far as its events tell. May be used from any thread.

    One is asked about ``grace_seconds`` after it was created: mostly, it is started at once.
    """

    def __init__(self, grace_seconds: float = 3.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._grace_seconds = grace_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._created: dict[str, float] = {}

    def note(self, event: Event) -> None:
        """An event has been read."""
        with self._lock:
            if event.type is EventType.CREATE and len(self._created) < _MAX_KEPT:
                self._created[event.container_id] = self._clock()
            elif event.type in _TELLS_OF_START:
                self._created.pop(event.container_id, None)

    def __contains__(self, container_id: str) -> bool:
        with self._lock:
            return container_id in self._created

    def forget(self, container_id: str) -> None:
        """What became of one is known."""
        with self._lock:
            self._created.pop(container_id, None)

    def overdue(self) -> list[str]:
        """Those to be asked about now, the oldest first."""
        now = self._clock()
        with self._lock:
            for container_id in [each for each, at in self._created.items() if now - at > _KEPT_SECONDS]:
                del self._created[container_id]
            due = [each for each, at in self._created.items() if now - at >= self._grace_seconds]
        return due[:_MAX_AT_ONCE]
