"""A delivery with real parts: a store in a directory, the ledger, and a collector over HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from exporter.metrics import definitions as metrics
from exporter.metrics.state import MetricState, MetricUpdate
from exporter.model import ClassifiedExit, TelemetrySignal
from exporter.otlp.client import OtlpClient
from exporter.otlp.config import SpanLimits
from exporter.otlp.encoding import Encoder, LogEncoder, SpanEncoder
from exporter.otlp.endpoint import OtlpEndpoint
from exporter.otlp.http_client import OtlpHttpClient
from exporter.otlp.outbox_queue import OutboxQueue, QueueLimits
from exporter.otlp.outbox_worker import Backoff, OutboxWorker
from exporter.otlp.trace_context import span_ids_for
from exporter.store import Batch, Store
from tests.contract.engines import identity
from tests.lab.wait import wait_until
from tests.scripted.http_receiver import Receiver
from tests.store import samples

PATIENCE_SECONDS = 10.0
BRIEF = Backoff(first=0.01, longest=0.03)
LIMITS = QueueLimits(entries=100_000, seconds=7 * 86400.0)
FORMS: dict[TelemetrySignal, Encoder] = {
    TelemetrySignal.TRACES: SpanEncoder({}, SpanLimits()),
    TelemetrySignal.LOGS: LogEncoder({}, SpanLimits()),
}


class Sums(NamedTuple):
    """What has become of all that was posted."""

    pending: int = 0
    exported: int = 0
    rejected: int = 0
    given_up: int = 0


def failed(number: int, *, log_tail: str | None = None) -> ClassifiedExit:
    """The end of a job that failed, with its trace."""
    job = samples.job(container_id=identity(number), name=f"job-{number}")
    judged = samples.ended(job, 1, log_tail=log_tail)
    return replace(judged, trace=span_ids_for(job))


def job_id(number: int) -> str:
    """The id of such a job."""
    return failed(number).exit.job.id


def span_id(number: int) -> str:
    """The id of its span."""
    return span_ids_for(failed(number).exit.job).span_id


def span_ids(numbers: Iterable[int]) -> list[str]:
    """The ids of their spans."""
    return [span_id(number) for number in numbers]


def collector(
    receiver: Receiver,
    seconds: float = PATIENCE_SECONDS,
    signal: TelemetrySignal = TelemetrySignal.TRACES,
) -> OtlpHttpClient:
    """The way to a receiver."""
    return OtlpHttpClient(OtlpEndpoint(f"{receiver.url}/v1/{signal.value}", seconds=seconds))


class Delivering:
    """A delivery from the store in a directory; it runs between ``with`` and its end.

    With ``start`` it is begun later, by hand.
    """

    def __init__(
        self,
        directory: Path,
        to: Receiver | OtlpClient,
        backoff: Backoff = BRIEF,
        *,
        limits: QueueLimits = LIMITS,
        signal: TelemetrySignal = TelemetrySignal.TRACES,
    ) -> None:
        self.path = directory / "exits.db"
        self.signal = signal
        self.store = Store(self.path)
        self.store.outbox.requeue_dead_letters()
        self.ledger = MetricState(self.store.series())
        self.collector = collector(to, signal=signal) if isinstance(to, Receiver) else to
        queue = OutboxQueue(signal, self.store.outbox, self.ledger, limits)
        self.delivery = OutboxWorker(FORMS[signal], self.collector, queue, backoff)
        self._runs = False

    def __enter__(self) -> Self:
        """Do not begin yet: something may be left from before."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and close the store."""
        if self._runs:
            self.delivery.stop(PATIENCE_SECONDS)
        self.store.close()

    def start(self) -> Self:
        """Begin."""
        self._runs = True
        self.delivery.start()
        return self

    def posts(self, numbers: Iterable[int]) -> Self:
        """Failed jobs of such numbers come, in one batch."""
        return self.posts_ends(failed(number) for number in numbers)

    def posts_ends(self, ends: Iterable[ClassifiedExit]) -> Self:
        """Ends come in one batch, in the order in which a pipeline does it all."""
        ended = list(ends)
        self.store.commit(Batch(ended=ended, outbox=[(each.exit.job.id, self.signal) for each in ended]))
        changes = MetricUpdate()
        changes.add(metrics.OTLP_PENDING_JOBS, (self.signal,), len(ended))
        self.ledger.apply(changes)
        self.delivery.notify()
        return self

    def sums(self) -> Sums:
        """The sums that can be seen; those of them that are kept are the same on record."""
        shown = self._sums_of(self.ledger.snapshot())
        assert self._sums_of(self.store.series())[1:] == shown[1:]
        assert self.store.outbox.count_pending(self.signal) == shown.pending
        return shown

    def come_to(self, sums: Sums) -> bool:
        """Whether these are the sums, or soon are."""
        wait_until(lambda: self._sums_of(self.ledger.snapshot()) == sums, PATIENCE_SECONDS)
        found = self.sums()
        assert found == sums
        return found == sums

    def waiting(self) -> list[str]:
        """The ids of the jobs that wait."""
        letters = self.store.outbox.pending(self.signal, 100_000)
        return [letter.record.job.id for letter in letters if letter.record]

    def _sums_of(self, series: dict[tuple[str, tuple[str, ...]], float]) -> Sums:
        return Sums(
            *(
                int(series.get((metric.name, (self.signal.value,)), 0))
                for metric in (
                    metrics.OTLP_PENDING_JOBS,
                    metrics.OTLP_JOBS_EXPORTED,
                    metrics.OTLP_JOBS_REJECTED,
                    metrics.OTLP_JOBS_DROPPED,
                )
            )
        )
