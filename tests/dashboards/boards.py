"""Dashboards as Grafana loads them, and queries as it sends them."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[2] / "dashboards"
FILES = ("exits-overview.json", "workload.json", "exporter-health.json")
"""The dashboards with queries."""
TEXTS = "reasons.json"
ALL_FILES = (*FILES, TEXTS)
SCRAPE_SECONDS = 30
MINUTE = 60
READABLE = {
    *("red", "light-red", "semi-dark-red", "dark-red", "orange", "semi-dark-orange", "dark-orange"),
    *("dark-yellow", "green", "semi-dark-green", "dark-green", "light-blue", "blue", "semi-dark-blue"),
    *("dark-blue", "light-purple", "purple", "semi-dark-purple", "dark-purple", "text"),
}
"""Colours that Grafana names and whose contrast is 2.5 or more on both of its themes."""

ROUND_STEPS = (30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
TOO_LONG = (45, 90, 210, 450, 750, 1050, 1500, 2700, 5400, 9000, 16200, 32400, 86400, 604800)
"""Seconds that Grafana 9.4 to 12 no longer round to each of these (`roundInterval`)."""

VARIABLE = re.compile(r"\$(\w+)|\$\{(\w+)\}")

Board = dict[str, Any]
Panel = dict[str, Any]
Choice = str | Sequence[str]
"""Values that are selected of a variable, or as a text its `allValue`."""


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
    """Return the panels without the rows, also those of collapsed ones."""
    for panel in board["panels"]:
        if panel["type"] != "row":
            yield panel
        yield from panel.get("panels", ())


def queried(board: Board) -> list[Panel]:
    """Return the panels that ask Prometheus."""
    return [panel for panel in panels(board) if panel.get("datasource", {}).get("type") == "prometheus"]


def targets(names: Sequence[str] = FILES) -> list[PanelQuery]:
    """Return all queries of all panels."""
    return [
        PanelQuery(name, panel, query)
        for name in names
        for panel in queried(load(name))
        for query in panel["targets"]
    ]


def variables(board: Board) -> dict[str, dict[str, Any]]:
    """Return the variables by name."""
    return {variable["name"]: variable for variable in board["templating"]["list"]}


def everything(board: Board) -> dict[str, Choice]:
    """Return the variables with everything selected."""
    queries = [each for each in variables(board).values() if each["type"] == "query"]
    return {variable["name"]: variable["allValue"] for variable in queries}


def narrowed(board: Board, **chosen: Sequence[str]) -> dict[str, Choice]:
    """Return the variables with some values selected."""
    whole = everything(board)
    return {name: chosen.get(name, all_of_it) for name, all_of_it in whole.items()}


def step_of(panel: Panel, range_seconds: int) -> int:
    """Return the step of a graph as Grafana chooses it: the nearest round one, or the shortest."""
    wanted = range_seconds / panel["maxDataPoints"] if "maxDataPoints" in panel else 0
    nearest = next(step for step, limit in zip(ROUND_STEPS, TOO_LONG, strict=True) if wanted < limit)
    return max(nearest, _seconds(panel.get("interval", "30s")))


def interpolated(expression: str, choices: Mapping[str, Choice], *, range_seconds: int, step: int) -> str:
    """Return a query as Prometheus receives it."""
    rate = max(step + SCRAPE_SECONDS, 4 * SCRAPE_SECONDS)
    built_in = {
        "__rate_interval": f"{rate}s",
        "__range": f"{range_seconds}s",
        "__range_ms": str(1000 * range_seconds),
        # As Grafana writes it: 60 seconds are 1m.
        "__interval": f"{step}s" if step < MINUTE else f"{step // MINUTE}m",
        "__interval_ms": str(1000 * step),
    }

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        # What is no variable stays as it is, such as the $1 of a label_replace.
        return formatted(choices[name]) if name in choices else built_in.get(name, found[0])

    return VARIABLE.sub(value, expression)


def formatted(choice: Choice) -> str:
    """Return the text for a choice, as the data source has it in Grafana 9.4 to 12."""
    if isinstance(choice, str):
        # An `allValue` goes in as it is.
        return choice
    values = [_escaped(value) for value in choice]
    return values[0] if len(values) == 1 else f"({'|'.join(values)})"


def _escaped(value: str) -> str:
    """Escape for a regular expression between double quotes, as `prometheusSpecialRegexEscape` does."""
    return re.sub(r"[$^*{}\[\]'+?.()|]", r"\\\\\g<0>", value.replace("\\", "\\\\\\\\"))


def _seconds(text: str) -> int:
    return int(text[:-1]) * {"s": 1, "m": 60}[text[-1]]
