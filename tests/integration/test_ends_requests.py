"""What was asked of the engine before an end, on each real engine: whether that was why it ended."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import docker
import pytest
from docker.models.containers import Container
from docker.types import Healthcheck

from tests.integration import faces
from tests.integration.conftest import on_each_engine
from tests.integration.told import SECONDS, Told
from tests.lab.engine import PrivateEngine
from tests.lab.exporter import ExporterProcess
from tests.lab.jobs import READY, UNTIL_TOLD, WAIT_FOR_SIGNAL
from tests.lab.wait import wait_until

pytestmark = on_each_engine

# Shorter than the rule, so that what is later need not be waited for so long: a request explains an end
# within this time, and within the container's own stop timeout and two seconds.
WINDOW = ("--exits.stop-window", "2s")
BRIEF = {"stop_timeout": 1}
LATER = 5
UNHEALTHY = "unhealthy"
WELL = "/tmp/well"  # noqa: S108  # in the container


def _later(signal: str, code: int) -> tuple[str, str, str]:
    """A command that takes a signal and ends of its own accord long after it, with this code."""
    return ("sh", "-c", f"trap 'sleep {LATER}; exit {code}' {signal}; echo {READY}; {WAIT_FOR_SIGNAL}")


def _check(test: str) -> dict[str, object]:
    second = 10**9
    check = Healthcheck(test=["CMD-SHELL", test], interval=second // 5, timeout=second, retries=1)
    return {"healthcheck": check}


def _quit(_client: docker.DockerClient, container: Container) -> None:
    container.kill(signal="QUIT")


def _terminate(_client: docker.DockerClient, container: Container) -> None:
    container.kill(signal="TERM")


def _stop_patiently(_client: docker.DockerClient, container: Container) -> None:
    container.stop(timeout=30)


def _stop_once_unhealthy(client: docker.DockerClient, container: Container) -> None:
    _await_health(client, container, UNHEALTHY)
    container.stop()


def _stop_once_well_again(client: docker.DockerClient, container: Container) -> None:
    _await_health(client, container, UNHEALTHY)
    container.exec_run(["touch", WELL])
    _await_health(client, container, "healthy")
    container.stop()


def _await_health(client: docker.DockerClient, container: Container, wanted: str) -> None:
    def is_so() -> bool:
        return str(client.api.inspect_container(str(container.id))["State"]["Health"]["Status"]) == wanted

    assert wait_until(is_so, SECONDS)


OUTLIVED = Told(
    "outlives TERM and succeeds later",
    _later("TERM", 0),
    "done",
    0,
    "Completed",
    "DONE",
    deed=_terminate,
    config=BRIEF,
    says=(r"The engine was asked to send SIGTERM [4-9]\.\d+ s before the end",),
)
CASES = (
    OUTLIVED,
    Told(
        "outlives QUIT and fails later",
        _later("QUIT", 1),
        "failed",
        1,
        "Error",
        deed=_quit,
        recovery="fix-code",
        says=(r"The engine was asked to send SIGQUIT [4-9]\.\d+ s before the end",),
    ),
    Told(
        "ends as TERM makes it long after one",
        _later("TERM", 143),
        "failed",
        143,
        "SIGTERM",
        deed=_terminate,
        config=BRIEF,
        recovery="retry",
    ),
    Told(
        "obeys docker stop after long",
        _later("TERM", 0),
        "terminated",
        0,
        "Completed",
        "TERMINATED_BY_USER",
        deed=_stop_patiently,
        config=BRIEF,
        says=("The engine's stop command saw it end",),
    ),
    Told(
        "stopped while it was unhealthy",
        ("sh", "-c", UNTIL_TOLD),
        "failed",
        143,
        "Unhealthy",
        deed=_stop_once_unhealthy,
        config=_check("echo nobody listens; false"),
        recovery="retry",
        says=(
            r"\(a stop by hand of an unhealthy container looks the same\)",
            "the last check that failed said: nobody listens",
        ),
    ),
    Told(
        "stopped when it was well again",
        ("sh", "-c", UNTIL_TOLD),
        "terminated",
        143,
        "Terminated",
        "TERMINATED_BY_USER",
        deed=_stop_once_well_again,
        config=_check(f"[ -e {WELL} ]"),
    ),
)

RUNS = list(product(CASES, (False, True)))


@pytest.fixture(scope="module")
def exporter(
    engine: PrivateEngine, client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ExporterProcess]:
    """An exporter that watches each case."""
    with ExporterProcess(engine.url, tmp_path_factory.mktemp("requests"), arguments=WINDOW) as running:
        # They mostly wait.
        with ThreadPoolExecutor(len(RUNS)) as pool:
            list(pool.map(lambda case: case[0].run(client, removed=case[1]), RUNS))
        yield running


def _title(value: object) -> str:
    return value.title if isinstance(value, Told) else ("removed" if value else "kept")


@pytest.mark.parametrize(("case", "removed"), RUNS, ids=_title)
def test_a_request_is_why_it_ended_where_it_explains_that(
    case: Told,
    removed: bool,  # noqa: FBT001  # a case of the table
    exporter: ExporterProcess,
) -> None:
    case.is_said(exporter, removed=removed)


def test_a_success_long_after_a_signal_is_a_last_success(exporter: ExporterProcess) -> None:
    last = faces.samples(exporter, "container_last_exit_timestamp_seconds")
    statuses = {dict(labels)["workload"]: dict(labels)["status"] for labels in last}
    assert statuses[OUTLIVED.workload_of(removed=False)] == "done"
