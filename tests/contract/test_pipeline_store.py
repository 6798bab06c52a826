"""How the pipeline behaves while the store refuses commits or queries."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import structlog

from exporter.metrics import definitions as metrics
from exporter.pipeline import loop, standstill
from exporter.sources.docker.engine import Event, EventType
from tests.contract.pipeline_driver import COMPLETED, ERROR, FULL, JOB, PipelineDriver, job_series
from tests.contract.tracker_driver import A, B, at, die, start

pytestmark = pytest.mark.usefixtures("fast_retries")


def test_a_refused_batch_is_committed_once_later(pipeline: PipelineDriver) -> None:
    pipeline.store.refuses_commits = True
    pipeline.events(start(0), die(1, 0), start(2), die(3, 1))
    assert pipeline.is_refused(5)
    assert (pipeline.store.records(), job_series(pipeline.metric_state.snapshot())) == ([], {})
    assert pipeline.readiness.problems() == {"store": FULL}
    pipeline.events(start(4), die(5, 0))
    pipeline.store.refuses_commits = False
    assert pipeline.ends(3)
    assert pipeline.becomes_ready()
    codes = [each.exit.code for each in pipeline.exits()]
    assert (codes, pipeline.series(metrics.EXITS), pipeline.stored_series(metrics.EXITS)) == (
        [0, 1, 0],
        {COMPLETED: 2, ERROR: 1},
        {COMPLETED: 2, ERROR: 1},
    )


def test_every_refusal_is_counted_at_once(pipeline: PipelineDriver) -> None:
    pipeline.store.refuses_commits = True
    pipeline.events(start(0))
    assert pipeline.is_refused(2)
    assert pipeline.reaches(lambda: pipeline.metric_state.value(metrics.STORE_ERRORS) > 2)
    pipeline.store.refuses_commits = False
    assert pipeline.reaches(lambda: bool(pipeline.store.records()))
    pipeline.stop()
    counted = pipeline.series(metrics.STORE_ERRORS)
    assert (counted, pipeline.stored_series(metrics.STORE_ERRORS)) == ({(): pipeline.store.refusals}, counted)


def test_an_exit_waits_for_the_history_of_its_container(pipeline: PipelineDriver) -> None:
    pipeline.events(start(0), die(1, 0))
    assert pipeline.ends(1)
    pipeline.store.refuses_queries = True
    pipeline.events(start(2, B), die(3, 0, B))
    assert pipeline.is_refused(5)
    assert (len(pipeline.store.records()), pipeline.readiness.problems()) == (1, {"store": FULL})
    pipeline.store.refuses_queries = False
    assert pipeline.ends(2)


def test_a_store_that_neither_takes_nor_refuses_is_a_standstill_until_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on a disk that is frozen.
    monkeypatch.setattr(standstill, "INTERVAL_SECONDS", 0.01)
    monkeypatch.setattr(standstill, "SHOWN_SECONDS", 0.5)
    monkeypatch.setattr(loop, "DEAD_SECONDS", 0.5)
    answers = threading.Event()
    with structlog.testing.capture_logs() as lines, PipelineDriver(tmp_path) as pipeline:
        pipeline.connect()
        assert pipeline.becomes_ready()
        pipeline.store.before_commit = answers.wait
        pipeline.events(start(0), die(1, 0))
        assert pipeline.reaches(lambda: "pipeline" in pipeline.readiness.problems())
        assert pipeline.reaches(lambda: not pipeline.loop.alive)
        assert pipeline.readiness.problems()["pipeline"].endswith("; does the disk of the database answer?")
        answers.set()
        assert pipeline.ends(1)
        assert pipeline.becomes_ready()
        assert pipeline.reaches(lambda: pipeline.loop.alive)
    logged = [line["event"] for line in lines]
    assert "nothing is recorded any more" in logged
    assert "recording goes on" in logged


def test_the_store_is_ready_again_once_it_answers(pipeline: PipelineDriver) -> None:
    pipeline.store.refuses_queries = True
    # Of a container that was made before we came; there is nothing to commit about it.
    pipeline.events(Event(EventType.RENAME, A, at(0), "new", "job:1"))
    assert pipeline.is_refused(2)
    pipeline.store.refuses_queries = False
    assert pipeline.becomes_ready()


def test_an_answer_does_not_hide_refused_commits(pipeline: PipelineDriver) -> None:
    pipeline.store.refuses_commits = True
    pipeline.events(start(0))
    assert pipeline.is_refused(0)
    pipeline.events(start(0, B))
    assert pipeline.becomes_idle()
    refused = pipeline.store.refusals
    assert pipeline.reaches(lambda: pipeline.store.refusals > refused)
    assert pipeline.readiness.problems() == {"store": FULL}


def test_rows_beyond_the_limit_are_dropped_and_still_counted(
    pipeline: PipelineDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.pipeline.recorder.MAX_PENDING", 10)
    pipeline.events(start(0)).store.refuses_commits = True
    for number in range(30):
        pipeline.events(start(number), die(number + 0.5, 3))
    assert pipeline.becomes_idle()
    assert pipeline.is_refused(1)
    assert pipeline.reaches(lambda: 5 <= pipeline.series(metrics.EXITS_PENDING)[()] <= 10)
    pipeline.store.refuses_commits = False
    failed = (*JOB, "failed", "3", "Error")
    assert pipeline.reaches(lambda: pipeline.series(metrics.EXITS).get(failed) == 30)
    given_up = pipeline.series(metrics.JOB_RECORDS_DROPPED)[()]
    assert (given_up + sum(record.ended is not None for record in pipeline.store.records())) == 30
    assert pipeline.series(metrics.EXITS_PENDING) == {(): 0}
    assert pipeline.series(metrics.JOBS_RUNNING) == {JOB[:2]: 0}
