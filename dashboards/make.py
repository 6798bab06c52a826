"""Write the dashboards, and the table of their panels; ``--check`` only says which are out of date."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DashboardLinkPlacement

from dashboards import exits_overview, exporter_health, workload
from dashboards.frame import framed

HERE = Path(__file__).parent
README = "README.md"
HIDDEN = DashboardLinkPlacement.IN_CONTROLS_MENU.value
BEGIN, END = "<!-- panels: made by `make dashboards` -->", "<!-- end of panels -->"
PAGES = {
    "exits-overview.json": exits_overview.page,
    "workload.json": workload.page,
    "exporter-health.json": exporter_health.page,
}


def files() -> dict[str, str]:
    """Every file that is made, by its name, and what stands in it."""
    boards = {name: encoded(name) for name in PAGES}
    return {**boards, README: _with_panels((HERE / README).read_text(encoding="utf-8"), boards)}


def encoded(name: str) -> str:
    """A dashboard as JSON, its keys in order, so that a change shows as what it is."""
    board = _in_sight(json.loads(json.dumps(framed(PAGES[name]()), cls=JSONEncoder)))
    return json.dumps(board, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def stale() -> dict[str, str]:
    """Of ``files``, those that are not what stands there."""
    return {
        name: text
        for name, text in files().items()
        if not (HERE / name).is_file() or (HERE / name).read_text(encoding="utf-8") != text
    }


def main() -> int:
    """Write, or check; the exit code."""
    old = stale()
    if "--check" in sys.argv[1:]:
        for name in old:
            print(f"dashboards/{name} is out of date; run 'make dashboards'", file=sys.stderr)
        return 1 if old else 0
    for name, text in old.items():
        (HERE / name).write_text(text, encoding="utf-8")
        print(f"dashboards/{name} written")
    return 0


def _in_sight(value: Any) -> Any:
    """Undo a default of the SDK that has newer Grafanas hide links and annotations in a menu."""
    if isinstance(value, list):
        return [_in_sight(each) for each in value]
    if isinstance(value, dict):
        return {key: _in_sight(each) for key, each in value.items() if each != HIDDEN}
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
