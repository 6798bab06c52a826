"""The end of failed jobs' logs, as a real engine has them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.lab.engine import PrivateEngine, remove_all
from tests.lab.exporter import ExporterProcess
from tests.lab.images import BUSYBOX
from tests.lab.jobs import READY, await_ready
from tests.lab.wait import wait_until

SECONDS = 60
LINES = 3


@pytest.fixture
def exporter(
    engine: PrivateEngine, client: docker.DockerClient, directory: Path
) -> Iterator[ExporterProcess]:
    """An exporter that keeps three lines, of containers that only this test has."""
    remove_all(client)
    with ExporterProcess(engine.url, directory, arguments=["--tail.lines", str(LINES)]) as running:
        yield running
    remove_all(client)


def tails(
    exporter: ExporterProcess, client: docker.DockerClient, script: str, **more: Any
) -> list[str | None]:
    """What is kept of the runs of one container, the first one first."""
    name, runs = f"job-{time.monotonic_ns()}", more.pop("runs", 1)
    container = client.containers.create(
        BUSYBOX, ["sh", "-c", script], name=name, network_mode="none", **more
    )
    container.start()

    def ended() -> list[dict[str, Any]]:
        jobs = [job for job in exporter.jobs() if job["name"] == name and job["status"] != "running"]
        return sorted(jobs, key=lambda job: int(job["attempt"]))

    assert wait_until(lambda: len(ended()) == runs, SECONDS)
    # A list of jobs has none of them.
    assert {job["log_tail"] for job in ended()} == {None}
    return [exporter.get(f"/api/v1/jobs/{job['id']}").json()["log_tail"] for job in ended()]


def test_the_last_lines_of_both_streams_are_kept(
    exporter: ExporterProcess, client: docker.DockerClient
) -> None:
    # An engine takes the two in no certain order: time between them makes it certain.
    script = "seq 5; sleep 0.2; echo oops >&2; sleep 0.2; echo bye; exit 3"
    assert tails(exporter, client, script) == ["5\noops\nbye"]


def test_a_terminals_log_is_kept_as_it_shows_it(
    exporter: ExporterProcess, client: docker.DockerClient
) -> None:
    script = "seq 5; printf '10 %%\\r50 %%\\r\\033[31mred\\033[0m\\n'; exit 3"
    assert tails(exporter, client, script, tty=True) == ["4\n5\nred"]


def test_each_run_of_a_container_has_its_own_lines(
    exporter: ExporterProcess, client: docker.DockerClient
) -> None:
    script = "echo run >> /runs; wc -l < /runs; exit 3"
    policy = {"Name": "on-failure", "MaximumRetryCount": 2}
    assert tails(exporter, client, script, restart_policy=policy, runs=3) == ["1", "2", "3"]


def test_with_rm_it_is_read_before_it_is_gone(exporter: ExporterProcess, client: docker.DockerClient) -> None:
    """The engine removes it at the same time, and can be faster on a busy machine."""
    kept = [tails(exporter, client, "echo bye; exit 3", auto_remove=True) for _ in range(5)]
    assert ["bye"] in kept
    assert all(each in (["bye"], [None]) for each in kept)


@pytest.mark.parametrize(
    ("script", "more"),
    [
        ("exit 3", {}),
        ("echo fine; exit 0", {}),
        ("echo unread; exit 3", {"log_config": {"Type": "none"}}),
    ],
    ids=["silent", "did not fail", "a driver that nobody reads"],
)
def test_of_others_there_is_none(
    exporter: ExporterProcess, client: docker.DockerClient, script: str, more: dict[str, Any]
) -> None:
    assert tails(exporter, client, script, **more) == [None]


def test_of_what_was_asked_to_stop_there_is_none(
    exporter: ExporterProcess, client: docker.DockerClient
) -> None:
    container = client.containers.create(
        BUSYBOX, ["sh", "-c", f"echo {READY}; sleep 100"], name="stopped", network_mode="none"
    )
    container.start()
    await_ready(container)
    container.kill()
    assert wait_until(lambda: [job["status"] for job in exporter.jobs()] == ["terminated"], SECONDS)
    assert exporter.get("/api/v1/jobs/stopped").json()["log_tail"] is None


def test_a_secret_that_an_engine_keeps_in_two_pieces_is_replaced_whole(
    engine: PrivateEngine, client: docker.DockerClient, directory: Path
) -> None:
    # An engine keeps lines in pieces of 16 KiB, and the last one alone would begin in the middle of it.
    script = "head -c 16377 /dev/zero | tr '\\0' x; echo ' password=hunter2 it was'; exit 3"
    arguments = ["--tail.lines", "1", "--tail.bytes", "64", "--tail.redact", r"password=\S+"]
    remove_all(client)
    with ExporterProcess(engine.url, directory, arguments=arguments) as exporter:
        (tail,) = tails(exporter, client, script)
    remove_all(client)
    assert tail is not None
    assert tail.endswith("x [redacted] it was")


def test_of_lines_without_end_no_more_is_read_than_memory_bears(
    exporter: ExporterProcess, client: docker.DockerClient
) -> None:
    script = "head -c 5000000 /dev/zero | tr '\\0' x; echo; echo end; exit 3"
    assert tails(exporter, client, script) == ["end"]
