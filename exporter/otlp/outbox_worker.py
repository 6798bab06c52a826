"""Thread that exports the outbox of one signal over OTLP, the oldest entries first.

Delivery is at least once: an entry is deleted only when the collector has acknowledged it. Span ids are
deterministic, so a span that is sent again after a crash is recognisable. The pipeline never waits for this.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog
from google.protobuf.message import Message

from exporter.model import TelemetrySignal
from exporter.otlp.client import Accepted, ExportResult, OtlpClient, PermanentFailure, RetryableFailure
from exporter.otlp.encoding import Encoder
from exporter.otlp.outbox_queue import OutboxQueue
from exporter.store import OutboxEntry, StoreError

log = structlog.get_logger(__name__)

MAX_ENTRIES = 512
# gRPC accepts four MiB at most, and a log tail makes a span large.
MAX_BYTES = 1 << 20
IDLE_SECONDS = 60.0
# Longest pause that a collector may ask for.
MAX_RETRY_SECONDS = 600.0
# After this many failures in a row, any request may be the cause of the collector's failure.
TOLERATED_FAILURES = 5
# After this many failures alone, an entry may be the cause: others are sent before it.
SUSPECT_AFTER = 3
MAX_SUSPECTS = 16
# After this many consecutive rejections, suspect the collector and slow down.
MANY_REJECTIONS = 10


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses after failures, in seconds: the first, doubled at each failure up to the longest."""

    first: float = 1.0
    longest: float = 60.0


@dataclass(slots=True)
class _Batch:
    """Content of one request."""

    entries: list[OutboxEntry] = field(default_factory=list)
    items: list[Message] = field(default_factory=list)

    @property
    def numbers(self) -> list[int]:
        return [entry.number for entry in self.entries]


class OutboxWorker:
    """Exports one signal until it is stopped."""

    def __init__(
        self, encoder: Encoder, client: OtlpClient, queue: OutboxQueue, backoff: Backoff = Backoff()
    ) -> None:
        self._encoder = encoder
        self._client = client
        self._queue = queue
        self._backoff = backoff
        self._batch_size = MAX_ENTRIES
        self._pause = backoff.first
        self._resume_at = 0.0
        self._failures = 0
        self._failures_alone = 0
        self._rejections = 0
        self._suspects: list[int] = []
        self._waits_for_suspect = False
        self._logged_causes: set[str] = set()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        # A daemon thread: a collector that does not answer must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name=f"export {self.signal}", daemon=True)

    @property
    def signal(self) -> TelemetrySignal:
        """Signal that is exported."""
        return self._encoder.signal

    def start(self) -> None:
        """Start with the entries that are left from earlier runs. Raises StoreError."""
        self._queue.open()
        log.info("exporting", signal=self.signal.value, to=self._client.address)
        self._thread.start()

    def notify(self) -> None:
        """Wake the thread: there are new entries."""
        self._wake.set()

    def stop(self, seconds: float) -> None:
        """Export what can be within this time; the rest waits for the next start."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(seconds)
        self._client.close()

    def _run(self) -> None:
        while self._work() or not self._stopping.is_set():
            pass

    def _work(self) -> bool:
        """Do what is due, else wait; return whether there may be more to do at once."""
        try:
            self._queue.retry_unsaved()
            self._queue.drop_expired()
            if time.monotonic() >= self._resume_at:
                self._resume_at = 0.0
                if self._export():
                    return True
        except StoreError as error:
            self._back_off("outbox unavailable, will retry", str(error))
        except Exception:
            log.exception("unexpected error in the export thread")
            self._resume_at = time.monotonic() + self._backoff.longest
        if self._stopping.is_set():
            return False
        if self._wake.wait(self._idle_seconds(time.monotonic())) and self._waits_for_suspect:
            self._resume_at = 0.0
        self._wake.clear()
        # If the worker was notified and stopped at once, there is still something to export.
        return True

    def _idle_seconds(self, now: float) -> float:
        """Return how long there is nothing to do unless the worker is notified."""
        resume_at = self._resume_at or math.inf
        return max(0.0, min(now + IDLE_SECONDS, resume_at, self._queue.next_check_at) - now)

    def _export(self) -> bool:
        """Send one request; return whether another may follow at once."""
        entries = self._next_entries()
        batch = self._build_batch(entries)
        if batch.entries:
            self._handle(batch, self._send(batch))
        return bool(entries) and time.monotonic() >= self._resume_at

    def _next_entries(self) -> list[OutboxEntry]:
        """Return the oldest entries; suspects only if there are no others."""
        if self._rejections >= MANY_REJECTIONS:
            # If the newest is accepted, only those before are bad; if not, the collector accepts none.
            return self._queue.newest()
        entries = self._queue.oldest(self._batch_size + len(self._suspects))
        present = {entry.number: entry for entry in entries}
        self._suspects = [number for number in self._suspects if number in present]
        others = [entry for entry in entries if entry.number not in self._suspects]
        return (others or [present[number] for number in self._suspects])[: self._batch_size]

    def _build_batch(self, entries: Sequence[OutboxEntry]) -> _Batch:
        """Encode as many entries as fit; those that have no job or cannot be encoded leave the queue."""
        batch, size = _Batch(), 0
        for entry in entries:
            if entry.record is None or entry.record.ended is None:
                self._queue.drop(entry)
                continue
            try:
                items = self._encoder.items(entry.record.ended, entry.enqueued_ns)
            except Exception as error:  # noqa: BLE001  # one bad entry must not block the others
                self._queue.dead_letter(entry, f"cannot be encoded: {error!r}")
                continue
            size += sum(item.ByteSize() for item in items)
            if batch.entries and size > MAX_BYTES:
                break
            batch.entries.append(entry)
            batch.items.extend(items)
        return batch

    def _send(self, batch: _Batch) -> ExportResult:
        try:
            return self._client.send(self._encoder.request(batch.items))
        except Exception:
            log.exception("unexpected error while sending")
            return RetryableFailure("a bug of the exporter; its log has the details", request_suspect=True)

    # Results

    def _handle(self, batch: _Batch, result: ExportResult) -> None:
        match result:
            case Accepted():
                self._on_accepted(batch, result)
            case PermanentFailure() if len(batch.entries) > 1:
                # One entry is bad; halving the batch finds it.
                self._batch_size = len(batch.entries) // 2
            case PermanentFailure():
                self._queue.dead_letter(batch.entries[0], result.cause)
                self._rejections += 1
                if self._rejections > MANY_REJECTIONS:
                    self._back_off("collector rejects everything, slowing down", result.cause)
            case RetryableFailure():
                self._on_retryable_failure(batch, result)

    def _on_accepted(self, batch: _Batch, result: Accepted) -> None:
        rejected = min(result.rejected, len(batch.entries))
        self._queue.acknowledge(batch.numbers, rejected)
        if rejected or result.message:
            # OTLP does not say which items, and they must not be sent again.
            log.warning(
                "collector accepted with a message",
                signal=self.signal.value,
                rejected=rejected,
                message=result.message,
            )
        if self._logged_causes:
            log.info("export works again", signal=self.signal.value)
        self._suspects = [number for number in self._suspects if number not in batch.numbers]
        self._logged_causes.clear()
        self._pause, self._resume_at = self._backoff.first, 0.0
        self._failures = self._failures_alone = self._rejections = 0
        self._batch_size = min(MAX_ENTRIES, 2 * self._batch_size)

    def _on_retryable_failure(self, batch: _Batch, result: RetryableFailure) -> None:
        self._failures += 1
        if result.request_suspect or self._failures > TOLERATED_FAILURES:
            # Smaller next time. Not at every failure: if most fail, requests would shrink to nothing.
            self._batch_size = max(1, len(batch.entries) // 2)
        self._failures_alone = self._failures_alone + 1 if len(batch.entries) == 1 else 0
        # New entries need not wait until an entry that always fails is tried again.
        self._waits_for_suspect = batch.entries[0].number in self._suspects
        if self._failures_alone >= SUSPECT_AFTER:
            self._suspect(batch.entries[0].number)
        self._back_off("export failed, will retry", result.cause, result.retry_seconds)

    def _suspect(self, number: int) -> None:
        """Send others before this entry; if many are suspects, the cause is not the entries."""
        others = [other for other in self._suspects if other != number]
        self._suspects = [*others, number] if len(others) < MAX_SUSPECTS else []
        self._failures_alone = 0

    def _back_off(self, message: str, cause: str, requested_seconds: float | None = None) -> None:
        """Pause, with jitter so that many exporters do not come back at the same moment."""
        pause = random.uniform(self._pause / 2, self._pause)  # noqa: S311  # not a secret
        self._pause = min(2 * self._pause, self._backoff.longest)
        self._resume_at = time.monotonic() + max(pause, min(requested_seconds or 0.0, MAX_RETRY_SECONDS))
        # A warning once for each cause, not at every retry: a collector may be away for a night.
        level = log.debug if cause in self._logged_causes else log.warning
        level(message, signal=self.signal.value, collector=self._client.address, cause=cause)
        self._logged_causes.add(cause)
