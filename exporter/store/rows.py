"""Between rows of the table ``jobs`` and the values of the model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from sqlalchemy import Row

from exporter.evidence import oom_count
from exporter.model import (
    Evidence,
    Exit,
    Job,
    JobRecord,
    JudgedExit,
    Kill,
    OomKill,
    Recovery,
    Status,
    Termination,
    Trace,
    Verdict,
    Witness,
    Workload,
)


def running_row(job: Job) -> dict[str, Any]:
    """The row of a job that runs."""
    return {
        "id": job.id,
        "container_id": job.container_id,
        "attempt": job.attempt,
        "name": job.name,
        "instance": job.instance,
        "engine": job.engine,
        "workload": job.workload.name,
        "image": job.image,
        "repository": job.workload.image,
        "status": Status.RUNNING.value,
        "code": None,
        "reason": None,
        "termination": None,
        "error": None,
        "recovery": None,
        "evidence": [],
        "oom_kills": oom_count(job.oom_kills),
        "memory_limit_bytes": job.memory_limit_bytes,
        "began_ns": job.began_ns,
        "created_ns": job.created_ns,
        "started_ns": job.started_ns,
        "finished_ns": None,
        "restarts": job.restarts,
        "traceparent": job.traceparent or None,
        "trace_id": None,
        "span_id": None,
        "parent_span_id": None,
        "log_tail": None,
        "kills": [[kill.signal, kill.at_ns] for kill in job.kills],
        "oom_witnesses": [[kill.witness.name, kill.at_ns] for kill in job.oom_kills],
    }


def ended_row(judged: JudgedExit) -> dict[str, Any]:
    """The row of a job that has ended."""
    ended, verdict = judged.exit, judged.verdict
    return running_row(ended.job) | {
        "status": verdict.status.value,
        "code": ended.code,
        "reason": verdict.reason,
        "termination": verdict.termination.value,
        "error": verdict.error,
        "recovery": verdict.recovery.value,
        "evidence": list(ended.evidence.notes),
        "oom_kills": ended.oom_kills,
        "finished_ns": ended.finished_ns,
        "log_tail": ended.log_tail,
        **_trace_columns(judged.trace),
    }


def _trace_columns(trace: Trace | None) -> dict[str, Any]:
    return {} if trace is None else asdict(trace)


def job(row: Row[Any]) -> Job:
    """The job of a row."""
    return Job(
        container_id=row.container_id,
        attempt=row.attempt,
        name=row.name,
        instance=row.instance,
        workload=Workload(row.workload, row.repository),
        image=row.image,
        began_ns=row.began_ns,
        engine=row.engine,
        created_ns=row.created_ns,
        started_ns=row.started_ns,
        memory_limit_bytes=row.memory_limit_bytes,
        traceparent=row.traceparent or "",
        restarts=row.restarts,
        kills=tuple(Kill(signal, at_ns) for signal, at_ns in row.kills),
        oom_kills=tuple(OomKill(Witness[witness], at_ns) for witness, at_ns in row.oom_witnesses),
    )


def record(row: Row[Any]) -> JobRecord:
    """The job of a row with its end, if it has one."""
    if row.status == Status.RUNNING:
        return JobRecord(job(row), None)
    evidence = Evidence(notes=tuple(row.evidence))
    ended = Exit(job(row), row.code, row.finished_ns, evidence, row.oom_kills, log_tail=row.log_tail)
    verdict = Verdict(
        Status(row.status), Termination(row.termination), row.reason, Recovery(row.recovery), row.error
    )
    trace = Trace(row.trace_id, row.span_id, row.parent_span_id) if row.trace_id else None
    return JobRecord(ended.job, JudgedExit(ended, verdict, trace))


def told_ns(row: Row[Any]) -> Iterator[int]:
    """The times of a job's events."""
    yield row.began_ns
    if row.finished_ns is not None:
        yield row.finished_ns
    yield from (at_ns for _, at_ns in [*row.kills, *row.oom_witnesses] if at_ns is not None)
