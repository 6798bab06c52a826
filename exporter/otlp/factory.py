"""The tracing side put together: which signals are sent where, and what each says of a job."""

from __future__ import annotations

import os
from importlib.util import find_spec

import structlog

from exporter import __version__
from exporter.config.settings import Events, Jobs, Traces
from exporter.metrics.state import MetricState
from exporter.model import TelemetrySignal
from exporter.otlp.client import Collector
from exporter.otlp.config import OtelConfig
from exporter.otlp.encoding import Form, LogRecords, Spans
from exporter.otlp.endpoint import OtlpEndpoint, Protocol
from exporter.otlp.http_client import OtlpHttpClient
from exporter.otlp.outbox_worker import OutboxWorker, Patience
from exporter.otlp.variables import TracingError
from exporter.store import Store

log = structlog.get_logger(__name__)


def wanted(settings: Traces, exporting: OtelConfig) -> frozenset[TelemetrySignal]:
    """The signals that are sent of every traced job from now on. Raises TracingError."""
    if settings.jobs is Jobs.NONE or not exporting.targets:
        return frozenset()
    if settings.events is Events.SPANS:
        if TelemetrySignal.TRACES not in exporting.targets:
            log.warning("nothing is sent: only logs have an endpoint, and traces.events is spans")
        return frozenset(exporting.targets) & {TelemetrySignal.TRACES}
    if TelemetrySignal.LOGS not in exporting.targets:
        raise TracingError(
            f"traces.events is {settings.events}, and logs go nowhere: set OTEL_EXPORTER_OTLP_ENDPOINT or "
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT, and no OTEL_LOGS_EXPORTER=none"
        )
    return frozenset(exporting.targets)


def deliveries(
    settings: Traces, exporting: OtelConfig, store: Store, ledger: MetricState
) -> tuple[OutboxWorker, ...]:
    """One for each signal that is wanted or has been posted before. Raises TracingError and StoreError."""
    store.outbox.reopen()
    left = {signal for signal in TelemetrySignal if store.outbox.count(signal)}
    for signal in left - set(exporting.targets):
        log.warning("what waits to be sent stays: no endpoint says where to", signal=signal.value)
    patience = Patience(letters=settings.outbox_limit, age=settings.outbox_age)
    return tuple(
        OutboxWorker(
            _form(signal, settings, exporting, store), _collector(target), store.outbox, ledger, patience
        )
        for signal, target in exporting.targets.items()
        if signal in wanted(settings, exporting) | left
    )


def _form(signal: TelemetrySignal, settings: Traces, exporting: OtelConfig, store: Store) -> Form:
    resource = {
        "service.version": __version__,
        "service.instance.id": store.instance_id,
        **exporting.resource,
    }
    if signal is TelemetrySignal.LOGS:
        return LogRecords(resource, exporting.limits)
    return Spans(resource, exporting.limits, with_events=settings.events is not Events.LOGS)


def _collector(target: OtlpEndpoint) -> Collector:
    if target.protocol is Protocol.HTTP:
        return OtlpHttpClient(target)
    if find_spec("grpc") is None:
        raise TracingError(
            "OTEL_EXPORTER_OTLP_PROTOCOL=grpc needs the extra: pip install 'exit-exporter[grpc]'"
        )
    # Its own lines on standard error would stand between ours, in a form of their own.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # It costs 13 MB: only who asks for it bears them.
    from exporter.otlp.grpc_client import OtlpGrpcClient  # noqa: PLC0415

    return OtlpGrpcClient(target)
