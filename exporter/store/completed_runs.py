"""The runs of workloads with OOM kills that completed, by limit, between the times at which that matters.

They are many: of whole days they are counted when they are written (``exit_count_triggers.py``), and of the
rest of a stretch in a range of an index in which nothing else is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from sqlalchemy import CTE, ColumnElement, ScalarSelect, case, func, select

from exporter.report.runs import Outcome, Runs, by_outcome, dividing_times
from exporter.store.database import Database
from exporter.store.exit_count_triggers import WEEK_NS
from exporter.store.json_rows import table_of
from exporter.store.schema import IS_COMPLETED, completed_counts, jobs
from exporter.store.time_span import TimeSpan
from exporter.time_units import DAY_NS


class _Stretch(NamedTuple):
    """Part of a span, and the whole days in it that are read as counts: none, if both are its end."""

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
    stretch = _at_limits(list(_stretches(span, killed, limits)), limits)
    ended_ns = jobs.c.finished_ns
    before = _of_stretch(func.count(), stretch, span, stretch.c.since_ns, stretch.c.first_day_ns)
    after = _of_stretch(func.count(), stretch, span, stretch.c.last_day_ns, stretch.c.until_ns)
    has_days = stretch.c.first_day_ns < stretch.c.last_day_ns
    number = before + case((has_days, _counted(stretch, _weeks(database, span)) + after), else_=0)
    bounds = (
        _of_stretch(each, stretch, span, stretch.c.since_ns, stretch.c.until_ns)
        for each in (func.min(ended_ns), func.max(ended_ns))
    )
    query = select(stretch.c.workload, stretch.c.limit_bytes, number, *bounds)
    for workload, limit_bytes, count, first_ns, last_ns in database.read(query):
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
            days = _whole_days(since_ns, until_ns) if span.instance is None else (until_ns, until_ns)
            yield _Stretch(workload, since_ns, until_ns, *days)


def _at_limits(stretches: Sequence[_Stretch], limits: Mapping[str, Sequence[int]]) -> CTE:
    """Return a table with each stretch once for each limit of its workload."""
    stretch = table_of("stretches", _Stretch._fields, stretches).c
    pairs = [(workload, limit_bytes) for workload, each in limits.items() for limit_bytes in each]
    limit = table_of("limits", ("workload", "limit_bytes"), pairs).c
    return select(*stretch, limit.limit_bytes).where(limit.workload == stretch.workload).cte("at_limits")


def _whole_days(since_ns: int, until_ns: int) -> tuple[int, int]:
    first_ns, last_ns = -(-since_ns // DAY_NS) * DAY_NS, until_ns // DAY_NS * DAY_NS
    return (first_ns, last_ns) if first_ns < last_ns else (until_ns, until_ns)


def _limits(database: Database, names: Sequence[str]) -> dict[str, list[int]]:
    """Return the limits with which each of these workloads has completed, in whatever time."""
    workloads = table_of("workloads", ("workload",), [(name,) for name in names])
    limit, name = jobs.c.memory_limit_bytes, "limit_bytes"
    lowest = _of_completed(func.min(limit), jobs.c.workload == workloads.c.workload)
    found = select(workloads.c.workload, lowest.label(name)).cte("limits", recursive=True)
    is_next = (jobs.c.workload == found.c.workload, limit > found.c.limit_bytes)
    following = select(found.c.workload, _of_completed(func.min(limit), *is_next))
    found = found.union_all(following.where(found.c.limit_bytes.is_not(None)))
    limits: dict[str, list[int]] = {}
    # Of each workload, the last is null.
    for workload, limit_bytes in database.read(select(found).where(found.c.limit_bytes.is_not(None))):
        limits.setdefault(workload, []).append(limit_bytes)
    return limits


def _weeks(database: Database, span: TimeSpan) -> CTE:
    """Return the weeks of a span, as far as there are counts."""
    week_ns = completed_counts.c.week_ns
    ends = (select(each).scalar_subquery() for each in (func.min(week_ns), func.max(week_ns)))
    ((first_ns, last_ns),) = database.read(select(*ends))
    weeks = range(
        max(span.since_ns // WEEK_NS * WEEK_NS, first_ns or 0),
        min(span.until_ns, (last_ns or 0) + 1),
        WEEK_NS,
    )
    return table_of("weeks", ("week_ns",), [(each,) for each in weeks])


def _counted(stretch: CTE, weeks: CTE) -> ColumnElement[int]:
    """Return how many completed in the whole days of a stretch."""
    table = completed_counts.c
    days = select(func.sum(table.exits)).where(
        table.week_ns == weeks.c.week_ns,
        table.workload == stretch.c.workload,
        table.memory_limit_bytes == stretch.c.limit_bytes,
        table.began_ns >= stretch.c.first_day_ns,
        table.began_ns < stretch.c.last_day_ns,
    )
    return func.coalesce(days.correlate(stretch).scalar_subquery(), 0)


def _of_stretch(
    value: ColumnElement[Any],
    stretch: CTE,
    span: TimeSpan,
    since_ns: ColumnElement[int],
    until_ns: ColumnElement[int],
) -> ScalarSelect[Any]:
    """Return a value of the jobs that completed in a part of a stretch."""
    is_on_host = [] if span.instance is None else [jobs.c.instance == span.instance]
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
