"""How many jobs ended in a time span, by workload, status, reason and code. Each may raise StoreError.

A week has too many rows to group them in time. But there are few groups: each is found by steps in the index
of ended jobs, and its jobs are counted within that index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import CTE, Column, ColumnElement, ScalarSelect, func, select

from exporter.model import Status
from exporter.report.exits import ExitCount
from exporter.store.database import Database
from exporter.store.schema import cursors, jobs

# The index begins with these.
_GROUPED_BY = (jobs.c.workload, jobs.c.status, jobs.c.reason, jobs.c.code)
_IN_ENDED = "INDEXED BY jobs_ended"
_STATUSES = {status.value: status for status in Status}


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """Jobs that ended since a time and before another one; of one workload, or on one host, if given."""

    since_ns: int
    until_ns: int
    workload: str | None = None
    instance: str | None = None

    @property
    def before(self) -> TimeSpan:
        """The span of the same length before it."""
        return replace(self, since_ns=2 * self.since_ns - self.until_ns, until_ns=self.since_ns)

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the conditions on the jobs."""
        bounds = [jobs.c.finished_ns >= self.since_ns, jobs.c.finished_ns < self.until_ns]
        if self.workload is not None:
            bounds.append(jobs.c.workload == self.workload)
        if self.instance is not None:
            bounds.append(jobs.c.instance == self.instance)
        return bounds


def count_exits(database: Database, span: TimeSpan) -> list[ExitCount]:
    """Return the numbers of exits in a span and in the one before; one of them is not 0."""
    groups = _groups(span.workload)
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
        for workload, status, reason, code, count, before in rows
        if count or before
    ]


def watched_since_ns(database: Database) -> int | None:
    """Return when the first engine was connected; None if none was."""
    since_ns: int | None = database.read(select(func.min(cursors.c.floor_ns)))[0][0]
    return since_ns


def _groups(workload: str | None) -> CTE:
    """Return all combinations that there are of a workload, status, reason and code."""
    is_wanted = [] if workload is None else [jobs.c.workload == workload]
    groups = _with_values(None, (), _GROUPED_BY[0], is_wanted)
    for number, column in enumerate(_GROUPED_BY[1:], start=1):
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
