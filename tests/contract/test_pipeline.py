"""What the pipeline records and shows: nothing before it is committed, everything once."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

import pytest
import structlog
from starlette.requests import Request

from exporter.metrics import definitions as metrics
from exporter.model import Cursor, SeriesKey
from exporter.pipeline import classifier
from exporter.sources.docker.engine import ContainerList, Event, EventType
from exporter.sources.docker.messages import EventReceived, LogCollected
from exporter.web.admin import AdminRoutes
from exporter.web.problems import ProblemError
from tests.contract.engines import identity
from tests.contract.pipeline_driver import (
    ADDRESS,
    COMPLETED,
    CONNECTED,
    JOB,
    OOM_KILLED,
    PIPELINE_CONFIG,
    PipelineDriver,
    job_series,
)
from tests.contract.tracker_driver import HOST, A, B, at, destroy, die, exited, job, kill, oom, running, start
from tests.lab.wait import wait_until

pytestmark = pytest.mark.usefixtures("fast_retries")


def test_no_job_is_visible_before_it_is_committed(tmp_path: Path) -> None:
    seen: list[dict[SeriesKey, float]] = []
    with PipelineDriver(tmp_path) as pipeline:
        pipeline.store.before_commit = lambda: seen.append(job_series(pipeline.metric_state.snapshot()))
        pipeline.connect().events(start(0), oom(0.9), die(1, 137))
        assert pipeline.ends(1)
    assert seen[0] == {}
    assert pipeline.series(metrics.EXITS) == {OOM_KILLED: 1}


def test_visible_series_of_jobs_equal_the_stored_ones(pipeline: PipelineDriver) -> None:
    pipeline.events(start(0), oom(0.9), die(1, 137), start(2), die(3, 0))
    shown = {COMPLETED: 1, OOM_KILLED: 1}
    assert pipeline.shows(metrics.EXITS, shown)
    for metric in (metrics.EXITS, metrics.OOM_KILLS, metrics.RUN_DURATION, metrics.LAST_EXIT):
        assert (metric.name, pipeline.series(metric)) == (metric.name, pipeline.stored_series(metric))


def test_a_started_job_has_no_exits_yet(pipeline: PipelineDriver) -> None:
    pipeline.events(start(0))
    assert pipeline.shows(metrics.JOBS_RUNNING, {JOB[:2]: 1})
    assert job_series(pipeline.metric_state.snapshot()) == {
        (metrics.JOBS_RUNNING.name, JOB[:2]): 1,
        (metrics.OOM_KILLS.name, JOB): 0,
        (metrics.RESTARTS.name, JOB): 0,
    }


def test_a_job_counts_as_running_until_it_ends(pipeline: PipelineDriver) -> None:
    pipeline.events(start(0), start(0, B))
    assert pipeline.shows(metrics.JOBS_RUNNING, {JOB[:2]: 2})
    pipeline.events(die(1, 0))
    assert pipeline.shows(metrics.JOBS_RUNNING, {JOB[:2]: 1})


def test_a_renamed_job_is_counted_once(pipeline: PipelineDriver) -> None:
    renamed = Event(EventType.RENAME, A, at(0.5), "new", "job:1")
    pipeline.events(start(0), renamed)
    assert pipeline.reaches(
        lambda: (
            [record.job for record in pipeline.store.records()]
            == [replace(job(0, named="new"), engine=ADDRESS)]
        )
    )
    assert pipeline.series(metrics.JOBS_RUNNING) == {JOB[:2]: 1}


def test_many_exits_share_a_commit(tmp_path: Path) -> None:
    pipeline = PipelineDriver(tmp_path).connect()
    for number in range(2500):
        container = identity(number)
        pipeline.events(start(number, container), die(number + 1, 0, container))
    with pipeline:
        assert wait_until(lambda: pipeline.metric_state.value(metrics.EXITS, COMPLETED) == 2500, 60)
    sizes = [len(batch.ended) for batch in pipeline.store.batches if batch.ended]
    assert (sizes, pipeline.series(metrics.EXITS)) == (
        [499, *[500] * 4, 1],
        {COMPLETED: 2500},
    )


def test_counters_and_running_jobs_survive_a_restart(tmp_path: Path) -> None:
    with PipelineDriver(tmp_path) as before:
        before.connect().events(start(0), die(1, 0), start(2))
        assert before.ends(1)
    with PipelineDriver(tmp_path) as after:
        assert (after.series(metrics.EXITS), after.series(metrics.JOBS_RUNNING)) == (
            {COMPLETED: 1},
            {JOB[:2]: 1},
        )
        after.send(CONNECTED, ContainerList((running(1.997),), at(10))).events(die(11, 0))
        assert after.ends(2)
    assert (after.series(metrics.EXITS), after.series(metrics.JOBS_RUNNING)) == (
        {COMPLETED: 2},
        {JOB[:2]: 0},
    )


def test_oom_kills_are_recorded_while_the_job_runs(pipeline: PipelineDriver) -> None:
    pipeline.events(start(0), oom(1))
    assert pipeline.shows(metrics.OOM_KILLS, {JOB: 1})
    (record,) = pipeline.store.records()
    assert (record.status, len(record.job.oom_kills)) == ("running", 1)
    pipeline.events(oom(2), die(3, 0))
    assert pipeline.ends(1)
    assert pipeline.shows(metrics.OOM_KILLS, {JOB: 2})


def test_the_position_is_recorded_with_the_exits(pipeline: PipelineDriver) -> None:
    pipeline.events(start(0), die(1, 0))
    assert pipeline.ends(1)
    assert pipeline.store.cursors() == {ADDRESS: Cursor(at(1), at(-100), at(1))}


def test_recovered_and_unobserved_exits_are_counted(pipeline: PipelineDriver) -> None:
    pipeline.events(start(0, B), destroy(1, B)).send(ContainerList((exited(0, 1, 3),), at(10)))
    assert pipeline.ends(2)
    assert pipeline.reaches(lambda: bool(pipeline.series(metrics.EXITS_RECOVERED)))
    assert (pipeline.series(metrics.EXITS_RECOVERED), pipeline.series(metrics.EXITS_UNOBSERVED)) == (
        {(HOST,): 1},
        {(HOST,): 1},
    )


def test_only_failed_jobs_keep_their_log(pipeline: PipelineDriver) -> None:
    for container_id, code, events in ((A, 3, ()), (B, 137, (kill(0.5, 9, B),))):
        pipeline.events(start(0, container_id), *events)
        pipeline.send(EventReceived(die(1, code, container_id), inspecting=False, reading_log=True))
        pipeline.send(LogCollected(container_id, at(1), "why"))
    assert pipeline.ends(2)
    tails = {each.exit.job.container_id: each.exit.log_tail for each in pipeline.exits()}
    assert tails == {A: "why", B: None}


def test_a_log_is_waited_for_no_longer_than_an_inspection(pipeline: PipelineDriver) -> None:
    pipeline.events(start(0)).send(EventReceived(die(1, 3), inspecting=False, reading_log=True))
    assert pipeline.ends(1)
    pipeline.send(LogCollected(A, at(1), "too late"))
    assert pipeline.becomes_idle()
    assert [each.exit.log_tail for each in pipeline.exits()] == [None]


# --- stop


def test_stop_records_all_that_was_read(tmp_path: Path) -> None:
    pipeline = PipelineDriver(tmp_path).connect()
    for number in range(1500):
        container = identity(number)
        pipeline.events(start(number, container), die(number + 1, 0, container))
    with pipeline:
        assert pipeline.stop()
        assert len(pipeline.store.records()) == 1500


def test_stop_records_exits_that_wait_for_evidence(tmp_path: Path) -> None:
    with PipelineDriver(tmp_path, config=replace(PIPELINE_CONFIG, oom_seconds=3600)) as pipeline:
        pipeline.connect().events(start(0), die(1, 1), destroy(1.1))
        assert pipeline.stop()
        codes = [each.exit.code for each in pipeline.exits()]
    assert codes == [1]


def test_stop_logs_exits_that_the_store_refused(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as lines, PipelineDriver(tmp_path) as pipeline:
        pipeline.store.refuses_commits = True
        pipeline.connect().events(start(0), die(1, 0))
        assert not pipeline.stop()
    assert lines[-1] == {
        "event": "stopping with exits that the store did not take",
        "exits": 1,
        "log_level": "error",
    }


def test_stop_does_not_wait_for_a_store_that_is_away(tmp_path: Path) -> None:
    with PipelineDriver(tmp_path) as pipeline:
        pipeline.store.refuses_queries = True
        pipeline.connect()
        assert pipeline.is_refused(0)
        pipeline.stop()
        assert not pipeline.loop.alive


# --- crash


class BugError(Exception):
    """What no code expects."""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bug_makes_the_daemon_unhealthy(pipeline: PipelineDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    def classify(*_: object, **__: object) -> None:
        raise BugError

    admin = AdminRoutes(
        pipeline.readiness, pipeline.catalog, lambda: None, lambda: pipeline.loop.alive, lifecycle=False
    )
    request = Request({"type": "http"})
    assert admin.healthy(request).status_code == HTTPStatus.OK
    monkeypatch.setattr(classifier, "classify_exit", classify)
    pipeline.events(start(0), die(1, 0))
    assert pipeline.reaches(lambda: not pipeline.loop.alive)
    with pytest.raises(ProblemError) as problem:
        admin.healthy(request)
    assert (problem.value.status, problem.value.detail) == (
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "the pipeline has ended, or stands still; the log has the cause",
    )


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_crashed_pipeline_is_not_drained(pipeline: PipelineDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    def classify(*_: object, **__: object) -> None:
        raise BugError

    monkeypatch.setattr(classifier, "classify_exit", classify)
    pipeline.events(die(1, 0))
    assert pipeline.reaches(lambda: not pipeline.loop.alive)
    assert not pipeline.stop()
