"""Panels that more than one dashboard has, for the jobs that match."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat

from dashboards import colours
from dashboards.colours import BAD, GOOD, NEUTRAL, WARNING
from dashboards.panels import AnyPanel, PanelSpec, bars, heatmap_panel, number_stat, range_query
from dashboards.queries import (
    FAILED,
    RATE,
    REASONS,
    counted,
    increase,
    nonzero,
    series,
    success_ratio,
    total,
)
from exporter.metrics import definitions

DIAMOND = "A diamond is a job with a trace; click it."
SQUARE = "A square is a job with a trace; click it."


def top_row(number: int, title: str, description: str) -> PanelSpec:
    """Return the spec of a panel in the top row, which has six of them."""
    return PanelSpec(number, title, description, 4, 4)


def exits(jobs: tuple[str, ...], *matchers: str) -> str:
    """Return a selector of ends of jobs."""
    return series(definitions.EXITS, *jobs, *matchers)


def count_stat(spec: PanelSpec, ends: str, colour: str) -> stat.Panel:
    """Return the number of ends in the chosen time, in this colour if there is any."""
    return number_stat(spec, counted(total(increase(ends))), [(0, GOOD), (1, colour)])


def failures(number: int, jobs: tuple[str, ...]) -> AnyPanel:
    """Return the number of failed jobs."""
    spec = top_row(number, "Failures", "Jobs that failed, with one of the chosen reasons.")
    return count_stat(spec, exits(jobs, FAILED, REASONS), WARNING)


def success(number: int, jobs: tuple[str, ...]) -> AnyPanel:
    """Return the share of jobs that were done."""
    text = (
        "Share of done jobs among those that were done or failed, for all reasons. Jobs that were asked to "
        "stop, and unknown ends, do not count."
    )
    steps = [(0, BAD), (0.9, WARNING), (0.99, GOOD)]
    spec = top_row(number, "Success ratio", text)
    ratio = number_stat(spec, success_ratio(*jobs), steps, unit="percentunit", decimals=1)
    return ratio.no_value("none ended")


def running(number: int, jobs: tuple[str, ...]) -> AnyPanel:
    """Return the number of running jobs."""
    spec = top_row(number, "Running", "Jobs that were running at the end of the chosen time.")
    return number_stat(spec, counted(total(series(definitions.JOBS_RUNNING, *jobs))), [(0, NEUTRAL)])


def by_reason(number: int, jobs: tuple[str, ...]) -> AnyPanel:
    """Return the ends over time by reason."""
    spec = PanelSpec(
        number, "Ends by reason", f"Jobs that ended within one step of the graph, by reason. {DIAMOND}"
    )
    query = nonzero(total(increase(exits(jobs, REASONS), RATE), "reason"))
    return bars(spec, [range_query(query, "{{reason}}", exemplars=True)], colours.REASONS)


def durations(number: int, jobs: tuple[str, ...]) -> AnyPanel:
    """Return the distribution of run durations over time."""
    text = f"How long jobs ran that ended within one step of the graph. {SQUARE}"
    spec = PanelSpec(number, "Run durations, all jobs", text)
    buckets = increase(series(definitions.RUN_DURATION, *jobs, part="_bucket"), RATE)
    return heatmap_panel(spec, total(buckets, "le"))
