"""The facts of one job as rows: a name and a text."""

from __future__ import annotations

from typing import Any

from exporter.sizes import format_bytes
from exporter.wording.cells import JobJson, format_age, format_code, format_run_time

# The latest ones are shown.
_MAX_PROCESSES = 5


def job_facts(job: JobJson) -> list[tuple[str, str]]:
    """Return the facts of a job, without those that are not known."""
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
        ("Status", job["status"]),
        ("Exit code", format_code(job)),
        ("Error", job["error"]),
        ("Engine said", job["start_error"]),
        ("Recovery", job["recovery"]),
        ("OOM kills", str(job["oom_kills"])),
        ("Killed", _killed(job["oom_processes"])),
        ("Limit reached", _limit_reached(job)),
        ("Memory limit", _memory_limit(job)),
        ("Created", job["created_at"]),
        ("Started", job["started_at"]),
        ("Finished", job["finished_at"] and f"{job['finished_at']}  ({format_age(job['finished_at'])})"),
        ("Ran", format_run_time(job)),
        ("Trace", job["trace_id"]),
        ("Span", job["span_id"]),
    ]
    return [(name, value) for name, value in facts if value]


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


def _memory_limit(job: JobJson) -> str:
    """Return the container's own limit; like the time of its creation, an inspection alone shows that."""
    limit = job["memory_limit_bytes"]
    return format_bytes(limit) if limit else "none" if job["created_at"] else "not known"


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
