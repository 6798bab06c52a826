"""Each way to end, on a real engine: what every face says of it, with ``--rm`` and without."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from threading import Thread
from typing import Any

import docker
import pytest

from tests.integration import faces
from tests.integration.ends import CATALOGUE, ENDS, End
from tests.lab.engine import PrivateEngine
from tests.lab.exporter import ExporterProcess
from tests.lab.wait import wait_until

# An end in four at a time: OOM kills and others overlap, as they do on a busy host.
AT_A_TIME = 4
SECONDS = 60
CASES = [(end, removed) for end, removed in product(ENDS, (False, True))]
# What only the kernel's silence tells from an OOM kill comes last: engines lose some OOM events, and until
# its own run has claimed such a kill, it is rather that of one which ends with 137 at the same moment.
BESIDE_OTHERS = [case for case in CASES if case[0].reason != "SIGKILL"]
IN_SILENCE = [case for case in CASES if case[0].reason == "SIGKILL"]


@pytest.fixture(scope="module")
def reported(client: docker.DockerClient) -> Iterator[Counter[str]]:
    """How many OOM kills the engine reports, by container: of a thousand, it reports one or two twice."""
    reported: Counter[str] = Counter()
    stream = client.events(decode=True, filters={"event": "oom"})
    reader = Thread(target=lambda: reported.update(event["id"] for event in stream))
    reader.start()
    yield reported
    stream.close()
    reader.join()


@pytest.fixture(scope="module")
def exporter(
    engine: PrivateEngine,
    client: docker.DockerClient,
    reported: Counter[str],  # noqa: ARG001  # it listens from the first on
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ExporterProcess]:
    """An exporter that has watched every job of ``CASES`` come to its end."""
    directory: Path = tmp_path_factory.mktemp("ends")
    catalogue = directory / "catalogue.yaml"
    catalogue.write_text(CATALOGUE)
    arguments = ["--instance.name", "test-host", "--catalogue.file", str(catalogue)]
    with ExporterProcess(engine.url, directory, arguments=arguments) as running:
        for cases in (BESIDE_OTHERS, IN_SILENCE):
            with ThreadPoolExecutor(AT_A_TIME) as pool:
                list(pool.map(lambda case: case[0].run(client, removed=case[1]), cases))
            _await_ends(running, {end.container_name(removed=removed) for end, removed in cases})
        yield running


def _await_ends(exporter: ExporterProcess, names: set[str]) -> None:
    if not wait_until(lambda: names <= set(_ended(exporter)), SECONDS):
        missing = names - set(_ended(exporter))
        pytest.fail(f"not shown as ended: {missing}\n{exporter.log_path.read_text()}")


def _ended(exporter: ExporterProcess) -> dict[str, dict[str, Any]]:
    return {job["name"]: job for job in exporter.jobs() if job["status"] != "running"}


@pytest.fixture(scope="module")
def table(exporter: ExporterProcess) -> dict[str, dict[str, str]]:
    """What ``ps -v`` prints."""
    return faces.rows(faces.command(exporter, "ps", "-v"))


@pytest.fixture(scope="module")
def jobs(exporter: ExporterProcess) -> dict[str, dict[str, Any]]:
    """What the API has, by name."""
    return {job["name"]: job for job in exporter.jobs()}


def _title(value: object) -> str:
    return value.title if isinstance(value, End) else ("removed" if value else "kept")


@pytest.mark.parametrize(("end", "removed"), CASES, ids=_title)
def test_every_face_says_the_same(  # noqa: PLR0913, PLR0917  # the case and what each face says
    end: End,
    removed: bool,  # noqa: FBT001  # a case of the table
    exporter: ExporterProcess,
    table: dict[str, dict[str, str]],
    jobs: dict[str, dict[str, Any]],
    reported: Counter[str],
) -> None:
    name, workload = end.container_name(removed=removed), end.workload_of(removed=removed)
    job, row = jobs[name], table[name]
    assert {
        "status": job["status"],
        "code": job["container_exit_code"],
        "reason": job["reason"],
        "termination": job["termination"],
        "error": job["error"],
        "oom_kills": job["oom_kills"],
        "memory_limit_bytes": job["memory_limit_bytes"],
        "workload": job["workload"],
        "instance": job["instance"],
        "attempt": job["attempt"],
    } == {
        "status": end.status,
        "code": end.code,
        "reason": end.reason,
        "termination": end.termination,
        "error": end.error,
        "oom_kills": max(end.oom_kills, reported[job["container_id"]]),
        "memory_limit_bytes": end.memory_limit,
        "workload": workload,
        "instance": "test-host",
        "attempt": 1,
    }, job
    assert (row["INSTANCE"], row["STATUS"], row["ERROR"]) == ("test-host", end.status, end.error or "")
    times = 2 if end.workload else 1
    assert faces.exits(exporter, workload) == {(end.status, str(end.code), end.reason): times}


def test_the_table_of_ps_begins_with_name_instance_status_error(exporter: ExporterProcess) -> None:
    header = faces.command(exporter, "ps", "-v").splitlines()[0].split()
    assert header[:4] == ["NAME", "INSTANCE", "STATUS", "ERROR"]


def test_show_prints_the_same_words_and_the_evidence(exporter: ExporterProcess) -> None:
    sheet = faces.command(exporter, "show", "gentle-stingray-1")
    assert "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 137 - OOMKilled)" in sheet
    assert "OOM kill" in sheet.partition("Evidence")[2]


def test_oom_kills_are_counted_also_where_the_job_survived(
    exporter: ExporterProcess, jobs: dict[str, dict[str, Any]]
) -> None:
    survivor = next(end for end in ENDS if end.title.startswith("survives"))
    counted = faces.samples(exporter, "container_oom_kills_total")
    by_workload = {dict(labels)["workload"]: value for labels, value in counted.items()}
    kills = jobs[survivor.container_name(removed=False)]["oom_kills"]
    assert by_workload[survivor.workload_of(removed=False)] == kills >= 1


def test_restart_policy_counts_every_attempt(exporter: ExporterProcess, client: docker.DockerClient) -> None:
    client.containers.run(
        "busybox:local",
        ["sh", "-c", "exit 9"],
        name="tries-again",
        labels={"exit-exporter.workload": "tries-again"},
        network_mode="none",
        restart_policy={"Name": "on-failure", "MaximumRetryCount": 3},
        detach=True,
    )
    wanted: faces.Exits = {("failed", "9", "Error"): 4}
    assert wait_until(lambda: faces.exits(exporter, "tries-again") == wanted, SECONDS)
    attempts = [job["attempt"] for job in exporter.jobs(workload="tries-again")]
    assert attempts == [4, 3, 2, 1]


def test_rows_and_counters_stand_as_before_after_a_restart(exporter: ExporterProcess) -> None:
    jobs_before, counters_before = exporter.jobs(), faces.counters(exporter)
    assert exporter.stop() == 0
    exporter.start()
    exporter.await_ready()
    assert exporter.jobs() == jobs_before
    assert faces.counters(exporter) == counters_before
