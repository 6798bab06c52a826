"""Driver of an outbox worker with real parts: a store in a directory, metrics, and a client over HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from exporter.metrics import definitions, exporter_metrics
from exporter.metrics.labels import SignalLabels
from exporter.metrics.state import MetricState
from exporter.metrics.update import MetricUpdate
from exporter.model import ClassifiedExit, SeriesKey, TelemetrySignal
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

WAIT_SECONDS = 10.0
BRIEF = Backoff(first=0.01, longest=0.03)
LIMITS = QueueLimits(entries=100_000, seconds=7 * 86400.0)
ENCODERS: dict[TelemetrySignal, Encoder] = {
    TelemetrySignal.TRACES: SpanEncoder({}, SpanLimits()),
    TelemetrySignal.LOGS: LogEncoder({}, SpanLimits()),
}


class Counts(NamedTuple):
    """Jobs by what has become of them."""

    pending: int = 0
    exported: int = 0
    rejected: int = 0
    dropped: int = 0


METRICS = (
    definitions.OTLP_PENDING_JOBS,
    definitions.OTLP_JOBS_EXPORTED,
    definitions.OTLP_JOBS_REJECTED,
    definitions.OTLP_JOBS_DROPPED,
)


def failed(number: int, *, log_tail: str | None = None) -> ClassifiedExit:
    """Return the exit of a failed job, with its trace."""
    job = samples.job(container_id=identity(number), name=f"job-{number}")
    return replace(samples.ended(job, 1, log_tail=log_tail), trace=span_ids_for(job))


def job_id(number: int) -> str:
    """Return the id of such a job."""
    return failed(number).exit.job.id


def span_ids(*numbers: int) -> list[str]:
    """Return the ids of the spans of these jobs."""
    return [span_ids_for(failed(number).exit.job).span_id for number in numbers]


def http_client(
    receiver: Receiver,
    seconds: float = WAIT_SECONDS,
    signal: TelemetrySignal = TelemetrySignal.TRACES,
) -> OtlpHttpClient:
    """Return a client for a receiver."""
    return OtlpHttpClient(OtlpEndpoint(f"{receiver.url}/v1/{signal.value}", seconds=seconds))


class OutboxDriver:
    """A worker on the store in a directory; it is started with ``start`` and stopped after ``with``."""

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
        self.state = MetricState(self.store.series())
        client = http_client(to, signal=signal) if isinstance(to, Receiver) else to
        queue = OutboxQueue(signal, self.store.outbox, self.state, limits)
        self.worker = OutboxWorker(ENCODERS[signal], client, queue, backoff)
        self._is_started = False

    def __enter__(self) -> Self:
        """Do not start yet: a test may prepare the outbox."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and close the store."""
        if self._is_started:
            self.worker.stop(WAIT_SECONDS)
        self.store.close()

    def start(self) -> Self:
        """Start the worker."""
        self._is_started = True
        self.worker.start()
        return self

    def enqueue(self, *numbers: int) -> Self:
        """Commit the exits of these jobs in one batch."""
        return self.enqueue_exits(failed(number) for number in numbers)

    def enqueue_exits(self, exits: Iterable[ClassifiedExit]) -> Self:
        """Commit exits in one batch, in the order in which the pipeline does it."""
        ended = list(exits)
        self.store.commit(Batch(ended=ended, outbox=[(each.exit.job.id, self.signal) for each in ended]))
        update = MetricUpdate()
        exporter_metrics.add_otlp_pending(update, self.signal, len(ended))
        self.state.apply(update)
        self.worker.notify()
        return self

    def counts(self) -> Counts:
        """Return the counts of the metrics; the persistent ones must be those of the store."""
        found = self._counts(self.state.snapshot())
        assert self._counts(self.store.series())[1:] == found[1:]
        assert self.store.outbox.count_pending(self.signal) == found.pending
        return found

    def reaches(self, **counts: int) -> bool:
        """Wait for these counts, others being 0; fail if they are not reached."""
        wanted = Counts(**counts)
        wait_until(lambda: self._counts(self.state.snapshot()) == wanted, WAIT_SECONDS)
        found = self.counts()
        assert found == wanted
        return found == wanted

    def waiting(self) -> list[str]:
        """Return the ids of the jobs that wait."""
        entries = self.store.outbox.pending(self.signal, 100_000)
        return [entry.record.job.id for entry in entries if entry.record]

    def _counts(self, series: Mapping[SeriesKey, float]) -> Counts:
        labels = SignalLabels(self.signal.value)
        return Counts(*(int(series.get((metric.name, labels), 0)) for metric in METRICS))
