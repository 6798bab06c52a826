"""One run from its submission to what dstack and the exporter say of its end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.dstack.runs import Run
from tests.lab.dstack import INTERVAL_SECONDS, PATIENCE_SECONDS, Dstack
from tests.lab.errors import LabError
from tests.lab.exporter import ExporterProcess
from tests.lab.wait import wait_until

VOLUME = "/ends"
# Writes the time again and again until the job's shell has ended, which the job need not take part in. dstack
# makes `$$` of `$$$$`.
NOW = "date +%s.%N"
CLOCK = (
    f"{NOW} >{{file}}; (while kill -0 $$$$; do {NOW}; sleep 0.1; done) </dev/null >>{{file}} 2>/dev/null &"
)


@dataclass(frozen=True)
class Outcome:
    """What is known of a run after its end: dstack's job submissions, our jobs, and when it ended."""

    run: Run
    submissions: list[dict[str, Any]]
    jobs: list[dict[str, Any]]
    """The job of each submission, the first one first."""

    end_times: list[float]
    """Seconds since the epoch at which the last submission still ran."""


def run_to_end(run: Run, dstack: Dstack, exporter: ExporterProcess, ends: Path) -> Outcome:
    """Submit a run, do what belongs to it, and wait for dstack's word and for ours."""
    clock = CLOCK.format(file=f"{VOLUME}/{run.name}")
    settings = {"volumes": [f"{ends}:{VOLUME}"], **run.settings}
    dstack.run_task(run.name, f"{clock} {run.command}", attached=run.is_attached, **settings)
    if run.is_stopped:
        dstack.wait_for_log(run.name, "new=running")
        dstack.command("stop", "-y", run.name)
    submissions = dstack.wait_for_end(run.name, submission=run.submissions)
    if run.submissions > 1:
        dstack.command("stop", "-y", run.name)
    jobs = [ended_job(exporter, each["id"]) for each in submissions[: run.submissions]]
    times = (ends / run.name).read_text().split()
    return Outcome(run, submissions, jobs, [float(time) for time in times])


def ended_job(exporter: ExporterProcess, job_id: str) -> dict[str, Any]:
    """Return the exporter's job of a job submission, as soon as it has ended."""
    found: list[dict[str, Any]] = []

    def has_ended() -> bool:
        found[:] = [job for job in exporter.jobs() if job["supervisor"] and is_ended(job, job_id)]
        return bool(found)

    if not wait_until(has_ended, PATIENCE_SECONDS, interval=INTERVAL_SECONDS):
        names = [(job["name"], job["status"]) for job in exporter.jobs()]
        raise LabError(f"the exporter has no ended job of submission {job_id}: {names}")
    (job,) = found
    return job


def reported_job(asking: ExporterProcess, job_id: str) -> dict[str, Any]:
    """Return the job of a job submission, as soon as dstack's server has reported its end to the exporter."""
    found: list[dict[str, Any]] = []

    def has_report() -> bool:
        found[:] = [ended_job(asking, job_id)]
        submission = found[0]["supervisor"]["submission"]
        return submission is not None and submission["finished_at"] is not None

    if not wait_until(has_report, PATIENCE_SECONDS, interval=INTERVAL_SECONDS):
        raise LabError(f"dstack's server has reported no end of submission {job_id}: {found}")
    return found[0]


def is_ended(job: dict[str, Any], job_id: str) -> bool:
    """Return whether this is the job of a submission, and has ended."""
    return bool(job["supervisor"]["job_id"] == job_id and job["finished_at"])
