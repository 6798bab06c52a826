"""Dashboards as Grafana loads them, and queries as it sends them."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[2] / "dashboards"
FILES = ("exits-overview.json", "workload.json", "exporter-health.json")
SCRAPE_SECONDS = 30
HUES = ("red", "orange", "yellow", "green", "blue", "purple")
PALETTE = {f"{shade}{hue}" for hue in HUES for shade in ("", "super-light-", "light-", "semi-dark-", "dark-")}
"""Colours that Grafana names, with a variant for each theme."""
GRAPH_PIXELS = 600

Board = dict[str, Any]
Panel = dict[str, Any]


@dataclass(frozen=True)
class PanelQuery:
    """Query of a panel."""

    board: str
    panel: Panel
    query: dict[str, Any]

    def __str__(self) -> str:
        """Return its name for test reports."""
        return f"{self.board}: {self.panel['title']}: {self.query['refId']}"

    @property
    def expression(self) -> str:
        """Return the query as it is in the file."""
        text: str = self.query["expr"]
        return text


def load(name: str) -> Board:
    """Read a dashboard."""
    board: Board = json.loads((HERE / name).read_text(encoding="utf-8"))
    return board


def panels(board: Board) -> Iterator[Panel]:
    """Return the panels without the rows."""
    return (panel for panel in board["panels"] if panel["type"] != "row")


def targets(names: Sequence[str] = FILES) -> list[PanelQuery]:
    """Return all queries of all panels."""
    return [
        PanelQuery(name, panel, query)
        for name in names
        for panel in panels(load(name))
        for query in panel["targets"]
    ]


def variables(board: Board) -> dict[str, dict[str, Any]]:
    """Return the variables by name."""
    return {variable["name"]: variable for variable in board["templating"]["list"]}


def everything(board: Board, workload: str) -> dict[str, str]:
    """Return the values of the variables with everything selected; the one workload has no 'all'."""
    return {
        name: variable.get("allValue") or workload
        for name, variable in variables(board).items()
        if variable["type"] == "query"
    }


def narrowed(board: Board, chosen: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the values of the variables with some selected: a list becomes an escaped alternation."""
    values = everything(board, chosen["workload"][0])
    for name in values.keys() & chosen.keys():
        if variables(board)[name]["multi"]:
            escaped = [_escaped(value) for value in chosen[name]]
            values[name] = escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"
    return values


def step_of(panel: Panel, range_seconds: int) -> int:
    """Return the step of a graph by its width, at least one scrape and its minimum."""
    minimum = _seconds(panel["interval"]) if "interval" in panel else SCRAPE_SECONDS
    return max(minimum, range_seconds // GRAPH_PIXELS)


def interpolated(expression: str, values: Mapping[str, str], *, range_seconds: int, step: int) -> str:
    """Return a query as Prometheus receives it."""
    rate = max(step + SCRAPE_SECONDS, 4 * SCRAPE_SECONDS)
    built_in = {
        "__rate_interval": f"{rate}s",
        "__range": f"{range_seconds}s",
        "__range_ms": str(1000 * range_seconds),
        "__interval": f"{step}s",
        "__interval_ms": str(1000 * step),
        **values,
    }
    return re.sub(r"\$(\w+)|\$\{(\w+)\}", lambda found: built_in[found[1] or found[2]], expression)


def _escaped(value: str) -> str:
    """Escape as Grafana does, for the regular expression and for the string around it."""
    return re.sub(r"[$^*{}\[\]'+?.()|]", r"\\\\\g<0>", value.replace("\\", "\\\\\\\\"))


def _seconds(text: str) -> int:
    return int(text[:-1]) * {"s": 1, "m": 60}[text[-1]]
