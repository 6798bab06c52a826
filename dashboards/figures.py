"""Panels that stand on more than one dashboard, over the jobs that some matchers leave."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat

from dashboards import colours
from dashboards.colours import BAD, GOOD, NEUTRAL, WARNING
from dashboards.panels import AnyPanel, Card, bars, curve, figure, heat
from dashboards.queries import (
    FAILED,
    RATE,
    REASONS,
    counted,
    gained,
    happened,
    series,
    success_ratio,
    total,
)
from exporter.metrics import definitions

DIAMOND = "A diamond is a job with a trace: click it."
SQUARE = "A square is a job with a trace: click it."


def small(number: int, title: str, description: str) -> Card:
    """A figure of the row on top: six of them fill it."""
    return Card(number, title, description, 4, 4)


def exits(jobs: tuple[str, ...], *matchers: str) -> str:
    """Ends of jobs."""
    return series(definitions.EXITS, *jobs, *matchers)


def number_of(card: Card, ends: str, colour: str) -> stat.Panel:
    """How many ends there were in the chosen time; the colour from the first one on."""
    return figure(card, counted(total(gained(ends))), [(0, GOOD), (1, colour)])


def failures(number: int, jobs: tuple[str, ...]) -> AnyPanel:
    """How many jobs failed."""
    card = small(number, "Failures", "Jobs that failed, with one of the chosen reasons.")
    return number_of(card, exits(jobs, FAILED, REASONS), WARNING)


def success(number: int, jobs: tuple[str, ...]) -> AnyPanel:
    """Which share was done."""
    text = (
        "Of the jobs that were done or failed, the share that was done, whichever reasons are chosen. "
        "Jobs that were asked to stop, and unknown ends, are in neither."
    )
    steps = [(0, BAD), (0.9, WARNING), (0.99, GOOD)]
    card = small(number, "Success ratio", text)
    ratio = figure(card, success_ratio(*jobs), steps, unit="percentunit", decimals=1)
    return ratio.no_value("none ended")


def running(number: int, jobs: tuple[str, ...]) -> AnyPanel:
    """How many run."""
    card = small(number, "Running", "Jobs that run at the end of the chosen time.")
    return figure(card, counted(total(series(definitions.JOBS_RUNNING, *jobs))), [(0, NEUTRAL)])


def by_reason(number: int, jobs: tuple[str, ...]) -> AnyPanel:
    """Which reasons, when."""
    card = Card(
        number, "Ends by reason", f"Jobs that ended within one step of the graph, by reason. {DIAMOND}"
    )
    query = happened(total(gained(exits(jobs, REASONS), RATE), "reason"))
    return bars(card, [curve(query, "{{reason}}", exemplars=True)], colours.REASONS)


def durations(number: int, jobs: tuple[str, ...]) -> AnyPanel:
    """How long, when."""
    text = f"How long jobs ran that ended within one step of the graph. {SQUARE}"
    card = Card(number, "Run durations, all jobs", text)
    buckets = gained(series(definitions.RUN_DURATION, *jobs, part="_bucket"), RATE)
    return heat(card, total(buckets, "le"))
