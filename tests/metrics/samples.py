"""State with a value of every metric, exits of every kind, and label values that need escaping."""

import re
from dataclasses import replace

from exporter.metrics import definitions
from exporter.metrics.job_metrics import JobMetrics
from exporter.metrics.state import MetricState
from exporter.metrics.update import MetricUpdate
from exporter.model import ClassifiedExit, Workload
from exporter.otlp.trace_context import span_ids_for
from exporter.sources.docker.engine import EventType
from exporter.text import sanitize
from exporter.verdict.catalog_file import builtin_catalog
from tests.store.samples import NOT_STARTED, OOM, STOPPED, ended, job

ENGINE = "unix:///var/run/docker.sock"
MAX_WORKLOADS = 3
# As the Docker adapter hands it on: NUL and newline are replaced, the rest is not.
HOSTILE = Workload(sanitize('quo"te back\\slash new\nline nul\0 {x="1"} # HELP'), "hostile/image")
NIGHT = Workload("night/report", "report")


def exits() -> list[ClassifiedExit]:
    """Return an exit of each kind; the first has a span, the last two are above the workload limit."""
    launched = job("a", traceparent="no traceparent")
    return [
        replace(ended(launched, 137, OOM, oom_kills=2), trace=span_ids_for(launched)),
        ended(job("c", workload=NIGHT, restarts=1), 0),
        ended(job("d", workload=NIGHT, started_ns=None), 127, NOT_STARTED),
        ended(job("e", workload=NIGHT), None, recovered=True),
        ended(job("f", workload=NIGHT), 143, STOPPED, recovered=True),
        ended(job("0", workload=HOSTILE), 1),
        ended(job("1", workload=Workload("one", "too/many")), 3221225477),
        ended(job("2", workload=Workload("two", "too/many")), 4000),
    ]


def filled_state() -> MetricState:
    """Return a state to which all of it is applied."""
    job_metrics, update = JobMetrics(MAX_WORKLOADS, builtin_catalog().has_code), MetricUpdate()
    running = [exits()[0].exit.job, job("b", instance="node-2")]
    for each in running:
        job_metrics.on_start(each, update)
    for classified in exits():
        job_metrics.on_exit(classified, update, running[0] if classified.exit.job == running[0] else None)
    add_exporter_metrics(update)
    state = MetricState({})
    state.apply(update)
    return state


def add_exporter_metrics(update: MetricUpdate) -> None:
    """Add values of the exporter's own metrics."""
    update.set(definitions.BUILD_INFO, ("0.1.0", "3.11.7"), 1)
    update.set(definitions.ENGINE_UP, (ENGINE,), 1)
    for event_type, count in ((EventType.DIE, 8), (EventType.OTHER, 137_000), (EventType.MALFORMED, 1)):
        update.add(definitions.ENGINE_EVENTS, (ENGINE, event_type.value), count)
    update.add(definitions.ENGINE_RECONNECTS, (ENGINE,), 2)
    update.add(definitions.EVENT_GAPS, (ENGINE,), 3)
    update.add(definitions.STORE_ERRORS, (), 0)
    update.set(definitions.OTLP_PENDING_JOBS, ("traces",), 12)
    for metric, count in ((definitions.OTLP_JOBS_EXPORTED, 5_000), (definitions.OTLP_JOBS_REJECTED, 1)):
        update.add(metric, ("traces",), count)
    update.add(definitions.OTLP_JOBS_DROPPED, ("logs",), 7)
    for seconds in (0.001, 0.0011, 0.75, 60):
        update.observe(definitions.STORE_COMMIT_DURATION, (), seconds)
    update.set(definitions.WORKLOAD_ORDER, ("label,dstack,swarm,compose,image",), 1_780_000_000)
    update.add(definitions.NOT_CREATED, ("failed", "CREATING_CONTAINER_ERROR", "ImagePullFailed"), 4)
    update.set(definitions.DSTACK_SERVER_UP, (), 1)
    update.add(definitions.DSTACK_SERVER_ERRORS, ("timeout",), 2)
    update.set(definitions.STREAM_CLIENTS, (), 3)
    update.add(definitions.STREAM_DROPPED, (), 1)
    update.add(definitions.LOG_LINES_DROPPED, (), 2)
    update.set(definitions.CONFIG_LAST_RELOAD_SUCCESSFUL, (), 1)
    update.set(definitions.CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP, (), 1_790_000_000.25)


def comparable(text: str) -> str:
    """Return an exposition without the values of the process metrics, which differ each time."""
    return re.sub(r"^((?:process|python)_\w+)[ {].*", r"\1", text, flags=re.MULTILINE)
