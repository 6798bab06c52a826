"""Cells of the tables of jobs as plain text, and the columns that they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from exporter.config.duration import format_duration

JobJson = Mapping[str, Any]
Columns = tuple[tuple[str, Callable[[JobJson], str]], ...]


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


def format_reason(job: JobJson) -> str:
    """Return a job's reason, with the OOM kills in spite of which it is done."""
    return " ".join(filter(None, (job["reason"], _casualties(job))))


def format_error(job: JobJson) -> str:
    """Return a job's error text, or the OOM kills in spite of which it is done."""
    return str(job["error"] or _casualties(job))


def _casualties(job: JobJson) -> str:
    kills = job["oom_kills"] if job["status"] == "done" else 0
    return f"({kills} OOM kill{'s' if kills > 1 else ''})" if kills else ""


def _field(name: str) -> Callable[[JobJson], str]:
    return lambda job: str(job[name] or "")


BRIEF: Columns = (
    ("NAME", _field("name")),
    ("WORKLOAD", _field("workload")),
    ("STATUS", _field("status")),
    ("CODE", format_code),
    ("REASON", format_reason),
    ("RAN", format_run_time),
    ("FINISHED", lambda job: format_age(job["finished_at"])),
)
VERBOSE: Columns = (
    ("NAME", _field("name")),
    ("INSTANCE", _field("instance")),
    ("STATUS", _field("status")),
    ("ERROR", format_error),
    ("ATTEMPT", lambda job: str(job["attempt"])),
    ("RAN", format_run_time),
    ("FINISHED", lambda job: format_age(job["finished_at"])),
)
