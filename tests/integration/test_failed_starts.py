"""Failed starts that are not the first thing that happens to a container, on each real engine."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import APIError
from docker.models.containers import Container
from docker.models.networks import Network
from docker.types import Mount

from tests.integration import faces
from tests.integration.conftest import on_each_engine
from tests.lab.engine import PrivateEngine
from tests.lab.exporter import ExporterProcess
from tests.lab.images import BUSYBOX
from tests.lab.wait import wait_until

pytestmark = on_each_engine

SECONDS = 60
REMEMBERED = 256
"""How many events an engine remembers."""

Told = tuple[int, int | None, str]
FAILED: Told = (2, 127, "CommandNotFound")
RAN: Told = (1, 3, "Error")


@pytest.fixture(scope="module")
def exporter(engine: PrivateEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExporterProcess]:
    """An exporter that watches all tests here."""
    with ExporterProcess(engine.url, tmp_path_factory.mktemp("failed-starts")) as running:
        yield running


@pytest.fixture
def networks(client: docker.DockerClient, tmp_path: Path) -> Iterator[list[Network]]:
    """Two networks of one's own, that go with their containers."""
    made = [client.networks.create(f"{tmp_path.name[-8:]}-{number}", driver="bridge") for number in range(2)]
    yield made
    for network in made:
        for container in client.containers.list(all=True, filters={"network": str(network.name)}):
            container.remove(force=True)
        network.remove()


def create(client: docker.DockerClient, name: str, command: list[str], **more: Any) -> Container:
    """Create a container whose exits are counted under its name."""
    more.setdefault("network_mode", "none")
    labels = {"exit-exporter.workload": name}
    return client.containers.create(BUSYBOX, command, name=name, labels=labels, **more)


def once(client: docker.DockerClient, folder: Path, name: str, **more: Any) -> Container:
    """Create one whose command ends with 3 and is gone then: the next start fails."""
    job = folder / "job"
    job.write_text("#!/bin/sh\nrm $0\nexit 3\n")
    job.chmod(0o755)
    return create(client, name, ["/jobs/job"], mounts=[Mount("/jobs", str(folder), type="bind")], **more)


def fail_to_start(container: Container) -> None:
    """Start it, which its engine must refuse."""
    with pytest.raises(APIError):
        container.start()


def told(exporter: ExporterProcess, name: str) -> list[Told]:
    """What is said of each end of a container, the first one first: attempt, code and reason."""
    jobs = [job for job in exporter.jobs(workload=name) if job["status"] != "running"]
    return sorted((job["attempt"], job["container_exit_code"], job["reason"]) for job in jobs)


def await_told(exporter: ExporterProcess, name: str, wanted: Sequence[Told]) -> None:
    """Wait until this is said of it, and counted."""
    wait_until(lambda: told(exporter, name) == list(wanted), SECONDS)
    assert told(exporter, name) == list(wanted), exporter.log_path.read_text()
    assert sum(faces.exits(exporter, name).values()) == len(wanted)


def test_a_start_by_hand_that_fails_after_a_run_is_told_beside_it(
    exporter: ExporterProcess, client: docker.DockerClient, tmp_path: Path
) -> None:
    container = once(client, tmp_path, "by-hand")
    container.start()
    container.wait(timeout=SECONDS)
    fail_to_start(container)
    await_told(exporter, "by-hand", [RAN, FAILED])


def test_a_restart_by_policy_that_fails_after_a_run_is_told_beside_it(
    exporter: ExporterProcess, client: docker.DockerClient, tmp_path: Path
) -> None:
    once(client, tmp_path, "by-policy", restart_policy={"Name": "on-failure", "MaximumRetryCount": 5}).start()
    # The engine leaves the code of the run in its place, and so that of the failed start unknown.
    await_told(exporter, "by-policy", [RAN, (2, None, "CommandNotFound")])


def test_each_failed_start_of_one_container_is_told(
    exporter: ExporterProcess, client: docker.DockerClient
) -> None:
    container = create(client, "three-times", ["nosuch"])
    for attempt in range(1, 4):
        fail_to_start(container)
        wanted = [(number, 127, "CommandNotFound") for number in range(1, attempt + 1)]
        await_told(exporter, "three-times", wanted)


def test_a_failed_start_on_two_networks_is_one(
    exporter: ExporterProcess, client: docker.DockerClient, networks: list[Network]
) -> None:
    container = create(client, "two-networks", ["nosuch"], network_mode=None, network=networks[0].name)
    networks[1].connect(container)
    fail_to_start(container)
    await_told(exporter, "two-networks", [(1, 127, "CommandNotFound")])
    fail_to_start(container)
    await_told(exporter, "two-networks", [(1, 127, "CommandNotFound"), FAILED])


def test_failed_starts_while_the_exporter_was_away_are_told_by_the_events(
    exporter: ExporterProcess, client: docker.DockerClient, tmp_path: Path
) -> None:
    ran = once(client, tmp_path, "away-by-hand")
    ran.start()
    await_told(exporter, "away-by-hand", [RAN])
    exporter.stop()
    fail_to_start(ran)
    fail_to_start(create(client, "away", ["nosuch"]))
    exporter.start()
    exporter.await_ready()
    await_told(exporter, "away", [(1, 127, "CommandNotFound")])
    await_told(exporter, "away-by-hand", [RAN, FAILED])


@pytest.mark.parametrize("unseen", [False, True], ids=["run on record", "run unseen"])
def test_failed_starts_that_only_the_list_knows_do_not_take_the_code_of_the_run_before(
    exporter: ExporterProcess, client: docker.DockerClient, tmp_path: Path, *, unseen: bool
) -> None:
    never, again = f"never-{unseen}", f"again-{unseen}"
    container = once(client, tmp_path, again)
    if not unseen:
        container.start()
        await_told(exporter, again, [RAN])
    exporter.stop()
    if unseen:
        container.start()
        container.wait(timeout=SECONDS)
    fail_to_start(container)
    fail_to_start(create(client, never, ["nosuch"]))
    forget(client)
    exporter.start()
    exporter.await_ready()
    await_told(exporter, never, [(1, 127, "CommandNotFound")])
    # A start that fails puts its own code in the place of that of the run before.
    ran = (1, None, "Unknown") if unseen else RAN
    await_told(exporter, again, [ran, FAILED])


def forget(client: docker.DockerClient) -> None:
    """Have the engine forget all that has happened so far, by as many events as it remembers."""
    image = client.images.get(BUSYBOX)
    for _ in range(REMEMBERED):
        image.tag("forgotten:local")
    client.images.remove("forgotten:local")


def test_a_port_that_is_taken_fails_a_start_on_a_network_that_was_not_joined(
    exporter: ExporterProcess, client: docker.DockerClient, networks: list[Network]
) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:  # noqa: S104  # as an engine would publish it
        ports = {"80/tcp": taken.getsockname()[1]}
        container = create(client, "port", ["true"], network_mode=None, network=networks[0].name, ports=ports)
        fail_to_start(container)
    # From Engine 28 on, no event tells of it: the exporter asks.
    await_told(exporter, "port", [(1, 128, "PortInUse")])
