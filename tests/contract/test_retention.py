"""A real daemon that deletes many old jobs: exits are recorded meanwhile, and SIGTERM ends it in between."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from exporter.store import Batch, Store
from exporter.store.pruning import STEP_ROWS
from tests.contract.engines import event, exited
from tests.integration.faces import samples
from tests.lab.exporter import ExporterProcess
from tests.lab.wait import wait_until
from tests.scripted.engine import ScriptedEngine
from tests.store.samples import SECOND_NS, ended, job

TIMEOUT_SECONDS = 60.0
OLD_JOBS = 4_000
LONG_AGO_NS = 10**18
SLOW = """
CREATE TRIGGER slow BEFORE DELETE ON jobs BEGIN
SELECT count(*) FROM (
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers LIMIT 20000)
    SELECT n FROM numbers
);
END
"""
"""Makes the deletion of all take much longer than what a test does meanwhile, however slow the machine is."""


def fill(database: Path) -> None:
    """Record jobs that ended long ago, one each second."""
    old = [ended(job("a", attempt=n, start_event_ns=LONG_AGO_NS + n * SECOND_NS), 1) for n in range(OLD_JOBS)]
    with closing(Store(database)) as store:
        store.commit(Batch(ended=old))
    execute(database, SLOW)


def execute(database: Path, statement: str) -> Sequence[tuple[object, ...]]:
    """Execute a statement, and return its rows."""
    with closing(sqlite3.connect(database)) as connection, connection:
        return connection.execute(statement).fetchall()


def old_jobs(database: Path) -> list[int]:
    """Return the attempts of the old jobs that are left, in the order in which they ended."""
    query = "SELECT attempt FROM jobs WHERE name = 'gentle-stingray-a' ORDER BY finished_ns"
    return [int(str(row[0])) for row in execute(database, query)]


def counted(exporter: ExporterProcess) -> float:
    """Return how many exits are counted."""
    return sum(samples(exporter, "container_exits_total").values())


def test_sigterm_ends_a_deletion_between_two_steps_and_the_next_start_goes_on(
    engine: ScriptedEngine, tmp_path: Path
) -> None:
    exporter = ExporterProcess(engine.url, tmp_path, arguments=("--storage.retention", "3650d"))
    fill(exporter.database)
    with exporter:
        assert wait_until(lambda: len(old_jobs(exporter.database)) < OLD_JOBS, TIMEOUT_SECONDS)
        engine.set_container(exited(1, 2, 9))
        engine.emit(event("start", 1))
        engine.emit(event("die", 2, exitCode="9"))
        assert wait_until(lambda: counted(exporter) == 1, TIMEOUT_SECONDS)
        assert exporter.stop() == 0
        left = old_jobs(exporter.database)
        # The oldest are gone, in whole steps.
        assert 0 < len(left) < OLD_JOBS
        assert (left, len(left) % STEP_ROWS) == ([*range(OLD_JOBS)][-len(left) :], 0)
        assert execute(exporter.database, "PRAGMA integrity_check") == [("ok",)]
        execute(exporter.database, "DROP TRIGGER slow")
        exporter.start()
        exporter.await_ready()
        assert wait_until(lambda: not old_jobs(exporter.database), TIMEOUT_SECONDS)
        assert (counted(exporter), len(exporter.jobs())) == (1, 1)
