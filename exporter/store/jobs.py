"""Queries of the table ``jobs``. Each may raise StoreError."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, false, func, null, or_, select

from exporter.model import ContainerHistory, Job, JobRecord, Status
from exporter.store.database import Database
from exporter.store.rows import failed_start_ns, read_job, read_record, recorded_event_times
from exporter.store.schema import jobs
from exporter.store.submissions import with_report

# An engine buffers 256 events, and a run has at least two of them.
_RUNS_IN_EVENT_BUFFER = 128
_CONTAINER_ID_LENGTH = 64

# All columns, with null for the log tail: a page of a thousand jobs would be too large with it.
_WITHOUT_LOG_TAIL = [null().label("log_tail") if column is jobs.c.log_tail else column for column in jobs.c]


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Conditions that all must hold; None is no condition. ``since_ns``: running, or ended since then."""

    status: Status | None = None
    reason: str | None = None
    code: int | None = None
    workload: str | None = None
    since_ns: int | None = None
    supervised_id: str | None = None


def running_jobs(database: Database) -> list[Job]:
    """Return the jobs that have no recorded end."""
    running = select(jobs).where(jobs.c.status == Status.RUNNING.value)
    return [read_job(row) for row in database.read(with_report(running))]


def load_history(
    database: Database, container_id: str, other_engines: frozenset[str]
) -> ContainerHistory | None:
    """Return what is on record of a container, except on other engines; None if nothing is."""
    is_own = and_(jobs.c.container_id == container_id, jobs.c.engine.not_in(other_engines))
    newest = select(jobs).where(is_own).order_by(jobs.c.attempt.desc(), jobs.c.began_ns.desc())
    found = database.read(newest.limit(_RUNS_IN_EVENT_BUFFER))
    if not found:
        return None
    # Not event_ns: a run that started between the end and its event would be taken for a recorded one.
    ends = [row.finished_ns for row in found if row.finished_ns is not None]
    starts = [row.started_ns for row in found if row.started_ns is not None]
    return ContainerHistory(
        attempts=found[0].attempt,
        last_end_ns=max(ends, default=None),
        restarts=found[0].restarts,
        recorded_event_times=frozenset(at_ns for row in found for at_ns in recorded_event_times(row)),
        failed_start_ns=failed_start_ns(found[0]),
        last_start_ns=max(starts, default=None),
    )


def submissions(database: Database, job_name: str, instance: str) -> frozenset[str]:
    """Return the ids of the containers that a supervisor made for a job on one host.

    Only those since it last ended so that it is not tried again: an earlier one was for another run.
    """
    is_of_job = and_(jobs.c.supervised_job == job_name, jobs.c.instance == instance)
    is_final = jobs.c.status.in_([Status.DONE.value, Status.TERMINATED.value])
    last_final_ns = select(func.max(jobs.c.began_ns)).where(is_of_job, is_final).scalar_subquery()
    is_since = or_(last_final_ns.is_(None), jobs.c.began_ns > last_final_ns)
    rows = database.read(select(jobs.c.container_id).where(is_of_job, is_since).distinct())
    return frozenset(row.container_id for row in rows)


def list_jobs(
    database: Database, job_filter: JobFilter, limit: int, before: tuple[int, str] | None
) -> list[JobRecord]:
    """Return jobs, the newest first, without their log tails; only those ``before`` (began_ns, id)."""
    query = with_report(select(*_WITHOUT_LOG_TAIL)).where(*_conditions(job_filter))
    if before is not None:
        began_ns, job_id = before
        is_older = or_(jobs.c.began_ns < began_ns, and_(jobs.c.began_ns == began_ns, jobs.c.id < job_id))
        query = query.where(is_older)
    newest = query.order_by(jobs.c.began_ns.desc(), jobs.c.id.desc()).limit(limit)
    return [read_record(row) for row in database.read(newest)]


def find_job(database: Database, key: str) -> JobRecord | None:
    """Return a job by its id, or the newest by a container's name, id or start of an id."""
    # SQLite refuses very long patterns.
    can_be_prefix = 0 < len(key) <= _CONTAINER_ID_LENGTH
    has_prefix = jobs.c.container_id.startswith(key, autoescape=True) if can_be_prefix else false()
    for condition in (jobs.c.id == key, jobs.c.name == key, has_prefix):
        newest = with_report(select(jobs)).where(condition).order_by(jobs.c.began_ns.desc())
        found = database.read(newest.limit(1))
        if found:
            return read_record(found[0])
    return None


def _conditions(job_filter: JobFilter) -> Iterable[Any]:
    if job_filter.status is not None:
        yield jobs.c.status == job_filter.status.value
    if job_filter.reason is not None:
        yield jobs.c.reason == job_filter.reason
    if job_filter.code is not None:
        yield jobs.c.code == job_filter.code
    if job_filter.workload is not None:
        yield jobs.c.workload == job_filter.workload
    if job_filter.supervised_id is not None:
        yield jobs.c.supervised_id == job_filter.supervised_id
    if job_filter.since_ns is not None:
        yield or_(jobs.c.finished_ns >= job_filter.since_ns, jobs.c.status == Status.RUNNING.value)
