"""Which span a job is. Pure: whoever asks again, also after a crash, gets the same ids.

Source of the label's form: W3C Trace Context, https://www.w3.org/TR/trace-context/#traceparent-header.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from exporter.model import Job, Trace

_VERSION_0 = "00"
# Later versions may have more behind the flags; ff is none.
_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = 0x01
_TRACE_BYTES, _SPAN_BYTES = 16, 8


@dataclass(frozen=True, slots=True)
class SpanContext:
    """The span that launched a job; ``sampled`` says that its own trace is recorded."""

    trace_id: str
    span_id: str
    sampled: bool


def parse_traceparent(traceparent: str) -> SpanContext | None:
    """The span that a ``traceparent`` names; None where it is not one."""
    found = _TRACEPARENT.fullmatch(traceparent.strip())
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if (version == _VERSION_0 and more) or not int(trace_id, 16) or not int(span_id, 16):
        return None
    return SpanContext(trace_id, span_id, bool(int(flags, 16) & _SAMPLED))


def span_ids_for(job: Job) -> Trace:
    """The span of a job: in the trace that launched it, else in one of its own."""
    # Not of the attempt: those of a container are counted from 1 again once its old rows are deleted. Jobs
    # on record since before there was a key keep their ids.
    run = job.key or job.began_ns
    digest = hashlib.sha256(f"exit-exporter job {job.container_id} {run}".encode()).digest()
    own, span_id = digest[:_TRACE_BYTES].hex(), digest[_TRACE_BYTES:][:_SPAN_BYTES].hex()
    parent = parse_traceparent(job.traceparent)
    return Trace(own, span_id) if parent is None else Trace(parent.trace_id, span_id, parent.span_id)
