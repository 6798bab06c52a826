"""Complete jobs, and exits with their real verdicts.

They start in the year 2100: their age is always shown as 0, so no output depends on the clock.
"""

from dataclasses import replace
from typing import Any

from exporter.model import (
    ClassifiedExit,
    Evidence,
    Exit,
    Job,
    JobRecord,
    Status,
    SupervisedEnd,
    SupervisedJob,
    Workload,
)
from exporter.store import JobFilter
from exporter.verdict import classify
from exporter.verdict.catalog_file import builtin_catalog

SECOND_NS = 10**9
BEGAN_NS = 4_102_444_800 * SECOND_NS
"""2100-01-01T00:00:00Z."""

ANY = JobFilter()
OOM = Evidence(
    oom_killed=True,
    stop_requested=False,
    notes=("The engine reported an OOM kill 0.125 s before the end.",),
)
STOPPED = Evidence(
    stop_requested=True, notes=("The engine was asked to send SIGTERM 0.250 s before the end.",)
)
NOT_STARTED = Evidence(start_failed=True)
TIMED_OUT = Evidence(
    stop_requested=True,
    supervised=SupervisedEnd("dstack", Status.TERMINATED, "MAX_DURATION_EXCEEDED"),
    notes=("dstack's runner reported the job as terminated (MAX_DURATION_EXCEEDED).",),
)
SUBMISSION = SupervisedJob("dstack", "5c0c04a5-4d0f-4f0e-9d5a-2f1f6f0c9f11", "train", 0, 2)
"""A job submission of dstack."""


def job(digit: str = "a", **changes: Any) -> Job:
    """Return a job of the container whose id is this digit 64 times, with some fields changed."""
    plain = Job(
        container_id=digit * 64,
        attempt=1,
        name=f"gentle-stingray-{digit}",
        instance="node-1",
        workload=Workload("shop/worker", "registry.example/shop/worker"),
        image="registry.example/shop/worker:1.4",
        start_event_ns=BEGAN_NS,
        engine="unix:///var/run/docker.sock",
        created_ns=BEGAN_NS - SECOND_NS,
        started_ns=BEGAN_NS,
        memory_limit_bytes=256 << 20,
    )
    return replace(plain, **changes)


def ended(job: Job, code: int | None, evidence: Evidence = Evidence(), **changes: Any) -> ClassifiedExit:  # noqa: B008  # frozen
    """Return the exit of a job after 90 seconds with its verdict, with some fields changed."""
    plain = Exit(job, code, job.start_event_ns + 90 * SECOND_NS, evidence)
    verdict = classify.classify(code, evidence, builtin_catalog(), job.workload)
    return ClassifiedExit(replace(plain, **changes), verdict)


def shown(classified: ClassifiedExit) -> JobRecord:
    """Return an exit as the store returns it: only the evidence that is shown is stored."""
    given, started_ns = classified.exit.evidence, classified.exit.job.started_ns
    evidence = Evidence(
        start_error=given.start_error,
        limit=given.limit,
        ran_ns=None if started_ns is None else max(0, classified.exit.finished_ns - started_ns),
        notes=given.notes,
        causes=given.causes,
        not_known=given.not_known,
    )
    stored = replace(classified.exit, evidence=evidence, recovered=False)
    return JobRecord(stored.job, ClassifiedExit(stored, classified.verdict, classified.trace))
