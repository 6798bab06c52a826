"""Every metric, declared once: the collector, the documentation and the tests read this."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The types of Prometheus."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """One metric. ``kept`` ones survive a restart of the exporter; ``buckets`` are upper bounds."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    kept: bool = False
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
    Kind.COUNTER,
    "Jobs that ended, by exit code and reason.",
    ("host", "workload", "image", "status", "code", "reason"),
    kept=True,
)
OOM_KILLS = Metric(
    "container_oom_kills_total",
    Kind.COUNTER,
    "Processes in jobs that the kernel killed for memory, whether their job survived it or not.",
    ("host", "workload", "image"),
    kept=True,
)
RUN_DURATION = Metric(
    "container_run_duration_seconds",
    Kind.HISTOGRAM,
    "How long jobs ran that ended; jobs that never started are not in it.",
    ("host", "workload", "status"),
    kept=True,
    buckets=_RUN_BUCKETS,
)
JOBS_RUNNING = Metric("container_jobs_running", Kind.GAUGE, "Jobs that run now.", ("host", "workload"))
MEMORY_LIMIT = Metric(
    "container_memory_limit_bytes",
    Kind.GAUGE,
    "Memory limit of the workload's job that last began or ended, in bytes; 0 where it has none.",
    ("host", "workload"),
    kept=True,
)
LAST_EXIT = Metric(
    "container_last_exit_timestamp_seconds",
    Kind.GAUGE,
    "When the last job ended with this status, in seconds since 1970.",
    ("host", "workload", "status"),
    kept=True,
)

BUILD_INFO = Metric(
    "exit_exporter_build_info",
    Kind.GAUGE,
    "1; the labels say what is running.",
    ("version", "python_version"),
)
ENGINE_UP = Metric(
    "exit_exporter_engine_up", Kind.GAUGE, "1 while the engine is being watched, 0 otherwise.", ("engine",)
)
ENGINE_EVENTS = Metric(
    "exit_exporter_engine_events_total",
    Kind.COUNTER,
    "Events read from the engine; 'other' are not about exits, 'malformed' could not be read.",
    ("engine", "event"),
    kept=True,
)
ENGINE_RECONNECTS = Metric(
    "exit_exporter_engine_reconnects_total",
    Kind.COUNTER,
    "Connections to the engine after the first of this process.",
    ("engine",),
    kept=True,
)
EVENT_GAPS = Metric(
    "exit_exporter_event_gaps_total",
    Kind.COUNTER,
    "Times of which the engine had forgotten events before they were read, so that exits may be missing.",
    ("engine",),
    kept=True,
)
EXITS_RECOVERED = Metric(
    "exit_exporter_exits_recovered_total",
    Kind.COUNTER,
    "Exits that were not seen happening, and were found afterwards.",
    ("host",),
    kept=True,
)
EXITS_UNOBSERVED = Metric(
    "exit_exporter_exits_unobserved_total",
    Kind.COUNTER,
    "Exits that were not seen happening, and whose code is gone.",
    ("host",),
    kept=True,
)
STORE_ERRORS = Metric(
    "exit_exporter_store_errors_total", Kind.COUNTER, "Transactions that the store refused.", kept=True
)
STORE_COMMIT = Metric(
    "exit_exporter_store_commit_seconds",
    Kind.HISTOGRAM,
    "How long a durable commit took.",
    kept=True,
    buckets=_COMMIT_BUCKETS,
)
EXITS_PENDING = Metric(
    "exit_exporter_exits_pending", Kind.GAUGE, "Exits that wait for the store to take them; 0 while it does."
)
ROWS_GIVEN_UP = Metric(
    "exit_exporter_rows_given_up_total",
    Kind.COUNTER,
    "Ended jobs that are counted and have no row, since the store was away for too long.",
    kept=True,
)
SPANS_PENDING = Metric(
    "exit_exporter_spans_pending",
    Kind.GAUGE,
    "Jobs whose span (signal 'traces') or log records (signal 'logs') wait for the collector.",
    ("signal",),
)
SPANS_EXPORTED = Metric(
    "exit_exporter_spans_exported_total",
    Kind.COUNTER,
    "Jobs whose span or log records the collector has taken.",
    ("signal",),
    kept=True,
)
SPANS_REJECTED = Metric(
    "exit_exporter_spans_rejected_total",
    Kind.COUNTER,
    "Jobs whose span or log records the collector refused; the log says which and why.",
    ("signal",),
    kept=True,
)
SPANS_GIVEN_UP = Metric(
    "exit_exporter_spans_given_up_total",
    Kind.COUNTER,
    "Jobs whose span or log records waited for too long, or with too many, and were forgotten.",
    ("signal",),
    kept=True,
)
TRACEPARENTS_IGNORED = Metric(
    "exit_exporter_traceparents_ignored_total",
    Kind.COUNTER,
    "Traced jobs whose traceparent label is not one, so that their trace is their own.",
    kept=True,
)
WORKLOADS_FOLDED = Metric(
    "exit_exporter_workloads_folded_total",
    Kind.COUNTER,
    "Jobs counted under workload 'Other' because there are too many workloads.",
    kept=True,
)
CATALOGUE_SUCCESS = Metric(
    "exit_exporter_catalogue_reload_success",
    Kind.GAUGE,
    "1 if the catalogue file was taken at the last try, 0 if it was refused and the one before stays.",
)
CATALOGUE_TIME = Metric(
    "exit_exporter_catalogue_reload_timestamp_seconds",
    Kind.GAUGE,
    "When a catalogue was last taken, in seconds since 1970.",
)

CATALOGUE: tuple[Metric, ...] = (
    EXITS,
    OOM_KILLS,
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
    STORE_COMMIT,
    EXITS_PENDING,
    ROWS_GIVEN_UP,
    SPANS_PENDING,
    SPANS_EXPORTED,
    SPANS_REJECTED,
    SPANS_GIVEN_UP,
    TRACEPARENTS_IGNORED,
    WORKLOADS_FOLDED,
    CATALOGUE_SUCCESS,
    CATALOGUE_TIME,
)
BY_NAME = {metric.name: metric for metric in CATALOGUE}
