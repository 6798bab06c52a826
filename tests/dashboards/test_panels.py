"""Faults that a new panel can have, of which neither Grafana nor Prometheus would complain."""

import re
from collections.abc import Iterator
from itertools import combinations

import pytest

from exporter.metrics.definitions import BY_NAME, MetricType
from tests.dashboards.boards import ALL_FILES, FILES, READABLE, Panel, load, panels, queried
from tests.lab.promql import Selector, grouping_labels, selectors

TARGETS = '{job=~"$job", instance=~"$instance"'
PROMETHEUS_OWN = {"up", "scrape_duration_seconds", "scrape_samples_scraped", "ALERTS", "ALERTS_FOR_STATE"}
KINDS = {"heatmap", "row", "stat", "state-timeline", "table", "text", "timeseries"}
"""Kinds of panels that Grafana 9.4 to 12 know, and that are not on their way out."""
COUNT = "locale"
UNITS = {COUNT, "s", "dthms", "dtdurations", "bytes", "percentunit", "cps", "none"}
LATENCIES = {"Commit latency", "Scrape duration"}
# Functions that make sense of a counter, with those by which the first value of a series is found.
OF_COUNTERS = {"rate", "increase", "resets", "last_over_time", "min_over_time"}
GRID, SCREEN_PIXELS, LEAST_COLUMN_PIXELS = 24, 1280, 200
FIRST_SCREEN = 23
LEAST_COLUMNS = {"stat": 4, "timeseries": 8, "heatmap": 8, "state-timeline": 8}

each_board = pytest.mark.parametrize("name", FILES)
every_board = pytest.mark.parametrize("name", ALL_FILES)


@each_board
def test_every_query_selects_chosen_targets_and_existing_series(name: str) -> None:
    queries = [target["expr"] for panel in queried(load(name)) for target in panel["targets"]]
    chosen = [query for query in queries if "ALERTS{" not in query]
    assert [query for query in chosen if query.count(TARGETS) != len(selectors(query))] == []
    assert [fault for query in chosen for fault in _faults(query)] == []


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
        return selector.function in OF_COUNTERS
    return selector.function not in {"rate", "increase", "irate"}


@each_board
def test_no_board_needs_a_recording_of_the_rules(name: str) -> None:
    queries = [target["expr"] for panel in queried(load(name)) for target in panel["targets"]]
    assert [each.name for query in queries for each in selectors(query) if ":" in each.name] == []


@every_board
def test_panels_are_of_kinds_that_grafana_keeps(name: str) -> None:
    board = load(name)
    assert {panel["type"] for panel in (*board["panels"], *panels(board))} <= KINDS
    assert all(panel["description"].endswith(".") for panel in panels(board))


@each_board
def test_states_have_their_colours_from_their_texts(name: str) -> None:
    for panel in queried(load(name)):
        defaults = panel["fieldConfig"]["defaults"]
        mode = defaults.get("color", {}).get("mode")
        # Thresholds without steps are Grafana's own, green and red from 80.
        assert ("thresholds" in defaults) == (panel["type"] == "stat"), panel["title"]
        if panel["type"] == "state-timeline":
            assert mode == "fixed", panel["title"]
            (states,) = defaults["mappings"]
            assert {value: each["color"] for value, each in states["options"].items()} == {
                "1": "green",
                "0": "red",
                "-1": "dark-red",
            }
        elif panel["type"] != "stat":
            assert mode != "thresholds", panel["title"]


@each_board
def test_bars_cover_their_own_time_and_graphs_have_one_step(name: str) -> None:
    steps = set()
    for panel in queried(load(name)):
        custom = panel["fieldConfig"]["defaults"].get("custom", {})
        if custom.get("drawStyle") == "bars":
            assert custom["barAlignment"] == 1, panel["title"]
            counters = [target["expr"] for target in panel["targets"] if "{{" in target["legendFormat"]]
            assert all("offset -$__interval" in query for query in counters), panel["title"]
        if panel["type"] != "stat":
            steps.add((panel["interval"], panel["maxDataPoints"]))
    assert steps == {("1m", 100)}


@each_board
def test_counts_have_all_their_digits(name: str) -> None:
    for panel in queried(load(name)):
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"] in UNITS, panel["title"]
        # Seconds on an axis become 1.67 min.
        assert defaults["unit"] != "s" or panel["title"] in LATENCIES, panel["title"]
        if defaults["unit"] == COUNT and panel["type"] not in {"heatmap", "state-timeline"}:
            assert defaults.get("decimals", 0) == 0, panel["title"]
        if panel["type"] == "heatmap":
            assert panel["options"]["cellValues"] == {"decimals": 0, "unit": COUNT}
            assert panel["options"]["yAxis"]["unit"] == "dthms"


@each_board
def test_two_texts_say_that_there_is_nothing(name: str) -> None:
    texts = {"stat": {"not known"}, "timeseries": {"nothing recorded"}, "heatmap": {"nothing recorded"}}
    for panel in queried(load(name)):
        text = panel["fieldConfig"]["defaults"]["noValue"]
        assert text in texts.get(panel["type"], {text}), panel["title"]
        # A table has a sentence where its emptiness says something, and a hint where it does not.
        assert panel["type"] != "table" or text == "nothing recorded" or len(text) > 30, panel["title"]


@every_board
def test_colours_are_readable_in_both_themes(name: str) -> None:
    for panel in panels(load(name)):
        text = str(panel)
        # A fixed colour is unreadable in one of the two themes.
        assert not re.search(r"'#[0-9a-fA-F]{3,8}'|rgba?\(", text), panel["title"]
        named = set(re.findall(r"'(?:fixedColor|color|fill)': '([^']+)'", text)) - {"dash"}
        assert named <= READABLE, panel["title"]
        # By name, Grafana takes any colour of its palette, also a near-white one.
        assert "palette-classic-by-name" not in text, panel["title"]
        if panel["type"] == "heatmap":
            # A scheme ends in red, which would mean many.
            assert panel["options"]["color"]["mode"] == "opacity"


@each_board
def test_a_table_says_how_many_rows_it_has_and_is_sorted_by_time(name: str) -> None:
    for panel in queried(load(name)):
        if panel["type"] == "table":
            assert panel["options"]["footer"]["enablePagination"], panel["title"]
            assert panel["options"]["sortBy"], panel["title"]
        if panel["title"] == "Last failures by workload":
            order = [(each["displayName"], each["desc"]) for each in panel["options"]["sortBy"]]
            assert order == [("Last failure", True), ("Failures", True)]
            assert _property(panel, "Last failure", "unit") == "dateTimeAsIsoNoDateIfToday"
            assert _property(panel, "Ago", "unit") == "dateTimeFromNow"


def test_the_first_screen_says_what_fires_what_fails_and_what_is_not_watched() -> None:
    board = load("exits-overview.json")
    first = [panel["title"] for panel in panels(board) if panel["gridPos"]["y"] < FIRST_SCREEN][:9]
    assert first == [
        *("Failures", "OOMKilled", "Success ratio", "Running", "Down now", "Minutes not watched"),
        *("Firing alerts", "Failures over time", "Last failures by workload"),
    ]
    second = {panel["title"] for panel in panels(board)}
    assert {"Success ratio over time", "Failures by host", "Failing workloads"} <= second
    (alerts,) = [panel for panel in panels(board) if panel["title"] == "Firing alerts"]
    (order,) = [each["options"] for each in alerts["transformations"] if each["id"] == "organize"]
    columns = {"Alert", "Severity", "Workload", "Host or exporter", "Since"}
    assert set(order["renameByName"].values()) == columns


def test_failed_runs_of_the_trace_store_ask_nothing_before_they_are_opened() -> None:
    (row,) = [panel for panel in load("exits-overview.json")["panels"] if panel.get("collapsed")]
    (runs,) = row["panels"]
    assert runs["datasource"] == {"type": "jaeger", "uid": "${traces}"}
    (search,) = runs["targets"]
    assert (search["queryType"], search["service"], search["tags"]) == (
        "search",
        "exit-exporter",
        "error=true",
    )


def test_processes_and_jobs_that_were_oom_killed_do_not_stand_on_each_other() -> None:
    kills, limits = (
        next(panel for panel in panels(load("workload.json")) if panel["title"] == title)
        for title in ("OOM kills", "Memory limits")
    )
    assert kills["fieldConfig"]["defaults"]["custom"]["drawStyle"] == "bars"
    assert kills["fieldConfig"]["defaults"]["custom"]["stacking"]["mode"] == "none"
    assert limits["fieldConfig"]["defaults"]["custom"]["lineInterpolation"] == "stepAfter"
    assert {target["legendFormat"] for target in limits["targets"]} == {"lowest limit", "highest limit"}
    (figure,) = [panel for panel in panels(load("workload.json")) if panel["title"] == "Memory limit"]
    assert figure["fieldConfig"]["defaults"]["mappings"][0]["options"]["0"]["color"] == "blue"


@every_board
def test_panels_are_wide_enough_and_do_not_overlap(name: str) -> None:
    board = load(name)
    rows = [panel["id"] for panel in board["panels"] if panel["type"] == "row"]
    ids = [*rows, *(panel["id"] for panel in panels(board))]
    assert len(set(ids)) == len(ids)
    for panel in panels(board):
        place = panel["gridPos"]
        assert LEAST_COLUMNS.get(panel["type"], 4) <= place["w"] <= GRID - place["x"], panel["title"]
        if panel["type"] == "table" and panel in queried(board):
            assert _free_pixels(panel) >= LEAST_COLUMN_PIXELS, panel["title"]
    for one, other in combinations((panel["gridPos"] for panel in board["panels"]), 2):
        across = one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
        assert not (across and one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"])


def _property(table: Panel, heading: str, name: str) -> str:
    overrides = {each["matcher"]["options"]: each["properties"] for each in table["fieldConfig"]["overrides"]}
    found: str = next(each["value"] for each in overrides[heading] if each["id"] == name)
    return found


def _free_pixels(table: Panel) -> int:
    """Return the width that is left for the one column without a width."""
    properties = [each["properties"] for each in table["fieldConfig"]["overrides"]]
    widths = [each["value"] for column in properties for each in column if each["id"] == "custom.width"]
    assert len(widths) == len(properties) - 1, table["title"]
    return int(SCREEN_PIXELS * table["gridPos"]["w"] // GRID - 40 - sum(widths))
