"""What the API and the page read of the jobs on record."""

from __future__ import annotations

from exporter.model import Job, JobRecord
from exporter.report.exits import ExitCount
from exporter.report.runs import MemoryHistory
from exporter.store import jobs as queries
from exporter.store.changes import JobChange, latest_changes
from exporter.store.database import Database
from exporter.store.exit_counts import count_exits
from exporter.store.job_pages import JobFilter, Position, RecordPage, latest_failures, page_of_jobs
from exporter.store.recent_exits import RecentExits, count_recent_exits
from exporter.store.run_history import memory_histories
from exporter.store.runs import Run, RunsBeside, runs_beside, runs_of_workload
from exporter.store.time_span import TimeSpan


class JobReader:
    """Questions to the jobs on record. Every method may raise StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_jobs(self, job_filter: JobFilter, limit: int, after: Position | None = None) -> RecordPage:
        """Return the next jobs after a position, the newest first, without their log tails.

        A page can have fewer than ``limit`` jobs, or none, and still have a next one.
        """
        return page_of_jobs(self._database, job_filter, limit, after)

    def find_job(self, key: str) -> JobRecord | None:
        """Return a job by its id, or the newest by a container's name, id or start of an id.

        Raises AmbiguousKeyError if several containers' ids begin so.
        """
        return queries.find_job(self._database, key)

    def count_exits(self, span: TimeSpan) -> list[ExitCount]:
        """Return how many jobs ended in a span and the one before, by workload, status, reason and code."""
        return count_exits(self._database, span)

    def memory_histories(self, span: TimeSpan) -> dict[str, MemoryHistory]:
        """Return what runs say about memory, for each workload with OOM kills, or the one asked for."""
        return memory_histories(self._database, span)

    def latest_failures(self, since_ns: int, limit: int) -> list[JobRecord]:
        """Return the failed and unknown jobs that ended since a time, the last one first."""
        return latest_failures(self._database, since_ns, limit)

    def count_recent_exits(self, job_filter: JobFilter, interval_ns: int) -> RecentExits:
        """Count the exits of a filter by status, reason and interval, whatever status and reason it has."""
        return count_recent_exits(self._database, job_filter, interval_ns)

    def runs_of_workload(self, workload: str, limit: int) -> list[Run]:
        """Return the newest runs of a workload, the newest first."""
        return runs_of_workload(self._database, workload, limit)

    def runs_beside(self, job: Job) -> RunsBeside:
        """Return the runs before and after a job, of its container and of its workload."""
        return runs_beside(self._database, job)

    def latest_changes(self, after: int, limit: int) -> list[JobChange]:
        """Return the latest changes of jobs after a number, the oldest first, without log tails.

        A job that changed several times has only its last change. Of more than ``limit``, the oldest are left
        out.
        """
        return latest_changes(self._database, after, limit)
