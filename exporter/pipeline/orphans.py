"""Jobs on record as running whose engine is no longer watched: nothing will report how they end."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import structlog

from exporter.model import Job
from exporter.sources.source import Records
from exporter.verdict.facts import EndedRun, UnwatchedRun

log = structlog.get_logger(__name__)


def end_unwatched(records: Records, addresses: Collection[str], hosts: Collection[str]) -> Iterator[EndedRun]:
    """Yield the ends, which are not known, of the jobs of other engines on other hosts than these.

    An engine on one of these hosts has a new address, and its jobs go on.
    """
    for job in records.running():
        if job.has_container and job.engine not in addresses and job.instance not in hosts:
            log.warning(
                "job given up: its engine is no longer in the settings", job=job.id, engine=job.engine
            )
            yield EndedRun(job, UnwatchedRun(_last_watched_ns(records, job), job.engine), recovered=True)


def _last_watched_ns(records: Records, job: Job) -> int:
    """Return the last time at which the job is known to have run."""
    cursor = records.cursor(job.engine)
    return job.start_event_ns if cursor is None else max(job.start_event_ns, cursor.latest_ns)
