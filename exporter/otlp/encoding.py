"""Encoding of jobs as OTLP requests, and parsing of the responses. No I/O.

The messages are those of ``opentelemetry-proto``; see https://opentelemetry.io/docs/specs/otlp/.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs_service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_service
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, SpanFlags, Status

from exporter import __version__
from exporter.model import ClassifiedExit, Evidence, TelemetrySignal, Trace
from exporter.model import Status as JobStatus
from exporter.otlp.attributes import job_attributes
from exporter.otlp.config import SpanLimits
from exporter.otlp.span_events import AttributeValue, SpanEvent, span_events

SPAN_NAME = "container.run"
# Semantic conventions that the names of the attributes follow.
SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"
_SAMPLED = 0x01
_MAX_STATUS_MESSAGE = 1_000
_SCOPE = InstrumentationScope(name="exit-exporter", version=__version__)
# Job attributes that each log record has beside its own; a span has all.
_LOG_ATTRIBUTES = (
    "container.id",
    "container.name",
    "container.image.name",
    "host.name",
    "exit_exporter.workload",
)


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """Request to a collector: ``items`` spans or log records in one message."""

    signal: TelemetrySignal
    message: Message
    items: int


@dataclass(frozen=True, slots=True)
class ExportResponse:
    """Response of a collector: number of items that it rejected for good, and a message for people."""

    rejected: int
    message: str


class Encoder(Protocol):
    """Encoder of one signal, for jobs that have a trace."""

    signal: TelemetrySignal

    def items(self, classified: ClassifiedExit, observed_ns: int, /) -> Sequence[Message]:
        """Return the spans or log records of a job, whose end was observed at that time.

        Raises ValueError if it has no trace.
        """

    def request(self, items: Sequence[Message]) -> ExportRequest:
        """Return a request with the items of one or more jobs."""


class SpanEncoder:
    """Encodes each job as one span of the ``resource``; ``with_events``: with its events."""

    signal = TelemetrySignal.TRACES

    def __init__(self, resource: Mapping[str, str], limits: SpanLimits, *, with_events: bool = True) -> None:
        self._resource = _resource(resource)
        self._limits = limits
        self._with_events = with_events

    def items(self, classified: ClassifiedExit, _observed_ns: int, /) -> list[Span]:
        """Return the span of a job."""
        ended, trace = classified.exit, _trace(classified)
        events = span_events(classified) if self._with_events else []
        kept = _limited(events, self._limits.events)
        started_ns = ended.job.start_event_ns if ended.job.started_ns is None else ended.job.started_ns
        span = Span(
            trace_id=bytes.fromhex(trace.trace_id),
            span_id=bytes.fromhex(trace.span_id),
            parent_span_id=bytes.fromhex(trace.parent_span_id or ""),
            flags=_flags(trace),
            name=SPAN_NAME,
            kind=Span.SPAN_KIND_INTERNAL,
            # The engine's clock may have been set back during the job.
            start_time_unix_nano=max(0, started_ns),
            end_time_unix_nano=max(0, started_ns, ended.finished_ns),
            dropped_events_count=len(events) - len(kept),
            status=_status(classified),
        )
        _write(job_attributes(classified), span.attributes, self._limits.text_length)
        for event in kept:
            added = span.events.add(name=event.name, time_unix_nano=max(0, event.at_ns))
            _write(event.attributes, added.attributes, self._limits.text_length)
        return [span]

    def request(self, items: Sequence[Message]) -> ExportRequest:
        """Return a request with these spans."""
        message = trace_service.ExportTraceServiceRequest()
        of_resource = message.resource_spans.add(resource=self._resource, schema_url=SCHEMA_URL)
        of_scope = of_resource.scope_spans.add(scope=_SCOPE, schema_url=SCHEMA_URL)
        of_scope.spans.extend(cast("Sequence[Span]", items))
        return ExportRequest(self.signal, message, len(items))


class LogEncoder:
    """Encodes each event of a job as a log record that names the job's span."""

    signal = TelemetrySignal.LOGS

    def __init__(self, resource: Mapping[str, str], limits: SpanLimits) -> None:
        self._resource = _resource(resource)
        self._limits = limits

    def items(self, classified: ClassifiedExit, observed_ns: int, /) -> list[LogRecord]:
        """Return the log records of a job by time."""
        known = job_attributes(classified)
        job_values = {name: known[name] for name in _LOG_ATTRIBUTES if name in known}
        records = [self._record(classified, event, job_values) for event in span_events(classified)]
        for record in records:
            record.observed_time_unix_nano = max(0, observed_ns)
        return records

    def request(self, items: Sequence[Message]) -> ExportRequest:
        """Return a request with these log records."""
        message = logs_service.ExportLogsServiceRequest()
        of_resource = message.resource_logs.add(resource=self._resource, schema_url=SCHEMA_URL)
        of_scope = of_resource.scope_logs.add(scope=_SCOPE, schema_url=SCHEMA_URL)
        of_scope.log_records.extend(cast("Sequence[LogRecord]", items))
        return ExportRequest(self.signal, message, len(items))

    def _record(
        self, classified: ClassifiedExit, event: SpanEvent, job_values: Mapping[str, AttributeValue]
    ) -> LogRecord:
        trace = _trace(classified)
        record = LogRecord(
            time_unix_nano=max(0, event.at_ns),
            severity_text=event.severity.name,
            event_name=event.name,
            trace_id=bytes.fromhex(trace.trace_id),
            span_id=bytes.fromhex(trace.span_id),
            flags=_SAMPLED,
        )
        _write({**job_values, **event.attributes}, record.attributes, self._limits.text_length)
        record.severity_number = event.severity.value  # type: ignore[assignment]  # the same numbers
        record.body.string_value = event.text
        return record


def parse_response(signal: TelemetrySignal, body: bytes) -> ExportResponse:
    """Parse a response in protobuf. Raises DecodeError if it is invalid."""
    match signal:
        case TelemetrySignal.TRACES:
            spans = trace_service.ExportTraceServiceResponse.FromString(body).partial_success
            return ExportResponse(spans.rejected_spans, spans.error_message)
        case TelemetrySignal.LOGS:
            records = logs_service.ExportLogsServiceResponse.FromString(body).partial_success
            return ExportResponse(records.rejected_log_records, records.error_message)


def _trace(classified: ClassifiedExit) -> Trace:
    if classified.trace is None:
        raise ValueError(f"job without a trace: {classified.exit.job.id}")
    return classified.trace


def _flags(trace: Trace) -> int:
    remote = SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK if trace.parent_span_id else 0
    return _SAMPLED | SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK | remote


def _status(classified: ClassifiedExit) -> Status:
    """Return an error for failed jobs only: a job that was asked to stop did as it should."""
    if classified.verdict.status is not JobStatus.FAILED:
        return Status()
    return Status(code=Status.STATUS_CODE_ERROR, message=_status_message(classified.exit.evidence))


def _status_message(evidence: Evidence) -> str:
    """Return what is known beside the reason and the code, which are attributes."""
    return (evidence.start_error or " ".join(evidence.notes))[:_MAX_STATUS_MESSAGE]


def _limited(events: Sequence[SpanEvent], limit: int) -> list[SpanEvent]:
    """Keep the first event and the latest: the oldest between them say least."""
    surplus = len(events) - limit
    if surplus <= 0:
        return list(events)
    if limit > 1:
        return [*events[:1], *events[1 + surplus :]]
    return list(events[surplus:])


def _resource(values: Mapping[str, str]) -> Resource:
    resource = Resource()
    _write(values, resource.attributes, None)
    return resource


class _KeyValues(Protocol):
    """Repeated ``KeyValue`` field of a message."""

    def add(self, *, key: str) -> KeyValue:
        """Append an attribute."""


def _write(values: Mapping[str, AttributeValue], into: _KeyValues, max_length: int | None) -> None:
    """Write attributes in place: building and copying them took half of the time of an export."""
    for name, value in values.items():
        pair = into.add(key=name)
        _write_value(value, pair.value, max_length)


def _write_value(value: AttributeValue, into: AnyValue, max_length: int | None) -> None:
    match value:
        case str():
            into.string_value = value[:max_length]
        case int():
            into.int_value = value
        case tuple():
            # An empty list must stay a list.
            into.array_value.SetInParent()
            for item in value:
                _write_value(item, into.array_value.values.add(), max_length)
