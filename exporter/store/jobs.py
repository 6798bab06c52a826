"""What is on record: the queries, and the one writer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import uuid4

from sqlalchemy import and_, delete, false, null, or_, select
from sqlalchemy.dialects.sqlite import insert

from exporter.model import ClassifiedExit, ContainerHistory, Cursor, Job, JobRecord, Status, TelemetrySignal
from exporter.store import rows
from exporter.store.access import Access, upsert
from exporter.store.database import StoreError, locate, open_database
from exporter.store.lock import InUseError, hold
from exporter.store.outbox import Outbox, post
from exporter.store.schema import cursors, identity, jobs, outbox, pruned
from exporter.store.series import Key, load, save

# An engine remembers 256 events, and a run makes two of them at least.
_TOLD_AGAIN = 128


# The ends of a thousand logs are more than a page of jobs should weigh.
_BRIEF = [null().label("log_tail") if column is jobs.c.log_tail else column for column in jobs.c]


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs are wanted; what is None is not asked for. ``since_ns``: running or ended since."""

    status: Status | None = None
    reason: str | None = None
    code: int | None = None
    workload: str | None = None
    since_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction records: all of it or nothing.

    ``values`` are the series' new values (None ends one), ``cursors`` the events up to which the engines are
    on record, ``letters`` the jobs by id of which a collector is to be told, and what.
    """

    begun: Sequence[Job] = ()
    ended: Sequence[ClassifiedExit] = ()
    values: Mapping[Key, float | None] = field(default_factory=dict)
    cursors: Mapping[str, Cursor] = field(default_factory=dict)
    letters: Sequence[tuple[str, TelemetrySignal]] = ()


class Store:
    """Jobs and series in one database. Every method may raise StoreError."""

    def __init__(self, url: str) -> None:
        path = locate(url)
        try:
            self._lock = hold(path)
        except InUseError as error:
            raise StoreError(f"{path}: another exporter uses it; one exporter per database") from error
        try:
            self._access = Access(open_database(url))
        except StoreError:
            self._let_go()
            raise
        self.outbox = Outbox(self._access)
        self._pruned_ns: int = max((row.before_ns for row in self._access.read(select(pruned))), default=0)

    def close(self) -> None:
        """Let go of the database."""
        self._access.close()
        self._let_go()

    def _let_go(self) -> None:
        if self._lock is not None:
            self._lock.close()

    def commit(self, batch: Batch) -> None:
        """Record a batch durably, in one transaction."""
        table = {job.id: rows.running_row(job) for job in batch.begun}
        table |= {judged.exit.job.id: rows.ended_row(judged) for judged in batch.ended}
        positions = [
            {
                "engine": engine,
                "event_ns": cursor.event_ns,
                "floor_ns": cursor.not_before_ns,
                "read_ns": cursor.read_until_ns,
            }
            for engine, cursor in batch.cursors.items()
        ]
        with self._access.writing() as connection:
            upsert(connection, jobs, list(table.values()))
            save(connection, batch.values)
            upsert(connection, cursors, positions)
            post(connection, batch.letters)

    def prune(self, before_ns: int) -> int:
        """Delete jobs that ended before then; the series stay. How many were deleted."""
        is_old = and_(jobs.c.finished_ns < before_ns, jobs.c.status != Status.RUNNING.value)
        # Of a job that is in the outbox, the collector is still to be told.
        forgotten = and_(is_old, jobs.c.id.not_in(select(outbox.c.job_id)))
        with self._access.writing() as connection:
            upsert(connection, pruned, [{"once": 1, "before_ns": max(before_ns, self._pruned_ns)}])
            count = connection.execute(delete(jobs).where(forgotten)).rowcount
        self._pruned_ns = max(before_ns, self._pruned_ns)
        return count

    @property
    def pruned_before_ns(self) -> int:
        """Of what ended before then, there may be no record any more."""
        return self._pruned_ns

    @cached_property
    def instance_id(self) -> str:
        """What tells this exporter from others, whatever it is started as: a UUID that stays."""
        with self._access.writing() as connection:
            own = insert(identity).values(once=1, instance_id=str(uuid4()))
            connection.execute(own.on_conflict_do_nothing())
            return str(connection.execute(select(identity.c.instance_id)).scalar_one())

    def values(self) -> dict[Key, float]:
        """All series, as they were last committed."""
        return load(self._access)

    def running(self) -> list[Job]:
        """The jobs that ran when they were last heard of."""
        return [
            rows.job(row)
            for row in self._access.read(select(jobs).where(jobs.c.status == Status.RUNNING.value))
        ]

    def remembered(self, container_id: str, others: frozenset[str] = frozenset()) -> ContainerHistory | None:
        """What is on record of a container; None where nothing is.

        Hosts made from one image have containers with equal ids: what ran on one of the ``others``, engines
        that are watched by their addresses, was not this one.
        """
        theirs = and_(jobs.c.container_id == container_id, jobs.c.engine.not_in(others))
        newest = select(jobs).where(theirs).order_by(jobs.c.attempt.desc(), jobs.c.began_ns.desc())
        found = self._access.read(newest.limit(_TOLD_AGAIN))
        if not found:
            return None
        # Not when the end was told: what started between the end and its event would pass for counted.
        ends = [row.finished_ns for row in found if row.finished_ns is not None]
        return ContainerHistory(
            attempts=found[0].attempt,
            last_end_ns=max(ends, default=None),
            restarts=found[0].restarts,
            recorded_event_times=frozenset(
                at_ns for row in found for at_ns in rows.recorded_event_times(row)
            ),
            failed_start_ns=rows.failed_start_ns(found[0]),
        )

    def cursors(self) -> dict[str, Cursor]:
        """For each engine, up to where everything is on record."""
        return {
            row.engine: Cursor(row.event_ns, row.floor_ns, row.read_ns)
            for row in self._access.read(select(cursors))
        }

    def jobs(self, wanted: JobFilter, limit: int, before: tuple[int, str] | None = None) -> list[JobRecord]:
        """Jobs, the newest first, without their logs; ``before`` is (began_ns, id) of the last one had."""
        query = select(*_BRIEF).where(*_conditions(wanted))
        if before is not None:
            began_ns, job_id = before
            older = or_(jobs.c.began_ns < began_ns, and_(jobs.c.began_ns == began_ns, jobs.c.id < job_id))
            query = query.where(older)
        newest = query.order_by(jobs.c.began_ns.desc(), jobs.c.id.desc()).limit(limit)
        return [rows.record(row) for row in self._access.read(newest)]

    def job(self, key: str) -> JobRecord | None:
        """One job by its id, or the newest of a container's name, id or beginning of an id."""
        beginning = jobs.c.container_id.startswith(key, autoescape=True)
        for meant in (jobs.c.id == key, jobs.c.name == key, beginning if key else false()):
            found = self._access.read(select(jobs).where(meant).order_by(jobs.c.began_ns.desc()).limit(1))
            if found:
                return rows.record(found[0])
        return None


def _conditions(wanted: JobFilter) -> Iterable[Any]:
    if wanted.status is not None:
        yield jobs.c.status == wanted.status.value
    if wanted.reason is not None:
        yield jobs.c.reason == wanted.reason
    if wanted.code is not None:
        yield jobs.c.code == wanted.code
    if wanted.workload is not None:
        yield jobs.c.workload == wanted.workload
    if wanted.since_ns is not None:
        yield or_(jobs.c.finished_ns >= wanted.since_ns, jobs.c.status == Status.RUNNING.value)
