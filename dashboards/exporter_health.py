"""Health of the exporters, on which all other numbers depend: engines, stores and traces."""

from __future__ import annotations

from dashboards import layout
from dashboards.colours import BAD, GOOD, WARNING
from dashboards.layout import DashboardSpec, Row
from dashboards.panels import (
    AnyPanel,
    Column,
    PanelSpec,
    bars,
    instant_query,
    lines,
    number_stat,
    range_query,
    state_timeline,
    step_lines,
    table_panel,
    table_query,
    value_stat,
)
from dashboards.queries import (
    RANGE,
    RATE,
    counted,
    increase,
    marker_for,
    nonzero,
    of_exporters,
    quantile,
    series,
    total,
)
from dashboards.shared_panels import top_row
from exporter.metrics import definitions
from exporter.metrics.definitions import Metric

_CATALOGUE_STATES = {"0": ("refused", BAD), "1": ("good", GOOD)}
_ENGINE_STATES = {"0": ("not watched", BAD), "1": ("watched", GOOD)}


def dashboard() -> DashboardSpec:
    """Return the dashboard."""
    return DashboardSpec(
        layout.HEALTH,
        "exit-exporter / Exporter health",
        "Whether the numbers about exits are complete and up to date.",
        [],
        [
            layout.link_to_overview(layout.EXPORTERS),
            layout.link_to_workload(layout.EXPORTERS),
            layout.link_to_docs("Reliability", "reliability.md"),
        ],
        layout.firing_alerts(layout.EXPORTER_ALERTS),
        [
            Row(100, "At a glance", _top_row()),
            Row(200, "Engines", [_engines(), _events(), _connections(), _not_seen()]),
            Row(300, "Store", [_commit_latency(), _commits(), _store_errors(), _pending()]),
            Row(400, "Traces", [_otlp_pending(), _otlp_sent(), _traceparents()]),
            Row(500, "The exporters themselves", [_over_limit(), _reloads(), _scrapes(), _builds()]),
        ],
    )


def _top_row() -> list[AnyPanel]:
    return [_not_scraped(), _not_watched(), _exits_pending(), _waiting(), _unobserved(), _catalogue()]


def _events_of(metric: Metric, *labels: str) -> str:
    return nonzero(total(increase(series(metric), RATE, marker_for(metric)), *labels))


def _not_scraped() -> AnyPanel:
    text = "Exporters that Prometheus could not scrape."
    query = total(f"1 - {of_exporters('up', RANGE)}")
    return number_stat(top_row(101, "Exporters down", text), query, [(0, GOOD), (1, BAD)])


def _not_watched() -> AnyPanel:
    text = "Engines whose events are not being read. Their exits are counted once they are."
    query = total(f"1 - {series(definitions.ENGINE_UP)}")
    return number_stat(top_row(102, "Engines lost", text), query, [(0, GOOD), (1, BAD)])


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
    query = counted(total(increase(series(definitions.EXITS_UNOBSERVED))))
    return number_stat(top_row(105, "Exits unobserved", text), query, [(0, GOOD), (1, WARNING)])


def _catalogue() -> AnyPanel:
    text = "Whether every exporter accepted its catalogue file when it last read it."
    query = instant_query(f"min({series(definitions.CONFIG_LAST_RELOAD_SUCCESSFUL)})", "catalogue")
    return value_stat(top_row(106, "Catalogue", text), query, _CATALOGUE_STATES)


def _engines() -> AnyPanel:
    text = "When each engine was being watched (green) and when it was not (red)."
    query = range_query(
        f"min by (instance, engine) ({series(definitions.ENGINE_UP)})", "{{instance}} {{engine}}"
    )
    return state_timeline(PanelSpec(201, "Engines watched", text, 24, 6), query, _ENGINE_STATES)


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
    text = (
        "Reconnects to engines, and overruns of their event buffers, which lose events, within one step of "
        "the graph."
    )
    queries = [
        range_query(_events_of(definitions.ENGINE_RECONNECTS), "reconnects"),
        range_query(_events_of(definitions.EVENT_GAPS), "gaps"),
    ]
    return bars(PanelSpec(203, "Reconnects and gaps", text, 8), queries, {"reconnects": WARNING, "gaps": BAD})


def _not_seen() -> AnyPanel:
    text = (
        "Exits within one step of the graph that were found afterwards, with their code (recovered) or "
        "without (unobserved)."
    )
    queries = [
        range_query(_events_of(definitions.EXITS_RECOVERED), "recovered"),
        range_query(_events_of(definitions.EXITS_UNOBSERVED), "unobserved"),
    ]
    spec = PanelSpec(204, "Exits found afterwards", text, 8)
    return bars(spec, queries, {"recovered": GOOD, "unobserved": BAD})


def _commit_latency() -> AnyPanel:
    text = "Median and 99th percentile of the duration of commits. An exit is shown only after its commit."
    queries = [
        range_query(quantile(share, definitions.STORE_COMMIT_DURATION), name)
        for share, name in ((0.5, "p50"), (0.99, "p99"))
    ]
    return lines(PanelSpec(301, "Commit latency", text), "s", queries)


def _commits() -> AnyPanel:
    text = "Durable commits per second."
    query = total(f"rate({series(definitions.STORE_COMMIT_DURATION, part='_count')}[{RATE}])", "instance")
    return lines(PanelSpec(302, "Commits", text), "ops", [range_query(query, "{{instance}}")])


def _store_errors() -> AnyPanel:
    text = (
        "Failed transactions within one step of the graph, and ended jobs that were counted but not "
        "recorded, because the store was unavailable for too long."
    )
    queries = [
        range_query(_events_of(definitions.STORE_ERRORS), "errors"),
        range_query(_events_of(definitions.JOB_RECORDS_DROPPED), "records dropped"),
    ]
    return bars(PanelSpec(303, "Store errors", text), queries, {"errors": WARNING, "records dropped": BAD})


def _pending() -> AnyPanel:
    text = "Exits that waited for the store. The number returns to 0 when the store is available again."
    query = total(series(definitions.EXITS_PENDING), "instance")
    return step_lines(PanelSpec(304, "Exits pending", text), range_query(query, "{{instance}}"))


def _otlp_pending() -> AnyPanel:
    text = "Jobs whose span or log records waited for the collector. No data: the export is off."
    query = total(series(definitions.OTLP_PENDING_JOBS), "signal")
    return step_lines(PanelSpec(401, "OTLP jobs pending", text, 8), range_query(query, "{{signal}}"))


def _otlp_sent() -> AnyPanel:
    text = (
        "Jobs within one step of the graph whose span or log records were accepted or rejected by the "
        "collector, or never sent."
    )
    fates = {
        "exported": (definitions.OTLP_JOBS_EXPORTED, GOOD),
        "rejected": (definitions.OTLP_JOBS_REJECTED, BAD),
        "dropped": (definitions.OTLP_JOBS_DROPPED, WARNING),
    }
    queries = [range_query(_events_of(metric), fate) for fate, (metric, _) in fates.items()]
    colours = {fate: colour for fate, (_, colour) in fates.items()}
    return bars(PanelSpec(402, "OTLP jobs exported, rejected, dropped", text, 8), queries, colours)


def _traceparents() -> AnyPanel:
    text = (
        "Traced jobs within one step of the graph whose traceparent label is invalid, so that they start a "
        "trace of their own."
    )
    query = _events_of(definitions.TRACEPARENTS_IGNORED, "instance")
    return bars(PanelSpec(403, "Traceparents ignored", text, 8), [range_query(query, "{{instance}}")])


def _over_limit() -> AnyPanel:
    text = (
        "Jobs within one step of the graph that were counted as workload Other, because there are too many "
        "workloads."
    )
    query = _events_of(definitions.JOBS_OVER_WORKLOAD_LIMIT, "instance")
    return bars(PanelSpec(501, "Jobs over the workload limit", text, 8), [range_query(query, "{{instance}}")])


def _reloads() -> AnyPanel:
    text = "How long ago each exporter last loaded its catalogue of codes and reasons successfully."
    query = f"time() - {series(definitions.CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP)}"
    return lines(PanelSpec(502, "Age of the catalogue", text, 8), "s", [range_query(query, "{{instance}}")])


def _scrapes() -> AnyPanel:
    text = "How long Prometheus took to scrape each exporter."
    query = range_query(of_exporters("scrape_duration_seconds", RATE), "{{instance}}")
    return lines(PanelSpec(503, "Scrape duration", text, 8), "s", [query])


def _builds() -> AnyPanel:
    text = "Versions of the exporters, and the number of series that Prometheus got in the last scrape."
    columns = [
        Column("instance", "Instance"),
        Column("version", "Version", 160),
        Column("python_version", "Python", 160),
        Column("Value", "Series", 120),
    ]
    samples = f"{series('scrape_samples_scraped')} * on (job, instance) group_left (version, python_version)"
    query = f"sum by (instance, version, python_version) ({samples} {series(definitions.BUILD_INFO)})"
    return table_panel(PanelSpec(504, "Builds", text, 24, 6), [table_query(query)], columns, "Series")
