"""Build the export workers: which signals are exported, where to, and in which form."""

from __future__ import annotations

import os
from importlib.util import find_spec

import structlog

from exporter import __version__
from exporter.config.settings import EventOutput, TracedJobs, TraceSettings
from exporter.metrics.state import MetricState
from exporter.model import TelemetrySignal
from exporter.otlp.client import OtlpClient
from exporter.otlp.config import OtelConfig
from exporter.otlp.encoding import Encoder, LogEncoder, SpanEncoder
from exporter.otlp.endpoint import OtlpEndpoint, OtlpProtocol
from exporter.otlp.http_client import OtlpHttpClient
from exporter.otlp.outbox_queue import OutboxQueue, QueueLimits
from exporter.otlp.outbox_worker import OutboxWorker
from exporter.otlp.variables import OtelConfigError
from exporter.store import Store

log = structlog.get_logger(__name__)


def enabled_signals(settings: TraceSettings, config: OtelConfig) -> frozenset[TelemetrySignal]:
    """Return the signals that are exported of each traced job. Raises OtelConfigError."""
    if settings.jobs is TracedJobs.NONE or not config.endpoints:
        return frozenset()
    if settings.events is EventOutput.SPANS:
        if TelemetrySignal.TRACES not in config.endpoints:
            log.warning("nothing is exported: only logs have an endpoint, and traces.events is spans")
        return frozenset(config.endpoints) & {TelemetrySignal.TRACES}
    if TelemetrySignal.LOGS not in config.endpoints:
        raise OtelConfigError(
            f"traces.events is {settings.events}, but logs have no endpoint: set "
            "OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_LOGS_ENDPOINT, and no OTEL_LOGS_EXPORTER=none"
        )
    return frozenset(config.endpoints)


def build_workers(
    settings: TraceSettings, config: OtelConfig, store: Store, state: MetricState
) -> tuple[OutboxWorker, ...]:
    """Return a worker for each signal that is enabled or has entries left from earlier runs.

    Raises OtelConfigError and StoreError.
    """
    store.outbox.requeue_dead_letters()
    left = {signal for signal in TelemetrySignal if store.outbox.count_pending(signal)}
    for signal in left - set(config.endpoints):
        log.warning("pending telemetry kept: no OTLP endpoint configured", signal=signal.value)
    limits = QueueLimits(settings.outbox_limit, settings.outbox_age)
    return tuple(
        OutboxWorker(
            _encoder(signal, settings, config, store),
            _client(endpoint),
            OutboxQueue(signal, store.outbox, state, limits),
        )
        for signal, endpoint in config.endpoints.items()
        if signal in enabled_signals(settings, config) | left
    )


def _encoder(signal: TelemetrySignal, settings: TraceSettings, config: OtelConfig, store: Store) -> Encoder:
    resource = {
        "service.version": __version__,
        "service.instance.id": store.instance_id,
        **config.resource,
    }
    if signal is TelemetrySignal.LOGS:
        return LogEncoder(resource, config.limits)
    return SpanEncoder(resource, config.limits, with_events=settings.events is not EventOutput.LOGS)


def _client(endpoint: OtlpEndpoint) -> OtlpClient:
    if endpoint.protocol is OtlpProtocol.HTTP:
        return OtlpHttpClient(endpoint)
    if find_spec("grpc") is None:
        raise OtelConfigError(
            "OTEL_EXPORTER_OTLP_PROTOCOL=grpc needs the extra: pip install 'exit-exporter[grpc]'"
        )
    # gRPC's own lines on standard error would mix with the exporter's log, in another format.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # Imported only if used: it costs 13 MB.
    from exporter.otlp.grpc_client import OtlpGrpcClient  # noqa: PLC0415

    return OtlpGrpcClient(endpoint)
