"""The chosen workloads: how their jobs ended, their memory and their durations."""

from __future__ import annotations

from dashboards import colours, layout, shared_panels
from dashboards.colours import NEUTRAL, OOM, WARNING
from dashboards.layout import CHOSEN_JOBS, JOB_ALERTS, DashboardSpec, Row
from dashboards.panels import (
    AnyPanel,
    PanelSpec,
    bars,
    instant_query,
    lines,
    number_stat,
    range_query,
    step_lines,
    value_stat,
)
from dashboards.queries import (
    BAR,
    JOBS,
    OOM_KILLED,
    REASONS,
    STATUS_DONE,
    STATUS_FAILED,
    STEP,
    counted,
    exits,
    gain,
    nonzero,
    series,
    total,
)
from dashboards.shared_panels import DIAMOND, top_row, worst_bars
from dashboards.tables import Column, table_panel, table_query
from exporter.metrics import definitions

_LIMITS = series(definitions.MEMORY_LIMIT, *JOBS)


def dashboard() -> DashboardSpec:
    """Return the dashboard."""
    return DashboardSpec(
        layout.WORKLOAD,
        "Exits of a workload",
        "The jobs of the chosen workloads: attempts, codes, reasons, memory, durations.",
        layout.job_variables(),
        [layout.link_to_overview(CHOSEN_JOBS), layout.link_to_health(), layout.link_to_reasons()],
        [layout.alert_marks(JOB_ALERTS, "workload", "host")],
        [
            Row(100, "In the chosen time: $workload", _top_row()),
            Row(200, "Ends", _ends()),
            Row(300, "Memory", [_oom_kills(), _limits(), *_memory_figures()]),
            Row(400, "Runs", _runs()),
        ],
    )


def _top_row() -> list[AnyPanel]:
    text = "Jobs that ended for one of the chosen reasons. Each run of a container counts, also a restart."
    attempts = counted(total(exits(REASONS)))
    return [
        number_stat(top_row(101, "Attempts", text), attempts, [(0, NEUTRAL)]),
        shared_panels.failures(102),
        shared_panels.success(103),
        shared_panels.running_now(104),
        _since(105, "Last success", "was last done", STATUS_DONE),
        _since(106, "Last failure", "last failed", STATUS_FAILED),
    ]


def _since(number: int, title: str, what: str, status: str) -> AnyPanel:
    spec = top_row(number, title, f"Time since a job {what}, also before the chosen time.")
    last = f"max({series(definitions.LAST_EXIT, *JOBS, status)})"
    return number_stat(spec, f"time() - {last}", [(0, NEUTRAL)], unit="dtdurations")


def _ends() -> list[AnyPanel]:
    return [
        shared_panels.by_reason(201),
        shared_panels.success_over_time(204),
        _codes(),
        shared_panels.firing_alerts(205, JOB_ALERTS, "workload", "host"),
        _restarts(),
    ]


def _codes() -> AnyPanel:
    text = "Number of each code and reason in the chosen time, by host and image."
    counts = nonzero(total(exits(REASONS), "status", "code", "reason", "host", "image"))
    columns = [
        Column("reason", "Reason", 190, link=layout.reason_link()),
        Column("code", "Code", 90),
        Column("status", "Status", 120),
        Column("host", "Host", 240),
        Column("image", "Image"),
        Column("Value", "Attempts", 90),
    ]
    return table_panel(
        PanelSpec(203, "Codes and reasons", text, 24), [table_query(counts)], columns, ["Attempts"]
    )


def _oom_kills() -> AnyPanel:
    text = f"OOM-killed processes, and jobs that ended because of one. {DIAMOND}"
    processes = nonzero(total(gain(definitions.OOM_KILLS, *JOBS, period=BAR)))
    jobs = nonzero(total(exits(OOM_KILLED, period=BAR)))
    queries = [
        range_query(processes, "processes killed"),
        range_query(jobs, "jobs OOMKilled", exemplars=True),
    ]
    panel = bars(
        PanelSpec(301, "OOM kills", text), queries, {"processes killed": WARNING, "jobs OOMKilled": OOM}
    )
    return panel.stacking(shared_panels.side_by_side())


def _limits() -> AnyPanel:
    text = (
        "The lowest and the highest memory limit of the jobs that began or ended, where they differ on "
        "several hosts or from one job to the next. Jobs without a limit are left out."
    )
    lowest = f"min(min_over_time({_LIMITS}[{STEP}] offset -{STEP}) > 0)"
    highest = f"max(max_over_time({_LIMITS}[{STEP}] offset -{STEP}) > 0)"
    queries = [
        range_query(highest, "highest limit"),
        range_query(lowest, "lowest limit"),
    ]
    limits = {"lowest limit": NEUTRAL, "highest limit": "dark-blue"}
    return step_lines(PanelSpec(305, "Memory limits", text), queries, limits, "bytes")


def _memory_figures() -> list[AnyPanel]:
    kills = counted(total(gain(definitions.OOM_KILLS, *JOBS)))
    ended = counted(total(exits(OOM_KILLED)))
    beyond = (
        "OOM-killed processes in the chosen time, minus one for each job that ended because of one. They "
        "were in jobs that went on, or in jobs with several killed processes; these are not counted apart."
    )
    limit = (
        "Memory limit of the job that last began or ended, the lowest if hosts differ. Without a limit, the "
        "host's memory is the limit."
    )
    query = instant_query(f"min({_LIMITS} > 0) or max({_LIMITS})", "memory limit")
    spec = PanelSpec(
        302, "Jobs OOMKilled", "Jobs that the kernel's OOM killer ended, in the chosen time.", 8, 4
    )
    return [
        value_stat(PanelSpec(304, "Memory limit", limit, 8, 4), query, {"0": ("no limit", NEUTRAL)}, "bytes"),
        shared_panels.oom_killed(spec),
        number_stat(
            PanelSpec(303, "Kills beyond one per job", beyond, 8, 4),
            f"clamp_min(({kills}) - ({ended}), 0)",
            [(0, NEUTRAL)],
        ),
    ]


def _runs() -> list[AnyPanel]:
    return [
        shared_panels.durations(402),
        shared_panels.running_over_time(403, "host"),
        _ages(),
    ]


def _ages() -> AnyPanel:
    text = "Time since the last end, by status. It falls to 0 with each end."
    query = f"time() - max by (status) ({series(definitions.LAST_EXIT, *JOBS)})"
    spec = PanelSpec(404, "Time since the last end", text, 24)
    return lines(spec, "dthms", [range_query(query, "{{status}}")], colours.STATUSES)


def _restarts() -> AnyPanel:
    text = (
        "Runs that the engine's restart policy began. Many of them mean that a service does not stay up, "
        "even if its runs are done."
    )
    spec = PanelSpec(405, "Runs begun by the restart policy", text, 9)
    return worst_bars(spec, definitions.RESTARTS, "host")
