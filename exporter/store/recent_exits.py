"""How many jobs ended for which reason and when, in bounded time: of very many, only the newest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Select, func, select

from exporter.model import Status
from exporter.store.database import Database
from exporter.store.job_pages import MAX_CANDIDATES, JobFilter, candidates, conditions
from exporter.store.schema import jobs

MAX_EXITS = 20_000


@dataclass(frozen=True, slots=True)
class IntervalCount:
    """Number of exits with one status and reason in the interval that begins at ``from_ns``."""

    from_ns: int
    status: Status
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class RecentExits:
    """Exits of a time span; if there were too many to read them all, ``last`` is how many jobs were read."""

    counts: tuple[IntervalCount, ...]
    last: int | None


def count_recent_exits(database: Database, wanted: JobFilter, interval_ns: int) -> RecentExits:
    """Count exits by status, reason and interval; the filter's own status and reason do not count."""
    of_all_reasons = replace(wanted, status=None, reason=None)
    query, limit = _newest(database, of_all_reasons)
    read = query.limit(limit).subquery()
    found = database.read(_grouped(read, of_all_reasons, interval_ns))
    is_cut = bool(database.read(query.with_only_columns(jobs.c.began_ns).offset(limit).limit(1)))
    counts = tuple(IntervalCount(row.from_ns, Status(row.status), row.reason, row.count) for row in found)
    return RecentExits(counts, limit if is_cut else None)


def _newest(database: Database, wanted: JobFilter) -> tuple[Select[Any], int]:
    """Return a query of the newest jobs, and how many may be read: more, if an index has all that counts."""
    if wanted != JobFilter(since_ns=wanted.since_ns, until_ns=wanted.until_ns):
        return candidates(database, wanted, None, None), MAX_CANDIDATES
    ends = select(jobs.c.finished_ns, jobs.c.status, jobs.c.reason)
    ends = ends.with_hint(jobs, "INDEXED BY jobs_by_end", "sqlite").where(jobs.c.finished_ns.is_not(None))
    if wanted.since_ns is not None:
        ends = ends.where(jobs.c.finished_ns >= wanted.since_ns)
    if wanted.until_ns is not None:
        ends = ends.where(jobs.c.finished_ns < wanted.until_ns)
    return ends.order_by(jobs.c.finished_ns.desc()), MAX_EXITS


def _grouped(read: Any, wanted: JobFilter, interval_ns: int) -> Select[Any]:
    from_ns = (read.c.finished_ns // interval_ns * interval_ns).label("from_ns")
    groups = (from_ns, read.c.status, read.c.reason)
    return (
        select(*groups, func.count().label("count"))
        .where(*conditions(wanted, read.c), read.c.finished_ns.is_not(None))
        .group_by(*groups)
    )
