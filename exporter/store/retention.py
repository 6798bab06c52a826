"""Forgetting: jobs that ended long ago are deleted; what they counted stays."""

from __future__ import annotations

import threading
import time

import structlog

from exporter.model import SECOND_NS, TelemetrySignal
from exporter.store import Store, StoreError

log = structlog.get_logger(__name__)

EVERY_SECONDS = 3600.0


class Retention:
    """Prunes the store now and then; ``seconds`` of 0 keeps everything.

    ``outbox_seconds`` is the same of what waits for a collector, of the ``undelivered`` signals: of others,
    their delivery forgets what is too old, and counts it.
    """

    def __init__(
        self, store: Store, seconds: float, outbox_seconds: float, undelivered: frozenset[TelemetrySignal]
    ) -> None:
        self._undelivered = undelivered
        self._store = store
        self._seconds = seconds
        self._outbox_seconds = outbox_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        """Begin, unless everything is kept."""
        if self._seconds:
            self._thread.start()

    def stop(self) -> None:
        """Prune no more."""
        self._stopping.set()

    def prune(self) -> int:
        """Delete what is too old now; how many jobs."""
        if self._outbox_seconds:
            before_ns = time.time_ns() - int(self._outbox_seconds * SECOND_NS)
            self._store.outbox.expire(before_ns, self._undelivered)
        return self._store.prune(time.time_ns() - int(self._seconds * SECOND_NS))

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                pruned = self.prune()
            except StoreError as error:
                log.warning("old jobs not deleted, trying again later", cause=str(error))
            else:
                log.debug("old jobs deleted", jobs=pruned)
            self._stopping.wait(EVERY_SECONDS)
