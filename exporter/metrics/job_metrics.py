"""Metrics of jobs: what a start, an update and an exit add to which series."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache

from exporter.exit_codes import MAX_LINUX_CODE
from exporter.metrics import definitions
from exporter.metrics.labels import (
    ExitLabels,
    HostLabels,
    ImageLabels,
    NotCreatedLabels,
    OrderLabels,
    StatusLabels,
    WorkloadLabels,
)
from exporter.metrics.state import MetricState
from exporter.metrics.update import Exemplar, MetricUpdate
from exporter.metrics.workload_slots import OTHER, WorkloadSlots
from exporter.model import SECOND_NS, ClassifiedExit, Job, SeriesKey, Status, Verdict, Workload
from exporter.verdict.oom_kills import oom_count
from exporter.verdict.terminations import TERMINATIONS
from exporter.workload import WorkloadSource

UNKNOWN_CODE = "unknown"
OTHER_CODE = "other"
OTHER_TERMINATION = "OTHER"
_MAX_CACHED = 1_000


class JobMetrics:
    """Adds the effects of jobs to updates. Workloads above ``max_workloads`` are counted as 'Other'.

    Workloads that have ``stored`` series keep them until another needs their slot and they have had no job
    for ``idle_ns`` (0: never), or since before ``since_ns``.
    """

    def __init__(
        self,
        max_workloads: int,
        is_known: Callable[[int], bool],
        stored: Mapping[SeriesKey, float] | None = None,
        *,
        idle_ns: int = 0,
        since_ns: int = 0,
    ) -> None:
        self._is_known = is_known
        self._slots = WorkloadSlots(
            max_workloads, _last_exits(stored or {}), idle_ns=idle_ns, since_ns=since_ns
        )

    def resume(self, keys: Iterable[SeriesKey], running: Iterable[Job], update: MetricUpdate) -> list[Job]:
        """Count the jobs that run after a restart; every workload with exits gets a number, if only 0.

        Return the jobs with the workloads that they are counted under.
        """
        for name, labels in keys:
            if name == definitions.EXITS.name:
                counted = ExitLabels(*labels)
                update.add(definitions.JOBS_RUNNING, WorkloadLabels(counted.host, counted.workload), 0)
        # First the workloads that have a slot: without its running jobs, one of them could be evicted.
        ordered = sorted(running, key=lambda job: job.workload not in self._slots)
        return [self._resume(job, update) for job in ordered]

    def _resume(self, job: Job, update: MetricUpdate) -> Job:
        workload = self._slots.on_resume(job)
        # Its OOM kills were counted before the restart.
        _count_start(replace(job, oom_kills=()), workload, update)
        return _counted_under(workload, job)

    def on_start(self, job: Job, update: MetricUpdate) -> Job:
        """Count a job that started; return it with the workload that it is counted under while it runs."""
        workload = self._slots.on_start(job)
        _count_start(job, workload, update)
        return _counted_under(workload, job)

    def on_update(self, job: Job, before: Job, update: MetricUpdate) -> None:
        """Count what has happened to a running job since ``before``."""
        more = oom_count(job.oom_kills) - oom_count(before.oom_kills)
        workload = self._slots.claim(job.workload, job.start_event_ns)
        update.add(definitions.OOM_KILLS, _image_labels(job.instance, workload), max(0, more))

    def on_exit(self, classified: ClassifiedExit, update: MetricUpdate, before: Job | None) -> None:
        """Count an exit; ``before`` is the job as it was counted while it ran, if it was."""
        ended, job = classified.exit, classified.exit.job
        if not job.has_container:
            _count_not_created(classified.verdict, update)
            return
        workload = self._slots.claim(job.workload, ended.finished_ns)
        if workload.name == OTHER.name and job.workload.name != OTHER.name:
            update.add(definitions.JOBS_OVER_WORKLOAD_LIMIT)
        update.add(definitions.JOBS_RUNNING, _workload_labels(job.instance, workload), 0)
        if before is not None:
            self._slots.on_exit(before)
            update.add(definitions.JOBS_RUNNING, _workload_labels(before.instance, before.workload), -1)
        labels = _image_labels(job.instance, workload)
        counted = 0 if before is None else oom_count(before.oom_kills)
        # At the end, so that each run is counted once even if its start is seen again.
        update.add(definitions.RESTARTS, labels, int(bool(job.restarts)))
        update.add(definitions.OOM_KILLS, labels, max(0, ended.oom_kills - counted))
        _set_memory_limit(job, workload, update)
        self._count_exit(classified, workload, update)
        _record_times(classified, workload, update)

    def _count_exit(self, classified: ClassifiedExit, workload: Workload, update: MetricUpdate) -> None:
        ended, job = classified.exit, classified.exit.job
        labels = self._exit_labels(job, workload, ended.code, classified.verdict)
        update.add(definitions.EXITS, labels)
        update.set_exemplar(definitions.EXITS, labels, _exemplar(classified, 1))
        if classified.verdict.status is Status.UNKNOWN:
            update.add(definitions.EXITS_UNOBSERVED, HostLabels(job.instance))
        elif ended.recovered:
            update.add(definitions.EXITS_RECOVERED, HostLabels(job.instance))
        if _has_invalid_traceparent(classified):
            update.add(definitions.TRACEPARENTS_IGNORED)

    @property
    def has_evictions(self) -> bool:
        """True if series of evicted workloads are not removed yet."""
        return bool(self._slots.evicted)

    def remove_evicted_series(self, keys: Collection[SeriesKey], update: MetricUpdate) -> None:
        """Remove the series of evicted workloads, out of ``keys`` and of the update's own."""
        evicted, names = self._slots.evicted, self._slots.names
        update.remove(key for key in (*keys, *update.keys) if _belongs_to(key, evicted, names))

    def confirm_evictions(self) -> None:
        """Record that the update of ``remove_evicted_series`` is committed."""
        self._slots.confirm_evictions()

    def _exit_labels(self, job: Job, workload: Workload, code: int | None, verdict: Verdict) -> ExitLabels:
        return ExitLabels(
            host=job.instance,
            workload=workload.name,
            image=workload.image,
            status=str(verdict.status),
            code=self._code_label(code),
            reason=verdict.reason,
        )

    def _code_label(self, code: int | None) -> str:
        if code is None:
            return UNKNOWN_CODE
        # Above Linux's 256 codes, only those of the catalogue are labels: Windows has four billion.
        return str(code) if code <= MAX_LINUX_CODE or self._is_known(code) else OTHER_CODE


def record_workload_order(
    order: str, stored: Mapping[SeriesKey, float], now: float, update: MetricUpdate
) -> None:
    """Record since when workloads are named in this order: ``now`` if another order was recorded, else 0.

    ``now`` is in seconds since 1970. 0 also stands for series of older versions, which recorded no order.
    An order that differs in dstack alone is the same one, since every other container keeps its name.
    """
    known = {
        OrderLabels(*labels): since
        for (name, labels), since in stored.items()
        if name == definitions.WORKLOAD_ORDER.name
    }
    if OrderLabels(order) in known:
        return
    same = [
        since for labels, since in known.items() if _without_dstack(labels.order) == _without_dstack(order)
    ]
    update.set(definitions.WORKLOAD_ORDER, OrderLabels(order), same[0] if same else now if known else 0)
    update.remove((definitions.WORKLOAD_ORDER.name, labels) for labels in known)


def _without_dstack(order: str) -> list[str]:
    return [source for source in order.split(",") if source != WorkloadSource.DSTACK]


def workload_order_since_ns(state: MetricState, order: str) -> int:
    """Return since when workloads are named in this order, in nanoseconds since 1970."""
    return int(state.value(definitions.WORKLOAD_ORDER, OrderLabels(order)) * SECOND_NS)


def _counted_under(workload: Workload, job: Job) -> Job:
    return job if workload == job.workload else replace(job, workload=workload)


def _count_start(job: Job, workload: Workload, update: MetricUpdate) -> None:
    labels = _image_labels(job.instance, workload)
    update.add(definitions.JOBS_RUNNING, _workload_labels(job.instance, workload))
    update.add(definitions.RESTARTS, labels, 0)
    update.add(definitions.OOM_KILLS, labels, oom_count(job.oom_kills))
    _set_memory_limit(job, workload, update)


def _count_not_created(verdict: Verdict, update: MetricUpdate) -> None:
    """Count a job without a container: it is no container's exit, and takes no workload's slot."""
    termination = verdict.termination if verdict.termination in TERMINATIONS else OTHER_TERMINATION
    labels = NotCreatedLabels(verdict.status.value, termination, verdict.reason)
    update.add(definitions.NOT_CREATED, labels)


def _set_memory_limit(job: Job, workload: Workload, update: MetricUpdate) -> None:
    # Without an inspection the limit is not known; the workloads counted as 'Other' have no common limit.
    if job.created_ns is not None and workload.name != OTHER.name:
        labels = _workload_labels(job.instance, workload)
        update.set(definitions.MEMORY_LIMIT, labels, job.memory_limit_bytes or 0)


def _record_times(classified: ClassifiedExit, workload: Workload, update: MetricUpdate) -> None:
    ended, status = classified.exit, classified.verdict.status
    labels = StatusLabels(ended.job.instance, workload.name, str(status))
    update.set_max(definitions.LAST_EXIT, labels, ended.finished_ns / SECOND_NS)
    if ended.job.started_ns is not None and status is not Status.UNKNOWN:
        seconds = max(0, ended.finished_ns - ended.job.started_ns) / SECOND_NS
        update.observe(definitions.RUN_DURATION, labels, seconds, _exemplar(classified, seconds))


# Each exit changes several series with the same labels.
@lru_cache(maxsize=_MAX_CACHED)
def _workload_labels(host: str, workload: Workload) -> WorkloadLabels:
    return WorkloadLabels(host, workload.name)


@lru_cache(maxsize=_MAX_CACHED)
def _image_labels(host: str, workload: Workload) -> ImageLabels:
    return ImageLabels(host, workload.name, workload.image)


def _last_exits(stored: Mapping[SeriesKey, float]) -> dict[Workload, int]:
    """Return the workloads that have series, with the time of their last exit; 0 if it is not stored."""
    last_ns: dict[str, int] = {}
    for (name, labels), value in stored.items():
        if name == definitions.LAST_EXIT.name:
            workload = StatusLabels(*labels).workload
            last_ns[workload] = max(last_ns.get(workload, 0), int(value * SECOND_NS))
    counted = {ExitLabels(*labels) for name, labels in stored if name == definitions.EXITS.name}
    return {Workload(exits.workload, exits.image): last_ns.get(exits.workload, 0) for exits in counted}


def _belongs_to(key: SeriesKey, evicted: Collection[Workload], names: Collection[str]) -> bool:
    """Return whether a series is of evicted workloads only.

    A series without an image is shared by all workloads of its name: it stays if the name is in ``names``.
    """
    metric, values = key
    # A histogram has one value more: the bucket.
    labels = dict(zip(definitions.BY_NAME[metric].labels, values, strict=False))
    workload, image = labels.get("workload"), labels.get("image")
    if workload is None:
        return False
    if image is not None:
        return Workload(workload, image) in evicted
    return workload not in names and any(workload == each.name for each in evicted)


def _exemplar(classified: ClassifiedExit, value: float) -> Exemplar | None:
    trace = classified.trace
    return None if trace is None else Exemplar(trace, value, classified.exit.finished_ns)


def _has_invalid_traceparent(classified: ClassifiedExit) -> bool:
    trace = classified.trace
    return trace is not None and bool(classified.exit.job.traceparent) and trace.parent_span_id is None
