"""Content of OTLP requests, flattened."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ReceivedSpan:
    """Span with its resource and scope; ids in hex, attributes as Python values, bytes as bytes."""

    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    kind: int
    start_ns: int
    end_ns: int
    status_code: int
    status_message: str
    attributes: dict[str, Any]
    events: list[tuple[str, int, dict[str, Any]]]
    dropped_events: int
    resource: dict[str, Any]
    scope: str
    flags: int


@dataclass(frozen=True)
class ReceivedRecord:
    """Log record with its resource and scope; ids in hex, empty without a span."""

    event_name: str
    time_ns: int
    observed_ns: int
    severity_number: int
    body: Any
    attributes: dict[str, Any]
    trace_id: str
    span_id: str
    resource: dict[str, Any]
    scope: str


@dataclass(frozen=True)
class Batch:
    """Content of one request."""

    spans: list[ReceivedSpan] = field(default_factory=list)
    records: list[ReceivedRecord] = field(default_factory=list)


@dataclass(frozen=True)
class ReceivedRequest:
    """Request, whatever the reply was; header names in lower case, size as sent."""

    method: str
    path: str
    headers: Mapping[str, str]
    spans: int
    records: int
    size: int
    moment: float = field(default_factory=time.monotonic)


def traces(request: Any) -> Batch:
    """Flatten an ExportTraceServiceRequest."""
    return Batch(
        spans=[
            received_span(span, decoded(group.resource.attributes), scoped.scope.name)
            for group in request.resource_spans
            for scoped in group.scope_spans
            for span in scoped.spans
        ]
    )


def logs(request: Any) -> Batch:
    """Flatten an ExportLogsServiceRequest."""
    return Batch(
        records=[
            received_record(record, decoded(group.resource.attributes), scoped.scope.name)
            for group in request.resource_logs
            for scoped in group.scope_logs
            for record in scoped.log_records
        ]
    )


def received_span(span: Any, resource: dict[str, Any], scope: str) -> ReceivedSpan:
    """Flatten one span."""
    return ReceivedSpan(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_span_id=span.parent_span_id.hex(),
        name=span.name,
        kind=span.kind,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        status_code=span.status.code,
        status_message=span.status.message,
        attributes=decoded(span.attributes),
        events=[(event.name, event.time_unix_nano, decoded(event.attributes)) for event in span.events],
        dropped_events=span.dropped_events_count,
        resource=resource,
        scope=scope,
        flags=span.flags,
    )


def received_record(record: Any, resource: dict[str, Any], scope: str) -> ReceivedRecord:
    """Flatten one log record."""
    return ReceivedRecord(
        event_name=record.event_name,
        time_ns=record.time_unix_nano,
        observed_ns=record.observed_time_unix_nano,
        severity_number=record.severity_number,
        body=value(record.body),
        attributes=decoded(record.attributes),
        trace_id=record.trace_id.hex(),
        span_id=record.span_id.hex(),
        resource=resource,
        scope=scope,
    )


def decoded(attributes: Iterable[Any]) -> dict[str, Any]:
    """Return attributes as a mapping; of equal keys, the last."""
    return {attribute.key: value(attribute.value) for attribute in attributes}


def value(any_value: Any) -> Any:
    """Return the Python value of an AnyValue, or None."""
    match any_value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [value(each) for each in any_value.array_value.values]
        case "kvlist_value":
            return decoded(any_value.kvlist_value.values)
        case name:
            return getattr(any_value, name)
