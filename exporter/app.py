"""The composition root: build the parts, start them, wait, drain, stop."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from starlette.applications import Starlette

from exporter import garbage_collection
from exporter.config.log_writer import LogWriter
from exporter.config.settings import Settings, WebSettings
from exporter.config.yaml_document import DocumentError
from exporter.metrics import exporter_metrics
from exporter.metrics.job_metrics import JobMetrics, record_workload_order, workload_order_since_ns
from exporter.metrics.scrapers import Scrapers
from exporter.metrics.state import MetricState
from exporter.metrics.update import MetricUpdate
from exporter.model import SECOND_NS, SeriesKey, TelemetrySignal
from exporter.otlp.config import read_config
from exporter.otlp.sampler import TraceSelector
from exporter.otlp.variables import OtelConfigError
from exporter.pipeline.classifier import Classifier
from exporter.pipeline.loop import Pipeline
from exporter.pipeline.readiness import Readiness
from exporter.pipeline.recorder import Recorder
from exporter.pipeline.records import StoredRecords
from exporter.pipeline.sources import ConnectedSources
from exporter.pipeline.standstill import Progress, StandstillWatch
from exporter.redaction import Redactor
from exporter.sources.docker.source import docker_sources
from exporter.sources.dstack.problems import Problem
from exporter.sources.dstack.source import dstack_server, submission_tracker
from exporter.sources.source import Inbox, Source, SourceError
from exporter.store import Store, StoreError
from exporter.store.file_check import FileCheck
from exporter.store.integrity_check import IntegrityCheck
from exporter.store.retention import Retention
from exporter.thread_deaths import ThreadDeaths
from exporter.verdict.reloadable_catalog import ReloadableCatalog
from exporter.web.admin import AdminRoutes
from exporter.web.api import Api
from exporter.web.change_feed import ChangeFeed
from exporter.web.endpoints import Endpoint
from exporter.web.host_check import allowed_hosts
from exporter.web.listening import Listener, ListenError, inherited_listeners, open_listeners
from exporter.web.live_config import LiveWebConfig
from exporter.web.metrics import MetricsRoutes
from exporter.web.migration_notice import MigrationNotice
from exporter.web.page.options import PageOptions
from exporter.web.page.routes import PageRoutes
from exporter.web.server import Server, create_app, create_server
from exporter.web.service_manager import STOPPING, ServiceManager
from exporter.web.stream import StreamRoutes
from exporter.web.summary import SummaryApi

if TYPE_CHECKING:
    from exporter.otlp.outbox_worker import OutboxWorker
    from exporter.sources.dstack.server import DstackServer

log = structlog.get_logger(__name__)

DRAIN_SECONDS = 5.0
# Telemetry that is not exported by then waits in the outbox for the next start.
EXPORT_SECONDS = 2.0
# For how many of the longest intervals of scrapes an idle connection stays open.
KEEP_ALIVE_INTERVALS = 1.5


class StartError(Exception):
    """The daemon cannot start; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class App:
    """All parts of a running daemon."""

    store: Store
    catalog: ReloadableCatalog
    metric_state: MetricState
    pipeline: Pipeline
    standstill: StandstillWatch
    sources: tuple[Source, ...]
    dstack: DstackServer | None
    workers: tuple[OutboxWorker, ...]
    retention: Retention
    feed: ChangeFeed
    server: Server
    web_config: LiveWebConfig | None
    manager: ServiceManager
    listeners: tuple[Listener, ...]


def build(settings: Settings, environment: Mapping[str, str]) -> App:
    """Return the parts, connected and not yet started. Raises StartError."""
    inbox = Inbox()
    try:
        catalog = ReloadableCatalog(settings.catalogue.file)
        web_config = LiveWebConfig(settings.web.config_file) if settings.web.config_file else None
        sources = docker_sources(settings, environment, inbox)
        dstack = dstack_server(settings, environment, inbox)
        listeners = _listen(settings.web)
        notice = MigrationNotice(listeners, web_config, ServiceManager(environment, lambda: True).say)
        store = _open_store(settings.storage.path, notice)
        kept = store.series()
        scrapers = Scrapers(settings.metrics.max_scrape_interval, store.scrape_interval())
        metric_state = MetricState(kept, store.shown_series(), scrapers)
        cursors = store.cursors()
        selector, workers = _telemetry(settings, environment, store, metric_state)
    except (DocumentError, SourceError, StoreError, OtelConfigError) as error:
        raise StartError(str(error)) from error
    readiness, stopping, progress = Readiness(Redactor(environment)), threading.Event(), Progress()
    for source in sources:
        readiness.set_unready(source.address, "the engine has not answered yet")
    classifier = Classifier(catalog, selector, assume_oom=settings.exits.assume_oom)
    job_metrics = _job_metrics(settings, catalog, kept, metric_state)
    recorder = Recorder(store, metric_state, job_metrics, classifier, readiness)
    recorder.on_enqueued(lambda: _notify(workers))
    records = StoredRecords(store, recorder, stopping, progress)
    connected = ConnectedSources(sources, records, metric_state, readiness)
    if dstack is not None:
        tracker = submission_tracker(settings, dstack, records, cursors.get(dstack.address))
        connected.add_server(dstack.address, tracker)
    pipeline = Pipeline(inbox, connected, recorder, stopping, progress)
    feed = ChangeFeed(store, catalog)
    recorder.on_committed(feed.notify)
    api, stream = Api(store, catalog), StreamRoutes(feed, catalog, metric_state)
    scrape = MetricsRoutes(metric_state, settings.web.telemetry_path)
    admin = AdminRoutes(
        readiness,
        catalog,
        lambda: reload(catalog, metric_state),
        lambda: pipeline.alive,
        lifecycle=settings.web.enable_lifecycle,
    )
    page = PageRoutes(store, catalog, readiness, _page_options(settings))
    parts = (api, stream, SummaryApi(store), scrape, admin)
    endpoints = [endpoint for part in parts for endpoint in part.endpoints()]
    keep_alive = KEEP_ALIVE_INTERVALS * settings.metrics.max_scrape_interval
    manager = ServiceManager(environment, lambda: pipeline.alive)
    server = create_server(
        _web_app(endpoints, page, settings.web, listeners),
        lambda: _end_answers(feed, store),
        web_config=web_config,
        manager=manager,
        keep_alive_seconds=keep_alive,
        telemetry_path=settings.web.telemetry_path,
    )
    without_worker = frozenset(TelemetrySignal) - {worker.signal for worker in workers}
    retention = Retention(store, settings.storage.retention, settings.traces.outbox_age, without_worker)
    return App(
        store,
        catalog,
        metric_state,
        pipeline,
        StandstillWatch(progress, readiness),
        sources,
        dstack,
        workers,
        retention,
        feed,
        server,
        web_config,
        manager,
        tuple(listeners),
    )


def _end_answers(feed: ChangeFeed, store: Store) -> None:
    feed.end()
    store.interrupt_reads()


def _page_options(settings: Settings) -> PageOptions:
    return PageOptions(settings.tail.lines, settings.web.trace_url, settings.web.grafana_url)


def _web_app(
    endpoints: Iterable[Endpoint], page: PageRoutes, settings: WebSettings, listeners: Iterable[Listener]
) -> Starlette:
    passed_on = [listener.name for listener in listeners] if settings.systemd_socket else ()
    allowed = allowed_hosts(
        passed_on or settings.listen_address,
        settings.external_url,
        settings.allowed_hosts,
        socket.gethostname(),
    )
    return create_app(endpoints, page.routes(), allowed, settings.external_url)


def _open_store(path: Path, notice: MigrationNotice) -> Store:
    try:
        with notice:
            return Store(path, notice.begin_step)
    except StoreError as error:
        raise StartError(f"{error}; see --storage.url") from error


def _listen(settings: WebSettings) -> list[Listener]:
    try:
        if settings.systemd_socket:
            return inherited_listeners(os.environ)
        return open_listeners(settings.listen_address, int(settings.socket_mode, 8))
    except ListenError as error:
        flag = "--web.systemd-socket" if settings.systemd_socket else "--web.listen-address"
        raise StartError(f"{error}; see {flag}") from error


def run(app: App, log_writer: LogWriter) -> int:
    """Run until asked to stop, then drain. Return the exit code of the process."""
    _init_series(app)
    log_writer.on_dropped(lambda lines: _count_dropped_lines(app.metric_state, lines))
    _handle_signals(app)
    deaths = ThreadDeaths(lambda: _request_stop(app))
    deaths.watch()
    try:
        for worker in app.workers:
            worker.start()
        app.pipeline.start()
        cursors, open_submissions = app.store.cursors(), app.store.open_submissions()
    except StoreError as error:
        log.error("cannot start", cause=str(error))  # noqa: TRY400  # its text says all
        return 1
    integrity_check = IntegrityCheck(app.store, lambda: _request_stop(app))
    integrity_check.start()
    file_check = FileCheck(app.store, lambda: _request_stop(app), integrity_check.check)
    file_check.start()
    app.standstill.start()
    app.retention.start()
    app.feed.start()
    if app.web_config is not None:
        app.web_config.start()
    for source in app.sources:
        source.start(cursors.get(source.address))
    if app.dstack is not None:
        app.dstack.start(cursors.get(app.dstack.address), open_submissions)
    for listener in app.listeners:
        log.info("listening", address=listener.name)
    garbage_collection.exempt_what_lives_on()
    app.server.run(sockets=[listener.socket for listener in app.listeners])
    file_check.stop()
    integrity_check.stop()
    is_sound = app.store.is_in_place and not integrity_check.found_damage
    drained = _stop(app)
    return 0 if drained and is_sound and not deaths.any else 1


def reload(catalog: ReloadableCatalog, metric_state: MetricState) -> None:
    """Load the catalog file again, and show in the metrics whether it was valid. Raises DocumentError."""
    changes = MetricUpdate()
    exporter_metrics.set_reload_failed(changes)
    try:
        catalog.reload()
        exporter_metrics.set_reload_succeeded(changes)
    finally:
        metric_state.apply(changes)


def _job_metrics(
    settings: Settings, catalog: ReloadableCatalog, kept: Mapping[SeriesKey, float], metric_state: MetricState
) -> JobMetrics:
    order, changes = ",".join(settings.workload.order), MetricUpdate()
    record_workload_order(order, kept, time.time(), changes)
    metric_state.apply(changes)
    return JobMetrics(
        settings.workload.limit,
        catalog.has_code,
        kept,
        idle_ns=int(settings.storage.retention * SECOND_NS),
        since_ns=workload_order_since_ns(metric_state, order),
    )


def _telemetry(
    settings: Settings, environment: Mapping[str, str], store: Store, metric_state: MetricState
) -> tuple[TraceSelector | None, tuple[OutboxWorker, ...]]:
    """Return the choice of jobs of which telemetry is sent, and a worker for each signal.

    A signal that is turned off has a worker as long as jobs wait in its outbox and it has an endpoint.
    """
    config = read_config(environment)
    if not config.endpoints:
        log.info("OTLP export is off: no endpoint configured, or disabled")
        _report_backlog(store, metric_state)
        return None, ()
    # OTLP's messages take 6 MB of memory: only a daemon that sends any loads them.
    from exporter.otlp.factory import build_workers, enabled_signals  # noqa: PLC0415

    workers = build_workers(settings.traces, config, store, metric_state)
    signals = enabled_signals(settings.traces, config)
    return TraceSelector(settings.traces.jobs, config.sampler, signals) if signals else None, workers


def _notify(workers: Iterable[OutboxWorker]) -> None:
    for worker in workers:
        worker.notify()


def _report_backlog(store: Store, metric_state: MetricState) -> None:
    """Count and log the jobs in the outbox that nothing will send."""
    changes = MetricUpdate()
    for telemetry_signal in TelemetrySignal:
        pending = store.outbox.count_pending(telemetry_signal)
        if pending:
            exporter_metrics.set_otlp_pending(changes, telemetry_signal, pending)
            log.warning(
                "pending telemetry kept: no OTLP endpoint configured",
                signal=telemetry_signal.value,
                jobs=pending,
            )
    metric_state.apply(changes)


def _init_series(app: App) -> None:
    """Create the series that the first scrape already shows."""
    changes = MetricUpdate()
    exporter_metrics.create_series(changes)
    for source in app.sources:
        exporter_metrics.create_engine_series(changes, source.address)
    if app.dstack is not None:
        exporter_metrics.create_dstack_series(changes, Problem)
    app.metric_state.apply(changes)


def _count_dropped_lines(metric_state: MetricState, lines: int) -> None:
    changes = MetricUpdate()
    exporter_metrics.count_log_lines_dropped(changes, lines)
    metric_state.apply(changes)


def _handle_signals(app: App) -> None:
    """Stop on SIGTERM and SIGINT, at once if asked again; reload on SIGHUP."""

    def stop(_number: int, _frame: object) -> None:
        if app.server.should_exit:
            os._exit(1)
        _request_stop(app)

    def start_reload(_number: int, _frame: object) -> None:
        try:
            threading.Thread(target=_reload_on_signal, args=(app,), name="reload").start()
        except RuntimeError as error:
            # At a limit of threads; the server, which the signal has interrupted, must go on.
            log.error("catalogue not reloaded", cause=str(error))  # noqa: TRY400  # its traceback says no more

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGHUP, start_reload)


def _reload_on_signal(app: App) -> None:
    # A refused file is in the log and the metrics by then; a signal has nobody to report it to.
    with suppress(DocumentError):
        reload(app.catalog, app.metric_state)


def _request_stop(app: App) -> None:
    app.server.should_exit = True


def _stop(app: App) -> bool:
    """Stop all parts; return whether all that was read is on record."""
    log.info("stopping")
    app.manager.say(STOPPING)
    for listener in app.listeners:
        listener.close()
    for source in app.sources:
        source.stop()
    if app.dstack is not None:
        app.dstack.stop()
    app.retention.stop()
    app.feed.stop()
    if app.web_config is not None:
        app.web_config.stop()
    app.standstill.stop()
    drained = app.pipeline.stop(DRAIN_SECONDS)
    _stop_workers(app.workers)
    app.store.close()
    log.info("stopped", drained=drained, otlp_pending_jobs=exporter_metrics.otlp_pending(app.metric_state))
    return drained


def _stop_workers(workers: Iterable[OutboxWorker]) -> None:
    """Stop all at the same time, so that together they take no longer than one."""
    threads = [threading.Thread(target=worker.stop, args=(EXPORT_SECONDS,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
