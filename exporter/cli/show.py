"""``exit-exporter show``: one job with its evidence."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from exporter.cli.client import ApiClient, url_option
from exporter.cli.params import JobKeyType, format_option
from exporter.cli.tables import (
    JobJson,
    format_age,
    format_code,
    format_run_time,
    format_status,
    print_output,
)
from exporter.sizes import format_bytes

# The latest ones are shown.
_MAX_PROCESSES = 5


@click.command()
@click.argument("job", type=JobKeyType(), metavar="JOB")
@format_option("text", "json")
@url_option
def show(job: str, output_format: str, url: str) -> None:
    """Show one JOB with its evidence.

    JOB is a job's id, or a container's name, id, or start of an id (its newest attempt is shown then).

    \b
    Examples:
      exit-exporter show train-1
      exit-exporter show 3f9c0d7e2a11 --format json | jq .evidence
    """
    found = ApiClient(url).get("/api/v1/jobs", job, key="id")
    if output_format == "json":
        click.echo(json.dumps(found, indent=2))
    else:
        print_output(render(found))


def render(job: JobJson) -> RenderableType:
    """Return a job as text for the terminal."""
    facts = Table.grid(padding=(0, 2))
    for name, value in _facts(job):
        facts.add_row(Text(name, "bold"), value)
    parts: list[RenderableType] = [facts]
    if job["evidence"]:
        parts += [Text("\nEvidence", "bold"), _list(job["evidence"])]
    if job["not_known"]:
        parts += [Text("\nNot known", "bold"), _list(job["not_known"])]
    if job["log_tail"]:
        parts += [Text("\nEnd of its log", "bold"), Padding(Text(job["log_tail"]), (0, 0, 0, 2))]
    if job["meaning"]:
        parts += [Text(f"\n{job['reason']}", "bold"), Padding(Text(job["meaning"]), (0, 0, 0, 2))]
    if job["causes"]:
        parts += [Text("\nLikely causes", "bold"), _list(job["causes"])]
    return Group(*parts)


def _facts(job: JobJson) -> list[tuple[str, Text]]:
    limit = job["memory_limit_bytes"]
    facts = [
        ("Job", job["id"]),
        ("Name", job["name"]),
        ("Instance", job["instance"]),
        ("Workload", job["workload"]),
        ("Image", job["image"]),
        ("Container", job["container_id"]),
        *_supervisor_rows(job),
        ("Attempt", str(job["attempt"])),
        ("Restarts", _restarts_text(job["restarts"])),
        ("Status", format_status(job)),
        ("Exit code", format_code(job)),
        ("Error", job["error"]),
        ("Engine said", job["start_error"]),
        ("Recovery", job["recovery"]),
        ("OOM kills", str(job["oom_kills"])),
        ("Killed", _killed(job["oom_processes"])),
        ("Limit reached", _limit_reached(job)),
        ("Memory limit", format_bytes(limit) if limit else "none known"),
        ("Created", job["created_at"]),
        ("Started", job["started_at"]),
        ("Finished", job["finished_at"] and f"{job['finished_at']}  ({format_age(job['finished_at'])})"),
        ("Ran", format_run_time(job)),
        ("Trace", job["trace_id"]),
        ("Span", job["span_id"]),
    ]
    return [(name, value if isinstance(value, Text) else Text(value)) for name, value in facts if value]


def _supervisor_rows(job: JobJson) -> list[tuple[str, str | None]]:
    """Return which job of which supervisor ran in the container, in the supervisor's own names."""
    supervisor = job["supervisor"]
    if supervisor is None:
        return []
    server_rows = _server_rows(supervisor["name"], supervisor.get("submission"))
    if supervisor["run"] is None:
        return [(supervisor["name"], supervisor["job_id"]), *server_rows]
    numbers = f"job {supervisor['job_num']}, replica {supervisor['replica_num']}"
    named = f"run {supervisor['run']}, {numbers}, submission {supervisor['job_id']}"
    return [(supervisor["name"], named), *server_rows]


def _server_rows(name: str, submission: JobJson | None) -> list[tuple[str, str | None]]:
    """Return what the supervisor's server reports."""
    if submission is None:
        return []
    message = f": {submission['message']}" if submission["message"] else ""
    number = submission["number"]
    return [
        ("Project", submission["project"]),
        ("User", submission["user"]),
        ("Submission", None if number is None else f"number {number}, from 0"),
        ("Stopped by", submission["stopped_by"]),
        (f"{name} says", f"{submission['summary']}{message}"),
        ("Differs", submission["difference"]),
    ]


def _restarts_text(number: int | None) -> str | None:
    """Return the restarts of a run that a restart policy began: such a loop can look like success."""
    return f"{number} by its restart policy" if number else None


def _limit_reached(job: JobJson) -> str | None:
    """Return the memory limit that ended the job."""
    match job["oom_limit"]:
        case "own":
            limit = job["memory_limit_bytes"]
            return f"its own, {format_bytes(limit)}" if limit else "its own"
        case "parent":
            above = [each["cgroup"] for each in job["oom_processes"] if each["limit"] == "parent"]
            return (
                f"that of the parent control group {above[-1]}" if above else "that of a parent control group"
            )
        case "host":
            return "the host's own memory"
    return None


def _killed(processes: list[dict[str, Any]]) -> str:
    """Return a line for each OOM-killed process; of many, the latest."""
    before = len(processes) - _MAX_PROCESSES
    more = [f"{before} more before"] if before > 0 else []
    return "\n".join([*more, *(_process(each) for each in processes[-_MAX_PROCESSES:])])


def _process(killed: dict[str, Any]) -> str:
    text = f"{killed['process']} (pid {killed['pid']} on the host)"
    if killed["rss_bytes"] is not None:
        text += f", {format_bytes(killed['rss_bytes'])}"
    largest = killed["largest"]
    return (
        f"{text}; {largest['process']} used most, {format_bytes(largest['rss_bytes'])}" if largest else text
    )


def _list(lines: list[str]) -> RenderableType:
    rows = Table.grid(padding=(0, 1))
    for line in lines:
        rows.add_row(Text("  -"), Text(line))
    return rows
