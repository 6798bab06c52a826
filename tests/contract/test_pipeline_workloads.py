"""Under which workload the pipeline counts a job."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from exporter.metrics import definitions as metrics
from exporter.model import SeriesKey
from exporter.sources.docker.engine import ContainerList, Event
from exporter.sources.docker.messages import EventReceived
from tests.contract.pipeline_driver import ADDRESS, CONNECTED, OTHER_ADDRESS, PipelineDriver, job_series
from tests.contract.tracker_driver import HOST, A, B, C, at, die, exited, running, start
from tests.lab.wait import wait_until

pytestmark = pytest.mark.usefixtures("fast_retries")


def run_of(workload: str, seconds: float, container: str) -> tuple[Event, Event]:
    """Return the events of a run with a label that names its workload."""
    labels = {"exit-exporter.workload": workload}
    return replace(start(seconds, container), labels=labels), die(seconds + 1, 1, container)


def workloads(series: dict[SeriesKey, float]) -> set[str]:
    """Return the workloads that have series."""
    return {labels[1] for _, labels in job_series(series)}


def test_an_evicted_workload_is_recorded_with_the_new_job(tmp_path: Path) -> None:
    with PipelineDriver(tmp_path, workloads=1, idle_ns=at(100) - at(0)) as pipeline:
        pipeline.connect().events(*run_of("old", 0, A))
        assert pipeline.ends(1)
        pipeline.store.refuses_commits = True
        pipeline.events(*run_of("new", 200, B))
        assert pipeline.is_refused(2)
        assert workloads(pipeline.metric_state.snapshot()) == workloads(pipeline.store.series()) == {"old"}
        pipeline.store.refuses_commits = False
        assert pipeline.ends(2)
        assert workloads(pipeline.store.series()) == {"new"}
    assert workloads(pipeline.metric_state.snapshot()) == {"new"}
    with PipelineDriver(tmp_path, workloads=1, idle_ns=at(100) - at(0)) as again:
        again.connect().events(*run_of("old", 250, C))
        assert again.ends(3)
        assert workloads(again.store.series()) == {"new", "Other"}


def test_an_image_id_is_replaced_by_its_repository(
    pipeline: PipelineDriver,
) -> None:
    by_id = [replace(event, image="sha256:" + "ab" * 32) for event in (start(0), die(1, 0))]
    inspection = replace(running(0), image=by_id[0].image, repository="acme/train")
    pipeline.send(EventReceived(by_id[0], inspecting=True)).inspected(A, inspection)
    expected = {(HOST, "acme/train"): 1}
    assert pipeline.shows(metrics.JOBS_RUNNING, expected)
    pipeline.events(by_id[1])
    assert pipeline.ends(1)
    (record,) = pipeline.store.records()
    assert (record.job.image, record.job.workload.image) == (by_id[0].image, "acme/train")
    assert wait_until(lambda: pipeline.series(metrics.JOBS_RUNNING) == {(HOST, "acme/train"): 0}, 1)


def test_a_job_counted_by_image_id_does_not_run_on_there(pipeline: PipelineDriver) -> None:
    by_id = [replace(event, image="sha256:" + "ab" * 32) for event in (start(0), die(1, 255))]
    pipeline.events(by_id[0])
    unnamed = (HOST, "unnamed")
    assert pipeline.shows(metrics.JOBS_RUNNING, {unnamed: 1})
    inspection = replace(exited(0, 1, 255), image=by_id[0].image, repository="acme/train")
    pipeline.send(EventReceived(by_id[1], inspecting=True)).inspected(A, inspection)
    assert pipeline.ends(1)
    expected = {unnamed: 0, (HOST, "acme/train"): 0}
    assert pipeline.shows(metrics.JOBS_RUNNING, expected)


def test_a_job_by_image_id_keeps_its_workload_after_a_restart(
    tmp_path: Path,
) -> None:
    labels = {"traceparent": "x"}
    by_id = [replace(event, image="sha256:" + "ab" * 32, labels=labels) for event in (start(0), die(1, 0))]
    inspection = replace(running(0, labels=labels), image=by_id[0].image, repository="acme/train")
    with PipelineDriver(tmp_path) as pipeline:
        pipeline.connect().send(EventReceived(by_id[0], inspecting=True)).inspected(A, inspection)
        assert pipeline.reaches(lambda: bool(pipeline.store.records()))
    with PipelineDriver(tmp_path) as again:
        again.send(CONNECTED).events(by_id[1])
        assert again.ends(1)
        assert {record.job.workload.name for record in again.store.records()} == {"acme/train"}


def test_equal_container_ids_on_two_hosts_are_kept_apart(tmp_path: Path) -> None:
    twin = replace(CONNECTED, info=replace(CONNECTED.info, host="twin"))
    with PipelineDriver(tmp_path) as pipeline:
        for connected, address in ((CONNECTED, ADDRESS), (twin, OTHER_ADDRESS)):
            pipeline.send(connected, ContainerList((exited(0, 1, 3),), at(10)), address=address)
        assert pipeline.ends(2)
        records = pipeline.store.records()
    assert {record.job.container_id for record in records} == {A}
    assert {record.job.instance for record in records} == {HOST, "twin"}
    assert len({record.job.id for record in records}) == 2
