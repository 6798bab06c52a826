"""``exit-exporter show``: all that is known of one job."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from exporter.cli import tables
from exporter.cli.client import Client, url_option
from exporter.cli.tables import Job, ago, code, length, status

_MIB = 1 << 20


@click.command()
@click.argument("job")
@url_option
def show(job: str, url: str) -> None:
    """Show all that is known of one JOB.

    JOB is a job's id, or a container's name, id, or beginning of an id (then its newest attempt).
    """
    if job in {"", ".", ".."} or "/" in job:
        raise click.BadParameter(f"{job!r} can be no job's id and no container's name", param_hint="JOB")
    client = Client(url)
    found = client.get("/api/v1/jobs", job, key="id")
    reasons = client.get("/api/v1/reasons", key="reasons")["reasons"]
    meaning = next((reason for reason in reasons if reason["reason"] == found["reason"]), None)
    tables.show(_sheet(found, meaning))


def _sheet(job: Job, meaning: dict[str, Any] | None) -> RenderableType:
    facts = Table.grid(padding=(0, 2))
    for name, value in _facts(job):
        facts.add_row(Text(name, "bold"), value)
    parts: list[RenderableType] = [facts]
    if job["evidence"]:
        parts += [Text("\nEvidence", "bold"), _list(job["evidence"])]
    if job["log_tail"]:
        parts += [Text("\nEnd of its log", "bold"), Padding(Text(job["log_tail"]), (0, 0, 0, 2))]
    if meaning is not None:
        parts += [Text(f"\n{meaning['reason']}", "bold"), Padding(Text(meaning["meaning"]), (0, 0, 0, 2))]
        if job["status"] == "failed" and meaning["causes"]:
            parts += [Text("\nLikely causes", "bold"), _list(meaning["causes"])]
    return Group(*parts)


def _facts(job: Job) -> list[tuple[str, Text]]:
    limit = job["memory_limit_bytes"]
    facts = [
        ("Job", job["id"]),
        ("Name", job["name"]),
        ("Instance", job["instance"]),
        ("Workload", job["workload"]),
        ("Image", job["image"]),
        ("Container", job["container_id"]),
        ("Attempt", str(job["attempt"])),
        ("Status", status(job)),
        ("Exit code", code(job)),
        ("Error", job["error"]),
        ("Recovery", job["recovery"]),
        ("OOM kills", str(job["oom_kills"])),
        ("Memory limit", f"{limit / _MIB:,.0f} MiB" if limit else "none known"),
        ("Created", job["created_at"]),
        ("Started", job["started_at"]),
        ("Finished", job["finished_at"] and f"{job['finished_at']}  ({ago(job['finished_at'])})"),
        ("Ran", length(job)),
        ("Trace", job["trace_id"]),
        ("Span", job["span_id"]),
    ]
    return [(name, value if isinstance(value, Text) else Text(value)) for name, value in facts if value]


def _list(lines: list[str]) -> RenderableType:
    rows = Table.grid(padding=(0, 1))
    for line in lines:
        rows.add_row(Text("  -"), Text(line))
    return rows
