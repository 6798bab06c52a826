"""Write the dashboards and the table of their panels; ``--check`` only lists files that are out of date."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DashboardLinkPlacement

from dashboards import exits_overview, exporter_health, workload
from dashboards.layout import build_dashboard

HERE = Path(__file__).parent
README = "README.md"
HIDDEN = DashboardLinkPlacement.IN_CONTROLS_MENU.value
BEGIN, END = "<!-- panels: made by `make dashboards` -->", "<!-- end of panels -->"
SPECS = {
    "exits-overview.json": exits_overview.dashboard,
    "workload.json": workload.dashboard,
    "exporter-health.json": exporter_health.dashboard,
}


def files() -> dict[str, str]:
    """Return all generated files: their names and texts."""
    boards = {name: encoded(name) for name in SPECS}
    return {**boards, README: _with_panels((HERE / README).read_text(encoding="utf-8"), boards)}


def encoded(name: str) -> str:
    """Return a dashboard as JSON with sorted keys, so that diffs are small."""
    board = _without_menus(json.loads(json.dumps(build_dashboard(SPECS[name]()), cls=JSONEncoder)))
    return json.dumps(board, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def stale() -> dict[str, str]:
    """Return the files that are out of date."""
    return {
        name: text
        for name, text in files().items()
        if not (HERE / name).is_file() or (HERE / name).read_text(encoding="utf-8") != text
    }


def main() -> int:
    """Write or check the files, and return the exit code."""
    old = stale()
    if "--check" in sys.argv[1:]:
        for name in old:
            print(f"dashboards/{name} is out of date; run 'make dashboards'", file=sys.stderr)
        return 1 if old else 0
    for name, text in old.items():
        (HERE / name).write_text(text, encoding="utf-8")
        print(f"dashboards/{name} written")
    return 0


def _without_menus(value: Any) -> Any:
    """Remove a default of the SDK with which newer Grafanas hide links and annotations in a menu."""
    if isinstance(value, list):
        return [_without_menus(each) for each in value]
    if isinstance(value, dict):
        return {key: _without_menus(each) for key, each in value.items() if each != HIDDEN}
    return value


def _with_panels(readme: str, boards: dict[str, str]) -> str:
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return "\n".join([before + BEGIN, *_panels(boards), END + after])


def _panels(boards: dict[str, str]) -> Iterator[str]:
    for name, text in boards.items():
        board: dict[str, Any] = json.loads(text)
        yield from ("", f"### {board['title']}", "", f"{board['description']} (`{name}`)", "")
        yield from ("| Row | Panel | What it shows |", "|---|---|---|")
        row = ""
        for panel in board["panels"]:
            if panel["type"] == "row":
                row = panel["title"]
            else:
                yield f"| {row} | {panel['title']} | {panel['description']} |"
    yield ""


if __name__ == "__main__":
    sys.exit(main())
