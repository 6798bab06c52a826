"""The composition root: build the parts, start them, wait, drain, stop."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from exporter.config.settings import Settings, Tail
from exporter.config.yaml_document import DocumentError
from exporter.log_tail import LogTail, redactor
from exporter.metrics import exporter_metrics
from exporter.metrics.collector import build_registry
from exporter.metrics.job_metrics import JobMetrics, record_workload_order, workload_order_since_ns
from exporter.metrics.state import MetricState, MetricUpdate, SeriesKey
from exporter.model import SECOND_NS, TelemetrySignal
from exporter.otlp.config import read_config
from exporter.otlp.sampler import TraceSelector
from exporter.otlp.variables import OtelConfigError
from exporter.pipeline.loop import Books, Judging, Pipeline, Tracing
from exporter.pipeline.readiness import Readiness
from exporter.sources.docker.api.adapter import DockerEngine
from exporter.sources.docker.api.address import resolve_address
from exporter.sources.docker.engine import EngineError
from exporter.sources.docker.messages import Inbox
from exporter.sources.docker.track.config import TrackerConfig
from exporter.sources.docker.watch.config import WatchConfig
from exporter.sources.docker.watch.watcher import EngineWatcher
from exporter.store import Store, StoreError
from exporter.store.retention import Retention
from exporter.verdict.reloadable_catalog import ReloadableCatalog
from exporter.web.admin import AdminRoutes, Daemon
from exporter.web.api import Api
from exporter.web.server import ListenError, Server, listen, make_server
from exporter.web.site import site
from exporter.workload import labels_kept

log = structlog.get_logger(__name__)

DRAIN_SECONDS = 5.0
# What is not delivered then waits for the next start.
DELIVER_SECONDS = 2.0


class StartError(Exception):
    """The daemon cannot start; the text says why and what to do."""


class OutboxWorker(Protocol):
    """What is done here with a delivery of ``tracing``, which is imported only where there is one."""

    @property
    def signal(self) -> TelemetrySignal:
        """What it delivers."""

    def start(self) -> None:
        """Begin."""

    def notify(self) -> None:
        """There is something to deliver."""

    def stop(self, seconds: float) -> None:
        """End, within so many seconds."""


@dataclass(frozen=True, slots=True)
class App:
    """All parts of a running daemon."""

    store: Store
    catalog: ReloadableCatalog
    ledger: MetricState
    pipeline: Pipeline
    watches: tuple[EngineWatcher, ...]
    deliveries: tuple[OutboxWorker, ...]
    retention: Retention
    server: Server
    listener: socket.socket


def build(settings: Settings, environment: Mapping[str, str]) -> App:
    """The parts, connected and not yet started. Raises StartError."""
    try:
        catalog = ReloadableCatalog(settings.catalogue.file)
        engines = [
            DockerEngine(address, labels=labels_kept(settings.workload.order))
            for address in dict.fromkeys(
                resolve_address(host, settings.docker.cert_path, environment)
                for host in settings.docker.host or ("",)
            )
        ]
        listener = listen(settings.web.listen_address)
        store = Store(settings.storage.url)
        kept, cursors = store.values(), store.cursors()
        ledger, health, inbox = MetricState(kept), Readiness(), Inbox()
        traced, deliveries = _tracing(settings, environment, store, ledger)
    except (DocumentError, EngineError, ListenError, StoreError, OtelConfigError) as error:
        raise StartError(str(error)) from error
    tail = _log_tail(settings.tail)
    watches = tuple(
        EngineWatcher(engine, inbox, config=WatchConfig(log_tail=tail), cursor=cursors.get(engine.address))
        for engine in engines
    )
    for engine in engines:
        health.trouble(engine.address, "the engine has not answered yet")
    accounts = _accounts(settings, catalog, kept, ledger)
    judging = _judging(
        settings, catalog, store.pruned_before_ns, frozenset(engine.address for engine in engines)
    )
    pipeline = Pipeline(inbox, replace(judging, tracing=traced), Books(store, ledger, accounts), health)
    daemon = Daemon(
        build_registry(ledger), health, catalog, lambda: reload(catalog, ledger), lambda: pipeline.alive
    )
    operations = AdminRoutes(daemon, settings.web.telemetry_path)
    server = make_server(site(Api(store, catalog), operations))
    undelivered = frozenset(TelemetrySignal) - {delivery.signal for delivery in deliveries}
    retention = Retention(store, settings.storage.retention, settings.traces.outbox_age, undelivered)
    return App(store, catalog, ledger, pipeline, watches, deliveries, retention, server, listener)


def run(app: App) -> int:
    """Run until asked to stop; the process's exit code."""
    _introduce(app)
    _handle_signals(app)
    app.pipeline.on_crash(lambda: _end(app))
    try:
        for delivery in app.deliveries:
            delivery.start()
        app.pipeline.start()
    except StoreError as error:
        log.error("cannot start", cause=str(error))  # noqa: TRY400  # its text says all
        return 1
    app.retention.start()
    for watch in app.watches:
        watch.start()
    host, port, *_ = app.listener.getsockname()
    log.info("listening", address=f"{host}:{port}")
    app.server.run(sockets=[app.listener])
    return _stop(app)


def reload(catalog: ReloadableCatalog, ledger: MetricState) -> None:
    """Take the catalogue file anew and say in the metrics how it went. Raises DocumentError."""
    changes = MetricUpdate()
    exporter_metrics.set_reload_failed(changes)
    try:
        catalog.reload()
        exporter_metrics.set_reload_succeeded(changes)
    finally:
        ledger.apply(changes)


def _accounts(
    settings: Settings, catalog: ReloadableCatalog, kept: Mapping[SeriesKey, float], ledger: MetricState
) -> JobMetrics:
    order, changes = ",".join(settings.workload.order), MetricUpdate()
    record_workload_order(order, kept, time.time(), changes)
    ledger.apply(changes)
    return JobMetrics(
        settings.workload.limit,
        catalog.has_code,
        kept,
        idle_ns=int(settings.storage.retention * SECOND_NS),
        since_ns=workload_order_since_ns(ledger, order),
    )


def _judging(
    settings: Settings, catalog: ReloadableCatalog, pruned_before_ns: int, addresses: frozenset[str]
) -> Judging:
    def rules(host: str, has_kernel_counter: bool) -> TrackerConfig:  # noqa: FBT001  # a fact, handed through
        return TrackerConfig(
            host=settings.instance.name or host,
            workload_order=settings.workload.order,
            oom_seconds=settings.exits.oom_wait,
            oom_window_ns=int(settings.exits.oom_window * SECOND_NS),
            stop_window_ns=int(settings.exits.stop_window * SECOND_NS),
            has_kernel_counter=has_kernel_counter,
            retention_ns=int(settings.storage.retention * SECOND_NS),
            pruned_before_ns=pruned_before_ns,
        )

    return Judging(catalog, rules, settings.exits.assume_oom, addresses)


def _log_tail(settings: Tail) -> LogTail | None:
    if not settings.lines:
        return None
    return LogTail(settings.lines, settings.bytes, redactor(settings.redact) if settings.redact else None)


def _tracing(
    settings: Settings, environment: Mapping[str, str], store: Store, ledger: MetricState
) -> tuple[Tracing, tuple[OutboxWorker, ...]]:
    exporting = read_config(environment)
    if not exporting.endpoints:
        log.info("no traces are sent: no endpoint, or turned off")
        _say_what_waits(store, ledger)
        return Tracing(), ()
    # OTLP's messages cost 6 MB: only who sends any bears them.
    from exporter.otlp.factory import build_workers, enabled_signals  # noqa: PLC0415

    posting = build_workers(settings.traces, exporting, store, ledger)

    def posted() -> None:
        for delivery in posting:
            delivery.notify()

    choice = TraceSelector(settings.traces.jobs, exporting.sampler)
    signals = enabled_signals(settings.traces, exporting)
    return Tracing(choice.select if signals else Tracing().trace, signals, posted), posting


def _say_what_waits(store: Store, ledger: MetricState) -> None:
    changes = MetricUpdate()
    for kind in TelemetrySignal:
        waiting = store.outbox.count(kind)
        if waiting:
            exporter_metrics.set_otlp_pending(changes, kind, waiting)
            log.warning(
                "jobs wait to be sent, and traces are turned off or have no endpoint",
                signal=kind.value,
                jobs=waiting,
            )
    ledger.apply(changes)


def _introduce(app: App) -> None:
    """The series that are there from the first scrape on."""
    changes = MetricUpdate()
    exporter_metrics.create_series(changes)
    for watch in app.watches:
        exporter_metrics.create_engine_series(changes, watch.address)
    app.ledger.apply(changes)


def _handle_signals(app: App) -> None:
    def stop(_number: int, _frame: object) -> None:
        if app.server.should_exit:
            # Asked twice: whoever does that wants no more patience.
            os._exit(1)
        app.server.should_exit = True

    def hang_up(_number: int, _frame: object) -> None:
        threading.Thread(target=_reload_quietly, args=(app,), name="reload").start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGHUP, hang_up)


def _reload_quietly(app: App) -> None:
    try:
        reload(app.catalog, app.ledger)
    except DocumentError:
        # Said in the log and in the metrics already; a signal has nobody to answer to.
        return


def _end(app: App) -> None:
    app.server.should_exit = True


def _stop_delivering(deliveries: Iterable[OutboxWorker]) -> None:
    """All at the same time: together they may take no longer than one."""
    threads = [threading.Thread(target=delivery.stop, args=(DELIVER_SECONDS,)) for delivery in deliveries]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _stop(app: App) -> int:
    log.info("stopping")
    for watch in app.watches:
        watch.stop()
    app.retention.stop()
    drained = app.pipeline.stop(DRAIN_SECONDS)
    _stop_delivering(app.deliveries)
    app.store.close()
    log.info("stopped", drained=drained, otlp_pending_jobs=exporter_metrics.otlp_pending(app.ledger))
    return 0 if drained else 1
