"""Jobs in a terminal: which columns, and how a cell is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import click
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from exporter.config.duration import format_duration

# Wide enough for any row: what goes to a file or a pipe is not folded at some terminal's width.
_PIPE_WIDTH = 1000
_STYLES = {"failed": "red", "done": "green", "running": "cyan", "terminated": "yellow", "unknown": "magenta"}

_MIB, _GIB = 1 << 20, 1 << 30
_SMALL = 10

_WIDE, _ESSENTIAL = 100, 4
_NARROWEST = 72
_ERROR_WIDTH = len("(CONTAINER_EXITED_WITH_ERROR,")

Job = Mapping[str, Any]
Columns = tuple[tuple[str, Callable[[Job], Text | str]], ...]


def console() -> Console:
    """Standard output; what goes to a file or a pipe is not folded."""
    terminal = Console(highlight=False)
    return terminal if terminal.is_terminal else Console(highlight=False, width=_PIPE_WIDTH)


def show(what: RenderableType) -> None:
    """Print to standard output; what goes to a file or a pipe is not folded and has no colours."""
    terminal = Console(highlight=False)
    if terminal.is_terminal:
        terminal.print(what)
        return
    plain = Console(highlight=False, width=_PIPE_WIDTH, file=StringIO(), color_system=None)
    with plain.capture() as printed:
        plain.print(what)
    click.echo("\n".join(line.rstrip() for line in printed.get().splitlines()))


def jobs_table(jobs: Iterable[Job], *, verbose: bool) -> RenderableType:
    """A row for each job; in a narrow terminal, errors leave no room for more than the essential."""
    return _Fitting(list(jobs), _VERBOSE if verbose else _BRIEF, _VERBOSE[:_ESSENTIAL] if verbose else _BRIEF)


@dataclass(frozen=True, slots=True)
class _Fitting:
    jobs: list[Job]
    columns: Columns
    columns_if_narrow: Columns

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        columns = self.columns if options.max_width >= _WIDE else self.columns_if_narrow
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for title, _ in columns:
            # An error's longest word stays whole, and names give way to it; where there is no room for both,
            # it is broken rather than cut.
            width = _ERROR_WIDTH if title == "ERROR" and options.max_width >= _NARROWEST else None
            table.add_column(title, overflow="fold", no_wrap=title in _NARROW, min_width=width)
        for job in self.jobs:
            table.add_row(*(cell(job) for _, cell in columns))
        yield table


def ago(timestamp: str | None) -> str:
    """How long ago a time of the API was."""
    if timestamp is None:
        return ""
    passed = datetime.now(UTC) - datetime.fromisoformat(f"{timestamp[:19]}+00:00")
    return f"{format_duration(max(0, int(passed.total_seconds())))} ago"


def length(job: Job) -> str:
    """How long a job ran."""
    seconds = job["duration_seconds"]
    return "" if seconds is None else format_duration(seconds)


def size(in_bytes: int) -> str:
    """Bytes in MiB, or in GiB from one of them on, with a fraction where there is one."""
    unit, name = (_GIB, "GiB") if in_bytes >= _GIB else (_MIB, "MiB")
    value = in_bytes / unit
    return f"{round(value, 2 if value < _SMALL else 1):,g} {name}"


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
_BRIEF: Columns = (
    ("NAME", _plain("name")),
    ("WORKLOAD", _plain("workload")),
    ("STATUS", status),
    ("CODE", code),
    ("REASON", _plain("reason")),
    ("RAN", length),
    ("FINISHED", lambda job: ago(job["finished_at"])),
)
_VERBOSE: Columns = (
    ("NAME", _plain("name")),
    ("INSTANCE", _plain("instance")),
    ("STATUS", status),
    ("ERROR", _plain("error")),
    ("ATTEMPT", lambda job: str(job["attempt"])),
    ("RAN", length),
    ("FINISHED", lambda job: ago(job["finished_at"])),
)
