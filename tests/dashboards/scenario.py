"""Ninety minutes of exporters, made by the real job metrics and collector.

The dashboards show the hour before `END`. The constants below are the facts of that hour, with which tests
compare the dashboards.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from prometheus_client.core import Sample

from exporter.metrics import definitions
from exporter.metrics.collector import build_registry
from exporter.metrics.job_metrics import JobMetrics
from exporter.metrics.state import MetricState
from exporter.metrics.update import MetricUpdate
from exporter.model import Evidence, Job, Workload
from exporter.otlp.trace_context import span_ids_for
from exporter.sources.docker.engine import EventType
from exporter.verdict.catalog_file import builtin_catalog
from tests.dashboards.boards import SCRAPE_SECONDS
from tests.store.samples import OOM, SECOND_NS, STOPPED, ended, job

START = 1_767_571_200
"""2026-01-05T00:00:00Z, where blocks of Prometheus begin, so that the past is one block."""
MINUTE, HOUR = 60, 3600
END = START + 90 * MINUTE
BEGIN = END - HOUR
JOB = "exit-exporter"
TRACES = ("traces",)
ALERTS_BEGAN = BEGIN + 20 * MINUTE
FIRING = {"JobOOMKilled", "ExitExporterEngineDisconnected"}

SHOP = Workload("shop/worker", "registry.example/shop/worker")
NIGHT = Workload("night/report (v1.0)", "report")
IMPORT = Workload("batch/import", "import")
EXTRA = Workload("one/too-many", "extra")
OLD = Workload("old/history", "old")
NOT_STARTED, LOST = Evidence(start_failed=True), Evidence(host_lost=True)

ENDED = 15
FAILURES, OOM_KILLED, DONE, UNKNOWN = 8, 3, 4, 1
FAILURES_BEFORE = 1
SHOP_SURVIVED = 4
SHOP_RESTARTED = (10, 50.5, 51.5)
SHOP_LIMIT = 256 << 20
RUNNING = 2
NIGHT_CODE = "3"
"""A code without a series at 0: its series begins at 1, which a plain increase ignores."""

Action = Callable[[JobMetrics, MetricUpdate], object]


@dataclass
class Exporter:
    """Exporter with its actions, each with its second since `START`."""

    instance: str
    engine: str
    max_workloads: int
    actions: list[tuple[int, Action]] = field(default_factory=list)
    unscraped: set[int] = field(default_factory=set)
    read_from: int = START

    def runs(self, begun: Job, minute: float, minutes: float, code: int | None, **end: object) -> None:
        """Run a job from one minute on for some minutes."""
        at = round(minute * MINUTE)
        began = replace(begun, start_event_ns=(START + at) * SECOND_NS, started_ns=(START + at) * SECOND_NS)
        finished = at + round(minutes * MINUTE)
        evidence = end.pop("evidence", Evidence())
        assert isinstance(evidence, Evidence)
        classified = ended(began, code, evidence, finished_ns=(START + finished) * SECOND_NS, **end)
        traced = (
            replace(classified, trace=span_ids_for(began))
            if classified.verdict.status.value == "failed"
            else classified
        )
        counted: list[Job] = []

        def begin(job_metrics: JobMetrics, changes: MetricUpdate) -> None:
            counted.append(job_metrics.on_start(began, changes))

        self.actions.append((at, begin))
        self.actions.append(
            (finished, lambda job_metrics, changes: job_metrics.on_exit(traced, changes, counted[-1]))
        )

    def starts(self, begun: Job, minute: float) -> None:
        """Start a job that still runs at the end."""
        self.actions.append((round(minute * MINUTE), lambda a, changes: a.on_start(begun, changes)))

    def updates(self, minute: float, *what: tuple[str, definitions.Metric, tuple[str, ...], float]) -> None:
        """Update metrics about itself: a method of `MetricUpdate`, metric, labels, value."""

        def action(_: JobMetrics, changes: MetricUpdate) -> None:
            for verb, metric, labels, figure in what:
                getattr(changes, verb)(metric, labels, figure)

        self.actions.append((round(minute * MINUTE), action))

    def history(self) -> Iterator[tuple[int, MetricState]]:
        """Yield its metric state at each scrape; it is always the same object."""
        metric_state, job_metrics = (
            MetricState({}),
            JobMetrics(self.max_workloads, builtin_catalog().has_code),
        )
        todo = sorted(self.actions, key=lambda action: action[0])
        for second in range(0, END - START + 1, SCRAPE_SECONDS):
            changes = MetricUpdate()
            while todo and todo[0][0] <= second:
                todo.pop(0)[1](job_metrics, changes)
            self._add_activity(changes)
            metric_state.apply(changes)
            yield START + second, metric_state

    def _add_activity(self, changes: MetricUpdate) -> None:
        for event_type, count in ((EventType.DIE, 1), (EventType.START, 1), (EventType.OTHER, 20)):
            changes.add(definitions.ENGINE_EVENTS, (self.engine, event_type.value), count)
        for seconds in (0.001, 0.002, 0.02):
            changes.observe(definitions.STORE_COMMIT_DURATION, (), seconds)
        changes.add(definitions.OTLP_JOBS_EXPORTED, ("traces",), 1)


def exporters() -> list[Exporter]:
    """Return all exporters with their actions."""
    return [_first(), _second(), _known_late()]


def _first() -> Exporter:
    exporter = Exporter("a:10137", "unix:///var/run/docker.sock", 10, unscraped={START + 20 * MINUTE})
    first_scrape(exporter)
    shop = job("a", workload=SHOP, memory_limit_bytes=SHOP_LIMIT)
    night = job("b", workload=NIGHT, traceparent="none", memory_limit_bytes=None)
    # Before the hour that dashboards show.
    exporter.runs(shop, 2, 8, 0)
    exporter.runs(shop, 12, 5, 1)
    for minute in (31, 45, 60):
        exporter.runs(shop, minute, 4, 0)
    exporter.runs(shop, 70, 3, 0, oom_kills=SHOP_SURVIVED)
    for minute in (50, 51, 52):
        exporter.runs(shop, minute, 0.5, 137, evidence=OOM, oom_kills=1)
    exporter.runs(shop, 62, 2, 143, evidence=STOPPED)
    exporter.runs(night, 55.5, 1, int(NIGHT_CODE))
    exporter.runs(night, 57, 20, 1)
    exporter.starts(job("c", workload=SHOP), 20)
    restarts = ("node-1", SHOP.name, SHOP.image)
    for moment in SHOP_RESTARTED:
        exporter.updates(moment, ("add", definitions.RESTARTS, restarts, 1))
    # An engine that is added to a scraped exporter: its earlier exits are history.
    for number in range(5):
        exporter.runs(job(f"{number}", instance="node-4", workload=OLD), 55, 0, 1, recovered=True)
    backfilled(exporter, "node-4", 55)
    return exporter


def _second() -> Exporter:
    exporter = Exporter("b:10137", "tcp://node-2:2376", 1)
    first_scrape(exporter, "node-2")
    batch = job("d", instance="node-2", workload=IMPORT)
    exporter.runs(batch, 40, 0, 127, evidence=NOT_STARTED)
    exporter.runs(batch, 41, 20, None, recovered=True)
    exporter.runs(batch, 42, 20, 143, evidence=STOPPED, recovered=True)
    exporter.runs(batch, 43, 20, 255, evidence=LOST, recovered=True)
    exporter.runs(job("e", instance="node-2", workload=EXTRA), 66, 2, 1)
    exporter.starts(job("f", instance="node-2", workload=IMPORT), 25)
    engine = (exporter.engine,)
    exporter.updates(45, ("set", definitions.ENGINE_UP, engine, 0), ("add", definitions.STORE_ERRORS, (), 2))
    exporter.updates(
        45, ("set", definitions.EXITS_PENDING, (), 5), ("add", definitions.JOB_RECORDS_DROPPED, (), 1)
    )
    exporter.updates(46, ("add", definitions.LOG_LINES_DROPPED, (), 3))
    exporter.updates(48, ("set", definitions.ENGINE_UP, engine, 1), ("set", definitions.EXITS_PENDING, (), 0))
    exporter.updates(
        48, ("add", definitions.ENGINE_RECONNECTS, engine, 1), ("add", definitions.EVENT_GAPS, engine, 1)
    )
    exporter.updates(
        62,
        ("set", definitions.CONFIG_LAST_RELOAD_SUCCESSFUL, (), 0),
        ("set", definitions.OTLP_PENDING_JOBS, TRACES, 3),
    )
    exporter.updates(
        63,
        ("add", definitions.OTLP_JOBS_REJECTED, TRACES, 1),
        ("add", definitions.OTLP_JOBS_DROPPED, TRACES, 2),
    )
    return exporter


def _known_late() -> Exporter:
    """Create an exporter that Prometheus scrapes only late, so that its counts are history."""
    exporter = Exporter("c:10137", "unix:///var/run/docker.sock", 10, read_from=START + 60 * MINUTE)
    first_scrape(exporter, "node-3")
    for minute in range(0, 50, 5):
        exporter.runs(job("7", instance="node-3", workload=OLD), minute, 1, 1)
    return exporter


def first_scrape(exporter: Exporter, host: str = "node-1") -> None:
    """Add the metrics that an exporter has after its first list, with rare events at 0."""
    engine = (exporter.engine,)
    backfilled(exporter, host, 0)
    exporter.updates(
        0,
        ("set", definitions.BUILD_INFO, ("0.1.0", "3.11.7"), 1),
        ("set", definitions.CONFIG_LAST_RELOAD_SUCCESSFUL, (), 1),
        ("set", definitions.CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP, (), START),
        ("set", definitions.EXITS_PENDING, (), 0),
        ("set", definitions.ENGINE_UP, engine, 1),
        ("set", definitions.OTLP_PENDING_JOBS, TRACES, 0),
        *(("add", metric, (), 0.0) for metric in _OF_THE_STORE),
        *(("add", metric, engine, 0.0) for metric in (definitions.ENGINE_RECONNECTS, definitions.EVENT_GAPS)),
        *(
            ("add", metric, TRACES, 0.0)
            for metric in (definitions.OTLP_JOBS_REJECTED, definitions.OTLP_JOBS_DROPPED)
        ),
    )


def backfilled(exporter: Exporter, host: str, minute: float) -> None:
    """Mark a host as backfilled."""
    metrics = (definitions.EXITS_RECOVERED, definitions.EXITS_UNOBSERVED)
    exporter.updates(minute, *(("add", metric, (host,), 0.0) for metric in metrics))


_OF_THE_STORE = (
    definitions.STORE_ERRORS,
    definitions.JOBS_OVER_WORKLOAD_LIMIT,
    definitions.JOB_RECORDS_DROPPED,
    definitions.LOG_LINES_DROPPED,
)


def past() -> str:
    """Return what Prometheus has scraped, as OpenMetrics with the times and labels of the targets."""
    lines = [line for exporter in exporters() for line in scrapes(exporter)]
    return "\n".join([*lines, *_other_targets(), *_alerts(), "# EOF", ""])


def _other_targets() -> Iterator[str]:
    """Yield targets of another scrape job, which are not exporters and do not answer."""
    for second in range(START, END + 1, SCRAPE_SECONDS):
        for name, value in (("up", 0), ("scrape_duration_seconds", 10), ("scrape_samples_scraped", 0)):
            yield f'{name}{{job="node",instance="n:9100"}} {value} {second}'


def _alerts() -> Iterator[str]:
    """Yield alerts that last one minute, between two points of a graph with long steps; some fire still."""
    for alert, severity, label in (
        ("JobOOMKilledSpike", "critical", f'workload="{SHOP.name}"'),
        ("JobOOMKilled", "info", f'workload="{SHOP.name}"'),
        ("JobCannotStart", "warning", f'workload="{IMPORT.name}"'),
        ("HostLost", "warning", 'host="node-2"'),
        ("ExitExporterEngineDisconnected", "warning", 'engine="tcp://node-2:2376"'),
        ("JobOfSomebodyElse", "warning", 'host="node-2"'),
    ):
        labels = f'alertname="{alert}",alertstate="firing",severity="{severity}",{label}'
        ended = END if alert in FIRING else BEGIN + 22 * MINUTE
        for second in range(BEGIN + 21 * MINUTE, ended + 1, SCRAPE_SECONDS):
            yield f"ALERTS{{{labels}}} 1 {second}"
            for_state = labels.replace('alertstate="firing",', "")
            yield f"ALERTS_FOR_STATE{{{for_state}}} {ALERTS_BEGAN} {second}"


def now() -> list[MetricState]:
    """Return the final metric states."""
    return [[metric_state for _, metric_state in exporter.history()][-1] for exporter in exporters()]


def scrapes(exporter: Exporter) -> Iterator[str]:
    """Yield what Prometheus has scraped of one exporter, with its own series of the target."""
    seen: set[str] = set()
    for second, metric_state in exporter.history():
        if second < exporter.read_from:
            continue
        up = second not in exporter.unscraped
        samples = list(shown(metric_state, seen)) if up else []
        own = {
            "up": float(up),
            "scrape_duration_seconds": 0.01,
            "scrape_samples_scraped": float(len(samples)),
        }
        samples += [Sample(name, {}, value) for name, value in own.items()]
        yield from _lines(samples, exporter.instance, second)


def shown(metric_state: MetricState, seen: set[str]) -> Iterator[Sample]:
    """Yield what a scrape is shown: a new series as 0 first, except in the first scrape and of history."""
    first = not seen
    for family in build_registry(metric_state).collect():
        for sample in family.samples:
            key = f"{sample.name}{sample.labels}"
            news = family.type in {"counter", "histogram"} and key not in seen and not first
            history = sample.labels.get("workload") == OLD.name
            seen.add(key)
            yield sample._replace(value=0.0) if news and not history else sample


def _lines(samples: Iterable[Sample], instance: str, second: int) -> Iterator[str]:
    for sample in samples:
        labels = {**sample.labels, "job": JOB, "instance": instance}
        text = ",".join(f'{name}="{_quoted(value)}"' for name, value in labels.items())
        yield f"{sample.name}{{{text}}} {sample.value} {second}"


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
