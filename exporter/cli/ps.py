"""``exit-exporter ps``: list jobs."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any

import click

from exporter.cli.client import ApiClient
from exporter.cli.exit_code import ExitCode
from exporter.cli.params import MomentType, ReasonType, format_option
from exporter.cli.plain_table import plain_rows
from exporter.cli.server_options import server_options
from exporter.outcomes import Status
from exporter.wording.cells import JobJson

RECENT = "24h"
TERMINAL_ROWS = 1000
_SPAN = ("since", "until")
_OLDER = f"no jobs in the last {RECENT}; -a shows older ones"
_PAGE = 500


@click.command()
@click.option("-a", "--all", "show_all", is_flag=True, help=f"Show all jobs, not only the last {RECENT}.")
@click.option("-v", "--verbose", is_flag=True, help="Show the error text.")
@click.option("-w", "--watch", is_flag=True, help="Refresh the table every 2 s, until Ctrl-C.")
@click.option("--reason", type=ReasonType(), help="Only jobs with this reason, such as OOMKilled.")
@click.option("--code", type=ExitCode(), help="Only jobs with this exit code.")
@click.option("--workload", help="Only jobs of this workload.")
@click.option(
    "--status", type=click.Choice([status.value for status in Status]), help="Only jobs with this status."
)
@click.option("--host", help="Only jobs on this host.")
@click.option("--text", help="Only jobs with this text in their name, workload, image, id or error.")
@click.option(
    "--casualties", is_flag=True, default=None, help="Only jobs that ended with 0 in spite of OOM kills."
)
@click.option("--dstack-job-id", type=click.UUID, metavar="ID", help="Only this job submission of dstack.")
@click.option(
    "--since",
    type=MomentType(),
    help="Only jobs that are running or ended since then: a duration ago, such as 2h, or a time.",
)
@click.option("--until", type=MomentType(), help="Only jobs that ended before then.")
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(min=0),
    help=f"Maximum number of jobs; 0 lists all. Default: {TERMINAL_ROWS} in a terminal, else 0.",
)
@format_option("table", "json")
@server_options
def ps(
    *,
    show_all: bool,
    verbose: bool,
    watch: bool,
    output_format: str,
    client: ApiClient,
    **filters: Any,
) -> None:
    """List jobs, running and ended, the newest first.

    \b
    Examples:
      exit-exporter ps -v --status failed
      exit-exporter ps --reason OOMKilled --since 7d
      exit-exporter ps -a --workload etl --format json | jq '.jobs[].container_exit_code'
    """
    if watch and output_format == "json":
        raise click.UsageError("--watch shows a table; GET /api/v1/stream has the changes as JSON")
    limit = filters.pop("limit")
    spans = [f"--{name}" for name in _SPAN if filters[name]]
    # What ended before a moment can have ended long ago.
    filters["since"] = filters["since"] or (None if show_all or filters["until"] else RECENT)
    if output_format == "json":
        _print_json(_first(_jobs(client, filters), limit or None))
    elif watch:
        _watch(client, filters, limit, verbose=verbose)
    else:
        is_empty = _print_table(_jobs(client, filters), limit, verbose=verbose)
        note = _not_ready(client, is_empty=is_empty) or (is_empty and _why_empty(client, filters, spans))
        if note:
            click.echo(note, err=True)


def _jobs(client: ApiClient, filters: dict[str, Any], page_size: int = _PAGE) -> Iterator[JobJson]:
    """Yield the jobs, page by page, so that none waits for the last one."""
    cursor = None
    while True:
        page = client.get("/api/v1/jobs", key="jobs", **filters, limit=page_size, cursor=cursor)
        yield from page["jobs"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _first(jobs: Iterator[JobJson], limit: int | None) -> Iterator[JobJson]:
    """Yield at most so many jobs, and say on standard error, in the end, if there are more."""
    yield from islice(jobs, limit)
    if limit is not None and next(jobs, None) is not None:
        listed = "job is" if limit == 1 else f"{limit} are"
        note = f"only the newest {listed} listed; --limit 0 lists all"
        # Not now: at a terminal, it would stand within the JSON.
        click.get_current_context().call_on_close(lambda: click.echo(note, err=True))


def _print_json(jobs: Iterator[JobJson]) -> None:
    """Print the object that the API would give if it had no pages, job by job."""
    first = next(jobs, None)
    if first is None:
        click.echo(json.dumps({"jobs": []}, indent=2))
        return
    click.echo(f'{{\n  "jobs": [\n{_indented(first)}', nl=False)
    for job in jobs:
        click.echo(f",\n{_indented(job)}", nl=False)
    click.echo("\n  ]\n}")


def _indented(job: JobJson) -> str:
    return textwrap.indent(json.dumps(job, indent=2), "    ")


def _print_table(jobs: Iterator[JobJson], limit: int | None, *, verbose: bool) -> bool:
    """Print the jobs; return whether there were none."""
    is_terminal = sys.stdout.isatty()
    if limit is None and is_terminal:
        limit = TERMINAL_ROWS
    shown = _first(jobs, limit or None)
    first = next(shown, None)
    rows = shown if first is None else chain([first], shown)
    if is_terminal:
        # Imported only here: a pipe does not need what draws in a terminal.
        from exporter.cli.tables import console, jobs_table  # noqa: PLC0415

        console().print(jobs_table(rows, verbose=verbose))
    else:
        for line in plain_rows(rows, verbose=verbose):
            click.echo(line)
    return first is None


def _not_ready(client: ApiClient, *, is_empty: bool) -> str | None:
    """Return that the exporter is not ready: with an engine away, the table looks as if no more had ended."""
    reason = client.not_ready_reason()
    jobs = "no jobs" if is_empty else "jobs may be missing"
    return f"{jobs}, and the exporter is not ready: {reason}" if reason else None


def _why_empty(client: ApiClient, filters: dict[str, Any], spans: Sequence[str]) -> str:
    """Return why there are no jobs, and what would list some; ``spans`` are the given options of time."""
    at_any_time = {name: value for name, value in filters.items() if name not in _SPAN and value is not None}
    if any(filters[name] for name in _SPAN) and any(True for _ in _jobs(client, at_any_time, 1)):
        return f"no jobs; without {' and '.join(spans)} there are some" if spans else _OLDER
    return "no jobs are like this" if at_any_time else "no jobs are on record"


def _watch(client: ApiClient, filters: dict[str, Any], limit: int | None, *, verbose: bool) -> None:
    from exporter.cli.job_table_watch import can_refresh, watch_jobs  # noqa: PLC0415  # as above

    if not can_refresh():
        raise click.UsageError("--watch needs a terminal; GET /api/v1/stream sends the changes to programs")

    def newest(number: int) -> list[JobJson]:
        return list(islice(_jobs(client, filters, number), number))

    max_rows = _PAGE - 1
    watch_jobs(newest, min(limit or max_rows, max_rows), verbose=verbose)
