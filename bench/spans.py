"""Export to a collector: from the outbox on disk, and by the OpenTelemetry SDK for comparison."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from bench.child_process import ExportCost, run_child
from bench.exporter import BenchError
from bench.recording import EngineRecording
from bench.throughput import VARIANTS, Run, throughput
from bench.tracing import NO_ENDPOINT, Endpoint
from tests.lab.collector import Collector

# Nothing listens on the port "discard", so that the export is tried and entries stay pending.
NOWHERE = Endpoint("http://127.0.0.1:9", accepts=False)


@dataclass(frozen=True, slots=True)
class ExportRound:
    """Costs of one round, each for the same number of spans.

    ``created``: the SDK creates spans while it sends them. ``prepared``: they exist before.
    ``default_queue``: as ``created``, with a queue of the SDK's default size.
    """

    outbox: ExportCost
    created: ExportCost
    prepared: ExportCost
    default_queue: ExportCost


def measure_export(filled_store: Path, spans: int, directory: Path, collector: Collector) -> ExportRound:
    """Measure one round with a copy of the filled store. Raises BenchError if a span is lost."""
    database = shutil.copy(filled_store, directory)
    url = collector.http_url
    outbox = run_child("bench.export_outbox", database, url)
    created = run_child("bench.otel_sdk", url, spans, "--queue", spans)
    prepared = run_child("bench.otel_sdk", url, spans, "--queue", spans, "--prepared")
    for what, sent in (("outbox", outbox), ("SDK", created), ("SDK", prepared)):
        if sent.arrived != spans:
            raise BenchError(f"{sent.arrived} spans of {spans} arrived from the {what}")
    return ExportRound(outbox, created, prepared, run_child("bench.otel_sdk", url, spans))


@dataclass(frozen=True, slots=True)
class TracingRound:
    """Runs of one round: without an endpoint, with an unreachable and with a healthy collector."""

    off: Run
    unreachable: Run
    healthy: Run


def measure_tracing(
    recording: EngineRecording, directories: tuple[Path, Path, Path], collector: Collector
) -> TracingRound:
    """Measure the cost of traces for counting exits, with and without a collector."""
    endpoints = (NO_ENDPOINT, NOWHERE, Endpoint(collector.http_url))
    pairs = zip(directories, endpoints, strict=True)
    return TracingRound(
        *(throughput(recording, VARIANTS[0], directory, endpoint) for directory, endpoint in pairs)
    )
