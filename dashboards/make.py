"""Write the dashboards; ``--check`` only lists files that are out of date."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DashboardLinkPlacement

from dashboards import exits_overview, exporter_health, reasons, workload
from dashboards.layout import build_dashboard

HERE = Path(__file__).parent
HIDDEN = DashboardLinkPlacement.IN_CONTROLS_MENU.value
SPECS = {
    "exits-overview.json": exits_overview.dashboard,
    "workload.json": workload.dashboard,
    "exporter-health.json": exporter_health.dashboard,
    "reasons.json": reasons.dashboard,
}


def files() -> dict[str, str]:
    """Return all generated files: their names and texts."""
    return {name: encoded(name) for name in SPECS}


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


if __name__ == "__main__":
    sys.exit(main())
