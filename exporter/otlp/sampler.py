"""Selection of the jobs that get a trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from exporter.config.settings import TracedJobs
from exporter.model import Job, Status, TelemetrySignal, Trace, Verdict
from exporter.otlp.trace_context import parse_traceparent, span_ids_for

# OpenTelemetry's own samplers look at these last digits of the trace id.
_RANDOM_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Sampler:
    """Samples a share of the traces by their ids; ``parent_based``: a parent's decision comes first."""

    ratio: float = 1.0
    parent_based: bool = False

    def should_sample(self, job: Job, trace: Trace) -> bool:
        """Return whether the trace of this job is exported."""
        parent = parse_traceparent(job.traceparent) if self.parent_based else None
        if parent is not None:
            return parent.sampled
        return int(trace.trace_id[-_RANDOM_DIGITS:], 16) < self.ratio * float(16**_RANDOM_DIGITS)


RATIO = "ratio"
# By the values of OTEL_TRACES_SAMPLER; the argument is OTEL_TRACES_SAMPLER_ARG.
SAMPLERS: Mapping[str, Callable[[float], Sampler]] = {
    "always_on": lambda _: Sampler(),
    "always_off": lambda _: Sampler(0.0),
    "traceidratio": Sampler,
    "parentbased_always_on": lambda _: Sampler(parent_based=True),
    "parentbased_always_off": lambda _: Sampler(0.0, parent_based=True),
    "parentbased_traceidratio": lambda ratio: Sampler(ratio, parent_based=True),
}


@dataclass(frozen=True, slots=True)
class TraceSelector:
    """Selects the jobs that are exported, by status and then by sampler; ``signals`` are exported of each."""

    jobs: TracedJobs
    sampler: Sampler = Sampler()
    signals: frozenset[TelemetrySignal] = frozenset(TelemetrySignal)

    def select(self, job: Job, verdict: Verdict) -> Trace | None:
        """Return the ids of the job's span, or None if it gets no span."""
        if not self._has_status(verdict.status):
            return None
        trace = span_ids_for(job)
        return trace if self.sampler.should_sample(job, trace) else None

    def _has_status(self, status: Status) -> bool:
        match self.jobs:
            case TracedJobs.ALL:
                return True
            case TracedJobs.FAILED:
                return status is Status.FAILED
            case TracedJobs.NONE:
                return False
