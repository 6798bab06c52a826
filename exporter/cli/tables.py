"""Jobs in a terminal: which columns, and how a cell is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from exporter import durations

# Wide enough for any row: what goes to a file or a pipe is not folded at some terminal's width.
_PIPE_WIDTH = 1000
_STYLES = {"failed": "red", "done": "green", "running": "cyan", "terminated": "yellow", "unknown": "magenta"}

Job = Mapping[str, Any]


def console() -> Console:
    """Standard output as a console."""
    out = Console(highlight=False)
    return out if out.is_terminal else Console(highlight=False, width=_PIPE_WIDTH)


def jobs_table(jobs: Iterable[Job], *, verbose: bool) -> Table:
    """A row for each job."""
    columns = _VERBOSE if verbose else _BRIEF
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title, _ in columns:
        table.add_column(title, overflow="fold", no_wrap=title in _NARROW)
    for job in jobs:
        table.add_row(*(cell(job) for _, cell in columns))
    return table


def ago(timestamp: str | None) -> str:
    """How long ago a time of the API was."""
    if timestamp is None:
        return ""
    passed = datetime.now(UTC) - datetime.fromisoformat(f"{timestamp[:19]}+00:00")
    return f"{durations.show(max(0, int(passed.total_seconds())))} ago"


def length(job: Job) -> str:
    """How long a job ran."""
    seconds = job["duration_seconds"]
    return "" if seconds is None else durations.show(seconds)


def code(job: Job) -> str:
    """A job's exit code; nothing while it runs."""
    if job["status"] == "running":
        return ""
    return "unknown" if job["container_exit_code"] is None else str(job["container_exit_code"])


def status(job: Job) -> Text:
    """A job's status in its colour."""
    return Text(job["status"], _STYLES.get(job["status"], ""))


def _plain(field: str) -> Callable[[Job], Text]:
    # As Text, so that no bracket in a name is taken for a style.
    return lambda job: Text(str(job[field] or ""))


_NARROW = ("STATUS", "CODE", "FINISHED", "RAN", "ATTEMPT")
_BRIEF: tuple[tuple[str, Callable[[Job], Text | str]], ...] = (
    ("NAME", _plain("name")),
    ("WORKLOAD", _plain("workload")),
    ("STATUS", status),
    ("CODE", code),
    ("REASON", _plain("reason")),
    ("RAN", length),
    ("FINISHED", lambda job: ago(job["finished_at"])),
)
_VERBOSE: tuple[tuple[str, Callable[[Job], Text | str]], ...] = (
    ("NAME", _plain("name")),
    ("INSTANCE", _plain("instance")),
    ("STATUS", status),
    ("ERROR", _plain("error")),
    ("ATTEMPT", lambda job: str(job["attempt"])),
    ("RAN", length),
    ("FINISHED", lambda job: ago(job["finished_at"])),
)
