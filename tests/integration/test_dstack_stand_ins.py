"""Hundreds of dstack's containers at once on a real engine, cleared up as soon as their jobs are over.

``STAND_INS=50 python -m pytest tests/integration/test_dstack_stand_ins.py`` runs fewer.
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

from tests.contract.test_dstack import expected, load
from tests.integration import faces
from tests.integration.conftest import on_each_engine
from tests.lab.dstack_stand_in import Shared, StandIn, wait_at
from tests.lab.engine import PrivateEngine
from tests.lab.exporter import ExporterProcess
from tests.lab.jobs import dies_of
from tests.lab.wait import wait_until

pytestmark = on_each_engine

COUNT = int(os.environ.get("STAND_INS", "200"))
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
    """An exporter; no container is left."""
    with ExporterProcess(engine.url, directory) as running:
        yield running
    with ThreadPoolExecutor(AT_ONCE) as pool:
        left = client.containers.list(
            all=True, ignore_removed=True, filters={"label": "ai.dstack.shim.is-task"}
        )
        list(pool.map(lambda container: container.remove(force=True), left))


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
