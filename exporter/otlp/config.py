"""All that the standard ``OTEL_…`` variables ask for.

Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter.model import TelemetrySignal
from exporter.otlp.endpoint import OtlpEndpoint, target
from exporter.otlp.sampler import RATIO, SAMPLERS, Sampler
from exporter.otlp.variables import PAIRS, Variables, number, pairs

SERVICE = "exit-exporter"
_DEFAULT_EVENTS = 128
_LENGTH_LIMITS = ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")
_SAMPLER, _SAMPLER_ARG = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"


@dataclass(frozen=True, slots=True)
class SpanLimits:
    """How much a span may have: events, and characters in a text (None: any)."""

    events: int = _DEFAULT_EVENTS
    text: int | None = None


@dataclass(frozen=True, slots=True)
class OtelConfig:
    """All that the variables ask for; a signal that has no target is not sent."""

    endpoints: Mapping[TelemetrySignal, OtlpEndpoint] = field(default_factory=dict)
    sampler: Sampler = field(default_factory=Sampler)
    resource: Mapping[str, str] = field(default_factory=dict)
    limits: SpanLimits = field(default_factory=SpanLimits)


def read_config(environment: Mapping[str, str]) -> OtelConfig:
    """What is asked for; no endpoint asks for nothing. Raises OtelConfigError."""
    variables = Variables(environment)
    if variables.is_true("OTEL_SDK_DISABLED"):
        return OtelConfig()
    endpoints = {signal: target(signal, variables) for signal in TelemetrySignal}
    return OtelConfig(
        {signal: found for signal, found in endpoints.items() if found is not None},
        _sampler(variables),
        _resource(variables),
        _limits(variables),
    )


def _sampler(variables: Variables) -> Sampler:
    name = variables.known(_SAMPLER, SAMPLERS)
    if name is None:
        # Not parentbased_always_on, as elsewhere: whoever decided against the parent did not know that the
        # job would fail.
        return Sampler()
    return SAMPLERS[name](_ratio(variables) if RATIO in name else 1.0)


def _ratio(variables: Variables) -> float:
    text = variables.get(_SAMPLER_ARG) or "1"
    ratio = number(text)
    if ratio is None or not 0 <= ratio <= 1:
        variables.ignored(_SAMPLER_ARG, text, "a number from 0 to 1")
        return 1.0
    return ratio


def _resource(variables: Variables) -> dict[str, str]:
    name, text = "OTEL_RESOURCE_ATTRIBUTES", variables.get("OTEL_RESOURCE_ATTRIBUTES") or ""
    given = pairs(text)
    if given is None:
        variables.ignored(name, text, PAIRS)
    service = variables.get("OTEL_SERVICE_NAME")
    return {"service.name": SERVICE, **dict(given or ()), **({"service.name": service} if service else {})}


def _limits(variables: Variables) -> SpanLimits:
    events = variables.count("OTEL_SPAN_EVENT_COUNT_LIMIT")
    longest = variables.count(variables.first(*_LENGTH_LIMITS))
    return SpanLimits(_DEFAULT_EVENTS if events is None else events, longest)
