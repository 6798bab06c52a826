"""Kinds of panels, each with the options that it has on all dashboards."""

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
from grafana_foundation_sdk.models import common as models
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dashboards.colours import NEUTRAL, NONE, WARNING

DATASOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
EVENTS_STEP = "5m"
"""Step of bars. They nearly count events, if the step is well above the scrape interval."""
QUANTILES_STEP = "10m"
"""Step of quantiles, so that they are of several jobs."""
MOMENTS_STEP = "1m"
"""Accuracy of times in a table."""

Steps = Sequence[tuple[float, str]]
"""Lowest values of each colour, the first from 0. A missing value has no colour."""
ValueMap = Mapping[str, tuple[str, str]]
"""Texts and colours that replace values."""
Query = prometheus.Dataquery
Panel = TypeVar(
    "Panel", bargauge.Panel, heatmap.Panel, stat.Panel, statetimeline.Panel, table.Panel, timeseries.Panel
)
AnyPanel = bargauge.Panel | heatmap.Panel | stat.Panel | statetimeline.Panel | table.Panel | timeseries.Panel


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


@dataclass(frozen=True, slots=True)
class Column:
    """Column of a table. ``width`` is in pixels, None for the rest of the width."""

    field: str
    heading: str
    width: int | None = None
    unit: str | None = None
    link: Link | None = None


def range_query(expression: str, legend: str, *, exemplars: bool = False) -> Query:
    """Return a query over time; with exemplars, jobs with a trace are marked where they ended."""
    return Query().expr(expression).legend_format(legend).range().exemplar(exemplars)


def instant_query(expression: str, legend: str = "") -> Query:
    """Return a query at the end of the range."""
    return Query().expr(expression).legend_format(legend).instant()


def heatmap_query(expression: str) -> Query:
    """Return a query over time for the buckets of a heatmap."""
    return range_query(expression, "{{le}}", exemplars=True).format(PromQueryFormat.HEATMAP)


def table_query(expression: str) -> Query:
    """Return a query for the rows of a table."""
    return instant_query(expression).format(PromQueryFormat.TABLE)


def number_stat(
    spec: PanelSpec, expression: str, steps: Steps, *, unit: str = "short", decimals: int = 0
) -> stat.Panel:
    """Return a panel with one number and its colour; without a number, it has no colour."""
    panel = _with_spec(stat.Panel(), spec, unit, [instant_query(expression, spec.title)])
    return (
        panel.decimals(decimals)
        .no_value("no data")
        .thresholds(_thresholds(steps))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_mode(models.BigValueColorMode.VALUE)
        .graph_mode(models.BigValueGraphMode.NONE)
        .text_mode(models.BigValueTextMode.VALUE)
    )


def value_stat(spec: PanelSpec, query: Query, value_map: ValueMap, unit: str = "short") -> stat.Panel:
    """Return a panel with a text instead of a number; a value without a text is shown in ``unit``."""
    panel = _with_spec(stat.Panel(), spec, unit, [query])
    return (
        panel.no_value("no data")
        .mappings([_value_map(value_map)])
        .thresholds(_thresholds([(0, NEUTRAL)]))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .graph_mode(models.BigValueGraphMode.NONE)
        .text_mode(models.BigValueTextMode.VALUE)
    )


def fixed_text_size(panel: stat.Panel) -> stat.Panel:
    """Give the value of a panel the same size as in others beside it."""
    return panel.text(common.VizTextDisplayOptions().value_size(36))


def bars(
    spec: PanelSpec, queries: Iterable[Query], colours: Mapping[str, str] | None = None
) -> timeseries.Panel:
    """Return a panel with events over time as stacked bars, none where nothing occurred."""
    panel = _graph(spec, "short", queries, colours or {}).min(0).no_value("none").decimals(0)
    return (
        panel.draw_style(models.GraphDrawStyle.BARS)
        .interval(EVENTS_STEP)
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


def step_lines(spec: PanelSpec, query: Query) -> timeseries.Panel:
    """Return a panel with whole numbers over time as stepped lines."""
    panel = _graph(spec, "short", [query], {}).min(0).decimals(0).axis_soft_max(1)
    return panel.line_interpolation(models.LineInterpolation.STEP_AFTER).fill_opacity(0).line_width(1)


def points(
    spec: PanelSpec, unit: str, queries: Iterable[Query], colours: Mapping[str, str] | None = None
) -> timeseries.Panel:
    """Return a panel with values of single steps as points, on a logarithmic scale."""
    powers = common.ScaleDistributionConfig().type(models.ScaleDistribution.LOG).log(10)
    return (
        _graph(spec, unit, queries, colours or {})
        .interval(QUANTILES_STEP)
        .draw_style(models.GraphDrawStyle.POINTS)
        .show_points(models.VisibilityMode.ALWAYS)
        .point_size(6)
        .scale_distribution(powers)
    )


def with_table_legend(panel: timeseries.Panel) -> timeseries.Panel:
    """Give a panel with many series a table as its legend, with the highest series first."""
    legend = _legend().display_mode(models.LegendDisplayMode.TABLE).placement(models.LegendPlacement.RIGHT)
    return panel.legend(legend.calcs(["max", "lastNotNull"]).sort_by("Max").sort_desc(sort_desc=True))


def with_dashed_line(panel: timeseries.Panel, legend: str, colour: str, unit: str = "") -> timeseries.Panel:
    """Draw one series of a panel as a dashed line, for comparison.

    With a unit of its own, it has an axis of its own, on the right, in its colour and with its name.
    """
    style = {
        "color": _fixed(colour),
        "custom.drawStyle": "line",
        "custom.lineStyle": {"fill": "dash", "dash": [8, 8]},
        "custom.lineWidth": 2,
        "custom.fillOpacity": 0,
        "custom.stacking": {"mode": "none", "group": "A"},
    }
    own_axis = {
        "unit": unit,
        # Not the number of decimals of the other series.
        "decimals": None,
        "custom.axisPlacement": "right",
        "custom.axisColorMode": "series",
        "custom.axisLabel": legend,
    }
    properties = style | (own_axis if unit else {})
    return panel.override_by_name(
        legend, [model.DynamicConfigValue(name, value) for name, value in properties.items()]
    )


def heatmap_panel(spec: PanelSpec, expression: str) -> heatmap.Panel:
    """Return a panel with the distribution of durations over time."""
    panel = _with_spec(heatmap.Panel(), spec, "short", [heatmap_query(expression)])
    # Schemes of one hue end in the colour of the background in one of the themes, where single jobs would be
    # invisible.
    colour = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Spectral").steps(64)
    return (
        panel.interval(EVENTS_STEP)
        .no_value("none")
        .calculate(calculate=False)
        .color(colour)
        .cell_gap(1)
        .cell_values(heatmap.CellValues().unit("short").decimals(0))
        .y_axis(heatmap.YAxisConfig().unit("s").axis_placement(models.AxisPlacement.LEFT))
        .filter_values(heatmap.FilterValueRange().le(1e-9))
        .rows_frame(heatmap.RowsHeatmapOptions().layout(models.HeatmapCellLayout.LE).value("jobs"))
        .tooltip(
            heatmap.HeatmapTooltip().mode(models.TooltipDisplayMode.SINGLE).y_histogram(y_histogram=True)
        )
        .show_legend()
        .exemplars_color(NONE)
    )


def bar_ranking(spec: PanelSpec, query: Query, link: Link) -> bargauge.Panel:
    """Return a panel with a bar for each of the worst few, longest first."""
    panel = _with_spec(bargauge.Panel(), spec, "short", [query])
    return (
        panel.decimals(0)
        .min(0)
        .no_value("none")
        .thresholds(_thresholds([(0, WARNING)]))
        .data_links([data_link(link)])
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .orientation(models.VizOrientation.HORIZONTAL)
        .display_mode(models.BarGaugeDisplayMode.BASIC)
        .name_placement(models.BarGaugeNamePlacement.LEFT)
        .value_mode(models.BarGaugeValueMode.TEXT)
        .sizing(models.BarGaugeSizing.MANUAL)
        .min_viz_height(16)
        .max_viz_height(22)
        .text(common.VizTextDisplayOptions().title_size(12).value_size(14))
        .show_unfilled(show_unfilled=True)
    )


def state_timeline(spec: PanelSpec, query: Query, value_map: ValueMap) -> statetimeline.Panel:
    """Return a panel with the states of several things over time."""
    panel = _with_spec(statetimeline.Panel(), spec, "short", [query])
    return (
        panel.mappings([_value_map(value_map)])
        .no_value("no data")
        .color_scheme(build.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .show_value(models.VisibilityMode.NEVER)
        .merge_values(merge_values=True)
        .row_height(0.8)
        .legend(_legend())
        .tooltip(_tooltip())
    )


def table_panel(
    spec: PanelSpec, queries: Iterable[Query], columns: Sequence[Column], sorted_by: str
) -> table.Panel:
    """Return a table that joins queries by their labels, with the greatest value first."""
    panel = _with_spec(table.Panel(), spec, "short", queries)
    for column in columns:
        panel.override_by_name(column.heading, _properties(column))
    return (
        panel.decimals(0)
        .no_value("none")
        .with_transformation(model.DataTransformerConfig("merge", options={}))
        .with_transformation(model.DataTransformerConfig("organize", options=_order(columns)))
        .sort_by([common.TableSortByFieldState().display_name(sorted_by).desc(desc=True)])
        .cell_height(models.TableCellHeight.SM)
    )


def data_link(link: Link) -> build.DashboardLink:
    """Return a link as values have it."""
    return build.DashboardLink(link.title).url(link.url)


def _with_spec(panel: Panel, spec: PanelSpec, unit: str, queries: Iterable[Query]) -> Panel:
    for letter, query in zip(ascii_uppercase, queries, strict=False):
        panel.with_target(query.ref_id(letter).datasource(DATASOURCE))
    panel.id(spec.number).title(spec.title).description(spec.description)
    return panel.datasource(DATASOURCE).unit(unit).span(spec.width).height(spec.height)


def _graph(
    spec: PanelSpec, unit: str, queries: Iterable[Query], colours: Mapping[str, str]
) -> timeseries.Panel:
    panel = _with_spec(timeseries.Panel(), spec, unit, queries).no_value("no data")
    for name, colour in colours.items():
        panel.override_by_name(name, [model.DynamicConfigValue("color", _fixed(colour))])
    # By name, a series keeps its colour when others come and go. But two can have the same colour, so it is
    # not used for names without a meaning, such as many workloads.
    mode = model.FieldColorModeId
    others = mode.PALETTE_CLASSIC_BY_NAME if colours else mode.PALETTE_CLASSIC
    return panel.color_scheme(build.FieldColor().mode(others)).legend(_legend()).tooltip(_tooltip())


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


def _thresholds(steps: Steps) -> build.ThresholdsConfig:
    # A missing value is below all others.
    below = model.Threshold(None, NONE)
    return (
        build.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([below, *(model.Threshold(value, colour) for value, colour in steps)])
    )


def _value_map(value_map: ValueMap) -> model.ValueMap:
    return model.ValueMap(
        {
            value: model.ValueMappingResult(text=text, color=colour, index=index)
            for index, (value, (text, colour)) in enumerate(value_map.items())
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
