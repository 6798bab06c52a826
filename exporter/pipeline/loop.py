"""The one thread through which every exit goes: track, classify, record, publish.

It takes whatever the inbox holds as one batch, so that under load many exits share one commit. A
batch that the store refuses is kept and tried again; nothing of it is shown before.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

import structlog

from exporter.exit_codes import SIGKILLED
from exporter.metrics import exporter_metrics
from exporter.metrics.exporter_metrics import OtlpJobCounts
from exporter.metrics.job_metrics import JobMetrics
from exporter.metrics.state import MetricState, MetricUpdate
from exporter.model import (
    ClassifiedExit,
    ContainerHistory,
    Cursor,
    Evidence,
    Job,
    Status,
    TelemetrySignal,
    Trace,
    Verdict,
)
from exporter.pipeline.readiness import Readiness
from exporter.sources.docker.engine import ContainerList, Event, EventGap, EventType, KernelReport
from exporter.sources.docker.messages import (
    CaughtUp,
    Connected,
    Disconnected,
    EventReceived,
    Inbox,
    Inspected,
    LogCollected,
    Message,
    StartFailed,
    WatchMessage,
)
from exporter.sources.docker.track.config import TrackerConfig
from exporter.sources.docker.track.tracker import Tracker
from exporter.store import Batch, Store, StoreError
from exporter.verdict.classify import classify, classify_exit
from exporter.verdict.facts import EndedRun
from exporter.verdict.reloadable_catalog import ReloadableCatalog

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")

MAX_BATCH = 1_000
IDLE_SECONDS = 1.0
RETRY_SECONDS = 1.0
# A lone exit is recorded at once; in a crowd, those that come within this time share a transaction.
COMMIT_SECONDS = 0.02
# So often it is noted how far an engine has been read of which nothing else is to be recorded.
CURSOR_SECONDS = 10.0
# Of so many exits the rows are kept while the store is away; half of them once there are more.
MAX_PENDING = 10_000
MAX_PENDING_LOGS = 1_000
STORE = "store"
# Their series are made when a job begins, so that the first of them is an increase.
_FORESEEABLE = ((0, Evidence()), (SIGKILLED, Evidence(oom_killed=True)))


@dataclass(slots=True)
class _Pending:
    """What has been judged and is not on record yet."""

    begun: dict[str, Job] = field(default_factory=dict)
    ended: list[ClassifiedExit] = field(default_factory=list)
    # What those did to the series whose rows had to be given up.
    counted: MetricUpdate = field(default_factory=MetricUpdate)

    def __bool__(self) -> bool:
        return bool(self.begun or self.ended or self.counted)


@dataclass(frozen=True, slots=True)
class Tracing:
    """Of which jobs a collector is told, and what.

    ``trace`` gives the span that is made of a job, None where none is. ``posted`` is called when jobs
    of which ``signals`` are to be sent are on record.
    """

    trace: Callable[[Job, Verdict], Trace | None] = lambda _job, _verdict: None
    signals: frozenset[TelemetrySignal] = frozenset()
    posted: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Judging:
    """How ends are judged: ``rules`` makes those for a host, told whether its kernel's counter is watched.

    ``addresses`` are all engines that are watched: what ran on one that no longer is, another of the
    same host takes over.
    """

    catalog: ReloadableCatalog
    rules: Callable[[str, bool], TrackerConfig]
    assume_oom: bool = False
    addresses: frozenset[str] = frozenset()
    tracing: Tracing = Tracing()


@dataclass(frozen=True, slots=True)
class Books:
    """Where ends are entered: jobs and series durably, the values of now, and what jobs do to them."""

    store: Store
    ledger: MetricState
    accounts: JobMetrics


class Pipeline:
    """Takes messages from the inbox until it is told to stop, then records what is left."""

    def __init__(self, inbox: Inbox, judging: Judging, books: Books, health: Readiness) -> None:
        self._inbox = inbox
        self._store = books.store
        self._ledger = books.ledger
        self._accounts = books.accounts
        self._health = health
        self._judging = judging
        self._trackers: dict[str, Tracker] = {}
        self._hosts: dict[str, str] = {}
        self._engines: dict[tuple[str, str], str] = {}
        self._cursors: dict[str, Cursor] = {}
        self._cursors_at = 0.0
        self._pending = _Pending()
        self._running: dict[str, Job] = {}
        self._listed: set[str] = set()
        # Engines that were started anew with nothing of theirs to be missed.
        self._unharmed: set[str] = set()
        self._broken = False
        self._record_at = 0.0
        self._stopping = threading.Event()
        self._crashed: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._guarded, name="pipeline", daemon=True)

    def on_crash(self, then: Callable[[], None]) -> None:
        """What to do should a bug end the pipeline: a daemon that counts nothing must not live on."""
        self._crashed = then

    def start(self) -> None:
        """Count what ran when it was last heard of, and begin."""
        changes = MetricUpdate()
        self._cursors.update(self._store.cursors())
        ran = self._accounts.resume(self._ledger.snapshot(), self._store.running(), changes)
        self._running = {job.id: job for job in ran}
        self._ledger.apply(changes)
        self._thread.start()

    def stop(self, seconds: float) -> bool:
        """Record what has been read, within so many seconds; whether all of it is on record."""
        self._stopping.set()
        self._thread.join(seconds)
        return not (self._thread.is_alive() or self._pending or self._broken)

    @property
    def alive(self) -> bool:
        """Whether the thread runs; without it, nothing is counted."""
        return self._thread.is_alive()

    def _guarded(self) -> None:
        try:
            self._run()
        except Exception:
            log.exception("the pipeline has ended by a bug")
            self._broken = True
            self._crashed()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._turn(self._gather(self._patience()))
        while messages := self._gather(0):
            self._turn(messages)
        self._record_at = self._cursors_at = 0
        self._turn((), math.inf)
        if self._pending:
            log.error("stopping with exits that the store did not take", exits=len(self._pending.ended))

    def _turn(self, messages: Iterable[Message], until: float | None = None) -> None:
        """Track, classify, record, publish."""
        for message in messages:
            self._receive(message.address, message.content)
        now = time.monotonic()
        for tracker in self._trackers.values():
            tracker.release_due(now if until is None else until)
            for outcome in tracker.drain():
                self._judge(outcome)
        if now >= (self._record_at if self._pending else self._cursors_at):
            self._record()
        if not self._pending:
            self._note_ready()

    def _note_ready(self) -> None:
        """An engine is ready when what its list told is on record, and it has not gone meanwhile."""
        while self._listed:
            address = self._listed.pop()
            # Only now, since rules and dashboards take these for the sign that what the host's engine still
            # knew of is counted: whatever of that host is counted for the first time from here on is news.
            changes = MetricUpdate()
            exporter_metrics.create_backfill_series(changes, self._trackers[address].host)
            self._ledger.apply(changes)
            if exporter_metrics.is_engine_up(self._ledger, address):
                self._health.well(address)

    def _gather(self, patience: float) -> list[Message]:
        """All that the inbox holds, up to a batch; waits for the first."""
        messages: list[Message] = []
        try:
            messages.append(self._inbox.get(timeout=patience) if patience > 0 else self._inbox.get_nowait())
            while len(messages) < MAX_BATCH:
                messages.append(self._inbox.get_nowait())
        except queue.Empty:
            pass
        return messages

    def _patience(self) -> float:
        """How long nothing needs to be done unless a message comes."""
        dues = [tracker.next_due for tracker in self._trackers.values()]
        dues += [self._record_at] if self._pending else []
        soonest = min((due for due in dues if due is not None), default=None)
        return IDLE_SECONDS if soonest is None else max(0.001, min(IDLE_SECONDS, soonest - time.monotonic()))

    # Messages

    def _receive(self, address: str, content: WatchMessage) -> None:
        match content:
            case Connected():
                self._connected(address, content)
            case Disconnected():
                self._disconnected(address, content)
            case _ if address in self._trackers:
                self._track(address, content)

    def _connected(self, address: str, connected: Connected) -> None:
        twin = self._engines.setdefault((connected.info.id, connected.info.host), address)
        if connected.info.id and twin != address:
            # What it tells is told already: counted from both, every exit would be two.
            self._complain(address, f"is the same engine as {twin}; name it once")
            return
        changes = MetricUpdate()
        was_away = address in self._trackers and not exporter_metrics.is_engine_up(self._ledger, address)
        exporter_metrics.set_engine_up(changes, address, up=True)
        if was_away:
            exporter_metrics.count_engine_reconnect(changes, address)
        self._ledger.apply(changes)
        if was_away or address not in self._trackers:
            self._health.trouble(address, "the engine's containers are being listed")
        if address not in self._trackers:
            self._hosts[address] = connected.info.host
            self._trackers[address] = self._tracker(address, connected)
        elif connected.read_to_end and self._trackers[address].is_idle:
            self._unharmed.add(address)
        else:
            self._unharmed.discard(address)
        self._trackers[address].resumed(connected.cursor, connected.event_gap)

    def _complain(self, address: str, cause: str) -> None:
        """Say once, in the log too, why an engine is not watched that answers."""
        if self._health.causes().get(address) != cause:
            log.warning("engine not watched", engine=address, cause=cause)
        self._health.trouble(address, cause)

    def _tracker(self, address: str, connected: Connected) -> Tracker:
        rules = replace(
            self._judging.rules(connected.info.host, connected.has_kernel_counter),
            engine=address,
            identity=connected.info.identity,
            late_network_connect=connected.info.late_network_connect,
            has_kernel_log=connected.has_kernel_log,
            kernel_since_ns=connected.info.time_ns,
        )
        for other, tracker in self._trackers.items():
            if tracker.host == rules.host:
                log.warning("engines have one host name", engine=address, other=other, host=rules.host)
        running = [job for job in self._ran() if self._is_of(job, address, rules.host)]
        return Tracker(rules, partial(self._remembered, address), running, self._cursors.get(address))

    def _ran(self) -> list[Job]:
        nothing: list[Job] = []
        return self._asked(self._store.running, nothing)

    def _is_of(self, job: Job, address: str, instance: str) -> bool:
        """Whether a job ran here, or on this host and an engine that is not watched any more."""
        others = self._judging.addresses - {address}
        orphaned = bool(self._judging.addresses) and job.engine not in others
        return job.engine == address or (orphaned and job.instance == instance)

    def _remembered(self, address: str, container_id: str) -> ContainerHistory | None:
        # Hosts made from one image have containers with equal ids: what another engine had is not this one's.
        others = self._judging.addresses - {address}
        return self._asked(lambda: self._store.remembered(container_id, others), None)

    def _asked(self, ask: Callable[[], Answer], otherwise: Answer) -> Answer:
        """The store's answer, however long it takes: judged without it, an exit could count twice.

        ``otherwise`` only while stopping: what the store does not answer then, it does not record.
        """
        while True:
            try:
                answer = ask()
            except StoreError as error:
                self._refused(error)
            else:
                if not self._pending:
                    self._health.well(STORE)
                return answer
            if self._stopping.wait(RETRY_SECONDS):
                return otherwise

    def _disconnected(self, address: str, disconnected: Disconnected) -> None:
        changes = MetricUpdate()
        exporter_metrics.set_engine_up(changes, address, up=False)
        self._ledger.apply(changes)
        self._health.trouble(address, disconnected.cause)

    def _track(self, address: str, content: WatchMessage) -> None:
        tracker, now = self._trackers[address], time.monotonic()
        match content:
            case EventReceived():
                self._count_event(address, content)
                tracker.event(
                    content.event,
                    now,
                    inspecting=content.inspecting,
                    replayed=content.replayed,
                    logging=content.reading_log,
                )
                if content.event.type is EventType.OOM:
                    self._tell_others(address, content.event, now)
            case Inspected():
                tracker.inspected(content.container_id, content.inspection, content.event_ns)
            case StartFailed():
                tracker.start_failed(content.inspection)
            case LogCollected():
                tracker.log_collected(content.container_id, content.ended_ns, content.log_tail)
            case KernelReport():
                tracker.kernel_reported(content)
            case CaughtUp():
                tracker.caught_up(content.until_ns)
            case ContainerList():
                tracker.listed(content, now)
                self._note_listed(address, content)

    def _note_listed(self, address: str, listed: ContainerList) -> None:
        unharmed = listed.event_gap is EventGap.RESTARTED and address in self._unharmed
        if listed.event_gap is not EventGap.NONE and not unharmed:
            log.warning("events were missed", engine=address, event_gap=listed.event_gap.value)
            changes = MetricUpdate()
            exporter_metrics.count_event_gap(changes, address)
            self._ledger.apply(changes)
        self._listed.add(address)

    def _tell_others(self, address: str, oom: Event, now: float) -> None:
        """Engines of one host share its kernel: what it has counted is one's kill or another's."""
        for other, tracker in self._trackers.items():
            if other != address and self._hosts[other] == self._hosts[address]:
                tracker.oom_on_other_engine(oom.container_id, oom.at_ns, now)

    def _count_event(self, address: str, seen: EventReceived) -> None:
        changes = MetricUpdate()
        exporter_metrics.count_engine_event(changes, address, seen.event.type.value)
        self._ledger.apply(changes)

    # Judging and recording

    def _judge(self, outcome: Job | EndedRun) -> None:
        if isinstance(outcome, Job):
            self._pending.begun[outcome.id] = outcome
        else:
            judging = self._judging
            found = classify_exit(outcome, judging.catalog.current, assume_oom=judging.assume_oom)
            trace = judging.tracing.trace(outcome.job, found.verdict)
            if trace is not None and outcome.job.traceparent and trace.parent_span_id is None:
                log.info("traceparent ignored", job=outcome.job.id, traceparent=outcome.job.traceparent)
            # What did not fail keeps its log to itself; while the store is away, there is no room for logs.
            has_log = found.verdict.status is Status.FAILED and len(self._pending.ended) < MAX_PENDING_LOGS
            kept = found.exit if has_log else replace(found.exit, log_tail=None)
            self._pending.ended.append(ClassifiedExit(kept, found.verdict, trace))

    def _record(self) -> None:
        """One transaction for jobs and series, and only then is any of it visible."""
        pending, changes, cursors = self._pending, self._pending.counted.copy(), self._moved_cursors()
        if not (pending or cursors):
            return
        running = dict(self._running)
        for job in pending.begun.values():
            before = running.get(job.id)
            if before is None:
                before = self._accounts.on_start(job, self._foreseen(job), changes)
            else:
                self._accounts.on_update(job, before, changes)
            running[job.id] = replace(before, oom_kills=job.oom_kills)
        for judged in pending.ended:
            self._accounts.on_exit(judged, changes, running.pop(judged.exit.job.id, None))
        if self._accounts.has_evictions:
            self._accounts.remove_evicted_series(self._ledger.snapshot(), changes)
        letters = self._letters(pending.ended)
        # At once, since what is on record may be delivered before this thread goes on.
        self._count_posted(letters, 1)
        values = self._ledger.values_to_store(changes)
        begun = time.perf_counter()
        try:
            self._store.commit(Batch(tuple(pending.begun.values()), pending.ended, values, cursors, letters))
        except StoreError as error:
            self._count_posted(letters, -1)
            self._refused(error)
            return
        exporter_metrics.observe_store_commit(changes, time.perf_counter() - begun)
        exporter_metrics.set_exits_pending(changes, 0)
        self._ledger.apply_committed(changes, values)
        self._accounts.confirm_evictions()
        self._running, self._pending = running, _Pending()
        self._cursors |= cursors
        self._record_at = time.monotonic() + COMMIT_SECONDS
        self._cursors_at = time.monotonic() + CURSOR_SECONDS
        self._health.well(STORE)
        if letters:
            self._judging.tracing.posted()

    def _letters(self, ended: Iterable[ClassifiedExit]) -> list[tuple[str, TelemetrySignal]]:
        """Of which of them a collector is to be told, and what."""
        signals = sorted(self._judging.tracing.signals)
        return [(judged.exit.job.id, signal) for judged in ended if judged.trace for signal in signals]

    def _count_posted(self, letters: Iterable[tuple[str, TelemetrySignal]], amount: int) -> None:
        posted = MetricUpdate()
        for _, signal in letters:
            exporter_metrics.add_otlp_pending(posted, signal, amount)
        self._ledger.apply(posted)

    def _moved_cursors(self) -> dict[str, Cursor]:
        """Up to where each engine is on record with this batch, where that is news."""
        now = {address: tracker.cursor for address, tracker in self._trackers.items()}
        return {
            address: cursor
            for address, cursor in now.items()
            if cursor is not None and cursor != self._cursors.get(address)
        }

    def _bound(self) -> None:
        """Give up the rows of the oldest exits while the store takes none; they still count."""
        pending, given_up = self._pending, self._pending.ended[: -MAX_PENDING // 2]
        for judged in given_up:
            job_id = judged.exit.job.id
            begun = pending.begun.pop(job_id, None)
            if begun is not None and job_id not in self._running:
                self._running[job_id] = self._accounts.on_start(begun, self._foreseen(begun), pending.counted)
            # Without a row there is nothing to make a span of.
            untraced = replace(judged, trace=None)
            self._accounts.on_exit(untraced, pending.counted, self._running.pop(job_id, None))
        for _, signal in self._letters(given_up):
            exporter_metrics.count_otlp_jobs(pending.counted, signal, OtlpJobCounts(dropped=1))
        exporter_metrics.count_job_records_dropped(pending.counted, len(given_up))
        pending.ended = pending.ended[len(given_up) :]
        log.warning("store away for long, rows of the oldest exits given up", exits=len(given_up))

    def _refused(self, error: StoreError) -> None:
        if len(self._pending.ended) > MAX_PENDING:
            self._bound()
        failed = MetricUpdate()
        exporter_metrics.count_store_error(failed)
        exporter_metrics.set_exits_pending(failed, len(self._pending.ended))
        self._ledger.apply(failed)
        self._health.trouble(STORE, str(error))
        self._record_at = self._cursors_at = time.monotonic() + RETRY_SECONDS
        log.warning(
            "store refused, keeping what is pending", cause=str(error), exits=len(self._pending.ended)
        )

    def _foreseen(self, job: Job) -> list[tuple[int, Verdict]]:
        catalog = self._judging.catalog.current
        return [(code, classify(code, evidence, catalog, job.workload)) for code, evidence in _FORESEEABLE]
