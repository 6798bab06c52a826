"""The exporter's own metrics: one function for each thing that happens to it.

Each function adds to a MetricUpdate; the caller decides when the update is applied.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable
from dataclasses import dataclass

from exporter import __version__
from exporter.metrics import definitions
from exporter.metrics.labels import (
    BuildLabels,
    EngineLabels,
    EventLabels,
    HostLabels,
    ProblemLabels,
    SignalLabels,
)
from exporter.metrics.state import MetricState
from exporter.metrics.update import MetricUpdate
from exporter.model import TelemetrySignal


@dataclass(frozen=True, slots=True)
class OtlpJobCounts:
    """Jobs of one signal by what has become of them."""

    exported: int = 0
    rejected: int = 0
    dropped: int = 0


def create_series(update: MetricUpdate) -> None:
    """Create the series that exist from the first scrape on."""
    update.set(definitions.BUILD_INFO, BuildLabels(__version__, platform.python_version()), 1)
    set_reload_succeeded(update)
    set_exits_pending(update, 0)
    set_stream_clients(update, 0)
    for metric in (
        definitions.STORE_ERRORS,
        definitions.JOBS_OVER_WORKLOAD_LIMIT,
        definitions.JOB_RECORDS_DROPPED,
        definitions.STREAM_DROPPED,
    ):
        update.add(metric, (), 0)


def create_engine_series(update: MetricUpdate, address: str) -> None:
    """Create the series of an engine that is not connected yet."""
    set_engine_up(update, address, up=False)
    for metric in (definitions.ENGINE_RECONNECTS, definitions.EVENT_GAPS):
        update.add(metric, EngineLabels(address), 0)


def create_dstack_series(update: MetricUpdate, problems: Iterable[str]) -> None:
    """Create the series of a dstack server that was not asked yet."""
    set_dstack_server_up(update, up=False)
    for problem in problems:
        update.add(definitions.DSTACK_SERVER_ERRORS, ProblemLabels(problem), 0)


def set_dstack_server_up(update: MetricUpdate, *, up: bool) -> None:
    """Set whether dstack's server answered when it was last asked."""
    update.set(definitions.DSTACK_SERVER_UP, (), int(up))


def count_dstack_server_error(update: MetricUpdate, problem: str) -> None:
    """Count a problem of dstack's server."""
    update.add(definitions.DSTACK_SERVER_ERRORS, ProblemLabels(problem))


def create_backfill_series(update: MetricUpdate, host: str) -> None:
    """Create the series that mark the host's backfill as done: its earlier exits are counted."""
    for metric in (definitions.EXITS_UNOBSERVED, definitions.EXITS_RECOVERED):
        update.add(metric, HostLabels(host), 0)


def create_otlp_series(update: MetricUpdate, signal: TelemetrySignal, pending: int) -> None:
    """Create the series of an exported signal; ``pending`` is the number of jobs that wait."""
    set_otlp_pending(update, signal, pending)
    for metric in (
        definitions.OTLP_JOBS_EXPORTED,
        definitions.OTLP_JOBS_REJECTED,
        definitions.OTLP_JOBS_DROPPED,
    ):
        update.add(metric, _signal(signal), 0)


def set_engine_up(update: MetricUpdate, address: str, *, up: bool) -> None:
    """Set whether the engine is being watched."""
    update.set(definitions.ENGINE_UP, EngineLabels(address), int(up))


def is_engine_up(state: MetricState, address: str) -> bool:
    """Return whether the engine is being watched."""
    return bool(state.value(definitions.ENGINE_UP, EngineLabels(address)))


def count_engine_reconnect(update: MetricUpdate, address: str) -> None:
    """Count a connection to the engine after the first."""
    update.add(definitions.ENGINE_RECONNECTS, EngineLabels(address))


def count_engine_events(update: MetricUpdate, address: str, event_type: str, count: int) -> None:
    """Count events of one type that the engine sent."""
    update.add(definitions.ENGINE_EVENTS, EventLabels(address, event_type), count)


def count_event_gap(update: MetricUpdate, address: str) -> None:
    """Count a gap in the events of the engine, in which exits may be missing."""
    update.add(definitions.EVENT_GAPS, EngineLabels(address))


def count_store_error(update: MetricUpdate) -> None:
    """Count a transaction that the store refused."""
    update.add(definitions.STORE_ERRORS)


def observe_store_commit(update: MetricUpdate, seconds: float) -> None:
    """Observe the duration of a commit, in seconds."""
    update.observe(definitions.STORE_COMMIT_DURATION, (), seconds)


def set_exits_pending(update: MetricUpdate, count: int) -> None:
    """Set the number of exits that wait for the store."""
    update.set(definitions.EXITS_PENDING, (), count)


def count_job_records_dropped(update: MetricUpdate, count: int) -> None:
    """Count jobs whose records were dropped while the store was unavailable."""
    update.add(definitions.JOB_RECORDS_DROPPED, (), count)


def set_otlp_pending(update: MetricUpdate, signal: TelemetrySignal, count: int) -> None:
    """Set the number of jobs that wait to be exported."""
    update.set(definitions.OTLP_PENDING_JOBS, _signal(signal), count)


def add_otlp_pending(update: MetricUpdate, signal: TelemetrySignal, count: int) -> None:
    """Add to the number of jobs that wait to be exported; ``count`` may be negative."""
    update.add(definitions.OTLP_PENDING_JOBS, _signal(signal), count)


def otlp_pending(state: MetricState) -> int:
    """Return the number of jobs that wait to be exported, of all signals."""
    return sum(int(state.value(definitions.OTLP_PENDING_JOBS, _signal(each))) for each in TelemetrySignal)


def count_otlp_jobs(update: MetricUpdate, signal: TelemetrySignal, jobs: OtlpJobCounts) -> None:
    """Count jobs of a signal that wait no longer."""
    for metric, count in (
        (definitions.OTLP_JOBS_EXPORTED, jobs.exported),
        (definitions.OTLP_JOBS_REJECTED, jobs.rejected),
        (definitions.OTLP_JOBS_DROPPED, jobs.dropped),
    ):
        if count:
            update.add(metric, _signal(signal), count)


def set_stream_clients(update: MetricUpdate, count: int) -> None:
    """Set the number of open streams of changes."""
    update.set(definitions.STREAM_CLIENTS, (), count)


def count_stream_dropped(update: MetricUpdate) -> None:
    """Count a stream that was ended because its client did not read fast enough."""
    update.add(definitions.STREAM_DROPPED)


def count_log_lines_dropped(update: MetricUpdate, lines: int) -> None:
    """Count lines of the log that were dropped; 0 creates the series."""
    update.add(definitions.LOG_LINES_DROPPED, (), lines)


def set_reload_succeeded(update: MetricUpdate) -> None:
    """Record that the catalogue file has just been loaded."""
    update.set(definitions.CONFIG_LAST_RELOAD_SUCCESSFUL, (), 1)
    update.set(definitions.CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP, (), time.time())


def set_reload_failed(update: MetricUpdate) -> None:
    """Record that the catalogue file was refused."""
    update.set(definitions.CONFIG_LAST_RELOAD_SUCCESSFUL, (), 0)


def _signal(signal: TelemetrySignal) -> SignalLabels:
    return SignalLabels(signal.value)
