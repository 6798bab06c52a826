"""Configuration by the standard ``OTEL_…`` variables.

See https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter.model import TelemetrySignal
from exporter.otlp.endpoint import OtlpEndpoint, read_endpoint
from exporter.otlp.sampler import RATIO, SAMPLERS, Sampler
from exporter.otlp.variables import PAIRS, Variables, parse_number, parse_pairs

DEFAULT_SERVICE = "exit-exporter"
_DEFAULT_EVENTS = 128
_LENGTH_LIMITS = ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")
_RESOURCE = "OTEL_RESOURCE_ATTRIBUTES"
_SAMPLER, _SAMPLER_ARG = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"


@dataclass(frozen=True, slots=True)
class SpanLimits:
    """Limits of a span: number of events, and characters in a text (None: no limit)."""

    events: int = _DEFAULT_EVENTS
    text_length: int | None = None


@dataclass(frozen=True, slots=True)
class OtelConfig:
    """Values of the variables; a signal without an endpoint is not exported."""

    endpoints: Mapping[TelemetrySignal, OtlpEndpoint] = field(default_factory=dict)
    sampler: Sampler = field(default_factory=Sampler)
    resource: Mapping[str, str] = field(default_factory=dict)
    limits: SpanLimits = field(default_factory=SpanLimits)


def read_config(environment: Mapping[str, str]) -> OtelConfig:
    """Read the variables; without an endpoint nothing is exported. Raises OtelConfigError."""
    variables = Variables(environment)
    if variables.is_true("OTEL_SDK_DISABLED"):
        return OtelConfig()
    endpoints = {signal: read_endpoint(signal, variables) for signal in TelemetrySignal}
    return OtelConfig(
        {signal: endpoint for signal, endpoint in endpoints.items() if endpoint is not None},
        _sampler(variables),
        _resource(variables),
        _limits(variables),
    )


def _sampler(variables: Variables) -> Sampler:
    name = variables.choice(_SAMPLER, SAMPLERS)
    if name is None:
        # Not parentbased_always_on, OpenTelemetry's default: when the parent was not sampled, nobody knew
        # that the job would fail.
        return Sampler()
    return SAMPLERS[name](_ratio(variables) if RATIO in name else 1.0)


def _ratio(variables: Variables) -> float:
    text = variables.get(_SAMPLER_ARG) or "1"
    ratio = parse_number(text)
    if ratio is None or not 0 <= ratio <= 1:
        variables.warn_ignored(_SAMPLER_ARG, text, "a number from 0 to 1")
        return 1.0
    return ratio


def _resource(variables: Variables) -> dict[str, str]:
    text = variables.get(_RESOURCE) or ""
    attributes = parse_pairs(text)
    if attributes is None:
        variables.warn_ignored(_RESOURCE, text, PAIRS)
    resource = {"service.name": DEFAULT_SERVICE, **dict(attributes or ())}
    service = variables.get("OTEL_SERVICE_NAME")
    return {**resource, "service.name": service} if service else resource


def _limits(variables: Variables) -> SpanLimits:
    events = variables.count("OTEL_SPAN_EVENT_COUNT_LIMIT")
    text_length = variables.count(variables.first_set(*_LENGTH_LIMITS))
    return SpanLimits(_DEFAULT_EVENTS if events is None else events, text_length)
