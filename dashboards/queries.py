"""The shapes of the queries: every series narrowed to the chosen targets, no first event lost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from exporter.metrics import definitions
from exporter.metrics.definitions import Metric

TARGETS = ('job=~"$job"', 'instance=~"$instance"')
HOSTS = 'host=~"$host"'
REASONS = 'reason=~"$reason"'
DONE = 'status="done"'
FAILED = 'status="failed"'
UNKNOWN = 'status="unknown"'
OOM_KILLED = 'reason="OOMKilled"'

RANGE = "$__range"
"""All that the reader looks at: for figures and tables."""
RATE = "$__rate_interval"
"""One step of a graph and a scrape more, and at least four scrapes."""
STEP = "$__interval"
"""From one point of a graph to the next."""


@dataclass(frozen=True, slots=True)
class Presence:
    """Which series is in every scrape from the moment on at which counters can have news, by which labels."""

    metric: Metric
    labels: tuple[str, ...]


OF_JOBS = Presence(definitions.EXITS_UNOBSERVED, ("job", "instance", "host"))
"""There once that is counted which a host's engine still knew of when it was first listed."""
OF_EXPORTERS = Presence(definitions.BUILD_INFO, ("job", "instance"))
"""There from an exporter's first scrape on."""


def presence_for(metric: Metric) -> Presence:
    """What shows since when a metric can have news."""
    return OF_JOBS if "host" in metric.labels else OF_EXPORTERS


def series(metric: Metric | str, *matchers: str, part: str = "") -> str:
    """A metric of the chosen targets; ``part`` is that of a histogram, such as ``_bucket``."""
    name = metric if isinstance(metric, str) else metric.name
    return f"{name}{part}{{{', '.join((*TARGETS, *matchers))}}}"


def of_exporters(name: str, window: str) -> str:
    """What Prometheus itself says of targets: of those alone whose jobs have had an exporter in a window.

    It says so of all that it scrapes, and whoever has chosen all jobs has chosen those too.
    """
    return f"({series(name)} and on (job) last_over_time({series(definitions.BUILD_INFO)}[{window}]))"


def gained(selector: str, window: str = RANGE, presence: Presence = OF_JOBS) -> str:
    """What counters have gained in a window, the first value of those that began in it included.

    ``increase`` sees a counter from its second value on: of a workload whose only job failed, it would
    see nothing. A first value is a gain where news was being read before the counter began: then it was in
    fewer scrapes than the series that shows ``presence``. Where it was in all of those, its first value is
    history that somebody begins to read.
    """
    began = f"min_over_time({selector}[{window}]) unless {selector} offset {window}"
    scrapes = total(f"count_over_time({series(presence.metric)}[{window}])", *presence.labels)
    target = ", ".join(presence.labels)
    late = f"count_over_time({selector}[{window}]) < on ({target}) group_left () {scrapes}"
    # Another label keeps `or` from taking a series' first value for its increase.
    first = f'label_replace(({began}) and ({late}), "first", "value", "", "")'
    return f"(increase({selector}[{window}]) or {first})"


def happened(gains: str) -> str:
    """Gains where there are any: legends then name what happened, and nothing else."""
    return f"{gains} > 0"


def last_gained(selector: str, *labels: str) -> str:
    """When counters last gained something in the range, to within one step, by labels.

    A value of a subquery is of the moment at which it was computed. Its steps overlap as those of graphs
    do, so that none of them misses what happened between two.
    """
    moments = f"timestamp({happened(gained(selector, RATE))})"
    return f"max by ({', '.join(labels)}) (max_over_time({moments}[{RANGE}:{STEP}]))"


def total(expression: str, *labels: str) -> str:
    """The sum, by labels if there are any."""
    by = f" by ({', '.join(labels)})" if labels else ""
    return f"sum{by} ({expression})"


def counted(expression: str) -> str:
    """A sum, or 0 where exporters are read and have no such series; nothing where none is read."""
    return f"{expression} or 0 * {total(series(definitions.ENGINE_UP))}"


def quantile(share: float, metric: Metric, *by: str, jobs: Iterable[str] = ()) -> str:
    """How long the given share of what a step of a graph has gained took at most."""
    buckets = gained(series(metric, *jobs, part="_bucket"), RATE, presence_for(metric))
    return f"histogram_quantile({share}, {total(buckets, 'le', *by)})"


def success_ratio(*matchers: str) -> str:
    """Of the jobs that could fail and ended in the range, the share that was done; nothing if none ended."""
    done = total(gained(series(definitions.EXITS, *matchers, DONE)))
    either = total(gained(series(definitions.EXITS, *matchers, 'status=~"done|failed"')))
    return f"({done} or vector(0)) / ({either} > 0)"
