"""How many jobs ended on one host in a time span, by workload, status, reason and code.

A week has too many rows to group them in time. But there are few groups: each is found by steps in the index
of ended jobs, and its jobs are counted within that index.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import CTE, Column, ColumnElement, ScalarSelect, func, select

from exporter.model import Status
from exporter.report.exits import ExitCount
from exporter.store.database import Database
from exporter.store.schema import jobs
from exporter.store.time_span import TimeSpan

# The index begins with these.
_GROUPED_BY = (jobs.c.instance, jobs.c.workload, jobs.c.status, jobs.c.reason, jobs.c.code)
_IN_ENDED = "INDEXED BY jobs_ended"
_STATUSES = {status.value: status for status in Status}


def count_exits_on_host(database: Database, span: TimeSpan) -> list[ExitCount]:
    """Return the numbers of exits in a span of one host, and in the one before; one of them is not 0.

    Raises StoreError.
    """
    groups = _groups(span)
    is_of_group = [column.is_not_distinct_from(groups.c[column.name]) for column in _GROUPED_BY]
    query = select(
        groups,
        _ended(func.count(), *is_of_group, *span.conditions()).label("count"),
        _ended(func.count(), *is_of_group, *span.before.conditions()).label("before"),
    )
    rows = database.read(query)
    # As tuples, and only those that count: of many workloads, there are thousands.
    return [
        ExitCount(workload, _STATUSES[status], code, reason, count, before)
        for _, workload, status, reason, code, count, before in rows
        if count or before
    ]


def _groups(span: TimeSpan) -> CTE:
    """Return all combinations that there are on the host of a workload, status, reason and code."""
    groups = _with_values(None, (), jobs.c.instance, [jobs.c.instance == span.instance])
    is_wanted = [] if span.workload is None else [jobs.c.workload == span.workload]
    groups = _with_values(groups, _GROUPED_BY[:1], jobs.c.workload, is_wanted)
    for number, column in enumerate(_GROUPED_BY[2:], start=2):
        groups = _with_values(groups, _GROUPED_BY[:number], column, [])
    return groups


def _with_values(
    groups: CTE | None,
    known: Sequence[Column[Any]],
    column: Column[Any],
    is_wanted: Sequence[ColumnElement[bool]],
) -> CTE:
    """Return the groups by the known columns with each value of one more, and then with null.

    The null is left out by the next column, as it stands for no job; only a code can be null.
    """
    first = select(*_values(groups, known), _lowest(groups, known, column, is_wanted).label(column.name))
    if groups is not None:
        first = first.where(groups.c[known[-1].name].is_not(None))
    found = first.cte(f"by_{column.name}", recursive=True)
    is_next = [*is_wanted, column > found.c[column.name]]
    following = select(*_values(found, known), _lowest(found, known, column, is_next))
    return found.union_all(following.where(found.c[column.name].is_not(None)))


def _lowest(
    groups: CTE | None,
    known: Sequence[Column[Any]],
    column: Column[Any],
    conditions: Sequence[ColumnElement[bool]],
) -> ScalarSelect[Any]:
    is_of_group = [] if groups is None else [each == groups.c[each.name] for each in known]
    return _ended(func.min(column), *is_of_group, *conditions)


def _values(groups: CTE | None, known: Sequence[Column[Any]]) -> list[ColumnElement[Any]]:
    return [] if groups is None else [groups.c[column.name] for column in known]


def _ended(value: ColumnElement[Any], *conditions: ColumnElement[bool]) -> ScalarSelect[Any]:
    """Return a value of the ended jobs with these conditions."""
    ended = select(value).select_from(jobs).where(jobs.c.finished_ns.is_not(None), *conditions)
    return ended.with_hint(jobs, _IN_ENDED, "sqlite").scalar_subquery()
