"""Queries that would never end on a real daemon: it stops all the same, within seconds."""

import sqlite3
import threading
import time
from contextlib import closing
from http import HTTPStatus
from pathlib import Path

import pytest
import requests

from tests.contract.engines import event, exited, identity
from tests.lab.exporter import ExporterProcess
from tests.lab.wait import wait_until
from tests.scripted.engine import ScriptedEngine

TIMEOUT_SECONDS = 20.0
# Less than a query may take by itself.
STOP_SECONDS = 8.0
QUERIES = 10
ENDLESS = """
ALTER TABLE jobs RENAME TO stored_jobs;
CREATE VIEW jobs AS
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers)
SELECT stored_jobs.* FROM numbers CROSS JOIN stored_jobs WHERE n < 0;
"""
"""Makes every read of the jobs count for ever."""


@pytest.fixture
def slow(engine: ScriptedEngine, tmp_path: Path) -> ExporterProcess:
    """Daemon, not started, with a job of which every read is endless once it was recorded."""
    return ExporterProcess(engine.url, tmp_path, arguments=("--storage.retention", "0"))


def test_sigterm_ends_slow_queries(engine: ScriptedEngine, slow: ExporterProcess) -> None:
    answers: list[int] = []
    with slow:
        engine.set_container(exited(1, 2, 9))
        engine.emit(event("start", 1))
        engine.emit(event("die", 2, exitCode="9"))
        assert wait_until(lambda: slow.get(f"/api/v1/jobs/{identity(1)}").ok, TIMEOUT_SECONDS)
        with closing(sqlite3.connect(slow.database)) as connection:
            connection.executescript(ENDLESS)
        before = threads_of(slow)
        asking = [threading.Thread(target=ask, args=(slow, answers)) for _ in range(QUERIES)]
        for thread in asking:
            thread.start()
        assert wait_until(lambda: threads_of(slow) >= before + QUERIES - 1, TIMEOUT_SECONDS)
        began = time.monotonic()
        assert slow.stop() == 0
        assert time.monotonic() - began < STOP_SECONDS
        for thread in asking:
            thread.join()
    assert answers == [HTTPStatus.SERVICE_UNAVAILABLE] * QUERIES


def ask(exporter: ExporterProcess, answers: list[int]) -> None:
    """Ask for a job on a new connection, and note the status of the answer."""
    with requests.Session() as http:
        http.trust_env = False
        answers.append(http.get(f"{exporter.url}/api/v1/jobs/x", timeout=TIMEOUT_SECONDS).status_code)


def threads_of(exporter: ExporterProcess) -> int:
    """Return how many threads a daemon has: one for each query that runs."""
    return len(list(Path(f"/proc/{exporter.process.pid}/task").iterdir()))
