"""What each reason means and what to do about it, from the built-in catalogue."""

from __future__ import annotations

from collections.abc import Iterator

from dashboards import layout
from dashboards.layout import EXPORTERS, DashboardSpec, Row
from dashboards.panels import AnyPanel, PanelSpec, markdown
from exporter.model import Recovery
from exporter.verdict.catalog import Reason
from exporter.verdict.catalog_file import builtin_catalog

_TITLES = {
    Recovery.MORE_MEMORY: "Give it more memory",
    Recovery.FIX_COMMAND: "Change how it is started",
    Recovery.FIX_CODE: "Change the program",
    Recovery.RETRY: "Run it again",
    Recovery.RETRY_LATER: "Run it again later",
    Recovery.NONE: "Nothing, or it is not known what would help",
}


def dashboard() -> DashboardSpec:
    """Return the dashboard."""
    return DashboardSpec(
        layout.REASONS,
        "Exit reasons",
        "What each reason means and what to check first, by what helps. Your own reasons are not here.",
        layout.exporter_variables(),
        [layout.link_to_overview(EXPORTERS), layout.link_to_workload(EXPORTERS), layout.link_to_health()],
        [],
        [Row(100, "What to do", [_panel(101 + index, each) for index, each in enumerate(_TITLES)])],
    )


def _panel(number: int, recovery: Recovery) -> AnyPanel:
    reasons = {name: each for name, each in builtin_catalog().reasons.items() if each.recovery is recovery}
    content = "\n".join(line for name, reason in reasons.items() for line in _lines(name, reason))
    return markdown(PanelSpec(number, _TITLES[recovery], f"Recovery: {recovery}.", 12, 16), content)


def _lines(name: str, reason: Reason) -> Iterator[str]:
    yield f"- **{name}**: {reason.meaning}"
    yield from (f"  - {cause}" for cause in reason.all_causes)
