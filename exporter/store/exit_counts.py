"""How many jobs ended in a time span, by workload, status, reason and code. Each may raise StoreError.

A week has too many rows to count them in time. They are counted by day and by hour when they are written
(``exit_count_triggers.py``), and only those between a bound of the span and the nearest hour are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, ColumnElement, Select, bindparam, func, select, union_all

from exporter.model import Status
from exporter.report.exits import ExitCount
from exporter.store.database import Database
from exporter.store.exit_count_triggers import UNKNOWN_CODE
from exporter.store.host_exit_counts import count_exits_on_host
from exporter.store.json_rows import rows_of, table_of
from exporter.store.schema import cursors, exit_counts, exit_groups, jobs
from exporter.store.time_span import TimeSpan
from exporter.time_units import DAY_NS, HOUR_NS

_GROUPED_BY = ("workload", "status", "reason", "code")
_BY_END = "INDEXED BY jobs_by_end"
_WORKLOAD: BindParameter[str] = bindparam("workload")
_STATUSES = {status.value: status for status in Status}


class _Part(NamedTuple):
    """Exits from one time to another, and how often each counts for the span and for the one before.

    They are those counted by a period, or the jobs themselves without one.
    """

    period_ns: int | None
    since_ns: int
    until_ns: int
    times: int
    times_before: int


def count_exits(database: Database, span: TimeSpan) -> list[ExitCount]:
    """Return the numbers of exits in a span and in the one before; one of them is not 0."""
    if span.instance is not None:
        return count_exits_on_host(database, span)
    parts = [part for part in _parts(span) if part.since_ns < part.until_ns]
    parameters = {
        "periods": rows_of([part for part in parts if part.period_ns is not None]),
        "times": rows_of([part for part in parts if part.period_ns is None]),
        "workload": span.workload,
    }
    query = _exits_of_parts(of_workload=span.workload is not None)
    # As tuples, and only those that count: of many workloads, there are thousands.
    return [
        ExitCount(workload, _STATUSES[status], None if code == UNKNOWN_CODE else code, reason, count, before)
        for workload, status, reason, code, count, before in database.read(query, parameters)
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


@cache
def _exits_of_parts(*, of_workload: bool) -> Select[Any]:
    """Return the query of the exits in parts: ``periods``, and ``times`` without one."""
    # Each is grouped before they are put together: SQLite takes longer to sort the rows of both at once.
    both = union_all(_counted(of_workload=of_workload), _not_counted(of_workload=of_workload)).subquery()
    return _sums([both.c[name] for name in _GROUPED_BY], both.c.count, both.c.before)


def _counted(*, of_workload: bool) -> Select[Any]:
    """Return a query of the exits that are counted in parts, with how often they count."""
    part = table_of("periods", _Part._fields).c
    table, group = exit_counts.c, exit_groups.c
    sums = _sums([table.group_id], table.exits * part.times, table.exits * part.times_before)
    is_in_part = (table.began_ns >= part.since_ns, table.began_ns < part.until_ns)
    sums = sums.where(table.period_ns == part.period_ns, *is_in_part)
    if of_workload:
        sums = sums.where(table.group_id.in_(select(group.id).where(group.workload == _WORKLOAD)))
    # By number, and only then is it looked up what the groups are.
    of_group = sums.subquery().c
    named = select(*(group[name] for name in _GROUPED_BY), of_group.count, of_group.before)
    return named.where(group.id == of_group.group_id)


def _not_counted(*, of_workload: bool) -> Select[Any]:
    """Return a query of the jobs in the other parts, which are shorter than an hour."""
    part = table_of("times", _Part._fields).c
    code = func.coalesce(jobs.c.code, UNKNOWN_CODE).label("code")
    query = _sums([jobs.c.workload, jobs.c.status, jobs.c.reason, code], part.times, part.times_before)
    is_in_part = (jobs.c.finished_ns >= part.since_ns, jobs.c.finished_ns < part.until_ns)
    query = query.where(*is_in_part, jobs.c.reason.is_not(None)).with_hint(jobs, _BY_END, "sqlite")
    return query.where(jobs.c.workload == _WORKLOAD) if of_workload else query


def _sums(
    groups: Sequence[ColumnElement[Any]], count: ColumnElement[Any], before: ColumnElement[Any]
) -> Select[Any]:
    return select(*groups, func.sum(count).label("count"), func.sum(before).label("before")).group_by(*groups)
