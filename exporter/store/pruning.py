"""Deletion of old rows, in steps so small that commits of exits pass in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, func, not_, select

from exporter.model import OVERLAP_NS, SECOND_NS, Status
from exporter.store.database import Database, upsert
from exporter.store.schema import cursors, jobs, outbox, pruned, pruned_engines

STEP_ROWS = 50
# After each step a pause as long as the step, and at least this long, lets a writer pass that waits.
PAUSE_SECONDS = 0.01
# How long after its end, and before its start event, a run can still have events.
_RUN_EVENTS_NS = 10 * SECOND_NS

IsStopped = Callable[[], bool]


def delete_in_steps(
    database: Database, table: Table, condition: ColumnElement[bool], is_stopped: IsStopped
) -> int:
    """Delete the rows of a table for which a condition holds, until stopped; return how many."""
    (key,) = table.primary_key
    count = 0
    while not is_stopped():
        began = time.monotonic()
        # Outside of the transaction: finding them may take longer than deleting them.
        keys = [row[0] for row in database.read(select(key).where(condition).limit(STEP_ROWS))]
        with database.transaction() as connection:
            count += connection.execute(delete(table).where(key.in_(keys), condition)).rowcount
        if len(keys) < STEP_ROWS:
            break
        _pause_after_step(began)
    return count


def engines_time_ns(database: Database) -> int | None:
    """Return the latest time by an engine's clock that is on record; None if no engine was ever read."""
    latest = func.max(func.max(cursors.c.event_ns, cursors.c.read_ns))
    found = database.read(select(latest))[0][0]
    return None if found is None else int(found)


@dataclass(frozen=True, slots=True)
class Pruned:
    """Before which times ended jobs may be missing: those of any engine, and those of each that was read.

    An engine that is away is behind the others: what only its list will show was not deleted, however long
    ago it ended.
    """

    before_ns: int = 0
    engines_before_ns: Mapping[str, int] = field(default_factory=dict)

    def of(self, engine: str) -> int:
        """Return the time that holds for one engine; one never read may be a known one at a new address."""
        return self.engines_before_ns.get(engine, self.before_ns)

    def with_deletion(self, before_ns: int, replayed_since_ns: Mapping[str, int]) -> Pruned:
        """Return it after a deletion of what ended before a time and is not replayed."""
        known = self.engines_before_ns
        engines = {
            engine: max(min(before_ns, since_ns), known.get(engine, 0))
            for engine, since_ns in replayed_since_ns.items()
        }
        return Pruned(max(before_ns, self.before_ns), {**known, **engines})

    def bounded(self, now_ns: int) -> Pruned:
        """Return it without times that no engine has reached."""
        engines = {engine: min(at_ns, now_ns) for engine, at_ns in self.engines_before_ns.items()}
        return Pruned(min(self.before_ns, now_ns), engines)


def load_pruned(database: Database) -> Pruned:
    """Return what was marked."""
    before_ns = max((row.before_ns for row in database.read(select(pruned))), default=0)
    engines = {row.engine: row.before_ns for row in database.read(select(pruned_engines))}
    return Pruned(before_ns, engines)


def mark_pruned(database: Database, marked: Pruned) -> None:
    """Record, before anything is deleted, that jobs that ended before some times may be missing."""
    engines = [{"engine": name, "before_ns": at_ns} for name, at_ns in marked.engines_before_ns.items()]
    with database.transaction() as connection:
        upsert(connection, pruned, [{"once": 1, "before_ns": marked.before_ns}])
        upsert(connection, pruned_engines, engines)


def replayed_since_ns(database: Database) -> dict[str, int]:
    """Return for each engine since when it may replay the events of a job."""
    return {
        row.engine: max(row.floor_ns, row.event_ns - OVERLAP_NS) - _RUN_EVENTS_NS
        for row in database.read(select(cursors))
    }


def prune_jobs(
    database: Database, before_ns: int, replayed_since_ns: Mapping[str, int], is_stopped: IsStopped
) -> int:
    """Delete jobs that ended before a time, until stopped; return how many.

    Those in the outbox stay until they are exported, and those of which an engine may replay events: without
    their records, they would be counted again.
    """
    deletable = and_(
        jobs.c.status != Status.RUNNING.value,
        jobs.c.id.not_in(select(outbox.c.job_id)),
        *(not_(_is_replayed(engine, since_ns)) for engine, since_ns in replayed_since_ns.items()),
    )
    count, since_ns = 0, 0
    while since_ns < before_ns and not is_stopped():
        began = time.monotonic()
        with database.transaction() as connection:
            until_ns = _step_end(connection, since_ns, before_ns)
            is_in_step = and_(jobs.c.finished_ns >= since_ns, jobs.c.finished_ns < until_ns)
            count += connection.execute(delete(jobs).where(is_in_step, deletable)).rowcount
        since_ns = until_ns
        _pause_after_step(began)
    return count


def _pause_after_step(began: float) -> None:
    time.sleep(max(PAUSE_SECONDS, time.monotonic() - began))


def _step_end(connection: Connection, since_ns: int, before_ns: int) -> int:
    """Return the end of the time in which the next ``STEP_ROWS`` jobs ended."""
    is_next = and_(jobs.c.finished_ns >= since_ns, jobs.c.finished_ns < before_ns)
    query = select(jobs.c.finished_ns).where(is_next).order_by(jobs.c.finished_ns)
    first_after = connection.execute(query.offset(STEP_ROWS).limit(1)).scalar()
    return before_ns if first_after is None else max(int(first_after), since_ns + 1)


def _is_replayed(engine: str, since_ns: int) -> ColumnElement[bool]:
    latest_ns = func.coalesce(jobs.c.event_ns, jobs.c.finished_ns)
    return and_(jobs.c.engine == engine, latest_ns >= since_ns)
