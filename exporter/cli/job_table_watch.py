"""A table of jobs in a terminal that is refreshed in place."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable

from rich.console import Console, Group
from rich.live import Live

from exporter.cli.tables import console, jobs_table
from exporter.wording.cells import JobJson

_WATCH_SECONDS = 2.0
# The header, and the line that says how many more there are.
_OTHER_LINES = 2


def can_refresh() -> bool:
    """Return whether standard output is a terminal that can overwrite what it shows."""
    # To anything else, Live writes only at the end: a pipe would stay empty.
    screen = console()
    return screen.is_terminal and not screen.is_dumb_terminal


def watch_jobs(newest: Callable[[int], list[JobJson]], max_rows: int, *, verbose: bool) -> None:
    """Show the newest jobs until Ctrl-C, as many as fit, at most ``max_rows``; ``newest`` gives so many."""
    with Live(console=console(), auto_refresh=False) as live:
        try:
            while True:
                lines = max(1, live.console.height - _OTHER_LINES)
                wanted = min(lines, max_rows)
                jobs = newest(wanted + 1)
                shown = _fitting(jobs[:wanted], lines, live.console, verbose=verbose)
                note = f"only the newest {len(shown)} are shown" if len(jobs) > len(shown) else ""
                live.update(Group(jobs_table(shown, verbose=verbose), note), refresh=True)
                time.sleep(_WATCH_SECONDS)
        except KeyboardInterrupt:
            return


def _fitting(jobs: list[JobJson], lines: int, screen: Console, *, verbose: bool) -> list[JobJson]:
    """Return the first jobs, at least one, whose table fits: a narrow one has several lines for a job."""

    def fits(number: int) -> bool:
        table = jobs_table(jobs[:number], verbose=verbose)
        return len(screen.render_lines(table, pad=False)) <= lines + 1

    return jobs[: max(1, bisect_left(range(1, len(jobs) + 1), x=True, key=lambda number: not fits(number)))]
