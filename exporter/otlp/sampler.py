"""Of which jobs a trace is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from exporter.config.settings import Jobs
from exporter.model import Job, Status, Trace, Verdict
from exporter.otlp.trace_context import parse_traceparent, span_ids_for

# Of the trace id, those that OpenTelemetry's own samplers look at.
_RANDOM_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Sampler:
    """Chooses among those: what a trace's own id decides (``ratio``), unless it has a parent that does."""

    ratio: float = 1.0
    parent_based: bool = False

    def should_sample(self, job: Job, trace: Trace) -> bool:
        """Whether this one is sent."""
        parent = parse_traceparent(job.traceparent) if self.parent_based else None
        if parent is not None:
            return parent.sampled
        return int(trace.trace_id[-_RANDOM_DIGITS:], 16) < self.ratio * float(16**_RANDOM_DIGITS)


RATIO = "ratio"
# By the values of OTEL_TRACES_SAMPLER; what they are made from is OTEL_TRACES_SAMPLER_ARG.
SAMPLERS: Mapping[str, Callable[[float], Sampler]] = {
    "always_on": lambda _: Sampler(),
    "always_off": lambda _: Sampler(0.0),
    "traceidratio": Sampler,
    "parentbased_always_on": lambda _: Sampler(parent_based=True),
    "parentbased_always_off": lambda _: Sampler(0.0, parent_based=True),
    "parentbased_traceidratio": lambda ratio: Sampler(ratio, parent_based=True),
}
_WANTED: Mapping[Jobs, Callable[[Status], bool]] = {
    Jobs.FAILED: lambda status: status is Status.FAILED,
    Jobs.ALL: lambda _: True,
    Jobs.NONE: lambda _: False,
}


@dataclass(frozen=True, slots=True)
class TraceSelector:
    """The trace that is made of a job, if any."""

    jobs: Jobs
    sampler: Sampler = Sampler()

    def select(self, job: Job, verdict: Verdict) -> Trace | None:
        """Its ids; None where none is made."""
        if not _WANTED[self.jobs](verdict.status):
            return None
        trace = span_ids_for(job)
        return trace if self.sampler.should_sample(job, trace) else None
