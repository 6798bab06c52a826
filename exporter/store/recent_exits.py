"""How many jobs ended for which reason and when, in bounded time: of very many, only the newest.

Of whole hours and days the exits are counted already (``exit_count_triggers.py``), but for no other condition
than the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal, select

from exporter.model import Status
from exporter.store.database import Database
from exporter.store.job_pages import (
    MAX_CANDIDATES,
    JobFilter,
    are_met,
    best_index,
    bounds,
    candidates,
    conditions,
)
from exporter.store.schema import exit_counts, exit_groups, jobs
from exporter.time_units import DAY_NS, HOUR_NS

# So many rows of an index that has all that is counted, or of counts.
MAX_ROWS = 20_000
# After every time that can be on record, and the end of a day: what has ended last is counted already too.
_NO_END_NS = (1 << 62) // DAY_NS * DAY_NS


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
    if of_all_reasons == JobFilter(since_ns=wanted.since_ns, until_ns=wanted.until_ns):
        return _count_all(database, wanted, interval_ns)
    return _count_candidates(database, of_all_reasons, interval_ns)


def _count_candidates(database: Database, wanted: JobFilter, interval_ns: int) -> RecentExits:
    """Count the exits among the newest candidates of a filter."""
    columns = (jobs.c.finished_ns, jobs.c.status, jobs.c.reason)
    query = candidates(best_index(database, wanted), wanted, columns, bounds(wanted))
    read = query.add_columns(are_met(conditions(wanted))).limit(MAX_CANDIDATES).subquery()
    groups = _groups(read, interval_ns)
    is_counted = (read.c.are_met, read.c.finished_ns.is_not(None))
    found = database.read(select(*groups, func.count()).where(*is_counted).group_by(*groups))
    is_cut = bool(database.read(query.offset(MAX_CANDIDATES).limit(1)))
    counts = tuple(IntervalCount(from_ns, Status(status), *rest) for from_ns, status, *rest in found)
    return RecentExits(counts, MAX_CANDIDATES if is_cut else None)


def _count_all(database: Database, wanted: JobFilter, interval_ns: int) -> RecentExits:
    """Count the exits of a time span, the newest part of it first, until enough rows were read."""
    numbers: dict[tuple[int, str, str], int] = {}
    left = MAX_ROWS
    periods = [period for period in (DAY_NS, HOUR_NS) if interval_ns % period == 0]
    until_ns = _NO_END_NS if wanted.until_ns is None else wanted.until_ns
    for ends in _newest_first(wanted.since_ns or 0, until_ns, periods):
        # One more than may be read tells that there are more.
        read = ends.limit(left + 1).subquery()
        groups = _groups(read, interval_ns)
        query = select(*groups, func.sum(read.c.exits), func.count()).group_by(*groups)
        for from_ns, status, reason, exits, rows in database.read(query):
            key = from_ns, status, reason
            numbers[key] = numbers.get(key, 0) + exits
            left -= rows
        if left < 0:
            break
    counts = tuple(
        IntervalCount(from_ns, Status(status), reason, count)
        for (from_ns, status, reason), count in numbers.items()
    )
    return RecentExits(counts, sum(numbers.values()) if left < 0 else None)


def _groups(read: Any, interval_ns: int) -> tuple[ColumnElement[Any], ...]:
    from_ns = (read.c.finished_ns // interval_ns * interval_ns).label("from_ns")
    return from_ns, read.c.status, read.c.reason


def _newest_first(since_ns: int, until_ns: int, periods: Sequence[int]) -> Iterator[Select[Any]]:
    """Yield queries of the ends in parts of a span: in a whole period, the longest first, as counts."""
    if since_ns >= until_ns:
        return
    if not periods:
        yield _ends(since_ns, until_ns)
        return
    period, *shorter = periods
    first, last = -(-since_ns // period) * period, until_ns // period * period
    if first >= last:
        yield from _newest_first(since_ns, until_ns, shorter)
        return
    yield from _newest_first(last, until_ns, shorter)
    yield _counted(period, first, last)
    yield from _newest_first(since_ns, first, shorter)


def _ends(since_ns: int, until_ns: int) -> Select[Any]:
    ends = select(jobs.c.finished_ns, jobs.c.status, jobs.c.reason, literal(1).label("exits"))
    ends = ends.with_hint(jobs, "INDEXED BY jobs_by_end", "sqlite").where(jobs.c.reason.is_not(None))
    is_in_part = (jobs.c.finished_ns >= since_ns, jobs.c.finished_ns < until_ns)
    return ends.where(*is_in_part).order_by(jobs.c.finished_ns.desc())


def _counted(period_ns: int, since_ns: int, until_ns: int) -> Select[Any]:
    table, group = exit_counts.c, exit_groups.c
    ends = select(table.began_ns.label("finished_ns"), group.status, group.reason, table.exits)
    is_in_part = (table.began_ns >= since_ns, table.began_ns < until_ns, group.id == table.group_id)
    return ends.where(table.period_ns == period_ns, *is_in_part).order_by(table.began_ns.desc())
