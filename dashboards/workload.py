"""One workload: how its jobs ended, their memory and their durations."""

from __future__ import annotations

from dashboards import colours, layout, shared_panels
from dashboards.colours import BAD, NEUTRAL, WARNING
from dashboards.layout import DashboardSpec, Row
from dashboards.panels import (
    EVENTS_STEP,
    AnyPanel,
    Column,
    PanelSpec,
    bars,
    fixed_text_size,
    instant_query,
    lines,
    number_stat,
    points,
    range_query,
    step_lines,
    table_panel,
    table_query,
    value_stat,
    with_dashed_line,
)
from dashboards.queries import (
    DONE,
    FAILED,
    HOSTS,
    OOM_KILLED,
    RATE,
    REASONS,
    counted,
    increase,
    nonzero,
    quantile,
    series,
    total,
)
from dashboards.shared_panels import DIAMOND, count_stat, exits, top_row
from exporter.metrics import definitions

WORKLOAD = 'workload="$workload"'
_JOBS = (HOSTS, WORKLOAD)
_LIMITS = series(definitions.MEMORY_LIMIT, *_JOBS)
# Hosts can differ, and the lowest limit is the likeliest cause. Jobs without a limit have 0.
_LIMIT = f"min({_LIMITS} > 0)"


def dashboard() -> DashboardSpec:
    """Return the dashboard."""
    return DashboardSpec(
        layout.WORKLOAD,
        "exit-exporter / Workload",
        "The jobs of one workload: attempts, codes, reasons, memory, durations.",
        [layout.host_variable(), layout.one_workload_variable(), layout.reason_variable(WORKLOAD)],
        [
            layout.link_to_overview(layout.JOBS),
            layout.link_to_health(),
            layout.link_to_docs("Reasons", "reasons.md"),
        ],
        # Alerts about hosts have no workload.
        layout.firing_alerts(layout.JOB_ALERTS, matchers=('workload=""', WORKLOAD)),
        [
            Row(100, "In the chosen time: $workload", _top_row()),
            Row(200, "Ends", [shared_panels.by_reason(201, _JOBS), _by_code(), _codes()]),
            Row(300, "Memory", [_oom_kills(), _memory_limit(), _oom_ended(), _oom_beyond()]),
            Row(400, "Runs", _runs()),
        ],
    )


def _top_row() -> list[AnyPanel]:
    return [
        _attempts(),
        shared_panels.failures(102, _JOBS),
        shared_panels.success(103, _JOBS),
        shared_panels.running(104, _JOBS),
        _since(
            top_row(105, "Last success", "Time since a job was last done, also before the chosen time."), DONE
        ),
        _since(
            top_row(106, "Last failure", "Time since a job last failed, also before the chosen time."), FAILED
        ),
    ]


def _attempts() -> AnyPanel:
    text = "Jobs that ended for one of the chosen reasons. Each run of a container counts, also a restart."
    attempts = counted(total(increase(exits(_JOBS, REASONS))))
    return number_stat(top_row(101, "Attempts", text), attempts, [(0, NEUTRAL)])


def _since(spec: PanelSpec, status: str) -> AnyPanel:
    last = f"max({series(definitions.LAST_EXIT, *_JOBS, status)})"
    return number_stat(spec, f"time() - {last}", [(0, NEUTRAL)], unit="s").no_value("never")


def _by_code() -> AnyPanel:
    text = "Jobs that ended within one step of the graph, by exit code."
    query = nonzero(total(increase(exits(_JOBS, REASONS), RATE), "code"))
    return bars(PanelSpec(202, "Ends by exit code", text), [range_query(query, "{{code}}")], colours.CODES)


def _codes() -> AnyPanel:
    text = "Number of each code and reason in the chosen time, by host and image."
    counts = total(increase(exits(_JOBS, REASONS)), "status", "code", "reason", "host", "image")
    columns = [
        Column("reason", "Reason", 190),
        Column("code", "Code", 90),
        Column("status", "Status", 120),
        Column("host", "Host", 240),
        Column("image", "Image"),
        Column("Value", "Attempts", 90),
    ]
    return table_panel(
        PanelSpec(203, "Codes and reasons", text, 24), [table_query(nonzero(counts))], columns, "Attempts"
    )


def _oom_kills() -> AnyPanel:
    text = (
        "OOM-killed processes and jobs within one step of the graph, and the memory limit (dashed, on the "
        f"right). {DIAMOND}"
    )
    queries = [
        range_query(total(increase(series(definitions.OOM_KILLS, *_JOBS), RATE)), "processes killed"),
        range_query(total(increase(exits(_JOBS, OOM_KILLED), RATE)), "jobs OOMKilled", exemplars=True),
        range_query(_LIMIT, "memory limit"),
    ]
    kills = {"processes killed": WARNING, "jobs OOMKilled": BAD}
    graph = lines(PanelSpec(301, "OOM kills and memory limit", text, 11), "short", queries, kills)
    return with_dashed_line(graph.interval(EVENTS_STEP).decimals(0), "memory limit", NEUTRAL, "bytes")


def _memory_limit() -> AnyPanel:
    text = (
        "Memory limit of the job that last began or ended, the lowest if hosts differ. Without a limit, the "
        "host's memory is the limit."
    )
    query = instant_query(f"{_LIMIT} or max({_LIMITS})", "memory limit")
    limit = value_stat(PanelSpec(304, "Memory limit", text, 4), query, {"0": ("none", WARNING)}, "bytes")
    return fixed_text_size(limit)


def _oom_ended() -> AnyPanel:
    spec = PanelSpec(302, "Jobs OOMKilled", "Jobs that the kernel's OOM killer ended, in the chosen time.", 4)
    return fixed_text_size(count_stat(spec, exits(_JOBS, OOM_KILLED), BAD))


def _oom_beyond() -> AnyPanel:
    text = (
        "OOM-killed processes in the chosen time, minus one for each job that ended because of one. They "
        "were in jobs that went on, or in jobs with several killed processes; these are not counted apart."
    )
    kills = counted(total(increase(series(definitions.OOM_KILLS, *_JOBS))))
    ended = counted(total(increase(exits(_JOBS, OOM_KILLED))))
    beyond = f"clamp_min(({kills}) - ({ended}), 0)"
    return fixed_text_size(
        number_stat(PanelSpec(303, "Kills beyond one per job", text, 5), beyond, [(0, NEUTRAL)])
    )


def _runs() -> list[AnyPanel]:
    return [_quantiles(), shared_panels.durations(402, _JOBS), _running(), _ages(), _restarts()]


def _quantiles() -> AnyPanel:
    text = (
        "Median, 90th and 99th percentile of the run durations of jobs that ended within one step of the "
        f"graph. {DIAMOND}"
    )
    half, most, nearly_all = (
        quantile(share, definitions.RUN_DURATION, jobs=_JOBS) for share in (0.5, 0.9, 0.99)
    )
    # Exemplars are those of the whole histogram, so one query is enough.
    queries = [
        range_query(half, "p50", exemplars=True),
        range_query(most, "p90"),
        range_query(nearly_all, "p99"),
    ]
    shades = {"p50": f"light-{NEUTRAL}", "p90": NEUTRAL, "p99": f"dark-{NEUTRAL}"}
    return points(PanelSpec(401, "Run duration quantiles", text), "s", queries, shades)


def _running() -> AnyPanel:
    query = total(series(definitions.JOBS_RUNNING, *_JOBS), "host")
    spec = PanelSpec(403, "Jobs running", "Jobs that ran at each moment, by host.")
    return step_lines(spec, range_query(query, "{{host}}"))


def _ages() -> AnyPanel:
    text = "Time since the last end, by status. It falls to 0 with each end."
    query = f"time() - max by (status) ({series(definitions.LAST_EXIT, *_JOBS)})"
    ages = range_query(query, "{{status}}")
    return lines(PanelSpec(404, "Time since the last end", text), "s", [ages], colours.STATUSES)


def _restarts() -> AnyPanel:
    text = (
        "Runs within one step of the graph that the engine's restart policy began, by host. Many of them "
        "mean that a service does not stay up, even if its runs are done."
    )
    query = nonzero(total(increase(series(definitions.RESTARTS, *_JOBS), RATE), "host"))
    return bars(
        PanelSpec(405, "Runs begun by the restart policy", text, 24), [range_query(query, "{{host}}")]
    )
