"""What jobs do to the series: the labels, what is counted when, and how many workloads there may be."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from exporter.exit_codes import MAX_LINUX_CODE
from exporter.metrics import definitions
from exporter.metrics.labels import (
    ExitLabels,
    HostLabels,
    ImageLabels,
    OrderLabels,
    StatusLabels,
    WorkloadLabels,
)
from exporter.metrics.state import Exemplar, Key, MetricState, MetricUpdate
from exporter.metrics.workload_slots import OTHER, WorkloadSlots
from exporter.model import SECOND_NS, ClassifiedExit, Job, Status, Verdict, Workload
from exporter.verdict.evidence import oom_count

UNKNOWN_CODE = "unknown"
# Linux has 256 codes, Windows four billion: beyond those of Linux, only known ones are a label.
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
        self._slots = WorkloadSlots(max_workloads, _used(kept or {}), idle_ns=idle_ns, since_ns=since_ns)

    def resume(self, keys: Iterable[Key], running: Iterable[Job], changes: MetricUpdate) -> list[Job]:
        """After a restart: a workload of which something was counted has jobs running again, if only 0.

        Gives the jobs that run, as ``begun`` does.
        """
        for name, labels in keys:
            if name == definitions.EXITS.name:
                counted = ExitLabels(*labels)
                changes.add(definitions.JOBS_RUNNING, WorkloadLabels(counted.host, counted.workload), 0)
        # Whoever has a slot comes first, lest it looks as if it had no job.
        ordered = sorted(running, key=lambda job: job.workload not in self._slots)
        return [self._resumed(job, changes) for job in ordered]

    def _resumed(self, job: Job, changes: MetricUpdate) -> Job:
        workload = self._slots.resumed(job)
        self._runs(replace(job, oom_kills=()), workload, changes)
        return replace(job, workload=workload)

    def on_start(self, job: Job, foreseeable: Iterable[tuple[int, Verdict]], changes: MetricUpdate) -> Job:
        """A job began: it runs, and the ends that are likeliest get their series, at 0.

        Gives the job with the workload that it is counted under, for as long as it runs.
        """
        workload = self._slots.begun(job)
        self._runs(job, workload, changes)
        for code, verdict in foreseeable:
            changes.add(definitions.EXITS, self._exit_labels(job, workload, code, verdict), 0)
        return replace(job, workload=workload)

    def _runs(self, job: Job, workload: Workload, changes: MetricUpdate) -> None:
        by_image = _image_labels(job, workload)
        changes.add(definitions.JOBS_RUNNING, _workload_labels(job, workload))
        changes.add(definitions.RESTARTS, by_image, 0)
        changes.add(definitions.OOM_KILLS, by_image, oom_count(job.oom_kills))
        _set_memory_limit(job, workload, changes)

    def on_update(self, job: Job, before: Job, changes: MetricUpdate) -> None:
        """Something has happened in a job that runs."""
        more = oom_count(job.oom_kills) - oom_count(before.oom_kills)
        workload = self._slots.of(job.workload, job.began_ns)
        changes.add(definitions.OOM_KILLS, _image_labels(job, workload), max(0, more))

    def on_exit(self, judged: ClassifiedExit, changes: MetricUpdate, before: Job | None) -> None:
        """A job ended; ``before`` is how it was counted while it ran, if it was."""
        ended, job = judged.exit, judged.exit.job
        workload = self._slots.of(job.workload, ended.finished_ns)
        if workload.name == OTHER.name and job.workload.name != OTHER.name:
            changes.add(definitions.JOBS_OVER_WORKLOAD_LIMIT)
        changes.add(definitions.JOBS_RUNNING, _workload_labels(job, workload), 0)
        if before is not None:
            self._slots.over(before)
            changes.add(definitions.JOBS_RUNNING, _workload_labels(before, before.workload), -1)
        by_image = _image_labels(job, workload)
        # Once for each run, at its end: until then the engine's number may still rise.
        changes.add(definitions.RESTARTS, by_image, int(bool(job.restarts)))
        counted = 0 if before is None else oom_count(before.oom_kills)
        changes.add(definitions.OOM_KILLS, by_image, max(0, ended.oom_kills - counted))
        _set_memory_limit(job, workload, changes)
        self._count_exit(judged, workload, changes)
        _time_exit(judged, workload, changes)
        if _has_invalid_traceparent(judged):
            changes.add(definitions.TRACEPARENTS_IGNORED)
        if judged.verdict.status is Status.UNKNOWN:
            changes.add(definitions.EXITS_UNOBSERVED, HostLabels(job.instance))
        elif ended.recovered:
            changes.add(definitions.EXITS_RECOVERED, HostLabels(job.instance))

    def _count_exit(self, judged: ClassifiedExit, workload: Workload, changes: MetricUpdate) -> None:
        labels = self._exit_labels(judged.exit.job, workload, judged.exit.code, judged.verdict)
        changes.add(definitions.EXITS, labels)
        changes.set_exemplar(definitions.EXITS, labels, _exemplar(judged, 1))

    @property
    def has_released_slots(self) -> bool:
        """Whether there are series to be ended, by ``give_up``."""
        return bool(self._slots.given_up)

    def remove_released_series(self, keys: Collection[Key], changes: MetricUpdate) -> None:
        """End those series, of ``keys`` and of ``changes``, whose workloads have given up their slots."""
        gone, names = self._slots.given_up, self._slots.names
        changes.end(key for key in (*keys, *changes.keys) if _is_of(key, gone, names))

    def confirm_released_slots(self) -> None:
        """What ``give_up`` has ended is ended on record too."""
        self._slots.settled()

    def _exit_labels(self, job: Job, workload: Workload, code: int | None, verdict: Verdict) -> ExitLabels:
        return ExitLabels(
            job.instance,
            workload.name,
            workload.image,
            verdict.status.value,
            self._code_label(code),
            verdict.reason,
        )

    def _code_label(self, code: int | None) -> str:
        if code is None:
            return UNKNOWN_CODE
        return str(code) if code <= MAX_LINUX_CODE or self._is_known(code) else OTHER_CODE


def record_workload_order(order: str, kept: Iterable[Key], now: float, changes: MetricUpdate) -> None:
    """Note since when workloads are named in this order: from now on, if they were named in another before.

    0 where nothing is noted yet: what an older version has counted is taken to be named so.
    """
    known = {OrderLabels(*labels) for name, labels in kept if name == definitions.WORKLOAD_ORDER.name}
    if OrderLabels(order) in known:
        return
    changes.set(definitions.WORKLOAD_ORDER, OrderLabels(order), now if known else 0)
    changes.end((definitions.WORKLOAD_ORDER.name, labels) for labels in known)


def workload_order_since_ns(state: MetricState, order: str) -> int:
    """Return since when workloads are named in this order, in nanoseconds since 1970."""
    return int(state.value(definitions.WORKLOAD_ORDER, OrderLabels(order)) * SECOND_NS)


def _workload_labels(job: Job, workload: Workload) -> WorkloadLabels:
    return WorkloadLabels(job.instance, workload.name)


def _image_labels(job: Job, workload: Workload) -> ImageLabels:
    return ImageLabels(job.instance, workload.name, workload.image)


def _set_memory_limit(job: Job, workload: Workload, changes: MetricUpdate) -> None:
    """Set the workload's memory limit, unless this job has not been inspected."""
    # Jobs that are folded together have no limit in common.
    if job.created_ns is not None and workload.name != OTHER.name:
        changes.set(definitions.MEMORY_LIMIT, _workload_labels(job, workload), job.memory_limit_bytes or 0)


def _time_exit(judged: ClassifiedExit, workload: Workload, changes: MetricUpdate) -> None:
    """Record when the job ended and how long it ran."""
    ended, status = judged.exit, judged.verdict.status
    labels = StatusLabels(ended.job.instance, workload.name, status.value)
    changes.set_max(definitions.LAST_EXIT, labels, ended.finished_ns / SECOND_NS)
    if ended.job.started_ns is not None and status is not Status.UNKNOWN:
        seconds = max(0, ended.finished_ns - ended.job.started_ns) / SECOND_NS
        changes.observe(definitions.RUN_DURATION, labels, seconds, _exemplar(judged, seconds))


def _used(kept: Mapping[Key, float]) -> dict[Workload, int]:
    """The workloads that have series, and when their last job ended; 0 where that was not noted."""
    last_ns: dict[str, int] = {}
    for (name, labels), value in kept.items():
        if name == definitions.LAST_EXIT.name:
            workload = StatusLabels(*labels).workload
            last_ns[workload] = max(last_ns.get(workload, 0), int(value * SECOND_NS))
    counted = {ExitLabels(*labels) for name, labels in kept if name == definitions.EXITS.name}
    return {Workload(exits.workload, exits.image): last_ns.get(exits.workload, 0) for exits in counted}


def _is_of(key: Key, gone: Collection[Workload], names: Collection[str]) -> bool:
    """Whether a series is of these alone: one without an image is also of others with one of ``names``."""
    metric, values = key
    # Bucket indexes of a histogram follow the labels.
    labels = dict(zip(definitions.BY_NAME[metric].labels, values, strict=False))
    workload, image = labels.get("workload"), labels.get("image")
    if workload is None:
        return False
    if image is not None:
        return Workload(workload, image) in gone
    return workload not in names and any(workload == each.name for each in gone)


def _exemplar(judged: ClassifiedExit, value: float) -> Exemplar | None:
    return None if judged.trace is None else Exemplar(judged.trace, value, judged.exit.finished_ns)


def _has_invalid_traceparent(judged: ClassifiedExit) -> bool:
    trace = judged.trace
    return trace is not None and bool(judged.exit.job.traceparent) and trace.parent_span_id is None
