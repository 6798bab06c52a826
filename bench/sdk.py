"""The OpenTelemetry SDK's own way, in a process of its own: the same spans through its batch processor."""

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

from bench.letters import failed_jobs
from bench.sent import Sent, say, timed
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
class Known:
    """What a span shall say, in the words of the exporter's own."""

    judged: ClassifiedExit
    attributes: Mapping[str, AttributeValue]
    happened: Sequence[SpanEvent]


class Counting(SpanExporter):
    """Counts what the collector has taken of another exporter."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self.arrived = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Hand on, and count."""
        result = self._exporter.export(spans)
        self.arrived += len(spans) if result is SpanExportResult.SUCCESS else 0
        return result

    def shutdown(self) -> None:
        """Hand on."""
        self._exporter.shutdown()


def main(words: list[str]) -> None:
    """Send so many spans, and say what it cost: until the processor has flushed them."""
    chosen = _arguments(words)
    # It says that its queue is full, which is what is asked here.
    logging.disable(logging.WARNING)
    known = [Known(each, job_attributes(each), span_events(each)) for each in failed_jobs(chosen.spans)]
    exporter = Counting(OTLPSpanExporter(endpoint=f"{chosen.url}/v1/traces"))
    processor = BatchSpanProcessor(exporter, max_queue_size=chosen.queue)
    sent = (_hand_over if chosen.beforehand else _make)(known, processor)
    sent.arrived = exporter.arrived
    say(sent)


def _make(known: Iterable[Known], processor: BatchSpanProcessor) -> Sent:
    """The spans are made while they are sent."""
    provider = TracerProvider(resource=RESOURCE)
    provider.add_span_processor(processor)
    with timed() as sent:
        _tell(known, provider)
        processor.force_flush()
    return sent


def _hand_over(known: Iterable[Known], processor: BatchSpanProcessor) -> Sent:
    """The spans have been made before; this is the processor and the exporter alone."""
    provider, memory = TracerProvider(resource=RESOURCE), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    _tell(known, provider)
    spans = memory.get_finished_spans()
    with timed() as sent:
        for span in spans:
            processor.on_end(span)
        processor.force_flush()
    return sent


def _tell(known: Iterable[Known], provider: TracerProvider) -> None:
    tracer = provider.get_tracer("exit-exporter", __version__)
    for each in known:
        ended = each.judged.exit
        span = tracer.start_span(SPAN_NAME, attributes=each.attributes, start_time=ended.job.started_ns)
        for event_type in each.happened:
            span.add_event(event_type.name, event_type.attributes, event_type.at_ns)
        span.set_status(Status(StatusCode.ERROR, each.judged.verdict.error))
        span.end(ended.finished_ns)


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.sdk", description=__doc__)
    parser.add_argument("url", help="a collector's OTLP/HTTP, without a path")
    parser.add_argument("spans", type=int, help="how many")
    parser.add_argument("--queue", type=int, help="how many its queue holds; without: what the SDK does")
    parser.add_argument("--beforehand", action="store_true", help="make them before the time runs")
    return parser.parse_args(words)


if __name__ == "__main__":
    main(sys.argv[1:])
