"""Jobs as the tests need them: complete, and judged by the real verdicts.

They begin in the year 2100. To any clock of today their ends are still to come, and an age that
is shown is always 0: no text of a test depends on when it runs.
"""

from dataclasses import replace
from typing import Any

from exporter.model import ClassifiedExit, Evidence, Exit, Job, JobRecord, Workload
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


def job(digit: str = "a", **changes: Any) -> Job:
    """Give a job of the container whose id is this digit sixty-four times, with some fields changed."""
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


def ended(begun: Job, code: int | None, evidence: Evidence = Evidence(), **changes: Any) -> ClassifiedExit:  # noqa: B008  # frozen
    """Give the end of a job ninety seconds after it began, with some fields changed, and its verdict."""
    plain = Exit(begun, code, begun.start_event_ns + 90 * SECOND_NS, evidence)
    exit_ = replace(plain, **changes)
    return ClassifiedExit(exit_, classify.classify(code, evidence, builtin_catalog(), begun.workload))


def shown(judged: ClassifiedExit) -> JobRecord:
    """Give an end as it comes back: of its evidence, what is shown is on record."""
    told, started_ns = judged.exit.evidence, judged.exit.job.started_ns
    evidence = Evidence(
        start_error=told.start_error,
        limit=told.limit,
        ran_ns=None if started_ns is None else max(0, judged.exit.finished_ns - started_ns),
        notes=told.notes,
        causes=told.causes,
        not_known=told.not_known,
    )
    kept = replace(judged.exit, evidence=evidence, recovered=False)
    return JobRecord(kept.job, ClassifiedExit(kept, judged.verdict, judged.trace))
