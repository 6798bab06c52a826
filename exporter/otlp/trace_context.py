"""Ids of a job's span, derived from the job: they are the same each time, also after a crash.

The form of the label is W3C Trace Context, https://www.w3.org/TR/trace-context/#traceparent-header.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from exporter.model import Job, Trace

_VERSION_0 = "00"
# Later versions may have more fields after the flags; version ff is invalid.
_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = 0x01
_TRACE_BYTES, _SPAN_BYTES = 16, 8


@dataclass(frozen=True, slots=True)
class SpanContext:
    """Span that launched a job; ``sampled``: its trace is recorded."""

    trace_id: str
    span_id: str
    sampled: bool


def parse_traceparent(traceparent: str) -> SpanContext | None:
    """Return the span that a ``traceparent`` names, None if it is invalid."""
    found = _TRACEPARENT.fullmatch(traceparent.strip())
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if (version == _VERSION_0 and more) or not int(trace_id, 16) or not int(span_id, 16):
        return None
    return SpanContext(trace_id, span_id, bool(int(flags, 16) & _SAMPLED))


def span_ids_for(job: Job) -> Trace:
    """Return the ids of a job's span: in the trace that launched it, else in one of its own."""
    # The run's number is not used: it starts from 1 again when the container's old rows are deleted. Jobs
    # that were stored by versions without ``key`` keep their ids.
    run = job.key or job.start_event_ns
    digest = hashlib.sha256(f"exit-exporter job {job.container_id} {run}".encode()).digest()
    own, span_id = digest[:_TRACE_BYTES].hex(), digest[_TRACE_BYTES:][:_SPAN_BYTES].hex()
    parent = parse_traceparent(job.traceparent)
    return Trace(own, span_id) if parent is None else Trace(parent.trace_id, span_id, parent.span_id)
