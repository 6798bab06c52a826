"""Periodic deletion of old jobs and of outbox entries that are never exported."""

from __future__ import annotations

import threading
import time

import structlog

from exporter.model import SECOND_NS, TelemetrySignal
from exporter.store import Store, StoreError

log = structlog.get_logger(__name__)

INTERVAL_SECONDS = 3600.0


class Retention:
    """Thread that deletes what is too old, once an hour; an age of 0 keeps all of that kind.

    ``job_seconds`` is the age of ended jobs. ``outbox_seconds`` is the age of outbox entries of the
    ``unexported`` signals; the worker of a signal that is exported deletes its own and counts them.
    """

    def __init__(
        self,
        store: Store,
        job_seconds: float,
        outbox_seconds: float,
        unexported: frozenset[TelemetrySignal],
    ) -> None:
        self._store = store
        self._job_seconds = job_seconds
        self._outbox_seconds = outbox_seconds
        self._unexported = unexported
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Delete nothing from now on."""
        self._stopping.set()

    def delete_old(self) -> int:
        """Delete what is too old now; return the number of jobs. Raises StoreError."""
        # The outbox first: a job in it is kept.
        if self._outbox_seconds:
            self._store.outbox.delete_older(_ago_ns(self._outbox_seconds), self._unexported)
        self._store.prune_reports()
        return self._store.prune(_ago_ns(self._job_seconds)) if self._job_seconds else 0

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                deleted = self.delete_old()
            except StoreError as error:
                log.warning("old jobs not deleted, will retry", cause=str(error))
            else:
                log.debug("old jobs deleted", jobs=deleted)
            self._stopping.wait(INTERVAL_SECONDS)


def _ago_ns(seconds: float) -> int:
    return time.time_ns() - int(seconds * SECOND_NS)
