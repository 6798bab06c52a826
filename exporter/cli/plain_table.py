"""A table of jobs for a pipe. It needs little of rich, which takes a third of the time of a command."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice

from rich.cells import cell_len

from exporter.text import printable
from exporter.wording.cells import BRIEF, VERBOSE, JobJson

_MEASURED_ROWS = 1000


def plain_rows(jobs: Iterable[JobJson], *, verbose: bool) -> Iterator[str]:
    """Yield the lines of a table for a pipe, as wide as the first thousand jobs need.

    So a table of any length is printed while its jobs are read.
    """
    columns = VERBOSE if verbose else BRIEF
    rows = ([printable(cell(job)) for _, cell in columns] for job in jobs)
    first = [[title for title, _ in columns], *islice(rows, _MEASURED_ROWS)]
    widths = [max(map(cell_len, column)) for column in zip(*first, strict=True)]
    for row in chain(first, rows):
        cells = (f"{cell}{' ' * (width - cell_len(cell))}" for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
