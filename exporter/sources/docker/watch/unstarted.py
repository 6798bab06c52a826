"""Containers that were created and have no start event: some starts fail without an event.

Since Docker 28, a start that fails because its port is taken has no event at all, so that only an inspection
shows it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from exporter.sources.docker.engine import Event, EventType

# Containers that are created to be started much later are left to the lists.
_MAX_AGE_SECONDS = 300.0
_MAX_CONTAINERS = 1_000
_MAX_AT_ONCE = 50
_START_EVENTS = (
    EventType.START_ATTEMPT,
    EventType.START_ATTEMPT_OVER,
    EventType.START,
    EventType.DIE,
    EventType.DESTROY,
)


class UnstartedContainers:
    """Created containers of one engine without a start. Methods may be called from any thread.

    A container is overdue after ``grace_seconds``: most are started at once.
    """

    def __init__(self, grace_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._grace_seconds = grace_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._created: dict[str, float] = {}

    def observe(self, events: Iterable[Event]) -> None:
        """Add the containers of creations, and remove those of events about a start or a removal."""
        with self._lock:
            for event in events:
                if event.type is EventType.CREATE:
                    if len(self._created) < _MAX_CONTAINERS:
                        self._created[event.container_id] = self._clock()
                elif event.container_id in self._created and event.type in _START_EVENTS:
                    del self._created[event.container_id]

    def __contains__(self, container_id: str) -> bool:
        with self._lock:
            return container_id in self._created

    def discard(self, container_id: str) -> None:
        """Remove a container whose state is known."""
        with self._lock:
            self._created.pop(container_id, None)

    def overdue(self) -> list[str]:
        """Return the containers to inspect now, the oldest first."""
        now = self._clock()
        with self._lock:
            self._created = {
                container_id: created
                for container_id, created in self._created.items()
                if now - created <= _MAX_AGE_SECONDS
            }
            due = [each for each, created in self._created.items() if now - created >= self._grace_seconds]
        return due[:_MAX_AT_ONCE]
