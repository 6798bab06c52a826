"""Jobs on record as running whose engine is no longer reached: nothing will report how they end."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import structlog

from exporter.model import Job
from exporter.sources.source import Records
from exporter.verdict.facts import EndedRun, UnwatchedRun

log = structlog.get_logger(__name__)


def end_unwatched(records: Records, addresses: Collection[str]) -> Iterator[EndedRun]:
    """Yield the ends, which are not known, of the jobs of other engines than these.

    Where an engine has a new address, its list has made its jobs those of that address.
    """
    for job in records.running():
        if job.has_container and job.engine not in addresses:
            yield _end(records, job, "its engine is no longer in the settings")


def end_replaced(records: Records, address: str) -> Iterator[EndedRun]:
    """Yield the ends, which are not known, of the jobs of an engine at whose address another one answers."""
    for job in records.running():
        if job.has_container and job.engine == address:
            yield _end(records, job, "another engine answers at the address of its own")


def _end(records: Records, job: Job, cause: str) -> EndedRun:
    log.warning("job given up", cause=cause, job=job.id, engine=job.engine)
    return EndedRun(job, UnwatchedRun(_last_watched_ns(records, job), job.engine), recovered=True)


def _last_watched_ns(records: Records, job: Job) -> int:
    """Return the last time at which the job is known to have run."""
    cursor = records.cursor(job.engine)
    return job.start_event_ns if cursor is None else max(job.start_event_ns, cursor.latest_ns)
