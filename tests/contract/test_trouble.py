"""Daemon in trouble: its store, floods, broken messages, clocks. No exit is lost or counted twice."""

from __future__ import annotations

import os
import random
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.openmetrics.parser import text_string_to_metric_families as strict

from exporter.store.opening import CHECKED_AT_START_BYTES
from tests.contract.engines import event, exited
from tests.integration.faces import samples
from tests.lab.exporter import ExporterProcess
from tests.lab.wait import wait_until
from tests.scripted.engine import ScriptedEngine
from tests.store.files import fill, small_disk

TIMEOUT_SECONDS = 300.0
FLAGS = ("--storage.retention", "0", "--exits.oom-wait", "0")
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
MEGABYTE = 1 << 20


@pytest.fixture
def exporter(engine: ScriptedEngine, tmp_path: Path) -> Iterator[ExporterProcess]:
    """Daemon that is ready."""
    with ExporterProcess(engine.url, tmp_path, arguments=FLAGS) as ready:
        yield ready


def job(
    number: int, code: int, labels: Mapping[str, str] = {}, *, begins: float = 1, ends: float = 2
) -> Iterable[Any]:
    """Yield the events of one job with --rm."""
    yield event("create", begins - 0.1, number, **labels)
    yield event("start", begins, number, **labels)
    yield event("die", ends, number, exitCode=str(code), **labels)
    yield event("destroy", ends + 0.1, number, **labels)


def play(engine: ScriptedEngine, events: Iterable[Any]) -> None:
    """Emit all these events."""
    for each in events:
        engine.emit(each)


def counted(exporter: ExporterProcess) -> dict[str, float]:
    """Return the number of counted exits by code."""
    found: dict[str, float] = {}
    for labels, value in samples(exporter, "container_exits_total").items():
        if value:
            code = dict(labels)["code"]
            found[code] = found.get(code, 0) + value
    return found


def is_counted(exporter: ExporterProcess, wanted: dict[str, float]) -> bool:
    """Wait until exactly these exits are counted; return whether they are."""
    return wait_until(lambda: counted(exporter) == wanted, TIMEOUT_SECONDS)


def exporter_metric(exporter: ExporterProcess, name: str) -> float:
    """Return the sum of all series of a metric of the exporter."""
    return sum(samples(exporter, f"exit_exporter_{name}").values())


def resident(exporter: ExporterProcess) -> int:
    """Return its resident memory in bytes."""
    status = Path(f"/proc/{exporter.process.pid}/status").read_text(encoding="ascii")
    found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    assert found
    return int(found[1]) * 1024


def unready_cause(exporter: ExporterProcess) -> str:
    """Return why it is not ready, empty if it is."""
    answer = exporter.get("/-/ready")
    return "" if answer.ok else str(answer.json()["detail"])


# --- the store


def test_a_second_daemon_on_a_database_does_not_start(
    engine: ScriptedEngine, exporter: ExporterProcess, tmp_path: Path
) -> None:
    other = ExporterProcess(engine.url, tmp_path)
    other.start()
    assert wait_until(lambda: not other.process.alive, TIMEOUT_SECONDS)
    path = tmp_path / "exit-exporter.db"
    assert other.process.returncode == 1
    assert (
        f"Error: {path}: another exporter uses it; only one exporter may use a database"
        in other.process.log_tail()
    )
    play(engine, job(1, 3))
    assert is_counted(exporter, {"3": 1})


def test_exits_are_kept_while_the_database_is_locked(
    engine: ScriptedEngine, exporter: ExporterProcess, tmp_path: Path
) -> None:
    path = tmp_path / "exit-exporter.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for number in range(50):
            play(engine, job(number, number % 3))
        locked = "database is locked; another process is writing to it; only one exporter may use a database"
        cause = f"store: {path}: {locked}"
        assert wait_until(lambda: unready_cause(exporter) == cause, TIMEOUT_SECONDS)
        assert (counted(exporter), exporter_metric(exporter, "store_errors_total") >= 1) == ({}, True)
        assert exporter.get("/-/healthy").ok
        assert wait_until(lambda: exporter_metric(exporter, "exits_pending") == 50, TIMEOUT_SECONDS)
        other.execute("ROLLBACK")
    assert is_counted(exporter, {"0": 17, "1": 17, "2": 16})
    assert wait_until(lambda: unready_cause(exporter) == "", TIMEOUT_SECONDS)
    assert exporter_metric(exporter, "exits_pending") == 0


def test_exits_are_kept_while_the_disk_is_full(engine: ScriptedEngine, tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk", "4m") as disk,
        ExporterProcess(engine.url, disk, arguments=FLAGS) as exporter,
    ):
        play(engine, job(1, 0))
        assert is_counted(exporter, {"0": 1})
        filler = fill(disk)
        for number in range(2, 60):
            play(engine, job(number, 3))
        assert wait_until(lambda: "full" in unready_cause(exporter), TIMEOUT_SECONDS)
        assert counted(exporter) == {"0": 1}
        filler.unlink()
        assert is_counted(exporter, {"0": 1, "3": 58})
        assert wait_until(lambda: unready_cause(exporter) == "", TIMEOUT_SECONDS)


def test_a_batch_is_stored_entirely_or_not_at_all(engine: ScriptedEngine, tmp_path: Path) -> None:
    random_numbers = random.Random(5)  # noqa: S311  # not a secret
    with ExporterProcess(engine.url, tmp_path, arguments=FLAGS) as exporter:
        total = 0
        for _ in range(5):
            burst = [each for number in range(total, total + 60) for each in job(number, 3)]
            total += 60
            play(engine, burst)
            wait_until(lambda: bool(counted(exporter)), random_numbers.random() / 10)
            exporter.kill()
            with closing(sqlite3.connect(tmp_path / "exit-exporter.db")) as plain:
                rows = plain.execute("SELECT count(*) FROM jobs WHERE status != 'running'").fetchone()[0]
                series = plain.execute(
                    "SELECT coalesce(sum(value), 0) FROM series WHERE name = 'container_exits_total'"
                ).fetchone()[0]
            assert rows == series
            exporter.start()
            exporter.await_ready()
        assert sum(counted(exporter).values()) <= total


@pytest.mark.parametrize("what", ["deleted", "replaced", "without its log"])
def test_a_database_that_is_gone_ends_the_daemon_which_then_begins_with_what_is_there(
    engine: ScriptedEngine, exporter: ExporterProcess, tmp_path: Path, what: str
) -> None:
    play(engine, job(1, 3))
    assert is_counted(exporter, {"3": 1})
    backup, path = tmp_path / "backup.db", exporter.database
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(backup)) as copy:
        source.backup(copy)
    play(engine, job(2, 4, begins=3, ends=4))
    assert is_counted(exporter, {"3": 1, "4": 1})
    match what:
        case "deleted":
            path.unlink()
        case "replaced":
            backup.replace(path)
        case _:
            # What was committed stands there alone until the end.
            path.with_name(f"{path.name}-wal").unlink()
    assert wait_until(lambda: not exporter.process.alive, TIMEOUT_SECONDS)
    said = f'msg="the database was deleted or replaced while in use; stopping" path={path}'
    assert (exporter.process.returncode, exporter.log_path.read_text().count(said)) == (1, 1)
    exporter.start()
    exporter.await_ready()
    assert counted(exporter) == ({} if what == "deleted" else {"3": 1, "4": 1})


@pytest.mark.parametrize(
    ("kept_bytes", "cause"),
    [(0, "the database was deleted or replaced while in use"), (4096, "the database is damaged")],
)
def test_a_database_that_is_overwritten_while_in_use_ends_the_daemon_which_has_said_so(
    engine: ScriptedEngine, exporter: ExporterProcess, kept_bytes: int, cause: str
) -> None:
    play(engine, job(1, 3))
    assert is_counted(exporter, {"3": 1})
    exporter.stop()
    exporter.start()
    exporter.await_ready()
    # As by "cp": it stays the same file.
    os.truncate(exporter.database, kept_bytes)
    assert wait_until(lambda: not exporter.process.alive, TIMEOUT_SECONDS)
    said = exporter.log_path.read_text()
    assert (exporter.process.returncode, said.count(cause)) == (1, 1)


def test_a_large_database_that_is_damaged_ends_the_daemon_which_has_said_so(
    engine: ScriptedEngine, exporter: ExporterProcess
) -> None:
    play(engine, job(1, 3))
    assert is_counted(exporter, {"3": 1})
    exporter.stop()
    with closing(sqlite3.connect(exporter.database)) as plain, plain:
        plain.execute("UPDATE jobs SET log_tail = hex(zeroblob(?))", (CHECKED_AT_START_BYTES,))
        ((number,),) = plain.execute("SELECT rootpage FROM sqlite_master WHERE name = 'jobs_by_name'")
    with exporter.database.open("r+b") as file:
        file.seek((number - 1) * 4096)
        file.write(b"\xff" * 64)
    exporter.start()
    assert wait_until(lambda: not exporter.process.alive, TIMEOUT_SECONDS)
    said = exporter.log_path.read_text()
    assert (exporter.process.returncode, said.count("the database is damaged")) == (1, 1)


# --- floods


def test_workloads_over_the_limit_are_folded_without_loss(
    engine: ScriptedEngine, exporter: ExporterProcess
) -> None:
    for number in range(2_000):
        play(engine, job(number, 1, {"exit-exporter.workload": f"workload-{number}"}))
    assert is_counted(exporter, {"1": 2_000})
    answer = exporter.get("/metrics")
    workloads = {dict(labels)["workload"] for labels in samples(exporter, "container_exits_total")}
    assert (answer.status_code, len(workloads)) == (HTTPStatus.OK, 501)
    assert exporter_metric(exporter, "jobs_over_workload_limit_total") == 2_000 - 500


def test_memory_does_not_grow_with_removed_containers(
    engine: ScriptedEngine, exporter: ExporterProcess
) -> None:
    used = []
    for turn in range(3):
        for number in range(4_000 * turn, 4_000 * (turn + 1)):
            play(engine, job(number, 0))
        assert is_counted(exporter, {"0": 4_000 * (turn + 1)})
        used.append(resident(exporter))
    # The first round allocates what stays; the kept ids of removed containers are small and bounded.
    assert used[2] - used[1] < 6 * MEGABYTE


def test_a_crash_loop_is_counted_run_by_run(engine: ScriptedEngine, exporter: ExporterProcess) -> None:
    engine.set_container(exited(1, 1.1, 7))
    for turn in range(500):
        engine.emit(event("start", 10 + turn))
        engine.emit(event("die", 10.5 + turn, exitCode="7"))
    assert is_counted(exporter, {"7": 500})
    assert exporter.jobs(limit=500)[0]["attempt"] == 500


# --- broken messages


def test_no_label_breaks_the_exposition(engine: ScriptedEngine, exporter: ExporterProcess) -> None:
    texts = ("a\nb", "a\x00b", "a\ud800b", "a\u2028b", '"\\{}', "\U0001f4a5" * 600, "x" * MEGABYTE, " ")
    for number, text in enumerate(texts):
        play(engine, job(number, 3, {"exit-exporter.workload": text, "image": text, "name": text}))
    assert is_counted(exporter, {"3": len(texts)})
    exposition = requests.get(f"{exporter.url}/metrics", headers=OPENMETRICS, timeout=30).text
    assert len(list(strict(exposition))) > 10  # type: ignore[no-untyped-call]
    rows = [(len(row["workload"]) <= 512, row["container_exit_code"]) for row in exporter.jobs()]
    assert rows == [(True, 3)] * len(texts)


def test_random_bytes_are_malformed_and_the_next_event_is_read(
    engine: ScriptedEngine, exporter: ExporterProcess
) -> None:
    random_numbers = random.Random(7)  # noqa: S311  # not a secret
    lines = [
        random_numbers.randbytes(random_numbers.randrange(1, 400)).replace(b"\n", b"") or b"x"
        for _ in range(500)
    ]
    for number, line in enumerate(lines):
        engine.emit(line)
        play(engine, job(number, 3) if number % 100 == 0 else ())
    assert is_counted(exporter, {"3": 5})
    malformed = samples(exporter, "exit_exporter_engine_events_total")
    counts = {dict(labels)["event"]: value for labels, value in malformed.items()}
    assert counts["malformed"] == sum(bool(line.strip()) for line in lines)


# --- clocks


def test_a_clock_set_back_costs_no_exit(engine: ScriptedEngine, exporter: ExporterProcess) -> None:
    engine.emit(event("create", 4000))
    engine.emit(event("start", 5000))
    engine.emit(event("die", 1400, exitCode="3"))
    engine.emit(event("start", 1401))
    engine.emit(event("die", 1402, exitCode="4"))
    assert is_counted(exporter, {"3": 1, "4": 1})
    ran = [row["duration_seconds"] for row in exporter.jobs()]
    assert all(seconds is None or seconds >= 0 for seconds in ran)


def test_a_clock_set_back_and_restarts_count_nothing_twice(
    engine: ScriptedEngine, exporter: ExporterProcess
) -> None:
    play(engine, job(1, 3, begins=5000, ends=5001))
    play(engine, job(2, 4, begins=1400, ends=1401))
    assert is_counted(exporter, {"3": 1, "4": 1})
    for _ in range(2):
        exporter.kill()
        exporter.start()
        exporter.await_ready()
        assert counted(exporter) == {"3": 1, "4": 1}


def test_a_clock_that_was_ahead_and_restarts_count_nothing_twice(
    engine: ScriptedEngine, exporter: ExporterProcess
) -> None:
    play(engine, job(1, 3, begins=1e9, ends=1e9 + 1))
    assert is_counted(exporter, {"3": 1})
    for _ in range(2):
        exporter.kill()
        exporter.start()
        exporter.await_ready()
        assert counted(exporter) == {"3": 1}


# --- retention


def test_counters_survive_the_deletion_of_old_jobs(engine: ScriptedEngine, tmp_path: Path) -> None:
    engine.set_container(exited(1, 2, 3))
    with ExporterProcess(engine.url, tmp_path, arguments=FLAGS) as exporter:
        assert is_counted(exporter, {"3": 1})
        exporter.stop()
    short = ("--storage.retention", "1s")
    with ExporterProcess(engine.url, tmp_path, arguments=short) as exporter:
        assert wait_until(lambda: exporter.jobs() == [], TIMEOUT_SECONDS)
        assert counted(exporter) == {"3": 1}
        exporter.stop()
    # With a longer retention again, the job must not be taken for a new one.
    with ExporterProcess(engine.url, tmp_path) as exporter:
        assert counted(exporter) == {"3": 1}


@pytest.mark.parametrize("is_removed", [True, False], ids=["removed", "still there"])
def test_what_retention_has_deleted_is_no_news(
    engine: ScriptedEngine, tmp_path: Path, *, is_removed: bool
) -> None:
    flags = ("--storage.retention", "1s", "--exits.oom-wait", "0")
    events = [*job(1, 9)][: 4 if is_removed else 3]
    if not is_removed:
        engine.set_container(exited(1, 2, 9))
    with ExporterProcess(engine.url, tmp_path, arguments=flags) as exporter:
        play(engine, events)
        assert is_counted(exporter, {"9": 1})
        for code in ("0", "1"):
            exporter.stop()
            exporter.start()
            exporter.await_ready()
            # Comes after all that the engine replays.
            play(engine, job(2 + int(code), int(code), begins=60, ends=61))
            assert wait_until(lambda code=code: code in counted(exporter), TIMEOUT_SECONDS)  # type: ignore[misc]
            assert counted(exporter)["9"] == 1
        exporter.stop()
        exporter.start()
        exporter.await_ready()
        assert wait_until(lambda: "9" not in codes_on_record(exporter), TIMEOUT_SECONDS)
        assert counted(exporter)["9"] == 1


def codes_on_record(exporter: ExporterProcess) -> list[str]:
    """Return the codes of the jobs that are not deleted."""
    return [str(row["container_exit_code"]) for row in exporter.jobs()]
