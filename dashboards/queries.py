"""Queries that select the chosen targets, and do not miss the first event of a series."""

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
"""The whole time range: for numbers and tables."""
RATE = "$__rate_interval"
"""One step of a graph plus one scrape, at least four scrapes."""
STEP = "$__interval"
"""Time between two points of a graph."""


@dataclass(frozen=True, slots=True)
class BackfillMarker:
    """Series that exists from the time on at which counters have new events, with its labels."""

    metric: Metric
    labels: tuple[str, ...]


JOBS_BACKFILLED = BackfillMarker(definitions.EXITS_UNOBSERVED, ("job", "instance", "host"))
"""It exists once everything is counted that the engine of a host still knew at its first list."""
EXPORTER_SCRAPED = BackfillMarker(definitions.BUILD_INFO, ("job", "instance"))
"""It exists from the first scrape of an exporter on."""


def marker_for(metric: Metric) -> BackfillMarker:
    """Return the marker from which on increases of a metric are new."""
    return JOBS_BACKFILLED if "host" in metric.labels else EXPORTER_SCRAPED


def series(metric: Metric | str, *matchers: str, part: str = "") -> str:
    """Return a selector for the chosen targets; ``part`` is a suffix of a histogram, such as ``_bucket``."""
    name = metric if isinstance(metric, str) else metric.name
    return f"{name}{part}{{{', '.join((*TARGETS, *matchers))}}}"


def of_exporters(name: str, window: str) -> str:
    """Return a series that Prometheus has for each target, without those of other programs.

    With all scrape jobs selected, these would match as well: only jobs with an exporter in the window do.
    """
    return f"({series(name)} and on (job) last_over_time({series(definitions.BUILD_INFO)}[{window}]))"


def increase(selector: str, window: str = RANGE, marker: BackfillMarker = JOBS_BACKFILLED) -> str:
    """Return the increase of counters in a window, including the first value of a new series.

    PromQL's ``increase`` ignores the first value, and so the only failure of a workload. The first value is
    new if the series has fewer samples in the window than its ``marker``: then the marker existed before it.
    If it has as many, the first value is history.
    """
    began = f"min_over_time({selector}[{window}]) unless {selector} offset {window}"
    scrapes = total(f"count_over_time({series(marker.metric)}[{window}])", *marker.labels)
    target = ", ".join(marker.labels)
    late = f"count_over_time({selector}[{window}]) < on ({target}) group_left () {scrapes}"
    # The label distinguishes the first value from the increase of the same series, so that `or` keeps both.
    first = f'label_replace(({began}) and ({late}), "first", "value", "", "")'
    return f"(increase({selector}[{window}]) or {first})"


def nonzero(gains: str) -> str:
    """Return only values above 0, so that legends contain only what occurred."""
    return f"{gains} > 0"


def last_increase_time(selector: str, *labels: str) -> str:
    """Return the time of the last increase in the range, by labels, accurate to one step.

    A value of a subquery has the time at which it was computed. Its steps overlap as those of graphs do, so
    that no event between two steps is missed.
    """
    moments = f"timestamp({nonzero(increase(selector, RATE))})"
    return f"max by ({', '.join(labels)}) (max_over_time({moments}[{RANGE}:{STEP}]))"


def total(expression: str, *labels: str) -> str:
    """Return the sum, by labels if there are any."""
    by = f" by ({', '.join(labels)})" if labels else ""
    return f"sum{by} ({expression})"


def counted(expression: str) -> str:
    """Return a sum, 0 if exporters have no such series, nothing if there are no exporters."""
    return f"{expression} or 0 * {total(series(definitions.ENGINE_UP))}"


def quantile(share: float, metric: Metric, *by: str, jobs: Iterable[str] = ()) -> str:
    """Return a quantile of the observations within a step of a graph."""
    buckets = increase(series(metric, *jobs, part="_bucket"), RATE, marker_for(metric))
    return f"histogram_quantile({share}, {total(buckets, 'le', *by)})"


def success_ratio(*matchers: str) -> str:
    """Return the share of done jobs among those that were done or failed; nothing if there are none."""
    done = total(increase(series(definitions.EXITS, *matchers, DONE)))
    either = total(increase(series(definitions.EXITS, *matchers, 'status=~"done|failed"')))
    return f"({done} or vector(0)) / ({either} > 0)"
