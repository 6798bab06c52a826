"""What the page needs of the settings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PageOptions:
    """``tail_lines``: how many last lines of logs are kept.

    ``trace_url`` and ``grafana_url`` are addresses with names in braces, ``{trace_id}`` and ``{workload}``;
    empty where there is none.
    """

    tail_lines: int = 0
    trace_url: str = ""
    grafana_url: str = ""
