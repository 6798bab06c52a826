"""Pages of jobs, the newest first, each in bounded time however many jobs are stored.

A page reads at most ``MAX_CANDIDATES`` rows of one index: that of the condition with the fewest rows. If the
other conditions leave nothing of them, the page is empty and the next one goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Label,
    ScalarSelect,
    Select,
    and_,
    case,
    false,
    func,
    literal_column,
    or_,
    select,
    true,
    tuple_,
)

from exporter.model import JobRecord, Status
from exporter.store.database import Database
from exporter.store.rows import WITHOUT_LOG_TAIL, read_records
from exporter.store.schema import IS_FAILURE, LONG_RUN_NS, RAN_LONG, jobs
from exporter.store.submissions import with_report

MAX_CANDIDATES = 5_000

_SEARCHED = (
    jobs.c.name,
    jobs.c.workload,
    jobs.c.image,
    jobs.c.error,
    jobs.c.start_error,
    jobs.c.container_id,
)


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Conditions that all must hold; None is no condition.

    ``since_ns``: running, or ended since then. ``until_ns``: ended before then. ``instance`` is the name of
    the host. ``text`` stands somewhere in a name, the image or an error, in any case. ``casualties``: ended
    with 0, and lost a process to an OOM kill.
    """

    status: Status | None = None
    reason: str | None = None
    code: int | None = None
    workload: str | None = None
    since_ns: int | None = None
    supervised_id: str | None = None
    instance: str | None = None
    until_ns: int | None = None
    text: str | None = None
    casualties: bool = False


@dataclass(frozen=True, slots=True)
class Position:
    """Place between two jobs in their order: before those that began earlier, or then but with a lower id."""

    began_ns: int
    job_id: str


@dataclass(frozen=True, slots=True)
class RecordPage:
    """Jobs, the newest first, without their log tails; ``next`` is where to go on, None at the end."""

    records: list[JobRecord]
    next: Position | None


# Indexes that end with the order of the pages, with their column; each is a field of the filter too.
_INDEXES: Mapping[str, Column[Any]] = {
    f"jobs_by_{column.name}": column
    for column in (
        jobs.c.supervised_id,
        jobs.c.code,
        jobs.c.reason,
        jobs.c.workload,
        jobs.c.instance,
        jobs.c.status,
    )
}
_NEWEST = "jobs_newest"
# The same jobs, to look them up in another index.
_OTHERS = {name: jobs.alias(name) for name in _INDEXES}
_ORDER = (jobs.c.began_ns.desc(), jobs.c.id.desc())
# Rows are read by SQLite's own number: jobs that began one after another are beside each other, while in the
# index of ids, which are random, each is on a page of its own. A number is given again only if its job was
# the newest of all, and was deleted.
_ROW: ColumnElement[int] = literal_column("jobs.rowid").label("row_number")
_RECORDS = with_report(select(*WITHOUT_LOG_TAIL)).order_by(*_ORDER)
# Before a character of a pattern that stands for itself.
_ESCAPE = "!"


def page_of_jobs(database: Database, wanted: JobFilter, limit: int, after: Position | None) -> RecordPage:
    """Return the next jobs ``after`` a position, the newest first; at most ``limit``."""
    if wanted.since_ns is None:
        return _scan(database, wanted, limit, after)
    # Whatever began earlier can only have ended since if it ran for long.
    oldest_ns = wanted.since_ns - LONG_RUN_NS
    recent = RecordPage([], after)
    if after is None or after.began_ns >= oldest_ns:
        recent = _scan(database, wanted, limit, after, oldest_ns)
        if recent.next is not None:
            return recent
    older = _long_runs(database, wanted, limit - len(recent.records), after, oldest_ns)
    return RecordPage(recent.records + older.records, older.next)


def latest_failures(database: Database, since_ns: int, limit: int) -> list[JobRecord]:
    """Return the failed and unknown jobs that ended since a time, the last one first; at most ``limit``."""
    failed = select(jobs.c.id, _ROW).with_hint(jobs, "INDEXED BY jobs_failed_by_end", "sqlite")
    latest = failed.where(IS_FAILURE, jobs.c.finished_ns >= since_ns)
    latest = latest.order_by(jobs.c.finished_ns.desc(), jobs.c.id)
    rows = database.read(latest.limit(limit))
    found = {record.job.id: record for record in records(database, rows)}
    return [found[row.id] for row in rows if row.id in found]


def _scan(
    database: Database, wanted: JobFilter, limit: int, after: Position | None, oldest_ns: int | None = None
) -> RecordPage:
    """Return the jobs among the next candidates of one index."""
    index = best_index(database, wanted)
    query = candidates(index, wanted, (jobs.c.began_ns, jobs.c.id, _ROW), bounds(wanted, after, oldest_ns))
    is_found = are_met([*_found_in_others(wanted, index), *_of_the_row(wanted)])
    read = query.add_columns(is_found).limit(MAX_CANDIDATES).subquery()
    matching = select(read.c.began_ns, read.c.id, read.c.row_number).where(read.c.are_met)
    found = database.read(matching.limit(limit + 1))
    if len(found) > limit:
        return RecordPage(records(database, found[:limit]), _position(found[limit - 1]))
    last = database.read(query.offset(MAX_CANDIDATES - 1).limit(1))
    return RecordPage(records(database, found), _position(last[0]) if last else None)


def candidates(
    index: str,
    wanted: JobFilter,
    columns: Sequence[ColumnElement[Any]],
    between: Iterable[ColumnElement[bool]],
) -> Select[Any]:
    """Return a query of the jobs that one index has between bounds, in the order of the pages."""
    query = select(*columns).with_hint(jobs, f"INDEXED BY {index}", "sqlite")
    if index in _INDEXES:
        query = query.where(_INDEXES[index] == getattr(wanted, _INDEXES[index].name))
    return query.where(*between).order_by(*_ORDER)


def _long_runs(
    database: Database, wanted: JobFilter, limit: int, after: Position | None, oldest_ns: int
) -> RecordPage:
    """Return the jobs that began before a time, and ended much later or still run."""
    began_before = (jobs.c.began_ns < oldest_ns, *bounds(wanted, after))
    # Not by choice: SQLite takes the index of all ends as well, if that was created first.
    ran_long = select(jobs.c.id).with_hint(jobs, "INDEXED BY jobs_ran_long", "sqlite")
    ran_long = ran_long.where(RAN_LONG, jobs.c.finished_ns >= wanted.since_ns, *began_before)
    running = select(jobs.c.id).where(jobs.c.status == Status.RUNNING.value, *began_before)
    query = select(jobs.c.began_ns, jobs.c.id, _ROW).where(
        jobs.c.id.in_(ran_long.union_all(running)), *conditions(wanted)
    )
    found = database.read(query.order_by(*_ORDER).limit(limit + 1))
    if len(found) <= limit:
        return RecordPage(records(database, found), None)
    # With no limit left, it was only asked whether there are more.
    last = _position(found[limit - 1]) if limit else Position(oldest_ns, "")
    return RecordPage(records(database, found[:limit]), last)


def _position(row: Any) -> Position:
    return Position(row.began_ns, row.id)


def best_index(database: Database, wanted: JobFilter) -> str:
    """Return the index in which the fewest rows are candidates."""
    given = {name: column for name, column in _INDEXES.items() if getattr(wanted, column.name) is not None}
    if len(given) <= 1:
        return next(iter(given), _NEWEST)
    counts: list[Any] = [_count(column, wanted) for column in given.values()]
    (found,) = database.read(select(*counts))
    return min(zip(found, given, strict=True), key=lambda counted: counted[0])[1]


def _count(column: Column[Any], wanted: JobFilter) -> ScalarSelect[int]:
    """Return how many jobs have the value of a column that is wanted, at most as many as are read."""
    rows = select(column).where(column == getattr(wanted, column.name)).limit(MAX_CANDIDATES)
    return select(func.count()).select_from(rows.subquery()).scalar_subquery()


def bounds(
    wanted: JobFilter, after: Position | None = None, oldest_ns: int | None = None
) -> Iterable[ColumnElement[bool]]:
    """Yield the conditions on the order: they bound what is read of an index."""
    if after is not None:
        yield tuple_(jobs.c.began_ns, jobs.c.id) < tuple_(after.began_ns, after.job_id)
    if oldest_ns is not None:
        yield jobs.c.began_ns >= oldest_ns
    if wanted.until_ns is not None:
        yield jobs.c.began_ns < wanted.until_ns


def are_met(wanted: Iterable[ColumnElement[bool]]) -> Label[bool]:
    """Return a column that says of a candidate whether all conditions are met."""
    # A value of CASE is computed only as far as it must be; one of AND or OR, from all columns.
    return case((and_(true(), *wanted), true())).label("are_met")


def conditions(wanted: JobFilter) -> Iterable[ColumnElement[bool]]:
    """Yield the conditions of a filter on a job's row."""
    for column in _INDEXES.values():
        value = getattr(wanted, column.name)
        if value is not None:
            yield column == value
    yield from _of_the_row(wanted)


def _found_in_others(wanted: JobFilter, index: str) -> Iterable[ColumnElement[bool]]:
    """Yield the conditions that have an index, of which candidates are those of another one.

    They are looked up in their own index, which has the jobs in the order of the candidates too: the rows of
    those that are not found are nowhere near each other, and need not be read.
    """
    for name, column in _INDEXES.items():
        value = getattr(wanted, column.name)
        if value is not None and name != index:
            other = _OTHERS[name]
            found = select(true()).with_hint(other, f"INDEXED BY {name}", "sqlite")
            is_same = (other.c.began_ns == jobs.c.began_ns, other.c.id == jobs.c.id)
            yield found.where(other.c[column.name] == value, *is_same).exists()


def _of_the_row(wanted: JobFilter) -> Iterable[ColumnElement[bool]]:
    """Yield the conditions that have no index of their own."""
    if wanted.since_ns is not None:
        yield or_(jobs.c.finished_ns >= wanted.since_ns, jobs.c.status == Status.RUNNING.value)
    if wanted.until_ns is not None:
        yield jobs.c.finished_ns < wanted.until_ns
    if wanted.casualties:
        yield and_(jobs.c.status == Status.DONE.value, jobs.c.oom_kills > 0)
    if wanted.text is not None:
        yield _has_text(wanted.text)


def _has_text(text: str) -> ColumnElement[bool]:
    if "\0" in text:
        # No text on record has it, and SQLite's patterns end there.
        return false()
    pattern = "".join(f"{_ESCAPE}{each}" if each in f"%_{_ESCAPE}" else each for each in text)
    # In any case: SQLite's LIKE ignores it, in less than half the time of a search in lower case.
    return or_(*(each.like(f"%{pattern}%", escape=_ESCAPE) for each in _SEARCHED))


def records(database: Database, found: Sequence[Any]) -> list[JobRecord]:
    """Return the jobs of these rows, the newest first, without their log tails."""
    numbers = [row.row_number for row in found]
    return read_records(database.read(_RECORDS.where(_ROW.in_(numbers)))) if numbers else []
