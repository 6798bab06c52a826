"""Jobs as OTLP has them: requests for a collector, and what its responses say. Pure.

Source: the protocol's own messages, as ``opentelemetry-proto`` has them, and
https://opentelemetry.io/docs/specs/otlp/.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from exporter.model import ClassifiedExit, TelemetrySignal, Trace
from exporter.model import Status as JobStatus
from exporter.otlp.attributes import job_attributes
from exporter.otlp.config import SpanLimits
from exporter.otlp.span_events import AttributeValue, SpanEvent, span_events

SPAN_NAME = "container.run"
_SAMPLED = 0x01
_SCOPE = InstrumentationScope(name="exit-exporter", version=__version__)
# Of its job, a log record bears these beside what has happened; the span bears all.
_LOG_ATTRIBUTES = (
    "container.id",
    "container.name",
    "container.image.name",
    "host.name",
    "exit_exporter.workload",
)


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What a collector is sent: ``items`` spans or log records in one message."""

    signal: TelemetrySignal
    message: Message
    items: int


@dataclass(frozen=True, slots=True)
class ExportResponse:
    """What a collector says: how many items it rejected for good, and a message for people."""

    rejected: int
    message: str


class Encoder(Protocol):
    """One signal's form of a job that has a trace."""

    signal: TelemetrySignal

    def items(self, judged: ClassifiedExit) -> Sequence[Message]:
        """What is to be sent of it."""

    def request(self, items: Sequence[Message]) -> ExportRequest:
        """A request with what is to be sent of several."""


class SpanEncoder:
    """A job is one span. ``resource`` says who sends it; ``with_events``: what has happened is in it."""

    signal = TelemetrySignal.TRACES

    def __init__(self, resource: Mapping[str, str], limits: SpanLimits, *, with_events: bool = True) -> None:
        self._resource = _resource(resource)
        self._limits = limits
        self._with_events = with_events

    def items(self, judged: ClassifiedExit) -> list[Span]:
        """The span."""
        ended, trace = judged.exit, _trace(judged)
        events = span_events(judged) if self._with_events else []
        kept = _limited(events, self._limits.events)
        started_ns = ended.job.began_ns if ended.job.started_ns is None else ended.job.started_ns
        span = Span(
            trace_id=bytes.fromhex(trace.trace_id),
            span_id=bytes.fromhex(trace.span_id),
            parent_span_id=bytes.fromhex(trace.parent_span_id or ""),
            flags=_flags(trace),
            name=SPAN_NAME,
            kind=Span.SPAN_KIND_INTERNAL,
            # An engine's clock may have been set back in the middle of a job.
            start_time_unix_nano=max(0, started_ns),
            end_time_unix_nano=max(0, started_ns, ended.finished_ns),
            dropped_events_count=len(events) - len(kept),
            status=_status(judged),
        )
        _write(job_attributes(judged), span.attributes, self._limits.text)
        for happening in kept:
            event = span.events.add(name=happening.name, time_unix_nano=max(0, happening.at_ns))
            _write(happening.attributes, event.attributes, self._limits.text)
        return [span]

    def request(self, items: Sequence[Message]) -> ExportRequest:
        """A request with these spans."""
        message = trace_service.ExportTraceServiceRequest()
        of_resource = message.resource_spans.add(resource=self._resource)
        of_resource.scope_spans.add(scope=_SCOPE).spans.extend(cast("Sequence[Span]", items))
        return ExportRequest(self.signal, message, len(items))


class LogEncoder:
    """What has happened in a job is a log record each, which names the job's span."""

    signal = TelemetrySignal.LOGS

    def __init__(self, resource: Mapping[str, str], limits: SpanLimits) -> None:
        self._resource = _resource(resource)
        self._limits = limits

    def items(self, judged: ClassifiedExit) -> list[LogRecord]:
        """The log records, in the order of their time."""
        known = job_attributes(judged)
        whose = {name: known[name] for name in _LOG_ATTRIBUTES if name in known}
        return [self._record(judged, happening, whose) for happening in span_events(judged)]

    def request(self, items: Sequence[Message]) -> ExportRequest:
        """A request with these log records."""
        message = logs_service.ExportLogsServiceRequest()
        of_resource = message.resource_logs.add(resource=self._resource)
        of_resource.scope_logs.add(scope=_SCOPE).log_records.extend(cast("Sequence[LogRecord]", items))
        return ExportRequest(self.signal, message, len(items))

    def _record(
        self, judged: ClassifiedExit, happening: SpanEvent, whose: Mapping[str, AttributeValue]
    ) -> LogRecord:
        trace = _trace(judged)
        record = LogRecord(
            time_unix_nano=max(0, happening.at_ns),
            observed_time_unix_nano=max(0, happening.at_ns),
            severity_text=happening.severity.name,
            event_name=happening.name,
            trace_id=bytes.fromhex(trace.trace_id),
            span_id=bytes.fromhex(trace.span_id),
            flags=_SAMPLED,
        )
        _write({**whose, **happening.attributes}, record.attributes, self._limits.text)
        record.severity_number = happening.severity.value  # type: ignore[assignment]  # the same numbers
        record.body.string_value = happening.text
        return record


def parse_response(signal: TelemetrySignal, body: bytes) -> ExportResponse:
    """A response in the protocol's own form. Raises DecodeError where it is none."""
    return _READERS[signal](body)


def _read_traces(body: bytes) -> ExportResponse:
    partial = trace_service.ExportTraceServiceResponse.FromString(body).partial_success
    return ExportResponse(partial.rejected_spans, partial.error_message)


def _read_logs(body: bytes) -> ExportResponse:
    partial = logs_service.ExportLogsServiceResponse.FromString(body).partial_success
    return ExportResponse(partial.rejected_log_records, partial.error_message)


_READERS: Mapping[TelemetrySignal, Callable[[bytes], ExportResponse]] = {
    TelemetrySignal.TRACES: _read_traces,
    TelemetrySignal.LOGS: _read_logs,
}


def _trace(judged: ClassifiedExit) -> Trace:
    if judged.trace is None:
        raise ValueError(f"no trace was made of {judged.exit.job.id}")
    return judged.trace


def _flags(trace: Trace) -> int:
    remote = SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK if trace.parent_span_id else 0
    return _SAMPLED | SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK | remote


def _status(judged: ClassifiedExit) -> Status:
    """An error is what failed; what was asked to stop did what it should."""
    if judged.verdict.status is not JobStatus.FAILED:
        return Status()
    return Status(code=Status.STATUS_CODE_ERROR, message=judged.verdict.error or "")


def _limited(happened: Sequence[SpanEvent], most: int) -> list[SpanEvent]:
    """The beginning and the latest: of many, the oldest between them tell least."""
    surplus = len(happened) - most
    if surplus <= 0:
        return list(happened)
    return [*happened[:1], *happened[1 + surplus :]] if most > 1 else list(happened[len(happened) - most :])


def _resource(values: Mapping[str, str]) -> Resource:
    resource = Resource()
    _write(values, resource.attributes, None)
    return resource


class _KeyValues(Protocol):
    """The attributes of a message."""

    def add(self, *, key: str) -> KeyValue:
        """One more."""


def _write(values: Mapping[str, AttributeValue], into: _KeyValues, longest: int | None) -> None:
    """Write attributes down in place: made first and copied then, they cost half of what sending does."""
    for name, value in values.items():
        pair = into.add(key=name)
        _write_value(value, pair.value, longest)


def _write_value(value: AttributeValue, into: AnyValue, longest: int | None) -> None:
    match value:
        case str():
            into.string_value = value[:longest]
        case int():
            into.int_value = value
        case tuple():
            # Also without items it is a list.
            into.array_value.SetInParent()
            for item in value:
                _write_value(item, into.array_value.values.add(), longest)
