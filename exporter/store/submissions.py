"""Table ``submissions``: what a supervisor's server reports of its jobs. Each query may raise StoreError."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Select, and_, exists, or_, select

from exporter.model import SECOND_NS, Submission
from exporter.store.database import Database, upsert
from exporter.store.pruning import IsStopped, delete_in_steps
from exporter.store.schema import jobs, submissions

# How long a report waits for its job, which may be recorded later. Most are of jobs on other hosts.
UNMATCHED_NS = 3600 * SECOND_NS


def save_submissions(connection: Connection, reports: Sequence[Submission]) -> None:
    """Record reports in place of earlier ones of the same submissions."""
    now_ns = time.time_ns()
    rows = [
        {
            "id": report.id,
            "run_id": report.run_id,
            "project": report.project,
            "is_open": report.is_open,
            "has_container": report.has_container,
            "finished_ns": report.finished_ns,
            "seen_ns": now_ns,
            "report": asdict(report),
        }
        for report in reports
    ]
    upsert(connection, submissions, rows)


def with_report(query: Select[Any]) -> Select[Any]:
    """Return a query of the table ``jobs`` with the report of each job as the column ``report``."""
    is_of_job = submissions.c.id == jobs.c.supervised_id
    return query.add_columns(submissions.c.report).outerjoin(submissions, is_of_job)


def has_end_or_container(database: Database, submission_id: str) -> bool:
    """Return whether the end of a submission is on record, or a container that was made for it."""
    has_end = exists().where(submissions.c.id == submission_id, submissions.c.finished_ns.is_not(None))
    has_job = exists().where(jobs.c.supervised_id == submission_id)
    return bool(database.read(select(or_(has_end, has_job)))[0][0])


def open_submissions(database: Database) -> list[Submission]:
    """Return the submissions of runs that had not ended when they were last reported."""
    query = select(submissions.c.report).where(submissions.c.is_open.is_(True))
    return [Submission(**row.report) for row in database.read(query)]


def prune_submissions(database: Database, before_ns: int, now_ns: int, is_stopped: IsStopped) -> None:
    """Delete the reports of jobs that ended before a time, and those that belong to no job on record.

    A report of a job without a container stays, so that it is not taken for news when it is reported again.
    """
    is_old = submissions.c.finished_ns < before_ns
    is_elsewhere = and_(
        submissions.c.has_container.is_(True),
        ~exists().where(jobs.c.supervised_id == submissions.c.id),
    )
    is_unmatched = and_(submissions.c.seen_ns < now_ns - UNMATCHED_NS, is_elsewhere)
    is_over = submissions.c.is_open.is_(False)
    delete_in_steps(database, submissions, and_(is_over, or_(is_old, is_unmatched)), is_stopped)
