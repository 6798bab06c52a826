"""The table of docs/dstack.md: dstack's words and ours for each recorded run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from exporter.model import JobRecord

PAGE = Path(__file__).parents[2] / "docs" / "dstack.md"


@dataclass(frozen=True)
class Row:
    """One end as the page has it: dstack's STATUS and ERROR, our ERROR (or `done`), and the reason."""

    dstack: str
    ours: str
    reason: str


def page_rows() -> dict[str, Row]:
    """Return the rows of the table by recording."""
    return dict(_rows(PAGE.read_text(encoding="utf-8")))


def _rows(text: str) -> Iterator[tuple[str, Row]]:
    section = text.partition("\n## What each end is called\n")[2].partition("\n## ")[0]
    for line in section.splitlines():
        cells = line.strip("| ").split(" | ")
        if line.startswith("| ") and cells[0] != "what happened":
            _, dstack, ours, reason, _, recordings = cells
            row = Row(dstack.replace("`", ""), ours.strip("`"), reason.strip("`"))
            yield from ((name, row) for name in re.findall(r"`([^`]+)`", recordings))


def check_page(name: str, record: JobRecord) -> None:
    """Check that the page calls a recorded run's end as the record does."""
    assert record.ended is not None
    verdict, row = record.ended.verdict, page_rows()[name]
    assert (row.ours, row.reason) == (verdict.error or verdict.status, verdict.reason)
