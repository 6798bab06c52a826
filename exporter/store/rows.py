"""Conversion between rows of the table ``jobs`` and values of the model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Row, null

from exporter.model import (
    ClassifiedExit,
    Evidence,
    Exit,
    Job,
    JobEnd,
    JobRecord,
    JobReport,
    KillRequest,
    LimitOwner,
    OomKill,
    OomSource,
    OomVictim,
    Recovery,
    Status,
    Submission,
    SupervisedJob,
    Termination,
    Trace,
    Verdict,
    Workload,
)
from exporter.store.schema import jobs
from exporter.verdict.oom_kills import oom_count

_STATUSES = {status.value: status for status in Status}
_RECOVERIES = {recovery.value: recovery for recovery in Recovery}

# What has a column's value under its name.
_Named = Row[Any] | SimpleNamespace

# All columns, with null for the log tail: a thousand jobs would be too large with it.
WITHOUT_LOG_TAIL = [null().label("log_tail") if column is jobs.c.log_tail else column for column in jobs.c]


def running_row(job: Job) -> dict[str, Any]:
    """Return the row of a running job, without its change number, as SQLite stores it."""
    return _job_columns(job) | {
        "status": Status.RUNNING.value,
        "evidence": _as_json(job.notes),
        "oom_kills": oom_count(job.oom_kills),
        **_NOT_ENDED,
    }


def ended_row(classified: ClassifiedExit) -> dict[str, Any]:
    """Return the row of an ended job, without its change number, as SQLite stores it."""
    ended, verdict = classified.exit, classified.verdict
    evidence, trace = ended.evidence, classified.trace
    return _job_columns(ended.job) | {
        # Not the enums: the driver would look for adapters of them.
        "status": str(verdict.status),
        "evidence": _as_json(evidence.notes),
        "oom_kills": ended.oom_kills,
        "code": ended.code,
        "reason": verdict.reason,
        "termination": str(verdict.termination),
        "error": verdict.error,
        "recovery": str(verdict.recovery),
        "finished_ns": ended.finished_ns,
        "log_tail": ended.log_tail,
        "event_ns": ended.event_ns,
        "start_error": evidence.start_error or None,
        "oom_limit": evidence.limit and str(evidence.limit),
        "causes": _as_json(evidence.causes),
        "not_known": _as_json(evidence.not_known),
        "trace_id": trace and trace.trace_id,
        "span_id": trace and trace.span_id,
        "parent_span_id": trace and trace.parent_span_id,
    }


# The columns of a job that only its end fills.
_NOT_ENDED = dict.fromkeys(
    (
        "code",
        "reason",
        "termination",
        "error",
        "recovery",
        "finished_ns",
        "log_tail",
        "event_ns",
        "start_error",
        "oom_limit",
        "trace_id",
        "span_id",
        "parent_span_id",
    )
) | {"causes": "[]", "not_known": "[]"}


def _job_columns(job: Job) -> dict[str, Any]:
    """Return the columns that a running job has as well as an ended one."""
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
        "memory_limit_bytes": job.memory_limit_bytes,
        "began_ns": job.start_event_ns,
        "created_ns": job.created_ns,
        "started_ns": job.started_ns,
        "restarts": job.restarts,
        "traceparent": job.traceparent or None,
        **_supervised_columns(job.supervised),
        "runtime": job.runtime or None,
        "image_id": job.image_id or None,
        "image_digests": _as_json(job.image_digests),
        "kills": _as_json([(kill.signal, kill.at_ns) for kill in job.kills]),
        "oom_witnesses": _as_json([_oom_entry(kill) for kill in job.oom_kills]),
    }


def _supervised_columns(supervised: SupervisedJob | None) -> dict[str, Any]:
    if supervised is None:
        return _NOT_SUPERVISED
    return {
        # What the server reports is in a table of its own, and may come later.
        "supervised": json.dumps(asdict(replace(supervised, submission=None))),
        "supervised_id": supervised.id or None,
        "supervised_job": supervised.job_name or None,
    }


_NOT_SUPERVISED = dict.fromkeys(("supervised", "supervised_id", "supervised_job"))


def _oom_entry(kill: OomKill) -> list[Any]:
    entry = [kill.source.name, kill.at_ns]
    return entry if kill.victim is None else [*entry, asdict(kill.victim)]


def _as_json(values: Sequence[Any]) -> str:
    """Return an array; most are empty."""
    return json.dumps(values) if values else "[]"


def read_job(row: _Named) -> Job:
    """Return the job of a row."""
    return Job(
        container_id=row.container_id,
        attempt=row.attempt,
        name=row.name,
        instance=row.instance,
        workload=Workload(row.workload, row.repository),
        image=row.image,
        start_event_ns=row.began_ns,
        engine=row.engine,
        created_ns=row.created_ns,
        started_ns=row.started_ns,
        memory_limit_bytes=row.memory_limit_bytes,
        traceparent=row.traceparent or "",
        key=_run_key(row),
        supervised=_read_supervised(row),
        runtime=row.runtime or "",
        image_id=row.image_id or "",
        image_digests=tuple(row.image_digests or ()),
        restarts=row.restarts,
        kills=tuple(KillRequest(signal, at_ns) for signal, at_ns in row.kills),
        oom_kills=tuple(_oom_kill(*entry) for entry in row.oom_witnesses),
        notes=tuple(row.evidence) if row.status == Status.RUNNING else (),
    )


def _read_supervised(row: _Named) -> SupervisedJob | None:
    if row.supervised is None:
        return None
    submission = None if row.report is None else Submission(**row.report)
    job = SupervisedJob(**row.supervised)
    return replace(job, submission=submission, report=_read_job_report(row.supervised.get("report")))


def _read_job_report(entry: dict[str, Any] | None) -> JobReport | None:
    if entry is None:
        return None
    end = JobEnd(**{**entry["end"], "status": Status(entry["end"]["status"])})
    return JobReport(**{**entry, "end": end})


def _run_key(row: _Named) -> str:
    """Return the key of the run; ids of older versions end with the attempt instead of a key."""
    if not row.container_id:
        return str(row.id)
    suffix = str(row.id).partition("-")[2]
    return "" if suffix == str(row.attempt) else suffix


def _oom_kill(source: str, at_ns: int | None, victim: dict[str, Any] | None = None) -> OomKill:
    return OomKill(OomSource[source], at_ns, None if victim is None else _read_victim(victim))


def _read_victim(entry: dict[str, Any]) -> OomVictim:
    largest = entry["largest"] and tuple(entry["largest"])
    limit = None if entry["limit"] is None else LimitOwner(entry["limit"])
    return OomVictim(**{**entry, "limit": limit, "largest": largest})


def read_records(rows: Sequence[Row[Any]]) -> list[JobRecord]:
    """Return the jobs of many rows of one query, with their ends if they have one."""
    # Each name that is looked up in a row of SQLAlchemy takes as long as ten in a namespace.
    names = rows[0]._fields if rows else ()
    return [read_record(SimpleNamespace(**dict(zip(names, row, strict=True)))) for row in rows]


def read_record(row: _Named) -> JobRecord:
    """Return the job of a row, with its end if it has one."""
    if row.status == Status.RUNNING:
        return JobRecord(read_job(row), None)
    ended = Exit(
        read_job(row),
        row.code,
        row.finished_ns,
        _evidence(row),
        row.oom_kills,
        log_tail=row.log_tail,
        event_ns=row.event_ns,
    )
    status, recovery = _STATUSES[row.status], _RECOVERIES[row.recovery]
    verdict = Verdict(status, row.termination, row.reason, recovery, row.error)
    trace = Trace(row.trace_id, row.span_id, row.parent_span_id) if row.trace_id else None
    return JobRecord(ended.job, ClassifiedExit(ended, verdict, trace))


def _evidence(row: _Named) -> Evidence:
    """Return the part of the evidence that is stored: what is shown, not what the verdict was made of."""
    return Evidence(
        start_error=row.start_error or "",
        limit=None if row.oom_limit is None else LimitOwner(row.oom_limit),
        ran_ns=None if row.started_ns is None else max(0, row.finished_ns - row.started_ns),
        notes=tuple(row.evidence),
        causes=tuple(row.causes or ()),
        not_known=tuple(row.not_known or ()),
    )


def failed_start_ns(row: Row[Any]) -> int | None:
    """Return the time at which the start failed, None for a run that started."""
    start_failed = row.started_ns is None and row.termination == Termination.CREATING_CONTAINER_ERROR.value
    return row.finished_ns if start_failed else None


def recorded_event_times(row: Row[Any]) -> Iterator[int]:
    """Yield the times of a job's recorded events."""
    kill_times = [entry[1] for entry in [*row.kills, *row.oom_witnesses]]
    yield from (
        at_ns for at_ns in (row.began_ns, row.finished_ns, row.event_ns, *kill_times) if at_ns is not None
    )
