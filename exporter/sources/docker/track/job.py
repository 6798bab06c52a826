"""The job that a run is shown and recorded as."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import replace

from exporter.model import Job, SupervisedJob
from exporter.sources.docker.track.config import TrackerConfig
from exporter.sources.docker.track.run import Run
from exporter.verdict.notes import victim_text
from exporter.verdict.oom_kills import deduplicate

# As OpenTelemetry names it. Every engine here is a Docker Engine, or has its API.
_RUNTIME = "docker"
_KEY_BYTES = 5
_MAX_OOM_NOTES = 10


def make_job(run: Run, config: TrackerConfig) -> Job:
    """Return the job of a run as it is known now, and fix the run's key if it has none."""
    info = run.info
    if run.key is None:
        run.key = job_key(config.identity, info.id, run.start_ns)
    return Job(
        container_id=info.id,
        attempt=run.number,
        name=info.display_name,
        instance=config.host,
        workload=info.workload(config.workload_order),
        image=info.image,
        start_event_ns=run.start_event_ns,
        engine=config.engine,
        created_ns=info.created_ns,
        started_ns=run.started_ns,
        memory_limit_bytes=info.memory_limit_bytes,
        traceparent=info.traceparent,
        key=run.key,
        supervised=_supervised(run),
        runtime=_RUNTIME,
        image_id=info.image_id,
        image_digests=info.image_digests,
        restarts=run.restarts,
        kills=run.kills,
        oom_kills=run.oom_kills,
        notes=tuple(_notes(run)) if run.is_running else (),
    )


def job_key(engine: str, container_id: str, start: int) -> str:
    """Return eight letters and digits that distinguish a run from all others.

    They derive from what every observer of the engine sees alike. ``engine`` is its identity: hosts made from
    one image have containers with equal ids. ``start`` is ``State.StartedAt``, or the number of a failed
    start, whose time a list does not show.
    """
    digest = hashlib.sha256(f"{engine} {container_id} {start}".encode()).digest()
    return base64.b32encode(digest[:_KEY_BYTES]).decode().lower()


def ran_on(job: Job, engine: str) -> bool:
    """Return whether a job's key says that it ran on an engine, at whatever address that was reached then."""
    starts = (job.started_ns, job.start_event_ns, job.attempt)
    return any(
        job.key == job_key(engine, job.container_id, start)
        for start in starts
        if job.key and start is not None
    )


def _supervised(run: Run) -> SupervisedJob | None:
    """Return the job in the container; with its end if it has one, since its log may be gone at the next."""
    supervised, report = run.info.supervised, run.job_report
    if supervised is None or report is None or report.end is None or not run.is_running:
        return supervised
    return replace(supervised, report=report)


def _notes(run: Run) -> Iterator[str]:
    for kill in deduplicate(run.oom_kills)[-_MAX_OOM_NOTES:]:
        text = victim_text(kill.victim) if kill.victim else kill.source.value
        yield f"{text}; the job goes on."
    if run.is_hung:
        yield "It is out of memory and may not be killed for that (--oom-kill-disable): it hangs."
    if run.unhealthy_ns is not None:
        output = f": {run.health_output}" if run.health_output else "."
        yield f"Its health check fails{output}"
