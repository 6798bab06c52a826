"""Migrations: they lead to today's schema, lose nothing, and can be undone."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import structlog
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from exporter.metrics import definitions
from exporter.metrics.definitions import METRICS
from exporter.model import (
    ClassifiedExit,
    ContainerHistory,
    Evidence,
    Exit,
    JobRecord,
    KillRequest,
    OomKill,
    OomSource,
    Recovery,
    Status,
    TelemetrySignal,
    Termination,
    Trace,
    Verdict,
)
from exporter.store import Batch, JobFilter, Store, schema
from exporter.store.opening import sqlite_engine
from tests.store.files import opened
from tests.store.samples import ANY, BEGAN_NS, SECOND_NS, SUBMISSION, job

SCRIPTS = str(Path(schema.__file__).with_name("migrations"))
REVISIONS = [script.revision for script in ScriptDirectory(SCRIPTS).walk_revisions()][::-1]
# Migrations that change rows only, and no tables.
ROWS_ONLY = ("0004",)

IMAGE_FIELDS = ("runtime", "image_id", "image_digests")
ROWS_OF_0002 = f"""
INSERT INTO jobs VALUES
    ('bbbbbbbbbbbb-12', '{"b" * 64}', 12, 'gentle-stingray-b', 'node-1', 'unix:///var/run/docker.sock',
     'shop/worker', 'registry.example/shop/worker:1.4', 'registry.example/shop/worker',
     'running', NULL, NULL, NULL, NULL, NULL, '[]', 1, {256 << 20},
     {BEGAN_NS}, {BEGAN_NS - SECOND_NS}, {BEGAN_NS}, NULL, 11, '[[10, 7]]', '[["EVENT", 8]]',
     NULL, NULL, NULL, NULL, NULL),
    ('aaaaaaaaaaaa-1', '{"a" * 64}', 1, 'gentle-stingray-a', 'node-1', 'unix:///var/run/docker.sock',
     'shop/worker', 'registry.example/shop/worker:1.4', 'registry.example/shop/worker',
     'failed', 137, 'OOMKilled', 'CONTAINER_EXITED_WITH_ERROR', 'JOB_FAILED', 'more-memory',
     '["The engine reported an OOM kill."]', 1, {256 << 20},
     {BEGAN_NS}, {BEGAN_NS - SECOND_NS}, {BEGAN_NS}, {BEGAN_NS + 9}, 0,
     '[[15, 5], [null, 6]]', '[["EVENT", 8], ["FLAG", null]]',
     'given', 'trace', 'span', 'parent', 'Killed');
INSERT INTO series VALUES ('container_exits_total', '["a"]', 3.0);
INSERT INTO cursors VALUES ('unix:///var/run/docker.sock', 9, 1, 10);
INSERT INTO pruned VALUES (1, 4);
INSERT INTO outbox VALUES (1, 'aaaaaaaaaaaa-1', 'traces', 1, 0, NULL);
INSERT INTO identity VALUES (1, 'an-exporter');
"""  # noqa: S608  # constants of the test
"""Rows of every table, as version 0002 wrote them."""

OLD_SERIES = {
    ("exit_exporter_store_commit_seconds", '["0"]'): 4.0,
    ("exit_exporter_store_commit_seconds", '["11"]'): 1.0,
    ("exit_exporter_store_commit_seconds", '["sum"]'): 6.5,
    ("exit_exporter_store_errors_total", "[]"): 2.0,
    ("exit_exporter_rows_given_up_total", "[]"): 3.0,
    ("exit_exporter_spans_exported_total", '["traces"]'): 50.0,
    ("exit_exporter_spans_exported_total", '["logs"]'): 40.0,
    ("exit_exporter_spans_rejected_total", '["traces"]'): 5.0,
    ("exit_exporter_spans_given_up_total", '["logs"]'): 6.0,
    ("exit_exporter_workloads_folded_total", "[]"): 7.0,
}
"""Series of each metric that was renamed after version 0003, and of one that was not."""

NEW_SERIES = {
    ("exit_exporter_store_commit_duration_seconds", ("0",)): 4,
    ("exit_exporter_store_commit_duration_seconds", ("11",)): 1,
    ("exit_exporter_store_commit_duration_seconds", ("sum",)): 6.5,
    ("exit_exporter_store_errors_total", ()): 2,
    ("exit_exporter_job_records_dropped_total", ()): 3,
    ("exit_exporter_otlp_jobs_exported_total", ("traces",)): 50,
    ("exit_exporter_otlp_jobs_exported_total", ("logs",)): 40,
    ("exit_exporter_otlp_jobs_rejected_total", ("traces",)): 5,
    ("exit_exporter_otlp_jobs_dropped_total", ("logs",)): 6,
    ("exit_exporter_jobs_over_workload_limit_total", ()): 7,
}


@contextmanager
def connected(path: Path) -> Iterator[Connection]:
    """Give a transaction on a database that is not checked first; it is committed at the end."""
    engine = sqlite_engine(path)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def move(path: Path, direction: Callable[[Config, str], None], revision: str) -> None:
    """Upgrade or downgrade a database to a revision."""
    config = Config()
    config.set_main_option("script_location", SCRIPTS)
    with connected(path) as connection:
        config.attributes["connection"] = connection
        direction(config, revision)


def schema_of(path: Path) -> dict[str, object]:
    """Return the columns of each table, each index and each trigger, without Alembic's own table.

    Not the statements: an added column stands elsewhere in them than one that was always there.
    """
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT name, sql FROM sqlite_master WHERE type = ? AND tbl_name != 'alembic_version'"
        indexes: dict[str, object] = dict(connection.execute(query, ("index",)))
        indexes |= dict(connection.execute(query, ("trigger",)))
        tables = [name for name, _ in connection.execute(query, ("table",)).fetchall()]
        return indexes | {
            name: connection.execute("SELECT * FROM pragma_table_xinfo(?)", (name,)).fetchall()
            for name in tables
        }


def series_rows(path: Path) -> dict[tuple[str, str], float]:
    """Return the rows of the table of series."""
    query = "SELECT name, labels, value FROM series"
    with closing(sqlite3.connect(path)) as connection:
        return {(name, labels): value for name, labels, value in connection.execute(query)}


def test_revisions_are_sorted_and_the_last_is_written() -> None:
    assert sorted(REVISIONS) == REVISIONS
    assert ScriptDirectory(SCRIPTS).get_heads() == [schema.REVISION]


def test_all_migrations_lead_to_the_schema_of_the_code(database: Path, tmp_path: Path) -> None:
    move(database, command.upgrade, "head")
    with connected(database) as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, schema.metadata) == []
        assert context.get_current_revision() == schema.REVISION
    with opened(tmp_path / "new.db"):
        assert schema_of(tmp_path / "new.db") == schema_of(database) != {}


def test_every_migration_can_be_undone_and_repeated(database: Path) -> None:
    for revision in REVISIONS:
        before = schema_of(database)
        move(database, command.upgrade, revision)
        after = schema_of(database)
        move(database, command.downgrade, "-1")
        assert schema_of(database) == before
        move(database, command.upgrade, revision)
        assert schema_of(database) == after
        assert after != before or revision in ROWS_ONLY


@pytest.mark.parametrize("revision", REVISIONS)
def test_an_older_database_is_migrated_when_it_is_opened(
    database: Path, tmp_path: Path, revision: str
) -> None:
    with opened(tmp_path / "new.db"):
        today = schema_of(tmp_path / "new.db")
    move(database, command.upgrade, revision)
    with opened(database):
        assert schema_of(database) == today
        with connected(database) as connection:
            assert MigrationContext.configure(connection).get_current_revision() == schema.REVISION


def test_each_step_of_a_migration_is_said_before_it_begins(database: Path) -> None:
    move(database, command.upgrade, REVISIONS[-3])
    with structlog.testing.capture_logs() as logs, opened(database):
        pass
    steps = [log["step"] for log in logs if log["event"] == "migrating the database"]
    assert steps == ["1 of 2", "2 of 2"]


def test_a_database_of_today_is_not_migrated(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Store(database).close()
    monkeypatch.setattr("alembic.command.upgrade", None)
    with opened(database) as store:
        assert store.series() == {}


def test_a_failed_migration_leaves_nothing(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        # Collides with the last table that the first migration creates.
        connection.execute("CREATE VIEW series AS SELECT 1")
    before = schema_of(database)
    with pytest.raises(OperationalError, match="series"):
        move(database, command.upgrade, "head")
    assert schema_of(database) == before


def test_series_continue_under_the_new_names_of_metrics(database: Path) -> None:
    move(database, command.upgrade, "0003")
    with closing(sqlite3.connect(database)) as connection, connection:
        rows = [(*key, value) for key, value in OLD_SERIES.items()]
        connection.executemany("INSERT INTO series VALUES (?, ?, ?)", rows)
    with opened(database) as store:
        assert store.series() == NEW_SERIES
        persistent = {metric.name for metric in METRICS if metric.persistent}
        assert {name for name, _ in store.series()} <= persistent
    move(database, command.downgrade, "0003")
    assert series_rows(database) == OLD_SERIES


def test_counts_of_merged_buckets_are_added(database: Path) -> None:
    name, run = "container_run_duration_seconds", '["h", "w", "done", "%s"]'
    counts = {str(bucket): float(2**bucket) for bucket in range(15)}
    move(database, command.upgrade, "0010")
    with closing(sqlite3.connect(database)) as connection, connection:
        rows = [(name, run % part, value) for part, value in {**counts, "sum": 6.5}.items()]
        connection.executemany("INSERT INTO series VALUES (?, ?, ?)", rows)
    with opened(database) as store:
        assert store.series() == {
            (name, ("h", "w", "done", part)): value
            for part, value in {
                "0": 1 + 2,
                "1": 4 + 8,
                "2": 16,
                "3": 32,
                "4": 64 + 128,
                "5": 256 + 512,
                "6": 1024 + 2048,
                "7": 4096 + 8192 + 16384,
                "sum": 6.5,
            }.items()
        }
    assert definitions.RUN_DURATION.buckets == (1, 15, 60, 300, 3600, 21600, 86400)
    move(database, command.downgrade, "0010")
    uppermost = {
        "1": 3.0,
        "3": 12.0,
        "4": 16.0,
        "5": 32.0,
        "7": 192.0,
        "9": 768.0,
        "11": 3072.0,
        "14": 28672.0,
    }
    assert series_rows(database) == {
        (name, run % part): value for part, value in {**uppermost, "sum": 6.5}.items()
    }


def test_jobs_of_before_supervisors_are_kept_beside_those_of_one(database: Path) -> None:
    move(database, command.upgrade, "0002")
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(ROWS_OF_0002)
    move(database, command.upgrade, "0004")
    submission = job("c", supervised=SUBMISSION)
    with opened(database) as store:
        assert store.containers_of_job(SUBMISSION.job_name, "node-1") == frozenset()
        store.commit(Batch(running=[submission]))
        assert store.containers_of_job(SUBMISSION.job_name, "node-1") == {submission.container_id}
        found = store.reader.list_jobs(JobFilter(supervised_id=SUBMISSION.id), 10).records
        assert [record.job.container_id for record in found] == [submission.container_id]
        ids = {record.job.id for record in store.reader.list_jobs(ANY, 10).records}
    move(database, command.downgrade, "0004")
    with opened(database) as store:
        records = store.reader.list_jobs(ANY, 10).records
        assert {record.job.id for record in records} == ids
        assert [record.job.supervised for record in records] == [None] * len(ids)


def test_all_rows_of_version_0002_are_kept(database: Path) -> None:
    move(database, command.upgrade, "0002")
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(ROWS_OF_0002)
    event = OomKill(OomSource.EVENT, 8)
    running = job("b", attempt=12, restarts=11, kills=(KillRequest(10, 7),), oom_kills=(event,))
    ran = job(
        "a",
        restarts=0,
        traceparent="given",
        kills=(KillRequest(15, 5), KillRequest(None, 6)),
        oom_kills=(event, OomKill(OomSource.FLAG, None)),
    )
    evidence = Evidence(ran_ns=9, notes=("The engine reported an OOM kill.",))
    killed = ClassifiedExit(
        Exit(ran, 137, BEGAN_NS + 9, evidence, oom_kills=1, log_tail="Killed"),
        Verdict(
            Status.FAILED,
            Termination.CONTAINER_EXITED_WITH_ERROR,
            "OOMKilled",
            Recovery.MORE_MEMORY,
            "JOB_FAILED",
        ),
        Trace("trace", "span", "parent"),
    )
    expected = {"bbbbbbbbbbbb-12": JobRecord(running, None), "aaaaaaaaaaaa-1": JobRecord(ran, killed)}
    with opened(database) as store:
        for job_id, record in expected.items():
            found = store.reader.find_job(job_id)
            assert found == record
            # The equality of jobs leaves these out.
            for name in ("id", "key", "supervised", "restarts", "kills", "oom_kills", *IMAGE_FIELDS):
                assert getattr(found.job, name) == getattr(record.job, name)
            assert (found.job.id, found.job.key) == (job_id, "")
        assert len(store.reader.list_jobs(ANY, 10).records) == 2
        event_times = frozenset({BEGAN_NS, BEGAN_NS + 9, 5, 6, 8})
        assert store.load_history("a" * 64) == ContainerHistory(
            1, BEGAN_NS + 9, 0, event_times, last_start_ns=BEGAN_NS
        )
        assert (store.series(), store.pruned_before_ns) == ({("container_exits_total", ("a",)): 3}, 4)
        assert store.cursors()["unix:///var/run/docker.sock"].event_ns == 9
        pruned = [store.pruned_of(engine) for engine in ("unix:///var/run/docker.sock", "tcp://elsewhere")]
        assert pruned == [1 - 10 * SECOND_NS, 4]
        assert (store.outbox.count_pending(TelemetrySignal.TRACES), store.instance_id) == (1, "an-exporter")
