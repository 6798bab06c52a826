"""Tables: joined queries, columns in their order, and the pages of what does not fit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import common, table
from grafana_foundation_sdk.models import common as models
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dashboards.panels import (
    COUNT,
    STEP,
    STEPS,
    Link,
    PanelSpec,
    Query,
    ValueMap,
    instant_query,
    value_mapping,
    with_spec,
)

TIME = "dateTimeAsIsoNoDateIfToday"
AGO = "dateTimeFromNow"


@dataclass(frozen=True, slots=True)
class Column:
    """Column of a table. ``width`` is in pixels, None for the rest of the width.

    ``copy_of`` is the field that it shows in another unit.
    """

    field: str
    heading: str
    width: int | None = None
    unit: str | None = None
    link: Link | None = None
    value_map: ValueMap | None = None
    copy_of: str | None = None


def table_query(expression: str) -> Query:
    """Return a query for the rows of a table."""
    return instant_query(expression).format(PromQueryFormat.TABLE)


def table_panel(
    spec: PanelSpec,
    queries: Iterable[Query],
    columns: Sequence[Column],
    sorted_by: Sequence[str],
    nothing: str = "",
) -> table.Panel:
    """Return a table that joins queries by their labels, with the greatest values first, page by page.

    ``nothing`` is its text without rows.
    """
    panel = with_spec(table.Panel(), spec, COUNT, queries)
    for column in columns:
        panel.override_by_name(column.heading, _properties(column))
    if nothing:
        panel.no_value(nothing)
    return (
        panel.transformations([*_transformations(columns)])
        .decimals(0)
        .interval(STEP)
        .max_data_points(STEPS)
        .sort_by([common.TableSortByFieldState().display_name(each).desc(desc=True) for each in sorted_by])
        .cell_height(models.TableCellHeight.SM)
        # The pages say how many rows there are, where a scroll bar hides the rest.
        .footer(
            common.TableFooterOptions().show(show=False).reducer([]).enable_pagination(enable_pagination=True)
        )
    )


def _transformations(columns: Sequence[Column]) -> Iterable[model.DataTransformerConfig]:
    yield model.DataTransformerConfig("merge", options={})
    for column in columns:
        if column.copy_of is not None:
            same = {"left": column.copy_of, "operator": "+", "right": "0"}
            copied: dict[str, object] = {"mode": "binary", "alias": column.field, "binary": same}
            yield model.DataTransformerConfig("calculateField", options=copied)
    yield model.DataTransformerConfig("organize", options=_order(columns))


def _order(columns: Sequence[Column]) -> dict[str, object]:
    return {
        "excludeByName": {"Time": True},
        "indexByName": {column.field: index for index, column in enumerate(columns)},
        "renameByName": {column.field: column.heading for column in columns},
    }


def _properties(column: Column) -> list[model.DynamicConfigValue]:
    properties: list[tuple[str, object]] = [
        ("custom.width", column.width),
        ("unit", column.unit),
        ("links", column.link and [{"title": column.link.title, "url": column.link.url}]),
        ("mappings", column.value_map and [value_mapping(column.value_map)]),
        ("custom.cellOptions", column.value_map and {"type": "color-text"}),
    ]
    return [model.DynamicConfigValue(name, value) for name, value in properties if value is not None]
