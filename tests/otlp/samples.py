"""Traced jobs, and requests with them."""

from dataclasses import replace

from exporter.model import ClassifiedExit, TelemetrySignal, Trace
from exporter.otlp.config import SpanLimits
from exporter.otlp.encoding import Encoder, ExportRequest, LogEncoder, SpanEncoder
from tests.store.samples import OOM, ended, job

PARENT_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT_SPAN = "00f067aa0ba902b7"
TRACEPARENT = f"00-{PARENT_TRACE}-{PARENT_SPAN}-01"
NO_LIMITS = SpanLimits()
OBSERVED_NS = 4_102_531_200 * 10**9
"""2100-01-02T00:00:00Z, after all that happens to the jobs."""


def traced(classified: ClassifiedExit, trace: Trace | None = None) -> ClassifiedExit:
    """Return an exit with a trace whose ids are the digit of its container."""
    digit = classified.exit.job.container_id[0]
    return replace(classified, trace=trace or Trace(digit * 32, digit * 16))


def request(
    signal: TelemetrySignal = TelemetrySignal.TRACES, digits: str = "a", name: str = "gentle-stingray"
) -> ExportRequest:
    """Return a request with a job killed for memory for each digit."""
    encoder: Encoder = (SpanEncoder if signal is TelemetrySignal.TRACES else LogEncoder)(
        {"service.name": "test"}, NO_LIMITS
    )
    exits = [traced(ended(job(digit, name=name), 137, OOM)) for digit in digits]
    return encoder.request([item for each in exits for item in encoder.items(each, OBSERVED_NS)])
