"""Engines that go away or are stopped, and Swarm that stops unhealthy containers: engines of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest
from docker.types import Healthcheck, ServiceMode

from tests.integration import faces
from tests.integration.ends import HUNGRY, MEBIBYTE
from tests.integration.told import GO, SECONDS, UNTIL_GO, Told, ended
from tests.lab.engine import PrivateEngine
from tests.lab.exporter import ExporterProcess
from tests.lab.images import BUSYBOX, import_busybox
from tests.lab.jobs import READY, UNTIL_TOLD, await_ready
from tests.lab.kinds import AT_HAND, new_engine
from tests.lab.server import free_port
from tests.lab.wait import wait_until

GAPS = "exit_exporter_event_gaps_total"


@pytest.fixture(params=AT_HAND)
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of engine."""
    return str(request.param)


@pytest.fixture
def own(kind: str) -> Iterator[PrivateEngine]:
    """An engine that may be hit, with a network that may be filled."""
    with new_engine(kind, own_network=True) as private:
        import_busybox(private.client())
        yield private


def gaps(exporter: ExporterProcess) -> float:
    """How often events were missed."""
    return sum(faces.samples(exporter, GAPS).values())


# --- Swarm


@contextmanager
def swarm(client: docker.DockerClient) -> Iterator[None]:
    """A swarm of one."""
    client.swarm.init(advertise_addr="127.0.0.1", listen_addr=f"127.0.0.1:{free_port()}")
    try:
        yield
    finally:
        client.swarm.leave(force=True)


def _sick_service(client: docker.DockerClient) -> None:
    second = 10**9
    client.services.create(  # type: ignore[no-untyped-call]  # so in the stubs
        BUSYBOX,
        ["sh", "-c", UNTIL_TOLD],
        name="sick",
        networks=["host"],
        mode=ServiceMode("replicated", 1),
        healthcheck=Healthcheck(
            test=["CMD-SHELL", "echo nobody listens; false"], interval=second, timeout=second, retries=1
        ),
    )


def test_what_swarm_ends_for_its_health_has_failed(own: PrivateEngine, tmp_path: Path) -> None:
    client = own.client()
    with ExporterProcess(own.url, tmp_path) as exporter, swarm(client):
        _sick_service(client)
        assert wait_until(lambda: bool(ended(exporter)), SECONDS), exporter.log_path.read_text()
        name, job = next(iter(ended(exporter).items()))
        error = "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 143 - Unhealthy)"
        assert (job["workload"], job["status"], job["error"], job["recovery"]) == (
            "sick",
            "failed",
            error,
            "retry",
        )
        assert faces.rows(faces.printed(exporter, "ps", "-a", "-v"))[name]["ERROR"] == error
        assert "the last check that failed said: nobody listens" in faces.sheet(exporter, name)
        assert set(faces.exits(exporter, "sick")) == {("failed", "143", "Unhealthy")}


# --- an engine that is stopped


def test_an_engine_that_is_told_to_stop_has_asked_all_its_containers_to_end_and_leaves_no_gap(
    own: PrivateEngine, tmp_path: Path
) -> None:
    cases = [
        Told(
            title,
            ("sh", "-c", UNTIL_TOLD),
            "terminated",
            143,
            "Terminated",
            "TERMINATED_BY_USER",
            says=("All 3 containers that ran on this engine were asked to stop at the same time",),
        )
        for title in ("one", "two", "three")
    ]
    removed = [False, False, True]
    with ExporterProcess(own.url, tmp_path) as exporter:
        client = own.client()
        for case, each in zip(cases, removed, strict=True):
            await_ready(case.started(client, removed=each))
        assert wait_until(lambda: len(exporter.jobs(status="running")) == len(cases), SECONDS)
        own.end()
        own.start()
        exporter.await_ready()
        for case, each in zip(cases, removed, strict=True):
            case.is_said(exporter, removed=each)
        assert gaps(exporter) == 0
        assert len(exporter.jobs()) == len(cases)


# --- an engine that is away while its containers run on

STARVED = Told(
    "starves while its engine is away",
    ("sh", "-c", f"echo {READY}; {UNTIL_GO}; {HUNGRY}"),
    "failed",
    137,
    "OOMKilled",
    oom_kills=1,
    memory_limit=20 * MEBIBYTE,
    recovery="more-memory",
    log_says=(
        r"process \d+ \(sh, [\d.]+ MiB\) for memory (at|\d\.\d+ s (before|after)) the end; its own limit was",
    ),
)


@pytest.mark.parametrize("is_exporter_away", [False, True], ids=["the engine alone", "the exporter too"])
def test_an_oom_kill_while_the_engine_is_away_is_known_when_it_is_back(
    kind: str, tmp_path: Path, *, is_exporter_away: bool
) -> None:
    with new_engine(kind, extra_args=("--live-restore",)) as engine:
        import_busybox(engine.client())
        with ExporterProcess(engine.url, tmp_path) as exporter:
            client = engine.client()
            container = STARVED.started(client, removed=False)
            await_ready(container)
            assert wait_until(lambda: bool(exporter.jobs(status="running")), SECONDS)
            pid = client.api.inspect_container(str(container.id))["State"]["Pid"]
            if is_exporter_away:
                exporter.kill()
            engine.kill()
            Path(f"/proc/{pid}/root{GO}").write_text("\n")
            assert wait_until(lambda: not Path(f"/proc/{pid}").exists(), SECONDS)
            engine.start()
            if is_exporter_away:
                exporter.start()
                exporter.await_ready()
            STARVED.is_said(exporter, removed=False)
