"""All exits at a glance: how many, why, where, and how long their jobs ran."""

from __future__ import annotations

from dashboards import colours, figures, frame
from dashboards.colours import BAD, GOOD, NONE, WARNING
from dashboards.figures import DIAMOND, exits, number_of, small
from dashboards.frame import Page, Section
from dashboards.panels import (
    MOMENTS_STEP,
    AnyPanel,
    Card,
    Column,
    bars,
    curve,
    dashed,
    figure,
    instant,
    levels,
    listing,
    most_first,
    opened,
    points,
    ranking,
    rows,
)
from dashboards.queries import (
    FAILED,
    HOSTS,
    OOM_KILLED,
    RANGE,
    RATE,
    REASONS,
    UNKNOWN,
    gained,
    happened,
    last_gained,
    of_exporters,
    quantile,
    series,
    total,
)
from exporter.metrics import definitions

WORKLOADS = 'workload=~"$workload"'
_JOBS = (HOSTS, WORKLOADS)
_AVERAGE = "average of the range before"


def page() -> Page:
    """The dashboard."""
    return Page(
        frame.OVERVIEW,
        "exit-exporter / Exits overview",
        "Why jobs in containers ended, over all workloads. A click on a workload opens it alone.",
        [frame.host(), frame.workloads(), frame.reason(WORKLOADS)],
        [frame.to_workload(frame.JOBS), frame.to_health(), frame.docs("Reasons", "reasons.md")],
        frame.firing(frame.JOB_ALERTS, frame.EXPORTER_ALERTS),
        [
            Section(100, "In the chosen time", _figures()),
            Section(300, "Last failures", [_last_failures()]),
            Section(200, "Ends", [figures.by_reason(201, _JOBS), _by_status(), _failing(), _oom_killing()]),
            Section(400, "Memory", [_oom_spikes(), _oom_ends()]),
            Section(500, "Runs", [figures.durations(501, _JOBS), _quantiles(), _running()]),
        ],
    )


def _figures() -> list[AnyPanel]:
    return [
        figures.failures(101, _JOBS),
        _oom_killed(),
        figures.success(103, _JOBS),
        figures.running(104, _JOBS),
        _unknown(),
        _not_watched(),
    ]


def _oom_killed() -> AnyPanel:
    text = "Jobs that the kernel's OOM killer ended, whichever reasons are chosen."
    return number_of(small(102, "OOMKilled", text), exits(_JOBS, OOM_KILLED), BAD)


def _unknown() -> AnyPanel:
    text = "Jobs of which nobody can say any more how they ended, whichever reasons are chosen."
    return number_of(small(105, "Unknown ends", text), exits(_JOBS, UNKNOWN), WARNING)


def _not_watched() -> AnyPanel:
    text = (
        "Exporters that Prometheus cannot scrape, and engines that an exporter cannot watch. "
        "Exporter health says which."
    )
    exporters = total(f"1 - {of_exporters('up', RANGE)}")
    engines = total(f"1 - {series(definitions.ENGINE_UP)}")
    query = f"{exporters} + ({engines} or vector(0))"
    lost = figure(small(106, "Not watched", text), query, [(0, GOOD), (1, BAD)])
    return lost.data_links([opened(frame.these_exporters())])


def _by_status() -> AnyPanel:
    text = (
        "Jobs that ended within one step of the graph: done, failed, terminated (they were asked to stop) "
        "or unknown."
    )
    query = happened(total(gained(exits(_JOBS, REASONS), RATE), "status"))
    return bars(Card(202, "Ends by status", text), [curve(query, "{{status}}")], colours.STATUSES)


def _failing() -> AnyPanel:
    text = "The workloads with most failures of the chosen reasons. Click on one to open it."
    failed = gained(exits(_JOBS, FAILED, REASONS))
    return _worst(Card(203, "Top workloads by failures", text), failed)


def _oom_killing() -> AnyPanel:
    text = "The workloads in which the kernel killed most processes for memory. Click on one to open it."
    kills = gained(series(definitions.OOM_KILLS, *_JOBS))
    return _worst(Card(204, "Top workloads by OOM kills", text), kills)


def _worst(card: Card, events: str) -> AnyPanel:
    worst = f"sort_desc(topk(8, {happened(total(events, 'workload'))}))"
    return ranking(card, instant(worst, "{{workload}}"), frame.this_workload("__field.labels.workload"))


def _last_failures() -> AnyPanel:
    text = (
        "What workloads failed of in the chosen time, those first that failed last. When they last did is "
        "told to the minute, or to a step of the graphs where that is longer."
    )
    labels = ("workload", "host", "reason", "code")
    failed = exits(_JOBS, FAILED, REASONS)
    failures = happened(total(gained(failed), *labels))
    # What failed in the step that is not over, or while nobody scraped, has no moment yet; the workload has.
    last = f"max by (workload, host) ({series(definitions.LAST_EXIT, *_JOBS, FAILED)})"
    otherwise = f"0 * ({failures}) + on (workload, host) group_left () {last}"
    when = f"1000 * (({last_gained(failed, *labels)} and {failures}) or {otherwise})"
    columns = [
        Column("workload", "Workload", link=frame.this_workload("__data.fields.workload")),
        Column("host", "Host", 240),
        Column("reason", "Reason", 190),
        Column("code", "Code", 90),
        Column("Value #A", "Failures", 90),
        Column("Value #B", "Last failure", 150, "dateTimeFromNow"),
    ]
    card = Card(301, "Last failures by workload", text, 24, 10)
    return listing(card, [rows(failures), rows(when)], columns, "Last failure").interval(MOMENTS_STEP)


def _oom_spikes() -> AnyPanel:
    text = (
        "Processes that the kernel killed for memory within one step of the graph, by workload. The dashed "
        "line is what a step had on average over as long a time before: a bar far above it is a spike."
    )
    kills = series(definitions.OOM_KILLS, *_JOBS)
    average = f"{total(f'increase({kills}[{RANGE}])')} * $__interval_ms / $__range_ms"
    by_workload = curve(happened(total(gained(kills, RATE), "workload")), "{{workload}}")
    spikes = bars(Card(401, "OOM spikes", text), [by_workload, curve(average, _AVERAGE)])
    return dashed(spikes, _AVERAGE, NONE)


def _oom_ends() -> AnyPanel:
    text = f"Jobs that ended as OOMKilled within one step of the graph, by workload. {DIAMOND}"
    query = happened(total(gained(exits(_JOBS, OOM_KILLED), RATE), "workload"))
    return bars(Card(402, "Jobs OOMKilled", text), [curve(query, "{{workload}}", exemplars=True)])


def _quantiles() -> AnyPanel:
    text = (
        "What half of the jobs, and 95 % of them (darker), stayed below; of those that ended within one step "
        f"of the graph, by status. {DIAMOND}"
    )
    half, most = (quantile(share, definitions.RUN_DURATION, "status", jobs=_JOBS) for share in (0.5, 0.95))
    # Of one histogram Grafana asks for the exemplars once.
    queries = [curve(half, "{{status}} p50", exemplars=True), curve(most, "{{status}} p95")]
    colours_of_half = {f"{status} p50": colour for status, colour in colours.STATUSES.items()}
    colours_of_most = {f"{status} p95": f"dark-{colour}" for status, colour in colours.STATUSES.items()}
    card = Card(502, "Run duration quantiles by status", text)
    return points(card, "s", queries, colours_of_half | colours_of_most)


def _running() -> AnyPanel:
    query = total(series(definitions.JOBS_RUNNING, *_JOBS), "workload")
    card = Card(503, "Jobs running", "Jobs that ran at each moment, by workload.", 24)
    return most_first(levels(card, curve(query, "{{workload}}")))
