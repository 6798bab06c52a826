"""Overview of all exits: how many, why, where, and how long their jobs ran."""

from __future__ import annotations

from dashboards import colours, layout, shared_panels
from dashboards.colours import BAD, GOOD, NONE, WARNING
from dashboards.layout import DashboardSpec, Row
from dashboards.panels import (
    MOMENTS_STEP,
    AnyPanel,
    Column,
    PanelSpec,
    bar_ranking,
    bars,
    data_link,
    instant_query,
    number_stat,
    points,
    range_query,
    step_lines,
    table_panel,
    table_query,
    with_dashed_line,
    with_table_legend,
)
from dashboards.queries import (
    FAILED,
    HOSTS,
    OOM_KILLED,
    RANGE,
    RATE,
    REASONS,
    UNKNOWN,
    increase,
    last_increase_time,
    nonzero,
    of_exporters,
    quantile,
    series,
    total,
)
from dashboards.shared_panels import DIAMOND, count_stat, exits, top_row
from exporter.metrics import definitions

WORKLOADS = 'workload=~"$workload"'
_JOBS = (HOSTS, WORKLOADS)
_AVERAGE = "average of the range before"


def dashboard() -> DashboardSpec:
    """Return the dashboard."""
    return DashboardSpec(
        layout.OVERVIEW,
        "exit-exporter / Exits overview",
        "Why jobs in containers ended, for all workloads. Click a workload to open its dashboard.",
        [layout.host_variable(), layout.workloads_variable(), layout.reason_variable(WORKLOADS)],
        [
            layout.link_to_workload(layout.JOBS),
            layout.link_to_health(),
            layout.link_to_docs("Reasons", "reasons.md"),
        ],
        layout.firing_alerts(layout.JOB_ALERTS, layout.EXPORTER_ALERTS),
        [
            Row(100, "In the chosen time", _top_row()),
            Row(300, "Last failures", [_last_failures()]),
            Row(200, "Ends", [shared_panels.by_reason(201, _JOBS), _by_status(), _failing(), _oom_killing()]),
            Row(400, "Memory", [_oom_spikes(), _oom_ends()]),
            Row(500, "Runs", [shared_panels.durations(501, _JOBS), _quantiles(), _running()]),
        ],
    )


def _top_row() -> list[AnyPanel]:
    return [
        shared_panels.failures(101, _JOBS),
        _oom_killed(),
        shared_panels.success(103, _JOBS),
        shared_panels.running(104, _JOBS),
        _unknown(),
        _not_watched(),
    ]


def _oom_killed() -> AnyPanel:
    text = "Jobs that the kernel's OOM killer ended, regardless of the chosen reasons."
    return count_stat(top_row(102, "OOMKilled", text), exits(_JOBS, OOM_KILLED), BAD)


def _unknown() -> AnyPanel:
    text = "Jobs whose exit was missed, so that the code is unknown, regardless of the chosen reasons."
    return count_stat(top_row(105, "Unknown ends", text), exits(_JOBS, UNKNOWN), WARNING)


def _not_watched() -> AnyPanel:
    text = (
        "Exporters that Prometheus cannot scrape, and engines that an exporter cannot watch. "
        "See Exporter health for details."
    )
    exporters = total(f"1 - {of_exporters('up', RANGE)}")
    engines = total(f"1 - {series(definitions.ENGINE_UP)}")
    query = f"{exporters} + ({engines} or vector(0))"
    lost = number_stat(top_row(106, "Not watched", text), query, [(0, GOOD), (1, BAD)])
    return lost.data_links([data_link(layout.exporters_link())])


def _by_status() -> AnyPanel:
    text = (
        "Jobs that ended within one step of the graph: done, failed, terminated (they were asked to stop) "
        "or unknown."
    )
    query = nonzero(total(increase(exits(_JOBS, REASONS), RATE), "status"))
    return bars(PanelSpec(202, "Ends by status", text), [range_query(query, "{{status}}")], colours.STATUSES)


def _failing() -> AnyPanel:
    text = "The workloads with most failures of the chosen reasons. Click one to open its dashboard."
    failed = increase(exits(_JOBS, FAILED, REASONS))
    return _worst(PanelSpec(203, "Top workloads by failures", text), failed)


def _oom_killing() -> AnyPanel:
    text = "The workloads with most OOM-killed processes. Click one to open its dashboard."
    kills = increase(series(definitions.OOM_KILLS, *_JOBS))
    return _worst(PanelSpec(204, "Top workloads by OOM kills", text), kills)


def _worst(spec: PanelSpec, events: str) -> AnyPanel:
    worst = f"sort_desc(topk(8, {nonzero(total(events, 'workload'))}))"
    return bar_ranking(
        spec, instant_query(worst, "{{workload}}"), layout.workload_link("__field.labels.workload")
    )


def _last_failures() -> AnyPanel:
    text = (
        "Failures in the chosen time, the latest first. The time of the last failure is accurate to one "
        "minute, or to one step of the graphs if that is longer."
    )
    labels = ("workload", "host", "reason", "code")
    failed = exits(_JOBS, FAILED, REASONS)
    failures = nonzero(total(increase(failed), *labels))
    # A failure in the current step, or while nothing was scraped, has no time of its own yet; the workload
    # has.
    last = f"max by (workload, host) ({series(definitions.LAST_EXIT, *_JOBS, FAILED)})"
    otherwise = f"0 * ({failures}) + on (workload, host) group_left () {last}"
    when = f"1000 * (({last_increase_time(failed, *labels)} and {failures}) or {otherwise})"
    columns = [
        Column("workload", "Workload", link=layout.workload_link("__data.fields.workload")),
        Column("host", "Host", 240),
        Column("reason", "Reason", 190),
        Column("code", "Code", 90),
        Column("Value #A", "Failures", 90),
        Column("Value #B", "Last failure", 150, "dateTimeFromNow"),
    ]
    spec = PanelSpec(301, "Last failures by workload", text, 24, 10)
    return table_panel(spec, [table_query(failures), table_query(when)], columns, "Last failure").interval(
        MOMENTS_STEP
    )


def _oom_spikes() -> AnyPanel:
    text = (
        "OOM-killed processes within one step of the graph, by workload. The dashed line is the average of a "
        "step over an equally long time before: a bar far above it is a spike."
    )
    kills = series(definitions.OOM_KILLS, *_JOBS)
    average = f"{total(f'increase({kills}[{RANGE}])')} * $__interval_ms / $__range_ms"
    by_workload = range_query(nonzero(total(increase(kills, RATE), "workload")), "{{workload}}")
    spikes = bars(PanelSpec(401, "OOM spikes", text), [by_workload, range_query(average, _AVERAGE)])
    return with_dashed_line(spikes, _AVERAGE, NONE)


def _oom_ends() -> AnyPanel:
    text = f"Jobs that ended as OOMKilled within one step of the graph, by workload. {DIAMOND}"
    query = nonzero(total(increase(exits(_JOBS, OOM_KILLED), RATE), "workload"))
    return bars(PanelSpec(402, "Jobs OOMKilled", text), [range_query(query, "{{workload}}", exemplars=True)])


def _quantiles() -> AnyPanel:
    text = (
        "Median and 95th percentile (darker) of the run durations of jobs that ended within one step of the "
        f"graph, by status. {DIAMOND}"
    )
    half, most = (quantile(share, definitions.RUN_DURATION, "status", jobs=_JOBS) for share in (0.5, 0.95))
    # Exemplars are those of the whole histogram, so one query is enough.
    queries = [range_query(half, "{{status}} p50", exemplars=True), range_query(most, "{{status}} p95")]
    colours_of_half = {f"{status} p50": colour for status, colour in colours.STATUSES.items()}
    colours_of_most = {f"{status} p95": f"dark-{colour}" for status, colour in colours.STATUSES.items()}
    spec = PanelSpec(502, "Run duration quantiles by status", text)
    return points(spec, "s", queries, colours_of_half | colours_of_most)


def _running() -> AnyPanel:
    query = total(series(definitions.JOBS_RUNNING, *_JOBS), "workload")
    spec = PanelSpec(503, "Jobs running", "Jobs that ran at each moment, by workload.", 24)
    return with_table_legend(step_lines(spec, range_query(query, "{{workload}}")))
