"""Tables and texts for a terminal, as wide as it is; and without colours and whole in a pipe."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from io import StringIO

import click
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from exporter.text import printable, printable_lines
from exporter.wording.cells import BRIEF, VERBOSE, Columns, JobJson

# Wide enough for any row, so that output to a file or a pipe is not wrapped.
_PIPE_WIDTH = 1000
_STYLES = {"failed": "red", "done": "green", "running": "cyan", "terminated": "yellow", "unknown": "magenta"}

_FULL_TABLE_WIDTH = 100
_ESSENTIAL_COLUMNS = 4
_UNBROKEN_ERROR_WIDTH = 72
_ERROR_WIDTH = len("(CONTAINER_EXITED_WITH_ERROR,")

_NO_WRAP = ("STATUS", "CODE", "FINISHED", "RAN", "ATTEMPT")


def console() -> Console:
    """Return a console on standard output; it does not wrap output to a file or a pipe."""
    # Rich would take a pipe for a terminal where FORCE_COLOR is set, as it often is in CI.
    is_terminal = Console().file.isatty()
    return Console(highlight=False, force_terminal=is_terminal, width=None if is_terminal else _PIPE_WIDTH)


def print_output(output: RenderableType) -> None:
    """Print to standard output, without wrapping and colours if that is a file or a pipe."""
    terminal = console()
    if terminal.is_terminal:
        terminal.print(output)
        return
    plain = Console(highlight=False, width=_PIPE_WIDTH, file=StringIO(), color_system=None)
    with plain.capture() as printed:
        plain.print(output)
    click.echo("\n".join(line.rstrip() for line in printed.get().splitlines()))


def print_markdown(text: str) -> None:
    """Print a page, or a part of one, with nothing that a terminal would obey."""
    click.echo(printable_lines(text))


def jobs_table(jobs: Iterable[JobJson], *, verbose: bool) -> RenderableType:
    """Return a row for each job; a verbose table has fewer columns in a narrow terminal."""
    return _FittingTable(
        list(jobs), VERBOSE if verbose else BRIEF, VERBOSE[:_ESSENTIAL_COLUMNS] if verbose else BRIEF
    )


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
            table.add_row(*(_styled(title, cell(job)) for title, cell in columns))
        yield table


def styled_status(status: str) -> Text:
    """Return a status in its colour."""
    return Text(printable(status), _STYLES.get(status, ""))


def plain_text(text: str, style: str = "") -> Text:
    """Return text of a server for the terminal, which obeys nothing in it; it can have several lines."""
    # As Text, so that brackets are not read as rich's markup.
    return Text(printable_lines(text), style)


def _styled(title: str, text: str) -> Text:
    return styled_status(text) if title == "STATUS" else plain_text(text)
