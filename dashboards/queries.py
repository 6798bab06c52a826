"""The shapes of the queries: every series narrowed to the chosen targets, no first event lost."""

from __future__ import annotations

from collections.abc import Iterable

from exporter.telemetry import catalogue
from exporter.telemetry.catalogue import Metric

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
"""One step of a graph, and at least four scrapes."""


def series(metric: Metric | str, *matchers: str, part: str = "") -> str:
    """A metric of the chosen targets; ``part`` is that of a histogram, such as ``_bucket``."""
    name = metric if isinstance(metric, str) else metric.name
    return f"{name}{part}{{{', '.join((*TARGETS, *matchers))}}}"


def gained(selector: str, window: str = RANGE) -> str:
    """What counters have gained in a window, the first value of those that began in it included.

    ``increase`` sees a counter from its second value on: of a workload whose only job failed, it would
    see nothing. A first value is a gain where its target was being scraped when the window began;
    where it was not, that value is history which somebody begins to read.
    """
    was_scraped = f"{series(catalogue.BUILD_INFO)} offset {window}"
    first = (
        f"(min_over_time({selector}[{window}]) unless {selector} offset {window})"
        f" and on (job, instance) {was_scraped}"
    )
    # Another label keeps `or` from taking a series' first value for its increase.
    return f'(increase({selector}[{window}]) or label_replace({first}, "first", "value", "", ""))'


def total(expression: str, *labels: str) -> str:
    """The sum, by labels if there are any."""
    by = f" by ({', '.join(labels)})" if labels else ""
    return f"sum{by} ({expression})"


def counted(expression: str) -> str:
    """A sum, or 0 where exporters are read and have no such series; nothing where none is read."""
    return f"{expression} or 0 * {total(series(catalogue.ENGINE_UP))}"


def quantile(share: float, metric: Metric, *by: str, jobs: Iterable[str] = ()) -> str:
    """How long the given share of what a step of a graph has gained took at most."""
    buckets = gained(series(metric, *jobs, part="_bucket"), RATE)
    return f"histogram_quantile({share}, {total(buckets, 'le', *by)})"


def success_ratio(*matchers: str) -> str:
    """Of the jobs that could fail and ended in the range, the share that was done; nothing if none ended."""
    done = total(gained(series(catalogue.EXITS, *matchers, DONE)))
    either = total(gained(series(catalogue.EXITS, *matchers, 'status=~"done|failed"')))
    return f"({done} or vector(0)) / ({either} > 0)"
