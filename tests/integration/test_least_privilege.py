"""Least privilege at the engine: the documented requests, each of them needed, and the shipped filter."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import docker
import pytest
from docker.errors import APIError
from docker.models.containers import Container
from requests.exceptions import RequestException

from tests.integration.conftest import on_each_engine
from tests.lab.dstack_stand_in import Shared, StandIn
from tests.lab.engine import PrivateEngine, remove_all
from tests.lab.exporter import ExporterProcess
from tests.lab.filter import filtered
from tests.lab.images import BUSYBOX
from tests.lab.recording_proxy import RecordingProxy
from tests.lab.wait import wait_until
from tests.lab.wheels import SOURCE

SECONDS = 60.0
READS_LOGS = ("--tail.lines", "3")
VERSION = r"(/v[0-9.]+)?"
_PATH = re.compile(r"`(/[^`]*)`")


def documented() -> list[str]:
    """Return the paths that SECURITY.md says are asked for."""
    table = _below("SECURITY.md", "| request | purpose |\n")
    return [path for row in table.splitlines() for path in _PATH.findall(row.split("|")[1])]


def _below(page: str, beginning: str) -> str:
    """Return what follows a text on a page, up to the end of the paragraph."""
    return (SOURCE / page).read_text().partition(beginning)[2].partition("\n\n")[0]


def path_asked(target: str) -> str:
    """Return the path of a request as the documentation writes it."""
    path = re.sub(f"^{VERSION}(?=/)", "", urlsplit(target).path)
    return re.sub(r"^/(containers|images)/[^/]+/", r"/\1/{id}/", path)


def pattern_of(path: str) -> str:
    """Return a pattern of the paths that a documented one stands for."""
    return f"^{VERSION}{path.replace('{id}', '[^/]+')}$"


@dataclass(frozen=True)
class Scene:
    """An engine without containers, what records the requests to it, and a directory.

    ``shared`` is what stand-ins of dstack share with the test.
    """

    client: docker.DockerClient
    recorder: RecordingProxy
    directory: Path
    shared: Shared

    def create(self, name: str, *command: str, image: str = BUSYBOX) -> Container:
        """Create a container."""
        return self.client.containers.create(image, list(command), name=name, network_mode="none")

    def paths_asked(self) -> list[str]:
        """Return the documented form of all paths that the engine was asked for."""
        return sorted({path_asked(target) for _, target in self.recorder.requests})

    @contextmanager
    def direct(self) -> Iterator[str]:
        """Give the address of the recorder."""
        yield self.recorder.url

    @contextmanager
    def filtered(self, refused: str = "") -> Iterator[str]:
        """Give the address of the shipped filter, which passes on to the recorder what it allows."""
        pattern = pattern_of(refused) if refused else ""
        with filtered(self.recorder.socket_path, self.directory, refused=pattern) as address:
            yield f"tcp://{address}"


@pytest.fixture
def scene(engine: PrivateEngine, client: docker.DockerClient, directory: Path) -> Iterator[Scene]:
    """Record the requests to an engine."""
    remove_all(client)
    with RecordingProxy(engine.socket_path) as recorder:
        yield Scene(client, recorder, directory, Shared(directory / "shared"))
    remove_all(client)


@contextmanager
def begun(exporter: ExporterProcess) -> Iterator[ExporterProcess]:
    """Start an exporter that need not become ready, and stop it at the end."""
    try:
        exporter.start()
        yield exporter
    finally:
        exporter.stop()


def run_a_job_that_waits(scene: Scene) -> Container:
    """Run a job that ends with 5 once it has a file `/go`."""
    container = scene.create("waits", "sh", "-c", "until [ -e /go ]; do sleep 0.05; done; exit 5")
    container.start()
    return container


def run_a_job_that_fails(scene: Scene) -> None:
    """Run a job that says why it ends with 3, of an image that is given by its id."""
    image = str(scene.client.images.get(BUSYBOX).id)
    scene.create("fails", "sh", "-c", "echo no input; exit 3", image=image).start()


def fail_to_start(scene: Scene) -> None:
    """Start what the engine cannot."""
    with pytest.raises(APIError):
        scene.create("never", "nosuch").start()


def run_a_job_of_dstack(scene: Scene) -> None:
    """Run a job that ends with 3 in a container that is then stopped, and kept: its log is there for long."""
    stand_in = StandIn.new("d-exit-3", "exit 3", 3, 0)
    container = stand_in.start(scene.client, scene.shared)
    stand_in.await_end(container, scene.shared)
    container.stop(timeout=0)


def use_every_way(exporter: ExporterProcess, scene: Scene, waits: Container) -> None:
    """Have an exporter list, read events, containers, images and logs, and reconnect."""
    exporter.await_ready()
    run_a_job_that_fails(scene)
    fail_to_start(scene)
    run_a_job_of_dstack(scene)
    await_ended(exporter, 3)
    scene.recorder.cut()
    assert wait_until(lambda: not exporter.ready(), SECONDS)
    waits.exec_run(["touch", "/go"])
    waits.wait(timeout=SECONDS)
    scene.recorder.start()
    exporter.await_ready()


def await_ended(exporter: ExporterProcess, count: int) -> dict[str, dict[str, Any]]:
    """Return the jobs that have ended, by name (of dstack's, that of the run)."""

    def ended() -> list[dict[str, Any]]:
        return [job for job in exporter.jobs() if job["status"] != "running"]

    assert wait_until(lambda: len(ended()) == count, SECONDS), exporter.log_path.read_text()
    jobs = [exporter.json(f"/api/v1/jobs/{job['id']}") for job in ended()]
    return {job["name"].partition("-0-")[0]: job for job in jobs}


def told(job: dict[str, Any]) -> tuple[Any, ...]:
    """Return how a job ended, and what it was an instance of."""
    return job["container_exit_code"], job["reason"], job["workload"]


def why_not_ready(exporter: ExporterProcess) -> str:
    """Return why an exporter is not ready; empty if it is, or does not answer yet."""
    try:
        answer = exporter.get("/-/ready")
    except RequestException:
        return ""
    return "" if answer.ok else answer.text


def test_the_pages_document_the_same_requests() -> None:
    paragraph = _below("docs/running.md", "The exporter sends only `GET` requests: ")
    assert sorted(_PATH.findall(paragraph)) == sorted(documented())
    assert len(documented()) == 7


@on_each_engine
@pytest.mark.parametrize("way", [Scene.direct, Scene.filtered], ids=["direct", "behind the shipped filter"])
def test_all_works_with_gets_of_the_documented_paths_and_needs_each_of_them(
    scene: Scene, way: Callable[[Scene], AbstractContextManager[str]]
) -> None:
    waits = run_a_job_that_waits(scene)
    with way(scene) as address, begun(ExporterProcess(address, scene.directory, arguments=READS_LOGS)) as it:
        use_every_way(it, scene, waits)
        jobs = await_ended(it, 4)
    assert {name: told(job) for name, job in jobs.items()} == {
        "waits": (5, "Error", "busybox"),
        "fails": (3, "Error", "busybox"),
        "never": (127, "CommandNotFound", "busybox"),
        "d-exit-3": (3, "Error", "d-exit-3"),
    }
    assert jobs["fails"]["log_tail"] == "no input"
    assert {method for method, _ in scene.recorder.requests} == {"GET"}
    assert scene.paths_asked() == sorted(documented())


@pytest.mark.parametrize("path", ["/version", "/info", "/events", "/containers/json"])
def test_a_refused_request_without_which_nothing_is_watched_is_named_by_ready_and_the_log(
    scene: Scene, path: str
) -> None:
    refusal = f"{path}: HTTP 403"
    with scene.filtered(path) as address, begun(ExporterProcess(address, scene.directory)) as exporter:
        assert wait_until(lambda: refusal in why_not_ready(exporter), SECONDS), why_not_ready(exporter)
        assert wait_until(lambda: refusal in exporter.log_path.read_text(), SECONDS)
    assert path not in scene.paths_asked()


@pytest.mark.parametrize(
    ("path", "flags", "job", "code"),
    [
        ("/containers/{id}/json", (), run_a_job_that_fails, 3),
        ("/images/{id}/json", (), run_a_job_that_fails, 3),
        ("/containers/{id}/logs", READS_LOGS, run_a_job_that_fails, 3),
        ("/containers/{id}/logs", (), run_a_job_of_dstack, None),
    ],
    ids=["container", "image", "log tail", "log of dstack"],
)
def test_a_refused_request_without_which_less_is_known_is_named_by_ready_and_the_log(
    scene: Scene, path: str, flags: tuple[str, ...], job: Callable[[Scene], None], code: int | None
) -> None:
    with (
        scene.filtered(path) as address,
        ExporterProcess(address, scene.directory, arguments=flags) as exporter,
    ):
        job(scene)
        (ended,) = await_ended(exporter, 1).values()
        refusal = f"{address}: {path} is refused (HTTP 403): no "
        assert wait_until(lambda: refusal in str(exporter.json("/-/ready").get("limitations")), SECONDS)
        log = exporter.log_path.read_text()
    assert ended["container_exit_code"] == code
    refusals = [line for line in log.splitlines() if "HTTP 403" in line]
    assert refusals, log
    assert all(re.search(path.replace("{id}", "[^/]+"), line) for line in refusals)
    assert path not in scene.paths_asked()
