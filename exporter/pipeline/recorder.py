"""Recording: what is pending goes into one transaction, and is visible only once that is committed.

A batch that the store refuses is kept and tried again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from exporter.metrics import exporter_metrics
from exporter.metrics.exporter_metrics import OtlpJobCounts
from exporter.metrics.job_metrics import JobMetrics
from exporter.metrics.state import MetricState
from exporter.metrics.update import MetricUpdate
from exporter.model import ClassifiedExit, Cursor, Job, SeriesKey, Status, Submission, TelemetrySignal
from exporter.pipeline.classifier import Classifier
from exporter.pipeline.readiness import Readiness
from exporter.sources.source import Recorded
from exporter.store import Batch, Store, StoreError

log = structlog.get_logger(__name__)

RETRY_SECONDS = 1.0
# A single exit is committed at once; exits that come within this time after a commit share the next one.
COMMIT_SECONDS = 0.02
# After a commit of so many exits, the next one is made later, unless none comes for COMMIT_SECONDS: for each
# of many exits at once, a large batch takes SQLite half the time, and nobody waits for one of them alone.
FLOOD_EXITS = 20
FLOOD_COMMIT_SECONDS = 0.1
# How often the positions of sources are recorded while there is nothing else to record.
CURSOR_SECONDS = 10.0
# Exits whose rows are kept while the store is away; beyond, the older half of them is dropped.
MAX_PENDING = 10_000
MAX_PENDING_LOGS = 1_000
STORE = "store"


@dataclass(slots=True)
class _Pending:
    """Jobs and exits that are not on record yet."""

    begun: dict[str, Job] = field(default_factory=dict)
    ended: list[ClassifiedExit] = field(default_factory=list)
    submissions: dict[str, Submission] = field(default_factory=dict)
    # Effect on the series of the exits whose rows were dropped.
    counted: MetricUpdate = field(default_factory=MetricUpdate)

    def __bool__(self) -> bool:
        return bool(self.begun or self.ended or self.submissions or self.counted)

    def batch(
        self,
        series: Mapping[SeriesKey, float | None],
        cursors: Mapping[str, Cursor],
        outbox: Sequence[tuple[str, TelemetrySignal]],
    ) -> Batch:
        """Return all of it, with what is recorded in the same transaction."""
        submissions = tuple(self.submissions.values())
        return Batch(tuple(self.begun.values()), self.ended, series, cursors, outbox, submissions)


class Recorder:
    """Collects jobs and exits, and commits them together with what they do to the series."""

    def __init__(
        self,
        store: Store,
        state: MetricState,
        job_metrics: JobMetrics,
        classifier: Classifier,
        readiness: Readiness,
    ) -> None:
        self._store = store
        self._state = state
        self._job_metrics = job_metrics
        self._classifier = classifier
        self._readiness = readiness
        self._pending = _Pending()
        # As they are counted.
        self._running: dict[str, Job] = {}
        self._cursors: dict[str, Cursor] = {}
        self._commit_at = 0.0
        self._flood_until = 0.0
        self._added_at = 0.0
        self._cursors_at = 0.0
        self._logged_causes: set[str] = set()
        self._enqueued: Callable[[], None] = lambda: None
        self._committed: Callable[[], None] = lambda: None

    def on_enqueued(self, notify: Callable[[], None]) -> None:
        """Call ``notify`` after each commit that puts jobs into the outbox."""
        self._enqueued = notify

    def on_committed(self, notify: Callable[[], None]) -> None:
        """Call ``notify`` after each commit of jobs, in the pipeline's thread: it must return at once."""
        self._committed = notify

    def resume(self) -> None:
        """Count the jobs that are on record as running. Raises StoreError."""
        changes = MetricUpdate()
        self._cursors.update(self._store.cursors())
        running = self._job_metrics.resume(self._state.snapshot(), self._store.running_jobs(), changes)
        self._running = {job.id: job for job in running}
        self._state.apply(changes)

    @property
    def pending_exits(self) -> int:
        """Number of exits that are not on record yet."""
        return len(self._pending.ended)

    @property
    def has_pending(self) -> bool:
        """True if anything but positions is not on record yet."""
        return bool(self._pending)

    @property
    def next_due(self) -> float | None:
        """Time of the next commit; None while nothing is pending."""
        return self._due_at if self._pending else None

    @property
    def _due_at(self) -> float:
        return max(self._commit_at, min(self._flood_until, self._added_at + COMMIT_SECONDS))

    def is_due(self, now: float) -> bool:
        """Return whether it is time to commit what is pending or to be shown, or else the positions."""
        is_waiting = self._pending or self._state.due() or self._state.scrapers.interval_to_store()
        return now >= (self._due_at if is_waiting else self._cursors_at)

    def add(self, outcome: Recorded) -> None:
        """Take in a job that started or changed, a run that ended, or what a supervisor's server reports."""
        self._added_at = time.monotonic()
        match outcome:
            case Job():
                self._pending.begun[outcome.id] = outcome
            case Submission():
                self._pending.submissions[outcome.id] = outcome
            case _:
                self._pending.ended.append(self._without_log(self._classifier.classify(outcome)))

    def _without_log(self, classified: ClassifiedExit) -> ClassifiedExit:
        """Drop the log of a job that did not fail, or any while too many exits are pending."""
        is_failed = classified.verdict.status is Status.FAILED
        if classified.exit.log_tail is None or (is_failed and self.pending_exits < MAX_PENDING_LOGS):
            return classified
        return replace(classified, exit=replace(classified.exit, log_tail=None))

    def commit(self, cursors: Mapping[str, Cursor], *, always: bool = False) -> None:
        """Record what is pending and the positions that moved, in one transaction, then make it visible.

        With ``always``, also if there is nothing but values of series that are visible already.
        """
        pending, moved = self._pending, self._moved(cursors)
        due, interval = self._state.due(), self._state.scrapers.interval_to_store()
        if not (pending or moved or due or interval or always or self._state.has_uncommitted):
            return
        changes, counted = self._count(pending)
        entries = self._classifier.outbox_entries(pending.ended)
        # Before the commit, since an entry on record may be sent before this thread goes on.
        self._count_enqueued(entries, 1)
        values = self._state.values_to_store(changes, due)
        shown = self._state.shown_to_store(changes, values, due)
        batch = replace(pending.batch(values, moved, entries), shown=shown, scrape_interval=interval)
        started = time.perf_counter()
        try:
            self._store.commit(batch)
        except StoreError as error:
            self._count_enqueued(entries, -1)
            self.on_store_error(error)
            return
        exporter_metrics.observe_store_commit(changes, time.perf_counter() - started)
        exporter_metrics.set_exits_pending(changes, 0)
        self._state.apply_committed(changes, values, due)
        if interval:
            self._state.scrapers.on_interval_stored(interval)
        self._job_metrics.confirm_evictions()
        self._set_running(counted)
        self._pending = _Pending()
        self._cursors |= moved
        now, is_flood = time.monotonic(), len(pending.ended) >= FLOOD_EXITS
        self._commit_at = now + COMMIT_SECONDS
        self._flood_until = now + FLOOD_COMMIT_SECONDS if is_flood else now
        self._cursors_at = now + CURSOR_SECONDS
        self._on_store_works()
        if entries:
            self._enqueued()
        if pending:
            self._committed()

    def _moved(self, cursors: Mapping[str, Cursor]) -> dict[str, Cursor]:
        return {
            address: cursor for address, cursor in cursors.items() if cursor != self._cursors.get(address)
        }

    def _count(self, pending: _Pending) -> tuple[MetricUpdate, dict[str, Job | None]]:
        """Return what a batch does to the series, and its jobs as they are counted; None: it has ended."""
        changes, counted = pending.counted.copy(), dict[str, Job | None]()
        for job_id, job in pending.begun.items():
            changes.history_of = self._history_of(job)
            before = self._running.get(job_id)
            if before is None:
                before = self._job_metrics.on_start(job, changes)
            else:
                self._job_metrics.on_update(job, before, changes)
            is_same = before.oom_kills == job.oom_kills
            counted[job_id] = before if is_same else replace(before, oom_kills=job.oom_kills)
        for classified in pending.ended:
            job = classified.exit.job
            changes.history_of = self._history_of(job)
            before = counted.get(job.id, self._running.get(job.id))
            self._job_metrics.on_exit(classified, changes, before)
            counted[job.id] = None
        changes.history_of = None
        if self._job_metrics.has_evictions:
            self._job_metrics.remove_evicted_series(self._state.snapshot(), changes)
        return changes, counted

    def _set_running(self, counted: Mapping[str, Job | None]) -> None:
        """Take over the jobs of a batch as they are counted now."""
        for job_id, job in counted.items():
            if job is None:
                self._running.pop(job_id, None)
            else:
                self._running[job_id] = job

    def _history_of(self, job: Job) -> str | None:
        return job.engine if self._state.is_history(job.engine) else None

    def _count_enqueued(self, entries: Iterable[tuple[str, TelemetrySignal]], amount: int) -> None:
        changes = MetricUpdate()
        for _, signal in entries:
            exporter_metrics.add_otlp_pending(changes, signal, amount)
        self._state.apply(changes)

    # --- while the store is away

    def on_store_error(self, error: StoreError) -> None:
        """Count and show that the store refuses, and keep what is pending for the next try."""
        if self.pending_exits > MAX_PENDING:
            self._shed_oldest()
        changes = MetricUpdate()
        exporter_metrics.count_store_error(changes)
        exporter_metrics.set_exits_pending(changes, self.pending_exits)
        self._state.apply(changes)
        self._readiness.set_unready(STORE, str(error))
        self._commit_at = self._cursors_at = time.monotonic() + RETRY_SECONDS
        # Once for each cause, not each second: a disk may be full for a night.
        level = log.debug if str(error) in self._logged_causes else log.warning
        level("commit failed, will retry", cause=str(error), exits=self.pending_exits)
        self._logged_causes.add(str(error))

    def on_store_answer(self) -> None:
        """Show that the store answers, unless it has yet to take what is pending."""
        if not self._pending:
            self._on_store_works()

    def _on_store_works(self) -> None:
        self._readiness.set_ready(STORE)
        if self._logged_causes:
            log.info("commits work again")
        self._logged_causes.clear()

    def _shed_oldest(self) -> None:
        """Drop the rows of the oldest exits; they still count."""
        pending, dropped = self._pending, self._pending.ended[: -MAX_PENDING // 2]
        for classified in dropped:
            job_id = classified.exit.job.id
            begun = pending.begun.pop(job_id, None)
            pending.counted.history_of = self._history_of(classified.exit.job)
            if begun is not None and job_id not in self._running:
                self._running[job_id] = self._job_metrics.on_start(begun, pending.counted)
            # Without a row, there is nothing to make a span of.
            untraced = replace(classified, trace=None)
            self._job_metrics.on_exit(untraced, pending.counted, self._running.pop(job_id, None))
        for _, signal in self._classifier.outbox_entries(dropped):
            exporter_metrics.count_otlp_jobs(pending.counted, signal, OtlpJobCounts(dropped=1))
        exporter_metrics.count_job_records_dropped(pending.counted, len(dropped))
        pending.ended = pending.ended[len(dropped) :]
        log.warning(
            "store unavailable, rows of the oldest exits dropped (still counted)",
            exits=len(dropped),
        )
