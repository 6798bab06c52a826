"""Export of the same spans by the OpenTelemetry SDK's batch processor, in a process of its own."""

import argparse
import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Status, StatusCode

from bench.child_process import ExportCost, measured, print_cost
from bench.outbox import failed_jobs
from exporter import __version__
from exporter.model import ClassifiedExit
from exporter.otlp.attributes import job_attributes
from exporter.otlp.encoding import SPAN_NAME
from exporter.otlp.span_events import AttributeValue, SpanEvent, span_events

RESOURCE = Resource(
    {
        "service.name": "exit-exporter",
        "service.version": __version__,
        "service.instance.id": "4f7d2f1e-8d7e-4f57-9d53-0a1f7a2c9b10",
    }
)


@dataclass(frozen=True, slots=True)
class SpanContent:
    """Contents of a span, the same as in the exporter's spans."""

    classified: ClassifiedExit
    attributes: Mapping[str, AttributeValue]
    events: Sequence[SpanEvent]


class CountingExporter(SpanExporter):
    """Count the spans that the collector has accepted from another exporter."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self.arrived = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export and count."""
        result = self._exporter.export(spans)
        self.arrived += len(spans) if result is SpanExportResult.SUCCESS else 0
        return result

    def shutdown(self) -> None:
        """Shut down the other exporter."""
        self._exporter.shutdown()


def main(arguments: list[str]) -> None:
    """Send a number of spans, and print what it cost until the processor has flushed them."""
    chosen = _arguments(arguments)
    # A full queue is expected here, so its warning is of no use.
    logging.disable(logging.WARNING)
    contents = [
        SpanContent(each, job_attributes(each), span_events(each)) for each in failed_jobs(chosen.spans)
    ]
    exporter = CountingExporter(OTLPSpanExporter(endpoint=f"{chosen.url}/v1/traces"))
    processor = BatchSpanProcessor(exporter, max_queue_size=chosen.queue)
    cost = (_send_prepared if chosen.prepared else _send_while_creating)(contents, processor)
    cost.arrived = exporter.arrived
    print_cost(cost)


def _send_while_creating(contents: Iterable[SpanContent], processor: BatchSpanProcessor) -> ExportCost:
    """Create spans while they are sent."""
    provider = TracerProvider(resource=RESOURCE)
    provider.add_span_processor(processor)
    with measured() as cost:
        _create_spans(contents, provider)
        processor.force_flush()
    return cost


def _send_prepared(contents: Iterable[SpanContent], processor: BatchSpanProcessor) -> ExportCost:
    """Create spans before the measurement of processor and exporter."""
    provider, memory = TracerProvider(resource=RESOURCE), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    _create_spans(contents, provider)
    spans = memory.get_finished_spans()
    with measured() as cost:
        for span in spans:
            processor.on_end(span)
        processor.force_flush()
    return cost


def _create_spans(contents: Iterable[SpanContent], provider: TracerProvider) -> None:
    tracer = provider.get_tracer("exit-exporter", __version__)
    for each in contents:
        ended = each.classified.exit
        span = tracer.start_span(SPAN_NAME, attributes=each.attributes, start_time=ended.job.started_ns)
        for event_type in each.events:
            span.add_event(event_type.name, event_type.attributes, event_type.at_ns)
        span.set_status(Status(StatusCode.ERROR, each.classified.verdict.error))
        span.end(ended.finished_ns)


def _arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.otel_sdk", description=__doc__)
    parser.add_argument("url", help="a collector's OTLP/HTTP, without a path")
    parser.add_argument("spans", type=int, help="number of spans")
    parser.add_argument("--queue", type=int, help="size of its queue; by default that of the SDK")
    parser.add_argument("--prepared", action="store_true", help="create them before the measurement")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
