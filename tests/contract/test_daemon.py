"""The daemon as its users run it, on engines that do what a test tells them."""

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

from tests.contract.engines import event, exited, identity, of_each_api, running, unlisted_ids
from tests.integration.faces import samples
from tests.lab.exporter import ExporterProcess, clean_environment
from tests.lab.wait import wait_until
from tests.scripted.engine import ScriptedEngine

PATIENCE_SECONDS = 20.0
# The containers of these tests ended long ago.
KEEP = ("--storage.retention", "0")
JOB = ("scripted-host", "job", "job")
WORDS = """
reasons:
  CheckpointCorrupt: {meaning: A checkpoint cannot be read.}
codes:
  42: CheckpointCorrupt
"""
BAD_WORDS = "codes:\n  42: Undescribed\n"


@pytest.fixture
def exporter(engine: ScriptedEngine, tmp_path: Path) -> Iterator[ExporterProcess]:
    """A daemon that is ready."""
    with ExporterProcess(engine.url, tmp_path, arguments=KEEP) as ready:
        yield ready


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """A catalogue file without words of its own."""
    path = tmp_path / "catalogue.yaml"
    path.write_text("")
    return path


def exits(exporter: ExporterProcess) -> dict[tuple[str, ...], float]:
    """The exits counted, those that happened, by host, status, code and reason."""
    names = ("host", "status", "code", "reason")
    tables = {labels: value for labels, value in samples(exporter, "container_exits_total").items() if value}
    return {tuple(dict(labels)[name] for name in names): value for labels, value in tables.items()}


def value(exporter: ExporterProcess, name: str, **labels: str) -> float | None:
    """One sample, None where it does not exist."""
    return samples(exporter, name).get(tuple(sorted(labels.items())))


def has_exits(exporter: ExporterProcess, count: int) -> bool:
    """Whether so many exits are counted, or are soon."""
    return wait_until(lambda: sum(exits(exporter).values()) == count, PATIENCE_SECONDS)


def run_job(engine: ScriptedEngine, number: int, code: int) -> None:
    """Let a job run to its end."""
    engine.set_container(exited(1, 2, code, number))
    engine.emit(event("start", 1, number))
    engine.emit(event("die", 2, number, exitCode=str(code)))


def start_job(engine: ScriptedEngine, number: int) -> None:
    """Let a job begin."""
    engine.set_container(running(0.999, number))
    engine.emit(event("start", 1, number))


def end_job(engine: ScriptedEngine, number: int, code: int) -> None:
    """Let it end, and leave its container."""
    engine.set_container(exited(0.999, 2, code, number))
    engine.emit(event("die", 2.001, number, exitCode=str(code)))


def runs(exporter: ExporterProcess, count: int) -> bool:
    """Whether so many jobs run on record, or do so soon."""
    return wait_until(lambda: len(exporter.jobs(status="running")) == count, PATIENCE_SECONDS)


def is_ready(exporter: ExporterProcess) -> bool:
    """Whether it says that it is ready."""
    return exporter.get("/-/ready").ok


def log_of(exporter: ExporterProcess) -> str:
    """What it has said."""
    return exporter.log_path.read_text()


# --- an engine that is not there


@pytest.fixture
def waiting(absent: ScriptedEngine, tmp_path: Path) -> Iterator[ExporterProcess]:
    """A daemon whose engine is not there, and that has found so."""
    exporter = ExporterProcess(absent.url, tmp_path, arguments=KEEP)
    exporter.start()
    try:
        assert wait_until(lambda: "engine not reachable" in log_of(exporter), PATIENCE_SECONDS)
        yield exporter
    finally:
        exporter.stop()


def test_without_its_engine_the_daemon_is_not_ready_and_names_the_cause(
    absent: ScriptedEngine, waiting: ExporterProcess
) -> None:
    answer = waiting.get("/-/ready")
    cause = f"{absent.url}: no such socket; is the engine running?"
    # The engine's address may stand before the cause once more.
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


def test_without_its_engine_the_daemon_is_healthy_and_can_be_scraped(
    absent: ScriptedEngine, waiting: ExporterProcess
) -> None:
    up = value(waiting, "exit_exporter_engine_up", engine=absent.url)
    healthy = waiting.get("/-/healthy")
    assert (up, healthy.status_code, healthy.json()["status"]) == (0, HTTPStatus.OK, "healthy")


def test_the_daemon_becomes_ready_when_its_engine_appears(
    absent: ScriptedEngine, waiting: ExporterProcess
) -> None:
    absent.start()
    assert wait_until(lambda: is_ready(waiting), PATIENCE_SECONDS)
    assert (
        value(waiting, "exit_exporter_engine_up", engine=absent.url),
        waiting.get("/-/ready").json()["status"],
    ) == (1, "ready")


def test_the_series_of_unobserved_exits_begins_when_the_hosts_engine_was_listed_once(
    absent: ScriptedEngine, waiting: ExporterProcess
) -> None:
    name, host = "exit_exporter_exits_unobserved_total", "scripted-host"
    before = value(waiting, name, host=host)
    absent.set_container(exited(0, 1, 137))
    absent.start()
    assert wait_until(lambda: is_ready(waiting), PATIENCE_SECONDS)
    assert (before, value(waiting, name, host=host), sum(exits(waiting).values())) == (None, 0, 1)


def test_an_engine_that_goes_away_is_said_and_found_again(
    engine: ScriptedEngine, exporter: ExporterProcess
) -> None:
    run_job(engine, 2, 0)
    assert has_exits(exporter, 1)
    engine.stop()
    assert wait_until(lambda: not is_ready(exporter), PATIENCE_SECONDS)
    run_job(engine, 1, 0)
    engine.start()
    assert wait_until(lambda: is_ready(exporter), PATIENCE_SECONDS)
    assert has_exits(exporter, 2)
    assert (
        exits(exporter),
        value(exporter, "exit_exporter_event_gaps_total", engine=engine.url),
        value(exporter, "exit_exporter_engine_reconnects_total", engine=engine.url),
        value(exporter, "exit_exporter_exits_recovered_total", host="scripted-host"),
        # It had told the end of all that it had started: there is no gap.
    ) == ({("scripted-host", "done", "0", "Completed"): 2}, 0, 1, 1)


@of_each_api
def test_when_the_daemon_is_ready_what_ended_before_is_counted(
    engine: ScriptedEngine, tmp_path: Path
) -> None:
    for number, code in enumerate((0, 1, 137)):
        engine.set_container(exited(1, 2, code, number))
    with ExporterProcess(engine.url, tmp_path, arguments=KEEP) as exporter:
        counted = exits(exporter)
    assert counted == {
        ("scripted-host", "done", "0", "Completed"): 1,
        ("scripted-host", "failed", "1", "Error"): 1,
        ("scripted-host", "failed", "137", "SIGKILL"): 1,
    }


# --- ending


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_end_drains_and_ends_with_0(
    engine: ScriptedEngine, exporter: ExporterProcess, number: signal.Signals
) -> None:
    run_job(engine, 1, 0)
    assert has_exits(exporter, 1)
    exporter.process.send(number)
    assert wait_until(lambda: not exporter.process.alive, PATIENCE_SECONDS)
    last = log_of(exporter).splitlines()[-1].partition(" ")[2]
    assert (exporter.process.returncode, last) == (
        0,
        "level=info msg=stopped drained=true otlp_pending_jobs=0",
    )


def test_what_still_waits_when_the_daemon_is_ended_is_on_record(
    engine: ScriptedEngine, tmp_path: Path
) -> None:
    waits = (*KEEP, "--exits.oom-wait", "1h")
    with ExporterProcess(engine.url, tmp_path, arguments=waits) as exporter:
        run_job(engine, 1, 1)
        engine.emit(event("destroy", 2.1))
        engine.remove_container(identity(1))
        read = {"engine": engine.url, "event": "destroy"}
        assert wait_until(
            lambda: value(exporter, "exit_exporter_engine_events_total", **read) == 1, PATIENCE_SECONDS
        )
        assert exporter.stop() == 0
        exporter.start()
        exporter.await_ready()
        assert exits(exporter) == {("scripted-host", "failed", "1", "Error"): 1}


def test_a_second_signal_ends_at_once(
    engine: ScriptedEngine, exporter: ExporterProcess, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "exit-exporter.db", isolation_level=None)) as other:
        # Somebody else writes: the daemon's own commit waits, and with it the end.
        other.execute("BEGIN IMMEDIATE")
        run_job(engine, 1, 0)
        exporter.process.send(signal.SIGTERM)
        assert wait_until(lambda: "msg=stopping" in log_of(exporter), PATIENCE_SECONDS)
        exporter.process.send(signal.SIGTERM)
        assert wait_until(lambda: not exporter.process.alive, PATIENCE_SECONDS)
    assert (exporter.process.returncode, "msg=stopped" in log_of(exporter)) == (1, False)


# --- words


def meaning_of_42(exporter: ExporterProcess) -> str:
    """What 42 is called."""
    return str(exporter.get("/api/v1/reasons/42").json()["readings"][0]["reason"])


def taken(exporter: ExporterProcess) -> float | None:
    """Whether the catalogue was taken at the last try."""
    return value(exporter, "exit_exporter_config_last_reload_successful")


@pytest.fixture
def worded(engine: ScriptedEngine, tmp_path: Path, catalogue: Path) -> Iterator[ExporterProcess]:
    """A daemon with a catalogue file."""
    arguments = (*KEEP, "--catalogue.file", str(catalogue))
    with ExporterProcess(engine.url, tmp_path, arguments=arguments) as ready:
        yield ready


def test_a_hangup_takes_a_good_catalogue_and_refuses_a_bad_one(
    engine: ScriptedEngine, worded: ExporterProcess, catalogue: Path
) -> None:
    assert meaning_of_42(worded) == "Error"
    catalogue.write_text(WORDS)
    worded.reload()
    assert wait_until(lambda: meaning_of_42(worded) == "CheckpointCorrupt", PATIENCE_SECONDS)
    run_job(engine, 1, 42)
    assert has_exits(worded, 1)
    catalogue.write_text(BAD_WORDS)
    worded.reload()
    assert wait_until(lambda: taken(worded) == 0, PATIENCE_SECONDS)
    assert (meaning_of_42(worded), exits(worded)) == (
        "CheckpointCorrupt",
        {("scripted-host", "failed", "42", "CheckpointCorrupt"): 1},
    )
    catalogue.write_text("")
    worded.reload()
    assert wait_until(lambda: taken(worded) == 1, PATIENCE_SECONDS)
    assert meaning_of_42(worded) == "Error"


def test_a_reload_over_http_takes_a_good_catalogue(worded: ExporterProcess, catalogue: Path) -> None:
    before = requests.post(f"{worded.url}/-/reload", timeout=10).json()
    catalogue.write_text(WORDS)
    answer = requests.post(f"{worded.url}/-/reload", timeout=10)
    assert (answer.status_code, answer.json(), meaning_of_42(worded), taken(worded)) == (
        HTTPStatus.OK,
        {"codes": before["codes"] + 1, "reasons": before["reasons"] + 1},
        "CheckpointCorrupt",
        1,
    )


def test_a_reload_over_http_refuses_a_bad_catalogue_with_file_line_and_cause(
    worded: ExporterProcess, catalogue: Path
) -> None:
    catalogue.write_text(BAD_WORDS)
    answer = requests.post(f"{worded.url}/-/reload", timeout=10)
    assert (answer.status_code, answer.json(), meaning_of_42(worded), taken(worded)) == (
        HTTPStatus.UNPROCESSABLE_ENTITY,
        {
            "type": "about:blank",
            "title": HTTPStatus.UNPROCESSABLE_ENTITY.phrase,
            "status": 422,
            "detail": "the catalogue file is refused, the one before stays",
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


# --- what it does not start with


def refusal(*arguments: str | Path) -> tuple[int, str, str]:
    """The exit code and what was said of a daemon that does not start."""
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
    """The flag that names a database."""
    return ("--storage.url", f"sqlite:///{path}")


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken_by_another:
        address = f"127.0.0.1:{taken_by_another.getsockname()[1]}"
        assert refusal("--web.listen-address", address, *database(tmp_path / "exits.db")) == (
            1,
            "",
            f"Error: cannot listen on {address}: Address already in use; see --web.listen-address\n",
        )


def test_a_file_that_is_no_database_is_said_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "exits.db"
    path.write_text("my diary\n" * 1000)
    assert refusal("--web.listen-address", "127.0.0.1:0", *database(path)) == (
        1,
        "",
        (
            f"Error: {path}: file is not a database; "
            "it is left as it is: move it away, or name another with --storage.url\n"
        ),
    )
    assert path.read_text() == "my diary\n" * 1000


def test_a_directory_that_cannot_be_made_for_the_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "exits.db"
    code, out, said = refusal("--web.listen-address", "127.0.0.1:0", *database(path))
    assert (code, out, said.startswith(f"Error: {path.parent}: "), said.count("\n")) == (1, "", True, 1)


def test_a_bad_catalogue_is_said_with_every_problem(tmp_path: Path, catalogue: Path) -> None:
    catalogue.write_text(BAD_WORDS + "  0: Fine\n")
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


def test_a_bad_setting_is_said_by_its_flag() -> None:
    assert refusal("--exits.oom-wait", "soon", "--web.listen-address", "here") == (
        1,
        "",
        (
            "Error: --exits.oom-wait: 'soon' is not a duration; write 90s, 15m, 2h or 30d\n"
            "--web.listen-address: 'here' is not HOST:PORT, such as 127.0.0.1:10137 or [::]:10137\n"
        ),
    )


def test_a_bad_setting_of_the_environment_is_said_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {**os.environ, "EXIT_EXPORTER_EXITS_OOM_WAIT": "soon"}
    monkeypatch.setattr("tests.contract.test_daemon.clean_environment", lambda: environment)
    assert refusal() == (
        1,
        "",
        "Error: EXIT_EXPORTER_EXITS_OOM_WAIT: 'soon' is not a duration; write 90s, 15m, 2h or 30d\n",
    )


def test_a_bad_setting_of_the_file_is_said_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("exits:\n  oom-wait: 1s\n  patience: 5s\n")
    assert refusal("--config.file", path) == (
        1,
        "",
        f"Error: {path}:3: exits.patience: unknown name; see the documentation for the names there are\n",
    )


def test_a_context_that_does_not_exist_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    code, out, said = refusal("--docker.host", "context:nowhere", *database(tmp_path / "exits.db"))
    assert (code, out, "nowhere" in said, said.startswith("Error: "), said.count("\n")) == (
        1,
        "",
        True,
        True,
        1,
    )


# --- several engines


@pytest.fixture
def other(tmp_path: Path) -> Iterator[ScriptedEngine]:
    """A second engine, on another host."""
    with unlisted_ids(ScriptedEngine(tmp_path, name="other.sock")) as second:
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


def test_the_daemon_is_ready_only_while_every_engine_is_there(
    engine: ScriptedEngine, other: ScriptedEngine, tmp_path: Path
) -> None:
    arguments = (*KEEP, "--docker.host", other.url)
    with ExporterProcess(engine.url, tmp_path, arguments=arguments) as exporter:
        other.stop()
        assert wait_until(lambda: not is_ready(exporter), PATIENCE_SECONDS)
        (cause,) = exporter.get("/-/ready").json()["errors"]
        run_job(engine, 1, 0)
        assert has_exits(exporter, 1)
        assert (
            cause.startswith(other.url),
            value(exporter, "exit_exporter_engine_up", engine=engine.url),
            value(exporter, "exit_exporter_engine_up", engine=other.url),
        ) == (True, 1, 0)


def test_two_engines_on_one_host_keep_their_running_jobs_through_a_restart(
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
        assert wait_until(lambda: not exporter.jobs(status="running"), PATIENCE_SECONDS)
        assert exits(exporter) == {("scripted-host", "done", "0", "Completed"): 2}


def test_an_engine_that_is_named_twice_counts_once(engine: ScriptedEngine, tmp_path: Path) -> None:
    arguments = (*KEEP, "--docker.host", engine.url)
    exporter = ExporterProcess(engine.url, tmp_path, arguments=arguments)
    exporter.start()
    try:
        # Refusing to start with it is as good as watching it once.
        wait_until(lambda: not exporter.process.alive or "msg=watching" in log_of(exporter), PATIENCE_SECONDS)
        if exporter.process.alive:
            exporter.await_ready()
            run_job(engine, 1, 0)
            run_job(engine, 2, 0)
            assert has_exits(exporter, 2)
            assert exits(exporter) == {("scripted-host", "done", "0", "Completed"): 2}
            assert value(exporter, "exit_exporter_exits_unobserved_total", host="scripted-host") in {None, 0}
    finally:
        exporter.stop()


# --- containers about which the engine does not answer


def test_a_container_that_cannot_be_inspected_for_a_list_is_not_taken_for_lost(
    engine: ScriptedEngine, tmp_path: Path
) -> None:
    unhurried = (*KEEP, "--exits.oom-wait", "0")
    with ExporterProcess(engine.url, tmp_path, arguments=unhurried) as exporter:
        start_job(engine, 1)
        assert runs(exporter, 1)
        exporter.kill()
        engine.fail_next(f"/containers/{identity(1)}/json", 500)
        exporter.start()
        exporter.await_ready()
        end_job(engine, 1, 3)
        assert has_exits(exporter, 1)
        assert exits(exporter) == {("scripted-host", "failed", "3", "Error"): 1}


# --- killed


@of_each_api
def test_what_happens_around_a_kill_is_counted_once(
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


def test_an_exit_that_was_read_and_not_recorded_before_a_kill_is_counted_once(
    engine: ScriptedEngine, tmp_path: Path
) -> None:
    waits = (*KEEP, "--exits.oom-wait", "1h")
    with ExporterProcess(engine.url, tmp_path, arguments=waits) as waiting:
        start_job(engine, 1)
        assert runs(waiting, 1)
        end_job(engine, 1, 1)
        read = {"engine": engine.url, "event": "die"}
        assert wait_until(
            lambda: value(waiting, "exit_exporter_engine_events_total", **read) == 1, PATIENCE_SECONDS
        )
        waiting.kill()
        assert exits_after_restart(engine, tmp_path) == {("scripted-host", "failed", "1", "Error"): 1}


def exits_after_restart(engine: ScriptedEngine, directory: Path) -> dict[tuple[str, ...], Any]:
    """What a new daemon over the same store counts."""
    with ExporterProcess(engine.url, directory, arguments=KEEP) as exporter:
        assert has_exits(exporter, 1)
        return exits(exporter)


def test_a_restart_with_another_order_counts_workloads_anew(engine: ScriptedEngine, tmp_path: Path) -> None:
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
        assert wait_until(lambda: workloads(exporter) == {"job"}, PATIENCE_SECONDS)
