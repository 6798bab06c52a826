"""A ledger with a little of everything in it: every metric, every kind of end, and names meant to hurt."""

import re
from dataclasses import replace

from exporter.metrics import definitions
from exporter.metrics.job_metrics import JobMetrics
from exporter.metrics.state import MetricState, MetricUpdate
from exporter.model import ClassifiedExit, Evidence, Job, Verdict, Workload
from exporter.otlp.trace_context import span_ids_for
from exporter.sources.docker.engine import EventType
from exporter.text import sanitize
from exporter.verdict import classify
from exporter.verdict.catalog_file import builtin_catalog
from tests.store.samples import NOT_STARTED, OOM, STOPPED, ended, job

ENGINE = "unix:///var/run/docker.sock"
MAX_WORKLOADS = 3
# As a label's value comes through the door of the adapter: NUL and newline are gone, the rest is not.
HOSTILE = Workload(sanitize('quo"te back\\slash new\nline nul\0 {x="1"} # HELP'), "hostile/image")
NIGHT = Workload("night/report", "report")


def foreseen(begun: Job) -> list[tuple[int, Verdict]]:
    """Give the two ends that are likeliest for a job."""
    evidence = ((0, Evidence()), (137, Evidence(oom_killed=True)))
    words = builtin_catalog()
    return [(code, classify.classify(code, each, words, begun.workload)) for code, each in evidence]


def exits() -> list[ClassifiedExit]:
    """Give an end of each kind, the first with a span; the last two are of one workload too many."""
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


def ledger() -> MetricState:
    """Give the ledger in which all of it is published."""
    accounts, changes = JobMetrics(MAX_WORKLOADS, builtin_catalog().has_code), MetricUpdate()
    begun = [exits()[0].exit.job, job("b", instance="node-2")]
    for each in begun:
        accounts.on_start(each, foreseen(each), changes)
    for judged in exits():
        accounts.on_exit(judged, changes, begun[0] if judged.exit.job == begun[0] else None)
    tell_of_itself(changes)
    filled = MetricState({})
    filled.apply(changes)
    return filled


def tell_of_itself(changes: MetricUpdate) -> None:
    """Enter what the exporter says of itself, with made-up figures."""
    changes.set(definitions.BUILD_INFO, ("0.1.0", "3.11.7"), 1)
    changes.set(definitions.ENGINE_UP, (ENGINE,), 1)
    for event_type, count in ((EventType.DIE, 8), (EventType.OTHER, 137_000), (EventType.MALFORMED, 1)):
        changes.add(definitions.ENGINE_EVENTS, (ENGINE, event_type.value), count)
    changes.add(definitions.ENGINE_RECONNECTS, (ENGINE,), 2)
    changes.add(definitions.EVENT_GAPS, (ENGINE,), 3)
    changes.add(definitions.STORE_ERRORS, (), 0)
    changes.set(definitions.OTLP_PENDING_JOBS, ("traces",), 12)
    for metric, count in ((definitions.OTLP_JOBS_EXPORTED, 5_000), (definitions.OTLP_JOBS_REJECTED, 1)):
        changes.add(metric, ("traces",), count)
    changes.add(definitions.OTLP_JOBS_DROPPED, ("logs",), 7)
    for seconds in (0.001, 0.0011, 0.75, 60):
        changes.observe(definitions.STORE_COMMIT_DURATION, (), seconds)
    changes.set(definitions.WORKLOAD_ORDER, ("label,swarm,compose,image",), 1_780_000_000)
    changes.set(definitions.CONFIG_LAST_RELOAD_SUCCESSFUL, (), 1)
    changes.set(definitions.CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP, (), 1_790_000_000.25)


def comparable(text: str) -> str:
    """Give an exposition without the values of the process's own metrics, which differ each time."""
    return re.sub(r"^((?:process|python)_\w+)[ {].*", r"\1", text, flags=re.MULTILINE)


def without_names(judged: ClassifiedExit) -> ClassifiedExit:
    """Give the same end of a job whose container has another name and id."""
    other = replace(judged.exit.job, name="sparkling-otter-9", container_id="9" * 64)
    return replace(judged, exit=replace(judged.exit, job=other))
