"""Ninety minutes in which everything goes wrong that has an alert, counted by the real JobMetrics."""

from collections.abc import Iterator
from typing import Any

from exporter.metrics import definitions
from exporter.model import Evidence, Job, Workload
from tests.dashboards.scenario import (
    END,
    JOB,
    LOST,
    MINUTE,
    NOT_STARTED,
    START,
    Exporter,
    backfilled,
    first_scrape,
    scrapes,
)
from tests.store.samples import OOM, job

DEADLINE = "workload:container_success_deadline:seconds"
LATE = "night/report"
"""A workload that must succeed within ten minutes, and does not."""
DOWN_FROM = 80
TWICE = "node-9"
"""A host that both exporters watch."""
SIGNAL = ("traces",)
UNHEALTHY = Evidence(unhealthy=True, stop_requested=True)


def past() -> str:
    """Return what Prometheus has scraped, as OpenMetrics with the times and labels of the targets."""
    lines = [line for exporter in (_troubled(), _lost()) for line in scrapes(exporter)]
    return "\n".join([*lines, *_deadline(), "# EOF", ""])


def _troubled() -> Exporter:
    exporter = Exporter("a:10137", "unix:///var/run/docker.sock", 100)
    first_scrape(exporter)
    _memory(exporter)
    _failures(exporter)
    _own_troubles(exporter)
    return exporter


def _lost() -> Exporter:
    """Create an exporter that stops answering."""
    gone = set(range(START + DOWN_FROM * MINUTE, END + 1))
    exporter = Exporter("b:10137", "unix:///var/run/docker.sock", 100, unscraped=gone)
    first_scrape(exporter, TWICE)
    return exporter


def _of(workload: str, **changes: Any) -> Job:
    return job(workload=Workload(workload, "image"), **changes)


def _memory(exporter: Exporter) -> None:
    for kill in range(6):
        exporter.runs(_of("hungry"), 74 + kill / 2, 0.5, 137, evidence=OOM, oom_kills=1)
        exporter.runs(_of(f"hungry/{kill}"), 75, 1, 137, evidence=OOM, oom_kills=1)
    for host in ("node-1", "node-2"):
        backfilled(exporter, host, 0)
        for _ in range(5):
            exporter.runs(_of("everywhere", instance=host), 75, 1, 137, evidence=OOM, oom_kills=1)
    exporter.runs(_of("survivor"), 70, 5, 0, oom_kills=30)


def _failures(exporter: Exporter) -> None:
    for run in range(12):
        exporter.runs(_of("loop"), 50 + 3 * run, 2, 1)
        exporter.runs(_of("restarted", restarts=run + 1), 50 + 3 * run, 2, 0)
    for run in range(4):
        exporter.runs(_of("sick"), 65 + 4 * run, 3, 137, evidence=UNHEALTHY)
    exporter.runs(_of("typo"), 75, 0, 127, evidence=NOT_STARTED)
    exporter.runs(_of("lost"), 70, 5, 255, evidence=LOST, recovered=True)
    exporter.runs(_of("unseen"), 70, 5, None, recovered=True)
    backfilled(exporter, TWICE, 0)
    exporter.runs(_of("told", instance=TWICE), 70, 5, 1, recovered=True)
    exporter.runs(_of(LATE), 20, 10, 0)


def _own_troubles(exporter: Exporter) -> None:
    engine = (exporter.engine,)
    exporter.updates(
        75,
        ("set", definitions.ENGINE_UP, engine, 0),
        ("set", definitions.CONFIG_LAST_RELOAD_SUCCESSFUL, (), 0),
        ("set", definitions.EXITS_PENDING, (), 5),
        ("set", definitions.OTLP_PENDING_JOBS, SIGNAL, 20_000),
        ("add", definitions.EVENT_GAPS, engine, 1),
        ("add", definitions.STORE_ERRORS, (), 20),
        ("add", definitions.JOB_RECORDS_DROPPED, (), 1),
        ("add", definitions.JOBS_OVER_WORKLOAD_LIMIT, (), 1),
        ("add", definitions.OTLP_JOBS_REJECTED, SIGNAL, 1),
        ("add", definitions.OTLP_JOBS_DROPPED, SIGNAL, 1),
    )


def _deadline() -> Iterator[str]:
    """Yield the deadline of a workload that the thresholds list."""
    for second in range(START, END, MINUTE):
        yield f'{DEADLINE}{{workload="{LATE}"}} 600 {second}'


TARGETS = [{"job": JOB, "instance": f"{name}:10137"} for name in ("a", "b")]
