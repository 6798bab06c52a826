"""The daemon goes on where a version before stopped: with its database, its settings and its catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import invoke
from tests.lab.exporter import ExporterProcess
from tests.lab.wait import wait_until
from tests.scripted.engine import ScriptedEngine
from tests.scripted.http_receiver import Receiver
from tests.scripted.http_replies import OK, status
from tests.store.versions.version import VERSIONS, Version, answers

WAIT_SECONDS = 20.0
RENAMED = {
    "exit_exporter_store_commit_seconds": "exit_exporter_store_commit_duration_seconds",
    "exit_exporter_rows_given_up_total": "exit_exporter_job_records_dropped_total",
    "exit_exporter_spans_pending": "exit_exporter_otlp_pending_jobs",
    "exit_exporter_spans_exported_total": "exit_exporter_otlp_jobs_exported_total",
    "exit_exporter_spans_rejected_total": "exit_exporter_otlp_jobs_rejected_total",
    "exit_exporter_spans_given_up_total": "exit_exporter_otlp_jobs_dropped_total",
    "exit_exporter_workloads_folded_total": "exit_exporter_jobs_over_workload_limit_total",
    "exit_exporter_catalogue_reload_success": "exit_exporter_config_last_reload_successful",
    "exit_exporter_catalogue_reload_timestamp_seconds": (
        "exit_exporter_config_last_reload_success_timestamp_seconds"
    ),
}
"""Metrics of a version before that have another name today."""

OF_ONE_PROCESS = (
    "exit_exporter_build_info",
    "exit_exporter_config_last_reload_success_timestamp_seconds",
    "exit_exporter_store_commit_duration_seconds",
)
"""What differs from start to start: it is not compared."""

MERGED_BUCKETS = tuple(f"le={bound}," for bound in (0.1, 5.0, 900.0, 10800.0, 43200.0, 259200.0, 604800.0))
"""Bounds of the histogram of run durations that are merged with the next one today."""


@pytest.fixture(params=VERSIONS, ids=lambda version: version.folder.name)
def version(request: pytest.FixtureRequest) -> Version:
    """A version before."""
    version: Version = request.param
    return version


@pytest.fixture
def engine(version: Version, tmp_path: Path) -> Iterator[ScriptedEngine]:
    """The engine as that version left it."""
    with version.engine(tmp_path) as running:
        version.replay(running)
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A collector that takes nothing for now."""
    with Receiver() as running:
        running.otherwise(status(503))
        yield running


@pytest.fixture
def exporter(version: Version, engine: ScriptedEngine, receiver: Receiver, tmp_path: Path) -> ExporterProcess:
    """The daemon of today over what that version left, not started yet."""
    exporter = ExporterProcess(
        engine.url,
        tmp_path,
        arguments=version.arguments,
        environment={"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url},
    )
    version.load(exporter.database, engine.url)
    return exporter


def flat(metrics: Mapping[str, Mapping[str, float]]) -> dict[tuple[str, str], float]:
    """Return samples by today's name and labels, without those of one process."""
    return {
        (today(name), labels): value
        for name, table in metrics.items()
        if not today(name).startswith(OF_ONE_PROCESS)
        for labels, value in table.items()
        if not any(bucket in labels for bucket in MERGED_BUCKETS)
    }


def today(name: str) -> str:
    """Return what a sample is called today; a histogram's names have endings."""
    return next((name.replace(old, new) for old, new in RENAMED.items() if name.startswith(old)), name)


def fields(jobs: list[dict[str, Any]], of: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return jobs with only those fields that others have."""
    return [{name: job.get(name) for name in other} for job, other in zip(jobs, of, strict=True)]


def test_all_on_record_is_answered_as_before(
    version: Version, engine: ScriptedEngine, exporter: ExporterProcess
) -> None:
    before = version.answers(engine)
    for _ in range(2):
        with exporter:
            now = answers(exporter)
        assert fields(now["jobs"], before["jobs"]) == before["jobs"]
        counted, counts = flat(now["metrics"]), flat(before["metrics"])
        assert {key: counted.get(key) for key in counts} == counts
        assert exporter.process.returncode == 0


def test_a_job_that_ran_ends_once_by_the_catalogue(
    version: Version, engine: ScriptedEngine, exporter: ExporterProcess
) -> None:
    before = version.answers(engine)["jobs"]
    (ran,) = (job["id"] for job in before if job["status"] == "running")
    with exporter:
        version.end_running(engine, 42)
        assert wait_until(lambda: not exporter.jobs(status="running"), WAIT_SECONDS)
    with exporter:
        job = exporter.jobs(code=42, reason="CheckpointCorrupt")[0]
        assert (job["id"], job["workload"], job["recovery"]) == (ran, "trainer", "fix-command")
        assert [each["id"] for each in exporter.jobs()] == [each["id"] for each in before]


def test_what_waited_for_a_collector_is_sent_once(
    version: Version, engine: ScriptedEngine, exporter: ExporterProcess, receiver: Receiver
) -> None:
    traces = {job["id"]: job["trace_id"] for job in version.answers(engine)["jobs"]}
    waiting = sorted(traces[job] for job in version.waiting(exporter.database))
    receiver.otherwise(OK)
    for _ in range(2):
        with exporter:
            assert wait_until(lambda: not sum(pending(exporter)), WAIT_SECONDS)
    assert sorted(span.trace_id for span in receiver.spans) == waiting
    assert {record.trace_id for record in receiver.records} == set(waiting)


def pending(exporter: ExporterProcess) -> list[float]:
    """Return how many jobs wait to be sent, of each signal."""
    return list(answers(exporter)["metrics"]["exit_exporter_otlp_pending_jobs"].values())


def test_settings_and_catalogue_are_good(version: Version) -> None:
    checked = invoke("check", *map(str, sorted(version.folder.glob("*.yaml"))))
    assert (checked.code, checked.out.count(": good ")) == (0, 2)
