"""The outbox: of which jobs a collector is still to be told, the oldest first."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select, update
from sqlalchemy.dialects.sqlite import insert

from exporter.model import JobRecord, TelemetrySignal
from exporter.store import rows
from exporter.store.access import Access
from exporter.store.schema import jobs, outbox
from exporter.store.series import Key, save


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A job of which something is to be sent; ``record`` is None where it is gone.

    ``was_refused``: before this process began, a collector would not take it.
    """

    number: int
    record: JobRecord | None
    was_refused: bool


@dataclass(frozen=True, slots=True)
class ExpiredEntry:
    """A letter that has been kept for too long, or with too many; it ``waits`` unless it is set aside."""

    number: int
    waits: bool


@dataclass(frozen=True, slots=True)
class OutboxUpdate:
    """What has become of letters, and the series that say so: recorded together or not at all.

    ``gone`` are forgotten; ``refused`` are set aside with the cause.
    """

    gone: Sequence[int] = ()
    refused: Mapping[int, str] = field(default_factory=dict)
    values: Mapping[Key, float | None] = field(default_factory=dict)


class Outbox:
    """Letters that wait, and those set aside. Every method may raise StoreError."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def waiting(self, signal: TelemetrySignal, most: int, *, newest: bool = False) -> list[OutboxEntry]:
        """The letters that have waited longest, or the ``newest``; those refused before come last."""
        fresh = self._waiting(signal, most, outbox.c.refused.is_(None), newest=newest)
        left = most - len(fresh)
        again = self._waiting(signal, left, outbox.c.refused.is_not(None), newest=newest) if left else []
        found = [*fresh, *again]
        return [
            OutboxEntry(row.number, None if row.id is None else rows.record(row), row.refused is not None)
            for row in found
        ]

    def _waiting(
        self, signal: TelemetrySignal, most: int, which: ColumnElement[bool], *, newest: bool
    ) -> Sequence[Any]:
        joined = outbox.outerjoin(jobs, jobs.c.id == outbox.c.job_id)
        query = select(outbox.c.number, outbox.c.refused, jobs).select_from(joined)
        waiting = query.where(outbox.c.signal == signal.value, outbox.c.aside.is_(False), which)
        order = outbox.c.number.desc() if newest else outbox.c.number
        return self._access.read(waiting.order_by(order).limit(most))

    def count(self, signal: TelemetrySignal) -> int:
        """How many wait."""
        query = select(func.count()).where(outbox.c.signal == signal.value, outbox.c.aside.is_(False))
        return int(self._access.read(query)[0][0])

    def overdue(self, signal: TelemetrySignal, before_ns: int, most: int, limit: int) -> list[ExpiredEntry]:
        """The oldest: those kept before then, or beyond ``most``; no more than ``limit`` at once."""
        of_signal = outbox.c.signal == signal.value
        newest = select(outbox.c.number).where(of_signal).order_by(outbox.c.number.desc())
        last_surplus = newest.offset(most).limit(1).scalar_subquery()
        too_many = outbox.c.number <= func.coalesce(last_surplus, 0)
        query = select(outbox.c.number, outbox.c.aside).where(
            and_(of_signal, or_(outbox.c.kept_ns < before_ns, too_many))
        )
        found = self._access.read(query.order_by(outbox.c.number).limit(limit))
        return [ExpiredEntry(row.number, not row.aside) for row in found]

    def settle(self, settlement: OutboxUpdate) -> None:
        """Record what has become of letters."""
        with self._access.writing() as connection:
            if settlement.gone:
                connection.execute(delete(outbox).where(outbox.c.number.in_(settlement.gone)))
            for number, cause in settlement.refused.items():
                aside = update(outbox).where(outbox.c.number == number)
                connection.execute(aside.values(aside=True, refused=cause))
            save(connection, settlement.values)

    def expire(self, before_ns: int, signals: Collection[TelemetrySignal]) -> int:
        """Forget what was kept before then of signals that nobody delivers; how many that were."""
        is_old = outbox.c.kept_ns < before_ns
        with self._access.writing() as connection:
            return connection.execute(delete(outbox).where(is_old, outbox.c.signal.in_(signals))).rowcount

    def reopen(self) -> None:
        """Let those that are set aside wait again: what refused them may have been mended."""
        with self._access.writing() as connection:
            connection.execute(update(outbox).where(outbox.c.aside.is_(True)).values(aside=False))


def post(connection: Connection, letters: Iterable[tuple[str, TelemetrySignal]]) -> None:
    """Put jobs into the outbox, by their id and what is to be sent of them."""
    now_ns = time.time_ns()
    values = [
        {"job_id": job_id, "signal": signal.value, "kept_ns": now_ns, "aside": False}
        for job_id, signal in letters
    ]
    if values:
        connection.execute(insert(outbox).on_conflict_do_nothing(), values)
