"""Outbox of one signal: its entries, the metrics that count them, and its limits."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from exporter.metrics import exporter_metrics
from exporter.metrics.exporter_metrics import OtlpJobCounts
from exporter.metrics.state import MetricState
from exporter.metrics.update import MetricUpdate
from exporter.model import SECOND_NS, TelemetrySignal
from exporter.store import Outbox, OutboxEntry, OutboxUpdate

log = structlog.get_logger(__name__)

CHECK_SECONDS = 1.0
MAX_DROPPED_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """Bounds of the outbox: the number of entries, and their age in seconds (0: any age)."""

    entries: int
    seconds: float


class OutboxQueue:
    """Entries of one signal. Every method may raise StoreError."""

    def __init__(
        self, signal: TelemetrySignal, outbox: Outbox, state: MetricState, limits: QueueLimits
    ) -> None:
        self.signal = signal
        self._outbox = outbox
        self._state = state
        self._limits = limits
        self._limits_checked_at = 0.0
        self._limits_skipped = False
        self._unsaved: tuple[OutboxUpdate, OtlpJobCounts, int] | None = None

    def open(self) -> None:
        """Create the metrics of the signal; entries that are left from earlier runs are pending."""
        update = MetricUpdate()
        exporter_metrics.create_otlp_series(update, self.signal, self._outbox.count_pending(self.signal))
        # Applied as committed: left for the pipeline to commit, they could overwrite what is recorded here.
        self._state.apply_committed(update, self._state.preview(update))

    def oldest(self, limit: int) -> list[OutboxEntry]:
        """Return the entries that have waited longest."""
        return self._outbox.pending(self.signal, limit)

    def newest(self) -> list[OutboxEntry]:
        """Return the entry that was added last, if any."""
        return self._outbox.pending(self.signal, 1, newest=True)

    def acknowledge(self, numbers: Sequence[int], rejected: int) -> None:
        """Delete entries that the collector accepted, except ``rejected`` of them, which it rejected."""
        counts = OtlpJobCounts(exported=len(numbers) - rejected, rejected=rejected)
        self._record(OutboxUpdate(numbers), counts, len(numbers))

    def dead_letter(self, entry: OutboxEntry, cause: str) -> None:
        """Make a rejected entry a dead letter: it is sent again after the next start."""
        job_id = entry.record.job.id if entry.record else "?"
        log.warning(
            "job rejected, set aside until the next start", signal=self.signal.value, job=job_id, cause=cause
        )
        # An entry is counted once, however many starts it is rejected after.
        counts = OtlpJobCounts(rejected=int(not entry.was_rejected))
        self._record(OutboxUpdate(rejected={entry.number: cause}), counts, 1)

    def drop(self, entry: OutboxEntry) -> None:
        """Delete an entry whose job is not on record any more."""
        self._record(OutboxUpdate([entry.number]), OtlpJobCounts(dropped=1), 1)

    def drop_expired(self) -> None:
        """Delete entries that are too old or too many; does nothing if this was done a moment ago."""
        now = time.monotonic()
        self._limits_skipped = now < self._limits_checked_at + CHECK_SECONDS
        if self._limits_skipped:
            return
        self._limits_checked_at = now
        age, most = self._limits.seconds, self._limits.entries
        before_ns = time.time_ns() - int(age * SECOND_NS) if age else 0
        while expired := self._outbox.expired(self.signal, before_ns, most, MAX_DROPPED_AT_ONCE):
            pending = sum(entry.is_pending for entry in expired)
            numbers = [entry.number for entry in expired]
            self._record(OutboxUpdate(numbers), OtlpJobCounts(dropped=pending), pending)
            level = log.warning if pending else log.debug
            level("jobs dropped unsent: too old or too many", signal=self.signal.value, count=pending)

    @property
    def next_check_at(self) -> float:
        """Monotonic time at which the limits need another check; infinite if they need none."""
        # Entries that were added right after a check may exceed the limits.
        return self._limits_checked_at + CHECK_SECONDS if self._limits_skipped else math.inf

    def retry_unsaved(self) -> None:
        """Record what the store failed to take: until then the collector would get the same jobs twice."""
        if self._unsaved is not None:
            self._record(*self._unsaved)

    def _record(self, outbox_update: OutboxUpdate, counts: OtlpJobCounts, done: int) -> None:
        """Record entries and their counters in one transaction; ``done`` entries are pending no longer."""
        self._unsaved = (outbox_update, counts, done)
        update = MetricUpdate()
        exporter_metrics.count_otlp_jobs(update, self.signal, counts)
        values = self._state.preview(update)
        self._outbox.apply(replace(outbox_update, series=values))
        exporter_metrics.add_otlp_pending(update, self.signal, -done)
        self._state.apply_committed(update, values)
        self._unsaved = None
