"""Definitions of all metrics, read by the collector, the documentation, the rules and the dashboards."""

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
    NotCreatedLabels,
    OrderLabels,
    ProblemLabels,
    SignalLabels,
    StatusLabels,
    WorkloadLabels,
)


class MetricType(StrEnum):
    """Metric types of Prometheus."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """Definition of a metric.

    ``persistent`` metrics survive a restart of the exporter; ``buckets`` are upper bounds, in seconds. Of a
    ``zero_first`` counter or histogram, scrapes are shown a new series as 0 before they see it grow.
    """

    name: str
    type: MetricType
    help: str
    labels: tuple[str, ...] = ()
    persistent: bool = False
    buckets: tuple[float, ...] = ()
    zero_first: bool = False

    @property
    def unit(self) -> str:
        """Unit that the name ends with; empty without one."""
        return next((unit for unit in _UNITS if self.name.endswith(f"_{unit}")), "")

    def host_of(self, values: tuple[str, ...]) -> str | None:
        """Return the host of a series with these values of its labels, None if it is of no host."""
        return dict(zip(self.labels, values, strict=False)).get("host")


_UNITS = ("seconds", "bytes")
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_RUN_BUCKETS = (1, 15, _MINUTE, 5 * _MINUTE, _HOUR, 6 * _HOUR, _DAY)
_COMMIT_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)

EXITS = Metric(
    "container_exits_total",
    MetricType.COUNTER,
    "Finished jobs, by exit code and reason.",
    ExitLabels._fields,
    persistent=True,
    zero_first=True,
)
OOM_KILLS = Metric(
    "container_oom_kills_total",
    MetricType.COUNTER,
    "Processes of jobs killed for memory by the kernel, also of jobs that survived it.",
    ImageLabels._fields,
    persistent=True,
    zero_first=True,
)
RESTARTS = Metric(
    "container_restarts_total",
    MetricType.COUNTER,
    "Runs started by the engine's restart policy; each is counted when it ends.",
    ImageLabels._fields,
    persistent=True,
    zero_first=True,
)
RUN_DURATION = Metric(
    "container_run_duration_seconds",
    MetricType.HISTOGRAM,
    "Run time of finished jobs in seconds; jobs that never started are not included.",
    StatusLabels._fields,
    persistent=True,
    zero_first=True,
    buckets=_RUN_BUCKETS,
)
JOBS_RUNNING = Metric(
    "container_jobs_running", MetricType.GAUGE, "Number of running jobs.", WorkloadLabels._fields
)
MEMORY_LIMIT = Metric(
    "container_memory_limit_bytes",
    MetricType.GAUGE,
    "Memory limit in bytes of the workload's job that started or ended last; 0 if it has none.",
    WorkloadLabels._fields,
    persistent=True,
)
LAST_EXIT = Metric(
    "container_last_exit_timestamp_seconds",
    MetricType.GAUGE,
    "Unix time at which a job last ended with this status.",
    StatusLabels._fields,
    persistent=True,
)
NOT_CREATED = Metric(
    "container_not_created_total",
    MetricType.COUNTER,
    "Jobs that ended before a container was made for them, as dstack's server reports; they are no exits.",
    NotCreatedLabels._fields,
    persistent=True,
    zero_first=True,
)

BUILD_INFO = Metric(
    "exit_exporter_build_info",
    MetricType.GAUGE,
    "Version of the exporter and of Python; the value is always 1.",
    BuildLabels._fields,
)
ENGINE_UP = Metric(
    "exit_exporter_engine_up",
    MetricType.GAUGE,
    "Whether the engine is being watched: 1 if it is, 0 if not.",
    EngineLabels._fields,
)
ENGINE_EVENTS = Metric(
    "exit_exporter_engine_events_total",
    MetricType.COUNTER,
    "Events read from the engine; 'other' do not concern exits, 'malformed' are unreadable.",
    EventLabels._fields,
    persistent=True,
)
ENGINE_RECONNECTS = Metric(
    "exit_exporter_engine_reconnects_total",
    MetricType.COUNTER,
    "Connections to the engine after the first one of the process.",
    EngineLabels._fields,
    persistent=True,
)
EVENT_GAPS = Metric(
    "exit_exporter_event_gaps_total",
    MetricType.COUNTER,
    "Times that events of the engine were lost before they were read; exits may be missing.",
    EngineLabels._fields,
    persistent=True,
    zero_first=True,
)
EXITS_RECOVERED = Metric(
    "exit_exporter_exits_recovered_total",
    MetricType.COUNTER,
    "Exits that were not observed when they happened and were found later.",
    HostLabels._fields,
    persistent=True,
    zero_first=True,
)
EXITS_UNOBSERVED = Metric(
    "exit_exporter_exits_unobserved_total",
    MetricType.COUNTER,
    "Exits that were not observed and whose exit code is lost.",
    HostLabels._fields,
    persistent=True,
    zero_first=True,
)
STORE_ERRORS = Metric(
    "exit_exporter_store_errors_total",
    MetricType.COUNTER,
    "Store transactions that failed.",
    persistent=True,
)
STORE_COMMIT_DURATION = Metric(
    "exit_exporter_store_commit_duration_seconds",
    MetricType.HISTOGRAM,
    "Duration of commits to the store in seconds.",
    persistent=True,
    buckets=_COMMIT_BUCKETS,
)
EXITS_PENDING = Metric(
    "exit_exporter_exits_pending",
    MetricType.GAUGE,
    "Number of exits waiting to be written to the store; 0 while the store is available.",
)
JOB_RECORDS_DROPPED = Metric(
    "exit_exporter_job_records_dropped_total",
    MetricType.COUNTER,
    "Finished jobs counted but not recorded, because the store was unavailable for too long.",
    persistent=True,
)
OTLP_PENDING_JOBS = Metric(
    "exit_exporter_otlp_pending_jobs",
    MetricType.GAUGE,
    "Number of jobs whose span (signal 'traces') or log records (signal 'logs') wait to be exported.",
    SignalLabels._fields,
)
OTLP_JOBS_EXPORTED = Metric(
    "exit_exporter_otlp_jobs_exported_total",
    MetricType.COUNTER,
    "Jobs whose span or log records the collector accepted.",
    SignalLabels._fields,
    persistent=True,
)
OTLP_JOBS_REJECTED = Metric(
    "exit_exporter_otlp_jobs_rejected_total",
    MetricType.COUNTER,
    "Jobs whose span or log records the collector rejected; the log has the cause.",
    SignalLabels._fields,
    persistent=True,
)
OTLP_JOBS_DROPPED = Metric(
    "exit_exporter_otlp_jobs_dropped_total",
    MetricType.COUNTER,
    "Jobs whose span or log records were dropped unsent: too old or too many.",
    SignalLabels._fields,
    persistent=True,
)
TRACEPARENTS_IGNORED = Metric(
    "exit_exporter_traceparents_ignored_total",
    MetricType.COUNTER,
    "Traced jobs with an invalid traceparent label; they start a trace of their own.",
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
    "Unix time since which workloads are named in this order; 0 if no other order came before.",
    OrderLabels._fields,
    persistent=True,
)
DSTACK_SERVER_UP = Metric(
    "exit_exporter_dstack_server_up",
    MetricType.GAUGE,
    "Whether dstack's server answered when it was last asked: 1 if it did, 0 if not.",
)
DSTACK_SERVER_ERRORS = Metric(
    "exit_exporter_dstack_server_errors_total",
    MetricType.COUNTER,
    "Times that dstack's server gave no usable answer; it is asked again.",
    ProblemLabels._fields,
    persistent=True,
)
STREAM_CLIENTS = Metric(
    "exit_exporter_stream_clients",
    MetricType.GAUGE,
    "Number of open streams of changes (/api/v1/stream).",
)
STREAM_DROPPED = Metric(
    "exit_exporter_stream_dropped_total",
    MetricType.COUNTER,
    "Streams of changes that were ended because their client did not read fast enough.",
    persistent=True,
)
LOG_LINES_DROPPED = Metric(
    "exit_exporter_log_lines_dropped_total",
    MetricType.COUNTER,
    "Lines of the exporter's log that were dropped, because standard error could not be written.",
    persistent=True,
)
CONFIG_LAST_RELOAD_SUCCESSFUL = Metric(
    "exit_exporter_config_last_reload_successful",
    MetricType.GAUGE,
    "Whether the last load of the catalogue file succeeded: 1 if it did, 0 if the previous one stays.",
)
CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP = Metric(
    "exit_exporter_config_last_reload_success_timestamp_seconds",
    MetricType.GAUGE,
    "Unix time of the last successful load of the catalogue file.",
)

METRICS: tuple[Metric, ...] = (
    EXITS,
    OOM_KILLS,
    RESTARTS,
    RUN_DURATION,
    JOBS_RUNNING,
    MEMORY_LIMIT,
    LAST_EXIT,
    NOT_CREATED,
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
    DSTACK_SERVER_UP,
    DSTACK_SERVER_ERRORS,
    STREAM_CLIENTS,
    STREAM_DROPPED,
    LOG_LINES_DROPPED,
    CONFIG_LAST_RELOAD_SUCCESSFUL,
    CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP,
)
# Metrics of the process that prometheus-client adds, with the names that they have in every exporter.
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
