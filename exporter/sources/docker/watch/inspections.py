"""Inspections that events ask for, made beside the thread that reads events."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from exporter.sources.docker.engine import Event
from exporter.sources.docker.messages import Inspected
from exporter.sources.docker.watch.inspector import Inspector
from exporter.sources.docker.watch.worker_pool import WorkerPool


class Inspections:
    """Requests that have not begun: one answers all events of its container that were read before it begins.

    Each event that was handed to ``ask`` is followed by an Inspected.
    """

    def __init__(self, inspector: Inspector, pool: WorkerPool, send: Callable[[Inspected], None]) -> None:
        self._inspector = inspector
        self._pool = pool
        self._send = send
        self._lock = threading.Lock()
        self._waiting: dict[str, list[Event]] = {}

    def has_waiting(self, container_id: str) -> bool:
        """Return whether a request about this container waits, which answers its next event as well."""
        return container_id in self._waiting

    def ask(self, event: Event, *, first: bool = False) -> None:
        """Inspect the container of an event that was sent, with ``first`` before all that wait.

        Raises RuntimeError if there can be no thread.
        """
        container_id = event.container_id
        with self._lock:
            joins = container_id in self._waiting and not self._pool.is_stopped
            self._waiting.setdefault(container_id, []).append(event)
        # The request that it joins may be the last one.
        if first or not joins:
            self._submit(container_id, first=first)

    def _submit(self, container_id: str, *, first: bool) -> None:
        is_submitted = False
        try:
            is_submitted = self._pool.submit(partial(self._inspect, container_id), first=first)
        finally:
            # If no request follows, what was announced must, and later events must not wait for that request.
            for each in () if is_submitted else self._begin(container_id):
                self._send(Inspected(container_id, None, each.at_ns))

    def _inspect(self, container_id: str) -> None:
        events = self._begin(container_id)
        if not events:
            # They were answered by a request that came first, or by an event that found the pool stopped.
            return
        first, *others = events
        answer = self._inspector.inspect(first)
        self._send(answer)
        for each in others:
            self._send(Inspected(container_id, answer.inspection, each.at_ns))

    def _begin(self, container_id: str) -> list[Event]:
        """Return the events that a request answers which begins now."""
        with self._lock:
            return self._waiting.pop(container_id, [])
