"""The runs of workloads with OOM kills that completed, by limit, between the times at which that matters.

They are many: of whole days they are counted when they are written (``exit_count_triggers.py``), and of the
rest of a stretch in a range of an index in which nothing else is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    ColumnElement,
    ScalarSelect,
    Select,
    bindparam,
    case,
    func,
    select,
)

from exporter.report.runs import Outcome, Runs, by_outcome, dividing_times
from exporter.store.database import Database
from exporter.store.exit_count_triggers import MONTH_NS
from exporter.store.json_rows import rows_of, table_of
from exporter.store.schema import IS_COMPLETED, completed_counts, completed_limits, jobs
from exporter.store.time_span import TimeSpan
from exporter.time_units import DAY_NS


class _Stretch(NamedTuple):
    """Part of a span, and the days nearest to its bounds, between which counts are read.

    There are none, if both are its end.
    """

    workload: str
    since_ns: int
    until_ns: int
    first_day_ns: int
    last_day_ns: int


def completed_runs(
    database: Database, span: TimeSpan, killed: Mapping[str, Sequence[Runs]]
) -> Iterator[tuple[str, Runs]]:
    """Yield for each of these workloads its runs that completed, by limit and by stretch. Raises StoreError.

    ``killed`` are its runs with OOM kills, which divide the span into stretches.
    """
    limits = _limits(database, list(killed))
    stretches = list(_stretches(span, killed, limits))
    parameters = {
        "stretches": rows_of(stretches),
        "months": rows_of(_months(database, stretches)),
        "host": span.instance,
    }
    query = _completed_in_stretches(on_host=span.instance is not None)
    for workload, limit_bytes, count, first_ns, last_ns in database.read(query, parameters):
        if count:
            yield workload, Runs(limit_bytes, Outcome.COMPLETED, count, first_ns, last_ns)


def _stretches(
    span: TimeSpan, killed: Mapping[str, Sequence[Runs]], limits: Mapping[str, Sequence[int]]
) -> Iterator[_Stretch]:
    for workload, completed_at in limits.items():
        kills = by_outcome(killed[workload]).killed
        times = sorted({span.since_ns, *dividing_times(kills, completed_at), span.until_ns})
        for since_ns, until_ns in pairwise(times):
            # The counts are of all hosts together.
            days = _nearest_days(since_ns, until_ns) if span.instance is None else (until_ns, until_ns)
            yield _Stretch(workload, since_ns, until_ns, *days)


def _nearest_days(since_ns: int, until_ns: int) -> tuple[int, int]:
    first_ns = (since_ns + DAY_NS // 2) // DAY_NS * DAY_NS
    last_ns = (until_ns + DAY_NS // 2) // DAY_NS * DAY_NS
    return (first_ns, last_ns) if first_ns < last_ns else (until_ns, until_ns)


def _limits(database: Database, names: Sequence[str]) -> dict[str, list[int]]:
    """Return the limits with which each of these workloads has completed, in whatever time."""
    parameters = {"workloads": rows_of([(name,) for name in names])}
    limits: dict[str, list[int]] = {}
    for workload, limit_bytes in database.read(_limits_of_workloads(), parameters):
        limits.setdefault(workload, []).append(limit_bytes)
    return limits


@cache
def _limits_of_workloads() -> Select[Any]:
    workloads, limit = table_of("workloads", ("workload",)).c, completed_limits.c
    return select(limit.workload, limit.memory_limit_bytes).where(limit.workload == workloads.workload)


def _months(database: Database, stretches: Sequence[_Stretch]) -> list[tuple[int]]:
    """Return the months of stretches, as far as there are counts."""
    ((first_ns, last_ns),) = database.read(_months_with_counts())
    since_ns = min((each.first_day_ns for each in stretches), default=0)
    until_ns = max((each.last_day_ns for each in stretches), default=0)
    months = range(
        max(since_ns // MONTH_NS * MONTH_NS, first_ns or 0), min(until_ns, (last_ns or 0) + 1), MONTH_NS
    )
    return [(each,) for each in months]


@cache
def _months_with_counts() -> Select[Any]:
    month_ns = completed_counts.c.month_ns
    return select(*(select(each).scalar_subquery() for each in (func.min(month_ns), func.max(month_ns))))


@cache
def _completed_in_stretches(*, on_host: bool) -> Select[Any]:
    """Return the query of the runs that completed in ``stretches``, at each limit of the workload."""
    stretch = _at_limits()

    def completed(value: ColumnElement[Any], *bounds: ColumnElement[int]) -> ScalarSelect[Any]:
        return _of_stretch(value, stretch, *bounds, on_host=on_host)

    before = _rest(completed, stretch.c.since_ns, stretch.c.first_day_ns)
    after = _rest(completed, stretch.c.last_day_ns, stretch.c.until_ns)
    has_days = stretch.c.first_day_ns < stretch.c.last_day_ns
    number = before + case((has_days, _counted(stretch) + after), else_=0)
    ends = [
        completed(each(jobs.c.finished_ns), stretch.c.since_ns, stretch.c.until_ns)
        for each in (func.min, func.max)
    ]
    return select(stretch.c.workload, stretch.c.limit_bytes, number, *ends)


def _at_limits() -> CTE:
    """Return a table with each stretch once for each limit of its workload."""
    stretch, limit = table_of("stretches", _Stretch._fields).c, completed_limits.c
    query = select(*stretch, limit.id, limit.memory_limit_bytes.label("limit_bytes"))
    return query.where(limit.workload == stretch.workload).cte("at_limits")


def _counted(stretch: CTE) -> ColumnElement[int]:
    """Return how many completed in the days of a stretch."""
    table, months = completed_counts.c, table_of("months", ("month_ns",)).c
    days = select(func.sum(table.exits)).where(
        table.month_ns == months.month_ns,
        table.limit_id == stretch.c.id,
        table.began_ns >= stretch.c.first_day_ns,
        table.began_ns < stretch.c.last_day_ns,
    )
    return func.coalesce(days.correlate(stretch).scalar_subquery(), 0)


def _rest(
    completed: Callable[..., ScalarSelect[Any]], since_ns: ColumnElement[int], until_ns: ColumnElement[int]
) -> ColumnElement[int]:
    """Return how many completed between a bound and its nearest day; negative, if there are too many."""
    number = completed(func.count(), func.min(since_ns, until_ns), func.max(since_ns, until_ns))
    return number * case((since_ns <= until_ns, 1), else_=-1)


def _of_stretch(
    value: ColumnElement[Any],
    stretch: CTE,
    since_ns: ColumnElement[int],
    until_ns: ColumnElement[int],
    *,
    on_host: bool,
) -> ScalarSelect[Any]:
    """Return a value of the jobs that completed in a part of a stretch."""
    is_on_host = [jobs.c.instance == bindparam("host")] if on_host else []
    return _of_completed(
        value,
        jobs.c.workload == stretch.c.workload,
        jobs.c.memory_limit_bytes == stretch.c.limit_bytes,
        jobs.c.finished_ns >= since_ns,
        jobs.c.finished_ns < until_ns,
        *is_on_host,
    )


def _of_completed(value: ColumnElement[Any], *conditions: ColumnElement[bool]) -> ScalarSelect[Any]:
    """Return a value of the runs with these conditions that completed with a limit and lost no process."""
    query = select(value).select_from(jobs).where(IS_COMPLETED, *conditions)
    return query.with_hint(jobs, "INDEXED BY jobs_completed", "sqlite").scalar_subquery()
