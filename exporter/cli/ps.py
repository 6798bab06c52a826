"""``exit-exporter ps``: list jobs."""

from __future__ import annotations

import json
import time
from typing import Any

import click
from rich.live import Live

from exporter.cli.client import ApiClient, url_option
from exporter.cli.exit_code import ExitCode
from exporter.cli.params import format_option
from exporter.cli.tables import JobJson, console, jobs_table, print_output
from exporter.config.duration import parse_duration
from exporter.model import Status

RECENT = "24h"
_PAGE = 1000
_WATCH_SECONDS = 2.0


def _check_duration(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    try:
        if value is not None:
            parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return value


@click.command()
@click.option("-a", "--all", "show_all", is_flag=True, help=f"Show all jobs, not only the last {RECENT}.")
@click.option("-v", "--verbose", is_flag=True, help="Show the error text.")
@click.option("-w", "--watch", is_flag=True, help="Refresh the table every 2 s, until Ctrl-C.")
@click.option("--reason", help="Only jobs with this reason, such as OOMKilled.")
@click.option("--code", type=ExitCode(), help="Only jobs with this exit code.")
@click.option("--workload", help="Only jobs of this workload.")
@click.option(
    "--status", type=click.Choice([status.value for status in Status]), help="Only jobs with this status."
)
@click.option("--dstack-job-id", type=click.UUID, metavar="ID", help="Only this job submission of dstack.")
@click.option(
    "--since",
    callback=_check_duration,
    help="Only jobs that are running or ended within this time, such as 2h.",
)
@format_option("table", "json")
@url_option
def ps(*, show_all: bool, verbose: bool, watch: bool, output_format: str, url: str, **filters: Any) -> None:
    """List jobs, running and ended, the newest first."""
    client = ApiClient(url)
    filters["since"] = filters["since"] or (None if show_all else RECENT)
    if output_format == "json":
        click.echo(json.dumps({"jobs": _fetch(client, filters)}, indent=2))
    elif watch:
        _watch(client, filters, verbose=verbose)
    else:
        jobs = _fetch(client, filters)
        print_output(jobs_table(jobs, verbose=verbose))
        if not jobs:
            click.echo(_why_empty(client), err=True)


def _why_empty(client: ApiClient) -> str:
    # Without this, an empty table looks as if nothing had ended although nothing is watched.
    reason = client.not_ready_reason()
    return f"no jobs, and the exporter is not ready: {reason}" if reason else "no jobs; -a shows older ones"


def _fetch(client: ApiClient, filters: dict[str, Any]) -> list[JobJson]:
    jobs: list[JobJson] = []
    cursor = None
    while True:
        page = client.get("/api/v1/jobs", key="jobs", **filters, limit=_PAGE, cursor=cursor)
        jobs += page["jobs"]
        cursor = page["next_cursor"]
        if cursor is None:
            return jobs


def _watch(client: ApiClient, filters: dict[str, Any], *, verbose: bool) -> None:
    with Live(console=console(), auto_refresh=False) as live:
        try:
            while True:
                live.update(jobs_table(_fetch(client, filters), verbose=verbose), refresh=True)
                time.sleep(_WATCH_SECONDS)
        except KeyboardInterrupt:
            return
