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

from dashboards.colours import NEUTRAL, NONE, WARNING

DATASOURCE = looks.DataSourceRef(type_val="prometheus", uid="${datasource}")
EVENTS_STEP = "5m"
"""Bars of single events are read as counts: with a step well above the scrape interval, they nearly are."""
QUANTILES_STEP = "10m"
"""A quantile is of some jobs, not of the one that happened to end."""
MOMENTS_STEP = "1m"
"""As near as a table tells when something was."""

Steps = Sequence[tuple[float, str]]
"""From which value on which colour, the first from 0; what has no value has none."""
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
    """One number, coloured by how bad it is; without one, in no colour."""
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
        .thresholds(_thresholds([(0, NEUTRAL)]))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .graph_mode(looks.BigValueGraphMode.NONE)
        .text_mode(looks.BigValueTextMode.VALUE)
    )


def of_one_size(panel: stat.Panel) -> stat.Panel:
    """The same, its value no larger than those of others beside it, however long they are."""
    return panel.text(common.VizTextDisplayOptions().value_size(36))


def bars(card: Card, queries: Iterable[Query], colours: Mapping[str, str] | None = None) -> timeseries.Panel:
    """Events over time, stacked by what they are; none where none has happened."""
    panel = _graph(card, "short", queries, colours or {}).min(0).no_value("none").decimals(0)
    return (
        panel.draw_style(looks.GraphDrawStyle.BARS)
        .interval(EVENTS_STEP)
        .axis_soft_max(1)
        .fill_opacity(80)
        .line_width(0)
        .stacking(common.StackingConfig().mode(looks.StackingMode.NORMAL).group("A"))
    )


def lines(
    card: Card, unit: str, queries: Iterable[Query], colours: Mapping[str, str] | None = None
) -> timeseries.Panel:
    """Values over time."""
    return _graph(card, unit, queries, colours or {}).min(0).fill_opacity(10).line_width(2)


def levels(card: Card, query: Query) -> timeseries.Panel:
    """How many of something there were at each moment: whole numbers, from one to the next in a step."""
    panel = _graph(card, "short", [query], {}).min(0).decimals(0).axis_soft_max(1)
    return panel.line_interpolation(looks.LineInterpolation.STEP_AFTER).fill_opacity(0).line_width(1)


def points(
    card: Card, unit: str, queries: Iterable[Query], colours: Mapping[str, str] | None = None
) -> timeseries.Panel:
    """Values of single steps, which may differ by orders of magnitude: nothing is between two of them."""
    powers = common.ScaleDistributionConfig().type(looks.ScaleDistribution.LOG).log(10)
    return (
        _graph(card, unit, queries, colours or {})
        .interval(QUANTILES_STEP)
        .draw_style(looks.GraphDrawStyle.POINTS)
        .show_points(looks.VisibilityMode.ALWAYS)
        .point_size(6)
        .scale_distribution(powers)
    )


def most_first(panel: timeseries.Panel) -> timeseries.Panel:
    """The same, its legend a table beside it, for curves of which there can be many."""
    legend = _legend().display_mode(looks.LegendDisplayMode.TABLE).placement(looks.LegendPlacement.RIGHT)
    return panel.legend(legend.calcs(["max", "lastNotNull"]).sort_by("Max").sort_desc(sort_desc=True))


def dashed(panel: timeseries.Panel, legend: str, colour: str, unit: str = "") -> timeseries.Panel:
    """The same, one of its curves a dashed line: what the others are to be held against.

    With a unit of its own, that curve has an axis of its own, on the right, in its colour and with its name.
    """
    looks_of_it = {
        "color": _fixed(colour),
        "custom.drawStyle": "line",
        "custom.lineStyle": {"fill": "dash", "dash": [8, 8]},
        "custom.lineWidth": 2,
        "custom.fillOpacity": 0,
        "custom.stacking": {"mode": "none", "group": "A"},
    }
    own_axis = {
        "unit": unit,
        # As many as it takes, whatever the others have.
        "decimals": None,
        "custom.axisPlacement": "right",
        "custom.axisColorMode": "series",
        "custom.axisLabel": legend,
    }
    wanted = looks_of_it | (own_axis if unit else {})
    return panel.override_by_name(
        legend, [model.DynamicConfigValue(name, value) for name, value in wanted.items()]
    )


def heat(card: Card, expression: str) -> heatmap.Panel:
    """A distribution over time; of values in seconds."""
    panel = _framed(heatmap.Panel(), card, "short", [buckets(expression)])
    # Schemes of one hue end in the colour of the background, in one theme or the other: there, single
    # jobs cannot be seen.
    colour = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Spectral").steps(64)
    return (
        panel.interval(EVENTS_STEP)
        .no_value("none")
        .calculate(calculate=False)
        .color(colour)
        .cell_gap(1)
        .cell_values(heatmap.CellValues().unit("short").decimals(0))
        .y_axis(heatmap.YAxisConfig().unit("s").axis_placement(looks.AxisPlacement.LEFT))
        .filter_values(heatmap.FilterValueRange().le(1e-9))
        .rows_frame(heatmap.RowsHeatmapOptions().layout(looks.HeatmapCellLayout.LE).value("jobs"))
        .tooltip(heatmap.HeatmapTooltip().mode(looks.TooltipDisplayMode.SINGLE).y_histogram(y_histogram=True))
        .show_legend()
        .exemplars_color(NONE)
    )


def ranking(card: Card, query: Query, link: Link) -> bargauge.Panel:
    """The worst few, longest bar first."""
    panel = _framed(bargauge.Panel(), card, "short", [query])
    return (
        panel.decimals(0)
        .min(0)
        .no_value("none")
        .thresholds(_thresholds([(0, WARNING)]))
        .data_links([opened(link)])
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .orientation(looks.VizOrientation.HORIZONTAL)
        .display_mode(looks.BarGaugeDisplayMode.BASIC)
        .name_placement(looks.BarGaugeNamePlacement.LEFT)
        .value_mode(looks.BarGaugeValueMode.TEXT)
        .sizing(looks.BarGaugeSizing.MANUAL)
        .min_viz_height(16)
        .max_viz_height(22)
        .text(common.VizTextDisplayOptions().title_size(12).value_size(14))
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


def opened(link: Link) -> build.DashboardLink:
    """A link as values have it: what a click on one opens."""
    return build.DashboardLink(link.title).url(link.url)


def _framed(panel: Panel, card: Card, unit: str, queries: Iterable[Query]) -> Panel:
    for letter, query in zip(ascii_uppercase, queries, strict=False):
        panel.with_target(query.ref_id(letter).datasource(DATASOURCE))
    panel.id(card.number).title(card.title).description(card.description)
    return panel.datasource(DATASOURCE).unit(unit).span(card.width).height(card.height)


def _graph(card: Card, unit: str, queries: Iterable[Query], colours: Mapping[str, str]) -> timeseries.Panel:
    panel = _framed(timeseries.Panel(), card, unit, queries).no_value("no data")
    for name, colour in colours.items():
        panel.override_by_name(name, [model.DynamicConfigValue("color", _fixed(colour))])
    # Where names have a meaning, one keeps its colour when others come and go; but two of them can have
    # the same, which of many workloads nobody could tell apart.
    mode = model.FieldColorModeId
    others = mode.PALETTE_CLASSIC_BY_NAME if colours else mode.PALETTE_CLASSIC
    return panel.color_scheme(build.FieldColor().mode(others)).legend(_legend()).tooltip(_tooltip())


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
    # What has no value is below all others.
    below = model.Threshold(None, NONE)
    return (
        build.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([below, *(model.Threshold(value, colour) for value, colour in steps)])
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
