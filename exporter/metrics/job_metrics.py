"""What jobs do to the series: the labels, what is counted when, and how many workloads there may be."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from exporter.metrics import definitions
from exporter.metrics.state import Exemplar, Key, MetricUpdate
from exporter.metrics.workload_slots import OTHER, Slots
from exporter.model import ClassifiedExit, Job, Status, Verdict, Workload
from exporter.verdict.evidence import oom_count

UNKNOWN_CODE = "unknown"
# Linux has 256 codes, Windows four billion: beyond those of Linux, only known ones are a label.
LAST_LINUX_CODE = 255
OTHER_CODE = "other"


class JobMetrics:
    """Turns jobs into changes of series. Workloads beyond ``max_workloads`` fold into 'Other'.

    The workloads that have series already, from ``kept``, keep them, until they have had no job for
    ``idle_ns`` (0: for ever) or since before ``since_ns``, and another needs their place.
    """

    def __init__(
        self,
        max_workloads: int,
        is_known: Callable[[int], bool],
        kept: Mapping[Key, float] | None = None,
        *,
        idle_ns: int = 0,
        since_ns: int = 0,
    ) -> None:
        self._is_known = is_known
        self._slots = Slots(max_workloads, _used(kept or {}), idle_ns=idle_ns, since_ns=since_ns)

    def resume(self, keys: Iterable[Key], running: Iterable[Job], changes: MetricUpdate) -> list[Job]:
        """After a restart: a workload of which something was counted has jobs running again, if only 0.

        Gives the jobs that run, as ``begun`` does.
        """
        for name, labels in keys:
            if name == definitions.EXITS.name:
                changes.add(definitions.JOBS_RUNNING, labels[:2], 0)
        # Whoever has a slot comes first, lest it looks as if it had no job.
        ordered = sorted(running, key=lambda job: job.workload not in self._slots)
        return [self._resumed(job, changes) for job in ordered]

    def _resumed(self, job: Job, changes: MetricUpdate) -> Job:
        workload = self._slots.resumed(job)
        self._runs(replace(job, oom_kills=()), workload, changes)
        return replace(job, workload=workload)

    def begun(self, job: Job, foreseeable: Iterable[tuple[int, Verdict]], changes: MetricUpdate) -> Job:
        """A job began: it runs, and the ends that are likeliest get their series, at 0.

        Gives the job with the workload that it is counted under, for as long as it runs.
        """
        workload = self._slots.begun(job)
        labels = self._runs(job, workload, changes)
        for code, verdict in foreseeable:
            changes.add(definitions.EXITS, (*labels, *self._outcome(code, verdict)), 0)
        return replace(job, workload=workload)

    def _runs(self, job: Job, workload: Workload, changes: MetricUpdate) -> tuple[str, str, str]:
        labels = _labels(job, workload)
        changes.add(definitions.JOBS_RUNNING, labels[:2])
        changes.add(definitions.RESTARTS, labels, 0)
        changes.add(definitions.OOM_KILLS, labels, oom_count(job.oom_kills))
        self._limit(job, labels, changes)
        return labels

    def went_on(self, job: Job, before: Job, changes: MetricUpdate) -> None:
        """Something has happened in a job that runs."""
        more = oom_count(job.oom_kills) - oom_count(before.oom_kills)
        labels = _labels(job, self._slots.of(job.workload, job.began_ns))
        changes.add(definitions.OOM_KILLS, labels, max(0, more))

    def ended(self, judged: ClassifiedExit, changes: MetricUpdate, before: Job | None) -> None:
        """A job ended; ``before`` is how it was counted while it ran, if it was."""
        ended, status = judged.exit, judged.verdict.status
        labels = _labels(ended.job, self._slots.of(ended.job.workload, ended.finished_ns))
        host, workload, _image = labels
        if workload == OTHER.name != ended.job.workload.name:
            changes.add(definitions.JOBS_OVER_WORKLOAD_LIMIT)
        changes.add(definitions.JOBS_RUNNING, (host, workload), 0)
        if before is not None:
            self._slots.over(before)
            changes.add(definitions.JOBS_RUNNING, (before.instance, before.workload.name), -1)
        # Only now, since now is said once of each run, whatever is restarted meanwhile.
        changes.add(definitions.RESTARTS, labels, int(bool(ended.job.restarts)))
        series = (*labels, *self._outcome(ended.code, judged.verdict))
        changes.add(definitions.EXITS, series)
        changes.set_exemplar(definitions.EXITS, series, _exemplar(judged, 1))
        if _is_ignored(judged):
            changes.add(definitions.TRACEPARENTS_IGNORED)
        counted = 0 if before is None else oom_count(before.oom_kills)
        changes.add(definitions.OOM_KILLS, labels, max(0, ended.oom_kills - counted))
        self._limit(ended.job, labels, changes)
        changes.set_max(definitions.LAST_EXIT, (host, workload, status.value), ended.finished_ns / 10**9)
        if ended.job.started_ns is not None and status is not Status.UNKNOWN:
            seconds = max(0, ended.finished_ns - ended.job.started_ns) / 10**9
            duration = (host, workload, status.value)
            changes.observe(definitions.RUN_DURATION, duration, seconds, _exemplar(judged, seconds))
        if status is Status.UNKNOWN:
            changes.add(definitions.EXITS_UNOBSERVED, (host,))
        elif ended.recovered:
            changes.add(definitions.EXITS_RECOVERED, (host,))

    @property
    def gives_up(self) -> bool:
        """Whether there are series to be ended, by ``give_up``."""
        return bool(self._slots.given_up)

    def give_up(self, keys: Collection[Key], changes: MetricUpdate) -> None:
        """End those series, of ``keys`` and of ``changes``, whose workloads have given up their slots."""
        gone, names = self._slots.given_up, self._slots.names
        changes.end(key for key in (*keys, *changes.keys) if _is_of(key, gone, names))

    def gave_up(self) -> None:
        """What ``give_up`` has ended is ended on record too."""
        self._slots.settled()

    def _limit(self, job: Job, labels: tuple[str, str, str], changes: MetricUpdate) -> None:
        """Say what memory the workload may take, unless nobody has asked the engine about this job."""
        host, workload, _image = labels
        # What is folded together has no limit in common.
        if job.created_ns is not None and workload != OTHER.name:
            changes.set(definitions.MEMORY_LIMIT, (host, workload), job.memory_limit_bytes or 0)

    def _outcome(self, code: int | None, verdict: Verdict) -> tuple[str, str, str]:
        return (verdict.status.value, self._code_label(code), verdict.reason)

    def _code_label(self, code: int | None) -> str:
        if code is None:
            return UNKNOWN_CODE
        return str(code) if code <= LAST_LINUX_CODE or self._is_known(code) else OTHER_CODE


def note_order(order: str, kept: Iterable[Key], now: float, changes: MetricUpdate) -> None:
    """Note since when workloads are named in this order: from now on, if they were named in another before.

    0 where nothing is noted yet: what an older version has counted is taken to be named so.
    """
    known = {labels[0] for name, labels in kept if name == definitions.WORKLOAD_ORDER.name}
    if order in known:
        return
    changes.set(definitions.WORKLOAD_ORDER, (order,), now if known else 0)
    changes.end((definitions.WORKLOAD_ORDER.name, (other,)) for other in known)


def _labels(job: Job, workload: Workload) -> tuple[str, str, str]:
    return (job.instance, workload.name, workload.image)


def _used(kept: Mapping[Key, float]) -> dict[Workload, int]:
    """The workloads that have series, and when their last job ended; 0 where that was not noted."""
    last_ns: dict[str, int] = {}
    for (name, labels), value in kept.items():
        if name == definitions.LAST_EXIT.name:
            last_ns[labels[1]] = max(last_ns.get(labels[1], 0), int(value * 10**9))
    workloads = {Workload(labels[1], labels[2]) for name, labels in kept if name == definitions.EXITS.name}
    return {workload: last_ns.get(workload.name, 0) for workload in workloads}


def _is_of(key: Key, gone: Collection[Workload], names: Collection[str]) -> bool:
    """Whether a series is of these alone: one without an image is also of others with one of ``names``."""
    metric, labels = definitions.BY_NAME[key[0]], key[1]
    if metric.labels[:2] != definitions.BY_WORKLOAD:
        return False
    if metric.labels[:3] == (*definitions.BY_WORKLOAD, "image"):
        return Workload(labels[1], labels[2]) in gone
    return labels[1] not in names and any(labels[1] == workload.name for workload in gone)


def _exemplar(judged: ClassifiedExit, value: float) -> Exemplar | None:
    return None if judged.trace is None else Exemplar(judged.trace, value, judged.exit.finished_ns)


def _is_ignored(judged: ClassifiedExit) -> bool:
    """Whether a label names a parent, and nobody can tell which."""
    trace = judged.trace
    return trace is not None and bool(judged.exit.job.traceparent) and trace.parent_span_id is None
