"""Jobs, series and cursors in one database, and the one writer of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO
from uuid import uuid4

import structlog
from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert

from exporter.model import (
    ClassifiedExit,
    ContainerHistory,
    Cursor,
    Job,
    SeriesKey,
    Submission,
    TelemetrySignal,
)
from exporter.store import jobs as queries
from exporter.store import lock
from exporter.store.changes import ChangeNumbers, last_change_number, mark_reported
from exporter.store.database import Database, upsert
from exporter.store.errors import StoreError
from exporter.store.exit_counts import watched_since_ns
from exporter.store.job_reader import JobReader
from exporter.store.migrating import OnStep
from exporter.store.opening import create_directory, is_checked_at_start, open_engine
from exporter.store.outbox import Outbox, enqueue
from exporter.store.prepared import prepared_upsert
from exporter.store.pruning import (
    IsStopped,
    Pruned,
    engines_time_ns,
    load_pruned,
    mark_pruned,
    prune_jobs,
    replayed_since_ns,
)
from exporter.store.rows import ended_row, running_row
from exporter.store.schema import cursors, identity, jobs, scrape_interval
from exporter.store.series import load_scrape_interval, load_series, load_shown, save_series
from exporter.store.submissions import (
    has_end_or_container,
    open_submissions,
    prune_submissions,
    save_submissions,
)
from exporter.store.timed_reads import TimedReads

log = structlog.get_logger(__name__)

_UPSERT_JOBS, _UPSERT_CURSORS = prepared_upsert(jobs), prepared_upsert(cursors)


@dataclass(frozen=True, slots=True)
class Batch:
    """Content of one transaction, recorded whole or not at all.

    ``series`` are new values of series (None deletes one), ``shown`` what scrapes are shown of them, where
    it is not the value. ``cursors`` are by address of the engine. ``outbox`` are the jobs to export, by id
    and signal. ``scrape_interval`` is the longest one of those who scrape, in seconds, if it has changed.
    """

    running: Sequence[Job] = ()
    ended: Sequence[ClassifiedExit] = ()
    series: Mapping[SeriesKey, float | None] = field(default_factory=dict)
    cursors: Mapping[str, Cursor] = field(default_factory=dict)
    outbox: Sequence[tuple[str, TelemetrySignal]] = ()
    submissions: Sequence[Submission] = ()
    shown: Mapping[SeriesKey, float] = field(default_factory=dict)
    scrape_interval: float | None = None


class Store:
    """The database of one exporter, locked until it is closed. Every method may raise StoreError.

    ``on_step`` is told of each step of a migration.
    """

    def __init__(self, path: Path, on_step: OnStep = lambda _step: None) -> None:
        create_directory(path)
        self._lock = _acquire_lock(path)
        self.was_checked = is_checked_at_start(path)
        """Whether the whole file was read when it was opened; else it may be damaged."""
        try:
            engine = open_engine(path, on_step)
        except StoreError:
            self._release_lock()
            raise
        self._database, self._reads = Database(engine), TimedReads(engine)
        self.outbox = Outbox(self._database)
        self.reader = JobReader(self._reads)
        try:
            self._require_lock(path)
            self._marked = load_pruned(self._database)
            self._pruned = self._reached(self._marked)
            self._change_numbers = ChangeNumbers(last_change_number(self._database))
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        """Close the database and release its lock."""
        self._reads.close()
        self._database.close()
        self._release_lock()

    def interrupt_reads(self) -> None:
        """End what ``reader`` reads, now and later, with a StoreError; may be called from any thread."""
        self._reads.interrupt()

    def _require_lock(self, path: Path) -> None:
        if self._lock is None:
            raise StoreError(f"{lock.lock_path(path)}: cannot be created; make its directory writable")

    def _release_lock(self) -> None:
        if self._lock is not None:
            self._lock.close()

    # Writing

    def commit(self, batch: Batch) -> None:
        """Record a batch durably, in one transaction."""
        jobs_ended = {classified.exit.job.id: classified for classified in batch.ended}
        job_rows = [running_row(job) for job in batch.running if job.id not in jobs_ended]
        job_rows += map(ended_row, jobs_ended.values())
        cursor_rows = [
            {
                "engine": engine,
                "event_ns": cursor.event_ns,
                "floor_ns": cursor.not_before_ns,
                "read_ns": cursor.read_until_ns,
            }
            for engine, cursor in batch.cursors.items()
        ]
        with self._database.transaction() as connection:
            for row in job_rows:
                row["change_number"] = self._change_numbers.take()
            _UPSERT_JOBS.execute(connection, job_rows)
            save_series(connection, batch.series, batch.shown)
            if batch.scrape_interval is not None:
                upsert(connection, scrape_interval, [{"once": 1, "seconds": batch.scrape_interval}])
            _UPSERT_CURSORS.execute(connection, cursor_rows)
            enqueue(connection, batch.outbox)
            save_submissions(connection, batch.submissions)
            mark_reported(connection, batch.submissions, self._change_numbers)

    def prune(self, before_ns: int, is_stopped: IsStopped = lambda: False) -> int:
        """Delete jobs that ended before a time, until stopped, and return how many; series stay.

        Jobs in the outbox are kept until they are exported, and jobs that an engine may replay until it has
        newer events.
        """
        replayed = replayed_since_ns(self._database)
        marked = self._marked.with_deletion(before_ns, replayed)
        mark_pruned(self._database, marked)
        self._marked, self._pruned = marked, self._pruned.with_deletion(before_ns, replayed)
        count = prune_jobs(self._database, before_ns, replayed, is_stopped)
        prune_submissions(self._database, before_ns, time.time_ns(), is_stopped)
        return count

    def prune_reports(self, is_stopped: IsStopped = lambda: False) -> None:
        """Delete the reports of a supervisor's server that belong to no job on record, until stopped."""
        prune_submissions(self._database, 0, time.time_ns(), is_stopped)

    # Reading

    @property
    def path(self) -> str:
        """Path of the database."""
        return self._database.path

    @property
    def is_in_place(self) -> bool:
        """Whether the path still leads to the file that was opened. What is written to any other is lost."""
        return self._database.is_in_place

    def was_changed_by_another(self) -> bool:
        """Return whether another process has written to the file since the last call."""
        return self._database.was_changed_by_another()

    @property
    def pruned_before_ns(self) -> int:
        """Time before which exits of any engine may have been pruned."""
        return self._pruned.before_ns

    def pruned_of(self, engine: str) -> int:
        """Return the time before which exits of an engine may have been pruned."""
        return self._pruned.of(engine)

    def pruning_mark_of(self, engine: str) -> int:
        """Return the same as it was marked: by a clock that was set back since, or was ahead, perhaps."""
        return self._marked.of(engine)

    @property
    def engines_time_ns(self) -> int | None:
        """Latest time on record by an engine's clock; None if no engine was ever read."""
        return engines_time_ns(self._database)

    def _reached(self, marked: Pruned) -> Pruned:
        """Return what may have been pruned: of any engine, nothing after a time that none has reached.

        A clock that was ahead may have marked such a time; until then, every exit would count as old.
        """
        now_ns = self.engines_time_ns
        if now_ns is None or marked.before_ns <= now_ns:
            return marked
        log.warning("a clock was ahead: jobs count as deleted only up to the latest time of an engine")
        return marked.bounded(now_ns)

    @cached_property
    def instance_id(self) -> str:
        """UUID of this exporter, created once for its database."""
        with self._database.transaction() as connection:
            row = insert(identity).values(once=1, instance_id=str(uuid4()))
            connection.execute(row.on_conflict_do_nothing())
            return str(connection.execute(select(identity.c.instance_id)).scalar_one())

    def series(self) -> dict[SeriesKey, float]:
        """Return all series, as they were last committed."""
        return load_series(self._database)

    def shown_series(self) -> dict[SeriesKey, float]:
        """Return what scrapes are shown of the series where it is not the value."""
        return load_shown(self._database)

    def scrape_interval(self) -> float | None:
        """Return the longest interval of those who scrape in seconds, None if none is known."""
        return load_scrape_interval(self._database)

    def cursors(self) -> dict[str, Cursor]:
        """Return the cursors by address of the engine."""
        return {
            row.engine: Cursor(row.event_ns, row.floor_ns, row.read_ns)
            for row in self._database.read(select(cursors))
        }

    def running_jobs(self) -> list[Job]:
        """Return the jobs that have no recorded end."""
        return queries.running_jobs(self._database)

    def load_history(
        self,
        container_id: str,
        other_engines: frozenset[str] = frozenset(),
        is_own: Callable[[Job], bool] = lambda _job: False,
    ) -> ContainerHistory | None:
        """Return what is on record of a container, None if nothing is.

        Containers on hosts made from one image can have equal ids: jobs of ``other_engines``, the addresses
        of the other watched engines, are left out, except those of which ``is_own`` says that they ran on
        this one.
        """
        return queries.load_history(self._database, container_id, other_engines, is_own)

    def containers_of_job(self, job_name: str, instance: str) -> frozenset[str]:
        """Return the ids of the containers that a supervisor made for a job on one host."""
        return queries.containers_of_job(self._database, job_name, instance)

    def engines_of(self, instance: str) -> frozenset[str]:
        """Return the addresses of the engines whose jobs on one host are on record."""
        return queries.engines_of(self._database, instance)

    def has_end_or_container(self, submission_id: str) -> bool:
        """Return whether the end of a submission is on record, or a container that was made for it."""
        return has_end_or_container(self._database, submission_id)

    def open_submissions(self) -> list[Submission]:
        """Return what a supervisor's server last reported of the jobs in runs that had not ended then."""
        return open_submissions(self._database)

    def recorded_since_ns(self) -> int | None:
        """Return since when all exits are on record; None if no engine was ever connected."""
        watched_ns = watched_since_ns(self._database)
        return None if watched_ns is None else max(watched_ns, self.pruned_before_ns)


def _acquire_lock(path: Path) -> IO[str] | None:
    try:
        return lock.acquire(path)
    except lock.InUseError as error:
        cause = "another exporter uses it; only one exporter may use a database"
        raise StoreError(f"{path}: {cause}") from error
    except OSError as error:
        cause = f"cannot be opened: {error.strerror}; remove it, or use another database"
        raise StoreError(f"{lock.lock_path(path)}: {cause}") from error
