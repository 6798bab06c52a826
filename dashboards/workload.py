"""One workload: how its jobs ended, what memory did to them, how long they ran."""

from __future__ import annotations

from dashboards import figures, frame
from dashboards.figures import DIAMOND, exits, number_of, small
from dashboards.frame import Page, Section
from dashboards.panels import (
    BAD,
    EVENTS_STEP,
    GOOD,
    NEUTRAL,
    STATUS_COLOURS,
    WARNING,
    AnyPanel,
    Card,
    Column,
    bars,
    curve,
    dashed,
    figure,
    instant,
    lines,
    listing,
    rows,
    word,
)
from dashboards.queries import (
    DONE,
    FAILED,
    HOSTS,
    OOM_KILLED,
    RATE,
    REASONS,
    counted,
    gained,
    quantile,
    series,
    total,
)
from exporter.telemetry import catalogue

WORKLOAD = 'workload="$workload"'
_JOBS = (HOSTS, WORKLOAD)
_LIMITS = series(catalogue.MEMORY_LIMIT, *_JOBS)
# Hosts can differ; the least is the one to be held responsible. 0 is that of jobs that have none.
_LIMIT = f"min({_LIMITS} > 0)"


def page() -> Page:
    """The dashboard."""
    return Page(
        frame.WORKLOAD,
        "exit-exporter / Workload",
        "The jobs of one workload: attempts, codes, reasons, memory, durations.",
        [frame.host(), frame.one_workload(), frame.reason(WORKLOAD)],
        [frame.to_overview(frame.JOBS), frame.to_health(), frame.docs("Codes and reasons", "reasons.md")],
        # Those of hosts have no workload.
        frame.firing(frame.JOB_ALERTS, matchers=('workload=""', WORKLOAD)),
        [
            Section(100, "$workload in the chosen time", _figures()),
            Section(200, "Ends", [figures.by_reason(201, _JOBS), _by_code(), _codes()]),
            Section(300, "Memory", [_oom_kills(), _memory_limit(), _oom_ended(), _oom_survived()]),
            Section(400, "Runs", [_quantiles(), figures.durations(402, _JOBS), _running(), _ages()]),
        ],
    )


def _figures() -> list[AnyPanel]:
    return [
        _attempts(),
        figures.failures(102, _JOBS),
        figures.success(103, _JOBS),
        figures.running(104, _JOBS),
        _since(small(105, "Last success", "How long ago a job was last done, however far back."), DONE),
        _since(small(106, "Last failure", "How long ago a job last failed, however far back."), FAILED),
    ]


def _attempts() -> AnyPanel:
    text = (
        "Jobs that ended, for one of the chosen reasons. Each run of a container is one, a restart another."
    )
    return number_of(small(101, "Attempts", text), exits(_JOBS, REASONS), NEUTRAL)


def _since(card: Card, status: str) -> AnyPanel:
    last = f"max({series(catalogue.LAST_EXIT, *_JOBS, status)})"
    return figure(card, f"time() - {last}", [(None, NEUTRAL)], unit="s").no_value("never")


def _by_code() -> AnyPanel:
    text = f"Jobs that ended within one step of the graph, by exit code. {DIAMOND}"
    query = total(gained(exits(_JOBS, REASONS), RATE), "code")
    ends = curve(query, "{{code}}", exemplars=True)
    return bars(Card(202, "Ends by exit code", text), [ends], {"0": GOOD})


def _codes() -> AnyPanel:
    text = "How often each code and reason occurred in the chosen time, by host and image."
    counts = total(gained(exits(_JOBS, REASONS)), "status", "code", "reason", "host", "image")
    columns = [
        Column("reason", "Reason", 200),
        Column("code", "Code", 110),
        Column("status", "Status", 120),
        Column("host", "Host", 180),
        Column("image", "Image"),
        Column("Value", "Attempts", 100),
    ]
    return listing(Card(203, "Codes and reasons", text, 24), [rows(f"{counts} > 0")], columns, "Attempts")


def _oom_kills() -> AnyPanel:
    text = (
        "Processes that the kernel killed for memory within one step of the graph, and jobs that ended of "
        "it, against the memory limit (dashed, on the right). A kill without an end is one that its job "
        f"survived. {DIAMOND}"
    )
    queries = [
        curve(total(gained(series(catalogue.OOM_KILLS, *_JOBS), RATE)), "processes killed"),
        curve(total(gained(exits(_JOBS, OOM_KILLED), RATE)), "jobs OOMKilled", exemplars=True),
        curve(_LIMIT, "memory limit"),
    ]
    colours = {"processes killed": WARNING, "jobs OOMKilled": BAD, "memory limit": NEUTRAL}
    graph = lines(Card(301, "OOM kills and memory limit", text), "short", queries, colours)
    return dashed(graph.interval(EVENTS_STEP), "memory limit", "bytes")


def _memory_limit() -> AnyPanel:
    text = (
        "What the job that last began or ended may take; where hosts differ, the least. Without a limit, "
        "what the host has is the limit."
    )
    query = instant(f"{_LIMIT} or max({_LIMITS})", "memory limit")
    return word(Card(304, "Memory limit", text, 4), query, {"0": ("none", WARNING)}, "bytes")


def _oom_ended() -> AnyPanel:
    card = Card(302, "Jobs OOMKilled", "Jobs that the kernel's OOM killer ended, in the chosen time.", 4)
    return number_of(card, exits(_JOBS, OOM_KILLED), BAD)


def _oom_survived() -> AnyPanel:
    text = (
        "OOM kills in the chosen time beyond one for each job that ended of it. A job that goes on after "
        "one has lost a process, and may be done all the same."
    )
    kills = counted(total(gained(series(catalogue.OOM_KILLS, *_JOBS))))
    ended = counted(total(gained(exits(_JOBS, OOM_KILLED))))
    survived = f"clamp_min(({kills}) - ({ended}), 0)"
    return figure(Card(303, "Kills survived", text, 4), survived, [(None, GOOD), (1, WARNING)])


def _quantiles() -> AnyPanel:
    text = (
        "What half, 90 % and 99 % of the jobs stayed below; of those that ended within one step of the "
        f"graph. {DIAMOND}"
    )
    queries = [
        curve(quantile(share, catalogue.RUN_DURATION, jobs=_JOBS), name, exemplars=True)
        for share, name in ((0.5, "p50"), (0.9, "p90"), (0.99, "p99"))
    ]
    return lines(Card(401, "Run duration", text), "s", queries)


def _running() -> AnyPanel:
    query = total(series(catalogue.JOBS_RUNNING, *_JOBS), "host")
    card = Card(403, "Jobs running", "Jobs that ran at each moment, by host.")
    return lines(card, "short", [curve(query, "{{host}}")])


def _ages() -> AnyPanel:
    text = "How long ago, at each moment, the last end of each status was: a saw whose teeth are the ends."
    query = f"time() - max by (status) ({series(catalogue.LAST_EXIT, *_JOBS)})"
    ages = curve(query, "{{status}}")
    return lines(Card(404, "Time since the last end", text), "s", [ages], STATUS_COLOURS)
