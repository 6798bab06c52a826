"""The kinds of panels, each with the looks that it has on every dashboard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

DATASOURCE = looks.DataSourceRef(type_val="prometheus", uid="${datasource}")
# Names of Grafana's palette: each theme has its own shade of them.
GOOD, WARNING, BAD, NEUTRAL = "green", "orange", "red", "blue"
STATUS_COLOURS = {"done": GOOD, "failed": BAD, "terminated": NEUTRAL, "unknown": WARNING}
REASON_COLOURS = {"Completed": GOOD, "OOMKilled": BAD}
EVENTS_STEP = "2m"
"""Bars of single events are read as counts: with a step well above the scrape interval, they nearly are."""
MOMENTS_STEP = "1m"
"""As near as a table tells when something was."""

Steps = Sequence[tuple[float | None, str]]
Words = Mapping[str, tuple[str, str]]
"""What is shown instead of a value, and its colour."""
Query = prometheus.Dataquery
Panel = TypeVar(
    "Panel", bargauge.Panel, heatmap.Panel, stat.Panel, statetimeline.Panel, table.Panel, timeseries.Panel
)
AnyPanel = bargauge.Panel | heatmap.Panel | stat.Panel | statetimeline.Panel | table.Panel | timeseries.Panel


@dataclass(frozen=True, slots=True)
class Card:
    """What stands on a panel, and its size. ``number`` is for good: links to the panel have it."""

    number: int
    title: str
    description: str
    width: int = 12
    height: int = 8


@dataclass(frozen=True, slots=True)
class Link:
    """Where a click on a value leads."""

    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its field, its heading; ``width`` in pixels, None for what is left."""

    field: str
    heading: str
    width: int | None = None
    unit: str | None = None
    link: Link | None = None


def curve(expression: str, legend: str, *, exemplars: bool = False) -> Query:
    """A query over time; with exemplars, a job that has a trace is shown where it ended."""
    return Query().expr(expression).legend_format(legend).range().exemplar(exemplars)


def instant(expression: str, legend: str = "") -> Query:
    """A query of the end of the range."""
    return Query().expr(expression).legend_format(legend).instant()


def buckets(expression: str) -> Query:
    """A query over time for the buckets of a heatmap."""
    return curve(expression, "{{le}}", exemplars=True).format(PromQueryFormat.HEATMAP)


def rows(expression: str) -> Query:
    """A query for rows of a table."""
    return instant(expression).format(PromQueryFormat.TABLE)


def figure(
    card: Card, expression: str, steps: Steps, *, unit: str = "short", decimals: int = 0
) -> stat.Panel:
    """One number, coloured by how bad it is."""
    panel = _framed(stat.Panel(), card, unit, [instant(expression, card.title)])
    return (
        panel.decimals(decimals)
        .no_value("no data")
        .thresholds(_thresholds(steps))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_mode(looks.BigValueColorMode.VALUE)
        .graph_mode(looks.BigValueGraphMode.NONE)
        .text_mode(looks.BigValueTextMode.VALUE)
    )


def word(card: Card, query: Query, words: Words, unit: str = "short") -> stat.Panel:
    """One word with its colour instead of a number; a value without a word is a number of ``unit``."""
    panel = _framed(stat.Panel(), card, unit, [query])
    return (
        panel.no_value("no data")
        .mappings([_words(words)])
        .thresholds(_thresholds([(None, NEUTRAL)]))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .graph_mode(looks.BigValueGraphMode.NONE)
        .text_mode(looks.BigValueTextMode.VALUE)
    )


def bars(card: Card, queries: Iterable[Query], colours: Mapping[str, str] | None = None) -> timeseries.Panel:
    """Events over time, stacked by what they are."""
    panel = _graph(card, "short", queries, colours or {})
    return (
        panel.draw_style(looks.GraphDrawStyle.BARS)
        .interval(EVENTS_STEP)
        .fill_opacity(80)
        .line_width(0)
        .stacking(common.StackingConfig().mode(looks.StackingMode.NORMAL).group("A"))
    )


def lines(
    card: Card, unit: str, queries: Iterable[Query], colours: Mapping[str, str] | None = None
) -> timeseries.Panel:
    """Values over time."""
    return _graph(card, unit, queries, colours or {}).fill_opacity(10).line_width(2)


def dashed(panel: timeseries.Panel, legend: str, unit: str = "") -> timeseries.Panel:
    """The same, one of its curves a dashed line: what the others are to be held against.

    With a unit of its own, that curve has an axis of its own, on the right.
    """
    line = {"fill": "dash", "dash": [8, 8]}
    looks_of_it = {
        "custom.drawStyle": "line",
        "custom.lineStyle": line,
        "custom.lineWidth": 2,
        "custom.fillOpacity": 0,
        "custom.stacking": {"mode": "none", "group": "A"},
    }
    own_axis = {"unit": unit, "custom.axisPlacement": "right"} if unit else {}
    properties = [model.DynamicConfigValue(name, value) for name, value in (looks_of_it | own_axis).items()]
    return panel.override_by_name(legend, properties)


def heat(card: Card, expression: str) -> heatmap.Panel:
    """A distribution over time; of values in seconds."""
    panel = _framed(heatmap.Panel(), card, "short", [buckets(expression)])
    # Grafana turns a scheme of one hue round in its dark theme: no colour is always that of no value.
    colour = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(64)
    return (
        panel.interval(EVENTS_STEP)
        .calculate(calculate=False)
        .color(colour.exponent(0.5).fill("dark-orange"))
        .cell_gap(1)
        .cell_values(heatmap.CellValues().unit("short").decimals(0))
        .y_axis(heatmap.YAxisConfig().unit("s").axis_placement(looks.AxisPlacement.LEFT))
        .filter_values(heatmap.FilterValueRange().le(1e-9))
        .rows_frame(heatmap.RowsHeatmapOptions().layout(looks.HeatmapCellLayout.LE))
        .tooltip(heatmap.HeatmapTooltip().mode(looks.TooltipDisplayMode.SINGLE).y_histogram(y_histogram=True))
        .show_legend()
        .exemplars_color("red")
    )


def ranking(card: Card, query: Query, link: Link) -> bargauge.Panel:
    """The worst few, longest bar first."""
    panel = _framed(bargauge.Panel(), card, "short", [query])
    return (
        panel.decimals(0)
        .min(0)
        .no_value("none")
        .thresholds(_thresholds([(None, WARNING)]))
        .data_links([build.DashboardLink(link.title).url(link.url)])
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .orientation(looks.VizOrientation.HORIZONTAL)
        .display_mode(looks.BarGaugeDisplayMode.BASIC)
        .name_placement(looks.BarGaugeNamePlacement.LEFT)
        .show_unfilled(show_unfilled=True)
    )


def states(card: Card, query: Query, words: Words) -> statetimeline.Panel:
    """Which state each of some things was in, over time."""
    panel = _framed(statetimeline.Panel(), card, "short", [query])
    return (
        panel.mappings([_words(words)])
        .no_value("no data")
        .color_scheme(build.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .show_value(looks.VisibilityMode.NEVER)
        .merge_values(merge_values=True)
        .row_height(0.8)
        .legend(_legend())
        .tooltip(_tooltip())
    )


def listing(card: Card, queries: Iterable[Query], columns: Sequence[Column], sorted_by: str) -> table.Panel:
    """Rows with the fields of several queries that agree in their labels, greatest first."""
    panel = _framed(table.Panel(), card, "short", queries)
    for column in columns:
        panel.override_by_name(column.heading, _properties(column))
    return (
        panel.decimals(0)
        .no_value("none")
        .with_transformation(model.DataTransformerConfig("merge", options={}))
        .with_transformation(model.DataTransformerConfig("organize", options=_order(columns)))
        .sort_by([common.TableSortByFieldState().display_name(sorted_by).desc(desc=True)])
        .cell_height(looks.TableCellHeight.SM)
    )


def _framed(panel: Panel, card: Card, unit: str, queries: Iterable[Query]) -> Panel:
    for letter, query in zip(ascii_uppercase, queries, strict=False):
        panel.with_target(query.ref_id(letter).datasource(DATASOURCE))
    panel.id(card.number).title(card.title).description(card.description)
    return panel.datasource(DATASOURCE).unit(unit).span(card.width).height(card.height)


def _graph(card: Card, unit: str, queries: Iterable[Query], colours: Mapping[str, str]) -> timeseries.Panel:
    panel = _framed(timeseries.Panel(), card, unit, queries).min(0).no_value("no data")
    for name, colour in colours.items():
        panel.override_by_name(name, [model.DynamicConfigValue("color", _fixed(colour))])
    # By name: a series keeps its colour when others come and go.
    colour_of_others = build.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC_BY_NAME)
    return panel.color_scheme(colour_of_others).legend(_legend()).tooltip(_tooltip())


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .display_mode(looks.LegendDisplayMode.LIST)
        .placement(looks.LegendPlacement.BOTTOM)
        .show_legend(show_legend=True)
        .calcs([])
    )


def _tooltip() -> common.VizTooltipOptions:
    return common.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI).sort(looks.SortOrder.DESCENDING)


def _thresholds(steps: Steps) -> build.ThresholdsConfig:
    return (
        build.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([model.Threshold(value, colour) for value, colour in steps])
    )


def _words(words: Words) -> model.ValueMap:
    return model.ValueMap(
        {
            value: model.ValueMappingResult(text=text, color=colour, index=index)
            for index, (value, (text, colour)) in enumerate(words.items())
        }
    )


def _fixed(colour: str) -> dict[str, str]:
    return {"mode": "fixed", "fixedColor": colour}


def _properties(column: Column) -> list[model.DynamicConfigValue]:
    properties = [
        ("custom.width", column.width),
        ("unit", column.unit),
        ("links", column.link and [{"title": column.link.title, "url": column.link.url}]),
    ]
    return [model.DynamicConfigValue(name, value) for name, value in properties if value is not None]


def _order(columns: Sequence[Column]) -> dict[str, object]:
    return {
        "excludeByName": {"Time": True},
        "indexByName": {column.field: index for index, column in enumerate(columns)},
        "renameByName": {column.field: column.heading for column in columns},
    }
