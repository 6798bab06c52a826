"""State of one engine's containers that all parts of a tracker share."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from exporter.model import OVERLAP_NS, SECOND_NS, Cursor, Job
from exporter.sources.docker.track.checkpoint import Checkpoint
from exporter.sources.docker.track.config import TrackerConfig
from exporter.sources.docker.track.container import Container
from exporter.sources.docker.track.containers import Containers, LoadHistory, LoadSubmissions
from exporter.sources.docker.track.job import make_job
from exporter.sources.docker.track.run import Run
from exporter.verdict.facts import EndedRun, KernelOomKill, SupervisedRun

# Requests to stop within this time are one act, as when an engine is stopped.
_STOPPED_TOGETHER_NS = SECOND_NS
_MAX_RECENT_STOPS = 1_000
# Of more jobs, the submissions are read from the record again.
_MAX_SUBMITTED_JOBS = 1_000


class EngineState:
    """Containers, checkpoint, and the outcomes that were not drained yet."""

    def __init__(
        self,
        config: TrackerConfig,
        load_history: LoadHistory,
        cursor: Cursor | None,
        load_containers_of_job: LoadSubmissions,
    ) -> None:
        self.config = config
        self.containers = Containers(load_history)
        self.checkpoint = Checkpoint(cursor)
        self._recent_stops: deque[tuple[str, int]] = deque(maxlen=_MAX_RECENT_STOPS)
        # The last of each container from before the kernel was polled, for the list that comes next.
        self.earlier_oom_kills: dict[str, KernelOomKill] = {}
        self._ended: list[EndedRun] = []
        # In order; a job is made of each when it is drained, not with each event that updates it.
        self._updated: dict[Run, None] = {}
        self._load_containers_of_job = load_containers_of_job
        self._submissions: dict[str, set[str]] = {}

    def pruned_before_ns(self, now_ns: int) -> int:
        """Return the time before which records may have been deleted of what ended by ``now_ns``.

        A mark that the engine's clock has not reached was made before that was set back, or by one that was
        ahead: then only what is on record may have been deleted.
        """
        mark_ns = self.config.pruning_mark_ns()
        return mark_ns if mark_ns <= now_ns else min(mark_ns, self.config.recorded_until_ns)

    def drain(self) -> list[Job | EndedRun]:
        """Return jobs that started or changed since the last call, then runs that ended.

        Of a run that was handed over as ended meanwhile, only its end is returned.
        """
        jobs = [make_job(run, self.config) for run in self._updated if not run.is_finished]
        ended, self._ended = self._ended, []
        self._updated.clear()
        return [*jobs, *ended]

    def emit_started(self, run: Run | None) -> None:
        """Emit the job of a run that goes on, once."""
        if run is not None and not run.is_emitted:
            run.is_emitted = True
            self.emit_update(run)

    def emit_update(self, run: Run) -> None:
        """Emit the job of a run again, if it goes on and was emitted before."""
        if run.is_running and run.is_emitted:
            self.checkpoint.close(run.info.id)
            self._updated[run] = None

    def emit_ended(self, ended: EndedRun) -> None:
        """Emit a run that has ended, or a start that has failed."""
        self._ended.append(ended)
        supervised = ended.job.supervised
        if supervised is not None and isinstance(ended.facts, SupervisedRun) and ended.facts.is_final:
            # The next container of this name is for a new run, and no further try.
            self._submissions[supervised.job_name] = set()

    def discard_if_done(self, container: Container) -> None:
        """Forget a container that was removed, once nothing about it is outstanding."""
        if container.is_done:
            self.containers.discard(container)
            self.checkpoint.close(container.id)

    def earlier_submissions(self, container: Container) -> int:
        """Return how many containers a supervisor made for the same job before this one, in vain."""
        supervised = container.info.supervised
        if supervised is None or not supervised.job_name:
            return 0
        name = supervised.job_name
        known = self._submissions.pop(name, None)
        if known is None:
            known = set(self._load_containers_of_job(name))
        while len(self._submissions) >= _MAX_SUBMITTED_JOBS:
            del self._submissions[next(iter(self._submissions))]
        self._submissions[name] = known | {container.id}
        return len(known - {container.id})

    def stop_requested(self, container: Container, at_ns: int) -> None:
        """Record a request to stop a container."""
        self._recent_stops.append((container.id, at_ns))

    def stopped_together(self, run: Run) -> int:
        """Return how many containers were asked to stop at the same time as this run.

        0 unless the request was to all that ran, this one included.
        """
        asked_ns = max((kill.at_ns for kill in run.kills), default=None)
        if asked_ns is None:
            return 0
        asked = set(self._asked_at(asked_ns))
        if run.info.id not in asked:
            return 0
        # Those that run are among the newest.
        all_asked = all(each.run is None or each.id in asked for each in reversed(self.containers))
        return len(asked) if all_asked else 0

    def _asked_at(self, at_ns: int) -> Iterator[str]:
        """Yield the ids of the containers that were asked to stop at that time."""
        for container_id, asked_ns in reversed(self._recent_stops):
            if abs(asked_ns - at_ns) <= _STOPPED_TOGETHER_NS:
                yield container_id
            elif asked_ns < at_ns - _STOPPED_TOGETHER_NS - OVERLAP_NS:
                return
