"""The image, built without a network and run as it is meant to be: no root, no capability, nothing to write.

It watches the very engine that it runs on, through a bind-mounted socket.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from exporter import __version__
from tests.integration import faces
from tests.integration.ends import HUNGRY_WHEN_TOLD, MEBIBYTE
from tests.lab.cgroups import cgroup_directories
from tests.lab.engine import PrivateEngine
from tests.lab.exporter import ExporterProcess
from tests.lab.images import BUSYBOX, PYTHON
from tests.lab.server import free_port
from tests.lab.wait import wait_until
from tests.lab.wheels import build_image

TAG = "exit-exporter:test"
PROVENANCE = {
    "SOURCE": "https://exit-exporter.example/source",
    "REVISION": "0123456789abcdef0123456789abcdef01234567",
    "VERSION": __version__,
    "CREATED": "2026-01-02T03:04:05Z",
}
USER = 10137
SECONDS = 60
PATIENCE_SECONDS = 8
"""Less than the ten seconds that ``docker stop`` waits before it kills."""

LIMIT = 20 * MEBIBYTE

SOCKET = "/var/run/docker.sock"
DATA = "/var/lib/exit-exporter"
EVERY_SECOND = {"interval": 10**9}
OOM_ERROR = "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 137 - OOMKilled)"


@dataclass(frozen=True, slots=True)
class Host:
    """Where the image runs: an engine that has it, and a volume for its data."""

    engine: PrivateEngine
    client: docker.DockerClient
    volume: str

    @property
    def group(self) -> int:
        """Who may use the engine's socket."""
        return self.engine.socket_path.stat().st_gid


@dataclass(frozen=True, slots=True)
class Deployed:
    """The exporter as a container, and how to ask it."""

    container: Container
    asked: ExporterProcess
    """A client of its address; no process of the test's own."""


@pytest.fixture(scope="module")
def image(client: docker.DockerClient, wheels: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    """The image, as the engine describes it."""
    build_image(client, PYTHON, TAG, wheels, provenance=PROVENANCE)
    described: dict[str, Any] = client.images.get(TAG).attrs
    whole, base = (size / MEBIBYTE for size in (described["Size"], client.images.get(PYTHON).attrs["Size"]))
    tell(request, f"image: {whole:.0f} MiB on a base of {base:.0f} MiB")
    return described


@pytest.fixture(scope="module")
def host(
    image: dict[str, Any],  # noqa: ARG001  # is to be there
    engine: PrivateEngine,
    client: docker.DockerClient,
) -> Iterator[Host]:
    volume = client.volumes.create("exit-exporter-data")
    yield Host(engine, client, volume.name)
    volume.remove()


@pytest.fixture(scope="module")
def running(
    host: Host, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Deployed]:
    """An exporter that has seen two jobs be killed for memory: by their limit, and unseen by the engine."""
    begun = time.monotonic()
    with deployed(host, tmp_path_factory.mktemp("asked")) as exporter:
        tell(request, f"image: ready {time.monotonic() - begun:.1f} s after the container's creation")
        limits = {"mem_limit": LIMIT, "memswap_limit": LIMIT}
        with hungry(host, "limited", **limits) as one, hungry(host, "limited-from-outside") as other:
            limit_from_outside(host.engine, other, LIMIT)
            # One after the other: the kernel's counter names nobody.
            feed(one, exporter.asked)
            feed(other, exporter.asked)
        yield exporter


@contextmanager
def deployed(host: Host, directory: Path) -> Iterator[Deployed]:
    """A container of the image that is ready."""
    port = free_port()
    container = host.client.containers.create(
        TAG,
        name=f"exit-exporter-{port}",
        network_mode="host",
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        group_add=[str(host.group)],
        volumes={
            str(host.engine.socket_path): {"bind": SOCKET, "mode": "ro"},
            host.volume: {"bind": DATA, "mode": "rw"},
        },
        environment={"EXIT_EXPORTER_WEB_LISTEN_ADDRESS": f"127.0.0.1:{port}"},
        healthcheck=EVERY_SECOND,
        labels={"exit-exporter.workload": "exit-exporter"},
    )
    asked = ExporterProcess("", directory, port=port)
    try:
        container.start()
        if not wait_until(asked.ready, SECONDS):
            pytest.fail(f"not ready:\n{container.logs().decode()}")
        yield Deployed(container, asked)
    finally:
        asked.stop()
        container.remove(force=True)


def tell(request: pytest.FixtureRequest, text: str) -> None:
    """Print a figure past pytest's capture."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        request.config.get_terminal_writer().line(f"\n{text}")


@contextmanager
def hungry(host: Host, name: str, **limits: Any) -> Iterator[Container]:
    """A running job that takes memory without end as soon as it is fed."""
    container = host.client.containers.run(
        BUSYBOX,
        ["sh", "-c", HUNGRY_WHEN_TOLD],
        name=name,
        network_mode="none",
        labels={"exit-exporter.workload": "hungry"},
        detach=True,
        **limits,
    )
    try:
        yield container
    finally:
        container.remove(force=True)


def feed(container: Container, asked: ExporterProcess) -> None:
    """Let it take memory until its end is told."""
    container.exec_run(["touch", "/now"])
    assert wait_until(lambda: container.name in ends(asked), SECONDS)


def limit_from_outside(engine: PrivateEngine, container: Container, limit: int) -> None:
    """Set a limit that neither the engine nor containerd knows of, so that they tell of no OOM kill."""
    container.reload()
    for directory in cgroup_directories(engine.cgroup):
        for name in ("memory.limit_in_bytes", "memory.max"):
            if (directory / name).exists():
                (directory / "outside").mkdir()
                (directory / "outside" / name).write_text(str(limit))
                (directory / "outside" / "cgroup.procs").write_text(str(container.attrs["State"]["Pid"]))


def ends(asked: ExporterProcess) -> dict[str, dict[str, Any]]:
    return {job["name"]: job for job in asked.jobs() if job["status"] != "running"}


def state(container: Container) -> dict[str, Any]:
    container.reload()
    described: dict[str, Any] = container.attrs["State"]
    return described


def counted(asked: ExporterProcess) -> dict[str, Any]:
    """The counters of all but the exporter's own container, whose end its successor adds."""
    return {
        sample: value
        for sample, value in faces.counters(asked).items()
        if "('workload', 'exit-exporter')" not in sample and not sample.startswith("container_jobs_running")
    }


def test_it_says_what_it_is_and_names_no_user_but_a_number(image: dict[str, Any]) -> None:
    config = image["Config"]
    assert config["User"] == f"{USER}:{USER}"
    assert config["Labels"] == {
        "org.opencontainers.image.title": "exit-exporter",
        "org.opencontainers.image.description": (
            "Why did my container exit? Exit codes and reasons of container jobs."
        ),
        "org.opencontainers.image.licenses": "Apache-2.0",
        **{f"org.opencontainers.image.{name.lower()}": value for name, value in PROVENANCE.items()},
    }
    assert config["ExposedPorts"] == {"10137/tcp": {}}
    assert config["Volumes"] == {DATA: {}}


def test_it_runs_without_root_and_without_a_capability(running: Deployed, host: Host) -> None:
    status = Path(f"/proc/{state(running.container)['Pid']}/status").read_text()
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert facts["Uid"].split() == [str(USER)] * 4
    assert facts["Gid"].split() == [str(USER)] * 4
    assert set(facts["Groups"].split()) <= {str(USER), str(host.group)}
    assert int(facts["CapEff"], 16) == 0
    assert facts["NoNewPrivs"] == "1"


def test_it_watches_the_engine_that_it_runs_on(running: Deployed, host: Host) -> None:
    assert faces.samples(running.asked, "exit_exporter_engine_up") == {(("engine", f"unix://{SOCKET}"),): 1}
    jobs_running = faces.samples(running.asked, "container_jobs_running")
    assert jobs_running[(("host", host.client.info()["Name"]), ("workload", "exit-exporter"))] == 1
    (info,) = faces.samples(running.asked, "exit_exporter_build_info")
    assert dict(info)["version"] == __version__


def test_an_oom_kill_is_told_with_its_code_and_counted(running: Deployed) -> None:
    job = ends(running.asked)["limited"]
    assert (job["status"], job["container_exit_code"], job["error"]) == ("failed", 137, OOM_ERROR)
    assert (job["oom_kills"], job["memory_limit_bytes"]) == (1, LIMIT)
    assert faces.exits(running.asked, "hungry") == {("failed", "137", "OOMKilled"): 2}


def test_the_kernels_counter_is_a_witness_inside_the_container(running: Deployed) -> None:
    job = ends(running.asked)["limited-from-outside"]
    assert (job["container_exit_code"], job["reason"], job["oom_kills"]) == (137, "OOMKilled", 1)
    assert job["evidence"] == ["The kernel counted an OOM kill that no other container accounts for."]


def test_its_health_check_finds_it_healthy(running: Deployed) -> None:
    assert wait_until(lambda: state(running.container)["Health"]["Status"] == "healthy", SECONDS)


def test_its_command_line_works_without_a_daemon(host: Host) -> None:
    told = host.client.containers.run(TAG, ["explain", "137"], network_mode="none", remove=True).decode()
    assert {"OOMKilled", "Killed", "SIGKILL"} <= set(told.split())


def test_it_ends_when_told_and_its_successor_goes_on_counting(
    running: Deployed, host: Host, tmp_path: Path
) -> None:
    jobs, counters = ends(running.asked), counted(running.asked)
    before = faces.exits(running.asked, "exit-exporter")
    running.container.stop(timeout=PATIENCE_SECONDS)
    assert state(running.container)["ExitCode"] == 0
    with deployed(host, tmp_path) as successor:
        after = ends(successor.asked)
        assert {name: after.get(name) for name in jobs} == jobs
        assert counted(successor.asked) == counters
        own = faces.exits(successor.asked, "exit-exporter")
        assert sum(own.values()) == sum(before.values()) + 1
