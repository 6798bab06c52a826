"""What jobs do to the series: the labels, what is counted when, and how many workloads there may be."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from exporter.evidence import oom_count
from exporter.model import Job, JudgedExit, Status, Verdict, Workload
from exporter.telemetry import catalogue
from exporter.telemetry.ledger import Changes, Exemplar, Key

OTHER = Workload("Other", "Other")
UNKNOWN_CODE = "unknown"
# Linux has 256 codes, Windows four billion: beyond those of Linux, only known ones are a label.
LAST_LINUX_CODE = 255
OTHER_CODE = "other"


class Accounts:
    """Turns jobs into changes of series. Workloads beyond ``max_workloads`` fold into 'Other'.

    The workloads that have series already, from ``keys``, keep them.
    """

    def __init__(self, max_workloads: int, is_known: Callable[[int], bool], keys: Iterable[Key] = ()) -> None:
        self._max = max_workloads + 1  # and OTHER
        self._is_known = is_known
        self._workloads = {
            OTHER,
            *(Workload(labels[1], labels[2]) for name, labels in keys if name == catalogue.EXITS.name),
        }

    def resume(self, keys: Iterable[Key], changes: Changes) -> None:
        """After a restart: a workload of which something was counted has jobs running again, if only 0."""
        for name, labels in keys:
            if name == catalogue.EXITS.name:
                changes.add(catalogue.JOBS_RUNNING, labels[:2], 0)

    def begun(self, job: Job, foreseeable: Iterable[tuple[int, Verdict]], changes: Changes) -> None:
        """A job began: it runs, and the ends that are likeliest get their series, at 0."""
        labels = self._labels(job)
        changes.add(catalogue.JOBS_RUNNING, labels[:2])
        changes.add(catalogue.OOM_KILLS, labels, oom_count(job.oom_kills))
        self._limit(job, labels, changes)
        for code, verdict in foreseeable:
            changes.add(catalogue.EXITS, (*labels, *self._outcome(code, verdict)), 0)

    def went_on(self, job: Job, before: Job, changes: Changes) -> None:
        """Something has happened in a job that runs."""
        more = oom_count(job.oom_kills) - oom_count(before.oom_kills)
        changes.add(catalogue.OOM_KILLS, self._labels(job), max(0, more))

    def ended(self, judged: JudgedExit, changes: Changes, before: Job | None) -> None:
        """A job ended; ``before`` is how it was counted while it ran, if it was."""
        ended, status = judged.exit, judged.verdict.status
        labels = self._labels(ended.job)
        host, workload, _image = labels
        if workload == OTHER.name != ended.job.workload.name:
            changes.add(catalogue.WORKLOADS_FOLDED)
        changes.add(catalogue.JOBS_RUNNING, (host, workload), 0)
        if before is not None:
            changes.add(catalogue.JOBS_RUNNING, self._labels(before)[:2], -1)
        series = (*labels, *self._outcome(ended.code, judged.verdict))
        changes.add(catalogue.EXITS, series)
        changes.exemplify(catalogue.EXITS, series, _exemplar(judged, 1))
        if _is_ignored(judged):
            changes.add(catalogue.TRACEPARENTS_IGNORED)
        counted = 0 if before is None else oom_count(before.oom_kills)
        changes.add(catalogue.OOM_KILLS, labels, max(0, ended.oom_kills - counted))
        self._limit(ended.job, labels, changes)
        changes.raise_to(catalogue.LAST_EXIT, (host, workload, status.value), ended.finished_ns / 10**9)
        if ended.job.started_ns is not None and status is not Status.UNKNOWN:
            seconds = max(0, ended.finished_ns - ended.job.started_ns) / 10**9
            duration = (host, workload, status.value)
            changes.observe(catalogue.RUN_DURATION, duration, seconds, _exemplar(judged, seconds))
        if status is Status.UNKNOWN:
            changes.add(catalogue.EXITS_UNOBSERVED, (host,))
        elif ended.recovered:
            changes.add(catalogue.EXITS_RECOVERED, (host,))

    def _limit(self, job: Job, labels: tuple[str, str, str], changes: Changes) -> None:
        """Say what memory the workload may take, unless nobody has asked the engine about this job."""
        host, workload, _image = labels
        # What is folded together has no limit in common.
        if job.created_ns is not None and workload != OTHER.name:
            changes.set(catalogue.MEMORY_LIMIT, (host, workload), job.memory_limit_bytes or 0)

    def _labels(self, job: Job) -> tuple[str, str, str]:
        workload = job.workload
        if workload not in self._workloads and len(self._workloads) >= self._max:
            workload = OTHER
        self._workloads.add(workload)
        return (job.instance, workload.name, workload.image)

    def _outcome(self, code: int | None, verdict: Verdict) -> tuple[str, str, str]:
        return (verdict.status.value, self._code_label(code), verdict.reason)

    def _code_label(self, code: int | None) -> str:
        if code is None:
            return UNKNOWN_CODE
        return str(code) if code <= LAST_LINUX_CODE or self._is_known(code) else OTHER_CODE


def _exemplar(judged: JudgedExit, value: float) -> Exemplar | None:
    return None if judged.trace is None else Exemplar(judged.trace, value, judged.exit.finished_ns)


def _is_ignored(judged: JudgedExit) -> bool:
    """Whether a label names a parent, and nobody can tell which."""
    trace = judged.trace
    return trace is not None and bool(judged.exit.job.traceparent) and trace.parent_span_id is None
