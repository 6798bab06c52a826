"""Runs of a container and of a workload as single values without evidence: many are read at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, select, tuple_

from exporter.model import Job, Status
from exporter.store.database import Database
from exporter.store.schema import jobs

# Runs on each side of a job.
_BESIDE = 20
_STATUSES = {status.value: status for status in Status}


@dataclass(frozen=True, slots=True)
class Run:
    """One run; ``code`` and ``reason`` are None while it runs, and the code if it is not known."""

    job_id: str
    name: str
    attempt: int
    status: Status
    code: int | None
    reason: str | None
    began_ns: int
    finished_ns: int | None
    oom_kills: int


@dataclass(frozen=True, slots=True)
class RunsBeside:
    """Runs around one job and that job itself, the oldest first: of its container, and of its workload."""

    container: tuple[Run, ...]
    workload: tuple[Run, ...]


# In the order of the fields of Run.
_COLUMNS = (
    jobs.c.id,
    jobs.c.name,
    jobs.c.attempt,
    jobs.c.status,
    jobs.c.code,
    jobs.c.reason,
    jobs.c.began_ns,
    jobs.c.finished_ns,
    jobs.c.oom_kills,
)


def runs_of_workload(database: Database, workload: str, limit: int) -> list[Run]:
    """Return the newest runs of a workload, the newest first."""
    is_of_workload = jobs.c.workload == workload
    query = select(*_COLUMNS).where(is_of_workload).order_by(jobs.c.began_ns.desc(), jobs.c.id.desc())
    return _runs(database.read(query.limit(limit)))


def runs_beside(database: Database, job: Job) -> RunsBeside:
    """Return the runs around a job; without a container, it has only those of its workload."""
    of_container = (
        _around(database, jobs.c.container_id == job.container_id, job) if job.has_container else ()
    )
    return RunsBeside(of_container, _around(database, jobs.c.workload == job.workload.name, job))


def _around(database: Database, is_one_of_them: ColumnElement[bool], job: Job) -> tuple[Run, ...]:
    order = tuple_(jobs.c.began_ns, jobs.c.id)
    here = tuple_(job.start_event_ns, job.id)
    query = select(*_COLUMNS).where(is_one_of_them)
    before = query.where(order <= here).order_by(jobs.c.began_ns.desc(), jobs.c.id.desc())
    after = query.where(order > here).order_by(jobs.c.began_ns, jobs.c.id)
    earlier = _runs(database.read(before.limit(_BESIDE + 1)))
    return (*reversed(earlier), *_runs(database.read(after.limit(_BESIDE))))


def _runs(rows: Iterable[Any]) -> list[Run]:
    return [
        Run(job_id, name, attempt, _STATUSES[status], *end) for job_id, name, attempt, status, *end in rows
    ]
