"""The daemon as a process, against scripted engines."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.contract.engines import event, exited, identity, of_each_api, on_other_host, running
from tests.integration.faces import samples
from tests.lab.exporter import ExporterProcess, clean_environment
from tests.lab.wait import wait_until
from tests.scripted.engine import ScriptedEngine

TIMEOUT_SECONDS = 20.0
# The containers of these tests ended longer ago than the default retention.
KEEP = ("--storage.retention", "0")
JOB = ("scripted-host", "job", "job")
CATALOGUE = """
reasons:
  CheckpointCorrupt: {meaning: A checkpoint cannot be read.}
codes:
  42: CheckpointCorrupt
"""
BAD_CATALOGUE = "codes:\n  42: Undescribed\n"


@pytest.fixture
def exporter(engine: ScriptedEngine, tmp_path: Path) -> Iterator[ExporterProcess]:
    """Start a daemon and wait until it is ready."""
    with ExporterProcess(engine.url, tmp_path, arguments=KEEP) as ready:
        yield ready


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """Create an empty catalogue file."""
    path = tmp_path / "catalogue.yaml"
    path.write_text("")
    return path


def exits(exporter: ExporterProcess) -> dict[tuple[str, ...], float]:
    """Return the counted exits by host, status, code and reason, without zeros."""
    names = ("host", "status", "code", "reason")
    tables = {labels: value for labels, value in samples(exporter, "container_exits_total").items() if value}
    return {tuple(dict(labels)[name] for name in names): value for labels, value in tables.items()}


def value(exporter: ExporterProcess, name: str, **labels: str) -> float | None:
    """Return one sample, None if it does not exist."""
    return samples(exporter, name).get(tuple(sorted(labels.items())))


def has_exits(exporter: ExporterProcess, count: int) -> bool:
    """Wait until so many exits are counted; return whether they are."""
    return wait_until(lambda: sum(exits(exporter).values()) == count, TIMEOUT_SECONDS)


def run_job(engine: ScriptedEngine, number: int, code: int) -> None:
    """Run a job from start to exit."""
    engine.set_container(exited(1, 2, code, number))
    engine.emit(event("start", 1, number))
    engine.emit(event("die", 2, number, exitCode=str(code)))


def start_job(engine: ScriptedEngine, number: int) -> None:
    """Start a job."""
    engine.set_container(running(0.999, number))
    engine.emit(event("start", 1, number))


def end_job(engine: ScriptedEngine, number: int, code: int) -> None:
    """End a job; its container stays."""
    engine.set_container(exited(0.999, 2, code, number))
    engine.emit(event("die", 2.001, number, exitCode=str(code)))


def runs(exporter: ExporterProcess, count: int) -> bool:
    """Wait until so many running jobs are recorded; return whether they are."""
    return wait_until(lambda: len(exporter.jobs(status="running")) == count, TIMEOUT_SECONDS)


def is_ready(exporter: ExporterProcess) -> bool:
    """Return whether it reports that it is ready."""
    return exporter.get("/-/ready").ok


def log_of(exporter: ExporterProcess) -> str:
    """Return its log."""
    return exporter.log_path.read_text()


# --- without an engine


@pytest.fixture
def waiting(absent: ScriptedEngine, tmp_path: Path) -> Iterator[ExporterProcess]:
    """Start a daemon without an engine and wait until it has noticed that."""
    exporter = ExporterProcess(absent.url, tmp_path, arguments=KEEP)
    exporter.start()
    try:
        assert wait_until(lambda: "engine not reachable" in log_of(exporter), TIMEOUT_SECONDS)
        yield exporter
    finally:
        exporter.stop()


def test_without_its_engine_it_is_not_ready_and_gives_the_cause(
    absent: ScriptedEngine, waiting: ExporterProcess
) -> None:
    answer = waiting.get("/-/ready")
    cause = f"{absent.url}: no such socket; is the engine running?"
    # The cause may begin with the engine's address a second time.
    problem = {**answer.json(), "detail": answer.json()["detail"].replace(f"{absent.url}: {cause}", cause)}
    problem["errors"] = [each.replace(f"{absent.url}: {cause}", cause) for each in problem["errors"]]
    assert (answer.status_code, answer.headers["content-type"], problem) == (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "application/problem+json",
        {
            "type": "about:blank",
            "title": "Service Unavailable",
            "status": 503,
            "detail": cause,
            "errors": [cause],
        },
    )


def test_without_its_engine_it_is_healthy_and_can_be_scraped(
    absent: ScriptedEngine, waiting: ExporterProcess
) -> None:
    up = value(waiting, "exit_exporter_engine_up", engine=absent.url)
    healthy = waiting.get("/-/healthy")
    assert (up, healthy.status_code, healthy.json()["status"]) == (0, HTTPStatus.OK, "healthy")


def test_it_becomes_ready_when_its_engine_appears(absent: ScriptedEngine, waiting: ExporterProcess) -> None:
    absent.start()
    assert wait_until(lambda: is_ready(waiting), TIMEOUT_SECONDS)
    assert (
        value(waiting, "exit_exporter_engine_up", engine=absent.url),
        waiting.get("/-/ready").json()["status"],
    ) == (1, "ready")


def test_unobserved_exits_are_a_series_once_the_engine_was_listed(
    absent: ScriptedEngine, waiting: ExporterProcess
) -> None:
    name, host = "exit_exporter_exits_unobserved_total", "scripted-host"
    before = value(waiting, name, host=host)
    absent.set_container(exited(0, 1, 137))
    absent.start()
    assert wait_until(lambda: is_ready(waiting), TIMEOUT_SECONDS)
    assert (before, value(waiting, name, host=host), sum(exits(waiting).values())) == (None, 0, 1)


def test_a_lost_engine_is_reported_and_found_again(engine: ScriptedEngine, exporter: ExporterProcess) -> None:
    run_job(engine, 2, 0)
    assert has_exits(exporter, 1)
    engine.stop()
    assert wait_until(lambda: not is_ready(exporter), TIMEOUT_SECONDS)
    run_job(engine, 1, 0)
    engine.start()
    assert wait_until(lambda: is_ready(exporter), TIMEOUT_SECONDS)
    assert has_exits(exporter, 2)
    assert (
        exits(exporter),
        value(exporter, "exit_exporter_event_gaps_total", engine=engine.url),
        value(exporter, "exit_exporter_engine_reconnects_total", engine=engine.url),
        value(exporter, "exit_exporter_exits_recovered_total", host="scripted-host"),
        # The engine had reported the exit of everything that it had started, so there is no gap.
    ) == ({("scripted-host", "done", "0", "Completed"): 2}, 0, 1, 1)


@of_each_api
def test_earlier_exits_are_counted_before_it_is_ready(engine: ScriptedEngine, tmp_path: Path) -> None:
    for number, code in enumerate((0, 1, 137)):
        engine.set_container(exited(1, 2, code, number))
    with ExporterProcess(engine.url, tmp_path, arguments=KEEP) as exporter:
        counted = exits(exporter)
    assert counted == {
        ("scripted-host", "done", "0", "Completed"): 1,
        ("scripted-host", "failed", "1", "Error"): 1,
        ("scripted-host", "failed", "137", "SIGKILL"): 1,
    }


# --- shutdown


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_ends_with_0(
    engine: ScriptedEngine, exporter: ExporterProcess, number: signal.Signals
) -> None:
    run_job(engine, 1, 0)
    assert has_exits(exporter, 1)
    exporter.process.send(number)
    assert wait_until(lambda: not exporter.process.alive, TIMEOUT_SECONDS)
    last = log_of(exporter).splitlines()[-1].partition(" ")[2]
    assert (exporter.process.returncode, last) == (
        0,
        "level=info msg=stopped drained=true otlp_pending_jobs=0",
    )


def test_exits_that_wait_are_recorded_at_the_end(engine: ScriptedEngine, tmp_path: Path) -> None:
    waits = (*KEEP, "--exits.oom-wait", "1h")
    with ExporterProcess(engine.url, tmp_path, arguments=waits) as exporter:
        run_job(engine, 1, 1)
        engine.emit(event("destroy", 2.1))
        engine.remove_container(identity(1))
        read = {"engine": engine.url, "event": "destroy"}
        assert wait_until(
            lambda: value(exporter, "exit_exporter_engine_events_total", **read) == 1, TIMEOUT_SECONDS
        )
        assert exporter.stop() == 0
        exporter.start()
        exporter.await_ready()
        assert exits(exporter) == {("scripted-host", "failed", "1", "Error"): 1}


def test_a_second_signal_ends_at_once(
    engine: ScriptedEngine, exporter: ExporterProcess, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "exit-exporter.db", isolation_level=None)) as other:
        # Another writer holds the lock, so the daemon's commit and its shutdown wait.
        other.execute("BEGIN IMMEDIATE")
        run_job(engine, 1, 0)
        exporter.process.send(signal.SIGTERM)
        assert wait_until(lambda: "msg=stopping" in log_of(exporter), TIMEOUT_SECONDS)
        exporter.process.send(signal.SIGTERM)
        assert wait_until(lambda: not exporter.process.alive, TIMEOUT_SECONDS)
    assert (exporter.process.returncode, "msg=stopped" in log_of(exporter)) == (1, False)


# --- catalogue


def reason_of_42(exporter: ExporterProcess) -> str:
    """Return the reason of code 42."""
    return str(exporter.get("/api/v1/reasons/42").json()["readings"][0]["reason"])


def reload_succeeded(exporter: ExporterProcess) -> float | None:
    """Return whether the last reload of the catalogue succeeded: 1 or 0."""
    return value(exporter, "exit_exporter_config_last_reload_successful")


@pytest.fixture
def configured(engine: ScriptedEngine, tmp_path: Path, catalogue: Path) -> Iterator[ExporterProcess]:
    """Start a daemon with a catalogue file, which a request can reload."""
    arguments = (*KEEP, "--catalogue.file", str(catalogue), "--web.enable-lifecycle")
    with ExporterProcess(engine.url, tmp_path, arguments=arguments) as ready:
        yield ready


def test_sighup_loads_a_valid_catalogue_and_refuses_a_bad_one(
    engine: ScriptedEngine, configured: ExporterProcess, catalogue: Path
) -> None:
    assert reason_of_42(configured) == "Error"
    catalogue.write_text(CATALOGUE)
    configured.reload()
    assert wait_until(lambda: reason_of_42(configured) == "CheckpointCorrupt", TIMEOUT_SECONDS)
    run_job(engine, 1, 42)
    assert has_exits(configured, 1)
    catalogue.write_text(BAD_CATALOGUE)
    configured.reload()
    assert wait_until(lambda: reload_succeeded(configured) == 0, TIMEOUT_SECONDS)
    assert (reason_of_42(configured), exits(configured)) == (
        "CheckpointCorrupt",
        {("scripted-host", "failed", "42", "CheckpointCorrupt"): 1},
    )
    catalogue.write_text("")
    configured.reload()
    assert wait_until(lambda: reload_succeeded(configured) == 1, TIMEOUT_SECONDS)
    assert reason_of_42(configured) == "Error"


def test_without_the_setting_no_request_reloads(exporter: ExporterProcess) -> None:
    assert requests.post(f"{exporter.url}/-/reload", timeout=10).status_code == HTTPStatus.FORBIDDEN


def test_jobs_are_shown_by_allowed_names_only(engine: ScriptedEngine, tmp_path: Path) -> None:
    arguments = (*KEEP, "--web.external-url", "https://exits.example.com", "--web.allowed-hosts", ".lan")
    with ExporterProcess(engine.url, tmp_path, arguments=arguments) as exporter:
        hosts = ("exits.example.com", "a.lan", socket.gethostname(), "exits.lan.example.com")
        answers = [
            requests.get(f"{exporter.url}/api/v1/jobs", headers={"Host": host}, timeout=10) for host in hosts
        ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 421]


def test_an_http_reload_loads_a_valid_catalogue(configured: ExporterProcess, catalogue: Path) -> None:
    before = requests.post(f"{configured.url}/-/reload", timeout=10).json()
    catalogue.write_text(CATALOGUE)
    answer = requests.post(f"{configured.url}/-/reload", timeout=10)
    assert (answer.status_code, answer.json(), reason_of_42(configured), reload_succeeded(configured)) == (
        HTTPStatus.OK,
        {"codes": before["codes"] + 1, "reasons": before["reasons"] + 1},
        "CheckpointCorrupt",
        1,
    )


def test_an_http_reload_refuses_a_bad_catalogue_with_line_and_cause(
    configured: ExporterProcess, catalogue: Path
) -> None:
    catalogue.write_text(BAD_CATALOGUE)
    answer = requests.post(f"{configured.url}/-/reload", timeout=10)
    assert (answer.status_code, answer.json(), reason_of_42(configured), reload_succeeded(configured)) == (
        HTTPStatus.UNPROCESSABLE_ENTITY,
        {
            "type": "about:blank",
            "title": HTTPStatus.UNPROCESSABLE_ENTITY.phrase,
            "status": 422,
            "detail": "the catalogue file is refused; the previous one stays in use",
            "errors": [
                (
                    f"{catalogue}:2: codes.42: reason Undescribed is described nowhere; "
                    "add it under 'reasons:' with a meaning"
                )
            ],
        },
        "Error",
        0,
    )


# --- refused starts


def refusal(*arguments: str | Path) -> tuple[int, str, str]:
    """Return exit code, output and errors of a daemon that does not start."""
    done = subprocess.run(
        [sys.executable, "-m", "exporter", "serve", *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=clean_environment(),
    )
    return done.returncode, done.stdout, done.stderr


def database(path: Path) -> tuple[str, str]:
    """Return the flag for a database file."""
    return ("--storage.url", f"sqlite:///{path}")


def test_a_taken_port_is_reported(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other_listener:
        address = f"127.0.0.1:{other_listener.getsockname()[1]}"
        assert refusal("--web.listen-address", address, *database(tmp_path / "exits.db")) == (
            1,
            "",
            f"Error: cannot listen on {address}: Address already in use; see --web.listen-address\n",
        )


def test_a_file_that_is_no_database_is_reported_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "exits.db"
    path.write_text("my diary\n" * 1000)
    assert refusal("--web.listen-address", "127.0.0.1:0", *database(path)) == (
        1,
        "",
        (
            f"Error: {path}: file is not a database; "
            "it is left unchanged: move it away or use another file; see --storage.url\n"
        ),
    )
    assert path.read_text() == "my diary\n" * 1000


def test_a_database_directory_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "exits.db"
    code, out, errors = refusal("--web.listen-address", "127.0.0.1:0", *database(path))
    assert (code, out, errors.startswith(f"Error: {path.parent}: "), errors.count("\n")) == (1, "", True, 1)


def test_every_problem_of_a_bad_catalogue_is_reported(tmp_path: Path, catalogue: Path) -> None:
    catalogue.write_text(BAD_CATALOGUE + "  0: Fine\n")
    assert refusal("--catalogue.file", catalogue, *database(tmp_path / "exits.db")) == (
        1,
        "",
        (
            f"Error: {catalogue}:2: codes.42: reason Undescribed is described nowhere; "
            "add it under 'reasons:' with a meaning\n"
            f"{catalogue}:3: codes.0: code 0 is always Completed and cannot be renamed\n"
            f"{catalogue}:3: codes.0: reason Fine is described nowhere; "
            "add it under 'reasons:' with a meaning\n"
        ),
    )


def test_a_bad_setting_is_reported_with_its_flag() -> None:
    assert refusal("--exits.oom-wait", "soon", "--web.listen-address", "here") == (
        2,
        "",
        (
            "Error: --exits.oom-wait: 'soon' is not a duration; write 90s, 15m, 2h or 30d\n"
            "--web.listen-address: 'here' is not HOST:PORT, such as 127.0.0.1:10137 or [::]:10137\n"
        ),
    )


def test_a_bad_variable_is_reported_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {**os.environ, "EXIT_EXPORTER_EXITS_OOM_WAIT": "soon"}
    monkeypatch.setattr("tests.contract.test_daemon.clean_environment", lambda: environment)
    assert refusal() == (
        2,
        "",
        "Error: EXIT_EXPORTER_EXITS_OOM_WAIT: 'soon' is not a duration; write 90s, 15m, 2h or 30d\n",
    )


def test_a_bad_setting_in_the_file_is_reported_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("exits:\n  oom-wait: 1s\n  patience: 5s\n")
    assert refusal("--config.file", path) == (
        2,
        "",
        (
            f"Error: {path}:3: exits.patience: unknown name; "
            "valid are: oom-wait, oom-window, stop-window, assume-oom\n"
        ),
    )


def test_a_missing_context_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    code, out, errors = refusal("--docker.host", "context:nowhere", *database(tmp_path / "exits.db"))
    assert (code, out, "nowhere" in errors, errors.startswith("Error: "), errors.count("\n")) == (
        1,
        "",
        True,
        True,
        1,
    )


# --- several engines


@pytest.fixture
def other(tmp_path: Path) -> Iterator[ScriptedEngine]:
    """Start a second engine, on another host."""
    with on_other_host(ScriptedEngine(tmp_path, name="other.sock")) as second:
        second.info["Name"] = "other-host"
        yield second


def test_two_engines_are_watched_by_one_daemon(
    engine: ScriptedEngine, other: ScriptedEngine, tmp_path: Path
) -> None:
    arguments = (*KEEP, "--docker.host", other.url)
    with ExporterProcess(engine.url, tmp_path, arguments=arguments) as exporter:
        run_job(engine, 1, 0)
        run_job(other, 2, 3)
        assert has_exits(exporter, 2)
        rows = {(row["instance"], row["name"], row["container_exit_code"]) for row in exporter.jobs()}
        assert (rows, exits(exporter)) == (
            {("scripted-host", "job-1", 0), ("other-host", "job-2", 3)},
            {
                ("scripted-host", "done", "0", "Completed"): 1,
                ("other-host", "failed", "3", "Error"): 1,
            },
        )


def test_it_is_ready_only_while_every_engine_answers(
    engine: ScriptedEngine, other: ScriptedEngine, tmp_path: Path
) -> None:
    arguments = (*KEEP, "--docker.host", other.url)
    with ExporterProcess(engine.url, tmp_path, arguments=arguments) as exporter:
        other.stop()
        assert wait_until(lambda: not is_ready(exporter), TIMEOUT_SECONDS)
        (cause,) = exporter.get("/-/ready").json()["errors"]
        run_job(engine, 1, 0)
        assert has_exits(exporter, 1)
        assert (
            cause.startswith(other.url),
            value(exporter, "exit_exporter_engine_up", engine=engine.url),
            value(exporter, "exit_exporter_engine_up", engine=other.url),
        ) == (True, 1, 0)


def test_two_engines_on_one_host_keep_their_jobs_after_a_restart(
    engine: ScriptedEngine, other: ScriptedEngine, tmp_path: Path
) -> None:
    other.info["Name"] = engine.info["Name"]
    arguments = (*KEEP, "--docker.host", other.url, "--exits.oom-wait", "0")
    with ExporterProcess(engine.url, tmp_path, arguments=arguments) as exporter:
        start_job(engine, 1)
        start_job(other, 2)
        assert runs(exporter, 2)
        exporter.kill()
        exporter.start()
        exporter.await_ready()
        end_job(engine, 1, 0)
        end_job(other, 2, 0)
        assert wait_until(lambda: not exporter.jobs(status="running"), TIMEOUT_SECONDS)
        assert exits(exporter) == {("scripted-host", "done", "0", "Completed"): 2}


def test_an_engine_that_is_configured_twice_counts_once(engine: ScriptedEngine, tmp_path: Path) -> None:
    arguments = (*KEEP, "--docker.host", engine.url)
    exporter = ExporterProcess(engine.url, tmp_path, arguments=arguments)
    exporter.start()
    try:
        # Refusing to start would be as good as watching it once.
        wait_until(lambda: not exporter.process.alive or "msg=watching" in log_of(exporter), TIMEOUT_SECONDS)
        if exporter.process.alive:
            exporter.await_ready()
            run_job(engine, 1, 0)
            run_job(engine, 2, 0)
            assert has_exits(exporter, 2)
            assert exits(exporter) == {("scripted-host", "done", "0", "Completed"): 2}
            assert value(exporter, "exit_exporter_exits_unobserved_total", host="scripted-host") in {None, 0}
    finally:
        exporter.stop()


# --- containers without an inspection


def test_a_container_without_inspection_in_a_list_is_not_lost(engine: ScriptedEngine, tmp_path: Path) -> None:
    no_wait = (*KEEP, "--exits.oom-wait", "0")
    with ExporterProcess(engine.url, tmp_path, arguments=no_wait) as exporter:
        start_job(engine, 1)
        assert runs(exporter, 1)
        exporter.kill()
        engine.fail_next(f"/containers/{identity(1)}/json", 500)
        exporter.start()
        exporter.await_ready()
        end_job(engine, 1, 3)
        assert has_exits(exporter, 1)
        assert exits(exporter) == {("scripted-host", "failed", "3", "Error"): 1}


# --- kills of the daemon


@of_each_api
def test_exits_around_a_kill_of_the_daemon_are_counted_once(
    engine: ScriptedEngine, exporter: ExporterProcess
) -> None:
    run_job(engine, 1, 0)
    start_job(engine, 2)
    start_job(engine, 3)
    assert has_exits(exporter, 1)
    assert runs(exporter, 2)
    exporter.kill()
    end_job(engine, 2, 3)
    run_job(engine, 4, 77)
    exporter.start()
    exporter.await_ready()
    assert has_exits(exporter, 3)
    end_job(engine, 3, 0)
    expected = {
        ("scripted-host", "done", "0", "Completed"): 2,
        ("scripted-host", "failed", "3", "Error"): 1,
        ("scripted-host", "failed", "77", "NoPermission"): 1,
    }
    assert has_exits(exporter, 4)
    for _ in range(2):
        exporter.kill()
        exporter.start()
        exporter.await_ready()
        assert (exits(exporter), len(exporter.jobs()), exporter.jobs(status="running")) == (expected, 4, [])


def test_an_exit_that_a_kill_kept_from_the_record_counts_once(engine: ScriptedEngine, tmp_path: Path) -> None:
    waits = (*KEEP, "--exits.oom-wait", "1h")
    with ExporterProcess(engine.url, tmp_path, arguments=waits) as waiting:
        start_job(engine, 1)
        assert runs(waiting, 1)
        end_job(engine, 1, 1)
        read = {"engine": engine.url, "event": "die"}
        assert wait_until(
            lambda: value(waiting, "exit_exporter_engine_events_total", **read) == 1, TIMEOUT_SECONDS
        )
        waiting.kill()
        assert exits_after_restart(engine, tmp_path) == {("scripted-host", "failed", "1", "Error"): 1}


def exits_after_restart(engine: ScriptedEngine, directory: Path) -> dict[tuple[str, ...], Any]:
    """Return the exits that a new daemon on the same store counts."""
    with ExporterProcess(engine.url, directory, arguments=KEEP) as exporter:
        assert has_exits(exporter, 1)
        return exits(exporter)


def test_a_restart_with_another_order_names_workloads_by_it(engine: ScriptedEngine, tmp_path: Path) -> None:
    def run_labelled(number: int) -> None:
        answer = exited(number, number + 0.5, 1, number)
        labels = {"com.example.job": f"resize-{number}"}
        engine.set_container({**answer, "Config": {"Image": "job:1", "Labels": labels}})
        engine.emit(event("start", number, number, **labels))
        engine.emit(event("die", number + 0.5, number, exitCode="1", **labels))

    def workloads(exporter: ExporterProcess) -> set[str]:
        return {dict(labels)["workload"] for labels in samples(exporter, "container_exits_total")}

    one = (*KEEP, "--workload.limit", "1", "--workload.order")
    with ExporterProcess(engine.url, tmp_path, arguments=(*one, "label:com.example.job,image")) as exporter:
        run_labelled(1)
        assert has_exits(exporter, 1)
        assert workloads(exporter) == {"resize-1"}
    with ExporterProcess(engine.url, tmp_path, arguments=(*one, "image")) as exporter:
        run_labelled(2)
        assert wait_until(lambda: workloads(exporter) == {"job"}, TIMEOUT_SECONDS)
