"""The order in which rows of the table ``jobs`` were written, so that a reader can go on where it stopped."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, update

from exporter.model import JobRecord, Submission
from exporter.store.database import Database
from exporter.store.rows import WITHOUT_LOG_TAIL, read_record
from exporter.store.schema import jobs
from exporter.store.submissions import with_report


@dataclass(frozen=True, slots=True)
class JobChange:
    """A job as it is on record, and the number of the write that made it so."""

    number: int
    record: JobRecord


class ChangeNumbers:
    """Numbers of writes, each higher than all before. Only the holder of the write transaction may take one.

    A number is the time in nanoseconds, or the one after ``last`` where the clock is behind that. So an older
    copy of the database, put back, does not give numbers again that readers have seen.
    """

    def __init__(self, last: int) -> None:
        self._last = last

    def take(self) -> int:
        """Return the number of a write that is made now."""
        self._last = max(self._last + 1, time.time_ns())
        return self._last


def last_change_number(database: Database) -> int:
    """Return the highest number on record, 0 if there is none."""
    return database.read(select(func.max(jobs.c.change_number)))[0][0] or 0


def latest_changes(database: Database, after: int, limit: int) -> list[JobChange]:
    """Return the latest changes after a number, the oldest first, without log tails.

    A job that was written several times has only its last change. Of more than ``limit``, the oldest are left
    out.
    """
    changed = with_report(select(*WITHOUT_LOG_TAIL)).where(jobs.c.change_number > after)
    rows = database.read(changed.order_by(jobs.c.change_number.desc()).limit(limit))
    return [JobChange(row.change_number, read_record(row)) for row in reversed(rows)]


def mark_reported(connection: Connection, reports: Sequence[Submission], numbers: ChangeNumbers) -> None:
    """Give the jobs that these reports are about a new number: the reports are shown with them."""
    for report in reports:
        is_of_job = jobs.c.supervised_id == report.id
        for (job_id,) in connection.execute(select(jobs.c.id).where(is_of_job)).fetchall():
            row = update(jobs).where(jobs.c.id == job_id)
            connection.execute(row.values(change_number=numbers.take()))
