"""PromQL: counts that add up, the worst few, times of failures, and what nobody watched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from exporter.metrics import definitions
from exporter.metrics.definitions import Metric


def chosen(label: str, otherwise: str = "") -> str:
    """Return a matcher for what is chosen of a label, by the variable with its name.

    Between double quotes, although most Grafanas do not escape one in a value: between backticks any value
    would do, but Explore, ad hoc filters and series endpoints write a query anew and lose them.
    """
    return f'{label}=~"${label}{otherwise}"'


TARGETS = (chosen("job"), chosen("instance"))
HOSTS, WORKLOADS, REASONS = chosen("host"), chosen("workload"), chosen("reason")
JOBS = (HOSTS, WORKLOADS)
"""The jobs that are chosen, regardless of their reasons."""
STATUS_DONE = 'status="done"'
STATUS_FAILED = 'status="failed"'
OOM_KILLED = 'reason="OOMKilled"'

RANGE = "$__range"
STEP = "$__interval"
RATE = "$__rate_interval"
LOOK_BACK = "1h"
"""How old the last value before a window may be: a longer gap in the scrapes ends a series."""
KNOWN = "7d"
"""How long an exporter that does not answer is still known to be one."""
WORST = 10


@dataclass(frozen=True, slots=True)
class Period:
    """Window of a count, and the offsets of its end and of its beginning."""

    window: str
    end: str = ""
    begin: str = ""


CHOSEN = Period(RANGE, begin=f" offset {RANGE}")
"""The whole time range: for figures and tables."""
BAR = Period(STEP, end=f" offset -{STEP}")
"""From one stamp of a graph to the next: a bar that begins at its stamp, and the last one reaches to now."""
CELL = Period(STEP, begin=f" offset {STEP}")
"""The step that ends at a stamp, as a heatmap draws it."""
# Prometheus adds up the units of a duration. Grafana gives ranges in seconds or milliseconds and steps of a
# minute or more in larger units, so `offset 5m21600s` is both together.
BEFORE = Period(RANGE, end=f" offset {RANGE}", begin=f" offset {RANGE}${{__range_ms}}ms")
"""The time range before the chosen one."""
CELL_BEFORE = Period(STEP, end=f" offset {RANGE}", begin=f" offset {STEP}{RANGE}")
"""The step that ended one time range before a stamp."""
RANKED = Period(RANGE, end=f" @ end() offset -{STEP}", begin=f" @ end() offset {RANGE}")
"""The whole time range up to now, the same at each stamp of a graph: for the worst few of a graph."""


def series(metric: Metric | str, *matchers: str, part: str = "") -> str:
    """Return a selector for the chosen targets; ``part`` is a suffix of a histogram, such as ``_bucket``."""
    name = metric if isinstance(metric, str) else metric.name
    return f"{name}{part}{{{', '.join((*TARGETS, *matchers))}}}"


def gain(metric: Metric, *matchers: str, period: Period = CHOSEN, part: str = "") -> str:
    """Return by how much counters grew, in whole numbers, once for all exporters of an engine.

    It is the last value of the window minus the last one before it, so bars add up to the whole, and what was
    found after a gap in the scrapes belongs to the first bar behind it. ``increase`` extrapolates, and loses
    what happens between two windows; it counts here only where a counter was set back. A series that is new
    begins with its first value: an exporter shows each series as 0 first, except what is history.
    """
    counter, window = series(metric, *matchers, part=part), period.window
    within = f"{counter}[{window}]{period.end}"
    before = f"(last_over_time({counter}[{LOOK_BACK}]{period.begin}) or min_over_time({within}))"
    grown = f"last_over_time({within}) - {before} >= 0 unless resets({within}) > 0"
    gained = f"({grown} or round(increase({within})))"
    if "host" not in metric.labels:
        # It counts what happened to the exporter itself.
        return gained
    labels = (*metric.labels, "le") if part == "_bucket" else metric.labels
    return f"max by ({', '.join(labels)}) {gained}"


def exits(*matchers: str, period: Period = CHOSEN) -> str:
    """Return the ends of chosen jobs that match."""
    return gain(definitions.EXITS, *JOBS, *matchers, period=period)


def gauge(metric: Metric, *matchers: str) -> str:
    """Return a gauge of jobs, once for all exporters of an engine."""
    return f"max by ({', '.join(metric.labels)}) ({series(metric, *matchers)})"


def total(expression: str, *labels: str) -> str:
    """Return the sum, by labels if there are any."""
    by = f" by ({', '.join(labels)})" if labels else ""
    return f"sum{by} ({expression})"


def nonzero(gains: str) -> str:
    """Return only values above 0, so that legends contain only what occurred."""
    return f"{gains} > 0"


def counted(expression: str) -> str:
    """Return a sum, 0 if exporters have no such series, nothing if there are no exporters."""
    return f"{expression} or 0 * {total(series(definitions.ENGINE_UP))}"


def ratio(period: Period) -> str:
    """Return the share of done jobs among those that were done or failed; nothing if there are none."""
    done, either = (total(exits(each, period=period)) for each in (STATUS_DONE, 'status=~"done|failed"'))
    return f"({done} or 0 * {either}) / ({either} > 0)"


def worst(ranking: str) -> str:
    """Return the greatest few of a ranking that are above 0."""
    return f"topk({WORST}, {ranking} > 0)"


def worst_and_others(values: str, ranking: str, label: str) -> tuple[str, str]:
    """Return the values of the worst few by a label, and the sum of all others."""
    few = worst(ranking)
    return f"{values} and on ({label}) {few}", f"sum({values} unless on ({label}) {few})"


def first_failure(*labels: str) -> str:
    """Return in which step of the range the first failure was, by labels, in milliseconds."""
    failed = nonzero(total(exits(STATUS_FAILED, REASONS, period=BAR), *labels))
    return f"1000 * min_over_time((0 * ({failed}) + time())[{RANGE}:{STEP}])"


def last_failure(*labels: str) -> str:
    """Return when the last failure was, by labels, in milliseconds.

    The newest failure of a workload on a host has its exact time, others the end of their step.
    """
    failed = nonzero(total(exits(STATUS_FAILED, REASONS, period=BAR), *labels))
    stamps = f"(0 * ({failed}) + time() + $__interval_ms / 1000)[{STEP}{RANGE}:{STEP}]"
    newest = f"max by (workload, host) ({series(definitions.LAST_EXIT, *JOBS, STATUS_FAILED)})"
    step_end = f"max_over_time({stamps})"
    too_late = f"clamp_min({step_end} - on (workload, host) group_left () {newest}, 0)"
    return f"1000 * ({step_end} - {too_late})"


def running() -> str:
    """Return the running jobs of each workload on each host."""
    return gauge(definitions.JOBS_RUNNING, *JOBS)


def running_unknown(window: str) -> str:
    """Return the workloads on each host whose number is not known, since their exporter went away."""
    jobs = series(definitions.JOBS_RUNNING, *JOBS)
    by = ", ".join(definitions.JOBS_RUNNING.labels)
    return f"(max by ({by}) (last_over_time({jobs}[{window}])) unless {running()})"


def known_exporters() -> str:
    """Return the exporters that answered within the last days."""
    return f"last_over_time({series(definitions.BUILD_INFO)}[{KNOWN}])"


def of_exporters(name: str) -> str:
    """Return a series that Prometheus has for each target, without those of other programs."""
    return f"({series(name)} and on (job, instance) {known_exporters()})"


def down() -> tuple[str, str, str, str]:
    """Return what is not watched now: exporters, engines (each 1); 0 if nothing is; 1 if nobody watches."""
    engine = series(definitions.ENGINE_UP)
    exporters = f"max by (instance) ({of_exporters('up')} == bool 0) == 1"
    engines = f"max by (engine) ({engine} == bool 0) == 1"
    nothing = f"0 * count({engine}) unless on () ({exporters} or {engines})"
    return exporters, engines, nothing, f"absent({engine}) unless on () ({exporters})"


def watched() -> str:
    """Return whether engines were watched: 1, or 0 if the exporter lost it, -1 if the exporter was away."""
    engine, by = series(definitions.ENGINE_UP), "min by (job, instance, engine)"
    return f"{by} ({engine}) or 0 * {by} (last_over_time({engine}[{KNOWN}])) - 1"


def minutes_not_watched() -> str:
    """Return for how many minutes of the range engines were not watched, since they are known."""
    engine, by = series(definitions.ENGINE_UP), "max by (job, instance, engine)"
    # From a week before the range: of a long range, the minutes before the last week are due as well.
    first = f"{by} (-min_over_time(timestamp({engine})[{KNOWN}{RANGE}:5m]))"
    due = f"floor(clamp_max(time() + {first}, $__range_ms / 1000) / 60)"
    done = f"{by} (count_over_time(({engine} == 1)[{RANGE}:1m]))"
    return f"clamp_min({due} - ({done} or 0 * {first}), 0)"


def alert_times(
    names: Sequence[str], narrowed: Sequence[str], *matchers: str, window: str | None = None
) -> str:
    """Return when the firing alerts with these names began, in milliseconds, once for each subject.

    They are narrowed to what these variables choose; an alert without such a label is not left out. With a
    window, those that fired at any time within it.
    """
    matching = ", ".join(
        (f'alertname=~"{"|".join(names)}"', *matchers, *(chosen(each, "|") for each in narrowed))
    )
    began, firing = f"ALERTS_FOR_STATE{{{matching}}}", f'ALERTS{{alertstate="firing", {matching}}}'
    if window is not None:
        began, firing = (f"max_over_time({each}[{window}])" for each in (began, firing))
    by = "alertname, severity, workload, host, instance"
    return f"1000 * max by ({by}) ({began} and ignoring (alertstate) {firing})"
