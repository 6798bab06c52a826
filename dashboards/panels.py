"""Kinds of panels, each with the options that it has on all dashboards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import TypeVar

from grafana_foundation_sdk.builders import (
    common,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    text,
    timeseries,
)
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import common as models
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.text import TextMode

from dashboards.colours import NEUTRAL, UNKNOWN

DATASOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
COUNT = "locale"
"""Unit that keeps all digits of a number: 3,000, where `short` is 3 K."""
DURATION = "dthms"
"""Unit of hours, minutes and seconds: 00:01:40, where `s` is 1.67 min."""
STEP = "1m"
"""Shortest step of a graph."""
STEPS = 100
"""Steps of a graph, about, whatever its width, so that all graphs of a dashboard have the same stamps.

Grafana rounds a step to the nearest of its own, so there are up to half as many more.
"""
NOTHING = "nothing recorded"
"""Text of a graph or a table without data; it does not say that nothing happened."""
NOT_KNOWN = "not known"
"""Text of a figure that nobody can tell."""

Thresholds = Sequence[tuple[float, str]]
"""Lowest values of each colour, the first from 0. A missing value has no colour."""
ValueMap = Mapping[str, tuple[str, str]]
"""Texts and colours that replace values."""
Query = prometheus.Dataquery
AnyPanel = heatmap.Panel | stat.Panel | statetimeline.Panel | table.Panel | text.Panel | timeseries.Panel
Panel = TypeVar("Panel", heatmap.Panel, stat.Panel, statetimeline.Panel, table.Panel, timeseries.Panel)
Graph = TypeVar("Graph", heatmap.Panel, statetimeline.Panel, table.Panel, timeseries.Panel)


@dataclass(frozen=True, slots=True)
class PanelSpec:
    """Id, texts and size of a panel. ``number`` never changes: links to the panel contain it."""

    number: int
    title: str
    description: str
    width: int = 12
    height: int = 8


@dataclass(frozen=True, slots=True)
class Link:
    """Target of a click on a value."""

    title: str
    url: str


def range_query(expression: str, legend: str, *, exemplars: bool = False) -> Query:
    """Return a query over time; with exemplars, jobs with a trace are marked where they ended."""
    return Query().expr(expression).legend_format(legend).range().exemplar(exemplars)


def instant_query(expression: str, legend: str = "") -> Query:
    """Return a query at the end of the range."""
    return Query().expr(expression).legend_format(legend).instant()


def number_stat(
    spec: PanelSpec, expression: str, thresholds: Thresholds, *, unit: str = COUNT, decimals: int = 0
) -> stat.Panel:
    """Return a panel with one number and its colour; without a number, it has no colour."""
    panel = _stat(spec, [instant_query(expression, spec.title)], thresholds, unit)
    return panel.decimals(decimals).text_mode(models.BigValueTextMode.VALUE)


def value_stat(spec: PanelSpec, query: Query, value_map: ValueMap, unit: str = COUNT) -> stat.Panel:
    """Return a panel with a text instead of a number; a value without a text is shown in ``unit``."""
    panel = _stat(spec, [query], [(0, NEUTRAL)], unit)
    return panel.mappings([value_mapping(value_map)]).text_mode(models.BigValueTextMode.VALUE)


def names_stat(spec: PanelSpec, queries: Iterable[Query], thresholds: Thresholds) -> stat.Panel:
    """Return a panel with the names of what queries found, in the colours of their values."""
    return _stat(spec, queries, thresholds, COUNT).text_mode(models.BigValueTextMode.NAME)


def bars(
    spec: PanelSpec, queries: Iterable[Query], colours: Mapping[str, str] | None = None, rest: str = ""
) -> timeseries.Panel:
    """Return a panel with counts over time as stacked bars, each over its own time.

    Series without a colour of their own have the colour ``rest``, or any if it is empty.
    """
    panel = _graph(spec, COUNT, queries, colours or {}, rest).min(0).decimals(0)
    return (
        panel.draw_style(models.GraphDrawStyle.BARS)
        .bar_alignment(models.BarAlignment.AFTER)
        .bar_width_factor(0.9)
        .axis_soft_max(1)
        .fill_opacity(80)
        .line_width(0)
        .stacking(common.StackingConfig().mode(models.StackingMode.NORMAL).group("A"))
    )


def lines(
    spec: PanelSpec, unit: str, queries: Iterable[Query], colours: Mapping[str, str] | None = None
) -> timeseries.Panel:
    """Return a panel with values over time as lines."""
    return _graph(spec, unit, queries, colours or {}).min(0).fill_opacity(10).line_width(2)


def step_lines(
    spec: PanelSpec, queries: Iterable[Query], colours: Mapping[str, str] | None = None, unit: str = COUNT
) -> timeseries.Panel:
    """Return a panel with values that last until the next one, as stepped lines."""
    panel = _graph(spec, unit, queries, colours or {}).min(0).decimals(0).axis_soft_max(1)
    return panel.line_interpolation(models.LineInterpolation.STEP_AFTER).fill_opacity(0).line_width(2)


def with_dashed_line(panel: timeseries.Panel, legend: str) -> timeseries.Panel:
    """Draw one series of bars as a dashed line without a colour, for comparison; it is of the step before."""
    style: dict[str, object] = {
        "color": _fixed(UNKNOWN),
        "custom.drawStyle": "line",
        "custom.lineInterpolation": "stepBefore",
        "custom.lineStyle": {"fill": "dash", "dash": [8, 8]},
        "custom.lineWidth": 2,
        "custom.fillOpacity": 0,
        "custom.stacking": {"mode": "none", "group": "A"},
    }
    return panel.override_by_name(
        legend, [model.DynamicConfigValue(name, value) for name, value in style.items()]
    )


def heatmap_panel(spec: PanelSpec, expression: str) -> heatmap.Panel:
    """Return a panel with the distribution of durations over time: the more jobs, the denser one hue."""
    query = range_query(expression, "{{le}}", exemplars=True).format(PromQueryFormat.HEATMAP)
    panel = _stepped(with_spec(heatmap.Panel(), spec, COUNT, [query]))
    colour = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.OPACITY).fill(NEUTRAL).exponent(0.5)
    return (
        panel.calculate(calculate=False)
        .color(colour.steps(64))
        .cell_gap(1)
        .cell_values(heatmap.CellValues().unit(COUNT).decimals(0))
        .y_axis(heatmap.YAxisConfig().unit(DURATION).axis_placement(models.AxisPlacement.LEFT))
        .filter_values(heatmap.FilterValueRange().le(1e-9))
        .rows_frame(heatmap.RowsHeatmapOptions().layout(models.HeatmapCellLayout.LE).value("jobs"))
        .tooltip(
            heatmap.HeatmapTooltip().mode(models.TooltipDisplayMode.SINGLE).y_histogram(y_histogram=True)
        )
        .show_legend()
        .exemplars_color(UNKNOWN)
    )


def state_timeline(spec: PanelSpec, query: Query, value_map: ValueMap) -> statetimeline.Panel:
    """Return a panel with the states of several things over time."""
    panel = _stepped(with_spec(statetimeline.Panel(), spec, COUNT, [query]))
    # By thresholds, Grafana would replace the values before it looks at the texts and colours of states.
    fixed = build.FieldColor().mode(model.FieldColorModeId.FIXED).fixed_color(UNKNOWN)
    return (
        panel.mappings([value_mapping(value_map)])
        .color_scheme(fixed)
        .show_value(models.VisibilityMode.NEVER)
        .merge_values(merge_values=True)
        .row_height(0.8)
        .legend(_legend())
        .tooltip(_tooltip())
    )


def markdown(spec: PanelSpec, content: str) -> text.Panel:
    """Return a panel with a text."""
    panel = text.Panel().id(spec.number).title(spec.title).description(spec.description)
    return panel.span(spec.width).height(spec.height).mode(TextMode.MARKDOWN).content(content)


def data_link(link: Link) -> build.DashboardLink:
    """Return a link as values have it."""
    return build.DashboardLink(link.title).url(link.url)


def value_mapping(value_map: ValueMap) -> model.ValueMap:
    """Return texts and colours as Grafana maps them to values."""
    return model.ValueMap(
        {
            value: model.ValueMappingResult(text=text, color=colour, index=index)
            for index, (value, (text, colour)) in enumerate(value_map.items())
        }
    )


def with_spec(panel: Panel, spec: PanelSpec, unit: str, queries: Iterable[Query]) -> Panel:
    """Give a panel its texts, its size, its unit and its queries."""
    for letter, query in zip(ascii_uppercase, queries, strict=False):
        panel.with_target(query.ref_id(letter).datasource(DATASOURCE))
    panel.id(spec.number).title(spec.title).description(spec.description).no_value(NOTHING)
    return panel.datasource(DATASOURCE).unit(unit).span(spec.width).height(spec.height)


def _stepped(panel: Graph) -> Graph:
    return panel.interval(STEP).max_data_points(STEPS)


def _stat(spec: PanelSpec, queries: Iterable[Query], thresholds: Thresholds, unit: str) -> stat.Panel:
    panel = with_spec(stat.Panel(), spec, unit, queries).no_value(NOT_KNOWN)
    return (
        panel.thresholds(_thresholds(thresholds))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_mode(models.BigValueColorMode.VALUE)
        .graph_mode(models.BigValueGraphMode.NONE)
    )


def _graph(
    spec: PanelSpec, unit: str, queries: Iterable[Query], colours: Mapping[str, str], rest: str = ""
) -> timeseries.Panel:
    panel = _stepped(with_spec(timeseries.Panel(), spec, unit, queries))
    for name, colour in colours.items():
        panel.override_by_name(name, [model.DynamicConfigValue("color", _fixed(colour))])
    scheme = build.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC)
    if rest:
        scheme = build.FieldColor().mode(model.FieldColorModeId.FIXED).fixed_color(rest)
    return panel.color_scheme(scheme).legend(_legend()).tooltip(_tooltip())


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .display_mode(models.LegendDisplayMode.LIST)
        .placement(models.LegendPlacement.BOTTOM)
        .show_legend(show_legend=True)
        .calcs([])
    )


def _tooltip() -> common.VizTooltipOptions:
    return common.VizTooltipOptions().mode(models.TooltipDisplayMode.MULTI).sort(models.SortOrder.DESCENDING)


def _thresholds(thresholds: Thresholds) -> build.ThresholdsConfig:
    # A missing value is below all others.
    below = model.Threshold(None, UNKNOWN)
    return (
        build.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([below, *(model.Threshold(value, colour) for value, colour in thresholds)])
    )


def _fixed(colour: str) -> dict[str, str]:
    return {"mode": "fixed", "fixedColor": colour}
