"""Table ``outbox``: ended jobs that are still to be exported over OTLP, the oldest first."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select, update
from sqlalchemy.dialects.sqlite import insert

from exporter.model import JobRecord, SeriesKey, TelemetrySignal
from exporter.store.database import Database
from exporter.store.prepared import PreparedInsert
from exporter.store.pruning import IsStopped, delete_in_steps
from exporter.store.rows import read_record
from exporter.store.schema import jobs, outbox
from exporter.store.series import save_series
from exporter.store.submissions import with_report

_ENQUEUE = PreparedInsert(insert(outbox).on_conflict_do_nothing(), {"job_id", "signal", "kept_ns", "aside"})


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A job to export for one signal; ``record`` is None if the job is deleted.

    ``was_rejected``: a collector rejected it before this process started. ``enqueued_ns`` is when its end was
    recorded, by this machine's clock.
    """

    number: int
    record: JobRecord | None
    was_rejected: bool
    enqueued_ns: int


@dataclass(frozen=True, slots=True)
class ExpiredEntry:
    """An entry that is too old, or beyond the limit; it ``is_pending`` unless it is a dead letter."""

    number: int
    is_pending: bool


@dataclass(frozen=True, slots=True)
class OutboxUpdate:
    """Changes of entries and of the series that count them, recorded in one transaction.

    ``removed`` are the numbers of entries to delete. ``rejected`` become dead letters: by number, the cause.
    ``series`` are new values of series (None deletes one).
    """

    removed: Sequence[int] = ()
    rejected: Mapping[int, str] = field(default_factory=dict)
    series: Mapping[SeriesKey, float | None] = field(default_factory=dict)


class Outbox:
    """Pending entries and dead letters. Every method may raise StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def pending(self, signal: TelemetrySignal, limit: int, *, newest: bool = False) -> list[OutboxEntry]:
        """Return the oldest entries, or the ``newest``; those that were rejected before come last."""
        fresh = self._pending(signal, limit, outbox.c.refused.is_(None), newest=newest)
        left = limit - len(fresh)
        rejected = self._pending(signal, left, outbox.c.refused.is_not(None), newest=newest) if left else []
        return [
            OutboxEntry(
                row.number,
                None if row.id is None else read_record(row),
                row.refused is not None,
                row.kept_ns,
            )
            for row in (*fresh, *rejected)
        ]

    def _pending(
        self, signal: TelemetrySignal, limit: int, condition: ColumnElement[bool], *, newest: bool
    ) -> Sequence[Any]:
        joined = outbox.outerjoin(jobs, jobs.c.id == outbox.c.job_id)
        query = with_report(
            select(outbox.c.number, outbox.c.refused, outbox.c.kept_ns, jobs).select_from(joined)
        )
        pending = query.where(outbox.c.signal == signal.value, outbox.c.aside.is_(False), condition)
        order = outbox.c.number.desc() if newest else outbox.c.number
        return self._database.read(pending.order_by(order).limit(limit))

    def count_pending(self, signal: TelemetrySignal) -> int:
        """Return the number of pending entries."""
        query = select(func.count()).where(outbox.c.signal == signal.value, outbox.c.aside.is_(False))
        return int(self._database.read(query)[0][0])

    def expired(
        self, signal: TelemetrySignal, before_ns: int, capacity: int, limit: int
    ) -> list[ExpiredEntry]:
        """Return the oldest entries beyond ``capacity`` or enqueued before a time; at most ``limit``."""
        is_of_signal = outbox.c.signal == signal.value
        newest = select(outbox.c.number).where(is_of_signal).order_by(outbox.c.number.desc())
        last_surplus = newest.offset(capacity).limit(1).scalar_subquery()
        is_surplus = outbox.c.number <= func.coalesce(last_surplus, 0)
        query = select(outbox.c.number, outbox.c.aside).where(
            and_(is_of_signal, or_(outbox.c.kept_ns < before_ns, is_surplus))
        )
        found = self._database.read(query.order_by(outbox.c.number).limit(limit))
        return [ExpiredEntry(row.number, not row.aside) for row in found]

    def apply(self, outbox_update: OutboxUpdate) -> None:
        """Record an update durably, in one transaction."""
        with self._database.transaction() as connection:
            if outbox_update.removed:
                connection.execute(delete(outbox).where(outbox.c.number.in_(outbox_update.removed)))
            for number, cause in outbox_update.rejected.items():
                dead_letter = update(outbox).where(outbox.c.number == number)
                connection.execute(dead_letter.values(aside=True, refused=cause))
            save_series(connection, outbox_update.series, {})

    def delete_older(
        self,
        before_ns: int,
        signals: Collection[TelemetrySignal],
        is_stopped: IsStopped = lambda: False,
    ) -> int:
        """Delete these signals' entries from before a time, until stopped; return how many."""
        is_old = and_(outbox.c.kept_ns < before_ns, outbox.c.signal.in_(signals))
        return delete_in_steps(self._database, outbox, is_old, is_stopped)

    def requeue_dead_letters(self) -> None:
        """Make all dead letters pending again: what rejected them may be fixed."""
        with self._database.transaction() as connection:
            connection.execute(update(outbox).where(outbox.c.aside.is_(True)).values(aside=False))


def enqueue(connection: Connection, entries: Iterable[tuple[str, TelemetrySignal]]) -> None:
    """Add jobs to the outbox, by id and signal; one that is in it already stays as it is."""
    now_ns = time.time_ns()
    rows = [
        {"job_id": job_id, "signal": signal.value, "kept_ns": now_ns, "aside": False}
        for job_id, signal in entries
    ]
    _ENQUEUE.execute(connection, rows)
