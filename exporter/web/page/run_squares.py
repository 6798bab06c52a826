"""Runs as a strip of squares to click through, the oldest first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from exporter.model import Status
from exporter.store import Run
from exporter.web.page.links import Links
from exporter.web.page.spans import moment_text

# The status is told by a sign too, since not everybody sees the colours.
SIGNS = {
    Status.RUNNING: "▶",
    Status.DONE: "✓",
    Status.FAILED: "✕",
    Status.TERMINATED: "■",
    Status.UNKNOWN: "?",
}


@dataclass(frozen=True, slots=True)
class Square:
    """One run: its sign, its words, and its address; ``is_here`` is the job that the page is about."""

    href: str
    sign: str
    css_class: str
    title: str
    is_here: bool


def squares(runs: Iterable[Run], links: Links, here: str = "") -> list[Square]:
    """Return a square for each run."""
    return [
        Square(
            links.job(run.job_id), SIGNS[run.status], f"status-{run.status}", _title(run), run.job_id == here
        )
        for run in runs
    ]


def _title(run: Run) -> str:
    reason = f", {run.reason}" if run.reason else ""
    code = "" if run.code is None else f", code {run.code}"
    when = f", ended {moment_text(run.finished_ns)}" if run.finished_ns is not None else ""
    return f"{run.name}: {run.status}{reason}{code}{when}"
