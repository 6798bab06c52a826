"""One workload: how its jobs ended, what memory did to them, how long they ran."""

from __future__ import annotations

from dashboards import colours, figures, frame
from dashboards.colours import BAD, NEUTRAL, WARNING
from dashboards.figures import DIAMOND, exits, number_of, small
from dashboards.frame import Page, Section
from dashboards.panels import (
    EVENTS_STEP,
    AnyPanel,
    Card,
    Column,
    bars,
    curve,
    dashed,
    figure,
    instant,
    levels,
    lines,
    listing,
    of_one_size,
    points,
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
    happened,
    quantile,
    series,
    total,
)
from exporter.metrics import definitions

WORKLOAD = 'workload="$workload"'
_JOBS = (HOSTS, WORKLOAD)
_LIMITS = series(definitions.MEMORY_LIMIT, *_JOBS)
# Hosts can differ; the least is the one to be held responsible. 0 is that of jobs that have none.
_LIMIT = f"min({_LIMITS} > 0)"


def page() -> Page:
    """The dashboard."""
    return Page(
        frame.WORKLOAD,
        "exit-exporter / Workload",
        "The jobs of one workload: attempts, codes, reasons, memory, durations.",
        [frame.host(), frame.one_workload(), frame.reason(WORKLOAD)],
        [frame.to_overview(frame.JOBS), frame.to_health(), frame.docs("Reasons", "reasons.md")],
        # Those of hosts have no workload.
        frame.firing(frame.JOB_ALERTS, matchers=('workload=""', WORKLOAD)),
        [
            Section(100, "In the chosen time: $workload", _figures()),
            Section(200, "Ends", [figures.by_reason(201, _JOBS), _by_code(), _codes()]),
            Section(300, "Memory", [_oom_kills(), _memory_limit(), _oom_ended(), _oom_beyond()]),
            Section(400, "Runs", _runs()),
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
    attempts = counted(total(gained(exits(_JOBS, REASONS))))
    return figure(small(101, "Attempts", text), attempts, [(0, NEUTRAL)])


def _since(card: Card, status: str) -> AnyPanel:
    last = f"max({series(definitions.LAST_EXIT, *_JOBS, status)})"
    return figure(card, f"time() - {last}", [(0, NEUTRAL)], unit="s").no_value("never")


def _by_code() -> AnyPanel:
    text = "Jobs that ended within one step of the graph, by exit code."
    query = happened(total(gained(exits(_JOBS, REASONS), RATE), "code"))
    return bars(Card(202, "Ends by exit code", text), [curve(query, "{{code}}")], colours.CODES)


def _codes() -> AnyPanel:
    text = "How often each code and reason occurred in the chosen time, by host and image."
    counts = total(gained(exits(_JOBS, REASONS)), "status", "code", "reason", "host", "image")
    columns = [
        Column("reason", "Reason", 190),
        Column("code", "Code", 90),
        Column("status", "Status", 120),
        Column("host", "Host", 240),
        Column("image", "Image"),
        Column("Value", "Attempts", 90),
    ]
    return listing(Card(203, "Codes and reasons", text, 24), [rows(happened(counts))], columns, "Attempts")


def _oom_kills() -> AnyPanel:
    text = (
        "Processes that the kernel killed for memory within one step of the graph, and jobs that ended of "
        f"it, against the memory limit (dashed, on the right). {DIAMOND}"
    )
    queries = [
        curve(total(gained(series(definitions.OOM_KILLS, *_JOBS), RATE)), "processes killed"),
        curve(total(gained(exits(_JOBS, OOM_KILLED), RATE)), "jobs OOMKilled", exemplars=True),
        curve(_LIMIT, "memory limit"),
    ]
    kills = {"processes killed": WARNING, "jobs OOMKilled": BAD}
    graph = lines(Card(301, "OOM kills and memory limit", text, 11), "short", queries, kills)
    return dashed(graph.interval(EVENTS_STEP).decimals(0), "memory limit", NEUTRAL, "bytes")


def _memory_limit() -> AnyPanel:
    text = (
        "What the job that last began or ended may take; where hosts differ, the least. Without a limit, "
        "what the host has is the limit."
    )
    query = instant(f"{_LIMIT} or max({_LIMITS})", "memory limit")
    limit = word(Card(304, "Memory limit", text, 4), query, {"0": ("none", WARNING)}, "bytes")
    return of_one_size(limit)


def _oom_ended() -> AnyPanel:
    card = Card(302, "Jobs OOMKilled", "Jobs that the kernel's OOM killer ended, in the chosen time.", 4)
    return of_one_size(number_of(card, exits(_JOBS, OOM_KILLED), BAD))


def _oom_beyond() -> AnyPanel:
    text = (
        "OOM kills in the chosen time, less one for each job that ended of one. Some are of jobs that went "
        "on without the process, others of several processes of one job: which, nobody counts."
    )
    kills = counted(total(gained(series(definitions.OOM_KILLS, *_JOBS))))
    ended = counted(total(gained(exits(_JOBS, OOM_KILLED))))
    beyond = f"clamp_min(({kills}) - ({ended}), 0)"
    return of_one_size(figure(Card(303, "Kills beyond one per job", text, 5), beyond, [(0, NEUTRAL)]))


def _runs() -> list[AnyPanel]:
    return [_quantiles(), figures.durations(402, _JOBS), _running(), _ages(), _restarts()]


def _quantiles() -> AnyPanel:
    text = (
        "What half, 90 % and 99 % of the jobs stayed below; of those that ended within one step of the "
        f"graph. {DIAMOND}"
    )
    half, most, nearly_all = (
        quantile(share, definitions.RUN_DURATION, jobs=_JOBS) for share in (0.5, 0.9, 0.99)
    )
    # Of one histogram Grafana asks for the exemplars once.
    queries = [curve(half, "p50", exemplars=True), curve(most, "p90"), curve(nearly_all, "p99")]
    shades = {"p50": f"light-{NEUTRAL}", "p90": NEUTRAL, "p99": f"dark-{NEUTRAL}"}
    return points(Card(401, "Run duration quantiles", text), "s", queries, shades)


def _running() -> AnyPanel:
    query = total(series(definitions.JOBS_RUNNING, *_JOBS), "host")
    card = Card(403, "Jobs running", "Jobs that ran at each moment, by host.")
    return levels(card, curve(query, "{{host}}"))


def _ages() -> AnyPanel:
    text = "How long ago, at each moment, the last end of each status was: a saw whose teeth are the ends."
    query = f"time() - max by (status) ({series(definitions.LAST_EXIT, *_JOBS)})"
    ages = curve(query, "{{status}}")
    return lines(Card(404, "Time since the last end", text), "s", [ages], colours.STATUSES)


def _restarts() -> AnyPanel:
    text = (
        "Runs that the engine's restart policy began within one step of the graph, by host. Many of a "
        "service whose runs are done mean that it does not stay up."
    )
    query = happened(total(gained(series(definitions.RESTARTS, *_JOBS), RATE), "host"))
    return bars(Card(405, "Runs begun by the restart policy", text, 24), [curve(query, "{{host}}")])
