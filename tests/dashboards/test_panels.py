"""Faults that a new panel can have, of which neither Grafana nor Prometheus would complain."""

import re
from collections.abc import Iterator
from itertools import combinations

import pytest

from exporter.metrics.definitions import BY_NAME, MetricType
from tests.dashboards.boards import FILES, PALETTE, Panel, load, panels
from tests.lab.promql import Selector, grouping_labels, selectors

TARGETS = '{job=~"$job", instance=~"$instance"'
PROMETHEUS_OWN = {"up", "scrape_duration_seconds", "scrape_samples_scraped"}
UNITS = {"short", "s", "bytes", "percentunit", "cps", "ops"}
# Functions that make sense of a counter, with those by which the first value of a series is found.
OF_COUNTERS = {"rate", "increase", "count_over_time", "min_over_time"}
GRID, SCREEN_PIXELS, LEAST_COLUMN_PIXELS = 24, 1280, 200
LEAST_COLUMNS = {"stat": 4, "timeseries": 8, "heatmap": 8, "statetimeline": 8, "bargauge": 8}

each_board = pytest.mark.parametrize("name", FILES)


@each_board
def test_every_query_selects_chosen_targets_and_existing_series(name: str) -> None:
    queries = [target["expr"] for panel in panels(load(name)) for target in panel["targets"]]
    assert [query for query in queries if query.count(TARGETS) != len(selectors(query))] == []
    assert [fault for query in queries for fault in _faults(query)] == []


def _faults(query: str) -> Iterator[str]:
    known = {"job", "instance"}
    for each in selectors(query):
        part = next((part for part in ("_bucket", "_count", "_sum") if each.name.endswith(part)), "")
        metric = BY_NAME.get(each.name.removesuffix(part))
        labels = {"job", "instance", "le"} | set(metric.labels if metric else ())
        known |= labels
        if metric is None and each.name not in PROMETHEUS_OWN:
            yield f"{query}: there is no {each.name}"
        if metric and (metric.type is MetricType.HISTOGRAM) != bool(part):
            yield f"{query}: {each.name} is not a series"
        if not each.matchers.keys() <= labels:
            yield f"{query}: {each.name} has no {each.matchers.keys() - labels}"
        if metric and not _is_read_well(each, is_counter=metric.type is not MetricType.GAUGE):
            yield f"{query}: {each.name} under {each.function!r}"
    if not grouping_labels(query) <= known:
        yield f"{query}: nothing has {grouping_labels(query) - known}"


def _is_read_well(selector: Selector, *, is_counter: bool) -> bool:
    if is_counter:
        return selector.function in OF_COUNTERS or selector.is_offset
    return selector.function not in {"rate", "increase", "irate"}


@each_board
def test_windows_follow_the_range_or_the_step_of_the_graph(name: str) -> None:
    for panel in panels(load(name)):
        for target in panel["targets"]:
            found = set(re.findall(r"(?:\[|offset )([^\]\s)]+)", target["expr"]))
            averaged = {"$__range"} if "/ $__range_ms" in target["expr"] else set()
            subquery = (
                {"$__range:$__interval", "$__rate_interval"} if ":$__interval]" in target["expr"] else set()
            )
            fitting = "$__range" if target.get("instant") else "$__rate_interval"
            assert found <= {fitting} | averaged | subquery, panel["title"]


@each_board
def test_panels_have_description_unit_and_colours_of_the_theme(name: str) -> None:
    for panel in panels(load(name)):
        defaults, text = panel["fieldConfig"]["defaults"], str(panel)
        assert panel["description"].endswith("."), panel["title"]
        assert defaults["unit"] in UNITS, panel["title"]
        # A fixed colour is unreadable in one of the two themes.
        assert not re.search(r"'#[0-9a-fA-F]{3,8}'|rgba?\(", text), panel["title"]
        assert set(re.findall(r"'(?:fixedColor|color)': '([^']+)'", text)) <= PALETTE | {"text"}, panel[
            "title"
        ]
        if panel["type"] in {"stat", "bargauge"}:
            assert defaults["thresholds"]["steps"][0] == {"value": None, "color": "text"}, panel["title"]
        if defaults.get("custom", {}).get("drawStyle") == "bars":
            assert (defaults["noValue"], defaults["decimals"]) == ("none", 0), panel["title"]


@each_board
def test_panels_are_wide_enough_and_do_not_overlap(name: str) -> None:
    board = load(name)
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in panels(board):
        place = panel["gridPos"]
        assert LEAST_COLUMNS.get(panel["type"], 4) <= place["w"] <= GRID - place["x"], panel["title"]
        if panel["type"] == "table":
            assert _free_pixels(panel) >= LEAST_COLUMN_PIXELS, panel["title"]
    for one, other in combinations((panel["gridPos"] for panel in board["panels"]), 2):
        across = one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
        assert not (across and one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"])


def _free_pixels(table: Panel) -> int:
    """Return the width that is left for the one column without a width."""
    properties = [each["properties"] for each in table["fieldConfig"]["overrides"]]
    widths = [each["value"] for column in properties for each in column if each["id"] == "custom.width"]
    assert len(widths) == len(properties) - 1, table["title"]
    return int(SCREEN_PIXELS * table["gridPos"]["w"] // GRID - 100 - sum(widths))
