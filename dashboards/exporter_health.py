"""Whether the figures can be believed: the exporters, their engines, stores and traces."""

from __future__ import annotations

from dashboards import frame
from dashboards.colours import BAD, GOOD, WARNING
from dashboards.figures import small
from dashboards.frame import Page, Section
from dashboards.panels import (
    AnyPanel,
    Card,
    Column,
    bars,
    curve,
    figure,
    instant,
    levels,
    lines,
    listing,
    rows,
    states,
    word,
)
from dashboards.queries import (
    RANGE,
    RATE,
    counted,
    gained,
    happened,
    of_exporters,
    presence_for,
    quantile,
    series,
    total,
)
from exporter.metrics import definitions
from exporter.metrics.definitions import Metric

_CATALOGUE_WORDS = {"0": ("refused", BAD), "1": ("good", GOOD)}
_ENGINE_WORDS = {"0": ("not watched", BAD), "1": ("watched", GOOD)}


def page() -> Page:
    """The dashboard."""
    return Page(
        frame.HEALTH,
        "exit-exporter / Exporter health",
        "Whether what the exporters say of exits is whole, and in time.",
        [],
        [
            frame.to_overview(frame.EXPORTERS),
            frame.to_workload(frame.EXPORTERS),
            frame.docs("Reliability", "reliability.md"),
        ],
        frame.firing(frame.EXPORTER_ALERTS),
        [
            Section(100, "At a glance", _figures()),
            Section(200, "Engines", [_engines(), _events(), _connections(), _not_seen()]),
            Section(300, "Store", [_commit_latency(), _commits(), _store_errors(), _pending()]),
            Section(400, "Traces", [_otlp_pending(), _otlp_sent(), _traceparents()]),
            Section(500, "The exporters themselves", [_over_limit(), _reloads(), _scrapes(), _builds()]),
        ],
    )


def _figures() -> list[AnyPanel]:
    return [_not_scraped(), _not_watched(), _exits_pending(), _waiting(), _unobserved(), _catalogue()]


def _events_of(metric: Metric, *labels: str) -> str:
    return happened(total(gained(series(metric), RATE, presence_for(metric)), *labels))


def _not_scraped() -> AnyPanel:
    text = "Exporters that Prometheus could not scrape."
    query = total(f"1 - {of_exporters('up', RANGE)}")
    return figure(small(101, "Exporters down", text), query, [(0, GOOD), (1, BAD)])


def _not_watched() -> AnyPanel:
    text = "Engines whose events are not being read. Their exits are counted once they are."
    query = total(f"1 - {series(definitions.ENGINE_UP)}")
    return figure(small(102, "Engines lost", text), query, [(0, GOOD), (1, BAD)])


def _exits_pending() -> AnyPanel:
    text = "Exits that wait for the store to take them, and are not in any figure until then."
    query = total(series(definitions.EXITS_PENDING))
    return figure(small(103, "Exits pending", text), query, [(0, GOOD), (1, WARNING), (100, BAD)])


def _waiting() -> AnyPanel:
    text = "Jobs whose span or log records wait for the collector. No data: nobody asked for traces."
    query = total(series(definitions.OTLP_PENDING_JOBS))
    return figure(small(104, "OTLP jobs pending", text), query, [(0, GOOD), (100, WARNING)])


def _unobserved() -> AnyPanel:
    text = "Exits in the chosen time that nobody saw, and whose code is gone: counted as unknown."
    query = counted(total(gained(series(definitions.EXITS_UNOBSERVED))))
    return figure(small(105, "Exits unobserved", text), query, [(0, GOOD), (1, WARNING)])


def _catalogue() -> AnyPanel:
    text = "Whether every exporter took its file of codes and reasons when it last read it, or refused it."
    query = instant(f"min({series(definitions.CONFIG_LAST_RELOAD_SUCCESSFUL)})", "catalogue")
    return word(small(106, "Catalogue", text), query, _CATALOGUE_WORDS)


def _engines() -> AnyPanel:
    text = "When each engine was being watched (green) and when it was not (red)."
    query = curve(f"min by (instance, engine) ({series(definitions.ENGINE_UP)})", "{{instance}} {{engine}}")
    return states(Card(201, "Engines watched", text, 24, 6), query, _ENGINE_WORDS)


def _events() -> AnyPanel:
    text = (
        "Events read per second, by kind: 'other' are not about exits, 'malformed' could not be read. A "
        "busy engine that falls silent is one to look at."
    )
    query = total(f"rate({series(definitions.ENGINE_EVENTS)}[{RATE}])", "event")
    return lines(Card(202, "Events read", text, 8), "cps", [curve(query, "{{event}}")], {"malformed": BAD})


def _connections() -> AnyPanel:
    text = (
        "Times within one step of the graph that an engine was connected to anew, or had forgotten events "
        "before they were read."
    )
    queries = [
        curve(_events_of(definitions.ENGINE_RECONNECTS), "reconnects"),
        curve(_events_of(definitions.EVENT_GAPS), "gaps"),
    ]
    return bars(Card(203, "Reconnects and gaps", text, 8), queries, {"reconnects": WARNING, "gaps": BAD})


def _not_seen() -> AnyPanel:
    text = (
        "Exits within one step of the graph that were not seen happening: found afterwards with their code "
        "(recovered), or without (unobserved)."
    )
    queries = [
        curve(_events_of(definitions.EXITS_RECOVERED), "recovered"),
        curve(_events_of(definitions.EXITS_UNOBSERVED), "unobserved"),
    ]
    card = Card(204, "Exits found afterwards", text, 8)
    return bars(card, queries, {"recovered": GOOD, "unobserved": BAD})


def _commit_latency() -> AnyPanel:
    text = "What half of the commits, and 99 % of them, stayed below. No exit is shown before its commit."
    queries = [
        curve(quantile(share, definitions.STORE_COMMIT_DURATION), name)
        for share, name in ((0.5, "p50"), (0.99, "p99"))
    ]
    return lines(Card(301, "Commit latency", text), "s", queries)


def _commits() -> AnyPanel:
    text = "Durable commits per second."
    query = total(f"rate({series(definitions.STORE_COMMIT_DURATION, part='_count')}[{RATE}])", "instance")
    return lines(Card(302, "Commits", text), "ops", [curve(query, "{{instance}}")])


def _store_errors() -> AnyPanel:
    text = (
        "Transactions within one step of the graph that the store refused, and ended jobs that were not "
        "recorded since it was away for too long."
    )
    queries = [
        curve(_events_of(definitions.STORE_ERRORS), "errors"),
        curve(_events_of(definitions.JOB_RECORDS_DROPPED), "records dropped"),
    ]
    return bars(Card(303, "Store errors", text), queries, {"errors": WARNING, "records dropped": BAD})


def _pending() -> AnyPanel:
    text = "Exits that waited for the store at each moment. It falls back to 0 once the store is there again."
    query = total(series(definitions.EXITS_PENDING), "instance")
    return levels(Card(304, "Exits pending", text), curve(query, "{{instance}}"))


def _otlp_pending() -> AnyPanel:
    text = (
        "Jobs whose span or log records waited for the collector at each moment. No data: nobody asked "
        "for traces."
    )
    query = total(series(definitions.OTLP_PENDING_JOBS), "signal")
    return levels(Card(401, "OTLP jobs pending", text, 8), curve(query, "{{signal}}"))


def _otlp_sent() -> AnyPanel:
    text = (
        "Jobs within one step of the graph whose span or log records the collector took, refused, or "
        "never got."
    )
    fates = {
        "exported": (definitions.OTLP_JOBS_EXPORTED, GOOD),
        "rejected": (definitions.OTLP_JOBS_REJECTED, BAD),
        "dropped": (definitions.OTLP_JOBS_DROPPED, WARNING),
    }
    queries = [curve(_events_of(metric), fate) for fate, (metric, _) in fates.items()]
    colours = {fate: colour for fate, (_, colour) in fates.items()}
    return bars(Card(402, "OTLP jobs exported, rejected, dropped", text, 8), queries, colours)


def _traceparents() -> AnyPanel:
    text = (
        "Traced jobs within one step of the graph whose traceparent label cannot be read, so that their "
        "trace is their own."
    )
    query = _events_of(definitions.TRACEPARENTS_IGNORED, "instance")
    return bars(Card(403, "Traceparents ignored", text, 8), [curve(query, "{{instance}}")])


def _over_limit() -> AnyPanel:
    text = (
        "Jobs within one step of the graph that were counted under workload Other, since there are too "
        "many workloads."
    )
    query = _events_of(definitions.JOBS_OVER_WORKLOAD_LIMIT, "instance")
    return bars(Card(501, "Jobs over the workload limit", text, 8), [curve(query, "{{instance}}")])


def _reloads() -> AnyPanel:
    text = "How long ago each exporter last loaded its catalogue of codes and reasons successfully."
    query = f"time() - {series(definitions.CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP)}"
    return lines(Card(502, "Age of the catalogue", text, 8), "s", [curve(query, "{{instance}}")])


def _scrapes() -> AnyPanel:
    text = "How long Prometheus took to scrape each exporter."
    query = curve(of_exporters("scrape_duration_seconds", RATE), "{{instance}}")
    return lines(Card(503, "Scrape duration", text, 8), "s", [query])


def _builds() -> AnyPanel:
    text = "Which versions run, and how many series Prometheus had from each at its last scrape."
    columns = [
        Column("instance", "Instance"),
        Column("version", "Version", 160),
        Column("python_version", "Python", 160),
        Column("Value", "Series", 120),
    ]
    samples = f"{series('scrape_samples_scraped')} * on (job, instance) group_left (version, python_version)"
    query = f"sum by (instance, version, python_version) ({samples} {series(definitions.BUILD_INFO)})"
    return listing(Card(504, "Builds", text, 24, 6), [rows(query)], columns, "Series")
