"""Overview of all exits: what is dying now, why, since when, and whether it is getting worse."""

from __future__ import annotations

from dashboards import colours, layout, shared_panels
from dashboards.colours import FAILED
from dashboards.layout import CHOSEN_JOBS, EXPORTER_ALERTS, JOB_ALERTS, DashboardSpec, Row
from dashboards.panels import AnyPanel, PanelSpec, bars, range_query, with_dashed_line
from dashboards.queries import (
    BAR,
    BEFORE,
    CELL_BEFORE,
    CHOSEN,
    JOBS,
    OOM_KILLED,
    REASONS,
    STATUS_FAILED,
    exits,
    first_failure,
    gain,
    last_failure,
    nonzero,
    total,
)
from dashboards.shared_panels import DIAMOND, top_row, worst_bars
from dashboards.tables import AGO, TIME, Column, table_panel, table_query
from dashboards.traces import failed_runs, traces_variable
from exporter.metrics import definitions

_AVERAGE, _BEFORE = "average of the range before", "the range before"
_HINT = "No failure recorded. To see one: docker run --rm busybox false"
_NARROWED = ("workload", "host", "instance")


def dashboard() -> DashboardSpec:
    """Return the dashboard."""
    return DashboardSpec(
        layout.OVERVIEW,
        "Exits overview",
        "Why jobs in containers ended, for all workloads. Click a workload to open its dashboard.",
        [*layout.job_variables(), traces_variable()],
        [layout.link_to_workload(CHOSEN_JOBS), layout.link_to_health(), layout.link_to_reasons()],
        [layout.alert_marks((*JOB_ALERTS, *EXPORTER_ALERTS), *_NARROWED)],
        [
            Row(100, "In the chosen time", _now()),
            Row(700, "Getting worse?", _trend()),
            Row(200, "Ends", [shared_panels.by_reason(201), _by_status()]),
            Row(400, "Memory", [_oom_spikes(), _oom_ends()]),
            Row(
                500, "Runs", [shared_panels.durations(501), shared_panels.running_over_time(503, "workload")]
            ),
            Row(600, "Failed runs with a trace (Jaeger)", [failed_runs(601)], collapsed=True),
        ],
    )


def _now() -> list[AnyPanel]:
    text = "Jobs that the kernel's OOM killer ended, regardless of the chosen reasons."
    return [
        shared_panels.failures(101),
        shared_panels.oom_killed(top_row(102, "OOMKilled", text)),
        shared_panels.success(103),
        shared_panels.running_now(104),
        shared_panels.down_now(106),
        shared_panels.not_watched(107),
        shared_panels.firing_alerts(108, (*JOB_ALERTS, *EXPORTER_ALERTS), *_NARROWED),
        _failures_over_time(),
        _last_failures(),
    ]


def _failures_over_time() -> AnyPanel:
    text = (
        "Jobs that failed, by reason; a bar begins at its time. The dashed line is their number one time "
        f"range before. {DIAMOND}"
    )
    failed = nonzero(total(exits(STATUS_FAILED, REASONS, period=BAR), "reason"))
    before = total(exits(STATUS_FAILED, REASONS, period=CELL_BEFORE))
    queries = [range_query(failed, "{{reason}}", exemplars=True), range_query(before, _BEFORE)]
    spec = PanelSpec(109, "Failures over time", text, 9)
    return with_dashed_line(bars(spec, queries, colours.REASONS, FAILED), _BEFORE)


def _last_failures() -> AnyPanel:
    text = (
        "Failures in the chosen time, the latest first. The latest of a workload on a host has its exact "
        "time, others the end of their step in the graphs."
    )
    labels = ("workload", "host", "reason", "code")
    failures = nonzero(total(exits(STATUS_FAILED, REASONS), *labels))
    columns = [
        Column("workload", "Workload", link=layout.workload_link(*labels[:3], of="__data.fields")),
        Column("host", "Host", 220),
        Column("reason", "Reason", 180, link=layout.reason_link()),
        Column("code", "Code", 90),
        Column("Value #A", "Failures", 80),
        Column("Value #B", "Last failure", 150, TIME),
        Column("ago", "Ago", 140, AGO, copy_of="Value #B"),
    ]
    spec = PanelSpec(301, "Last failures by workload", text, 24, 10)
    queries = [table_query(failures), table_query(f"{last_failure(*labels)} and {failures}")]
    return table_panel(spec, queries, columns, ["Last failure", "Failures"], _HINT)


def _trend() -> list[AnyPanel]:
    by_host = PanelSpec(
        702, "Failures by host", "Jobs that failed, on the ten hosts with most and on others."
    )
    return [
        _failing_workloads(),
        shared_panels.success_over_time(701),
        worst_bars(by_host, definitions.EXITS, "host", STATUS_FAILED, REASONS),
    ]


def _failing_workloads() -> AnyPanel:
    text = (
        "Failures of each workload, in the time range before and in the chosen one, with the OOM-killed "
        "processes. Restarts are runs begun by the restart policy: as many as failures mean one container "
        "that starts again and again. New since: no failure in the range before, and the first one then."
    )
    failures, before = (
        total(exits(STATUS_FAILED, REASONS, period=period), "workload") for period in (CHOSEN, BEFORE)
    )
    kills, restarts = (
        nonzero(total(gain(metric, *JOBS), "workload"))
        for metric in (definitions.OOM_KILLS, definitions.RESTARTS)
    )
    failing = nonzero(failures)
    columns = [
        Column("workload", "Workload", link=layout.workload_link("workload", of="__data.fields")),
        Column("Value #A", "Failures", 110),
        Column("Value #B", "Before", 110),
        Column("Value #C", "OOM kills", 110),
        Column("Value #D", "Restarts", 110),
        Column("Value #E", "New since", 170, TIME),
    ]
    queries = [
        failing,
        f"{before} and {failing}",
        f"{kills} and {failing}",
        f"{restarts} and {failing}",
        f"{first_failure('workload')} and {failing} unless {nonzero(before)}",
    ]
    spec = PanelSpec(302, "Failing workloads", text, 24)
    return table_panel(spec, [table_query(each) for each in queries], columns, ["Failures"])


def _by_status() -> AnyPanel:
    text = "Jobs that ended: done, failed, terminated (they were asked to stop) or unknown."
    query = nonzero(total(exits(REASONS, period=BAR), "status"))
    return bars(PanelSpec(202, "Ends by status", text), [range_query(query, "{{status}}")], colours.STATUSES)


def _oom_spikes() -> AnyPanel:
    text = (
        "OOM-killed processes, of the ten workloads with most and of others. The dashed line is the average "
        "of a step over an equally long time before it: a bar far above it is a spike."
    )
    # At each stamp, of the time range that ends there.
    average = f"{total(gain(definitions.OOM_KILLS, *JOBS))} * $__interval_ms / $__range_ms"
    beside = [range_query(average, _AVERAGE)]
    spec = PanelSpec(401, "OOM spikes", text)
    return with_dashed_line(worst_bars(spec, definitions.OOM_KILLS, "workload", beside=beside), _AVERAGE)


def _oom_ends() -> AnyPanel:
    text = "Jobs that ended as OOMKilled, of the ten workloads with most and of others."
    return worst_bars(PanelSpec(402, "Jobs OOMKilled", text), definitions.EXITS, "workload", OOM_KILLED)
