"""Many of dstack's containers at once on a real engine, cleared up as soon as their jobs are over.

``STAND_INS=200 python -m pytest tests/integration/test_dstack_stand_ins.py`` is the whole of it; without
the variable it is smaller, so that everybody runs it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from exporter.sources.docker.supervisors.dstack import IS_TASK
from tests.contract.test_dstack import expected, load
from tests.integration import faces
from tests.integration.conftest import on_each_engine
from tests.lab.dstack_stand_in import Shared, StandIn, recorded_lines, wait_at
from tests.lab.engine import PrivateEngine, remove_all
from tests.lab.exporter import ExporterProcess
from tests.lab.images import BUSYBOX
from tests.lab.jobs import dies_of
from tests.lab.wait import wait_until

pytestmark = on_each_engine

COUNT = int(os.environ.get("STAND_INS", "50"))
AT_ONCE = 8
SECONDS = 60.0
# The job's command and its code, for each recorded runner.
JOBS = {
    "d-exit-0": ("exit 0", 0),
    "d-exit-3": ("exit 3", 3),
    "g-segv": (dies_of("SEGV")[-1], 139),
    "e-maxdur": (dies_of("HUP")[-1], 129),
    "e-stop": (dies_of("HUP")[-1], 129),
}
_TRUE = {"exit_code": "container_exit_code"}


@pytest.fixture
def stand_ins() -> list[StandIn]:
    """As many of each kind, mixed."""
    kinds = list(JOBS.items())
    return [
        StandIn.new(recording, f"{wait_at('go')}; {job}", code, number)
        for number in range(COUNT)
        for recording, (job, code) in [kinds[number % len(kinds)]]
    ]


@pytest.fixture
def shared(directory: Path) -> Shared:
    """What they share with this test."""
    return Shared(directory / "shared", "go")


@pytest.fixture
def exporter(
    engine: PrivateEngine, client: docker.DockerClient, directory: Path
) -> Iterator[ExporterProcess]:
    """An exporter, of containers that only this test has."""
    remove_all(client)
    with ExporterProcess(engine.url, directory, arguments=("--log.level", "debug")) as running:
        yield running
    remove_all(client)


def test_of_many_at_once_no_word_is_lost(
    client: docker.DockerClient, exporter: ExporterProcess, stand_ins: list[StandIn], shared: Shared
) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        containers = list(pool.map(lambda each: each.start(client, shared), stand_ins))
        assert wait_until(lambda: statuses(exporter) == {"running": COUNT}, SECONDS)
        with shared.opened("go"):
            list(pool.map(lambda each, container: each.clear_up(container, shared), stand_ins, containers))
    assert wait_until(lambda: "running" not in statuses(exporter), SECONDS)
    jobs = {job["name"]: job for job in exporter.jobs()}
    assert {each.name: shown(jobs[each.name]) for each in stand_ins} == {
        each.name: truth(each) for each in stand_ins
    }
    assert len(jobs) == COUNT
    for recording in JOBS:
        assert faces.exits(exporter, recording) == counted(recording, stand_ins)


# Single ones


def one(recording: str = "d-exit-3", before: str = ":") -> StandIn:
    """One whose job waits at the gate, with a script before that."""
    job, code = JOBS[recording]
    return StandIn.new(recording, f"{before}; {wait_at('go')}; {job}", code, 0)


def ended(exporter: ExporterProcess, count: int = 1) -> list[dict[str, Any]]:
    """The jobs that have ended, as many as there must be, the first one first."""

    def found() -> list[dict[str, Any]]:
        return [job for job in exporter.jobs()[::-1] if job["status"] != "running"]

    assert wait_until(lambda: len(found()) == count, SECONDS)
    return [exporter.json(f"/api/v1/jobs/{job['id']}") for job in found()]


MANY_LINES = f"i=0; while [ $i -lt 2000 ]; do echo '{recorded_lines('d-exit-3')[0]}'; i=$((i+1)); done"
LONG_LINE = "head -c 1000000 /dev/zero | tr '\\0' x; echo"


@pytest.mark.parametrize(
    ("before", "log"),
    [
        (":", {"tty": True}),
        (LONG_LINE, {}),
        (MANY_LINES, {"log_config": {"Type": "json-file", "Config": {"max-size": "20k", "max-file": "2"}}}),
        (":", {"log_config": {"Type": "local"}}),
    ],
    ids=["a terminal", "a line of a megabyte", "a log that is rotated", "the driver local"],
)
def test_the_end_is_read_whatever_log_it_is(
    client: docker.DockerClient,
    exporter: ExporterProcess,
    shared: Shared,
    before: str,
    log: dict[str, Any],
) -> None:
    stand_in = one(before=before)
    container = stand_in.start(client, shared, **log)
    with shared.opened("go"):
        stand_in.clear_up(container, shared)
    assert [shown(job) for job in ended(exporter)] == [truth(stand_in)]


def test_a_log_that_cannot_be_read_makes_the_end_unknown(
    client: docker.DockerClient, exporter: ExporterProcess, shared: Shared
) -> None:
    stand_in = one()
    container = stand_in.start(client, shared, log_config={"Type": "none"})
    with shared.opened("go"):
        stand_in.clear_up(container, shared)
    (job,) = ended(exporter)
    assert (job["status"], job["container_exit_code"], job["reason"]) == ("unknown", None, "Unknown")
    assert "the engine does not give it (HTTP 501)" in str(job)


def test_an_exporter_that_was_away_between_the_jobs_end_and_the_containers_reads_it(
    client: docker.DockerClient, exporter: ExporterProcess, shared: Shared
) -> None:
    stand_in = one()
    container = stand_in.start(client, shared)
    assert wait_until(lambda: statuses(exporter) == {"running": 1}, SECONDS)
    with shared.opened("go"):
        stand_in.await_end(container, shared)
    exporter.kill()
    exporter.start()
    exporter.await_ready()
    stand_in.clear_up(container, shared)
    assert [shown(job) for job in ended(exporter)] == [truth(stand_in)]


def test_a_container_that_is_kept_is_read_after_its_end(
    client: docker.DockerClient, exporter: ExporterProcess, shared: Shared
) -> None:
    stand_in = one()
    container = stand_in.start(client, shared)
    assert wait_until(lambda: statuses(exporter) == {"running": 1}, SECONDS)
    exporter.kill()
    with shared.opened("go"):
        stand_in.await_end(container, shared)
    container.stop(timeout=0)
    exporter.start()
    exporter.await_ready()
    assert [shown(job) for job in ended(exporter)] == [truth(stand_in)]


def test_each_run_of_a_container_has_its_own_end(
    client: docker.DockerClient, exporter: ExporterProcess, shared: Shared
) -> None:
    stand_in = one()
    container = stand_in.start(client, shared)
    with shared.opened("go"):
        stand_in.await_end(container, shared)
    # At once: the log of the first run ends just before that of the second begins, in which no job ends.
    container.restart(timeout=0)
    assert wait_until(lambda: statuses(exporter) == {"failed": 1, "running": 1}, SECONDS)
    container.kill()
    first, second = ended(exporter, 2)
    assert shown(first) == truth(stand_in)
    assert (second["status"], second["reason"]) == ("terminated", "Killed")


def test_a_job_that_still_runs_when_its_container_is_cleared_up_is_terminated(
    client: docker.DockerClient, exporter: ExporterProcess, shared: Shared
) -> None:
    container = one().start(client, shared)
    assert wait_until(lambda: statuses(exporter) == {"running": 1}, SECONDS)
    # A log that is gone before it is read says nothing of the job, which is then unknown.
    assert wait_until(lambda: is_read(container, exporter), SECONDS)
    container.stop(timeout=0)
    container.remove(force=True)
    (job,) = ended(exporter)
    assert (job["status"], job["termination"], job["container_exit_code"]) == (
        "terminated",
        "TERMINATED_BY_USER",
        None,
    )


def test_a_container_that_only_has_the_label_is_unknown_and_never_done(
    client: docker.DockerClient, exporter: ExporterProcess
) -> None:
    client.containers.run(
        BUSYBOX,
        ["echo", "done"],
        labels={IS_TASK: "True"},
        name="made-by-hand",
        network_mode="none",
        detach=True,
    )
    (job,) = ended(exporter)
    assert (job["status"], job["container_exit_code"]) == ("unknown", None)


def is_read(container: Container, exporter: ExporterProcess) -> bool:
    """Whether the exporter says that it reads the container's log."""
    lines = exporter.process.log_path.read_text().splitlines()
    return any("is read" in line and str(container.id)[:12] in line for line in lines)


def statuses(exporter: ExporterProcess) -> dict[str, int]:
    """How many jobs have each status."""
    return dict(Counter(job["status"] for job in exporter.jobs()))


def shown(job: dict[str, Any]) -> dict[str, Any]:
    """What the API says of a job."""
    keys = ("status", "termination", "container_exit_code", "reason", "oom_kills")
    return {"job_id": job["supervisor"]["job_id"]} | {key: job[key] for key in keys}


def truth(stand_in: StandIn) -> dict[str, Any]:
    """What it must say."""
    recorded = expected(stand_in.recording, load(stand_in.recording))
    return {"job_id": stand_in.task_id} | {_TRUE.get(key, key): value for key, value in recorded.items()}


def counted(recording: str, stand_ins: list[StandIn]) -> faces.Exits:
    """The exits to be counted for the run of that name."""
    recorded = expected(recording, load(recording))
    code = "unknown" if recorded["exit_code"] is None else str(recorded["exit_code"])
    number = sum(each.recording == recording for each in stand_ins)
    return {(str(recorded["status"]), code, recorded["reason"]): number}
