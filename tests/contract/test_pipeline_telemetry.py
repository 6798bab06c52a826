"""Which jobs the pipeline puts into the outbox, and under which span ids."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.config.settings import TracedJobs
from exporter.metrics import definitions as metrics
from exporter.metrics.update import Exemplar
from exporter.model import TelemetrySignal, Trace
from exporter.otlp.sampler import Sampler, TraceSelector
from exporter.otlp.trace_context import span_ids_for
from exporter.sources.docker.messages import EventReceived, Inspected, WatchMessage
from exporter.sources.docker.track.job import job_key
from tests.contract.engines import identity
from tests.contract.pipeline_driver import ERROR, JOB, PipelineDriver, Series
from tests.contract.tracker_driver import HOST, A, B, C, at, die, job, kill, running, start

TRACED = frozenset({TelemetrySignal.TRACES})
SELECTOR = TraceSelector(TracedJobs.FAILED, Sampler(), TRACED)
LAUNCHER = Trace("1" * 32, "2" * 16)
TRACEPARENT = f"00-{LAUNCHER.trace_id}-{LAUNCHER.span_id}-01"

pytestmark = pytest.mark.usefixtures("fast_retries")


def job_id(container: str, started: float = 0) -> str:
    """Return the id of a container's run that started then."""
    return f"{container[:12]}-{job_key(HOST, container, at(started))}"


def entries(pipeline: PipelineDriver, signal: TelemetrySignal = TelemetrySignal.TRACES) -> list[str]:
    """Return the ids of the jobs in the outbox."""
    found = pipeline.store.outbox.pending(signal, 1000)
    return [entry.record.job.id for entry in found if entry.record]


def pending(pipeline: PipelineDriver) -> Series:
    """Return the number of jobs that are shown as pending, by signal."""
    return pipeline.series(metrics.OTLP_PENDING_JOBS)


def traces(pipeline: PipelineDriver) -> dict[str, Trace | None]:
    """Return the span ids of the ended jobs by job id."""
    return {each.exit.job.id: each.trace for each in pipeline.exits()}


def launched(container: str, traceparent: str, code: int) -> tuple[WatchMessage, ...]:
    """Return the messages of a whole run with such a label."""
    labels = {"traceparent": traceparent}
    return (
        EventReceived(start(0, container), inspecting=True),
        Inspected(container, running(0, container, labels=labels)),
        EventReceived(die(1, code, container), inspecting=False),
    )


def test_only_a_failed_job_is_enqueued_with_its_row_and_counters(
    tmp_path: Path,
) -> None:
    with PipelineDriver(tmp_path, selector=SELECTOR) as pipeline:
        pipeline.connect().events(start(0), start(0, B), start(0, C), die(1, 0, B), die(1, 1))
        pipeline.events(kill(1, 15, C), die(1.5, 143, C))
        assert pipeline.ends(3)
        assert pipeline.shows(metrics.OTLP_PENDING_JOBS, {("traces",): 1})
        (batch,) = [batch for batch in pipeline.store.batches if batch.outbox]
        assert list(batch.outbox) == [(job_id(A), TelemetrySignal.TRACES)]
        assert job_id(A) in [judged.exit.job.id for judged in batch.ended]
        assert batch.series[metrics.EXITS.name, ERROR] == 1
        assert entries(pipeline) == [job_id(A)]
        assert pipeline.stored_series(metrics.OTLP_PENDING_JOBS) == {}


def test_a_failed_job_is_enqueued_for_every_signal(tmp_path: Path) -> None:
    with PipelineDriver(tmp_path, selector=replace(SELECTOR, signals=frozenset(TelemetrySignal))) as pipeline:
        pipeline.connect().events(start(0), start(0, B), die(1, 1), die(1, 1, B))
        assert pipeline.ends(2)
        both = [job_id(A), job_id(B)]
        assert (entries(pipeline), entries(pipeline, TelemetrySignal.LOGS)) == (both, both)
        assert pipeline.shows(metrics.OTLP_PENDING_JOBS, {("traces",): 2, ("logs",): 2})


def test_the_worker_is_notified_after_the_commit(tmp_path: Path) -> None:
    seen: list[tuple[list[str], Series]] = []

    def notify() -> None:
        seen.append((entries(pipeline), pending(pipeline)))

    with PipelineDriver(tmp_path, selector=SELECTOR) as pipeline:
        pipeline.recorder.on_enqueued(notify)
        pipeline.connect().events(start(0), die(1, 0), start(2))
        assert pipeline.ends(1)
        assert seen == []
        pipeline.events(die(3, 1))
        assert pipeline.ends(2)
        assert pipeline.reaches(lambda: bool(seen))
    assert seen == [([job_id(A, 2)], {("traces",): 1})]


def test_a_refused_job_is_enqueued_once_later(tmp_path: Path) -> None:
    notified: list[None] = []
    with PipelineDriver(tmp_path, selector=SELECTOR) as pipeline:
        pipeline.recorder.on_enqueued(lambda: notified.append(None))
        pipeline.connect()
        assert pipeline.becomes_ready()
        pipeline.store.refuses_commits = True
        pipeline.events(start(0), die(1, 1))
        assert pipeline.is_refused(5)
        assert (entries(pipeline), pending(pipeline), notified) == (
            [],
            {("traces",): 0},
            [],
        )
        pipeline.store.refuses_commits = False
        assert pipeline.ends(1)
        assert pipeline.reaches(lambda: bool(notified))
        assert (entries(pipeline), pending(pipeline)) == (
            [job_id(A)],
            {("traces",): 1},
        )
    assert notified == [None]


def test_span_ids_are_recorded_and_in_the_exemplars(tmp_path: Path) -> None:
    with PipelineDriver(tmp_path, selector=SELECTOR) as pipeline:
        pipeline.connect().events(start(0), die(1, 1)).send(*launched(B, TRACEPARENT, 0))
        assert pipeline.ends(2)
        trace = span_ids_for(job(0))
        assert traces(pipeline) == {job_id(A): trace, job_id(B): None}
        duration = (*JOB[:2], "failed", str(bisect_left(metrics.RUN_DURATION.buckets, 1)))
        assert pipeline.reaches(lambda: bool(pipeline.metric_state.exemplars()))
        assert pipeline.metric_state.exemplars() == {
            (metrics.EXITS.name, ERROR): Exemplar(trace, 1, at(1)),
            (metrics.RUN_DURATION.name, duration): Exemplar(trace, 1.0, at(1)),
        }


def test_a_traceparent_makes_the_span_a_child(tmp_path: Path) -> None:
    with PipelineDriver(tmp_path, selector=SELECTOR) as pipeline:
        pipeline.connect().send(*launched(A, TRACEPARENT, 1))
        assert pipeline.ends(1)
        (ended,) = pipeline.exits()
        own = span_ids_for(job(0)).span_id
        assert ended.exit.job.traceparent == TRACEPARENT
        assert ended.trace == Trace(LAUNCHER.trace_id, own, LAUNCHER.span_id)
        assert pipeline.reaches(lambda: bool(pending(pipeline)))
        assert pipeline.series(metrics.TRACEPARENTS_IGNORED) == {}


@pytest.mark.parametrize("invalid", ["invalid", TRACEPARENT[:-1], f"00-{'0' * 32}-{'2' * 16}-01", "é" * 55])
def test_an_invalid_traceparent_is_counted_and_ignored(tmp_path: Path, invalid: str) -> None:
    with PipelineDriver(tmp_path, selector=SELECTOR) as pipeline:
        pipeline.connect().send(*launched(A, invalid, 1), *launched(B, invalid, 0))
        pipeline.send(*launched(C, invalid, 2))
        assert pipeline.ends(3)
        own = {job_id(A): span_ids_for(job(0)), job_id(B): None, job_id(C): span_ids_for(job(0, C))}
        assert traces(pipeline) == own
        assert pipeline.shows(metrics.TRACEPARENTS_IGNORED, {(): 2})
        assert pipeline.stored_series(metrics.TRACEPARENTS_IGNORED) == {(): 2}


def test_without_telemetry_nothing_is_enqueued(pipeline: PipelineDriver) -> None:
    pipeline.events(start(0), die(1, 1)).send(*launched(B, TRACEPARENT, 1), *launched(C, "invalid", 1))
    assert pipeline.ends(3)
    assert pipeline.reaches(lambda: pipeline.metric_state.value(metrics.EXITS, ERROR) == 3)
    assert [list(batch.outbox) for batch in pipeline.store.batches] == [[]] * len(pipeline.store.batches)
    assert list(traces(pipeline).values()) == [None] * 3
    assert [pipeline.store.outbox.count_pending(signal) for signal in TelemetrySignal] == [0, 0]
    assert pipeline.metric_state.exemplars() == {}
    assert (pending(pipeline), pipeline.series(metrics.TRACEPARENTS_IGNORED)) == (
        {},
        {},
    )


def test_exits_read_before_a_stop_are_enqueued(tmp_path: Path) -> None:
    with PipelineDriver(tmp_path, selector=SELECTOR) as pipeline:
        pipeline.connect()
        for number in range(300):
            container = identity(number)
            pipeline.events(start(number, container), die(number + 1, 1, container))
        assert pipeline.stop()
        expected = [job_id(identity(number), number) for number in range(300)]
        assert (entries(pipeline), pending(pipeline)) == (
            expected,
            {("traces",): 300},
        )


def test_a_dropped_row_drops_its_span_and_exemplar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.pipeline.recorder.MAX_PENDING", 10)
    with PipelineDriver(tmp_path, selector=SELECTOR) as pipeline:
        pipeline.connect().events(start(0)).store.refuses_commits = True
        for number in range(30):
            pipeline.events(start(number), die(number + 0.5, 3))
        assert pipeline.is_refused(1)
        assert pipeline.reaches(lambda: 5 <= pipeline.series(metrics.EXITS_PENDING).get((), 0) <= 10)
        pipeline.store.refuses_commits = False
        failed = (*JOB, "failed", "3", "Error")
        assert pipeline.reaches(lambda: pipeline.series(metrics.EXITS).get(failed) == 30)
        dropped = pipeline.series(metrics.JOB_RECORDS_DROPPED)[()]
        assert dropped > 0
        assert pipeline.series(metrics.OTLP_JOBS_DROPPED) == {("traces",): dropped}
        assert pending(pipeline) == {("traces",): 30 - dropped}
        recorded = set(traces(pipeline).values())
        assert {exemplar.trace for exemplar in pipeline.metric_state.exemplars().values()} <= recorded
