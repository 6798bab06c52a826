"""Each way to end, on each real engine: what every face says of it, with ``--rm`` and without."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from threading import Thread
from typing import Any

import docker
import pytest
from docker.types import Mount

from tests.integration import faces
from tests.integration.conftest import on_each_engine
from tests.integration.ends import CATALOGUE, ENDS, JOB_LABEL, End
from tests.integration.failed_starts import FAILED_STARTS
from tests.lab.collector import Collector
from tests.lab.engine import PrivateEngine
from tests.lab.exporter import ExporterProcess
from tests.lab.images import BUSYBOX
from tests.lab.wait import wait_until
from tests.scripted.http_receiver import Receiver
from tests.scripted.received import ReceivedSpan

pytestmark = on_each_engine

# An end in four at a time: OOM kills and others overlap, as they do on a busy host.
AT_A_TIME = 4
SECONDS = 60
CASES = [(end, removed) for end, removed in product((*ENDS, *FAILED_STARTS), (False, True))]
# What only the kernel's silence tells from an OOM kill comes last: engines lose some OOM events, and until
# its own run has claimed such a kill, it is rather that of one which ends with 137 at the same moment.
BESIDE_OTHERS = [case for case in CASES if case[0].reason != "SIGKILL"]
IN_SILENCE = [case for case in CASES if case[0].reason == "SIGKILL"]

REFUSED = [case for case in CASES if case[0].start_error]
# What a span must say as the other faces do.
SPOKEN = (
    "process.exit.code",
    "error.type",
    "exit_exporter.termination",
    "exit_exporter.error",
    "exit_exporter.workload",
    "exit_exporter.recovery",
    "exit_exporter.start_error",
)
NO_PROGRAMS = (
    pytest.param("random-bytes", b"\x99\x01" + bytes(range(200)), "exec format error", id="random bytes"),
    pytest.param("crlf", b"#!/bin/sh\r\necho hello\r\n", "CR LF", id="CR LF"),
)


@dataclass(frozen=True)
class Settings:
    """What an exporter here is started with."""

    arguments: tuple[str, ...]
    environment: dict[str, str]

    def exporter(self, engine: PrivateEngine, directory: Path) -> ExporterProcess:
        """Give one that is not started, with its store in this directory."""
        return ExporterProcess(engine.url, directory, arguments=self.arguments, environment=self.environment)


@pytest.fixture(scope="module")
def reported(client: docker.DockerClient) -> Iterator[Counter[str]]:
    """How many OOM kills the engine reports, by container: of a thousand, it reports one or two twice."""
    reported: Counter[str] = Counter()
    stream = client.events(decode=True, filters={"event": "oom"})
    reader = Thread(target=lambda: reported.update(event["Actor"]["ID"] for event in stream))
    reader.start()
    yield reported
    stream.close()
    reader.join()


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """What is behind the collector."""
    with Receiver() as own:
        yield own


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Settings]:
    """How every exporter here is set: with a catalogue of the user's, and a real collector."""
    directory = tmp_path_factory.mktemp("settings")
    catalogue = directory / "catalogue.yaml"
    catalogue.write_text(CATALOGUE)
    order = f"label:{JOB_LABEL},label,swarm,compose,image"
    arguments = ("--instance.name", "test-host", "--catalogue.file", str(catalogue))
    with Collector(directory, receiver.url) as collector:
        target = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.http_url}
        yield Settings((*arguments, "--workload.order", order), target)


@pytest.fixture(scope="module")
def exporter(
    engine: PrivateEngine,
    client: docker.DockerClient,
    reported: Counter[str],  # noqa: ARG001  # it listens from the first on
    settings: Settings,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ExporterProcess]:
    """An exporter that has watched every job of ``CASES`` come to its end."""
    directory: Path = tmp_path_factory.mktemp("ends")
    with settings.exporter(engine, directory) as running:
        for cases in (BESIDE_OTHERS, IN_SILENCE):
            with ThreadPoolExecutor(AT_A_TIME) as pool:
                list(pool.map(lambda case: _run(client, directory, *case), cases))
            _await_ends(running, {end.container_name(removed=removed) for end, removed in cases})
        yield running


def _run(client: docker.DockerClient, directory: Path, end: End, removed: bool) -> None:  # noqa: FBT001  # a case
    folder = directory / end.container_name(removed=removed)
    folder.mkdir()
    replace(end, folder=folder).run(client, removed=removed)


def _await_ends(exporter: ExporterProcess, names: set[str]) -> None:
    """Wait for the ends of these; of one that never comes, its own test complains."""
    wait_until(lambda: names <= set(_ended(exporter)), SECONDS)


def _ended(exporter: ExporterProcess) -> dict[str, dict[str, Any]]:
    return {job["name"]: job for job in exporter.jobs() if job["status"] != "running"}


@pytest.fixture(scope="module")
def table(exporter: ExporterProcess) -> dict[str, dict[str, str]]:
    """What ``ps -v`` prints."""
    return faces.rows(faces.command(exporter, "ps", "-v"))


@pytest.fixture(scope="module")
def jobs(exporter: ExporterProcess) -> dict[str, dict[str, Any]]:
    """What the API shows as ended, by name."""
    return _ended(exporter)


@pytest.fixture(scope="module")
def spans(exporter: ExporterProcess, receiver: Receiver) -> dict[str, ReceivedSpan]:
    """What the collector was sent, by the id of its job."""
    assert wait_until(lambda: _pending(exporter) == 0, SECONDS)
    receiver.wait_for_spans(sum(job["status"] == "failed" for job in exporter.jobs()))
    return {span.attributes["exit_exporter.job.id"]: span for span in receiver.spans}


def _pending(exporter: ExporterProcess) -> float:
    return sum(faces.samples(exporter, "exit_exporter_otlp_pending_jobs").values())


def _title(value: object) -> str:
    return value.title if isinstance(value, End) else ("removed" if value else "kept")


BY_CODE = {126: "CommandNotExecutable", 127: "CommandNotFound"}


def _as_told(end: End, job: dict[str, Any]) -> End:
    """The end by its code alone where the engine's text is gone: ``--rm`` clears it while it removes."""
    if not end.start_error or job["start_error"] or not job["name"].endswith("-rm"):
        return end
    return replace(end, reason=BY_CODE.get(end.code, "ContainerCannotRun"))


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
    assert name in jobs, f"not shown as ended:\n{exporter.log_path.read_text()}"
    job, row = jobs[name], table[name]
    end = _as_told(end, job)
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
    error = faces.error_cell(end.status, end.error, job["oom_kills"])
    assert (row["INSTANCE"], row["STATUS"], row["ERROR"]) == ("test-host", end.status, error)
    times = 2 if end.workload else 1
    counted, told = faces.exits(exporter, workload), (end.status, str(end.code), end.reason)
    # What an image names, others of this engine are too.
    assert counted[told] == times
    assert workload == "busybox" or set(counted) == {told}
    assert (end.error or end.reason) in faces.sheet(exporter, name)


@pytest.mark.parametrize(("end", "removed"), CASES, ids=_title)
def test_the_span_of_a_failed_job_says_the_same(
    end: End,
    removed: bool,  # noqa: FBT001  # a case of the table
    jobs: dict[str, dict[str, Any]],
    spans: dict[str, ReceivedSpan],
) -> None:
    job = jobs[end.container_name(removed=removed)]
    span, workload = spans.get(job["id"]), end.workload_of(removed=removed)
    end = _as_told(end, job)
    if end.status != "failed":
        assert span is None
        return
    assert span is not None
    assert {name: span.attributes.get(name) for name in SPOKEN} == {
        "process.exit.code": end.code,
        "error.type": end.reason,
        "exit_exporter.termination": end.termination,
        "exit_exporter.error": end.error,
        "exit_exporter.workload": workload,
        "exit_exporter.recovery": job["recovery"],
        "exit_exporter.start_error": job["start_error"],
    }
    assert (span.trace_id, span.span_id) == (job["trace_id"], job["span_id"])


@pytest.mark.parametrize(("end", "removed"), REFUSED, ids=_title)
def test_a_failed_start_is_told_in_the_engines_own_words(
    end: End,
    removed: bool,  # noqa: FBT001  # a case of the table
    exporter: ExporterProcess,
    client: docker.DockerClient,
    jobs: dict[str, dict[str, Any]],
) -> None:
    name = end.container_name(removed=removed)
    said = jobs[name]["start_error"] or ""
    if _as_told(end, jobs[name]) is not end:
        assert "Engine said" not in faces.sheet(exporter, name)
        return
    assert re.search(end.start_error, said)
    assert f"Engine said   {said.rstrip()}\n" in faces.sheet(exporter, name)
    if not removed:
        assert client.api.inspect_container(name)["State"]["Error"].startswith(said)


@pytest.mark.parametrize("end", [end for end in ENDS if end.cause], ids=_title)
def test_a_cause_that_fits_is_named_first(end: End, jobs: dict[str, dict[str, Any]]) -> None:
    assert jobs[end.container_name(removed=False)]["causes"][0].startswith(end.cause)


def test_ids_and_times_are_the_engines_own(
    engine: PrivateEngine,
    client: docker.DockerClient,
    jobs: dict[str, dict[str, Any]],
    settings: Settings,
    tmp_path: Path,
) -> None:
    kept = {
        name: jobs[name]
        for name in (end.container_name(removed=False) for end, removed in CASES if not removed)
    }
    for name, job in kept.items():
        state = client.api.inspect_container(name)["State"]
        began, ended = _nanoseconds(state["StartedAt"]), _nanoseconds(state["FinishedAt"])
        if not job["start_error"]:
            # On Engine 20.10 a job of a moment may end before the engine notes that it has begun.
            assert (job["started_at"], job["finished_at"]) == (began, max(began, ended)), name
    with settings.exporter(engine, tmp_path) as later:
        later.await_ready()
        found = {job["name"]: job for job in later.jobs()}
        assert {name: found[name]["id"] for name in kept} == {name: job["id"] for name, job in kept.items()}
        traced = {name: _span(job) for name, job in kept.items() if job["trace_id"]}
        assert {name: _span(found[name]) for name in traced} == traced


def _span(job: dict[str, Any]) -> tuple[str, str]:
    return job["trace_id"], job["span_id"]


def _nanoseconds(time: str) -> str:
    """A time of the engine's with all nine places, of which it leaves out zeros."""
    seconds, _, fraction = time.removesuffix("Z").partition(".")
    return f"{seconds}.{fraction:0<9}Z"


@pytest.mark.parametrize("code", [0, 2])
def test_an_answer_to_docker_stop_is_said_as_what_it_is(exporter: ExporterProcess, code: int) -> None:
    shown = faces.sheet(exporter, f"stop-answered-with-{code}")
    assert f"The engine was asked to stop the container, and it ended with {code}" in shown
    assert "called wrongly" not in shown
    assert "ended by itself" not in shown


@pytest.mark.parametrize("removed", [False, True], ids=_title)
@pytest.mark.parametrize(("name", "content", "cause"), NO_PROGRAMS)
def test_what_is_no_program_has_causes_that_say_so(  # noqa: PLR0913, PLR0917  # the case and who is asked
    exporter: ExporterProcess,
    client: docker.DockerClient,
    tmp_path: Path,
    name: str,
    content: bytes,
    cause: str,
    removed: bool,  # noqa: FBT001  # with --rm
) -> None:
    # Its code is the runtime's: 1 of older ones, 255 of newer.
    name = f"{name}-rm" if removed else name
    file = tmp_path / "program"
    file.write_bytes(content)
    file.chmod(0o755)
    client.containers.run(
        BUSYBOX,
        ["/program"],
        name=name,
        network_mode="none",
        mounts=[Mount("/program", str(file), type="bind")],
        auto_remove=removed,
        detach=True,
    )
    assert wait_until(lambda: name in _ended(exporter), SECONDS)
    job = _ended(exporter)[name]
    assert (job["container_exit_code"], job["reason"]) in {(1, "Error"), (255, "UnspecifiedError")}
    assert any(cause in each for each in job["causes"][:2])
    assert job["causes"][0] in faces.sheet(exporter, name).partition("Likely causes\n")[2].splitlines()[0]


def test_the_table_of_ps_begins_with_name_instance_status_error(exporter: ExporterProcess) -> None:
    header = faces.command(exporter, "ps", "-v").splitlines()[0].split()
    assert header[:4] == ["NAME", "INSTANCE", "STATUS", "ERROR"]


def test_show_prints_the_same_words_and_the_evidence(exporter: ExporterProcess) -> None:
    sheet = faces.command(exporter, "show", "gentle-stingray-1")
    assert "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 137 - OOMKilled)" in sheet
    evidence = sheet.partition("Evidence\n")[2]
    assert re.search(r"The kernel killed process \d+ \(python, 9[\d.]+ MiB\) for memory", evidence)
    assert "its own limit was reached" in evidence


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


def test_a_service_that_ends_with_0_again_and_again_is_said_to(
    exporter: ExporterProcess, client: docker.DockerClient
) -> None:
    service = client.containers.run(
        BUSYBOX,
        ["true"],
        name="goes-round",
        labels={"exit-exporter.workload": "goes-round"},
        network_mode="none",
        restart_policy={"Name": "always"},
        detach=True,
    )
    assert wait_until(lambda: _restarts(exporter, "goes-round") >= 3, SECONDS)
    service.remove(force=True)
    assert wait_until(lambda: not exporter.jobs(workload="goes-round", status="running"), SECONDS)
    ended = exporter.jobs(workload="goes-round")
    assert [job["restarts"] for job in ended] == list(reversed(range(len(ended))))
    assert {job["reason"] for job in ended[1:]} == {"Completed"}
    assert _restarts(exporter, "goes-round") == len(ended) - 1
    assert f"Restarts      {len(ended) - 1} by its restart policy\n" in faces.sheet(exporter, ended[0]["id"])


def _restarts(exporter: ExporterProcess, workload: str) -> float:
    counted = faces.samples(exporter, "container_restarts_total")
    return sum(value for labels, value in counted.items() if dict(labels)["workload"] == workload)


def test_rows_and_counters_stand_as_before_after_a_restart(exporter: ExporterProcess) -> None:
    jobs_before, counters_before = exporter.jobs(), faces.counters(exporter)
    assert exporter.stop() == 0
    exporter.start()
    exporter.await_ready()
    assert exporter.jobs() == jobs_before
    assert faces.counters(exporter) == counters_before
