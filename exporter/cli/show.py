"""``exit-exporter show``: one job with its evidence."""

from __future__ import annotations

import json

import click
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from exporter.cli.client import ApiClient
from exporter.cli.params import JobKeyType, format_option
from exporter.cli.server_options import server_options
from exporter.cli.tables import plain_text, print_output, styled_status
from exporter.wording.cells import JobJson
from exporter.wording.facts import job_facts


@click.command()
@click.argument("job", type=JobKeyType(), metavar="JOB")
@format_option("text", "json")
@server_options
def show(job: str, output_format: str, client: ApiClient) -> None:
    """Show one JOB with its evidence.

    JOB is a job's id, or a container's name, id, or at least 6 digits of its id (its newest attempt is shown
    then).

    \b
    Examples:
      exit-exporter show train-1
      exit-exporter show 3f9c0d7e2a11 --format json | jq .evidence
    """
    found = client.get("/api/v1/jobs", job, key="id")
    if output_format == "json":
        click.echo(json.dumps(found, indent=2))
    else:
        print_output(render(found))


def render(job: JobJson) -> RenderableType:
    """Return a job as text for the terminal."""
    facts = Table.grid(padding=(0, 2))
    for name, value in job_facts(job):
        facts.add_row(Text(name, "bold"), styled_status(value) if name == "Status" else plain_text(value))
    parts: list[RenderableType] = [facts]
    if job["evidence"]:
        parts += [Text("\nEvidence", "bold"), _list(job["evidence"])]
    if job["not_known"]:
        parts += [Text("\nNot known", "bold"), _list(job["not_known"])]
    if job["log_tail"]:
        parts += [Text("\nEnd of its log", "bold"), Padding(plain_text(job["log_tail"]), (0, 0, 0, 2))]
    if job["meaning"]:
        parts += [plain_text(f"\n{job['reason']}", "bold"), Padding(plain_text(job["meaning"]), (0, 0, 0, 2))]
    if job["causes"]:
        parts += [Text("\nLikely causes", "bold"), _list(job["causes"])]
    return Group(*parts)


def _list(lines: list[str]) -> RenderableType:
    rows = Table.grid(padding=(0, 1))
    for line in lines:
        rows.add_row(Text("  -"), plain_text(line))
    return rows
