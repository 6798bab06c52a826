"""Panels that more than one dashboard has, for the jobs that are chosen."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.builders import common, stat, timeseries
from grafana_foundation_sdk.models import common as models

from dashboards import colours, layout
from dashboards.colours import BAD, FAILED, GOOD, NEUTRAL, OOM, UNKNOWN, WARNING
from dashboards.panels import (
    AnyPanel,
    PanelSpec,
    Query,
    bars,
    data_link,
    heatmap_panel,
    instant_query,
    names_stat,
    number_stat,
    range_query,
    step_lines,
)
from dashboards.queries import (
    BAR,
    CELL,
    CHOSEN,
    JOBS,
    OOM_KILLED,
    RANGE,
    RANKED,
    REASONS,
    STATUS_FAILED,
    alert_times,
    counted,
    down,
    exits,
    gain,
    minutes_not_watched,
    nonzero,
    ratio,
    running,
    running_unknown,
    series,
    total,
    worst,
    worst_and_others,
)
from dashboards.tables import TIME, Column, table_panel, table_query
from exporter.metrics import definitions
from exporter.metrics.definitions import Metric

DIAMOND = "A diamond is a job with a trace; click it."
SQUARE = "A square is a job with a trace; click it."
SEVERITIES = {"critical": ("critical", BAD), "warning": ("warning", WARNING), "info": ("info", NEUTRAL)}


def top_row(number: int, title: str, description: str) -> PanelSpec:
    """Return the spec of a panel in the top row, which has six of them."""
    return PanelSpec(number, title, description, 4, 4)


def count_stat(spec: PanelSpec, gains: str, colour: str) -> stat.Panel:
    """Return a number of events in the chosen time, in this colour if there is any."""
    return number_stat(spec, counted(total(gains)), [(0, GOOD), (1, colour)])


def failures(number: int) -> AnyPanel:
    """Return the number of failed jobs."""
    spec = top_row(number, "Failures", "Jobs that failed, with one of the chosen reasons.")
    return count_stat(spec, exits(STATUS_FAILED, REASONS), FAILED)


def oom_killed(spec: PanelSpec) -> AnyPanel:
    """Return the number of jobs that the OOM killer ended."""
    return count_stat(spec, exits(OOM_KILLED), OOM)


def success(number: int) -> AnyPanel:
    """Return the share of jobs that were done."""
    text = (
        "Share of done jobs among those that were done or failed, for all reasons. Jobs that were asked to "
        "stop, and unknown ends, do not count."
    )
    steps = [(0, BAD), (0.9, WARNING), (0.99, GOOD)]
    return number_stat(
        top_row(number, "Success ratio", text), ratio(CHOSEN), steps, unit="percentunit", decimals=1
    )


def running_now(number: int) -> AnyPanel:
    """Return the number of running jobs."""
    text = (
        "Jobs that were running at the end of the chosen time. It is not known while an exporter is away "
        "that had told of some."
    )
    known = f"({counted(total(running()))}) unless on () {running_unknown(RANGE)}"
    return number_stat(top_row(number, "Running", text), known, [(0, NEUTRAL)])


def down_now(number: int) -> AnyPanel:
    """Return the names of exporters and engines that are not watched now."""
    text = (
        "Exporters that Prometheus cannot scrape, and engines that an exporter cannot watch, by name. What "
        "ends there is in no other panel yet. Exporter health has the details."
    )
    exporters, engines, nothing, nobody = down()
    queries = [
        instant_query(exporters, "{{instance}}"),
        instant_query(engines, "{{engine}}"),
        instant_query(nothing, "none"),
        instant_query(nobody, "no exporter"),
    ]
    panel = names_stat(top_row(number, "Down now", text), queries, [(0, GOOD), (1, BAD)])
    return panel.data_links([data_link(layout.exporters_link())])


def not_watched(number: int) -> AnyPanel:
    """Return for how long engines were not watched."""
    text = (
        "Minutes of the chosen time in which an engine was not watched, added up over all engines, since "
        "they are known, at most since a week before that time. Exporter health has them by name."
    )
    spec = top_row(number, "Minutes not watched", text)
    panel = number_stat(spec, total(minutes_not_watched()), [(0, GOOD), (1, WARNING)])
    return panel.data_links([data_link(layout.exporters_link())])


def firing_alerts(number: int, names: Sequence[str], *narrowed: str) -> AnyPanel:
    """Return the alerts that are firing."""
    text = "This project's alerts that fire, the latest first, with the time at which they began."
    since = f'label_join({alert_times(names, narrowed)}, "where", "", "host", "instance")'
    of_jobs = layout.workload_link("workload", of="__data.fields") if "workload" in narrowed else None
    columns = [
        Column("alertname", "Alert", 190, link=layout.runbook_link()),
        Column("severity", "Severity", 76, value_map=SEVERITIES),
        Column("workload", "Workload", link=of_jobs),
        Column("where", "Host or exporter", 130),
        Column("Value", "Since", 150, TIME),
    ]
    nothing = "No alert fires, if Prometheus has this project's rules."
    by = "alertname, severity, workload, where"
    return table_panel(
        PanelSpec(number, "Firing alerts", text, 15, 8),
        [table_query(f"max by ({by}) ({since})")],
        columns,
        ["Since"],
        nothing,
    )


def by_reason(number: int) -> AnyPanel:
    """Return the ends over time by reason."""
    text = f"Jobs that ended, by reason; a bar begins at its time. {DIAMOND}"
    query = nonzero(total(exits(REASONS, period=BAR), "reason"))
    queries = [range_query(query, "{{reason}}", exemplars=True)]
    return bars(PanelSpec(number, "Ends by reason", text), queries, colours.REASONS, FAILED)


def success_over_time(number: int) -> AnyPanel:
    """Return the share of done jobs over time."""
    text = "Share of done jobs among those that were done or failed within each step."
    panel = step_lines(
        PanelSpec(number, "Success ratio over time", text),
        [range_query(ratio(BAR), "success ratio")],
        {"success ratio": GOOD},
        "percentunit",
    )
    return panel.max(1)


def worst_bars(
    spec: PanelSpec, metric: Metric, label: str, *matchers: str, beside: Sequence[Query] = ()
) -> timeseries.Panel:
    """Return events over time of the worst few by a label, of all others together, and what is beside."""
    values, ranking = (
        total(gain(metric, *JOBS, *matchers, period=period), label) for period in (BAR, RANKED)
    )
    few, others = worst_and_others(values, ranking, label)
    queries = [range_query(nonzero(f"({few})"), f"{{{{{label}}}}}"), range_query(nonzero(others), "others")]
    return bars(spec, [*queries, *beside], {"others": UNKNOWN})


def running_over_time(number: int, label: str) -> AnyPanel:
    """Return the running jobs over time, by label: those of the most, and all others together."""
    text = (
        f"Jobs that ran at each moment, by {label}. A gap: their exporter was away, so it is not known, for "
        "an hour after it went."
    )
    gone = f"count by ({label}) {running_unknown('1h')}"
    known = f"(sum by ({label}) ({running()}) unless on ({label}) {gone})"
    peaks = f"sum by ({label}) (max_over_time({series(definitions.JOBS_RUNNING, *JOBS)}[{RANGE}] @ end()))"
    few, others = worst_and_others(known, peaks, label)
    whole = f"{others} unless on () ({gone} unless on ({label}) {worst(peaks)})"
    queries = [range_query(few, f"{{{{{label}}}}}"), range_query(whole, "others")]
    return step_lines(PanelSpec(number, "Jobs running", text), queries, {"others": UNKNOWN})


def side_by_side() -> common.StackingConfig:
    """Return that bars do not stand on each other, for counts of which one contains the other."""
    return common.StackingConfig().mode(models.StackingMode.NONE).group("A")


def durations(number: int) -> AnyPanel:
    """Return the distribution of run durations over time."""
    text = f"How long jobs ran that ended: the denser a cell, the more of them. {SQUARE}"
    buckets = gain(definitions.RUN_DURATION, *JOBS, period=CELL, part="_bucket")
    return heatmap_panel(PanelSpec(number, "Run durations", text), total(buckets, "le"))
