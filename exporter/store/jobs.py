"""Queries of the table ``jobs``. Each may raise StoreError."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select

from exporter.model import ContainerHistory, Job, JobRecord, Status
from exporter.store.database import Database
from exporter.store.rows import failed_start_ns, read_job, read_record, recorded_event_times
from exporter.store.schema import jobs
from exporter.store.submissions import with_report

# An engine buffers 256 events, and a run has at least two of them.
_RUNS_IN_EVENT_BUFFER = 128
MIN_ID_DIGITS = 6
"""Digits of a container's id that name it: fewer would often be those of several."""
_ID_START = re.compile(rf"[0-9a-f]{{{MIN_ID_DIGITS},64}}")
_MAX_CANDIDATES = 6


class AmbiguousKeyError(Exception):
    """Several containers' ids begin so; ``containers`` are their names by id."""

    def __init__(self, containers: Mapping[str, str]) -> None:
        super().__init__(", ".join(containers))
        self.containers = containers


def running_jobs(database: Database) -> list[Job]:
    """Return the jobs that have no recorded end."""
    running = select(jobs).where(jobs.c.status == Status.RUNNING.value)
    return [read_job(row) for row in database.read(with_report(running))]


def load_history(
    database: Database,
    container_id: str,
    other_engines: frozenset[str],
    is_own: Callable[[Job], bool],
) -> ContainerHistory | None:
    """Return what is on record of a container, None if nothing is.

    Jobs of other engines are left out, except those that ``is_own`` knows better.
    """
    found = _newest(database, select(jobs), container_id, jobs.c.engine.not_in(other_engines))
    if other_engines:
        with_job = with_report(select(jobs))
        others = _newest(database, with_job, container_id, jobs.c.engine.in_(other_engines))
        own = [row for row in others if is_own(read_job(row))]
        found = sorted([*found, *own], key=lambda row: (row.attempt, row.began_ns), reverse=True)
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


def _newest(
    database: Database, query: Select[Any], container_id: str, condition: ColumnElement[bool]
) -> Sequence[Any]:
    """Return the latest runs of a container, the newest first."""
    newest = query.where(jobs.c.container_id == container_id, condition)
    ordered = newest.order_by(jobs.c.attempt.desc(), jobs.c.began_ns.desc())
    return database.read(ordered.limit(_RUNS_IN_EVENT_BUFFER))


def containers_of_job(database: Database, job_name: str, instance: str) -> frozenset[str]:
    """Return the ids of the containers that a supervisor made for a job on one host.

    Only those since it last ended so that it is not tried again: an earlier one was for another run.
    """
    is_of_job = and_(jobs.c.supervised_job == job_name, jobs.c.instance == instance)
    is_final = jobs.c.status.in_([Status.DONE.value, Status.TERMINATED.value])
    last_final_ns = select(func.max(jobs.c.began_ns)).where(is_of_job, is_final).scalar_subquery()
    is_since = or_(last_final_ns.is_(None), jobs.c.began_ns > last_final_ns)
    rows = database.read(select(jobs.c.container_id).where(is_of_job, is_since).distinct())
    return frozenset(row.container_id for row in rows)


def engines_of(database: Database, instance: str) -> frozenset[str]:
    """Return the addresses of the engines whose jobs on one host are on record."""
    rows = database.read(select(jobs.c.engine).where(jobs.c.instance == instance).distinct())
    return frozenset(row.engine for row in rows)


def find_job(database: Database, key: str) -> JobRecord | None:
    """Return a job by its id, or the newest by a container's name, id or start of an id.

    A start of an id has MIN_ID_DIGITS at least. Raises AmbiguousKeyError if several containers have it.
    """
    newest = jobs.c.began_ns.desc()
    for condition in (jobs.c.id == key, jobs.c.name == key):
        record = _first(database, with_report(select(jobs)).where(condition).order_by(newest))
        if record is not None:
            return record
    containers = _containers(database, key) if _ID_START.fullmatch(key) else {}
    if len(containers) > 1:
        raise AmbiguousKeyError(containers)
    runs = with_report(select(jobs)).where(jobs.c.container_id.in_(containers))
    return _first(database, runs.order_by(jobs.c.attempt.desc(), newest))


def _first(database: Database, query: Select[Any]) -> JobRecord | None:
    found = database.read(query.limit(1))
    return read_record(found[0]) if found else None


def _containers(database: Database, id_start: str) -> dict[str, str]:
    """Return the names of the containers whose ids begin so, by id; of very many, some."""
    # By a range: LIKE reads every row, since it ignores the case.
    is_between = and_(jobs.c.container_id >= id_start, jobs.c.container_id < f"{id_start}g")
    ids = select(jobs.c.container_id).where(is_between).distinct().limit(_MAX_CANDIDATES)
    found = database.read(
        select(jobs.c.container_id, func.max(jobs.c.name).label("name"))
        .where(jobs.c.container_id.in_(ids))
        .group_by(jobs.c.container_id)
    )
    return {row.container_id: row.name for row in found}
