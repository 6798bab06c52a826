"""Health of the exporters, on which all other numbers depend: engines, stores and traces."""

from __future__ import annotations

from dashboards import layout, shared_panels
from dashboards.colours import BAD, DONE, GOOD, NEUTRAL, UNKNOWN, WARNING
from dashboards.layout import EXPORTER_ALERTS, EXPORTERS, DashboardSpec, Row
from dashboards.panels import (
    DURATION,
    AnyPanel,
    PanelSpec,
    bars,
    instant_query,
    lines,
    number_stat,
    range_query,
    state_timeline,
    step_lines,
    value_stat,
)
from dashboards.queries import (
    BAR,
    RANGE,
    RATE,
    counted,
    gain,
    known_exporters,
    minutes_not_watched,
    nonzero,
    of_exporters,
    series,
    total,
    watched,
    worst,
)
from dashboards.shared_panels import top_row
from dashboards.tables import Column, table_panel, table_query
from exporter.metrics import definitions
from exporter.metrics.definitions import Metric

_CATALOGUE_STATES = {"0": ("refused", BAD), "1": ("good", GOOD)}
_ENGINE_STATES = {
    "1": ("watched", GOOD),
    "0": ("engine lost", BAD),
    "-1": ("exporter away", "dark-red"),
}


def dashboard() -> DashboardSpec:
    """Return the dashboard."""
    return DashboardSpec(
        layout.HEALTH,
        "Exporter health",
        "Whether the numbers about exits are complete and up to date.",
        layout.exporter_variables(),
        [layout.link_to_overview(EXPORTERS), layout.link_to_workload(EXPORTERS), layout.link_to_reasons()],
        [layout.alert_marks(EXPORTER_ALERTS, "instance")],
        [
            Row(100, "At a glance", _top_row()),
            Row(200, "Engines", [_engines(), _not_watched(), _alerts(), _events(), _connections(), _found()]),
            Row(300, "Store", [_commits(), _store_errors(), _pending()]),
            Row(400, "Traces", [_otlp_pending(), _otlp_sent(), _traceparents()]),
            Row(
                500,
                "The exporters themselves",
                [_over_limit(), _reloads(), _scrapes(), _log_lines(), _builds()],
            ),
        ],
    )


def _top_row() -> list[AnyPanel]:
    return [
        shared_panels.down_now(101),
        shared_panels.not_watched(102),
        _exits_pending(),
        _waiting(),
        _unobserved(),
        _catalogue(),
    ]


def _events_of(metric: Metric, *labels: str) -> str:
    return nonzero(total(gain(metric, period=BAR), *labels))


def _alerts() -> AnyPanel:
    return shared_panels.firing_alerts(206, EXPORTER_ALERTS, "instance")


def _exits_pending() -> AnyPanel:
    text = "Exits that wait for the store. No other panel contains them until they are stored."
    query = total(series(definitions.EXITS_PENDING))
    return number_stat(top_row(103, "Exits pending", text), query, [(0, GOOD), (1, WARNING), (100, BAD)])


def _waiting() -> AnyPanel:
    text = "Jobs whose span or log records wait for the collector. No data: the export is off."
    query = total(series(definitions.OTLP_PENDING_JOBS))
    return number_stat(top_row(104, "OTLP jobs pending", text), query, [(0, GOOD), (100, WARNING)])


def _unobserved() -> AnyPanel:
    text = "Exits in the chosen time that were missed, and whose code is unknown."
    query = counted(total(gain(definitions.EXITS_UNOBSERVED)))
    return number_stat(top_row(105, "Exits unobserved", text), query, [(0, GOOD), (1, WARNING)])


def _catalogue() -> AnyPanel:
    text = "Whether every exporter accepted its catalogue file when it last read it."
    query = instant_query(f"min({series(definitions.CONFIG_LAST_RELOAD_SUCCESSFUL)})", "catalogue")
    return value_stat(top_row(106, "Catalogue", text), query, _CATALOGUE_STATES)


def _engines() -> AnyPanel:
    text = (
        "When each engine was watched, when the exporter had lost it, and when the exporter itself was away, "
        "for a week after it was last seen."
    )
    # Labels are cut on their left, so the parts of an address that all have are left out, and the end is cut.
    short = f'label_replace({watched()}, "engine", "$1", "engine", ".*?([^/]+(?:/[^/]+)?)")'
    named = f'label_replace({short}, "exporter", "$1", "instance", "(.{{0,24}}).*")'
    query = range_query(named, "{{exporter}} {{engine}}")
    return state_timeline(PanelSpec(201, "Engines watched", text, 24, 7), query, _ENGINE_STATES)


def _not_watched() -> AnyPanel:
    text = "Minutes of the chosen time in which each engine was not watched."
    columns = [
        Column("instance", "Exporter"),
        Column("engine", "Engine", 160),
        Column("Value", "Minutes", 80),
    ]
    minutes = table_query(f"max by (instance, engine) ({nonzero(minutes_not_watched())})")
    spec = PanelSpec(205, "Not watched", text, 9)
    return table_panel(spec, [minutes], columns, ["Minutes"], "All engines that are known were watched.")


def _events() -> AnyPanel:
    text = (
        "Events read per second, by kind: 'other' are not about exits, 'malformed' could not be parsed. Look "
        "at a busy engine that has become silent."
    )
    query = total(f"rate({series(definitions.ENGINE_EVENTS)}[{RATE}])", "event")
    return lines(
        PanelSpec(202, "Events read", text, 8), "cps", [range_query(query, "{{event}}")], {"malformed": BAD}
    )


def _connections() -> AnyPanel:
    text = "Reconnects to engines, and overruns of their event buffers, which lose events."
    queries = [
        range_query(_events_of(definitions.ENGINE_RECONNECTS), "reconnects"),
        range_query(_events_of(definitions.EVENT_GAPS), "gaps"),
    ]
    return bars(PanelSpec(203, "Reconnects and gaps", text, 8), queries, {"reconnects": WARNING, "gaps": BAD})


def _found() -> AnyPanel:
    text = "Exits that were found afterwards, with their code (recovered) or without (unobserved)."
    queries = [
        range_query(_events_of(definitions.EXITS_RECOVERED), "recovered"),
        range_query(_events_of(definitions.EXITS_UNOBSERVED), "unobserved"),
    ]
    spec = PanelSpec(204, "Exits found afterwards", text, 8)
    return bars(spec, queries, {"recovered": DONE, "unobserved": UNKNOWN})


def _commits() -> AnyPanel:
    text = "Mean duration of commits. An exit is shown only after its commit."
    took, number = (
        total(f"rate({series(definitions.STORE_COMMIT_DURATION, part=part)}[{RATE}])")
        for part in ("_sum", "_count")
    )
    query = range_query(f"{took} / {number}", "mean")
    return lines(PanelSpec(301, "Commit latency", text, 8), "s", [query], {"mean": NEUTRAL})


def _store_errors() -> AnyPanel:
    text = (
        "Failed transactions, and ended jobs that were counted but not recorded, because the store was "
        "unavailable for too long."
    )
    queries = [
        range_query(_events_of(definitions.STORE_ERRORS), "errors"),
        range_query(_events_of(definitions.JOB_RECORDS_DROPPED), "records dropped"),
    ]
    return bars(PanelSpec(303, "Store errors", text, 8), queries, {"errors": WARNING, "records dropped": BAD})


def _pending() -> AnyPanel:
    text = "Exits that waited for the store. The number returns to 0 when the store is available again."
    query = range_query(total(series(definitions.EXITS_PENDING)), "exits")
    return step_lines(PanelSpec(304, "Exits pending", text, 8), [query], {"exits": WARNING})


def _otlp_pending() -> AnyPanel:
    text = "Jobs whose span or log records waited for the collector. No data: the export is off."
    query = range_query(total(series(definitions.OTLP_PENDING_JOBS), "signal"), "{{signal}}")
    return step_lines(PanelSpec(401, "OTLP jobs pending", text, 8), [query])


def _otlp_sent() -> AnyPanel:
    text = "Jobs whose span or log records were accepted or rejected by the collector, or never sent."
    fates = {
        "exported": (definitions.OTLP_JOBS_EXPORTED, GOOD),
        "rejected": (definitions.OTLP_JOBS_REJECTED, BAD),
        "dropped": (definitions.OTLP_JOBS_DROPPED, WARNING),
    }
    queries = [range_query(_events_of(metric), fate) for fate, (metric, _) in fates.items()]
    colours = {fate: colour for fate, (_, colour) in fates.items()}
    return bars(PanelSpec(402, "OTLP jobs exported, rejected, dropped", text, 8), queries, colours)


def _traceparents() -> AnyPanel:
    text = "Traced jobs whose traceparent label is invalid, so that they start a trace of their own."
    query = range_query(_events_of(definitions.TRACEPARENTS_IGNORED), "ignored")
    return bars(PanelSpec(403, "Traceparents ignored", text, 8), [query], {"ignored": WARNING})


def _over_limit() -> AnyPanel:
    text = "Jobs that were counted as workload Other, because there are too many workloads."
    query = range_query(_events_of(definitions.JOBS_OVER_WORKLOAD_LIMIT), "jobs")
    return bars(PanelSpec(501, "Jobs over the workload limit", text, 8), [query], {"jobs": WARNING})


def _reloads() -> AnyPanel:
    text = "How long ago the exporter with the oldest catalogue of codes and reasons loaded it."
    oldest = f"time() - min({series(definitions.CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP)})"
    spec = PanelSpec(502, "Age of the catalogue", text, 8)
    return lines(spec, DURATION, [range_query(oldest, "oldest")], {"oldest": NEUTRAL})


def _scrapes() -> AnyPanel:
    text = "How long Prometheus took to scrape each exporter, of the ten slowest."
    name = "scrape_duration_seconds"
    longest = f"max_over_time({series(name)}[{RANGE}] @ end()) and on (job, instance) {known_exporters()}"
    slowest = worst(f"max by (instance) ({longest})")
    query = f"max by (instance) ({of_exporters(name)}) and on (instance) {slowest}"
    return lines(PanelSpec(503, "Scrape duration", text, 8), "s", [range_query(query, "{{instance}}")])


def _log_lines() -> AnyPanel:
    text = "Lines that are missing in the log, since nobody read it, or its disk was full."
    query = range_query(_events_of(definitions.LOG_LINES_DROPPED), "lines")
    return bars(PanelSpec(505, "Log lines dropped", text, 8, 6), [query], {"lines": WARNING})


def _builds() -> AnyPanel:
    text = "Versions of the exporters, and the number of series that Prometheus got in the last scrape."
    columns = [
        Column("instance", "Exporter"),
        Column("version", "Version", 160),
        Column("python_version", "Python", 160),
        Column("Value", "Series", 120),
    ]
    samples = f"{series('scrape_samples_scraped')} * on (job, instance) group_left (version, python_version)"
    query = f"sum by (instance, version, python_version) ({samples} {series(definitions.BUILD_INFO)})"
    return table_panel(PanelSpec(504, "Builds", text, 16, 6), [table_query(query)], columns, ["Series"])
