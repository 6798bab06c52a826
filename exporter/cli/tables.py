"""Tables of jobs: columns, and the text of their cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from itertools import chain, islice
from typing import Any

import click
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from exporter.config.duration import format_duration

_MEASURED_ROWS = 1000
# Wide enough for any row, so that output to a file or a pipe is not wrapped.
_PIPE_WIDTH = 1000
_STYLES = {"failed": "red", "done": "green", "running": "cyan", "terminated": "yellow", "unknown": "magenta"}

_FULL_TABLE_WIDTH = 100
_ESSENTIAL_COLUMNS = 4
_UNBROKEN_ERROR_WIDTH = 72
_ERROR_WIDTH = len("(CONTAINER_EXITED_WITH_ERROR,")

JobJson = Mapping[str, Any]
Columns = tuple[tuple[str, Callable[[JobJson], Text | str]], ...]


def console() -> Console:
    """Return a console on standard output; it does not wrap output to a file or a pipe."""
    terminal = Console(highlight=False)
    return terminal if terminal.is_terminal else Console(highlight=False, width=_PIPE_WIDTH)


def print_output(output: RenderableType) -> None:
    """Print to standard output, without wrapping and colours if that is a file or a pipe."""
    terminal = Console(highlight=False)
    if terminal.is_terminal:
        terminal.print(output)
        return
    plain = Console(highlight=False, width=_PIPE_WIDTH, file=StringIO(), color_system=None)
    with plain.capture() as printed:
        plain.print(output)
    click.echo("\n".join(line.rstrip() for line in printed.get().splitlines()))


def jobs_table(jobs: Iterable[JobJson], *, verbose: bool) -> RenderableType:
    """Return a row for each job; a verbose table has fewer columns in a narrow terminal."""
    return _FittingTable(
        list(jobs), _VERBOSE if verbose else _BRIEF, _VERBOSE[:_ESSENTIAL_COLUMNS] if verbose else _BRIEF
    )


def plain_rows(jobs: Iterable[JobJson], *, verbose: bool) -> Iterator[str]:
    """Yield the lines of a table for a pipe, as wide as the first thousand jobs need.

    So a table of any length is printed while its jobs are read.
    """
    columns = _VERBOSE if verbose else _BRIEF
    rows = ([str(cell(job)) for _, cell in columns] for job in jobs)
    first = [[title for title, _ in columns], *islice(rows, _MEASURED_ROWS)]
    widths = [max(map(cell_len, column)) for column in zip(*first, strict=True)]
    for row in chain(first, rows):
        cells = (f"{cell}{' ' * (width - cell_len(cell))}" for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


@dataclass(frozen=True, slots=True)
class _FittingTable:
    jobs: list[JobJson]
    columns: Columns
    columns_if_narrow: Columns

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        columns = self.columns if options.max_width >= _FULL_TABLE_WIDTH else self.columns_if_narrow
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for title, _ in columns:
            # The longest word of an error is not broken, and names are wrapped instead; in the narrowest
            # terminals it is broken too.
            width = _ERROR_WIDTH if title == "ERROR" and options.max_width >= _UNBROKEN_ERROR_WIDTH else None
            table.add_column(title, overflow="fold", no_wrap=title in _NO_WRAP, min_width=width)
        for job in self.jobs:
            table.add_row(*(cell(job) for _, cell in columns))
        yield table


def format_age(timestamp: str | None) -> str:
    """Return how long ago a time of the API was, such as ``2h ago``."""
    if timestamp is None:
        return ""
    passed = datetime.now(UTC) - datetime.fromisoformat(f"{timestamp[:19]}+00:00")
    return f"{format_duration(max(0, int(passed.total_seconds())))} ago"


def format_run_time(job: JobJson) -> str:
    """Return how long a job ran."""
    seconds = job["duration_seconds"]
    return "" if seconds is None else format_duration(seconds)


def format_code(job: JobJson) -> str:
    """Return a job's exit code; empty while it runs, ``none`` if its supervisor saw it end without one."""
    if job["status"] == "running":
        return ""
    if job["container_exit_code"] is None:
        return "none" if job["supervisor"] is not None and job["status"] != "unknown" else "unknown"
    return str(job["container_exit_code"])


def format_status(job: JobJson) -> Text:
    """Return a job's status in its colour."""
    return Text(job["status"], _STYLES.get(job["status"], ""))


def format_reason(job: JobJson) -> Text:
    """Return a job's reason, with the OOM kills in spite of which it is done."""
    return Text(" ".join(filter(None, (job["reason"], _casualties(job)))))


def format_error(job: JobJson) -> Text:
    """Return a job's error text, or the OOM kills in spite of which it is done."""
    return Text(job["error"] or _casualties(job))


def _casualties(job: JobJson) -> str:
    kills = job["oom_kills"] if job["status"] == "done" else 0
    return f"({kills} OOM kill{'s' if kills > 1 else ''})" if kills else ""


def _field(name: str) -> Callable[[JobJson], Text]:
    # As Text, so that brackets are not read as rich's markup.
    return lambda job: Text(str(job[name] or ""))


_NO_WRAP = ("STATUS", "CODE", "FINISHED", "RAN", "ATTEMPT")
_BRIEF: Columns = (
    ("NAME", _field("name")),
    ("WORKLOAD", _field("workload")),
    ("STATUS", format_status),
    ("CODE", format_code),
    ("REASON", format_reason),
    ("RAN", format_run_time),
    ("FINISHED", lambda job: format_age(job["finished_at"])),
)
_VERBOSE: Columns = (
    ("NAME", _field("name")),
    ("INSTANCE", _field("instance")),
    ("STATUS", format_status),
    ("ERROR", format_error),
    ("ATTEMPT", lambda job: str(job["attempt"])),
    ("RAN", format_run_time),
    ("FINISHED", lambda job: format_age(job["finished_at"])),
)
