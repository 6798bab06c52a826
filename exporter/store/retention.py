"""Periodic deletion of old jobs and of outbox entries that are never exported."""

from __future__ import annotations

import time

import structlog

from exporter.model import SECOND_NS, TelemetrySignal
from exporter.periodic_thread import PeriodicThread
from exporter.store import Store, StoreError

log = structlog.get_logger(__name__)

INTERVAL_SECONDS = 3600.0
# An engine's clock is at most so much behind, unless one of the two is wrong or the engine is away.
_CLOCK_DIFFERENCE_NS = 3600 * SECOND_NS
_TOLD_AT_RUN = 2


class Retention(PeriodicThread):
    """Thread that deletes what is too old, once an hour; an age of 0 keeps all of that kind.

    ``job_seconds`` is the age of ended jobs, by this machine's clock or the engines', whichever is behind:
    one that is wrong deletes nothing. ``outbox_seconds`` is the age of outbox entries of the
    ``unexported`` signals; the worker of a signal that is exported deletes its own and counts them.
    """

    def __init__(
        self,
        store: Store,
        job_seconds: float,
        outbox_seconds: float,
        unexported: frozenset[TelemetrySignal],
    ) -> None:
        super().__init__("retention", INTERVAL_SECONDS, self._try_to_delete, at_once=True)
        self._store = store
        self._job_seconds = job_seconds
        self._outbox_seconds = outbox_seconds
        self._unexported = unexported
        self._runs_ahead = 0

    def delete_old(self) -> int:
        """Delete what is too old now; return the number of jobs. Raises StoreError."""
        # The outbox first: a job in it is kept.
        if self._outbox_seconds:
            before_ns = _ago_ns(self._outbox_seconds)
            self._store.outbox.delete_older(before_ns, self._unexported, self.is_stopping)
        self._store.prune_reports(self.is_stopping)
        if not self._job_seconds:
            return 0
        before_ns = self._now_ns() - int(self._job_seconds * SECOND_NS)
        return self._store.prune(before_ns, self.is_stopping)

    def _now_ns(self) -> int:
        """Return the time that both this machine's clock and that of an engine have reached."""
        own_ns = time.time_ns()
        engines_ns = self._store.engines_time_ns
        if engines_ns is None:
            return own_ns
        if own_ns - engines_ns > _CLOCK_DIFFERENCE_NS:
            self._runs_ahead += 1
            # At the first run, right after the start, no engine has been asked yet.
            if self._runs_ahead == _TOLD_AT_RUN:
                log.warning("old jobs are kept: no engine has confirmed the time of this machine's clock")
        return min(own_ns, engines_ns)

    def _try_to_delete(self) -> None:
        try:
            deleted = self.delete_old()
        except StoreError as error:
            log.warning("old jobs not deleted, will retry", cause=str(error))
        else:
            log.debug("old jobs deleted", jobs=deleted)


def _ago_ns(seconds: float) -> int:
    return time.time_ns() - int(seconds * SECOND_NS)
