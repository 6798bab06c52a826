"""``exit-exporter ps``: the jobs."""

from __future__ import annotations

import json
import time
from typing import Any

import click
from rich.live import Live

from exporter.cli.client import Client, url_option
from exporter.cli.codes import ExitCode
from exporter.cli.tables import Job, console, jobs_table, show
from exporter.config.duration import parse_duration
from exporter.model import Status

RECENT = "24h"
_PAGE = 1000
_WATCH_SECONDS = 2.0


def _duration(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    try:
        if value is not None:
            parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return value


@click.command()
@click.option("-a", "--all", "everything", is_flag=True, help=f"All on record, not only the last {RECENT}.")
@click.option("-v", "--verbose", is_flag=True, help="With the error's text.")
@click.option("-w", "--watch", is_flag=True, help="Show again whenever something changes, until Ctrl-C.")
@click.option("--reason", help="Only this reason, such as OOMKilled.")
@click.option("--code", type=ExitCode(), help="Only this exit code.")
@click.option("--workload", help="Only this workload.")
@click.option("--status", type=click.Choice([status.value for status in Status]), help="Only this status.")
@click.option("--since", callback=_duration, help="Only what runs or ended within this time, such as 2h.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@url_option
def ps(*, everything: bool, verbose: bool, watch: bool, form: str, url: str, **wanted: Any) -> None:
    """List jobs, the newest first: those that run, and those that have ended."""
    client = Client(url)
    wanted["since"] = wanted["since"] or (None if everything else RECENT)
    if form == "json":
        click.echo(json.dumps({"jobs": _jobs(client, wanted)}, indent=2))
    elif watch:
        _watch(client, wanted, verbose=verbose)
    else:
        jobs = _jobs(client, wanted)
        show(jobs_table(jobs, verbose=verbose))
        if not jobs:
            click.echo(_why_none(client), err=True)


def _why_none(client: Client) -> str:
    """An empty table must not be taken for a quiet night where nobody watches."""
    cause = client.trouble()
    return f"no jobs, but not all is well: {cause}" if cause else "no jobs; -a shows all on record"


def _jobs(client: Client, wanted: dict[str, Any]) -> list[Job]:
    jobs: list[Job] = []
    cursor = None
    while True:
        page = client.get("/api/v1/jobs", key="jobs", **wanted, limit=_PAGE, cursor=cursor)
        jobs += page["jobs"]
        cursor = page["next_cursor"]
        if cursor is None:
            return jobs


def _watch(client: Client, wanted: dict[str, Any], *, verbose: bool) -> None:
    with Live(console=console(), auto_refresh=False) as live:
        try:
            while True:
                live.update(jobs_table(_jobs(client, wanted), verbose=verbose), refresh=True)
                time.sleep(_WATCH_SECONDS)
        except KeyboardInterrupt:
            return
