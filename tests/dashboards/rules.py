"""What is asked of every dashboard: what Grafana's dashboard-linter asks, and what screens do.

A rule gives a sentence for each thing that is wrong, and begins it with the panel that it is about.
"""

import re
from collections.abc import Callable, Iterator
from itertools import combinations

from promql_parser import Expr

from tests.dashboards.boards import Board, Panel, panels, variables
from tests.lab.promql import (
    TARGET_LABELS,
    Matcher,
    divides_by,
    grouping_labels,
    parse,
    selected,
    subqueries,
    windows,
    without_first_values,
    without_subqueries,
)

GRID, LEAST_PANEL, LEAST_GRAPH = 24, 4, 8
SCREEN_PIXELS, LEAST_COLUMN_PIXELS = 1280, 200
GRAPHS = {"timeseries", "heatmap", "statetimeline", "bargauge"}
RANGE, RATE, STEP = "$__range", "$__rate_interval", "$__interval"
HUES = ("red", "orange", "yellow", "green", "blue", "purple")
PALETTE = {f"{shade}{hue}" for hue in HUES for shade in ("", "super-light-", "light-", "semi-dark-", "dark-")}
"""Grafana's own."""
UNITS = {"short", "s", "bytes", "percentunit", "cps", "ops"}
"""Of those that Grafana's dashboard-linter knows, those that are needed."""
TARGETS = {Matcher("job", "=~", "$job"), Matcher("instance", "=~", "$instance")}
PROMETHEUS_OWN = {"up", "scrape_duration_seconds", "scrape_samples_scraped"}
"""What Prometheus itself says of a target."""
RATES = {"rate", "increase"}

Found = Iterator[str]
Rule = Callable[[Board], Found]


def has_the_variables(board: Board) -> Found:
    """Datasource, job and instance can be chosen, the last two any number of them and all."""
    have = variables(board)
    for name, label in (("datasource", "Data source"), ("job", "Job"), ("instance", "Instance")):
        if name not in have or have[name].get("label") != label:
            yield f"no variable {name} with the label {label}"
    if (have.get("datasource", {}).get("type"), have.get("datasource", {}).get("query")) != (
        "datasource",
        "prometheus",
    ):
        yield "the variable datasource is not for a Prometheus"
    for name in ("job", "instance"):
        variable = have.get(name, {})
        if not (variable.get("multi") and variable.get("includeAll") and variable.get("allValue") == ".+"):
            yield f"the variable {name} is not for any number of them"


def variables_are_fresh(board: Board) -> Found:
    """Values of variables are asked for whenever the time changes, of the chosen datasource."""
    for name, variable in variables(board).items():
        if variable["type"] == "query" and variable.get("refresh") != 2:
            yield f"{name} is not read again when the time changes"
        if variable["type"] == "query" and variable.get("datasource", {}).get("uid") != "${datasource}":
            yield f"{name} is not asked of the chosen datasource"


def cannot_be_edited(board: Board) -> Found:
    """What is edited would be lost at the next update."""
    if board["editable"] is not False:
        yield "can be edited"


def says_its_time_zone(board: Board) -> Found:
    """Times are the reader's, or UTC; never those of whoever saved it last."""
    if board.get("timezone") not in {"browser", "utc"}:
        yield f"has the time zone {board.get('timezone')}"


def says_what_it_is(board: Board) -> Found:
    """A title, a description, a uid and a tag by which the others are found."""
    for field in ("title", "description", "uid"):
        if not board.get(field):
            yield f"has no {field}"
    if board.get("tags") != ["exit-exporter"]:
        yield "has not the tag"


def panels_have_a_datasource(board: Board) -> Found:
    """Panels and queries ask the chosen datasource."""
    for panel in panels(board):
        for part in (panel, *panel.get("targets", [])):
            if part.get("datasource") != {"type": "prometheus", "uid": "${datasource}"}:
                yield f"{panel['title']}: does not ask the chosen datasource"


def panels_say_what_they_are(board: Board) -> Found:
    """A title, and a description in sentences."""
    for panel in panels(board):
        if not panel.get("title"):
            yield f"{panel['id']}: has no title"
        if not panel.get("description", "").endswith("."):
            yield f"{panel.get('title')}: has no description in sentences"


def panels_have_a_unit(board: Board) -> Found:
    """No number without one, and none of a unit that nobody knows."""
    for panel in panels(board):
        unit = panel["fieldConfig"]["defaults"].get("unit")
        if unit not in UNITS:
            yield f"{panel['title']}: has the unit {unit}"


def panels_have_targets(board: Board) -> Found:
    """Each asks something, and its queries can be told apart."""
    for panel in panels(board):
        letters = [target.get("refId") for target in panel.get("targets", [])]
        if not letters or len(set(letters)) != len(letters) or not all(letters):
            yield f"{panel['title']}: its queries are {letters}"


def queries_are_of_the_chosen_targets(board: Board) -> Found:
    """Matchers for job and instance at every metric."""
    for panel, query in _queries(board):
        for each in selected(query):
            if not each.matchers:
                yield f"{panel['title']}: {each.name} has no matchers"
            elif {matcher for matcher in each.matchers if matcher.label in TARGET_LABELS} != TARGETS:
                yield f"{panel['title']}: {each.name} is of any target"


def metrics_exist(board: Board) -> Found:
    """Names are of the catalogue or Prometheus' own, labels those of the metric."""
    for panel, query in _queries(board):
        known: set[str] = set()
        for each in selected(query):
            known |= each.labels
            if each.metric is None and each.name not in PROMETHEUS_OWN:
                yield f"{panel['title']}: there is no {each.name}"
            for label in {matcher.label for matcher in each.matchers} - each.labels:
                yield f"{panel['title']}: {each.name} has no {label}"
        for label in grouping_labels(query) - known:
            yield f"{panel['title']}: nothing in its query has {label}"


def counters_are_rated(board: Board) -> Found:
    """Counters under rate or increase, or as their first value; and nothing but counters under them.

    In how many scrapes one was is another question than what it has counted.
    """
    for panel, query in _queries(board):
        for each in selected(without_first_values(query)):
            if each.is_counter and each.function not in {*RATES, "count_over_time"}:
                yield f"{panel['title']}: {each.name} is neither under rate nor under increase"
        for each in selected(query):
            if each.function in {*RATES, "irate"} and not each.is_counter:
                yield f"{panel['title']}: {each.name} is under rate and is no counter"


def windows_fit(board: Board) -> Found:
    """Graphs take the rate interval, figures and tables the range; no window is fixed.

    A graph may take the range where it divides by it. A subquery takes the range in the steps of a graph,
    and within it the rate interval.
    """
    for panel in panels(board):
        for target in panel["targets"]:
            query = parse(target["expr"])
            fitting = RANGE if target.get("instant") else RATE
            averaged = {RANGE} if divides_by(query, f"{RANGE}_ms") else set()
            for window in windows(without_subqueries(query)) - {fitting} - averaged:
                yield f"{panel['title']}: the window {window}, not {fitting}"
            for each in subqueries(query):
                asked = (each.range, each.step, each.offset, windows(each.expression))
                if asked != (fitting, STEP, None, {RATE}):
                    yield f"{panel['title']}: a subquery of {each.range} in steps of {each.step}"


def bars_are_of_what_happened(board: Board) -> Found:
    """Else legends name what has not, and a bar of none is a line."""
    for panel in panels(board):
        defaults = panel["fieldConfig"]["defaults"]
        if defaults.get("custom", {}).get("drawStyle") != "bars":
            continue
        lines = _drawn_as_lines(panel)
        for target in panel["targets"]:
            if not target["expr"].endswith(" > 0") and target["legendFormat"] not in lines:
                yield f"{panel['title']}: {target['legendFormat']} has bars of 0"
        if (defaults.get("noValue"), defaults.get("decimals")) != ("none", 0):
            yield f"{panel['title']}: does not count"


def nothing_has_no_colour(board: Board) -> Found:
    """A figure without a value is neither good nor bad."""
    for panel in panels(board):
        if panel["type"] in {"stat", "bargauge"}:
            first, *_ = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
            if first != {"value": None, "color": "text"}:
                yield f"{panel['title']}: is {first['color']} without a value"


def ids_are_unique(board: Board) -> Found:
    """Links to panels have them."""
    ids = [panel["id"] for panel in board["panels"]]
    for number in sorted({number for number in ids if ids.count(number) > 1}):
        yield f"{number}: several panels have this id"


def panels_have_room(board: Board) -> Found:
    """On 1280 pixels each is wide enough to be read, and none lies on another or outside."""
    for panel in panels(board):
        place = panel["gridPos"]
        least = LEAST_GRAPH if panel["type"] in GRAPHS else LEAST_PANEL
        if place["w"] < least or place["x"] + place["w"] > GRID or place["h"] < 3:
            yield f"{panel['title']}: has {place['w']} columns at {place['x']} and {place['h']} rows"
    for one, other in combinations(board["panels"], 2):
        if _overlap(one["gridPos"], other["gridPos"]):
            yield f"{one['title']}: lies on {other['title']}"


def tables_fit(board: Board) -> Found:
    """One column of a table takes what the others leave, and that is enough for a name."""
    for panel in panels(board):
        if panel["type"] != "table":
            continue
        widths = _widths(panel)
        free = [name for name, width in widths.items() if width is None]
        left = (
            SCREEN_PIXELS * panel["gridPos"]["w"] // GRID - 100 - sum(width or 0 for width in widths.values())
        )
        if len(free) != 1 or left < LEAST_COLUMN_PIXELS:
            yield f"{panel['title']}: {left} pixels are left for {free}"


def colours_are_the_themes(board: Board) -> Found:
    """Colours by their name in the palette: a fixed one is unreadable in one of the two themes."""
    for panel in panels(board):
        text = str(panel)
        for colour in re.findall(r"'#[0-9a-fA-F]{3,8}'|rgba?\([^)]*\)", text):
            yield f"{panel['title']}: the colour {colour} is fixed"
        for colour in set(re.findall(r"'(?:fixedColor|color)': '([^']+)'", text)) - PALETTE - {"text"}:
            yield f"{panel['title']}: the colour {colour} is none of ours"


RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        has_the_variables,
        variables_are_fresh,
        cannot_be_edited,
        says_its_time_zone,
        says_what_it_is,
        panels_have_a_datasource,
        panels_say_what_they_are,
        panels_have_a_unit,
        panels_have_targets,
        queries_are_of_the_chosen_targets,
        metrics_exist,
        counters_are_rated,
        windows_fit,
        bars_are_of_what_happened,
        nothing_has_no_colour,
        ids_are_unique,
        panels_have_room,
        tables_fit,
        colours_are_the_themes,
    )
}


def _queries(board: Board) -> Iterator[tuple[Panel, Expr]]:
    for panel in panels(board):
        for target in panel.get("targets", []):
            yield panel, parse(target["expr"])


def _drawn_as_lines(panel: Panel) -> set[str]:
    return {
        override["matcher"]["options"]
        for override in panel["fieldConfig"]["overrides"]
        if {"id": "custom.drawStyle", "value": "line"} in override["properties"]
    }


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    across = one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
    return across and one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]


def _widths(panel: Panel) -> dict[str, int | None]:
    return {
        override["matcher"]["options"]: next(
            (each["value"] for each in override["properties"] if each["id"] == "custom.width"), None
        )
        for override in panel["fieldConfig"]["overrides"]
    }
