"""Every metric, declared once: the collector, the documentation and the tests read this."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from exporter.metrics.labels import (
    BuildLabels,
    EngineLabels,
    EventLabels,
    ExitLabels,
    HostLabels,
    ImageLabels,
    OrderLabels,
    SignalLabels,
    StatusLabels,
    WorkloadLabels,
)


class MetricType(StrEnum):
    """The types of Prometheus."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """One metric. ``kept`` ones survive a restart of the exporter; ``buckets`` are upper bounds."""

    name: str
    type: MetricType
    help: str
    labels: tuple[str, ...] = ()
    persistent: bool = False
    buckets: tuple[float, ...] = ()


_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_RUN_BUCKETS = (
    0.1,
    1,
    5,
    15,
    _MINUTE,
    5 * _MINUTE,
    15 * _MINUTE,
    _HOUR,
    3 * _HOUR,
    6 * _HOUR,
    12 * _HOUR,
    _DAY,
    3 * _DAY,
    7 * _DAY,
)
_COMMIT_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)

EXITS = Metric(
    "container_exits_total",
    MetricType.COUNTER,
    "Jobs that ended, by exit code and reason.",
    ExitLabels._fields,
    persistent=True,
)
OOM_KILLS = Metric(
    "container_oom_kills_total",
    MetricType.COUNTER,
    "Processes in jobs that the kernel killed for memory, whether their job survived it or not.",
    ImageLabels._fields,
    persistent=True,
)
RESTARTS = Metric(
    "container_restarts_total",
    MetricType.COUNTER,
    "Runs that the engine's restart policy began; each counts when it has ended.",
    ImageLabels._fields,
    persistent=True,
)
RUN_DURATION = Metric(
    "container_run_duration_seconds",
    MetricType.HISTOGRAM,
    "How long jobs ran that ended; jobs that never started are not in it.",
    StatusLabels._fields,
    persistent=True,
    buckets=_RUN_BUCKETS,
)
JOBS_RUNNING = Metric(
    "container_jobs_running", MetricType.GAUGE, "Jobs that run now.", WorkloadLabels._fields
)
MEMORY_LIMIT = Metric(
    "container_memory_limit_bytes",
    MetricType.GAUGE,
    "Memory limit of the workload's job that last began or ended, in bytes; 0 where it has none.",
    WorkloadLabels._fields,
    persistent=True,
)
LAST_EXIT = Metric(
    "container_last_exit_timestamp_seconds",
    MetricType.GAUGE,
    "When the last job ended with this status, in seconds since 1970.",
    StatusLabels._fields,
    persistent=True,
)

BUILD_INFO = Metric(
    "exit_exporter_build_info",
    MetricType.GAUGE,
    "1; the labels say what is running.",
    BuildLabels._fields,
)
ENGINE_UP = Metric(
    "exit_exporter_engine_up",
    MetricType.GAUGE,
    "1 while the engine is being watched, 0 otherwise.",
    EngineLabels._fields,
)
ENGINE_EVENTS = Metric(
    "exit_exporter_engine_events_total",
    MetricType.COUNTER,
    "Events read from the engine; 'other' are not about exits, 'malformed' could not be read.",
    EventLabels._fields,
    persistent=True,
)
ENGINE_RECONNECTS = Metric(
    "exit_exporter_engine_reconnects_total",
    MetricType.COUNTER,
    "Connections to the engine after the first of this process.",
    EngineLabels._fields,
    persistent=True,
)
EVENT_GAPS = Metric(
    "exit_exporter_event_gaps_total",
    MetricType.COUNTER,
    "Times of which the engine had forgotten events before they were read, so that exits may be missing.",
    EngineLabels._fields,
    persistent=True,
)
EXITS_RECOVERED = Metric(
    "exit_exporter_exits_recovered_total",
    MetricType.COUNTER,
    "Exits that were not seen happening, and were found afterwards.",
    HostLabels._fields,
    persistent=True,
)
EXITS_UNOBSERVED = Metric(
    "exit_exporter_exits_unobserved_total",
    MetricType.COUNTER,
    "Exits that were not seen happening, and whose code is gone.",
    HostLabels._fields,
    persistent=True,
)
STORE_ERRORS = Metric(
    "exit_exporter_store_errors_total",
    MetricType.COUNTER,
    "Transactions that the store refused.",
    persistent=True,
)
STORE_COMMIT_DURATION = Metric(
    "exit_exporter_store_commit_duration_seconds",
    MetricType.HISTOGRAM,
    "Duration of commits to the store, in seconds.",
    persistent=True,
    buckets=_COMMIT_BUCKETS,
)
EXITS_PENDING = Metric(
    "exit_exporter_exits_pending",
    MetricType.GAUGE,
    "Exits that wait for the store to take them; 0 while it does.",
)
JOB_RECORDS_DROPPED = Metric(
    "exit_exporter_job_records_dropped_total",
    MetricType.COUNTER,
    "Ended jobs that were counted, but not recorded, because the store was unavailable for too long.",
    persistent=True,
)
OTLP_PENDING_JOBS = Metric(
    "exit_exporter_otlp_pending_jobs",
    MetricType.GAUGE,
    "Jobs whose span (signal 'traces') or log records (signal 'logs') wait to be exported over OTLP.",
    SignalLabels._fields,
)
OTLP_JOBS_EXPORTED = Metric(
    "exit_exporter_otlp_jobs_exported_total",
    MetricType.COUNTER,
    "Jobs whose span or log records the collector has accepted.",
    SignalLabels._fields,
    persistent=True,
)
OTLP_JOBS_REJECTED = Metric(
    "exit_exporter_otlp_jobs_rejected_total",
    MetricType.COUNTER,
    "Jobs whose span or log records the collector rejected; the log says which and why.",
    SignalLabels._fields,
    persistent=True,
)
OTLP_JOBS_DROPPED = Metric(
    "exit_exporter_otlp_jobs_dropped_total",
    MetricType.COUNTER,
    "Jobs whose span or log records were dropped unsent: they waited for too long, or too many waited.",
    SignalLabels._fields,
    persistent=True,
)
TRACEPARENTS_IGNORED = Metric(
    "exit_exporter_traceparents_ignored_total",
    MetricType.COUNTER,
    "Traced jobs whose traceparent label is not one, so that their trace is their own.",
    persistent=True,
)
JOBS_OVER_WORKLOAD_LIMIT = Metric(
    "exit_exporter_jobs_over_workload_limit_total",
    MetricType.COUNTER,
    "Jobs counted under workload 'Other' because of the workload limit.",
    persistent=True,
)
WORKLOAD_ORDER = Metric(
    "exit_exporter_workload_order_timestamp_seconds",
    MetricType.GAUGE,
    "Since when workloads are named in this order, in seconds since 1970; 0 where there was none before it.",
    OrderLabels._fields,
    persistent=True,
)
CONFIG_LAST_RELOAD_SUCCESSFUL = Metric(
    "exit_exporter_config_last_reload_successful",
    MetricType.GAUGE,
    "1 if the last load of the catalogue file succeeded, 0 if the file was refused and the one before stays.",
)
CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP = Metric(
    "exit_exporter_config_last_reload_success_timestamp_seconds",
    MetricType.GAUGE,
    "When the catalogue file was last loaded successfully, in seconds since 1970.",
)

METRICS: tuple[Metric, ...] = (
    EXITS,
    OOM_KILLS,
    RESTARTS,
    RUN_DURATION,
    JOBS_RUNNING,
    MEMORY_LIMIT,
    LAST_EXIT,
    BUILD_INFO,
    ENGINE_UP,
    ENGINE_EVENTS,
    ENGINE_RECONNECTS,
    EVENT_GAPS,
    EXITS_RECOVERED,
    EXITS_UNOBSERVED,
    STORE_ERRORS,
    STORE_COMMIT_DURATION,
    EXITS_PENDING,
    JOB_RECORDS_DROPPED,
    OTLP_PENDING_JOBS,
    OTLP_JOBS_EXPORTED,
    OTLP_JOBS_REJECTED,
    OTLP_JOBS_DROPPED,
    TRACEPARENTS_IGNORED,
    JOBS_OVER_WORKLOAD_LIMIT,
    WORKLOAD_ORDER,
    CONFIG_LAST_RELOAD_SUCCESSFUL,
    CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP,
)
# What prometheus-client adds of the process, under the names that it has in every exporter.
STANDARD_METRICS = (
    "process_virtual_memory_bytes",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_cpu_seconds_total",
    "process_open_fds",
    "process_max_fds",
    "python_info",
)

BY_NAME = {metric.name: metric for metric in METRICS}
