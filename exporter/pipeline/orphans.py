"""Jobs on record as running whose engine is no longer watched: nothing will report how they end."""

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
            log.warning(
                "job given up: its engine is no longer in the settings", job=job.id, engine=job.engine
            )
            yield EndedRun(job, UnwatchedRun(_last_watched_ns(records, job), job.engine), recovered=True)


def _last_watched_ns(records: Records, job: Job) -> int:
    """Return the last time at which the job is known to have run."""
    cursor = records.cursor(job.engine)
    return job.start_event_ns if cursor is None else max(job.start_event_ns, cursor.latest_ns)
