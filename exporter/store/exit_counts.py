"""How many jobs ended in a time span, by workload, status, reason and code. Each may raise StoreError.

A week has too many rows to count them in time. They are counted by day and by hour when they are written
(``exit_count_triggers.py``), and only those between a bound of the span and the nearest hour are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, literal, select, union_all

from exporter.model import Status
from exporter.report.exits import ExitCount
from exporter.store.database import Database
from exporter.store.exit_count_triggers import UNKNOWN_CODE
from exporter.store.host_exit_counts import count_exits_on_host
from exporter.store.schema import cursors, exit_counts, jobs
from exporter.store.time_span import TimeSpan
from exporter.time_units import DAY_NS, HOUR_NS

_GROUPED_BY = ("workload", "status", "reason", "code")
_BY_END = "INDEXED BY jobs_by_end"
_STATUSES = {status.value: status for status in Status}


@dataclass(frozen=True, slots=True)
class _Part:
    """Exits from one time to another, and how often each counts for the span and for the one before.

    They are those counted by a period, or the jobs themselves without one.
    """

    period_ns: int | None
    since_ns: int
    until_ns: int
    count: int
    before: int


def count_exits(database: Database, span: TimeSpan) -> list[ExitCount]:
    """Return the numbers of exits in a span and in the one before; one of them is not 0."""
    if span.instance is not None:
        return count_exits_on_host(database, span)
    parts = [part for part in _parts(span) if part.since_ns < part.until_ns]
    if not parts:
        return []
    counted = union_all(*(_query(part, span.workload) for part in parts)).subquery()
    groups = [counted.c[name] for name in _GROUPED_BY]
    sums = select(*groups, func.sum(counted.c.count), func.sum(counted.c.before)).group_by(*groups)
    # As tuples, and only those that count: of many workloads, there are thousands.
    return [
        ExitCount(workload, _STATUSES[status], None if code == UNKNOWN_CODE else code, reason, count, before)
        for workload, status, reason, code, count, before in database.read(sums)
        if count or before
    ]


def watched_since_ns(database: Database) -> int | None:
    """Return when the first engine was connected; None if none was."""
    since_ns: int | None = database.read(select(func.min(cursors.c.floor_ns)))[0][0]
    return since_ns


def _parts(span: TimeSpan) -> Iterator[_Part]:
    """Yield what adds up to the span and to the one before it."""
    bounds = (span.before.since_ns, span.since_ns, span.until_ns)
    first, middle, last = (_nearest(_nearest(bound, HOUR_NS), DAY_NS) for bound in bounds)
    yield _Part(DAY_NS, first, middle, 0, 1)
    yield _Part(DAY_NS, middle, last, 1, 0)
    for bound, count, before in zip(bounds, (0, -1, 1), (-1, 1, 0), strict=True):
        yield from _rest(bound, count, before)


def _rest(bound: int, count: int, before: int) -> Iterator[_Part]:
    """Yield what is between the day nearest to a bound and the bound; what is after it is taken away."""
    hour = _nearest(bound, HOUR_NS)
    day = _nearest(hour, DAY_NS)
    yield _Part(HOUR_NS, day, hour, count, before)
    yield _Part(HOUR_NS, hour, day, -count, -before)
    yield _Part(None, hour, bound, count, before)
    yield _Part(None, bound, hour, -count, -before)


def _nearest(at_ns: int, period_ns: int) -> int:
    """Return the beginning of a period that is nearest to a time."""
    return (at_ns + period_ns // 2) // period_ns * period_ns


def _query(part: _Part, workload: str | None) -> Select[Any]:
    """Return a query of the exits of a part, with how often they count."""
    query = _jobs(part) if part.period_ns is None else _counted(part, part.period_ns)
    return query if workload is None else query.where(query.selected_columns.workload == workload)


def _jobs(part: _Part) -> Select[Any]:
    code = func.coalesce(jobs.c.code, UNKNOWN_CODE).label("code")
    times = (literal(part.count).label("count"), literal(part.before).label("before"))
    query = select(jobs.c.workload, jobs.c.status, jobs.c.reason, code, *times)
    is_in_part = (jobs.c.finished_ns >= part.since_ns, jobs.c.finished_ns < part.until_ns)
    return query.where(*is_in_part, jobs.c.reason.is_not(None)).with_hint(jobs, _BY_END, "sqlite")


def _counted(part: _Part, period_ns: int) -> Select[Any]:
    table = exit_counts.c
    times = ((table.exits * part.count).label("count"), (table.exits * part.before).label("before"))
    query = select(*(table[name] for name in _GROUPED_BY), *times).where(table.period_ns == period_ns)
    return query.where(table.began_ns >= part.since_ns, table.began_ns < part.until_ns)
