"""Failed jobs to export, and a store on disk with all of them in its outbox."""

import hashlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path

from exporter.model import ClassifiedExit, OomKill, OomSource, TelemetrySignal
from exporter.otlp.trace_context import span_ids_for
from exporter.store import Batch, Store
from tests.store import samples

DATABASE = "exits.db"
COMMIT_SIZE = 1000
OOM_NS = samples.BEGAN_NS + 89 * samples.SECOND_NS


def failed_jobs(count: int) -> Iterator[ClassifiedExit]:
    """Yield OOM-killed jobs, each of a container of its own; always the same."""
    oom_kills = (OomKill(OomSource.EVENT, OOM_NS),)
    for number in range(count):
        container_id = hashlib.sha256(f"letter {number}".encode()).hexdigest()
        job = samples.job(container_id=container_id, name=f"worker-{number}", oom_kills=oom_kills)
        classified = samples.ended(job, 137, samples.OOM, oom_kills=1)
        yield replace(classified, trace=span_ids_for(job))


def fill_outbox(count: int, directory: Path) -> Path:
    """Create a store with so many of them in its outbox."""
    path = directory / DATABASE
    jobs = failed_jobs(count)
    with closing(Store(path)) as store:
        while ended := list(islice(jobs, COMMIT_SIZE)):
            entries = [(classified.exit.job.id, TelemetrySignal.TRACES) for classified in ended]
            store.commit(Batch(ended=ended, outbox=entries))
    return path
